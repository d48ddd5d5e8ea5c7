"""Small, deterministic replacements with behaviour: a knowledge that knows six topics, signals that read capitals.

The simulated worlds put them behind the real engine. What they say follows from the text alone.
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import replace

from adapters.port import Block, Button, Content, Place, Span
from bot.batch import Step
from bot.storage import Storage
from handoff import facts
from handoff.decide import wants_search, wants_signals
from handoff.effects import Fact
from handoff.model import Case, Fired, Found, Hit, Known, Reason
from handoff.policy import CategoryRule, ChannelRule, FieldRule, Policy, RouteRule, Timers
from tests.world import DESK, NAME

TOPICS = ("refunds", "passwords", "invoices", "calendars", "plans", "exports")
SHOUTS = {
    "HUMAN": "human", "DOWN": "outage", "LAWYER": "legal", "ANGRY": "angry", "BROKEN": "bug", "INSULT": "abuse",
}  # fmt: skip


def policy(**changes: object) -> Policy:
    """A desk of two teams that never sleeps; forms with public and private fields; two canned replies."""
    desks = {NAME: Place(NAME, NAME, DESK, None, "private")}
    made = Policy(
        channels={
            (NAME, "help"): ChannelRule("all"), (NAME, "talk"): ChannelRule("mention"),
            (NAME, "ask"): ChannelRule("questions"),
        },
        categories={
            "general": CategoryRule("general", "Anything else"),
            "billing": CategoryRule("billing", "Billing", fields=("order", "email")),
            "technical": CategoryRule("technical", "Technical", fields=("steps", "version")),
        },
        fields={
            "summary": FieldRule("summary", "What is it about?", "text", required=True),
            "order": FieldRule("order", "Order number", private=True, pattern=re.compile(r"^\d{3,12}$")),
            "email": FieldRule("email", "E-mail", "email", private=True),
            "steps": FieldRule("steps", "What happened?", "text"),
            "version": FieldRule("version", "App and version"),
        },
        routes={
            "desk": RouteRule("desk", desks, on_call="on-call"),
            "specialists": RouteRule("specialists", {NAME: Place(NAME, NAME, "desk-two", None, "private")}),
        },
        timers=Timers(),
        canned={"thanks": "Thank you, {customer}.", "ask": "Please tell us your {version}."},
        agents={NAME: {"dana": "Dana", "kim": "Kim", "lee": "Lee"}},
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


class Gatherer:
    """The facts for one step, after a while: the search takes time, and other things happen meanwhile."""

    def __init__(self, storage: Storage, rules: Policy, rng: random.Random, seconds: float = 0.05) -> None:
        self._storage, self._policy, self._rng, self._seconds = storage, rules, rng, seconds
        self.failing = 0.0
        self.searches = 0

    async def known(self, case: Case, step: Step, number: int, anchor: str, now: float) -> Known:
        event = step.event
        known = Known(
            next_number=number, refs=step.refs, texts=step.texts, anchor=anchor, redacted=event.redacted,
            waited_seconds=max(0.0, now - event.occurred_at) if event.catchup else 0.0,
            earlier=tuple(await self._storage.earlier(case)),
        )  # fmt: skip
        said = wants_signals(case, event, self._policy, now)
        question = wants_search(case, event, self._policy, now)
        if said:
            known = replace(known, fired=signals(said))
        if question:
            self.searches += 1
            await asyncio.sleep(self._rng.expovariate(1 / self._seconds))
            if self._rng.random() < self.failing:
                return replace(known, search_failed="R-1")
            known = replace(known, found=(search(question),), snapshot="s-1")
        return known


def signals(text: str) -> tuple[Fired, ...]:
    return tuple(Fired(trigger, Reason("says", word)) for word, trigger in SHOUTS.items() if word in text)


def search(question: str) -> Found:
    """Sure of a topic that is named alone, torn between two that are named together, else ignorant."""
    named = [t for t in TOPICS if t.rstrip("s") in question.lower()]
    sure = 0.95 if len(named) == 1 else 0.5 if named else 0.02
    level = "collect" if "collect" in question else "draft" if "draft" in question else "answer"
    hits = tuple(
        Hit(t, t.capitalize(), f"Approved text about {t}.", sure, sure, f"{t}.md", "v1", f"{t}#1", level, "billing")
        for t in named or TOPICS[:2]
    )  # fmt: skip
    return Found("s-1", question, hits, sure, 0.7, 0.3)


def word(fact: Fact, language: str = "") -> Content:
    """Every fact as plain words with its buttons. The product's wording is tested by itself."""
    buttons: tuple[Button, ...] = ()
    match fact:
        case facts.Answer():
            buttons = _buttons(fact.arg, "helpful", "unhelpful")
        case facts.Ask(over=True) | facts.Offer(over=True):
            buttons = ()
        case facts.Ask():
            picks = tuple(Button("pick", f"{fact.arg}.{n}", o) for n, o in enumerate(fact.options))
            buttons = (*picks, *_buttons(fact.arg, "none", "person"))
        case facts.Offer() | facts.Incident():
            buttons = _buttons(fact.arg, "person")
        case facts.AskField():
            verbs = ("fill", "skip", "cancel") if fact.private else ("skip", "back", "cancel")
            buttons = _buttons(fact.arg, *verbs)
        case facts.HandedOver():
            buttons = _buttons(fact.number, "details") if fact.details else ()
        case facts.Resolved():
            buttons = _buttons(fact.number, "csat1", "csat5", "comment", "still_open")
        case facts.Card():
            buttons = _buttons(fact.ticket.id, *fact.buttons)
        case facts.Raised():
            buttons = _buttons(fact.ticket.id, "claim")
        case facts.OnCall():
            buttons = _buttons(fact.ticket.id, "acknowledge")
        case facts.Preview():
            buttons = _buttons(fact.arg, "undo") if fact.state == "waiting" else ()
        case facts.Draft():
            buttons = () if fact.outcome else _buttons(fact.arg, "send_draft", "edit_draft", "discard_draft")
        case facts.Line():
            buttons = tuple(Button(verb, arg, verb) for verb, arg in fact.buttons)
    revision = fact.ticket.revision if isinstance(fact, facts.Card) else 0
    body = (Block("para", ((Span(_said(fact)),),)),)
    return Content(body=body, buttons=buttons, revision=revision, title=type(fact).__name__)


def _buttons(arg: str, *verbs: str) -> tuple[Button, ...]:
    return tuple(Button(verb, arg, verb) for verb in verbs)


def _said(fact: Fact) -> str:
    """The readable part of a fact: never the private fields of a ticket."""
    match fact:
        case facts.Line():
            return f"{fact.key} {' '.join(fact.values.values())}"
        case facts.Card():
            return f"{fact.ticket.id} {fact.ticket.state} {fact.ticket.subject} {' / '.join(fact.ticket.failures)}"
        case facts.Transcript():
            return "\n".join(f"{line.name}: {line.text}" for line in fact.lines)
        case facts.InThread():
            return "(deleted)" if fact.said.deleted else f"{fact.said.name}: {fact.said.text}"
        case facts.Answer() | facts.Relayed() | facts.Draft() | facts.Incident():
            return fact.text
        case facts.Correction():
            return f"Correction of {fact.title}: {fact.text}"
        case facts.Preview():
            return f"{fact.state}: {fact.text}"
        case facts.Resolved():
            return f"solved: {fact.summary}"
        case facts.HandedOver():
            return f"handed over: {fact.number}"
        case facts.Proposal():
            return f"{fact.question} {fact.answer}"
        case _:
            return type(fact).__name__
