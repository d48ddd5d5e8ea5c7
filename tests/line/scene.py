"""The line on a stage of its own: real engine, outbox and SQLite in virtual time, and platforms that fail on order."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from adapters.port import (
    ActionInvoked,
    Actor,
    Block,
    Caps,
    Content,
    Delete,
    Delivered,
    Edit,
    Inbound,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Op,
    OpenThread,
    Place,
    PlatformName,
    Post,
    Private,
    Sink,
    Span,
)
from bot.engine import Engine, Gathers
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.outgoing import Outgoing
from bot.storage import Commit, Row, Storage
from handoff.model import Case
from tests import stand_ins
from tests.inline_writer import Disk, InlineWriter
from tests.simulation import silence
from tests.virtual_time import START, VirtualClock, run
from tests.world import words

HOME: PlatformName = "playground"
NATIVE = Caps("native", 120.0, True, "reply", True, True)
BEST_EFFORT = replace(NATIVE, idempotent_post="best_effort", safe_resend_seconds=0.0)
KEYLESS = replace(NATIVE, idempotent_post="none", safe_resend_seconds=0.0)
BLIND = replace(KEYLESS, can_reconcile=False)


def virtual(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Play this test in time that passes only when nobody has anything left to do."""

    @functools.wraps(test)
    def played(*args: Any, **named: Any) -> None:
        random.seed(7)  # the outbox spreads its retries
        with silence():
            run(test(*args, **named))  # type: ignore[arg-type]

    return played


# --- a platform ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrives:
    """The call has its effect, and then fails all the same: the answer was lost."""

    error: Exception


@dataclass(frozen=True)
class Call:
    at: float
    op: Op
    part: int
    key: str


@dataclass
class Shown:
    """One message as it stands on the platform."""

    ref: MsgRef
    text: str
    key: str
    at: float
    to: str = ""


Outcome = Exception | Arrives | None
Concerns = Callable[[Op], bool]


class Platform:
    """Chat in memory. `will(...)` orders what its next calls do; without orders it does what it is asked."""

    def __init__(self, name: PlatformName = HOME, caps: Caps = NATIVE, seconds: float = 0.01) -> None:
        self.name, self.caps, self.seconds = name, caps, seconds
        self.calls: list[Call] = []
        self.shown: dict[str, Shown] = {}
        self.by_key: dict[str, Shown] = {}
        self.asked: list[str] = []
        self.asks: deque[Literal["absent", "unknown"] | None] = deque()
        self.leaving: Callable[[Op], Awaitable[None]] | None = None
        self._orders: list[tuple[deque[Outcome], Concerns]] = []
        self._ids = 0
        self._over = asyncio.Event()

    def will(self, *outcomes: Outcome, on: Concerns = lambda _: True) -> None:
        self._orders.append((deque(outcomes), on))

    @property
    def texts(self) -> list[str]:
        """What can be read, in the order in which it was posted."""
        return [shown.text for shown in self.shown.values() if not shown.to]

    def times(self, text: str) -> list[float]:
        return [c.at for c in self.calls if isinstance(c.op, Post) and text in words(c.op.content)]

    async def run(self, sink: Sink) -> None:
        self._over.clear()
        sink.state(self.name, "connected")
        await self._over.wait()

    async def stop_ingress(self) -> None:
        return

    async def close(self, grace: float) -> None:
        self._over.set()

    def parts(self, op: Op) -> int:
        return words(op.content).count(" / ") + 1 if isinstance(op, Post) else 1

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        self.calls.append(Call(asyncio.get_running_loop().time(), op, part, key))
        if self.leaving is not None:
            await self.leaving(op)
        await asyncio.sleep(self.seconds)
        outcome = self._ordered(op)
        if isinstance(outcome, Exception):
            raise outcome
        done = self._carry_out(op, part, key)
        if isinstance(outcome, Arrives):
            raise outcome.error
        return done

    def _ordered(self, op: Op) -> Outcome:
        for outcomes, on in self._orders:
            if outcomes and on(op):
                return outcomes.popleft()
        return None

    def _carry_out(self, op: Op, part: int, key: str) -> Delivered:
        match op:
            case Post() | Private():
                known = self.by_key.get(key) if self.caps.idempotent_post == "native" else None
                return Delivered((known or self._post(op, part, key)).ref)
            case Edit():
                self.shown[op.ref.id].text = words(op.content).strip()
                return Delivered(op.ref)
            case Delete():
                self.shown.pop(op.ref.id, None)
                return Delivered(op.ref)
            case OpenThread():
                return Delivered(op.origin, replace(op.origin.place, thread=op.origin.id))
            case _:
                return Delivered()

    def _post(self, op: Post | Private, part: int, key: str) -> Shown:
        self._ids += 1
        text = words(op.content)
        if isinstance(op, Post):
            text = text.split(" / ")[part] if " / " in text else text
        at = asyncio.get_running_loop().time()
        shown = Shown(MsgRef(op.place, f"b{self._ids}"), text.strip(), key, at)
        shown.to = op.actor.id if isinstance(op, Private) else ""
        self.shown[shown.ref.id] = self.by_key[key] = shown
        return shown

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        self.asked.append(key)
        forced = self.asks.popleft() if self.asks else None
        if forced is not None:
            return forced
        known = self.by_key.get(key)
        return Delivered(known.ref) if known is not None else "absent"

    async def actor(self, tenant: str, user: str) -> Actor:
        return Actor(self.name, tenant, user)


# --- words -----------------------------------------------------------------------------------------------


def place(thread: str | None = "1", channel: str = "help", platform: PlatformName = HOME) -> Place:
    return Place(platform, platform, channel, thread, "private" if channel == "desk" else "channel")


def person(name: str = "ana", *roles: str) -> Actor:
    return Actor(HOME, HOME, name, name.title(), roles=frozenset(roles))


DANA, KIM = person("dana", "agent"), person("kim", "agent")


def says(
    text: str, number: int, who: Actor | None = None, where: Place | None = None, **more: Any
) -> MessageReceived:
    """Message `number`, which is its id and its place in the platform's order."""
    where = where or place("100")
    made: dict[str, Any] = {
        "keys": (f"d{number}", f"m{where.platform}{number}"), "occurred_at": START + number, "order": (number,),
        "is_root": str(number) == where.thread,
    }  # fmt: skip
    return MessageReceived(
        **{**made, **more}, place=where, actor=who or person(), ref=MsgRef(where, str(number)), text=text
    )


def edits(number: int, text: str, nth: int = 1, where: Place | None = None, **more: Any) -> MessageEdited:
    where = where or place("100")
    made: dict[str, Any] = {
        "occurred_at": START + number + nth,
        "keys": (f"e{number}.{nth}",),
        "actor": person(),
    }
    return MessageEdited(**{**made, **more}, place=where, ref=MsgRef(where, str(number)), text=text)


def deletes(number: int, where: Place | None = None) -> MessageDeleted:
    where = where or place("100")
    return MessageDeleted(
        keys=(f"x{number}",),
        place=where,
        actor=person(),
        occurred_at=START + number,
        ref=MsgRef(where, str(number)),
    )


def presses(verb: str, arg: str, who: Actor, nth: int = 0, source: MsgRef | None = None) -> ActionInvoked:
    return ActionInvoked(
        keys=(f"p{verb}{arg}{who.id}{nth}",), place=place(None, "desk"), actor=who, occurred_at=START, verb=verb,
        arg=arg, source=source,
    )  # fmt: skip


def content(text: str, revision: int = 0) -> Content:
    return Content(body=(Block("para", ((Span(text),),)),), revision=revision)


def post(
    text: str, lane: str = "one", voice: Literal["bot", "notice", "agent"] = "bot", **more: Any
) -> Outgoing:
    made: dict[str, Any] = {
        "audience": "customer",
        "place": place(),
        "platform": HOME,
        "content": content(text),
    }
    return Outgoing("post", lane=lane, voice=voice, **{**made, **more})


def edit(target: str, text: str, lane: str = "staff") -> Outgoing:
    return Outgoing("edit", "staff", lane, target=target, content=content(text))


def case_in(where: Place | None = None, customer: Actor | None = None) -> Case:
    where = where or place()
    return Case(f"c-{abs(hash_of(where.conversation)):010x}", where, customer or person(), started_at=START)


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[-4:], "big")


# --- the line --------------------------------------------------------------------------------------------


async def no_chores(row: Row) -> None:
    raise AssertionError(f"nobody ordered {row.out.args}")


@dataclass
class Line:
    """One process. `async with line.up():` it lives; the database in `folder` outlives it."""

    folder: Path
    platforms: Sequence[Platform] = field(default_factory=lambda: (Platform(),))
    gatherer: Gathers | None = None
    chores: Callable[[Row], Awaitable[None]] = no_chores
    debounce: float = 1.2
    concurrency: int = 8
    rules: Any = field(default_factory=stand_ins.policy)

    def __post_init__(self) -> None:
        self.clock, self.metrics = VirtualClock(), Metrics()
        self.disk = Disk(random.Random(1), mean_seconds=1e-4, stall_share=0.0)
        self.writer = InlineWriter(
            self.folder / "firstline.db", self.disk, after=lambda: None, died=lambda: None
        )
        self.storage = Storage(self.writer)  # type: ignore[arg-type]
        self.outbox = Outbox(
            self.storage, {p.name: p for p in self.platforms}, self.chores, clock=self.clock,  # type: ignore[misc, arg-type]
            metrics=self.metrics, wake=lambda conversation: self.engine.wake(conversation),
        )  # fmt: skip
        gatherer = self.gatherer or stand_ins.Gatherer(self.storage, self.rules, random.Random(2))
        self.engine = Engine(
            self.storage, self.outbox, gatherer, self.rules, stand_ins.word, clock=self.clock, metrics=self.metrics,
            debounce=self.debounce, concurrency=self.concurrency,
        )  # fmt: skip
        self.stop = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def home(self) -> Platform:
        return self.platforms[0]

    @contextlib.asynccontextmanager
    async def up(self, *, connected: bool = True) -> AsyncIterator[Line]:
        self.tasks = [asyncio.ensure_future(part.run(self.stop)) for part in (self.outbox, self.engine)]
        if connected:
            for platform in self.platforms:
                self.engine.state(platform.name, "connected")
        try:
            yield self
        finally:
            self.stop.set()
            await asyncio.gather(*self.tasks)
            self.writer.kill()

    async def dies(self) -> None:
        """kill -9: nothing that was not committed survives."""
        self.writer.kill()
        self.outbox._stopping = self.engine._stopping = True
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self.tasks = []

    async def passes(self, seconds: float) -> None:
        """Let time go by; whatever is due happens."""
        await asyncio.sleep(seconds)

    async def promise(self, *rows: Outgoing, case: Case | None = None, **changes: Any) -> Case:
        """Commit rows for a conversation as a decision would, and hand them to the outbox."""
        case = case or case_in()
        before = await self.storage.case(case.place.conversation)
        wanted = {k: v for k, v in changes.items() if k in Commit.__slots__}
        seqs = wanted.pop("seqs", ())
        case = replace(
            before or case, version=(before.version if before else 0) + 1,
            **{k: v for k, v in changes.items() if k not in Commit.__slots__},
        )  # fmt: skip
        change = Commit(before, case, case.place.conversation, seqs, self.clock.now(), rows, **wanted)
        self.outbox.add(await self.storage.commit(change))
        return case

    async def hears(self, *events: Inbound) -> None:
        for event in events:
            await self.engine.receive(event)

    def look(self, query: str, *values: Any) -> list[Any]:
        """What is committed: a list of the first column, or of tuples."""
        rows = [tuple(row) for row in self.writer.look(query, values)]
        return [row[0] if len(row) == 1 else row for row in rows]

    def states(self) -> list[str]:
        """The states of all outgoing rows, in order."""
        return self.look("SELECT state FROM outbox ORDER BY id")
