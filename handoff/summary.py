"""A conversation in fewer words, all of them the customer's own."""

from __future__ import annotations

import re

from handoff.model import Case, Said
from handoff.politeness import content

SUMMARY_CHARACTERS = 400
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def latest_question(case: Case) -> str:
    """What the customer asked last, in their words."""
    if case.pending_question:
        return " ".join((case.pending_question, *case.others))
    if case.questions:
        return case.questions[-1]
    return next((s.text for s in reversed(case.said) if s.who == "customer" and s.text), "")


def summarise(said: tuple[Said, ...]) -> str:
    """The customer's own first sentences and the last one: nothing that nobody said."""
    spoken = [s.text for s in said if s.who == "customer" and s.text.strip() and not s.deleted]
    texts = [left for text in spoken if (left := content(text))] or spoken[:1]
    if not texts:
        return ""
    head = " ".join(s for s in _SENTENCE.split(texts[0])[:2] if s)
    tail = _SENTENCE.split(texts[-1])[-1] if len(texts) > 1 else ""
    return shorten(f"{head} … {tail}" if tail and tail not in head else head, SUMMARY_CHARACTERS)


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1].rsplit(" ", 1)[0] or line[: limit - 1]
    return f"{cut}…"
