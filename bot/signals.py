"""The triggers by meaning: what the words of `handoff.triggers` cannot find, the embedder can.

Every trigger's examples are told apart from its counter-examples and from ordinary questions twice: by a least
squares line through the vectors, and by which example is nearest. Both are fitted when the process starts, in a
fraction of a second, on the data file alone. When the embedder fails, words alone decide.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from handoff import phrases, sentiment, triggers
from handoff.model import Fired

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Awaitable[Vectors]]

BATCH = 32
PARTS_AT_MOST = 8  # sentences of one message that are looked at one by one
PART_CHARACTERS = 400
SHORTEST_PART = 12  # "Yes." has no meaning of its own
BOUNDARY_SIMILARITY = 0.62  # a topic's own line, which has no counter-examples
BOUNDARY_LEAD = 0.05  # and how much nearer it must be than every ordinary question
RIDGE = 2.0
FOREIGN_WEIGHT = 0.3  # of other triggers' examples: some of them are both
NEAREST_SHARE = 0.8  # how much the nearest example counts beside the line
QUIET = 0.995  # the share of ordinary texts that scores 0 or less

log = structlog.get_logger("signals")


@dataclass(frozen=True, slots=True)
class Signal:
    """What a message says besides its question."""

    fired: tuple[Fired, ...] = ()
    sentiment: str = "neutral"
    urgency: str = ""


@dataclass(frozen=True, slots=True)
class Detector:
    """One trigger in the space of the vectors. Scores are 0 where nearly all ordinary texts end; 1 is one standard
    deviation of theirs further."""

    name: str
    threshold: float
    line: Vectors
    offset: float
    examples: tuple[str, ...]
    near: Vectors
    far: Vectors
    zero: float
    one: float

    def scores(self, vectors: Vectors) -> npt.NDArray[np.float64]:
        raw = vectors @ self.line + self.offset + NEAREST_SHARE * self.lead(vectors)
        return np.asarray((raw - self.zero) / (self.one - self.zero), dtype=np.float64)

    def lead(self, vectors: Vectors) -> Vectors:
        """How much nearer the nearest example is than the nearest text that is none."""
        return np.asarray((vectors @ self.near.T).max(1) - (vectors @ self.far.T).max(1), dtype=np.float32)

    def nearest(self, vector: Vectors) -> tuple[str, float]:
        similar = self.near @ vector
        return self.examples[int(similar.argmax())], float(similar.max())


@dataclass(frozen=True, slots=True)
class Boundary:
    """One `escalate_when` line of a topic."""

    topic: str
    line: str
    about: str
    vector: Vectors | None
    book: phrases.Phrasebook


class Signals:
    """Triggers, sentiment and urgency of a message. `check` never raises."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._detectors: tuple[Detector, ...] = ()
        self._ordinary: Vectors | None = None
        self._boundaries: Mapping[str, tuple[Boundary, ...]] = {}

    @property
    def by_meaning(self) -> bool:
        """The detectors are fitted; until then, words alone decide."""
        return bool(self._detectors)

    async def prepare(self, boundaries: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Fit the detectors, once, and read the topics' own lines; again after every change of the knowledge.

        A failing embedder leaves words alone to decide; the next call tries again.
        """
        lines = [(topic, line) for topic, some in (boundaries or {}).items() for line in some if line.strip()]
        self._boundaries = _grouped([_boundary(topic, line, None) for topic, line in lines])
        try:
            if not self._detectors:
                catalogue = triggers.catalogue()
                texts = _distinct(catalogue)
                vectors = dict(zip(texts, await self._many(texts), strict=True))
                self._ordinary = np.stack([vectors[t] for t in catalogue.background])
                self._detectors = tuple(_fitted(catalogue, vectors))
            if lines:
                known = await self._many([triggers.words_of(line) for _, line in lines])
                made = [_boundary(*line, vector) for line, vector in zip(lines, known, strict=True)]
                self._boundaries = _grouped(made)
        except Exception as error:  # noqa: BLE001 - any model may fail in any way; the message is dealt with all the same
            log.warning("triggers_by_words_only", error=type(error).__name__)

    async def check(self, text: str, *, topics: Sequence[str] = ()) -> Signal:
        """What fires on the message: the triggers, and the `escalate_when` lines of these topics."""
        fired = {f.trigger: f for f in triggers.by_words(text)}
        boundaries = [b for topic in dict.fromkeys(topics) for b in self._boundaries.get(topic, ())]
        own = phrases.outside_quotes(text)[: triggers.CHARACTERS_AT_MOST]
        crossed = {b.topic: _said(b) for b in boundaries if any(b.book.find(own))}
        wanted = self._detectors or any(b.vector is not None for b in boundaries)
        vectors = await self._vectors(_parts(own)) if wanted else None
        if vectors is not None:
            denied = triggers.denied(own)
            for found in self._meant(vectors):
                if found.trigger not in denied:
                    fired.setdefault(found.trigger, found)
            for found in self._crossed(vectors, boundaries):
                crossed.setdefault(found.topic, found)
        order = list(triggers.by_name())
        ranked = sorted(fired.values(), key=lambda f: order.index(f.trigger))
        return Signal((*ranked, *crossed.values()), sentiment.of(text), sentiment.urgency(text))

    async def scores(self, own: str) -> dict[str, float]:
        """Every trigger's score by meaning, for measuring; empty while words alone decide."""
        vectors = await self._vectors(_parts(own)) if self._detectors else None
        if vectors is None:
            return {}
        return {d.name: float(d.scores(vectors).max()) for d in self._detectors}

    async def _many(self, texts: Sequence[str]) -> Vectors:
        """In small batches, between which a waiting question gets its turn."""
        batches = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
        return np.vstack([np.asarray(await self._embed(batch), dtype=np.float32) for batch in batches])

    async def _vectors(self, parts: list[str]) -> Vectors | None:
        if not parts:
            return None
        try:
            vectors = np.asarray(await self._embed(parts), dtype=np.float32)
        except Exception as error:  # noqa: BLE001 - see prepare
            log.warning("triggers_by_words_only", error=type(error).__name__)
            return None
        return (
            vectors
            if vectors.shape[:1] == (len(parts),) and vectors.size and np.isfinite(vectors).all()
            else None
        )

    def _meant(self, vectors: Vectors) -> list[Fired]:
        found = []
        for detector in self._detectors:
            scores = detector.scores(vectors)
            best = int(scores.argmax())
            if scores[best] >= detector.threshold:
                example, similar = detector.nearest(vectors[best])
                why = f"close to the example “{example}” ({similar:.2f})"
                found.append(Fired(detector.name, why, round(float(scores[best]), 3)))
        return found

    def _crossed(self, vectors: Vectors, boundaries: Sequence[Boundary]) -> list[Fired]:
        found = []
        for boundary in boundaries:
            if boundary.vector is None:
                continue
            similar = vectors @ boundary.vector
            best = int(similar.argmax())
            usual = 0.0 if self._ordinary is None else float((self._ordinary @ vectors[best]).max())
            if similar[best] >= max(BOUNDARY_SIMILARITY, usual + BOUNDARY_LEAD):
                why = f"close to “{boundary.line}” ({float(similar[best]):.2f})"
                found.append(Fired("topic", why, round(float(similar[best]), 3), boundary.topic))
        return found


def _parts(own: str) -> list[str]:
    """The message, and its sentences if it has several: one of them may say what matters."""
    whole = " ".join(own.split())
    sentences = [s for s in phrases.sentences(own) if len(s) >= SHORTEST_PART]
    if len(sentences) > PARTS_AT_MOST:
        sentences = [*sentences[: PARTS_AT_MOST // 2], *sentences[-PARTS_AT_MOST // 2 :]]
    parts = [whole, *sentences] if len(sentences) > 1 else [whole]
    return [part[:PART_CHARACTERS] for part in dict.fromkeys(parts) if any(c.isalpha() for c in part)]


def _grouped(boundaries: Sequence[Boundary]) -> Mapping[str, tuple[Boundary, ...]]:
    topics = dict.fromkeys(b.topic for b in boundaries)
    return {topic: tuple(b for b in boundaries if b.topic == topic) for topic in topics}


def _boundary(topic: str, line: str, vector: Vectors | None) -> Boundary:
    about = triggers.words_of(line)
    return Boundary(topic, line.strip(), about, vector, triggers.boundary_book(about))


def _said(boundary: Boundary) -> Fired:
    return Fired("topic", f"says the words of “{boundary.line}”", 1.0, boundary.topic)


# --- fitting ----------------------------------------------------------------------------------------------------


def _distinct(catalogue: triggers.Catalogue) -> list[str]:
    every = list(catalogue.background)
    for trigger in catalogue.triggers:
        every += [*trigger.examples, *trigger.counter_examples]
    return list(dict.fromkeys(every))


def _fitted(catalogue: triggers.Catalogue, vectors: Mapping[str, Vectors]) -> list[Detector]:
    texts = list(vectors)
    matrix = np.stack([vectors[t] for t in texts]).astype(np.float64)
    background = set(catalogue.background)
    foreign = {e for t in catalogue.triggers for e in t.examples}
    made = []
    for trigger in catalogue.triggers:
        positive = np.array([t in trigger.examples for t in texts])
        counter = np.array([t in trigger.counter_examples for t in texts])
        near_by = np.array([t in foreign and t not in background for t in texts])
        weights = np.where(near_by & ~counter, FOREIGN_WEIGHT, 1.0) * np.where(counter, 2.0, 1.0)
        weights[positive] = 0.5 * weights[~positive].sum() / positive.sum()
        made.append(_detector(trigger, texts, matrix, positive, weights, ~near_by | counter))
    return made


def _detector(
    trigger: triggers.Trigger,
    texts: Sequence[str],
    matrix: npt.NDArray[np.float64],
    positive: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    ordinary: npt.NDArray[np.bool_],
) -> Detector:
    """Weighted ridge regression on ±1; its scores are set by leaving each text out in turn, in closed form."""
    with_one = np.hstack([matrix, np.ones((len(matrix), 1))])
    target = np.where(positive, 1.0, -1.0)
    weighted = with_one * weights[:, None]
    penalty = RIDGE * np.eye(with_one.shape[1])
    penalty[-1, -1] = 1e-6
    inverse = np.linalg.inv(with_one.T @ weighted + penalty)
    solution = inverse @ (weighted.T @ target)
    leverage = np.einsum("ij,jk,ik->i", weighted, inverse, with_one)
    left_out = (with_one @ solution - leverage * target) / np.maximum(1 - leverage, 1e-6)
    far = ordinary & ~positive
    similar = matrix @ matrix.T
    np.fill_diagonal(similar, -1.0)
    raw = left_out + NEAREST_SHARE * (similar[:, positive].max(1) - similar[:, far].max(1))
    zero = float(np.quantile(raw[far], QUIET))
    one = zero + float(raw[far].std())
    return Detector(
        name=trigger.name,
        threshold=trigger.threshold,
        line=solution[:-1].astype(np.float32),
        offset=float(solution[-1]),
        examples=tuple(text for text, yes in zip(texts, positive, strict=True) if yes),
        near=matrix[positive].astype(np.float32),
        far=matrix[far].astype(np.float32),
        zero=zero,
        one=one,
    )
