"""The bot that is killed: the real line on a real disk, behind the wire. `python -m tests.chaos.victim SOCKET DATABASE`."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from pathlib import Path

import structlog

from bot.clock import RealClock
from bot.engine import Engine
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.storage import Row, Storage
from bot.writer import Writer
from tests import stand_ins
from tests.chaos.wire import WireAdapter
from tests.world import NAME


async def main(socket: Path, database: Path) -> None:
    """Serve until killed."""
    writer = Writer(database)
    await writer.open()
    storage, clock, metrics, policy = Storage(writer), RealClock(), Metrics(), stand_ins.policy()
    adapter = WireAdapter(socket)

    async def chore(row: Row) -> None:
        return

    outbox = Outbox(storage, {NAME: adapter}, chore, clock=clock, metrics=metrics)
    engine = Engine(
        storage, outbox, stand_ins.Gatherer(storage, policy, random.Random(), 0.005), policy, stand_ins.word,
        clock=clock, metrics=metrics, debounce=0.02, concurrency=16,
    )  # fmt: skip
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.run(stop))
        group.create_task(engine.run(stop))
        await adapter.run(engine)
        stop.set()
    await writer.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
