"""T-TIM-5: many deadlines in one second. Each is met once, the earliest first, and within the platform's limits."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from adapters.port import Post
from handoff.effects import Wake
from tests.line.scene import NATIVE, Line, Platform, case_in, person, place, says, virtual

MANY = 500


@virtual
async def test_five_hundred_deadlines_in_one_second_are_met_in_their_order(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        due = line.clock.now() + 60
        moments = [due + n / MANY for n in range(MANY)]
        random.Random(5).shuffle(moments)
        for n, at in enumerate(moments):
            case = replace(case_in(place(str(n), "help"), person(f"customer{n}")), id=f"c-{n:010x}")
            await line.promise(case=case, wakes=[Wake("nudge", at)])
        line.engine.clockwork.nudge()
        await line.passes(120)

        met = line.look("SELECT occurred_at FROM inbox WHERE kind = 'timer' ORDER BY seq")
        assert met == sorted(moments)
        assert line.look("SELECT count(*) FROM timers") == [0]


@virtual
async def test_reminders_of_a_whole_queue_keep_to_the_limits_and_come_once_each(tmp_path: Path) -> None:
    """Two hundred people asked for a person at the same moment, and nobody claims."""
    tickets = 200
    home = Platform(caps=replace(NATIVE, post_interval_seconds=1.0))
    line = Line(tmp_path, [home], concurrency=64)
    async with line.up():
        for n in range(tickets):
            await line.hears(says("I want a HUMAN", 1000 + n, person(f"customer{n}"), place(str(1000 + n))))
        await line.passes(3600)

        desk = [c.at for c in home.calls if isinstance(c.op, Post) and c.op.place.channel == "desk"]
        assert min(later - earlier for earlier, later in pairwise(desk)) >= 0.99
        told = [
            t
            for s in home.shown.values()
            if "timer.pick_up" in s.text
            for t in s.text.split()
            if t.startswith("T-")
        ]
        assert sorted(told) == sorted({f"T-{n}" for n in range(1, tickets + 1)})
