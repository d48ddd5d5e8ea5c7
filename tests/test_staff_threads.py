"""The thread under a card: what goes through it arrives, whatever happened to the card, the thread or the connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.dialogue import Dialogue
from tests.discord_driver import DiscordDriver
from tests.slack_driver import SlackDriver
from tests.stage import Knowledge, ManualClock

Driver = SlackDriver | DiscordDriver


@asynccontextmanager
async def opened(kind: type[Driver], knowledge: Knowledge, folder: Path) -> AsyncIterator[Driver]:
    driver = kind(Dialogue("", [], {}), knowledge, folder, ManualClock())
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


async def card(driver: Driver) -> str:
    found = await driver.card("T-1")
    assert found is not None
    return found[1]


def texts(driver: Driver, channel: str, thread: str) -> str:
    return "\n".join(seen.text for seen in driver.seen(channel, thread))


@pytest.mark.parametrize("kind", [SlackDriver, DiscordDriver])
async def test_an_order_that_is_changed_during_an_outage_is_followed(
    kind: type[Driver], knowledge: Knowledge, tmp_path: Path
) -> None:
    """What is read back afterwards comes with the rights of whoever changed it."""
    async with opened(kind, knowledge, tmp_path) as driver:
        asked = await driver.say("ana", "I want to talk to a human please", "help")
        await driver.advance(20)
        order = await driver.say("kim", "!reply Helo Ana", "desk", await card(driver))
        await driver.advance(60)
        await driver.stop()
        await driver.edit("kim", order, "!reply Hello Ana")
        await driver.start()
        await driver.advance(120)
        assert "Hello Ana" in texts(driver, "help", asked)
