"""How fast knowledge is, against what it stands on, as JSON: python -m benchmarks.knowledge_speed

Every ratio is measured side by side in one run on this machine: question latency over the model alone, batches over one
at a time, one changed file over a full build, a cold process, and search over large matrices against the memory's
bandwidth. Nothing here is asserted; machines differ.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.knowledge_sets import DATA
from knowledge import models
from knowledge.engine import OnnxEngine
from knowledge.library import Library

QUESTIONS = 400
TOGETHER = 64
COLD = """
import asyncio, json, sys, time
from pathlib import Path
started = time.perf_counter()
from knowledge.library import Library
async def main():
    library = Library(Path(sys.argv[1]))
    await library.open()
    opened = time.perf_counter()
    await library.search("How do I get the course schedule?")
    print(json.dumps({"open_s": opened - started, "first_answer_s": time.perf_counter() - started, "torch": "torch" in sys.modules}))
    library.close()
asyncio.run(main())
"""


def percentiles(taken: list[float]) -> dict[str, float]:
    return {f"p{at}_ms": round(float(np.percentile(taken, at)) * 1000, 3) for at in (50, 99)}


async def questions(library: Library, texts: list[str]) -> dict[str, Any]:
    """One at a time, and 64 at once; each text is asked once, so that no vector is remembered."""
    half = len(texts) // 2
    taken = []
    started = time.perf_counter()
    for text in texts[:half]:
        began = time.perf_counter()
        await library.search(text)
        taken.append(time.perf_counter() - began)
    alone = half / (time.perf_counter() - started)
    waits: list[float] = []

    async def ask(text: str) -> None:
        began = time.perf_counter()
        await library.search(text)
        waits.append(time.perf_counter() - began)

    started = time.perf_counter()
    for begin in range(half, len(texts), TOGETHER):
        await asyncio.gather(*(ask(text) for text in texts[begin : begin + TOGETHER]))
    together = (len(texts) - half) / (time.perf_counter() - started)
    return {
        "alone": percentiles(taken) | {"per_second": round(alone, 1)},
        "together": percentiles(waits) | {"per_second": round(together, 1)},
        "batching_ratio": round(together / alone, 2),
    }


def bare_model(home: Path, texts: list[str]) -> dict[str, Any]:
    """The model alone, one question at a time, on one thread."""
    place = models.folder_of(models.identify("")[1], home)
    found = {}
    for variant in ("int8", "fp32"):
        engine = OnnxEngine(place, variant)
        engine.encode(texts[:2])
        taken = []
        for text in texts[:100]:
            began = time.perf_counter()
            engine.encode([text])
            taken.append(time.perf_counter() - began)
        found[variant] = percentiles(taken)
    return found


async def builds(home: Path, folder: Path) -> tuple[Library, dict[str, Any]]:
    """A full build, and one after a changed file; the home keeps neither vectors nor snapshots from before."""
    library = Library(home)
    await library.embed(["load the model first"])
    built = await library.build([folder])
    await library.activate(built.info.id)
    path = min(folder.rglob("*.md"))  # noqa: ASYNC240 - nothing else runs here
    changed = []
    for number in range(3):
        path.write_text(path.read_text() + f"\nA new line, number {number}.\n")
        changed.append(await library.build([folder]))
    again = sorted(changed, key=lambda one: one.seconds["all"])[1]
    await library.activate(changed[-1].info.id)
    return library, {
        "full_s": round(built.seconds["all"], 2),
        "full_over_embedding": round(built.seconds["all"] / built.seconds["embed"], 2),
        "one_changed_s": round(again.seconds["all"], 3),
        "one_changed": {name: round(value, 3) for name, value in again.seconds.items()},
        "full_over_changed": round(built.seconds["all"] / again.seconds["all"], 1),
    }


def cold(home: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", COLD, str(home)], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def matrices() -> dict[str, Any]:
    """Exact search over n vectors of 384 dimensions, beside reading as many bytes once."""
    found = {}
    rng = np.random.default_rng(0)
    for count in (10_000, 100_000, 1_000_000):
        vectors = rng.standard_normal((count, 384), dtype=np.float32)
        question = vectors[0].copy()
        search, read = best_of(lambda v=vectors, q=question: v @ q), best_of(lambda v=vectors: v.sum())
        found[str(count)] = {
            "search_ms": round(search * 1000, 3),
            "read_ms": round(read * 1000, 3),
            "search_over_read": round(search / read, 2),
        }
    return found


def best_of(act: Callable[[], object], times: int = 7) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return min(taken)


async def measure(folder: Path) -> dict[str, Any]:
    with (DATA / "datatalks-faq" / "questions.csv").open() as file:
        texts = list(dict.fromkeys(row["question"] for row in csv.DictReader(file)))[: 2 * QUESTIONS]
    home, kb = folder / "home", folder / "kb"
    shutil.copytree(DATA / "datatalks-faq" / "kb", kb, copy_function=shutil.copyfile)
    library, figures = await builds(home, kb)
    asked = await questions(library, texts)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    library.close()
    model = bare_model(home, texts[::-1])
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "build": figures,
        "questions": asked,
        "model_alone": model,
        "latency_over_model": round(asked["alone"]["p50_ms"] / model["int8"]["p50_ms"], 2),
        "cold": cold(home),
        "memory_mb": round(memory),
        "exact_search": matrices(),
    }


def main() -> None:
    if not DATA.exists():
        print(json.dumps({"skipped": "the data folder ../shared/data is missing"}))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(Path(folder))), indent=1))


if __name__ == "__main__":
    main()
