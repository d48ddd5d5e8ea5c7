"""Questions of real customers with the topic that answers them: kept beside the snapshots, used by every build."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from knowledge.passage import Complaint, KnowledgeError


class LabelledFile:
    """A small CSV `question,expected`, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[tuple[str, str]]:
        try:
            with self._path.open(newline="", encoding="utf-8") as file:
                return [(row["question"], row["expected"]) for row in csv.DictReader(file)]
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
            raise KnowledgeError([Complaint(str(self._path), 0, f"cannot be read: {error}")]) from error

    def write(self, rows: Sequence[tuple[str, str]]) -> None:
        """Keep these rows beside the ones that are there; a question labelled again takes its new label."""
        merged = dict(self.read()) | {question.strip(): expected.strip() for question, expected in rows}
        aside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(("question", "expected"))
                writer.writerows(sorted(merged.items()))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except OSError as error:
            raise KnowledgeError(f"{self._path} cannot be written: {error.strerror or error}") from error
