"""A local Slack with three people, a customer channel and a staff channel; and the adapter running against it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from adapters.slack import SlackAdapter, SlackSettings
from tests.slack.running import Running, start, stop
from tests.slack.scene import Connect
from tests.slack.server import SlackServer
from tests.slack.sink import RecordingSink


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with SlackServer() as slack:
        slack.add_user("ana", email="ana@example.com")
        slack.add_user("bob", email="bob@example.com")
        slack.add_user("dana", email="dana@local.example")
        slack.add_user("root", is_admin=True)
        slack.add_channel("help", ident="C0HELP", members=["ana", "bob", "dana"])
        slack.add_channel("desk", ident="C0DESK", members=["dana"], private=True)
        yield slack


@pytest.fixture
def settings(server: SlackServer) -> SlackSettings:
    return SlackSettings(
        bot_token=server.bot_token,
        app_token=server.app_token,
        signing_secret=server.signing_secret,
        api_base=server.api_base,
        staff_channel="C0DESK",
        channels={"C0HELP": "mention"},
        ping_seconds=0.2,
        backoff_seconds=0.01,
        watch_seconds=0.02,
        share_seconds=0.001,
    )


@pytest.fixture
async def sink(server: SlackServer) -> RecordingSink:
    return RecordingSink(server.touch)


@pytest.fixture
async def slack(server: SlackServer, sink: RecordingSink, settings: SlackSettings) -> AsyncIterator[Running]:
    """Connected with one socket; tests about two start their own."""
    running = await start(server, sink, replace(settings, sockets=1))
    yield running
    await stop(running)


@pytest.fixture
async def connect(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> AsyncIterator[Connect]:
    """To connect in the middle of a test, with other settings; what still runs at its end is stopped."""
    made: list[Running] = []

    async def connecting(clock: Callable[[], float] = time.time, **changes: Any) -> Running:
        changed = replace(settings, **{"sockets": 1, **changes})
        made.append(await start(server, sink, changed, clock=clock))
        return made[-1]

    yield connecting
    for running in made:
        await stop(running)


@pytest.fixture
async def adapter(settings: SlackSettings) -> AsyncIterator[SlackAdapter]:
    """Not connected: only the Web API side."""
    made = SlackAdapter(settings)
    yield made
    await made.close(1)
