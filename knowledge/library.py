"""The snapshot in use: search, build aside, swap, roll back. The only door to knowledge for the rest of the program."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from knowledge import models
from knowledge.build import Order, build
from knowledge.confidence import Calibration
from knowledge.embedder import Embedder
from knowledge.engine import Engine, Vectors
from knowledge.labelled import LabelledFile
from knowledge.languages import Languages, plainly
from knowledge.passage import PUBLIC, Built, Found, Hit, KnowledgeError, Scope, SnapshotInfo, Topic
from knowledge.pointer import Pointer
from knowledge.searching import NOTHING, Asked, Asking, Searcher
from knowledge.snapshot import Snapshot, read_info

__all__ = ["Built", "Found", "Hit", "KnowledgeError", "Library", "Scope", "SnapshotInfo"]
Progress = Callable[[str, int, int], None]
EVERYBODY = Scope()
log = logging.getLogger(__name__)
OPENED = 8  # snapshots kept open: the one in use, the one before, previews and replays


class Library:
    """Knowledge as a whole. Every search is answered from exactly one snapshot, and none from a snapshot
    that was no longer in use when the answer left."""

    def __init__(
        self,
        home: Path,
        *,
        model: str = "",
        threads: int = 1,
        workers: int = 2,
        max_wrong: float = 0.05,
        max_wrong_of: Mapping[str, float] = NOTHING,
        max_file_bytes: int = 20_000_000,
        approximate_from: int = 0,
    ) -> None:
        self._home = home
        self._model = model
        self._threads = threads
        self._workers = workers
        self._max_wrong = max_wrong
        self.max_wrong_of = max_wrong_of
        self._max_file_bytes = max_file_bytes
        self._approximate_from = approximate_from
        self._pointer = Pointer(home)
        self._labelled = LabelledFile(home / "labelled.csv")
        self._embedder: Embedder | None = None
        self._identity = ("", "")
        self._former: dict[str, Embedder] = {}  # of models that were configured when a snapshot was built
        self._languages = Languages()
        self._current: Searcher | None = None
        self._opened: OrderedDict[str, Searcher] = OrderedDict()
        self._building = asyncio.Lock()
        self._loading = asyncio.Lock()
        self._opening = asyncio.Lock()

    @property
    def info(self) -> SnapshotInfo | None:
        return self._current.snapshot.info if self._current else None

    @property
    def history(self) -> tuple[str, ...]:
        """The ids of the snapshots that were in use, newest first; the first is in use."""
        return tuple(self._pointer.history())

    async def open(self) -> SnapshotInfo | None:
        """Load the snapshot in use, if there is one: a fraction of a second, without torch."""
        history = await asyncio.to_thread(self._pointer.history)
        if not history:
            return None
        self._current = await self._searcher(history[0])
        return self._current.snapshot.info

    async def build(
        self, paths: Sequence[Path], *, progress: Progress | None = None, now: date | None = None
    ) -> Built:
        """Build a snapshot aside. The one in use keeps answering and is not changed, whatever happens here."""
        async with self._building:
            embedder = await self._engine()
            order = Order(
                paths=[Path(path) for path in paths],
                home=self._home,
                model=self._identity[0],
                model_hash=self._identity[1],
                exported=models.folder_of(self._identity[1], self._home),
                workers=self._workers,
                max_wrong=self._max_wrong,
                max_file_bytes=self._max_file_bytes,
                labelled=await asyncio.to_thread(self._labelled.read),
                today=now or date.today(),  # noqa: DTZ011 - as in _ask
                in_use=self._current.snapshot.versions_by_topic() if self._current else {},
                approximate_from=self._approximate_from,
            )
            return await asyncio.to_thread(build, order, embedder, progress)

    async def activate(self, snapshot_id: str) -> SnapshotInfo:
        """Put a built snapshot to use: durably first, then for every search from this moment on."""
        searcher = await self._searcher(snapshot_id)
        await asyncio.to_thread(self._pointer.activate, snapshot_id)
        self._current = searcher
        await asyncio.to_thread(self._pointer.sweep, list(self._opened))
        return searcher.snapshot.info

    async def use(self, snapshot_id: str) -> SnapshotInfo:
        """Answer from a built snapshot in this process only: the one in use stays in use for everybody else."""
        self._current = await self._searcher(snapshot_id)
        return self._current.snapshot.info

    async def rollback(self) -> SnapshotInfo:
        """Go back to the snapshot that was in use before this one."""
        history = self._pointer.history()
        if len(history) < 2:  # noqa: PLR2004
            raise KnowledgeError("there is no earlier snapshot to go back to")
        searcher = await self._searcher(history[1])
        await asyncio.to_thread(self._pointer.rollback)
        self._current = searcher
        return searcher.snapshot.info

    async def search(
        self, question: str, scope: Scope = EVERYBODY, *, k: int = 8, now: date | None = None
    ) -> Found:
        """What the snapshot in use knows about a question, for this scope, on this day."""
        while True:
            searcher = self._current
            if searcher is None:
                raise KnowledgeError("no knowledge is loaded yet: build and activate a snapshot first")
            found = await self._ask(searcher, question, scope, k, now)
            if (
                searcher is self._current
            ):  # else it was replaced meanwhile, and what it says may be called back
                return found

    async def search_in(
        self,
        snapshot_id: str,
        question: str,
        scope: Scope = EVERYBODY,
        *,
        k: int = 8,
        now: date | None = None,
    ) -> Found:
        """The same in a named snapshot: to preview a reload, or to reproduce an answer."""
        return await self._ask(await self._searcher(snapshot_id), question, scope, k, now)

    async def lookup(self, text: str, scope: Scope = EVERYBODY, *, k: int = 20) -> tuple[Hit, ...]:
        """The passages of the snapshot in use that contain words of a text: plain full text search, for people."""
        searcher = self._current
        if searcher is None:
            raise KnowledgeError("no knowledge is loaded yet: build and activate a snapshot first")
        embedder = await self._embedder_of(searcher.snapshot.info)
        asked = Asked(text, scope, scope.language, k, date.today(), 0.0)  # noqa: DTZ011 - as in _ask
        return await embedder.run(lambda: searcher.lookup(text, asked))

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Rows of length one for texts, from the same thread and batches as questions."""
        embedder = await self._engine()
        return await embedder.ask(lambda: list(texts), lambda rows: rows[:, : embedder.engine.dimension])

    async def keep_labelled(self, rows: Sequence[tuple[str, str]]) -> None:
        """Remember labelled questions (text, topic id or empty): builds from now on learn from them as well."""
        await asyncio.to_thread(self._labelled.write, rows)

    async def kept_labelled(self) -> Mapping[str, str]:
        """The labelled questions that builds learn from, with the topic of each."""
        return dict(await asyncio.to_thread(self._labelled.read))

    def topics(self) -> Sequence[Topic]:
        """Every topic of the snapshot in use, for lint, audit and statistics; not for answers: it minds no audience."""
        return tuple(self._current.snapshot.topics) if self._current else ()

    def calibration(self) -> Calibration:
        """How the snapshot in use turns evidence into confidence, with its rehearsal."""
        if self._current is None:
            raise KnowledgeError("no knowledge is loaded yet: build and activate a snapshot first")
        return self._current.snapshot.calibration

    def versions(self) -> Mapping[str, str]:
        """Topic -> version, in the snapshot in use."""
        return self._current.snapshot.versions_by_topic() if self._current else {}

    async def warm(self) -> None:
        """Load what only some questions need, before one of them waits for it."""
        if self._current and len(self._current.snapshot.info.languages) > 1:
            await self._languages.warm()

    @property
    def boundaries(self) -> Mapping[str, tuple[str, ...]]:
        """Topic -> its own `escalate_when` lines, in the snapshot in use."""
        topics = self._current.snapshot.topics if self._current else ()
        found: dict[str, tuple[str, ...]] = {}
        for topic in topics:
            if topic.escalate_when:  # a topic may exist in several languages, each with lines of its own
                found[topic.id] = (*found.get(topic.id, ()), *topic.escalate_when)
        return found

    @property
    def titles(self) -> Mapping[str, str]:
        """Topic -> title of what everybody may see, in the snapshot in use; for autocomplete."""
        topics = self._current.snapshot.topics if self._current else ()
        return {topic.id: topic.title for topic in topics if PUBLIC in topic.audience}

    def close(self) -> None:
        if self._embedder:
            self._embedder.close()
            self._embedder = None
        for former in self._former.values():
            former.close()
        self._former.clear()
        for searcher in self._opened.values():
            searcher.snapshot.close()
        self._opened.clear()
        self._current = None

    async def _ask(self, searcher: Searcher, question: str, scope: Scope, k: int, now: date | None) -> Found:
        started = time.perf_counter()
        embedder = await self._embedder_of(searcher.snapshot.info)
        known = searcher.snapshot.info.languages
        # Words that leave no doubt count more than the language of the conversation so far; that one counts for the rest.
        language = plainly(question) or scope.language or await self._languages.detect(question, known)
        day = now or date.today()  # noqa: DTZ011 - a validity date is a calendar day where the team lives
        asking = Asking(searcher, Asked(question, scope, language, k, day, started))
        return await embedder.ask(asking.texts, asking.answer)

    async def _engine(self) -> Embedder:
        async with self._loading:
            if self._embedder is None:
                self._embedder = Embedder(await asyncio.to_thread(self._load_engine))
            return self._embedder

    async def _embedder_of(self, info: SnapshotInfo) -> Embedder:
        """The model that a snapshot's vectors are of. Another one's would be compared with them in vain, so what was
        built before the configured model changed is asked with the model it was built with."""
        configured = await self._engine()
        if info.model_hash == self._identity[1]:
            return configured
        async with self._loading:
            if info.model_hash not in self._former:
                log.warning("snapshot_of_another_model", extra={"snapshot": info.id, "model": info.model})
                engine = await asyncio.to_thread(
                    models.load_again,
                    info.model,
                    info.model_hash,
                    self._home,
                    threads=self._threads,
                    workers=1,
                )
                self._former[info.model_hash] = Embedder(engine)
            return self._former[info.model_hash]

    def _load_engine(self) -> Engine:
        self._identity = models.identify(self._model)
        model_hash = self._identity[1]
        return models.load(self._model, model_hash, self._home, threads=self._threads, workers=self._workers)

    async def _searcher(self, snapshot_id: str) -> Searcher:
        """A snapshot, opened; the ones used longest ago are closed, behind whatever was asked of them before."""
        async with self._opening:
            if snapshot_id in self._opened:
                self._opened.move_to_end(snapshot_id)
                return self._opened[snapshot_id]
            folder = self._home / "snapshots" / Path(snapshot_id).name
            if not (folder / "meta.json").exists():
                raise KnowledgeError(f"there is no snapshot {snapshot_id!r}")
            embedder = await self._embedder_of(await asyncio.to_thread(read_info, folder))
            searcher = await embedder.run(
                lambda: Searcher(Snapshot(folder), embedder.engine, self.max_wrong_of)
            )
            self._opened[snapshot_id] = searcher
            while len(self._opened) > OPENED:
                stale = next(key for key, one in self._opened.items() if one is not self._current)
                closing = self._opened.pop(stale).snapshot
                await (await self._embedder_of(closing.info)).run(closing.close)
            return searcher
