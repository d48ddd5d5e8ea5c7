"""THE SQL of what may have been missed: the last message known of each place, and what people wrote there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from adapters.port import Mark, MsgRef, Place
from bot.outgoing import thread_under

_ref: TypeAdapter[MsgRef] = TypeAdapter(MsgRef)
_place: TypeAdapter[Place] = TypeAdapter(Place)

MARKS_MAX = 500
KNOWN_CASES, KNOWN_LINES = 100, 50  # how much is looked at again for edits and deletions


def mark(db: sqlite3.Connection, place: Place, last: str, *, is_root: bool, now: float) -> None:
    """Remember the newest message of a place: of the channel for a top-level message, else of the thread."""
    if is_root:
        place = Place(place.platform, place.tenant, place.channel, None, place.kind, place.external)
    db.execute(
        """INSERT INTO marks VALUES (?, ?, ?, ?, ?) ON CONFLICT (platform, place) DO UPDATE SET
           last = CASE WHEN (length(excluded.last), excluded.last) > (length(last), last) THEN excluded.last ELSE last END,
           at = excluded.at""",
        (place.platform, place.conversation, _place.dump_json(place).decode(), last, now),
    )


def watch(db: sqlite3.Connection, places: Sequence[Mark], now: float) -> None:
    """Marks for places that have none: from there on something can be missed."""
    rows = [
        (m.place.platform, m.place.conversation, _place.dump_json(m.place).decode(), m.after, now)
        for m in places
    ]
    db.executemany("INSERT OR IGNORE INTO marks VALUES (?, ?, ?, ?, ?)", rows)


def forget(db: sqlite3.Connection, before: float) -> None:
    """Threads and direct messages of conversations that are no longer kept; channels are watched for ever."""
    db.execute(
        """DELETE FROM marks WHERE at < ? AND (place NOT LIKE '%:-' OR json_extract(data, '$.kind') = 'dm')
           AND place NOT IN (SELECT conversation FROM cases)""",
        (before,),
    )


def marks(db: sqlite3.Connection, platform: str) -> list[Mark]:
    """Where something may have been missed, each with the last message known: the channels, the conversations (also
    those in which nobody has written twice yet) and the staff threads of open tickets; with the messages there that
    may have been edited or deleted."""
    rows = db.execute(
        """SELECT data, last FROM marks WHERE platform = ? AND (place LIKE '%:-' OR place IN
           (SELECT conversation FROM cases) OR json_extract(data, '$.kind') = 'private') ORDER BY at DESC LIMIT ?""",
        (platform, MARKS_MAX),
    )
    found = {m.place.conversation: m for m in (Mark(_place.validate_json(r[0]), r[1]) for r in rows)}
    rows = db.execute(
        """SELECT json_extract(state, '$.place'), json_extract(state, '$.origin.id'), json_extract(state, '$.public')
           FROM cases WHERE platform = ? ORDER BY updated_at DESC LIMIT ?""",
        (platform, MARKS_MAX),
    )
    cards = db.execute(
        """SELECT ref FROM tickets JOIN anchors ON anchors.name = 'T-' || number || '/card'
           WHERE anchors.platform = ? AND state NOT IN ('solved', 'closed') ORDER BY number DESC LIMIT ?""",
        (platform, MARKS_MAX),
    )
    threads = [(_place.validate_json(place), r[1]) for r in rows if r[1] for place in (r[0], r[2]) if place]
    threads += [(thread_under(ref), ref.id) for ref in (_ref.validate_json(r[0]) for r in cards)]
    for place, root in threads:
        if place.thread is not None:
            found.setdefault(place.conversation, Mark(place, root))
    lines = known(db, platform)
    return [replace(m, known=tuple(lines.get(key, ()))) for key, m in found.items()]


def known(db: sqlite3.Connection, platform: str) -> dict[str, list[MsgRef]]:
    """What people wrote in the newest conversations that are not over, by the place where it stands."""
    rows = db.execute(
        """SELECT json_extract(line.value, '$.ref') FROM
           (SELECT id, state FROM cases WHERE platform = ? AND NOT EXISTS (SELECT 1 FROM tickets WHERE case_id = cases.id
            AND number = json_extract(cases.state, '$.ticket.number') AND tickets.state IN ('solved', 'closed'))
            ORDER BY updated_at DESC LIMIT ?) AS open, json_each(open.state, '$.said') AS line
           WHERE json_extract(line.value, '$.ref') IS NOT NULL AND json_extract(line.value, '$.deleted') IS NULL
           ORDER BY line.key""",
        (platform, KNOWN_CASES),
    )
    found: dict[str, list[MsgRef]] = {}
    for (text,) in rows:
        ref = _ref.validate_json(text)
        found.setdefault(ref.place.conversation, []).append(ref)
    return {key: refs[-KNOWN_LINES:] for key, refs in found.items()}
