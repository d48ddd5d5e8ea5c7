"""A small honest sink: remembers what it was told, recognises repeats by any key, answers as it is set up to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from adapters.codec import dump_inbound, load_inbound
from adapters.port import Actor, Form, FormErrors, Inbound, Mark, MessageReceived

E = TypeVar("E")


class RecordingSink:
    """`answer` decides about forms. `gate` closed: recording takes for ever; `broken`: it fails that many times."""

    def __init__(self, touch: Callable[[], None] = lambda: None) -> None:
        self.events: list[Inbound] = []
        self.repeats: list[Inbound] = []
        self.states: list[tuple[str, str]] = []
        self.watched: list[Mark] = []
        self.assigned: list[str] = []
        self.answer: Callable[[Inbound], Form | FormErrors | None] = lambda _: None
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = 0
        self.catching = 0
        self.caught_up = 0
        self.asked = 0
        self._keys: set[str] = set()
        self._touch = touch

    async def receive(self, event: Inbound) -> Form | FormErrors | None:
        self.asked += 1
        self._touch()
        await self.gate.wait()
        if self.broken > 0:
            self.broken -= 1
            raise OSError("no space left on device")
        assert load_inbound(dump_inbound(event)) == event  # the inbox keeps it as JSON
        answer = self.answer(event)
        if answer is not None:
            return answer
        known = bool(self._keys & set(event.keys))
        self._keys |= set(event.keys)
        (self.repeats if known else self.events).append(event)
        self._touch()
        return None

    def state(self, platform: str, state: str, detail: str = "") -> None:
        self.states.append((state, detail))
        self._touch()

    async def marks(self, platform: str) -> Sequence[Mark]:
        return list(self.watched)

    async def watch(self, marks: Sequence[Mark]) -> None:
        marked = {mark.place.conversation for mark in self.watched}
        self.watched += [mark for mark in marks if mark.place.conversation not in marked]

    async def assignees(self, platform: str) -> Sequence[str]:
        return list(self.assigned)

    @asynccontextmanager
    async def catching_up(self, platform: str) -> AsyncIterator[None]:
        self.catching += 1
        try:
            yield
        finally:
            self.catching -= 1
            self.caught_up += 1

    async def choices(
        self, platform: str, actor: Actor, option: str, typed: str
    ) -> Sequence[tuple[str, str]]:
        return []

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.of(MessageReceived)]
