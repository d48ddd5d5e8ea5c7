"""The draft that lies ready under a card where somebody asked for a person first; and where none may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handoff.decide import wants_search, wants_signals
from handoff.facts import Answer
from handoff.facts import Draft as DraftFact
from handoff.model import Fired, Phase, Reason
from handoff.policy import TRIGGERS
from tests.handoff.scene import ANA, INVOICE, POLICY, REFUND, Scene, found

DRAFTED = replace(REFUND, level="draft")
MAY_LIE_READY = {"human", "manager", "angry"}


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_whoever_wants_a_person_finds_the_draft_ready_and_no_draft_lies_ready_where_one_must_think(
    trigger: str,
) -> None:
    """The desk sends it, edits it or throws it away; the customer reads nothing of it before."""
    scene = Scene()
    scene.asks("refund?", found(DRAFTED), fired=trigger)
    drafts = [draft.text for draft in scene.staff_saw(DraftFact)]
    assert drafts == ([REFUND.text] if trigger in MAY_LIE_READY else [])
    assert not any(isinstance(fact, Answer) for fact in scene.told)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_the_language_models_draft_lies_ready_where_approved_words_may(trigger: str) -> None:
    scene = Scene()
    known = {"draft": "Have a look.", "draft_sources": (1,)}
    scene.asks("refund?", found(REFUND, sure=0.5), fired=trigger, **known)
    if scene.case.ticket is not None:  # a form comes first where one is asked
        assert bool(scene.staff_saw(DraftFact)) == (trigger in MAY_LIE_READY)


@pytest.mark.parametrize(
    ("also", "drafts"),
    [
        (Fired("angry", Reason("loud", "!!")), 1),
        (Fired("legal", Reason("says", "lawyer")), 0),
        (Fired("refund-policy", Reason("boundary", "chargeback"), topic="refund"), 0),
    ],
    ids=["angry as well", "a lawyer as well", "the topic's own boundary"],
)
def test_every_trigger_that_fired_must_allow_the_draft(also: Fired, drafts: int) -> None:
    scene = Scene()
    fired = (Fired("human", Reason("says", "a person")), also)
    scene.play(scene.message(ANA, "refund? a person!", is_root=True), found=(found(DRAFTED),), fired=fired)
    assert len(scene.staff_saw(DraftFact)) == drafts


@pytest.mark.parametrize(
    ("level", "sure", "mode", "category_mode", "drafts"),
    [
        ("answer", 0.95, "answer", "answer", 0),
        ("answer", 0.95, "draft", "answer", 1),
        ("answer", 0.95, "answer", "draft", 1),
        ("draft", 0.7, "answer", "answer", 0),
        ("collect", 0.95, "draft", "answer", 0),
        ("draft", 0.95, "answer", "off", 0),
    ],
)
def test_only_what_would_have_been_drafted_lies_ready(
    level: str, sure: float, mode: str, category_mode: str, drafts: int
) -> None:
    billing = replace(POLICY.categories["billing"], launch_mode=category_mode)  # type: ignore[arg-type]
    policy = replace(POLICY, launch_mode=mode, categories={**POLICY.categories, "billing": billing})  # type: ignore[arg-type]
    scene = Scene(policy)
    scene.asks("refund?", found(replace(REFUND, level=level), sure=sure), fired="human")
    assert len(scene.staff_saw(DraftFact)) == drafts


def test_a_wish_for_a_person_takes_no_part_in_the_search() -> None:
    """It says nothing of what the question is about, which may have been said before; alone it is all there is."""
    scene = Scene()
    beside = scene.message(ANA, "What do charities pay? I want to talk to a human")
    alone = scene.message(ANA, "I want to talk to a human")
    assert wants_search(scene.case, beside, POLICY, 0) == "What do charities pay?"
    assert wants_signals(scene.case, beside, POLICY, 0) == beside.text
    assert wants_search(scene.case, alone, POLICY, 0) == alone.text
    scene.asks("What do I pay?", found(REFUND, INVOICE, sure=0.6))
    assert scene.case.phase == Phase.CLARIFYING
    assert wants_search(scene.case, alone, POLICY, 0) == "the question"
    assert wants_search(scene.case, scene.message(ANA, "refunds"), POLICY, 0) == "the question refunds"
    scene = Scene()
    scene.asks("What do I pay?", found(REFUND))
    assert wants_search(scene.case, alone, POLICY, 0) == "What do I pay?"
