"""The whole product on the playground with a real database, and what an attacker would search and type."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from tests.playground_driver import PlaygroundDriver
from tests.stage import Knowledge, ManualClock
from tests.transcript import Dialogue, Seen


class Desk:
    """People act, everything settles, and then one looks: at the data folder, at what was shown, at the trace."""

    def __init__(self, knowledge: Knowledge, folder: Path, /, **settings: Any) -> None:
        self.clock = ManualClock()
        self.driver = PlaygroundDriver(Dialogue("", [], settings), knowledge, folder, self.clock)
        self.data = folder / "data"

    async def __aenter__(self) -> Self:
        await self.driver.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.driver.stop()

    @property
    def app(self) -> Any:
        assert self.driver.stage.app is not None
        return self.driver.stage.app

    async def says(
        self, who: str, text: str, channel: str = "help", thread: str | None = None, *files: str
    ) -> str:
        """Somebody writes, and whatever follows has followed."""
        message = await self.driver.say(who, text, channel, thread, files)
        await self.passes()
        return message

    async def edits(self, who: str, message: str, text: str) -> None:
        await self.driver.edit(who, message, text)
        await self.passes()

    async def runs(self, who: str, command: str) -> None:
        await self.driver.command(who, command)
        await self.passes()

    async def presses(self, who: str, label: str, channel: str = "desk") -> None:
        """Press the newest button with that label."""
        shown = next(m for m in reversed(self.driver.seen(channel)) if label in m.buttons)
        await self.driver.press(who, shown, label)
        await self.passes()

    async def passes(self, seconds: float = 8.0) -> None:
        """Longer than the debounce and the undo window."""
        await self.driver.advance(seconds)

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return await self.driver.stage.rows(query, values)

    def shown(self) -> list[Seen]:
        """Everything that the bot posted or whispered, to anybody."""
        messages = self.driver.chat.room.messages.values()
        from tests.playground_driver import _seen

        return [_seen(m) for m in messages if not m.author]


def holding(folder: Path, *needles: str) -> list[tuple[str, str]]:
    """(file, needle) for everything that is found in any byte of any file of a folder."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        found += [(path.name, needle) for needle in needles if needle.encode() in content]
    return found
