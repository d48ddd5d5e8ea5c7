"""What a timer does when it comes due. A timer that no longer applies, or has moved, does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from adapters.port import Place, TimerFired
from handoff import claim, clock, escalation, listening, relay
from handoff import ticket as tickets
from handoff.effects import CloseThread, Decision
from handoff.facts import Line
from handoff.model import Phase
from handoff.turn import Turn

WARNINGS = frozenset(("first_response_warn", "resolution_warn"))
PROMISES_KEPT = 20
EARLY_SECONDS = 1.0  # two clocks may differ by that much
THEIR_TURN = frozenset((
    "timer.claim_reply", "timer.follow_up", "timer.first_response_warn", "timer.resolution_warn",
))  # fmt: skip


def due(t: Turn, event: TimerFired) -> Decision:
    """The timer's effect, once, if the ticket still asks for it."""
    ticket = t.case.ticket
    if ticket is None or event.arg != ticket.id:
        return t.ignore(f"{event.timer} of a ticket that is history")
    if event.timer == "on_call":
        return _on_call(t)
    if event.timer.startswith("sent/"):
        return relay.window_closed(t, listening.number_of(event.timer.replace("/", ".")))
    row = clock.timers(ticket, t.policy).get(event.timer)
    act = _ACTS.get(event.timer)
    if row is None or act is None:
        return t.ignore(f"{event.timer} no longer applies")
    if row.at > t.now + EARLY_SECONDS:
        # The clock was put back. A timer's moment is part of the key by which its event is known: once only.
        t.add(row if row.at != event.occurred_at else replace(row, at=row.at + EARLY_SECONDS))
        return t.ignore(f"{event.timer} was moved to later")
    promised = clock.due_of(event.timer, ticket)
    if event.timer in WARNINGS and promised is not None and promised <= t.now:
        return t.ignore(f"{event.timer}: it is overdue already, and that is told")
    act(t)
    if promised is not None:
        t.edit(promises_told=(*t.ticket.promises_told[1 - PROMISES_KEPT :], (event.timer, promised)))
    return t.done("timer", f"{event.timer}: {row.why}")


def _on_call(t: Turn) -> Decision:
    if not tickets.calls_on_call(t.ticket):
        return t.ignore("somebody is looking at it")
    times = t.count("on_call")
    escalation.call(t, times + 1)
    return t.done("timer", f"on-call is called again ({times + 1})")


def _desk(t: Turn) -> Place | None:
    """The staff channel itself: a thread that nobody has joined is heard by nobody."""
    return t.policy.desk(t.ticket.route, t.case.place.platform)


def _line(t: Turn, key: str) -> Line:
    """What the desk is told; whoever has the ticket is called by name where it is their turn."""
    ticket = t.ticket
    name = (ticket.assignee.name or ticket.assignee.id) if ticket.assignee is not None else "-"
    values = {"ticket": ticket.id, "name": name, "subject": ticket.subject, "priority": ticket.priority}
    mine = ticket.assignee is not None and key in THEIR_TURN
    return Line(key, values, mention=ticket.assignee.id if mine and ticket.assignee else "")


def _pick_up(t: Turn) -> None:
    t.staff(_line(t, "timer.pick_up"), to=_desk(t))


def _claim_reply(t: Turn) -> None:
    t.edit(reminded_at=t.now)
    t.staff(_line(t, "timer.claim_reply"))


def _claim_release(t: Turn) -> None:
    line = _line(t, "timer.claim_release")
    claim.give_back(t, line)
    t.staff(line, to=_desk(t))


def _first_warn(t: Turn) -> None:
    t.staff(_line(t, "timer.first_response_warn"), to=_desk(t) if t.ticket.assignee is None else None)


def _first_breach(t: Turn) -> None:
    _breached(t, "first-response-breached")
    t.staff(_line(t, "timer.first_response_breach"), to=_desk(t))


def _resolution_warn(t: Turn) -> None:
    t.staff(_line(t, "timer.resolution_warn"))


def _resolution_breach(t: Turn) -> None:
    _breached(t, "resolution-breached")
    t.staff(_line(t, "timer.resolution_breach"), to=_desk(t))


def _breached(t: Turn, tag: str) -> None:
    if tag not in t.ticket.tags:
        t.edit(tags=(*t.ticket.tags, tag))


def _acknowledge(t: Turn) -> None:
    t.staff(_line(t, "timer.acknowledge"), to=_desk(t))


def _follow_up(t: Turn) -> None:
    t.staff(_line(t, "timer.follow_up"))


def _pending_warn(t: Turn) -> None:
    hours = str(round(t.policy.timers.pending_close / 3600))
    values = {"ticket": t.ticket.id, "hours": hours}
    t.notify(Line("customer.pending_warn", values, buttons=(("still_open", t.ticket.id),)))
    t.staff(_line(t, "timer.pending_warn"))


def _pending_close(t: Turn) -> None:
    t.move("close", resolution_type="no_reply")
    t.change(phase=Phase.HUMAN)
    t.notify(Line("customer.closed", {"ticket": t.ticket.id}))
    t.add(CloseThread(t.case.place, solved=False, archived=True))
    t.staff(_line(t, "timer.pending_close"))
    escalation.capture(t)


def _solved_close(t: Turn) -> None:
    t.move("close")
    t.add(CloseThread(t.case.place, solved=True, archived=True))
    t.staff(_line(t, "timer.solved_close"))
    escalation.capture(t)


_ACTS: dict[str, Callable[[Turn], None]] = {
    "pick_up": _pick_up,
    "claim_reply": _claim_reply,
    "claim_release": _claim_release,
    "first_response_warn": _first_warn,
    "first_response_breach": _first_breach,
    "resolution_warn": _resolution_warn,
    "resolution_breach": _resolution_breach,
    "acknowledge": _acknowledge,
    "follow_up": _follow_up,
    "pending_warn": _pending_warn,
    "pending_close": _pending_close,
    "solved_close": _solved_close,
}
