"""The writer of a simulated process: real SQLite, no thread, a disk that takes its time and can lose power.

`do` promises what `bot.writer.Writer.do` promises. Between asking and the commit, and between the commit and hearing
of it, virtual time passes: that is where a simulated process dies. A `PowerCut` hits inside the transaction.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.writer import connect, refused, transact, unwritten

Rewrite = Callable[[str], str]


class PowerCut(BaseException):
    """The machine stopped between two statements."""


@dataclass
class Power:
    """Counts statements down; at zero the power is gone. None: no cut is planned."""

    left: int | None = None
    cut: int = 0

    def statement(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left <= 0:
            self.left = None
            self.cut += 1
            raise PowerCut


class Hands:
    """A connection that can lose power at any statement, and whose statements a mutation may rewrite."""

    def __init__(self, connection: sqlite3.Connection, power: Power, rewrite: Rewrite | None) -> None:
        self._connection, self._power, self._rewrite = connection, power, rewrite

    def execute(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            self._power.statement()
        if self._rewrite is not None:
            statement = self._rewrite(statement)
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, values: Iterable[Any]) -> sqlite3.Cursor:
        self._power.statement()
        return self._connection.executemany(statement, values)


@dataclass
class Disk:
    """How slow it is, whether it refuses, and what the test has taken away from the product."""

    rng: random.Random
    power: Power = field(default_factory=Power)
    rewrite: Rewrite | None = None
    transactions: bool = True
    mean_seconds: float = 0.002
    stall_share: float = 0.02
    stall_seconds: float = 0.8
    full: bool = False

    def pause(self) -> float:
        if self.rng.random() < self.stall_share:
            return self.rng.random() * self.stall_seconds
        return self.rng.expovariate(1 / self.mean_seconds)


class InlineWriter:
    """Storage for one simulated process; `kill` ends it without warning."""

    def __init__(
        self, path: Path, disk: Disk, *, after: Callable[[], None], died: Callable[[], None]
    ) -> None:
        self.path, self.disk, self._after, self._died = path, disk, after, died
        self.dead = False
        self.connection = connect(path)
        weakref.finalize(self, self.connection.close)  # a process that nobody ended, at the end of its test
        self.connection.execute("PRAGMA synchronous=OFF")
        self._turn, self._answers = asyncio.Lock(), asyncio.Lock()  # both are fair: first asked, first served

    async def do(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        async with self._turn:
            await asyncio.sleep(self.disk.pause())
            self._alive()
            try:
                result = self._transact(work)
            except PowerCut:
                self.kill()
                self._died()
                raise asyncio.CancelledError from None
            self._after()
        async with self._answers:
            await asyncio.sleep(self.disk.pause())
            self._alive()
        if isinstance(result, BaseException):
            raise result
        return result

    def _transact(self, work: Callable[[Any], Any]) -> Any:
        hands = Hands(self.connection, self.disk.power, self.disk.rewrite)
        if self.disk.full:
            hands = _Full(hands)  # type: ignore[assignment]
        if self.disk.transactions:
            return transact(hands, [work])[0]  # type: ignore[arg-type]
        try:
            return work(hands)
        except Exception as error:  # noqa: BLE001 - handed to whoever asked, as the writer does
            return unwritten(error) if refused(error) else error

    def look(self, query: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """What is committed, for the checks; takes no time."""
        return self.connection.execute(query, values).fetchall()

    def kill(self) -> None:
        """Nothing that was not committed survives."""
        if not self.dead:
            self.dead = True
            self.connection.close()

    def _alive(self) -> None:
        if self.dead:
            raise asyncio.CancelledError


class _Full:
    """A disk without room: reading works, writing does not."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def execute(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        if statement.lstrip().startswith(("INSERT", "UPDATE", "DELETE", "REPLACE")):
            raise _no_room()
        return self._hands.execute(statement, values)

    def executemany(self, statement: str, values: Iterable[Any]) -> sqlite3.Cursor:
        raise _no_room()


def _no_room() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorname = "SQLITE_FULL"
    return error
