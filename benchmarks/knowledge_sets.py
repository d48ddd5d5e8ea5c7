"""Public question sets as knowledge folders and labelled questions, split into halves for development and report.

The split is a fixed hash: a datatalks question belongs to the development half if the SHA-256 of its document's id is
even; CLINC150 develops on `val` and `oos_val` and reports on `test` and `oos_test`; BANKING77 develops on the quarter
of `train` whose text hashes to 0 (mod 4), with the rest as questions, and reports on `test`. The mixed set is made of
the datatalks documents of one half that have five questions: most become topics that carry four of them, the others
documents without any, and the remaining questions are asked. clinc-labelled is CLINC150 with the development half and
`oos_train` as labelled transcripts.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from knowledge.evaluate import Labelled
from knowledge.passage import Scope

DATA = Path(__file__).parent.parent.parent / "shared" / "data"


_FRAGMENT = re.compile(r"(questions?\s*\d*|\d+)", re.IGNORECASE)
CARRIED, RICH = 4, 0.6  # questions that a topic of the mixed set carries, and the share of such topics


def is_question(text: str) -> bool:
    """Whether a label of datatalks-faq asks anything: 58 of them are crumbs of its making, like "question2" or "2"."""
    return not _FRAGMENT.fullmatch(text.strip())


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


def mixed(half: str, folder: Path) -> tuple[Path, list[Labelled]]:
    """Documents without example questions beside topics that carry four."""
    source, labelled = datatalks(half)
    asked: dict[str, list[str]] = {}
    for row in labelled:
        if is_question(row.question):
            asked.setdefault(row.expected, []).append(row.question)
    texts = {file.name.split("-")[0]: file for file in source.rglob("*.md")}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = []
    for document, questions in sorted(asked.items()):
        if len(questions) <= CARRIED or document not in texts:
            continue
        ordered = sorted(questions, key=lambda text: hashlib.sha256(text.encode()).digest())
        _, head, body = texts[document].read_text("utf-8").split("---\n", 2)
        title = next(line for line in head.splitlines() if line.startswith("question:"))[10:].strip()
        if hashlib.sha256(document.encode()).digest()[1] < RICH * 255:
            fields = {"title": json.loads(title), "questions": ordered[:CARRIED]}
            text = f"---\n{json.dumps(fields)}\n---\n{body}"
        else:
            text = f"# {json.loads(title)}\n\n{re.sub('(?m)^#+ ?', '', body)}"
        (folder / f"{document}.md").write_text(text, "utf-8")
        rows += [Labelled(question, document) for question in ordered[CARRIED:]]
    return folder, rows


def clinc(half: str, folder: Path, per_topic: int = 0) -> tuple[Path, list[Labelled]]:
    data = json.loads((DATA / "clinc150" / "data_full.json").read_text())
    _topics(folder, _chosen(data["train"], per_topic))
    inside, outside = ("val", "oos_val") if half == "development" else ("test", "oos_test")
    labelled = [Labelled(text, intent) for text, intent in data[inside]]
    return folder, labelled + [Labelled(text, "") for text, _ in data[outside]]


def clinc_transcripts() -> list[tuple[str, str]]:
    """What an admin would give `firstline calibrate --transcripts` beside the topics: the questions that the report does
    not contain, each with the intent that answers it, or none."""
    data = json.loads((DATA / "clinc150" / "data_full.json").read_text())
    return [
        *((text, intent) for text, intent in data["val"]),
        *((text, "") for split in ("oos_train", "oos_val") for text, _ in data[split]),
    ]


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
