"""A conversation played against the rules alone: people act, time passes, timers fire; nothing is delivered."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from adapters.port import (
    ActionInvoked,
    Actor,
    CommandInvoked,
    FormSubmitted,
    Inbound,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Place,
    TimerFired,
)
from bot.texts import load_texts
from handoff.decide import decide
from handoff.effects import Cancel, Decision, Effect, Fact, Keep, Say, Wake, Whisper
from handoff.model import Case, Fired, Found, Hit, Known, Reason
from handoff.policy import CategoryRule, ChannelRule, FieldRule, Policy, RouteRule, TierRule

START = 1_764_150_000.0  # Wednesday, 2025-11-26 09:40 UTC
TEXTS = load_texts()

DESK = Place("playground", "playground", "desk", kind="private")
LAB = Place("playground", "playground", "lab", kind="private")
THREAD = Place("playground", "playground", "help", "m0")
CARD = replace(DESK, thread="card")


def person(name: str, *roles: str) -> Actor:
    return Actor("playground", "playground", name.lower(), name, roles=frozenset(roles))


ANA, BEN = person("Ana"), person("Ben")
DANA, KIM, LEE = person("Dana", "agent", "admin"), person("Kim", "agent"), person("Lee", "agent")

FIELDS = {
    f.id: f
    for f in (
        FieldRule("order", "Order number", private=True, pattern=re.compile(r"^[A-Za-z]{0,4}-?\d{3,12}$")),
        FieldRule("email", "E-mail", kind="email", private=True),
        FieldRule("steps", "What did you do, and what happened?", kind="text", required=True),
        FieldRule("version", "App and version"),
        FieldRule("since", "Since when?", kind="date"),
        FieldRule("system", "Which system?", kind="choice", choices=("Windows", "macOS", "Linux")),
        FieldRule("seats", "How many seats?", kind="number"),
        FieldRule("log", "The log file", kind="file"),
    )
}
CATEGORIES = {
    c.name: c
    for c in (
        CategoryRule("general", "Anything else"),
        CategoryRule("billing", "Billing", fields=("order", "email"), leaves=("refund", "invoice")),
        CategoryRule("technical", "Technical", route="lab", fields=("steps", "version"), leaves=("bug",)),
        CategoryRule("sales", "Sales", level="collect", fields=("system", "seats", "since", "log")),
    )
}
POLICY = Policy(
    channels={("playground", "help"): ChannelRule("all")},
    categories=CATEGORIES,
    fields=FIELDS,
    routes={
        "desk": RouteRule("desk", {"playground": DESK}),
        "lab": RouteRule("lab", {"playground": LAB}, on_call="oncall"),
    },
    tiers=(TierRule("gold", users=frozenset({"ben"}), floor="P1"),),
    canned={"hello": "Hello {customer}, this is {agent}.", "amount": "You get {amount} back."},
    agents={"playground": {"dana": "Dana", "kim": "Kim", "lee": "Lee"}},
    phrases=TEXTS.catalogues,
)

# The same where private matters go on in private threads; ROOM is the one of the conversation in THREAD.
QUIET = replace(
    POLICY,
    channels={("playground", "help"): ChannelRule("all", private=True)},
    categories={n: replace(c, private=n in ("billing", "sales")) for n, c in CATEGORIES.items()},
)
ROOM = replace(THREAD, thread="t9", kind="private")
ANCHOR = "c-0123456789/private"

REFUND = Hit(
    "refund", "Refund policy", "Within **14 days** you get your money back.", 0.95, 0.9, "billing/refund.md",
    "v1", "p1", category="billing", reviewed="2025-10-01",
)  # fmt: skip
INVOICE = Hit("invoice", "Invoices", "Invoices are under Settings.", 0.5, 0.5, category="billing")
LOGIN = Hit("login", "Logging in", "Use the link in the mail.", 0.5, 0.4)


def found(*hits: Hit, sure: float = 0.95, question: str = "", language: str = "") -> Found:
    return Found("snap-1", question or "the question", hits, sure, 0.8, 0.4, language)


class Scene:
    """One conversation. `log` holds all effects; `told` what the customer can see."""

    def __init__(self, policy: Policy = POLICY, *, customer: Actor = ANA, place: Place = THREAD) -> None:
        self.policy, self.now = policy, START
        self.case = Case("c-0123456789", place, customer)
        self.log: list[Effect] = []
        self.timers: dict[str, Wake] = {}
        self.last: Decision | None = None
        self._messages = 0

    # --- what people do ---

    def play(self, event: Inbound, **known: Any) -> Decision:
        known.setdefault("next_number", 1042 + len(self.case.closed_tickets) + (self.case.ticket is not None))
        decision = decide(self.case, event, Known(**known), self.now, self.policy)
        self.case, self.last = decision.case, decision
        self.log += decision.effects
        for effect in decision.effects:
            if isinstance(effect, Wake):
                self.timers[effect.timer] = effect
            elif isinstance(effect, Cancel):
                self.timers.pop(effect.timer, None)
        self.now += 1
        return decision

    def message(self, actor: Actor, text: str, place: Place | None = None, **more: Any) -> MessageReceived:
        place = place or self.case.place
        ref = MsgRef(place, f"m{self._messages}")
        self._messages += 1
        return MessageReceived(
            keys=(f"k{self._messages}",),
            place=place,
            actor=actor,
            occurred_at=self.now,
            ref=ref,
            text=text,
            **more,
        )

    def asks(
        self,
        text: str = "How do I get my money back?",
        *results: Found,
        fired: str = "",
        by: Actor | None = None,
        message: dict[str, Any] | None = None,
        **known: Any,
    ) -> Decision:
        """The customer writes; `results` is what the search gave, `fired` the trigger."""
        triggers = (Fired(fired, Reason("says", "so")),) if fired else ()
        event = self.message(by or self.case.customer, text, is_root=self._messages == 0, **(message or {}))
        return self.play(event, found=results, fired=triggers, **known)

    def notes(self, actor: Actor, text: str, **more: Any) -> Decision:
        """An agent writes in the ticket's staff thread."""
        return self.play(self.message(actor, text, CARD, **more), anchor=f"{self.number}/card")

    def steps_in(self, actor: Actor, text: str = "Hi, let me help.", **more: Any) -> Decision:
        """An agent writes in the customer's thread."""
        return self.play(self.message(actor, text, **more))

    def presses(self, actor: Actor, verb: str, arg: str = "", **known: Any) -> Decision:
        place = CARD if "agent" in actor.roles else self.case.place
        self._messages += 1
        event = ActionInvoked(
            keys=(f"k{self._messages}",), place=place, actor=actor, occurred_at=self.now, verb=verb,
            arg=arg or self.number,
        )  # fmt: skip
        return self.play(event, **known)

    def submits(self, actor: Actor, form: str, context: str = "", **values: str) -> Decision:
        return self.play(self.form(actor, form, context, **values))

    def form(self, actor: Actor, form: str, context: str = "", **values: str) -> FormSubmitted:
        self._messages += 1
        return FormSubmitted(
            keys=(f"k{self._messages}",), place=self.case.place, actor=actor, occurred_at=self.now, form=form,
            context=context or self.number, values=values,
        )  # fmt: skip

    def runs(self, actor: Actor, verb: str, text: str = "", **known: Any) -> Decision:
        event = CommandInvoked(
            keys=("c1",), place=DESK, actor=actor, occurred_at=self.now, name=verb, text=text
        )
        return self.play(event, **known)

    def edits(self, actor: Actor, message: str, text: str, place: Place | None = None) -> Decision:
        place = place or self.case.place
        return self.play(
            MessageEdited(
                keys=("e1",),
                place=place,
                actor=actor,
                occurred_at=self.now,
                ref=MsgRef(place, message),
                text=text,
            )
        )

    def deletes(self, actor: Actor, message: str, place: Place | None = None) -> Decision:
        place = place or self.case.place
        ref = MsgRef(place, message)
        return self.play(
            MessageDeleted(keys=("d1",), place=place, actor=actor, occurred_at=self.now, ref=ref)
        )

    def passes(self, seconds: float) -> list[str]:
        """Time passes; timers fire in order. Returns their names."""
        until, fired = self.now + seconds, []
        while due := [w for w in self.timers.values() if w.at <= until]:
            timer = min(due, key=lambda w: w.at)
            del self.timers[timer.timer]
            self.now = max(self.now, timer.at)
            fired.append(timer.timer)
            self.play(
                TimerFired(
                    keys=(timer.timer,), place=self.case.place, actor=None, occurred_at=timer.at, timer=timer.timer,
                    arg=timer.arg,
                )
            )  # fmt: skip
        self.now = until
        return fired

    # --- what came of it ---

    @property
    def number(self) -> str:
        return self.case.ticket.id if self.case.ticket is not None else self.case.id

    @property
    def told(self) -> list[Fact]:
        """What the customer can see, in order."""
        return [e.what for e in self.log if isinstance(e, Say) and e.audience == "customer"]

    @property
    def bot_said(self) -> list[Fact]:
        return [
            e.what for e in self.log if isinstance(e, Say) and e.audience == "customer" and e.voice == "bot"
        ]

    def staff_saw(self, kind: type[Fact]) -> list[Any]:
        return [
            e.what
            for e in self.log
            if isinstance(e, Say) and e.audience == "staff" and isinstance(e.what, kind)
        ]

    def kept(self, kind: str) -> list[Keep]:
        return [e for e in self.log if isinstance(e, Keep) and e.kind == kind]

    def handed_over(self) -> Scene:
        """With a ticket that nobody has."""
        self.asks("My order INV-12345 never arrived", fired="human")
        return self

    def claimed(self, by: Actor = KIM) -> Scene:
        self.handed_over()
        self.presses(by, "claim")
        return self


def whispered(decision: Decision) -> str:
    """The key of what one person was told."""
    lines = [e.what for e in decision.effects if isinstance(e, Whisper)]
    return getattr(lines[0], "key", type(lines[0]).__name__) if lines else ""
