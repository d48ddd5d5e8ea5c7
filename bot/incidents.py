"""Many ask the same at once: the desk hears of it once; while an incident is open, whoever asks gets its one text."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog

from adapters.port import ChoreDone
from bot.clock import Clock
from bot.storage import Storage
from handoff.model import Case
from knowledge.library import Library

log = structlog.get_logger("incidents")

LIKENESS_OPEN = 0.55  # cosine of a question to the incident's own wording
LIKENESS_SAME = 0.6  # cosine of two questions that ask the same; docs/handoff.md
QUESTIONS_KEPT = 500


@dataclass(slots=True)
class Asked:
    at: float
    customer: str
    question: str
    vector: np.ndarray
    told: bool = False  # the desk has heard of the burst that it belongs to


class Incidents:
    def __init__(
        self, storage: Storage, library: Library, *, similar: int, minutes: float, clock: Clock
    ) -> None:
        self._storage, self._library, self._clock = storage, library, clock
        self._similar, self._seconds = similar, minutes * 60
        self._asked: deque[Asked] = deque(maxlen=QUESTIONS_KEPT)
        self._open: dict[str, Any] | None = None
        self._put: Callable[[ChoreDone, str], Awaitable[None]] | None = None

    def connect(self, put: Callable[[ChoreDone, str], Awaitable[None]]) -> None:
        self._put = put

    async def joined(self, question: str) -> tuple[str, str]:
        """(incident id, its approved text) when this question belongs to the open incident, else empty."""
        if self._open is None:
            await self.refresh()
        incident = self._open
        if not incident:
            return "", ""
        try:
            like = await self._library.embed([question, str(incident["text"])])
        except Exception:
            log.exception("incident_not_compared")
            return "", ""
        near = float(like[0] @ like[1]) >= LIKENESS_OPEN
        return (str(incident["opened_at"]), str(incident["text"])) if near else ("", "")

    async def refresh(self) -> None:
        """Read the open incident again; whoever changes it calls this."""
        self._open = json.loads(await self._storage.get("incident") or "{}")

    async def watch(self, case: Case, question: str, conversation: str) -> None:
        """Count a question that could not be answered; tell the desk once when enough people ask alike."""
        now = self._clock.now()
        vector = (await self._library.embed([question]))[0]
        while self._asked and self._asked[0].at < now - self._seconds:
            self._asked.popleft()
        self._asked.append(Asked(now, case.customer.id, question, vector))
        alike = [a for a in self._asked if float(a.vector @ vector) >= LIKENESS_SAME]
        people = {a.customer for a in alike}
        told = any(a.told for a in alike)
        if self._put is None or not (told or len(people) >= self._similar):
            return
        for one in alike:
            one.told = True
        if told:
            return
        event = ChoreDone(
            keys=(f"incident-suspected:{case.id}:{now:.0f}",), place=case.place, actor=None, occurred_at=now,
            chore="incident_suspected", ok=True,
            # An example of this conversation's own: what it holds of others' words would outlive their erasure.
            result={"people": len(people), "minutes": round(self._seconds / 60), "examples": [question]},
        )  # fmt: skip
        await self._put(event, conversation)
