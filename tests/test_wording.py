"""Every sentence that a person reads: complete in each language, nobody else's markup, within each platform's limits."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import discord_format, slack_format
from adapters.port import Actor, Content, FileRef, Span
from bot.config import Config, HoursConfig
from bot.policies import hours_of, policy_of, texts_of
from bot.rich import rich
from bot.texts import LANGUAGES, WordingError, catalogue, load_texts, slots
from bot.wording import word
from handoff import facts
from handoff.effects import Fact
from handoff.forms import FORMS
from handoff.model import Earlier, Said, Ticket, TicketState, Tried
from handoff.policy import COMMANDS, RESOLUTION_TYPES, ROOT_CAUSES, TRIGGERS
from handoff.ticket import buttons
from handoff.triggers import by_name

ROOT = Path(__file__).parent.parent
TEXTS = load_texts()
EN, DE = catalogue("en"), catalogue("de")
NOW = 1_764_150_000.0  # Wednesday, 2025-11-26 09:40 UTC
HOSTILE = (
    "<!channel> <@U1> @everyone *b* _i_ `c` [x](http://evil.example) <http://evil.example|ok> <b>&amp;</b> ||s|| ~~s~~ "
    "{name} {0} %s\n> q\n# h\n```\ncode"
)


# --- the catalogues -------------------------------------------------------------------------------------------


def test_every_language_has_the_same_sentences_with_the_same_placeholders() -> None:
    assert set(EN) == set(DE)
    assert {k: slots(EN[k]) for k in EN} == {k: slots(DE[k]) for k in DE}
    assert all(v.strip() for v in (*EN.values(), *DE.values()))
    assert len(LANGUAGES) == 2


def literals(*folders: str) -> Iterator[str]:
    """All strings and beginnings of f-strings in the code that speaks."""
    for folder in folders:
        for path in sorted(ROOT.glob(folder)):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


KEY = re.compile(r"[a-z_]+(\.[A-Za-z0-9_-]+)+\Z")


def test_every_key_that_the_code_names_exists_and_every_sentence_is_used() -> None:
    named = {
        s
        for s in literals("handoff/*.py", "bot/wording*.py", "bot/texts.py")
        if KEY.match(s) and not s.endswith(".toml")
    }
    spaces = {k.partition(".")[0] for k in EN}
    assert {k for k in named if k.partition(".")[0] in spaces} <= set(EN)
    spoken = set(literals("handoff/*.py", "bot/wording*.py", "bot/texts.py"))
    whole = {s for s in spoken if s in EN}
    built = tuple(s for s in spoken if re.fullmatch(r"[a-z_]+\.[a-z_.]*", s) and s.endswith((".", "day")))
    short_keys = {f"card.{s}" for s in spoken}  # the card's own little function adds the prefix
    unused = {k for k in EN if k not in whole and not k.startswith(built) and k not in short_keys}
    assert not {k for k in unused if not k.startswith(("form.", "time.", "button.", "confirm."))}


@pytest.mark.parametrize(
    "key",
    [
        *(f"state.{s}" for s in TicketState),
        *(f"help.{c}" for c in COMMANDS),
        *(f"trigger.{t}" for t in sorted({*TRIGGERS, *by_name()})),
        *(
            f"trigger.{t}"
            for t in ("part", "level", "collect", "draft", "unsure", "unclear", "failure", "late", "agent")
        ),
        *(f"next.{t}" for t in sorted({*TRIGGERS, *by_name()})),
        *(f"resolution.{r}" for r in (*RESOLUTION_TYPES, "returned")),
        *(f"cause.{c}" for c in ROOT_CAUSES),
        *(f"priority.P{n}" for n in range(4)),
        *(f"failure.{f}" for f in ("gone", "forbidden", "rejected", "exhausted", "ambiguous")),
        *(f"form.{f}.title" for f in FORMS),
        *(f"form.{f}.submit" for f in FORMS),
    ],
)
def test_what_is_named_by_data_has_words(key: str) -> None:
    assert key in EN


def test_the_triggers_of_the_rules_are_those_of_the_data() -> None:
    assert set(by_name()) <= set(TRIGGERS)


# --- every fact -----------------------------------------------------------------------------------------------

ACTOR = Actor("slack", "T1", "U1", HOSTILE)
SAID = (
    Said("customer", HOSTILE, HOSTILE, NOW, files=(FileRef("f", HOSTILE),)),
    Said("bot", "Firstline", "**fine**", NOW),
    Said("agent", "Kim", "x", NOW, edited=True),
    Said("other", "", "", NOW, deleted=True),
)
TICKET = Ticket(
    1042, TicketState.OPEN, "billing", "P0", HOSTILE, "desk", HOSTILE, HOSTILE, NOW, wants=HOSTILE + "!", leaf="refund",
    tier="gold", sentiment="negative", trigger="human", why_escalated=HOSTILE, next_step=HOSTILE, confidence=0.5,
    tried=(Tried("A-1", "t", HOSTILE, "v", 0.5, delivered=True, outcome="not helpful: wrong"),), nearest=(("t", HOSTILE),),
    fields={"steps": HOSTILE}, private_fields={"order": HOSTILE}, earlier=(1, 2), assignee=ACTOR, claimed_at=NOW,
    first_response_due=NOW + 60, resolution_due=NOW + 90_000, tags=(HOSTILE,), failures=(HOSTILE,),
)  # fmt: skip
SOLVED = replace(
    TICKET, state=TicketState.SOLVED, resolution=HOSTILE, csat=4, csat_comment=HOSTILE, first_response_at=NOW,
    root_cause="bug", resolution_type="solved",
)  # fmt: skip
SOURCE = facts.Source("t", HOSTILE, "a.md", "0123456789abcdef", "2026-10-01")
ANSWER = facts.Answer(
    "c-0123456789.1", "**ok**", (SOURCE,), 0.9, opening=True, passed_on=(HOSTILE,), late=7200.0
)

FACTS: dict[str, Fact] = {
    "line": facts.Line("refused.taken", {"name": HOSTILE, "ticket": "T-1"}, NOW, (("person", "c-1"),), opening=True),
    "answer": ANSWER,
    "answer, third turn": replace(ANSWER, passed_on=(), offer=True, opening=False, late=0.0),
    "answer, private": replace(ANSWER, buttons=False),
    "ask": facts.Ask("c-1", (HOSTILE, "b", "c"), opening=True),
    "ask, language": facts.Ask("c-1", (HOSTILE,), reason="language"),
    "ask, settled": facts.Ask("c-1", (HOSTILE, "b", "c"), opening=True, about=HOSTILE, aside=(HOSTILE,), over=True),
    "offer, settled": facts.Offer("c-1", (HOSTILE,), language="de", over=True),
    **{f"offer, {r}": facts.Offer("c-1", (HOSTILE,), reason=r) for r in ("unsure", "again", "unhelpful", "unrelated")},  # type: ignore[arg-type]
    "field": facts.AskField("c-1", HOSTILE, HOSTILE, "choice", ("a", HOSTILE), 2, 3),
    "field, private": facts.AskField("c-1", "Order", "", "line", private=True, problem="problem.pattern"),
    **{
        f"handed over, {r}": facts.HandedOver("T-1042", NOW, NOW + 900, None, r, "R-1", 30, 600.0, details=True)
        for r in ("", "human", "security", "abuse", "failure", "late", "no such reason")
    },
    "handed over, closed": facts.HandedOver("T-1042", NOW, NOW + 90_000, NOW + 80_000, opening=True),
    "incident over": facts.IncidentOver("**Fixed.**"),
    "correction": facts.Correction(HOSTILE, "**30 days**", "v2"),
    "incident": facts.Incident("c-1", "We **know**."),
    "relayed": facts.Relayed(HOSTILE, "Kim"),
    "relayed file": facts.Relayed("", "Kim", (FileRef("f", HOSTILE),)),
    "resolved": facts.Resolved("T-1042", HOSTILE, HOSTILE, 48),
    **{
        f"card, {t.state}": facts.Card(t, ACTOR, HOSTILE, buttons(t), {"steps": "Steps"}, "Billing")
        for t in (*(replace(TICKET, state=s) for s in TicketState if s != "solved"), SOLVED)
    },
    "erased": facts.Erased("T-7"),
    "raised": facts.Raised(TICKET, HOSTILE, HOSTILE, "S0ONCALL"),
    "on call": facts.OnCall(TICKET, "S0ONCALL", 2),
    "transcript": facts.Transcript("T-1042", SAID, (("Steps", HOSTILE),)),
    "transcript, empty": facts.Transcript("T-1042", ()),
    **{f"in thread, {s.who}": facts.InThread(s, HOSTILE) for s in SAID},
    **{
        f"preview, {s}": facts.Preview("T-1042.1", HOSTILE, HOSTILE, "Kim", 5.0, s, (FileRef("f", "a"),))  # type: ignore[arg-type]
        for s in ("waiting", "sent", "undone", "edited", "deleted")
    },
    **{f"draft, {o}": facts.Draft("T-1042.1", "**a**", (SOURCE,), 0.9, o) for o in ("", "sent", "edited", "discarded")},
    "shadow": facts.Shadow(HOSTILE, HOSTILE, "answer", HOSTILE, (ANSWER, facts.Offer("c-1"))),
    "shadow, nothing": facts.Shadow(HOSTILE, HOSTILE, "ignore", "why"),
    "proposal": facts.Proposal("P-1", "T-1042", HOSTILE, HOSTILE, ("t", HOSTILE)),
    "help": facts.Help(COMMANDS, (HOSTILE,)),
    "report": facts.Report(
        "report", ok=True,
        result={"n": 1, "share": 0.5, "rows": [{"a": HOSTILE}, [1, 2], "x"] * 9, "more": {"k": HOSTILE}, "text": "y\nz", "e": []},
    ),
    "home": facts.HomeView("Firstline", (Earlier(1, HOSTILE, "closed", NOW),)),
    "home, empty": facts.HomeView("Firstline"),
}  # fmt: skip


def spans(content: Content) -> Iterator[Span]:
    return (span for block in content.body for item in block.items for span in item)


def test_every_fact_is_among_the_samples() -> None:
    known = {c for c in vars(facts).values() if isinstance(c, type) and issubclass(c, Fact) and c is not Fact}
    assert {type(f) for f in FACTS.values()} | {facts.Source} >= known


@pytest.mark.parametrize("language", [*LANGUAGES, "fr"])
@pytest.mark.parametrize("name", FACTS)
def test_every_fact_has_words_that_fit_everywhere(name: str, language: str) -> None:
    content = word(FACTS[name], language, TEXTS)
    assert any(span.text.strip() for span in spans(content))
    assert all(
        b.label.strip() and len(b.label) <= 75 and not b.label.startswith("button.") for b in content.buttons
    )
    assert len(content.buttons) <= 25
    assert len(content.title) <= 150
    assert slack_format.render(content)
    assert discord_format.render(content)


def read_as_markup(node: object) -> Iterator[str]:
    """The texts of a Slack payload in which markup counts; `plain_text` is shown as it is."""
    if isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        for value in node.values():
            yield from read_as_markup(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from read_as_markup(value)


@pytest.mark.parametrize("name", FACTS)
def test_nobody_pings_or_links_through_us(name: str) -> None:
    content = word(FACTS[name], "en", TEXTS)
    mentions = {span.mention for span in spans(content)} - {None}
    assert mentions <= {"S0ONCALL"}
    assert not [span for span in spans(content) if span.url]
    for markup in (
        m for part in slack_format.render(content) for m in (part.text, *read_as_markup(part.blocks))
    ):
        assert "<!channel>" not in markup
        assert "<@U1>" not in markup
        assert "<http://evil" not in markup
    for part in discord_format.render(content):
        assert part["allowed_mentions"]["parse"] == []


def test_values_are_never_read_as_patterns() -> None:
    said = word(facts.Line("refused.taken", {"name": "{ticket}{at}", "ticket": "T-1"}), "en", TEXTS)
    assert "{ticket}{at} has T-1" in next(spans(said)).text


def test_the_desk_reads_its_own_language() -> None:
    german = load_texts(language="de")
    card = word(FACTS["card, open"], "en", german)
    assert card.buttons[0].label == "Antworten"
    assert word(facts.Line("customer.joined", {"name": "Kim"}), "en", german) != word(
        facts.Line("customer.joined", {"name": "Kim"}), "de", german
    )


def test_nothing_is_certain_however_it_would_be_rounded() -> None:
    draft = facts.Draft("T-1042", "**ok**", (SOURCE,), 0.9996)
    said = str(word(draft, "en", TEXTS))
    assert "99%" in said
    assert "100%" not in said


def test_a_p0_card_is_urgent_and_newer_edits_win() -> None:
    content = word(FACTS["card, open"], "en", TEXTS)
    assert content.urgent
    assert word(facts.Card(replace(TICKET, revision=7), ACTOR, "", ()), "en", TEXTS).revision == 7


# --- an honest time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "1 minute"), (60, "1 minute"), (61, "2 minutes"), (900, "15 minutes"), (3600, "60 minutes"),
     (5400, "2 hours"), (14_400, "4 hours"), (86_400, "24 hours"), (259_200, "3 days")],
)  # fmt: skip
def test_spans_are_rounded_up_in_one_unit(seconds: float, words: str) -> None:
    assert TEXTS.span(seconds, "en") == words


@pytest.mark.parametrize(
    ("after", "words"),
    [(0, "today 09:40 UTC"), (86_400, "tomorrow 09:40 UTC"), (3 * 86_400, "Saturday 09:40 UTC"),
     (10 * 86_400, "2025-12-06 09:40 UTC")],
)  # fmt: skip
def test_moments_are_those_of_a_calendar(after: float, words: str) -> None:
    assert TEXTS.clock(NOW + after, "en", NOW) == words


def test_moments_are_in_the_desks_zone() -> None:
    assert load_texts(timezone="Europe/Berlin").clock(NOW, "de", NOW) == "heute 10:40 CET"


# --- approved text ----------------------------------------------------------------------------------------------


def shown(text: str) -> list[str]:
    return ["".join(span.text for span in item) for block in rich(text) for item in block.items]


@pytest.mark.parametrize(
    ("text", "types", "lines"),
    [
        ("plain", ["para"], ["plain"]),
        ("one\ntwo", ["para"], ["one", "two"]),
        ("# Title\n\ntext", ["heading", "para"], ["Title", "text"]),
        ("- a\n- b\n  - c", ["bullets"], ["a", "b", "– c"]),
        ("1. a\n2. b", ["numbers"], ["a", "b"]),
        ("```py\nx = 1\ny\n```", ["code"], ["x = 1", "y"]),
        ("> said", ["quote"], ["said"]),
        ("a\n\n---\n\nb", ["para", "divider", "para"], ["a", "b"]),
        ("| h | i |\n|---|---|\n| 1 | 2 |", ["bullets"], ["h · i", "1 · 2"]),
        ("<b>bold</b> and <script>x</script>", ["para"], ["bold and x"]),
        ("![a chart](x.png) here", ["para"], ["a chart here"]),
        ("", ["para"], [""]),
    ],
)
def test_markdown_becomes_blocks(text: str, types: list[str], lines: list[str]) -> None:
    assert [b.type for b in rich(text)] == types
    assert shown(text) == lines


def test_styles_and_safe_links_survive_others_do_not() -> None:
    (block,) = rich("**b** *i* `c` [ok](https://a.example) [bad](javascript:alert(1)) [rel](/x)")
    found = {s.text: (set(s.style), s.url) for s in block.items[0] if s.text.strip()}
    assert found["b"] == ({"b"}, None)
    assert found["c"] == ({"code"}, None)
    assert found["ok"] == (set(), "https://a.example")
    assert all(url is None for text, (_, url) in found.items() if text != "ok")


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=200))
def test_any_text_can_be_drawn(text: str) -> None:
    assert rich(text) == rich(text)
    content = word(replace(ANSWER, text=text), "en", TEXTS)
    assert slack_format.render(content)
    assert discord_format.render(content)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abcdefghijklmnop ", min_size=1, max_size=30), min_size=1, max_size=6))
def test_no_word_of_an_approved_text_is_lost(paragraphs: list[str]) -> None:
    text = "\n\n".join(paragraphs)
    assert " ".join(" ".join(shown(text)).split()) == " ".join(text.split())


@pytest.mark.parametrize(
    ("key", "values", "shown_as"),
    [
        ("staff.transferred", {"name": "Kim", "to": "Lee"}, ["Kim gave this to ", "Lee", "."]),
        ("timer.claim_reply", {"name": "Lee", "ticket": "T-1"}, ["Lee", ", the customer of T-1 waits for your reply."]),
        ("timer.resolution_warn", {"name": "Lee", "ticket": "T-1", "priority": "P2"}, ["Lee", " T-1 (P2) should be solved soon."]),
    ],
)  # fmt: skip
def test_whoever_must_act_is_called_by_their_name(
    key: str, values: dict[str, str], shown_as: list[str]
) -> None:
    """A line in a thread is read by whoever it calls; on both platforms that is a mention of one person."""
    content = word(facts.Line(key, values, mention="U0LEE"), "en", TEXTS)
    assert [span.text for span in spans(content)] == shown_as
    assert {span.mention for span in spans(content)} - {None} == {"user:U0LEE"}
    assert "<@U0LEE>" in str(slack_format.render(content))
    numbered = word(facts.Line(key, values, mention="1234567890"), "en", TEXTS)
    (part,) = discord_format.render(numbered)
    assert part["allowed_mentions"] == {"parse": [], "replied_user": False, "users": ["1234567890"]}


# --- the team's own wording -----------------------------------------------------------------------------------


def test_sentences_can_be_overridden_by_language() -> None:
    texts = load_texts({"customer.joined": "{name}!", "de.customer.joined": "Hier ist {name}."})
    assert texts.get("customer.joined", "en", name="Kim") == "Kim!"
    assert texts.get("customer.joined", "de", name="Kim") == "Hier ist Kim."


def test_overrides_that_do_not_fit_are_refused_all_at_once() -> None:
    with pytest.raises(WordingError) as caught:
        load_texts({"customer.jioned": "x", "customer.joined": "{nam}"})
    assert len(caught.value.complaints) == 2


# --- the configuration as rules -------------------------------------------------------------------------------


def test_the_default_configuration_becomes_rules() -> None:
    policy = policy_of(Config())
    assert policy.targets["P0"].first_response == 900
    assert policy.timers.pending_warn == 72 * 3600
    desk = policy.desk("desk", "playground")
    assert desk is not None
    assert (desk.channel, desk.kind) == ("desk", "private")
    assert policy.is_desk(desk)
    assert policy.fields["email"].private
    assert policy.agents["playground"] == {"dana": "Dana", "kim": "Kim"}
    assert policy.phrase("button.claim", "de") == "Übernehmen"
    assert texts_of(Config()).bot == "Firstline"


def test_one_desk_can_serve_both_platforms() -> None:
    config = Config.model_validate(
        {
            "slack": {"staff_channel": "S1"},
            "discord": {"staff_channel": "D1", "guild": "G"},
            "staff": {"desk": "slack"},
            "route": [{"name": "desk"}, {"name": "lab", "slack_channel": "S2", "discord_channel": "D2"}],
        }
    )
    policy = policy_of(config)
    places = {(r, p): policy.desk(r, p) for r in ("desk", "lab") for p in ("slack", "discord")}
    assert {k: v and v.channel for k, v in places.items()} == {
        ("desk", "slack"): "S1", ("desk", "discord"): "S1", ("lab", "slack"): "S2", ("lab", "discord"): "S2",
    }  # fmt: skip
    same = policy_of(config.model_copy(update={"staff": config.staff.model_copy(update={"desk": "same"})}))
    desk = same.desk("lab", "discord")
    assert desk is not None
    assert desk.channel == "D2"


def test_public_holidays_are_closed() -> None:
    hours = hours_of(HoursConfig(timezone="Europe/Berlin", holidays_of="DE", holidays=("2026-11-30",)))
    christmas = 1_798_189_200.0  # Friday, 2026-12-25 10:00 in Berlin
    assert not hours.is_open(christmas)
    assert hours.is_open(christmas + 3 * 86_400)
