"""A local Discord, a sink that only records, and the adapter between them; a customer and an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from adapters.discord import DiscordAdapter
from tests.discord.raw import Api
from tests.discord_server import DiscordServer
from tests.discord_sink import RecordingSink, connected


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer.running() as running:
        yield running


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
async def adapter(server: DiscordServer, sink: RecordingSink) -> AsyncIterator[DiscordAdapter]:
    """Connected, with its commands registered."""
    async with connected(server, sink) as running:
        yield running


@pytest.fixture
def ann(server: DiscordServer) -> str:
    return server.add_user("ann")


@pytest.fixture
def dana(server: DiscordServer) -> str:
    return server.add_user("dana", roles=[server.agents])


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def api(server: DiscordServer, web: aiohttp.ClientSession) -> Api:
    return Api(server, web)
