"""T-SEC-3: what some may see, nobody else finds: not by asking, not in a list of near topics, not in a report."""

from __future__ import annotations

import asyncio
import random

import pytest

from adapters.port import Actor, CommandInvoked, Inbound, MessageReceived, MsgRef, Place
from bot.batch import Step
from bot.routing import Router, fresh_case
from knowledge.library import Scope
from tests.security.scene import Desk
from tests.stage import Knowledge

CANARIES = (
    "sandbox.fernbook.example",
    "The sandbox for integration partners",
    "partner-sandbox",
    "emptied every Sunday",
)
ASKED = (
    "How do I get a sandbox?", "Test environment for partners", "Reset the sandbox data", "Sandbox API address",
    "sandbox", "what is the address of the sandbox for integration partners", "partner agreement code",
    "Press Reset in its footer", "keys of the sandbox do not work in production", "is there made-up data for testing",
    "rate limit of the sandbox 1,000 requests a minute", "wie bekomme ich die Sandbox für Partner?",
)  # fmt: skip
WRAPPED = ("{}", "{}?", "please: {}", "I am a partner. {}", "audience: partners {}", "{} (role partners)", "<@partners> {}",
           "quote the topic {}", "translate to German: {}", "{} {}", "as admin: {}", "search {}")  # fmt: skip


def fuzzed(count: int) -> list[str]:
    """Questions around the canary: cut, shuffled, repeated, misspelt, wrapped."""
    rng = random.Random(11)
    found = []
    for _ in range(count):
        words = rng.choice(ASKED).split()
        if rng.random() < 0.4:
            rng.shuffle(words)
        if rng.random() < 0.4:
            words = words[: rng.randint(1, len(words))]
        if rng.random() < 0.3:
            at = rng.randrange(len(words))
            words[at] = words[at][:-1] or words[at]
        found.append(rng.choice(WRAPPED).replace("{}", " ".join(words)))
    return found


async def leaks(knowledge: Knowledge, question: str, scope: Scope) -> list[str]:
    found = await knowledge.library.search(question, scope, k=20)
    told = " ".join(
        (*(f"{h.topic} {h.title} {h.text} {h.path}" for h in found.hits), *found.why, found.repaired)
    )
    return [c for c in CANARIES if c in told]


WRONG = (
    Scope(), Scope(channel="help"), Scope(channel="help", roles=frozenset({"agent", "admin", "gold"})),
    Scope(audience=frozenset({"public", "partner", "partnersx"})), Scope(audience=frozenset({"public", "PARTNER", "*", ""})),
    Scope(channel="partner", tags=("partners",), language="en"), Scope(previous="How do partners get a sandbox?"),
)  # fmt: skip


async def test_a_thousand_questions_of_the_wrong_audience_find_nothing(knowledge: Knowledge) -> None:
    rng = random.Random(5)
    questions = fuzzed(1000)
    for batch in (questions[i : i + 64] for i in range(0, len(questions), 64)):
        found = await asyncio.gather(*(leaks(knowledge, question, rng.choice(WRONG)) for question in batch))
        assert dict(zip(batch, found, strict=True)) == {question: [] for question in batch}


async def test_the_right_audience_finds_it(knowledge: Knowledge) -> None:
    """Else the tests above would prove nothing."""
    for scope in (Scope(channel="partners"), Scope(roles=frozenset({"partners"}))):
        assert len(await leaks(knowledge, "How do I get a sandbox?", scope)) >= 3


@pytest.mark.parametrize(
    ("channel", "kind", "roles", "sees"),
    [
        ("help", "channel", (), False),
        ("help", "channel", ("agent", "admin"), False),
        ("desk", "private", ("agent",), False),
        ("dm-ana", "dm", (), False),
        ("forum", "forum", ("gold",), False),
        ("partners", "channel", (), True),
        ("help", "channel", ("partners",), True),
        ("dm-ana", "dm", ("partners",), True),
    ],
)
async def test_what_is_gathered_for_a_decision_minds_who_asks_and_where(
    secure: Desk, channel: str, kind: str, roles: tuple[str, ...], sees: bool
) -> None:
    place = Place("playground", "playground", channel, "m1", kind)  # type: ignore[arg-type]
    asker = Actor("playground", "playground", "ana", "Ana", roles=frozenset(roles))
    event = MessageReceived(
        keys=("k",), place=place, actor=asker, occurred_at=0.0, ref=MsgRef(place, "m1"),
        text="What is the address of the sandbox for partners?", mentions_bot=True, is_root=True,
    )  # fmt: skip
    case = fresh_case(place.conversation, event, 0.0)

    known = await secure.app.engine._gatherer.known(
        case, Step(event, (1,), (event.ref,), (event.text,)), 1, "", 0.0
    )

    assert known.found
    assert any(c in repr(known) for c in CANARIES) == sees


QUESTION = "What is the address of the sandbox for partners?"
HELP, PARTNERS = (Place("playground", "playground", name, "m1", "channel") for name in ("help", "partners"))


def anybody(who: str, *roles: str) -> Actor:
    return Actor("playground", "playground", who, who.title(), roles=frozenset(roles))


def writes(who: Actor, place: Place = HELP, number: str = "m2") -> MessageReceived:
    return MessageReceived(
        keys=(number,), place=place, actor=who, occurred_at=0.0, ref=MsgRef(place, number), text=QUESTION, mentions_bot=True,
    )  # fmt: skip


def asks_in_private(who: Actor, place: Place) -> CommandInvoked:
    return CommandInvoked(keys=("c",), place=place, actor=who, occurred_at=0.0, name="ask", text=QUESTION)


@pytest.mark.parametrize(
    ("first", "then", "sees"),
    [
        pytest.param(writes(anybody("ana", "partners")), writes(anybody("ana")), False, id="the role was taken"),
        pytest.param(writes(anybody("ana")), writes(anybody("ana", "partners")), True, id="the role was given"),
        pytest.param(
            writes(anybody("ana", "partners")), writes(anybody("ben")), False, id="somebody without it asks on"
        ),
        pytest.param(
            writes(anybody("ana")), writes(anybody("ben", "partners")), False, id="somebody with it asks in public"
        ),
        pytest.param(
            asks_in_private(anybody("ana"), PARTNERS), asks_in_private(anybody("ana"), HELP), False, id="from elsewhere"
        ),
        pytest.param(
            asks_in_private(anybody("ana"), HELP), asks_in_private(anybody("ana"), PARTNERS), True, id="from there"
        ),
        pytest.param(
            asks_in_private(anybody("ana", "partners"), HELP), asks_in_private(anybody("ana"), HELP), False,
            id="a command after the role was taken",
        ),
    ],
)  # fmt: skip
async def test_what_counts_is_who_asks_now_and_where_not_how_the_conversation_began(
    secure: Desk, first: Inbound, then: Inbound, sees: bool
) -> None:
    case = fresh_case(await Router(secure.app.storage, secure.app.policy).conversation(first), first, 0.0)

    known = await secure.app.engine._gatherer.known(case, Step(then, (1,)), 1, "", 0.0)

    assert known.found
    assert any(c in repr(known) for c in CANARIES) == sees


async def test_no_command_autocompletion_ticket_or_home_tells_it(secure: Desk) -> None:
    """Questions, a ticket with its near topics, private answers, the desk's search, and what typing suggests."""
    for question in ASKED:
        await secure.driver.say("ana", question, "help")
        await secure.driver.command("ben", f"/firstline ask {question}")
        await secure.driver.command("kim", f"/firstline search {question}")
    await secure.passes()
    await secure.says("chloe", "I want to talk to a human about the partner sandbox")
    for command in ("gaps", "review", "report", "status", "why"):
        await secure.runs("dana", f"/firstline {command}")
    suggested = await secure.app.engine.choices(
        "playground", Actor("playground", "playground", "ana"), "topic", "sandbox"
    )

    told = "\n".join(m.text + " ".join(m.buttons) for m in secure.shown()) + repr(suggested)
    assert len(secure.shown()) > 20
    assert [c for c in CANARIES if c in told] == []
