"""Wrong answers get called back: who was told a text that is no longer approved, and the correction, once each.

Told is what the bot answered, every topic that a composed answer cites, and what an agent sent from a draft. Each
correction is an event of its conversation, keyed by receipt, topic and version: a second press, a crash in the middle
or two admins at once change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.port import ChoreDone
from bot.clock import Clock
from bot.storage import Storage
from handoff.model import Case
from knowledge.library import Library
from knowledge.passage import Topic

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
               WHERE (kind = 'receipt' OR kind = 'draft' AND EXISTS (
                 SELECT 1 FROM records AS settled WHERE settled.kind = 'draft_outcome' AND settled.key = records.key
                 AND json_extract(settled.data, '$.outcome') IN ('sent', 'edited') AND NOT EXISTS (
                   SELECT 1 FROM records AS back WHERE back.kind = 'taken_back'
                   AND back.key = json_extract(settled.data, '$.reply'))))
               AND (records.at >= ? OR case_id IN
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
            for question, name, version in _told_in(data):
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
        """Send the correction to everybody who was told an old version of `topic`: the approved text of today, in the
        conversation's language where there is one, or `text` where there is none any more."""
        told = await self.told(topic)
        today = [one for one in self._library.topics() if one.id == topic]
        if not today and not text:
            return {"problem": "gone", "topic": topic, "told": len(told)}
        versions = self._library.versions()
        for one in told:
            found = await self._conversation(one.case_id)
            if found is None:
                continue
            now = _spoken(today, found[1].language)
            version = versions[now.key] if now is not None else "withdrawn"
            await self._tell(*found, f"correct:{one.receipt}:{topic}:{version}", "correction", {
                "receipt": one.receipt, "topic": topic, "text": text or (now.body if now is not None else ""),
                "version": version, "title": now.title if now is not None else topic,
            })  # fmt: skip
        version = versions[today[0].key] if today else "withdrawn"
        return {"topic": topic, "corrected": len(told), "version": version}

    async def incident_over(self, incident: str, text: str) -> int:
        """Everybody who was told about this incident hears once that it is over."""
        rows = await self._storage.query(
            """SELECT DISTINCT case_id FROM records WHERE kind = 'subscription' AND
               json_extract(data, '$.incident') = ?""",
            (incident,),
        )
        for row in rows:
            if found := await self._conversation(row["case_id"]):
                await self._tell(*found, f"over:{incident}:{row['case_id']}", "incident_over",
                                 {"incident": incident, "text": text})  # fmt: skip
        return len(rows)

    async def _conversation(self, case_id: str) -> tuple[str, Case] | None:
        """The name and the state of a conversation that is still kept."""
        conversation = await self._storage.conversation_of_case(case_id)
        case = await self._storage.case(conversation) if conversation else None
        return (conversation, case) if conversation and case is not None else None

    async def _tell(
        self, conversation: str, case: Case, key: str, chore: str, result: Mapping[str, Any]
    ) -> None:
        if self._put is None:
            return
        event = ChoreDone(
            keys=(key,), place=case.place, actor=None, occurred_at=self._clock.now(), chore=chore, ok=True,
            result=dict(result),
        )  # fmt: skip
        await self._put(event, conversation)


def _told_in(data: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
    """(question, topic, version) of everything that the words of an answer or a sent draft are from, each once."""
    parts = data.get("parts")
    if parts is None:
        parts = [[data["question"], data["topic"], data["version"]]] if "topic" in data else []
    found = [(question, topic, version) for question, topic, version in parts]
    for (question, _, _), more in zip(found.copy(), data.get("each") or (), strict=False):
        found += [(question, topic, version) for topic, version, _ in more["cites"]]
    return list(
        {
            (topic, version): (question, topic, version) for question, topic, version in reversed(found)
        }.values()
    )


def _spoken(topics: Sequence[Topic], language: str) -> Topic | None:
    """The one in a language; the first where there is none."""
    return next((one for one in topics if one.language == language), topics[0] if topics else None)


def _versions(now: Mapping[str, str], topic: str) -> Sequence[str]:
    """The versions of a topic in use, in whichever language."""
    return [version for name, version in now.items() if name.split("@")[0] == topic]
