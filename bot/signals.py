"""The triggers by meaning: what the words of `handoff.triggers` cannot find, the embedder can.

Every trigger's examples are told apart from its counter-examples and from ordinary questions twice: by a least
squares line through the vectors, and by which example is nearest. Both are fitted when the process starts, in a
fraction of a second, on the data file alone. When the embedder fails, words alone decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from bot import detectors
from bot.detectors import Detectors, Vectors
from handoff import phrases, sentiment, triggers
from handoff.model import Fired

Embed = Callable[[Sequence[str]], Awaitable[Vectors]]

BATCH = 32
PARTS_AT_MOST = 8  # sentences of one message that are looked at one by one
PART_CHARACTERS = 400
SHORTEST_PART = 12  # "Yes." has no meaning of its own
BOUNDARY_SIMILARITY = 0.62  # a topic's own line, which has no counter-examples
BOUNDARY_LEAD = 0.05  # and how much nearer it must be than every ordinary question

log = structlog.get_logger("signals")


@dataclass(frozen=True, slots=True)
class Signal:
    """What a message says besides its question."""

    fired: tuple[Fired, ...] = ()
    sentiment: str = "neutral"
    urgency: str = ""


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

    def __init__(self, embed: Embed, memory: Path | None = None) -> None:
        """`memory`: a folder that keeps the examples' vectors, so that only the first start computes them."""
        self._embed, self._memory = embed, memory
        self._detectors: Detectors | None = None
        self._ordinary: Vectors | None = None
        self._boundaries: Mapping[str, tuple[Boundary, ...]] = {}

    @property
    def by_meaning(self) -> bool:
        """The detectors are fitted; until then, words alone decide."""
        return self._detectors is not None

    async def prepare(self, boundaries: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Fit the detectors, once, and read the topics' own lines; again after every change of the knowledge.

        A failing embedder leaves words alone to decide; the next call tries again.
        """
        lines = [(topic, line) for topic, some in (boundaries or {}).items() for line in some if line.strip()]
        self._boundaries = _grouped([_boundary(topic, line, None) for topic, line in lines])
        try:
            if self._detectors is None:
                catalogue = triggers.catalogue()
                texts = detectors.every_text(catalogue)
                vectors = dict(zip(texts, await self._examples(texts), strict=True))
                self._ordinary = np.stack([vectors[t] for t in catalogue.background])
                self._detectors = await asyncio.to_thread(detectors.fit, catalogue, vectors)
            if lines:
                known = await self._many([triggers.words_of(line) for _, line in lines])
                made = [_boundary(*line, vector) for line, vector in zip(lines, known, strict=True)]
                self._boundaries = _grouped(made)
        except Exception as error:  # noqa: BLE001 - any model may fail in any way; the message is dealt with all the same
            log.warning("triggers_by_words_only", error=type(error).__name__)

    async def check(self, text: str, *, topics: Sequence[str] = ()) -> Signal:
        """What fires on the message: the triggers, and the `escalate_when` lines of these topics."""
        own = phrases.outside_quotes(text)[: triggers.CHARACTERS_AT_MOST]
        asked = asyncio.ensure_future(self._vectors(_parts(own) if self._detectors is not None else []))
        await asyncio.sleep(
            0
        )  # the embedder, which has a thread of its own, works while the words are read here
        fired = {f.trigger: f for f in triggers.by_words(text)}
        denied = triggers.denied(own) if self._detectors is not None else frozenset[str]()
        mood, urgency = sentiment.of(text), sentiment.urgency(text)
        vectors = await asked
        if vectors is not None:
            for found in self._meant(vectors):
                if found.trigger not in denied:
                    fired.setdefault(found.trigger, found)
        order = list(triggers.by_name())
        ranked = sorted(fired.values(), key=lambda f: order.index(f.trigger))
        crossed = await self.crossed(text, topics) if topics else ()
        return Signal((*ranked, *crossed), mood, urgency)

    async def crossed(self, text: str, topics: Sequence[str]) -> tuple[Fired, ...]:
        """The topics of which a boundary of their own (`escalate_when`) is crossed by the message."""
        boundaries = [b for topic in dict.fromkeys(topics) for b in self._boundaries.get(topic, ())]
        if not boundaries:
            return ()
        own = phrases.outside_quotes(text)[: triggers.CHARACTERS_AT_MOST]
        found = {b.topic: _said(b) for b in boundaries if any(b.book.find(own))}
        if any(b.vector is not None for b in boundaries):
            vectors = await self._vectors(_parts(own))
            for fired in self._crossed(vectors, boundaries) if vectors is not None else ():
                found.setdefault(fired.topic, fired)
        return tuple(found.values())

    async def scores(self, own: str) -> dict[str, float]:
        """Every trigger's score by meaning, for measuring; empty while words alone decide."""
        vectors = await self._vectors(_parts(own)) if self._detectors is not None else None
        if vectors is None or self._detectors is None:
            return {}
        scores, _ = self._detectors.scores(vectors)
        return {d.name: float(row.max()) for d, row in zip(self._detectors.each, scores, strict=True)}

    async def _examples(self, texts: Sequence[str]) -> Vectors:
        """The vectors of the data file's texts; remembered for these texts and this model."""
        if self._memory is None:
            return await self._many(texts)
        probe = np.asarray(await self._embed(texts[:1]), dtype=np.float32)
        key = hashlib.sha256("\x1f".join(texts).encode() + probe.tobytes()).hexdigest()[:16]
        place = self._memory / f"triggers-{key}.npy"
        vectors = await asyncio.to_thread(_loaded, place, (len(texts), probe.shape[-1]))
        if vectors is None:
            vectors = await self._many(texts)
            await asyncio.to_thread(_saved, place, vectors)
        return vectors

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
        if self._detectors is None:
            return []
        found = []
        scores, similar = self._detectors.scores(vectors)
        for detector, row in zip(self._detectors.each, scores, strict=True):
            best = int(row.argmax())
            if row[best] >= detector.threshold:
                example, like = self._detectors.nearest(detector, similar[best])
                why = f"close to the example “{example}” ({like:.2f})"
                found.append(Fired(detector.name, why, round(float(row[best]), 3)))
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


def _loaded(place: Path, shape: tuple[int, int]) -> Vectors | None:
    """What was saved; None if it is not there or not what it should be."""
    try:
        vectors = np.load(place, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return vectors if vectors.shape == shape and vectors.dtype == np.float32 else None


def _saved(place: Path, vectors: Vectors) -> None:
    """Write aside and rename; a full disk costs the next start a few seconds, nothing else."""
    aside = place.with_suffix(f".{os.getpid()}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.save(file, vectors, allow_pickle=False)
        for old in place.parent.glob("triggers-*.npy"):
            old.unlink(missing_ok=True)
        aside.replace(place)
    except OSError as error:
        log.warning("triggers_not_remembered", error=type(error).__name__)
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


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
