"""Scores -> the probability that the top topic is right, and the lines along which a decision is drawn.

Two questions, each a logistic model over the same few pieces of evidence: is this covered at all, and if so, is it this
topic? What tells a stranger from a customer is not what tells two neighbours apart, so one model for both serves neither.
The confidence is the product. No evidence may count against: more of it never lowers the confidence. Both models start
from weights that held on several public sets (PRIOR) and are pulled to this snapshot's own rehearsal as far as the
rehearsal has something to say. Where it has little, the line moves up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge.ranking import HEAD

Numbers = NDArray[np.float64]
FEATURES = ("meaning", "covered", "margin", "head", "head_margin", "words", "crowd")
PRIOR: Mapping[
    str, tuple[tuple[float, ...], tuple[float, ...]]
] = {  # covered, right; bias first, then FEATURES
    "words": ((-3.5, 13.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0), (-4.2, 5.0, 0.3, 4.4, 0.0, 0.0, 1.4, 0.0)),
    "head": ((-4.2, 1.5, 0.0, 0.25, 3.2, 0.0, 2.1, 5.5), (-1.9, 0.0, 0.2, 4.9, 1.3, 0.0, 0.65, 0.0)),
}
PULL = 30.0  # how many fully faithful samples it takes to move a weight by one of its scales
SCALES = np.array([2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 2.0, 3.0])
ENOUGH = 60  # rehearsed questions below which a snapshot is too small to speak for itself
SURE = 1.645  # one-sided 95 %
RESOLUTION = 400.0  # answers over which the promise is to hold: the share is not promised for a handful
HIGHEST = 0.995
CERTAIN = (1e-9, 1 - 1e-9)  # bounds of a probability whose logarithm is taken
MIXTURE = {  # the lines are drawn for this mix, worse than the confidences are fitted to: a promise needs room
    "lone": 0.75,  # customers' words lie between a question that nobody wrote down
    "known": 0.25,  # and one that stands there word for word
    "absent": 2.5,
    "chat": 1.5,
    "strange": 2.0,
}
USEFUL = 0.05  # a line that leaves less than this share of questions answered helps nobody


@dataclass(frozen=True, slots=True)
class Sample:
    """One rehearsed question: the evidence for what came first, whether it was right, how much it weighs."""

    evidence: tuple[float, ...]
    right: bool
    weight: float
    kind: str  # own; lone (the only question of its topic), known (the same, as it stands); absent, chat; labelled, strange
    covered: bool = True  # whether the snapshot has an answer at all


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a snapshot turns evidence into confidence, and the thresholds that follow from `max_wrong`."""

    covered: tuple[float, ...] = PRIOR["words"][0]
    right: tuple[float, ...] = PRIOR["words"][1]
    threshold_answer: float = 0.9
    threshold_clarify: float = 0.4
    max_wrong: float = 0.05
    lean: str = HEAD  # what the ranking leaned on in the rehearsal, and leans on in a search
    summary: Mapping[str, float | str] = field(default_factory=dict)
    curve: tuple[
        tuple[float, bool, float], ...
    ] = ()  # (confidence, right, weight) of every rehearsed question

    def probability(self, evidence: Sequence[float] | NDArray[np.float32]) -> float:
        return float(self.probabilities(np.array([evidence], dtype=np.float64))[0])

    def probabilities(self, evidence: NDArray[np.float32] | Numbers) -> Numbers:
        """One for each row of evidence (rows x FEATURES)."""
        both = np.array([self.covered, self.right])
        chance = sigmoid(evidence.astype(np.float64) @ both[:, 1:].T + both[:, 0])
        return np.asarray(chance[:, 0] * chance[:, 1])

    def drawn(self, max_wrong: float) -> Calibration:
        """The same confidences, with the lines that another share of wrong answers draws."""
        answer, _, _, _ = line(self.curve, float(self.summary.get("rehearsed", 0)), max_wrong)
        return replace(
            self,
            threshold_answer=round(answer, 4),
            threshold_clarify=round(clarify_line(answer), 4),
            max_wrong=max_wrong,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        curve = tuple((float(one), bool(right), float(weight)) for one, right, weight in values["curve"])
        models = {name: tuple(values[name]) for name in ("covered", "right")}
        return cls(**{**values, **models, "curve": curve})


def calibrate(samples: Sequence[Sample], *, head: bool, max_wrong: float) -> Calibration:
    """Fit the confidence to a rehearsal and draw the lines."""
    covered, right = (np.array(one) for one in PRIOR["head" if head else "words"])
    covered = fit(samples, [one.covered for one in samples], covered)
    answerable = [one for one in samples if one.covered]
    right = fit(
        answerable,
        [one.right for one in answerable],
        right,
        chance_of([one.evidence for one in answerable], covered),
    )
    own = sum(
        0.5 if one.kind == "lone" else 1.0
        for one in samples
        if one.kind in ("own", "labelled", "strange", "lone")
    )
    draft = Calibration(
        covered=tuple(round(float(one), 5) for one in covered),
        right=tuple(round(float(one), 5) for one in right),
        max_wrong=max_wrong,
    )
    curve = tuple(
        point for one in samples for point in _points(one, round(draft.probability(one.evidence), 5))
    )
    answer, coverage, risk, note = line(curve, own, max_wrong)
    return Calibration(
        covered=draft.covered,
        right=draft.right,
        threshold_answer=round(answer, 4),
        threshold_clarify=round(clarify_line(answer), 4),
        max_wrong=max_wrong,
        summary={
            "rehearsed": own,
            "expected_coverage": round(coverage, 4),
            "expected_wrong": round(risk, 4),
            "note": note,
        },
        curve=curve,
    )


def line(
    curve: Sequence[tuple[float, bool, float]], own: float, max_wrong: float
) -> tuple[float, float, float, str]:
    """Where answers start, for a curve of which `own` questions were rehearsed: (line, coverage, risk, a caution)."""
    answer, coverage, risk = threshold(curve, max_wrong)
    note = ""
    if coverage < USEFUL and curve:
        answer, coverage, risk = promised(curve, max_wrong)
        note = (
            "the rehearsal cannot vouch for this share of wrong answers with 95 % certainty; the line follows from the "
            "confidences alone. Labelled questions of real customers make it certain: firstline calibrate --transcripts"
        )
    if own < ENOUGH:
        answer = max(answer, 1.0 - max_wrong / 2)
        note = f"only {own:.0f} questions of this knowledge could be rehearsed; the line is drawn higher than they say"
    return min(answer, HIGHEST), coverage, risk, note


def _points(sample: Sample, confidence: float) -> list[tuple[float, bool, float]]:
    """A sample on the risk-coverage curve. One that weighs nothing says where questions lie, not how they end: it
    counts as right with just the probability that its confidence promises."""
    share = MIXTURE.get(sample.kind, 1.0)
    if sample.kind not in ("lone", "known"):
        return [(confidence, sample.right, round(share * sample.weight, 6))] if sample.weight > 0 else []
    pair = [(confidence, True, share * confidence), (confidence, False, share * (1.0 - confidence))]
    return [(where, right, round(weight, 6)) for where, right, weight in pair if round(weight, 6) > 0]


def clarify_line(answer: float) -> float:
    """How likely it must be that one of the topics which a question would offer is meant, before it is asked: below
    even, naming topics to choose from is noise."""
    return float(min(0.5, answer))


def fit(
    samples: Sequence[Sample], truth: Sequence[bool], prior: Numbers, given: Numbers | None = None
) -> Numbers:
    """Weighted logistic regression around `prior`, by projected Newton steps; weights of evidence stay above zero.

    With `given`, a probability for each sample, the product of both is what comes out as often as it says.
    """
    if not samples:
        return prior
    inputs = np.array([(1.0, *one.evidence) for one in samples], dtype=np.float64)
    true = np.array(truth, dtype=np.float64)
    weight = np.array([one.weight for one in samples], dtype=np.float64)
    other = np.ones(len(samples)) if given is None else given
    stiff = np.diag(PULL / SCALES**2)
    low = np.array([-np.inf, *([0.0] * (inputs.shape[1] - 1))])

    def loss(at: Numbers) -> float:
        chance = np.clip(other * sigmoid(inputs @ at), *CERTAIN)
        missed = -(true * np.log(chance) + (1 - true) * np.log1p(-chance))
        return float(weight @ missed + 0.5 * (at - prior) @ stiff @ (at - prior))

    now = prior.copy()
    for _ in range(50):
        own = sigmoid(inputs @ now)
        chance = np.clip(other * own, *CERTAIN)
        reach = (1 - own) / (1 - chance)  # how far this factor can still move the product; 1 without another
        slope = inputs.T @ (weight * (chance - true) * reach) + stiff @ (now - prior)
        bend = (inputs * (weight * chance * (1 - chance) * reach**2)[:, None]).T @ inputs + stiff
        free = (now > low) | (slope < 0)
        step = np.zeros_like(now)
        step[free] = np.linalg.solve(bend[np.ix_(free, free)], slope[free])
        size, before = 1.0, loss(now)
        while size > 1e-4 and loss(np.maximum(now - size * step, low)) > before:  # noqa: PLR2004 - a full step may overshoot
            size /= 2
        moved = np.maximum(now - size * step, low)
        if np.abs(moved - now).max() < 1e-6:  # noqa: PLR2004
            break
        now = moved
    return now


def chance_of(evidence: Sequence[Sequence[float]], weights: Numbers) -> Numbers:
    """What one of the two models says of each piece of evidence."""
    rows = np.array(evidence, dtype=np.float64).reshape(len(evidence), len(FEATURES))
    return np.asarray(sigmoid(weights[0] + rows @ weights[1:]))


def threshold(curve: Sequence[tuple[float, bool, float]], max_wrong: float) -> tuple[float, float, float]:
    """The lowest line above which the wrong share stays under `max_wrong` with 95 % certainty: (line, coverage, risk).

    Both what the rehearsal showed and what the confidences themselves promise must hold, as each can be lucky.
    """
    if not curve:
        return 1.0 - max_wrong / 2, 0.0, 0.0
    ordered = sorted(curve, key=lambda one: -one[0])
    confidence = np.array([one[0] for one in ordered])
    weight = np.array([one[2] for one in ordered])
    wrong = np.cumsum(weight * np.array([not one[1] for one in ordered])) / np.cumsum(weight)
    promised = np.cumsum(weight * (1 - confidence)) / np.cumsum(weight)
    seen = np.minimum(np.cumsum(weight) ** 2 / np.cumsum(weight**2), RESOLUTION)
    risk = np.maximum(wrong, promised)
    margin = SURE * np.sqrt(np.maximum(risk * (1 - risk), 0.25 / seen / 4) / seen)
    good = np.flatnonzero((risk + margin <= max_wrong) & (seen >= min(20.0, float(seen[-1]) / 2)))
    if not len(good):
        return HIGHEST, 0.0, 0.0
    last = int(good[-1])
    return float(confidence[last]), float(weight[: last + 1].sum() / weight.sum()), float(wrong[last])


def promised(curve: Sequence[tuple[float, bool, float]], max_wrong: float) -> tuple[float, float, float]:
    """The lowest line above which the confidences themselves promise at most `max_wrong`: (line, coverage, risk).

    For a snapshot whose rehearsal is too short or too hard to be certain of anything: leaving a question out takes
    most of what is known of its topic, so the rehearsal knows less than the bot will.
    """
    ordered = sorted(curve, key=lambda one: -one[0])
    confidence = np.array([one[0] for one in ordered])
    weight = np.array([one[2] for one in ordered])
    wrong = np.cumsum(weight * (1 - confidence)) / np.cumsum(weight)
    good = np.flatnonzero(wrong <= max_wrong)
    if not len(good):
        return HIGHEST, 0.0, 0.0
    last = int(good[-1])
    return float(confidence[last]), float(weight[: last + 1].sum() / weight.sum()), float(wrong[last])


def sigmoid(value: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.clip(value, -30.0, 30.0)))
