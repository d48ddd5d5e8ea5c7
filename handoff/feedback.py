"""Votes on the bot's answers. A vote creates review work and never changes a ranking by itself."""

from __future__ import annotations

from handoff import listening
from handoff.effects import CloseThread, Decision
from handoff.escalation import tried_with
from handoff.facts import Offer
from handoff.model import Phase, Tried
from handoff.turn import SILENT, Turn

REASONS = ("wrong", "outdated", "unclear", "incomplete")


def vote(t: Turn, verb: str, arg: str) -> Decision:
    """Helpful, not helpful, or what was wrong. One vote per answer; the last one counts."""
    refused = t.refused(verb)
    if refused is not None:
        return refused
    n = listening.number_of(arg)
    receipt = f"A-{t.case.id}.{n}"
    tried = next((x for x in t.case.tried if x.receipt == receipt), None)
    if tried is None:
        return t.no("refused.late", "a vote on an answer that is not of this conversation", verb=verb)
    if t.case.ratings.get(receipt) == verb:
        t.whisper("feedback.thanks")
        return t.done("feedback", f"the same vote again: {verb}")
    t.change(ratings={**t.case.ratings, receipt: verb})
    t.keep("feedback", receipt, vote=verb, topic=tried.topic, version=tried.version, at=t.now)
    if verb == "helpful":
        return _helpful(t, receipt)
    if verb == "unhelpful":
        return _ask_why(t, tried, arg)
    return _reason(t, tried, verb)


def _helpful(t: Turn, receipt: str) -> Decision:
    t.change(tried=tried_with(t.case.tried, receipt, "helpful"), bot_turns=0)
    t.keep("outcome", receipt, outcome="helpful", ticket="")
    if t.case.phase not in SILENT and t.case.ticket is None:
        t.change(phase=Phase.BOT if t.case.collecting is None else t.case.phase, offered=None)
        t.add(CloseThread(t.case.place, solved=True))
        _capture(t)
    t.whisper("feedback.helpful")
    return t.done("feedback", "helpful: solved without a person")


def _ask_why(t: Turn, tried: Tried, arg: str) -> Decision:
    t.change(tried=tried_with(t.case.tried, tried.receipt, "not helpful"))
    t.keep("outcome", tried.receipt, outcome="not helpful", ticket="")
    _review(t, tried, "")
    buttons = tuple((reason, arg) for reason in REASONS)
    t.whisper("feedback.why", buttons=buttons)
    return t.done("feedback", "not helpful; asks what was wrong")


def _reason(t: Turn, tried: Tried, reason: str) -> Decision:
    t.change(tried=tried_with(t.case.tried, tried.receipt, f"not helpful: {reason}"))
    t.keep("outcome", tried.receipt, outcome=f"not helpful: {reason}", ticket="")
    _review(t, tried, reason)
    t.whisper("feedback.noted")
    if t.open_ticket is None and t.case.phase not in SILENT:
        t.offer(Offer(t.case.id, reason="unhelpful"))
    return t.done("feedback", f"not helpful: {reason}")


def _review(t: Turn, tried: Tried, reason: str) -> None:
    """A review item, bound to the exact version that was said."""
    t.keep(
        "review",
        f"R-{tried.receipt}",
        receipt=tried.receipt,
        topic=tried.topic,
        title=tried.title,
        version=tried.version,
        reason=reason,
        question=t.case.questions[-1] if t.case.questions else "",
        at=t.now,
    )


def _capture(t: Turn) -> None:
    """The capture record of a conversation that needed no person."""
    case = t.case
    t.keep(
        "capture",
        case.id,
        name=case.profile.get("name") or case.customer.name,
        contact="",
        order="",
        category=case.category,
        leaf="",
        urgency="",
        confidence=round(case.tried[-1].confidence, 4) if case.tried else 0.0,
        resolved=True,
        escalated=False,
        platform=case.place.platform,
        began=case.started_at,
    )
