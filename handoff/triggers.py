"""What hands a conversation to a person, found by words. Pure; everything about a trigger stands in triggers.toml.

`bot.signals` adds what words cannot find: the same triggers by meaning.
"""

from __future__ import annotations

import csv
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any, cast

from handoff import phrases, redact
from handoff.model import Fired, Priority, Reason

BOUNDARY_WORDS = 3
TELLING_WORD = 4  # letters
CHARACTERS_AT_MOST = 20_000  # of one message; what comes after is a pasted log, not a customer


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger as the data file describes it."""

    name: str
    title: str
    means: str
    hard: bool
    priority: Priority | None
    threshold: float
    quotes_count: bool
    denials_count: bool
    words: tuple[str, ...]
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]


@dataclass(frozen=True)
class Lessons:
    """What the detectors of meaning learn from: texts, and the triggers that each should fire (ordinary ones: none)."""

    triggers: tuple[Trigger, ...]
    background: tuple[str, ...]
    labelled: Mapping[str, frozenset[str]]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every text once; the triggers' examples first."""
        return tuple(self.labelled)

    @cached_property
    def digest(self) -> str:
        """Changes with every text and label, and with nothing else."""
        lines = (f"{text}\x1f{','.join(sorted(names))}" for text, names in self.labelled.items())
        return hashlib.sha256("\x1e".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every trigger, and the ordinary questions that they are told apart from."""

    triggers: tuple[Trigger, ...]
    background: tuple[str, ...]
    book: phrases.Phrasebook


def _trigger(row: Mapping[str, Any]) -> Trigger:
    return Trigger(
        name=row["name"],
        title=row["title"],
        means=row["means"],
        hard=row["hard"],
        priority=cast("Priority | None", row["priority"] or None),
        threshold=float(row["threshold"]),
        quotes_count=row["quotes_count"],
        denials_count=row["denials_count"],
        words=tuple(row["words"]),
        examples=tuple(row["examples"]),
        counter_examples=tuple(row["counter_examples"]),
    )


def read(text: str) -> Catalogue:
    """A catalogue from the text of a data file; ValueError or KeyError says what is wrong with it."""
    data = tomllib.loads(text)
    found = tuple(_trigger(row) for row in data["trigger"])
    book = phrases.compiled(
        [(t.name, t.words) for t in found],
        data["sets"],
        data["idioms"]["phrases"],
        data["ordinary"]["not_typos"],
    )
    return Catalogue(found, tuple(data["background"]["questions"]), book)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The catalogue that ships with the product: constant, read once."""
    return read(resources.files("handoff").joinpath("triggers.toml").read_text("utf-8"))


def lessons_of(of: Catalogue, wordings: str = "text,triggers\n") -> Lessons:
    """The lessons of a catalogue and a table of further wordings (CSV: text, names of triggers between spaces).

    Raises ValueError for a name that is no trigger's.
    """
    labelled: dict[str, frozenset[str]] = {}
    for trigger in of.triggers:
        for text in trigger.examples:
            labelled[text] = labelled.get(text, frozenset()) | {trigger.name}
    for row in csv.DictReader(wordings.splitlines()):
        labelled.setdefault(row["text"], frozenset(row["triggers"].split()))
    for text in (*(c for t in of.triggers for c in t.counter_examples), *of.background):
        labelled.setdefault(text, frozenset())
    if unknown := frozenset().union(*labelled.values()) - {t.name for t in of.triggers}:
        raise ValueError(f"wordings name triggers that do not exist: {', '.join(sorted(unknown))}")
    return Lessons(of.triggers, of.background, labelled)


def lessons() -> Lessons:
    """The lessons that ship with the product; not kept, since they are seldom asked for."""
    return lessons_of(catalogue(), resources.files("handoff").joinpath("wordings.csv").read_text("utf-8"))


@lru_cache(maxsize=1)
def by_name() -> Mapping[str, Trigger]:
    """Every trigger under its name."""
    return {trigger.name: trigger for trigger in catalogue().triggers}


def is_hard(fired: Fired) -> bool:
    """Nothing may be answered. A topic's own `escalate_when` is always hard."""
    trigger = by_name().get(fired.trigger)
    return trigger is None or trigger.hard


def by_words(text: str, language: str = "") -> tuple[Fired, ...]:
    """The triggers whose words the text says and means, each once, in the order of the data file.

    Typos are forgiven, negated words and idioms do not count, quoted ones only where the trigger says so. The
    reason holds words of the data file only, never what else the customer wrote, so it may be logged. `language` is not
    needed: English and German wordings are tried side by side, because customers mix them.
    """
    del language
    text = text[:CHARACTERS_AT_MOST]
    said: dict[str, list[str]] = {}
    own = phrases.outside_quotes(text)
    for match in _said(own):
        said.setdefault(match.name, []).append(match.shown)
    for match in _said(text) if own != text else ():
        if by_name()[match.name].quotes_count:
            said.setdefault(match.name, []).append(match.shown)
    kinds = (*redact.redact(text).kinds, *redact.removed(text))
    found = [
        Fired(t.name, Reason("says", longest(said[t.name]))) for t in catalogue().triggers if t.name in said
    ]
    if kinds and "sensitive" not in said:
        found.append(Fired("sensitive", Reason("secret", ", ".join(dict.fromkeys(kinds)))))
    return tuple(found)


def says(text: str, name: str) -> Fired | None:
    """Whether the words of this one trigger are said outside of quotes, and meant."""
    own = phrases.outside_quotes(text[:CHARACTERS_AT_MOST])
    shown = [match.shown for match in catalogue().book.find(own, only=name)]
    return Fired(name, Reason("says", longest(shown))) if shown else None


def _said(text: str) -> Iterator[phrases.Match]:
    return catalogue().book.find(text, [t.name for t in catalogue().triggers if t.denials_count])


def longest(shown: Sequence[str]) -> str:
    """The most telling of several matches."""
    return max(shown, key=len)


def denied(text: str) -> frozenset[str]:
    """The triggers whose words the text says only to deny them; their meaning is not asked then."""
    book = catalogue().book
    said = {match.name for match in book.find(text)}
    words = book.read(text)
    return frozenset(m.name for m in book.matches(words, idioms=False) if phrases.negated(words, m)) - said


def words_of(line: str) -> str:
    """What a topic's `escalate_when` line is about, without the customer who says it.

    "customer mentions a chargeback" is about "a chargeback".
    """
    words = line.strip().rstrip(".").split()
    while words and phrases.fold(words[0]) in _BOILERPLATE:
        words = words[1:]
    return " ".join(words) or line.strip()


def boundary_book(about: str) -> phrases.Phrasebook:
    """A phrase of the words that matter in such a line, in either order; none if there are too many of them. A "not" in
    it must be said, in whatever words: who can cancel is not who cannot."""
    found = _TOKEN.findall(phrases.fold(about))
    telling = [w for w in found if _tells(w)]
    if not 1 <= len(telling) - sum(w in _NOT for w in telling) <= BOUNDARY_WORDS:
        return phrases.compiled([])
    steps = [_ANY_NOT if word in _NOT else _forms(word) for word in telling]
    return phrases.compiled([("topic", {" ... ".join(steps), " ... ".join(reversed(steps))})])


def _tells(word: str) -> bool:
    return word in _NOT or ((len(word) >= TELLING_WORD or word.isdecimal()) and word not in _DULL)


def _forms(word: str) -> str:
    """A word and what its endings make of it."""
    bare = word.removesuffix("ing").removesuffix("ed").removesuffix("s") if len(word) > 5 else word  # noqa: PLR2004
    return f"{bare}-" if len(bare) > 4 else f"{word}/{word}s"  # noqa: PLR2004 - a short beginning begins too much


_TOKEN = re.compile(r"[^\W_]+")
_DULL = phrases.word_set(
    "about after before that this with from more than they their have been will would into does only than such "
    "other something anything someone anyone question questions issue over under when what where which und oder "
    "eine einen einer nach uber mehr sich kann konnen konnte"
)
_NOT = frozenset((*phrases.NEGATORS, "cannot", "can't", "won't"))
_ANY_NOT = "/".join(sorted(_NOT))
_BOILERPLATE = phrases.word_set(
    "the a customer user client member person they he she mentions mention says say asks ask about for "
    "to wants want requests request is was has reports report claims complains talks demands if when or "
    "that their der die das kunde kundin nutzer erwahnt fragt nach will mochte verlangt meldet wenn "
    "falls"
)
