"""A seeded world: customers, agents, the clock, crashes and a platform that misbehaves, around the real line.

The real engine, outbox and SQLite statements run in virtual time; everything random comes from one seed. `play(seed)`
returns what happened; a seed that fails can be played again, alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from adapters.port import Caps, Inbound
from bot.engine import Engine
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.storage import Row, Storage
from handoff.policy import Timers
from tests import stand_ins
from tests.inline_writer import Disk, InlineWriter
from tests.invariants import Watch
from tests.people import Agent, Customer, Person, Stranger
from tests.virtual_time import VirtualClock, run
from tests.world import NAME, Postbox, Town, TownAdapter, Weather

ROOM = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
CAPS = (
    Caps("native", 120.0, True, "channel", True, True),
    Caps("native", 120.0, True, "channel", True, True, post_interval_seconds=1.0),
    Caps("best_effort", 0.0, True, "reply", True, True),
    Caps("none", 0.0, True, "reply", True, True),
)
SETTLE_SECONDS = 6 * 3600
QUIET_SECONDS = 130 * 3600  # every timer that a ticket can have comes due in this time


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Thousands of worlds fail on purpose; what they would log is in their stories."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@dataclass
class Options:
    """What kind of world, and what a test takes away from the product in it (nothing, unless it shows teeth)."""

    customers: int = 2
    agents: int = 2
    acts: int = 14
    crashes: bool = True
    foul: bool = True
    workers: int = 1
    rewrite: Callable[[str], str] | None = None
    transactions: bool = True
    fenced: bool = True
    careless: bool = False
    blind_resend: bool = False
    power_cuts: float = 0.15
    cut_at: int | None = None  # the power goes at this statement, for certain


@dataclass
class Story:
    """What happened in one world."""

    seed: int
    violations: list[str]
    seen: Counter[str] = field(default_factory=Counter)


class Process:
    """One life of the bot, from start to crash."""

    def __init__(self, world: World) -> None:
        self.world, self.killed = world, False
        rng = world.rng
        self.writer = InlineWriter(
            world.folder / "firstline.db", world.disk, after=world.watch.step, died=world.power_gone
        )
        self.storage = Storage(self.writer)  # type: ignore[arg-type]
        self.adapter = TownAdapter(world.town, lambda: world.weather, rng, world.caps)
        self.outbox = Outbox(
            self.storage, {NAME: self.adapter}, self._chore, clock=world.clock, metrics=world.metrics,
            wake=lambda conversation: self.engine.wake(conversation),
        )  # fmt: skip
        self.engines = [self._engine(rng) for _ in range(world.options.workers)]
        self.engine = self.engines[0]
        self._take_away(world.options)
        self.tasks: list[asyncio.Task[Any]] = []
        self.before: set[asyncio.Task[Any]] = set()

    def _engine(self, rng: random.Random) -> Engine:
        w = self.world
        return Engine(
            self.storage, self.outbox, stand_ins.Gatherer(self.storage, w.policy, rng), w.policy, stand_ins.word,
            clock=w.clock, metrics=w.metrics, debounce=1.2, concurrency=8,
        )  # fmt: skip

    def _take_away(self, options: Options) -> None:
        if not options.fenced:
            self.outbox.quiet = lambda _: contextlib.nullcontext()  # type: ignore[method-assign, assignment]
        if options.blind_resend:

            async def never_look(*_: Any) -> None:
                return None

            self.outbox._look = never_look  # type: ignore[method-assign]
        if options.workers > 1:  # as if a second process had got hold of the same database
            first, *others = self.engines
            alone = first.wake

            def wake(conversation: str) -> None:
                alone(conversation)
                for other in others:
                    other.wake(conversation)

            first.wake = wake  # type: ignore[method-assign]

    async def _chore(self, row: Row) -> None:
        await asyncio.sleep(0.1)

    def start(self) -> None:
        stop = asyncio.Event()
        runs = [self.outbox.run(stop), *(e.run(stop) for e in self.engines), self.adapter.run(self.engine)]
        self.tasks = [asyncio.ensure_future(r) for r in runs]
        for task in self.tasks:
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not self.dead and not task.cancelled():
            self.world.watch.fail(f"a part of the process ended by itself: {task.exception()!r}")

    @property
    def dead(self) -> bool:
        return self.killed or self.writer.dead

    async def receive(self, event: Inbound) -> Any:
        return await self.engine.receive(event)

    async def kill(self) -> None:
        """Dead at once: no handler, no finally, no last write has any effect."""
        self.killed = self.adapter.dead = True
        self.writer.kill()
        self.outbox._stopping = True
        for engine in self.engines:
            engine._stopping = True
        left = [t for t in asyncio.all_tasks() if t not in self.world.own and t is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class World:
    """One seed's town, desk and process."""

    def __init__(self, seed: int, options: Options, folder: Path) -> None:
        self.seed, self.options, self.folder = seed, options, folder
        self.rng = random.Random(seed)
        random.seed(seed)  # the outbox spreads its retries with the module's own generator
        self.clock, self.metrics = VirtualClock(), Metrics()
        self.policy = stand_ins.policy(
            timers=Timers(on_call_repeat=4 * 3600), undo_seconds=self.rng.choice((0.0, 5.0)),
            anonymous=self.rng.random() < 0.3,
        )  # fmt: skip
        self.caps = self.rng.choice(CAPS)
        self.town = Town(self.clock.now, idempotent=self.caps.idempotent_post == "native")
        self.watch = Watch(self.town, self.policy)
        self.town.on_effect = self.watch.effect
        self.weather = Weather.drawn(self.rng) if options.foul else Weather()
        self.disk = Disk(self.rng, rewrite=options.rewrite, transactions=options.transactions)
        self.postbox = Postbox(lambda: self.process, lambda: self.weather, self.rng, self.task)
        self.postbox.careless = options.careless
        self.fifo = self.watch.fifo = self.rng.random() < 0.4
        self.process: Process | None = None
        self.counts: Counter[str] = Counter()
        self.own: set[asyncio.Task[Any]] = set()
        self.deaths: list[asyncio.Task[Any]] = []
        self.gap = self.rng.choice((0.5, 5.0, 60.0, 3600.0))
        self.serial = 0

    # --- life and death of the process -------------------------------------------------------------------

    def start(self) -> None:
        self.process = Process(self)
        self.watch.writer = self.process.writer
        self.process.start()

    def task(self, work: Any) -> asyncio.Task[Any]:
        """A task of the world, which no crash touches."""
        task = asyncio.ensure_future(work)
        self.own.add(task)
        task.add_done_callback(self.own.discard)
        return task

    def power_gone(self) -> None:
        self.counts["power cuts"] += 1
        self.deaths.append(self.task(self.crash(self.rng.random() * 20)))

    async def crash(self, down: float) -> None:
        process = self.process
        if process is None or process.killed:
            return
        self.counts["crashes"] += 1
        self.process = None
        await process.kill()
        await asyncio.sleep(down)
        self.disk.full = False  # with a full disk it says so and does not start
        self.start()

    async def trouble(self) -> None:
        """The world's own acts: crashes, power cuts, weather, a connection that comes and goes."""
        for _ in range(self.rng.randint(0, 6)):
            await asyncio.sleep(self.rng.expovariate(1 / (self.gap * 3)))
            dice = self.rng.random()
            if self.options.crashes and dice < self.options.power_cuts:
                self.disk.power.left = self.rng.randint(1, 40)
            elif self.options.crashes and dice < 0.5:
                await self.crash(self.rng.choice((0.0, 1.0, 30.0)))
            elif self.options.foul and dice < 0.75:
                self.weather = Weather.drawn(self.rng)
            elif self.options.foul and dice < 0.9:
                await self._disconnect()
            elif self.options.foul:
                self.counts["disk full"] += 1
                self.disk.full = True
                await asyncio.sleep(self.rng.random() * 10)
                self.disk.full = False

    async def _disconnect(self) -> None:
        self.counts["disconnects"] += 1
        for state in ("reconnecting", "connected"):
            if self.process is not None:
                self.process.engine.state(NAME, state)
            await asyncio.sleep(self.rng.random() * 10)

    # --- the story ----------------------------------------------------------------------------------------

    def number(self) -> int:
        self.serial += 1
        return self.serial

    def people(self) -> list[Person]:
        customers = [Customer(self, name) for name in ("ana", "ben", "chloe")[: self.options.customers]]
        agents = [Agent(self, name) for name in ("dana", "kim", "lee")[: self.options.agents]]
        return [*customers, *agents, Stranger(self, "mallory")]

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on at the same time."""
        return [*(p.live(self.options.acts) for p in self.people()), self.trouble()]

    async def play(self) -> Story:
        self.own.add(asyncio.current_task())  # type: ignore[arg-type]
        self.start()
        self.disk.power.left = self.options.cut_at
        try:
            await asyncio.gather(*(self.task(job) for job in self.jobs()))
            await self.settle(SETTLE_SECONDS)
            await asyncio.sleep(QUIET_SECONDS)
            await self.settle(SETTLE_SECONDS)
            self.watch.final(self.postbox.accepted)
        finally:
            if self.process is not None:
                await self.process.kill()
        seen = self.counts + self.town.counts + self.postbox.counts + self.watch.seen
        return Story(self.seed, self.watch.violations, seen)

    async def settle(self, limit: float) -> None:
        """A fair day, until nothing waits any more."""
        self.weather, self.disk.power.left, self.disk.full = Weather(), None, False
        until = self.clock.now() + limit
        while self.clock.now() < until:
            await asyncio.sleep(1.0)
            process = self.process
            if process is None or self.postbox.under_way or any(not d.done() for d in self.deaths):
                continue
            if process.writer.dead or NAME not in process.engine.states:
                continue
            process.engine.state(NAME, "connected")
            waiting = process.writer.look(
                """SELECT (SELECT count(*) FROM inbox WHERE state = 'new') +
                   (SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending', 'ambiguous'))"""
            )[0][0]
            if not waiting:
                return
        self.watch.fail("something waits for ever")


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="firstline-world-", dir=ROOM))
    try:
        _template(path)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


_migrated: list[bytes] = []


def _template(path: Path) -> None:
    """A database that is migrated already: every world starts with a copy."""
    target = path / "firstline.db"
    if not _migrated:
        from bot.writer import connect

        connect(target).close()
        _migrated.append(target.read_bytes())
    else:
        target.write_bytes(_migrated[0])


def play(seed: int, options: Options | None = None) -> Story:
    """One world, from its first message to the last timer."""
    with silence(), folder() as path:
        return run(_play(seed, options or Options(), path))


async def _play(seed: int, options: Options, path: Path) -> Story:
    return await World(seed, options, path).play()
