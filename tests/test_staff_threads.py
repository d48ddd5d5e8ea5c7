"""The thread under a card: what goes through it arrives, whatever happened to the card, the thread or the connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.port import Forbidden, Op, Post
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


async def asks_for_a_person(driver: Driver) -> str:
    """Ana's thread, once the desk has its card."""
    asked = await driver.say("ana", "I want to talk to a human please", "help")
    await driver.advance(20)
    return asked


@pytest.mark.parametrize("kind", [SlackDriver, DiscordDriver])
async def test_a_card_that_is_posted_anew_has_a_thread_and_the_old_one_still_counts(
    kind: type[Driver], knowledge: Knowledge, tmp_path: Path
) -> None:
    async with opened(kind, knowledge, tmp_path) as driver:
        asked = await asks_for_a_person(driver)
        old = await card(driver)
        await driver.delete("kim", old)
        await driver.command("kim", "/firstline claim T-1")
        await driver.advance(60)
        new = await card(driver)
        assert new != old

        await driver.say("ana", "it is about the blue one", "help", asked)
        await driver.advance(120)
        assert "it is about the blue one" in texts(driver, "desk", new)

        await driver.say("kim", "!reply from the old thread", "desk", old)
        await driver.say("kim", "!reply from the new thread", "desk", new)
        await driver.advance(60)
        told = texts(driver, "help", asked)
        assert "from the old thread" in told
        assert "from the new thread" in told


async def test_a_staff_thread_that_was_deleted_is_opened_again(knowledge: Knowledge, tmp_path: Path) -> None:
    async with opened(DiscordDriver, knowledge, tmp_path) as driver:
        assert isinstance(driver, DiscordDriver)
        asked = await asks_for_a_person(driver)
        thread = await card(driver)
        await driver.server.delete_thread(thread)

        await driver.say("ana", "it is about the blue one", "help", asked)
        await driver.advance(120)

        assert "it is about the blue one" in texts(driver, "desk", thread)
        assert await card(driver) == thread


@pytest.mark.parametrize("kind", [SlackDriver, DiscordDriver])
async def test_a_card_that_never_arrived_comes_with_the_next_word(
    kind: type[Driver], knowledge: Knowledge, tmp_path: Path
) -> None:
    """The bot was not yet in the staff channel: as soon as it is, the desk reads everything, once."""

    def desk(op: Op) -> bool:
        return isinstance(op, Post) and op.place.kind == "private"

    async with opened(kind, knowledge, tmp_path) as driver:
        driver.stage.refusals.append((desk, Forbidden("the bot is not in this channel")))
        asked = await driver.say("ana", "I want to talk to a human please", "help")
        await driver.advance(90)
        assert await driver.card("T-1") is None
        driver.stage.refusals.clear()

        await driver.say("ana", "it is about the blue one", "help", asked)
        await driver.say("ana", "and the green one", "help", asked)
        await driver.advance(120)

        shown = texts(driver, "desk", await card(driver))
        assert shown.count("I want to talk to a human please") == 2  # the card's subject, and her words
        assert shown.count("it is about the blue one") == 1
        assert shown.count("and the green one") == 1


@pytest.mark.parametrize("kind", [SlackDriver, DiscordDriver])
async def test_an_order_that_is_changed_during_an_outage_is_followed(
    kind: type[Driver], knowledge: Knowledge, tmp_path: Path
) -> None:
    """What is read back afterwards comes with the rights of whoever changed it."""
    async with opened(kind, knowledge, tmp_path) as driver:
        asked = await asks_for_a_person(driver)
        order = await driver.say("kim", "!reply Helo Ana", "desk", await card(driver))
        await driver.advance(60)
        await driver.stop()
        await driver.edit("kim", order, "!reply Hello Ana")
        await driver.start()
        await driver.advance(120)
        assert "Hello Ana" in texts(driver, "help", asked)


@pytest.mark.parametrize("kind", [SlackDriver, DiscordDriver])
async def test_of_a_long_reply_that_is_changed_nothing_old_stays(
    kind: type[Driver], knowledge: Knowledge, tmp_path: Path
) -> None:
    async with opened(kind, knowledge, tmp_path) as driver:
        asked = await asks_for_a_person(driver)
        long = "\n\n".join(f"Paragraph {n}: {'some words ' * 60}" for n in range(7))
        order = await driver.say("kim", f"!reply {long} The end is wrogn.", "desk", await card(driver))
        await driver.advance(60)
        await driver.edit("kim", order, f"!reply {long} The end is right.")
        await driver.advance(60)
        told = texts(driver, "help", asked)
        assert "The end is right." in told
        assert "wrogn" not in told
        assert [told.count(f"Paragraph {n}:") for n in range(7)] == [1] * 7
        await driver.edit("kim", order, "!reply It is short now.")
        await driver.advance(60)
        told = texts(driver, "help", asked)
        assert "It is short now." in told
        assert "Paragraph" not in told


async def test_of_a_long_message_that_its_author_changes_nothing_old_stays(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """With the name above it, it stands in two messages under the card."""
    async with opened(DiscordDriver, knowledge, tmp_path) as driver:
        asked = await asks_for_a_person(driver)
        long = "some words " * 178
        message = await driver.say("ana", f"It begins {long} wrogn", "help", asked)
        await driver.advance(60)
        assert "wrogn" in texts(driver, "desk", await card(driver))
        await driver.edit("ana", message, f"It begins {long} right")
        await driver.advance(60)
        shown = texts(driver, "desk", await card(driver))
        assert "right" in shown
        assert "wrogn" not in shown
        assert shown.count("It begins") == 1
