"""Ranking and confidence on public question sets: what benchmarks/knowledge_quality.py measures, with its aims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks import knowledge_quality
from benchmarks.measure import DATA, Measure, Outcome, Skipped, measure, progress, scratch

BOUNDS = ("0.05", "0.10")
Aims = dict[str, str]


@dataclass(frozen=True)
class Set:
    """A set of benchmarks/knowledge_quality.py and what it must reach."""

    name: str
    words: str
    aims: Aims = field(default_factory=dict)
    judged: bool = True  # the confidence's figures too


SETS = (
    Set("datatalks-report", "datatalks-faq, report half, whole folder",
        {"hit_at_1": ">= 0.87", "hit_at_5": ">= 0.965", "mrr": ">= 0.91"}),
    Set("datatalks-scoped", "datatalks-faq, asked in the course's channel", judged=False),
    Set("mixed", "datatalks-faq, documents without questions beside topics with four", judged=False),
    Set("clinc", "clinc150, 150 intents, with out-of-scope questions",
        {"hit_at_1": ">= 0.955", "auroc": ">= 0.975", "in_scope_answered_right": ">= 0.92", "oos_recall": ">= 0.80"}),
    Set("clinc-labelled", "clinc150, the same with 3,200 labelled transcripts",
        {"hit_at_1": ">= 0.955", "auroc": ">= 0.975"}),
    Set("banking5", "banking77, 5 questions per topic", {"hit_at_1": ">= 0.80"}),
    Set("banking10", "banking77, 10 per topic", {"hit_at_1": ">= 0.86"}),
    Set("banking", "banking77, all", {"hit_at_1": ">= 0.93"}),
)  # fmt: skip


def figures(one: Set, found: dict[str, Any]) -> list[Measure]:
    def row(key: str, what: str, value: float | None, aim: str = "") -> Measure:
        return measure(f"{one.name}_{key}", f"{one.words}: {what}", value, "", aim or one.aims.get(key, ""))

    rows = [
        row("hit_at_1", "best topic right (hit@1)", found["hit_at_1"]),
        row("hit_at_5", "among the best five (hit@5)", found["hit_at_5"]),
        row("mrr", "mean reciprocal rank", found["mrr"]),
    ]
    if "hit_at_5_asking" in found:
        rows.append(row("hit_at_5_asking", "hit@5 of the labels that ask anything", found["hit_at_5_asking"]))
    if "hit_at_1_documents" in found:
        rows.append(row("hit_at_1_documents", "hit@1 of what documents answer", found["hit_at_1_documents"]))
    if not one.judged:
        return rows
    rows += [
        row("auroc", "confidence tells right from wrong (AUROC)", found["auroc"]),
        row("ece", "calibration error of the confidence (ECE)", found["ece"], "<= 0.05"),
    ]
    for bound in BOUNDS:
        seen = found[f"max_wrong_{bound}"]
        rows += [
            row(
                f"wrong_{bound}",
                f"wrong among the answered at max_wrong {bound}",
                seen["wrong_rate"],
                f"<= {bound}",
            ),
            row(f"kept_{bound}", f"resamples within max_wrong {bound}", seen["resamples_kept"], ">= 0.95"),
            row(f"coverage_{bound}", f"questions answered at max_wrong {bound}", seen["coverage"]),
        ]
    if "oos_recall" in one.aims:
        main = found["line_from_validation"]  # both belong to this one line; no test question chose it
        rows += [
            row(
                "in_scope_answered_right",
                "covered questions answered and right",
                main["in_scope_answered_right"],
            ),
            row("oos_recall", "questions that it does not cover, not answered", main["oos_recall"]),
        ]
    return rows


async def run(*, quick: bool) -> Outcome:
    missing = [name for name in ("datatalks-faq", "clinc150", "banking77") if not (DATA / name).is_dir()]
    if missing:
        raise Skipped(f"../shared/data/{', '.join(missing)} is missing")
    chosen = [one for one in SETS if one.name == "banking5"] if quick else SETS
    measures: list[Measure] = []
    details: dict[str, Any] = {}
    with scratch() as place:
        for number, one in enumerate(chosen):
            progress(number, len(chosen), one.name)
            details[one.name] = await knowledge_quality.measure(one.name, place / one.name)
            measures += figures(one, details[one.name])
    return {"measures": measures, "details": details}
