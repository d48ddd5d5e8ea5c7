"""Ranking and confidence on public question sets, on the halves that nothing was chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import knowledge_sets
from benchmarks.measure import DATA, Measure, Outcome, Skipped, measure, progress, scratch
from knowledge.evaluate import Labelled, Report, evaluate_rows
from knowledge.library import Library

RESAMPLES = 1000
BOUNDS = (0.05, 0.10)
Aims = dict[str, str]


@dataclass(frozen=True)
class Set:
    """A knowledge folder, its questions, and what it must reach."""

    name: str
    words: str
    made: Callable[[Path], tuple[Path, list[Labelled]]]
    aims: Aims
    deep: bool = True  # also the confidence's figures


SETS = (
    Set("datatalks", "datatalks-faq, whole folder", lambda _: knowledge_sets.datatalks("report"),
        {"hit_at_1": ">= 0.87", "hit_at_5": ">= 0.965", "mrr": ">= 0.91"}),
    Set("datatalks_scoped", "datatalks-faq, asked in the course's channel",
        lambda _: knowledge_sets.datatalks("report", scoped=True), {}, deep=False),
    Set("clinc150", "clinc150, 150 intents, with out-of-scope questions",
        lambda folder: knowledge_sets.clinc("report", folder),
        {"hit_at_1": ">= 0.955", "auroc": ">= 0.975", "answered_right": ">= 0.92", "oos_recall": ">= 0.80"}),
    Set("banking77_5", "banking77, 5 questions per topic", lambda folder: knowledge_sets.banking("report", folder, 5),
        {"hit_at_1": ">= 0.80"}),
    Set("banking77_10", "banking77, 10 per topic", lambda folder: knowledge_sets.banking("report", folder, 10),
        {"hit_at_1": ">= 0.86"}),
    Set("banking77", "banking77, all", lambda folder: knowledge_sets.banking("report", folder), {"hit_at_1": ">= 0.93"}),
)  # fmt: skip


async def asked(one: Set, place: Path, *, quick: bool) -> tuple[Report, dict[float, float], int]:
    """The report on all questions, the threshold for each bound, and how many topics there are."""
    folder, rows = one.made(place / "topics")
    rows = rows[:: max(1, len(rows) // 60)] if quick else rows
    thresholds: dict[float, float] = {}
    for bound in reversed(BOUNDS) if one.deep else BOUNDS[:1]:
        library = Library(place / "home", max_wrong=bound)
        try:
            built = await library.build(
                [folder], progress=lambda what, done, of: progress(done, of, f"{one.name}: {what}")
            )
            info = await library.activate(built.info.id)
            thresholds[bound] = info.threshold_answer
            if bound == BOUNDS[0]:
                report = await evaluate_rows(
                    library, rows, progress=lambda done, of: progress(done, of, f"{one.name}: questions")
                )
        finally:
            library.close()
    return report, thresholds, info.topics


def within(report: Report, threshold: float, bound: float) -> dict[str, float]:
    """Answering from `threshold` on: coverage, the share of wrong answers, and how often resamples keep the bound."""
    answered = np.array([case.confidence >= threshold for case in report.cases])
    wrong = np.array([case.top != case.expected for case in report.cases]) & answered
    rng = np.random.default_rng(1)
    picks = rng.integers(len(answered), size=(RESAMPLES, len(answered)))
    shares = wrong[picks].sum(axis=1) / np.maximum(1, answered[picks].sum(axis=1))
    return {
        "coverage": float(answered.mean()), "wrong": float(wrong.sum() / max(1, answered.sum())),
        "kept": float((shares <= bound).mean()),
    }  # fmt: skip


def confusable(report: Report, threshold: float) -> float:
    """Of the questions that knowledge covers, the share that was answered and right."""
    inside = [case for case in report.cases if case.expected]
    return sum(case.confidence >= threshold and case.top == case.expected for case in inside) / len(inside)


def figures(one: Set, report: Report, thresholds: dict[float, float]) -> tuple[list[Measure], dict[str, Any]]:
    def row(key: str, what: str, value: float | None, aim: str = "") -> Measure:
        return measure(f"{one.name}_{key}", f"{one.words}: {what}", value, "", aim or one.aims.get(key, ""))

    rows = [
        row("hit_at_1", "best topic right (hit@1)", report.hit_at_1),
        row("hit_at_5", "among the best five (hit@5)", report.hit_at_5),
        row("mrr", "mean reciprocal rank", report.mrr),
    ]
    if not one.deep:
        return rows, {}
    main = thresholds[BOUNDS[0]]
    rows += [
        row("auroc", "confidence tells right from wrong (AUROC)", report.auroc),
        row("ece", "calibration error of the confidence (ECE)", report.ece, "<= 0.05"),
    ]
    if report.out_of_scope:
        found = [case for case in report.cases if not case.expected]
        declined = sum(case.confidence < main for case in found) / len(found)
        rows += [
            row("answered_right", "covered questions answered and right", confusable(report, main)),
            row("oos_recall", "questions that it does not cover, not answered", declined),
        ]
    bounds = {}
    for bound, threshold in sorted(thresholds.items()):
        seen = bounds[str(bound)] = within(report, threshold, bound)
        rows += [
            row(
                f"wrong_{bound}",
                f"wrong among the answered at max_wrong {bound}",
                seen["wrong"],
                f"<= {bound}",
            ),
            row(f"kept_{bound}", f"resamples within max_wrong {bound}", seen["kept"], ">= 0.95"),
            row(f"coverage_{bound}", f"questions answered at max_wrong {bound}", seen["coverage"]),
        ]
    return rows, {"bounds": bounds}


def drawn(report: Report) -> dict[str, Any]:
    """For pictures: risk over coverage, and confidence against what came true."""
    step = max(1, len(report.curve) // 60)
    curve = [[round(p.coverage, 4), round(p.risk, 4)] for p in report.curve[::step]]
    return {"curve": curve, "bins": [list(one) for one in report.bins]}


async def run(*, quick: bool) -> Outcome:
    missing = [name for name in ("datatalks-faq", "clinc150", "banking77") if not (DATA / name).is_dir()]
    if missing:
        raise Skipped(f"../shared/data/{', '.join(missing)} is missing")
    chosen: Sequence[Set] = [SETS[4]] if quick else SETS
    measures: list[Measure] = []
    details: dict[str, Any] = {}
    with scratch() as place:
        for one in chosen:
            home = place / one.name.removesuffix("_scoped")
            report, thresholds, topics = await asked(one, home, quick=quick)
            rows, more = figures(one, report, thresholds)
            measures += rows
            details[one.name] = {
                "n": report.n, "topics": topics, "latency_ms": dict(report.latency_ms), **drawn(report), **more,
            }  # fmt: skip
    return {"measures": measures, "details": details}
