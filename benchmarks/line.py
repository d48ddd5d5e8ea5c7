"""The line against the bare sum of its parts: one search (embedding included) and one SQLite commit.

Side by side in one run: the same questions, the same snapshot, the same process; the two ways take turns, so that a
noisy neighbour disturbs both. Debouncing is off, since it is waiting by choice.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import (
    ROOT,
    SAMPLE,
    Outcome,
    child,
    measure,
    progress,
    resident_mb,
    scratch,
    settings,
    spread,
)
from benchmarks.null_adapter import NullAdapter, question
from bot.app import App
from knowledge.evaluate import read_labelled
from knowledge.library import Library

CONCURRENT = 64
ANSWER_SECONDS = 120.0  # a question that gets no answer fails the run
COLD = """
import time; began = time.perf_counter()
import asyncio, json, sys
from pathlib import Path
from bot.asking import Asker
from bot.app import library_of
from bot.config import load
import onnxruntime, tokenizers, numpy, lingua
imported = time.perf_counter()
async def main():
    config = load(Path("config.toml"))
    config = config.model_copy(update={"bot": config.bot.model_copy(update={"data_dir": Path(sys.argv[1])})})
    library = library_of(config)
    await library.open()
    asker = Asker(config, library)
    await asker.prepare()
    await asker.decide("How do I download an invoice?")
    done = time.perf_counter()
    rss = [row for row in open("/proc/self/status") if row.startswith("VmRSS")][0].split()[1]
    print(json.dumps({"all": done - began, "import": imported - began, "torch": "torch" in sys.modules,
                      "rss_mb": int(rss) / 1024}))
asyncio.run(main())
"""


def questions() -> Iterator[str]:
    """Every one once: a repeated question is answered from the cache of vectors and would flatter us."""
    rows = read_labelled(ROOT / "examples" / "questions.csv")
    texts = [row.question for row in rows if row.expected]
    return (text if n == 0 else f"{text} ({n})" for n in itertools.count() for text in texts)


class Bare:
    """Search, then one commit of the same size; nothing else."""

    def __init__(self, library: Library, path: Path) -> None:
        self._library = library
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE t (a TEXT)")

    def commit(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("INSERT INTO t VALUES (?)", ("x" * 4000,))
        self._db.execute("COMMIT")

    async def answer(self, text: str) -> float:
        started = time.perf_counter()
        await self._library.search(text)
        self.commit()
        return time.perf_counter() - started


async def one(app: App, adapter: NullAdapter, number: int, text: str) -> float:
    posted = adapter.posted(str(number))
    started = time.perf_counter()
    await app.engine.receive(question(number, text))
    async with asyncio.timeout(ANSWER_SECONDS):
        return await posted - started


Times = dict[str, list[float]]


async def timed(folder: Path, rounds: int, bursts: int) -> tuple[Times, Times, float]:
    """(one at a time, many at a time, resident memory), each for the line and for the bare sum."""
    adapter = NullAdapter()
    app = App(settings(folder, CONCURRENT), [adapter])
    single: Times = {"line": [], "bare": []}
    many: Times = {"line": [], "bare": []}
    async with app.running():
        bare = Bare(app.library, folder / "bare.db")
        texts, numbers = questions(), itertools.count(1)
        for _ in range(10):  # warm
            await bare.answer(next(texts))
            await one(app, adapter, next(numbers), next(texts))
        for turn in range(rounds):
            progress(turn, rounds, "one at a time")
            single["bare"].append(await bare.answer(next(texts)))
            single["line"].append(await one(app, adapter, next(numbers), next(texts)))
        for turn in range(bursts):
            progress(turn, bursts, f"{CONCURRENT} at a time")
            many["bare"] += await asyncio.gather(*(bare.answer(next(texts)) for _ in range(CONCURRENT)))
            many["line"] += await asyncio.gather(
                *(one(app, adapter, next(numbers), next(texts)) for _ in range(CONCURRENT))
            )
        memory = resident_mb()
    return single, many, memory


async def run(*, quick: bool) -> Outcome:
    with scratch() as folder:
        single, many, memory = await timed(folder, *((5, 1) if quick else (150, 10)))
        cold = cold_start(folder, 1 if quick else 5)
    measures, details = [], {}
    for label, words, times in (
        ("1", "one conversation", single),
        ("64", f"{CONCURRENT} conversations", many),
    ):
        line, plain = spread(times["line"]), spread(times["bare"])
        details[label] = {"line": line, "bare": plain}
        measures += [
            measure(f"ratio_p50_{label}", f"question to posted answer over the bare sum, p50, {words}",
                    line["p50_ms"] / plain["p50_ms"], "×", "<= 1.3"),
            measure(f"ratio_p99_{label}", f"the same, p99, {words}", line["p99_ms"] / plain["p99_ms"], "×"),
            measure(f"line_p50_{label}", f"question to posted answer, p50, {words}", line["p50_ms"], "ms"),
            measure(f"line_p99_{label}", f"question to posted answer, p99, {words}", line["p99_ms"], "ms"),
        ]  # fmt: skip
    measures += [
        measure("cold", "new process with a built index to its first answer, all imports included", cold["all"], "s", "<= 3",
                note="torch is imported" if cold["torch"] else "torch is never imported"),
        measure("cold_imports", "of that, imports", cold["import"], "s"),
        measure("memory", "memory of the whole process after the run", memory, "MB"),
        measure("memory_cold", "memory of a new process after its first answer", cold["rss_mb"], "MB"),
    ]  # fmt: skip
    return {"measures": measures, "details": details}


def cold_start(folder: Path, times: int) -> dict[str, float]:
    """The median of some new processes; the files are in the system's cache, as after a restart of the bot alone."""
    runs = []
    for turn in range(times + 1):
        progress(turn, times + 1, "cold start")
        runs.append(child([sys.executable, "-c", COLD, str(folder)]))
    return {key: float(np.median([found[key] for found in runs[1:]])) for key in runs[0]}


__all__ = ["SAMPLE", "Bare", "questions", "run"]
