"""A ticket's states, THE table of its moves, and what a move does to its clocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.port import Actor
from handoff.evolve import evolve
from handoff.model import Priority, Ticket, TicketState
from handoff.policy import Policy

NEW, OPEN, PENDING = TicketState.NEW, TicketState.OPEN, TicketState.PENDING
ESCALATED, SOLVED, CLOSED = TicketState.ESCALATED, TicketState.SOLVED, TicketState.CLOSED

# (state, move) -> state. What is not here is illegal: it changes nothing and explains itself.
MOVES: Mapping[tuple[TicketState, str], TicketState] = {
    (NEW, "claim"): OPEN,
    (NEW, "transfer"): OPEN,
    (NEW, "customer"): NEW,
    (NEW, "escalate"): ESCALATED,
    (NEW, "resolve"): SOLVED,
    (NEW, "return"): CLOSED,
    (OPEN, "release"): NEW,
    (OPEN, "transfer"): OPEN,
    (OPEN, "reply"): PENDING,
    (OPEN, "customer"): OPEN,
    (OPEN, "escalate"): ESCALATED,
    (OPEN, "resolve"): SOLVED,
    (OPEN, "return"): CLOSED,
    (PENDING, "release"): NEW,
    (PENDING, "transfer"): PENDING,
    (PENDING, "reply"): PENDING,
    (PENDING, "undo"): OPEN,  # the reply was withdrawn, or could not be delivered
    (PENDING, "customer"): OPEN,
    (PENDING, "escalate"): ESCALATED,
    (PENDING, "resolve"): SOLVED,
    (PENDING, "return"): CLOSED,
    (PENDING, "close"): CLOSED,
    (ESCALATED, "claim"): OPEN,  # the claim is the acknowledgement
    (ESCALATED, "transfer"): OPEN,
    (ESCALATED, "customer"): ESCALATED,
    (ESCALATED, "resolve"): SOLVED,
    (ESCALATED, "return"): CLOSED,
    (SOLVED, "reopen"): OPEN,  # NEW when nobody has it
    (SOLVED, "close"): CLOSED,
    (CLOSED, "reopen"): OPEN,
}

_BUTTONS: Mapping[TicketState, tuple[str, ...]] = {
    NEW: ("claim", "reply", "draft", "priority", "escalate", "resolve", "transcript"),
    OPEN: (
        "reply",
        "draft",
        "resolve",
        "release",
        "transfer",
        "priority",
        "escalate",
        "return",
        "transcript",
    ),
    PENDING: ("reply", "resolve", "release", "transfer", "priority", "escalate", "return", "transcript"),
    ESCALATED: ("claim", "reply", "draft", "priority", "resolve", "transcript"),
    SOLVED: ("reopen", "transcript"),
    CLOSED: ("reopen", "transcript"),
}


def buttons(ticket: Ticket) -> tuple[str, ...]:
    """The verbs that make sense on the card now."""
    verbs = _BUTTONS[ticket.state]
    if calls_on_call(ticket):
        return ("acknowledge", *verbs)
    return verbs


def calls_on_call(ticket: Ticket) -> bool:
    """A P0 that nobody has taken or acknowledged keeps calling."""
    return (
        ticket.priority == "P0"
        and ticket.is_open
        and ticket.assignee is None
        and ticket.acknowledged_at is None
    )


def may_move(ticket: Ticket, move: str) -> bool:
    return (ticket.state, move) in MOVES


def moved(ticket: Ticket, move: str, now: float, policy: Policy, **changes: Any) -> Ticket:
    """The ticket after a legal move; its clocks pause, resume and restart as the new state says."""
    state = MOVES[ticket.state, move]
    assignee: Actor | None = changes.get("assignee", ticket.assignee)
    if move == "reopen" and assignee is None:
        state = NEW
    changes["state"] = state
    if state == CLOSED:
        changes.setdefault("closed_at", now)
    elif state == SOLVED:
        changes.setdefault("solved_at", now)
    paused, pauses = ticket.paused_at is not None, state in (PENDING, SOLVED, CLOSED)
    if pauses and not paused:
        changes["paused_at"] = now
    elif paused and not pauses:
        changes |= _resumed(ticket, now, policy)
    elif move == "reply":
        changes["paused_at"] = now  # a new reply: the customer's time to answer starts again
        changes["paused_seconds"] = ticket.paused_seconds + _elapsed(ticket, now, policy)
    after = evolve(ticket, **changes)
    return after if after.paused_seconds == ticket.paused_seconds else with_dues(after, policy)


def _resumed(ticket: Ticket, now: float, policy: Policy) -> dict[str, Any]:
    return {
        "paused_at": None,
        "paused_seconds": ticket.paused_seconds + _elapsed(ticket, now, policy),
        "solved_at": None,
        "closed_at": None,
    }


def _elapsed(ticket: Ticket, now: float, policy: Policy) -> float:
    """How much of the promised time has passed since the clock was paused."""
    if ticket.paused_at is None:
        return 0.0
    if policy.targets[ticket.priority].around_the_clock:
        return max(0.0, now - ticket.paused_at)
    return policy.hours.between(ticket.paused_at, now)


def after(start: float, seconds: float, priority: Priority, policy: Policy) -> float:
    """`seconds` after `start`, in business time unless the priority is worked around the clock."""
    if policy.targets[priority].around_the_clock:
        return start + seconds
    return policy.hours.add(start, seconds)


def with_dues(ticket: Ticket, policy: Policy) -> Ticket:
    """The ticket with the deadlines that its priority promises. Time in pending does not count."""
    target = policy.targets[ticket.priority]
    return evolve(
        ticket,
        first_response_due=after(ticket.opened_at, target.first_response, ticket.priority, policy),
        resolution_due=after(
            ticket.opened_at, target.resolution + ticket.paused_seconds, ticket.priority, policy
        ),
    )
