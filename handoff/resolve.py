"""The end of a ticket: resolved with a reason, told to the customer, rated, reopened on reply, closed by the clock."""

from __future__ import annotations

from adapters.port import FormSubmitted, MessageReceived
from handoff import claim, escalation, politeness
from handoff.effects import CloseThread, Decision, Mark
from handoff.facts import Line, Proposal, Resolved
from handoff.model import Phase, Said
from handoff.policy import RESOLUTION_TYPES, ROOT_CAUSES
from handoff.summary import latest_question, shorten
from handoff.turn import Turn

SUMMARY_CHARACTERS = 1500
TAGS_MAX = 10


def resolve(
    t: Turn, summary: str, kind: str = "", cause: str = "", tags: str = "", *, save: bool = False
) -> Decision:
    """Solved: say so to the customer, ask how it was, and close later unless they object."""
    refused = t.refused("resolve") or claim.unfit(t, "resolve")
    if refused is not None:
        return refused
    told = shorten(summary, SUMMARY_CHARACTERS) or _last_reply(t)
    t.move(
        "resolve",
        resolution_type=kind if kind in RESOLUTION_TYPES else RESOLUTION_TYPES[0],
        root_cause=cause if cause in ROOT_CAUSES else "",
        resolution=told,
        tags=_tags(t.ticket.tags, tags),
        waiting_since=None,
    )
    t.take_over(muted_until=0.0)
    hours = round(t.policy.timers.solved_close / 3600)
    t.notify(Resolved(t.ticket.id, told, t.public(t.actor.name), hours), f"{t.ticket.id}/resolved")
    t.add(CloseThread(t.case.place, solved=True))
    if t.case.origin is not None:
        t.add(Mark(t.case.origin, "white_check_mark"))
    t.staff(Line("staff.resolved", {"name": t.actor.name or t.actor.id, "summary": told or "-"}))
    if save:
        propose(t, told)
    escalation.capture(t)
    return t.done("resolve", f"{t.actor.name or t.actor.id} resolved {t.ticket.id}")


def from_form(t: Turn, event: FormSubmitted) -> Decision:
    values = event.values
    return resolve(
        t,
        values.get("summary", ""),
        values.get("kind", ""),
        values.get("cause", ""),
        values.get("tags", ""),
        save=values.get("save", "") == "yes",
    )


def _last_reply(t: Turn) -> str:
    return next((shorten(s.text, 300) for s in reversed(t.case.said) if s.who == "agent" and s.text), "")


def _tags(had: tuple[str, ...], more: str) -> tuple[str, ...]:
    words = (shorten(w.strip().lower(), 30) for w in more.replace(";", ",").split(","))
    return tuple(dict.fromkeys((*had, *(w for w in words if w))))[:TAGS_MAX]


def propose(t: Turn, answer: str) -> None:
    """Save as knowledge: a topic, proposed next to its nearest existing one, for approval."""
    question = t.ticket.wants or latest_question(t.case)
    nearest = t.ticket.nearest[0] if t.ticket.nearest else None
    key = f"P-{t.ticket.number}"
    t.keep(
        "proposal",
        key,
        ticket=t.ticket.id,
        question=question,
        answer=answer,
        category=t.ticket.category,
        nearest=list(nearest) if nearest else [],
        by=t.actor.id,
        at=t.now,
    )
    t.staff(Proposal(key, t.ticket.id, question, answer, nearest))


# --- after it was solved ----------------------------------------------------------------------------------


def after_solved(t: Turn, event: MessageReceived, lines: tuple[Said, ...]) -> Decision:
    """The customer writes again: thanks stay thanks, anything else reopens."""
    if politeness.small_talk(event.text) == "thanks" and not event.files:
        for line in lines:
            escalation.copy(t, line, event.unsupported)
        t.add(Mark(event.ref, "+1"))
        return t.done("relay", "thanks; the ticket stays solved")
    escalation.reopen(t)
    for line in lines:
        escalation.copy(t, line, event.unsupported)
    return t.done("reopen", f"the customer wrote again; {t.ticket.id} is open")


def reopen(t: Turn) -> Decision:
    """An agent reopens a solved or closed ticket."""
    refused = t.refused("reopen") or claim.unfit(t, "reopen")
    if refused is not None:
        return refused
    escalation.reopen(t)
    t.take_over()
    if t.ticket.assignee is None:
        t.change(phase=Phase.DESK)
    return t.done("reopen", f"{t.actor.name or t.actor.id} reopened {t.ticket.id}")


def still_open(t: Turn) -> Decision:
    """The customer asks to keep a waiting ticket, or to reopen a solved one."""
    refused = t.refused("still_open")
    if refused is not None:
        return refused
    ticket = t.case.ticket
    if ticket is None or ticket.state not in ("pending", "solved"):
        return t.no(
            "refused.state" if ticket else "refused.no_ticket", "nothing to keep open", verb="still_open"
        )
    if ticket.state == "solved":
        escalation.reopen(t)
        return t.done("reopen", f"the customer says that {ticket.id} is not solved")
    if "keep-open" in ticket.tags:
        return t.no("customer.kept", "it is kept open already", verb="still_open")
    t.edit(tags=(*ticket.tags, "keep-open"))
    t.whisper("customer.kept", ticket=ticket.id)
    return t.done("keep", f"{ticket.id} stays open until somebody closes it")


# --- how was it? --------------------------------------------------------------------------------------------


def rate(t: Turn, stars: int) -> Decision:
    """CSAT, 1 to 5; a later press replaces an earlier one."""
    refused = t.refused(f"csat{stars}")
    if refused is not None:
        return refused
    if t.case.ticket is None or t.ticket.is_open:
        return t.no("refused.not_solved", "a rating before the end", verb="csat")
    if t.ticket.csat != stars:
        t.edit(csat=stars)
        _keep_csat(t)
        t.staff(Line("staff.csat", {"stars": str(stars)}))
    t.whisper("customer.rated", buttons=(("comment", t.ticket.id),), stars=str(stars))
    return t.done("csat", f"{stars} of 5")


def comment(t: Turn, text: str) -> Decision:
    """The words that go with a rating."""
    refused = t.refused("comment")
    if refused is not None:
        return refused
    if t.case.ticket is None or t.ticket.is_open:
        return t.no("refused.not_solved", "a comment before the end", verb="comment")
    t.edit(csat_comment=text.strip()[:SUMMARY_CHARACTERS])
    _keep_csat(t)
    t.staff(Line("staff.csat_comment", {"comment": t.ticket.csat_comment or "-"}))
    t.whisper("customer.commented")
    return t.done("csat", "a comment on the rating")


def _keep_csat(t: Turn) -> None:
    t.keep(
        "csat",
        t.ticket.id,
        stars=t.ticket.csat,
        comment=t.ticket.csat_comment,
        category=t.ticket.category,
        escalated=True,
        at=t.now,
    )
