"""Ours and two other programs on the same texts, questions and model, each in processes of its own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks import knowledge_sets, peer_venv
from benchmarks.measure import DATA, Measure, Outcome, Skipped, child, measure, progress, scratch
from knowledge.evaluate import Labelled

CHUNK, OVERLAP = 180, 20  # words; the model reads 256 tokens
QUESTIONS = 1200  # of a set, evenly spread: enough for a hit rate to within about two points
HERE = Path(__file__).parent
Json = dict[str, Any]


def sets(place: Path, *, quick: bool) -> Iterator[tuple[str, Path, list[Labelled]]]:
    if not quick:
        yield ("datatalks", *knowledge_sets.datatalks("report"))
    yield ("banking77_10", *knowledge_sets.banking("report", place / "banking", 10))


def front_matter(file: Path) -> tuple[Json, str]:
    _, head, body = file.read_text("utf-8").split("---\n", 2)
    found: Json = yaml.safe_load(head)
    return found, body.strip()


def documents(folder: Path) -> Iterator[Json]:
    """What a user of these programs would index: example questions, or the question with each chunk of its answer."""
    for file in sorted(folder.rglob("*.md")):
        head, body = front_matter(file)
        if head.get("questions"):
            yield from ({"topic": head["id"], "text": question} for question in head["questions"])
            continue
        question, words = str(head.get("question") or head.get("title") or ""), body.split()
        for begin in range(0, max(1, len(words)), CHUNK - OVERLAP):
            yield {"topic": str(head["id"]), "text": f"{question}\n{' '.join(words[begin : begin + CHUNK])}"}


def programs(task: Path, work: Path) -> dict[str, list[str]]:
    """The command line of each: ours first; the peers where they could be installed."""
    found = {"firstline": [sys.executable, "-m", "benchmarks.peers_ours", str(task), str(work / "firstline")]}
    python = peer_venv.python()
    for name in ("haystack", "chroma") if python else ():
        found[name] = [str(python), "-P", str(HERE / f"peers_{name}.py"), str(task), str(work / name)]
    return found


def called(command: Sequence[str], mode: str) -> Json:
    """Run it; `started` lets it tell how long it took from the very start of its process."""
    found: Json = child([*command, mode, repr(time.time())])
    return found


def measured(name: str, folder: Path, rows: list[Labelled], place: Path) -> dict[str, Json]:
    task = place / f"{name}.json"
    task.write_text(json.dumps({
        "folder": str(folder), "documents": list(documents(folder)),
        "questions": [[row.question, row.expected] for row in rows],
    }))  # fmt: skip
    found: dict[str, Json] = {}
    commands = programs(task, place / name)
    for number, (program, command) in enumerate(commands.items()):
        progress(number, len(commands), f"{name}: {program}")
        found[program] = called(command, "build")
        colds = sorted(called(command, "cold")["answered"] for _ in range(3))
        found[program] |= {"cold": colds[1]}
    return found


def figures(name: str, found: dict[str, Json], questions: int) -> list[Measure]:
    rows: list[Measure] = []
    ours = found["firstline"]
    for program, one in found.items():
        rows += [
            measure(f"{name}_{program}_hit", f"{name}: {program}, hit@1", one["hit_at_1"], note=f"{questions} questions"),
            measure(f"{name}_{program}_p50", f"{name}: {program}, question to result, p50", one["p50_ms"], "ms"),
            measure(f"{name}_{program}_p99", f"{name}: {program}, question to result, p99", one["p99_ms"], "ms"),
            measure(f"{name}_{program}_build", f"{name}: {program}, build", one["build_s"], "s"),
            measure(f"{name}_{program}_cold", f"{name}: {program}, new process to first answer", one["cold"], "s"),
            measure(f"{name}_{program}_memory", f"{name}: {program}, memory", one["rss_mb"], "MB"),
        ]  # fmt: skip
    for program, one in found.items():
        if program != "firstline":
            rows += [
                measure(f"{name}_better_{program}", f"{name}: our hit@1 minus that of {program}",
                        ours["hit_at_1"] - one["hit_at_1"], "", ">= 0.0001"),
                measure(f"{name}_faster_{program}", f"{name}: latency of {program} over ours, p50",
                        one["p50_ms"] / ours["p50_ms"], "×", ">= 4"),
                measure(f"{name}_colder_{program}", f"{name}: cold start of {program} over ours",
                        one["cold"] / ours["cold"], "×", ">= 5"),
            ]  # fmt: skip
    return rows


async def run(*, quick: bool) -> Outcome:
    if not (DATA / "datatalks-faq").is_dir() or not (DATA / "banking77").is_dir():
        raise Skipped("../shared/data/datatalks-faq or banking77 is missing")
    if peer_venv.python() is None:
        raise Skipped("the peers of benchmarks/peers.txt cannot be installed here")
    measures: list[Measure] = []
    details: Json = {}
    with scratch() as place:
        for name, folder, rows in sets(place, quick=quick):
            asked = rows[:60] if quick else rows[:: -(-len(rows) // QUESTIONS)]
            details[name] = measured(name, folder, asked, place)
            measures += figures(name, details[name], len(asked))
    return {"measures": measures, "details": details}
