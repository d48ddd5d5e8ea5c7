"""What staff ask of the stored data: gaps, reviews, reports, tickets, why; and what a customer may ask of it.

Reads only, but for `erase`. Numbers are computed from stored rows, never counted by hand.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from adapters.port import Actor
from bot.erasing import Farewell
from bot.storage import Row, Storage

DAY = 86400.0
SHOWN = 15
CONTENT = 4  # of CSAT's 1-5, from here on a customer counts as satisfied
NEGATIVE = ("wrong", "outdated", "unclear", "incomplete")


class Reports:
    """`farewell`: what the desk is shown instead of somebody who was erased; `promised` is given its rows."""

    def __init__(
        self,
        storage: Storage,
        *,
        farewell: Farewell = lambda *_: (),
        promised: Callable[[Sequence[Row]], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._storage, self._farewell, self._promised, self._now = storage, farewell, promised, now

    async def named(self, name: str, args: Mapping[str, Any], now: float) -> dict[str, Any]:
        """The report that a slash command asks for."""
        text = str(args.get("text", "")).strip()
        match name:
            case "gaps":
                return await self.gaps(now - 30 * DAY)
            case "review":
                return await self.review(now - 30 * DAY)
            case "tickets":
                return {
                    "tickets": await self.tickets(
                        states=text.split() or ["new", "open", "pending", "escalated"]
                    )
                }
            case "why":
                return await self.why(text)
            case _:
                return await self.week(now - 7 * DAY, now)

    async def tickets(self, *, states: Sequence[str] = (), limit: int = 50) -> list[dict[str, Any]]:
        """Tickets, most urgent first."""
        where = f"WHERE state IN ({','.join('?' * len(states))})" if states else ""
        return await self._storage.query(
            f"""SELECT number, state, priority, category, leaf, subject, customer_name, assignee_name, platform, opened_at,
                claimed_at, first_response_at, first_response_due, resolution_due, solved_at, closed_at,
                resolution_type, root_cause, csat, reopened, escalated_ever, trigger, route
                FROM tickets {where} ORDER BY priority, opened_at LIMIT ?""",
            (*states, limit),
        )

    async def ticket(self, number: int) -> dict[str, Any] | None:
        """Everything about one ticket, its conversation included."""
        rows = await self._storage.query(
            "SELECT tickets.*, cases.state AS case_state FROM tickets JOIN cases ON cases.id = case_id WHERE number = ?",
            (number,),
        )
        if not rows:
            return None
        row = rows[0]
        case, data = json.loads(row.pop("case_state")), json.loads(row.pop("data"))
        journal = await self._storage.query(
            "SELECT at, event, decision, why FROM journal WHERE case_id = ? ORDER BY seq", (row["case_id"],)
        )
        return {**row, "details": data, "said": case.get("said", []), "history": journal}

    async def gaps(self, since: float) -> dict[str, Any]:
        """Questions that knowledge does not cover, the most frequent first."""
        rows = await self._storage.query(
            "SELECT at, data FROM records WHERE kind = 'gap' AND at >= ? ORDER BY at DESC", (since,)
        )
        groups: Counter[str] = Counter()
        shown: dict[str, str] = {}
        for row in rows:
            question = str(json.loads(row["data"]).get("question", ""))
            key = " ".join(sorted(set(question.casefold().split())))
            groups[key] += 1
            shown.setdefault(key, question)
        return {
            "gaps": [{"question": shown[k], "times": n} for k, n in groups.most_common(SHOWN)],
            "total": len(rows),
        }

    async def review(self, since: float) -> dict[str, Any]:
        """What was answered wrongly: votes, each bound to the exact version of the topic; and the topics that agents
        have proposed."""
        rows = await self._storage.query(
            "SELECT data FROM records WHERE kind = 'feedback' AND at >= ? ORDER BY at DESC", (since,)
        )
        votes = [json.loads(row["data"]) for row in rows]
        negative = [vote for vote in votes if vote.get("vote") != "helpful"]
        kept = await self._storage.query(
            "SELECT key, data FROM records WHERE kind = 'proposal' AND at >= ? ORDER BY at DESC", (since,)
        )
        proposals = [{**json.loads(row["data"]), "key": row["key"]} for row in kept]
        return {
            "reviews": negative[:SHOWN], "total": len(negative), "helpful": len(votes) - len(negative),
            "proposals": proposals[:SHOWN],
        }  # fmt: skip

    async def why(self, text: str) -> dict[str, Any]:
        """The decisions of one ticket, newest last, or the receipt of one answer (A-…); without either, the latest
        decisions."""
        wanted = text.strip().upper()
        if wanted.startswith("A-"):
            return await self._receipt(text.strip())
        if wanted.startswith("T-") and wanted[2:].isdigit():
            if not await self._one("SELECT count(*) FROM tickets WHERE number = ?", int(wanted[2:])):
                return {"problem": "no_ticket", "given": wanted}
            where, values = (
                "WHERE case_id = (SELECT case_id FROM tickets WHERE number = ?)",
                (int(wanted[2:]),),
            )
            rows = await self._storage.query(
                f"SELECT at, event, decision, why FROM journal {where} ORDER BY seq DESC LIMIT ?",
                (*values, SHOWN),
            )
            ahead = await self._storage.query(
                "SELECT timer, at FROM timers WHERE case_id = (SELECT case_id FROM tickets WHERE number = ?) ORDER BY at",
                values,
            )
        else:
            ahead = []
            rows = await self._storage.query(
                "SELECT at, event, decision, why FROM journal ORDER BY seq DESC LIMIT ?", (SHOWN,)
            )
        return {"decisions": rows[::-1], "ahead": ahead}

    async def _receipt(self, key: str) -> dict[str, Any]:
        rows = await self._storage.query(
            "SELECT data FROM records WHERE kind = 'receipt' AND key = ? COLLATE NOCASE", (key,)
        )
        return (
            {"receipt": json.loads(rows[0]["data"])} if rows else {"problem": "no_ticket", "given": key[:60]}
        )

    async def week(self, since: float, now: float) -> dict[str, Any]:
        """The weekly digest: volume, speed, quality. Deflection counts only what customers confirmed."""
        count = await self._storage.query(
            "SELECT decision, count(*) AS n FROM journal WHERE at >= ? AND at < ? GROUP BY decision",
            (since, now),
        )
        decisions = {row["decision"]: row["n"] for row in count}
        conversations = await self._one(
            "SELECT count(DISTINCT case_id) FROM journal WHERE decision != 'command' AND at >= ? AND at < ?",
            since, now,
        )  # fmt: skip
        tickets = await self._storage.query(
            "SELECT * FROM tickets WHERE opened_at >= ? AND opened_at < ?", (since, now)
        )
        helpful = await self._one(
            """SELECT count(*) FROM records WHERE kind = 'feedback' AND json_extract(data, '$.vote') = 'helpful'
               AND at >= ? AND at < ?""",
            since, now,
        )  # fmt: skip
        first = [t["first_response_at"] - t["opened_at"] for t in tickets if t["first_response_at"]]
        solve = [t["solved_at"] - t["opened_at"] for t in tickets if t["solved_at"]]
        rated = [t["csat"] for t in tickets if t["csat"]]
        return {
            "from": since, "to": now, "conversations": conversations, "answered": decisions.get("answer", 0),
            "clarified": decisions.get("clarify", 0), "tickets": len(tickets),
            "confirmed_solved_by_bot": helpful,
            "deflection": round(helpful / conversations, 3) if conversations else None,
            "first_response_seconds": _spread(first), "resolution_seconds": _spread(solve),
            "csat": round(sum(1 for r in rated if r >= CONTENT) / len(rated), 3) if rated else None,
            "by_category": dict(Counter(t["category"] for t in tickets).most_common()),
            "by_trigger": dict(Counter(t["trigger"] for t in tickets if t["trigger"]).most_common()),
            "by_leaf": _counted(f"{t['category']} › {t['leaf']}" for t in tickets if t["leaf"]),
            "by_priority": dict(sorted(Counter(t["priority"] for t in tickets).items())),
            "reopened": sum(1 for t in tickets if t["reopened"]),
            "decisions": decisions,
            **await self._drafts(since, now), **await self._captured(since, now),
        }  # fmt: skip

    async def _drafts(self, since: float, now: float) -> dict[str, Any]:
        """What became of the drafts that agents were offered: those that go out unchanged tell when a category is
        ready to be answered without a person."""
        rows = await self._storage.query(
            """SELECT kind, key, data FROM records
               WHERE kind IN ('draft', 'draft_outcome') AND at >= ? AND at < ?""",
            (since, now),
        )
        settled = [json.loads(row["data"]) for row in rows if row["kind"] == "draft_outcome"]
        became = Counter(str(one.get("outcome", "")) for one in settled)
        return {
            "drafts": {
                "offered": len({row["key"] for row in rows}), "sent_unchanged": became["sent"],
                "edited": became["edited"], "discarded": became["discarded"],
                "unchanged_share": round(became["sent"] / len(settled), 3) if settled else None,
            },
            "drafts_settled_by_category": _counted(one.get("category") for one in settled),
            "drafts_unchanged_by_category": _counted(one.get("category") for one in settled if one.get("unchanged")),
        }  # fmt: skip

    async def _captured(self, since: float, now: float) -> dict[str, Any]:
        """The capture records of what began in these days, as they stand now: who was helped by whom, with what, and
        whether the customer can be reached elsewhere."""
        rows = await self._storage.query(
            """SELECT data FROM records WHERE kind = 'capture' AND coalesce(json_extract(data, '$.began'), at) >= ?
               AND coalesce(json_extract(data, '$.began'), at) < ?""",
            (since, now),
        )
        kept = [json.loads(row["data"]) for row in rows]
        handed = [one for one in kept if one.get("escalated")]
        return {
            "captured": {
                "total": len(kept), "solved_by_bot": len(kept) - len(handed), "handed_over": len(handed),
                "resolved": sum(bool(one.get("resolved")) for one in handed),
                "reachable": sum(bool(one.get("contact")) for one in handed),
            },
            "by_platform": _counted(one.get("platform") for one in kept),
        }  # fmt: skip

    # --- privacy -------------------------------------------------------------------------------------------

    async def mine(self, customer: Actor) -> dict[str, Any]:
        """All and only this person's rows."""
        who = (customer.platform, customer.tenant, customer.id)
        cases = await self._storage.query(
            "SELECT id, state FROM cases WHERE platform = ? AND tenant = ? AND customer = ?", who
        )
        tickets = await self._storage.query(
            "SELECT number, state, subject, opened_at, data FROM tickets WHERE platform = ? AND tenant = ? AND customer = ?",
            who,
        )
        records = await self._storage.query(
            f"SELECT kind, key, at, data FROM records WHERE case_id IN ({','.join('?' * len(cases)) or 'NULL'})",
            [case["id"] for case in cases],
        )
        return {
            "conversations": [json.loads(case["state"]) for case in cases],
            "tickets": [{**t, "data": json.loads(t["data"])} for t in tickets],
            "records": [{**r, "data": json.loads(r["data"])} for r in records],
        }

    async def erase(self, customer: Actor) -> dict[str, Any]:
        """Empty everything of this person; history keeps hashes, times and decisions, no words. The desk is told, and
        its copies go."""
        counts, rows = await self._storage.erase(
            customer.platform, customer.tenant, customer.id, self._farewell, self._now()
        )
        self._promised(rows)
        await self._storage.scrub()
        return dict(counts)

    async def verify(self) -> dict[str, Any]:
        """Walk the journal's chain of hashes; names the first row that does not fit."""
        from bot.statements import chain_hash

        rows = await self._storage.query("SELECT * FROM journal ORDER BY seq")
        previous = ""
        for row in rows:
            content = row["content"]
            broken = (
                row["previous"] != previous
                or row["hash"] != chain_hash(row)
                or (
                    content is not None
                    and hashlib.sha256(content.encode()).hexdigest() != row["content_hash"]
                )
            )
            if broken:
                return {"ok": False, "rows": len(rows), "broken_at": row["seq"]}
            previous = row["hash"]
        return {"ok": True, "rows": len(rows), "broken_at": None}

    async def _one(self, statement: str, *values: Any) -> int:
        rows = await self._storage.query(statement, values)
        return int(next(iter(rows[0].values())) or 0)


def _counted(values: Iterable[object]) -> dict[str, int]:
    """How often each occurs, the most frequent first."""
    return dict(Counter(str(value) for value in values if value).most_common())


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median, mean and 95th percentile."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "mean": round(statistics.fmean(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
    }
