"""What the worker processes of the chaos suite do, one seed at a time."""

from __future__ import annotations

from tests.races import interleave
from tests.simulation import Story, play

RACES_AT_ONCE = 50


def one_world(seed: int) -> Story:
    try:
        return play(seed)
    except BaseException as error:  # noqa: BLE001 - a world that cannot be played is a finding with a seed
        return Story(seed, [f"could not be played: {error!r}"])


def one_race(seed: int) -> tuple[int, list[str], int, int]:
    outcome = interleave(seed, RACES_AT_ONCE)
    return seed, outcome.violations, outcome.spoken, outcome.withheld
