"""Ranking and confidence on public question sets, as JSON: python -m benchmarks.knowledge_quality [set …]

Sets: datatalks, datatalks-report, datatalks-scoped, mixed, clinc, clinc-labelled, banking5, banking10, banking. Add `-dev`
to a set for its development half; clinc-labelled has none, since that is what it learns from. The report halves choose
nothing: lines come from each snapshot's own rehearsal and, for clinc-labelled, from its transcripts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import knowledge_sets as sets
from knowledge.confidence import ENOUGH, threshold
from knowledge.evaluate import DEEP, Labelled, auroc, calibration_error
from knowledge.library import Library

RESAMPLES = 1000
TOGETHER = 16
VALIDATED = 0.93  # a hundredth above the aim, since a test set differs from a validation set by chance
SETS = (
    "datatalks", "datatalks-report", "datatalks-scoped", "mixed", "clinc", "clinc-labelled",
    "banking5", "banking10", "banking",
)  # fmt: skip


def source(name: str, folder: Path) -> tuple[Path, list[Labelled]]:
    """A set by name; `folder` takes the topic files that are made from it."""
    half = "development" if name.endswith("-dev") else "report"
    name = name.removesuffix("-dev")
    if name.startswith("datatalks"):
        wanted = half if half == "development" or name == "datatalks-report" else "all"
        return sets.datatalks(wanted, scoped=name.endswith("scoped"))
    if name in ("clinc", "clinc-labelled"):
        return sets.clinc(half, folder)
    if name == "mixed":
        return sets.mixed(half, folder)
    return sets.banking(half, folder, int(name.removeprefix("banking") or 0))


async def measure(name: str, home: Path) -> dict[str, Any]:
    """Build a set's knowledge in a home of its own, where no other set's transcripts are kept; ask its questions."""
    folder, rows = source(name, home / f"kb-{name}")
    library = Library(home)
    if name == "clinc-labelled":
        await library.keep_labelled(sets.clinc_transcripts())
    started = time.perf_counter()
    built = await library.build([folder])
    seconds = time.perf_counter() - started
    await library.activate(built.info.id)
    places, confidence = await asked(library, rows)
    chosen = await validated(library, home) if name == "clinc" else {}
    inside = np.array([bool(row.expected) for row in rows])
    documents = {topic.id for topic in library.topics() if topic.kind == "document"}
    curve = library.calibration().curve
    rehearsed = float(library.calibration().summary["rehearsed"])
    library.close()
    right = places == 1
    place = places[inside]
    figures = {
        "set": name,
        "topics": built.info.topics,
        "n": len(rows),
        "engine": built.info.engine,
        "build_seconds": round(seconds, 1),
        "hit_at_1": share(place == 1),
        "hit_at_5": share((place > 0) & (place <= 5)),
        "mrr": share(np.where(place > 0, 1 / np.maximum(place, 1), 0)),
    }
    figures |= parts(rows, places, documents)
    found = figures | judged(confidence, right, inside, curve, rehearsed)
    if chosen:
        answered = confidence >= chosen["threshold"]
        found["line_from_validation"] = chosen | {
            "in_scope_answered_right": share((answered & right)[inside]),
            "oos_recall": share(~answered[~inside]),
            "wrong_rate": share(~right[answered]),
        }
    return found


def parts(
    rows: Sequence[Labelled], places: np.ndarray, documents: AbstractSet[str]
) -> dict[str, float | None]:
    """The same places for a part of the questions, where a set has parts: labels that ask something at all, and what
    documents without example questions answer."""
    asks = np.array([sets.is_question(row.question) for row in rows])
    wanted = np.array([row.expected in documents for row in rows])
    found = (places > 0) & (places <= 5)
    figures: dict[str, float | None] = {}
    if not asks.all():
        figures |= {"asking": int(asks.sum()), "hit_at_5_asking": share(found[asks])}
    if wanted.any():
        figures |= {
            "documents": int(wanted.sum()),
            "hit_at_1_documents": share(places[wanted] == 1),
            "hit_at_5_documents": share(found[wanted]),
        }
    return figures


async def asked(library: Library, rows: Sequence[Labelled]) -> tuple[np.ndarray, np.ndarray]:
    """For every question: the place of its topic (0: not found), and the confidence."""
    places, confidence = [], []
    for begin in range(0, len(rows), TOGETHER):
        part = rows[begin : begin + TOGETHER]
        answers = await asyncio.gather(*(library.search(row.question, row.scope, k=DEEP) for row in part))
        for row, found in zip(part, answers, strict=True):
            topics = list(dict.fromkeys(hit.topic for hit in found.hits))
            places.append(topics.index(row.expected) + 1 if row.expected in topics else 0)
            confidence.append(found.confidence)
    return np.array(places), np.array(confidence)


async def validated(library: Library, home: Path) -> dict[str, float]:
    """A line drawn on `val` and `oos_val`, which the report does not contain: the highest that still answers
    VALIDATED of the covered validation questions rightly. The test questions are not looked at."""
    _, rows = sets.clinc("development", home / "kb-clinc-validation")
    places, confidence = await asked(library, rows)
    inside = np.array([bool(row.expected) for row in rows])
    right = np.sort(confidence[inside & (places == 1)])
    spare = len(right) - int(np.ceil(VALIDATED * inside.sum()))
    line = float(right[max(0, spare)])
    return {"threshold": round(line, 4), "validation_oos_recall": float((confidence[~inside] < line).mean())}


def judged(
    confidence: np.ndarray, right: np.ndarray, inside: np.ndarray, curve: Sequence[Any], rehearsed: float
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "auroc": rounded(auroc(confidence, right)),
        "ece": rounded(calibration_error(confidence, right)),
    }
    for max_wrong in (0.05, 0.07, 0.10):
        line = threshold(curve, max_wrong)[0]
        line = max(line, 1 - max_wrong / 2) if rehearsed < ENOUGH else line
        answered = confidence >= line
        found[f"max_wrong_{max_wrong:.2f}"] = {
            "threshold": round(line, 4),
            "coverage": share(answered),
            "wrong_rate": share(~right[answered]),
            "in_scope_answered_right": share((answered & right)[inside]),
            "oos_recall": share(~answered[~inside]),
            "resamples_kept": kept(answered, right, max_wrong),
        }
    return found


def kept(answered: np.ndarray, right: np.ndarray, max_wrong: float) -> float:
    """The share of bootstrap resamples of the questions in which the promise holds."""
    rng = np.random.default_rng(0)
    good = 0
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(right), len(right))
        chosen = answered[rows]
        good += (~right[rows][chosen]).mean() <= max_wrong if chosen.any() else True
    return round(good / RESAMPLES, 3)


def share(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def main() -> None:
    if not sets.DATA.exists():
        print(json.dumps({"skipped": "the data folder ../shared/data is missing"}))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or SETS:
            print(json.dumps(asyncio.run(measure(name, Path(folder) / name))), flush=True)


if __name__ == "__main__":
    main()
