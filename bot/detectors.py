"""Detectors of the triggers' meaning, fitted on the examples of the data file when the process starts.

Each is a weighted ridge regression on ±1 beside a comparison with the nearest example. Leaving every text out in
turn, in closed form, says where ordinary texts end, so no data but the file's is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from handoff import triggers

Vectors = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]

RIDGE = 2.0
FOREIGN_WEIGHT = 0.3  # of other triggers' examples: some of them are both
COUNTER_WEIGHT = 2.0
NEAREST_SHARE = 0.8  # how much the nearest example counts beside the line
QUIET = 0.995  # the share of ordinary texts that scores 0 or less


@dataclass(frozen=True, slots=True)
class Detector:
    """One trigger in the space of the vectors. `near` and `far` are positions among all texts; `far` leaves out the
    ordinary texts that are far from every trigger."""

    name: str
    threshold: float
    line: Vectors
    offset: float
    near: Positions
    far: Positions
    zero: float
    one: float


class Detectors:
    """Every trigger's detector over one matrix of texts, which a message is compared with once for all of them.

    Scores are 0 where nearly all ordinary texts end; 1 is one standard deviation of theirs further.
    """

    def __init__(
        self, texts: Sequence[str], matrix: Matrix, ordinary: Positions, found: Sequence[Detector]
    ) -> None:
        self._texts, self._ordinary = tuple(texts), ordinary
        self._matrix = matrix.astype(np.float32)
        self._lines = np.stack([d.line for d in found])
        self._offsets = np.array([d.offset for d in found], dtype=np.float32)
        self.each = tuple(found)

    def scores(self, vectors: Vectors) -> tuple[Matrix, Vectors]:
        """(detectors x vectors) scores, and (vectors x texts) similarities."""
        similar = vectors @ self._matrix.T
        raw = vectors @ self._lines.T + self._offsets
        scores = np.empty((len(self.each), len(vectors)))
        usual = similar[:, self._ordinary].max(1)
        for at, detector in enumerate(self.each):
            far = np.maximum(usual, similar[:, detector.far].max(1)) if len(detector.far) else usual
            lead = similar[:, detector.near].max(1) - far
            scores[at] = (raw[:, at] + NEAREST_SHARE * lead - detector.zero) / (detector.one - detector.zero)
        return scores, similar

    def nearest(self, detector: Detector, similar: Vectors) -> tuple[str, float]:
        """The example that one vector (its row of similarities) is most like, and how much."""
        best = detector.near[int(similar[detector.near].argmax())]
        return self._texts[int(best)], float(similar[best])


@dataclass(frozen=True, slots=True)
class Space:
    """What all detectors share: the texts, and the regression before any of them is singled out."""

    texts: tuple[str, ...]
    matrix: Matrix
    rows: Matrix  # with a column of ones
    similar: Matrix
    weights: Matrix
    inverse: Matrix  # of the weighted, penalised Gram matrix
    reach: Matrix  # rows @ inverse


def every_text(catalogue: triggers.Catalogue) -> list[str]:
    """All texts that fitting needs the vectors of, each once."""
    every = list(catalogue.background)
    for trigger in catalogue.triggers:
        every += [*trigger.examples, *trigger.counter_examples]
    return list(dict.fromkeys(every))


def fit(catalogue: triggers.Catalogue, vectors: Mapping[str, Vectors]) -> Detectors:
    """A detector for every trigger, from the vector of every text."""
    examples = {e for t in catalogue.triggers for e in t.examples} - set(catalogue.background)
    space = _space(vectors, examples)
    ordinary = np.flatnonzero(~_marked(space.texts, examples))
    found = [_detector(trigger, space, examples) for trigger in catalogue.triggers]
    return Detectors(space.texts, space.matrix, ordinary, found)


def _space(vectors: Mapping[str, Vectors], examples: set[str]) -> Space:
    texts = tuple(vectors)
    matrix = np.stack([vectors[t] for t in texts]).astype(np.float64)
    similar = matrix @ matrix.T
    np.fill_diagonal(similar, -1.0)
    rows = np.hstack([matrix, np.ones((len(matrix), 1))])
    weights = np.where(_marked(texts, examples), FOREIGN_WEIGHT, 1.0)
    penalty = RIDGE * np.eye(rows.shape[1])
    penalty[-1, -1] = 1e-6
    inverse = np.linalg.inv(rows.T @ (rows * weights[:, None]) + penalty)
    return Space(texts, matrix, rows, similar, weights, inverse, rows @ inverse)


def _marked(texts: Sequence[str], some: set[str]) -> Mask:
    return np.array([text in some for text in texts])


def _detector(trigger: triggers.Trigger, space: Space, examples: set[str]) -> Detector:
    positive = _marked(space.texts, set(trigger.examples))
    counter = _marked(space.texts, set(trigger.counter_examples))
    weights = np.where(counter, COUNTER_WEIGHT, space.weights)
    weights[positive] = 0.5 * weights[~positive].sum() / positive.sum()
    target = np.where(positive, 1.0, -1.0)
    solution, leverage = _solved(space, weights, target)
    left_out = (space.rows @ solution - leverage * target) / np.maximum(1 - leverage, 1e-6)
    far = (~_marked(space.texts, examples) | counter) & ~positive
    raw = left_out + NEAREST_SHARE * (space.similar[:, positive].max(1) - space.similar[:, far].max(1))
    zero = float(np.quantile(raw[far], QUIET))
    return Detector(
        name=trigger.name,
        threshold=trigger.threshold,
        line=solution[:-1].astype(np.float32),
        offset=float(solution[-1]),
        near=np.flatnonzero(positive),
        far=np.flatnonzero(far & _marked(space.texts, examples)),
        zero=zero,
        one=zero + float(raw[far].std()),
    )


def _solved(space: Space, weights: Matrix, target: Matrix) -> tuple[Matrix, Matrix]:
    """The regression with these weights, and each text's leverage on its own score.

    Only the rows whose weight changed are worked in (the Woodbury identity): thirty times less than starting anew.
    """
    change = weights - space.weights
    changed = change != 0
    some, reach = space.rows[changed], space.reach[changed]
    core = np.linalg.inv(np.diag(1 / change[changed]) + reach @ some.T)
    start = space.inverse @ (space.rows.T @ (weights * target))
    solution = start - reach.T @ (core @ (some @ start))
    across = space.reach @ some.T
    own = (space.reach * space.rows).sum(1) - ((across @ core) * across).sum(1)
    return solution, weights * own
