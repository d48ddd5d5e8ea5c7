"""A chat platform that misbehaves on order: it is slow, refuses, loses requests or answers, delivers twice and late.

`Town` is the platform's memory and outlives every process. `TownAdapter` is one process's connection to it and meets
the `Weather`. `Post office` rules for what people do: an event is offered until the bot acknowledges it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from adapters.port import (
    Actor,
    Ambiguous,
    Button,
    Caps,
    CheckResult,
    Content,
    Delete,
    Delivered,
    Edit,
    FileRef,
    Forbidden,
    Gone,
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
    RateLimited,
    React,
    Rejected,
    SetThread,
    Sink,
    Unavailable,
)

NAME: PlatformName = "playground"
DESK = "desk"
BOT = Actor(NAME, NAME, "bot", "Firstline", is_bot=True, is_self=True)


def place(channel: str, thread: str | None = None) -> Place:
    kind: Literal["channel", "private", "dm"] = "private" if channel.startswith(DESK) else "channel"
    if channel.startswith("dm-"):
        kind = "dm"
    return Place(NAME, NAME, channel, thread, kind)


def words(content: Content) -> str:
    """Everything in a message that a person can read."""
    spans = [span.text for block in content.body for item in block.items for span in item]
    labels = [button.label for button in content.buttons]
    return "\n".join((content.title, content.status, *spans, content.footer, *labels))


@dataclass
class Shown:
    """One message as the platform shows it."""

    id: str
    place: Place
    author: Actor
    text: str
    at: float
    key: str = ""
    content: Content | None = None
    private_to: str = ""
    deleted: bool = False
    edits: int = 0

    @property
    def ref(self) -> MsgRef:
        return MsgRef(self.place, self.id)

    @property
    def buttons(self) -> tuple[Button, ...]:
        return self.content.buttons if self.content is not None and not self.deleted else ()


@dataclass
class Weather:
    """How likely each kind of trouble is, per call. All zero: a fair day."""

    limited: float = 0.0
    frozen: float = 0.0  # a limit on the whole platform
    unavailable: float = 0.0
    lost_request: float = 0.0
    lost_answer: float = 0.0
    refused: float = 0.0
    blind: float = 0.0  # reconcile does not know
    slow_seconds: float = 0.02
    repeat: float = 0.0  # an event is delivered again
    late_seconds: float = 0.01
    stray: float = 0.0  # an event overtakes others by a lot

    @classmethod
    def drawn(cls, rng: random.Random) -> Weather:
        """Some days are fair, some are foul in one way, some in every way."""
        if rng.random() < 0.2:
            return cls()
        bad = rng.random() < 0.3

        def maybe(share: float) -> float:
            return share * rng.random() if bad or rng.random() < 0.35 else 0.0

        return cls(
            limited=maybe(0.3), frozen=maybe(0.05), unavailable=maybe(0.3), lost_request=maybe(0.2),
            lost_answer=maybe(0.3), refused=maybe(0.03), blind=maybe(0.2), slow_seconds=rng.choice((0.01, 0.2, 2.0)),
            repeat=maybe(0.5), late_seconds=rng.choice((0.005, 0.1, 3.0)), stray=maybe(0.15),
        )  # fmt: skip


@dataclass
class Town:
    """The platform's memory."""

    clock: Callable[[], float]
    messages: dict[str, Shown] = field(default_factory=dict)
    by_key: dict[str, Shown] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    on_effect: Callable[[Op, str, Shown | None], None] = lambda *_: None
    idempotent: bool = True  # a repeated key within the window gives the first message again
    window: float = 120.0
    _last: int = 0

    def new_id(self) -> str:
        self._last = max(self._last + 1, int(self.clock() * 1000))
        return str(self._last)

    def say(self, author: Actor, text: str, where: Place) -> Shown:
        shown = Shown(self.new_id(), where, author, text, self.clock())
        self.messages[shown.id] = shown
        return shown

    def find(self, ref: MsgRef) -> Shown:
        shown = self.messages.get(ref.id)
        if shown is None or shown.deleted:
            raise Gone("that message is not here any more")
        return shown

    def thread(self, root: str) -> list[Shown]:
        return [m for m in self.messages.values() if m.place.thread == root and not m.private_to]

    # --- what the bot does -------------------------------------------------------------------------------

    def carry_out(self, op: Op, key: str) -> Delivered:
        match op:
            case Post() | Private():
                return self._create(op, key)
            case Edit():
                shown = self.find(op.ref)
                if shown.content is None or op.content.revision >= shown.content.revision:
                    shown.content, shown.text, shown.edits = op.content, words(op.content), shown.edits + 1
                self.on_effect(op, key, shown)
                return Delivered(shown.ref)
            case Delete():
                self.find(op.ref).deleted = True
                self.on_effect(op, key, None)
                return Delivered(op.ref)
            case OpenThread():
                return Delivered(op.origin, replace(op.origin.place, thread=op.origin.id))
            case React():
                self.find(op.ref)
                return Delivered(op.ref)
            case SetThread() | PublishHome():
                return Delivered()

    def _create(self, op: Post | Private, key: str) -> Delivered:
        known = self.by_key.get(key)
        if known is not None and self.idempotent and self.clock() - known.at <= self.window:
            self.counts["key recognised"] += 1
            return Delivered(known.ref, known.place)
        shown = Shown(self.new_id(), op.place, BOT, words(op.content), self.clock(), key, op.content)
        if isinstance(op, Private):
            shown.private_to = op.actor.id
        self.on_effect(op, key, shown)
        self.messages[shown.id] = shown
        self.by_key[key] = shown
        return Delivered(shown.ref, shown.place)


class TownAdapter:
    """One process's connection to the town. It dies with the process: `dead` ends every call."""

    name = NAME

    def __init__(self, town: Town, weather: Callable[[], Weather], rng: random.Random, caps: Caps) -> None:
        self._town, self._weather, self._rng, self.caps = town, weather, rng, caps
        self.dead = False

    async def run(self, sink: Sink) -> None:
        sink.state(self.name, "connected")
        await asyncio.Event().wait()

    async def stop_ingress(self) -> None:
        return

    async def close(self, grace: float) -> None:
        return

    def parts(self, op: Op) -> int:
        return 2 if isinstance(op, Post) and "LONG" in words(op.content) else 1

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        await self._time()
        weather, counts = self._weather(), self._town.counts
        self._trouble(weather, op, before=True)
        try:
            done = self._town.carry_out(op, key)
        except (Gone, Forbidden):
            counts["gone"] += 1
            raise
        counts["delivered"] += 1
        if self._rng.random() < weather.lost_answer:
            counts["answer lost"] += 1
            await self._time()
            raise Ambiguous("the connection broke after the request was sent")
        await self._time()
        return done

    def _trouble(self, w: Weather, op: Op, *, before: bool) -> None:
        counts, dice = self._town.counts, self._rng.random
        if dice() < w.limited:
            counts["rate limited"] += 1
            raise RateLimited(0.5 + 5 * dice(), "platform" if dice() < w.frozen else "lane")
        if dice() < w.unavailable:
            counts["unavailable"] += 1
            raise Unavailable("no connection")
        if dice() < w.lost_request:
            counts["request lost"] += 1
            raise Ambiguous("the connection broke while sending")
        if dice() < w.refused and isinstance(op, Post):
            counts["refused"] += 1
            raise (
                Rejected("the content was refused") if dice() < 0.5 else Forbidden("a permission is missing")
            )

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        await self._time()
        self._town.counts["reconciled"] += 1
        if self._rng.random() < self._weather().blind:
            return "unknown"
        known = self._town.by_key.get(key)
        return Delivered(known.ref, known.place) if known is not None else "absent"

    async def _time(self) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / self._weather().slow_seconds))
        if self.dead:
            raise asyncio.CancelledError

    async def catch_up(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        nothing: tuple[Inbound, ...] = ()
        for event in nothing:
            yield event

    async def actor(self, tenant: str, user: str) -> Actor:
        return Actor(self.name, tenant, user)

    async def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        yield b""

    async def permalink(self, ref: MsgRef) -> str | None:
        return None

    async def check(self) -> Sequence[CheckResult]:
        return ()


class Postbox:
    """Carries what people do to whatever process is listening, until it is acknowledged."""

    def __init__(
        self,
        sink: Callable[[], Any],
        weather: Callable[[], Weather],
        rng: random.Random,
        task: Callable[[Any], Any],
    ) -> None:
        self._sink, self._weather, self._rng, self._task = sink, weather, rng, task
        self.counts: Counter[str] = Counter()
        self.accepted: list[Inbound] = []
        self.under_way = 0
        self.careless = False  # a mutation: the platform is told "received" before anything is recorded

    async def send(self, event: Inbound) -> Any:
        """Offer one event until it is taken; the answer (a form, perhaps) of the first acceptance."""
        weather = self._weather()
        self.under_way += 1
        try:
            if self._rng.random() < weather.repeat:
                copies = 1 + int(self._rng.random() * 4)
                self.counts["repeated"] += copies
                again = [self._task(self._again(event, n, weather)) for n in range(copies)]
            else:
                again = []
            late = self._rng.expovariate(1 / weather.late_seconds)
            if self._rng.random() < weather.stray:
                self.counts["overtaken"] += 1
                late += self._rng.random() * 20
            await asyncio.sleep(late)
            answer = await self._offer(event)
            self.accepted.append(event)
            await asyncio.gather(*again)
            return answer
        finally:
            self.under_way -= 1

    async def _again(self, event: Inbound, number: int, weather: Weather) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / (1 + 10 * weather.late_seconds)))
        keys = (f"{event.keys[0]}/again{number}", *event.keys[1:]) if len(event.keys) > 1 else event.keys
        await self._offer(replace(event, keys=keys, attempt=number + 1))

    async def _offer(self, event: Inbound) -> Any:
        wait = 0.5
        while True:
            sink = self._sink()
            if sink is not None:
                try:
                    if self.careless:
                        return await self._carelessly(sink, event)
                    return await sink.receive(event)
                except asyncio.CancelledError:
                    if not sink.dead:
                        raise
                    self.counts["not acknowledged"] += 1
                except Exception:  # noqa: BLE001 - not acknowledged, whatever it was: offered again
                    self.counts["not acknowledged"] += 1
            await asyncio.sleep(wait)
            wait = min(30.0, wait * 2)

    async def _carelessly(self, sink: Any, event: Inbound) -> Any:
        try:
            return await sink.receive(event)
        except (asyncio.CancelledError, Exception):  # noqa: BLE001
            return None
