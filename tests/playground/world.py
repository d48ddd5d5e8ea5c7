"""A desk that answers, small and honest: what the playground's tests put behind the adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from adapters.chat_room import Person
from adapters.local_chat import LocalChat
from adapters.port import (
    ActionInvoked,
    Actor,
    Block,
    Button,
    CommandInvoked,
    Content,
    Edit,
    Form,
    FormErrors,
    FormInput,
    FormSubmitted,
    Inbound,
    Mark,
    MessageReceived,
    MsgRef,
    OpenThread,
    Place,
    PlatformName,
    Post,
    Private,
    Span,
)

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'

CUSTOMERS = (Person("ana", "Ana"), Person("ben", "Ben"), Person("chloe", "Chloe"), Person("mal", HOSTILE))
AGENTS = ("dana", "kim", "lee")
ADMINS = ("dana",)


def para(*texts: str) -> Block:
    return Block("para", tuple((Span(t),) for t in texts))


DETAILS = Form(
    id="details",
    title="Tell us more",
    inputs=(
        FormInput("email", "E-mail", kind="email", hint="only the team sees it"),
        FormInput("what", "What happened?", kind="text", required=False),
        FormInput("plan", "Plan", kind="choice", choices=(("s", "Starter"), ("t", "Team"))),
    ),
    context="c-1",
    submit="Send to the team",
)


class SmallDesk:
    """A sink that answers a question, opens a ticket on request and lets one agent claim it."""

    def __init__(self, chat: LocalChat) -> None:
        self.chat = chat
        self.events: list[Inbound] = []
        self.states: list[str] = []
        self.refusing = False
        self.card: MsgRef | None = None
        self.claimed = ""
        self._count = 0

    def state(self, platform: PlatformName, state: str, detail: str = "") -> None:
        self.states.append(state)

    async def marks(self, platform: PlatformName) -> Sequence[Mark]:
        return ()

    async def watch(self, marks: Sequence[Mark]) -> None:
        pass

    async def assignees(self, platform: PlatformName) -> Sequence[str]:
        return ()

    @asynccontextmanager
    async def catching_up(self, platform: PlatformName) -> AsyncIterator[None]:
        yield

    async def choices(
        self, platform: PlatformName, actor: Actor, option: str, typed: str
    ) -> Sequence[tuple[str, str]]:
        return ()

    async def receive(self, event: Inbound) -> Form | FormErrors | None:
        if self.refusing:
            raise OSError("disk full")
        match event:
            case ActionInvoked(verb="person"):
                return DETAILS
            case CommandInvoked(name="resolve", text=ticket):
                return Form(
                    id="resolve", title="Resolve", inputs=(FormInput("text", "Summary"),), context=ticket
                )
            case FormSubmitted(values=values) if "@" not in values.get("email", ""):
                return FormErrors({"email": "That is not an e-mail address."})
        self.events.append(event)
        match event:
            case MessageReceived(place=Place(kind="private")):
                pass
            case MessageReceived():
                await self.answer(event)
            case FormSubmitted():
                await self.open_ticket(event)
            case ActionInvoked(verb="claim"):
                await self.claim(event)
            case CommandInvoked(name="claim", text=ticket):
                self.chat.observe(self.trace(event, "claim", f"Dana claimed {ticket}"))
            case CommandInvoked():
                await self.say_status(event)
        return None

    def key(self) -> str:
        self._count += 1
        return f"row-{self._count}"

    async def post(self, place: Place, content: Content, speaking_as: str = "") -> MsgRef:
        done = await self.chat.deliver(Post(place, content, speaking_as=speaking_as), 0, self.key())
        assert done.ref is not None
        return done.ref

    async def answer(self, event: MessageReceived) -> None:
        text = "You can ask for your money back within 14 days if the service has not started."
        content = Content(
            body=(
                para(text),
                Block("note", ((Span("From "), Span("Refund policy", url="https://example.org/refunds")),)),
            ),
            buttons=(
                Button("helpful", "A-1", "Helpful"),
                Button("person", "c-1", "Talk to a person", confirm=None),
            ),
        )
        await self.post(event.place, content)
        self.chat.observe(
            self.trace(event, "answer", "The refund policy answers this: 0.93 is above the line of 0.74.")
        )

    async def open_ticket(self, event: FormSubmitted) -> None:
        self.card = await self.post(self.chat.room.place("desk"), self.card_content("new"))
        await self.chat.deliver(OpenThread(self.card, "T-1042"), 0, self.key())
        await self.post(event.place, Content(body=(para("A person will look at this: T-1042."),)))
        self.chat.observe(self.trace(event, "escalate", "The customer asked for a person."))

    def card_content(self, status: str) -> Content:
        fields = (
            "Customer",
            "Ana",
            "Category",
            "billing / refund",
            "Wants",
            "money back",
            "Due",
            "in 3 h 50 min",
        )
        return Content(
            title="T-1042 · Refund for last month",
            status=f"P2 · {status}",
            body=(para("Ana asks for her money back."), Block("fields", tuple((Span(f),) for f in fields))),
            buttons=(
                Button("claim", "T-1042", "Claim", style="primary"),
                Button("resolve", "T-1042", "Resolve"),
            ),
            footer="Why it is here: the customer asked for a person",
            revision=self._count,
        )

    async def claim(self, event: ActionInvoked) -> None:
        assert event.actor is not None
        if self.claimed:
            words = Content(body=(para(f"{self.claimed} already has T-1042."),))
            await self.chat.deliver(Private(event.place, event.actor, words), 0, self.key())
            return
        self.claimed = event.actor.name
        assert self.card is not None
        await self.chat.deliver(Edit(self.card, self.card_content(f"open · {self.claimed}")), 0, self.key())

    async def say_status(self, event: CommandInvoked) -> None:
        assert event.actor is not None
        content = Content(body=(para(f"{event.name}: 44 topics, snapshot 3f9a1b2c."),))
        op = Private(event.place, event.actor, content, interaction=event.keys[0])
        await self.chat.deliver(op, 0, self.key())

    def trace(self, event: Inbound, kind: str, why: str) -> dict[str, Any]:
        return {
            "at": event.occurred_at,
            "conversation": event.place.conversation,
            "event": event.type,
            "key": event.keys[0],
            "kind": kind,
            "why": why,
            "trace": [("triggers", "none"), ("launch mode", "answer"), ("level", "answer")],
            "evidence": [
                {
                    "topic": "refund-policy",
                    "title": "Refund policy",
                    "confidence": 0.93,
                    "score": 0.81,
                    "evidence": {"dense": 0.77, "bm25": 9.31},
                },
                {
                    "topic": "cancel-plan",
                    "title": "Cancel a plan",
                    "confidence": 0.04,
                    "score": 0.42,
                    "evidence": {},
                },
            ],
            "snapshot": "3f9a1b2c77d0",
            "confidence": 0.93,
            "threshold_answer": 0.74,
            "timings_ms": {"embed": 4.2, "search": 1.7, "decide": 0.1},
            "phase": "bot" if kind == "answer" else "desk",
            "ticket": None if kind == "answer" else {"id": "T-1042", "state": "new", "assignee": ""},
        }


async def settle() -> None:
    """Let everything that is ready happen."""
    for _ in range(5):
        await asyncio.sleep(0)


def actor_of(person: Person) -> Actor:
    return replace(Actor("playground", "playground", person.id), name=person.name)
