"""THE SQL statements, behind methods named by what they promise.

Every method is one transaction on the writer's thread. Whoever awaits one knows that it is on disk.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from adapters.port import Envelope, Inbound, Mark, MsgRef, Place, dump_inbound, load_inbound
from bot.outgoing import Outgoing, dump, load
from bot.writer import Writer
from handoff.model import Case, Earlier, Keep, Link, Ticket, Wake

_case: TypeAdapter[Case] = TypeAdapter(Case)
_ref: TypeAdapter[MsgRef] = TypeAdapter(MsgRef)
_place: TypeAdapter[Place] = TypeAdapter(Place)
_ticket: TypeAdapter[Ticket] = TypeAdapter(Ticket)

WAITING = "('pending', 'sending', 'ambiguous')"


class Conflict(Exception):
    """The conversation changed since it was loaded; decide again on the new state."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event that waits to be worked on."""

    seq: int
    event: Inbound
    received_at: float
    attempts: int
    known_before: bool  # for edits and deletions: the message itself was recorded earlier


@dataclass(frozen=True, slots=True)
class Row:
    """One outgoing row as the outbox works on it."""

    id: int
    case_id: str
    key: str
    epoch: int
    out: Outgoing
    state: str
    not_before: float
    attempts: int
    parts_done: int
    first_try_at: float | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that one decision changes, written in one transaction."""

    before: Case | None
    case: Case
    conversation: str
    seqs: Sequence[int]
    now: float
    rows: Sequence[Outgoing] = ()
    wakes: Sequence[Wake] = ()
    cancels: Sequence[str] = ()
    keeps: Sequence[Keep] = ()
    links: Sequence[Link] = ()
    withdrawn: Sequence[str] = ()
    event: str = ""
    event_key: str = ""
    decision: str = ""
    why: str = ""
    ms: float = 0.0
    content: Mapping[str, Any] = field(default_factory=dict)


def ref_key(ref: MsgRef) -> str:
    return f"{ref.place.platform}:{ref.place.channel}:{ref.id}"


class Storage:
    def __init__(self, writer: Writer) -> None:
        self._do = writer.do

    # --- record ------------------------------------------------------------------------------------------

    async def record(self, event: Inbound, conversation: str, now: float) -> int | None:
        """Keep an event, unless one of its keys was seen before (None). Returns its sequence number."""
        return await self._do(lambda db: _record(db, event, conversation, now))

    async def seen(self, keys: Sequence[str]) -> bool:
        marks = ",".join("?" * len(keys))
        query = f"SELECT 1 FROM seen WHERE key IN ({marks}) LIMIT 1"  # noqa: S608 - only question marks
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

    async def waiting(self, conversation: str, limit: int = 50) -> tuple[Case | None, list[Recorded]]:
        """The conversation's state and its events that were not worked on yet, in order of arrival."""

        def work(db: sqlite3.Connection) -> tuple[Case | None, list[Recorded]]:
            rows = db.execute(
                "SELECT * FROM inbox WHERE conversation = ? AND state = 'new' ORDER BY seq LIMIT ?",
                (conversation, limit),
            ).fetchall()
            return _load_case(db, conversation), [_recorded(db, row) for row in rows]

        return await self._do(work)

    async def case(self, conversation: str) -> Case | None:
        return await self._do(lambda db: _load_case(db, conversation))

    async def drop(self, seqs: Sequence[int], why: str) -> None:
        """Events that need no decision: done, their content emptied."""
        await self._do(lambda db: _finish(db, seqs, "done", why, empty=True))

    async def failed(self, seqs: Sequence[int], error: str, *, dead: bool) -> None:
        """An internal failure: try again later, or put aside for good, visibly."""

        def work(db: sqlite3.Connection) -> None:
            for seq in seqs:
                db.execute(
                    "UPDATE inbox SET attempts = attempts + 1, error = ? WHERE seq = ?", (error[:500], seq)
                )
            if dead:
                _finish(db, seqs, "dead", error)

        await self._do(work)

    # --- commit ------------------------------------------------------------------------------------------

    async def commit(self, change: Commit) -> list[Row]:
        """State, messages to send, timers, records, journal and "event done" in ONE transaction.

        Raises `Conflict` (and changes nothing) when the conversation is no longer as it was loaded.
        """
        return await self._do(lambda db: _commit(db, change))

    # --- deliver -----------------------------------------------------------------------------------------

    async def recover(self) -> list[Row]:
        """At start: rows that were being sent when the process died are ambiguous; all that wait, in order."""

        def work(db: sqlite3.Connection) -> list[Row]:
            db.execute("UPDATE outbox SET state = 'ambiguous' WHERE state = 'sending'")
            rows = db.execute(f"SELECT * FROM outbox WHERE state IN {WAITING} ORDER BY id")  # noqa: S608
            return [_row(r) for r in rows]

        return await self._do(work)

    async def start_sending(self, row_id: int, now: float) -> tuple[Row | None, dict[str, MsgRef]]:
        """Claim a row for sending, with the messages that its anchors name.

        None: it must not be sent any more (a person stepped in, it was withdrawn or superseded).
        """
        return await self._do(lambda db: _start_sending(db, row_id, now))

    async def part_sent(
        self, row_id: int, part: int, anchor: str, case_id: str, ref: MsgRef | None, now: float
    ) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE outbox SET parts_done = ? WHERE id = ?", (part + 1, row_id))
            if anchor and ref:
                _anchor(db, f"{anchor}#{part}" if part else anchor, case_id, ref, now)

        await self._do(work)

    async def sent(self, row: Row, ref: MsgRef | None, now: float) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE outbox SET state = 'sent', sent_at = ?, error = '' WHERE id = ?", (now, row.id)
            )
            if row.out.anchor and ref:
                _anchor(db, row.out.anchor, row.case_id, ref, now)

        await self._do(work)

    async def postpone(self, row_id: int, state: str, not_before: float, error: str) -> None:
        """Not now: try again at `not_before`, as 'pending' (nothing was sent) or 'ambiguous' (it may have been)."""
        query = "UPDATE outbox SET state = ?, not_before = ?, error = ? WHERE id = ?"
        await self._do(lambda db: db.execute(query, (state, not_before, error[:500], row_id)) and None)

    async def park(self, row: Row, error: str, event: Inbound | None, conversation: str, now: float) -> None:
        """Give a message up, visibly: the failure becomes an event of its conversation."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE outbox SET state = 'failed', error = ? WHERE id = ?", (error[:500], row.id))
            if event is not None:
                _record(db, event, conversation, now)

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
                    row["case_id"], row["timer"], row["at"], row["arg"], _case.validate_json(row["state"])
                )
                db.execute(
                    "DELETE FROM timers WHERE case_id = ? AND timer = ?", (row["case_id"], row["timer"])
                )
                _record(db, event, row["conversation"], now)
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
        return await self._do(
            lambda db: db.execute("SELECT coalesce(max(number), 0) FROM tickets").fetchone()[0]
        )

    async def assigned_to(self, platform: str, agent: str) -> list[str]:
        """Conversations whose open ticket this agent has."""
        query = """SELECT conversation FROM cases JOIN tickets ON cases.id = case_id
                   WHERE assignee = ? AND tickets.state NOT IN ('solved', 'closed') AND
                   json_extract(tickets.data, '$.assignee.platform') = ?"""
        return await self._do(lambda db: [r[0] for r in db.execute(query, (agent, platform))])

    async def marks(self, platform: str) -> list[Mark]:
        query = "SELECT data, last FROM marks WHERE platform = ? ORDER BY at DESC LIMIT 500"
        return await self._do(
            lambda db: [Mark(_place.validate_json(r[0]), r[1]) for r in db.execute(query, (platform,))]
        )

    async def query(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """A read for reports and lists; the statements stand in `bot.reports`."""
        return await self._do(lambda db: [dict(r) for r in db.execute(sql, tuple(values))])

    async def get(self, key: str) -> str:
        found = await self._do(
            lambda db: db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        )
        return found[0] if found else ""

    async def set(self, key: str, value: str) -> None:
        await self._do(
            lambda db: db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value)) and None
        )

    async def keep(self, kind: str, key: str, case_id: str, data: Mapping[str, Any], now: float) -> None:
        await self._do(lambda db: _keep(db, Keep(kind, key, data), case_id, now))

    async def prune(self, before_seen: float, before_content: float) -> None:
        """Forget dedup keys and the content of finished events that are older than they need to be."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM seen WHERE at < ?", (before_seen,))
            db.execute("DELETE FROM inbox WHERE state = 'done' AND received_at < ?", (before_seen,))
            db.execute("UPDATE journal SET content = NULL WHERE at < ?", (before_content,))
            db.execute(
                "DELETE FROM outbox WHERE state IN ('sent', 'superseded', 'withdrawn') AND created_at < ?",
                (before_seen,),
            )

        await self._do(work)


# --- the statements, one function each ----------------------------------------------------------------------


def _record(db: sqlite3.Connection, event: Inbound, conversation: str, now: float) -> int | None:
    marks = ",".join("?" * len(event.keys))
    if db.execute(f"SELECT 1 FROM seen WHERE key IN ({marks})", event.keys).fetchone():  # noqa: S608
        _remember(db, event, 0, now)
        return None
    ref = getattr(event, "ref", None)
    cursor = db.execute(
        "INSERT INTO inbox (conversation, kind, ref, payload, occurred_at, received_at) VALUES (?, ?, ?, ?, ?, ?)",
        (conversation, event.type, ref_key(ref) if ref else "", dump_inbound(event), event.occurred_at, now),
    )
    seq = int(cursor.lastrowid or 0)
    _remember(db, event, seq, now)
    if event.type == "message":
        _mark(db, event.place, event.ref.id, is_root=event.is_root, now=now)
    return seq


def _remember(db: sqlite3.Connection, event: Envelope, seq: int, now: float) -> None:
    db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", [(key, seq, now) for key in event.keys])


def _mark(db: sqlite3.Connection, place: Place, last: str, *, is_root: bool, now: float) -> None:
    """Remember the newest message of a place: of the channel for a top-level message, else of the thread."""
    if is_root:
        place = Place(place.platform, place.tenant, place.channel, None, place.kind, place.external)
    db.execute(
        """INSERT INTO marks VALUES (?, ?, ?, ?, ?) ON CONFLICT (platform, place) DO UPDATE SET
           last = CASE WHEN length(excluded.last) > length(last) OR excluded.last > last THEN excluded.last ELSE last END,
           at = excluded.at""",
        (place.platform, place.conversation, _place.dump_json(place).decode(), last, now),
    )


def _recorded(db: sqlite3.Connection, row: sqlite3.Row) -> Recorded:
    known = True
    if row["kind"] in ("edited", "deleted"):
        query = "SELECT 1 FROM inbox WHERE ref = ? AND kind = 'message' AND state != 'new'"
        known = db.execute(query, (row["ref"],)).fetchone() is not None
    return Recorded(row["seq"], load_inbound(row["payload"]), row["received_at"], row["attempts"], known)


def _load_case(db: sqlite3.Connection, conversation: str) -> Case | None:
    row = db.execute("SELECT state FROM cases WHERE conversation = ?", (conversation,)).fetchone()
    return _case.validate_json(row[0]) if row else None


def _finish(
    db: sqlite3.Connection, seqs: Sequence[int], state: str, note: str = "", *, empty: bool = False
) -> None:
    for seq in seqs:
        db.execute("UPDATE inbox SET state = ?, error = ? WHERE seq = ?", (state, note[:500], seq))
        if empty:
            db.execute("UPDATE inbox SET payload = '' WHERE seq = ?", (seq,))


def _commit(db: sqlite3.Connection, change: Commit) -> list[Row]:
    case = change.case
    _save_case(db, change)
    raised = change.before is not None and case.epoch > change.before.epoch
    if raised:
        db.execute(
            f"""UPDATE outbox SET state = 'superseded', error = 'a person stepped in' WHERE case_id = ? AND
                audience = 'customer' AND voice = 'bot' AND epoch < ? AND state IN {WAITING} AND state != 'sending'""",  # noqa: S608
            (case.id, case.epoch),
        )
    for name in change.withdrawn:
        db.execute("UPDATE outbox SET state = 'withdrawn' WHERE anchor = ? AND state = 'pending'", (name,))
    for timer in change.cancels:
        db.execute("DELETE FROM timers WHERE case_id = ? AND timer = ?", (case.id, timer))
    for wake in change.wakes:
        db.execute(
            "INSERT OR REPLACE INTO timers VALUES (?, ?, ?, ?, ?)",
            (case.id, wake.timer, wake.at, wake.arg, wake.why),
        )
    for keep in change.keeps:
        _keep(db, keep, case.id, change.now)
    for link in change.links:
        _anchor(db, link.anchor, case.id, link.ref, change.now)
    journal = _journal(db, change)
    rows = [_promise(db, out, change, journal, number) for number, out in enumerate(change.rows)]
    _finish(db, change.seqs, "done")
    return rows


def _save_case(db: sqlite3.Connection, change: Commit) -> None:
    case = change.case
    state = _case.dump_json(case, exclude_defaults=True).decode()
    if change.before is None:
        db.execute(
            "INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (case.id, change.conversation, case.place.platform, case.place.tenant, case.place.channel, case.customer.id,
             case.epoch, case.version, case.phase, state, change.now),
        )  # fmt: skip
    else:
        cursor = db.execute(
            "UPDATE cases SET epoch = ?, version = ?, phase = ?, state = ?, updated_at = ? WHERE id = ? AND version = ?",
            (case.epoch, case.version, case.phase, state, change.now, case.id, change.before.version),
        )
        if cursor.rowcount != 1:
            raise Conflict(case.id)
    tickets = [t for t in (change.before.ticket if change.before else None, case.ticket) if t is not None]
    if tickets and (change.before is None or change.before.ticket != case.ticket):
        for ticket in {t.number: t for t in tickets}.values():
            _save_ticket(db, case, ticket)


def _save_ticket(db: sqlite3.Connection, case: Case, t: Ticket) -> None:
    who, assignee = case.customer, t.assignee
    values = {
        "number": t.number, "case_id": case.id, "platform": who.platform, "tenant": who.tenant, "customer": who.id,
        "customer_name": who.name, "state": t.state, "category": t.category, "leaf": t.leaf, "priority": t.priority,
        "route": t.route, "subject": t.subject, "assignee": assignee.id if assignee else "",
        "assignee_name": assignee.name if assignee else "", "trigger": t.trigger,
        "escalated_ever": int(t.escalated_ever), "reopened": t.reopened, "opened_at": t.opened_at,
        "claimed_at": t.claimed_at, "first_response_at": t.first_response_at,
        "first_response_due": t.first_response_due, "resolution_due": t.resolution_due, "solved_at": t.solved_at,
        "closed_at": t.closed_at, "resolution_type": t.resolution_type, "root_cause": t.root_cause, "csat": t.csat,
        "data": _ticket.dump_json(t).decode(),
    }  # fmt: skip
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    updates = ", ".join(f"{name} = excluded.{name}" for name in values if name != "number")
    db.execute(
        f"INSERT INTO tickets ({names}) VALUES ({marks}) ON CONFLICT (number) DO UPDATE SET {updates}", values
    )  # noqa: S608


def _journal(db: sqlite3.Connection, change: Commit) -> int:
    content = json.dumps(change.content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    last = db.execute("SELECT hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    row = {
        "at": change.now, "case_id": change.case.id, "event": change.event, "event_key": change.event_key,
        "decision": change.decision, "why": change.why, "phase": str(change.case.phase),
        "ticket": change.case.ticket.number if change.case.ticket else None, "ms": round(change.ms, 3),
        "content_hash": hashlib.sha256(content.encode()).hexdigest(), "previous": last[0] if last else "",
    }  # fmt: skip
    cursor = db.execute(
        """INSERT INTO journal (at, case_id, event, event_key, decision, why, phase, ticket, ms, content, content_hash,
           previous, hash) VALUES (:at, :case_id, :event, :event_key, :decision, :why, :phase, :ticket, :ms, :content,
           :content_hash, :previous, :hash)""",
        {**row, "content": content, "hash": chain_hash(row)},
    )
    return int(cursor.lastrowid or 0)


def chain_hash(row: Mapping[str, Any]) -> str:
    """The hash of a journal row: of everything but its content (which has a hash of its own) and its number."""
    names = (
        "at",
        "case_id",
        "event",
        "event_key",
        "decision",
        "why",
        "phase",
        "ticket",
        "ms",
        "content_hash",
        "previous",
    )
    return hashlib.sha256(json.dumps([row[n] for n in names], ensure_ascii=False).encode()).hexdigest()


def _promise(db: sqlite3.Connection, out: Outgoing, change: Commit, journal: int, number: int) -> Row:
    case, now = change.case, change.now
    if out.do == "edit":  # of several waiting edits of one message only the newest counts
        db.execute(
            """UPDATE outbox SET state = 'superseded', error = 'a newer edit' WHERE case_id = ? AND state = 'pending'
               AND attempts = 0 AND json_extract(payload, '$.do') = 'edit' AND json_extract(payload, '$.target') = ?""",
            (case.id, out.target),
        )
    key = f"{case.id}/{journal}/{number}"
    cursor = db.execute(
        """INSERT INTO outbox (case_id, platform, lane, payload, key, audience, voice, epoch, anchor, not_before, created_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (case.id, out.platform, out.lane, dump(out), key, out.audience, out.voice, case.epoch, out.anchor,
         now + out.delay, now),
    )  # fmt: skip
    return Row(
        int(cursor.lastrowid or 0), case.id, key, case.epoch, out, "pending", now + out.delay, 0, 0, None, now
    )


def _row(r: sqlite3.Row) -> Row:
    return Row(
        r["id"], r["case_id"], r["key"], r["epoch"], load(r["payload"]), r["state"], r["not_before"], r["attempts"],
        r["parts_done"], r["first_try_at"], r["created_at"],
    )  # fmt: skip


def _start_sending(db: sqlite3.Connection, row_id: int, now: float) -> tuple[Row | None, dict[str, MsgRef]]:
    fenced = """audience = 'customer' AND voice = 'bot' AND
                epoch < coalesce((SELECT epoch FROM cases WHERE cases.id = outbox.case_id), 0)"""
    db.execute(
        f"""UPDATE outbox SET state = 'superseded', error = 'a person stepped in'
            WHERE id = ? AND state IN ('pending', 'ambiguous') AND {fenced}""",  # noqa: S608
        (row_id,),
    )
    cursor = db.execute(
        """UPDATE outbox SET state = 'sending', attempts = attempts + 1, first_try_at = coalesce(first_try_at, ?)
           WHERE id = ? AND state IN ('pending', 'ambiguous')""",
        (now, row_id),
    )
    if cursor.rowcount != 1:
        return None, {}
    row = _row(db.execute("SELECT * FROM outbox WHERE id = ?", (row_id,)).fetchone())
    anchors = {}
    for name in filter(None, (row.out.needs,)):
        found = db.execute("SELECT ref FROM anchors WHERE name = ?", (name,)).fetchone()
        if found:
            anchors[name] = _ref.validate_json(found[0])
    return row, anchors


def _anchor(db: sqlite3.Connection, name: str, case_id: str, ref: MsgRef, now: float) -> None:
    db.execute(
        "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?, ?, ?, ?)",
        (name, case_id, ref.place.platform, ref.place.channel, ref.id, _ref.dump_json(ref).decode(), now),
    )


def _keep(db: sqlite3.Connection, keep: Keep, case_id: str, now: float) -> None:
    data = json.dumps(dict(keep.data), ensure_ascii=False, sort_keys=True, default=str)
    db.execute(
        "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", (keep.kind, keep.key, case_id, now, data)
    )
