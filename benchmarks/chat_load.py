"""A whole bot on a local chat platform in another process: one question at a time, then more than it can take.

`bare sum of its parts` means, in the same process and in turns: one search, one SQLite commit, and the HTTP calls
that an answer takes on this platform, with the body of a real answer, to the same server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
from pydantic import SecretStr

from benchmarks.line import Bare, questions
from benchmarks.measure import (
    Measure,
    Outcome,
    environment,
    measure,
    progress,
    resident_mb,
    scratch,
    settings,
    spread,
)
from bot.app import App, platform_adapters
from bot.config import ChannelConfig, Config

Json = dict[str, Any]
RATE, SECONDS, DRAIN = 200, 60, 120
CHANNELS, USERS = 400, 1000
ROUNDS = 100
# Conversations whose customer still waits for something that the database holds.
WAITING = """SELECT count(*) AS n FROM (
  SELECT conversation FROM inbox WHERE state = 'new'
  UNION
  SELECT c.conversation FROM outbox AS o JOIN cases AS c ON c.id = o.case_id
  WHERE o.audience = 'customer' AND o.state IN ('pending', 'sending', 'ambiguous'))"""


class Platform(Protocol):
    """What differs between the two."""

    name: str

    def configured(self, config: Config, place: Json, channels: tuple[ChannelConfig, ...]) -> Config: ...
    async def prepare(self, session: aiohttp.ClientSession, place: Json) -> str: ...
    async def post(self, session: aiohttp.ClientSession, place: Json, body: Json, prepared: str) -> None: ...


class Server:
    """The server's process and the line to it."""

    def __init__(self, process: asyncio.subprocess.Process, place: Json) -> None:
        self._process, self.place = process, place

    async def order(self, *, words: str = "", **order: Any) -> Json:
        """Send one order; its result. Progress on the way is passed on."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        while True:
            found = await self.line()
            if "result" in found:
                result: Json = found["result"]
                return result
            done, total = found["progress"]
            progress(done, total, words)

    async def line(self) -> Json:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the local server ended")
        found: Json = json.loads(line)
        return found


@asynccontextmanager
async def serving(platform: str, channels: int, users: int) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.chat_servers", platform, str(channels), str(users),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=dict(environment()), limit=2**26,
    )  # fmt: skip
    server = Server(process, {})
    try:
        server.place = await server.line()
        yield server
    finally:
        process.kill()
        await process.wait()


@dataclass
class Sizes:
    rounds: int
    channels: int
    users: int
    rate: int
    texts: int
    drain: float


def sizes(*, quick: bool) -> Sizes:
    return (
        Sizes(5, 20, 50, 20, 60, 20) if quick else Sizes(ROUNDS, CHANNELS, USERS, RATE, RATE * SECONDS, DRAIN)
    )


async def one_at_a_time(server: Server, texts: Iterator[str], rounds: int, words: str) -> list[float]:
    found = []
    for turn in range(rounds):
        progress(turn, rounds, words)
        found.append(float((await server.order(do="ask", text=next(texts)))["seconds"]))
    return found


@dataclass
class Played:
    """What one bot reached."""

    single: list[float]
    bare: list[float]
    load: Json
    memory: float
    waiting: int = 0


async def ours(platform: Platform, size: Sizes) -> Played:
    """The whole process with the real adapter and the sample knowledge, as `firstline run` has it."""
    with scratch() as folder:
        async with serving(platform.name, size.channels, size.users) as server:
            place = server.place
            rules = tuple(ChannelConfig(id=channel, mode="all") for channel in place["channels"])
            app = App(
                config := platform.configured(settings(folder), place, rules), platform_adapters(config)
            )
            async with app.running(), aiohttp.ClientSession() as session:
                await server.order(do="connected")
                texts, bare = questions(), Bare(app.library, folder / "bare.db")
                await one_at_a_time(server, texts, 5, "warming up")
                body = (await server.order(do="sample"))["sample"]
                single, alone = [], []
                for turn in range(size.rounds):
                    progress(turn, size.rounds, "one at a time")
                    prepared = await platform.prepare(session, place)
                    started = time.perf_counter()
                    await bare.answer(next(texts))
                    await platform.post(session, place, body, prepared)
                    alone.append(time.perf_counter() - started)
                    single.append(float((await server.order(do="ask", text=next(texts)))["seconds"]))
                load = await under_load(server, texts, size)
                waiting = int((await app.storage.query(WAITING))[0]["n"])
                return Played(single, alone, load, resident_mb(), waiting)


async def under_load(server: Server, texts: Iterator[str], size: Sizes) -> Json:
    offered = list(itertools.islice(texts, size.texts))
    words = f"{size.rate} questions/s offered"
    return await server.order(words=words, do="load", texts=offered, rate=size.rate, drain=size.drain)


async def naive(size: Sizes, folder: str) -> Played:
    """The same load on the hand-written Slack bot of benchmarks/slack_naive_app.py, in a process of its own."""
    async with serving("slack", size.channels, size.users) as server:
        tokens = {"SLACK_BOT_TOKEN": server.place["bot_token"], "SLACK_APP_TOKEN": server.place["app_token"]}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.slack_naive_app", server.place["api_base"], folder,
            env=dict(environment(**tokens)), stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await server.order(do="connected")
            texts = questions()
            await one_at_a_time(server, texts, 5, "hand-written app: warming up")
            single = await one_at_a_time(server, texts, size.rounds, "hand-written app: one at a time")
            load = await under_load(server, texts, size)
            return Played(single, [], load, resident_mb(process.pid))
        finally:
            process.kill()
            await process.wait()


def figures(played: Played) -> list[Measure]:
    """The figures that both platforms have."""
    line, plain, load = spread(played.single), spread(played.bare), played.load
    lost = max(0, load["offered"] - load["answered"] - played.waiting)
    return [
        measure("ratio_p50", "question to posted answer over the bare sum, p50, one at a time",
                line["p50_ms"] / plain["p50_ms"], "×", "<= 1.3"),
        measure("ratio_p99", "the same, p99", line["p99_ms"] / plain["p99_ms"], "×"),
        measure("line_p50", "question to posted answer, p50, one at a time", line["p50_ms"], "ms"),
        measure("line_p99", "the same, p99", line["p99_ms"], "ms"),
        measure("offered", "questions a second offered", load["offered"] / load["offered_seconds"], "questions/s"),
        measure("throughput", "answers a second under that load", load["answered"] / load["until_last"], "answers/s"),
        measure("ratio_load", "question to posted answer over the bare sum, p50, under that load",
                spread(load["seconds"])["p50_ms"] / plain["p50_ms"], "×"),
        measure("load_p50", "question to posted answer, p50, under that load", spread(load["seconds"])["p50_ms"], "ms"),
        measure("lost", "questions lost under load", lost, "questions", "<= 0"),
        measure("waiting", "questions that still waited, durably, when the run ended", played.waiting, "questions"),
        measure("twice", "messages beyond the first answer to a question", load["twice"], "messages"),
        measure("memory", "memory of the process after the load", played.memory, "MB"),
    ]  # fmt: skip


def details(played: Played, size: Sizes) -> Json:
    load = {k: v for k, v in played.load.items() if k not in ("seconds", "acks")}
    return {
        "single": spread(played.single), "bare": spread(played.bare), "load": load,
        "load_latency": spread(played.load["seconds"]), "load_curve": curve(played.load["seconds"]),
        "channels": size.channels, "users": size.users,
    }  # fmt: skip


def curve(seconds: Sequence[float]) -> list[float]:
    """Twenty-one quantiles, for a picture."""
    ordered = sorted(seconds)
    return [round(ordered[int(q * (len(ordered) - 1) / 20)], 4) for q in range(21)] if ordered else []


def secret(value: str) -> SecretStr:
    return SecretStr(value)


def quiet_environment() -> None:
    """A proxy has no business between two processes of one machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        os.environ.pop(name, None)


__all__ = [
    "Outcome",
    "Platform",
    "Played",
    "details",
    "figures",
    "naive",
    "ours",
    "quiet_environment",
    "secret",
    "sizes",
]
