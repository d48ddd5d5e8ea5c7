"""THE SQL statements, behind methods named by what they promise.

Every method is one transaction on the writer's thread. Whoever awaits one knows that it is on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.port import Inbound, Mark, MsgRef
from bot import statements as sql
from bot import statements_erase as erase
from bot import statements_marks as stored_marks
from bot.outgoing import Outgoing
from bot.statements import WAITING, Commit, Conflict, Recorded, Row, ref_key
from bot.writer import Writer
from handoff.effects import Keep
from handoff.model import Case, Earlier

READ_AT_ONCE = 50  # waiting events of one conversation

__all__ = ["READ_AT_ONCE", "Commit", "Conflict", "Recorded", "Row", "Storage", "ref_key"]


class Storage:
    def __init__(self, writer: Writer) -> None:
        self._do, self._writer = writer.do, writer

    async def _run(self, statement: str, values: Sequence[Any]) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute(statement, tuple(values))

        await self._do(work)

    # --- record ------------------------------------------------------------------------------------------

    async def record(self, event: Inbound, conversation: str, now: float) -> int | None:
        """Keep an event, unless one of its keys was seen before (None). Returns its sequence number."""
        return await self._do(lambda db: sql.record(db, event, conversation, now))

    async def seen(self, keys: Sequence[str]) -> bool:
        marks = ",".join("?" * len(keys))
        query = f"SELECT 1 FROM seen WHERE key IN ({marks}) LIMIT 1"
        return await self._do(lambda db: db.execute(query, tuple(keys)).fetchone() is not None)

    async def conversation_of(self, kind: str, value: str) -> str | None:
        """The conversation that a ticket ("ticket", "1042") or a case ("case", "c-…") belongs to."""
        query = (
            "SELECT conversation FROM cases WHERE id = ?"
            if kind == "case"
            else "SELECT conversation FROM cases JOIN tickets ON cases.id = case_id WHERE number = ?"
        )
        found = await self._do(lambda db: db.execute(query, (value,)).fetchone())
        return found[0] if found else None

    async def anchor_at(self, platform: str, channel: str, message: str) -> tuple[str, str] | None:
        """(anchor, conversation) of a message that we know by name."""
        query = """SELECT name, conversation FROM anchors JOIN cases ON cases.id = case_id
                   WHERE anchors.platform = ? AND anchors.channel = ? AND message = ? ORDER BY anchors.at LIMIT 1"""
        found = await self._do(lambda db: db.execute(query, (platform, channel, message)).fetchone())
        return (found[0], found[1]) if found else None

    async def waiting_conversations(self) -> list[str]:
        query = "SELECT DISTINCT conversation FROM inbox WHERE state = 'new'"
        return await self._do(lambda db: [r[0] for r in db.execute(query)])

    async def waiting(
        self, conversation: str, limit: int = READ_AT_ONCE
    ) -> tuple[Case | None, list[Recorded]]:
        """The conversation's state and its events that were not worked on yet, in order of arrival."""

        def work(db: sqlite3.Connection) -> tuple[Case | None, list[Recorded]]:
            rows = db.execute(
                "SELECT * FROM inbox WHERE conversation = ? AND state = 'new' ORDER BY seq LIMIT ?",
                (conversation, limit),
            ).fetchall()
            return sql.load_case(db, conversation), [sql.recorded(db, row) for row in rows]

        return await self._do(work)

    async def case(self, conversation: str) -> Case | None:
        return await self._do(lambda db: sql.load_case(db, conversation))

    async def drop(self, seqs: Sequence[int], why: str) -> None:
        """Events that need no decision: done, their content emptied."""
        await self._do(lambda db: sql.finish(db, seqs, "done", why, empty=True))

    async def failed(self, seqs: Sequence[int], error: str, *, dead: bool) -> None:
        """An internal failure: try again later, or put aside for good, visibly."""

        def work(db: sqlite3.Connection) -> None:
            for seq in seqs:
                db.execute(
                    "UPDATE inbox SET attempts = attempts + 1, error = ? WHERE seq = ?", (error[:500], seq)
                )
            if dead:
                sql.finish(db, seqs, "dead", error)

        await self._do(work)

    # --- commit ------------------------------------------------------------------------------------------

    async def commit(self, change: Commit) -> list[Row]:
        """State, messages to send, timers, records, journal and "event done" in ONE transaction.

        Raises `Conflict` (and changes nothing) when the conversation is no longer as it was loaded.
        """
        return await self._do(lambda db: sql.commit(db, change))

    # --- deliver -----------------------------------------------------------------------------------------

    async def recover(self) -> list[Row]:
        """At start: rows that were being sent when the process died are ambiguous; all that wait, in order."""

        def work(db: sqlite3.Connection) -> list[Row]:
            db.execute("UPDATE outbox SET state = 'ambiguous' WHERE state = 'sending'")
            rows = db.execute(f"SELECT * FROM outbox WHERE state IN {WAITING} ORDER BY id")
            return [sql.row_of(r) for r in rows]

        return await self._do(work)

    async def start_sending(self, row_id: int, now: float) -> tuple[Row | None, dict[str, MsgRef]]:
        """Claim a row for sending, with the messages that its anchors name.

        None: it must not be sent any more (a person stepped in, it was withdrawn or superseded).
        """
        return await self._do(lambda db: sql.start_sending(db, row_id, now))

    async def anchored(self, name: str) -> MsgRef | None:
        """The message that an anchor names, once it exists."""
        query = "SELECT ref FROM anchors WHERE name = ?"
        found = await self._do(lambda db: db.execute(query, (name,)).fetchone())
        return sql.ref_json.validate_json(found[0]) if found else None

    async def part_sent(
        self, row_id: int, part: int, anchor: str, case_id: str, ref: MsgRef | None, now: float
    ) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE outbox SET parts_done = ? WHERE id = ?", (part + 1, row_id))
            if anchor and ref:
                sql.anchor(db, f"{anchor}#{part}" if part else anchor, case_id, ref, now)

        await self._do(work)

    async def sent(
        self, row: Row, ref: MsgRef | None, now: float, event: Inbound | None = None, conversation: str = ""
    ) -> None:
        """It is delivered. `event`: what its conversation learns from that."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE outbox SET state = 'sent', sent_at = ?, error = '' WHERE id = ?", (now, row.id)
            )
            if row.out.anchor and ref:
                sql.anchor(db, row.out.anchor, row.case_id, ref, now)
            if event is not None:
                sql.record(db, event, conversation, now)

        await self._do(work)

    async def postpone(self, row_id: int, state: str, not_before: float, error: str, attempts: int) -> None:
        """Not now: try again at `not_before`, as 'pending' (nothing was sent) or 'ambiguous' (it may have been).

        `attempts`: the tries that count; being told to wait is none.
        """
        query = "UPDATE outbox SET state = ?, not_before = ?, error = ?, attempts = ? WHERE id = ?"
        await self._run(query, (state, not_before, error[:500], attempts, row_id))

    async def park(self, row: Row, error: str, event: Inbound | None, conversation: str, now: float) -> None:
        """Give a message up, visibly: the failure becomes an event of its conversation."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE outbox SET state = 'failed', error = ? WHERE id = ?", (error[:500], row.id))
            if event is not None:
                sql.record(db, event, conversation, now)

        await self._do(work)

    async def conversation_of_case(self, case_id: str) -> str | None:
        return await self.conversation_of("case", case_id)

    # --- time --------------------------------------------------------------------------------------------

    async def due(self, now: float, make: Any, limit: int = 100) -> tuple[list[str], float | None]:
        """Turn due timers into events: (conversations that have one, when the next timer is due)."""

        def work(db: sqlite3.Connection) -> tuple[list[str], float | None]:
            rows = db.execute(
                """SELECT timers.*, conversation, cases.state AS state FROM timers JOIN cases ON cases.id = case_id
                   WHERE at <= ? ORDER BY at LIMIT ?""",
                (now, limit),
            ).fetchall()
            woken = []
            for row in rows:
                event = make(
                    row["case_id"],
                    row["timer"],
                    row["at"],
                    row["arg"],
                    sql.case_json.validate_json(row["state"]),
                )
                db.execute(
                    "DELETE FROM timers WHERE case_id = ? AND timer = ?", (row["case_id"], row["timer"])
                )
                sql.record(db, event, row["conversation"], now)
                woken.append(row["conversation"])
            following = db.execute("SELECT min(at) FROM timers").fetchone()[0]
            return woken, following

        return await self._do(work)

    async def timers(self, case_id: str) -> list[tuple[str, float, str]]:
        query = "SELECT timer, at, why FROM timers WHERE case_id = ? ORDER BY at"
        return await self._do(lambda db: [(r[0], r[1], r[2]) for r in db.execute(query, (case_id,))])

    # --- read --------------------------------------------------------------------------------------------

    async def earlier(self, case: Case, limit: int = 10) -> list[Earlier]:
        """Earlier tickets of the same customer, newest first."""
        query = """SELECT number, subject, state, opened_at, csat FROM tickets
                   WHERE platform = ? AND tenant = ? AND customer = ? ORDER BY number DESC LIMIT ?"""
        who = case.customer
        return await self._do(
            lambda db: [
                Earlier(r[0], r[1], r[2], r[3], 0.0, r[4])
                for r in db.execute(query, (who.platform, who.tenant, who.id, limit))
            ]
        )

    async def last_ticket(self) -> int:
        """The highest number that was ever given, also to a ticket that was erased."""
        query = "SELECT max(coalesce((SELECT max(number) FROM tickets), 0), coalesce((SELECT max(ticket) FROM journal), 0))"
        return await self._do(lambda db: db.execute(query).fetchone()[0])

    async def assigned_to(self, platform: str, agent: str) -> list[str]:
        """Conversations whose open ticket this agent has."""
        query = """SELECT conversation FROM cases JOIN tickets ON cases.id = case_id
                   WHERE assignee = ? AND tickets.state NOT IN ('solved', 'closed') AND
                   json_extract(tickets.data, '$.assignee.platform') = ?"""
        return await self._do(lambda db: [r[0] for r in db.execute(query, (agent, platform))])

    async def assignees(self, platform: str) -> list[str]:
        """The agents who have an open ticket, by their ids on this platform."""
        query = """SELECT DISTINCT assignee FROM tickets WHERE assignee != '' AND state NOT IN ('solved', 'closed') AND
                   json_extract(data, '$.assignee.platform') = ? ORDER BY assignee"""
        return await self._do(lambda db: [r[0] for r in db.execute(query, (platform,))])

    async def marks(self, platform: str) -> list[Mark]:
        return await self._do(lambda db: stored_marks.marks(db, platform))

    async def watch(self, marks: Sequence[Mark], now: float) -> None:
        """Give each place that has no mark yet this one."""
        await self._do(lambda db: stored_marks.watch(db, marks, now))

    async def query(self, statement: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """A read for reports and lists; the statements stand in `bot.reports`."""
        return await self._do(lambda db: [dict(r) for r in db.execute(statement, tuple(values))])

    async def get(self, key: str) -> str:
        found = await self._do(
            lambda db: db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        )
        return found[0] if found else ""

    async def set(self, key: str, value: str) -> None:
        await self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    async def keep(self, kind: str, key: str, case_id: str, data: Mapping[str, Any], now: float) -> None:
        await self._do(lambda db: sql.keep(db, Keep(kind, key, data), case_id, now))

    async def erase(
        self,
        platform: str,
        tenant: str,
        customer: str,
        farewell: Callable[[Case, Sequence[str]], Sequence[Outgoing]] = lambda *_: (),
        now: float = 0.0,
    ) -> tuple[dict[str, int], list[Row]]:
        """Remove a person: conversations, tickets, records, messages, queued work. Counts of what was removed, and the
        rows of what the desk is shown instead (`farewell`).

        The journal keeps a tombstone (times, decisions, hashes) without content, so that its chain still holds.
        """
        who = (platform, tenant, customer)
        return await self._do(lambda db: erase.erase_person(db, who, farewell, now))

    async def was_erased(self, case_id: str) -> bool:
        """Whether this conversation was ours and its person was erased."""
        return await self._do(lambda db: erase.was_erased(db, case_id))

    async def scrub(self) -> None:
        """After an erasure: not one byte of it can be read in the file, its WAL or a later backup."""
        await self._writer.scrub()

    async def prune(self, before_seen: float, before_content: float) -> None:
        """Forget dedup keys and finished events that are older than they need to be, and conversations that are
        over and older than the retention limit."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM seen WHERE at < ?", (before_seen,))
            db.execute("DELETE FROM inbox WHERE state = 'done' AND received_at < ?", (before_seen,))
            db.execute("UPDATE journal SET content = NULL WHERE at < ?", (before_content,))
            old = db.execute(
                """SELECT id FROM cases WHERE updated_at < ? AND NOT EXISTS
                   (SELECT 1 FROM tickets WHERE case_id = cases.id AND state NOT IN ('solved', 'closed'))
                   AND NOT EXISTS (SELECT 1 FROM timers WHERE case_id = cases.id)
                   AND NOT EXISTS (SELECT 1 FROM inbox WHERE conversation = cases.conversation AND state = 'new')
                   AND NOT EXISTS (SELECT 1 FROM outbox WHERE case_id = cases.id AND
                                   state IN ('pending', 'sending', 'ambiguous'))""",
                (before_content,),
            ).fetchall()
            erase.erase_cases(db, [row[0] for row in old])
            stored_marks.forget(db, before_content)
            db.execute("DELETE FROM records WHERE kind = 'erased' AND at < ?", (before_content,))
            db.execute(
                """DELETE FROM anchors WHERE at < ? AND case_id NOT IN (SELECT id FROM cases)
                   AND NOT EXISTS (SELECT 1 FROM outbox WHERE case_id = anchors.case_id AND
                                   state IN ('pending', 'sending', 'ambiguous'))""",
                (before_seen,),
            )
            db.execute(
                """DELETE FROM outbox WHERE created_at < ? AND (state IN ('sent', 'superseded', 'withdrawn')
                   OR state = 'failed' AND case_id NOT IN (SELECT id FROM cases))""",
                (before_seen,),
            )

        await self._do(work)
