"""Danger to a person: the team's own words at once, and a person as well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handoff.facts import Answer, HandedOver
from handoff.model import Hit
from handoff.policy import Policy
from tests.handoff.scene import POLICY, REFUND, Scene, found

FIRE = Hit(
    "fire", "Somebody is in danger", "Call 112 now.", 0.95, 0.9, kind="emergency", category="general", version="v1"
)  # fmt: skip


def test_what_is_approved_for_an_emergency_is_said_before_a_person_takes_over() -> None:
    scene = Scene()
    decision = scene.asks("There is a fire here", found(FIRE), fired="safety")
    answer, handed = scene.told
    assert decision.kind == "escalate"
    assert isinstance(answer, Answer)
    assert isinstance(handed, HandedOver)
    assert (answer.text, answer.buttons, answer.opening, handed.opening) == (FIRE.text, False, True, False)
    assert scene.kept("receipt")[0].data["topic"] == "fire"
    assert [tried.outcome for tried in scene.case.ticket.tried] == [
        ""
    ]  # nobody has said that it did not help


def test_no_form_is_asked_in_an_emergency() -> None:
    scene = Scene()
    assert scene.asks("The kiln smokes since the update", found(FIRE), fired="bug").kind == "escalate"
    assert [type(told) for told in scene.told] == [Answer, HandedOver]
    scene = Scene()
    assert scene.asks("The app crashes since the update", found(REFUND), fired="bug").kind == "collect"


@pytest.mark.parametrize(
    ("hit", "sure", "policy"),
    [
        (REFUND, 0.95, POLICY),  # no emergency
        (FIRE, 0.5, POLICY),  # not surely one
        (FIRE, 0.95, replace(POLICY, launch_mode="draft")),
        (replace(FIRE, level="draft"), 0.95, POLICY),
    ],
)
def test_otherwise_a_trigger_is_answered_by_a_person_alone(hit: Hit, sure: float, policy: Policy) -> None:
    scene = Scene(policy)
    scene.asks("There is a fire here", found(hit, sure=sure), fired="safety")
    assert [type(told) for told in scene.told] == [HandedOver]
