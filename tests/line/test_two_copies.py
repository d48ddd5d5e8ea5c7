"""T-REL-3: what people see on both sides stays the same; where it cannot, the desk is told, and by what."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.port import ActionInvoked, Delete, Edit, Forbidden, Unavailable
from bot.batch import Step
from handoff.model import Case
from tests.line.asking import handed_over, line_with
from tests.line.scene import KIM, Line, deletes, edits, place, presses, says, virtual


async def replied(line: Line) -> tuple[str, Any]:
    """A ticket whose customer has read a reply; its thread in the staff channel."""
    ticket = await handed_over(line)
    card = await line.storage.anchored(f"{ticket}/card")
    assert card is not None
    thread = place(card.id, "desk")
    await line.hears(says("!reply Pleese reload", 500, KIM, thread, is_root=False))
    await line.passes(20)
    assert "Pleese reload" in to_customer(line)
    return ticket, thread


def said_in(line: Line, channel: str) -> list[str]:
    """The words of the bot's messages there, without their titles."""
    return [s.text.rpartition("\n\n")[2] for s in line.home.shown.values() if s.ref.place.channel == channel]


def to_customer(line: Line) -> list[str]:
    return said_in(line, "help")


def to_staff(line: Line) -> list[str]:
    return said_in(line, "desk")


def at_the_customer(kind: type) -> Any:
    return lambda op: isinstance(op, kind) and op.ref.place.channel == "help"


@virtual
async def test_an_edit_that_fails_for_a_while_is_made_in_the_end(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        _, thread = await replied(line)
        line.home.will(Unavailable("no"), Unavailable("no"), on=at_the_customer(Edit))
        await line.hears(edits(500, "!reply Please reload", where=thread, actor=KIM))
        await line.passes(60)

        assert "Please reload" in to_customer(line)
        assert "edited: Please reload" in to_staff(line)
        assert not [s for s in to_staff(line) if s.startswith("staff.un")]


@pytest.mark.parametrize(
    ("kind", "told"), [(Edit, "staff.unchanged"), (Delete, "staff.undeleted")], ids=["edit", "deletion"]
)
def test_a_change_that_cannot_be_made_is_shown_and_the_reply_still_counts(
    tmp_path: Path, kind: type, told: str
) -> None:
    """The customer keeps the earlier text. The desk reads that, and not that the reply never arrived."""

    @virtual
    async def played() -> None:
        line = Line(tmp_path)
        async with line.up():
            ticket, thread = await replied(line)
            line.home.will(Forbidden("may not"), on=at_the_customer(kind))
            change = (
                edits(500, "!reply Please reload", where=thread, actor=KIM)
                if kind is Edit
                else deletes(500, thread)
            )
            await line.hears(change)
            await line.passes(60)

            assert "Pleese reload" in to_customer(line)
            assert [s.split()[0] for s in to_staff(line) if s.startswith("staff.un")] == [told]
            assert not [s for s in to_staff(line) if s.startswith("failed:")]
            state = "SELECT state FROM tickets WHERE number = ?"
            assert line.look(state, int(ticket.removeprefix("T-"))) == ["pending"]

    played()


@virtual
async def test_the_customers_edit_reaches_the_staff_thread_after_an_outage(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await replied(line)
        line.home.will(Unavailable("no"), Unavailable("no"), on=lambda op: isinstance(op, Edit))
        await line.hears(says("it shows the wrong day", 600))
        await line.passes(5)
        await line.hears(edits(600, "it shows the wrong month"))
        await line.passes(60)

        assert any(s.endswith("it shows the wrong month") for s in to_staff(line))
        assert not any("wrong day" in s for s in to_staff(line))


@virtual
async def test_undo_at_the_last_moment_takes_back_what_was_just_leaving(tmp_path: Path) -> None:
    """The press comes within the window; by the time that it is decided on, the reply is with the customer."""

    async def takes_its_time(case: Case, step: Step) -> None:
        if isinstance(step.event, ActionInvoked) and step.event.verb == "undo":
            await asyncio.sleep(1.0)

    line = line_with(tmp_path, takes_its_time)
    async with line.up():
        ticket = await handed_over(line)
        card = await line.storage.anchored(f"{ticket}/card")
        assert card is not None
        await line.hears(says("!reply An answer", 500, KIM, place(card.id, "desk"), is_root=False))
        await line.passes(4.5)
        await line.hears(presses("undo", f"{ticket}.1", KIM))
        await line.passes(30)
        assert "undone: An answer" in to_staff(line)
        assert "An answer" not in to_customer(line)
