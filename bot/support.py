"""The support check: does the cited passage say what this sentence says?

Pure but for `check`, which may ask an embedder. It refuses rather than doubts: if anything of a composition fails,
the whole is refused and the approved text is sent as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bot.support_rules import RULES, Match, coverage
from bot.support_text import clauses, markup, read

NEAR = 0.50  # the least cosine between a sentence and the nearest stretch of its passage
COVERED = 0.60  # the least share of a clause's words that the passage has

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]


class PassageLike(Protocol):
    """What can be cited. Sentences cite passages by position, from 1."""

    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a composed answer, and the numbers of the passages that it cites."""

    text: str
    cites: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a sentence (by position, from 1) is not supported. `detail` quotes the sentence: not for logs."""

    sentence: int
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ok` only if every sentence is supported; `scores` has each sentence's share of supported words."""

    ok: bool
    findings: tuple[Finding, ...]
    scores: tuple[float, ...]


async def check(
    sentences: Sequence[Sentence], passages: Sequence[PassageLike], embed: Embed | None = None
) -> Verdict:
    """Judge a composition against the passages that its sentences cite.

    `embed` (texts to normalised rows) adds a comparison of meanings; without it words alone decide. An embedder
    can only refuse more, never less.
    """
    verdict = await asyncio.to_thread(
        check_words, sentences, passages
    )  # tens of milliseconds: not on the loop
    if embed is None or not verdict.ok:
        return verdict
    far = await _far(sentences, passages, embed)
    return Verdict(not far, tuple(far), verdict.scores)


def check_words(sentences: Sequence[Sentence], passages: Sequence[PassageLike]) -> Verdict:
    """The check without an embedder: words, numbers, names, negations and promises."""
    if not sentences:
        return Verdict(ok=False, findings=(Finding(0, "empty", "there is no sentence"),), scores=())
    findings: list[Finding] = []
    scores: list[float] = []
    for number, sentence in enumerate(sentences, 1):
        score, found = _judge(sentence, passages)
        scores.append(score)
        findings += [Finding(number, rule, detail) for rule, detail in found]
    return Verdict(not findings, tuple(findings), tuple(scores))


def _judge(sentence: Sentence, passages: Sequence[PassageLike]) -> tuple[float, list[tuple[str, str]]]:
    """The share of supported words and every (rule, detail) that speaks against a sentence."""
    wrong = [n for n in sentence.cites if not 1 <= n <= len(passages)]
    if wrong or not sentence.cites:
        return 0.0, [("citation", f"cites {list(sentence.cites)} of {len(passages)} passages")]
    if found := markup(sentence.text):
        return 0.0, [("markup", found)]
    source = read(tuple((passages[n - 1].title, passages[n - 1].text) for n in dict.fromkeys(sentence.cites)))
    parts = clauses(sentence.text, source)
    if not any(part.claims for part in parts):
        return 0.0, [("empty", "says nothing that can be checked")]
    problems: list[tuple[str, str]] = []
    shares: list[float] = []
    for part in parts:
        match = Match(part, source)
        share, unknown = coverage(match)
        shares.append(share)
        problems += [("unsupported", word) for word in unknown]
        if share < COVERED:
            problems.append(("unsupported", f"{share:.0%} of its words"))
        problems += [(rule.__name__, detail) for rule in RULES for detail in rule(match)]
    return min(shares), problems


async def _far(
    sentences: Sequence[Sentence], passages: Sequence[PassageLike], embed: Embed
) -> Iterable[Finding]:
    texts = [s.text for s in sentences]
    stretches: list[tuple[int, str]] = []
    for number, passage in enumerate(passages, 1):
        source = read(((passage.title, passage.text),))
        stretches += [(number, text) for text in (passage.title, *(unit.text for unit in source.units))]
    vectors: NDArray[Any] = await embed([*texts, *(text for _, text in stretches)])
    ours, theirs = vectors[: len(texts)], vectors[len(texts) :]
    cosines = ours @ theirs.T
    far: list[Finding] = []
    for row, sentence in enumerate(sentences):
        near = max(
            (float(cosines[row, i]) for i, (n, _) in enumerate(stretches) if n in sentence.cites), default=0
        )
        if near < NEAR:
            far.append(Finding(row + 1, "meaning", f"similarity {near:.2f}"))
    return far
