"""A library per test, on the real model: exports and vectors are kept in pytest's cache, everything else is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from knowledge import models, reader
from knowledge.cutting import cut
from knowledge.lexicon import Lexicon
from knowledge.library import Library
from knowledge.rehearsal import Stage, texts_of

Write = Callable[[Mapping[str, str | bytes]], Path]
Open = Callable[..., Library]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files, by relative name, into this test's knowledge folder."""

    def files(named: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "kb"
        folder.mkdir(exist_ok=True)
        for name, content in named.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return files


@pytest.fixture
def open_library(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Libraries on this test's home; calling it again is a restart."""
    shared = Path(pytestconfig.cache.mkdir("knowledge"))  # type: ignore[union-attr]
    monkeypatch.setenv("FIRSTLINE_MODELS", str(shared / "models"))
    (shared / "vectors").mkdir(exist_ok=True)
    opened: list[Library] = []

    def library(**options: object) -> Library:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        if not (home / "vectors").exists():
            (home / "vectors").symlink_to(shared / "vectors")
        opened.append(Library(home, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield library
    for one in opened:
        one.close()


@pytest.fixture
def stage_of(
    write: Write, tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Mapping[str, str | bytes]], Stage]:
    """A snapshot before it is written, from files; its vectors are nothing but zeros."""
    monkeypatch.setenv("FIRSTLINE_MODELS", str(Path(pytestconfig.cache.mkdir("knowledge")) / "models"))  # type: ignore[union-attr]

    def stage(named: Mapping[str, str | bytes]) -> Stage:
        engine = models.load("", models.identify("")[1], tmp_path, threads=1, workers=1)
        topics, complaints = reader.read([write(named)], max_file_bytes=1_000_000)
        assert not complaints
        passages, keys = cut(topics, engine.offsets, limit=engine.limit)
        engine.close()
        of_passage = np.array([key.passage for key in keys], dtype=np.int32)
        return Stage(
            topics,
            passages,
            keys,
            np.zeros((len(keys), engine.dimension), dtype=np.float32),
            np.array([one.topic for one in passages], dtype=np.int32),
            np.flatnonzero(np.diff(of_passage, prepend=-1)).astype(np.int32),
            Lexicon.of([texts_of(topics[one.topic], one) for one in passages])[0],
        )

    return stage
