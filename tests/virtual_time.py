"""Time that passes only when nobody has anything left to do, and then at once.

A simulated world runs on `VirtualLoop`: `asyncio.sleep(3600)` takes no real time, and the same seed gives the same
order of everything. There are no threads and no sockets in such a world.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
START = 1_800_000_000.0  # a Friday in January, 08:00 UTC


class Stuck(RuntimeError):
    """Everybody waits for something that nobody will ever do."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as nothing is ready."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            handle = _pop(self._scheduled)
            handle._scheduled = False
        if not self._ready:
            if not self._scheduled:
                raise Stuck("nothing is ready and no timer is set")
            self._now = max(self._now, self._scheduled[0]._when)
        super()._run_once()


def _pop(heap: list[Any]) -> Any:
    import heapq

    return heapq.heappop(heap)


class VirtualClock:
    """`bot.clock.Clock` on the running loop's time."""

    def now(self) -> float:
        return START + asyncio.get_running_loop().time()

    async def until(self, at: float) -> None:
        left = at - self.now()
        if left > 0:
            await asyncio.sleep(left)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a world of its own time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
