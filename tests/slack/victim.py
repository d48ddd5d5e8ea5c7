"""The bot that is killed: the real adapter, line and disk. `python -m tests.slack.victim API_BASE DATABASE`."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from pathlib import Path

import structlog

from adapters.port import Place
from adapters.slack import SlackAdapter, SlackSettings
from bot.clock import RealClock
from bot.engine import Engine
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.storage import Row, Storage
from bot.writer import Writer
from handoff.policy import ChannelRule, RouteRule
from tests import stand_ins
from tests.slack.workspace import APP_TOKEN, BOT_TOKEN, TEAM


async def main(api_base: str, database: Path) -> None:
    """Serve until killed."""
    desk = RouteRule("desk", {"slack": Place("slack", TEAM, "C0DESK", None, "private")})
    policy = stand_ins.policy(channels={("slack", "C0HELP"): ChannelRule("all")}, routes={"desk": desk})
    writer = Writer(database)
    await writer.open()
    storage, clock, metrics = Storage(writer), RealClock(), Metrics()
    adapter = SlackAdapter(
        SlackSettings(
            BOT_TOKEN, APP_TOKEN, api_base=api_base, staff_channel="C0DESK", channels={"C0HELP": "all"}
        )
    )

    async def chore(row: Row) -> None:
        return

    outbox = Outbox(storage, {"slack": adapter}, chore, clock=clock, metrics=metrics)
    engine = Engine(
        storage, outbox, stand_ins.Gatherer(storage, policy, random.Random(), 0.001), policy, stand_ins.word,
        clock=clock, metrics=metrics, debounce=0.02, concurrency=16,
    )  # fmt: skip
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.run(stop))
        group.create_task(engine.run(stop))
        await adapter.run(engine)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
