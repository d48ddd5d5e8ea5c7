"""What a build learns from a snapshot's own questions: the head, where there are enough of them, and the calibration."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from knowledge import head as heads
from knowledge.confidence import Calibration, Sample, calibrate
from knowledge.engine import Vectors
from knowledge.head import Examples, Head, Matrix
from knowledge.ranking import HEAD, WORDS
from knowledge.rehearsal import (
    RELATED,
    Stage,
    bare_texts,
    in_their_share,
    rehearse,
    rehearse_labelled,
    script,
)

Progress = Callable[[str, int, int], None]


class Reader(Protocol):
    """What a build knows of texts. `early` is of texts whose vectors were asked for before."""

    def vectors(self, texts: Sequence[str]) -> Vectors: ...
    def early(self, texts: Sequence[str]) -> Vectors: ...


QUESTIONS_FOR_HEAD = 4  # examples of a topic from which the head can learn it well
HEAD_SHARE = 0.5  # of all topics: a head that knows only a few would pull everything to them


@dataclass(frozen=True, slots=True)
class Told:
    """Labelled questions that the knowledge does not hold itself, as positions of topics; -1 is "not covered"."""

    texts: Sequence[str]
    topics: Sequence[int]
    vectors: Vectors

    @classmethod
    def of(
        cls, stage: Stage, labelled: Sequence[tuple[str, str]], vectors_of: Callable[[Sequence[str]], Vectors]
    ) -> Told:
        """A question that stands among the keys has been rehearsed; one whose topic is gone is not covered any more."""
        number = {topic.id: at for at, topic in enumerate(stage.topics)}
        known = {key.text for key in stage.keys}
        new = {text: number.get(topic, -1) for text, topic in labelled if text not in known}
        return cls(list(new), list(new.values()), vectors_of(list(new)))

    def where(self, *, covered: bool) -> list[int]:
        return [at for at, topic in enumerate(self.topics) if (topic >= 0) == covered]


@dataclass(frozen=True, slots=True)
class Unseen:
    """What a head says, out of fold, of everything that it was trained on: rows by text."""

    own: Mapping[str, Matrix] = field(default_factory=dict)
    chat: Mapping[str, Matrix] = field(default_factory=dict)
    told: Mapping[str, Matrix] = field(default_factory=dict)


def learn(
    stage: Stage,
    reader: Reader,
    background: Sequence[str],
    labelled: Sequence[tuple[str, str]],
    max_wrong: float,
    progress: Progress | None = None,
) -> tuple[Head | None, Calibration]:
    """The head of a snapshot, if its topics carry one, and its calibration. Labelled questions teach both; what the
    calibration hears of them is what a head says that has not seen them."""
    chat_vectors = reader.vectors(background)
    told = Told.of(stage, labelled, reader.vectors)
    report = (lambda done, of: progress("learn", done, of)) if progress else None
    head, unseen = _head(stage, reader, background, chat_vectors, told, report)
    lines = script(stage)
    if head:
        stage = replace(stage, head_classes=head.classes)
        lines = [line for line in lines if line.text in unseen.own] or lines
    bare = bare_texts(stage, lines)
    bare_vectors = dict(zip(bare, reader.vectors(list(bare.values())), strict=True))
    chat = [(text, chat_vectors[at], unseen.chat.get(text)) for at, text in enumerate(background)]
    rehearsed = {
        lean: rehearse(replace(stage, lean=lean), lines, bare_vectors, unseen.own, chat)
        for lean in ((HEAD, WORDS) if head else (HEAD,))
    }
    lean = better(rehearsed)
    stage, samples = replace(stage, lean=lean), rehearsed[lean]
    asked = zip(told.texts, told.topics, told.vectors, strict=True)
    samples += rehearse_labelled(
        stage, [(text, topic, vector, unseen.told.get(text)) for text, topic, vector in asked]
    )
    made = calibrate(in_their_share(samples), head=head is not None, max_wrong=max_wrong)
    return head, replace(made, lean=lean)


def better(rehearsed: Mapping[str, Sequence[Sample]]) -> str:
    """What the ranking should lean on: the words only where they find more of the snapshot's own questions, by more than
    one standard error of the questions that just one of the two finds (McNemar, Psychometrika 12, 1947)."""
    if WORDS not in rehearsed:
        return HEAD
    pairs = [
        (one.right, other.right)
        for one, other in zip(rehearsed[HEAD], rehearsed[WORDS], strict=True)
        if one.kind == "own"
    ]
    lost = sum(head and not words for head, words in pairs)
    won = sum(words and not head for head, words in pairs)
    return WORDS if won - lost > math.sqrt(won + lost) else HEAD


def _head(
    stage: Stage,
    reader: Reader,
    background: Sequence[str],
    chat: Vectors,
    told: Told,
    report: Callable[[int, int], None] | None,
) -> tuple[Head | None, Unseen]:
    """The head, and its out-of-fold rows. Once there is one, it knows every topic and document: one that it did not know
    would lose to all others, even for its own words."""
    rich = sum(
        len(topic.questions) >= QUESTIONS_FOR_HEAD for topic in stage.topics if topic.kind != "document"
    )
    if rich < max(2, HEAD_SHARE * len(stage.topics)):
        return None, Unseen()
    own = examples(stage)
    far = np.flatnonzero((chat @ stage.vectors.T).max(axis=1) < RELATED).tolist()
    chat_texts = [background[at] for at in far]
    inside, outside = told.where(covered=True), told.where(covered=False)
    asked = [told.texts[at] for at in inside + outside]
    known = [*own.texts, *(told.texts[at] for at in inside)]
    strange = [*(told.texts[at] for at in outside), *chat_texts]
    head, rows = heads.fit(
        Examples(
            np.hstack([np.vstack([own.read, told.vectors[inside]]), reader.early(known)]),
            known,
            [*own.topics, *(told.topics[at] for at in inside)],
            [*own.weights, *(1.0 for _ in inside)],
        ),
        np.hstack([np.vstack([told.vectors[outside], chat[far]]), reader.early(strange)]),
        strange,
        stage.vectors.shape[1],
        report,
    )
    first, last = len(own.texts), len(rows) - len(far)  # the told ones stand between the own and the chat
    return head, Unseen(
        dict(zip(own.texts, rows[:first], strict=True)),
        dict(zip(chat_texts, rows[last:], strict=True)),
        dict(zip(asked, rows[first:last], strict=True)),
    )


def examples(stage: Stage) -> Examples:
    """What the head learns from: the questions, and beside them the headings and the texts, which for a document are
    all there is. However long a document is, its headings together count no more than a few questions, and so do its
    texts: else it would draw everything to itself."""
    found: dict[
        tuple[int, str], tuple[int, str]
    ] = {}  # a document's question stands once for each of its passages
    for at, key in enumerate(stage.keys):
        found.setdefault((stage.passages[key.passage].topic, key.text), (at, key.field))
    many = Counter((topic, field) for (topic, _), (_, field) in found.items())
    weights = [
        1.0 if field == "question" else min(1.0, QUESTIONS_FOR_HEAD / many[topic, field])
        for (topic, _), (_, field) in found.items()
    ]
    rows = [at for at, _ in found.values()]
    vectors = np.asarray(stage.vectors[rows], dtype=np.float32)
    return Examples(vectors, [text for _, text in found], [topic for topic, _ in found], weights)
