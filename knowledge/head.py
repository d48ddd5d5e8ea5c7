"""A light head: which topic do questions like this one belong to? Logistic regression on what the frozen model reads.

It learns from the topics' own example questions, titles and texts: from their vectors; from character n-grams, which
forgive misspelling; and, the more the more examples there are, from earlier layers of the model, which still know which
words were used. One more class, "none of these", is learned from ordinary chat. Out-of-fold scores come with it: what it
says about questions that it has not seen. Stored as plain arrays; nothing here is ever unpickled.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge.engine import Vectors
from knowledge.tokens import words

BUCKETS = 4096  # hashed character n-grams
LATENT = 128  # dimensions that they are projected to
NGRAM_WEIGHT = 0.5  # beside vectors of length one
STRENGTH = 20.0  # inverse regularisation of few examples; flat between 10 and 30 on the development halves
LOOSE = 33.0  # examples of a topic at which it is halved
MANY = 100  # examples of a topic from which on the early layers count fully
FOLDS = 3
Matrix = NDArray[np.float32]
Labels = NDArray[np.int32]


def ngrams(text: str) -> dict[int, int]:
    """Hashed character n-grams of two to five letters inside words, and how often each occurs."""
    counts: dict[int, int] = {}
    for word in words(text):
        for bucket in _buckets(word):
            counts[bucket] = counts.get(bucket, 0) + 1
    return counts


# Most words come again, and hashing their pieces takes longer than the rest of the head.
@lru_cache(maxsize=20_000)
def _buckets(word: str) -> tuple[int, ...]:
    padded = f" {word} ".encode()
    return tuple(
        zlib.crc32(padded[at : at + size]) % BUCKETS
        for size in (2, 3, 4, 5)
        for at in range(len(padded) - size + 1)
    )


@dataclass(frozen=True, slots=True)
class Head:
    """Weights over topics; the last column is "none of these"."""

    classes: Labels  # position of each column's topic in the snapshot
    weights: Matrix  # (dimension + early + LATENT + 1, classes + 1)
    centre: Matrix  # (early,): what the early layers say of an ordinary example
    trust: float  # in the early layers, 0 to 1
    idf: Matrix  # (BUCKETS,)
    projection: Matrix  # (BUCKETS, LATENT)

    def log_probabilities(self, read: Vectors, texts: Sequence[str]) -> Matrix:
        """One row per question, one column per class and one for "none of these". `read`: rows of `Engine.read`."""
        counted = [ngrams(text) for text in texts]
        deep = deepened(read, self.centre, self.trust)
        return log_softmax(_features(deep, counted, self.idf, self.projection) @ self.weights)

    def save(self, path: Path) -> None:
        np.savez(
            path,
            classes=self.classes,
            weights=self.weights,
            centre=self.centre,
            trust=np.float32(self.trust),
            idf=self.idf,
            projection=self.projection,
        )

    @classmethod
    def load(cls, path: Path) -> Head:
        with np.load(path, allow_pickle=False) as kept:
            return cls(
                kept["classes"],
                kept["weights"],
                kept["centre"],
                float(kept["trust"]),
                kept["idf"],
                kept["projection"],
            )


def deepened(read: Vectors, centre: Matrix, trust: float) -> Matrix:
    """Rows of `Engine.read` with the early layers taken from their centre, each again of length one, times `trust`."""
    size = read.shape[1] - len(centre)
    if not len(centre):
        return read
    layers = (read[:, size:] - centre).reshape(len(read), -1, size)
    layers = layers / np.maximum(np.linalg.norm(layers, axis=2, keepdims=True), 1e-9)
    return np.hstack([read[:, :size], trust * layers.reshape(len(read), -1)])


def _features(
    vectors: Matrix, counted: Sequence[Mapping[int, int]], idf: Matrix, projection: Matrix
) -> Matrix:
    latent = np.zeros((len(counted), LATENT), dtype=np.float32)
    for row, counts in enumerate(counted):
        if counts:
            at = np.fromiter(counts, dtype=np.int64)
            weight = (1.0 + np.log(np.fromiter(counts.values(), dtype=np.float32))) * idf[at]
            latent[row] = (weight / np.linalg.norm(weight)) @ projection[at]
    one = np.ones((len(counted), 1), dtype=np.float32)
    return np.hstack([np.asarray(vectors, dtype=np.float32), NGRAM_WEIGHT * latent, one])


def log_softmax(scores: Matrix) -> Matrix:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Examples:
    """What a head learns from: texts and what the model reads in them, the topic of each, and how much each counts."""

    read: Vectors
    texts: Sequence[str]
    topics: Sequence[int]
    weights: Sequence[float]


def fit(
    examples: Examples,
    background: Vectors,
    background_texts: Sequence[str],
    dimension: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Head, Matrix]:
    """A head for the topics, and out-of-fold log-probabilities for every example, the background's last. `dimension`: how
    much of a row is the vector; what follows are the early layers.

    Examples with the same first line share a fold: what begins with a question must not give that question away.
    """
    classes, labels = np.unique(np.asarray(examples.topics, dtype=np.int32), return_inverse=True)
    every = [*examples.texts, *background_texts]
    chat = np.full(len(background_texts), len(classes))
    targets: Labels = np.concatenate([labels, chat]).astype(np.int32)
    weight = np.concatenate([examples.weights, np.ones(len(chat))]).astype(np.float32)
    counted = [ngrams(text) for text in every]
    idf, projection = _latent(counted)
    centre = examples.read[:, dimension:].mean(axis=0)
    each = sum(examples.weights) / len(classes)
    trust, strength = min(1.0, each / MANY), STRENGTH / (1.0 + each / LOOSE)
    deep = deepened(np.vstack([examples.read, background]), centre, trust)
    inputs = _features(deep, counted, idf, projection)
    fold = _folds(every, targets)
    unseen = np.zeros((len(every), len(classes) + 1), dtype=np.float32)
    starts = []
    for number in range(FOLDS):
        inside = fold != number
        weights = _train(inputs[inside], targets[inside], weight[inside], len(classes) + 1, strength, None)
        unseen[~inside] = log_softmax(inputs[~inside] @ weights)
        starts.append(weights)
        if progress:
            progress(number + 1, FOLDS + 1)
    weights = _train(inputs, targets, weight, len(classes) + 1, strength, np.mean(starts, axis=0))
    if progress:
        progress(FOLDS + 1, FOLDS + 1)
    return Head(classes.astype(np.int32), weights, centre, trust, idf, projection), unseen


def _folds(texts: Sequence[str], labels: Labels) -> Labels:
    """Which fold each text is in: those of a topic are dealt out one by one, so that no fold takes most of what a topic
    with few questions has. Texts with the same first line share a fold."""
    firsts = [text.split("\n", 1)[0] for text in texts]
    order = sorted(range(len(texts)), key=lambda at: (labels[at], zlib.crc32(firsts[at].encode()), at))
    dealt: dict[str, int] = {}
    for at in order:
        dealt.setdefault(firsts[at], len(dealt) % FOLDS)
    return np.array([dealt[first] for first in firsts], dtype=np.int32)


def _latent(counted: Sequence[Mapping[int, int]]) -> tuple[Matrix, Matrix]:
    """Inverse document frequencies of n-grams, and the projection to their main directions (randomised SVD)."""
    from scipy.sparse import csr_matrix, diags  # type: ignore[import-untyped]

    rows, columns, values = [], [], []
    for row, counts in enumerate(counted):
        for bucket, count in counts.items():
            rows.append(row)
            columns.append(bucket)
            values.append(1.0 + np.log(count))
    table = csr_matrix((np.array(values, dtype=np.float32), (rows, columns)), shape=(len(counted), BUCKETS))
    frequency = np.bincount(columns, minlength=BUCKETS)
    idf = np.asarray(np.log((1 + len(counted)) / (1 + frequency)) + 1.0, dtype=np.float32)
    weighted: Any = table @ diags(idf)
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1))).ravel()
    weighted = diags((1.0 / np.maximum(norms, 1e-9)).astype(np.float32)) @ weighted
    basis = np.random.default_rng(0).standard_normal((BUCKETS, LATENT)).astype(np.float32)
    for _ in range(3):
        basis, _ = np.linalg.qr(np.asarray(weighted.T @ (weighted @ basis), dtype=np.float32))
    return idf, np.asarray(basis, dtype=np.float32)


def _train(
    inputs: Matrix, labels: Labels, weight: Matrix, count: int, strength: float, start: Matrix | None
) -> Matrix:
    """Multinomial logistic regression by L-BFGS; the bias is the last input and is regularised like the rest."""
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    shape = (inputs.shape[1], count)
    own = np.arange(len(labels))

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape).astype(np.float32)
        logs = log_softmax(inputs @ weights)
        value = float(
            -strength * (weight * logs[own, labels]).sum(dtype=np.float64)
            + 0.5 * (weights**2).sum(dtype=np.float64)
        )
        errors = np.exp(logs)
        errors[own, labels] -= 1.0
        errors *= weight[:, None]
        gradient = strength * (inputs.T @ errors) + weights
        return value, gradient.ravel().astype(np.float64)

    first = np.zeros(shape) if start is None else start
    done = minimize(
        loss,
        first.ravel().astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 30, "ftol": 1e-7},
    )
    return np.asarray(done.x.reshape(shape), dtype=np.float32)
