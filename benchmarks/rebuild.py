"""A full build against the bare embedding of the same texts, and a build after one file changed."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import DATA, Outcome, Skipped, measure, progress, scratch
from knowledge.library import Library
from knowledge.passage import Built

FILES = DATA / "datatalks-faq" / "kb"


async def built(home: Path, folder: Path, words: str) -> tuple[float, Built]:
    """Wall time of one build in a library that was just opened; the model is loaded before the clock starts."""
    library = Library(home)
    try:
        await library.open()
        await library.embed(["warm"])
        started = time.perf_counter()
        found = await library.build(
            [folder], progress=lambda what, done, of: progress(done, of, f"{words}: {what}")
        )
        seconds = time.perf_counter() - started
        await library.activate(found.info.id)
        return seconds, found
    finally:
        library.close()


async def embedding_alone(home: Path, folder: Path) -> tuple[float, int]:
    """The model on exactly the texts that the build embedded, in its own batches, and nothing else."""
    from knowledge.embedder import Embedder

    texts = await asyncio.to_thread(texts_of, folder)
    library = Library(home)
    try:
        await library.embed(["warm"])
        embedder = library._embedder
        assert isinstance(embedder, Embedder)
        started = time.perf_counter()
        await asyncio.to_thread(
            embedder.passages, texts, lambda done, of: progress(done, of, "bare embedding")
        )
        return time.perf_counter() - started, len(texts)
    finally:
        library.close()


def texts_of(folder: Path) -> list[str]:
    """What a build of this folder embeds: the distinct texts of its keys."""
    from knowledge import models, reader
    from knowledge.cutting import cut

    name, content = models.identify("")
    del name
    engine = models.load("", content, folder, threads=1, workers=1)
    topics, complaints = reader.read([folder], max_file_bytes=20_000_000)
    assert not complaints
    _, keys = cut(topics, engine.offsets, limit=engine.limit)
    return list(dict.fromkeys(key.text for key in keys))


def change_one(folder: Path, number: int) -> None:
    """A person mends one sentence of one file."""
    file = sorted(folder.rglob("*.md"))[number * 31]
    file.write_text(
        file.read_text("utf-8").rstrip() + f"\n\nThis was checked again in round {number}.\n", "utf-8"
    )


def vectors_kept(home: Path) -> int:
    files = list((home / "vectors").glob("*.sqlite"))
    return sum(file.stat().st_size for file in files)


async def run(*, quick: bool) -> Outcome:
    if not FILES.is_dir():
        raise Skipped("../shared/data/datatalks-faq is missing")
    with scratch() as place:
        folder, home = place / "kb", place / "home"
        shutil.copytree(FILES, folder, copy_function=shutil.copyfile)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        if quick:
            for file in sorted(folder.rglob("*.md"))[120:]:
                file.unlink()
        count = len(list(folder.rglob("*.md")))
        full, first = await built(home, folder, "full build")
        bare, texts = await embedding_alone(place / "other", folder)
        again: list[float] = []
        embedded: list[int] = []
        for number in range(1 if quick else 3):
            change_one(folder, number)
            seconds, found = await built(home, folder, f"one file changed, round {number + 1}")
            again.append(seconds)
            embedded.append(found.embedded)
        kept = vectors_kept(home)
    one = float(np.median(again))
    return {
        "measures": [
            measure("over_embedding", f"full build of {count} files over bare embedding of the same texts", full / bare, "×", "<= 1.2"),
            measure("incremental", f"build after 1 of {count} files changed, over a full build", one / full, "×", "<= 0.02"),
            measure("full", f"full build of {count} files", full, "s"),
            measure("bare", f"bare embedding of its {texts} texts", bare, "s"),
            measure("one_file", "build after one file changed", one, "s"),
            measure("embedded_again", "texts embedded after one file changed", float(np.median(embedded)), "texts"),
        ],
        "details": {
            "full_by_step": dict(first.seconds), "one_file_by_step": dict(found.seconds), "one_file": again,
            "vectors_mb": kept / 2**20, "sqlite": sqlite3.sqlite_version,
        },
    }  # fmt: skip
