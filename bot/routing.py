"""Which conversation an event belongs to; and the one place where secrets are removed before the first write."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from adapters.port import (
    ActionInvoked,
    CommandInvoked,
    FormSubmitted,
    Inbound,
    MemberLeft,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Place,
    PlatformName,
    ReactionChanged,
    ThreadChanged,
)
from bot.storage import Storage
from handoff.model import Case
from handoff.policy import Policy
from handoff.redact import redact

TICKET = re.compile(r"\bT-(\d{1,9})\b")
CASE = re.compile(r"\bc-[0-9a-f]{8,}\b")
ABOUT_A_TICKET = ("claim", "release", "transfer", "reply", "resolve", "why", "priority", "escalate")
PLATFORMS: tuple[str, ...] = get_args(PlatformName)


class Router:
    """Events from the staff side are routed to the customer's conversation by anchor, ticket or case id."""

    def __init__(self, storage: Storage, policy: Policy) -> None:
        self._storage = storage
        self.desk_channels = frozenset(
            place.channel for route in policy.routes.values() for place in route.desks.values()
        )

    async def conversation(self, event: Inbound) -> str:
        """The key under which the event waits. Events of one key are worked on in order."""
        match event:
            case ActionInvoked():
                return await self._by_id(event.arg) or event.place.conversation
            case FormSubmitted():
                return await self._by_id(event.context) or event.place.conversation
            case CommandInvoked():
                about = await self._by_id(event.text) if event.name in ABOUT_A_TICKET else None
                return about or desk_of(event)
            case MessageAction():
                return await self._by_private(event.target.place) or event.target.place.conversation
            case MessageReceived() | MessageEdited() | MessageDeleted() | ReactionChanged():
                return await self._by_thread(event.place) or event.place.conversation
            case ThreadChanged():
                return await self._named(event.place) or event.place.conversation
            case _:
                return event.place.conversation

    async def spread(self, event: Inbound, conversation: str) -> Sequence[tuple[str, Inbound]]:
        """One event may concern several conversations: an agent who left had tickets in all of them."""
        if not isinstance(event, MemberLeft):
            return ((conversation, event),)
        keys = await self._storage.assigned_to(event.place.platform, event.who)
        return [(key, replace(event, keys=tuple(f"{k}:{key}" for k in event.keys))) for key in keys]

    async def anchor(self, event: Inbound) -> str:
        """The anchor of what the event is about: of the message itself, else of the message its thread hangs on."""
        if isinstance(event, MessageEdited | MessageDeleted | ReactionChanged):
            found = await self._storage.anchor_at(event.place.platform, event.place.channel, event.ref.id)
            if found:
                return found[0]
        if isinstance(event, ActionInvoked) and event.source is not None:
            found = await self._storage.anchor_at(
                event.place.platform, event.source.place.channel, event.source.id
            )
            return found[0] if found else ""
        if event.place.thread and event.place.channel in self.desk_channels:
            found = await self._storage.anchor_at(
                event.place.platform, event.place.channel, event.place.thread
            )
            return found[0] if found else ""
        return ""

    async def _by_id(self, text: str) -> str | None:
        ticket = TICKET.search(text)
        if ticket:
            return await self._storage.conversation_of("ticket", ticket[1])
        case = CASE.search(text)
        return await self._storage.conversation_of("case", case[0]) if case else None

    async def _by_thread(self, place: Place) -> str | None:
        """Only in the staff channels and in private threads does a thread stand for somebody else's conversation."""
        if place.channel in self.desk_channels:
            return await self._named(place)
        return await self._by_private(place)

    async def _by_private(self, place: Place) -> str | None:
        """A private thread that we opened belongs to the conversation that it was opened for."""
        if place.kind != "private" or place.channel in self.desk_channels:
            return None
        return await self._named(place)

    async def _named(self, place: Place) -> str | None:
        """The conversation of the message or private thread that this thread's id names."""
        if not place.thread:
            return None
        found = await self._storage.anchor_at(place.platform, place.channel, place.thread)
        return found[1] if found else None


def desk_of(event: CommandInvoked) -> str:
    """Commands that concern no conversation wait in a lane of whoever gave them."""
    who = event.actor.id if event.actor else "-"
    return f"{event.place.platform}:{event.place.tenant}:commands:{who}"


def case_id_of(conversation: str) -> str:
    """Derived from the conversation's key: the same after a crash."""
    return f"c-{hashlib.sha256(conversation.encode()).hexdigest()[:10]}"


def fresh_case(conversation: str, event: Inbound, now: float) -> Case:
    """A conversation that nothing is known of yet. Its id is derived from its key: the same after a crash."""
    place, customer, origin = event.place, event.actor, None
    if isinstance(event, MessageAction):
        place, customer, origin = event.target.place, event.target_author, event.target
    elif isinstance(event, MessageReceived) and event.is_root:
        origin = event.ref
    assert customer is not None or event.type != "message"
    if customer is None:
        from adapters.port import Actor

        customer = Actor(event.place.platform, event.place.tenant, "")
    return Case(case_id_of(conversation), place, customer, started_at=now, origin=origin)


def redacted(event: Inbound) -> Inbound:
    """The event without secrets, with the kinds that were removed. Form values that ask for private data stay:
    they were asked for, and go nowhere public."""
    match event:
        case MessageReceived() | MessageEdited():
            found = redact(event.text)
            names = [redact(f.name) for f in event.files]
            files = tuple(replace(f, name=n.text) for f, n in zip(event.files, names, strict=True))
            title = redact(event.title if isinstance(event, MessageReceived) else "")
            kinds = tuple(dict.fromkeys(k for one in (found, title, *names) for k in one.kinds))
            event = replace(event, text=found.text, files=files, redacted=kinds)
            return replace(event, title=title.text) if isinstance(event, MessageReceived) else event
        case MessageAction():
            found = redact(event.target_text)
            return replace(event, target_text=found.text, redacted=tuple(found.kinds))
        case CommandInvoked():
            found = redact(event.text)
            args = {key: redact(value).text for key, value in event.args.items()}
            return replace(event, text=found.text, args=args, redacted=tuple(found.kinds))
        case FormSubmitted():
            cleaned = {key: redact(value) for key, value in event.values.items()}
            kinds = tuple(dict.fromkeys(k for found in cleaned.values() for k in found.kinds))
            return replace(event, values={k: f.text for k, f in cleaned.items()}, redacted=kinds)
        case _:
            return event
