"""The writer's promises, on the real thread and real files."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot import writer as module
from bot.writer import StorageError, Writer, copy_database, statements

Work = Callable[[sqlite3.Connection], Any]


@pytest.fixture
async def writer(tmp_path: Path):
    made = Writer(tmp_path / "data" / "firstline.db")
    await made.open()
    yield made
    await made.close()


def put(key: str, value: str = "") -> Work:
    return lambda db: db.execute("INSERT INTO meta VALUES (?, ?)", (key, value)).rowcount


def keys(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT key FROM meta ORDER BY key")]


class Gate:
    """Holds the writer's thread, so that what is asked meanwhile waits together."""

    def __init__(self) -> None:
        self.inside, self.open = threading.Event(), threading.Event()

    def __call__(self, _: sqlite3.Connection) -> None:
        self.inside.set()
        assert self.open.wait(30)


async def together(writer: Writer, *works: Work) -> list[Any]:
    """Hand in all of these while the writer is busy; results or exceptions, in order."""
    gate = Gate()
    first = asyncio.ensure_future(writer.do(gate))
    await asyncio.to_thread(gate.inside.wait)
    rest = [asyncio.ensure_future(writer.do(work)) for work in works]
    await asyncio.sleep(0)
    gate.open.set()
    await first
    return await asyncio.gather(*rest, return_exceptions=True)


async def test_what_waits_at_the_same_time_shares_one_commit(writer: Writer) -> None:
    commits: list[str] = []

    def watch(db: sqlite3.Connection) -> None:
        db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    await writer.do(watch)
    commits.clear()
    await together(writer, *(put(f"k{n:02}") for n in range(40)))
    assert await writer.do(keys) == [f"k{n:02}" for n in range(40)]
    assert len(commits) <= 3  # the gate's, the group's, the reading's


async def test_one_failing_piece_changes_nothing_for_the_others(writer: Writer) -> None:
    def halfway(db: sqlite3.Connection) -> None:
        put("half")(db)
        raise ValueError("in the middle")

    before, failed, twin, after = await together(writer, put("a"), halfway, put("a"), put("b"))
    assert (before, after) == (1, 1)
    assert isinstance(failed, ValueError)
    assert isinstance(twin, sqlite3.IntegrityError)
    assert await writer.do(keys) == ["a", "b"]


async def test_nobody_is_told_done_before_the_commit(writer: Writer, tmp_path: Path) -> None:
    await writer.do(put("k"))
    with closing(sqlite3.connect(writer.path)) as other:
        assert keys(other) == ["k"]


async def test_work_is_done_in_the_order_in_which_it_was_asked(writer: Writer) -> None:
    done: list[int] = []
    await together(writer, *(lambda _, n=n: done.append(n) for n in range(200)))
    assert done == list(range(200))


async def test_who_stops_waiting_does_not_stop_the_work(writer: Writer) -> None:
    gate = Gate()
    busy = asyncio.ensure_future(writer.do(gate))
    await asyncio.to_thread(gate.inside.wait)
    impatient = asyncio.ensure_future(writer.do(put("late")))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.open.set()
    await busy
    assert await writer.do(keys) == ["late"]


async def test_a_full_disk_says_so_changes_nothing_and_recovers_when_there_is_room(writer: Writer) -> None:
    await writer.do(put("before"))
    pages = await writer.do(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await writer.do(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    fits, full, also = await together(writer, put("small"), put("big", "x" * 500_000), put("small too"))
    assert isinstance(full, StorageError)
    assert "database or disk is full" in str(full)
    assert "nothing was changed" in str(full)
    # SQLite may end the whole transaction when the disk is full: then nobody was told "done".
    told = [key for key, result in (("small", fits), ("small too", also)) if result == 1]
    assert all(r == 1 or isinstance(r, StorageError) for r in (fits, also))
    assert set(await writer.do(keys)) == {"before", *told}
    await writer.do(lambda db: db.execute("PRAGMA max_page_count = 1073741823").fetchone())
    await writer.do(put("big", "x" * 500_000))
    assert "big" in await writer.do(keys)
    assert await writer.do(lambda db: db.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"


async def test_a_commit_that_fails_changes_nothing(writer: Writer) -> None:
    def orphan(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE parent (id PRIMARY KEY)")
        db.execute("CREATE TABLE child (of_parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
        db.execute("INSERT INTO child VALUES (1)")

    results = await together(writer, put("innocent"), orphan)
    assert all(isinstance(result, StorageError) for result in results)
    assert await writer.do(keys) == []


async def test_a_second_process_is_refused_and_the_first_lives_on(writer: Writer) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from bot.writer import Writer, StorageError\n"
        "try: asyncio.run(Writer(Path(sys.argv[1])).open())\n"
        "except StorageError as error: print(error); sys.exit(3)"
    )
    second = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, str(writer.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 3, second.stderr
    assert "another Firstline process is using this database" in second.stdout
    await writer.do(put("still here"))


async def test_the_lock_is_let_go_on_close_and_after_a_failed_open(tmp_path: Path) -> None:
    path = tmp_path / "firstline.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StorageError, match="not a database"):
        await Writer(path).open()
    path.unlink()
    for _ in range(2):
        made = Writer(path)
        await made.open()
        await made.close()


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write there .*Check \[bot\] data_dir"):
        await Writer(tmp_path / "file" / "firstline.db").open()


async def test_a_newer_schema_is_refused_and_left_alone(writer: Writer) -> None:
    await writer.do(lambda db: db.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('firstline', '0099_later', '2030')"
    ))  # fmt: skip
    await writer.close()
    before = writer.path.read_bytes()
    with pytest.raises(StorageError, match=r"written by a newer Firstline \(schema 0099_later\)"):
        await Writer(writer.path).open()
    assert writer.path.read_bytes() == before


async def test_an_upgrade_makes_a_backup_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: Writer
) -> None:
    await writer.do(put("precious", "from before"))
    await writer.close()
    upgraded = module.Migrations("firstline")
    for name in module.SCHEMA_FILES:
        upgraded(name=name.removesuffix(".sql"))(lambda db: None)
    upgraded(name="0002_next")(lambda db: db.conn.execute("ALTER TABLE meta ADD COLUMN more TEXT"))
    monkeypatch.setattr(module, "migrations", upgraded)
    monkeypatch.setattr(module, "SCHEMA_FILES", (*module.SCHEMA_FILES, "0002_next.sql"))
    newer = Writer(writer.path)
    await newer.open()
    assert await newer.do(lambda db: tuple(db.execute("SELECT * FROM meta").fetchone())) == (
        "precious", "from before", None,
    )  # fmt: skip
    await newer.close()
    with closing(sqlite3.connect(writer.path.with_suffix(".before-upgrade.db"))) as saved:
        assert saved.execute("SELECT * FROM meta").fetchall() == [("precious", "from before")]


async def test_a_migration_that_breaks_is_told_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(db: Any) -> None:
        raise ValueError("a step that does not fit")

    migrations = module.Migrations("firstline")
    migrations(name="0001_first")(broken)
    monkeypatch.setattr(module, "migrations", migrations)
    made = Writer(tmp_path / "firstline.db")
    with pytest.raises(StorageError, match="a step that does not fit"):
        async with asyncio.timeout(60):
            await made.open()


async def test_reading_beside_a_running_process_sees_commits_and_writes_nothing(writer: Writer) -> None:
    await writer.do(put("k"))
    reader = Writer(writer.path)
    await reader.open(reading=True)
    assert await reader.do(keys) == ["k"]
    with pytest.raises(StorageError, match="readonly"):
        await reader.do(put("never"))
    await writer.do(put("later"))
    assert await reader.do(keys) == ["k", "later"]
    await reader.close()
    await writer.do(put("last"))


async def test_reading_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "firstline.db"
    with pytest.raises(StorageError, match="there is no database yet"):
        await Writer(path).open(reading=True)
    assert not path.parent.exists()


async def test_after_close_nothing_is_taken_and_nothing_is_left_in_the_log(tmp_path: Path) -> None:
    made = Writer(tmp_path / "firstline.db")
    await made.open()
    asked = [asyncio.ensure_future(made.do(put(f"k{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    await made.close()
    await made.close()
    assert await asyncio.gather(*asked) == [1] * 20
    with pytest.raises(StorageError, match="the database is closed"):
        await made.do(put("too late"))
    left = await asyncio.to_thread(lambda: [p.name for p in tmp_path.iterdir() if p.suffix != ".lock"])
    assert left == ["firstline.db"]
    assert "firstline-writer" not in {thread.name for thread in threading.enumerate()}


async def test_durability_is_not_traded_for_speed(writer: Writer) -> None:
    def pragmas(db: sqlite3.Connection) -> tuple[Any, ...]:
        return tuple(
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        )

    assert await writer.do(pragmas) == ("wal", 2, 1)


def test_a_backup_is_complete_or_absent(tmp_path: Path) -> None:
    source = tmp_path / "firstline.db"
    with closing(module.connect(source)) as db:
        put("k")(db)
    copy_database(source, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert keys(copy) == ["k"]
    with pytest.raises(StorageError, match="could not be written"):
        copy_database(source, tmp_path / "no such folder" / "copy.db")
    with pytest.raises(StorageError, match="nothing to back up"):
        copy_database(tmp_path / "absent.db", tmp_path / "second.db")
    assert not list(tmp_path.glob("*.part"))


def test_a_schema_file_is_cut_into_whole_statements() -> None:
    cut = statements(
        "CREATE TABLE a (x); -- a; b\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n SELECT 1;\nEND;\n"
    )
    assert [s.split()[1] for s in cut] == ["TABLE", "TRIGGER"]
