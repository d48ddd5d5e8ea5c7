"""One immutable snapshot: a folder named by its content, written aside, renamed into place, opened in milliseconds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge import nearest
from knowledge.confidence import Calibration
from knowledge.cutting import CUTTER
from knowledge.engine import Vectors
from knowledge.head import Head
from knowledge.lexicon import Lexicon
from knowledge.passage import KnowledgeError, Passage, SnapshotInfo, Topic
from knowledge.store import Words, write_words

FORMAT = "23"
Numbers = NDArray[np.int32]


def snapshot_id(versions: Iterable[str], model: str, background: str) -> str:
    """The same knowledge, model and way of building give the same id, on any machine, at any time."""
    digest = hashlib.sha256(f"{FORMAT}|{CUTTER}|{model}|{background}".encode())
    for version in versions:
        digest.update(version.encode())
    return digest.hexdigest()[:16]


def hash_of(topic: Topic) -> str:
    """The hash of everything that was approved in a topic."""
    fields = json.dumps(topic.to_fields(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(fields.encode()).hexdigest()


SHORT = 10  # characters of a hash that make a version: short enough to read aloud


@dataclass(frozen=True, slots=True)
class Parts:
    """What a build has worked out and a snapshot keeps."""

    topics: Sequence[Topic]
    versions: Sequence[str]
    passages: Sequence[Passage]
    vectors: Vectors
    key_start: Numbers
    lexicon: Lexicon
    vocabulary: Sequence[str]
    head: Head | None
    calibration: Calibration
    approximate: bool = False  # with an index of the nearest keys


def write(home: Path, parts: Parts, info: SnapshotInfo, progress: nearest.Progress | None = None) -> Path:
    """Write a snapshot aside and rename it into place; an interrupted write leaves nothing that could be opened."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".building-", dir=home))
    except OSError as error:
        raise KnowledgeError(
            f"the snapshot cannot be written to {home}: {error.strerror or error}"
        ) from error
    try:
        write_words(folder / "words.sqlite", parts.topics, parts.versions, parts.passages)
        np.save(folder / "vectors.npy", parts.vectors)
        np.savez(folder / "keys.npz", start=parts.key_start)
        np.savez(folder / "lexicon.npz", **parts.lexicon.arrays())  # type: ignore[arg-type]
        (folder / "vocabulary.txt").write_text("\n".join(parts.vocabulary), encoding="utf-8")
        if parts.approximate:
            nearest.build(folder, parts.vectors, progress)
        if parts.head:
            parts.head.save(folder / "head.npz")
        (folder / "calibration.json").write_text(json.dumps(parts.calibration.to_json()))
        (folder / "meta.json").write_text(json.dumps({"format": FORMAT, **asdict(info)}, default=dict))
        for path in folder.iterdir():
            _fsync(path)
        place = home / info.id
        if not place.exists():
            folder.rename(place)
            _fsync(home)
        return place
    except OSError as error:
        raise KnowledgeError(
            f"the snapshot cannot be written to {home}: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_info(folder: Path) -> SnapshotInfo:
    """What a snapshot says of itself; a complaint when this version of the program cannot read it."""
    try:
        values: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    except (OSError, ValueError) as error:
        raise KnowledgeError(f"snapshot {folder.name} cannot be read: {error}") from error
    if values.pop("format", "") != FORMAT:
        raise KnowledgeError(
            f"snapshot {folder.name} was built by another version: build the knowledge again"
        )
    return SnapshotInfo(**{**values, "languages": tuple(values["languages"])})


class Snapshot:
    """An opened snapshot. Vectors stay on disk, mapped into memory; it is read by one thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info = read_info(folder)
        self.words = Words(folder / "words.sqlite")
        with ExitStack() as stack:
            stack.callback(self.words.close)
            self._read(folder)
            stack.pop_all()  # it stays open: whoever asked closes it

    def _read(self, folder: Path) -> None:
        self.topics, self.versions = self.words.topics()
        rows = self.words.passage_topics()
        self.passage_topic: Numbers = np.array([row[0] for row in rows], dtype=np.int32)
        self.vectors: Vectors = np.load(folder / "vectors.npy", mmap_mode="r").view(np.ndarray)
        with np.load(folder / "keys.npz", allow_pickle=False) as keys:
            self.key_start: Numbers = keys["start"]
        with np.load(folder / "lexicon.npz", allow_pickle=False) as kept:
            self.lexicon = Lexicon.from_arrays(kept)
        self.nearest = nearest.opened(folder)
        self.head = Head.load(folder / "head.npz") if (folder / "head.npz").exists() else None
        self.calibration = Calibration.from_json(json.loads((folder / "calibration.json").read_text()))

    @cached_property
    def vocabulary(self) -> list[str]:
        """The words that the snapshot itself uses."""
        return (self.folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")

    def versions_by_topic(self) -> Mapping[str, str]:
        return {topic.key: version for topic, version in zip(self.topics, self.versions, strict=True)}

    def close(self) -> None:
        self.words.close()
