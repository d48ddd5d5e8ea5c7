"""The rules of the support check: what speaks against a clause, beside the stretch of the passage nearest to it. Pure.

Each rule yields details of what is wrong; a rule that yields nothing is content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bot.support_numbers import number_problems
from bot.support_text import DOMAIN, EMAIL, URL, Clause, Source, Token, bare, same
from bot.support_words import (
    ANNOUNCE,
    BINDING,
    CONDITIONS,
    DENIERS,
    GENEROUS,
    NEGATING_PAIRS,
    NEGATORS,
    OBLIGATION,
    OPENERS,
    OPPOSITE,
    OURS,
    PERMISSION,
    PERSONS,
    PRONOUNS,
    RATES,
    SIDES,
    SUPPOSING,
    TIMES,
)

WIDEST = 3  # sentences of a passage that one clause may be made from
JOINED = 2  # words that a further sentence must add
BESIDE = 2  # words on each side by which one of several places is recognised
_BINDING = tuple(frozenset(line.split()) for line in BINDING)
_END = Token("", "", "mark")


@dataclass(frozen=True)
class Match:
    """A clause beside what it is judged by: the nearest sentences of its source."""

    part: Clause
    source: Source

    @cached_property
    def near(self) -> tuple[Clause, ...]:
        """The sentences that the clause is nearest to: the best, and more only for what that one lacks."""
        missing = list(self.part.words or self.part.carrying)
        chosen: list[Clause] = []
        while missing and len(chosen) < WIDEST:
            best = max(self.source.units, key=lambda unit: self._closeness(missing, unit), default=None)
            if best is None or _hits(missing, best) < (JOINED if chosen else 1):
                break
            chosen.append(best)
            missing = [word for word in missing if not _has(word, best.tokens)]
        return tuple(chosen)

    @cached_property
    def here(self) -> tuple[Token, ...]:
        """The words of those sentences."""
        return tuple(token for unit in self.near for token in unit.tokens)

    @cached_property
    def subject(self) -> Token | None:
        """What the clause is about, unless that is "you" or what the passage calls "it"."""
        tokens = list(self.part.tokens)
        if _opening(self.part):
            tokens = tokens[2:]
        elif tokens[0].text.lower() in OPENERS:
            commas = [at for at, t in enumerate(tokens) if t.text == ","]
            tokens = tokens[commas[0] + 1 :] if commas else []
        if self.near and self.near[0].tokens[0].text.lower() in PRONOUNS:
            return None
        for token in tokens:
            if token.text.lower() in PERSONS or token.kind in ("word", "soft"):
                return None if token.text.lower() in PERSONS else token
        return None

    @cached_property
    def plain(self) -> frozenset[str]:
        return frozenset(token.text.lower() for token in self.here)

    def _closeness(self, words: Sequence[Token], unit: Clause) -> tuple[int, int, int]:
        ours = {(t.value, t.unit) for t in self.part.tokens if t.kind == "number"}
        shared = len(ours & {(t.value, t.unit) for t in unit.tokens if t.kind == "number"})
        return _hits(words, unit) + shared, len(self.part.plain & unit.plain), -len(unit.tokens)


def coverage(match: Match) -> tuple[float, list[str]]:
    """The share of a clause's words that the passage has there, and the words that it has not.

    A word from elsewhere in the passage counts half, but not for a name or for what the clause is about: those must
    stand where the rest stands.
    """
    found = 0.0
    unknown: list[str] = []
    near = (*match.here, *match.source.titles)
    elsewhere = [t for unit in match.source.units for t in unit.tokens]
    for word in match.part.words:
        if word.name and not _named(word, near):
            unknown.append(word.text)
        elif _has(word, near):
            found += 1
        elif not word.name and word is not match.subject and _has(word, elsewhere):
            found += 0.5
        else:
            unknown.append(word.text)
    return (found / len(match.part.words) if match.part.words else 1.0), unknown


def addresses(match: Match) -> Iterator[str]:
    """Links, e-mail addresses and domains must stand in the passage, letter for letter."""
    for pattern in (URL, EMAIL, DOMAIN):
        theirs = {found.lower() for found in pattern.findall(match.source.text)}
        yield from (found for found in pattern.findall(match.part.text) if found.lower() not in theirs)


def paths(match: Match) -> Iterator[str]:
    """Ways through menus ("Settings → Team") must be the passage's own, step by step."""
    theirs = {pair for unit in match.source.units for pair in _steps(unit)}
    yield from (" → ".join(pair) for pair in _steps(match.part) if pair not in theirs)


def numbers(match: Match) -> Iterator[str]:
    """Each number must stand in the passage, with its unit, counting the same thing, with the same bound."""
    yield from number_problems(match.part, match.source)


def rates(match: Match) -> Iterator[str]:
    """How often ("per minute") must be the passage's own."""
    theirs = {two for unit in match.source.units for two in _rates(unit)}
    yield from (f"per {two}" for two in _rates(match.part) if two not in theirs)


def negations(match: Match) -> Iterator[str]:
    """What the passage denies must be denied, and nothing else."""
    part = match.part
    supposed = (
        set() if match.plain & SUPPOSING else _supposed(part)
    )  # "until it is paid" is "if it is not paid"
    for word in part.carrying:
        beside = _counterparts(word, match)
        if not beside or id(word) in supposed or any(t.denied == word.denied for t, _ in beside):
            continue
        if not any(_denies(part, word) == _denies(unit, t) for t, unit in beside):
            yield word.text
    said, there = _denials(part.tokens), max((_denials(unit.tokens) for unit in match.near), default=0)
    twice = any(_is_denial(one) and _is_denial(two) for one, two in pairwise(part.tokens))
    if said > max(1, there) or twice:
        yield "denied twice"
    bare_denial = _alone(part) and not any(_alone(unit) for unit in match.near)
    if bare_denial or (said and not there and not any(t.denied for t in part.tokens)):
        yield "denies nothing that the passage denies"


def opposites(match: Match) -> Iterator[str]:
    """A word must not stand where the passage has its opposite, and time must run as in the passage."""
    ours, theirs = match.part.plain, match.plain
    for one, other in (pair for couple in OPPOSITE for pair in (couple, couple[::-1])):
        if one in ours and other not in ours and other in theirs and one not in theirs:
            yield f"{one} for {other}"
    if ours & SIDES and not theirs & TIMES:
        yield " ".join(sorted(ours & SIDES))
    first, firsts = _opening(match.part), {_opening(unit) for unit in match.near} - {""}
    if first and firsts and first not in firsts:
        yield f"{first} then"


def binding(match: Match) -> Iterator[str]:
    """Words that bind the team must be the passage's own, and so must what we announce to do."""
    ours = match.part.plain - ({"any", "anything", "anyone"} if _denials(match.part.tokens) else set())
    theirs = match.plain | {t.text.lower() for t in match.source.titles}
    for group in _BINDING:
        if ours & group and not theirs & group:
            yield " ".join(sorted(ours & group))
    said = [t.text.lower() for t in match.part.tokens]
    for words in ANNOUNCE:
        announced = words in set(pairwise(said)) if len(words) > 1 else words[0] in said
        if announced and not theirs & {"will", words[0]}:
            yield " ".join(words)


def agents(match: Match) -> Iterator[str]:
    """What we do or pay for must be what the passage says that we do."""
    anywhere = {t.text.lower() for unit in match.source.units for t in unit.tokens}
    said = [t.text.lower() for t in match.part.tokens]
    if match.part.plain & OURS and not anywhere & OURS:
        yield "the passage does not speak of us"
    if ("by", "us") in set(pairwise(said)) and not match.plain & OURS:
        yield "by us"


def modality(match: Match) -> Iterator[str]:
    """What one may do is not what one must do."""
    ours, theirs = match.part.plain, match.plain
    if ours & OBLIGATION and not theirs & OBLIGATION and theirs & PERMISSION:
        yield "must for may"
    if ours & PERMISSION and not theirs & PERMISSION and theirs & OBLIGATION:
        yield "may for must"


def conditions(match: Match) -> Iterator[str]:
    """What is generous only under a condition must not be said without it."""
    kept = match.part.plain & CONDITIONS or any(t.kind == "number" for t in match.part.tokens)
    if match.plain & CONDITIONS and not kept and (generous := match.part.plain & GENEROUS):
        yield " ".join(sorted(generous))


RULES: tuple[Callable[[Match], Iterator[str]], ...] = (
    addresses,
    paths,
    numbers,
    rates,
    negations,
    opposites,
    binding,
    agents,
    modality,
    conditions,
)


def _has(word: Token, tokens: Iterable[Token]) -> bool:
    return any(t.kind in ("word", "soft") and same(t.stem, word.stem) for t in tokens)


def _named(name: Token, tokens: Iterable[Token]) -> bool:
    """Whether a name stands among `tokens` as itself; a synonym is another name."""
    return any(t.kind in ("word", "soft") and same(bare(t.text), bare(name.text)) for t in tokens)


def _counterparts(word: Token, match: Match) -> list[tuple[Token, Clause]]:
    """Where the nearest sentences say a word; of several places, those with the same words beside it."""
    mine = _beside(word, match.part)
    found = [(t, unit) for unit in match.near for t in unit.carrying if same(t.stem, word.stem)]
    shared = [len(mine & _beside(t, unit)) for t, unit in found]
    return [pair for pair, share in zip(found, shared, strict=True) if share == max(shared)]


def _beside(word: Token, part: Clause) -> set[str]:
    at = next(i for i, token in enumerate(part.carrying) if token is word)
    return {t.stem for t in part.carrying[max(0, at - BESIDE) : at + BESIDE + 1] if t is not word}


def _hits(words: Sequence[Token], unit: Clause) -> int:
    return sum(_has(word, unit.tokens) for word in words)


def _steps(part: Clause) -> list[tuple[str, str]]:
    """The words on both sides of each arrow."""
    found = zip(part.tokens, part.tokens[1:], part.tokens[2:], strict=False)
    return [(one.text.lower(), two.text.lower()) for one, arrow, two in found if arrow.text == "→"]


def _rates(part: Clause) -> list[str]:
    return [two.stem for one, two in pairwise(part.tokens) if one.text.lower() in RATES]


def _opening(part: Clause) -> str:
    """How a sentence follows the one before it: `after` for "After that …"."""
    words = [t.text.lower() for t in part.tokens[:2]]
    return (
        words[0] if len(words) > 1 and words[0] in SIDES | {"until"} and words[1] in ("that", "then") else ""
    )


def _is_denial(token: Token) -> bool:
    return token.text.lower() in NEGATORS or token.text.lower() in DENIERS


def _alone(part: Clause) -> bool:
    """Whether a denial stands by itself: "and if not, …"."""
    following = pairwise((*part.tokens, _END))
    return any(
        _is_denial(one) and one.text.lower() != "nicht" and two.kind == "mark" for one, two in following
    )


def _denials(tokens: Sequence[Token]) -> int:
    pairs = sum((one.text.lower(), two.text.lower()) in NEGATING_PAIRS for one, two in pairwise(tokens))
    return sum(_is_denial(t) for t in tokens) + pairs


def _denies(part: Clause, word: Token) -> bool:
    """Whether the stretch between commas where `word` stands denies something, and not twice."""
    stretch: list[Token] = []
    holds = False
    for token in (*part.tokens, _END):
        if token.kind == "mark" and token.text != "→":
            if holds:
                break
            stretch = []
        else:
            stretch.append(token)
            holds = holds or token is word
    return _denials(stretch) % 2 == 1


def _supposed(part: Clause) -> set[int]:
    """The words after "if", up to the next comma."""
    found: set[int] = set()
    inside = False
    for token in part.tokens:
        inside = token.text.lower() in SUPPOSING or (inside and token.kind != "mark")
        if inside:
            found.add(id(token))
    return found
