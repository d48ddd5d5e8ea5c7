"""Passages lose no text, and no key is longer than the model reads."""

from __future__ import annotations

import re

from knowledge.cutting import cut
from knowledge.passage import Section, Topic


def offsets(texts):
    return [[(found.start(), found.end()) for found in re.finditer(r"\w+|[^\w\s]", text)] for text in texts]


def topic(text: str, **fields: object) -> Topic:
    return Topic(id="a", title="A title", path="a.md", sections=(Section("", text),), **fields)  # type: ignore[arg-type]


LONG = "\n\n".join(
    " ".join(f"word{number}" for number in range(start, start + 60)) + "." for start in range(0, 900, 60)
)


def test_a_topic_is_found_by_its_parts_but_answers_whole():
    passages, keys = cut([topic(LONG, questions=("Why?", "How?"))], offsets, limit=256)

    assert [passage.text for passage in passages] == [LONG]
    assert [key.field for key in keys[:3]] == ["question", "question", "title"]
    assert sum(key.field == "body" for key in keys) > 5


def test_a_documents_passages_hold_all_of_its_text_and_fit_the_model():
    passages, keys = cut([topic(LONG, kind="document")], offsets, limit=256)

    assert " ".join(passage.text for passage in passages).split() == LONG.split()
    assert max(len(one) for one in offsets([key.text for key in keys])) <= 152
    assert all(passage.text.endswith(".") for passage in passages)  # cut where sentences end


def test_every_passage_has_a_key():
    topics = [topic(""), topic("short", questions=("A title",)), topic(LONG, kind="document")]

    passages, keys = cut(topics, offsets, limit=128)

    assert {key.passage for key in keys} == set(range(len(passages)))
    assert [key.passage for key in keys] == sorted(key.passage for key in keys)
