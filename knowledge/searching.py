"""One question of one snapshot: scope, spelling, ranking, confidence, and why. Runs on the model's thread."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import date

import numpy as np

from knowledge.engine import Engine, Vectors
from knowledge.passage import Found, Hit, Scope
from knowledge.lexicon import terms_of
from knowledge.ranking import Evidence, features, gather, lexical_of, order_of
from knowledge.rehearsal import spread
from knowledge.scope import Gate, Mask
from knowledge.snapshot import Snapshot

SHOWN = ("meaning", "words", "covered", "phrases", "head")
RIVALS = 20  # passages looked at to find the best of another topic
_LINK = re.compile(r"https?://[^\s<>()\[\]\"'`]+[^\s<>()\[\]\"'`.,;:!?]")


@dataclass(frozen=True, slots=True)
class Asked:
    question: str
    scope: Scope
    k: int
    today: date


class Searcher:
    """A snapshot ready to be asked."""

    def __init__(self, snapshot: Snapshot, engine: Engine) -> None:
        self.snapshot = snapshot
        self._engine = engine
        self._gate = Gate(snapshot.topics)

    def texts(self, asked: Asked) -> list[str]:
        """What must be embedded for this question."""
        return [asked.question]

    def search(self, asked: Asked, vectors: Vectors) -> Found:
        started = time.perf_counter()
        mask = self._gate.narrowed(
            self._gate.allowed(asked.scope, asked.today), asked.scope, asked.scope.language
        )
        evidence = self._evidence(asked.question, vectors[0], mask)
        hits = self._hits(evidence, asked)
        calibration = self.snapshot.calibration
        return Found(
            snapshot=self.snapshot.info.id,
            hits=hits,
            language=asked.scope.language,
            repaired="",
            confidence=hits[0].confidence if hits else 0.0,
            threshold_answer=calibration.threshold_answer,
            threshold_clarify=calibration.threshold_clarify,
            timings_ms={"search": (time.perf_counter() - started) * 1000},
            why=(),
        )

    def _evidence(self, question: str, vector: Vectors, mask: Mask) -> Evidence:
        snapshot = self.snapshot
        similar = np.asarray(snapshot.vectors @ vector, dtype=np.float32)
        head = None
        if snapshot.head:
            row = snapshot.head.log_probabilities(vector[None], [question])[0]
            head = spread(row, snapshot.head.classes, len(snapshot.topics))
        lexical = lexical_of(snapshot.lexicon, terms_of(question))
        return gather(snapshot, similar, lexical, head, mask[snapshot.passage_topic])

    def _hits(self, evidence: Evidence, asked: Asked) -> tuple[Hit, ...]:
        order = order_of(evidence, max(asked.k, RIVALS))
        hits: list[Hit] = []
        for at in order[: asked.k]:
            basis = features(evidence, self.snapshot.passage_topic, int(at), order)
            confidence = self.snapshot.calibration.probability(basis)
            if hits:  # what is not first is at most as likely as what the first leaves over
                confidence = min(confidence, 1.0 - hits[0].confidence)
            hits.append(self._hit(int(at), evidence, round(confidence, 4)))
        return tuple(hits)

    def _hit(self, at: int, evidence: Evidence, confidence: float) -> Hit:
        passage = self.snapshot.words.passage(at)
        topic = self.snapshot.topics[passage.topic]
        return Hit(
            topic=topic.id,
            title=topic.title,
            path=topic.path,
            version=self.snapshot.versions[passage.topic],
            score=round(float(evidence.score[at]), 4),
            confidence=confidence,
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
            related=topic.related,
            links=tuple(dict.fromkeys(_LINK.findall(passage.text))),
            kind=topic.kind,
            evidence={name: round(float(getattr(evidence, name)[at]), 4) for name in SHOWN},
        )
