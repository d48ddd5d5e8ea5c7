"""Public question sets as knowledge folders and labelled questions, split into halves for development and report.

The split is a fixed hash: a datatalks question belongs to the development half if the SHA-256 of its document's id is
even; CLINC150 develops on `val` and `oos_val` and reports on `test` and `oos_test`; BANKING77 develops on the quarter
of `train` whose text hashes to 0 (mod 4), with the rest as questions, and reports on `test`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from knowledge.evaluate import Labelled
from knowledge.passage import Scope

DATA = Path(__file__).parent.parent.parent / "shared" / "data"


def digest(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0]


def datatalks(half: str, *, scoped: bool = False) -> tuple[Path, list[Labelled]]:
    """half: development, report, or all."""
    with (DATA / "datatalks-faq" / "questions.csv").open() as file:
        rows = list(csv.DictReader(file))
    wanted = {"development": (0,), "report": (1,), "all": (0, 1)}[half]
    kept = [row for row in rows if digest(row["document"]) % 2 in wanted]
    scope = lambda row: Scope(tags=(row["course"],)) if scoped else Scope()  # noqa: E731
    labelled = [Labelled(row["question"], row["document"], scope=scope(row)) for row in kept]
    return DATA / "datatalks-faq" / "kb", labelled


def clinc(half: str, folder: Path, per_topic: int = 0) -> tuple[Path, list[Labelled]]:
    data = json.loads((DATA / "clinc150" / "data_full.json").read_text())
    _topics(folder, _chosen(data["train"], per_topic))
    inside, outside = ("val", "oos_val") if half == "development" else ("test", "oos_test")
    labelled = [Labelled(text, intent) for text, intent in data[inside]]
    return folder, labelled + [Labelled(text, "") for text, _ in data[outside]]


def banking(half: str, folder: Path, per_topic: int = 0) -> tuple[Path, list[Labelled]]:
    rows = {}
    for split in ("train", "test"):
        with (DATA / "banking77" / f"{split}.csv").open() as file:
            rows[split] = [(row["text"].strip(), row["category"]) for row in csv.DictReader(file)]
    if half == "development":
        asked = [pair for pair in rows["train"] if digest(pair[0]) % 4 == 0]
        known = [pair for pair in rows["train"] if digest(pair[0]) % 4]
    else:
        asked, known = rows["test"], rows["train"]
    _topics(folder, _chosen(known, per_topic))
    return folder, [Labelled(text, category) for text, category in asked]


def _chosen(pairs: Iterable[tuple[str, str]], per_topic: int) -> dict[str, list[str]]:
    """The questions of each topic; `per_topic` of them, chosen by hash, or all."""
    found: dict[str, list[str]] = {}
    for text, topic in pairs:
        found.setdefault(topic, []).append(text)
    ordered = {
        topic: sorted(set(texts), key=lambda text: hashlib.sha256(text.encode()).digest())
        for topic, texts in found.items()
    }
    return {topic: texts[: per_topic or None] for topic, texts in ordered.items()}


def _topics(folder: Path, questions: dict[str, list[str]]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for topic, texts in questions.items():
        title = topic.replace("_", " ").replace("?", "").strip().capitalize()
        fields = {"id": topic, "title": title, "category": "all", "questions": texts}
        body = f"The approved text about: {title.lower()}."
        (folder / f"{topic.replace('?', '')}.md").write_text(f"---\n{json.dumps(fields)}\n---\n{body}\n")
