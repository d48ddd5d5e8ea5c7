"""Every dialogue in tests/transcripts is played, on the playground, and comes out as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.playground_driver import PlaygroundDriver
from tests.stage import MONDAY, Knowledge, ManualClock
from tests.transcript import Dialogue, Runner, blocks, parse

HERE = Path(__file__).parent / "transcripts"
FILES = sorted(HERE.glob("*.txt"))


def dialogues(path: Path) -> list[Dialogue]:
    """A file holds several dialogues; each begins with a heading that starts with `##`."""
    parts = ("\n" + path.read_text("utf-8")).split("\n## ")
    return [parse(f"# {part}") for part in parts[1:]]


CASES = [
    pytest.param(dialogue, id=f"{path.stem}: {dialogue.title}")
    for path in FILES
    for dialogue in dialogues(path)
]


@pytest.mark.parametrize("dialogue", CASES)
async def test_dialogue(dialogue: Dialogue, knowledge: Knowledge, tmp_path: Path) -> None:
    await play(dialogue, knowledge, tmp_path)


async def play(dialogue: Dialogue, knowledge: Knowledge, folder: Path) -> PlaygroundDriver:
    driver = PlaygroundDriver(dialogue, knowledge, folder, ManualClock(_start(dialogue)))
    await driver.start()
    try:
        await Runner(dialogue, driver).play()
    finally:
        await driver.stage.stop()
    return driver


def _start(dialogue: Dialogue) -> float:
    from datetime import UTC, datetime

    if not dialogue.starts:
        return MONDAY
    return datetime.fromisoformat(dialogue.starts).replace(tzinfo=UTC).timestamp()


async def test_the_dialogue_of_the_readme_is_true(knowledge: Knowledge, tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    found = list(blocks(text))
    assert len(found) == 1

    await play(parse(found[0]), knowledge, tmp_path)


def test_there_are_enough_dialogues() -> None:
    assert len(CASES) >= 60
