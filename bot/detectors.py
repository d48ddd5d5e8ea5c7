"""Detectors of the triggers' meaning: one straight line per trigger, through a text's vector and its pieces of words.

The vector knows what a text means in English; the pieces know how it is written, forgive typos, and carry German. The
lines are learned from the lessons (`bot.training`) and stored as plain arrays; nothing here is ever unpickled.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from handoff.phrases import fold

Vectors = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

BUCKETS = 8192  # hashed pieces; four times as many find less than a hundredth more
PIECES_WEIGHT = 1.5  # beside vectors of length one
SIZES = (3, 4, 5)  # letters of a piece inside a word
PROBES = 8  # texts that tell whether two models are the same
# The least cosine between what they make of a text: int8 and fp32 differ less, other models more.
SAME_MODEL = 0.97

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[!?]{2,}")


def pieces(text: str) -> dict[int, int]:
    """Hashed words, pairs of words and letters inside words, and how often each occurs."""
    counts: dict[int, int] = {}
    words = _WORD.findall(fold(text))
    found = [f"w{word}" for word in words]
    found += dict.fromkeys(f"b{first} {second}" for first, second in pairwise(words))
    for word in words:
        padded = f" {word} "
        found += [f"c{padded[at : at + size]}" for size in SIZES for at in range(len(padded) - size + 1)]
    for piece in found:
        bucket = zlib.crc32(piece.encode()) % BUCKETS
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


def weighted(counts: dict[int, int], rarity: Vectors) -> tuple[npt.NDArray[np.int64], Vectors]:
    """Buckets and what they weigh: rare pieces more, together as long as `PIECES_WEIGHT`."""
    at = np.fromiter(counts, dtype=np.int64, count=len(counts))
    weight = np.array([1.0 + math.log(n) for n in counts.values()], dtype=np.float32) * rarity[at]
    length = float(np.linalg.norm(weight))
    return at, (weight * (PIECES_WEIGHT / length) if length else weight)


@dataclass(frozen=True, slots=True)
class Detectors:
    """Every trigger's line. Scores are 0 where ordinary texts usually end, 1 one standard deviation of theirs further."""

    digest: str  # of the lessons
    names: tuple[str, ...]
    examples: tuple[str, ...]  # texts that a reason may name …
    owner: npt.NDArray[np.int64]  # … each of the trigger at this position
    near: Vectors  # their vectors, (examples x dimension)
    ordinary: Vectors  # vectors of ordinary questions, (questions x dimension)
    meaning: Vectors  # (dimension x triggers)
    writing: Vectors  # (BUCKETS x triggers)
    rarity: Vectors  # (BUCKETS,)
    offset: Vectors  # (triggers,)
    scale: Vectors  # (triggers,)

    def scores(self, vectors: Vectors, texts: Sequence[str]) -> Matrix:
        """(texts x triggers)"""
        written = [weighted(pieces(text), self.rarity) for text in texts]
        writing = np.stack([weight @ self.writing[at] for at, weight in written])
        raw = vectors @ self.meaning + writing + self.offset
        return np.asarray(raw / self.scale, dtype=np.float64)

    def nearest(self, name: str, vector: Vectors) -> tuple[str, float]:
        """The trigger's example that a text is most like, and how much (cosine)."""
        own = np.flatnonzero(self.owner == self.names.index(name))
        similar = self.near[own] @ vector
        best = int(similar.argmax())
        return self.examples[own[best]], float(similar[best])

    def are_for(self, digest: str, probes: Vectors) -> bool:
        """Whether they were learned from these lessons and with the model that makes `probes` of the first examples."""
        if digest != self.digest or probes.ndim != 2 or probes.shape[1] != self.near.shape[1]:  # noqa: PLR2004
            return False
        return bool(((self.near[: len(probes)] * probes).sum(axis=1) >= SAME_MODEL).all())

    def save(self, file: Path) -> None:
        """Raises OSError. Half precision: a score moves by less than a thousandth."""
        arrays = {
            name: getattr(self, name).astype(np.float16)
            for name in ("near", "ordinary", "meaning", "writing", "rarity")
        }
        with file.open("wb") as out:
            np.savez_compressed(
                out, digest=np.array(self.digest), names=np.array(self.names), examples=np.array(self.examples),
                owner=self.owner, offset=self.offset, scale=self.scale, **arrays,
            )  # fmt: skip


def load(file: Path) -> Detectors | None:
    """What was saved; None where there is nothing or it is not what it should be."""
    try:
        with file.open("rb") as inside, np.load(inside, allow_pickle=False) as kept:
            arrays = {
                n: kept[n].astype(np.float32)
                for n in ("near", "ordinary", "meaning", "writing", "rarity", "offset", "scale")
            }
            found = Detectors(
                digest=str(kept["digest"]), names=tuple(map(str, kept["names"])),
                examples=tuple(map(str, kept["examples"])), owner=kept["owner"].astype(np.int64), **arrays,
            )  # fmt: skip
    except (OSError, ValueError, EOFError, KeyError, zlib.error, zipfile.BadZipFile):
        return None
    return found if _whole(found) else None


def _whole(found: Detectors) -> bool:
    """Every array has the shape that the others expect, and holds numbers."""
    dimension, count = found.meaning.shape if found.meaning.ndim == 2 else (0, 0)  # noqa: PLR2004
    return (
        count == len(found.names) > 0
        and found.near.shape == (len(found.examples), dimension)
        and found.ordinary.shape[1:] == (dimension,)
        and found.owner.shape == (len(found.examples),)
        and found.writing.shape == (BUCKETS, count)
        and found.rarity.shape == (BUCKETS,)
        and found.offset.shape == found.scale.shape == (count,)
        and all(
            np.isfinite(a).all()
            for a in (found.near, found.meaning, found.writing, found.rarity, found.offset)
        )
        and bool((found.scale > 0).all())
        and set(found.owner.tolist()) == set(range(count))
    )
