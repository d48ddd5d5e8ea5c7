"""Buttons, forms that came back, and actions on somebody's message: each verb and what it does.

A verb is checked before it acts: does this person may, is it this ticket, is it still possible. An old button, another
team's agent, a customer who presses Claim: nothing changes, and the answer is in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapters.port import ActionInvoked, FormSubmitted, MessageAction, MessageReceived
from handoff import answering, claim, collect, escalation, feedback, listening, relay, resolve
from handoff import conversation as talk
from handoff.effects import Decision, Update
from handoff.facts import Draft
from handoff.model import Proposed
from handoff.policy import PERMISSIONS
from handoff.turn import Turn

Act = Callable[[Turn, str], Decision]


def pressed(t: Turn, event: ActionInvoked) -> Decision:
    """A button."""
    act = _PRESSES.get(event.verb)
    if act is None or event.verb not in PERMISSIONS:
        return t.no("refused.unknown_verb", f"no such button: {event.verb[:40]}", verb=event.verb[:40])
    refused = t.refused(event.verb) or _stranger(t, event.arg, event.verb)
    if refused is not None:
        return refused
    return act(t, event.arg)


def submitted(t: Turn, event: FormSubmitted) -> Decision:
    """A form."""
    act = _FORMS.get(event.form)
    if act is None:
        return t.no("refused.unknown_verb", f"no such form: {event.form[:40]}", verb=event.form[:40])
    refused = t.refused(event.form) or _stranger(t, event.context, event.form)
    if refused is not None:
        return refused
    return act(t, event)


def _stranger(t: Turn, arg: str, verb: str) -> Decision | None:
    """A button of another ticket or conversation, or of one that is history."""
    head = arg.partition(".")[0]
    if head == t.case.id:
        return None
    if t.case.ticket is not None and head == t.case.ticket.id:
        return None
    return t.no("refused.old_ticket", f"{verb} belongs to {head[:20]}, not to this", verb=verb, old=head[:20])


# --- the desk -------------------------------------------------------------------------------------------------


def _undo(t: Turn, arg: str) -> Decision:
    return relay.undo(t, listening.number_of(arg))


def _transcript(t: Turn, _: str) -> Decision:
    if t.case.ticket is None:
        return t.no("refused.no_ticket", "no ticket", verb="transcript")
    t.tell(escalation.transcript(t))
    return t.done("transcript", "the conversation, to one agent")


def _draft(t: Turn, _: str) -> Decision:
    """Propose a reply from what was found, or from the language model."""
    if t.open_ticket is None:
        return t.no("refused.state" if t.case.ticket else "refused.no_ticket", "no open ticket", verb="draft")
    found = next((f for f in t.known.found if f.hits and f.confidence >= f.threshold_clarify), None)
    draft = escalation.by_the_model(t.known)
    if not draft.text and found is not None:
        parts = tuple((found.question, hit) for hit in found.cited)
        draft = Proposed(found.composed or found.hits[0].text, parts)
    if not draft.text:
        return t.no("refused.no_draft", "nothing to draft from", verb="draft")
    t.edit(draft=draft.text)
    escalation.offer_draft(t, draft, found.confidence if found is not None else 0.0)
    return t.done("draft", f"a draft for {t.ticket.id}")


def _stale_draft(t: Turn, arg: str) -> Decision | None:
    current = t.case.ticket is not None and bool(t.case.ticket.draft)
    if current and listening.number_of(arg) == t.case.counters.get("draft", 0):
        return None
    return t.no("refused.old_draft", "a draft that is history", verb="send_draft")


def _send_draft(t: Turn, arg: str) -> Decision:
    return _stale_draft(t, arg) or _draft_sent(t, arg, t.ticket.draft)


def _edit_draft(t: Turn, event: FormSubmitted) -> Decision:
    return _stale_draft(t, event.context) or _draft_sent(t, event.context, event.values.get("text", ""))


def _draft_sent(t: Turn, arg: str, text: str) -> Decision:
    draft, category = t.ticket.draft, t.ticket.category
    unchanged = text.strip() == draft.strip()
    t.edit(draft="")
    decision = relay.reply(t, text)
    if decision.kind == "refuse":
        return decision
    return _settled(t, arg, text, category, "sent" if unchanged else "edited")


def _discard_draft(t: Turn, arg: str) -> Decision:
    stale = _stale_draft(t, arg)
    if stale is not None:
        return stale
    draft, category = t.ticket.draft, t.ticket.category
    t.edit(draft="")
    return _settled(t, arg, draft, category, "discarded")


def _settled(t: Turn, arg: str, text: str, category: str, outcome: str) -> Decision:
    """What became of a draft: how often drafts go out unchanged decides whether the bot may speak by itself."""
    n = listening.number_of(arg)
    t.add(Update(f"{t.ticket.id}/draft/{n}", Draft(arg, text, outcome=outcome)))
    t.keep(
        "draft_outcome",
        f"{t.ticket.id}.{n}",
        category=category,
        unchanged=outcome == "sent",
        outcome=outcome,
        reply=f"{t.ticket.id}.{t.case.counters.get('reply', 0)}" if outcome != "discarded" else "",
        by=t.actor.id,
        at=t.now,
    )
    return t.done("reply" if outcome != "discarded" else "draft", f"the draft was {outcome}")


def _reply_form(t: Turn, event: FormSubmitted) -> Decision:
    text, name = event.values.get("text", ""), event.values.get("canned", "")
    if name and name in t.policy.canned:
        body = relay.expanded(t, t.policy.canned[name], {})
        text = f"{body}\n\n{text}".strip()
    return relay.reply(t, text, event.files)


def _needs_form(verb: str) -> Act:
    """A press that should have opened a form and did not, since it is not possible now."""

    def act(t: Turn, _: str) -> Decision:
        unfit = claim.unfit(t, verb) if verb in ("transfer", "escalate", "resolve") else None
        if unfit is not None:
            return unfit
        return t.no(
            "refused.state" if t.case.ticket else "refused.no_ticket", f"{verb}: no form now", verb=verb
        )

    return act


def _nothing_missing(t: Turn, _: str) -> Decision:
    return t.no("refused.nothing_missing", "nothing to fill in", verb="details")


# --- on somebody's message ------------------------------------------------------------------------------------


def on_message(
    t: Turn, event: MessageAction, as_customer: Callable[[Turn, MessageReceived], Decision]
) -> Decision:
    """`help` answers a message as if it had been written to us; `escalate` makes it a ticket."""
    verb = {"help": "help_message", "escalate": "escalate_message"}.get(event.verb, "")
    refused = t.refused(verb)
    if refused is not None:
        return refused
    by_a_bot = event.target_author.is_bot
    if by_a_bot and (event.verb == "help" or not listening.engaged(t.case)):
        return t.no("refused.bot_message", "a bot's message needs no help", verb=event.verb)
    if not listening.engaged(t.case):
        t.change(customer=event.target_author)
    if t.open_ticket is not None:
        return t.no("customer.already", "there is a ticket already", verb=event.verb)
    said = MessageReceived(
        keys=event.keys,
        place=event.target.place,
        actor=event.target_author,
        occurred_at=event.occurred_at,
        ref=event.target,
        text=event.target_text,
        is_root=not listening.engaged(t.case),
    )
    if event.verb == "help":
        t.event = said
        return as_customer(t, said)
    by = t.actor
    if not by_a_bot:
        t.remember("customer", event.target_author.name, event.target_text, event.target)
    t.change(started_at=t.case.started_at or t.now)
    t.event = said
    why = t.policy.phrase("why.agent", name=by.name or by.id)
    escalation.escalate(t, "agent", why, question="" if by_a_bot else event.target_text, by=by)
    t.event = event
    t.whisper("staff.escalated", ticket=t.ticket.id)
    return t.done("escalate", f"{by.name or by.id} escalated a message")


# --- the tables -----------------------------------------------------------------------------------------------


def _vote(verb: str) -> Act:
    return lambda t, arg: feedback.vote(t, verb, arg)


def _stars(n: int) -> Act:
    return lambda t, _: resolve.rate(t, n)


def _control(verb: str) -> Act:
    return lambda t, _: collect.pressed(t, verb)


_PRESSES: Mapping[str, Act] = {
    **{verb: _vote(verb) for verb in ("helpful", "unhelpful", *feedback.REASONS)},
    **{f"csat{n}": _stars(n) for n in range(1, 6)},
    **{verb: _control(verb) for verb in ("skip", "back", "cancel")},
    **{
        verb: _needs_form(verb)
        for verb in ("reply", "transfer", "priority", "escalate", "resolve", "comment")
    },
    "edit_draft": lambda t, arg: _stale_draft(t, arg) or _needs_form("edit_draft")(t, arg),
    "person": lambda t, _: talk.person(t),
    "other_issue": lambda t, _: talk.person(t),
    "pick": answering.picked,
    "none": lambda t, _: answering.none_of_these(t),
    "fill": _nothing_missing,
    "details": _nothing_missing,
    "still_open": lambda t, _: resolve.still_open(t),
    "claim": lambda t, _: claim.claim(t),
    "release": lambda t, _: claim.release(t),
    "return": lambda t, _: claim.return_to_bot(t),
    "acknowledge": lambda t, _: claim.acknowledge(t),
    "reopen": lambda t, _: resolve.reopen(t),
    "undo": _undo,
    "draft": _draft,
    "send_draft": _send_draft,
    "discard_draft": _discard_draft,
    "transcript": _transcript,
}

_FORMS: Mapping[str, Callable[[Turn, FormSubmitted], Decision]] = {
    "reply": _reply_form,
    "edit_draft": _edit_draft,
    "transfer": lambda t, e: claim.transfer(t, e.values.get("to", "")),
    "priority": lambda t, e: claim.set_priority(t, e.values.get("level", ""), e.values.get("reason", "")),
    "escalate": lambda t, e: claim.raise_ticket(t, e.values.get("route", ""), e.values.get("reason", "")),
    "resolve": resolve.from_form,
    "fill": collect.filled,
    "details": collect.add_details,
    "comment": lambda t, e: resolve.comment(t, e.values.get("text", "")),
}
