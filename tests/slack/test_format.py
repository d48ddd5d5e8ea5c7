"""What goes out, pure: nothing lost, nothing too long, nothing that pings, whatever the words are."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SdkBlock
from slack_sdk.models.views import View as SdkView

from adapters.port import Block, Button, Content, Form, FormErrors, FormInput, Place, Span
from adapters.slack_format import MESSAGE_MAX, SECTION_MAX, TEXT_MAX, Part, home_view, render, render_one
from adapters.slack_forms import error_response, notice_view, view
from adapters.slack_text import clip, escape, size, span_mrkdwn, split_lines
from tests.slack.blocks import check_blocks, check_view, texts, too_long

WORDS = st.text(st.characters(codec="utf-8"), max_size=200)
HOSTILE = st.lists(
    st.sampled_from(
        ["<!channel>", "<!here>", "<!everyone>", "<!subteam^S1|x>", "<@U123>", "<#C1|x>", "<!date^1^x|y>", "@here",
         "<http://evil|https://good>", "&lt;!channel&gt;", "```", "a", " ", "\n", "👩‍👩‍👧", "e\u0301", "&", "<", ">", "|", "*", "_"]
    ),
    max_size=40,
).map("".join)  # fmt: skip
TEXT = st.one_of(WORDS, HOSTILE)
STYLES = st.frozensets(st.sampled_from(["b", "i", "s", "code"]), max_size=2)
SPAN = st.builds(
    Span,
    TEXT,
    STYLES,
    url=st.one_of(
        st.none(), st.sampled_from(["https://example.com/a?b=1&c=2", "javascript:alert(1)", "mailto:a@b.c"])
    ),
)
LINE = st.lists(SPAN, max_size=3).map(tuple)
KINDS = st.sampled_from(
    ["para", "heading", "bullets", "numbers", "code", "quote", "fields", "divider", "note"]
)
BLOCK = st.builds(Block, KINDS, st.lists(LINE, max_size=5).map(tuple))
BUTTON = st.builds(
    Button, st.sampled_from(["claim", "rate", "help"]), st.text(max_size=20), TEXT,
    st.sampled_from(["default", "primary", "danger"]), st.one_of(st.none(), TEXT),
)  # fmt: skip
CONTENT = st.builds(
    Content, st.lists(BLOCK, max_size=6).map(tuple), st.lists(BUTTON, max_size=8).map(tuple), TEXT, TEXT, TEXT
)
MARKUP = re.compile(r"<[^<>]*>")


def para(*lines: str) -> Content:
    return Content((Block("para", tuple((Span(line),) for line in lines)),))


def words_of(parts: list[Part]) -> str:
    """What a person reads, without what the renderer adds."""
    return html.unescape("".join(text for part in parts for text in texts(part.blocks)))


def bare(text: str) -> str:
    """Without white space and code marks: what must survive every cut."""
    return re.sub(r"[\s`\u200b•]", "", text)


def marked(value: Any) -> list[str]:
    """The texts in which Slack reads markup."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            return [value["text"]]
        value = list(value.values())
    return [text for inner in value for text in marked(inner)] if isinstance(value, list) else []


def check(part: Part) -> None:
    check_blocks(part.blocks)
    assert not too_long(part.blocks)
    assert part.text
    assert len(part.text) <= 4000
    SdkBlock.parse_all([json.loads(json.dumps(block)) for block in part.blocks])


@given(CONTENT)
@settings(max_examples=60, deadline=None)
def test_whatever_the_content_slack_accepts_it(content: Content) -> None:
    """The limits of §1.8 hold for any words; Slack's own model classes agree."""
    for part in [*render(content, "Dana"), render_one(content)]:
        check(part)
    check_view(home_view(content))


@given(CONTENT)
@settings(max_examples=60, deadline=None)
def test_nothing_that_anyone_wrote_becomes_markup(content: Content) -> None:
    """48, T-SEC-7, T-SEC-8: between < and > stands only what the renderer made of an allowed address."""
    for part in render(content, "<!channel> Dana"):
        payload = json.dumps([part.text, part.blocks], ensure_ascii=False)
        for found in MARKUP.findall(" ".join([part.text, *marked(part.blocks)])):
            assert re.match(r"<(https://example\.com/a\?b=1&amp;c=2|mailto:a@b\.c)\|[^<>|\n]+>\Z", found)
        assert "<!" not in payload
        assert "<@" not in payload
        assert "<#" not in payload


@given(st.lists(TEXT, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_paragraphs_lose_nothing(lines: list[str]) -> None:
    """50: what is written is read, in order, however often it is cut."""
    assert bare(words_of(render(para(*lines)))) == bare(" ".join(lines)) or not bare("".join(lines))


@pytest.mark.parametrize("length", [1, 1999, 2000, 2001, 2899, 2900, 2901, 3800, 4000, 12_000, 40_000])
@pytest.mark.parametrize(
    "word", ["a", "word ", "Sentence. ", "&", "<&> ", "🙂", "e\u0301", "👩‍👩‍👧 ", "line\n"]
)
def test_long_answers_are_split_without_loss(length: int, word: str) -> None:
    """50, T-REL-7: at every length around every limit, also when escaping makes it longer."""
    text = (word * (length // len(word) + 1))[:length]
    parts = render(para(text))
    for part in parts:
        check(part)
        assert all(size(found) <= SECTION_MAX for found in texts(part.blocks))
    assert bare(words_of(parts)) == bare(text)


@pytest.mark.parametrize("length", [100, 2900, 4000, 12_000, 40_000])
def test_code_is_fenced_again_in_every_piece(length: int) -> None:
    """50: a cut through code closes the fence and opens it again; backticks inside do not end it."""
    code = "\n".join(f"print({n}) && '```' < x" for n in range(length // 24))
    parts = render(Content((Block("code", ((Span(code),),)),)))
    for part in parts:
        check(part)
        for text in texts(part.blocks):
            assert text.startswith("```\n")
            assert text.endswith("\n```")
            assert text.count("```") == 2
        assert part.text.count("```") % 2 == 0
    assert bare(words_of(parts)) == bare(code)


@given(st.lists(
    st.sampled_from(["e\u0301", "👩‍👩‍👧", "🇩🇪", "a", "n\u0303", " "]), min_size=1, max_size=400).map("".join))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_cut_goes_through_a_grapheme(text: str) -> None:
    """50: families, flags and accents stay whole."""
    chunks = split_lines([(Span(text),)], 60)
    pieces = ["".join(span.text for line in chunk for span in line) for chunk in chunks]
    assert "".join(pieces) == text
    assert [g for piece in pieces for g in regex.findall(r"\X", piece)] == regex.findall(r"\X", text)
    assert all(size(piece) <= 60 for piece in pieces)


def test_a_grapheme_larger_than_a_message_still_passes() -> None:
    """Ten thousand accents on one letter are one grapheme; they are cut, because nothing else is possible."""
    text = "a" + "\u0301" * 10_000
    parts = render(para(text))
    for part in parts:
        check(part)
    assert words_of(parts) == text


@given(st.lists(SPAN, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_no_cut_goes_through_an_entity_or_a_link(spans: list[Span]) -> None:
    """50: after cutting, every < has its > and every & is a whole entity."""
    for chunk in split_lines([tuple(spans)], 80):
        for line in chunk:
            shown = "".join(span_mrkdwn(span) for span in line)
            assert not re.search(r"&(?!amp;|lt;|gt;)", shown)
            assert len(re.findall("<", shown)) == len(MARKUP.findall(shown))


@given(st.text())
def test_escaping_can_be_undone(text: str) -> None:
    """49: & < > go round."""
    assert escape(text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@given(st.text(max_size=300), st.integers(10, 80))
def test_clipping_keeps_within_the_limit(text: str, limit: int) -> None:
    clipped = clip(text, limit)
    assert size(clipped) <= limit
    assert clipped == text or clipped.endswith("…")


def test_only_ids_from_the_configuration_ping() -> None:
    """The one ping there is: a user group or person whose id the configuration names."""
    assert span_mrkdwn(Span("on call", mention="S0ONCALL")) == "<!subteam^S0ONCALL>"
    assert span_mrkdwn(Span("Dana", mention="U0DANA")) == "<@U0DANA>"
    assert span_mrkdwn(Span("#help", mention="C0HELP")) == "<#C0HELP>"
    assert span_mrkdwn(Span("x", mention="!channel")) == "x"
    assert span_mrkdwn(Span("x", mention="S1> <!here")) == "x"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/?a=1&b=2", "<https://example.com/?a=1&amp;b=2|here now>"),
        ("mailto:help@example.com", "<mailto:help@example.com|here now>"),
        ("javascript:alert(1)", "here|now"),
        ("file:///etc/passwd", "here|now"),
        ("https://example.com|<!channel>", "here|now"),
        ("https://a b", "here|now"),
    ],
)
def test_links_only_with_harmless_schemes(url: str, shown: str) -> None:
    assert span_mrkdwn(Span("here|now", url=url)) == shown


def test_styles_hug_their_words() -> None:
    """Slack ignores marks that touch white space; a mark inside the words would end the style."""
    assert span_mrkdwn(Span(" bold ", frozenset({"b"}))) == " *bold* "
    assert span_mrkdwn(Span("a*b", frozenset({"b"}))) == "a*b"
    assert span_mrkdwn(Span("x", frozenset({"b", "i"}))) == "_*x*_"


def test_slack_must_not_look_for_names_by_itself() -> None:
    """verbatim: no channel or user names are recognised in text objects."""
    [part] = render(para("@here #general"))
    assert part.blocks[0]["text"]["verbatim"] is True


# --- messages and cards ----------------------------------------------------------------------------------


def test_buttons_carry_verb_and_argument_only() -> None:
    """And ids are unique in their block, though five of them rate."""
    buttons = tuple(Button("rate", f"T-1:{n}", str(n)) for n in range(1, 6))
    [part] = render(Content((Block("para", ((Span("How was it?"),),)),), buttons))
    elements = part.blocks[-1]["elements"]
    assert [element["action_id"] for element in elements] == [
        "fl1:rate",
        *(f"fl1:rate:{n}" for n in range(2, 6)),
    ]
    assert [element["value"] for element in elements] == [f"T-1:{n}" for n in range(1, 6)]
    check(part)


def test_buttons_and_footer_are_on_the_last_message() -> None:
    content = Content(
        (Block("para", ((Span("word " * 5000),),)),), (Button("help", "c1", "A person"),), footer="v3"
    )
    parts = render(content)
    assert len(parts) > 1
    assert [any(block["type"] == "actions" for block in part.blocks) for part in parts[:-1]] == [False] * (
        len(parts) - 1
    )
    assert [block["type"] for block in parts[-1].blocks[-2:]] == ["context", "actions"]


def test_a_card_is_one_message_whatever_it_holds() -> None:
    """Because it will be edited as one; what does not fit is marked as missing."""
    content = Content(
        (Block("para", ((Span("word " * 9000),),)),), (Button("claim", "T-1", "Claim"),), title="T-1 refund"
    )
    [part] = render(content)
    check(part)
    assert part == render_one(content)
    assert sum(len(text) for text in texts(part.blocks)) <= MESSAGE_MAX + 200
    assert part.blocks[0]["type"] == "header"
    assert part.blocks[-1]["type"] == "actions"
    assert "…" in words_of([part])


def test_a_hundred_blocks_are_spread_over_messages() -> None:
    content = Content(tuple(Block("divider") for _ in range(130)))
    parts = render(content)
    assert [len(part.blocks) for part in parts] == [44, 44, 42]


def test_more_than_twenty_five_buttons_take_two_blocks() -> None:
    [part] = render(Content(buttons=tuple(Button("pick", str(n), f"Topic {n}") for n in range(30))))
    check(part)
    assert [len(block["elements"]) for block in part.blocks] == [25, 5]


def test_a_person_is_signposted_as_a_person() -> None:
    """§3 of the relay: the customer sees who speaks; the name cannot be markup."""
    [part] = render(para("Hello"), "Dana <!here>")
    assert part.text == "*Dana &lt;!here&gt;* (support):\nHello"


def test_fields_become_columns_or_paragraphs() -> None:
    short = Block("fields", tuple((Span(text),) for text in ("Priority", "P1", "Customer", "ana")))
    [part] = render(Content((short,)))
    assert [field["text"] for field in part.blocks[0]["fields"]] == ["*Priority*\nP1", "*Customer*\nana"]
    long = Block("fields", ((Span("Summary"),), (Span("x" * 2500),)))
    [part] = render(Content((long,)))
    assert part.blocks[0]["text"]["text"].startswith("*Summary:* xxx")


def test_lists_keep_their_numbers() -> None:
    doc = (
        Block("numbers", tuple((Span(text),) for text in ("one", "two"))),
        Block("bullets", ((Span("three"),),)),
    )
    [part] = render(Content(doc))
    assert part.text == "1. one\n2. two\n• three"


def test_a_quote_is_quoted_on_every_line() -> None:
    [part] = render(Content((Block("quote", ((Span("one\ntwo"),),)),)))
    assert part.text == "> one\n> two"


def test_the_notification_text_is_cut_between_lines() -> None:
    """`text` above 4,000 is refused by chat.update; blocks carry the whole."""
    [part] = render(para(*(f"line {n} " + "x" * 80 for n in range(80))))
    assert len(part.text) <= TEXT_MAX
    assert part.text.endswith("\n…")
    assert "line 79" in words_of([part])


# --- forms -----------------------------------------------------------------------------------------------

FORM = Form(
    "contact",
    "How can we reach you?",
    (
        FormInput("email", "E-mail", "email", value="ana@example.com"),
        FormInput("subject", "Subject", "line", max=80),
        FormInput("details", "Details", "text", required=False, hint="Do not include card numbers"),
        FormInput("kind", "Kind", "choice", value="bug", choices=(("bug", "A bug"), ("idea", "An idea"))),
        FormInput("day", "Day", "date", required=False, value="2026-11-26"),
    ),
    context="d-17",
)


def test_a_form_becomes_a_modal_that_slack_accepts() -> None:
    shown = view(FORM, Place("slack", "T1", "C1", "1.2"))
    check_view(shown)
    SdkView(**shown).validate_json()
    assert [block["block_id"] for block in shown["blocks"]] == ["email", "subject", "details", "kind", "day"]
    assert json.loads(shown["private_metadata"]) == {
        "context": "d-17",
        "channel": "C1",
        "thread": "1.2",
        "kind": "channel",
    }
    assert shown["blocks"][3]["element"]["initial_option"]["value"] == "bug"


def test_a_context_must_stay_small() -> None:
    with pytest.raises(ValueError, match="opaque"):
        view(Form("f", "t", FORM.inputs, context="x" * 3000))


@given(st.builds(Form, st.just("f"), TEXT, st.lists(st.builds(
    FormInput, st.just("a"), TEXT, st.sampled_from(["line", "text", "email", "date", "file"]), value=TEXT, hint=TEXT,
), min_size=1, max_size=1).map(tuple), submit=TEXT))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_hostile_labels_do_not_break_a_form(form: Form) -> None:
    check_view(view(form))


def test_errors_are_keyed_by_block() -> None:
    """58: Slack refuses errors for blocks that it does not know; they go to the first input."""
    shown: dict[str, Any] = view(FORM)
    answer = error_response(FormErrors({"email": "Not an address.", "gone": "Odd."}), shown)
    assert answer == {"response_action": "errors", "errors": {"email": "Not an address. Odd."}}


def test_a_notice_fits() -> None:
    check_view(notice_view("How can we reach you, please?", "<!channel> " * 200))
