"""The words of a snapshot: an inverted index with BM25 weights worked out at build time, for words and word pairs.

Why not FTS5's own bm25(): it cannot say what a passage would score without one of its questions (calibration asks
exactly that), it does not tell how much of a question was covered, and it is twenty times slower than three array
look-ups. FTS5 keeps serving free text search (`Words.lookup`).
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from knowledge.tokens import query_words, stem, words

K1, B = 1.2, 0.75
PAIRS_AT_MOST = 64  # words of one question whose pairs are looked up
Scores = NDArray[np.float32]


@lru_cache(maxsize=100_000)
def _term(word: str) -> int:
    """A word's number: the hash of its stem."""
    return zlib.crc32(stem(word).encode())


@dataclass(frozen=True, slots=True)
class Terms:
    """A question as the index is asked: its telling words and its word pairs, each once."""

    words: tuple[int, ...]
    pairs: tuple[int, ...]


def terms_of(question: str) -> Terms:
    telling = (_term(word) for word in query_words(question))
    every = [_term(word) for word in words(question)[:PAIRS_AT_MOST]]
    return Terms(tuple(dict.fromkeys(telling)), tuple(dict.fromkeys(_pairs(every))))


def _pairs(found: Sequence[int]) -> Iterator[int]:
    return ((one * 0x9E3779B1 + two) & 0xFFFFFFFF for one, two in pairwise(found))


@dataclass(frozen=True, slots=True)
class Index:
    """Postings of one kind of term. `terms` is sorted; term i has its rows and weights in [start[i], start[i+1])."""

    terms: NDArray[np.uint32]
    start: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: Scores
    idf: Scores
    lengths: Scores

    @classmethod
    def of(cls, counted: Sequence[Mapping[int, int]]) -> Index:
        """Build from the counted terms of every passage."""
        sizes = np.array([len(one) for one in counted], dtype=np.int64)
        term = np.fromiter((key for one in counted for key in one), dtype=np.uint32, count=int(sizes.sum()))
        count = np.fromiter(
            (value for one in counted for value in one.values()), dtype=np.float32, count=len(term)
        )
        row = np.repeat(np.arange(len(counted), dtype=np.int32), sizes)
        lengths = np.bincount(row, weights=count, minlength=len(counted)).astype(np.float32)
        order = np.argsort(term, kind="stable")
        terms, first, frequency = np.unique(term[order], return_index=True, return_counts=True)
        idf = np.log(1.0 + (len(counted) - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        saturation = K1 * (
            1 - B + B * lengths[row] / max(float(lengths.mean()) if len(lengths) else 1.0, 1.0)
        )
        weight = (count * (K1 + 1) / (count + saturation))[order] * np.repeat(idf, frequency)
        start = np.append(first, len(term)).astype(np.int64)
        return cls(terms, start, row[order], weight.astype(np.float32), idf, lengths)

    def find(self, asked: Sequence[int]) -> NDArray[np.int64]:
        """The positions of the terms that this index has."""
        wanted = np.array(asked, dtype=np.uint32)
        at = np.searchsorted(self.terms, wanted)
        at = np.minimum(at, max(len(self.terms) - 1, 0))
        return at[self.terms[at] == wanted] if len(self.terms) else at[:0]

    def search(self, asked: Sequence[int]) -> tuple[Scores, Scores]:
        """BM25 of every passage, and the share of the question's telling weight that it covers."""
        scores = np.zeros(len(self.lengths), dtype=np.float32)
        covered = np.zeros(len(self.lengths), dtype=np.float32)
        found = self.find(asked)
        for at in found:
            rows = self.rows[self.start[at] : self.start[at + 1]]
            scores[rows] += self.weights[self.start[at] : self.start[at + 1]]
            covered[rows] += self.idf[at]
        unknown = (len(asked) - len(found)) * np.log(1.0 + 2.0 * (len(self.lengths) + 0.5))
        total = float(self.idf[found].sum() + unknown)
        return scores, covered / total if total > 0 else covered

    def score_without(self, counts: Mapping[int, int], asked: Sequence[int]) -> tuple[float, float]:
        """What a passage that held only `counts` would score and cover."""
        length = sum(counts.values())
        saturation = K1 * (1 - B + B * length / max(float(self.lengths.mean()), 1.0))
        score = covered = 0.0
        for at in self.find(asked):
            count = counts.get(int(self.terms[at]), 0)
            if count:
                score += float(self.idf[at]) * count * (K1 + 1) / (count + saturation)
                covered += float(self.idf[at])
        found = self.find(asked)
        unknown = (len(asked) - len(found)) * float(np.log(1.0 + 2.0 * (len(self.lengths) + 0.5)))
        total = float(self.idf[found].sum()) + unknown
        return score, covered / total if total > 0 else 0.0

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        return {f"{prefix}_{name}": getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_arrays(cls, prefix: str, kept: Mapping[str, NDArray[np.generic]]) -> Index:
        return cls(**{name: kept[f"{prefix}_{name}"] for name in cls.__slots__})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Lexicon:
    words: Index
    pairs: Index

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]]) -> tuple[Lexicon, list[str]]:
        """From the texts of every passage, with the vocabulary; pairs never reach from one text into the next."""
        seen: set[str] = set()
        counted = [count(one, seen) for one in texts]
        telling = sorted(word for word in seen if len(word) > 3 and not word.isdigit())  # noqa: PLR2004
        return cls(Index.of([one[0] for one in counted]), Index.of([one[1] for one in counted])), telling

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return self.words.arrays("words") | self.pairs.arrays("pairs")

    @classmethod
    def from_arrays(cls, kept: Mapping[str, NDArray[np.generic]]) -> Lexicon:
        return cls(Index.from_arrays("words", kept), Index.from_arrays("pairs", kept))


def count(texts: Iterable[str], seen: set[str] | None = None) -> tuple[Counter[int], Counter[int]]:
    """The words and word pairs of some texts, counted; the words themselves are added to `seen`."""
    single: Counter[int] = Counter()
    double: Counter[int] = Counter()
    for text in texts:
        found = words(text)
        if seen is not None:
            seen.update(found)
        numbers = [_term(word) for word in found]
        single.update(numbers)
        double.update(_pairs(numbers))
    return single, double


def stems_known(index: Index, word: str, among: NDArray[np.bool_]) -> bool:
    """Whether any of the passages of `among` holds a word."""
    for at in index.find([_term(word)]):
        return bool(among[index.rows[index.start[at] : index.start[at + 1]]].any())
    return False
