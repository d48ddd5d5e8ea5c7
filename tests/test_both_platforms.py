"""Slack and Discord in one process, through the real client libraries: a customer on each, one desk for both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.config import Config
from tests.dialogue import Dialogue
from tests.discord_driver import DiscordDriver
from tests.slack_driver import SlackDriver
from tests.stage import Knowledge, ManualClock, Stage
from tests.staged_driver import CANNED, merged

HOUR = 3600.0


@dataclass
class Both:
    slack: SlackDriver
    discord: DiscordDriver
    stage: Stage

    def texts(self, driver: Any, channel: str, thread: str) -> list[str]:
        return [seen.text for seen in driver.seen(channel, thread)]


@asynccontextmanager
async def both(knowledge: Knowledge, folder: Path, desk: str = "same") -> AsyncIterator[Both]:
    """One process with both adapters; the two drivers share it and its clock."""
    clock = ManualClock()
    slack = SlackDriver(Dialogue("", []), knowledge, folder, clock)
    discord = DiscordDriver(Dialogue("", []), knowledge, folder, clock)
    sections: dict[str, Any] = {
        "bot": {"data_dir": str(folder / "data"), "drain_seconds": 0}, "web": {"port": 0}, "canned": CANNED,
        "staff": {"desk": desk},
    }  # fmt: skip
    config = Config.model_validate(merged(merged(sections, slack.sections()), discord.sections()))
    stage = Stage(config, lambda: [slack.adapter(), discord.adapter()], knowledge, clock)
    slack.stage = discord.stage = stage
    await discord.server.start()
    await slack.open()
    try:
        yield Both(slack, discord, stage)
    finally:
        await stage.stop()
        await slack.server.stop()
        await discord.server.stop()


async def test_one_desk_serves_customers_of_both_platforms(knowledge: Knowledge, tmp_path: Path) -> None:
    """staff.desk = "slack": the card of a Discord customer arrives on Slack, and the reply arrives on Discord."""
    async with both(knowledge, tmp_path, desk="slack") as world:
        asked_on_slack = await world.slack.say("ana", "Can I talk to a human please?", "help")
        await world.stage.advance(30)
        asked_on_discord = await world.discord.say("ben", "Can I talk to a human please?", "help")
        await world.stage.advance(30)

        cards = [await world.slack.card("T-1"), await world.slack.card("T-2")]
        channel, thread = cards[1] or ("", "")
        await world.slack.say("dana", "!reply Hello Ben, how can I help?", channel, thread)
        await world.stage.advance(30)

        assert [card is not None for card in cards] == [True, True]
        assert {card[0] for card in cards if card} == {"C0DESK"}
        assert any("Hello Ben" in text for text in world.texts(world.discord, "help", asked_on_discord))
        assert not any("Hello Ben" in text for text in world.texts(world.slack, "help", asked_on_slack))


async def test_a_platform_that_is_down_for_an_hour_changes_nothing_for_the_other(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    async with both(knowledge, tmp_path) as world:
        server = world.slack.server
        await world.slack.say(
            "chloe", "how do I download an invoice?", "help"
        )  # from here on Slack can be caught up
        await world.stage.advance(30)
        for method in ("apps.connections.open", "chat.postMessage", "chat.update", "auth.test"):
            server.fail(method, "drop_before", times=100_000)
        server.sockets.drop()
        await server.wait_for(lambda: world.stage.app.engine.states["slack"][0] != "connected")
        missed = await world.slack.server.user_says(
            "help", "ana", "how do I download an invoice?", silent=True
        )

        answers = []
        for _ in range(4):
            asked = await world.discord.say("ben", "how do I download an invoice?", "help")
            await world.stage.advance(HOUR / 4)
            answers.append(world.texts(world.discord, "help", asked))
        during = dict(world.stage.app.engine.states)
        server.faults.clear()
        await world.stage.connected()
        await world.stage.advance(60)

        assert (during["discord"][0], during["slack"][0] != "connected") == ("connected", True)
        assert all(any("Invoices" in text for text in seen) for seen in answers)
        heard = world.texts(world.slack, "help", missed)
        assert len(heard) == 2, heard  # the question, and one message: late, but only one


async def test_the_same_with_discord(knowledge: Knowledge, tmp_path: Path) -> None:
    async with both(knowledge, tmp_path) as world:
        server, states = world.discord.server, world.stage.app.engine.states
        await world.discord.say("chloe", "how do I download an invoice?", "help")
        await world.stage.advance(30)
        async with server.offline():
            await server.until(lambda: states["discord"][0] != "connected")
            ana = world.discord.people["ana"]
            missed = await server.user_says("help", ana, "how do I download an invoice?")
            answers = []
            for _ in range(4):
                asked = await world.slack.say("ben", "how do I download an invoice?", "help")
                await world.stage.advance(HOUR / 4)
                answers.append(world.texts(world.slack, "help", asked))
            during = dict(states)
        await world.stage.advance(600)
        await world.stage.connected()
        await world.stage.advance(60)

        assert (during["slack"][0], during["discord"][0] != "connected") == ("connected", True)
        assert all(any("Invoices" in text for text in seen) for seen in answers)
        heard = world.texts(world.discord, "help", missed)
        assert len(heard) == 1, heard  # one message under the question: late, but only one
