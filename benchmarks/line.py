"""The line against the bare sum of its parts: one search (embedding included) and one SQLite commit.

Side by side in one run: the same questions, the same snapshot, the same process; the two ways take turns, so that a
noisy neighbour disturbs both. Debouncing is off, since it is waiting by choice.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.null_adapter import NullAdapter, question
from bot.app import App
from bot.config import Config, load
from knowledge.evaluate import read_labelled
from knowledge.library import Library

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, CONCURRENT = 150, 64


def settings(folder: Path) -> Config:
    config = load(ROOT / "config.toml")
    bot = config.bot.model_copy(
        update={"data_dir": folder, "debounce_seconds": 0.0, "concurrency": CONCURRENT}
    )
    web = config.web.model_copy(update={"port": 0})
    return config.model_copy(update={"bot": bot, "web": web})


def questions() -> list[str]:
    """Every one once: a repeated question is answered from the cache of vectors and would flatter us."""
    rows = read_labelled(ROOT / "examples" / "questions.csv")
    texts = [row.question for row in rows if row.expected]
    return [text if n == 0 else f"{text} ({n})" for n in range(40) for text in texts]


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
    return await posted - started


def spread(values: list[float]) -> dict[str, float]:
    return {
        "p50_ms": float(np.percentile(values, 50) * 1000),
        "p99_ms": float(np.percentile(values, 99) * 1000),
    }


async def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        folder = Path(name)
        adapter = NullAdapter()
        app = App(settings(folder), [adapter])
        async with app.running():
            bare = Bare(app.library, folder / "bare.db")
            texts, numbers = iter(questions()), itertools.count(1)
            for _ in range(20):  # warm
                await bare.answer(next(texts))
                await one(app, adapter, next(numbers), next(texts))
            single: dict[str, list[float]] = {"line": [], "bare": []}
            for _ in range(ROUNDS):
                single["bare"].append(await bare.answer(next(texts)))
                single["line"].append(await one(app, adapter, next(numbers), next(texts)))
            many: dict[str, list[float]] = {"line": [], "bare": []}
            for _ in range(10):
                many["bare"] += await asyncio.gather(*(bare.answer(next(texts)) for _ in range(CONCURRENT)))
                many["line"] += await asyncio.gather(
                    *(one(app, adapter, next(numbers), next(texts)) for _ in range(CONCURRENT))
                )
            memory = resident_mb()
    found: dict[str, Any] = {"memory_mb": memory, "cold_start": cold_start()}
    for label, values in (("one_conversation", single), (f"{CONCURRENT}_conversations", many)):
        line, plain = spread(values["line"]), spread(values["bare"])
        found[label] = {
            "line": line, "bare": plain, "ratio_p50": line["p50_ms"] / plain["p50_ms"],
            "ratio_p99": line["p99_ms"] / plain["p99_ms"],
        }  # fmt: skip
    return found


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def cold_start() -> dict[str, Any]:
    """A new process with a built index: from the start of the interpreter to the first answer."""
    script = (
        "import time; t = time.perf_counter()\n"
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        "from bot.asking import Asker\nfrom bot.app import library_of\nfrom bot.config import load\n"
        "async def main():\n"
        "    config = load(Path('config.toml')); library = library_of(config); await library.open()\n"
        "    asker = Asker(config, library); await asker.prepare()\n"
        "    await asker.decide('How do I download an invoice?')\n"
        "    print(json.dumps({'seconds': time.perf_counter() - t, 'torch_imported': 'torch' in sys.modules}))\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-m", "bot", "ask", "hello"], cwd=ROOT, check=True, capture_output=True)
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
        )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    best = sorted(runs, key=lambda r: r["seconds"])[1]
    return {"median_seconds": best["seconds"], "torch_imported": best["torch_imported"]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run()), indent=2))
