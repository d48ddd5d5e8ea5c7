"""Learning the detectors of the triggers from their lessons. Done once per model and set of lessons, then kept.

    python -m bot.training          learn them with the default model and ship them as bot/detectors.npz

Logistic regression, one trigger against the rest, on frozen vectors beside pieces of words. Every lesson is learned twice,
once misspelt as people in a hurry misspell. How far ordinary texts come is told by ordinary lessons that were left out
(cross-validation), so no data but the lessons' is needed.
"""

from __future__ import annotations

import hashlib
import random
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.detectors import BUCKETS, PIECES_WEIGHT, SIZES, Detectors, Vectors, load, pieces, weighted
from handoff.triggers import Lessons

STRENGTH = 5.0  # inverse regularisation; flat between 2 and 20 on the development texts
COUNTER_WEIGHT = 4.0  # of what the data file says is something else
FOREIGN_WEIGHT = 0.1  # of other triggers' wordings: many of them are both
WAKING_WEIGHT = 0.5  # the same for triggers that wake people: one person's bug is no outage
POSITIVE_SHARE = 0.3  # what a trigger's wordings weigh together beside all others
FOLDS = 3
LONG_WORD = 4  # letters of a word that is misspelt in a recognisable way
USUAL = 0.95  # the share of ordinary lessons, unseen, that scores 0 or less
ITERATIONS = 200
BATCH = 64
HOME = Path(".firstline")  # where exported models are kept
SHIPPED = Path(__file__).with_name("detectors.npz")

Progress = Callable[[int, int], None]
Targets = npt.NDArray[np.float64]


def material(lessons: Lessons) -> tuple[str, ...]:
    """The texts that learning needs the vectors of: every lesson, then every lesson misspelt."""
    return (*lessons.texts, *map(misspelt, lessons.texts))


def misspelt(text: str) -> str:
    """The text with one word in five misspelt (letters swapped, dropped, doubled or mistaken), always in the same way."""
    chance = random.Random(zlib.crc32(text.encode()))  # noqa: S311 - protects nothing
    words = text.split()
    long = [at for at, word in enumerate(words) if len(word) >= LONG_WORD and word.isalpha()]
    for at in chance.sample(long, min(len(long), 1 + len(words) // 5)):
        word, cut = words[at], chance.randrange(1, len(words[at]) - 1)
        head, letter, tail = word[:cut], word[cut], word[cut + 1 :]
        words[at] = chance.choice((
            f"{head}{tail[0]}{letter}{tail[1:]}", f"{head}{tail}", f"{head}{letter}{letter}{tail}",
            f"{head}{chance.choice('aeiourstnl')}{tail}",
        ))  # fmt: skip
    made = " ".join(words)
    return made.lower() if chance.random() < 0.5 else made  # noqa: PLR2004 - half of them also in a hurry


def digest_of(lessons: Lessons) -> str:
    """Changes with the lessons and with how they are learned."""
    recipe = (
        STRENGTH, COUNTER_WEIGHT, FOREIGN_WEIGHT, WAKING_WEIGHT, POSITIVE_SHARE, FOLDS, USUAL, LONG_WORD, BUCKETS,
        PIECES_WEIGHT, SIZES, [(t.name, t.priority, t.counter_examples) for t in lessons.triggers],
    )  # fmt: skip
    return hashlib.sha256(f"{recipe}{lessons.digest}".encode()).hexdigest()


def learn(lessons: Lessons, vectors: Vectors, progress: Progress | None = None) -> Detectors:
    """The detectors of all triggers. `vectors`: one row per text of `material(lessons)`, each of length one."""
    texts = material(lessons)
    names = tuple(trigger.name for trigger in lessons.triggers)
    own = [[name in lessons.labelled[text] for name in names] for text in lessons.texts]
    truth = np.array([*own, *own], dtype=np.float64)
    inputs, rarity = _inputs(texts, vectors)
    weights = _weights(lessons, truth)
    fold = np.array(_folds(lessons) * 2)  # what is misspelt stands where it is spelt: it would give that away
    steps = len(names) * (FOLDS + 1)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, steps)

    unseen = np.zeros_like(truth)
    for number in range(FOLDS):
        inside = fold != number
        lines, offset = _lines(inputs[inside], truth[inside], weights[inside], step)
        unseen[~inside] = inputs[~inside] @ lines + offset
    lines, offset = _lines(inputs, truth, weights, step)
    ordinary = unseen[~truth.any(axis=1)]
    usual, scale = np.quantile(ordinary, USUAL, axis=0), ordinary.std(axis=0)
    at = {text: row for row, text in enumerate(lessons.texts)}
    examples = [(number, e) for number, trigger in enumerate(lessons.triggers) for e in trigger.examples]
    return Detectors(
        digest=digest_of(lessons),
        names=names,
        examples=tuple(text for _, text in examples),
        owner=np.array([number for number, _ in examples], dtype=np.int64),
        near=np.stack([vectors[at[text]] for _, text in examples]).astype(np.float32),
        ordinary=np.stack([vectors[at[text]] for text in lessons.background]).astype(np.float32),
        meaning=lines[: vectors.shape[1]].astype(np.float32),
        writing=lines[vectors.shape[1] :].astype(np.float32),
        rarity=rarity,
        offset=(offset - usual).astype(np.float32),
        scale=np.maximum(scale, 1e-6).astype(np.float32),
    )


def _folds(lessons: Lessons) -> list[int]:
    """A fold for every text; the lessons of each trigger, and the ordinary ones, are dealt out evenly."""
    dealt: Counter[frozenset[str]] = Counter()
    folds = []
    for text in lessons.texts:
        names = lessons.labelled[text]
        folds.append(dealt[names] % FOLDS)
        dealt[names] += 1
    return folds


def _inputs(texts: Sequence[str], vectors: Vectors) -> tuple[Any, Vectors]:
    """A sparse row per text, and how rare each piece is (inverse document frequency)."""
    from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]

    counted = [pieces(text) for text in texts]
    seen = np.bincount(np.concatenate([np.fromiter(c, dtype=np.int64) for c in counted]), minlength=BUCKETS)
    rarity = (np.log((1 + len(texts)) / (1 + seen)) + 1).astype(np.float32)
    rows = [weighted(counts, rarity) for counts in counted]
    starts = np.cumsum([0, *(len(at) for at, _ in rows)])
    table = csr_matrix(
        (np.concatenate([w for _, w in rows]), np.concatenate([at for at, _ in rows]), starts),
        shape=(len(texts), BUCKETS),
    )
    return hstack([csr_matrix(vectors), table]).tocsr().astype(np.float64), rarity


def _weights(lessons: Lessons, truth: Targets) -> Targets:
    """How much each lesson counts for each trigger, before its own are balanced with the rest."""
    foreign = [WAKING_WEIGHT if t.priority == "P0" else FOREIGN_WEIGHT for t in lessons.triggers]
    own = np.where(truth.any(axis=1, keepdims=True), np.array(foreign), 1.0)
    at = {text: row for row, text in enumerate(lessons.texts)}
    for number, trigger in enumerate(lessons.triggers):
        rows = [at[text] for text in trigger.counter_examples]
        own[[*rows, *(row + len(lessons.texts) for row in rows)], number] = COUNTER_WEIGHT
    return own


def _lines(
    inputs: Any, truth: Targets, weights: Targets, step: Callable[[], None]
) -> tuple[Targets, Targets]:
    """(inputs x triggers) weights, and offsets."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    lines, offsets = [], []
    for own, usual in zip(truth.T, weights.T, strict=True):
        weight = usual.copy()
        mine = own > 0
        weight[mine] = POSITIVE_SHARE * usual[~mine].sum() / max(1, mine.sum())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the last steps move no score
            line = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS).fit(inputs, own, sample_weight=weight)
        lines.append(line.coef_[0])
        offsets.append(line.intercept_[0])
        step()
    return np.stack(lines, axis=1), np.array(offsets)


def known(lessons: Lessons, probes: Vectors, files: Sequence[Path]) -> Detectors | None:
    """The first of these files that fits the lessons and the model, which made `probes` of their first texts; None: they
    must be learned."""
    digest = digest_of(lessons)
    return next((d for f in files if (d := load(f)) is not None and d.are_for(digest, probes)), None)


def main() -> None:
    """Learn with the default model and ship what was learned."""
    from bot import shell_output as out
    from handoff import triggers
    from knowledge import models

    lessons = triggers.lessons()
    texts = material(lessons)
    _, content = models.identify("")
    engine = models.load("", content, HOME, threads=1, workers=1)
    with out.progress() as progress:
        made: list[Vectors] = []
        for at in range(0, len(texts), BATCH):
            made.append(np.asarray(engine.encode(list(texts[at : at + BATCH])), dtype=np.float32))
            progress("reading the lessons", min(at + BATCH, len(texts)), len(texts))
        found = learn(lessons, np.vstack(made), lambda n, of: progress("learning", n, of))
    found.save(SHIPPED)
    out.say(f"{SHIPPED.name}: {len(lessons.texts)} lessons, {SHIPPED.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
