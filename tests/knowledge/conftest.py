"""A library per test, on the real model: exports and vectors are kept in pytest's cache, everything else is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from knowledge.library import Library

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
