"""Each platform is kept alive by itself; what cannot be helped stays down and says what to do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from adapters.port import AdapterFatal, Sink
from bot.supervisor import BACKOFF_CAP_SECONDS, HEALTHY_SECONDS, supervise
from tests.line.scene import Platform, virtual


class Watching:
    """A sink that notes what it is told."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str, str]] = []

    def state(self, platform: str, state: str, detail: str = "") -> None:
        self.states.append((platform, state, detail))

    def of(self, platform: str) -> list[str]:
        return [state for name, state, _ in self.states if name == platform]


class Lives(Platform):
    """An adapter whose lives go as told: each is a coroutine function, the last one repeats."""

    def __init__(self, name: Any, *lives: Callable[[], Awaitable[None]]) -> None:
        super().__init__(name)
        self.lives, self.born = list(lives), []

    async def run(self, sink: Sink) -> None:
        self.born.append(asyncio.get_running_loop().time())
        sink.state(self.name, "connected")
        await (self.lives.pop(0) if len(self.lives) > 1 else self.lives[0])()


async def breaks() -> None:
    raise ConnectionError("the socket is gone")


async def fatal() -> None:
    raise AdapterFatal("the token is wrong: paste it again")


async def for_ever() -> None:
    await asyncio.Event().wait()


def lives_for(seconds: float) -> Callable[[], Awaitable[None]]:
    async def life() -> None:
        await asyncio.sleep(seconds)
        raise ConnectionError("after a while")

    return life


def start(sink: Watching, stop: asyncio.Event, adapter: Lives) -> asyncio.Task[None]:
    return asyncio.ensure_future(supervise(adapter, sink, stop, jitter=lambda: 1.0))  # type: ignore[arg-type]


@virtual
async def test_a_fatal_failure_stays_down_says_why_and_the_others_live() -> None:
    sink, stop = Watching(), asyncio.Event()
    broken, well = Lives("slack", fatal), Lives("discord", for_ever)
    tasks = [start(sink, stop, broken), start(sink, stop, well)]
    await asyncio.sleep(3600)
    assert tasks[0].done()
    assert not tasks[1].done()
    assert len(broken.born) == 1
    assert ("slack", "fatal", "the token is wrong: paste it again") in sink.states
    assert sink.of("discord") == ["connecting", "connected"]
    tasks[1].cancel()


@virtual
async def test_the_pause_grows_to_a_cap() -> None:
    sink, stop, adapter = Watching(), asyncio.Event(), Lives("slack", breaks)
    task = start(sink, stop, adapter)
    await asyncio.sleep(4000)
    stop.set()
    await task
    pauses = [round(later - earlier) for earlier, later in itertools.pairwise(adapter.born)]
    assert pauses[:8] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert set(pauses[8:]) == {BACKOFF_CAP_SECONDS}


@virtual
async def test_who_was_well_for_a_while_starts_again_without_the_old_patience() -> None:
    sink, stop = Watching(), asyncio.Event()
    adapter = Lives("slack", breaks, breaks, breaks, lives_for(HEALTHY_SECONDS + 1), lives_for(5), for_ever)
    task = start(sink, stop, adapter)
    await asyncio.sleep(600)
    ends = [0, 0, 0, HEALTHY_SECONDS + 1, 5]
    pauses = [
        round(later - earlier - life)
        for (earlier, later), life in zip(itertools.pairwise(adapter.born), ends, strict=True)
    ]
    assert pauses == [2, 4, 8, 1, 2]
    task.cancel()


@virtual
async def test_stop_ends_the_pause_at_once_and_no_new_life_begins() -> None:
    sink, stop, adapter = Watching(), asyncio.Event(), Lives("slack", breaks)
    task = start(sink, stop, adapter)
    await asyncio.sleep(100)
    born, began = len(adapter.born), asyncio.get_running_loop().time()
    stop.set()
    await task
    assert asyncio.get_running_loop().time() == began
    assert len(adapter.born) == born


@virtual
async def test_an_adapter_that_ends_by_itself_is_down_and_one_that_was_stopped_is_stopped() -> None:
    sink, stop = Watching(), asyncio.Event()

    async def ends() -> None:
        await asyncio.sleep(1)

    adapter = Lives("slack", ends)
    task = start(sink, stop, adapter)
    await asyncio.sleep(1.5)
    assert sink.of("slack")[-1] == "down"
    await asyncio.sleep(2)
    stop.set()
    await task
    assert sink.of("slack")[-1] == "stopped"


@virtual
async def test_a_cancellation_passes() -> None:
    task = start(Watching(), asyncio.Event(), Lives("slack", for_ever))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@virtual
async def test_what_went_wrong_is_told_in_words() -> None:
    sink = Watching()
    task = start(sink, asyncio.Event(), Lives("slack", breaks, for_ever))
    await asyncio.sleep(10)
    assert ("slack", "down", "ConnectionError: the socket is gone") in sink.states
    assert sink.of("slack")[-1] == "connected"
    task.cancel()


@virtual
async def test_why_an_adapter_is_down_quotes_nobody() -> None:
    """It is logged and shown on the health page, and a parser's error quotes what it could not read."""

    async def stumbles() -> None:
        raise ValueError("could not read 'my password is Quittenmus'")

    sink, stop = Watching(), asyncio.Event()
    keepers = [
        asyncio.ensure_future(supervise(Lives(name, life), sink, stop))  # type: ignore[arg-type]
        for name, life in (("slack", stumbles), ("discord", breaks))
    ]
    await asyncio.sleep(1)
    stop.set()
    await asyncio.gather(*keepers)
    down = {platform: detail for platform, state, detail in sink.states if state == "down"}
    assert down == {"slack": "ValueError", "discord": "ConnectionError: the socket is gone"}
