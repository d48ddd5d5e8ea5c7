"""What cannot be delivered is given up visibly; what was overtaken is not sent; a full disk and the end of the process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.port import (
    Ambiguous,
    Caps,
    Edit,
    Forbidden,
    Gone,
    MsgRef,
    Post,
    RateLimited,
    Rejected,
    TooLate,
    Unavailable,
)
from bot.outgoing import Outgoing
from bot.storage import Row
from handoff.effects import Link
from tests.line.parked import anchored, failed_events
from tests.line.scene import (
    BLIND,
    KEYLESS,
    NATIVE,
    Arrives,
    Line,
    Platform,
    content,
    edit,
    person,
    place,
    post,
    virtual,
)

LOST = Ambiguous("the connection broke")


# --- given up, visibly -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Gone("deleted"), "gone"), (Forbidden("may not"), "forbidden"), (Rejected("too long"), "rejected")],
)
def test_what_cannot_be_delivered_becomes_an_event_and_the_lane_goes_on(
    tmp_path: Path, error: Exception, kind: str
) -> None:
    @virtual
    async def parked() -> None:
        line = Line(tmp_path)
        line.home.will(error)
        async with line.up():
            await line.promise(post("refused", anchor="A-1"), post("next"))
            await line.passes(1)
            assert failed_events(line) == [(kind, "A-1")]
            assert line.states()[:2] == ["failed", "sent"]
        assert line.home.texts[0] == "next"
        assert len(line.home.times("refused")) == 1

    parked()


@virtual
async def test_an_outage_without_end_is_given_up_visibly(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(*[Unavailable("no")] * 1000, on=lambda op: isinstance(op, Post) and op.place.thread == "1")
    async with line.up():
        await line.promise(post("never", anchor="A-1"))
        await line.passes(7200)
        assert failed_events(line)[0] == ("exhausted", "A-1")


@virtual
async def test_lost_hints_and_marks_are_no_events(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(*[Forbidden("may not")] * 3, Gone("deleted"), TooLate("expired"))
    ref = MsgRef(place(), "1")
    async with line.up():
        await line.promise(
            Outgoing("react", "customer", "marks", "playground", ref=ref, emoji="eyes"),
            Outgoing(
                "private", "person", "p", "playground", place=place(), actor=person(), content=content("psst")
            ),
        )
        await line.passes(1)
        for _ in range(2):
            await line.promise(Outgoing("react", "customer", "marks", "playground", ref=ref, emoji="eyes"))
            await line.passes(1)
        await line.promise(post("too late"))
        await line.passes(1)
        assert failed_events(line) == []
        assert line.states() == ["failed", "failed", "failed", "sent", "sent"]


@virtual
async def test_deleting_what_is_gone_already_is_done(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(Gone("deleted"))
    async with line.up():
        await line.promise(links=[Link("R-1", MsgRef(place(), "7"))])
        await line.promise(Outgoing("delete", "customer", "one", target="R-1"))
        await line.passes(1)
        assert line.states() == ["sent"]
        assert failed_events(line) == []


@virtual
async def test_tidying_a_message_that_never_was_or_is_gone_is_done(tmp_path: Path) -> None:
    """A form's question that a takeover held back, or that a moderator deleted: the desk need not hear of it."""
    line = Line(tmp_path)
    tidy = replace(edit("c-1/field/1", "no buttons", "one"), audience="customer", tidies=True)
    async with line.up():
        await line.promise(tidy, post("next"))
        await line.passes(1)
        assert line.states() == ["sent", "sent"]
        line.home.will(Gone("deleted"))
        await line.promise(links=[Link("c-1/field/1", MsgRef(place(), "7"))])
        await line.promise(tidy)
        await line.passes(1)
        assert line.states() == ["sent", "sent", "sent"]
        assert failed_events(line) == []


@virtual
async def test_what_hangs_on_a_message_that_never_was_is_given_up_visibly(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(
            post("under nothing", "staff", place=None, platform="", under="T-1/card", anchor="T-1/note")
        )
        await line.passes(1)
        assert failed_events(line) == [("gone", "T-1/note")]


@virtual
async def test_a_platform_that_is_not_enabled_any_more_holds_nothing_up(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(
            post("nowhere", place=place(platform="slack"), platform="slack", anchor="A-1"), post("here")
        )
        await line.passes(1)
        assert failed_events(line) == [("gone", "A-1")]
    assert line.home.texts[0] == "here"


@virtual
async def test_a_card_that_somebody_deleted_is_posted_anew_and_named_anew(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(post("card", "staff", anchor="T-1/card", place=place(None, "desk")))
        await line.passes(1)
        line.home.will(Gone("deleted"), RateLimited(2), Gone("deleted"), Arrives(LOST), Gone("deleted"))
        del line.home.shown["b1"]
        await line.promise(edit("T-1/card", "card, claimed"), edit("T-1/other", "nothing"))
        await line.passes(60)
        assert line.home.texts == ["card, claimed"]
        await line.promise(edit("T-1/card", "card, solved"))
        await line.passes(1)
    assert line.home.texts == ["card, solved"]
    assert anchored(line, "T-1/card") == "b2"


# --- overtaken -------------------------------------------------------------------------------------------


@virtual
async def test_of_waiting_edits_only_the_newest_is_sent(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(post("card", "staff", anchor="T-1/card"))
        await line.passes(1)
        line.engine.state("playground", "reconnecting")
        for n in range(5):
            await line.promise(edit("T-1/card", f"v{n}"))
        line.engine.state("playground", "connected")
        await line.passes(5)
    assert line.home.texts == ["v4"]
    assert [type(call.op) for call in line.home.calls].count(Edit) <= 2  # the head of the lane had been taken


@virtual
async def test_a_row_withdrawn_within_its_delay_is_never_sent(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(
            post("oops", voice="agent", anchor="R-1", delay=5.0), post("kept", "two", delay=5.0)
        )
        await line.passes(4)
        assert line.home.texts == []
        await line.promise(withdrawn=["R-1"])
        await line.passes(5)
        await line.promise(withdrawn=["R-1"])
        assert line.states() == ["withdrawn", "sent"]
    assert line.home.texts == ["kept"]


@virtual
async def test_after_a_takeover_nothing_of_the_bots_leaves_but_peoples_words_do(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up(connected=False):
        await line.promise(post("bot"), post("notice", voice="notice"), post("person", voice="agent"),
                           post("staff", "staff", audience="staff"))  # fmt: skip
        await line.promise(epoch=1)
        assert line.states() == ["superseded", "pending", "pending", "pending"]
        line.engine.state("playground", "connected")
        await line.passes(5)
    assert sorted(line.home.texts) == ["notice", "person", "staff"]


@virtual
async def test_a_row_that_the_commit_missed_is_stopped_at_the_moment_of_sending(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up(connected=False):
        await line.promise(post("bot"))
        await line.promise(epoch=1)
        line.writer.connection.execute("UPDATE outbox SET state = 'pending'")
        line.engine.state("playground", "connected")
        await line.passes(5)
        assert line.states() == ["superseded"]
    assert line.home.calls == []


@virtual
async def test_a_takeover_waits_for_the_message_that_is_leaving(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(seconds=3.0),))
    async with line.up():
        case = await line.promise(post("leaving"), post("behind it"))
        await line.passes(1)
        async with line.outbox.quiet(case.id):
            taken_at = asyncio.get_running_loop().time()
            assert line.home.texts == ["leaving"]
            await line.promise(epoch=1)
        await line.passes(10)
    assert line.home.texts == ["leaving"]
    assert taken_at >= 3.0


@virtual
async def test_a_takeover_does_not_wait_for_a_message_that_waits_its_turn(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.home.will(RateLimited(600))
    async with line.up():
        case = await line.promise(post("limited"))
        await line.passes(1)
        async with asyncio.timeout(0.1), line.outbox.quiet(case.id):
            await line.promise(epoch=1)
        await line.passes(700)
    assert line.home.texts == []


# --- the database in the way ------------------------------------------------------------------------------


@pytest.mark.parametrize("caps", [NATIVE, KEYLESS], ids=lambda caps: caps.idempotent_post)
def test_a_disk_that_fills_up_in_the_middle_of_sending_doubles_nothing(tmp_path: Path, caps: Caps) -> None:
    @virtual
    async def full() -> None:
        line = Line(tmp_path, (Platform(caps=caps),))

        async def fills(op: object) -> None:
            line.disk.full = True

        line.home.leaving = fills
        async with line.up():
            await line.promise(post("once"), post("next"))
            await line.passes(20)
            line.home.leaving = None
            assert line.home.texts == ["once"]
            line.disk.full = False
            await line.passes(30)
            assert line.states() == ["sent", "sent"]
        assert line.home.texts == ["once", "next"]

    full()


@virtual
async def test_a_disk_that_was_full_before_sending_makes_nothing_uncertain(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(caps=BLIND),))
    async with line.up(connected=False):
        await line.promise(post("once"))
        line.disk.full = True
        line.engine.state("playground", "connected")
        await line.passes(20)
        assert line.home.calls == []
        line.disk.full = False
        await line.passes(20)
    assert line.home.texts == ["once"]


# --- work that was ordered --------------------------------------------------------------------------------


@virtual
async def test_a_chore_is_done_after_its_commit_once_and_again_after_a_crash(tmp_path: Path) -> None:
    done: list[str] = []

    async def dies_in_it(row: Row) -> None:
        done.append("begun")
        await asyncio.sleep(3600)

    async def works(row: Row) -> None:
        done.append(str(row.out.args["name"]))

    first = Line(tmp_path, chores=dies_in_it)
    running = [asyncio.ensure_future(part.run(first.stop)) for part in (first.outbox, first.engine)]
    await first.promise(Outgoing("chore", "self", "chore/reload", "self", args={"name": "reload"}))
    await first.passes(1)
    await first.dies()
    assert all(task.done() for task in running)
    async with Line(tmp_path, chores=works).up() as second:
        await second.passes(1)
        assert second.states() == ["sent"]
    assert done == ["begun", "reload"]


@virtual
async def test_the_end_waits_for_what_can_leave_and_not_for_what_cannot(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(seconds=0.5), Platform("console")))
    line.home.will(*[Unavailable("no")] * 99, on=lambda op: isinstance(op, Post) and op.place.thread == "1")
    async with line.up():
        line.engine.state("console", "down")
        away = post("elsewhere", "c", place=place("9", platform="console"), platform="console")
        await line.promise(post("failing"), away, *(post(f"{n}", "two", place=place("2")) for n in range(4)))
        await line.passes(1)
        began = line.clock.now()
        await line.outbox.drain(20)
        assert line.clock.now() - began < 3
        assert line.home.texts == ["0", "1", "2", "3"]


@virtual
async def test_the_end_waits_for_a_second_try_that_is_with_the_platform(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(seconds=3.0),))
    line.home.will(Unavailable("once"))
    async with line.up():
        await line.promise(post("again"))
        await line.passes(4)
        assert len(line.home.calls) == 2
        await line.outbox.drain(20)
        assert line.states() == ["sent"]
