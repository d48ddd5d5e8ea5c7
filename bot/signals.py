"""The triggers by meaning: what the words of `handoff.triggers` cannot find, the detectors can.

Those for the default model ship with the product. For another model, or after the lessons were changed, they are
learned once in the background, and kept. Until then, and when the embedder fails, words alone decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from bot import detectors, training
from bot.detectors import Detectors, Vectors
from handoff import phrases, sentiment, triggers
from handoff.model import Fired, Reason
from handoff.triggers import Lessons

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

    def __init__(
        self, embed: Embed, memory: Path | None = None, lessons: Callable[[], Lessons] = triggers.lessons
    ) -> None:
        """`memory`: a folder that keeps what was learned, so that only the first start with a model learns it."""
        self._embed, self._memory, self._lessons = embed, memory, lessons
        self._detectors: Detectors | None = None
        self._boundaries: Mapping[str, tuple[Boundary, ...]] = {}

    @property
    def by_meaning(self) -> bool:
        """The detectors are there; until then, words alone decide."""
        return self._detectors is not None

    async def prepare(self, boundaries: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Get the detectors, once, and read the topics' own lines; again after every change of the knowledge.

        A failing embedder leaves words alone to decide; the next call tries again.
        """
        lines = [(topic, line) for topic, some in (boundaries or {}).items() for line in some if line.strip()]
        self._boundaries = _grouped([_boundary(topic, line, None) for topic, line in lines])
        try:
            if self._detectors is None:
                self._detectors = await self._learned(await asyncio.to_thread(self._lessons))
            if lines:
                known = await self._many([triggers.words_of(line) for _, line in lines])
                made = [_boundary(*line, vector) for line, vector in zip(lines, known, strict=True)]
                self._boundaries = _grouped(made)
        except Exception as error:  # noqa: BLE001 - any model may fail in any way; the message is dealt with all the same
            log.warning("triggers_by_words_only", error=type(error).__name__)

    async def check(self, text: str, *, topics: Sequence[str] = (), meaning: bool = True) -> Signal:
        """What fires on the message: the triggers, and the `escalate_when` lines of these topics. Without `meaning`, the
        words alone are asked for the triggers."""
        own = phrases.outside_quotes(text)[: triggers.CHARACTERS_AT_MOST]
        parts = _parts(own) if meaning and self._detectors is not None else []
        asked = asyncio.ensure_future(self._vectors(parts))
        await asyncio.sleep(0)  # the embedder, in a thread of its own, works while the words are read here
        fired = {f.trigger: f for f in triggers.by_words(text)}
        denied = triggers.denied(own) if self._detectors is not None else frozenset[str]()
        mood, urgency = sentiment.of(text), sentiment.urgency(text)
        vectors = await asked
        if vectors is not None:
            for found in self._meant(vectors, parts):
                if found.trigger not in denied:
                    fired.setdefault(found.trigger, found)
        ranked = sorted(fired.values(), key=_rank)
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
        parts = _parts(own)
        vectors = await self._vectors(parts) if self._detectors is not None else None
        if vectors is None or self._detectors is None:
            return {}
        best = self._detectors.scores(vectors, parts).max(axis=0)
        return dict(zip(self._detectors.names, map(float, best), strict=True))

    async def _learned(self, lessons: Lessons) -> Detectors:
        """The detectors for these lessons and this model: as shipped, as kept by an earlier start, or learned now."""
        probes = np.asarray(await self._embed(lessons.texts[: detectors.PROBES]), dtype=np.float32)
        kept = sorted(self._memory.glob("detectors-*.npz")) if self._memory is not None else []
        found = await asyncio.to_thread(training.known, lessons, probes, [training.SHIPPED, *kept])
        if found is None:
            log.info("triggers_learning", lessons=len(lessons.texts), meanwhile="words alone decide")
            vectors = await self._many(training.material(lessons))
            found = await asyncio.to_thread(training.learn, lessons, vectors)
            log.info("triggers_learned", lessons=len(lessons.texts))
            if self._memory is not None:
                await asyncio.to_thread(_saved, self._memory, found)
        return found

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

    def _meant(self, vectors: Vectors, parts: Sequence[str]) -> list[Fired]:
        if self._detectors is None:
            return []
        found, known = [], triggers.by_name()
        scores = self._detectors.scores(vectors, parts)
        for name, best, score in zip(
            self._detectors.names, scores.argmax(axis=0), scores.max(axis=0), strict=True
        ):
            if score >= known[name].threshold:
                example, like = self._detectors.nearest(name, vectors[best])
                reason = Reason("example", example, round(like, 3))
                found.append(Fired(name, reason, round(float(score), 3)))
        return found

    def _crossed(self, vectors: Vectors, boundaries: Sequence[Boundary]) -> list[Fired]:
        found = []
        for boundary in boundaries:
            if boundary.vector is None:
                continue
            similar = vectors @ boundary.vector
            best = int(similar.argmax())
            ordinary = self._detectors.ordinary if self._detectors is not None else None
            usual = float((ordinary @ vectors[best]).max()) if ordinary is not None else 0.0
            if similar[best] >= max(BOUNDARY_SIMILARITY, usual + BOUNDARY_LEAD):
                like = round(float(similar[best]), 3)
                found.append(Fired("topic", Reason("near", boundary.line, like), like, boundary.topic))
        return found


def _saved(folder: Path, found: Detectors) -> None:
    """Write aside and rename; a full disk costs the next start a few seconds, nothing else."""
    aside = folder / f"detectors.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found.save(aside)
        for old in folder.glob("detectors-*.npz"):
            old.unlink(missing_ok=True)
        aside.replace(folder / f"detectors-{found.digest[:16]}.npz")
    except OSError as error:
        log.warning("triggers_not_remembered", error=type(error).__name__)
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _rank(fired: Fired) -> tuple[str, bool, int]:
    """What weighs most comes first; of equals, what was said outright before what was only meant; then the data file's
    order."""
    known = triggers.by_name()
    return (
        known[fired.trigger].priority or "P4",
        fired.reason.kind == "example",
        list(known).index(fired.trigger),
    )


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
    return Fired("topic", Reason("boundary", boundary.line), 1.0, boundary.topic)
