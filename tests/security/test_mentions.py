"""T-SEC-7, T-SEC-8, T-SEC-9: whatever people, files or knowledge say, nobody is called and no link lies.

A whole story is told with hostile words in every place that holds words; everything that would be posted is rendered
for Slack, Discord and the playground and looked at as the platform would read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from adapters import discord_format, slack_format
from adapters.chat_room import Message
from adapters.discord_send import plan
from adapters.playground import PlaygroundAdapter
from adapters.playground_format import message_view
from adapters.port import Actor, Content, FileRef, Place, Post, Private
from adapters.slack_sending import QUIET
from bot.rich import rich
from bot.texts import load_texts
from bot.wording import word
from handoff import facts
from handoff.effects import Effect, Fact, Open, Say, Update, Whisper
from handoff.model import Hit
from tests.handoff.scene import ANA, KIM, POLICY, REFUND, Scene, found

MASS = (
    "@everyone", "@here", "@channel", "<!channel>", "<!here>", "<!everyone>", "<!subteam^S012345|@team>", "<@&123456789>",
    "<@U012345>", "<@123456789>", "@@everyoneeveryone", "@every\u200bone", "@\u200beveryone", "＠everyone", "@\u2060here",
    "&lt;!channel&gt;", "\\<!here>", "<!date^1^x^http://evil.example|y>", "`@everyone`", "```\n@here\n```", "> @everyone",
    "[@everyone](https://evil.example)", "**@here**", "@EVERYONE", "<#C012345|general>",
)  # fmt: skip
LIARS = (
    "<http://evil.example|https://good.example>",
    "[https://good.example](http://evil.example)",
    "[good.example](http://evil.example)",
    "[log in](javascript:alert(1))",
    "<https://evil.example|Sign in>",
)
TEXTS = load_texts()


def told(mark: str) -> list[Effect]:
    """A story in which every name, message, title, file, note, field, reason and reply holds `mark`."""
    ana = replace(ANA, name=f"Ana {mark}")
    kim = replace(KIM, name=f"Kim {mark}")
    file = FileRef("f1", f"{mark}.txt")
    hit = replace(REFUND, text=f"Approved {mark} words, see https://docs.example/refund.", title=f"T {mark}")
    near = Hit("near", f"Near {mark}", "x", 0.5, 0.4, category="billing")
    scene = Scene(replace(POLICY, canned={"hi": "Hello {customer}"}), customer=ana)
    scene.asks(f"what {mark}?", found(hit), by=ana)
    scene.asks(f"and {mark}?", found(near, replace(near, topic="b"), sure=0.5), by=ana)
    scene.asks(
        f"still {mark}", found(near, sure=0.5), by=ana, message={"files": (file,), "unsupported": mark}
    )
    scene.asks(f"a human please {mark}", fired="human", by=ana)
    scene.presses(kim, "claim")
    scene.notes(kim, f"!reply Dear {mark}", files=(file,))
    scene.notes(kim, "!canned hi")
    scene.edits(ana, "m0", f"edited {mark}")
    scene.submits(kim, "priority", level="P1", reason=mark)
    scene.submits(kim, "escalate", route="lab", reason=mark)
    scene.presses(kim, "claim")
    scene.presses(kim, "transcript")
    scene.submits(kim, "resolve", kind="solved", cause="bug", summary=mark, tags=mark, save="yes")
    scene.presses(ana, "csat5")
    scene.submits(ana, "comment", text=mark)
    scene.runs(kim, f"nonsense {mark}")
    return scene.log


def contents(log: list[Effect]) -> Iterator[tuple[Fact, Content, str, tuple[FileRef, ...]]]:
    for effect in log:
        if isinstance(effect, Say | Update | Whisper):
            yield (
                effect.what,
                word(effect.what, "en", TEXTS),
                getattr(effect, "speaking_as", ""),
                getattr(effect, "files", ()),
            )


def texts(node: Any) -> Iterator[tuple[str, str]]:
    """(kind, text) of every text object of a Slack payload."""
    if isinstance(node, dict):
        if node.get("type") in ("mrkdwn", "plain_text"):
            assert node["type"] == "plain_text" or node["verbatim"] is True
            yield node["type"], node["text"]
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from texts(value)


SLACK_CALLS = re.compile(r"<(?:!|@|#|mailto:|https?:)")
DISCORD_CALLS = re.compile(r"(?<!\\)<(?:@|#)|@everyone|@here", re.IGNORECASE)


@pytest.mark.parametrize("mark", MASS)
def test_nobody_is_called_on_slack(mark: str) -> None:
    for fact, content, name, _ in contents(told(mark)):
        for part in slack_format.render(content, name):
            for kind, text in [("mrkdwn", part.text), *texts(part.blocks)]:
                called = [c for c in SLACK_CALLS.findall(text) if c in ("<!", "<@", "<#")]
                assert not called or is_configured(fact), (kind, text)


def is_configured(fact: Fact) -> bool:
    """The one call there is: the on-call group of a route, by its id from the configuration."""
    return isinstance(fact, facts.OnCall | facts.Raised)


@pytest.mark.parametrize("mark", MASS)
def test_nobody_is_called_on_discord(mark: str) -> None:
    place = Place("discord", "1", "2")
    for fact, content, name, files in contents(told(mark)):
        for op in (
            Post(place, content, speaking_as=name, files=files),
            Private(place, Actor("discord", "1", "3"), content),
        ):
            for payload, _ in plan(op, "support"):
                assert payload["allowed_mentions"]["parse"] == []
                outside_code = re.sub(r"``?[^`]*``?", "", readable(payload))
                if not is_configured(fact):
                    assert not payload["allowed_mentions"].get("roles")
                    assert not payload["allowed_mentions"].get("users")
                    assert DISCORD_CALLS.findall(outside_code) == [], outside_code


def readable(payload: dict[str, Any]) -> str:
    """What of a Discord message is read as markdown."""
    embeds = payload.get("embeds") or []
    parts = [payload.get("content") or ""]
    for embed in embeds:
        parts += [embed.get("description") or "", *(f["value"] for f in embed.get("fields", ()))]
    return "\n".join(parts)


@pytest.mark.parametrize("mark", MASS)
def test_names_of_threads_hold_no_call(mark: str) -> None:
    for effect in told(mark):
        if isinstance(effect, Open):
            assert not re.search("@everyone|@here", discord_format.thread_name(effect.title), re.IGNORECASE)


@pytest.mark.parametrize(
    "mark", [*MASS, *LIARS, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>']
)
def test_the_playground_is_sent_plain_words_and_no_markup(mark: str) -> None:
    """The page draws text nodes from this data; there is nothing in it that could be more than text."""
    for _, content, name, files in contents(told(mark)):
        view = shown_on_the_page(content, name, files)
        for span in spans_of(view):
            assert set(span) <= {"text", "style", "url", "ping"}
            assert (span.get("url") or "https://").startswith(("https://", "http://", "mailto:"))


def shown_on_the_page(content: Content, name: str, files: tuple[FileRef, ...]) -> Any:
    room = PlaygroundAdapter(("help",), "desk").room
    message = Message("m1", room.place("help", None, "ana"), "", 0.0, "", content, name, files)
    return json.loads(json.dumps(message_view(message, room, "Firstline")))


def spans_of(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "text" in node and "style" in node:
            yield node
        for value in node.values():
            yield from spans_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from spans_of(value)


# --- links ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", LIARS)
def test_links_of_people_are_shown_and_never_followed_under_another_name(mark: str) -> None:
    """A customer's "[your bank](http://evil)" must not become a button-like link in a colleague's hands."""
    for _, content, name, _ in contents(without_knowledge(told(mark))):
        assert [s for block in content.body for item in block.items for s in item if s.url] == []
        for part in slack_format.render(content, name):
            for _, text in [("", part.text), *((k, t) for k, t in texts(part.blocks) if k == "mrkdwn")]:
                assert "<http" not in text
                assert "<https" not in text
        for payload in discord_format.render(content):
            assert re.findall(r"(?<!\\)\[[^\]\n]*\]\(", readable(payload)) == []


def without_knowledge(log: list[Effect]) -> list[Effect]:
    """Approved text may link; everything else may not."""
    approved = facts.Answer | facts.Draft | facts.Transcript | facts.InThread | facts.Shadow
    return [e for e in log if not isinstance(getattr(e, "what", None), approved)]


def test_links_in_answers_are_those_of_the_approved_text() -> None:
    """Nothing else can put a link into an answer: not the question, not a name, not a source's title."""
    log = told("see https://evil.example/now and [x](https://evil.example)")
    answers = [(f, c) for f, c, *_ in contents(log) if isinstance(f, facts.Answer)]

    assert answers
    for fact, content in answers:
        approved = {s.url for block in rich(fact.text) for item in block.items for s in item if s.url}
        shown = {s.url for block in content.body for item in block.items for s in item if s.url}
        assert shown <= approved


def test_a_masked_link_that_looks_like_another_address_shows_its_target() -> None:
    body = rich("Go to [https://good.example](https://evil.example/x) or [the page](https://fine.example)")

    text = discord_format.render(Content(body))[0]["content"]
    assert "(https://evil.example/x)" in text
    assert "[https://good.example]" not in text
    assert "[the page](<https://fine.example>)" in text


def test_nothing_unfurls() -> None:
    """A preview that the platform fetches would carry what stands in its address to whoever wrote it."""
    assert QUIET == {"unfurl_links": False, "unfurl_media": False}
    for payload, _ in plan(Post(Place("discord", "1", "2"), Content(rich("see https://docs.example"))), ""):
        assert payload["flags"] & 4
