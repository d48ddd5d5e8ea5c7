"""Time is an event; what was missed waits for all of it; the end finishes what it can."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.port import (
    Unavailable,
)
from bot.batch import Step
from handoff.effects import Wake
from handoff.model import Case
from tests.line.asking import ASK, answers, line_with
from tests.line.scene import (
    DANA,
    Line,
    Platform,
    person,
    place,
    presses,
    says,
    virtual,
)

# --- time ------------------------------------------------------------------------------------------------


def fired(line: Line, timer: str) -> int:
    found = line.look(
        "SELECT count(*) FROM inbox WHERE kind = 'timer' AND json_extract(payload, '$.timer') = ?", timer
    )
    return found[0]


@virtual
async def test_a_timer_fires_when_it_is_due_and_once(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(wakes=[Wake("nudge", line.clock.now() + 50)])
        line.engine.clockwork.nudge()
        await line.passes(49)
        assert fired(line, "nudge") == 0
        await line.passes(2)
        assert fired(line, "nudge") == 1
        await line.passes(7200)
        assert fired(line, "nudge") == 1


@virtual
async def test_an_earlier_timer_overtakes_a_later_one_that_is_waited_for(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        for seconds in (5000, 10):
            await line.promise(wakes=[Wake(f"in {seconds}", line.clock.now() + seconds)])
            line.engine.clockwork.nudge()
        await line.passes(11)
        assert fired(line, "in 10") == 1
        assert fired(line, "in 5000") == 0


@virtual
async def test_a_timer_that_came_due_while_the_process_was_down_fires_at_the_start_once(
    tmp_path: Path,
) -> None:
    async with Line(tmp_path).up() as line:
        await line.promise(
            wakes=[Wake("nudge", line.clock.now() + 50), Wake("later", line.clock.now() + 9000)]
        )
    await asyncio.sleep(5000)
    for _ in range(2):
        async with Line(tmp_path).up() as again:
            await again.passes(5)
            assert fired(again, "nudge") == 1
            assert fired(again, "later") == 0


@virtual
async def test_a_refusing_disk_delays_a_timer_and_does_not_lose_it(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(wakes=[Wake("nudge", line.clock.now() + 5)])
        line.engine.clockwork.nudge()
        line.disk.full = True
        await line.passes(30)
        line.disk.full = False
        await line.passes(5)
        assert fired(line, "nudge") == 1


# --- what was missed -------------------------------------------------------------------------------------


@virtual
async def test_what_was_missed_is_recorded_first_and_worked_on_when_all_of_it_is_here(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        async with line.engine.catching_up("playground"):
            await line.hears(says(ASK, 100, catchup=True), says(ASK, 200, where=place("200"), catchup=True))
            await line.passes(30)
            assert line.look("SELECT count(*) FROM inbox WHERE state = 'new'") == [2]
            assert answers(line) == []
            await line.hears(says("you have to press save", 101, person("neighbour"), catchup=True))
        await line.passes(30)
        assert answers(line) == []
        assert len(answers(line, "200")) == 1


@virtual
async def test_what_was_missed_is_not_worked_on_because_something_new_stands_before_it(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    async with line.up():
        async with line.engine.catching_up("playground"):
            await line.hears(says("and quickly please", 103), says(ASK, 100, catchup=True))
            await line.passes(30)
            assert answers(line) == []
            await line.hears(says("somebody from us answered", 101, DANA, catchup=True))
        await line.passes(30)
        assert answers(line) == []


@virtual
async def test_what_happens_now_does_not_wait_for_what_was_missed_elsewhere(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        async with line.engine.catching_up("playground"):
            await line.hears(says(ASK, 100, catchup=True), says(ASK, 200, where=place("200")))
            await line.passes(30)
            assert len(answers(line, "200")) == 1
        await line.passes(30)
        assert len(answers(line)) == 1


@virtual
async def test_a_catch_up_that_breaks_lets_go_of_what_it_held(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():

        async def breaks() -> None:
            async with line.engine.catching_up("playground"):
                await line.hears(says(ASK, 100, catchup=True))
                raise ConnectionError

        with pytest.raises(ConnectionError):
            await breaks()
        await line.passes(30)
        assert len(answers(line)) == 1


# --- the end ---------------------------------------------------------------------------------------------


@virtual
async def test_the_end_lets_decisions_finish_that_can_and_keeps_the_rest_for_the_next_start(
    tmp_path: Path,
) -> None:
    async def thinks(case: Case, step: Step) -> None:
        await asyncio.sleep(900 if case.place.thread == "999" else 1)

    line = line_with(tmp_path, thinks)
    async with line.up():
        await line.hears(*(says(ASK, n, where=place(str(n))) for n in (*range(200, 250), 999)))
        await line.passes(0.5)
        began = line.clock.now()
        await line.engine.drain(30)
        await line.outbox.drain(10)
        assert line.clock.now() - began <= 31
        assert sum(len(answers(line, str(n))) for n in range(200, 250)) == 50
    again = Line(tmp_path)
    assert again.look("SELECT conversation FROM inbox WHERE state = 'new'") == [place("999").conversation]
    async with again.up():
        await again.passes(20)
        assert len(answers(again, "999")) == 1


@virtual
async def test_the_end_waits_for_an_answer_that_is_with_the_platform(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(seconds=3.0),))
    line.home.will(Unavailable("once"))
    async with line.up():
        for thread in ("100", "200"):
            await line.hears(says(ASK, int(thread), where=place(thread)))
            await line.passes(2.0)
        await line.outbox.drain(30)
        assert set(line.states()) == {"sent"}
        assert len(answers(line, "200")) == 1


@virtual
async def test_whoever_watches_is_told_why(tmp_path: Path) -> None:
    line = Line(tmp_path)
    seen: list[Any] = []
    line.engine.observers.append(seen.append)
    async with line.up():
        await line.hears(says(ASK, 100))
        await line.passes(10)
    told = next(s for s in seen if s["kind"] == "answer")
    assert told["why"]
    assert told["evidence"][0]["topic"] == "refunds"
    assert told["snapshot"] == "s-1"
    assert told["key"]


@virtual
async def test_whoever_watches_is_told_too_that_the_bot_stays_out_of_it(tmp_path: Path) -> None:
    """A page that shows "working on it" would show it for ever."""
    line = Line(tmp_path)
    seen: list[Any] = []
    line.engine.observers.append(seen.append)
    async with line.up():
        await line.hears(says("anybody here for lunch?", 100, where=place("100", "talk")))
        await line.passes(10)
        assert not line.states()
    assert [(s["kind"], s["why"]) for s in seen] == [("unaddressed", "nobody called the bot")]


@virtual
async def test_a_press_of_an_unknown_ticket_hurts_nobody(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.hears(
            presses("claim", "T-4711", DANA), presses("nonsense", "'; DROP TABLE cases; --", DANA)
        )
        await line.passes(30)
        assert line.look("SELECT count(*) FROM inbox WHERE state != 'done'") == [0]
