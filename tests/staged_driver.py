"""What the drivers of all platforms share: the process behind them, its time, its knowledge, its failures."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from adapters.port import ChatAdapter, Forbidden, Op, Post
from bot.config import Config
from tests.dialogue import Dialogue
from tests.stage import KNOWLEDGE, Knowledge, ManualClock, Stage

CUSTOMERS = ("ana", "ben", "chloe")
AGENTS = ("dana", "kim", "lee")
ADMINS = ("dana",)
BOTS = ("zapier",)
CHANNELS = {"help": "all", "general": "mention", "questions": "questions", "quiet": "off"}
CANNED = {"thanks": "Thank you, {customer}. We are on it.", "ask": "Please send us {what}, {customer}."}


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`more` over `base`, table by table."""
    made = dict(base)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = merged(made[key], value) if both else value
    return made


class StagedDriver:
    """A `tests.transcript.Driver` without its platform: what people do and see is added by each platform."""

    platform = ""

    def __init__(self, dialogue: Dialogue, knowledge: Knowledge, folder: Path, clock: ManualClock) -> None:
        self.folder, self.clock, self._knowledge = folder, clock, knowledge
        bot = {"data_dir": str(folder / "data"), "drain_seconds": 0}
        sections: dict[str, Any] = {"bot": bot, "web": {"port": 0}, "canned": CANNED}
        settings = merged(merged(sections, self.sections()), dialogue.settings)
        self.stage = Stage(Config.model_validate(settings), self.adapter, knowledge, clock)

    def sections(self) -> Mapping[str, Any]:
        """This platform's part of the configuration."""
        raise AssertionError("each platform has its own")

    def adapter(self) -> ChatAdapter:
        """A new connection to the platform, which itself outlives the process."""
        raise AssertionError("each platform has its own")

    async def open(self) -> None:
        """The platform is up, and the process."""
        await self.start()

    async def close(self) -> None:
        await self.stage.stop()

    async def card(self, ticket: str) -> tuple[str, str] | None:
        ref = await self.stage.anchored(f"{ticket}/card") if self.stage.app is not None else None
        return (ref.place.channel, ref.id) if ref is not None else None

    def refuse(self, user: str) -> None:
        """The platform refuses what is posted into this person's thread from now on."""

        def refused(op: Op) -> bool:
            return isinstance(op, Post) and user in (op.place.thread, op.place.channel)

        self.stage.refusals.append((refused, Forbidden("the bot may not write in this thread")))

    async def advance(self, seconds: float, until: Callable[[], Awaitable[bool]] | None = None) -> bool:
        return await self.stage.advance(seconds, until=until)

    async def settle(self) -> None:
        await self.stage.settle()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        await self.stage.settle()
        await self.stage.stop()

    async def start(self) -> None:
        await self.stage.start()
        await self.stage.connected()

    async def change_knowledge(self, file: str, old: str, new: str) -> None:
        """Edit a file of this dialogue's own copy of the knowledge; the first time, make that copy."""
        copy = self.folder / "knowledge"
        if not copy.exists():
            shutil.copytree(KNOWLEDGE, copy)
            await self.stop()
            config = self.stage.config
            paths = config.knowledge.model_copy(update={"paths": (copy,)})
            self.stage.config = config.model_copy(update={"knowledge": paths})
            self.stage.library = self._knowledge.library.copy(self.folder / "data" / "knowledge")
            await self.start()
        text = (copy / file).read_text("utf-8")
        assert old in text, f"{file} does not hold {old!r}"
        (copy / file).write_text(text.replace(old, new), "utf-8")
