"""The whole process on Discord: what no adapter alone can promise. Through the real discord.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.dialogue import Dialogue
from tests.discord_driver import DiscordDriver
from tests.discord_server.world import CREATE_PRIVATE, PRIVATE_THREAD
from tests.stage import Knowledge, ManualClock
from tests.staged_driver import CHANNELS, merged

HACKED = "I think somebody hacked my account"


class Private(DiscordDriver):
    """#help has private threads; billing asks for a screenshot that only the team may see."""

    def sections(self) -> Mapping[str, Any]:
        channels = [
            {"id": self.channels[name], "mode": mode, "private": name == "help"}
            for name, mode in CHANNELS.items()
        ]
        proof = {"id": "proof", "label": "Screenshot", "kind": "file", "private": True}
        order = {"id": "order", "label": "Order", "private": True}
        billing = {"name": "billing", "route": "desk", "fields": ["order", "proof"], "level": "collect"}
        categories = [billing | {"private": True}, {"name": "general", "route": "desk"}]
        more = {"discord": {"channels": channels}, "field": [proof, order], "category": categories}
        return merged(super().sections(), more)


@asynccontextmanager
async def playing(knowledge: Knowledge, folder: Path) -> AsyncIterator[Private]:
    driver = Private(Dialogue("", []), knowledge, folder, ManualClock())
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


def private_thread(driver: DiscordDriver) -> str:
    (thread,) = [t for t in driver.server.threads_of("help") if t["type"] == PRIVATE_THREAD]
    return str(thread["id"])


async def reported(driver: DiscordDriver) -> tuple[str, str]:
    """Ana tells of something private in #help: (her message, the private thread in which it goes on)."""
    asked = await driver.say("ana", HACKED, "help")
    await driver.advance(30)
    return asked, private_thread(driver)


def texts(driver: DiscordDriver, channel: str, thread: str | None = None) -> list[str]:
    return [seen.text for seen in driver.seen(channel, thread)]


async def test_a_private_matter_goes_on_where_only_the_customer_and_the_team_read(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    async with playing(knowledge, tmp_path) as driver:
        asked, private = await reported(driver)
        handed, alone = texts(driver, "help", private)
        assert "It went straight to the people responsible as T-1." in handed
        assert "no details" not in handed
        assert alone == "Only you and the team can read what is written here."
        (public,) = texts(driver, "help", asked)
        assert f"<#{private}>" in public
        assert driver.server.world.thread_members[private] == {driver.server.bot, driver.people["ana"]}

        await driver.say("ana", "it was the reset link", "help", private)
        await driver.restart()
        await driver.say("ana", "and one thing in public", "help", asked)
        card = await driver.card("T-1")
        await driver.say("dana", "!reply Thank you, Ana.", *(card or ("", "")))
        await driver.advance(30)
        relayed = "\n".join(texts(driver, "desk"))
        assert "it was the reset link" in relayed
        assert "and one thing in public" in relayed
        assert "Thank you, Ana." in texts(driver, "help", private)
        assert len(texts(driver, "help", asked)) == 2, "nothing more is said in public"
        assert (await driver.stage.rows("SELECT count(*) AS n FROM cases"))[0]["n"] == 1


async def test_where_no_private_thread_may_be_opened_nothing_is_lost(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    async with playing(knowledge, tmp_path) as driver:
        world = driver.server.world
        role = world.roles[world.members[world.bot]["roles"][0]]
        role["permissions"] = str(int(role["permissions"]) & ~CREATE_PRIVATE)
        asked = await driver.say("ana", HACKED, "help")
        await driver.advance(30)
        handed, warned = texts(driver, "help", asked)
        assert "as T-1." in handed
        assert "nothing private here" in warned
        assert any("firstline check" in text for text in texts(driver, "desk"))
        card = await driver.card("T-1")
        await driver.say("dana", "!reply Thank you, Ana.", *(card or ("", "")))
        await driver.advance(30)
        assert texts(driver, "help", asked)[-1] == "Thank you, Ana."


async def test_a_private_thread_is_caught_up_and_its_edits_are_followed(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    async with playing(knowledge, tmp_path) as driver:
        asked, private = await reported(driver)
        await driver.stop()
        await driver.server.user_says(private, driver.people["ana"], "while you were away")
        await driver.server.user_edits(asked, "I KNOW that somebody hacked my account")
        await driver.start()
        adapter: Any = driver.stage.app.adapters["discord"] if driver.stage.app else None
        await asyncio.gather(*(t for t in adapter._tasks if t.get_coro().__name__ == "_connected"))
        await driver.advance(30)
        relayed = "\n".join(texts(driver, "desk"))
        assert "while you were away" in relayed
        assert "I KNOW that somebody" in relayed


async def test_a_file_of_a_form_arrives_under_the_card(knowledge: Knowledge, tmp_path: Path) -> None:
    async with playing(knowledge, tmp_path) as driver:
        await driver.say("ana", "how do I download an invoice?", "help")
        await driver.advance(30)
        (question, *_) = driver.seen("help", private_thread(driver))
        await driver.press("ana", question, "Fill in privately")
        (form,) = driver.server.modals(driver.people["ana"])
        shot = ("shot.png", b"\x89PNG\r\n\x1a\n123", "image/png")
        await driver.server.user_submits(form, {}, driver.people["ana"], files=[shot])
        await driver.advance(30)
        card = await driver.card("T-1")
        assert card is not None
        attached = [f["filename"] for m in driver.server.messages(card[1]) for f in m["attachments"]]
        assert attached == ["shot.png"]


async def test_31_messages_that_arrive_at_once_are_worked_on_in_their_order(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """§7.31: the library starts a task for each frame; the first one's is held up."""
    async with playing(knowledge, tmp_path) as driver:
        server, ana = driver.server, driver.people["ana"]
        asked = await driver.say("ana", "Can I talk to a human please?", "help")
        await driver.advance(30)
        for number in range(1, 9):
            await server.user_says(asked, ana, f"and number {number}")
        await driver.advance(30)
        card = await driver.card("T-1")
        assert card is not None
        relayed = [text.rpartition("\n")[2] for text in server.texts(card[1])]
        assert relayed[-8:] == [f"and number {number}" for number in range(1, 9)]


async def test_53_of_all_who_claim_at_once_one_has_it_and_the_others_are_told(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """§7.53"""
    async with playing(knowledge, tmp_path) as driver:
        server = driver.server
        agents = [server.add_user(f"agent{n}", roles=[server.agents]) for n in range(12)]
        await driver.say("ana", "Can I talk to a human please?", "help")
        await driver.advance(30)
        channel, card = await driver.card("T-1") or ("", "")
        assert channel == server.staff
        await asyncio.gather(*(server.user_presses(card, "Claim", agent) for agent in agents))
        await driver.advance(30)
        told = [texts[-1] for agent in agents if (texts := [m["content"] for m in server.ephemerals(agent)])]
        assert len(told) == len(agents) - 1
        assert all("has T-1" in text for text in told)


async def test_52_what_is_private_stands_on_the_card_and_nowhere_else(
    knowledge: Knowledge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """§7.52: not in a thread, not in an id, not in a log."""
    async with playing(knowledge, tmp_path) as driver:
        server, secret = driver.server, "INV-77012345"
        await driver.say("ana", "how do I download an invoice?", "help")
        await driver.advance(30)
        (question, *_) = driver.seen("help", private_thread(driver))
        await driver.press("ana", question, "Fill in privately")
        (form,) = server.modals(driver.people["ana"])
        await server.user_submits(form, {"order": secret}, driver.people["ana"])
        await driver.advance(30)
        _, card = await driver.card("T-1") or ("", "")
        holding = [
            ident for room in server.world.messages.values() for ident, m in room.items() if secret in str(m)
        ]
        assert holding == [card]
        sent = [c.body for c in server.calls if c.method != "GET" and secret in str(c.body)]
        assert all(secret not in str(body.get("components")) + str(body.get("nonce")) for body in sent)
        assert secret not in caplog.text
