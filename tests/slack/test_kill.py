"""kill -9 while an answer is on its way to Slack, through the real client library. All platforms at random moments:
`tests/test_kill.py`."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.slack.server import SlackServer

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


class Deadly(SlackServer):
    """Kills the process that posts: before the post has happened or after it, but before anybody is told."""

    victim: asyncio.subprocess.Process | None = None
    happened = False

    async def _api(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["method"] != "chat.postMessage" or self.victim is None:
            return await super()._api(request)
        if self.happened:
            await super()._api(request)
        victim, self.victim = self.victim, None
        victim.kill()
        await victim.wait()
        return web.Response()


@asynccontextmanager
async def lively() -> AsyncIterator[Deadly]:
    async with Deadly() as server:
        server.add_user("ana")
        server.add_channel("help", ident="C0HELP", members=["ana"])
        server.add_channel("desk", ident="C0DESK", private=True)
        yield server


@asynccontextmanager
async def running(server: SlackServer, database: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.slack.victim", server.api_base, str(database), cwd=ROOT
    )
    try:
        await server.wait_for(lambda: server.sockets.open, SECONDS)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def answers(server: SlackServer, thread: str) -> list[dict[str, Any]]:
    return [m for m in server.messages("help", thread) if m.get("bot_id")]


def waiting(database: Path) -> int:
    """Messages of which it is not settled whether they were sent."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'superseded')")
        return int(rows.fetchone()[0])


async def revived(server: Deadly, asked: str, database: Path) -> None:
    """The next process finds what the killed one left, and goes on: one answer to each question."""
    server.sockets.open.clear()
    async with running(server, database):
        await server.redeliver()
        await server.wait_for(lambda: answers(server, asked), SECONDS)
        await server.wait_for(lambda: waiting(database) == 0, SECONDS)
        later = await server.user_says("help", "ana", "how do invoices work?")
        await server.wait_for(lambda: answers(server, later), SECONDS)
    assert (len(answers(server, asked)), len(answers(server, later))) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("happened", [True, False], ids=["after the post", "before the post"])
async def test_a_process_killed_between_sending_and_marking_has_answered_once(
    tmp_path: Path, happened: bool
) -> None:
    """41: what was posted is found by its mark and not posted again; what was not is posted by the next process."""
    async with lively() as server:
        server.happened = happened
        async with running(server, tmp_path / "firstline.db") as victim:
            server.victim = victim
            asked = await server.user_says("help", "ana", "how do refunds work?", wait=False)
            await victim.wait()
        assert len(answers(server, asked)) == int(happened)
        await revived(server, asked, tmp_path / "firstline.db")


@pytest.mark.slow
async def test_a_process_killed_after_the_acknowledgement_still_answers(tmp_path: Path) -> None:
    """21: Slack has its acknowledgement and will not deliver again; the question is a row."""
    async with lively() as server:
        async with running(server, tmp_path / "firstline.db") as victim:
            asked = await server.user_says("help", "ana", "how do refunds work?", wait=False)
            [question] = server.outstanding
            await question.answered.wait()
            victim.kill()
        assert answers(server, asked) == []
        await revived(server, asked, tmp_path / "firstline.db")
        assert question.attempt == 0
