"""Typing errors in this knowledge's own words, repaired. Words that the model knows are never touched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from knowledge.tokens import STOP_WORDS, fold

SHORTEST = 5  # letters: below that, everything is one letter away from everything
LONG = 10  # from here on two letters may be wrong
REPAIRS = 4  # of one question
_WORD = re.compile(
    r"(?<![\w./\\-])[^\W\d_]{5,}(?![\w/\\-])"
)  # a whole word: no part of a path, a name or a version
_ENDINGS = ("s", "es", "ed", "ing", "er", "ly", "d")
_BEGINNINGS = ("re", "un", "dis", "pre", "non")


class Speller:
    """Repairs towards one vocabulary."""

    def __init__(self, vocabulary: Sequence[str], common: Callable[[str], bool]) -> None:
        self._known = frozenset(vocabulary)
        self._common = common
        self._by_length: dict[int, list[str]] = {}
        for word in vocabulary:
            if word.isalpha():
                self._by_length.setdefault(len(word), []).append(word)

    def repair(self, text: str, may_say: Callable[[str], bool]) -> str:
        """The text with its misspelt words repaired; `may_say` tells whether a word is this person's to see."""
        repairs = 0

        def mend(found: re.Match[str]) -> str:
            nonlocal repairs
            word = found.group()
            plain = word.islower() or word.istitle()
            if repairs >= REPAIRS or not plain or self._common(word) or not self._is_suspect(fold(word)):
                return word
            better = self._nearest(fold(word), may_say)
            repairs += better is not None
            return better or word

        return _WORD.sub(mend, text)

    def _is_suspect(self, word: str) -> bool:
        return len(word) >= SHORTEST and word not in STOP_WORDS and not self._is_word(word)

    def _is_word(self, word: str) -> bool:
        """Known as it is, or as a known word with an English ending or beginning."""
        if word in self._known or self._common(word):
            return True
        for ending in _ENDINGS:
            root = word.removesuffix(ending)
            if root != word and any(
                self._common(one) or one in self._known for one in (root, root + "e", root[:-1])
            ):
                return True
        return any(word.startswith(one) and self._common(word.removeprefix(one)) for one in _BEGINNINGS)

    def _nearest(self, word: str, may_say: Callable[[str], bool]) -> str | None:
        allowed = 2 if len(word) >= LONG else 1
        near = [
            one
            for size in range(len(word) - allowed, len(word) + allowed + 1)
            for one in self._by_length.get(size, ())
        ]
        found = process.extract(word, near, scorer=DamerauLevenshtein.distance, score_cutoff=allowed, limit=5)
        ranked = sorted(
            found, key=lambda one: (one[1], one[0][0] != word[0], abs(len(one[0]) - len(word)), one[0])
        )
        best = [one for one in ranked if may_say(one[0])]
        if not best or best[0][0][0] != word[0]:
            return None
        return str(best[0][0])
