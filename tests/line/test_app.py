"""The whole process on a small knowledge folder of its own: it starts in order, stops in order, and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.port import Delivered, Op, Post, Sink
from bot.app import App
from bot.config import Config
from bot.signals import Signals
from bot.web import WebError
from bot.writer import StorageError, Writer
from tests.line.scene import Platform, person, place, says
from tests.stage import Knowledge
from tests.world import words

TOPICS = {
    "refunds": ("Can I have a refund?", "Customers can request a refund within 14 days."),
    "invoices": ("Where are my invoices?", "Open Settings, then Billing, and press Download."),
    "passwords": ("I forgot my password, what now?", "Press Forgot password on the sign-in page."),
}
REFUND = "Customers can request a refund within 14 days."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("knowledge")
    for name, (question, text) in TOPICS.items():
        (made / f"{name}.md").write_text(
            f"---\nid: {name}\ntitle: {name.title()}\nquestions:\n  - {question}\nlevel: answer\n---\n{text}\n"
        )
    return made


class Listening:
    """The product's signals, fitted once for the whole test run; a small folder has no boundaries of its own."""

    def __init__(self, fitted: Signals) -> None:
        self.check = fitted.check

    async def prepare(self, boundaries: Mapping[str, tuple[str, ...]] | None = None) -> None:
        assert not any((boundaries or {}).values())


class Diary(Platform):
    """A platform that notes what happens to it, and whether the process was ready then."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(seconds=seconds)
        self.app: App | None = None
        self.sink: Sink | None = None
        self.connected, self.delivered = asyncio.Event(), asyncio.Event()
        self.diary: list[tuple[str, bool]] = []

    def note(self, what: str) -> None:
        assert self.app is not None
        self.diary.append((what, bool(self.app.status()["ready"])))

    async def run(self, sink: Sink) -> None:
        self.sink = sink
        self.note("run")
        self.connected.set()
        await super().run(sink)

    async def stop_ingress(self) -> None:
        self.note("stop ingress")

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        self.note("deliver")
        try:
            return await super().deliver(op, part, key)
        finally:
            self.delivered.set()

    async def close(self, grace: float) -> None:
        self.note("close")
        await super().close(grace)

    def said_in(self, thread: str) -> list[str]:
        ops = [call.op for call in self.calls]
        return [words(op.content) for op in ops if isinstance(op, Post) and op.place.thread == thread]


class Scene:
    """What every app of a test shares: its folder, its knowledge, its model."""

    def __init__(self, home: Path, folder: Path, knowledge: Knowledge) -> None:
        (home / "library").mkdir()
        (home / "library" / "models").symlink_to((knowledge.library._home / "models").resolve())
        self.home, self._library = (
            home,
            knowledge.library.copy(home / "library"),
        )  # its own home, the same model
        self._signals: Any = Listening(knowledge.signals)
        self.settings: dict[str, Any] = {
            "bot": {"data_dir": str(home / "data"), "debounce_seconds": 0, "drain_seconds": 10},
            "knowledge": {"paths": [str(folder)]}, "web": {"port": 0},
            "playground": {"channels": [{"id": "help", "mode": "all"}]},
        }  # fmt: skip

    def app(self, adapter: Diary, **bot: Any) -> App:
        config = Config.model_validate({**self.settings, "bot": {**self.settings["bot"], **bot}})
        app = adapter.app = App(config, [adapter], library=self._library)
        app.signals = self._signals
        app.engine._gatherer._signals = self._signals  # type: ignore[attr-defined]
        return app

    @contextlib.asynccontextmanager
    async def running(self, adapter: Diary, **bot: Any) -> AsyncIterator[App]:
        app = self.app(adapter, **bot)
        async with app.running():
            await adapter.connected.wait()
            yield app

    def look(self, query: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.home / "data" / "firstline.db")) as db:
            return [row[0] if len(row) == 1 else tuple(row) for row in db.execute(query)]


@pytest.fixture
def scene(tmp_path: Path, folder: Path, knowledge: Knowledge) -> Scene:
    return Scene(tmp_path, folder, knowledge)


def asks(number: int) -> Any:
    """Somebody of their own: one person's flood would wait its turn."""
    return says("Can I have a refund?", number, person(f"customer{number}"), place(str(number)))


async def fetched(port: int, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status


async def answered(adapter: Diary, thread: str) -> None:
    async with asyncio.timeout(60):
        while not any(REFUND in text for text in adapter.said_in(thread)):
            adapter.delivered.clear()
            await adapter.delivered.wait()


async def test_the_first_start_builds_the_knowledge_answers_and_is_ready_only_meanwhile(scene: Scene) -> None:
    adapter = Diary()
    async with scene.running(adapter) as app:
        assert await fetched(app.port, "/healthz") == 200
        assert await fetched(app.port, "/readyz") == 200
        assert app.status()["knowledge"]["topics"] == 3
        assert adapter.sink is not None
        await adapter.sink.receive(asks(100))
        await answered(adapter, "100")
    with pytest.raises(aiohttp.ClientConnectionError):
        await fetched(app.port, "/healthz")
    with pytest.raises(StorageError, match="closed"):
        await app.storage.get("x")


async def test_the_end_comes_in_order(scene: Scene) -> None:
    adapter = Diary(seconds=0.2)
    async with scene.running(adapter):
        assert adapter.sink is not None
        await adapter.sink.receive(asks(100))
    order = [what for what, _ in adapter.diary]
    assert order[0] == "run"
    assert order[-1] == "close"
    assert order.index("stop ingress") < order.index("deliver")  # it still sends when it takes no more
    assert not any(ready for what, ready in adapter.diary[order.index("stop ingress") :])


async def test_fifty_answers_in_work_are_finished_within_the_limit(scene: Scene) -> None:
    adapter = Diary(seconds=0.05)
    async with scene.running(adapter, drain_seconds=200):
        assert adapter.sink is not None
        await asyncio.gather(*(adapter.sink.receive(asks(n)) for n in range(100, 150)))
    assert scene.look("SELECT count(*) FROM inbox WHERE state = 'new'") == [0]
    assert scene.look("SELECT DISTINCT state FROM outbox") == ["sent"]
    for n in range(100, 150):
        assert sum(REFUND in text for text in adapter.said_in(str(n))) == 1


async def test_what_is_not_finished_within_the_limit_is_finished_at_the_next_start_once(scene: Scene) -> None:
    first = Diary(seconds=0.05)
    async with scene.running(first, drain_seconds=0):
        assert first.sink is not None
        await asyncio.gather(*(first.sink.receive(asks(n)) for n in range(100, 150)))
    unfinished = scene.look("SELECT count(*) FROM inbox WHERE state = 'new'")[0]
    waiting = scene.look("SELECT count(*) FROM outbox WHERE state != 'sent'")[0]
    assert unfinished + waiting > 0
    second = Diary()
    second.shown, second.by_key, second._ids = first.shown, first.by_key, first._ids  # the platform lives on
    async with scene.running(second, drain_seconds=200):
        for n in range(100, 150):
            while not any(REFUND in s.text and s.ref.place.thread == str(n) for s in second.shown.values()):
                second.delivered.clear()
                await second.delivered.wait()
    assert scene.look("SELECT count(*) FROM inbox WHERE state = 'new'") == [0]
    assert scene.look("SELECT DISTINCT state FROM outbox") == ["sent"]
    shown = [s for s in second.shown.values() if REFUND in s.text]
    assert sorted(s.ref.place.thread or "" for s in shown) == [str(n) for n in range(100, 150)]


async def test_housekeeping_survives_a_disk_that_refuses(scene: Scene) -> None:
    adapter = Diary()
    refusals: list[str] = []

    async def refuses(*_: Any) -> None:
        refusals.append("prune")
        raise StorageError("the database could not be written (disk full)")

    app = scene.app(adapter)
    app.storage.prune = refuses  # type: ignore[method-assign]
    async with app.running():
        await adapter.connected.wait()
        assert adapter.sink is not None
        await adapter.sink.receive(asks(100))
        await answered(adapter, "100")
    assert refusals == ["prune"]


async def test_a_port_in_use_ends_the_start_with_nothing_left_behind(scene: Scene) -> None:
    async with scene.running(Diary()) as app:
        scene.settings = {**scene.settings, "web": {"port": app.port}}
        with pytest.raises(WebError, match="is in use"):
            async with scene.running(Diary(), data_dir=str(scene.home / "other")):
                raise AssertionError("it must not start")
    again = Writer(scene.home / "other" / "firstline.db")
    await again.open()  # its lock was let go
    await again.close()


async def test_a_second_process_on_the_same_data_does_not_start_and_the_first_lives_on(scene: Scene) -> None:
    async with scene.running(Diary()) as app:
        with pytest.raises(StorageError, match="another Firstline process"):
            async with scene.running(Diary()):
                raise AssertionError("it must not start")
        assert await fetched(app.port, "/readyz") == 200


async def test_a_platform_that_is_down_leaves_the_process_alive_and_not_ready(scene: Scene) -> None:
    class Down(Diary):
        async def run(self, sink: Sink) -> None:
            self.connected.set()
            raise ConnectionError("no network")

    async with scene.running(Down()) as app:
        assert await fetched(app.port, "/healthz") == 200
        assert await fetched(app.port, "/readyz") == 503
        assert app.status()["adapters"]["playground"][0] in ("down", "connecting")


async def test_nothing_is_left_running(scene: Scene) -> None:
    before = asyncio.all_tasks()
    adapter = Diary()
    async with scene.running(adapter):
        assert adapter.sink is not None
        await adapter.sink.receive(asks(100))
    assert asyncio.all_tasks() == before
