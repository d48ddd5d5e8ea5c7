"""A customer who asks, and what the tests read of the answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.batch import Step
from handoff.model import Case, Known
from tests import stand_ins
from tests.line.scene import (
    Line,
    place,
    says,
)

ASK = "how do refunds work?"
ANSWER = "Approved text about refunds."


def answers(line: Line, thread: str = "100") -> list[str]:
    return [s.text for s in line.home.shown.values() if ANSWER in s.text and s.ref.place.thread == thread]


def decisions(line: Line) -> list[str]:
    return line.look("SELECT decision FROM journal ORDER BY seq")


class Gathering:
    """The stand-in's facts, after whatever a test wants to happen first."""

    def __init__(self, first: Callable[[Case, Step], Any]) -> None:
        self._first = first
        self.under_way: list[str] = []
        self.inner: stand_ins.Gatherer | None = None

    async def known(self, case: Case, step: Step, number: int, anchor: str, now: float) -> Known:
        await self._first(case, step)
        assert self.inner is not None
        return await self.inner.known(case, step, number, anchor, now)


def line_with(folder: Path, first: Callable[[Case, Step], Any], **options: Any) -> Line:
    gathering = Gathering(first)
    line = Line(folder, gatherer=gathering, **options)
    gathering.inner = stand_ins.Gatherer(line.storage, line.rules, random.Random(3))
    return line


async def handed_over(line: Line, thread: str = "100", number: int = 100) -> str:
    """A customer has asked for a person; the number of the ticket."""
    await line.hears(says("I want a HUMAN", number, where=place(thread)))
    await line.passes(10)
    found = line.look("SELECT number FROM tickets ORDER BY number DESC LIMIT 1")
    return f"T-{found[0]}"
