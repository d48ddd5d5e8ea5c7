"""Storms: whole worlds on virtual time in which everything goes wrong, and what must hold in each of them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.work import one_world
from tests.mutations import MUTATIONS
from tests.races import claim_at_once, interleave
from tests.simulation import Options, play

WORLDS, CHUNKS = 200, 8
RACES, WORLDS_OF_RACES = 400, 8
ENOUGH_WORLDS = 150  # a safeguard that is missing must be noticed within so many


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_is_lost_doubled_or_said_too_late_in_any_world(chunk: int) -> None:
    """Play one again with `python -m tests.chaos --seed N`."""
    size = WORLDS // CHUNKS
    for seed in range(chunk * size, (chunk + 1) * size):
        story = play(seed)

        assert not story.violations, f"world {seed}: {story.violations[:5]}"


@pytest.mark.slow
def test_worlds_hold_what_they_promise_to_test() -> None:
    seen: Counter[str] = Counter()
    for seed in range(5000, 5015):
        seen += play(seed).seen

    missing = [
        what for what in ("crashes", "power cuts", "rate limited", "request lost", "answer lost", "repeated",
                          "decision claim", "decision takeover", "decision relay", "decision timer", "relayed")
        if not seen[what]
    ]  # fmt: skip
    assert not missing


def test_the_same_seed_is_the_same_world() -> None:
    assert play(7) == play(7)


@pytest.mark.slow
@pytest.mark.parametrize("missing", MUTATIONS)
def test_a_missing_safeguard_is_noticed(missing: str) -> None:
    """The checks have teeth: without each safeguard some world ends badly."""
    for seed in range(ENOUGH_WORLDS):
        if play(seed, MUTATIONS[missing]).violations:
            return

    pytest.fail(f"nothing was noticed without {missing} in {ENOUGH_WORLDS} worlds")


@pytest.mark.slow
def test_two_workers_of_one_conversation_never_overwrite_each_other() -> None:
    """What the version check is for: even when each conversation is worked on twice at the same time."""
    for seed in range(12):
        story = play(seed, Options(customers=1, workers=2, crashes=False))

        assert not story.violations, f"world {seed}: {story.violations[:5]}"


@pytest.mark.parametrize("seed", range(3))
def test_of_fifty_who_claim_at_once_one_has_it_and_the_others_are_told_who(seed: int) -> None:
    claims = claim_at_once(seed, 50)

    assert not claims.violations
    assert claims.claimed == 1
    winner = claims.assignee.title()
    assert len(claims.told) == 49
    assert all("refused.taken" in told and winner in told for told in claims.told)


@pytest.mark.slow
def test_no_answer_is_delivered_after_a_person_stepped_in() -> None:
    spoken = withheld = 0
    for seed in range(WORLDS_OF_RACES):
        outcome = interleave(seed, RACES // WORLDS_OF_RACES)
        spoken, withheld = spoken + outcome.spoken, withheld + outcome.withheld

        assert not outcome.violations, f"world {seed}: {outcome.violations[:5]}"

    assert spoken > RACES / 20, "the bot must sometimes be faster, or nothing is raced"
    assert withheld > RACES / 20, "and sometimes late"


@pytest.mark.parametrize("seed", [102_507, 106_229, 106_327])
def test_a_disk_that_is_full_when_the_process_starts_is_waited_for(seed: int) -> None:
    """Worlds that `make chaos` found: the outbox could not read what was left over, and ended by itself."""
    assert one_world(seed).violations == []
