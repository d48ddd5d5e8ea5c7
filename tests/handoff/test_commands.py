"""`/firstline <verb>`: who may run what, and what follows."""

from __future__ import annotations

import pytest

from adapters.port import ChoreDone
from handoff.effects import Chore, Say, Whisper
from handoff.facts import Answer, Correction, Help, Incident, IncidentOver, Line, Report
from handoff.policy import COMMANDS, PERMISSIONS
from handoff.press import _FORMS, _PRESSES
from tests.handoff.scene import ANA, DANA, DESK, KIM, REFUND, THREAD, Scene, found, whispered

ROLES = {"anyone": (ANA, KIM, DANA), "agent": (KIM, DANA), "admin": (DANA,), "assignee": (KIM, DANA)}
CHORES = [c for c in COMMANDS if c not in ("ask", "help", "claim", "release", "transfer", "reply", "resolve")]


def test_every_verb_has_a_row_in_the_table_of_permissions() -> None:
    assert {*COMMANDS, *_PRESSES, *_FORMS, "help_message", "escalate_message"} == set(PERMISSIONS)


@pytest.mark.parametrize("actor", [ANA, KIM, DANA], ids=lambda a: a.name)
@pytest.mark.parametrize("verb", CHORES)
def test_roles_and_commands(verb: str, actor: object) -> None:
    scene = Scene()
    decision = scene.runs(actor, verb, "some words")  # type: ignore[arg-type]
    chores = [e for e in decision.effects if isinstance(e, Chore)]
    if actor in ROLES[PERMISSIONS[verb]]:
        assert chores[0].name == verb
        assert chores[0].args["text"] == "some words"
    else:
        assert not chores
        assert whispered(decision) in ("refused.staff_only", "refused.admin_only")


def test_help_lists_what_this_person_may() -> None:
    scene = Scene()
    for actor in (ANA, KIM, DANA):
        (tell,) = [e for e in scene.runs(actor, "help").effects if isinstance(e, Whisper)]
        assert isinstance(tell.what, Help)
        assert ("reload" in tell.what.verbs) == (actor is DANA)
    assert whispered(scene.runs(ANA, "fly")) == "refused.unknown_command"


def test_a_mistyped_command_is_told_which_one_was_meant() -> None:
    scene = Scene()
    (line,) = [
        e.what
        for e in scene.runs(DANA, "relod").effects
        if isinstance(e, Whisper) and isinstance(e.what, Line)
    ]
    assert (line.key, line.values["like"]) == ("refused.unknown_command_like", "reload")
    assert whispered(scene.runs(ANA, "relod")) == "refused.unknown_command"  # never one that is not theirs


def test_a_private_answer_and_an_honest_shrug() -> None:
    scene = Scene()
    (tell,) = scene.runs(ANA, "ask", "refund?", found=(found(REFUND),)).effects
    assert isinstance(tell, Whisper)
    assert isinstance(tell.what, Answer)
    assert not tell.what.buttons
    assert whispered(scene.runs(ANA, "ask", "dog?", found=(found(REFUND, sure=0.2),))) == "private.unsure"
    assert whispered(scene.runs(ANA, "ask", " ")) == "refused.no_question"
    assert scene.told == []


def test_ticket_verbs_act_on_their_ticket() -> None:
    scene = Scene().handed_over()
    assert whispered(scene.runs(KIM, "claim", "T-7")) == "refused.no_ticket"
    scene.runs(KIM, "claim", "T-1042")
    scene.runs(KIM, "reply", "T-1042 On its way.")
    scene.runs(KIM, "transfer", "T-1042 lee")
    scene.runs(DANA, "release", "T-1042")
    scene.runs(DANA, "resolve", "t-1042: It arrived.")
    assert scene.case.ticket is not None
    assert scene.case.ticket.resolution == "It arrived."
    assert whispered(Scene().runs(KIM, "claim", "T-1042")) == "refused.no_ticket"


def chore_done(actor: object, chore: str) -> ChoreDone:
    return ChoreDone(
        keys=("c",),
        place=DESK,
        actor=actor,
        occurred_at=0,
        chore=chore,
        ok=True,
        result={"n": 1},  # type: ignore[arg-type]
    )


def test_results_go_to_whoever_may_ask_and_never_to_a_customer() -> None:
    scene = Scene().claimed()
    assert not any(isinstance(e, Whisper) for e in scene.play(chore_done(ANA, "why")).effects)
    assert isinstance(scene.staff_saw(Report)[-1], Report)
    (tell,) = scene.play(chore_done(DANA, "why")).effects
    assert isinstance(tell, Whisper)
    mine = scene.play(chore_done(ANA, "my-data"))
    assert any(isinstance(e, Whisper) for e in mine.effects)


def word_for(chore: str, **result: str) -> ChoreDone:
    return ChoreDone(
        keys=("w",), place=THREAD, actor=None, occurred_at=0, chore=chore, ok=True, result=result
    )


def test_a_wrong_answer_is_called_back_once() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    event = word_for("correction", receipt="A-c-0123456789.1", text="Within **30 days**.")
    assert scene.play(event).kind == "correction"
    assert scene.play(event).kind == "ignore"
    assert scene.told[1:] == [Correction("Refund policy", "Within **30 days**.")]
    assert scene.play(word_for("correction", receipt="A-other.1", text="x")).kind == "ignore"


def test_a_correction_goes_to_the_people_who_have_the_conversation() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    scene.presses(ANA, "person", "c-0123456789")
    scene.presses(KIM, "claim")
    before = len(scene.told)
    scene.play(word_for("correction", receipt="A-c-0123456789.1", text="Within **30 days**."))
    assert len(scene.told) == before
    assert scene.staff_saw(Correction)


def test_the_end_of_an_incident_is_told_once() -> None:
    scene = Scene()
    scene.asks("sync is slow", found(REFUND), incident="We are on it.", incident_id="I-1")
    for _ in range(2):
        scene.play(word_for("incident_over", incident="I-1", text="All well."))
    assert [type(f) for f in scene.told] == [Incident, IncidentOver]


def test_where_a_person_has_stepped_in_the_bot_says_nothing_of_its_own_about_the_end_of_an_incident() -> None:
    scene = Scene()
    scene.asks("It is down", found(REFUND), incident="We are on it.", incident_id="I-1")
    scene.steps_in(KIM)
    scene.play(word_for("incident_over", incident="I-1", text="All well."))
    (last,) = [e for e in scene.log if isinstance(e, Say) and isinstance(e.what, IncidentOver)]
    assert last.voice == "notice"


def test_slow_work_is_acknowledged() -> None:
    decision = Scene().runs(DANA, "reload")
    assert [e.what.key for e in decision.effects if isinstance(e, Whisper) and isinstance(e.what, Line)] == [
        "chore.started"
    ]
