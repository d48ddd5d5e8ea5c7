"""Private matters: asked where everybody reads, gone on with where only the customer and the team do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.port import DeliveryFailed, MessageAction, MsgRef, Place, ThreadChanged
from handoff.effects import Decision, Fact, Open, Say, Thread, Update
from handoff.facts import AskField, Card, HandedOver, Line, Relayed
from handoff.model import Phase
from handoff.policy import Policy
from tests.handoff.scene import ANA, ANCHOR, BEN, KIM, POLICY, QUIET, REFUND, ROOM, THREAD, Scene, found

REFUNDS = replace(REFUND, level="escalate")


def talk(policy: Policy = QUIET, place: Place = THREAD) -> Scene:
    scene = Scene(policy, place=place)
    scene.case = replace(scene.case, origin=MsgRef(place, "m0"))
    return scene


def opens(scene: Scene, place: Place = ROOM) -> Decision:
    """The platform has delivered the private place, or what it gave instead."""
    return scene.play(
        ThreadChanged(keys=("o",), place=place, actor=None, occurred_at=scene.now, state="opened")
    )


def ordered(scene: Scene) -> list[Open]:
    return [e for e in scene.log if isinstance(e, Open) and e.private_for is not None]


def said(decision: Decision, audience: str = "customer") -> list[tuple[Place | Thread, Fact]]:
    return [(e.to, e.what) for e in decision.effects if isinstance(e, Say) and e.audience == audience]


def keys(facts: list[tuple[Place | Thread, Fact]]) -> list[str]:
    return [what.key for _, what in facts if isinstance(what, Line)]


# --- what is a private matter -------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["security", "sensitive", "safety", "distress", "medical"])
def test_some_matters_are_private_in_themselves(trigger: str) -> None:
    scene = talk()
    decision = scene.asks("words", fired=trigger)
    (order,) = ordered(scene)
    assert order == Open(MsgRef(THREAD, "m0"), "words", "customer", ANA, ANCHOR)
    ((where, what),) = said(decision)
    assert (where, type(what)) == (Thread(ANCHOR), HandedOver)
    assert [e.to for e in decision.effects if isinstance(e, Say) and e.audience == "customer"] == [
        Thread(ANCHOR)
    ]


def test_a_private_category_is_private_as_soon_as_it_needs_a_person() -> None:
    scene = talk()
    scene.asks("I want my money back", found(REFUNDS))
    assert len(ordered(scene)) == 1


def test_what_knowledge_answers_stays_where_it_was_asked() -> None:
    scene = talk()
    scene.asks("How do I get my money back?", found(REFUND))
    assert ordered(scene) == []
    assert scene.case.place == THREAD


@pytest.mark.parametrize(
    ("policy", "place", "trigger"),
    [
        (POLICY, THREAD, "security"),  # the channel has no private threads
        (QUIET, THREAD, "human"),
        (QUIET, replace(THREAD, kind="private"), "security"),
        (QUIET, replace(THREAD, kind="forum"), "security"),
        (QUIET, Place("playground", "playground", "help", None, "dm"), "security"),
    ],
)
def test_everything_else_stays(policy: Policy, place: Place, trigger: str) -> None:
    scene = talk(policy, place)
    decision = scene.asks("words", fired=trigger)
    assert ordered(scene) == []
    assert [where for where, _ in said(decision)] == [place]


# --- on the way ---------------------------------------------------------------------------------------------


def test_a_form_of_a_private_category_is_asked_in_the_private_place() -> None:
    scene = talk()
    decision = scene.asks("I want to buy seats", found(replace(REFUND, level="collect", category="sales")))
    assert len(ordered(scene)) == 1
    ((where, what),) = said(decision)
    assert (where, type(what)) == (Thread(ANCHOR), AskField)
    opens(scene)
    ((where, what),) = said(scene.asks("macOS"))
    assert (where, type(what)) == (ROOM, AskField)


def test_whatever_is_said_before_the_place_is_there_waits_for_it() -> None:
    scene = talk()
    scene.asks("I found a hole in your login", fired="security")
    scene.presses(KIM, "claim")
    decision = scene.notes(KIM, "!reply Thank you, please tell me more.")
    ((where, what),) = said(decision)
    assert (where, type(what)) == (Thread(ANCHOR), Relayed)


def test_it_is_ordered_once() -> None:
    scene = talk()
    scene.asks("I found a hole in your login", fired="security")
    scene.asks("and another one", fired="security")
    opens(scene)
    scene.presses(KIM, "resolve")
    scene.case = replace(scene.case, ticket=None, phase=Phase.BOT)
    scene.asks("and a third one", fired="security")
    assert len(ordered(scene)) == 1


# --- there --------------------------------------------------------------------------------------------------


def moved() -> Scene:
    scene = talk()
    scene.asks("I found a hole in your login", fired="security")
    opens(scene)
    return scene


def test_everybody_is_told_once_where_it_goes_on() -> None:
    scene = talk()
    scene.asks("I found a hole in your login", fired="security")
    decision = opens(scene)
    assert (scene.case.place, scene.case.public, scene.case.moving) == (ROOM, THREAD, "")
    assert said(decision) == [
        (ROOM, Line("customer.private")),
        (THREAD, Line("customer.moved", channel="t9")),
    ]
    assert said(decision, "staff") == [(Thread("T-1042/card"), Line("staff.private", channel="t9"))]
    (public,) = [e for e in decision.effects if isinstance(e, Open)]
    assert (public.origin, public.private_for) == (MsgRef(THREAD, "m0"), None)
    assert scene.case.thread_open
    assert opens(scene).kind == "ignore"


def test_where_the_bot_has_answered_already_no_second_public_thread_is_opened() -> None:
    scene = talk()
    scene.asks("How do I get my money back?", found(REFUND))
    scene.asks("I found a hole in your login", fired="security")
    assert [e for e in opens(scene).effects if isinstance(e, Open)] == []


def test_a_reporter_is_not_asked_to_keep_quiet_where_only_the_team_reads() -> None:
    (line,) = [f for f in moved().told if isinstance(f, HandedOver)]
    assert line.reason == "security_private"


def test_the_card_names_the_private_place() -> None:
    scene = moved()
    scene.presses(KIM, "claim")
    cards = [e.what for e in scene.log if isinstance(e, Update) and isinstance(e.what, Card)]
    assert cards[-1].where == "t9"


def test_the_conversation_goes_on_there_and_the_old_place_still_counts() -> None:
    scene = moved()
    for place in (ROOM, THREAD):
        message = scene.message(ANA, "one more thing", place)
        assert scene.play(message).kind == "relay"
    scene.presses(KIM, "claim")
    ((where, _),) = said(scene.notes(KIM, "!reply Thank you."))
    assert where == ROOM
    assert scene.play(scene.message(BEN, "me too", THREAD)).kind == "relay"
    assert scene.play(scene.message(KIM, "I am here", ROOM)).kind == "takeover"


# --- not there ----------------------------------------------------------------------------------------------


def test_where_there_is_no_private_place_it_goes_on_in_public() -> None:
    scene = talk()
    scene.asks("I found a hole in your login", fired="security")
    decision = opens(scene, THREAD)
    assert (scene.case.place, scene.case.public, scene.case.moving) == (THREAD, None, "")
    assert said(decision) == [(THREAD, Line("customer.public"))]
    assert keys(said(decision, "staff")) == ["staff.not_private"]
    scene.presses(KIM, "claim")
    ((where, _),) = said(scene.notes(KIM, "!reply Thank you."))
    assert where == THREAD


def test_a_place_that_could_not_be_delivered_holds_nothing_back() -> None:
    scene = talk()
    scene.asks("I found a hole in your login", fired="security")
    scene.play(
        DeliveryFailed(
            keys=("f",), place=THREAD, actor=None, occurred_at=scene.now, anchor=ANCHOR, kind="exhausted",
            reason="no answer", audience="customer",
        )
    )  # fmt: skip
    assert scene.case.moving == ""
    scene.presses(KIM, "claim")
    ((where, _),) = said(scene.notes(KIM, "!reply Thank you."))
    assert where == THREAD


def test_an_agent_who_escalates_decides_where_it_goes_on() -> None:
    scene = talk()
    target = MsgRef(THREAD, "m0")
    scene.play(
        MessageAction(
            keys=("a",), place=THREAD, actor=KIM, occurred_at=scene.now, verb="escalate", target=target,
            target_text="I was charged twice", target_author=ANA,
        ),
        found=(found(REFUND),),
    )  # fmt: skip
    assert scene.case.ticket is not None
    assert scene.case.ticket.category == "billing"
    assert ordered(scene) == []
