"""A message that goes, goes as a whole: also where a long text or its files are messages of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.port import AdapterError, Ambiguous, Delete, Gone, RateLimited, Unavailable
from bot.outgoing import Outgoing
from tests.line.parked import failed_events
from tests.line.scene import Line, post, virtual


def delete(target: str) -> Outgoing:
    return Outgoing("delete", "customer", "one", target=target)


@virtual
async def test_all_parts_go_and_nothing_else(tmp_path: Path) -> None:
    """A name that only begins alike is another message."""
    line = Line(tmp_path)
    async with line.up():
        await line.promise(post("one / two / three", anchor="A-1"), post("ten", anchor="A-10"), delete("A-1"))
        await line.passes(60)
        assert line.states() == ["sent"] * 3
    assert line.home.texts == ["ten"]


@virtual
async def test_the_parts_after_the_first_can_go_alone(tmp_path: Path) -> None:
    """The first is edited and says that the rest was deleted."""
    line = Line(tmp_path)
    async with line.up():
        await line.promise(post("one / two / three", anchor="A-1"), delete("A-1#"))
        await line.passes(60)
        assert line.states() == ["sent"] * 2
    assert line.home.texts == ["one"]


@virtual
async def test_deleting_what_was_never_there_is_no_failure(tmp_path: Path) -> None:
    """A message in one part has no rest, and one that could not be delivered is not there."""
    line = Line(tmp_path)
    async with line.up():
        await line.promise(post("one", anchor="A-1"), delete("A-1#"), delete("A-2"))
        await line.passes(60)
        assert line.states() == ["sent"] * 3
        assert failed_events(line) == []
    assert line.home.texts == ["one"]


@pytest.mark.parametrize(
    "error", [Gone("somebody was faster"), RateLimited(2), Unavailable("no"), Ambiguous("lost")]
)
@virtual
async def test_a_deletion_that_stumbles_goes_on(tmp_path: Path, error: AdapterError) -> None:
    """Part by part, and again from the beginning where that is needed: the end is the same."""
    line = Line(tmp_path)
    line.home.will(None, error, on=lambda op: isinstance(op, Delete))
    async with line.up():
        await line.promise(post("one / two / three", anchor="A-1"), delete("A-1"))
        await line.passes(60)
        assert line.states() == ["sent"] * 2
    assert len(line.home.texts) == (
        1 if isinstance(error, Gone) else 0
    )  # Gone: it was said to be away already
