"""Confidence is a probability: monotone in the evidence, honest about doubt, cautious with little data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.confidence import FEATURES, Calibration, Sample, calibrate, clarify_line, threshold

EVIDENCE = st.tuples(*(st.floats(0, 1.5) for _ in FEATURES))


def rehearsal(count: int, *, seed: int = 0) -> list[Sample]:
    """Samples whose truth follows known probabilities: what is far in meaning is seldom covered, what leads clearly
    is mostly right."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        meaning, margin = rng.uniform(0, 1), rng.uniform(0, 1)
        covered = bool(rng.uniform() < 1 / (1 + np.exp(4 - 14 * meaning)))
        right = covered and bool(rng.uniform() < 1 / (1 + np.exp(1.5 - 9 * margin)))
        kind = "own" if covered else "absent"
        samples.append(Sample((meaning, 0.5, margin, 0.0, 0.0, 0.5, meaning), right, 1.0, kind, covered))
    return samples


@given(EVIDENCE, st.integers(0, len(FEATURES) - 1), st.floats(0, 1))
def test_more_evidence_never_lowers_the_confidence(evidence, which, more):
    for calibration in (CALIBRATED, Calibration()):
        better = [value + more * (at == which) for at, value in enumerate(evidence)]

        assert calibration.probability(better) >= calibration.probability(evidence)


CALIBRATED = calibrate(rehearsal(300), head=False, max_wrong=0.05)


@pytest.mark.parametrize("head", [False, True])
def test_the_confidence_comes_out_as_often_as_it_says(head):
    made = calibrate(rehearsal(3000), head=head, max_wrong=0.05)
    unseen = rehearsal(3000, seed=1)
    confidence = np.array([made.probability(one.evidence) for one in unseen])
    right = np.array([one.right for one in unseen])

    for low in (0.2, 0.5, 0.8):
        inside = (confidence >= low) & (confidence < low + 0.2)
        assert abs(confidence[inside].mean() - right[inside].mean()) < 0.06


@pytest.mark.parametrize("max_wrong", [0.02, 0.05, 0.10, 0.20])
def test_the_line_keeps_the_promise_on_questions_not_seen(max_wrong):
    made = calibrate(rehearsal(800), head=False, max_wrong=max_wrong)
    unseen = rehearsal(4000, seed=2)
    answered = [one.right for one in unseen if made.probability(one.evidence) >= made.threshold_answer]

    assert len(answered) >= 20
    assert 1 - np.mean(answered) <= max_wrong


def test_asking_back_needs_even_odds_that_one_of_its_topics_is_meant():
    assert [clarify_line(answer) for answer in (0.3, 0.5, 0.7, 0.995)] == [0.3, 0.5, 0.5, 0.5]


def test_a_stricter_team_answers_less():
    lines = [
        calibrate(rehearsal(800), head=False, max_wrong=share).threshold_answer
        for share in (0.02, 0.05, 0.1, 0.2)
    ]

    assert lines == sorted(lines, reverse=True)
    assert all(
        calibrate(rehearsal(800), head=False, max_wrong=0.05).threshold_clarify <= line for line in lines
    )


def test_too_little_data_is_said_and_draws_a_higher_line():
    covered = [one for one in rehearsal(40) if one.covered][:12]
    little = calibrate(covered, head=False, max_wrong=0.05)

    assert "only 12 questions" in str(little.summary["note"])
    assert little.threshold_answer >= 0.975


def test_a_snapshot_without_questions_still_has_lines():
    empty = calibrate([], head=False, max_wrong=0.05)

    assert 0.975 <= empty.threshold_answer < 1


def test_hopeless_evidence_answers_nothing():
    line, coverage, _ = threshold([(0.9, False, 1.0)] * 200, 0.05)

    assert (line, coverage) == (0.995, 0.0)


def test_what_tells_strangers_apart_does_not_have_to_tell_neighbours_apart():
    """Strangers are far in meaning, neighbours have no lead: either alone must be enough for doubt."""
    made = calibrate(rehearsal(3000), head=False, max_wrong=0.05)
    stranger, neighbour, customer = (
        made.probability((meaning, 0.5, margin, 0.0, 0.0, 0.5, meaning))
        for meaning, margin in ((0.15, 0.95), (0.95, 0.05), (0.95, 0.95))
    )

    assert stranger < 0.35
    assert neighbour < 0.6
    assert customer > 0.9


def test_a_calibration_survives_its_file():
    assert Calibration.from_json(json.loads(json.dumps(CALIBRATED.to_json()))) == CALIBRATED
