"""An adapter for the small chat platform in memory: the port's half of it.

The playground shows it in a browser, the console in a terminal, and tests drive it directly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import filetype

from adapters.chat_people import ChatPeople
from adapters.chat_room import Message, Person, Room
from adapters.port import (
    Actor,
    Caps,
    CheckResult,
    Delete,
    Delivered,
    Edit,
    FileRef,
    Inbound,
    Mark,
    MsgRef,
    Op,
    OpenThread,
    Place,
    PlatformName,
    Post,
    Private,
    PublishHome,
    React,
    Rejected,
    SetThread,
    Sink,
)

CATCH_UP_MAX = 200
DELIVERIES_MAX = 50_000

# Who is there unless somebody else is named.
CUSTOMERS = ("ana", "ben", "chloe")
AGENTS = ("dana", "kim", "lee")
ADMINS = ("dana",)


class LocalChat(ChatPeople):
    """A `ChatAdapter` whose platform lives in this process. Posting is idempotent by key."""

    caps = Caps(
        idempotent_post="native",
        safe_resend_seconds=float("inf"),
        can_reconcile=True,
        thread_model="channel",  # its threads have titles
        inline_form_errors=True,
        private_in_channel=True,
    )

    def __init__(
        self,
        channels: Iterable[str],
        staff_channel: str,
        customers: Iterable[str | Person],
        agents: Iterable[str | Person],
        admins: Iterable[str | Person],
        *,
        desks: Iterable[str] = (),
        name: PlatformName,
        clock: Callable[[], float] = time.time,
        title: str = "Firstline",
        journal: Path | None = None,
    ) -> None:
        super().__init__(
            Room(
                name,
                channels,
                staff_channel.removeprefix("#"),
                people(customers, agents, admins),
                desks=desks,
                clock=clock,
                journal=journal,
            ),
            name=name,
            clock=clock,
            title=title,
        )
        self.base_url = ""
        self._closed = asyncio.Event()
        self._done = {m.key: Delivered(m.ref, m.place) for m in self.room.messages.values() if m.key}

    # --- the port: life ----------------------------------------------------------------------------------

    def connect(self, sink: Sink) -> None:
        """Send what people do to `sink` from now on."""
        self._sink = sink
        self._open = True

    async def run(self, sink: Sink) -> None:
        self.connect(sink)
        self._closed.clear()
        sink.state(self.name, "connected")
        if self.room.remembered:
            await self._tell_what_was_missed(sink)
        await self._closed.wait()
        sink.state(self.name, "stopped")

    async def _tell_what_was_missed(self, sink: Sink) -> None:
        """After a restart: what the journal holds and the process may not have recorded any more."""
        async with sink.catching_up(self.name):
            for mark in await sink.marks(self.name):
                async for event in self.catch_up(mark, CATCH_UP_MAX):
                    await sink.receive(event)

    async def stop_ingress(self) -> None:
        self._open = False

    async def close(self, grace: float) -> None:
        del grace  # nothing here takes time
        self._open = False
        self._closed.set()

    # --- the port: out -----------------------------------------------------------------------------------

    def parts(self, op: Op) -> int:
        del op  # a message has no practical limit here
        return 1

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        if part != 0:
            raise Rejected(f"there is no part {part}")
        if key not in self._done:
            self._done[key] = self._carry_out(op, key)
            while len(self._done) > DELIVERIES_MAX:
                del self._done[next(iter(self._done))]
        return self._done[key]

    def _carry_out(self, op: Op, key: str) -> Delivered:
        match op:
            case Post() | Private():
                message = self.room.post(self._outgoing(op, key))
                return Delivered(message.ref, message.place)
            case Edit(ref=ref, content=content):
                message = self.room.message(ref.id)
                if message.content is None or content.revision >= message.content.revision:
                    message.content, message.edits = content, message.edits + 1
                    message.speaking_as = op.speaking_as or message.speaking_as
                    self.room.changed(message)
                return Delivered(message.ref, message.place)
            case Delete(ref=ref):
                if ref.id in self.room.messages and not self.room.messages[ref.id].deleted:
                    self.room.delete(self.room.messages[ref.id])
                return Delivered(ref, ref.place)
            case React(ref=ref, emoji=emoji, on=on):
                self.room.react(self.room.message(ref.id), emoji, "", on=on)
                return Delivered(ref, ref.place)
            case OpenThread(origin=origin, title=title):
                return Delivered(origin, self._open_thread(origin, title))
            case SetThread():
                return Delivered(None, self._set_thread(op))
            case PublishHome():
                return Delivered()

    def _outgoing(self, op: Post | Private, key: str) -> Message:
        place = self.room.place(op.place.channel, op.place.thread)
        message = Message(
            id=self.room.new_id(), place=place, author="", at=self._clock(), content=op.content, key=key
        )
        if isinstance(op, Private):
            message.private_to, message.interaction = op.actor.id, op.interaction
        else:
            message.speaking_as, message.files = op.speaking_as, op.files
            message.reply_to = op.reply_to.id if op.reply_to else ""
        return message

    def _open_thread(self, origin: MsgRef, title: str) -> Place:
        message = self.room.message(origin.id)
        if message.place.kind == "dm":
            return message.place
        root = message.place.thread or message.id
        thread = self.room.thread(root)
        thread.title = thread.title or title
        self.room.thread_changed(thread)
        return replace(message.place, thread=root)

    def _set_thread(self, op: SetThread) -> Place:
        if op.place.thread is not None:
            thread = self.room.thread(op.place.thread)
            for what in ("archived", "locked", "solved", "tags"):
                value = getattr(op, what)
                if value is not None:
                    setattr(thread, what, value)
            self.room.thread_changed(thread)
        return op.place

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        del op, part, since
        return self._done.get(key, "absent")

    # --- the port: asking --------------------------------------------------------------------------------

    async def catch_up(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        missed = [
            m
            for m in self.room.in_place(mark.place.channel, mark.place.thread)
            if m.author and int(m.id) > int(mark.after or 0)
        ]
        if mark.place.thread is None:  # what was said under a message that was missed was missed as well
            missed += [reply for root in list(missed) for reply in self.room.replies(root.id) if reply.author]
        for message in sorted(missed, key=lambda m: int(m.id))[:limit]:
            yield replace(self._received(message), catchup=True)

    async def actor(self, tenant: str, user: str) -> Actor:
        del tenant
        return self._actor(user)

    async def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        _, content = self.room.file(file.id)
        if len(content) > max_bytes:
            raise Rejected(f"{file.name} is larger than {max_bytes} bytes")
        if (file.mime or "").startswith("image/"):
            kind = filetype.guess(content)
            if kind is None or kind.mime != file.mime:
                raise Rejected(f"{file.name} is not what it says it is")
        yield content

    async def permalink(self, ref: MsgRef) -> str | None:
        return f"{self.base_url}/#m-{ref.id}" if self.base_url else None

    async def check(self) -> Sequence[CheckResult]:
        desk = [p for p in self.room.people.values() if p.roles]
        return [
            CheckResult("channels", ok=bool(self.room.channels), detail=", ".join(self.room.channels)),
            CheckResult(
                "agents",
                ok=bool(desk),
                detail=", ".join(p.name for p in desk),
                fix="name at least one agent under [staff.playground]",
            ),
        ]

    def observe(self, trace: Mapping[str, Any]) -> None:
        """Learn why the engine decided as it did; whoever shows the chat may show that too."""


def people(
    customers: Iterable[str | Person], agents: Iterable[str | Person], admins: Iterable[str | Person]
) -> list[Person]:
    """Everybody once, with a name to show and the roles of every list that names them."""
    found: dict[str, Person] = {}
    for group, role in ((customers, ""), (agents, "agent"), (admins, "admin")):
        for entry in group:
            person = entry if isinstance(entry, Person) else Person(entry)
            known = found.get(person.id, person)
            roles = known.roles | person.roles | ({role} if role else set())
            found[person.id] = replace(
                known, name=known.name or person.id.replace("_", " ").title(), roles=frozenset(roles)
            )
    return list(found.values())
