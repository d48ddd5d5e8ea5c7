"""The embedding model on one thread: exported against sentence-transformers, and both against the core's arithmetic."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.measure import MODELS, SAMPLE, Outcome, child, measure, progress, scratch, spread
from knowledge import models
from knowledge.library import Library

VARIANTS = ("int8", "fp32", "reference")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LAYERS, WIDTH, INNER = 6, 384, 1536  # all-MiniLM-L6-v2

# The peak of single-precision matrix products on one core, from what computes them best here.
PEAK = """
import json, time
import numpy as np
import torch
torch.set_num_threads(1)
best = {}
for name, a in (("numpy", np.random.rand(1024, 1024).astype("float32")), ("torch", torch.rand(1024, 1024))):
    took = []
    for _ in range(20):
        started = time.perf_counter(); a @ a; took.append(time.perf_counter() - started)
    best[name] = 2 * 1024**3 / min(took)
print(json.dumps(best))
"""


def flops(tokens: int) -> int:
    """Multiplications and additions of one pass: four projections and two of the inner layer per token, and attention."""
    per_token = 2 * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)
    attention = 2 * 2 * tokens * tokens * WIDTH
    return LAYERS * (tokens * per_token + attention)


def probe(variant: str, runs: int) -> dict[str, Any]:
    """In a process of its own, three times; the calmest one counts."""
    command = [sys.executable, "-m", "benchmarks.engine_probe", variant, str(runs)]
    found = [child(command, **ONE_THREAD) for _ in range(3)]
    calmest = min(found, key=lambda one: float(np.median(one["seconds"])))
    return {**calmest, "cold": float(np.median([one["cold"] for one in found]))}


def peak() -> dict[str, float]:
    found: dict[str, float] = child([sys.executable, "-c", PEAK], **ONE_THREAD)
    return found


async def exported() -> list[str]:
    """Build the sample once, so that the model is exported and its precision settled; the variants there are."""
    with scratch() as home:
        library = Library(home)
        try:
            await library.build([SAMPLE])
        finally:
            library.close()
    _, content = models.identify("")
    return [v for v in VARIANTS if v == "reference" or (MODELS / content / f"{v}.onnx").exists()]


async def run(*, quick: bool) -> Outcome:
    runs = 10 if quick else 400
    found: dict[str, dict[str, Any]] = {}
    variants = await exported()
    for number, variant in enumerate(variants):
        progress(number, len(variants) + 1, variant)
        found[variant] = probe(variant, runs)
    best = peak()
    tokens = int(found["reference"]["tokens"])
    limit = flops(tokens) / max(best.values()) * 1000
    ms = {variant: spread(one["seconds"]) for variant, one in found.items()}
    words = {"int8": "onnxruntime, int8", "fp32": "onnxruntime, fp32", "reference": "sentence-transformers"}
    measures = []
    for variant, one in found.items():
        measures += [
            measure(f"{variant}_p50", f"{words[variant]}: a question of {tokens} tokens, p50", ms[variant]["p50_ms"], "ms"),
            measure(f"{variant}_p99", f"{words[variant]}: the same, p99", ms[variant]["p99_ms"], "ms"),
            measure(f"{variant}_limit", f"{words[variant]}: over the arithmetic limit of this core in fp32",
                    ms[variant]["p50_ms"] / limit, "×"),
            measure(f"{variant}_cold", f"{words[variant]}: from process start to the first vector", one["cold"], "s"),
            measure(f"{variant}_memory", f"{words[variant]}: memory of the process", one["rss_mb"], "MB"),
        ]  # fmt: skip
    fastest = min(ms[v]["p50_ms"] for v in found if v != "reference")
    measures += [
        measure("gain", "sentence-transformers over the faster exported variant, p50", ms["reference"]["p50_ms"] / fastest, "×"),
        measure("limit", f"arithmetic limit: {flops(tokens) / 1e6:.0f} MFLOP at the measured peak", limit, "ms"),
        measure("peak", "peak of single-precision matrix products on one core", max(best.values()) / 1e9, "GFLOP/s"),
    ]  # fmt: skip
    return {"measures": measures, "details": {"ms": ms, "limit_ms": limit, "peak": best, "tokens": tokens}}
