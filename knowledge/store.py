"""THE SQL of knowledge: topics and words of one snapshot, and the vectors already computed once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlite_utils

from knowledge.engine import Vectors
from knowledge.passage import KnowledgeError, Passage, Section, Topic
from knowledge.tokens import fts_query, query_words

REMEMBERED = 2000  # passages of a snapshot: about a megabyte
_SCHEMA = """
create table topics (number integer primary key, id text not null, language text not null, version text not null,
                     fields text not null);
create table passages (number integer primary key, topic integer not null references topics(number),
                       position integer not null, heading text not null, text text not null);
create virtual table words using fts5(heading, text, content='passages', content_rowid='number',
                                      tokenize="porter unicode61 remove_diacritics 2");
"""


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A full or read-only disk is one clear message."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise KnowledgeError(f"{path} cannot be written: {error}") from error


def write_words(
    path: Path, topics: Sequence[Topic], versions: Sequence[str], passages: Sequence[Passage]
) -> None:
    """Write a snapshot's topics and passages, with their full text index."""
    with _told(path), closing(sqlite3.connect(path)) as raw:
        raw.executescript("pragma journal_mode=off; pragma synchronous=off;" + _SCHEMA)
        db = sqlite_utils.Database(raw)
        with db.atomic():
            raw.executemany(
                "insert into topics values (?, ?, ?, ?, ?)",
                (
                    (
                        number,
                        topic.id,
                        topic.language,
                        version,
                        json.dumps(topic.to_fields(), ensure_ascii=False),
                    )
                    for number, (topic, version) in enumerate(zip(topics, versions, strict=True))
                ),
            )
            raw.executemany(
                "insert into passages values (?, ?, ?, ?, ?)",
                ((at, one.topic, one.number, one.heading, one.text) for at, one in enumerate(passages)),
            )
            raw.execute("insert into words(words) values ('rebuild')")


class Words:
    """One snapshot's topics and word index, read only; used by the one thread that searches."""

    def __init__(self, path: Path) -> None:
        self._raw = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        self._db = sqlite_utils.Database(self._raw)
        self._recent: dict[int, Passage] = {}

    def topics(self) -> tuple[list[Topic], list[str]]:
        """The topics in order, and their versions."""
        rows = self._raw.execute("select fields, version from topics order by number").fetchall()
        return [_topic(json.loads(row[0])) for row in rows], [str(row[1]) for row in rows]

    def passage(self, number: int) -> Passage:
        """A passage; those asked for lately are remembered, as the same few answer most questions."""
        known = self._recent.get(number)
        if known is None:
            if len(self._recent) >= REMEMBERED:
                self._recent.clear()
            known = self._recent[number] = self._read(number)
        return known

    def _read(self, number: int) -> Passage:
        row = self._raw.execute(
            "select topic, position, heading, text from passages where number = ?", [number]
        ).fetchone()
        return Passage(*row)

    def passage_topics(self) -> list[tuple[int, str]]:
        """For each passage in order: its topic, and its heading."""
        return self._raw.execute("select topic, heading from passages order by number").fetchall()

    def lookup(self, text: str, most: int = 20) -> list[int]:
        """The passages that contain words of `text`, best first; any text is a safe query."""
        query = fts_query(query_words(text))
        if not query:
            return []
        rows = self._raw.execute(
            "select rowid from words where words match ? order by rank limit ?", [query, most]
        )
        return [int(row[0]) for row in rows]

    def close(self) -> None:
        self._raw.close()


def _topic(fields: dict[str, Any]) -> Topic:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
    }
    values["sections"] = tuple(Section(*one) for one in fields["sections"])
    return Topic(**values)


class VectorCache:
    """What the model made of a text, by (model, text), so that an unchanged passage is never read twice: its vector, and
    beside it the layers before the last, in half precision, which only a head asks for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told(path), ExitStack() as stack:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._raw = sqlite3.connect(path, timeout=30, check_same_thread=False)
            stack.callback(self._raw.close)
            self._raw.execute("pragma journal_mode=wal")
            self._raw.execute(
                "create table if not exists vectors (hash blob primary key, vector blob, early blob) without rowid"
            )
            stack.pop_all()  # it stays open: whoever asked closes it

    def vectors(self, hashes: Sequence[bytes]) -> dict[bytes, Vectors]:
        return {key: np.frombuffer(value, dtype=np.float32) for key, value in self._of("vector", hashes)}

    def early(self, hashes: Sequence[bytes]) -> dict[bytes, Vectors]:
        return {
            key: np.frombuffer(value, dtype=np.float16).astype(np.float32)
            for key, value in self._of("early", hashes)
        }

    def _of(self, column: str, hashes: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        for begin in range(0, len(hashes), 500):
            part = hashes[begin : begin + 500]
            marks = ",".join("?" * len(part))
            yield from self._raw.execute(f"select hash, {column} from vectors where hash in ({marks})", part)

    def put(self, read: Iterable[tuple[bytes, Vectors]], dimension: int) -> None:
        """Keep rows of `Engine.read` whose first `dimension` numbers are the vector."""
        with _told(self._path), self._raw:
            self._raw.executemany(
                "insert or replace into vectors values (?, ?, ?)",
                (
                    (
                        key,
                        row[:dimension].astype(np.float32).tobytes(),
                        row[dimension:].astype(np.float16).tobytes(),
                    )
                    for key, row in read
                ),
            )

    def keep(self, hashes: Iterable[bytes], *, slack: int) -> None:
        """Forget what is not in `hashes` once the cache holds `slack` times as much."""
        wanted = set(hashes)
        (count,) = self._raw.execute("select count(*) from vectors").fetchone()
        if count <= slack * max(len(wanted), 1000):
            return
        with _told(self._path), self._raw:
            every = [bytes(row[0]) for row in self._raw.execute("select hash from vectors")]
            self._raw.executemany(
                "delete from vectors where hash = ?", ([one] for one in every if one not in wanted)
            )

    def close(self) -> None:
        self._raw.close()
