"""One question of one snapshot: scope, spelling, ranking, confidence, and why. Runs on the model's thread."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import date

from knowledge.engine import Engine, Vectors
from knowledge.passage import Found, Hit, Scope
from knowledge.ranking import Ranked, rank
from knowledge.scope import Gate
from knowledge.snapshot import Snapshot
from knowledge.tokens import query_words, stem

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
        terms = [stem(word) for word in query_words(asked.question)]
        ranked = rank(self.snapshot, vectors[0], terms, mask)
        hits = self._hits(ranked, asked)
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

    def _hits(self, ranked: Ranked, asked: Asked) -> tuple[Hit, ...]:
        scores = ranked.scores[ranked.order]
        hits = []
        for place, at in enumerate(ranked.order[: asked.k]):
            others = scores[1] if place == 0 and len(scores) > 1 else scores[0]
            features = {
                "top": float(scores[place]),
                "margin": float(scores[place] - others) if len(scores) > 1 else 1.0,
            }
            evidence = {name: round(float(values[at]), 4) for name, values in ranked.evidence.items()}
            hits.append(
                self._hit(
                    int(at), float(scores[place]), self.snapshot.calibration.probability(features), evidence
                )
            )
        return tuple(hits)

    def _hit(self, at: int, score: float, confidence: float, evidence: dict[str, float]) -> Hit:
        passage = self.snapshot.words.passage(at)
        topic = self.snapshot.topics[passage.topic]
        return Hit(
            topic=topic.id,
            title=topic.title,
            path=topic.path,
            version=self.snapshot.versions[passage.topic],
            score=score,
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
            evidence=evidence,
        )
