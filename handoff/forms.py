"""Which form a press or a command opens at once, and what is wrong with one that came back.

At most five inputs, so that one form fits every platform. Labels come from the policy's phrases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from adapters.port import (
    ActionInvoked,
    CommandInvoked,
    Form,
    FormErrors,
    FormInput,
    FormSubmitted,
    Inbound,
)
from handoff import fields, listening, relay
from handoff import ticket as tickets
from handoff.model import Case, Ticket
from handoff.policy import RESOLUTION_TYPES, ROOT_CAUSES, FieldRule, FieldWords, Policy, refusal
from handoff.summary import shorten

INPUTS_MAX, CHOICES_MAX = 5, 25
TITLE_CHARACTERS, LABEL_CHARACTERS, HINT_CHARACTERS = 24, 45, 100
FORMS = (
    *("reply", "edit_draft", "transfer", "priority", "escalate", "resolve"),
    *("fill", "details", "comment"),
)


def form_for(event: Inbound, case: Case | None, policy: Policy, language: str) -> Form | None:
    """The form to show at once, or None: no form, not allowed, or not possible now (`decide` says which)."""
    verb = _verb(event)
    if case is None or verb not in FORMS or refusal(event.actor, verb, case, policy):
        return None
    ticket = case.ticket
    if verb in ("fill", "details"):
        return _private(verb, case, policy, language)
    if ticket is None or not _of_this_ticket(event, ticket):
        return None
    if verb == "comment":
        return _comment(ticket, policy, language) if not ticket.is_open else None
    if verb in ("reply", "edit_draft", "priority") and not ticket.is_open:
        return None
    if verb in ("transfer", "escalate", "resolve") and not tickets.may_move(ticket, verb):
        return None
    return _desk_form(verb, event.arg if isinstance(event, ActionInvoked) else "", case, ticket, policy)


def _verb(event: Inbound) -> str:
    """The form's name, for presses and for commands that say no more than the ticket."""
    if isinstance(event, ActionInvoked):
        return event.verb
    if isinstance(event, CommandInvoked) and len(event.text.split()) <= 1:
        return event.name
    return ""


def _of_this_ticket(event: Inbound, ticket: Ticket) -> bool:
    if isinstance(event, ActionInvoked):
        return event.arg.partition(".")[0] == ticket.id
    return True


def _made(verb: str, inputs: tuple[FormInput, ...], context: str, policy: Policy, language: str) -> Form:
    title = policy.phrase(f"form.{verb}.title", language)[:TITLE_CHARACTERS]
    submit = policy.phrase(f"form.{verb}.submit", language)[:TITLE_CHARACTERS]
    return Form(verb, title, inputs[:INPUTS_MAX], context, submit)


def _desk_form(verb: str, arg: str, case: Case, ticket: Ticket, policy: Policy) -> Form | None:
    spoken = policy.language

    def label(key: str) -> str:
        return policy.phrase(f"form.{verb}.{key}", spoken)[:LABEL_CHARACTERS]

    match verb:
        case "reply":
            inputs = _reply_inputs(label("text"), label("canned"), policy)
        case "edit_draft":
            n = listening.number_of(arg)
            if not ticket.draft or n != case.counters.get("draft", 0):
                return None
            form_context = f"{ticket.id}.{n}"
            text = FormInput("text", label("text"), "text", value=ticket.draft[:3000])
            return _made(verb, (text,), form_context, policy, spoken)
        case "transfer":
            inputs = (_agent_input(label("to"), case, ticket, policy),)
        case "priority":
            levels = tuple((p, policy.phrase(f"priority.{p}", spoken)) for p in sorted(policy.targets))
            inputs = (
                FormInput("level", label("level"), "choice", value=ticket.priority, choices=levels),
                FormInput("reason", label("reason"), "line", required=False, max=200),
            )
        case "escalate":
            routes = tuple((r, r) for r in list(policy.routes)[:CHOICES_MAX])
            inputs = (
                FormInput("route", label("route"), "choice", value=ticket.route, choices=routes),
                FormInput("reason", label("reason"), "text", max=300),
            )
        case _:
            inputs = _resolve_inputs(label, ticket, policy, spoken)
    return _made(verb, inputs, ticket.id, policy, spoken)


def _reply_inputs(text: str, canned: str, policy: Policy) -> tuple[FormInput, ...]:
    inputs = (FormInput("text", text, "text", required=not policy.canned),)
    if not policy.canned:
        return inputs
    names = tuple((n, n) for n in sorted(policy.canned)[:CHOICES_MAX])
    return (*inputs, FormInput("canned", canned, "choice", required=False, choices=names))


def _agent_input(label: str, case: Case, ticket: Ticket, policy: Policy) -> FormInput:
    """A choice of colleagues by name; a line to write the name in where they are too many for one list."""
    desk = policy.desk(ticket.route, case.place.platform)
    people = policy.agents.get(desk.platform if desk is not None else case.place.platform, {})
    had = ticket.assignee.id if ticket.assignee is not None else ""
    others = sorted(
        ((who, name) for who, name in people.items() if name and who != had), key=lambda one: one[1]
    )
    if 0 < len(others) <= CHOICES_MAX:
        return FormInput("to", label, "choice", choices=tuple(others))
    names = ", ".join(name for _, name in others)
    return FormInput("to", label, "line", max=80, hint=shorten(names, HINT_CHARACTERS))


def _resolve_inputs(
    label: Callable[[str], str], ticket: Ticket, policy: Policy, spoken: str
) -> tuple[FormInput, ...]:
    kinds = tuple((k, policy.phrase(f"resolution.{k}", spoken)) for k in RESOLUTION_TYPES)
    causes = tuple((c, policy.phrase(f"cause.{c}", spoken)) for c in ROOT_CAUSES)
    yes_no = (("no", policy.phrase("word.no", spoken)), ("yes", policy.phrase("word.yes", spoken)))
    return (
        FormInput("kind", label("kind"), "choice", value=RESOLUTION_TYPES[0], choices=kinds),
        FormInput("cause", label("cause"), "choice", choices=causes),
        FormInput("summary", label("summary"), "text", required=False, max=1500),
        FormInput("tags", label("tags"), "line", required=False, value=", ".join(ticket.tags), max=300),
        FormInput("save", label("save"), "choice", value="no", choices=yes_no),
    )


def _comment(ticket: Ticket, policy: Policy, language: str) -> Form:
    label = policy.phrase("form.comment.text", language)[:LABEL_CHARACTERS]
    text = FormInput("text", label, "text", value=ticket.csat_comment, max=1500)
    return _made("comment", (text,), ticket.id, policy, language)


def _private(verb: str, case: Case, policy: Policy, language: str) -> Form | None:
    """The fields that travel in a form: private ones while collecting, all that are missing afterwards."""
    if verb == "fill":
        form = case.collecting
        names = form.fields[form.at :] if form is not None else ()
        rules = [policy.fields[n] for n in names if n in policy.fields and policy.fields[n].private]
    else:
        if case.ticket is None or not case.ticket.is_open:
            return None
        told = {*case.ticket.fields, *case.ticket.private_fields}
        every = fields.missing(case, policy.category(case.ticket.category), policy)
        rules = [r for r in every if r.id not in told and r.kind != "file"]
    if not rules:
        return None
    context = case.ticket.id if case.ticket is not None and verb == "details" else case.id
    inputs = tuple(
        _input(rule, policy.words_of(rule, language), optional=verb == "details") for rule in rules
    )
    return _made(verb, inputs, context, policy, language)


def _input(rule: FieldRule, words: FieldWords, *, optional: bool) -> FormInput:
    choices = tuple(zip(rule.choices, words.choices, strict=True))[:CHOICES_MAX]
    kind = "line" if rule.kind == "number" else rule.kind
    return FormInput(
        rule.id,
        words.label[:LABEL_CHARACTERS],
        kind,
        rule.required and not optional,
        hint=words.hint[:HINT_CHARACTERS],
        choices=choices,
    )


# --- coming back ----------------------------------------------------------------------------------------------


def form_errors(event: FormSubmitted, case: Case | None, policy: Policy, language: str) -> FormErrors | None:
    """Why the form is refused, by input; None when it can be recorded."""
    errors: dict[str, str] = {}
    if event.form in ("fill", "details"):
        for name, value in event.values.items():
            rule = policy.fields.get(name)
            if rule is None or rule.kind == "file" or (not value.strip() and not rule.required):
                continue
            wrong = fields.problem(rule, value, event.files)
            if wrong:
                words = policy.words_of(rule, language)
                errors[name] = policy.phrase(wrong, language, label=words.label, hint=words.hint, choices="")
    elif event.form == "reply" and case is not None:
        errors = _reply_errors(event, policy, language)
    elif event.form == "priority" and event.values.get("level") not in policy.targets:
        errors["level"] = policy.phrase(
            "problem.choice", language, label="", hint="", choices="P0, P1, P2, P3"
        )
    return FormErrors(errors, _refilled(event, case, policy, language)) if errors else None


def _refilled(event: FormSubmitted, case: Case | None, policy: Policy, language: str) -> Form | None:
    """The same form with what was typed, for platforms that cannot show errors inside it."""
    if case is None:
        return None
    if event.form in ("fill", "details"):
        form = _private(event.form, case, policy, language)
    elif case.ticket is not None:
        form = _desk_form(event.form, event.context, case, case.ticket, policy)
    else:
        return None
    if form is None:
        return None
    typed = tuple(replace(i, value=event.values.get(i.id, i.value)) for i in form.inputs)
    return replace(form, inputs=typed)


def _reply_errors(event: FormSubmitted, policy: Policy, language: str) -> dict[str, str]:
    text, name = event.values.get("text", ""), event.values.get("canned", "")
    if not text.strip() and not name and not event.files:
        return {"text": policy.phrase("problem.empty", language, label="", hint="", choices="")}
    slots = ", ".join(f"{{{s}}}" for s in relay.slots_in(text, policy))
    return {"text": policy.phrase("problem.slots", language, slots=slots)} if slots else {}
