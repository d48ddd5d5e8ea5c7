"""A sink that only records, and a connected adapter, for the tests of the Discord adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from adapters.codec import dump_inbound, load_inbound
from adapters.discord import DiscordAdapter, DiscordSettings, Timing
from adapters.port import (
    Actor,
    Block,
    Button,
    Content,
    Delivered,
    Form,
    FormErrors,
    Inbound,
    Mark,
    Op,
    Place,
    Span,
)
from tests.discord_server import DiscordServer

QUICK = Timing(guilds=0.02, identify=0.0, watchdog=2.0, thinking=20.0, gap=5.0)


class RecordingSink:
    """Records each event once, by its keys, like the inbox. `answers` says what `receive` returns.

    `broken`: recording fails, as with a full disk. `gate`: recording waits for it, as with a slow disk.
    """

    def __init__(self) -> None:
        self.events: list[Inbound] = []
        self.repeats = 0
        self.states: list[tuple[str, str]] = []
        self.places: list[Mark] = []
        self.watched: dict[str, Mark] = {}
        self.assigned: list[str] = []
        self.answers: Callable[[Inbound], Form | FormErrors | None] = lambda _event: None
        self.options: Callable[[str, str], Sequence[tuple[str, str]]] = lambda _option, _typed: ()
        self.broken = False
        self.gate: asyncio.Event | None = None
        self.catching = 0
        self.caught_up = 0
        self._keys: set[str] = set()
        self._waiters: set[asyncio.Event] = set()

    async def receive(self, event: Inbound) -> Form | FormErrors | None:
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise OSError("disk full")
        assert load_inbound(dump_inbound(event)) == event, "an event must survive the inbox"
        if self._keys & set(event.keys):
            self.repeats += 1
            return None
        answer = self.answers(event)
        if answer is None:  # a form that is shown or refused stores nothing
            self._keys |= set(event.keys)
            self.events.append(event)
        self._changed()
        return answer

    def state(self, platform: str, state: str, detail: str = "") -> None:
        assert platform == "discord"
        self.states.append((state, detail))
        self._changed()

    async def marks(self, _platform: str) -> Sequence[Mark]:
        return [*self.places, *self.watched.values()]

    async def watch(self, marks: Sequence[Mark]) -> None:
        marked = {mark.place.conversation for mark in self.places}
        for mark in marks:
            if mark.place.conversation not in marked:
                self.watched.setdefault(mark.place.conversation, mark)
        self._changed()

    async def assignees(self, _platform: str) -> Sequence[str]:
        return self.assigned

    @asynccontextmanager
    async def catching_up(self, _platform: str) -> AsyncIterator[None]:
        self.catching += 1
        try:
            yield
        finally:
            self.catching -= 1
            self.caught_up += 1

    async def choices(
        self, _platform: str, _actor: Actor, option: str, typed: str
    ) -> Sequence[tuple[str, str]]:
        return self.options(option, typed)

    def _changed(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    async def until(self, predicate: Callable[[], Any]) -> Any:
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(10):
                while not (value := predicate()):
                    waiter.clear()
                    await waiter.wait()
                return value
        finally:
            self._waiters.discard(waiter)

    async def event(self, kind: str, number: int = 1) -> Any:
        """The `number`th event of this kind, once it is there."""
        return await self.until(lambda: next(iter(self.of(kind)[number - 1 :]), None))

    def of(self, kind: str) -> list[Any]:
        return [e for e in self.events if e.type == kind]

    async def connected(self, times: int = 1) -> None:
        await self.until(lambda: [s for s, _ in self.states].count("connected") >= times)


def settings_for(server: DiscordServer, **more: Any) -> DiscordSettings:
    return DiscordSettings(
        **{
            "token": server.token,
            "guild": server.guild,
            "staff_channel": server.staff,
            "channels": {server.id_of("help"): "questions", server.id_of("forum"): "all"},
            "api_base": server.api_base,
            "timing": QUICK,
        }
        | more
    )


@asynccontextmanager
async def running(
    server: DiscordServer, sink: RecordingSink, **more: Any
) -> AsyncIterator[tuple[DiscordAdapter, asyncio.Task[None]]]:
    """An adapter that runs; closed again at the end, whatever happened."""
    adapter = DiscordAdapter(settings_for(server, **more))
    task = asyncio.create_task(adapter.run(sink))
    try:
        yield adapter, task
    finally:
        await adapter.close(2)
        async with asyncio.timeout(5):
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def connected(server: DiscordServer, sink: RecordingSink, **more: Any) -> AsyncIterator[DiscordAdapter]:
    """A connected adapter whose commands are registered. A failure of `run` fails the test."""
    async with running(server, sink, **more) as (adapter, task):
        ready = asyncio.create_task(sink.connected())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            ready.cancel()
            await task
        await ready
        await server.until(lambda: server.world.commands)
        yield adapter
        assert not task.done() or task.exception() is None


def say(text: str, *buttons: Button, title: str = "", **more) -> Content:
    return Content((Block("para", ((Span(text),),)),), buttons, title=title, **more)


def at(server: DiscordServer, channel: str = "help", thread: str | None = None, kind="channel") -> Place:
    return Place("discord", server.guild, server.id_of(channel), thread, kind)


async def send(adapter: DiscordAdapter, op: Op, key: str = "k") -> Delivered:
    """Every part; the last one's result."""
    done = Delivered()
    for part in range(adapter.parts(op)):
        done = await adapter.deliver(op, part, key)
    return done
