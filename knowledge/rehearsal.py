"""The snapshot asked its own questions, each as though it had never been written down: evidence for calibration.

Three kinds: a topic's own question without that question; the same without the whole topic, where every answer would
be wrong; and ordinary chat, where every answer would be wrong too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from knowledge.confidence import Sample
from knowledge.cutting import Key
from knowledge.engine import Vectors
from knowledge.head import Matrix
from knowledge.languages import plainly
from knowledge.lexicon import Lexicon, count, terms_of
from knowledge.passage import Passage, Scope, Topic
from knowledge.ranking import HEAD, NEVER, Numbers, Scores, features, gather, lexical_of, order_of
from knowledge.scope import Gate, Mask

OWN_AT_MOST = 400
LONE_AT_MOST = (
    200  # of them the only question of their topic: each needs a text embedded that nothing else needs
)
ABSENT_SHARE, CHAT_SHARE = 0.06, 0.05  # of all questions: about what support channels see
HALF_FAITHFUL = 20.0  # see rehearse()
RELATED = 0.6  # chat closer than this to something in the snapshot is covered by it


@dataclass(frozen=True, slots=True)
class Stage:
    """A snapshot before it is written, with what the rehearsal needs."""

    topics: Sequence[Topic]
    passages: Sequence[Passage]
    keys: Sequence[Key]
    vectors: Vectors
    passage_topic: Numbers
    key_start: Numbers
    lexicon: Lexicon
    head_classes: Numbers | None = None
    lean: str = HEAD  # what the ranking leans on where there is a head


@dataclass(frozen=True, slots=True)
class Line:
    """One question of the script: its key, and its own passage."""

    key: int
    passage: int
    text: str


def script(stage: Stage) -> list[Line]:
    """The questions to rehearse, chosen by the hash of their text so that the choice is stable but not ordered."""
    found: dict[str, Line] = {}
    for at, key in enumerate(stage.keys):
        if key.field == "question" or (key.field == "title" and _is_only_question(stage, key)):
            found.setdefault(key.text, Line(at, key.passage, key.text))
    chosen: list[Line] = []
    lone = 0
    for line in sorted(found.values(), key=lambda line: hashlib.sha256(line.text.encode()).digest()):
        if _is_alone(stage, line):
            lone += 1
            if lone > LONE_AT_MOST:
                continue
        chosen.append(line)
    return chosen[:OWN_AT_MOST]


def _is_alone(stage: Stage, line: Line) -> bool:
    return len(stage.topics[stage.passages[line.passage].topic].questions) <= 1


def _is_only_question(stage: Stage, key: Key) -> bool:
    topic = stage.topics[stage.passages[key.passage].topic]
    return not topic.questions and topic.kind != "document"


def bare_texts(stage: Stage, lines: Sequence[Line]) -> dict[int, str]:
    """For topics with one question only: the start of their text without it, by passage. It stands in for the body
    key, which begins with that question."""
    found = {}
    for line in lines:
        if _is_alone(stage, line):
            body = next(
                (
                    key.text
                    for key in stage.keys[line.key :]
                    if key.passage == line.passage and key.field == "body"
                ),
                "",
            )
            found[line.passage] = body.split("\n", 1)[-1]
    return {at: text for at, text in found.items() if text.strip()}


class Heard:
    """Which passages a question of a language is asked of, as in a search: of a topic that exists in several languages
    only one speaks, so that its translations are no rivals."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._gate = Gate(stage.topics)
        self._masks: dict[str, Mask] = {}
        self._variants: dict[str, list[int]] = {}
        for at, topic in enumerate(stage.topics):
            self._variants.setdefault(topic.id, []).append(at)

    def by(self, language: str) -> Mask:
        if language not in self._masks:
            every = np.ones(len(self._stage.topics), dtype=bool)
            speaking = self._gate.narrowed(every, Scope(), language)
            self._masks[language] = speaking[self._stage.passage_topic]
        return self._masks[language]

    def variants(self, topic: int) -> Sequence[int]:
        """A topic in all its languages."""
        return self._variants[self._stage.topics[topic].id]


def rehearse(
    stage: Stage,
    lines: Sequence[Line],
    bare: Mapping[int, Vectors],
    unseen: Mapping[str, Scores],
    chat: Sequence[tuple[str, Vectors, Scores | None]],
) -> list[Sample]:
    """Every sample. `unseen` holds the head's out-of-fold row by question, `chat` the background's.

    A topic with one question loses all that is said of it that way, which is harder than real life; so a sample
    weighs by how many questions its topic keeps, and the prior speaks for the rest.
    """
    samples: list[Sample] = []
    similar = stage.vectors @ stage.vectors[[line.key for line in lines]].T if lines else np.zeros((0, 0))
    heard = Heard(stage)
    for column, line in enumerate(lines):
        own = _without_own(stage, line, np.array(similar[:, column], dtype=np.float32), bare)
        lexical = _lexical_without(stage, line)
        head = _topic_row(stage, unseen.get(line.text))
        topic = int(stage.passage_topic[line.passage])
        everything = heard.by(stage.topics[topic].language)
        others = len(stage.topics[topic].questions) - 1
        weight = others / (others + HALF_FAITHFUL)
        samples.append(
            _ask(stage, own, lexical, head, everything, topic, weight, "own" if others > 0 else "lone")
        )
        if others == 0:  # as it stands: customers' words lie somewhere between the two
            whole = lexical_of(stage.lexicon, terms_of(line.text))
            close = np.array(similar[:, column], dtype=np.float32)
            samples.append(_ask(stage, close, whole, head, everything, topic, 0.0, "known"))
        if weight > 0:
            samples += _absent(stage, heard, own, lexical, head, everything, topic, weight)
    near = np.stack([vector for _, vector, _ in chat]) @ stage.vectors.T if chat else np.zeros((0, 0))
    for (text, _, row), close in zip(chat, near, strict=True):
        if close.max() < RELATED:
            lexical = lexical_of(stage.lexicon, terms_of(text))
            samples.append(_ask(stage, close, lexical, _topic_row(stage, row), heard.by(""), -1, 1.0, "chat"))
    return samples


def rehearse_labelled(stage: Stage, rows: Sequence[tuple[str, int, Vectors, Scores | None]]) -> list[Sample]:
    """Samples from labelled questions (text, topic or -1, vector, head's row): as they are, and, like the snapshot's own,
    with the whole topic taken out. Teams label what they have answered; so what is not covered is not left to them."""
    heard = Heard(stage)
    samples = []
    for text, topic, vector, row in rows:
        everything = heard.by(plainly(text))
        close = np.asarray(stage.vectors @ vector, dtype=np.float32)
        lexical = lexical_of(stage.lexicon, terms_of(text))
        head = _topic_row(stage, row)
        kind = "labelled" if topic >= 0 else "strange"
        samples.append(_ask(stage, close, lexical, head, everything, topic, 1.0, kind))
        if topic >= 0:
            samples += _absent(stage, heard, close, lexical, head, everything, topic, 1.0)
    return samples


def in_their_share(samples: Sequence[Sample]) -> list[Sample]:
    """The same, with ordinary chat in its share of all questions, however many of them there are."""
    asked = sum(one.weight for one in samples if one.kind not in ("chat", "strange"))
    each = CHAT_SHARE * max(asked, 20.0) / max(sum(one.kind == "chat" for one in samples), 1)
    return [replace(one, weight=each) if one.kind == "chat" else one for one in samples]


def _absent(
    stage: Stage,
    heard: Heard,
    similar: Scores,
    lexical: tuple[Scores, Scores, Scores],
    head: Scores | None,
    everything: Mask,
    topic: int,
    weight: float,
) -> list[Sample]:
    """The question with its whole topic taken out; none where there is no other topic."""
    gone = heard.variants(topic)
    if len(gone) == len(stage.topics):
        return []
    without = None if head is None else _without_topics(head, gone)
    others = everything & ~np.isin(stage.passage_topic, gone)
    return [_ask(stage, similar, lexical, without, others, -1, ABSENT_SHARE * weight, "absent")]


def _ask(
    stage: Stage,
    similar: Scores,
    lexical: tuple[Scores, Scores, Scores],
    head: Scores | None,
    allowed: np.ndarray,
    topic: int,
    weight: float,
    kind: str,
) -> Sample:
    evidence = gather(stage, similar, lexical, head, allowed, stage.lean)
    order = order_of(evidence, 20)
    found = features(evidence, stage.passage_topic, order[:1], order)[0]
    right = int(stage.passage_topic[order[0]]) == topic
    return Sample(tuple(map(float, found)), right, weight, kind, covered=topic >= 0)


def _without_own(stage: Stage, line: Line, similar: Scores, bare: Mapping[int, Vectors]) -> Scores:
    """The cosines of a question with every key, those that hold the question itself taken out."""
    begin = int(stage.key_start[line.passage])
    topic = stage.topics[stage.passages[line.passage].topic]
    end = begin
    while end < len(stage.keys) and stage.keys[end].passage == line.passage:
        key = stage.keys[end]
        if key.text == line.text or (key.field == "body" and key.text.startswith(line.text)):
            similar[end] = -1.0
        end += 1
    if line.passage in bare and len(topic.questions) <= 1:
        similar[end - 1] = max(float(bare[line.passage] @ stage.vectors[line.key]), float(similar[end - 1]))
    return similar


def _lexical_without(stage: Stage, line: Line) -> tuple[Scores, Scores, Scores]:
    terms = terms_of(line.text)
    words, covered, phrases = lexical_of(stage.lexicon, terms)
    passage = stage.passages[line.passage]
    texts = [text for text in texts_of(stage.topics[passage.topic], passage) if text != line.text]
    single, double = count(texts)
    at = line.passage
    words[at], covered[at] = stage.lexicon.words.score_without(single, terms.words)
    phrases[at] = stage.lexicon.pairs.score_without(double, terms.pairs)[0]
    return words, covered, phrases


def texts_of(topic: Topic, passage: Passage) -> list[str]:
    """The texts whose words a passage is found by; a title that is one of the questions counts once."""
    texts = [*topic.questions, topic.category, passage.heading, passage.text]
    return texts if topic.title in topic.questions else [topic.title, *texts]


def _without_topics(head: Scores, gone: Sequence[int]) -> Scores:
    """What the head would say had it never heard of these topics: their probability goes to the others."""
    left = max(1.0 - float(np.exp(head[list(gone)]).sum()), 1e-4)
    return np.where(head > NEVER, np.minimum(head - np.log(left), 0.0), NEVER).astype(np.float32)


def _topic_row(stage: Stage, row: Matrix | None) -> Scores | None:
    """A head's row as log-probabilities of every topic of the snapshot."""
    if row is None or stage.head_classes is None:
        return None
    return spread(row, stage.head_classes, len(stage.topics))


def spread(row: Matrix, classes: Numbers, topics: int) -> Scores:
    full = np.full(topics, NEVER, dtype=np.float32)
    full[classes] = row[:-1]
    return full
