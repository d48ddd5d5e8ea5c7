"""Wrong answers get called back: who was told a text that is no longer approved, and the correction, once each.

Each correction is an event of its conversation, keyed by receipt and version: a second press, a crash in the middle
or two admins at once change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.port import ChoreDone, Place
from bot.clock import Clock
from bot.storage import Storage
from knowledge.library import Library

DAYS = 30.0
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Told:
    """One answer that was given from a text that has changed or gone since."""

    receipt: str
    case_id: str
    topic: str
    version: str
    question: str
    at: float


class Recall:
    def __init__(self, library: Library, storage: Storage, *, clock: Clock) -> None:
        self._library, self._storage, self._clock = library, storage, clock
        self._put: Callable[[ChoreDone, str], Awaitable[None]] | None = None

    def connect(self, put: Callable[[ChoreDone, str], Awaitable[None]]) -> None:
        self._put = put

    async def told(self, topic: str = "") -> list[Told]:
        """Answers of the last 30 days, and of conversations that are still open, whose text is no longer in use."""
        rows = await self._storage.query(
            """SELECT records.key, records.case_id, records.at, records.data FROM records
               WHERE kind = 'receipt' AND (records.at >= ? OR case_id IN
                 (SELECT case_id FROM tickets WHERE state NOT IN ('solved', 'closed')))
               ORDER BY records.at""",
            (self._clock.now() - DAYS * 86400,),
        )
        now = self._library.versions()
        found = []
        for row in rows:
            data = json.loads(row["data"])
            if data.get("delivered") is False:
                continue
            for question, name, version in data.get("parts") or [
                [data["question"], data["topic"], data["version"]]
            ]:
                if (not topic or name == topic) and version not in _versions(now, name):
                    found.append(Told(row["key"], row["case_id"], name, version, question, row["at"]))
        return found

    async def show(self, topic: str) -> dict[str, Any]:
        told = await self.told(topic)
        return {
            "topic": topic, "told": len(told),
            "answers": [{"receipt": t.receipt, "question": t.question, "version": t.version} for t in told[:SHOWN]],
        }  # fmt: skip

    async def correct(self, topic: str, text: str = "") -> dict[str, Any]:
        """Send the correction to everybody who was told an old version of `topic`: the approved text of today, or
        `text` where there is none any more."""
        told = await self.told(topic)
        approved = text or await self._library.text_of(topic)
        if not approved:
            return {
                "problem": "gone",
                "topic": topic,
                "told": len(told),
            }
        version = next(iter(_versions(self._library.versions(), topic)), "withdrawn")
        for one in told:
            await self._tell(one.case_id, f"correct:{one.receipt}:{version}", "correction",
                             {"receipt": one.receipt, "text": approved, "version": version, "title": topic})  # fmt: skip
        return {"topic": topic, "corrected": len(told), "version": version}

    async def incident_over(self, incident: str, text: str) -> int:
        """Everybody who was told about this incident hears once that it is over."""
        rows = await self._storage.query(
            """SELECT DISTINCT case_id FROM records WHERE kind = 'subscription' AND
               json_extract(data, '$.incident') = ?""",
            (incident,),
        )
        for row in rows:
            await self._tell(row["case_id"], f"over:{incident}:{row['case_id']}", "incident_over",
                             {"incident": incident, "text": text})  # fmt: skip
        return len(rows)

    async def _tell(self, case_id: str, key: str, chore: str, result: Mapping[str, Any]) -> None:
        conversation = await self._storage.conversation_of_case(case_id)
        case = await self._storage.case(conversation) if conversation else None
        if self._put is None or case is None or conversation is None:
            return
        place: Place = case.place
        event = ChoreDone(
            keys=(key,), place=place, actor=None, occurred_at=self._clock.now(), chore=chore, ok=True,
            result=dict(result),
        )  # fmt: skip
        await self._put(event, conversation)


def _versions(now: Mapping[str, str], topic: str) -> Sequence[str]:
    """The versions of a topic in use, in whichever language."""
    return [version for name, version in now.items() if name.split("@")[0] == topic]
