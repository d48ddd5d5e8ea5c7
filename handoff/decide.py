"""The one door: what follows from an event.

    decide(case, event, known, now, policy) -> Decision

Total: an event that does not fit changes nothing and is explained to whoever waits for an answer, never raised. The
same input gives the same decision, always.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from adapters.port import (
    ActionInvoked,
    ChoreDone,
    CommandInvoked,
    DeliveryFailed,
    FormSubmitted,
    HomeOpened,
    Inbound,
    InstallChanged,
    MemberLeft,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    ReactionChanged,
    ThreadChanged,
    TimerFired,
)
from handoff import (
    claim,
    commands,
    escalation,
    feedback,
    listening,
    politeness,
    press,
    private,
    reasons,
    relay,
    resolve,
    sla,
    takeover,
)
from handoff import conversation as talk
from handoff.effects import Decision, Home, Mark
from handoff.facts import HomeView, Line
from handoff.listening import concerns, wants_search, wants_signals
from handoff.model import Case, Known, Phase, Reason, Said, Ticket, TicketState
from handoff.policy import Policy, is_staff, same_person
from handoff.turn import REMEMBERED, Turn

__all__ = ["concerns", "decide", "wants_search", "wants_signals"]

QUESTIONS_KEPT, NEAREST_KEPT = 20, 3
# Events with the roles of the moment; others name an actor as far as the platform did.
TELLS_WHO = (MessageReceived, ActionInvoked, FormSubmitted, CommandInvoked)
LATE_ANSWER_SECONDS = 14 * 86400.0
HELPFUL_EMOJI = frozenset(("+1", "thumbsup", "👍", "white_check_mark", "✅", "heart", "❤️"))
UNHELPFUL_EMOJI = frozenset(("-1", "thumbsdown", "👎"))


def decide(case: Case, event: Inbound, known: Known, now: float, policy: Policy) -> Decision:
    """What follows from `event`, for a conversation as it stands and what is known."""
    t = Turn(case, event, known, now, policy)
    _as_they_are_now(t)
    match event:
        case MessageReceived():
            return _message(t, event)
        case MessageEdited():
            return relay.edited(t, event)
        case MessageDeleted():
            return relay.deleted(t, event)
        case ActionInvoked():
            return press.pressed(t, event)
        case FormSubmitted():
            return press.submitted(t, event)
        case CommandInvoked():
            return commands.command(t, event)
        case MessageAction():
            return press.on_message(t, event, _customer)
        case TimerFired():
            return sla.due(t, event)
        case DeliveryFailed():
            return _delivery_failed(t, event)
        case ReactionChanged():
            return _reaction(t, event)
        case MemberLeft():
            return claim.member_left(t, event)
        case ChoreDone():
            return commands.done(t, event)
        case HomeOpened():
            return _home(t)
        case ThreadChanged():
            return _thread(t, event)
        case InstallChanged():
            return _install(t, event)
        case _:
            assert_never(event)


def _as_they_are_now(t: Turn) -> None:
    """A customer who acts is the customer as of now: a new name or tier is that of the conversation and of its open
    ticket, whose card follows. A better tier lifts the priority to its floor; nothing lowers it."""
    actor, had = t.event.actor, t.case.customer
    if actor is None or not isinstance(t.event, TELLS_WHO) or not same_person(actor, had):
        return
    if not actor.name:  # the platform could not be asked
        actor = replace(actor, name=had.name, roles=had.roles, email=had.email)
    if actor != had:
        t.change(customer=actor)
    if (ticket := t.open_ticket) is None:
        return
    tier = t.policy.tier(actor)
    name = tier.name if tier is not None else ""
    if name == ticket.tier and actor.name == had.name:
        return
    t.edit(tier=name)
    if tier is not None and name != ticket.tier and tier.floor < ticket.priority:
        why = (Reason("tier", tier.floor),)
        claim.prioritise(t, tier.floor, reasons.priority(why, t.policy.phrase))


# --- messages -------------------------------------------------------------------------------------------------


def _message(t: Turn, event: MessageReceived) -> Decision:
    actor = event.actor
    if actor is None or actor.is_bot or actor.is_self:
        return t.ignore("bots and system messages are not answered")
    if not listening.here(t.case, event):
        return relay.staff_said(t, event)
    if _seen(t.case, event):
        return t.ignore("this message is known already")
    if same_person(actor, t.case.customer):
        return _customer(t, event)
    if is_staff(actor):
        return takeover.takeover(t, event)
    return _bystander(t, event)


def _seen(case: Case, event: MessageReceived) -> bool:
    known = event.ref.id
    for said in case.said[-50:]:  # asked of every message: a generator would cost more than the looking  # noqa: SIM110
        if said.ref is not None and said.ref.id == known:
            return True
    return False


def _customer(t: Turn, event: MessageReceived) -> Decision:
    """The customer wrote: to the people who have the conversation, else to the bot."""
    lines = _remember(t, event, "customer")
    text = "\n".join(line.text for line in lines).strip()
    _note(t, text)
    ticket = t.case.ticket
    if t.known.redacted:
        t.whisper("customer.redacted", kinds=", ".join(t.known.redacted))
    if ticket is not None and ticket.is_open:
        return relay.customer_wrote(t, event, lines)
    if ticket is not None and (ticket.state == TicketState.SOLVED or _late_answer(ticket, t.now)):
        return resolve.after_solved(t, event, lines)
    if listening.other_matter(t.before, t.known, text):
        t.change(matter=lines[0].ref.id if lines and lines[0].ref is not None else "")
    if ticket is not None and t.case.phase in (Phase.HUMAN, Phase.DESK, Phase.MUTED):
        t.change(phase=Phase.BOT, bot_turns=0, clarified=False, questions=t.case.questions[-1:], tried=())
    if t.case.phase == Phase.HUMAN:
        if event.mentions_bot:
            t.whisper("customer.person_here", buttons=(("person", t.case.id),))
        return t.ignore("a person is helping here")
    return talk.bot_turn(t, event, text)


def _late_answer(ticket: Ticket, now: float) -> bool:
    """It was closed because the customer did not answer, and here is the answer."""
    late = ticket.state == TicketState.CLOSED and ticket.resolution_type == "no_reply"
    return late and now - (ticket.closed_at or 0.0) <= LATE_ANSWER_SECONDS


def _remember(t: Turn, event: MessageReceived, who: str) -> tuple[Said, ...]:
    """Put the message, or the burst that was folded into it, into the conversation."""
    name = event.actor.name if event.actor is not None else ""
    refs, texts = t.known.refs or (event.ref,), t.known.texts or (event.text,)
    lines: list[Said] = []
    for ref, text in zip(refs, texts, strict=False):
        files = event.files if ref == refs[-1] else ()
        lines.append(Said("customer" if who == "customer" else "other", name, text, t.now, ref, files))
    t.change(said=(*t.case.said, *lines)[-REMEMBERED:], started_at=t.case.started_at or t.now)
    return tuple(lines)


def _note(t: Turn, text: str) -> None:
    """What the conversation learns from the customer's words before anything is decided."""
    case = t.case
    spoken = next((f.language for f in t.known.found if f.language), "")
    spoken = spoken or case.language or t.policy.channel(case.place).language
    questions = case.questions
    t.small_talk = politeness.small_talk(text)
    if text and case.phase != Phase.COLLECTING and not t.small_talk:
        questions = (*questions[-QUESTIONS_KEPT + 1 :], text)
    found = t.known.found[0] if t.known.found else None
    near, category = case.nearest, case.category
    if found is not None and found.hits:
        near = tuple(dict.fromkeys((h.topic, h.title) for h in found.hits[:NEAREST_KEPT]))
        if found.confidence >= found.threshold_clarify and found.hits[0].category in t.policy.categories:
            category = found.hits[0].category
    t.change(language=spoken, questions=questions, nearest=near, category=category)


def _bystander(t: Turn, event: MessageReceived) -> Decision:
    """A third person wrote. From now on the bot waits to be mentioned here."""
    assert event.actor is not None
    if event.actor.id not in t.case.participants:
        t.change(participants=t.case.participants | {event.actor.id})
    ticket = t.open_ticket
    if ticket is not None:
        return relay.customer_wrote(t, event, _remember(t, event, "other"))
    if event.mentions_bot and t.case.phase not in (Phase.HUMAN, Phase.MUTED):
        lines = _remember(t, event, "other")
        text = "\n".join(line.text for line in lines).strip()
        t.small_talk = politeness.small_talk(text)
        return talk.bot_turn(t, event, text)
    return t.ignore("a third person wrote; the bot waits to be mentioned")


# --- everything else ------------------------------------------------------------------------------------------


def _reaction(t: Turn, event: ReactionChanged) -> Decision:
    """A thumb on the bot's answer is a vote."""
    head, _, n = t.known.anchor.partition("/a/")
    if not event.added or head != t.case.id or not same_person(event.actor, t.case.customer):
        return t.ignore("a reaction")
    if event.emoji in HELPFUL_EMOJI:
        return feedback.vote(t, "helpful", f"{head}.{n}")
    if event.emoji in UNHELPFUL_EMOJI:
        return feedback.vote(t, "unhelpful", f"{head}.{n}")
    return t.ignore("a reaction")


def _delivery_failed(t: Turn, event: DeliveryFailed) -> Decision:
    """Something did not reach its reader: staff see it where they work. Never answered in the place that failed."""
    t.keep("audit", f"failed/{event.anchor}", kind=event.kind, audience=event.audience, at=t.now)
    if event.audience != "customer":
        if event.audience == "staff" and event.kind == "gone" and escalation.show_again(t, event.anchor):
            return t.done("delivery_failed", "the card was gone with its thread; both are there again")
        return t.done("delivery_failed", f"to {event.audience}: {event.kind}")
    if event.anchor == t.case.moving:
        t.change(moving="")  # there will be no private place; what comes next is said where it was asked
    ticket = t.case.ticket
    reason = t.policy.phrase(f"failure.{event.kind}")
    if ticket is None:
        desk = t.policy.desk(t.policy.category("").route, t.case.place.platform)
        if desk is not None:
            values = {"name": t.case.customer.name, "reason": reason, "detail": event.reason[:200]}
            t.staff(Line("staff.undelivered_answer", values), to=desk)
        return t.done("delivery_failed", f"an answer could not be delivered: {event.kind}")
    change, _, anchor = event.anchor.rpartition(":")
    head, _, n = anchor.rpartition("/")
    if head == f"{ticket.id}/out" and n.isdigit() and not change:
        relay.undelivered(t, int(n))
    t.edit(failures=(*t.ticket.failures[-4:], f"{reason}: {event.reason[:200]}"))
    key = {"edit": "staff.unchanged", "delete": "staff.undeleted"}.get(change, "staff.undelivered")
    t.staff(Line(key, {"reason": reason, "detail": event.reason[:200]}))
    if t.case.origin is not None and ticket.is_open:
        t.add(Mark(t.case.origin, "warning"))
    return t.done("delivery_failed", f"to the customer: {event.kind}")


def _home(t: Turn) -> Decision:
    if t.event.actor is not None:
        t.add(Home(t.event.actor, HomeView(t.policy.name, t.known.earlier)))
    return t.done("home", "the home tab")


def _thread(t: Turn, event: ThreadChanged) -> Decision:
    """Archiving resolves nothing; a deleted thread is shown to whoever has the ticket."""
    if event.state == "opened":
        return private.opened(t, event)
    if event.state != "deleted" or t.open_ticket is None or not listening.here(t.case, event):
        return t.ignore(f"the thread was {event.state}")
    words = t.policy.phrase("failure.thread_deleted")
    t.edit(failures=(*t.ticket.failures[-4:], words))
    t.staff(Line("staff.thread_deleted"))
    return t.done("thread", "the customer's thread was deleted")


def _install(t: Turn, event: InstallChanged) -> Decision:
    if t.open_ticket is None or event.state in ("joined_channel", "became_external"):
        return t.ignore(f"the installation: {event.state}")
    t.staff(Line("staff.install", {"state": event.state}))
    return t.done("install", f"the installation: {event.state}")
