"""Station 2: everything that a decision needs to know, collected before it is made.

The decision never asks back. What cannot be had (a broken index, a silent language model) is a fact too.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, tzinfo
from typing import Protocol

import structlog
from rapidfuzz import fuzz

from adapters.port import CommandInvoked, Inbound, MessageAction, MessageReceived
from bot.batch import Step
from bot.clock import day_of
from bot.metrics import Metrics
from bot.signals import Signal, Signals
from bot.writing import Writing
from handoff.decide import wants_search, wants_signals
from handoff.listening import answers_form
from handoff.model import Case, Earlier, Found, Hit, Known, Searched
from handoff.policy import Policy, same_person
from knowledge.library import Found as KnowledgeFound
from knowledge.library import Library, Scope
from knowledge.tokens import is_follow_up, joined_questions, split_questions

log = structlog.get_logger("gather")

QUESTIONS_MAX = 3
LONG = 8000  # characters that triggers are looked for in


class Helper(Protocol):
    """The optional language model, as far as gathering needs it."""

    @property
    def enabled(self) -> bool: ...

    async def rewrite(self, question: str, previous: Sequence[str]) -> str: ...


class Incidents(Protocol):
    async def joined(self, question: str) -> tuple[str, str]:
        """(incident id, its approved text) when this question belongs to the open incident, else empty."""


class History(Protocol):
    """What is stored of a customer's earlier tickets."""

    async def earlier(self, case: Case, limit: int = 10) -> list[Earlier]: ...


class Directory(Protocol):
    """Who the people of the desk are."""

    async def heard(self, event: Inbound) -> None:
        """Somebody acts, perhaps as an agent."""


class Gatherer:
    """`zone`: where the desk's days begin and end, which is when a dated topic begins and ends to speak."""

    def __init__(
        self,
        library: Library,
        signals: Signals,
        storage: History,
        policy: Policy,
        metrics: Metrics,
        *,
        writing: Writing | None = None,
        helper: Helper | None = None,
        incidents: Incidents | None = None,
        agents: Directory | None = None,
        zone: tzinfo = UTC,
    ) -> None:
        self._library, self._signals, self._storage = library, signals, storage
        self.policy, self._metrics, self._helper, self._incidents = policy, metrics, helper, incidents
        self._writing, self._agents, self._zone = writing, agents, zone

    async def known(self, case: Case, step: Step, number: int, anchor: str, now: float) -> Known:
        """The facts for one step. `number`: the next free ticket number; `anchor`: of the message it is about.

        Where other knowledge came into use while they were collected, they are collected once more: what was taken out
        is told to nobody from then on, however long a language model takes.
        """
        while True:
            known = await self._collected(case, step, number, anchor, now)
            info = self._library.info
            if not known.snapshot or info is None or known.snapshot == info.id:
                return known

    async def _collected(self, case: Case, step: Step, number: int, anchor: str, now: float) -> Known:
        event = step.event
        if self._agents is not None:
            await self._agents.heard(event)
        known = Known(
            next_number=number, refs=step.refs, texts=step.texts, anchor=anchor, redacted=event.redacted,
            waited_seconds=max(0.0, now - event.occurred_at) if event.catchup else 0.0,
        )  # fmt: skip
        said = wants_signals(case, event, self.policy, now)
        question = wants_search(case, event, self.policy, now)
        today = day_of(now, self._zone)
        # Side by side: the embedder computes what is asked of it in one batch, and the database is read meanwhile.
        signal, found, earlier = await asyncio.gather(
            self._signals.check(said, meaning=not answers_form(case, said)) if said else _absent(),
            self._search(case, event, question, today) if question else _nothing_found(),
            self._earlier(case, event),
        )
        known = replace(known, earlier=earlier)
        if signal is not None:
            known = replace(known, fired=signal.fired, sentiment=signal.sentiment, urgency=signal.urgency)
        results, failure = found
        if results:
            known = await self._boundaries(
                replace(
                    known, found=results, snapshot=results[0].snapshot,
                    searched=searched_of(scope_of(case, event), today),
                ),
                said or question,
            )  # fmt: skip
        if question and self._incidents is not None:
            incident, text = await self._incidents.joined(question)
            known = replace(known, incident=text, incident_id=incident)
        known = replace(known, search_failed=failure)
        return (
            known if self._writing is None else await self._writing.add(case, event, known, question or said)
        )

    async def _search(
        self, case: Case, event: Inbound, question: str, today: date
    ) -> tuple[tuple[Found, ...], str]:
        """What the current snapshot gives for each question of the text; or why there is nothing (a reference)."""
        try:
            scope = scope_of(case, event)
            if self._helper is not None and self._helper.enabled and case.questions:
                question = await self._helper.rewrite(question, case.questions[-2:])
            questions = split_questions(question)[:QUESTIONS_MAX] or [question]
            parts = joined_questions(question, QUESTIONS_MAX) if len(questions) == 1 else []
            asked = (*questions, *parts)
            found = await asyncio.gather(*(self._library.search(q, scope, now=today) for q in asked))
        except Exception:
            reference = f"R-{secrets.token_hex(3)}"
            log.exception("search_failed", reference=reference, conversation=case.id)
            return (), reference
        for result in found:
            self._metrics.searched(sum(result.timings_ms.values()) / 1000)
        results = [found_of(f, q) for f, q in zip(found, asked, strict=True)]
        return (worth_apart(results[0], results[1:]) if parts else tuple(results)), ""

    async def _boundaries(self, known: Known, text: str) -> Known:
        """A topic's own `escalate_when`, for the topics that would be answered from."""
        topics = [f.hits[0].topic for f in known.found if f.hits and f.hits[0].escalate_when]
        if not topics:
            return known
        more = await self._signals.crossed(text, topics)
        return replace(known, fired=(*known.fired, *more)) if more else known

    async def _earlier(self, case: Case, event: Inbound) -> tuple[Earlier, ...]:
        earlier = await self._storage.earlier(case)
        if not isinstance(event, MessageReceived) or not event.text:
            return tuple(earlier)
        return tuple(
            replace(e, similarity=fuzz.token_set_ratio(event.text.casefold(), e.subject.casefold()) / 100)
            for e in earlier
        )


def worth_apart(whole: Found, parts: Sequence[Found]) -> tuple[Found, ...]:
    """The parts of a sentence where that answers more of it than the whole does; else the whole.

    Two parts with an answer of their own are two questions, and so are an answer and a part that is close to another
    topic: it is passed on, and not dropped. Otherwise one part alone counts only where the whole has no answer: a
    second half that means nothing by itself ("and what does that cost?") must not turn an answer into half of one.
    """
    sure = [f for f in parts if f.hits and f.confidence >= f.threshold_answer]
    if len({f.hits[0].topic for f in sure}) > 1:
        answered = bool(whole.hits) and whole.confidence >= whole.threshold_answer
        return tuple(sure) if answered else tuple(parts)
    if sure and whole.confidence < whole.threshold_answer:
        return tuple(parts)
    alone = [
        f for f in parts if f.hits and f.confidence >= f.threshold_clarify and not is_follow_up(f.question)
    ]
    if sure and any(f.hits[0].topic != sure[0].hits[0].topic for f in alone):
        return tuple(parts)
    return (whole,)


def ends_of(text: str) -> str:
    """A very long text's beginning and end: there people say what they want, and nobody else has to wait for it."""
    return text if len(text) <= LONG else f"{text[: LONG - LONG // 4]}\n{text[-LONG // 4 :]}"


async def _absent() -> Signal | None:
    return None


async def _nothing_found() -> tuple[tuple[Found, ...], str]:
    return (), ""


def scope_of(case: Case, event: Inbound) -> Scope:
    """Where and as whom the question is asked: it limits what may be found, before anything is ranked."""
    # A command's answer is shown where the command was given.
    place = event.place if isinstance(event, CommandInvoked) else case.place
    roles = roles_of(case, event)
    tags = event.tags if isinstance(event, MessageReceived) else ()
    audience: frozenset[str] = frozenset({"public", place.channel, *roles})
    return Scope(
        channel=place.channel, roles=roles, language=case.language, tags=tags, audience=audience,
        previous=case.questions[-1] if case.questions else "",
    )  # fmt: skip


def searched_of(scope: Scope, today: date) -> Searched:
    """A scope in the desk's words, as the receipt keeps it."""
    return Searched(
        channel=scope.channel, roles=tuple(sorted(scope.roles)), audience=tuple(sorted(scope.audience)),
        tags=tuple(scope.tags), language=scope.language, previous=scope.previous, day=today.isoformat(),
    )  # fmt: skip


def roles_of(case: Case, event: Inbound) -> frozenset[str]:
    """The roles that count are those that the customer has now: a conversation may be older than a role that was taken
    away. Where somebody else asks in it, it is what both may read; where an agent looks something up for the customer,
    it is what the customer may."""
    asker, customer = event.target_author if isinstance(event, MessageAction) else event.actor, case.customer
    if asker is not None and same_person(asker, customer):
        return asker.roles
    other = asker if isinstance(event, MessageReceived) else None
    return customer.roles if other is None else other.roles & customer.roles


def found_of(found: KnowledgeFound, question: str) -> Found:
    """Knowledge's words in the desk's: `handoff` knows nothing of `knowledge`."""
    hits = tuple(
        Hit(
            topic=h.topic, title=h.title, text=h.text, confidence=h.confidence, score=h.score, path=h.path,
            version=h.version, passage=str(h.passage_id), level=h.level, category=h.category, kind=h.kind,
            escalate_when=h.escalate_when, owner=h.owner, reviewed=h.reviewed, language=h.language,
            related=h.related, links=h.links, evidence=dict(h.evidence),
        )
        for h in found.hits
    )  # fmt: skip
    return Found(
        snapshot=found.snapshot, question=question, hits=hits, confidence=found.confidence,
        threshold_answer=found.threshold_answer, threshold_clarify=found.threshold_clarify, language=found.language,
        repaired=found.repaired, among=found.among, why=found.why, timings_ms=dict(found.timings_ms),
    )  # fmt: skip
