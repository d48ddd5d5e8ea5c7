"""One thread owns the database connection; everybody else hands it work.

Work that waits at the same time shares one transaction (group commit): each piece runs in a savepoint of its own,
so that one failing piece changes nothing for the others, and nobody is told "done" before the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import sqlite_utils
from filelock import FileLock, Timeout
from sqlite_utils.migrations import Migrations

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

GROUP_MAX = 64
DISK_REFUSES = (
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_BUSY",
    "SQLITE_NOMEM",
)
SCHEMA_FILES = ("0001_first.sql",)
migrations = Migrations("firstline")

STORAGE_RETRY_SECONDS = 2.0  # how long work waits that the database has refused


class StorageError(Exception):
    """The database cannot be used; the text says why and what to do next."""


def _add(name: str) -> None:
    sql = resources.files("bot").joinpath("schema", name).read_text("utf-8")

    def step(db: sqlite_utils.Database) -> None:
        for statement in statements(sql):
            db.conn.execute(statement)

    migrations(name=name.removesuffix(".sql"))(step)


def statements(sql: str) -> list[str]:
    """The statements of a schema file; `executescript` would commit the transaction that a migration runs in."""
    found, buffer = [], ""
    for line in sql.splitlines(keepends=True):
        buffer += line
        if sqlite3.complete_statement(buffer):
            found.append(buffer)
            buffer = ""
    return found


for _name in SCHEMA_FILES:
    _add(_name)


class Writer:
    """The writer thread. `await do(work)` runs `work(connection)` inside a committed transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.SimpleQueue[tuple[Work, asyncio.Future[Any], asyncio.AbstractEventLoop] | None]
        self._queue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = FileLock(str(path) + ".lock")
        self._closed = False
        self._reading = False

    async def open(self, *, reading: bool = False) -> None:
        """Lock, open, migrate. Raises `StorageError` in words when that cannot be.

        `reading`: look at a database that a running process may have open; no lock, no writing.
        """
        self._reading = reading
        if reading and not self.path.exists():
            raise StorageError(
                f"{self.path}: there is no database yet. Has the bot run with this data_dir? (What is done in a demo is "
                "seen on its page only.)"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not reading:
                self._lock.acquire(timeout=0)
        except Timeout:
            raise StorageError(
                f"{self.path}: another Firstline process is using this database. Stop it first, or give this one "
                "a data_dir of its own."
            ) from None
        except OSError as error:
            raise StorageError(
                f"{self.path.parent}: cannot write there ({error.strerror}). Check [bot] data_dir."
            ) from error
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._thread = threading.Thread(
            target=self._run, args=(opened, asyncio.get_running_loop()), name="firstline-writer", daemon=True
        )
        self._thread.start()
        try:
            await opened
        except BaseException:
            self._closed = True
            self._lock.release()
            raise

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction; returns after the commit. Raises what `work` raised (nothing was changed),
        or `StorageError` when the commit failed (disk full): then nothing was changed either."""
        if self._closed:
            raise StorageError("the database is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._queue.put((work, done, loop))
        return await done

    async def scrub(self) -> None:
        """Leave nothing of deleted rows in the file or in its WAL: SQLite itself only marks their place as free."""
        await self.do(scrubbed)

    async def close(self) -> None:
        """Finish what waits, checkpoint, let go of the lock."""
        if self._closed or self._thread is None:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._lock.release()

    def _run(self, opened: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> None:
        try:
            connection = look(self.path) if self._reading else connect(self.path)
        except Exception as error:  # noqa: BLE001 - whoever opens must hear of it, whatever it was
            wrapped = error if isinstance(error, StorageError) else StorageError(f"{self.path}: {error}")
            loop.call_soon_threadsafe(opened.set_exception, wrapped)
            return
        loop.call_soon_threadsafe(opened.set_result, None)
        try:
            while self._group(connection):
                pass
        finally:
            with contextlib.suppress(sqlite3.Error):
                if not self._reading:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()

    def _group(self, connection: sqlite3.Connection) -> bool:
        """Take what waits, run it in one transaction, answer. False: it is time to stop."""
        items = [self._queue.get()]
        while len(items) < GROUP_MAX and items[-1] is not None:
            try:
                items.append(self._queue.get_nowait())
            except queue.Empty:
                break
        jobs = [item for item in items if item is not None]
        together = [job for job in jobs if job[0] is not scrubbed]
        if together:
            self._answer(
                together,
                transact(
                    connection,
                    [job[0] for job in together],
                    begin="BEGIN" if self._reading else "BEGIN IMMEDIATE",
                ),
            )
        for job in jobs:
            if job[0] is scrubbed:
                self._answer([job], [scrubbed(connection)])
        return len(jobs) == len(items)

    @staticmethod
    def _answer(
        jobs: list[tuple[Work, asyncio.Future[Any], asyncio.AbstractEventLoop]], results: list[Any]
    ) -> None:
        for (_, future, loop), result in zip(jobs, results, strict=True):
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                loop.call_soon_threadsafe(_resolve, future, result)


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)


def transact(
    connection: sqlite3.Connection, works: list[Work], *, begin: str = "BEGIN IMMEDIATE"
) -> list[Any]:
    """Run each piece in its savepoint, all in one transaction; the results, or the exceptions, in order."""
    results: list[Any] = []
    disk: Exception | None = None
    try:
        connection.execute(begin)
        for work in works:
            connection.execute("SAVEPOINT piece")
            try:
                results.append(work(connection))
            except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
                disk = (
                    error if refused(error) else disk
                )  # SQLite may have ended the whole transaction by itself
                connection.execute("ROLLBACK TO piece")
                results.append(unwritten(error) if refused(error) else error)
            connection.execute("RELEASE piece")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        return [unwritten(disk or error)] * len(works)
    return results


def scrubbed(connection: sqlite3.Connection) -> StorageError | None:
    """Write the database anew without what was deleted, and the WAL empty. Outside of any transaction."""
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        return unwritten(error)
    return None


def refused(error: Exception) -> bool:
    """Whether it was the disk that refused (full, read-only, broken), not the statement that was wrong."""
    name = getattr(error, "sqlite_errorname", "") if isinstance(error, sqlite3.OperationalError) else ""
    return name.startswith(DISK_REFUSES)


def unwritten(error: Exception) -> StorageError:
    failed = StorageError(f"the database could not be written ({error}); nothing was changed")
    failed.__cause__ = error
    return failed


def connect(path: Path) -> sqlite3.Connection:
    """Open and migrate; refuses a database that a newer Firstline has written."""
    with contextlib.ExitStack() as stack:
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            stack.callback(connection.close)
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as error:
            raise StorageError(
                f"{path}: cannot be opened ({error}). Is the folder writable, the disk not full?"
            ) from error
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=FAST",
            "busy_timeout=5000",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.row_factory = sqlite3.Row
        _migrate(connection, path)
        stack.pop_all()  # it stays open: whoever asked closes it
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    db = sqlite_utils.Database(connection, use_counts_table=False)
    applied = {step.name for step in migrations.applied(db)}
    newer = applied - {name.removesuffix(".sql") for name in SCHEMA_FILES}
    if newer:
        raise StorageError(
            f"{path}: was written by a newer Firstline (schema {', '.join(sorted(newer))}). "
            "Install that version, or restore the backup made before the upgrade."
        )
    if migrations.pending(db) and applied:
        backup(connection, path.with_suffix(".before-upgrade.db"))
    migrations.apply(db)


def look(path: Path) -> sqlite3.Connection:
    """Open for reading only, beside a process that may be writing."""
    connection = sqlite3.connect(
        f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA busy_timeout=5000")
    connection.row_factory = sqlite3.Row
    return connection


def copy_database(source: Path, target: Path) -> None:
    """Back a database up, while a process writes to it or not; the target appears when it is complete."""
    if not source.exists():
        raise StorageError(f"{source}: there is no database yet; nothing to back up")
    part = target.with_name(target.name + ".part")
    try:
        with contextlib.closing(look(source)) as connection:
            backup(connection, part)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"{target}: the backup could not be written ({error})") from error


def backup(connection: sqlite3.Connection, target: Path) -> None:
    """A consistent copy, taken while others read and write."""
    with contextlib.closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
