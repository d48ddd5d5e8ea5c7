"""How a customer sounds, and how pressing it is: hints for the desk and inputs of the priority. Pure.

Counted words, not a model: staff see the word ("negative"), never a number, because a number of this kind would
claim more than it knows.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import lru_cache
from importlib import resources
from typing import Literal

from handoff import phrases

Sentiment = Literal["positive", "neutral", "negative", "urgent"]
Urgency = Literal["", "soon", "now"]

_SHOUTS = re.compile(r"[!?]{3,}|!.*!")
_SHOUTED_WORDS = 3
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_SAD_FACES = re.compile(r"[😠😡🤬😤😞😢😭👎💢]|:angry:|:rage:|:disappointed:|(?<!\w)[:;]-?[(/](?!\w)")
_GLAD_FACES = re.compile(r"[😀😃😄😁😊🙂👍🙏❤🎉🥰😍]|:thumbsup:|:tada:|:heart:|:\+1:|(?<!\w)[:;]-?[)D](?!\w)")


@lru_cache(maxsize=1)
def _book() -> phrases.Phrasebook:
    data = tomllib.loads(resources.files("handoff").joinpath("sentiment.toml").read_text("utf-8"))
    return phrases.compiled(data.items())


def _counts(text: str) -> Counter[str]:
    book = _book()
    words = book.read(phrases.outside_quotes(text))
    counts: Counter[str] = Counter()
    seen: set[tuple[str, int]] = set()
    for match in book.matches(words, idioms=False):
        if (match.name, match.first) in seen:
            continue
        seen.add((match.name, match.first))
        if not phrases.negated(words, match):
            counts[match.name] += 1
        elif match.name == "positive":
            counts["negative"] += 1
    counts["negative"] += len(_SAD_FACES.findall(text))
    counts["positive"] += len(_GLAD_FACES.findall(text))
    return counts


def of(text: str) -> Sentiment:
    """What the text sounds like. Pressing beats bad, bad beats good: the desk should see the worse."""
    counts = _counts(text[:5000])
    if counts["urgent"]:
        return "urgent"
    loud = bool(_SHOUTS.search(text)) + shouted(text)
    bad = counts["negative"] + (loud if counts["negative"] or loud > 1 else 0)
    if bad > counts["positive"]:
        return "negative"
    return "positive" if counts["positive"] > bad else "negative" if bad else "neutral"


def urgency(text: str) -> Urgency:
    """Say "now" when it cannot wait, "soon" when a day is named, else nothing."""
    counts = _counts(text[:5000])
    return "now" if counts["urgent"] else "soon" if counts["soon"] else ""


def shouted(text: str) -> bool:
    """Most of several words are in capitals."""
    words = _LETTERS.findall(text)
    return len(words) >= _SHOUTED_WORDS and sum(w.isupper() for w in words) * 3 > len(words) * 2
