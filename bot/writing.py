"""What the optional language model adds to the facts: a composed answer, a card's summary, a reply draft.

Nothing here decides. Whatever the model does not give in time is left out, and the approved text is used as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

from adapters.port import ActionInvoked, Inbound, MessageReceived
from bot.language_model import LanguageModel
from handoff import listening
from handoff.escalation import may_lie_ready
from handoff.model import Case, Found, Hit, Known
from handoff.policy import Policy, stricter_level
from handoff.summary import about

T = TypeVar("T")

PASSAGES = 4
CARD_SECONDS = 6.0  # a card does not wait longer for its summary
LINES_MAX = 30
WRITING_VERBS = ("draft", "edit_draft", "person")


class Writing:
    def __init__(self, model: LanguageModel, policy: Policy) -> None:
        self._model, self._policy = model, policy

    async def add(self, case: Case, event: Inbound, known: Known, question: str) -> Known:
        """`known` with what the model wrote for it; unchanged without a model."""
        if not self._model.enabled:
            return known
        if known.found and not known.fired:
            known = replace(known, found=tuple([await self._composed(f) for f in known.found]))
        if self._likely_card(event, known):
            known = await self._card(case, event, known, question)
        return known

    async def _composed(self, found: Found) -> Found:
        """Only where the category opts in, and only for what would be answered anyway."""
        if not found.hits or found.confidence < found.threshold_answer:
            return found
        if not self._policy.category(found.hits[0].category).compose:
            return found
        at = [0, *(n for n, hit in enumerate(found.hits) if n and self._open(hit))][:PASSAGES]
        made = await self._model.compose(found.question, [found.hits[n] for n in at])
        if made is None:
            return found
        return replace(found, composed=made.text, composed_sources=tuple(at[n - 1] + 1 for n in made.cites))

    def _open(self, hit: Hit) -> bool:
        """Whether a passage beside the first may be told without a person's eye, in other words than its own."""
        rule = self._policy.category(hit.category)
        return rule.compose and stricter_level(hit.level, rule.level) == "answer"

    def _likely_card(self, event: Inbound, known: Known) -> bool:
        """Whether this step probably ends on a card; guessing wrong costs time, never a wrong decision."""
        if isinstance(event, ActionInvoked):
            return event.verb in WRITING_VERBS
        unsure = bool(known.found) and known.found[0].confidence < known.found[0].threshold_answer
        return isinstance(event, MessageReceived) and (bool(known.fired) or unsure)

    async def _card(self, case: Case, event: Inbound, known: Known, question: str) -> Known:
        said = about(case)[-LINES_MAX:]
        if isinstance(event, MessageReceived) and listening.other_matter(case, known, event.text):
            said = ()
        lines = [(s.who, s.text) for s in said if s.text]
        if isinstance(event, MessageReceived):
            lines.append(("customer", event.text))
        hits = known.found[0].hits[:PASSAGES] if known.found else ()
        asked = question or (case.questions[-1] if case.questions else "")
        notes, draft = await asyncio.gather(
            in_time(self._model.summarise(lines)),
            in_time(self._model.draft(asked, hits))
            if asked and hits and may_lie_ready(known)
            else in_time(_nothing()),
        )
        return replace(known, summary=notes.summary if notes else "", draft=draft.text if draft else "",
                       draft_sources=draft.cites if draft else ())  # fmt: skip


async def in_time(work: Awaitable[T | None]) -> T | None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CARD_SECONDS):
            return await work
    return None


async def _nothing() -> None:
    return None
