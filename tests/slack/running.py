"""The adapter, running against the local Slack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapters.port import Place
from adapters.slack import SlackAdapter, SlackSettings
from tests.slack.server import SlackServer
from tests.slack.sink import RecordingSink


@dataclass
class Running:
    """The adapter, connected, with its sink."""

    adapter: SlackAdapter
    sink: RecordingSink
    server: SlackServer
    task: asyncio.Task[None]

    def place(self, thread: str | None = None, channel: str = "C0HELP", **more: Any) -> Place:
        return Place("slack", self.server.team, channel, thread, **more)

    async def until(self, predicate: Any) -> Any:
        return await self.server.wait_for(predicate)


async def start(
    server: SlackServer,
    sink: RecordingSink,
    settings: SlackSettings,
    *,
    clock: Callable[[], float] = time.time,
) -> Running:
    adapter = SlackAdapter(settings, clock=clock)
    sink.states.clear()
    task = asyncio.create_task(adapter.run(sink))
    await server.wait_for(lambda: task.done() or ("connected", "") in sink.states)
    return Running(adapter, sink, server, task)


async def stop(running: Running) -> None:
    await running.adapter.close(2)
    await asyncio.gather(running.task, return_exceptions=True)
