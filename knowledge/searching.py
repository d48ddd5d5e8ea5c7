"""One question of one snapshot: scope, spelling, ranking, confidence, and why. Runs on the model's thread."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from knowledge.confidence import Calibration
from knowledge.engine import Engine, Vectors
from knowledge.lexicon import stems_known, terms_of
from knowledge.passage import Found, Hit, Scope
from knowledge.ranking import Evidence, Scores, features, gather, lexical_of, order_of
from knowledge.rehearsal import spread
from knowledge.scope import Gate, Mask
from knowledge.snapshot import Snapshot
from knowledge.spelling import Speller
from knowledge.tokens import is_follow_up
from knowledge.why import explain

SHOWN = ("meaning", "words", "covered", "phrases", "head")
EMERGENCY = (
    0.6  # cosine from which a message is taken for an emergency: a false alarm costs less than a missed one
)
EMERGENCY_BEHIND = 0.3  # of score: what is further behind the first result is not what was meant
RIVALS = 20  # passages looked at to find the best of another topic
TOPICS_OFFERED = 3  # by a question that asks back
NEAREST = 512  # keys that an approximate index is asked for
ENOUGH = (
    64  # of them within scope, or else all keys are compared; and passages by words that are compared as well
)
QUESTION_AT_MOST = 2000  # characters: what comes after is a pasted log
NOTHING: Mapping[str, float] = MappingProxyType({})
_LINK = re.compile(r"https?://[^\s<>()\[\]\"'`]+[^\s<>()\[\]\"'`.,;:!?]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with everything that its answer may depend on."""

    question: str
    scope: Scope
    language: str
    k: int
    today: date
    started: float


class Searcher:
    """A snapshot ready to be asked. `max_wrong`: categories that accept another share of wrong answers than the rest."""

    def __init__(self, snapshot: Snapshot, engine: Engine, max_wrong: Mapping[str, float] = NOTHING) -> None:
        self.snapshot = snapshot
        self._lines = {name: snapshot.calibration.drawn(share) for name, share in max_wrong.items()}
        self._gate = Gate(snapshot.topics)
        self._speller = Speller(snapshot.vocabulary, engine.knows)

    def lines(self, hits: Sequence[Hit]) -> Calibration:
        """The calibration with the lines of the category that the first result belongs to."""
        category = hits[0].category if hits else ""
        return self._lines.get(category, self.snapshot.calibration)

    def mask(self, asked: Asked) -> Mask:
        allowed = self._gate.allowed(asked.scope, asked.today)
        return self._gate.narrowed(allowed, asked.scope, asked.language)

    def repaired(self, question: str, mask: Mask) -> str:
        """The question with this knowledge's own words spelt as it spells them, as far as they may be seen."""
        open_passages = mask[self.snapshot.passage_topic]
        index = self.snapshot.lexicon.words
        return self._speller.repair(question, lambda word: stems_known(index, word, open_passages))

    def evidence(self, question: str, read: Vectors, mask: Mask) -> Evidence:
        """`read`: what the model makes of the question (a row of `Engine.read`)."""
        snapshot = self.snapshot
        head = None
        if snapshot.head:
            row = snapshot.head.log_probabilities(read[None], [question])[0]
            head = spread(row, snapshot.head.classes, len(snapshot.topics))
        lexical = lexical_of(snapshot.lexicon, terms_of(question))
        allowed = mask[snapshot.passage_topic]
        similar = self._similar(read[: snapshot.vectors.shape[1]], lexical[0], allowed)
        return gather(snapshot, similar, lexical, head, allowed, snapshot.calibration.lean)

    def _similar(self, vector: Vectors, words: Scores, allowed: Mask) -> Scores:
        """The cosine of every key; with an approximate index of the nearest ones and of those that words speak for, while
        the others are as far as can be."""
        snapshot = self.snapshot
        if snapshot.nearest is None:
            return np.asarray(snapshot.vectors @ vector, dtype=np.float32)
        starts, ends = snapshot.key_start, np.append(snapshot.key_start[1:], len(snapshot.vectors))
        near = snapshot.nearest.keys(vector, NEAREST)
        near = near[allowed[np.searchsorted(starts, near, side="right") - 1]]
        if len(near) < ENOUGH:  # a narrow scope: what may be seen is somewhere else
            return np.asarray(snapshot.vectors @ vector, dtype=np.float32)
        spoken = np.flatnonzero(np.where(allowed, words, 0.0) > 0)
        if len(spoken) > ENOUGH:
            spoken = spoken[np.argpartition(-words[spoken], ENOUGH)[:ENOUGH]]
        keys = np.unique(np.concatenate([near, *(np.arange(starts[at], ends[at]) for at in spoken)]))
        similar = np.full(len(snapshot.vectors), -1.0, dtype=np.float32)
        similar[keys] = snapshot.vectors[keys] @ vector
        return similar

    def hits(self, evidence: Evidence, k: int, mask: Mask) -> tuple[Hit, ...]:
        order = self._emergency(evidence, order_of(evidence, max(k, RIVALS)))
        first = order[:k]
        if not len(first):
            return ()
        basis = features(evidence, self.snapshot.passage_topic, first, order)
        confidence = self.snapshot.calibration.probabilities(basis)
        # what is not first is at most as likely as what the first leaves over
        confidence[1:] = np.minimum(confidence[1:], 1.0 - round(float(confidence[0]), 4))
        shown = np.stack([getattr(evidence, name)[first] for name in SHOWN], axis=1).tolist()
        return tuple(
            self._hit(at, score, sure, mask, dict(zip(SHOWN, (round(one, 4) for one in row), strict=True)))
            for at, score, sure, row in zip(
                first.tolist(), evidence.score[first].tolist(), confidence.tolist(), shown, strict=True
            )
        )

    def _emergency(self, evidence: Evidence, order: NDArray[np.intp]) -> NDArray[np.intp]:
        """An emergency that is meant closely enough is answered first and alone, also where another topic leads a little.
        In a language that the model hardly knows everything is close to everything, so closeness alone does not do."""
        for at in order:
            topic = self.snapshot.topics[self.snapshot.passage_topic[at]]
            behind = evidence.score[order[0]] - evidence.score[at]
            if topic.kind == "emergency" and evidence.meaning[at] >= EMERGENCY and behind <= EMERGENCY_BEHIND:
                return np.array([at], dtype=np.intp)
        return order

    def lookup(self, text: str, asked: Asked) -> tuple[Hit, ...]:
        """The passages that contain words of a text, by full text search alone; they have no confidence."""
        mask = self.mask(asked)
        found = [
            at
            for at in self.snapshot.words.lookup(text, asked.k * 5)
            if mask[self.snapshot.passage_topic[at]]
        ]
        return tuple(self._hit(at, 0.0, 0.0, mask, {}) for at in found[: asked.k])

    def _hit(self, at: int, score: float, confidence: float, mask: Mask, evidence: dict[str, float]) -> Hit:
        passage = self.snapshot.words.passage(at)
        topic = self.snapshot.topics[passage.topic]
        return Hit(
            topic=topic.id,
            title=topic.title,
            path=topic.path,
            version=self.snapshot.versions[passage.topic],
            score=round(score, 4),
            confidence=round(confidence, 4),
            text=passage.text,
            passage=passage.heading or passage.text,
            passage_id=f"{topic.key}#{passage.number}",
            level=topic.level,
            category=topic.category,
            audience=topic.audience,
            tags=topic.tags,
            escalate_when=topic.escalate_when,
            owner=topic.owner,
            reviewed=topic.reviewed,
            valid_from=topic.valid_from,
            valid_to=topic.valid_to,
            language=topic.language,
            related=tuple(other for other in topic.related if self._gate.has(other, mask)),
            links=tuple(dict.fromkeys(_LINK.findall(passage.text))),
            kind=topic.kind,
            evidence=evidence,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a message."""

    text: str
    repaired: bool = False
    together: bool = False  # with the question before it


class Asking:
    """One question on its way: first the texts to embed, then the answer from their vectors."""

    def __init__(self, searcher: Searcher, asked: Asked) -> None:
        self._searcher = searcher
        self._asked = asked
        self._readings: list[Reading] = []
        self._began = self._ready = 0.0

    def texts(self) -> list[str]:
        """The question as it is; with its spelling repaired; and after the one before, if it seems to lean on that."""
        self._began = time.perf_counter()
        asked = self._asked
        self._mask = self._searcher.mask(asked)
        question = asked.question.strip()[:QUESTION_AT_MOST]
        if question:
            self._readings.append(Reading(question))
            fixed = self._searcher.repaired(question, self._mask)
            if fixed != question:
                self._readings.append(Reading(fixed, repaired=True))
            if asked.scope.previous and is_follow_up(question):
                before = asked.scope.previous.strip()[:QUESTION_AT_MOST]
                self._readings.append(Reading(f"{before} {fixed}", repaired=fixed != question, together=True))
        self._ready = time.perf_counter()
        return [reading.text for reading in self._readings]

    def answer(self, read: Vectors) -> Found:
        """The reading with the most confident result; the plainest of equals."""
        embedded = time.perf_counter()
        best = Reading("")
        hits: tuple[Hit, ...] = ()
        for reading, row in zip(self._readings, read, strict=True):
            found = self._searcher.hits(
                self._searcher.evidence(reading.text, row, self._mask), self._asked.k, self._mask
            )
            if found and (not hits or found[0].confidence > hits[0].confidence):
                best, hits = reading, found
        calibration = self._searcher.lines(hits)
        done = time.perf_counter()
        return Found(
            snapshot=self._searcher.snapshot.info.id,
            hits=hits,
            language=self._asked.language,
            repaired=best.text if best.repaired and not best.together else "",
            confidence=hits[0].confidence if hits else 0.0,
            among=_among(hits),
            threshold_answer=calibration.threshold_answer,
            threshold_clarify=calibration.threshold_clarify,
            timings_ms={
                "wait": round((self._began - self._asked.started) * 1000, 3),
                "prepare": round((self._ready - self._began) * 1000, 3),
                "embed": round((embedded - self._ready) * 1000, 3),
                "search": round((done - embedded) * 1000, 3),
            },
            why=explain(
                hits, calibration, repaired=best.text if best.repaired else "", together=best.together
            ),
        )


def _among(hits: Sequence[Hit]) -> float:
    """Only one of several topics is right: their probabilities add up."""
    topics: dict[str, float] = {}
    for hit in hits:
        topics.setdefault(hit.topic, hit.confidence)
    return round(min(1.0, sum(list(topics.values())[:TOPICS_OFFERED])), 4)
