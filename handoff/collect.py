"""Forms in the thread: one field at a time, prefilled from what was said, checked, and never a trap.

Private fields never travel through a public thread: there they are one button that opens a form. "skip", "back" and
"cancel" work as words and as buttons; a new question is answered first; three wrong tries and it goes on without.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.port import FileRef, FormSubmitted
from handoff import escalation, private
from handoff.effects import Decision
from handoff.facts import Line
from handoff.fields import Answers, by_form, chosen, clean, control_word, missing, problem, question
from handoff.model import Asked, Collecting, Phase
from handoff.policy import CategoryRule, FieldRule
from handoff.summary import latest_question
from handoff.turn import Turn

TRIES_MAX = 3


# --- the conversation ---------------------------------------------------------------------------------------


def begin(t: Turn, category: CategoryRule, trigger: str, why: str) -> Decision:
    """Ask for what a person will need. Nothing to ask: straight to the ticket."""
    fields = tuple(r.id for r in missing(t.case, category, t.policy))
    if not fields:
        escalation.escalate(t, trigger, why, category=category.name)
        return t.done("escalate", f"{why}; nothing is missing")
    t.change(
        collecting=Collecting(category.name, fields, trigger=trigger, why=why),
        phase=Phase.COLLECTING,
        pending_question=latest_question(t.case),
        offered=None,
        others=(),
    )
    private.move(t, category, trigger)
    t.rule("collect", f"{category.name}: {', '.join(fields)}")
    return proceed(t, f"{why}; collecting {', '.join(fields)}", begins=True)


def proceed(t: Turn, why: str, wrong: str = "", *, again: bool = False, begins: bool = False) -> Decision:
    """Ask the field that is next, or open the ticket when none is left."""
    now = t.case.collecting
    if now is None:
        return t.ignore(why)
    rule = t.policy.fields.get(now.fields[now.at]) if now.at < len(now.fields) else None
    if rule is None:
        escalation.escalate(t, now.trigger or "collect", now.why, category=now.category)
        return t.done("escalate", f"the form is complete: {now.why}")
    anchor = f"{t.case.id}/field/{t.count('field')}"
    asked = Asked(anchor, now.at, wrong, again, t.opening(), begins, t.case.language)
    t.change(collecting=replace(now, asked=asked))
    t.say(question(rule, t.case, now, asked, t.policy), asked.anchor)
    return t.done("collect", why)


def current(t: Turn) -> FieldRule | None:
    """The field that is being asked."""
    now = t.case.collecting
    if now is None or now.at >= len(now.fields):
        return None
    return t.policy.fields.get(now.fields[now.at])


def answered(t: Turn, text: str, files: tuple[FileRef, ...]) -> Decision:
    """The customer wrote while a form is open: a control word, or the value of the field."""
    rule, now = current(t), t.case.collecting
    if rule is None or now is None:
        return proceed(t, "the form had no field left")
    verb = control_word(text)
    if verb and not (rule.kind == "choice" and chosen(rule, text)):
        return control(t, verb)
    wrong = problem(rule, text, files)
    if not wrong:
        values = {**now.values, rule.id: clean(rule, text, files)}
        t.change(collecting=replace(now, values=values, at=now.at + 1, tries=0))
        return proceed(t, f"{rule.id} was answered")
    if now.tries + 1 >= TRIES_MAX:
        t.change(collecting=replace(now, at=now.at + 1, tries=0))
        return proceed(t, f"{rule.id} stays open after {TRIES_MAX} tries; nobody is kept in a form")
    t.change(collecting=replace(now, tries=now.tries + 1))
    return proceed(t, f"{rule.id} was not right: {wrong}", wrong)


def pressed(t: Turn, verb: str) -> Decision:
    """Skip, back or cancel by a button: that of the question that is open. Pressed twice, or under an older question
    whose buttons were just going, it must not skip what was never read; to cancel is meant wherever it stands."""
    asked = t.case.collecting.asked if t.case.collecting is not None else None
    if verb != "cancel" and asked is not None and t.known.anchor not in ("", asked.anchor):
        return t.no("refused.late", f"{verb}: that question is no longer open", verb=verb)
    return control(t, verb)


def control(t: Turn, verb: str) -> Decision:
    """Skip, back or cancel."""
    now = t.case.collecting
    if now is None:
        return t.no("refused.no_form", f"{verb}: no form is open", verb=verb)
    if verb == "cancel":
        t.change(collecting=None, phase=Phase.BOT, pending_question="", others=())
        t.say(Line("collect.cancelled", buttons=(("person", t.case.id),), opening=t.opening()))
        return t.done("collect", "the customer cancelled the form")
    if verb == "back":
        t.change(collecting=replace(now, at=max(0, now.at - 1), tries=0))
        return proceed(t, "back to the field before")
    rule = current(t)
    step = 1
    if rule is not None and by_form(rule, t.case):  # one button stands for all private fields
        step = len(now.fields) - now.at
    elif rule is not None and rule.required and now.tries == 0:
        t.change(collecting=replace(now, tries=1))
        return proceed(t, f"{rule.id} is needed; asked once more", "problem.required")
    t.change(collecting=replace(now, at=now.at + step, tries=0))
    return proceed(t, f"{rule.id if rule else 'the field'} was skipped")


def filled(t: Turn, event: FormSubmitted) -> Decision:
    """The private fields came back: now the ticket has what it needs."""
    now = t.case.collecting
    if now is None:
        return add_details(t, event)
    t.change(collecting=replace(now, at=len(now.fields)))
    escalation.escalate(t, now.trigger or "collect", now.why, category=now.category, values=event.values)
    _pass_on_files(t, event)
    return t.done("escalate", f"the private fields were filled in: {now.why}")


def add_details(t: Turn, event: FormSubmitted) -> Decision:
    """Details that the customer adds to a ticket that exists."""
    if t.open_ticket is None:
        return t.no("refused.no_ticket", "details for a ticket that is not open", verb="details")
    _store(t, event)
    rules = [t.policy.fields[k] for k in event.values if k in t.policy.fields]
    labels = ", ".join(t.policy.words_of(rule).label for rule in rules)
    t.staff(Line("staff.details", {"name": t.case.customer.name, "fields": labels}))
    _pass_on_files(t, event)
    t.whisper("customer.details", ticket=t.ticket.id)
    return t.done("collect", "the customer added details")


def _pass_on_files(t: Turn, event: FormSubmitted) -> None:
    """What was uploaded in the form stands nowhere else: into the staff thread with it."""
    if event.files:
        t.staff(Line("staff.files", {"name": t.case.customer.name}), files=event.files)


def _store(t: Turn, event: FormSubmitted) -> None:
    """Private values go to the ticket alone: not into the conversation, not into the transcript."""
    known = Answers(t.ticket.fields, t.ticket.private_fields).plus(event.values, t.policy)
    t.edit(fields=known.public, private_fields=known.private)
    escalation.capture(t)
