"""Which snapshot is in use, durably: one small file, replaced whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from knowledge.passage import KnowledgeError

KEPT = 10  # snapshots that stay on disk for rollback and replay


class Pointer:
    """The history of activated snapshots, newest first; the first one is in use."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file = home / "current.json"

    def history(self) -> list[str]:
        try:
            kept = json.loads(self._file.read_text())["history"]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KnowledgeError(f"{self._file} cannot be read: {error}") from error
        return [str(one) for one in kept]

    def activate(self, snapshot: str) -> None:
        self._write([snapshot, *(one for one in self.history() if one != snapshot)])

    def rollback(self) -> str:
        """Go back to the snapshot before; the one that was in use becomes the one to roll back to."""
        history = self.history()
        if len(history) < 2:  # noqa: PLR2004
            raise KnowledgeError("there is no earlier snapshot to go back to")
        current, previous, *rest = history
        self._write([previous, current, *rest])
        return previous

    def _write(self, history: Iterable[str]) -> None:
        aside = self._file.with_suffix(".new")
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            with aside.open("w") as file:
                json.dump({"history": list(history)[:KEPT]}, file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._file)
        except OSError as error:
            raise KnowledgeError(f"{self._file} cannot be written: {error.strerror or error}") from error

    def sweep(self, keep: Iterable[str] = ()) -> None:
        """Remove snapshots that nothing refers to any more, but for the newest few that were built aside."""
        folder = self._home / "snapshots"
        wanted = {*self.history(), *keep}
        loose = sorted(
            (path for path in folder.iterdir() if path.name not in wanted and not path.name.startswith(".")),
            key=lambda path: path.stat().st_mtime,
            reverse=True,
        )
        for path in loose[3:]:
            shutil.rmtree(path, ignore_errors=True)
