"""Recall and false alarms of the triggers, on the half of the texts that nothing was chosen on."""

from __future__ import annotations

from benchmarks import triggers
from benchmarks.measure import DATA, Outcome, Skipped, measure, progress, scratch


async def run(*, quick: bool) -> Outcome:
    del quick  # it takes a minute
    if not (DATA / "clinc150").is_dir() or not (DATA / "banking77").is_dir():
        raise Skipped("../shared/data/clinc150 or banking77 is missing")
    progress(0, 1, "all texts of the report half")
    with scratch() as home:
        rows, texts, _ = await triggers.report("report", home)
    found = triggers.result(rows, texts, "report")
    plain = sum(bool(text.kind) for text in texts)
    hard = sum(not text.kind and not text.trigger for text in texts)
    whole = triggers.total(rows)
    lowest = min(rows, key=lambda row: row.found / max(1, row.wordings))
    noisiest = max(rows, key=lambda row: row.ordinary)
    return {
        "measures": [
            measure("recall", "wordings that fired their trigger", whole.found / whole.wordings, "", ">= 0.95"),
            measure("lowest", f"lowest recall of one trigger ({lowest.trigger})", lowest.found / max(1, lowest.wordings), "", ">= 0.95"),
            measure("any", "wordings that fired some trigger", whole.any_trigger / whole.wordings),
            measure("alarms", f"false alarms on {plain} ordinary questions, all triggers together", whole.ordinary / max(1, plain)),
            measure("noisiest", f"most false alarms of one trigger ({noisiest.trigger})", noisiest.ordinary / max(1, plain), "",
                    "<= 0.01"),
            measure("hard", f"false alarms on {hard} ordinary texts written to look like triggers", whole.hard_ordinary / max(1, hard)),
        ],
        "details": dict(found),
    }  # fmt: skip
