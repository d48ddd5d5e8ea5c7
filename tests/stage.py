"""The whole process on a virtual clock, with real knowledge: what transcripts are played on.

Threads and sockets are real; business time passes only when a dialogue says so. `settle` returns when everything that
could happen at this moment has happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.port import ChatAdapter, Delivered, MsgRef, Op
from bot.app import App
from bot.config import Config
from bot.signals import Signals
from knowledge.embedder import _FIRST, _Job
from knowledge.library import Library

MONDAY = datetime(2027, 1, 11, 10, 0, tzinfo=UTC).timestamp()
KNOWLEDGE = Path("examples/knowledge")


class ManualClock:
    """`bot.clock.Clock` that stands still until it is moved."""

    def __init__(self, now: float = MONDAY) -> None:
        self._now = now
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def until(self, at: float) -> None:
        if at <= self._now:
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at, next(self._order), future))
        await future

    def next(self) -> float | None:
        """When the next sleeper wakes."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def move(self, to: float) -> None:
        self._now = max(self._now, to)
        while (at := self.next()) is not None and at <= self._now:
            heapq.heappop(self._sleepers)[2].set_result(None)


class Stillness:
    """Counts work that is under way outside the event loop, so that "nothing happens any more" can be known."""

    def __init__(self) -> None:
        self._under_way = 0
        self._moved = asyncio.Event()

    def watched(self, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def watching(*args: Any, **named: Any) -> Any:
            self._under_way += 1
            try:
                return await work(*args, **named)
            finally:
                self._under_way -= 1
                self._moved.set()

        return watching

    async def reached(self) -> None:
        """Returns once nothing is under way and the loop has nothing ready."""
        loop: Any = asyncio.get_running_loop()
        quiet = 0
        while quiet < 3:
            if self._under_way:
                self._moved.clear()
                await self._moved.wait()
            await asyncio.sleep(0)
            quiet = quiet + 1 if not self._under_way and not loop._ready else 0


class SharedLibrary(Library):
    """One model and one snapshot for all dialogues: an app that ends does not close them."""

    def close(self) -> None:
        return

    def close_for_good(self) -> None:
        super().close()

    def copy(self, home: Path) -> SharedLibrary:
        """A library with a home of its own, for dialogues that change what is known; the model is shared."""
        if not home.exists():
            shutil.copytree(self._home, home)
        twin = OwnCopy(home)
        twin._embedder, twin._identity = self._embedder, self._identity
        return twin


class OwnCopy(SharedLibrary):
    """The model is shared, the snapshots are its own."""

    def close(self) -> None:
        """On the model's thread, which may be in the middle of a search: it answers others and does not end with this."""
        assert self._embedder
        self._embedder._put(_FIRST, _Job(tuple, lambda _: self._close_snapshots())).result()
        self._current = None

    def _close_snapshots(self) -> None:
        for searcher in self._opened.values():
            searcher.snapshot.close()
        self._opened.clear()


class SharedSignals(Signals):
    """Fitted once for the same boundaries."""

    _fitted_for: Mapping[str, tuple[str, ...]] | None = None

    async def prepare(self, boundaries: Mapping[str, tuple[str, ...]] | None = None) -> None:
        if self._fitted_for is None or self._fitted_for != boundaries:
            await super().prepare(boundaries)
            self._fitted_for = dict(boundaries or {})


class Knowledge:
    """What all dialogues share: the sample knowledge, built once."""

    def __init__(self, library: SharedLibrary) -> None:
        self.library = library
        self.signals = SharedSignals(library.embed, library._home / "triggers")

    @classmethod
    async def built(cls, home: Path) -> Knowledge:
        library = SharedLibrary(home)
        built = await library.build([KNOWLEDGE])
        await library.activate(built.info.id)
        made = cls(library)
        await made.signals.prepare(library.boundaries)
        return made


Refusal = tuple[Callable[[Op], bool], Exception]


class Stage:
    """One app, its clock, its database; it can be stopped, started and told to fail deliveries."""

    def __init__(
        self, config: Config, adapter: Callable[[], ChatAdapter | Sequence[ChatAdapter]], knowledge: Knowledge,
        clock: ManualClock,
    ) -> None:  # fmt: skip
        self.config, self.clock, self._adapter, self._knowledge = config, clock, adapter, knowledge
        self.library = knowledge.library
        self.refusals: list[Refusal] = []
        self.trace: dict[str, list[tuple[str, str, str, str]]] = {}
        self.stillness = Stillness()
        self.app: App | None = None
        self._life: asyncio.Task[None] | None = None
        self._down, self._changed = asyncio.Event(), asyncio.Event()

    async def start(self) -> None:
        made = self._adapter()
        adapters = made if isinstance(made, Sequence) else [made]
        app = self.app = App(self.config, adapters, clock=self.clock, library=self.library)
        app.signals = self._knowledge.signals
        app.engine.observers.append(self._observe)
        app.engine.state = self._told(app.engine.state)  # type: ignore[method-assign]
        watched = self.stillness.watched
        gatherer: Any = app.engine._gatherer
        gatherer._signals = app.signals
        gatherer.known = watched(gatherer.known)
        app.storage._do = watched(app.storage._do)  # type: ignore[method-assign, assignment]
        app.outbox._chores = watched(app.outbox._chores)
        app.engine.after = [watched(work) for work in app.engine.after]
        for adapter in adapters:
            adapter.deliver = watched(self._deliverer(adapter.deliver))  # type: ignore[method-assign]
            adapter.reconcile = watched(adapter.reconcile)  # type: ignore[method-assign]
        up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._down = asyncio.Event()
        self._life = asyncio.ensure_future(self._live(app, up))
        await asyncio.wait((up, self._life), return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            await self._life

    async def _live(self, app: App, up: asyncio.Future[None]) -> None:
        async with app.running():
            up.set_result(None)
            await self._down.wait()

    async def connected(self) -> None:
        """The platform is connected, and what was missed has been told."""
        assert self.app is not None
        async with asyncio.timeout(20):
            while not self._is_connected(self.app):
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.02)
        await self.settle()

    def _is_connected(self, app: App) -> bool:
        states = app.engine.states
        return (
            all(states.get(name, ("",))[0] == "connected" for name in app.adapters)
            and not app.engine._catching
        )

    def _told(self, tell: Callable[..., None]) -> Callable[..., None]:
        def telling(*args: Any, **named: Any) -> None:
            tell(*args, **named)
            self._changed.set()

        return telling

    async def stop(self) -> None:
        if self._life is not None:
            self._down.set()
            await self._life
            self._life = self.app = None

    def _deliverer(self, deliver: Callable[..., Awaitable[Delivered]]) -> Callable[..., Awaitable[Delivered]]:
        async def delivering(op: Op, part: int, key: str) -> Delivered:
            for refuses, error in self.refusals:
                if refuses(op):
                    raise error
            return await deliver(op, part, key)

        return delivering

    def _observe(self, trace: Mapping[str, Any]) -> None:
        """What was decided in each customer's conversations: the same on every platform. What nobody said to the bot
        is left out: some platforms pass it on, others do not even listen."""
        if trace["kind"] == "unaddressed":
            return
        ticket = trace["ticket"]
        entry = (trace["event"], trace["kind"], trace["phase"], ticket["state"] if ticket else "")
        self.trace.setdefault(str(trace["customer"]).casefold(), []).append(entry)

    # --- time ---------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Everything that can happen now has happened."""
        await self.stillness.reached()

    async def advance(self, seconds: float, *, until: Callable[[], Awaitable[bool]] | None = None) -> bool:
        """Let time pass, from one sleeper to the next; stops early where `until` holds."""
        end = self.clock.now() + seconds
        while True:
            await self.settle()
            if until is not None and await until():
                return True
            at = self.clock.next()
            if at is None or at > end:
                break
            self.clock.move(at)
        if until is None:
            self.clock.move(end)
            await self.settle()
        return until is not None and await until()

    # --- looking ------------------------------------------------------------------------------------------

    async def anchored(self, name: str) -> MsgRef | None:
        assert self.app is not None
        return await self.app.storage.anchored(name)

    async def rows(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        assert self.app is not None
        return await self.app.storage.query(query, values)


@contextlib.asynccontextmanager
async def staged(stage: Stage) -> Any:
    await stage.start()
    try:
        yield stage
    finally:
        await stage.stop()
