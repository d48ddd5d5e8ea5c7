"""THE SQL of the line: plain functions on the writer's connection, each inside the writer's transaction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from adapters.codec import dump_inbound, load_inbound
from adapters.port import Envelope, Inbound, MsgRef, Place
from bot.outgoing import Outgoing, dump, load
from bot.statements_marks import mark
from handoff.effects import Keep, Link, Wake
from handoff.model import Case, Ticket

case_json: TypeAdapter[Case] = TypeAdapter(Case)
ref_json: TypeAdapter[MsgRef] = TypeAdapter(MsgRef)
place_json: TypeAdapter[Place] = TypeAdapter(Place)
ticket_json: TypeAdapter[Ticket] = TypeAdapter(Ticket)

WAITING = "('pending', 'sending', 'ambiguous')"
# A message of an agent that waits in the customer's thread: the takeover is recorded, though not decided yet.
STEPPING_IN = """SELECT 1 FROM cases JOIN inbox USING (conversation) WHERE cases.id = outbox.case_id AND
    inbox.state = 'new' AND kind = 'message' AND json_extract(payload, '$.place.channel') = cases.channel AND
    json_extract(payload, '$.actor.id') != cases.customer AND
    (instr(json_extract(payload, '$.actor.roles'), '"agent"') OR instr(json_extract(payload, '$.actor.roles'), '"admin"'))"""


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
    settled: tuple[int, ...] = ()  # edits that were applied to this message

    @property
    def seqs(self) -> tuple[int, ...]:
        return (self.seq, *self.settled)


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
    leaving: frozenset[str] = (
        frozenset()
    )  # lanes whose first row leaves at once: it is claimed in this transaction
    event: str = ""
    event_key: str = ""
    decision: str = ""
    why: str = ""
    ms: float = 0.0
    content: Mapping[str, Any] = field(default_factory=dict)


def ref_key(ref: MsgRef) -> str:
    return f"{ref.place.platform}:{ref.place.channel}:{ref.id}"


def record(db: sqlite3.Connection, event: Inbound, conversation: str, now: float) -> int | None:
    marks = ",".join("?" * len(event.keys))
    if db.execute(f"SELECT 1 FROM seen WHERE key IN ({marks})", event.keys).fetchone():
        remember(db, event, 0, now)
        return None
    ref = getattr(event, "ref", None)
    cursor = db.execute(
        "INSERT INTO inbox (conversation, kind, ref, payload, occurred_at, received_at) VALUES (?, ?, ?, ?, ?, ?)",
        (conversation, event.type, ref_key(ref) if ref else "", dump_inbound(event), event.occurred_at, now),
    )
    seq = int(cursor.lastrowid or 0)
    remember(db, event, seq, now)
    if event.type == "message":
        mark(db, event.place, event.ref.id, is_root=event.is_root, now=now)
    return seq


def remember(db: sqlite3.Connection, event: Envelope, seq: int, now: float) -> None:
    db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", [(key, seq, now) for key in event.keys])


def recorded(db: sqlite3.Connection, row: sqlite3.Row) -> Recorded:
    known = True
    if row["kind"] in ("edited", "deleted"):
        query = "SELECT 1 FROM inbox WHERE ref = ? AND kind = 'message' AND state != 'new'"
        known = db.execute(query, (row["ref"],)).fetchone() is not None
    return Recorded(row["seq"], load_inbound(row["payload"]), row["received_at"], row["attempts"], known)


def load_case(db: sqlite3.Connection, conversation: str) -> Case | None:
    row = db.execute("SELECT state FROM cases WHERE conversation = ?", (conversation,)).fetchone()
    return case_json.validate_json(row[0]) if row else None


def finish(
    db: sqlite3.Connection, seqs: Sequence[int], state: str, note: str = "", *, empty: bool = False
) -> None:
    for seq in seqs:
        db.execute("UPDATE inbox SET state = ?, error = ? WHERE seq = ?", (state, note[:500], seq))
        if empty:
            db.execute("UPDATE inbox SET payload = '' WHERE seq = ?", (seq,))


def commit(db: sqlite3.Connection, change: Commit) -> list[Row]:
    case = change.case
    if change.before is not None or change.decision != "refuse":  # a refusal begins no conversation
        save_case(db, change)
    raised = change.before is not None and case.epoch > change.before.epoch
    if raised:
        db.execute(
            f"""UPDATE outbox SET state = 'superseded', error = 'a person stepped in' WHERE case_id = ? AND
                audience = 'customer' AND voice = 'bot' AND epoch < ? AND state IN {WAITING} AND state != 'sending'""",
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
    for kept in change.keeps:
        keep(db, kept, case.id, change.now)
    for link in change.links:
        anchor(db, link.anchor, case.id, link.ref, change.now)
    entry = journal(db, change)
    leaving = bool(change.leaving) and not stepping_in(db, case.id)
    rows = [
        promise(db, out, change, entry, number, leaving=leaving) for number, out in enumerate(change.rows)
    ]
    finish(db, change.seqs, "done")
    return rows


def save_case(db: sqlite3.Connection, change: Commit) -> None:
    case = change.case
    state = case_json.dump_json(case, exclude_defaults=True).decode()
    if change.before is None:
        cursor = db.execute(
            "INSERT OR IGNORE INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (case.id, change.conversation, case.place.platform, case.place.tenant, case.place.channel, case.customer.id,
             case.epoch, case.version, case.phase, state, change.now),
        )  # fmt: skip
    else:
        cursor = db.execute(
            """UPDATE cases SET customer = ?, epoch = ?, version = ?, phase = ?, state = ?, updated_at = ?
               WHERE id = ? AND version = ?""",
            (case.customer.id, case.epoch, case.version, case.phase, state, change.now, case.id, change.before.version),
        )  # fmt: skip
    if cursor.rowcount != 1:
        raise Conflict(case.id)
    tickets = [t for t in (change.before.ticket if change.before else None, case.ticket) if t is not None]
    if tickets and (change.before is None or change.before.ticket != case.ticket):
        for ticket in {t.number: t for t in tickets}.values():
            save_ticket(db, case, ticket)


def save_ticket(db: sqlite3.Connection, case: Case, t: Ticket) -> None:
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
        "data": ticket_json.dump_json(t).decode(),
    }  # fmt: skip
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    updates = ", ".join(f"{name} = excluded.{name}" for name in values if name != "number")
    db.execute(
        f"INSERT INTO tickets ({names}) VALUES ({marks}) ON CONFLICT (number) DO UPDATE SET {updates}", values
    )


def journal(db: sqlite3.Connection, change: Commit) -> int:
    content = json.dumps(change.content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    last = db.execute("SELECT hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    # As a hash: platforms put the id of whoever acts into some keys, and this row outlives an erasure.
    key = hashlib.sha256(change.event_key.encode()).hexdigest()[:32]
    row = {
        "at": change.now, "case_id": change.case.id, "event": change.event, "event_key": key,
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


def promise(
    db: sqlite3.Connection, out: Outgoing, change: Commit, entry: int, number: int, *, leaving: bool
) -> Row:
    """Insert one outgoing row. One that can leave at once is claimed for sending in this very transaction, which
    spares a second one before the customer is answered."""
    case, now = change.case, change.now
    if out.do == "edit":  # of several waiting edits of one message only the newest counts
        db.execute(
            """UPDATE outbox SET state = 'superseded', error = 'a newer edit' WHERE case_id = ? AND state = 'pending'
               AND attempts = 0 AND json_extract(payload, '$.do') = 'edit' AND json_extract(payload, '$.target') = ?""",
            (case.id, out.target),
        )
    key = f"{case.id}/{entry}/{number}"
    claimed = (
        leaving and out.lane in change.leaving and out.do in ("post", "open") and not (out.delay or out.needs)
    )
    state, attempts, first = ("sending", 1, now) if claimed else ("pending", 0, None)
    cursor = db.execute(
        """INSERT INTO outbox (case_id, platform, lane, payload, key, audience, voice, epoch, anchor, not_before,
           created_at, state, attempts, first_try_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (case.id, out.platform, out.lane, dump(out), key, out.audience, out.voice, case.epoch, out.anchor,
         now + out.delay, now, state, attempts, first),
    )  # fmt: skip
    return Row(
        int(cursor.lastrowid or 0),
        case.id,
        key,
        case.epoch,
        out,
        state,
        now + out.delay,
        attempts,
        0,
        first,
        now,
    )


def stepping_in(db: sqlite3.Connection, case_id: str) -> bool:
    """Has an agent written into this conversation and is only waiting to be heard?"""
    query = f"SELECT EXISTS ({STEPPING_IN.replace('outbox.case_id', ':case')})"
    return bool(db.execute(query, {"case": case_id}).fetchone()[0])


def row_of(r: sqlite3.Row) -> Row:
    return Row(
        r["id"], r["case_id"], r["key"], r["epoch"], load(r["payload"]), r["state"], r["not_before"], r["attempts"],
        r["parts_done"], r["first_try_at"], r["created_at"],
    )  # fmt: skip


def start_sending(db: sqlite3.Connection, row_id: int, now: float) -> tuple[Row | None, dict[str, MsgRef]]:
    fenced = f"""audience = 'customer' AND voice = 'bot' AND
                (epoch < coalesce((SELECT epoch FROM cases WHERE cases.id = outbox.case_id), 0) OR EXISTS ({STEPPING_IN}))"""
    db.execute(
        f"""UPDATE outbox SET state = 'superseded', error = 'a person stepped in'
            WHERE id = ? AND state IN ('pending', 'ambiguous', 'sending') AND {fenced}""",
        (row_id,),
    )
    cursor = db.execute(
        """UPDATE outbox SET state = 'sending', attempts = attempts + 1, first_try_at = coalesce(first_try_at, ?)
           WHERE id = ? AND state IN ('pending', 'ambiguous', 'sending')""",
        (now, row_id),
    )
    if cursor.rowcount != 1:
        return None, {}
    row = row_of(db.execute("SELECT * FROM outbox WHERE id = ?", (row_id,)).fetchone())
    anchors: dict[str, MsgRef] = {}
    for name in filter(None, (row.out.needs,)):
        found = db.execute("SELECT name, ref FROM anchors WHERE name = ?", (name,))
        if row.out.do == "delete":
            found = parts_of(db, name)
        anchors |= {r[0]: ref_json.validate_json(r[1]) for r in found}
    return row, anchors


def parts_of(db: sqlite3.Connection, name: str) -> sqlite3.Cursor:
    """A message that stands in several parts has the anchors "A", "A#1", "A#2", …: all of them; of a name that ends
    with "#", those after the first."""
    base = name.removesuffix("#")
    query = "SELECT name, ref FROM anchors WHERE name = ? OR (name > ? AND name < ?)"
    return db.execute(query, (name, f"{base}#", f"{base}$"))


def anchor(db: sqlite3.Connection, name: str, case_id: str, ref: MsgRef, now: float) -> None:
    if name.endswith(
        "/card"
    ):  # posted anew: what is written in the thread of the one before still belongs to it
        db.execute(
            """INSERT OR REPLACE INTO anchors SELECT name || '/' || message, case_id, platform, channel, message, ref, at
               FROM anchors WHERE name = ? AND message != ?""",
            (name, ref.id),
        )
    db.execute(
        "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?, ?, ?, ?)",
        (name, case_id, ref.place.platform, ref.place.channel, ref.id, ref_json.dump_json(ref).decode(), now),
    )


def keep(db: sqlite3.Connection, kept: Keep, case_id: str, now: float) -> None:
    data = json.dumps(dict(kept.data), ensure_ascii=False, sort_keys=True, default=str)
    db.execute(
        "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", (kept.kind, kept.key, case_id, now, data)
    )
