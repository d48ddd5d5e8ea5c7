"""Time as a thing that is passed in: the process reads the real one, simulations bring their own."""

from __future__ import annotations

import asyncio
import time
from datetime import date, datetime, tzinfo
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""

    async def until(self, at: float) -> None:
        """Return once `now()` has reached `at`."""


def day_of(now: float, zone: tzinfo) -> date:
    """The calendar day of a moment where the desk is: when a dated topic begins and ends to speak."""
    return datetime.fromtimestamp(now, zone).date()


class RealClock:
    def now(self) -> float:
        return time.time()

    async def until(self, at: float) -> None:
        # In steps: a wall clock that jumps (suspend, NTP) must not leave a message waiting for hours.
        left = at - time.time()
        while left > 0:
            await asyncio.sleep(min(left, 1.0))
            left = at - time.time()


async def until_or(clock: Clock, at: float, event: asyncio.Event) -> None:
    """Return once `clock` has reached `at` or `event` is set, whichever comes first."""
    if at <= clock.now():
        return
    sleeper, waker = asyncio.ensure_future(clock.until(at)), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((sleeper, waker), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        waker.cancel()
