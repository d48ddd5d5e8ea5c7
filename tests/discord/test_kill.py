"""kill -9 while an answer is on its way to Discord, through the real client library. All platforms at random moments:
`tests/test_kill.py`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.discord_server import DiscordServer
from tests.discord_server.interactions import Interactions
from tests.discord_server.rest import Rest
from tests.discord_server.server import shown_text

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
QUESTION, LATER = "how do refunds work?", "how do invoices work?"


class DeadlyRest(Rest):
    """Kills the process that posts: before the message is there or after it, but before anybody is told."""

    victim: asyncio.subprocess.Process | None = None
    happens = False

    async def create(self, request: web.Request) -> web.Response:
        if self.victim is None:
            return await super().create(request)
        if self.happens:
            await super().create(request)
        victim, self.victim = self.victim, None
        victim.kill()
        await victim.wait()
        return web.Response()


class Deadly(DiscordServer):
    def __init__(self) -> None:
        super().__init__()
        self.rest: DeadlyRest = DeadlyRest(self.world, self.gateway, self.around)
        self.interactions = Interactions(self.world, self.rest, self._changed)


@asynccontextmanager
async def running(server: Deadly, database: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    places = (server.guild, server.id_of("help"), server.staff)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.discord.victim", server.api_base, *places, str(database), cwd=ROOT
    )
    try:
        async with asyncio.timeout(SECONDS):
            await server.connected()
            await server.until(lambda: server.world.commands, SECONDS)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await server.gateway.close_all(1001)


def answers(server: DiscordServer, asked: str) -> list[dict[str, Any]]:
    """In the thread that was made of the question."""
    return [m for m in server.messages(asked) if m["author"]["id"] == server.bot]


@pytest.mark.slow
@pytest.mark.parametrize("happens", [True, False], ids=["after the post", "before the post"])
async def test_a_process_killed_between_sending_and_marking_has_answered_once(
    tmp_path: Path, happens: bool
) -> None:
    """What was posted is recognised by its nonce or found, and not posted again; what was not is posted by the next
    process, before the answer to what is asked next."""
    database = tmp_path / "firstline.db"
    async with Deadly.running() as server:
        assert isinstance(server, Deadly)
        ana = server.add_user("ana")
        server.rest.happens = happens
        async with running(server, database) as victim:
            server.rest.victim = victim
            asked = await server.user_says("help", ana, QUESTION)
            async with asyncio.timeout(SECONDS):
                await victim.wait()
        assert len(answers(server, asked)) == int(happens)

        server.world.commands.clear()
        async with running(server, database):
            await server.until(lambda: answers(server, asked), SECONDS)
            await server.user_says(
                asked, ana, LATER
            )  # its answer leaves after whatever was left for this thread
            await server.until(lambda: len(answers(server, asked)) > 1, SECONDS)

        first, second = (shown_text(message) for message in answers(server, asked))
        assert "refunds" in first
        assert "invoices" in second
