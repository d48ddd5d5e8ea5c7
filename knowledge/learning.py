"""What a build learns from a snapshot's own questions: the head, where there are enough of them, and the calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from knowledge import head as heads
from knowledge.confidence import Calibration, calibrate
from knowledge.engine import Vectors
from knowledge.head import Examples, Head, Matrix
from knowledge.rehearsal import RELATED, Stage, bare_texts, rehearse, rehearse_labelled, script

Progress = Callable[[str, int, int], None]
QUESTIONS_FOR_HEAD = 4  # examples of a topic from which the head can learn it well
HEAD_SHARE = 0.5  # of all topics: a head that knows only a few would pull everything to them


def learn(
    stage: Stage,
    vectors_of: Callable[[Sequence[str]], Vectors],
    background: Sequence[str],
    labelled: Sequence[tuple[str, str]],
    max_wrong: float,
    progress: Progress | None = None,
) -> tuple[Head | None, Calibration]:
    """The head of a snapshot, if its topics carry one, and its calibration, with labelled questions where there are any."""
    chat_vectors = vectors_of(background)
    report = (lambda done, of: progress("learn", done, of)) if progress else None
    head, unseen, chat_rows = _head(stage, background, chat_vectors, report)
    lines = script(stage)
    if head:
        stage = replace(stage, head_classes=head.classes)
        lines = [line for line in lines if line.text in unseen] or lines
    bare = bare_texts(stage, lines)
    bare_vectors = dict(zip(bare, vectors_of(list(bare.values())), strict=True))
    chat = [(text, chat_vectors[at], chat_rows.get(text)) for at, text in enumerate(background)]
    samples = rehearse(stage, lines, bare_vectors, unseen, chat)
    if labelled:
        texts = [text for text, _ in labelled]
        vectors = vectors_of(texts)
        rows = list(head.log_probabilities(vectors, texts)) if head else [None] * len(texts)
        asked = [(text, topic, vectors[at], rows[at]) for at, (text, topic) in enumerate(labelled)]
        samples += rehearse_labelled(stage, asked)
    return head, calibrate(samples, head=head is not None, max_wrong=max_wrong)


def _head(
    stage: Stage, background: Sequence[str], chat: Vectors, report: Callable[[int, int], None] | None
) -> tuple[Head | None, dict[str, Matrix], dict[str, Matrix]]:
    """The head, and its out-of-fold rows for the examples and for the chat, by text. Once there is one, it knows every
    topic and document: one that it did not know would lose to all others, even for its own words."""
    rich = sum(
        len(topic.questions) >= QUESTIONS_FOR_HEAD for topic in stage.topics if topic.kind != "document"
    )
    if rich < max(2, HEAD_SHARE * len(stage.topics)):
        return None, {}, {}
    learned = examples(stage)
    far = np.flatnonzero((chat @ stage.vectors.T).max(axis=1) < RELATED).tolist()
    chat_texts = [background[at] for at in far]
    head, unseen = heads.fit(learned, chat[far], chat_texts, report)
    return (
        head,
        dict(zip(learned.texts, unseen, strict=False)),
        dict(zip(chat_texts, unseen[len(learned.texts) :], strict=True)),
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
