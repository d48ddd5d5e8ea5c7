"""Time is an event: which timers a ticket has, what they do, and that each does it once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.port import MessageAction, MsgRef, TimerFired
from handoff import clock
from handoff.effects import Say
from handoff.facts import Line
from handoff.hours import Hours
from handoff.model import TicketState
from tests.handoff.scene import ANA, DESK, KIM, POLICY, START, THREAD, Scene, whispered

HOUR = 3600.0


def lines(scene: Scene) -> list[str]:
    return [line.key for line in scene.staff_saw(Line)]


def test_nobody_claims() -> None:
    scene = Scene().handed_over()
    assert "pick_up" in scene.passes(15 * 60 + 1)
    (said,) = [e for e in scene.log if isinstance(e, Say) and getattr(e.what, "key", "") == "timer.pick_up"]
    assert said.to == DESK
    assert "pick_up" not in scene.passes(10 * HOUR)


def test_a_claimed_ticket_without_a_reply_is_reminded_and_then_released() -> None:
    scene = Scene().claimed()
    assert "claim_reply" in scene.passes(31 * 60)
    assert scene.case.ticket is not None
    assert scene.case.ticket.assignee == KIM
    assert "claim_release" in scene.passes(91 * 60)
    assert scene.case.ticket.assignee is None
    assert scene.case.ticket.state == TicketState.NEW


def test_a_reply_stops_the_reminders() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Looking into it")
    scene.asks("ok?")
    assert "claim_reply" in scene.passes(31 * 60)
    assert "claim_release" not in scene.passes(24 * HOUR)


def test_whoever_has_it_is_reminded_of_a_customer_without_news_for_a_day() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Looking into it")
    scene.asks("ok?")
    asked = scene.now
    assert "follow_up" not in scene.passes(23 * HOUR)
    assert scene.passes(2 * HOUR).count("follow_up") == 1
    (line,) = [line for line in scene.staff_saw(Line) if line.key == "timer.follow_up"]
    assert line.mention == KIM.id
    assert "follow_up" not in scene.passes(asked + 100 * HOUR - scene.now)

    scene = Scene().claimed()
    scene.notes(KIM, "!reply Looking into it")
    scene.asks("ok?")
    scene.passes(23 * HOUR)
    scene.notes(KIM, "!reply Still looking")
    assert "follow_up" not in scene.passes(30 * HOUR), "a reply is news"


def test_a_jump_of_the_clock_reminds_first_and_does_not_release_at_once() -> None:
    scene = Scene().claimed()
    scene.now += 24 * HOUR
    fired = scene.passes(1)
    assert "claim_reply" in fired
    assert "claim_release" not in fired
    back = Scene().claimed()
    back.now -= 24 * HOUR
    assert back.passes(60) == []
    early = TimerFired(
        keys=("t",), place=THREAD, actor=None, occurred_at=0, timer="claim_reply", arg="T-1042"
    )
    assert back.play(early).kind == "ignore"
    assert "claim_reply" in back.timers


def test_a_timer_that_came_before_its_time_is_set_for_a_time_of_its_own() -> None:
    """The clock was put back: what was recorded for one moment is not recorded for it a second time."""
    scene = Scene().claimed()
    at = scene.timers["claim_reply"].at
    scene.play(
        TimerFired(keys=("t",), place=THREAD, actor=None, occurred_at=at, timer="claim_reply", arg="T-1042")
    )
    assert 0 < scene.timers["claim_reply"].at - at < 5
    assert "claim_reply" in scene.passes(31 * 60)


def test_the_promises_warn_before_they_break() -> None:
    scene = Scene().handed_over()
    assert "first_response_warn" in scene.passes(0.8 * 4 * HOUR + 1)
    assert "first_response_breach" in scene.passes(0.2 * 4 * HOUR + 1)
    assert scene.case.ticket is not None
    assert "first-response-breached" in scene.case.ticket.tags
    assert {"resolution_warn", "resolution_breach"} <= set(scene.passes(24 * HOUR))


def test_pending_pauses_the_resolution_clock_and_an_answer_resumes_it() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Which version?")
    assert "resolution_breach" not in scene.timers
    scene.passes(10 * HOUR)
    scene.asks("3.1")
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.resolution_due == pytest.approx(ticket.opened_at + 34 * HOUR, abs=5)


def test_pending_warns_then_closes_and_the_customer_hears_both() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Which version?")
    assert "pending_warn" in scene.passes(72 * HOUR + 1)
    assert "pending_close" in scene.passes(24 * HOUR + 1)
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == TicketState.CLOSED
    assert scene.case.ticket.resolution_type == "no_reply"
    keys = [f.key for f in scene.told if isinstance(f, Line)]
    assert keys[-2:] == ["customer.pending_warn", "customer.closed"]
    assert scene.timers == {}


def test_an_answer_cancels_the_close() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Which version?")
    scene.passes(73 * HOUR)
    scene.asks("3.1")
    scene.passes(48 * HOUR)
    assert scene.case.ticket is not None
    assert scene.case.ticket.is_open


def test_keeping_it_open_survives_further_messages() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Which version?")
    scene.passes(73 * HOUR)
    assert whispered(scene.presses(ANA, "still_open", "T-1042")) == "customer.kept"
    scene.asks("still looking")
    scene.notes(KIM, "!reply No hurry")
    scene.passes(300 * HOUR)
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == TicketState.PENDING


def test_solved_closes_by_itself() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    assert scene.passes(48 * HOUR + 1) == ["solved_close"]
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == TicketState.CLOSED


@pytest.mark.parametrize("act", ["resolve", "reply"])
def test_a_ticket_without_a_word_of_its_customer_closes_as_well(act: str) -> None:
    """T-TIM-4: an agent made it of somebody's message, and nobody wrote in it ever after."""
    scene = Scene()
    message = MsgRef(THREAD, "m9")
    scene.play(
        MessageAction(
            keys=("a",), place=THREAD, actor=KIM, occurred_at=scene.now, verb="escalate", target=message,
            target_text="the page is empty", target_author=ANA,
        )
    )  # fmt: skip
    if act == "resolve":
        scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    else:
        scene.notes(KIM, "!reply Which page?")
    scene.passes(97 * HOUR)
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == TicketState.CLOSED


def test_close_and_reopen_at_the_same_moment_have_one_legal_end() -> None:
    for close_first in (True, False):
        scene = Scene().claimed()
        scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
        if close_first:
            scene.passes(48 * HOUR + 1)
            scene.asks("it is back")
        else:
            scene.asks("it is back")
            late = TimerFired(
                keys=("t",), place=THREAD, actor=None, occurred_at=0, timer="solved_close", arg="T-1042"
            )
            assert scene.play(late).kind == "ignore"
        ticket = scene.case.ticket
        assert ticket is not None
        assert ticket.state == (TicketState.CLOSED if close_first else TicketState.OPEN)
        assert ticket.reopened == (0 if close_first else 1)
        assert ("solved_close" in scene.timers) is False


def test_a_timer_fires_once_however_often_it_comes() -> None:
    scene = Scene().handed_over()
    scene.passes(16 * 60)
    count = len(lines(scene))
    ghost = TimerFired(
        keys=("t",), place=THREAD, actor=None, occurred_at=0, timer="pending_warn", arg="T-1042"
    )
    assert scene.play(ghost).kind == "ignore"
    assert scene.play(replace(ghost, timer="no such timer")).kind == "ignore"
    assert scene.play(replace(ghost, timer="pick_up", arg="T-7")).kind == "ignore"
    assert len(lines(scene)) == count


def test_business_hours_hold_for_all_but_p0() -> None:
    week = dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-17:00",))
    scene = Scene(replace(POLICY, hours=Hours.of("UTC", week)))
    scene.now = START + 8 * HOUR  # 17:40, closed
    scene.handed_over()
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.first_response_due == pytest.approx(START + (23.3333 + 4) * HOUR, abs=60)
    urgent = Scene(scene.policy)
    urgent.now = START + 8 * HOUR
    urgent.asks("The site is down for everyone", fired="outage")
    assert urgent.case.ticket is not None
    assert urgent.case.ticket.first_response_due == pytest.approx(urgent.now - 1 + 900)


def test_what_happens_by_itself_can_be_told() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    ((name, seconds, why),) = clock.explain(scene.case, scene.now, POLICY)
    assert name == "solved_close"
    assert seconds == pytest.approx(48 * HOUR, abs=2)
    assert "solved" in why


def test_wakes_and_cancels_follow_the_state_exactly() -> None:
    scene = Scene().claimed()
    for act in (
        lambda: scene.notes(KIM, "!reply Hi"),
        lambda: scene.asks("and?"),
        lambda: scene.submits(KIM, "priority", level="P1", reason="x"),
        lambda: scene.submits(KIM, "escalate", route="lab", reason="x"),
        lambda: scene.presses(KIM, "claim"),
    ):
        act()
        wanted = clock.timers(scene.case.ticket, POLICY)
        running = {n: w for n, w in scene.timers.items() if n != "on_call" and not n.startswith("sent/")}
        assert running == wanted


# --- a promise that moves with the priority -------------------------------------------------------------------


def promises(scene: Scene) -> list[str]:
    """What the desk was told of promises, in order."""
    return [key.removeprefix("timer.") for key in lines(scene) if "response" in key or "resolution" in key]


def rated(scene: Scene, *levels: str) -> None:
    """The priority becomes one after the other, and what is due at once comes."""
    for level in levels:
        scene.submits(KIM, "priority", level=level, reason="looked again")
        scene.passes(1)


def test_a_promise_that_moved_to_later_is_told_again_for_its_new_time() -> None:
    """A desk that broke the promise of a P1 must not break that of the P2 which it became without a word."""
    scene = Scene().handed_over()
    rated(scene, "P1")
    scene.passes(HOUR)
    assert promises(scene) == ["first_response_warn", "first_response_breach"]
    rated(scene, "P2")
    scene.passes(3 * HOUR)
    assert promises(scene)[2:] == ["first_response_warn", "first_response_breach"]


def test_going_there_and_back_tells_nothing_twice() -> None:
    scene = Scene().handed_over()
    scene.passes(3.5 * HOUR)
    assert promises(scene) == ["first_response_warn"]
    rated(scene, "P1", "P2", "P1", "P2")
    assert promises(scene) == ["first_response_warn", "first_response_breach"], (
        "that of the P1, which is past"
    )
    scene.passes(HOUR)
    assert promises(scene)[2:] == ["first_response_breach"]
    rated(scene, "P1", "P2")
    assert len(promises(scene)) == 3


def test_the_resolution_is_told_once_for_each_due_time() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Which version?")
    scene.passes(20 * HOUR)
    scene.asks("3.1")
    scene.passes(21 * HOUR)
    assert promises(scene) == ["resolution_warn"]
    rated(scene, "P3", "P2")
    scene.notes(KIM, "!reply And the system?")
    scene.passes(2 * HOUR)
    scene.asks("Linux")
    scene.passes(HOUR)
    assert promises(scene) == ["resolution_warn", "resolution_warn"], "the pause has moved what is due"


def test_what_is_overdue_already_is_not_announced_as_due_soon() -> None:
    """The process was down at both moments, or the new priority's promise is past already."""
    scene = Scene().handed_over()
    scene.now += 5 * HOUR
    scene.passes(1)
    assert promises(scene) == ["first_response_breach"]


def test_a_reply_that_was_taken_back_does_not_repeat_the_warning() -> None:
    scene = Scene().handed_over()
    scene.passes(3.5 * HOUR)
    scene.notes(KIM, "!reply Sorry for the wait")
    scene.presses(KIM, "undo", f"{scene.number}.1")
    scene.passes(60)
    assert promises(scene) == ["first_response_warn"]
    scene.passes(HOUR)
    assert promises(scene) == ["first_response_warn", "first_response_breach"]
