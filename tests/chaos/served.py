"""A bot that may be killed at any moment: the real line on a real disk, with an adapter of the test's choice."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import structlog

from adapters.port import ChatAdapter
from bot.clock import RealClock
from bot.engine import Engine
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.storage import Row, Storage
from bot.writer import Writer
from handoff.policy import Policy
from tests import stand_ins


async def serve(adapter: ChatAdapter, database: Path, policy: Policy, *, search_seconds: float) -> None:
    """Until killed, or until the adapter ends by itself."""
    writer = Writer(database)
    await writer.open()
    storage, clock, metrics = Storage(writer), RealClock(), Metrics()

    async def chore(row: Row) -> None:
        return

    outbox = Outbox(storage, {adapter.name: adapter}, chore, clock=clock, metrics=metrics)
    engine = Engine(
        storage, outbox, stand_ins.Gatherer(storage, policy, random.Random(), search_seconds), policy, stand_ins.word,
        clock=clock, metrics=metrics, debounce=0.02, concurrency=16,
    )  # fmt: skip
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.run(stop))
        group.create_task(engine.run(stop))
        await adapter.run(engine)
        stop.set()
    await writer.close()


def run_quietly(main: Coroutine[Any, Any, None]) -> None:
    """As a process of its own, which has nothing to say."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(main)
