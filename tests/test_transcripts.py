"""Every dialogue in tests/transcripts is played on every platform, and comes out as it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.dialogue import Dialogue, blocks, parse
from tests.discord_driver import DiscordDriver
from tests.playground_driver import PlaygroundDriver
from tests.slack_driver import SlackDriver
from tests.stage import MONDAY, Knowledge, ManualClock
from tests.staged_driver import StagedDriver
from tests.transcript import Runner, Seen

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
PLATFORMS = (PlaygroundDriver, SlackDriver, DiscordDriver)
Trace = Mapping[str, Sequence[tuple[str, str, str, str]]]
_traces: dict[str, Trace] = {}  # dialogue -> what was decided on the playground


async def play(
    dialogue: Dialogue, knowledge: Knowledge, folder: Path, kind: type[StagedDriver] = PlaygroundDriver
) -> StagedDriver:
    """Play it from its first line to its last, on one platform."""
    start = (
        datetime.fromisoformat(dialogue.starts).replace(tzinfo=UTC).timestamp() if dialogue.starts else MONDAY
    )
    driver = kind(dialogue, knowledge, folder, ManualClock(start))
    await driver.open()
    try:
        await Runner(dialogue, driver).play()  # type: ignore[arg-type]
    finally:
        await driver.close()
    return driver


def decided(driver: StagedDriver) -> Trace:
    """The state trace, without what only one platform tells and nothing follows from."""
    return {
        customer: [
            entry for entry in entries if entry[:2] not in {("thread", "ignore"), ("deleted", "ignore")}
        ]
        for customer, entries in driver.stage.trace.items()
    }


@pytest.mark.parametrize("kind", PLATFORMS, ids=lambda kind: kind.platform)
@pytest.mark.parametrize("dialogue", CASES)
async def test_dialogue(
    dialogue: Dialogue, kind: type[StagedDriver], knowledge: Knowledge, tmp_path: Path
) -> None:
    """It comes out as it is written, and is decided on every platform as on the playground."""
    if not dialogue.fits(kind.platform):
        return
    driver = await play(dialogue, knowledge, tmp_path, kind)

    if kind is PlaygroundDriver:
        _traces[dialogue.title] = decided(driver)
    elif dialogue.title in _traces:
        assert decided(driver) == _traces[dialogue.title]


ANSWERED = """# Two questions and an end
customer ana in #help: I found a bug, the export button does nothing
bot -> ana: … What did you do, and what happened? (1 of 2)
| [Skip] [Cancel]
customer ana: I press export and nothing happens
bot -> ana: App and version (2 of 2)
| [Skip] [Back] [Cancel]
"""


async def shown_to_ana(kind: type[StagedDriver], text: str, knowledge: Knowledge, folder: Path) -> list[Seen]:
    """Play a dialogue on a platform: the messages of ana's thread as they stand at its end."""
    dialogue = parse(text)
    driver: Any = kind(dialogue, knowledge, folder, ManualClock(MONDAY))
    await driver.open()
    try:
        runner = Runner(dialogue, driver)
        await runner.play()
        return list(driver.seen(*runner.threads["ana"]))
    finally:
        await driver.close()


@pytest.mark.parametrize("kind", PLATFORMS, ids=lambda kind: kind.platform)
@pytest.mark.parametrize("end", ["", "customer ana: cancel\nbot -> ana: All right, I stopped asking.", "agent dana in ana's thread: I am here"])  # fmt: skip
async def test_only_the_open_question_of_a_form_can_be_pressed(
    kind: type[StagedDriver], end: str, knowledge: Knowledge, tmp_path: Path
) -> None:
    seen = await shown_to_ana(kind, ANSWERED + end, knowledge, tmp_path)

    questions = [m for m in seen if " of 2)" in m.text]
    assert [bool(m.buttons) for m in questions] == [False, not end]
    assert "I am Firstline, a bot." in questions[0].text, "what was said stays"
    assert ["to stop" in m.text for m in questions] == [False, not end]


UNCLEAR = """# A clarifying question and its end
customer ana in #help: export or delete my data
bot -> ana: I am Firstline, a bot. … Which of these do you mean?
| [Delete your studio and its data] …
"""
UNSURE = """# An offer and its end
customer ana in #help: do you do weddings in Lisbon with catering?
bot -> ana: I am Firstline, a bot. …
| [Talk to a person]
"""
PICKED = "customer ana presses [Export all your data]\nbot -> ana: … Source: Export all your data"
HANDED = "customer ana presses [Talk to a person]\nbot -> ana: Of course. Your request is T-1.\nbot -> staff: T-1 …"
STEPPED_IN = "agent dana in ana's thread: I am here"
TOLD_LATE = "\ncustomer ana presses old [None of these]\nbot whispers ana: …"


@pytest.mark.parametrize("kind", PLATFORMS, ids=lambda kind: kind.platform)
@pytest.mark.parametrize(
    ("begin", "end"),
    [
        *((UNCLEAR, end) for end in ("", PICKED, PICKED + TOLD_LATE, HANDED, STEPPED_IN)),
        *((UNSURE, end) for end in ("", HANDED, STEPPED_IN)),
    ],
)
async def test_what_is_settled_cannot_be_pressed_any_more(
    kind: type[StagedDriver], begin: str, end: str, knowledge: Knowledge, tmp_path: Path
) -> None:
    seen = await shown_to_ana(kind, begin + end, knowledge, tmp_path)

    (put,) = [m for m in seen if "I am Firstline, a bot." in m.text]
    assert bool(put.buttons) == (not end)
    assert ("Which of these do you mean?" in put.text) == (begin == UNCLEAR)
    if begin == UNCLEAR and end:
        assert "Export all your data" in put.text, "what could be chosen stays readable"
        assert "None of these" not in put.text


async def test_the_dialogue_of_the_readme_is_true(knowledge: Knowledge, tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
    found = list(blocks(text))
    assert len(found) == 1

    await play(parse(found[0]), knowledge, tmp_path)


def test_there_are_enough_dialogues_and_no_two_of_the_same_name() -> None:
    titles = [case.values[0].title for case in CASES]  # type: ignore[union-attr]
    assert len(titles) == len(set(titles)) >= 60
