"""What timers a ticket has, and why. Time is an event: a timer that comes due travels the line like a message.

`timers` is a function of the ticket alone, so that whatever changes the ticket sets, moves and cancels its timers by
comparison, and "closes in 3 h because ..." can always be told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handoff import ticket as tickets
from handoff.effects import Wake
from handoff.model import Case, Ticket, TicketState
from handoff.policy import Policy

KEEP_OPEN = "keep-open"  # the tag of a ticket that its customer asked not to close


def signature(ticket: Ticket | None) -> tuple[Any, ...]:
    """Everything that the timers depend on; equal signatures, equal timers."""
    if ticket is None:
        return ()
    return (
        *(ticket.number, ticket.state, ticket.priority, ticket.opened_at, ticket.waiting_since),
        *(ticket.reminded_at, ticket.replied_at, ticket.claimed_at, ticket.paused_at, ticket.paused_seconds),
        *(ticket.first_response_at, ticket.escalated_at, ticket.solved_at, ticket.assignee is None),
        KEEP_OPEN in ticket.tags,
        ticket.promises_told,
    )


def timers(ticket: Ticket | None, policy: Policy) -> dict[str, Wake]:
    """The timers of this ticket as it stands: name -> when and why."""
    if ticket is None or ticket.state == TicketState.CLOSED:
        return {}
    rows: dict[str, Wake] = {}

    def wake(name: str, at: float, why: str) -> None:
        rows[name] = Wake(name, at, ticket.id, why)

    _BY_STATE[ticket.state](ticket, policy, wake)
    if ticket.is_open:
        _promises(ticket, policy, wake)
    return rows


Put = Callable[[str, float, str], None]


def _new(ticket: Ticket, policy: Policy, wake: Put) -> None:
    since = ticket.waiting_since or ticket.opened_at
    at = tickets.after(since, policy.timers.pick_up, ticket.priority, policy)
    wake("pick_up", at, "nobody has claimed it")


def _open(ticket: Ticket, policy: Policy, wake: Put) -> None:
    t, waiting = policy.timers, ticket.waiting_since
    if waiting is None:
        return
    if ticket.reminded_at is None:
        at = tickets.after(waiting, t.claim_reply, ticket.priority, policy)
        wake("claim_reply", at, "the customer waits for the assignee's reply")
    elif ticket.replied_at is None or ticket.replied_at < (ticket.claimed_at or 0):
        left = max(60.0, t.claim_release - t.claim_reply)
        at = tickets.after(ticket.reminded_at, left, ticket.priority, policy)
        wake("claim_release", at, "the assignee was reminded and has not replied since claiming")
    wake("follow_up", waiting + t.follow_up, "the customer has had no news for a day")


def _pending(ticket: Ticket, policy: Policy, wake: Put) -> None:
    if KEEP_OPEN in ticket.tags or ticket.paused_at is None:
        return
    t, since = policy.timers, ticket.paused_at
    wake("pending_warn", since + t.pending_warn, "we wait for the customer's answer")
    wake("pending_close", since + t.pending_warn + t.pending_close, "the customer did not answer the warning")


def _escalated(ticket: Ticket, policy: Policy, wake: Put) -> None:
    since = ticket.escalated_at or ticket.opened_at
    at = tickets.after(since, policy.timers.acknowledge, ticket.priority, policy)
    wake("acknowledge", at, "it was raised to a specialist who has not taken it")


def _solved(ticket: Ticket, policy: Policy, wake: Put) -> None:
    since = ticket.solved_at or ticket.opened_at
    wake(
        "solved_close", since + policy.timers.solved_close, "it was solved and the customer has not objected"
    )


_BY_STATE: dict[TicketState, Callable[[Ticket, Policy, Put], None]] = {
    TicketState.NEW: _new,
    TicketState.OPEN: _open,
    TicketState.PENDING: _pending,
    TicketState.ESCALATED: _escalated,
    TicketState.SOLVED: _solved,
}


def _promises(ticket: Ticket, policy: Policy, wake: Put) -> None:
    """Warnings before a breach, and breaches: once for each due time, which moves with the priority and with pauses.
    Pending has no running resolution clock."""
    target, share = policy.targets[ticket.priority], policy.warn_share
    start, priority = ticket.opened_at, ticket.priority

    def promise(name: str, at: float, why: str) -> None:
        if (name, due_of(name, ticket)) not in ticket.promises_told:
            wake(name, at, f"{why} ({priority})")

    if ticket.first_response_at is None and ticket.first_response_due is not None:
        warn = tickets.after(start, share * target.first_response, priority, policy)
        promise("first_response_warn", warn, "the first reply is due soon")
        promise("first_response_breach", ticket.first_response_due, "the first reply is overdue")
    if ticket.state != TicketState.PENDING and ticket.resolution_due is not None:
        warn = tickets.after(start, share * target.resolution + ticket.paused_seconds, priority, policy)
        promise("resolution_warn", warn, "the resolution is due soon")
        promise("resolution_breach", ticket.resolution_due, "the resolution is overdue")


def due_of(timer: str, ticket: Ticket) -> float | None:
    """The due time that a promise's timer is about; None for other timers."""
    if timer.startswith("first_response"):
        return ticket.first_response_due
    return ticket.resolution_due if timer.startswith("resolution") else None


def explain(case: Case, now: float, policy: Policy) -> tuple[tuple[str, float, str], ...]:
    """What happens next by itself: (timer, seconds from now, why), soonest first. Past ones have fired."""
    rows = timers(case.ticket, policy).values()
    return tuple(sorted(((w.timer, w.at - now, w.why) for w in rows if w.at > now), key=lambda row: row[1]))
