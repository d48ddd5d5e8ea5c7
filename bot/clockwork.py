"""Time as an event: due timers are recorded on the line like everything else that happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from adapters.port import Inbound, TimerFired
from bot.clock import Clock, until_or
from bot.storage import Storage
from bot.writer import STORAGE_RETRY_SECONDS, StorageError
from handoff.model import Case

log = structlog.get_logger("timers")

IDLE_SECONDS = 3600.0


class Clockwork:
    """Wakes the conversations whose timers are due. `nudge` after timers were set or cancelled."""

    def __init__(self, storage: Storage, clock: Clock, wake: Callable[[str], None]) -> None:
        self._storage, self._clock, self._wake = storage, clock, wake
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        self._nudged.set()

    async def run(self) -> None:
        """Until cancelled. A timer is deleted in the transaction that records its event: it fires once."""
        while True:
            self._nudged.clear()
            try:
                woken, following = await self._storage.due(self._clock.now(), fired)
            except StorageError as error:
                log.error("storage_refuses", error=str(error))  # noqa: TRY400
                woken, following = [], self._clock.now() + STORAGE_RETRY_SECONDS
            for conversation in woken:
                self._wake(conversation)
            if not woken:
                idle = self._clock.now() + IDLE_SECONDS
                await until_or(self._clock, idle if following is None else following, self._nudged)


def fired(case_id: str, timer: str, at: float, arg: str, case: Case) -> Inbound:
    return TimerFired(
        keys=(f"timer:{case_id}:{timer}:{at!r}",),
        place=case.place,
        actor=None,
        occurred_at=at,
        timer=timer,
        arg=arg,
    )
