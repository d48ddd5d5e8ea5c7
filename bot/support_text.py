"""Reading for the support check: text -> words with what was denied of them, numbers with their units. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from bot.support_words import (
    ARTICLES,
    DENIERS,
    ENDINGS,
    LIGHT,
    NEGATING_PAIRS,
    NEGATORS,
    NUMBERS,
    PREPOSITIONS,
    RANGE,
    SAME,
    SOFT,
    STOP,
    UNITS,
    WORKING,
)

# Every pattern takes time in proportion to the text, whatever the text: models and files are not trusted.
URL = re.compile(r"https?://[^\s<>()\[\]\"'`]+[^\s<>()\[\]\"'`.,;:!?]")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
DOMAIN = re.compile(r"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", re.IGNORECASE)

_TOKEN = re.compile(
    rf"(?P<address>{URL.pattern}|{EMAIL.pattern})"
    r"|(?P<clock>\d{1,2}:\d\d)"
    r"|(?P<number>(?P<sign>[€$£]\s?)?\d+(?:[.,]\d+)*(?:(?P<ordinal>st|nd|rd|th)\b|(?![^\W\d_])|(?=(?:[KMGT]B|h|min)\b)))"
    r"|(?P<word>[^\W_](?:[\w’'-]*\w)?)"
    r"|(?P<mark>[%€$£]|[.,;:!?()→\n])"
)
ALONE = 2  # words from which a part of a sentence can be judged by itself
SAME_START = 4  # letters that two forms of one word share at least
SHORTEST = 3  # letters that are left when an ending is taken away
_BOLD = re.compile(r"\*\*(.+?)\*\*|`([^`]+)`")
LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\(([^()\s]{0,500})\)")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+|^\s*#+\s*", re.MULTILINE)
_STEPS = re.compile(r"(?<=[.!?;])\s+|\n+")
_JOINTS = re.compile(
    r"\s*[;–]\s+|,?\s+(?:and|but|so|because|und|aber|sondern)\s+(?=(?:we|you|it|they|our|your|a|an|the|each|wir|sie|es)\b)"
    r"|,\s+(?:and|but|so|or|which|und|aber|sodass)\s+",
    re.IGNORECASE,
)
HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_MARKUP = re.compile(rf"<[^\s\d]|]\(|@(?:everyone|here|channel)|```|{HIDDEN.pattern}", re.IGNORECASE)
_NT = re.compile(r"\b(ca|wo)?n['’]t\b|(?<=\w)n['’]t\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number, address or mark. `stem` compares; `denied`: it stands under a negation."""

    text: str
    stem: str
    kind: Literal["word", "soft", "stop", "number", "address", "mark"]
    name: bool = False
    denied: bool = False
    value: float = 0.0
    unit: str = ""
    factor: float = 1.0  # how many of the base unit one of the written unit is


_NOTHING = Token("", "", "mark")


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch of a sentence that says one thing."""

    text: str
    tokens: tuple[Token, ...]

    @property
    def words(self) -> tuple[Token, ...]:
        """What it claims: content words and numbers, without the glue."""
        return tuple(t for t in self.tokens if t.kind == "word")

    @property
    def carrying(self) -> tuple[Token, ...]:
        """The words that can be denied."""
        return tuple(t for t in self.tokens if t.kind in ("word", "soft"))

    @property
    def claims(self) -> bool:
        """Whether there is anything that could be wrong."""
        return any(t.kind in ("word", "number", "address") for t in self.tokens)

    @property
    def plain(self) -> frozenset[str]:
        """Every word as it is written, in lower case."""
        return frozenset(t.text.lower() for t in self.tokens)


@dataclass(frozen=True, slots=True)
class Source:
    """The cited passages: their sentences and list items, their titles, and the names that they use."""

    text: str
    units: tuple[Clause, ...]
    titles: tuple[Token, ...]


def markup(text: str) -> str:
    """What makes a text more than plain words: mentions, tags, links with a label, control characters."""
    found = _MARKUP.search(text)
    return f"{found[0]!r}" if found else ""


@lru_cache(maxsize=256)
def read(passages: tuple[tuple[str, str], ...]) -> Source:
    """Cut (title, text) pairs into what sentences can be compared with."""
    units: list[Clause] = []
    titles: list[Token] = []
    for title, text in passages:
        titles += [t for t in tokens(title) if t.kind == "word"]
        steps = (step.strip() for step in _STEPS.split(_ITEM.sub("", LINK.sub(r"\1 \2", text))))
        units += [Clause(step, tokens(step)) for step in steps if step]
    everything = "\n".join(part for pair in passages for part in pair)
    names = {t.text.lower() for u in units for t in u.tokens if t.name}
    return Source(everything, tuple(_named(u, names) for u in units), tuple(titles))


def clauses(sentence: str, source: Source) -> list[Clause]:
    """A composed sentence, cut where it begins to say something else."""
    parts = [part.strip() for part in _JOINTS.split(LINK.sub(r"\1 \2", sentence)) if part and part.strip()]
    names = {t.text.lower() for unit in source.units for t in unit.tokens if t.name}
    joined: list[str] = []
    for part in parts:
        if joined and sum(t.kind in ("word", "soft") for t in tokens(part)) < ALONE:
            joined[-1] = f"{joined[-1]}, {part}"
        else:
            joined.append(part)
    return [_named(Clause(part, tokens(part, first=at == 0)), names) for at, part in enumerate(joined)]


def tokens(text: str, *, first: bool = True) -> tuple[Token, ...]:
    """The tokens of a text, with names, units and negations marked."""
    bold = {word.lower() for pair in _BOLD.findall(text) for part in pair for word in part.split()}
    plain = re.sub(r"[*`_]{1,2}(?=\S)|(?<=\S)[*`_]{1,2}", "", _open_negations(text))
    raw = [_token(match, bold) for match in _TOKEN.finditer(plain)]
    if raw and first and raw[0].name and raw[0].text.lower() not in bold:
        kind: Literal["soft", "word"] = "soft" if raw[0].text.lower() in SOFT else "word"
        raw[0] = replace(raw[0], name=False, kind=kind)  # a sentence begins with a capital, name or not
    return tuple(_denied(_measured(raw)))


def same(one: str, other: str) -> bool:
    """Whether two stems are forms of the same word."""
    if one == other:
        return True
    if one[:SAME_START] != other[:SAME_START] or len(one) < SAME_START:
        return False
    pairs = enumerate(zip(one, other, strict=False))
    shared = next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
    return one[shared:] in ENDINGS and other[shared:] in ENDINGS


def bare(word: str) -> str:
    """A word without its endings."""
    return _cut(word.lower().replace("’", "'").removesuffix("'s").removesuffix("'"))


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A word without its endings, or the name of its group of synonyms."""
    plain = word.lower().replace("’", "'").removesuffix("'s").removesuffix("'")
    if plain in _GROUPS:
        return _GROUPS[plain]
    cut = _cut(plain)
    return _GROUPS.get(cut, cut)


def _cut(word: str) -> str:
    for ending, instead in (
        ("ies", "y"),
        ("ied", "y"),
        ("sses", "ss"),
        ("ings", ""),
        ("ing", ""),
        ("ed", ""),
        ("es", "e"),
        ("s", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST and not word.endswith("ss"):
            word = word[: len(word) - len(ending)] + instead
            break
    if len(word) > SAME_START and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > SAME_START else word


def _groups() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in SAME:
        words = line.split()
        for word in words:
            found.setdefault(word, words[0])
            found.setdefault(_cut(word), words[0])
    return found


_GROUPS = _groups()


def _open_negations(text: str) -> str:
    text = re.sub(r"\b(?:can['’]t|can ?not)\b", "can not", text, flags=re.IGNORECASE)
    text = re.sub(r"\bwon['’]t\b", "will not", text, flags=re.IGNORECASE)
    return re.sub(r"(?<=\w)n['’]t\b", " not", text)


def _token(match: re.Match[str], bold: set[str]) -> Token:
    text = match[0]
    if match["address"]:
        return Token(text, text.lower(), "address")
    if match["clock"]:
        hours, minutes = text.split(":")
        return Token(text, text, "number", value=int(hours) * 60 + int(minutes), unit="clock")
    if match["number"]:
        unit = "ordinal" if match["ordinal"] else ""
        sign = (match["sign"] or "").strip()
        return Token(text, text, "number", value=_value(text), unit=UNITS[sign][0] if sign else unit)
    if match["mark"]:
        return Token(text, text, "mark")
    lower = text.lower()
    if lower in NUMBERS and lower not in ARTICLES:
        return Token(text, lower, "number", value=float(NUMBERS[lower]))
    if lower in bold or (text.isupper() and len(text) > 1):
        return Token(text, stem(text), "word", name=True)
    if lower in STOP:
        return Token(text, lower, "stop")
    name = text[0].isupper()
    return Token(text, stem(text), "soft" if lower in SOFT and not name else "word", name=name)


def _value(text: str) -> float:
    digits = re.sub(r"[^\d.,]", "", text)
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", digits):
        return float(re.sub(r"[.,]", "", digits))
    return float(digits.replace(",", ".")) if digits.count(",") + digits.count(".") <= 1 else float("nan")


def _measured(raw: list[Token]) -> list[Token]:
    """Numbers with their units; the unit is part of the number and no word of its own."""
    out: list[Token] = []
    skip = 0
    for at, token in enumerate(raw):
        if skip:
            skip -= 1
            continue
        article = token.text.lower() in ARTICLES
        if token.kind != "number" and not article:
            out.append(token)
            continue
        unit, factor, used = _unit(raw, at + 1)
        if article and not unit:
            out.append(token)
            continue
        value = (token.value or float(NUMBERS.get(token.text.lower(), 0))) * factor
        unit = token.unit or unit
        out.append(Token(token.text, f"{value:g}", "number", value=value, unit=unit, factor=factor))
        skip = used
    return _shared_units(out)


def _unit(raw: list[Token], at: int) -> tuple[str, float, int]:
    """The unit that stands at `at`, its factor, and how many tokens it takes."""
    one, two = (t.text.lower() for t in (*raw[at : at + 2], _NOTHING, _NOTHING)[:2])
    if one in WORKING and two in UNITS:
        return f"working {UNITS[two][0]}", UNITS[two][1], 2
    if one in WORKING and one.endswith(("tage", "tagen")):
        return "working minute", 1440, 1
    return (*UNITS[one], 1) if one in UNITS else ("", 1, 0)


def _shared_units(numbers_read: list[Token]) -> list[Token]:
    """In "3 to 5 days" and in "three, seven and fourteen days" the earlier numbers have the unit of the last."""
    out = list(numbers_read)
    for at in range(len(out) - 3, -1, -1):
        one, joint, two = out[at : at + 3]
        if one.kind == two.kind == "number" and not one.unit and two.unit and joint.text.lower() in RANGE:
            value = one.value * two.factor
            out[at] = replace(one, unit=two.unit, factor=two.factor, value=value, stem=f"{value:g}")
    return out


def _denied(raw: list[Token]) -> list[Token]:
    """Mark the first word after a negation; after "no" and its like also what is said of that word.

    "Nothing" at the end of what is said denies the word before it.
    """
    out: list[Token] = []
    left, reached = 0, False  # words that the negation still reaches; whether it has reached one
    for token, following in pairwise((*raw, _NOTHING)):
        lower, then = token.text.lower(), following.text.lower()
        if lower == "nicht" and following.kind == "mark":
            _deny_last(out)  # "… gibt es nicht."
        elif lower in DENIERS and (following.kind == "mark" or then in PREPOSITIONS):
            _deny_last(out)
        elif lower in DENIERS:
            left, reached = 2, False
        elif (lower in NEGATORS and then not in ("only", "nur")) or (lower, then) in NEGATING_PAIRS:
            left, reached = 1, False
        elif (token.kind == "mark" and token.text in ".;:!?(") or (reached and lower in PREPOSITIONS):
            left = 0
        elif left and token.kind in ("word", "soft"):
            left -= token.kind == "word" and token.stem not in LIGHT
            reached = True
            out.append(replace(token, denied=True))
            continue
        out.append(token)
    return out


def _deny_last(out: list[Token]) -> None:
    for at in range(len(out) - 1, -1, -1):
        if out[at].kind == "mark":
            return
        if out[at].kind in ("word", "soft"):
            out[at] = replace(out[at], denied=True)
            return


def _named(unit: Clause, names: set[str]) -> Clause:
    """What is a name anywhere in the passage is one at the beginning of a sentence too."""
    marked = (
        replace(t, name=True) if t.text[:1].isupper() and t.text.lower() in names else t for t in unit.tokens
    )
    return Clause(unit.text, tuple(marked))
