"""Text as the index sees it: words, n-grams, questions, follow-ups. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

WORDS_AT_MOST = 48  # of one question; a pasted log must not become a query with a thousand branches
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\W_]+", re.UNICODE)
_ACCENT = re.compile("[\u0300-\u036f]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_FOLLOW_UP = re.compile(
    r"^(and|or|but|what about|how about|what if|also|same for|und|oder|was ist mit|wie ist es mit|auch)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(it|its|that|this|those|these|them|they|there|one|same|the other|das|dies|diese[rs]?|damit|dort)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(what|when|where|which|who|why|how|can|could|do|does|did|is|are|will|would|should|may|"
    r"was|wann|wo|wer|warum|wie|kann|kannst|darf|ist|gibt|muss|welche[rs]?)\b",
    re.IGNORECASE,
)
STOP_WORDS = frozenset(
    _WORD.findall("""
    a about am an and any are as at be been but by can could did do does doing for from get got had has have hello
    hey hi how i if in into is it its just like me my need of on or our please should so some thanks that the their
    them then there these they this to us want was we were what when where which who why will with would you your
    aber als am an auch auf aus bei bin bitte da das dem den der des die du ein eine einen einer es fur für habe
    hallo ich im in ist kann man mein meine mich mir mit nach nicht oder sich sie sind so und uns von was wenn wer
    wie wir wo zu zum zur
    """)
)
CLAUSE_WORDS = 3  # so many make a question of their own
_JOINED = re.compile(
    r"\s*,?\s+(?:and|plus|und|sowie)(?:\s+(?:also|then|auch|dann))?,?\s+(?=(?:how|what|where|when|why|who|which|wie|wo|wann|"
    r"warum|wer|welche[rs]?)\b|(?:can|could|do|does|did|is|are|will|would|should|may|kann|könnt|könnte|gibt|ist|sind|"
    r"darf|muss)\s+(?:i|we|you|it|there|my|our|the|this|that|they|ich|wir|ihr|man|es|das|die|der|ein|eine)\b)",
    re.IGNORECASE,
)


def fold(text: str) -> str:
    """Lower case, without accents, so that a phone keyboard finds what an editor typed."""
    if text.isascii():
        return text.lower()
    return _ACCENT.sub("", unicodedata.normalize("NFKD", text.casefold()))


def words(text: str) -> list[str]:
    """The words of a text, folded, in order."""
    return [match.replace("’", "'") for match in _WORD.findall(fold(text))]


def query_words(text: str) -> list[str]:
    """The distinct words that carry a question; all of them if it has nothing but stop words."""
    every = list(dict.fromkeys(words(text)))
    telling = [word for word in every if word not in STOP_WORDS and word.split("'")[0] not in STOP_WORDS]
    return (telling or every)[:WORDS_AT_MOST]


def stem(word: str) -> str:
    """A light stem for English plurals and verb forms; wrong stems are harmless, being the same on both sides."""
    if len(word) <= 3 or not word.isascii():  # noqa: PLR2004 - short words have no endings to lose
        return word
    for ending, instead in (
        ("'s", ""),
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
    ):
        if word.endswith(ending) and not word.endswith(("ss", "us", "is")) and len(word) - len(ending) >= 3:  # noqa: PLR2004
            return word[: -len(ending)] + instead
    return word[:-1] if word.endswith("e") and len(word) > 4 else word  # noqa: PLR2004


def fts_query(terms: Sequence[str]) -> str:
    """An FTS5 query that can neither fail to parse nor ask for all words at once; empty if there is nothing to ask."""
    return " OR ".join(f'"{term.replace(chr(34), "")}"' for term in terms if term.strip('"'))


def sentences(text: str) -> list[str]:
    """A text cut where sentences or lines end."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def split_questions(text: str) -> list[str]:
    """The questions that one message holds; the message itself, whole, when it holds no more than one."""
    parts = sentences(text)
    asked = [index for index, part in enumerate(parts) if part.endswith("?") and _is_whole_question(part)]
    if len(asked) < 2:  # noqa: PLR2004 - one question needs no splitting
        return [text.strip()] if text.strip() else []
    found: list[str] = []
    before = 0
    for index in asked:
        found.append(" ".join(parts[before : index + 1]))
        before = index + 1
    if before < len(parts):
        found[-1] = f"{found[-1]} {' '.join(parts[before:])}"
    return found


def joined_questions(question: str, at_most: int) -> list[str]:
    """The questions, at most so many, that one sentence joins ("how do I cancel and what does it cost?"), or nothing."""
    parts = [part.strip(" ,;") for part in _JOINED.split(question.strip())]
    whole = all(len(words(part)) >= CLAUSE_WORDS for part in parts)
    return parts if 1 < len(parts) <= at_most and whole else []


def _is_whole_question(part: str) -> bool:
    """`Really?` and `Right?` are not questions of their own."""
    return len(words(part)) >= 3 and bool(_ASKS.search(part))  # noqa: PLR2004


def is_follow_up(question: str) -> bool:
    """Whether a question seems to lean on the one before it ("and for the annual plan?")."""
    said = words(question)
    if not said:
        return False
    if _FOLLOW_UP.match(question.strip()) and len(said) <= 12:  # noqa: PLR2004
        return True
    telling = [word for word in said if word not in STOP_WORDS]
    return len(said) <= 8 and len(telling) <= 3 and bool(_POINTS_BACK.search(question))  # noqa: PLR2004
