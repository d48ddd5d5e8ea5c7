"""T-SEC-5: a button's id is an id and no ticket of admission; whoever presses is checked at the press."""

from __future__ import annotations

import pytest

from adapters.port import ActionInvoked, FormSubmitted
from handoff.effects import Say, Whisper
from handoff.forms import FORMS, form_for
from handoff.policy import PERMISSIONS
from handoff.press import _FORMS, _PRESSES
from tests.handoff.scene import ANA, BEN, CARD, KIM, LEE, POLICY, Scene, person, whispered

DESK = [v for v in _PRESSES if PERMISSIONS[v] in ("agent", "assignee")]
CUSTOMERS = [v for v in _PRESSES if PERMISSIONS[v] == "customer"]
STRANGERS = (
    "T-1", "T-9999999", "T-01042", "c-ffffffffff", "", "T-1042; DROP TABLE tickets", "../T-1042", "T-1042\n",
    "t-1042", "T-¹⁰⁴²", "T-1043.1", "c-0123456788", "." * 90, "T--1",
)  # fmt: skip


def unchanged(scene: Scene, verb: str, by: object, arg: str) -> str:
    """Press; assert that nothing changed and that the presser, and nobody else, was told why. Returns the key."""
    before = scene.case
    decision = scene.presses(by, verb, arg)  # type: ignore[arg-type]
    assert decision.kind == "refuse", (verb, arg, decision.why)
    assert scene.case == before
    assert [type(e) for e in decision.effects] == [Whisper]
    return whispered(decision)


@pytest.mark.parametrize("verb", DESK)
@pytest.mark.parametrize("arg", [a for a in STRANGERS if a])
def test_a_button_of_another_ticket_does_nothing_here(verb: str, arg: str) -> None:
    """An id that was changed by hand, or belongs elsewhere, finds its own ticket or none: never this one."""
    scene = Scene().claimed()

    assert unchanged(scene, verb, KIM, arg) in (
        "refused.old_ticket",
        "refused.undo_late",
        "refused.old_draft",
    )


@pytest.mark.parametrize("verb", ["undo", "send_draft", "discard_draft"])
@pytest.mark.parametrize("part", ["x", "-1", "0", "99", "1e9", "", "٣", "9" * 40])
def test_a_part_that_does_not_exist_is_history(verb: str, part: str) -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Hello Ana")

    unchanged(scene, verb, KIM, f"T-1042.{part}")


@pytest.mark.parametrize("verb", [*DESK, *CUSTOMERS])
def test_a_stranger_has_no_right_to_any_button(verb: str) -> None:
    """Ben sees Ana's thread and presses everything that he finds there."""
    scene = Scene().claimed()

    key = unchanged(scene, verb, BEN, scene.number)
    assert key in ("refused.staff_only", "refused.not_yours")


@pytest.mark.parametrize("verb", CUSTOMERS)
def test_an_agent_cannot_press_for_the_customer(verb: str) -> None:
    """Nobody rates themselves."""
    assert unchanged(Scene().claimed(), verb, KIM, "T-1042") == "refused.not_yours"


@pytest.mark.parametrize("verb", [v for v in DESK if PERMISSIONS[v] == "assignee"])
def test_what_the_assignee_may_another_agent_may_not(verb: str) -> None:
    assert unchanged(Scene().claimed(by=KIM), verb, LEE, "T-1042") == "refused.taken"


@pytest.mark.parametrize("form", _FORMS)
def test_a_form_that_another_user_submits_is_refused(form: str) -> None:
    """A modal carries no proof of who opened it."""
    scene = Scene().claimed()
    before = scene.case

    decision = scene.submits(
        BEN, form, "T-1042", text="x", level="P0", to="ben", route="lab", order="1", kind="solved"
    )

    assert decision.kind == "refuse"
    assert scene.case == before
    assert [e for e in decision.effects if isinstance(e, Say)] == []


@pytest.mark.parametrize("form", FORMS)
def test_nobody_is_even_shown_a_form_that_they_may_not_submit(form: str) -> None:
    """The form of `resolve` holds the ticket's tags; that of a draft the whole draft."""
    scene = Scene().claimed()
    for who in (BEN, person("Eve"), ANA if PERMISSIONS[form] != "customer" else KIM):
        event = ActionInvoked(keys=("k",), place=CARD, actor=who, occurred_at=0.0, verb=form, arg="T-1042")
        assert form_for(event, scene.case, POLICY, "en") is None


def test_verbs_that_nobody_knows_are_refused() -> None:
    for verb in ("", "erase", "reload", "CLAIM", "claim ", "__class__", "mode", "x" * 200):
        assert unchanged(Scene().claimed(), verb, KIM, "T-1042") == "refused.unknown_verb"


def test_a_press_that_is_replayed_changes_nothing_more() -> None:
    """A second delivery of the same interaction, or a recorded one, long after."""
    scene = Scene().handed_over()
    scene.presses(KIM, "claim")
    scene.presses(KIM, "release")
    scene.presses(LEE, "claim")

    assert unchanged(scene, "claim", KIM, "T-1042") == "refused.taken"


def test_a_form_for_a_ticket_that_is_history_is_refused() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "resolve", summary="done", kind="solved", cause="bug", save="no")
    event = FormSubmitted(
        keys=("k",), place=CARD, actor=KIM, occurred_at=scene.now, form="reply", context="T-1041", values={"text": "hello"}
    )  # fmt: skip

    assert scene.play(event).kind == "refuse"


def test_roles_count_at_the_press_and_not_at_the_claim() -> None:
    """T-SEC-4: whoever lost the role has lost the right, though the ticket still names them."""
    scene = Scene().claimed(by=KIM)

    assert unchanged(scene, "resolve", person("Kim"), "T-1042") == "refused.staff_only"
