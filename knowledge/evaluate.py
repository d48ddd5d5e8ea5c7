"""How good is this knowledge? Labelled questions -> ranking, confidence and latency, in honest numbers."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.confidence import clarify_line, line
from knowledge.library import Library
from knowledge.passage import Complaint, Found, KnowledgeError, Scope

DEEP = 20  # passages asked for: a rank below that counts as not found
BUTTONS = 3  # topics that a clarifying question offers
BINS = 10
Decide = Callable[[Found], str]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question and what should happen: a topic id, or empty for "not covered"; maybe a decision."""

    question: str
    expected: str
    decision: str = ""
    scope: Scope = Scope()  # noqa: RUF009 - frozen and shared on purpose


@dataclass(frozen=True, slots=True)
class Case:
    question: str
    expected: str
    top: str
    confidence: float
    decision: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the risk-coverage curve: answering from `threshold` on, how much and how wrongly."""

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class Report:
    """What `firstline eval --json` prints, and the curve and bins that its pictures show."""

    n: int
    in_scope: int
    out_of_scope: int
    hit_at_1: float | None
    hit_at_5: float | None
    mrr: float | None
    coverage: float
    precision: float | None
    oos_recall: float | None
    auroc: float | None
    ece: float | None
    wrong_rate: float | None
    latency_ms: Mapping[str, float]
    cases: tuple[Case, ...]
    snapshot: str = ""
    threshold_answer: float = 0.0
    threshold_clarify: float = 0.0
    curve: tuple[Point, ...] = ()
    bins: tuple[tuple[float, float, int], ...] = ()  # (mean confidence, share right, how many)
    unknown_expected: tuple[str, ...] = ()  # expected ids that this knowledge does not have

    @property
    def failed(self) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if not case.ok)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Lines:
    """What another `max_wrong` would mean for a snapshot: where the lines lie, and what they cost."""

    snapshot: str
    max_wrong: float
    threshold_answer: float
    threshold_clarify: float
    coverage: float
    risk: float
    rehearsed: int
    labelled: int
    curve: tuple[Point, ...]
    note: str = ""
    # those with a max_wrong of their own: where answers start
    categories: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def calibrate(
    library: Library,
    *,
    max_wrong: float,
    labelled: Path | None = None,
    expected_column: str = "expected",
    now: date | None = None,
) -> Lines:
    """The risk-coverage curve of the snapshot in use, from its rehearsal and labelled questions where given, and the
    lines that `max_wrong` draws on it. Nothing is written; to apply, `Library.keep_labelled` and build again."""
    kept = library.calibration()
    points = list(kept.curve)
    rows = read_labelled(labelled, expected_column=expected_column) if labelled else []
    learned = await library.kept_labelled() if rows else {}  # on the curve already, as though never heard
    rows = [row for row in rows if row.question.strip() not in learned]
    for row in rows:
        found = await library.search(row.question, row.scope, k=1, now=now)
        points.append((found.confidence, bool(found.hits) and found.hits[0].topic == row.expected, 1.0))
    rehearsed = float(kept.summary.get("rehearsed", 0))
    asked = rehearsed + len(rows)
    answer, coverage, risk, note = line(points, asked, max_wrong)
    info = library.info
    return Lines(
        snapshot=info.id if info else "",
        max_wrong=max_wrong,
        threshold_answer=round(answer, 4),
        threshold_clarify=round(clarify_line(answer), 4),
        coverage=round(coverage, 4),
        risk=round(risk, 4),
        rehearsed=round(rehearsed),
        labelled=len(rows),
        curve=_weighted_curve(points),
        note=note,
        categories={
            name: round(line(points, asked, share)[0], 4) for name, share in library.max_wrong_of.items()
        },
    )


def _weighted_curve(points: Sequence[tuple[float, bool, float]], most: int = 101) -> tuple[Point, ...]:
    if not points:
        return ()
    ordered = sorted(points, key=lambda one: -one[0])
    weight = np.array([one[2] for one in ordered])
    wrong = np.cumsum(weight * np.array([not one[1] for one in ordered]))
    total = np.cumsum(weight)
    found = []
    for at in np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).astype(int)):
        share, risk = float(total[at] / total[-1]), float(wrong[at] / max(total[at], 1e-9))
        found.append(Point(round(ordered[at][0], 4), round(share, 4), round(risk, 4)))
    return tuple(found)


def read_labelled(path: Path, *, expected_column: str = "expected") -> list[Labelled]:
    """The rows of a labelled CSV; a complaint with file and line for whatever does not fit."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError([Complaint(str(path), 0, f"cannot be read: {error}")]) from error
    reader = csv.DictReader(text.splitlines(keepends=True))
    names = reader.fieldnames or []
    missing = [name for name in ("question", expected_column) if name not in names]
    if missing:
        message = f"no column {' and no column '.join(missing)}; the columns are {', '.join(names) or 'none'}"
        raise KnowledgeError([Complaint(str(path), 1, message)])
    rows = []
    for row in reader:
        scope = Scope(
            channel=(row.get("channel") or "").strip(),
            language=(row.get("language") or "").strip(),
            tags=tuple(tag.strip() for tag in (row.get("tags") or "").split(";") if tag.strip()),
            previous=(row.get("previous") or "").strip(),
        )
        question = (row["question"] or "").strip()
        if question:
            expected, decision = (row.get(expected_column) or "").strip(), (row.get("decision") or "").strip()
            rows.append(Labelled(question, expected, decision, scope))
    if not rows:
        raise KnowledgeError([Complaint(str(path), 1, "no questions in this file")])
    return rows


async def evaluate(
    library: Library,
    csv_path: Path,
    *,
    expected_column: str = "expected",
    progress: Callable[[int, int], None] | None = None,
    decide: Decide | None = None,
    now: date | None = None,
) -> Report:
    """Ask every question of a labelled CSV, one after another, and report. `decide` puts the bot's own decision in
    the place of the bare thresholds."""
    rows = read_labelled(csv_path, expected_column=expected_column)
    return await evaluate_rows(library, rows, progress=progress, decide=decide, now=now)


async def evaluate_rows(
    library: Library,
    rows: Sequence[Labelled],
    *,
    progress: Callable[[int, int], None] | None = None,
    decide: Decide | None = None,
    now: date | None = None,
) -> Report:
    """The same for rows that are already in memory."""
    judge = decide or by_threshold
    known = {topic.split("@")[0] for topic in library.versions()}
    ranks, cases, taken = [], [], []
    found: Found | None = None
    for done, row in enumerate(rows, start=1):
        started = time.perf_counter()
        found = await library.search(row.question, row.scope, k=DEEP, now=now)
        taken.append((time.perf_counter() - started) * 1000)
        topics = list(dict.fromkeys(hit.topic for hit in found.hits))
        ranks.append(topics.index(row.expected) + 1 if row.expected in topics else 0)
        cases.append(_case(row, topics, found, judge(found)))
        if progress:
            progress(done, len(rows))
    assert found is not None
    unknown = tuple(sorted({row.expected for row in rows if row.expected and row.expected not in known}))
    return _report(cases, np.array(ranks), np.array(taken), found, unknown)


def by_threshold(found: Found) -> str:
    """What the confidence alone says; levels, triggers and launch mode come on top of it elsewhere."""
    if not found.hits:
        return "escalate"
    if found.confidence >= found.threshold_answer:
        return "answer"
    return "clarify" if found.near else "escalate"


def _case(row: Labelled, topics: Sequence[str], found: Found, decision: str) -> Case:
    top = topics[0] if topics else ""
    if row.expected:
        offered = topics[:BUTTONS] if decision == "clarify" else topics[:1]
        ok = decision in ("answer", "draft", "clarify", "collect") and row.expected in offered
    else:
        ok = decision != "answer"
    if row.decision:
        ok = decision == row.decision and (decision != "answer" or top == row.expected)
    return Case(row.question, row.expected, top, round(found.confidence, 4), decision, ok)


def _report(
    cases: Sequence[Case], ranks: np.ndarray, taken: np.ndarray, found: Found, unknown: tuple[str, ...]
) -> Report:
    inside = np.array([bool(case.expected) for case in cases])
    right = np.array([bool(case.expected) and case.top == case.expected for case in cases])
    answered = np.array([case.decision == "answer" for case in cases])
    confidence = np.array([case.confidence for case in cases])
    precision = float(right[answered].mean()) if answered.any() else None
    rank = ranks[inside]
    return Report(
        n=len(cases),
        in_scope=int(inside.sum()),
        out_of_scope=int((~inside).sum()),
        hit_at_1=_share(rank == 1),
        hit_at_5=_share((rank >= 1) & (rank <= 5)),  # noqa: PLR2004 - the name says it
        mrr=_share(np.where(rank > 0, 1.0 / np.maximum(rank, 1), 0.0)),
        coverage=round(float(answered.mean()), 4),
        precision=_rounded(precision),
        oos_recall=_share(~answered[~inside]),
        auroc=_rounded(auroc(confidence, right)),
        ece=_rounded(calibration_error(confidence, right)),
        wrong_rate=_rounded(None if precision is None else 1.0 - precision),
        latency_ms={
            "p50": round(float(np.percentile(taken, 50)), 3),
            "p99": round(float(np.percentile(taken, 99)), 3),
        },
        cases=tuple(cases),
        snapshot=found.snapshot,
        threshold_answer=found.threshold_answer,
        threshold_clarify=found.threshold_clarify,
        curve=risk_coverage(confidence, right),
        bins=reliability(confidence, right),
        unknown_expected=unknown,
    )


def _share(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def auroc(confidence: np.ndarray, right: np.ndarray) -> float | None:
    """How often a right answer is more confident than a wrong one; None where there are only right or only wrong."""
    good, bad = int(right.sum()), int((~right).sum())
    if not good or not bad:
        return None
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2.0  # ties share the middle rank
    ranks = middle[inverse]
    return float((ranks[right].sum() - good * (good + 1) / 2) / (good * bad))


def reliability(confidence: np.ndarray, right: np.ndarray) -> tuple[tuple[float, float, int], ...]:
    """Per bin of confidence: the mean confidence, the share that was right, and how many."""
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    found = []
    for at in range(BINS):
        inside = place == at
        if inside.any():
            found.append((float(confidence[inside].mean()), float(right[inside].mean()), int(inside.sum())))
    return tuple(found)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float | None:
    """Expected calibration error: how far confidence and truth are apart, weighted by how often."""
    if not len(confidence):
        return None
    return sum(abs(mean - share) * count for mean, share, count in reliability(confidence, right)) / len(
        confidence
    )


def risk_coverage(confidence: np.ndarray, right: np.ndarray, points: int = 101) -> tuple[Point, ...]:
    """For a falling threshold: the share of questions answered and the share of those answered wrongly."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    found = []
    for end in np.unique(np.linspace(1, len(order), min(points, len(order))).astype(int)):
        threshold = float(confidence[order[end - 1]])
        found.append(
            Point(round(threshold, 4), round(end / len(order), 4), round(float(wrong[end - 1] / end), 4))
        )
    return tuple(found)
