"""Firstline for benchmarks/peers.py: `python -m benchmarks.peers_ours TASK.json HOME build|cold STARTED`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from benchmarks.measure import resident_mb
from knowledge.library import Library


async def build(task: dict, home: Path) -> dict[str, float]:
    import numpy as np

    library = Library(home)
    started = time.perf_counter()
    built = await library.build([Path(task["folder"])])
    await library.activate(built.info.id)
    seconds = time.perf_counter() - started
    await library.search("warm")
    right, taken = 0, []
    for question, expected in task["questions"]:
        asked = time.perf_counter()
        found = await library.search(question)
        taken.append(time.perf_counter() - asked)
        right += bool(found.hits) and found.hits[0].topic == expected
    library.close()
    return {
        "build_s": seconds, "hit_at_1": right / len(taken), "p50_ms": float(np.percentile(taken, 50)) * 1000,
        "p99_ms": float(np.percentile(taken, 99)) * 1000, "rss_mb": resident_mb(),
    }  # fmt: skip


async def cold(task: dict, home: Path, started: float) -> dict[str, float]:
    library = Library(home)
    await library.open()
    await library.search(task["questions"][0][0])
    answered = time.time() - started
    library.close()
    return {"answered": answered}


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text())
    where, mode, began = Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    print(json.dumps(asyncio.run(build(read, where) if mode == "build" else cold(read, where, began))))
