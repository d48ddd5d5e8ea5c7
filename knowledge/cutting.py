"""Topics -> passages and keys. A passage is what a search can return; a key is what a question is compared with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from knowledge.passage import Passage, Topic

CUTTER = "4"  # part of every snapshot's id: another way of cutting is another snapshot
TOKENS_PER_KEY = 128  # the model was trained on short texts; longer ones blur
Field = Literal["question", "title", "body"]
FIELDS: tuple[Field, ...] = ("question", "title", "body")
Offsets = Callable[[Sequence[str]], list[list[tuple[int, int]]]]


@dataclass(frozen=True, slots=True)
class Key:
    """One text to embed, and the passage that it stands for."""

    passage: int
    field: Field
    text: str


def cut(topics: Sequence[Topic], offsets: Offsets, *, limit: int) -> tuple[list[Passage], list[Key]]:
    """The passages of all topics in order, and their keys; no key is longer than the model reads.

    `offsets` gives the character range of each model token of each text; `limit` is the model's own maximum.
    """
    size = min(TOKENS_PER_KEY, limit - 24)  # room for the title in front and the model's own marks
    flat = [(number, section) for number, topic in enumerate(topics) for section in topic.sections]
    long = [at for at, (_, section) in enumerate(flat) if len(section.text) > 2 * size]  # else it surely fits
    spans: dict[int, list[tuple[int, int]]] = dict(
        zip(long, offsets([flat[at][1].text for at in long]), strict=True)
    )
    passages: list[Passage] = []
    keys: list[Key] = []
    counts = [0] * len(topics)
    for at, (number, section) in enumerate(flat):
        topic = topics[number]
        chunks = [
            section.text[begin:end].strip() for begin, end in _ranges(section.text, spans.get(at, ()), size)
        ]
        chunks = [chunk for chunk in chunks if chunk]
        for whole in chunks if topic.kind == "document" else [section.text]:
            counts[number] += 1
            passages.append(Passage(number, counts[number], section.heading, whole))
            here = len(passages) - 1
            keys += [Key(here, "question", question) for question in topic.questions]
            title = f"{topic.title} {section.heading}".strip() if topic.kind == "document" else topic.title
            if title not in topic.questions:
                keys.append(Key(here, "title", title))
            head = topic.questions[0] if topic.questions else title
            for chunk in [whole] if topic.kind == "document" else chunks:
                keys.append(Key(here, "body", f"{head}\n{chunk}"))
    return passages, keys


def _ranges(text: str, tokens: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Character ranges of at most `size` tokens, ending at a paragraph, line or sentence where one is near."""
    if len(tokens) <= size:
        return [(0, len(text))]
    parts = -(-len(tokens) // size)
    aim = -(-len(tokens) // parts)  # even parts: no last passage of three words
    ranges, begin = [], 0
    while begin < len(tokens):
        end = min(begin + aim, len(tokens))
        if end < len(tokens):
            end = _good_end(text, tokens, begin, end, min(begin + size, len(tokens) - 1))
        start_char = 0 if begin == 0 else tokens[begin][0]
        end_char = len(text) if end >= len(tokens) else tokens[end][0]
        ranges.append((start_char, end_char))
        begin = end
    return ranges


def _good_end(text: str, tokens: Sequence[tuple[int, int]], begin: int, aim: int, most: int) -> int:
    """The token to end before: after the paragraph, else line, else sentence that ends nearest to `aim`."""
    low, middle, high = tokens[begin + max(1, (aim - begin) // 2)][0], tokens[aim][0], tokens[most][0]
    for mark in ("\n\n", "\n", ". ", "? ", "! ", "; "):
        before, after = text.rfind(mark, low, middle + 1), text.find(mark, middle, high)
        near = [at for at in (before, after) if at >= 0]
        if near:
            place = min(near, key=lambda at: abs(at - middle)) + len(mark)
            return min(max(bisect_left(tokens, place, key=itemgetter(0)), begin + 1), most)
    return aim
