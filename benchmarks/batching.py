"""Questions that arrive together share a run of the model: what that is worth."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import numpy as np

from benchmarks.line import questions
from benchmarks.measure import MODELS, SAMPLE, Outcome, measure, progress, scratch
from knowledge.library import Library

IN_FLIGHT = 64
TICK = 0.005  # seconds between two looks of the event loop at the clock


async def alone(library: Library, texts: Iterator[str], count: int) -> float:
    """Questions a second when each waits for the one before."""
    started = time.perf_counter()
    for _ in range(count):
        await library.search(next(texts))
    return count / (time.perf_counter() - started)


async def together(library: Library, texts: Iterator[str], count: int) -> float:
    """Questions a second with `IN_FLIGHT` of them always under way."""

    async def asker(share: int) -> None:
        for _ in range(share):
            await library.search(next(texts))

    share = count // IN_FLIGHT
    started = time.perf_counter()
    await asyncio.gather(*(asker(share) for _ in range(IN_FLIGHT)))
    return share * IN_FLIGHT / (time.perf_counter() - started)


@contextlib.asynccontextmanager
async def late() -> AsyncIterator[list[float]]:
    """How much later than asked for the event loop wakes a sleeper, in ms, all the time that this is open."""
    found: list[float] = []

    async def watch() -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            found.append((time.perf_counter() - due) * 1000)

    watching = asyncio.ensure_future(watch())
    try:
        yield found
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def run(*, quick: bool) -> Outcome:
    """The two ways take turns; the best of each counts, since noise only ever slows."""
    count, turns = (64, 1) if quick else (640, 5)
    texts = questions()
    one: list[float] = []
    many: list[float] = []
    calm: list[float] = []
    busy: list[float] = []
    with scratch() as home:
        library = Library(home)
        try:
            built = await library.build([SAMPLE])
            await library.activate(built.info.id)
            await alone(library, texts, 20)
            for turn in range(turns):
                progress(turn, turns, "one at a time, then 64")
                one.append(await alone(library, texts, count // 4))
                async with late() as behind:
                    many.append(await together(library, texts, count))
                busy += behind
                async with late() as behind:
                    await asyncio.sleep(0.2 if quick else 2)
                calm += behind
        finally:
            library.close()
    return {
        "measures": [
            measure("gain", f"questions/s with {IN_FLIGHT} in flight over one at a time", max(many) / max(one), "×", ">= 2"),
            measure("alone", "one at a time", max(one), "questions/s"),
            measure("together", f"{IN_FLIGHT} in flight", max(many), "questions/s"),
            measure("late_p99", f"the event loop wakes late with {IN_FLIGHT} in flight, p99", float(np.percentile(busy, 99)), "ms",
                    note=f"p50 {np.median(busy):.1f} ms, at most {max(busy):.1f} ms; with nothing to do p99 "
                    f"{np.percentile(calm, 99):.1f} ms"),
        ],
        "details": {"alone": one, "together": many, "models": MODELS.name},
    }  # fmt: skip
