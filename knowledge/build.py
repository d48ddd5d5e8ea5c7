"""Sources -> a snapshot, aside from the one in use. Blocking; runs in a thread of its own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge import nearest, precision, reader
from knowledge.confidence import Calibration
from knowledge.cutting import Key, cut
from knowledge.embedder import Embedder
from knowledge.engine import OnnxEngine, Vectors
from knowledge.learning import learn
from knowledge.lexicon import Lexicon
from knowledge.passage import Built, Change, KnowledgeError, SnapshotInfo, Topic, valid_on
from knowledge.rehearsal import Stage, texts_of
from knowledge.snapshot import SHORT, Parts, hash_of, read_info, snapshot_id, write
from knowledge.store import VectorCache

Progress = Callable[[str, int, int], None]
BACKGROUND = Path(__file__).with_name("background.txt")


@dataclass(frozen=True, slots=True)
class Order:
    """What to build and from what."""

    paths: Sequence[Path]
    home: Path
    model: str
    model_hash: str
    exported: Path | None  # where the exported model lies, if it could be exported
    workers: int
    max_wrong: float
    max_file_bytes: int
    labelled: Sequence[tuple[str, str]]  # real questions and the topic that answers them, or empty
    today: date
    in_use: Mapping[str, str]  # topic key -> version, of the snapshot in use
    approximate_from: int = 0  # texts from which an index of the nearest is built; 0: never


def build(order: Order, embedder: Embedder, progress: Progress | None = None) -> Built:
    """Build and write one snapshot, or raise KnowledgeError with every complaint; the one in use is not touched."""
    started = time.perf_counter()
    if order.approximate_from:
        nearest.check()
    topics, complaints = reader.read(order.paths, max_file_bytes=order.max_file_bytes, progress=progress)
    if complaints:
        raise KnowledgeError(complaints)
    seconds = _Laps(read=time.perf_counter() - started)
    _settle_precision(order, embedder, topics)
    engine = f"{order.model_hash} {embedder.engine.name} {order.max_wrong} {sorted(order.labelled)}"
    if order.approximate_from:
        engine += f" nearest {order.approximate_from}"
    hashes = [hash_of(topic) for topic in topics]
    versions = {topic.key: one[:SHORT] for topic, one in zip(topics, hashes, strict=True)}
    identity = snapshot_id(hashes, engine, "\n".join(background()))
    place = order.home / "snapshots" / identity
    if (place / "meta.json").exists():
        return Built(read_info(place), 0, 0, changes(order.in_use, versions), seconds)
    return _build_new(order, embedder, topics, versions, identity, seconds, progress)


def _settle_precision(order: Order, embedder: Embedder, topics: Sequence[Topic]) -> None:
    """On the first build with a model, measure whether its int8 variant is good enough for these texts."""
    if (
        order.exported is None
        or not embedder.engine.name.endswith("int8")
        or precision.settled(order.exported)
    ):
        return
    texts = [
        text
        for topic in topics
        for text in (*topic.questions, topic.title, *(one.text for one in topic.sections))
    ]
    if precision.settle(order.exported, embedder.engine, [text for text in texts if text]) == "fp32":
        embedder.replace(OnnxEngine(order.exported, "fp32", workers=order.workers))


class _Laps(dict[str, float]):
    """How long each step took, in seconds."""

    def __init__(self, **before: float) -> None:
        super().__init__(before)
        self._started = time.perf_counter() - sum(before.values())

    def lap(self, name: str) -> None:
        self[name] = time.perf_counter() - self._started - sum(self.values())


def _build_new(
    order: Order,
    embedder: Embedder,
    topics: Sequence[Topic],
    versions: Mapping[str, str],
    identity: str,
    seconds: _Laps,
    progress: Progress | None,
) -> Built:
    passages, keys = cut(topics, embedder.engine.offsets, limit=embedder.engine.limit)
    seconds.lap("cut")
    cache = Vectorizer(order, embedder, progress)
    try:
        vectors = cache.vectors([key.text for key in keys])
        seconds.lap("embed")
        lexicon, vocabulary = Lexicon.of([texts_of(topics[one.topic], one) for one in passages])
        passage_topic = np.array([one.topic for one in passages], dtype=np.int32)
        stage = Stage(topics, passages, keys, vectors, passage_topic, _starts(keys), lexicon)
        seconds.lap("words")
        head, calibration = learn(stage, cache, background(), order.labelled, order.max_wrong, progress)
        seconds.lap("learn")
    finally:
        cache.close()
    info = _info(order, stage, embedder.engine.name, identity, calibration)
    shown = list(versions.values())
    approximate = 0 < order.approximate_from <= len(keys)
    parts = Parts(
        topics, shown, passages, vectors, stage.key_start, lexicon, vocabulary, head, calibration, approximate
    )
    write(order.home / "snapshots", parts, info, progress)
    seconds.lap("write")
    seconds["all"] = sum(seconds.values())
    notes = _notes(calibration, topics, order.today)
    return Built(info, cache.embedded, cache.reused, changes(order.in_use, versions), seconds, notes)


def _info(order: Order, stage: Stage, engine: str, identity: str, calibration: Calibration) -> SnapshotInfo:
    return SnapshotInfo(
        id=identity,
        topics=len(stage.topics),
        passages=len(stage.passages),
        model=order.model,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        threshold_answer=calibration.threshold_answer,
        threshold_clarify=calibration.threshold_clarify,
        languages=languages_of(stage.topics),
        engine=engine,
        calibration=calibration.summary,
        model_hash=order.model_hash,
    )


def _notes(calibration: Calibration, topics: Sequence[Topic], today: date) -> tuple[str, ...]:
    """What whoever builds should hear, though nothing is wrong."""
    silent = sum(not valid_on(topic.valid_from, topic.valid_to, today) for topic in topics)
    said = [
        str(calibration.summary["note"]),
        f"topics that do not speak today (valid_from, valid_to): {silent}" if silent else "",
    ]
    return tuple(one for one in said if one)


def _starts(keys: Sequence[Key]) -> NDArray[np.int32]:
    """Where each passage's keys begin; keys are in the order of passages and each passage has one at least."""
    passage = np.array([key.passage for key in keys], dtype=np.int32)
    return np.flatnonzero(np.diff(passage, prepend=-1)).astype(np.int32)


class Vectorizer:
    """Texts to vectors through the cache: an unchanged text is never embedded twice."""

    def __init__(self, order: Order, embedder: Embedder, progress: Progress | None) -> None:
        self._engine = embedder.engine.name
        self._embedder = embedder
        self._progress = progress
        self._cache = VectorCache(order.home / "vectors" / f"{order.model_hash}.sqlite")
        self._used: list[bytes] = []
        self.embedded = 0
        self.reused = 0

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """The vectors of all texts, in order."""
        hashes = [_hash(self._engine, text) for text in texts]
        known = self._cache.vectors(list(dict.fromkeys(hashes)))
        missing = {key: text for key, text in zip(hashes, texts, strict=True) if key not in known}
        progress = self._progress
        if missing:
            report = (lambda done, of: progress("embed", done, of)) if progress else None
            fresh = self._embedder.passages(list(missing.values()), report)
            size = self._embedder.engine.dimension
            self._cache.put(zip(missing, fresh, strict=True), size)
            known |= dict(zip(missing, fresh[:, :size], strict=True))
        self._used += hashes
        self.embedded += len(missing)
        self.reused += len(texts) - len(missing)
        if not texts:
            return np.zeros((0, self._embedder.engine.dimension), dtype=np.float32)
        return np.stack([known[key] for key in hashes])

    def early(self, texts: Sequence[str]) -> Vectors:
        """The layers before the last of texts whose vectors have been asked for."""
        hashes = [_hash(self._engine, text) for text in texts]
        known = self._cache.early(list(dict.fromkeys(hashes)))
        if not texts:
            return np.zeros((0, self._embedder.engine.early), dtype=np.float32)
        return np.stack([known[key] for key in hashes])

    def close(self) -> None:
        self._cache.keep(self._used, slack=4)
        self._cache.close()


def _hash(engine: str, text: str) -> bytes:
    return hashlib.sha256(f"{engine}\0{text}".encode()).digest()[:16]


def background() -> list[str]:
    """Ordinary chat that no knowledge covers."""
    lines = BACKGROUND.read_text(encoding="utf-8").split("\n")
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """What a new snapshot adds, removes and changes, by topic and version."""
    found = [Change(key, "added") for key in after if key not in before]
    found += [Change(key, "removed") for key in before if key not in after]
    found += [Change(key, "changed") for key, version in after.items() if before.get(key, version) != version]
    return tuple(sorted(found, key=lambda one: (one.what, one.topic)))


def languages_of(topics: Sequence[Topic]) -> tuple[str, ...]:
    """The languages that topics name; where some name one, the others are in English."""
    named = {topic.language for topic in topics if topic.language}
    if named and any(not topic.language for topic in topics):
        named.add("en")
    return tuple(sorted(named))
