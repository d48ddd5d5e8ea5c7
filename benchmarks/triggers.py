"""How well the triggers find what they should, and leave alone what they should: recall and false alarms.

    python -m benchmarks.triggers                     the report half, as a table
    python -m benchmarks.triggers --json              the same as JSON
    python -m benchmarks.triggers --half blind        wordings of two authors who have not seen what is looked for
    python -m benchmarks.triggers --half development  what was missed and what was a false alarm, text by text
    python -m benchmarks.triggers --tune              thresholds for triggers.toml, from the development half alone

A text of the first author and of the public sets belongs to the development half if the first byte of its SHA-256 is
even; what the second author wrote belongs to it too, since its results have been seen. Nothing is ever chosen on the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bot.signals import Signals, Vectors
from handoff import phrases, triggers

LABELLED = Path("tests/signals/labelled.csv")
SEEN = Path(
    "tests/signals/seen.csv"
)  # by an author who knew neither words nor lessons; development since it was looked at
BLIND = Path(
    "tests/signals/blind.csv"
)  # by two authors who knew neither words nor lessons; nobody has looked at it
DATA = Path("../shared/data")
FALSE_ALARMS = 0.0025  # of the development half's ordinary texts that meaning may add, per trigger

# Kinds of the public sets that really are what a trigger looks for; counted apart, neither right nor wrong.
REALLY = {
    "dispute": [
        "card_payment_not_recognised",
        "direct_debit_payment_not_recognised",
        "cash_withdrawal_not_recognised",
        "transaction_charged_twice",
        "extra_charge_on_statement",
        "request_refund",
        "report_fraud",
        "compromised_card",
        "lost_or_stolen_card",
        "card_payment_wrong_exchange_rate",
        "card_payment_fee_charged",
        "wrong_amount_of_cash_received",
        "cash_withdrawal_charge",
        "Refund_not_showing_up",
        "reverted_card_payment?",
    ],
    "refund": [
        "request_refund",
        "Refund_not_showing_up",
        "reverted_card_payment?",
        "transaction_charged_twice",
    ],
    "security": [
        "compromised_card",
        "lost_or_stolen_card",
        "lost_or_stolen_phone",
        "report_fraud",
        "report_lost_card",
        "card_payment_not_recognised",
        "cash_withdrawal_not_recognised",
        "direct_debit_payment_not_recognised",
    ],
    "churn": ["terminate_account"],
    "angry": ["terminate_account"],
    "medical": ["vaccines"],
    "tax": ["taxes", "w2"],
    "financial": ["rollover_401k", "improve_credit_score"],
    "bug": [
        "card_not_working",
        "virtual_card_not_working",
        "contactless_not_working",
        "top_up_failed",
        "failed_transfer",
        "sync_device",
    ],
}


@dataclass(frozen=True)
class Text:
    """A labelled text; `kind` is its intent in a public set."""

    text: str
    trigger: str = ""
    kind: str = ""


@dataclass
class Row:
    """What was measured for one trigger."""

    trigger: str
    wordings: int = 0
    found: int = 0
    by_words: int = 0
    any_trigger: int = 0
    hard_ordinary: int = 0
    ordinary: int = 0
    really: int = 0
    missed: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)


def half(text: str) -> str:
    return "development" if hashlib.sha256(text.encode()).digest()[0] % 2 == 0 else "report"


def labelled(which: str) -> list[Text]:
    """The texts that were written for this, with the trigger that each should fire (ordinary ones: none)."""
    if which == "blind":
        return read(BLIND)
    first = [row for row in read(LABELLED) if half(row.text) == which]
    return [*first, *read(SEEN)] if which == "development" else first


def read(path: Path) -> list[Text]:
    with path.open(encoding="utf-8", newline="") as file:
        return [Text(row["text"], row["trigger"]) for row in csv.DictReader(file)]


def ordinary(which: str) -> list[Text]:
    """The public questions of the report half (also beside the blind texts) or of the development half; empty where the
    data folder is missing."""
    rows: list[Text] = []
    if (banking := DATA / "banking77/test.csv").exists():
        with banking.open(encoding="utf-8", newline="") as file:
            rows += [Text(row["text"], kind=row["category"]) for row in csv.DictReader(file)]
    if (clinc := DATA / "clinc150/data_full.json").exists():
        data = json.loads(clinc.read_text("utf-8"))
        rows += [Text(text, kind=kind) for part in ("test", "oos_test") for text, kind in data[part]]
    return [row for row in rows if (half(row.text) == "development") == (which == "development")]


def model(home: Path):
    """The default embedding model as an async function."""
    from knowledge import models

    _, content = models.identify("")
    engine = models.load("", content, home, threads=1, workers=1)

    async def embed(texts: Sequence[str]) -> Vectors:
        return engine.encode(list(texts))

    return embed


async def scored(signals: Signals, texts: Sequence[Text]) -> list[dict[str, float]]:
    """For each text every trigger's score by meaning; words count as infinite, denied ones as minus infinite."""
    scores: list[dict[str, float]] = []
    for text in texts:
        own = phrases.outside_quotes(text.text)
        row = await signals.scores(own)
        row |= dict.fromkeys(triggers.denied(own), -np.inf)
        row |= {fired.trigger: np.inf for fired in triggers.by_words(text.text)}
        scores.append(row)
    return scores


def measured(
    texts: Sequence[Text], scores: Sequence[dict[str, float]], thresholds: dict[str, float]
) -> list[Row]:
    rows = {name: Row(name) for name in thresholds}
    for text, score in zip(texts, scores, strict=True):
        fired = {name for name, threshold in thresholds.items() if score.get(name, -np.inf) >= threshold}
        if text.trigger:
            row = rows[text.trigger]
            row.wordings += 1
            row.found += text.trigger in fired
            row.by_words += score.get(text.trigger) == np.inf
            row.any_trigger += bool(fired)
            if text.trigger not in fired:
                row.missed.append(f"{text.text}  → {', '.join(sorted(fired)) or 'nothing'}")
            continue
        for name in fired:
            how = "words" if score[name] == np.inf else f"{score[name]:.2f}"
            if text.kind in REALLY.get(name, ()):
                rows[name].really += 1
                continue
            rows[name].ordinary += bool(text.kind)
            rows[name].hard_ordinary += not text.kind
            rows[name].alarms.append(f"[{text.kind or 'labelled'}; {how}] {text.text}")
    return list(rows.values())


def tuned(texts: Sequence[Text], scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """The lowest threshold per trigger at which meaning adds few false alarms; never below 0.05 nor above 9."""
    chosen = {}
    for name in triggers.by_name():
        pairs = list(zip(texts, scores, strict=True))
        alone = sorted(
            score.get(name, -np.inf)
            for text, score in pairs
            if not text.trigger and text.kind not in REALLY.get(name, ()) and score.get(name) != np.inf
        )
        quiet = alone[-1 - int(FALSE_ALARMS * len(alone))] if alone else 0.5
        chosen[name] = float(min(9.0, max(0.05, np.ceil(quiet * 100 + 1) / 100)))
    return chosen


def table(rows: Sequence[Row], texts: Sequence[Text], which: str) -> Table:
    hard = sum(not t.trigger and not t.kind for t in texts)
    plain = sum(bool(t.kind) for t in texts)
    shown = Table(title=f"Triggers, {which} half: {hard} hard and {plain} plain ordinary texts")
    for column in (
        "trigger",
        "wordings",
        "recall",
        "by words",
        "any trigger",
        "alarms, hard",
        "alarms, plain",
        "really so",
    ):
        shown.add_column(column, justify="left" if column == "trigger" else "right")
    for row in [*rows, total(rows)]:
        n = max(1, row.wordings)
        shown.add_row(
            row.trigger, str(row.wordings), f"{row.found / n:.3f}", f"{row.by_words / n:.3f}", f"{row.any_trigger / n:.3f}",
            f"{row.hard_ordinary} ({row.hard_ordinary / max(1, hard):.3f})",
            f"{row.ordinary} ({row.ordinary / max(1, plain):.4f})", str(row.really),
        )  # fmt: skip
    return shown


def total(rows: Sequence[Row]) -> Row:
    whole = Row("all")
    for row in rows:
        for key in ("wordings", "found", "by_words", "any_trigger", "hard_ordinary", "ordinary", "really"):
            setattr(whole, key, getattr(whole, key) + getattr(row, key))
    return whole


async def report(which: str, home: Path) -> tuple[list[Row], list[Text], list[dict[str, float]]]:
    signals = Signals(model(home))
    await signals.prepare()
    texts = [*labelled(which), *ordinary(which)]
    scores = await scored(signals, texts)
    thresholds = {trigger.name: trigger.threshold for trigger in triggers.catalogue().triggers}
    return measured(texts, scores, thresholds), texts, scores


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.triggers", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--half", choices=("report", "development", "blind"), default="report")
    parser.add_argument(
        "--tune", action="store_true", help="print thresholds; uses the development half alone"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--home", type=Path, default=Path(".firstline"), help="where exported models are kept"
    )
    args = parser.parse_args()
    which = "development" if args.tune else args.half
    rows, texts, scores = asyncio.run(report(which, args.home))
    console = Console()
    if args.tune:
        console.print_json(json.dumps(tuned(texts, scores)))
    elif args.json:
        console.print_json(json.dumps(result(rows, texts, which)))
    else:
        console.print(table(rows, texts, which))
        if which == "development":
            for row in rows:
                for line in (*(f"missed: {m}" for m in row.missed), *(f"alarm: {a}" for a in row.alarms)):
                    console.print(f"{row.trigger}: {line}", markup=False, highlight=False)
    if not any(t.kind for t in texts):
        console.print(
            "[yellow]The public question sets are missing (../shared/data); measured without them.[/]"
        )


def result(rows: Sequence[Row], texts: Sequence[Text], which: str) -> dict[str, object]:
    """The figures alone; the texts of the report half are nobody's to look at."""
    counts = Counter("labelled" if t.trigger else "plain" if t.kind else "hard" for t in texts)
    return {
        "half": which,
        "texts": counts,
        "triggers": [
            {k: v for k, v in asdict(row).items() if k not in ("missed", "alarms")}
            for row in [*rows, total(rows)]
        ],
    }


if __name__ == "__main__":
    main()
