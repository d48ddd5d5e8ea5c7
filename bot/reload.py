"""`reload` is a reviewed deploy: build aside, lint, golden cases, replay real questions, show, then swap or refuse.

The snapshot in use answers throughout. Whatever fails here leaves it in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import structlog

from bot.cases import golden_cases
from bot.clock import Clock
from bot.storage import Storage
from knowledge.library import KnowledgeError, Library, SnapshotInfo

log = structlog.get_logger("reload")

SHOWN = 20
FOR_PEOPLE = ("escalate", "collect", "draft")  # decisions
LOADING = "load the model (slow the first time)"
PATIENCE = 1.0  # seconds after which a person wants to know what is being waited for

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Golden:
    question: str
    expected: str
    got: str
    decision: str


@dataclass(frozen=True, slots=True)
class Change:
    """One real question that the new snapshot answers differently."""

    question: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a snapshot would change, before it does."""

    snapshot: str
    previous: str
    topics: int
    passages: int
    embedded: int
    replayed: int
    same: int
    failed_golden: tuple[Golden, ...] = ()
    golden: int = 0
    changed: tuple[Change, ...] = ()
    lost: tuple[Change, ...] = ()
    gained: tuple[Change, ...] = ()
    findings: tuple[str, ...] = field(default=())

    @property
    def blocked(self) -> bool:
        """A failed golden case refuses the snapshot unless an admin forces it, by name."""
        return bool(self.failed_golden)

    def data(self, *, activated: bool, quoting: bool = True) -> dict[str, Any]:
        """`quoting`: with the questions that customers asked, which no record may keep for longer than they do."""

        def shown(changes: Sequence[Change]) -> list[dict[str, str]]:
            return [{"question": c.question, "before": c.before, "after": c.after} for c in changes[:SHOWN]]

        return {
            "snapshot": self.snapshot, "previous": self.previous, "activated": activated, "topics": self.topics,
            "passages": self.passages, "embedded": self.embedded, "replayed": self.replayed, "same": self.same,
            **({"changed": shown(self.changed), "lost": shown(self.lost), "gained": shown(self.gained)} if quoting else {}),
            "golden": self.golden,
            "failed_golden": [
                {"question": g.question, "expected": g.expected, "got": g.got} for g in self.failed_golden[:SHOWN]
            ],
            "findings": list(self.findings[:SHOWN]),
        }  # fmt: skip


class Reloader:
    """`today`: the day where the desk is, by which dated topics speak: a snapshot is judged by what customers would get."""

    def __init__(
        self,
        library: Library,
        storage: Storage,
        *,
        paths: Sequence[Path],
        golden: Path | None,
        replay: int,
        clock: Clock,
        today: Callable[[], date],
        changed: Callable[[], Any] = lambda: None,
    ) -> None:
        self._library, self._storage, self._paths = library, storage, paths
        self._golden, self._replay, self._changed = golden, replay, changed
        self._clock, self._today = clock, today

    async def preview(self, progress: Progress | None = None) -> Preview:
        """Build aside and compare. Raises `KnowledgeError` with every complaint; nothing is changed either way."""
        before = self._library.info
        today = self._today()
        cases = golden_cases(self._golden)  # read first: a build takes its time
        built = await self._library.build(self._paths, progress=progress, now=today)
        questions = await self._questions() if before else []
        same, changed, lost, gained = 0, [], [], []
        for question in questions:
            assert before is not None
            old = await self._top(before.id, question, today)
            new = await self._top(built.info.id, question, today)
            if old == new:
                same += 1
            elif not new:
                lost.append(Change(question, old, new))
            elif not old:
                gained.append(Change(question, old, new))
            else:
                changed.append(Change(question, old, new))
        failed = await failed_golden(self._library, built.info.id, self._golden, today)
        return Preview(
            built.info.id, before.id if before else "", built.info.topics, built.info.passages, built.embedded,
            len(questions), same, failed, len(cases), tuple(changed), tuple(lost), tuple(gained),
            built.notes,
        )  # fmt: skip

    async def activate(self, preview: Preview, *, by: str) -> SnapshotInfo:
        info = await self._library.activate(preview.snapshot)
        await self._storage.keep(
            "reload",
            f"{self._clock.now():.3f}",
            "",
            {**preview.data(activated=True, quoting=False), "by": by},
            self._clock.now(),
        )
        log.info("snapshot_activated", snapshot=info.id, topics=info.topics, forced=preview.blocked, by=by)
        await self._after()
        return info

    async def rollback(self, *, by: str) -> SnapshotInfo:
        info = await self._library.rollback()
        await self._storage.keep(
            "rollback", f"{self._clock.now():.3f}", "", {"snapshot": info.id, "by": by}, self._clock.now()
        )
        log.info("snapshot_rolled_back", snapshot=info.id, by=by)
        await self._after()
        return info

    async def _after(self) -> None:
        result = self._changed()
        if hasattr(result, "__await__"):
            await result

    async def _questions(self) -> list[str]:
        rows = await self._storage.query(
            """SELECT DISTINCT json_extract(data, '$.question') AS question FROM records
               WHERE kind IN ('receipt', 'gap') AND question != '' ORDER BY at DESC LIMIT ?""",
            (self._replay,),
        )
        return [row["question"] for row in rows if row["question"]]

    async def _top(self, snapshot: str, question: str, today: date) -> str:
        """The topic that this snapshot would answer from; empty: it would not answer."""
        found = await self._library.search_in(snapshot, question, now=today)
        return found.hits[0].topic if found.hits and found.confidence >= found.threshold_answer else ""


async def load_model(library: Library, progress: Progress | None, *, patience: float = PATIENCE) -> None:
    """Have the embedding model ready, and say so where that takes long: the first time on a machine it is exported."""
    if progress is None:
        return
    loading = asyncio.ensure_future(library.embed(["ready?"]))
    done, _ = await asyncio.wait((loading,), timeout=patience)
    if not done:
        progress(LOADING, 0, 0)
    await loading
    if not done:
        progress(LOADING, 1, 1)


async def failed_golden(
    library: Library, snapshot: str, path: Path | None, today: date
) -> tuple[Golden, ...]:
    """The golden cases that do not hold on a snapshot, on this day. Judges what knowledge decides: which topic is on top, and
    whether it would be answered. What ends with a person and names no topic is decided by triggers and levels: such cases
    are the evaluation's, not knowledge's."""
    failed = [await _golden_case(library, snapshot, case, today) for case in golden_cases(path)]
    return tuple(g for g in failed if g is not None)


async def _golden_case(
    library: Library, snapshot: str, case: Mapping[str, Any], today: date
) -> Golden | None:
    expected, decision = str(case.get("expected") or ""), str(case.get("decision") or "")
    if not expected and (decision in FOR_PEOPLE or not (decision or "expected" in case)):
        return None
    found = await library.search_in(snapshot, str(case["question"]), now=today)
    top = found.hits[0].topic if found.hits else ""
    answers = found.confidence >= found.threshold_answer
    if expected and decision == "clarify":
        holds = expected in [h.topic for h in found.hits[:3]]
    else:
        holds = top == expected if expected else answers == (decision == "answer")
    return None if holds else Golden(str(case["question"]), expected, top, decision)


def refused(error: KnowledgeError) -> dict[str, Any]:
    """Complaints as a chore's result."""
    return {
        "activated": False,
        "problem": "knowledge",
        "complaints": [str(c) for c in error.complaints],
    }
