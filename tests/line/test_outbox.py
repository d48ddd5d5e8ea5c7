"""Delivery: in order per lane, once, whatever the platform does in between."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.port import (
    Ambiguous,
    Caps,
    Edit,
    Post,
    RateLimited,
    Unavailable,
)
from bot.storage import Commit
from tests.line.parked import anchored, failed_events
from tests.line.scene import (
    BEST_EFFORT,
    BLIND,
    KEYLESS,
    NATIVE,
    Arrives,
    Line,
    Platform,
    case_in,
    edit,
    place,
    post,
    virtual,
)

LOST = Ambiguous("the connection broke")


# --- order -----------------------------------------------------------------------------------------------


@virtual
async def test_a_lane_is_delivered_in_order_whatever_fails(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(Unavailable("no"), None, RateLimited(3), Arrives(LOST), LOST, None, Unavailable("no"))
    async with line.up():
        await line.promise(*(post(f"{n}") for n in range(6)))
        await line.passes(60)
        assert line.states() == ["sent"] * 6
    assert line.home.texts == ["0", "1", "2", "3", "4", "5"]


@virtual
async def test_parts_are_delivered_in_order_whatever_fails(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(None, Unavailable("no"), Arrives(LOST), RateLimited(2))
    async with line.up():
        await line.promise(post("one / two / three"), post("next"))
        await line.passes(60)
    assert line.home.texts == ["one", "two", "three", "next"]


@virtual
async def test_lanes_do_not_wait_for_each_other(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(*[Unavailable("no")] * 5, on=lambda op: isinstance(op, Post) and op.place.thread == "1")
    async with line.up():
        await line.promise(post("slow"), post("quick", "two", place=place("2")))
        await line.passes(0.5)
        assert line.home.texts == ["quick"]
        await line.passes(60)
    assert line.home.texts == ["quick", "slow"]


@virtual
async def test_a_limit_delays_only_its_own_lane(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(RateLimited(30), on=lambda op: isinstance(op, Post) and op.place.thread == "1")
    async with line.up():
        await line.promise(post("limited"), post("free", "two", place=place("2")))
        await line.passes(29)
        assert line.home.texts == ["free"]
        await line.passes(2)
    assert line.home.texts == ["free", "limited"]
    assert len(line.home.times("limited")) == 2  # no hammering


@virtual
async def test_a_limit_on_the_platform_freezes_all_its_lanes_and_no_other_platform(tmp_path: Path) -> None:
    other = Platform("console")
    line = Line(tmp_path, (Platform(), other))
    line.home.will(RateLimited(30, "platform"))
    async with line.up():
        await line.promise(post("first"))
        await line.passes(1)
        there = place("3", platform="console")
        await line.promise(post("second", "two"), post("elsewhere", "three", place=there, platform="console"))
        await line.passes(28)
        assert (line.home.texts, other.texts) == ([], ["elsewhere"])
        await line.passes(3)
    assert sorted(line.home.texts) == ["first", "second"]
    assert len(line.home.calls) == 3


@virtual
async def test_a_limit_on_the_platform_counts_also_when_an_edit_meets_it(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(RateLimited(30, "platform"), on=lambda op: isinstance(op, Edit))
    async with line.up():
        await line.promise(post("card", "staff", anchor="T-1/card"))
        await line.passes(1)
        await line.promise(edit("T-1/card", "changed"))
        await line.passes(1)
        await line.promise(post("waits", "two"))
        await line.passes(25)
        assert line.home.texts == ["card"]
        await line.passes(5)
    assert line.home.texts == ["changed", "waits"]


@virtual
async def test_limits_do_not_use_up_the_tries(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(*[RateLimited(120)] * 40, Unavailable("no"))
    async with line.up():
        await line.promise(post("patient"))
        await line.passes(6000)
        assert failed_events(line) == []
    assert line.home.texts == ["patient"]


@pytest.mark.parametrize(
    ("caps", "trouble"), [(NATIVE, Unavailable("502")), (NATIVE, LOST), (BEST_EFFORT, LOST), (KEYLESS, LOST)]
)
def test_ten_minutes_of_outage_lose_nothing_and_are_no_busy_loop(
    tmp_path: Path, caps: Caps, trouble: Exception
) -> None:
    @virtual
    async def outage() -> None:
        line = Line(tmp_path, (Platform(caps=caps),))
        over = line.clock.now() + 600

        async def down(op: object) -> None:
            if line.clock.now() < over:
                raise trouble

        line.home.leaving = down
        async with line.up():
            await line.promise(*(post(f"{n}") for n in range(3)))
            await line.passes(900)
            assert failed_events(line) == []
        assert line.home.texts == ["0", "1", "2"]
        assert len(line.home.calls) < 80

    outage()


@virtual
async def test_a_burst_of_twenty_leaves_at_one_a_second_and_channel(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(caps=replace(NATIVE, post_interval_seconds=1.0)),))
    async with line.up():
        many = [post(f"{n}", f"lane {n}", place=place(str(n))) for n in range(20)]
        await line.promise(*many, post("elsewhere", "lane x", place=place("9", "other")))
        await line.passes(0.5)
        assert sorted(line.home.texts) == ["0", "elsewhere"]
        await line.passes(25)
    here = sorted(c.at for c in line.home.calls if isinstance(c.op, Post) and c.op.place.channel == "help")
    assert len(here) == 20
    assert all(later - earlier >= 0.99 for earlier, later in itertools.pairwise(here))
    assert here[-1] - here[0] < 19.5


@virtual
async def test_what_is_posted_under_a_card_is_shaped_as_well(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(caps=replace(NATIVE, post_interval_seconds=1.0)),))
    async with line.up():
        await line.promise(post("card", "staff", anchor="T-1/card", place=place(None, "desk")))
        await line.passes(5)
        under = [post(f"{n}", f"s{n}", place=None, platform="", under="T-1/card") for n in range(5)]
        await line.promise(*under)
        await line.passes(10)
    times = sorted(c.at for c in line.home.calls)[1:]
    assert len(times) == 5
    assert all(later - earlier >= 0.99 for earlier, later in itertools.pairwise(times))
    assert {shown.ref.place.thread for shown in line.home.shown.values()} == {None, "b1"}


@virtual
async def test_nothing_is_tried_while_the_platform_is_not_connected(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up(connected=False):
        await line.promise(post("waits"))
        await line.passes(3600)
        assert line.home.calls == []
        line.engine.state("playground", "connected")
        await line.passes(1)
    assert line.home.texts == ["waits"]


# --- once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caps", [NATIVE, BEST_EFFORT, KEYLESS], ids=lambda caps: caps.idempotent_post)
@pytest.mark.parametrize("outcome", [LOST, Arrives(LOST), Arrives(ValueError("a bug after sending"))])
def test_what_may_have_arrived_stands_there_once(tmp_path: Path, caps: Caps, outcome: Exception) -> None:
    @virtual
    async def once() -> None:
        line = Line(tmp_path, (Platform(caps=caps),))
        line.home.will(outcome)
        async with line.up():
            await line.promise(post("once", anchor="A-1"), post("next"))
            await line.passes(120)
        assert line.home.texts == ["once", "next"]
        assert anchored(line, "A-1") == "b1"

    once()


@virtual
async def test_within_the_window_the_platform_recognises_the_key_and_need_not_be_asked(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    line.home.will(Arrives(LOST))
    async with line.up():
        await line.promise(post("once"))
        await line.passes(60)
    assert line.home.texts == ["once"]
    assert line.home.asked == []
    assert len({call.key for call in line.home.calls}) == 1


@virtual
async def test_after_the_window_the_platform_is_asked_first(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(caps=replace(NATIVE, safe_resend_seconds=2.0)),))
    line.home.will(Arrives(LOST), Unavailable("no"), Unavailable("no"), Unavailable("no"))
    async with line.up():
        await line.promise(post("once"))
        await line.passes(60)
    assert line.home.texts == ["once"]
    assert len(line.home.asked) == 1


@virtual
async def test_where_keys_are_best_effort_absent_is_believed_only_after_a_while(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(caps=BEST_EFFORT),))
    line.home.will(LOST)
    async with line.up():
        await line.promise(post("once"))
        await line.passes(9.5)
        assert len(line.home.calls) == 1
        await line.passes(30)
    assert line.home.texts == ["once"]
    assert line.home.times("once")[1] - line.home.times("once")[0] >= 10


@virtual
async def test_while_the_platform_does_not_know_nothing_is_sent_again(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(caps=KEYLESS),))
    line.home.will(Arrives(LOST))
    line.home.asks.extend(["unknown"] * 9)
    async with line.up():
        await line.promise(post("once"))
        await line.passes(600)
    assert line.home.texts == ["once"]
    assert len(line.home.calls) == 1
    assert len(line.home.asked) == 10


@virtual
async def test_a_platform_that_cannot_be_asked_gets_no_second_copy_but_the_desk_hears_of_it(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path, (Platform(caps=BLIND),))
    line.home.will(Arrives(LOST))
    async with line.up():
        await line.promise(post("once", anchor="A-1"))
        await line.passes(7200)
        assert failed_events(line) == [("ambiguous", "A-1")]
    assert line.home.times("once") == [line.home.calls[0].at]


@virtual
async def test_a_later_certain_failure_does_not_make_an_uncertain_one_certain(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(caps=KEYLESS),))
    line.home.will(Arrives(LOST))
    line.home.asks.append("unknown")
    line.home.will(Unavailable("no"), RateLimited(5))
    async with line.up():
        await line.promise(post("once"))
        await line.passes(120)
    assert line.home.texts == ["once"]


@virtual
async def test_a_process_that_died_while_sending_looks_before_it_sends_again(tmp_path: Path) -> None:
    platform = Platform(caps=KEYLESS)
    line = Line(tmp_path, (platform,))
    tasks = [asyncio.ensure_future(part.run(line.stop)) for part in (line.outbox, line.engine)]
    line.engine.state("playground", "connected")
    await line.promise(post("once"), post("next"))
    await line.passes(0.0095)  # it is with the platform, which has not answered
    line.home._carry_out(line.home.calls[0].op, 0, line.home.calls[0].key)
    await line.dies()
    assert all(task.done() for task in tasks)
    assert Line(tmp_path).states() == ["sending", "pending"]
    async with Line(tmp_path, (platform,)).up() as again:
        await again.passes(30)
        assert again.states() == ["sent", "sent"]
    assert platform.texts == ["once", "next"]


@virtual
async def test_after_a_crash_between_parts_the_rest_is_sent(tmp_path: Path) -> None:
    platform = Platform(caps=KEYLESS)
    line = Line(tmp_path, (platform,))
    running = [asyncio.ensure_future(part.run(line.stop)) for part in (line.outbox, line.engine)]
    line.engine.state("playground", "connected")
    await line.promise(post("one / two / three", anchor="A-1"))
    while line.look("SELECT parts_done FROM outbox") != [2]:
        await line.passes(0.001)
    await line.dies()
    assert all(task.done() for task in running)
    async with Line(tmp_path, (platform,)).up() as again:
        await again.passes(30)
        assert again.look("SELECT name, message FROM anchors ORDER BY name") == [
            ("A-1", "b1"), ("A-1#1", "b2"), ("A-1#2", "b3"),
        ]  # fmt: skip
    assert platform.texts == ["one", "two", "three"]


# --- the beginning ---------------------------------------------------------------------------------------


@virtual
async def test_what_is_committed_before_the_left_over_could_be_read_is_sent_once(tmp_path: Path) -> None:
    """Reading what an earlier process left claims to know every row: one that a decision just claimed for sending
    would count as left over, and leave twice."""
    line = Line(tmp_path)
    line.disk.full = True
    async with line.up():
        await line.passes(0.5)
        line.disk.full = False  # the outbox waits a moment longer before it looks again
        row = post("early")
        assert not line.outbox.leaving((row,))
        await line.promise(row)
        assert line.states() == ["pending"]
        await line.passes(60)
        assert line.states() == ["sent"]
    assert len(line.home.times("early")) == 1


@virtual
async def test_what_waits_for_a_connection_is_looked_at_again_when_it_is_there(tmp_path: Path) -> None:
    """It was claimed for sending in the commit that promised it; meanwhile its person was erased."""
    line = Line(tmp_path)
    async with line.up():
        await line.passes(1)
        case = replace(case_in(), version=1)
        rows = [post("answer")]
        change = Commit(
            None, case, case.place.conversation, (), line.clock.now(), rows, leaving=frozenset({"one"})
        )
        promised = await line.storage.commit(change)
        assert promised[0].state == "sending"
        line.engine.state("playground", "reconnecting")
        line.outbox.add(promised)
        await line.passes(5)
        await line.storage.erase("playground", "playground", "ana")
        line.engine.state("playground", "connected")
        await line.passes(5)
    assert line.home.texts == []
