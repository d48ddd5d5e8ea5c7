"""One engine in a fresh process, on one thread: `python -m benchmarks.engine_probe int8|fp32|reference RUNS`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

BEGAN = time.perf_counter()
QUESTION = "How do I change the email of my account?"  # 12 tokens with [CLS] and [SEP]


def engine(variant: str) -> Any:
    """Through the product's own classes; the export must be there already."""
    from benchmarks.measure import MODELS
    from knowledge import export, models
    from knowledge.engine import OnnxEngine, ReferenceEngine

    if variant == "reference":
        return ReferenceEngine(str(export.model_folder("")), threads=1)
    _, content = models.identify("")
    return OnnxEngine(MODELS / content, variant, threads=1, workers=1)


def main(variant: str, runs: int) -> None:
    made = engine(variant)
    made.encode([QUESTION])
    cold = time.perf_counter() - BEGAN
    from benchmarks.measure import resident_mb

    seconds = []
    for number in range(runs):
        text = QUESTION.replace("account", ("account", "studio", "team", "project")[number % 4])
        started = time.perf_counter()
        made.encode([text])
        seconds.append(time.perf_counter() - started)
    tokens = len(made.offsets([QUESTION])[0]) + 2
    print(
        json.dumps(
            {"seconds": seconds, "cold": cold, "rss_mb": resident_mb(), "tokens": tokens, "name": made.name}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
