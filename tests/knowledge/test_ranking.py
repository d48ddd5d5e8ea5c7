"""The evidence that ranking gathers: what it counts, and for whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from knowledge.lexicon import Lexicon, terms_of
from knowledge.ranking import BLOCK, CROWD, gather, lexical_of


@dataclass(frozen=True)
class Shelf:
    """Passages with twenty keys each."""

    passage_topic: np.ndarray
    key_start: np.ndarray
    lexicon: Lexicon


KEYS = 2 * CROWD
SHELF = Shelf(
    np.array([0, 1], dtype=np.int32),
    np.array([0, KEYS], dtype=np.int32),
    Lexicon.of([["alpha"], ["beta"]])[0],
)
EVERYBODY, FIRST_ONLY = np.array([True, True]), np.array([True, False])


def crowd(first: list[float], second: list[float], allowed: np.ndarray) -> float:
    similar = np.array([*first, *second], dtype=np.float32)
    return gather(SHELF, similar, lexical_of(SHELF.lexicon, terms_of("alpha")), None, allowed).crowd


def test_one_close_key_is_no_crowd():
    lonely = crowd([0.9, *[0.1] * (KEYS - 1)], [0.1] * KEYS, EVERYBODY)
    busy = crowd([*[0.8] * CROWD, *[0.1] * (KEYS - CROWD)], [0.1] * KEYS, EVERYBODY)

    assert lonely == pytest.approx((0.9 + 0.1 * (CROWD - 1)) / CROWD)
    assert busy == pytest.approx(0.8)


def test_what_may_not_be_seen_is_not_in_the_crowd():
    first = [0.3] * KEYS

    assert (
        crowd(first, [0.9] * KEYS, FIRST_ONLY)
        == crowd(first, [-1.0] * KEYS, FIRST_ONLY)
        == pytest.approx(0.3)
    )
    assert crowd(first, [0.9] * KEYS, np.array([False, False])) == 0.0


@pytest.mark.parametrize("keys", [1, CROWD, BLOCK * CROWD, 9 * BLOCK * CROWD + 5])
def test_the_crowd_is_the_nearest_keys_however_many_there_are(keys):
    similar = np.random.default_rng(keys).uniform(-0.5, 1.0, keys).astype(np.float32)
    shelf = Shelf(np.array([0], dtype=np.int32), np.array([0], dtype=np.int32), Lexicon.of([["alpha"]])[0])

    found = gather(shelf, similar, lexical_of(shelf.lexicon, terms_of("alpha")), None, np.array([True])).crowd

    assert found == pytest.approx(np.maximum(np.sort(similar)[-CROWD:], 0).mean())


def test_where_topics_have_few_keys_few_make_a_crowd():
    """Else the neighbours of a question would mostly be other topics, and every question a stranger."""
    shelf = Shelf(
        np.arange(12, dtype=np.int32),
        np.arange(0, 24, 2, dtype=np.int32),
        Lexicon.of([[f"word{number}"] for number in range(12)])[0],
    )
    similar = np.array([0.9, 0.7, *[0.1] * 22], dtype=np.float32)

    found = gather(
        shelf, similar, lexical_of(shelf.lexicon, terms_of("word1")), None, np.array([True] * 12)
    ).crowd

    assert found == pytest.approx(0.8)
