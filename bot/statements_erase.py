"""THE SQL of forgetting a person: everything of theirs goes, the journal's chain stays whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from adapters.port import Actor
from bot import statements as sql
from bot.outgoing import Outgoing
from bot.statements import Commit, Row
from handoff.effects import Keep
from handoff.model import Case


def erase_person(
    db: sqlite3.Connection,
    who: tuple[str, str, str],
    farewell: Callable[[Case, Sequence[str]], Sequence[Outgoing]],
    now: float,
) -> tuple[dict[str, int], list[Row]]:
    """Erase a person's conversations: counts, and the rows that tell the desk."""
    found = db.execute(
        "SELECT state FROM cases WHERE platform = ? AND tenant = ? AND customer = ?", who
    ).fetchall()
    told: list[Row] = []
    counts = erase_cases(db, ())
    for case in [sql.case_json.validate_json(row[0]) for row in found]:
        anchors = db.execute("SELECT name, ref FROM anchors WHERE case_id = ?", (case.id,)).fetchall()
        outs = farewell(case, [row["name"] for row in anchors])
        for kind, count in erase_cases(db, [case.id]).items():
            counts[kind] += count
        needed = {out.needs for out in outs}  # names of the bot's own messages; they hold no word
        for row in anchors:
            if row["name"] in needed:
                sql.anchor(db, row["name"], case.id, sql.ref_json.validate_json(row["ref"]), now)
        if case.place.kind != "dm" and not case.participants:
            # The thread was ours; nothing of who was there.
            sql.keep(db, Keep("erased", case.id, {}), "", now)
        nobody = Case(case.id, case.place, Actor(case.place.platform, case.place.tenant, ""))
        change, entry = Commit(None, nobody, "", (), now), int(now * 1000)
        told += [sql.promise(db, out, change, entry, n, leaving=False) for n, out in enumerate(outs)]
    if found:
        forget_reports(db)
    return counts, told


def forget_reports(db: sqlite3.Connection) -> None:
    """Reports quote customers, and stand in the history of whoever asked for them: whose words are in which is not
    kept, so all of them go."""
    db.execute("UPDATE journal SET content = NULL WHERE event = 'chore_done' AND content NOT NULL")
    db.execute("DELETE FROM inbox WHERE kind = 'chore_done' AND state != 'new'")
    db.execute(f"DELETE FROM outbox WHERE audience = 'person' AND state NOT IN {sql.WAITING}")
    db.execute(
        """UPDATE records SET data = json_remove(data, '$.changed', '$.lost', '$.gained')
           WHERE kind = 'reload'"""
    )


def was_erased(db: sqlite3.Connection, case_id: str) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM records WHERE kind = 'erased' AND key = ?)"
    return bool(db.execute(query, (case_id,)).fetchone()[0])


def erase_cases(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    """Remove conversations with everything that belongs to them. The journal keeps a tombstone (times, decisions,
    hashes) without content, so that its chain still holds."""
    counts = dict.fromkeys(
        ("conversations", "records", "outbox", "anchors", "timers", "tickets", "journal", "inbox"), 0
    )
    for case in ids:
        for name in ("records", "outbox", "anchors", "timers", "tickets"):
            counts[name] += db.execute(f"DELETE FROM {name} WHERE case_id = ?", (case,)).rowcount
        counts["journal"] += db.execute(
            "UPDATE journal SET content = NULL WHERE case_id = ? AND content NOT NULL", (case,)
        ).rowcount
        counts["inbox"] += db.execute(
            "DELETE FROM inbox WHERE state != 'new' AND conversation = (SELECT conversation FROM cases WHERE id = ?)",
            (case,),
        ).rowcount
        counts["conversations"] += db.execute("DELETE FROM cases WHERE id = ?", (case,)).rowcount
    return counts
