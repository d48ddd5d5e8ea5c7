"""Words and meaning together: the evidence for every passage, one score, and the order that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.lexicon import Lexicon, Terms

Scores = NDArray[np.float32]
Numbers = NDArray[np.int32]
Mask = NDArray[np.bool_]

# How much each kind of evidence counts, in units of cosine: without a head, and where a head knows every topic. Chosen
# on the development halves (docs/knowledge.md) from coarse grids; the ranking is flat around them, hence round numbers.
# With a head the ranking leans on it, or else on the words: a snapshot's rehearsal tells which finds more of it. Texts that
# say much and few questions speak for the words.
HEAD, WORDS = "head", "words"
WEIGHTS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    HEAD: {
        "meaning": (1.0, 1.0),
        "words": (0.5, 0.1),
        "covered": (0.25, 0.05),
        "phrases": (0.25, 0.05),
        "head": (0.7, 1.4),
    },
    WORDS: {
        "meaning": (1.0, 1.0),
        "words": (0.5, 0.5),
        "covered": (0.25, 0.25),
        "phrases": (0.25, 0.25),
        "head": (0.7, 0.7),
    },
}
NEVER = -99.0  # the log-probability of a topic that the head does not know
HEAD_FLOOR = 7.0  # a log-probability below minus this is no evidence at all
CROWD = 10  # keys; flat between 5 and 20 on the development halves
BLOCK = 64  # keys looked at together


class Place(Protocol):
    """The arrays of a snapshot that ranking needs."""

    @property
    def passage_topic(self) -> Numbers: ...
    @property
    def key_start(self) -> Numbers: ...
    @property
    def lexicon(self) -> Lexicon: ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for every passage, each as one array."""

    meaning: Scores
    words: Scores
    covered: Scores
    phrases: Scores
    head: Scores  # 0 (never heard of) to 1 (sure), the same for all passages of a topic
    score: Scores
    crowd: float  # how close the nearest keys of all are, whatever they stand for


def gather(
    place: Place,
    similar: Scores,
    lexical: tuple[Scores, Scores, Scores],
    head: Scores | None,
    allowed: Mask,
    lean: str = HEAD,
) -> Evidence:
    """One score per passage. `similar` is the cosine of every key; `lexical` words, coverage and phrases of every
    passage; `head` the log-probability of every topic. Passages outside `allowed` take no part. `lean`: of WEIGHTS."""
    meaning = np.maximum.reduceat(similar, place.key_start) if len(similar) else np.zeros(0, dtype=np.float32)
    words, covered, phrases = (np.where(allowed, one, 0.0).astype(np.float32) for one in lexical)
    heads = np.zeros(len(meaning), dtype=np.float32)
    share = 0.0
    if head is not None:
        heads = np.clip(1.0 + head[place.passage_topic] / HEAD_FLOOR, 0.0, 1.0).astype(np.float32)
        share = float(np.mean(head > NEVER))
    weight = {name: plain + (rich - plain) * share for name, (plain, rich) in WEIGHTS[lean].items()}
    score = (
        weight["meaning"] * meaning
        + weight["words"] * _relative(words)
        + weight["covered"] * covered
        + weight["phrases"] * _relative(phrases)
        + weight["head"] * heads
    ).astype(np.float32)
    score = np.where(allowed, score, -np.inf).astype(np.float32)
    return Evidence(meaning, words, covered, phrases, heads, score, _crowd(place, similar, allowed))


def _crowd(place: Place, similar: Scores, allowed: Mask) -> float:
    """The mean cosine of the nearest keys, as many as a passage has, at most CROWD. One key may be close by chance;
    where customers' questions belong, several are."""
    if not allowed.any():
        return 0.0
    size = min(CROWD, round(len(similar) / len(allowed)))
    if not allowed.all():
        similar = similar[np.repeat(allowed, np.diff(place.key_start, append=len(similar)))]
    if len(similar) > size * BLOCK:  # the best of `size` blocks leave little to sort
        floor = _best(np.maximum.reduceat(similar, np.arange(0, len(similar), BLOCK)), size).min()
        similar = similar[similar >= floor]
    return float(np.maximum(_best(similar, size), 0.0).mean())


def _best(similar: Scores, size: int) -> Scores:
    """The `size` highest, in no order."""
    return np.partition(similar, len(similar) - size)[-size:] if len(similar) > size else similar


def lexical_of(lexicon: Lexicon, terms: Terms) -> tuple[Scores, Scores, Scores]:
    words, covered = lexicon.words.search(terms.words)
    return words, covered, lexicon.pairs.search(terms.pairs)[0]


def _relative(scores: Scores) -> Scores:
    best = float(scores.max(initial=0.0))
    return scores / best if best > 0 else scores


def order_of(evidence: Evidence, most: int) -> NDArray[np.intp]:
    """The best passages, at most `most`; ties keep the snapshot's order, so that the same input gives the same answer."""
    score = evidence.score
    if most < len(score):
        edge = np.partition(score, len(score) - most)[len(score) - most]
        near = np.flatnonzero(score >= edge)
        order = near[np.argsort(-score[near], kind="stable")][:most]
    else:
        order = np.argsort(-score, kind="stable")
    return order[score[order] > -np.inf]


def features(
    evidence: Evidence, passage_topic: Numbers, at: NDArray[np.intp], order: NDArray[np.intp]
) -> Scores:
    """What the confidence in each of the passages `at` rests on: a row each, with FEATURES of knowledge.confidence. The
    rival is the best passage in `order` of another topic."""
    score, head = evidence.score[at], evidence.head[at]
    other = passage_topic[order] != passage_topic[at][:, None]
    rival, has = order[other.argmax(axis=1)], other.any(axis=1)
    return np.stack(
        [
            evidence.meaning[at],
            evidence.covered[at],
            score - np.where(has, evidence.score[rival], 0.0),
            head,
            head - np.where(has, evidence.head[rival], 0.0),
            np.minimum(evidence.words[at] / 20.0, 1.5),
            np.full(len(at), evidence.crowd),
        ],
        axis=1,
    ).astype(np.float32)
