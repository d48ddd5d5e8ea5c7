"""The detectors of meaning: what they are made of, how they are learned and kept, and what those that ship find."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.triggers import labelled
from bot import detectors, training
from bot.detectors import Detectors
from handoff import triggers
from tests.signals.test_signals import tiny, vector
from tests.stage import Knowledge


def vectors(lessons: triggers.Lessons) -> detectors.Vectors:
    return np.stack([vector(text) for text in training.material(lessons)])


@pytest.fixture(scope="module")
def lessons() -> triggers.Lessons:
    return tiny()


@pytest.fixture(scope="module")
def learned(lessons: triggers.Lessons) -> Detectors:
    return training.learn(lessons, vectors(lessons))


# --- pieces -------------------------------------------------------------------------------------------------


def test_a_typo_keeps_most_pieces():
    right, wrong = detectors.pieces("my subscription"), detectors.pieces("my subscrption")
    other = detectors.pieces("the weather report")
    assert len(right.keys() & wrong.keys()) > len(right) / 3
    assert len(right.keys() & other.keys()) < len(right) / 10


def test_pieces_know_no_case_and_no_accents():
    assert detectors.pieces("Möchte KÜNDIGEN") == detectors.pieces("mochte kundigen")


def test_shouting_is_a_piece_of_its_own():
    assert detectors.pieces("help!!!") != detectors.pieces("help")


@given(st.text(max_size=300))
@settings(max_examples=150)
def test_any_text_has_pieces_of_length_one_or_none(text):
    counts = detectors.pieces(text)
    _, weight = detectors.weighted(counts, np.ones(detectors.BUCKETS, dtype=np.float32))
    length = float(np.linalg.norm(weight))
    assert length == pytest.approx(detectors.PIECES_WEIGHT if counts else 0.0, abs=1e-4)
    assert all(0 <= bucket < detectors.BUCKETS for bucket in counts)


# --- misspelling --------------------------------------------------------------------------------------------


@given(st.text(max_size=200))
@settings(max_examples=150)
def test_misspelling_changes_letters_only_and_always_in_the_same_way(text):
    made = training.misspelt(text)
    assert made == training.misspelt(text)
    assert len(made.split()) == len(text.lower().split()) or len(made.split()) == len(text.split())


def test_misspelling_keeps_words_recognisable():
    text = "nobody answered my question about the invoice yesterday"
    made = training.misspelt(text)
    changed = [(a, b) for a, b in zip(text.split(), made.split(), strict=True) if a != b.lower()]
    assert 1 <= len(changed) <= 2
    assert all(a[0] == b[0] and abs(len(a) - len(b)) <= 1 for a, b in changed)


# --- learning -----------------------------------------------------------------------------------------------


def test_what_was_learned_tells_its_lessons_apart(lessons, learned):
    texts = [text for text in lessons.texts if lessons.labelled[text]]
    scores = learned.scores(np.stack([vector(t) for t in texts]), texts)
    best = [learned.names[int(row.argmax())] for row in scores]
    right = sum(name in lessons.labelled[text] for name, text in zip(best, texts, strict=True))
    assert right / len(texts) >= 0.95


def test_zero_is_where_ordinary_texts_usually_end(lessons, learned):
    ordinary = [text for text in lessons.texts if not lessons.labelled[text]]
    scores = learned.scores(np.stack([vector(t) for t in ordinary]), ordinary)
    assert (scores <= 0).mean() >= training.USUAL


def test_a_reason_names_an_example_of_that_trigger(learned):
    example = triggers.by_name()["refund"].examples[1]
    assert learned.nearest("refund", vector(example)) == (example, pytest.approx(1.0, abs=1e-3))
    own = triggers.by_name()["refund"].examples
    assert learned.nearest("refund", vector("hello"))[0] in own


def test_learning_tells_how_far_it_is(lessons):
    steps: list[tuple[int, int]] = []
    training.learn(lessons, vectors(lessons), lambda *step: steps.append(step))
    assert steps[-1][0] == steps[-1][1] == len(steps)


# --- keeping ------------------------------------------------------------------------------------------------


def test_what_was_saved_scores_the_same(learned, lessons, tmp_path):
    learned.save(tmp_path / "kept.npz")
    again = detectors.load(tmp_path / "kept.npz")
    assert again is not None
    texts = lessons.texts[:40]
    rows = np.stack([vector(t) for t in texts])
    assert np.abs(learned.scores(rows, texts) - again.scores(rows, texts)).max() < 0.02
    assert (again.names, again.examples, again.digest) == (learned.names, learned.examples, learned.digest)


@pytest.mark.parametrize(
    "change",
    [
        {"writing": np.zeros((3, 18), dtype=np.float32)},
        {"near": np.zeros((2, 5), dtype=np.float32)},
        {"scale": np.zeros(18, dtype=np.float32)},
        {"offset": np.full(18, np.nan, dtype=np.float32)},
        {"owner": np.zeros(54, dtype=np.int64)},
        {"names": ("one",)},
    ],
)
def test_arrays_that_do_not_fit_together_are_not_loaded(learned, change, tmp_path):
    replace(learned, **change).save(tmp_path / "kept.npz")
    assert detectors.load(tmp_path / "kept.npz") is None


def test_a_broken_file_is_no_file(learned, tmp_path):
    file = tmp_path / "kept.npz"
    assert detectors.load(file) is None
    learned.save(file)
    whole = file.read_bytes()
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        assert detectors.load(file) is None
    file.write_bytes(whole[:500] + b"\xff" * 50 + whole[550:])
    assert detectors.load(file) is None


def test_pickles_are_not_read(tmp_path):
    out = io.BytesIO()
    np.savez(out, names=np.array([{"a": 1}], dtype=object), digest=np.array("x"))
    (tmp_path / "kept.npz").write_bytes(out.getvalue())
    assert detectors.load(tmp_path / "kept.npz") is None


def test_they_are_for_these_lessons_and_this_model_only(lessons, learned, tmp_path):
    file = tmp_path / "kept.npz"
    learned.save(file)
    probes = np.stack([vector(t) for t in lessons.texts[: detectors.PROBES]])
    assert training.known(lessons, probes, [tmp_path / "none.npz", file]) is not None
    assert training.known(lessons, np.roll(probes, 7, axis=1), [file]) is None
    assert training.known(lessons, probes[:, :100], [file]) is None
    other = triggers.lessons_of(triggers.catalogue())
    assert training.known(other, probes, [file]) is None


# --- what ships ---------------------------------------------------------------------------------------------


def test_what_ships_was_learned_from_the_lessons_as_they_are():
    """After a change of the lessons: python -m bot.training"""
    shipped = detectors.load(training.SHIPPED)
    assert shipped is not None
    assert shipped.digest == training.digest_of(triggers.lessons())
    assert training.SHIPPED.stat().st_size < 1_000_000


async def test_the_default_model_needs_no_learning(knowledge: Knowledge, tmp_path: Path):
    from bot.signals import Signals

    asked: list[str] = []

    async def embed(texts):
        asked.extend(texts)
        return await knowledge.library.embed(texts)

    signals = Signals(embed, tmp_path)
    await signals.prepare()
    assert signals.by_meaning
    assert len(asked) == detectors.PROBES
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - an async test


async def test_words_and_meaning_find_nearly_all_of_the_development_texts(knowledge: Knowledge):
    """The report half and the blind texts are for benchmarks/triggers.py: whoever tuned on them could not report them."""
    texts = labelled("development")
    signals = [await knowledge.signals.check(text.text) for text in texts]
    fired = [{f.trigger for f in signal.fired} for signal in signals]
    asked = [text.trigger in names for text, names in zip(texts, fired, strict=True) if text.trigger]
    assert len(asked) > 600
    assert sum(asked) / len(asked) >= 0.96
    loud = [text.text for text, names in zip(texts, fired, strict=True) if not text.trigger and names]
    assert len(loud) <= 20, loud


async def test_a_reason_holds_no_words_of_the_customer(knowledge: Knowledge):
    """It may be logged."""
    text = "After Zanzibar Quux took over my account yesterday everything I had there was gone, please look into it"
    signal = await knowledge.signals.check(text)
    assert signal.fired
    examples = {e for t in triggers.catalogue().triggers for e in t.examples}
    assert any(f.reason.kind == "example" for f in signal.fired)
    assert all(f.reason.words in examples for f in signal.fired if f.reason.kind == "example")
    assert "Zanzibar" not in repr(signal.fired)
