"""Words and meaning together: a question against one snapshot -> passages in order, with the evidence for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.cutting import FIELDS
from knowledge.engine import Vectors
from knowledge.scope import Mask
from knowledge.snapshot import Snapshot

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Passages from best to worst, their scores, and what spoke for each."""

    order: NDArray[np.intp]
    scores: Scores
    evidence: Mapping[str, Scores]


def rank(snapshot: Snapshot, vector: Vectors, terms: Sequence[str], mask: Mask) -> Ranked:
    """Rank the passages of the topics in `mask`; nothing outside of it takes part in any way."""
    allowed = mask[snapshot.passage_topic]
    dense = _dense(snapshot, vector)
    word = np.zeros(len(allowed), dtype=np.float32)
    for at, score in snapshot.words.bm25(terms):
        word[at] = score
    word[~allowed] = 0.0
    best = float(word.max(initial=0.0))
    evidence = {
        "question": np.maximum(dense["question"], dense["title"]),
        "passage": dense["body"],
        "words": word,
    }
    meaning = 0.5 * evidence["question"] + 0.5 * dense["body"]
    scores = np.asarray(meaning + (0.5 * word / best if best > 0 else 0.0), dtype=np.float32)
    scores[~allowed] = -np.inf
    order = np.argsort(-scores, kind="stable")
    return Ranked(order[: int(allowed.sum())], scores, evidence)


def _dense(snapshot: Snapshot, vector: Vectors) -> dict[str, Scores]:
    similar = np.asarray(snapshot.vectors @ vector, dtype=np.float32)
    found = {}
    for at, name in enumerate(FIELDS):
        best = np.full(len(snapshot.passage_topic), -1.0, dtype=np.float32)
        rows = snapshot.key_field == at
        np.maximum.at(best, snapshot.key_passage[rows], similar[rows])
        found[name] = best
    return found
