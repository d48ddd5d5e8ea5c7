"""Content becomes Discord messages: within every limit, nothing lost, nothing that acts."""

from __future__ import annotations

import re

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.discord_format import (
    allowed_mentions,
    errors_text,
    modal,
    nonce,
    render,
    render_one,
    speaker,
    thread_name,
)
from adapters.discord_text import clip, escape, units
from adapters.port import Block, Button, Content, Form, FormErrors, FormInput, Rejected, Span
from tests.discord_server.limits import check_message, check_modal

PIECES = st.sampled_from(
    [
        "word",
        " ",
        "\n",
        "\n\n",
        "*",
        "**",
        "_",
        "`",
        "```",
        "~~",
        "||",
        "> ",
        "# ",
        "- ",
        "1. ",
        "[good](https://evil.example)",
        "https://example.com/a_b*c?x=1&y=`2`",
        "@everyone",
        "@here",
        "<@123456789>",
        "<@&123>",
        "<#5>",
        "<:a:1>",
        "\\",
        "👩‍👩‍👧‍👦",
        "🇩🇪",
        "e\u0301",
        "한국어",
        "\u202e",
        "x" * 700,
        "👍🏽" * 90,
        "A sentence ends here. ",
        "-# ",
        ":",
    ]
)
TEXT = st.lists(PIECES, max_size=60).map("".join)
STYLES = st.frozensets(st.sampled_from(["b", "i", "s", "code"]), max_size=3)
SPANS = st.one_of(
    st.builds(Span, TEXT, STYLES),
    st.builds(
        Span, TEXT, url=st.sampled_from(["https://example.com/(a)", "http://e.org/x y", "mailto:a@b.org"])
    ),
)
ITEM = st.lists(SPANS, min_size=1, max_size=3).map(tuple)
BLOCK = st.builds(
    Block,
    st.sampled_from(["para", "heading", "bullets", "numbers", "code", "quote", "fields", "divider", "note"]),
    st.lists(ITEM, min_size=1, max_size=4).map(tuple),
)
BUTTONS = st.integers(0, 25).map(lambda n: tuple(Button("verb", f"T-{i}", "Label 👍" * 20) for i in range(n)))
CONTENT = st.builds(
    Content,
    st.lists(BLOCK, max_size=6).map(tuple),
    BUTTONS,
    title=st.sampled_from(["", "T-1042 *urgent*"]) | TEXT,
    status=TEXT,
    footer=TEXT,
    urgent=st.booleans(),
)


def read(markdown: str) -> str:
    """What a reader sees of `markdown`, without white space and without what we added around it."""
    text = re.sub(r"\\([\\*_~|`\[\]<#>+-])", lambda m: f"\ue000{ord(m[1])}\ue001", markdown)
    text = re.sub(r"(?m)^(?:```|> |-# |### |- |\d+\. )", "", text.replace("\u200b", ""))
    text = re.sub(r"\ue000(\d+)\ue001", lambda m: chr(int(m[1])), text)
    return re.sub(r"\s", "", text)


def read_plain(markdown: str) -> str:
    """The same for plain paragraphs, where nothing was added but escapes."""
    return re.sub(r"\\([\\*_~|`\[\]<#>+-])", r"\1", squeezed(markdown))


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text.replace("\u200b", ""))


@settings(max_examples=80, deadline=None)
@given(CONTENT, st.sampled_from(["", "Dana", "Éva 👩‍🚀 *_@everyone"]))
def test_every_message_is_within_discords_limits(content, name):
    """2000, 4096, 6000, 25 fields, 5×5 buttons, 100-character ids: judged by the server's own checks."""
    for part in render(content, speaker(name, "support")):
        check_message(part)
        assert part["allowed_mentions"] == {"parse": [], "replied_user": False}
    check_message(render_one(content, speaker(name, "support")))


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
@example(["https://example.com/a_b*c?x=1&y=`2`" + "x" * 2000])
def test_50_nothing_is_lost_when_a_text_is_cut(texts):
    """§7.50, T-REL-7: every letter is there, in order, once."""
    content = Content(tuple(Block("para", ((Span(text),),)) for text in texts))
    shown = "".join(read_plain(part["content"]) for part in render(content))
    # An address is written with %60 and the like, unless it is longer than a message and no address any more.
    wanted = "".join(text.replace("\r", "\n") for text in texts)
    assert decoded(shown) == decoded(squeezed(wanted))


def decoded(text: str) -> str:
    for code, sign in (("%60", "`"), ("%7C", "|"), ("%5C", "\\"), ("%40", "@")):
        text = text.replace(code, sign)
    return text


@pytest.mark.parametrize("size", [1, 1999, 2000, 2001, 4000, 12_000, 40_000])
@pytest.mark.parametrize("bit", ["a", "word ", "👩‍👩‍👧‍👦", "e\u0301", "한", "*", "A short sentence. "])
def test_50_sizes_around_the_limit(size, bit):
    """T-REL-7: whatever the text is made of, no grapheme is cut and nothing is lost."""
    text = (bit * (size // len(bit) + 1))[:size]
    parts = [part["content"] for part in render(Content((Block("para", ((Span(text),),)),)))]
    assert all(units(part) <= 2000 for part in parts)
    assert "".join(map(read_plain, parts)) == squeezed(text)
    whole = regex.findall(r"\X", text)
    assert [g for part in parts for g in regex.findall(r"\X", part) if g.strip() and g != "\\"] == [
        g for g in whole if g.strip()
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", categories=["L", "P", "So", "Zs"]), max_size=300), max_size=60
    )
)
def test_50_fences_are_closed_and_opened_again(lines):
    content = Content(
        (Block("code", tuple((Span(line),) for line in lines)), Block("para", ((Span("after"),),)))
    )
    parts = [part["content"] for part in render(content)]
    assert all(part.count("```") % 2 == 0 for part in parts)
    inside = "".join(part.replace("```", "") for part in parts)
    assert squeezed(inside) == squeezed("".join(lines) + "after")


def test_a_fence_in_code_cannot_close_it():
    (part,) = render(Content((Block("code", ((Span("a ``` b\n@everyone"),),)),)))
    assert part["content"].count("```") == 2
    assert "@everyone" not in part["content"]


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_escaped_text_has_no_live_markdown_and_no_mass_mention(text):
    shown = escape(text)
    bare = re.sub(r"https?://[^\s<>]+", "u", re.sub(r"\\.", "x", shown, flags=re.DOTALL))
    assert not re.search(r"[*_~|`\[\]<]", bare)
    assert not re.search(r"(?m)^[ \t]*[#>+-]", bare)
    assert "@everyone" not in shown
    assert "@here" not in shown


@pytest.mark.parametrize(
    "mention",
    [
        "@everyone",
        "@here",
        "@EVERYONE",
        "@@everyoneeveryone",
        "＠everyone",
        "@\u200beveryone",
        "@every\u200bone",
        "@\u2060h\u00adere",
        "x@here.com",
    ],
)
def test_48_mass_mentions_in_every_disguise(mention):
    """§7.48, T-SEC-7: once invisible characters are taken out, an @ still does not touch the word."""
    shown = escape(mention)
    assert re.search("[@＠]\u200b", shown)
    assert squeezed(shown) == squeezed(mention)


@pytest.mark.parametrize("raw", ["<@123>", "<@!123>", "<@&123>", "<#123>", "<:a:1>", "</ask:1>", "<t:1:R>"])
def test_48_mentions_are_shown_as_they_were_written(raw):
    assert escape(raw).startswith("\\<")


def test_masked_links_of_users_show_their_target():
    (part,) = render(Content((Block("para", ((Span("[your bank](https://evil.example/login)"),),)),)))
    assert part["content"] == r"\[your bank\](https://evil.example/login)"


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("Refunds", "https://example.com/a_(b)", "[Refunds](<https://example.com/a_%28b%29>)"),
        ("good.example", "https://evil.example", "good.example (https://evil.example)"),
        ("https://good.example", "https://evil.example", "https://good.example (https://evil.example)"),
        ("https://same.example", "https://same.example", "https://same.example"),
        ("write to us", "mailto:help@example.com", "write to us (mailto:help@example.com)"),
        ("click", "javascript:alert(1)", "click (javascript:alert%281%29)"),
        ("a]b*", "https://x.example", r"[a\]b\*](<https://x.example>)"),
    ],
)
def test_links(text, url, shown):
    (part,) = render(Content((Block("para", ((Span(text, url=url),),)),)))
    assert part["content"] == shown


def test_styles_touch_their_words_and_survive_their_neighbours():
    line = (
        Span("bold ", frozenset({"b"})),
        Span("and "),
        Span(" both", frozenset({"b", "i"})),
        Span("x", frozenset({"b"})),
        Span("y", frozenset({"b"})),
        Span(" a`b", frozenset({"code"})),
    )
    (part,) = render(Content((Block("para", (line,)),)))
    assert part["content"] == "**bold** and  ***both***\u200b**x**\u200b**y** `` a`b ``"


def test_every_kind_of_block():
    def items(*texts):
        return tuple((Span(t),) for t in texts)

    blocks = (
        Block("heading", items("Title")),
        Block("para", items("line one\nline two")),
        Block("bullets", items("a\nb", "c")),
        Block("numbers", items("a", "b")),
        Block("quote", items("q1\nq2")),
        Block("code", items("x = 1")),
        Block("fields", items("Name", "ann")),
        Block("divider"),
        Block("note", items("small")),
    )
    (part,) = render(Content(blocks, status="open", footer="foot"))
    assert part["content"] == (
        "**open**\n\n### Title\n\nline one\nline two\n\n- a\n  b\n- c\n\n1. a\n2. b\n\n> q1\n> q2\n\n"
        "```\nx = 1\n```\n\n**Name**: ann\n\n───────────\n\n-# small\n\n-# foot"
    )
    assert part["flags"] == 4, "no link previews under the bot's text"


def test_a_card_is_an_embed_with_its_buttons():
    body = (
        Block("para", ((Span("What the customer wants."),),)),
        Block("fields", ((Span("Priority"),), (Span("P1"),), (Span("Customer"),), (Span("ann_b"),))),
    )
    content = Content(
        body, (Button("claim", "T-1", "Claim", "primary"),), "T-1", "open", "due 14:00", urgent=True
    )
    (part,) = render(content)
    assert part["embeds"] == [
        {
            "title": "T-1",
            "color": 0xD83A3A,
            "author": {"name": "open"},
            "footer": {"text": "due 14:00"},
            "description": "What the customer wants.",
            "fields": [
                {"name": "Priority", "value": "P1", "inline": True},
                {"name": "Customer", "value": "ann\\_b", "inline": True},
            ],
        }
    ]
    assert part["components"] == [
        {
            "type": 1,
            "components": [{"type": 2, "style": 1, "label": "Claim", "custom_id": "fl1:claim:T-1"}],
        }
    ]


def test_a_long_card_goes_on_below_with_its_buttons_on_the_message_that_is_edited():
    body = tuple(Block("para", ((Span(f"{n} " + "long text " * 200),),)) for n in range(8))
    content = Content(body, (Button("claim", "T-1", "Claim"),), title="T-1")
    parts = render(content)
    assert len(parts) > 2
    assert "components" in parts[0]
    assert all("components" not in part for part in parts[1:])
    assert render_one(content)["embeds"][0]["description"].endswith("…")
    shown = "".join(read(part["embeds"][0].get("description", "")) for part in parts)
    assert shown == "".join(f"{n}" + "longtext" * 200 for n in range(8))


def test_buttons_stand_under_the_last_message_of_a_text():
    content = Content(
        (Block("para", ((Span("word " * 900),),)),), tuple(Button("v", str(i), "L") for i in range(7))
    )
    parts = render(content)
    assert [len(part.get("components", [])) for part in parts] == [0] * (len(parts) - 1) + [2]


def test_empty_content_is_no_message_and_buttons_alone_are_one():
    assert render(Content()) == []
    (part,) = render(Content(buttons=(Button("v", "1", "Yes"),)))
    assert part["components"]


def test_more_than_fits_is_refused():
    with pytest.raises(Rejected):
        render(Content(buttons=tuple(Button("v", str(i), "L") for i in range(26))))
    with pytest.raises(Rejected):
        render(Content(buttons=(Button("verb", "x" * 95, "L"),)))
    with pytest.raises(Rejected):
        modal(Form("f", "t", tuple(FormInput(str(i), "l") for i in range(6))))


def test_only_named_ids_may_be_pinged():
    line = (Span("x", mention="42"), Span("y", mention="user:43"), Span("<@&44> @everyone"))
    (part,) = render(Content((Block("para", (line,)),)))
    assert part["allowed_mentions"] == {"parse": [], "replied_user": False, "roles": ["42"], "users": ["43"]}
    assert part["content"].startswith("<@&42><@43>\\<@&44> @\u200beveryone")
    assert allowed_mentions(Content()) == {"parse": [], "replied_user": False}


def test_a_speaker_cannot_forge_another():
    (part,) = render(Content((Block("para", ((Span("hi"),),)),)), speaker("Dana** (admin):\n**x", "support"))
    assert part["content"] == "**Dana\\*\\* (admin): \\*\\*x** (support): hi"


INPUT = st.builds(
    FormInput,
    st.text("abcdefgh", min_size=1, max_size=20),
    st.text(min_size=1, max_size=45),
    st.sampled_from(["line", "text", "email", "date", "file"]),
    required=st.booleans(),
    value=st.text("b 👍\n", max_size=60),
    hint=st.text("a 👍", max_size=120),
    max=st.integers(1, 10_000),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(INPUT, min_size=1, max_size=5, unique_by=lambda i: i.id), st.text(min_size=1, max_size=24))
def test_every_form_is_a_modal_that_discord_accepts(inputs, title):
    check_modal(modal(Form("contact", title, tuple(inputs), "T-1")))


def test_a_choice_is_a_select_with_what_was_chosen_before():
    item = FormInput("kind", "Kind", "choice", value="b", choices=(("a", "A"), ("b", "B")), hint="pick")
    form = modal(Form("f", "Title", (item,)))
    check_modal(form)
    (label,) = form["components"]
    assert (label["type"], label["description"]) == (18, "pick")
    assert label["component"]["options"] == [
        {"value": "a", "label": "A"},
        {"value": "b", "label": "B", "default": True},
    ]


def test_form_errors_name_the_labels():
    form = Form("f", "t", (FormInput("email", "E-mail *"),))
    text = errors_text(FormErrors({"email": "no @", "x": "?"}, form), "Not yet:")
    assert text == "Not yet:\n- **E-mail \\***: no @\n- **x**: ?"


@given(st.text(max_size=300))
def test_thread_names_fit(title):
    name = thread_name(title)
    assert 1 <= units(name) <= 100
    assert "\n" not in name


@given(st.text(max_size=60), st.integers(1, 40))
def test_clipping_keeps_graphemes(text, limit):
    short = clip(text, limit)
    assert units(short) <= max(limit, 1)
    assert text == short or short.endswith("…")


def test_a_nonce_is_stable_and_short():
    assert nonce("k", 0) == nonce("k", 0)
    assert len({nonce("k", 0), nonce("k", 1), nonce("k#0", 0)}) == 3
    assert len(nonce("a very long key " * 20, 3)) == 24


@pytest.mark.parametrize("length", range(1990, 2001))
def test_an_empty_item_at_the_end_of_a_page_does_not_overfill_it(length):
    content = Content((Block("bullets", ((Span("x" * (length - 2)),), (Span(""),))),))
    for part in render(content):
        check_message(part)
