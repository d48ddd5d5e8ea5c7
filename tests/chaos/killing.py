"""kill -9 at random moments while questions come in: afterwards every question has exactly one answer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapters.port import Actor, MessageReceived, MsgRef
from tests.chaos.wire import Platform
from tests.world import NAME, place

ROOT = Path(__file__).parent.parent.parent
FINISH_SECONDS = 60.0


@dataclass
class Killed:
    """What came of it."""

    kills: int
    questions: int
    unanswered: list[str]
    doubled: list[str]
    repeated_keys: int
    intact: str


async def kill_often(
    kills: int, questions: int, folder: Path, seed: int, tell: Callable[[str], None] = lambda _: None
) -> Killed:
    rng = random.Random(seed)
    platform = Platform()
    socket, database = folder / "wire", folder / "firstline.db"
    await platform.open(socket)
    threads = [str(10_000 + n) for n in range(questions)]
    waiting = list(threads)
    try:
        for number in range(kills):
            process = await _start(socket, database, platform)
            share = max(1, len(waiting) // (kills - number + 1))
            batch, waiting = waiting[:share], waiting[share:]
            moment = asyncio.ensure_future(_moment(rng, platform))
            await _ask(platform, batch, rng)
            await moment
            process.kill()
            await process.wait()
            tell(f"kill {number + 1} of {kills}: {len(platform.posts)} messages so far")
        process = await _start(socket, database, platform)
        await _ask(platform, waiting, rng)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                while platform.unacknowledged or any(not platform.texts(t) for t in threads):
                    platform.changed.clear()
                    await platform.changed.wait()
        await _quiet(platform)
        process.kill()
        await process.wait()
    finally:
        await platform.close()
    keys = [key for key, _ in platform.posts]
    return Killed(
        kills, questions, [t for t in threads if not platform.texts(t)],
        [t for t in threads if len(platform.texts(t)) > 1], len(keys) - len(set(keys)), _integrity(database),
    )  # fmt: skip


async def _start(socket: Path, database: Path, platform: Platform) -> asyncio.subprocess.Process:
    platform.connected.clear()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.victim", str(socket), str(database), cwd=ROOT
    )
    async with asyncio.timeout(FINISH_SECONDS):
        await platform.connected.wait()
    return process


async def _ask(platform: Platform, threads: list[str], rng: random.Random) -> None:
    loop = asyncio.get_running_loop()
    for thread in threads:
        where = place("help", thread)
        event = MessageReceived(
            keys=(f"d:{thread}", f"msg:{thread}"), place=where, actor=Actor(NAME, NAME, f"customer{thread}", "Ana"),
            occurred_at=0.0, order=(int(thread),), ref=MsgRef(where, thread), text="how do refunds work?", is_root=True,
        )  # fmt: skip
        platform.offer(event)
        pause: asyncio.Future[None] = loop.create_future()
        loop.call_later(rng.random() * 0.01, pause.set_result, None)
        await pause


async def _moment(rng: random.Random, platform: Platform) -> None:
    """A moment to die: after so many calls to the platform, or after a while."""
    calls = platform.calls + rng.randint(0, 8)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(rng.random() * 0.5):
            while platform.calls < calls:
                platform.changed.clear()
                await platform.changed.wait()


async def _quiet(platform: Platform) -> None:
    """Until nothing more is said for half a second."""
    with contextlib.suppress(TimeoutError):
        while True:
            platform.changed.clear()
            async with asyncio.timeout(0.5):
                await platform.changed.wait()


def _integrity(database: Path) -> str:
    with contextlib.closing(sqlite3.connect(database)) as db:
        return str(db.execute("PRAGMA integrity_check").fetchone()[0])
