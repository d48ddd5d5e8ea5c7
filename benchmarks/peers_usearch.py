"""An approximate index beside exact search, in the peers' environment: `python peers_usearch.py COUNT …`.

The vectors are clustered as texts are (as many centres as the square root of their number, and noise around them):
on evenly random ones an approximate index finds little, which would say nothing about texts.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from usearch.index import Index

DIMENSION, TOP, QUESTIONS = 384, 8, 200


def clustered(rng: np.random.Generator, centres: Any, count: int) -> Any:
    noise = rng.standard_normal((count, DIMENSION), dtype=np.float32) / np.sqrt(DIMENSION)
    made = centres[rng.integers(len(centres), size=count)] + noise
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def measured(count: int) -> dict[str, float]:
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((int(count**0.5), DIMENSION), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    matrix, questions = clustered(rng, centres, count), clustered(rng, centres, QUESTIONS)
    index = Index(ndim=DIMENSION, metric="ip", dtype="f32")
    started = time.perf_counter()
    index.add(np.arange(count), matrix)
    build = time.perf_counter() - started
    taken, shared = [], 0
    for question in questions:
        started = time.perf_counter()
        keys = index.search(question, TOP).keys
        taken.append(time.perf_counter() - started)
        shared += len(set(map(int, keys)) & set(map(int, np.argsort(-(matrix @ question))[:TOP])))
    return {
        "count": count, "ms": float(np.median(taken)) * 1000, "build_s": build,
        "recall": shared / (TOP * QUESTIONS), "megabytes": index.memory_usage / 2**20,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps([measured(int(count)) for count in sys.argv[1:]]))
