"""Exact search over all vectors against what memory can deliver, and where an approximate index would begin to pay."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Outcome, measure, progress
from knowledge import nearest
from knowledge.searching import NEAREST

DIMENSION, TOP, QUESTIONS = 384, 8, 200
SIZES = (10_000, 100_000, 1_000_000)
Matrix = NDArray[np.float32]


def vectors(count: int, seed: int = 7) -> Matrix:
    """Random rows of length one."""
    made = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def fastest(work: Callable[[], object], times: int) -> tuple[float, float]:
    """(minimum, median) of some runs after one to warm up."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken), float(np.median(taken))


def search(matrix: Matrix, question: Matrix) -> NDArray[np.int64]:
    """What the snapshot does: all cosines, then the best few."""
    similar = matrix @ question
    best = np.argpartition(-similar, TOP)[:TOP]
    return best[np.argsort(-similar[best])]


def reading_limit(matrix: Matrix, times: int) -> float:
    """Seconds to read these very bytes once, by two threads that do next to nothing with them; the best counts."""
    halves = np.array_split(matrix.reshape(-1), 2)
    with ThreadPoolExecutor(2) as pool:
        together, _ = fastest(lambda: list(pool.map(np.add.reduce, halves)), times)
        dots, _ = fastest(lambda: list(pool.map(lambda half: np.dot(half, half), halves)), times)
    alone, _ = fastest(lambda: np.dot(matrix.reshape(-1), matrix.reshape(-1)), times)
    return min(together, dots, alone)


def exact(count: int) -> dict[str, float]:
    matrix = vectors(count)
    question = vectors(1, seed=8)[0]
    times = 200 if count <= SIZES[0] else 40 if count <= SIZES[1] else 10
    best, middle = fastest(lambda: search(matrix, question), times)
    return {"ms": middle * 1000, "best_ms": best * 1000, "limit_ms": reading_limit(matrix, times) * 1000,
            "megabytes": matrix.nbytes / 2**20}  # fmt: skip


def clustered(rng: np.random.Generator, centres: Matrix, count: int) -> Matrix:
    """Rows of length one, clustered as texts are (as many centres as the square root of their number, and noise around
    them): on evenly random ones an approximate index finds little, which would say nothing about texts."""
    noise = rng.standard_normal((count, DIMENSION), dtype=np.float32) / np.float32(DIMENSION**0.5)
    made = centres[rng.integers(len(centres), size=count)] + noise
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def approximate(count: int) -> dict[str, float]:
    """The product's index on one thread: as many nearest keys as a question asks for, their cosines, and the best few."""
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((int(count**0.5), DIMENSION), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    matrix, questions = clustered(rng, centres, count), clustered(rng, centres, QUESTIONS)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        nearest.build(Path(folder), matrix)
        built = time.perf_counter() - started
        index = nearest.opened(Path(folder))
        assert index is not None
        size = (Path(folder) / nearest.FILE).stat().st_size
        taken, side, shared = [], [], 0
        for question in questions:
            started = time.perf_counter()
            keys = index.keys(question, NEAREST)
            best = keys[np.argsort(-(matrix[keys] @ question))[:TOP]]
            taken.append(time.perf_counter() - started)
            started = time.perf_counter()
            exactly = search(matrix, question)
            side.append(time.perf_counter() - started)
            shared += len(set(best.tolist()) & set(exactly.tolist()))
    return {"count": count, "ms": float(np.median(taken)) * 1000, "exact_ms": float(np.median(side)) * 1000,
            "build_s": built, "recall": shared / (TOP * QUESTIONS), "megabytes": size / 2**20}  # fmt: skip


async def run(*, quick: bool) -> Outcome:
    sizes = (1000, 10_000) if quick else SIZES
    found = {}
    for number, count in enumerate(sizes):
        progress(number, len(sizes) + 1, f"{count:,} vectors")
        found[count] = exact(count)
    progress(len(sizes), len(sizes) + 1, "approximate index")
    indexes = [approximate(count) for count in ((1000,) if quick else (10_000, 100_000))]
    measures = []
    for count, one in found.items():
        measures += [
            measure(f"exact_{count}", f"exact search of {count:,} vectors, p50", one["ms"], "ms"),
            measure(f"limit_{count}", f"exact search of {count:,} vectors over the memory-bandwidth limit",
                    one["ms"] / one["limit_ms"], "×"),
        ]  # fmt: skip
    for index in indexes:
        count = index["count"]
        measures += [
            measure(f"usearch_{count}", f"usearch (approximate) of {count:,} vectors, p50", index["ms"], "ms",
                    note=f"exact beside it {index['exact_ms']:.2f} ms; recall@8 {index['recall']:.3f}, built in "
                    f"{index['build_s']:.1f} s, {index['megabytes']:.0f} MB"),
        ]  # fmt: skip
    return {
        "measures": measures,
        "details": {"exact": {str(k): v for k, v in found.items()}, "usearch": indexes},
    }
