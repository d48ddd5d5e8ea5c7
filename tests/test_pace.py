"""One person's flood waits its turn; nobody else notices, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.pace import PEOPLE_MAX, WINDOW_SECONDS, Pace
from tests.line.scene import DANA, KIM, Line, person, place, presses, says, virtual

ANSWER = "Approved text about refunds."


def test_within_a_minute_only_so_many_steps_count() -> None:
    pace = Pace(3)

    assert [pace.turn(person(), at) for at in (0.0, 1.0, 2.0)] == [0.0, 1.0, 2.0]
    assert pace.turn(person(), 3.0) == WINDOW_SECONDS
    assert pace.turn(person(), WINDOW_SECONDS) == WINDOW_SECONDS
    assert pace.turn(person(), WINDOW_SECONDS) == WINDOW_SECONDS + 1.0


def test_others_are_not_slowed() -> None:
    pace = Pace(1)
    pace.turn(person("ana"), 0.0)

    assert pace.turn(person("ben"), 0.5) == 0.5


@pytest.mark.parametrize("who", [DANA, person("boss", "admin"), None], ids=["agent", "admin", "nobody"])
def test_the_desk_is_not_limited(who: object) -> None:
    pace = Pace(1)

    assert [pace.turn(who, 0.0) for _ in range(9)] == [0.0] * 9  # type: ignore[arg-type]


def test_asking_for_a_turn_that_has_not_come_costs_nothing() -> None:
    pace = Pace(1)
    pace.turn(person(), 0.0)
    for at in range(1, 50):
        pace.turn(person(), float(at))

    assert pace.turn(person(), WINDOW_SECONDS) == WINDOW_SECONDS


def test_memory_is_bounded() -> None:
    pace = Pace(1)
    for number in range(PEOPLE_MAX + 50):
        pace.turn(person(f"p{number}"), 0.0)

    assert len(pace._steps) == PEOPLE_MAX
    assert pace.turn(person(f"p{PEOPLE_MAX}"), 1.0) == WINDOW_SECONDS


@virtual
async def test_a_flood_waits_others_do_not_and_nothing_is_lost(tmp_path: Path) -> None:
    """`Line` listens to sixty messages of one person in a minute; here are ninety, each in a thread of its own."""
    line = Line(tmp_path)
    ana, ben = person("ana"), person("ben")
    async with line.up():
        for number in range(100, 190):
            await line.engine.receive(says("how do refunds work?", number, ana, place(str(number))))
        await line.engine.receive(says("how do refunds work?", 500, ben, place("500")))
        await line.passes(30)
        answered = [s for s in line.home.shown.values() if ANSWER in s.text]
        assert [s.ref.place.thread for s in answered if s.ref.place.thread == "500"] == ["500"]
        assert len(answered) <= 61

        await line.passes(120)

        threads = [s.ref.place.thread for s in line.home.shown.values() if ANSWER in s.text]
        assert sorted(threads) == sorted([*(str(n) for n in range(100, 190)), "500"])
        assert line.look("SELECT count(*) FROM inbox WHERE state = 'new'") == [0]


@virtual
async def test_a_claim_does_not_wait_behind_a_flood(tmp_path: Path) -> None:
    """Seventy lines of the customer's are before it, and the customer's turn comes in a minute."""
    line = Line(tmp_path)
    line.engine._pace = Pace(20)
    async with line.up():
        await line.hears(says("HUMAN please", 100))
        await line.passes(20)
        await line.hears(*(says(f"word {n}", 101 + n) for n in range(70)))
        await line.passes(1)
        await line.hears(presses("claim", "T-1", KIM))
        await line.passes(2)
        assert line.look("SELECT assignee FROM tickets") == ["kim"]
        assert line.look("SELECT count(*) FROM inbox WHERE state = 'new'")[0] > 40
        await line.passes(600)
        assert line.look("SELECT count(*) FROM inbox WHERE state = 'new'") == [0]
        copies = [text for text in line.home.texts if "word " in text]
        assert len(copies) == 70
