"""Sources -> a snapshot, aside from the one in use. Blocking; runs in a thread of its own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from knowledge import reader
from knowledge.confidence import Calibration
from knowledge.cutting import cut
from knowledge.embedder import Embedder
from knowledge.engine import Vectors
from knowledge.passage import Built, Change, KnowledgeError, SnapshotInfo, Topic
from knowledge.snapshot import Parts, read_info, snapshot_id, version_of, write
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
    max_wrong: float
    max_file_bytes: int
    in_use: Mapping[str, str]  # topic key -> version, of the snapshot in use


def build(order: Order, embedder: Embedder, progress: Progress | None = None) -> Built:
    """Build and write one snapshot, or raise KnowledgeError with every complaint; the one in use is not touched."""
    started = time.perf_counter()
    topics, complaints = reader.read(order.paths, max_file_bytes=order.max_file_bytes, progress=progress)
    if complaints:
        raise KnowledgeError(complaints)
    seconds = {"read": time.perf_counter() - started}
    identity = snapshot_id(
        topics, f"{order.model_hash} {embedder.engine.name} {order.max_wrong}", background_hash()
    )
    place = order.home / "snapshots" / identity
    if (place / "meta.json").exists():
        return Built(read_info(place), 0, 0, changes(order.in_use, topics), seconds)
    passages, keys = cut(topics, embedder.engine.offsets, limit=embedder.engine.limit)
    vectors, embedded = _vectors(order, embedder, [key.text for key in keys], progress)
    seconds["embed"] = time.perf_counter() - started - seconds["read"]
    calibration = Calibration()
    info = SnapshotInfo(
        id=identity,
        topics=len(topics),
        passages=len(passages),
        model=order.model,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        threshold_answer=calibration.threshold_answer,
        threshold_clarify=calibration.threshold_clarify,
        languages=tuple(sorted({topic.language for topic in topics if topic.language})),
        engine=embedder.engine.name,
        calibration=calibration.summary,
    )
    write(order.home / "snapshots", Parts(topics, passages, keys, vectors, None, calibration), info)
    seconds["all"] = time.perf_counter() - started
    return Built(info, embedded, len(keys) - embedded, changes(order.in_use, topics), seconds)


def _vectors(
    order: Order, embedder: Embedder, texts: Sequence[str], progress: Progress | None
) -> tuple[Vectors, int]:
    """The vectors of all texts in order, and how many had to be computed."""
    cache = VectorCache(order.home / "vectors" / f"{order.model_hash}.sqlite")
    try:
        hashes = [_hash(embedder.engine.name, text) for text in texts]
        known = cache.get(list(dict.fromkeys(hashes)))
        missing = {key: text for key, text in zip(hashes, texts, strict=True) if key not in known}
        if missing:
            report = (lambda done, of: progress("embed", done, of)) if progress else None
            fresh = embedder.passages(list(missing.values()), report)
            cache.put(zip(missing, fresh, strict=True))
            known |= dict(zip(missing, fresh, strict=True))
        cache.keep(hashes, slack=4)
    finally:
        cache.close()
    stacked = np.stack([known[key] for key in hashes]) if hashes else np.zeros((0, embedder.engine.dimension))
    return np.asarray(stacked, dtype=np.float32), len(missing)


def _hash(engine: str, text: str) -> bytes:
    return hashlib.sha256(f"{engine}\0{text}".encode()).digest()[:16]


def background_hash() -> str:
    return hashlib.sha256(BACKGROUND.read_bytes()).hexdigest()[:8] if BACKGROUND.exists() else ""


def changes(before: Mapping[str, str], topics: Iterable[Topic]) -> tuple[Change, ...]:
    """What a new snapshot adds, removes and changes, by topic."""
    after = {topic.key: version_of(topic) for topic in topics}
    found = [Change(key, "added") for key in after if key not in before]
    found += [Change(key, "removed") for key in before if key not in after]
    found += [Change(key, "changed") for key, version in after.items() if before.get(key, version) != version]
    return tuple(sorted(found, key=lambda one: (one.what, one.topic)))
