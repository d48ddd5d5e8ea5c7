"""The model on its own thread. Questions that arrive together share one run; a build never holds a question up."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from knowledge.engine import Engine, Vectors

T = TypeVar("T")
REMEMBERED = 4096  # recent questions: 19 MB for 384 dimensions
QUESTIONS_AT_ONCE = 64
PASSAGES_AT_ONCE = 8  # about a tenth of a second: what a question may have to wait for a build
_FIRST, _LATER = 0, 1


@dataclass(slots=True)
class _Job(Generic[T]):
    """Texts to embed and what to do with the vectors, on the model's thread."""

    texts: Callable[[], Sequence[str]]
    then: Callable[[Vectors], T]
    done: Future[T] = field(default_factory=Future)
    passages: bool = False


class Embedder:
    """Owns the engine and the one thread that may touch it.

    A batch forms by itself: while one run is under way, the questions that arrive wait together and form the next.
    A lone question therefore never waits for company.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._queue: queue.PriorityQueue[tuple[int, int, _Job[object] | None]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._recent: OrderedDict[str, Vectors] = OrderedDict()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="embed", daemon=True)
        self._thread.start()

    async def ask(self, texts: Callable[[], Sequence[str]], then: Callable[[Vectors], T]) -> T:
        """Read questions (`Engine.read`) and go on with `then`; both run on this thread, where the index may be read
        without locks."""
        return await asyncio.wrap_future(self._put(_FIRST, _Job(texts, then)))

    async def run(self, act: Callable[[], T]) -> T:
        """Do something on the model's thread."""
        return await self.ask(tuple, lambda _: act())

    def passages(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Vectors:
        """Read passages from a build's thread, in small runs between which questions are answered."""
        out = np.zeros((len(texts), self.engine.dimension + self.engine.early), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        for begin in range(0, len(order), PASSAGES_AT_ONCE):
            rows = order[begin : begin + PASSAGES_AT_ONCE]
            part = [texts[at] for at in rows]
            job = _Job(lambda part=part: part, lambda vectors: vectors, passages=True)  # type: ignore[misc]
            out[rows] = self._put(_LATER, job).result()
            if progress:
                progress(min(begin + PASSAGES_AT_ONCE, len(order)), len(order))
        return out

    def replace(self, engine: Engine) -> None:
        """Go on with another engine; called from a build's thread. Vectors of the old one are forgotten."""

        def swap(_: Vectors) -> None:
            old, self.engine = self.engine, engine
            self._recent.clear()
            old.close()

        self._put(_FIRST, _Job(tuple, swap)).result()

    def close(self) -> None:
        """Let the running job end and the thread go; what still waits is cancelled."""
        if not self._closed:
            self._closed = True
            self._queue.put((-1, next(self._order), None))
            self._thread.join()
            self.engine.close()

    def _put(self, priority: int, job: _Job[T]) -> Future[T]:
        if self._closed:
            raise RuntimeError("the library is closed")
        self._queue.put((priority, next(self._order), job))  # type: ignore[arg-type]  # a job of any result
        return job.done

    def _work(self) -> None:
        with threadpool_limits(
            limits=1, user_api="blas"
        ):  # two BLAS threads wait for each other longer than they work
            self._serve()

    def _serve(self) -> None:
        while True:
            priority, _, job = self._queue.get()
            if job is None:
                break
            jobs = [job, *self._company()] if priority == _FIRST else [job]
            jobs = [one for one in jobs if one.done.set_running_or_notify_cancel()]
            if jobs:
                self._run(jobs)
        while not self._queue.empty():
            job = self._queue.get()[2]
            if job is not None:
                job.done.cancel()

    def _company(self) -> list[_Job[object]]:
        """The other questions that wait already, up to what one run takes."""
        found: list[_Job[object]] = []
        while len(found) < QUESTIONS_AT_ONCE:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item[0] != _FIRST or item[2] is None:
                self._queue.put(item)
                break
            found.append(item[2])
        return found

    def _run(self, jobs: list[_Job[object]]) -> None:
        ready: list[tuple[_Job[object], Sequence[str]]] = []
        for job in jobs:
            try:
                ready.append((job, job.texts()))
            except Exception as error:  # noqa: BLE001 - whoever asked must hear of it; the thread must live on
                job.done.set_exception(error)
        try:
            if jobs[0].passages:
                vectors = [self.engine.read(texts, passages=True) for _, texts in ready]
            else:
                vectors = self._questions([texts for _, texts in ready])
        except Exception as error:  # noqa: BLE001 - as above
            for job, _ in ready:
                job.done.set_exception(error)
            return
        for (job, _), own in zip(ready, vectors, strict=True):
            try:
                job.done.set_result(job.then(own))
            except Exception as error:  # noqa: BLE001 - as above
                job.done.set_exception(error)

    def _questions(self, groups: Sequence[Sequence[str]]) -> list[Vectors]:
        wanted = dict.fromkeys(text for texts in groups for text in texts)
        new = [text for text in wanted if text not in self._recent]
        fresh = dict(zip(new, self.engine.read(new), strict=True)) if new else {}
        found = {text: fresh[text] if text in fresh else self._recent[text] for text in wanted}
        for text, vector in found.items():
            self._recent[text] = vector
            self._recent.move_to_end(text)
        while len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        empty = np.zeros((0, self.engine.dimension + self.engine.early), dtype=np.float32)
        return [np.stack([found[text] for text in texts]) if texts else empty for texts in groups]
