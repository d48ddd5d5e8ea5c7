"""The whole process on Slack: what no part alone can promise. The real slack-bolt, outbox, database and knowledge;
business time passes only when a test says so."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.dialogue import Dialogue
from tests.discord_driver import DiscordDriver
from tests.slack_driver import SlackDriver, ident
from tests.stage import Knowledge, ManualClock, Stage
from tests.test_both_platforms import both
from tests.transcript import Seen

INVOICE = "how do I download an invoice?"
ANSWER = "Invoices"  # the title of the topic that answers it
MINUTE = 60.0


@asynccontextmanager
async def playing(knowledge: Knowledge, folder: Path) -> AsyncIterator[SlackDriver]:
    driver = SlackDriver(Dialogue("", []), knowledge, folder, ManualClock())
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


def texts(driver: SlackDriver, channel: str, thread: str | None = None) -> list[str]:
    return [seen.text for seen in driver.seen(channel, thread)]


def answers(driver: SlackDriver, channel: str, thread: str) -> list[str]:
    return [seen.text for seen in driver.seen(channel, thread) if seen.by_bot]


def files(driver: SlackDriver, channel: str) -> list[str]:
    return [f["title"] for m in driver.server.messages(channel) for f in m.get("files") or ()]


async def seen_card(driver: SlackDriver, ticket: str = "T-1") -> Seen:
    _, card = (await driver.card(ticket)) or ("", "")
    [seen] = [seen for seen in driver.seen("desk") if seen.id == card]
    return seen


async def real(driver: SlackDriver, predicate: Callable[[], Any]) -> Any:
    """What happens between the adapter and Slack happens in real time, while business time stands still."""
    return await driver.server.wait_for(predicate)


# --- connection ----------------------------------------------------------------------------------------------


async def test_a_bad_app_token_stops_slack_and_leaves_discord_up(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """1: at the first refusal, and the state says what to click. How fast the adapter is: test_connection.py."""
    clock = ManualClock()
    slack = SlackDriver(Dialogue("", []), knowledge, tmp_path / "slack", clock)
    discord = DiscordDriver(Dialogue("", []), knowledge, tmp_path, clock)
    await slack.server_up()
    await discord.server.start()
    slack.server.app_scopes.clear()
    stage = Stage(discord.stage.config, lambda: [slack.adapter(), discord.adapter()], knowledge, clock)
    discord.stage = stage
    await stage.start()
    try:
        app = stage.app
        assert app is not None
        await slack.server.wait_for(lambda: app.engine.states.get("slack", ("",))[0] == "fatal")
        assert slack.server.count("apps.connections.open") == 1
        assert "connections:write" in app.engine.states["slack"][1]

        await slack.server.wait_for(lambda: app.engine.states.get("discord", ("",))[0] == "connected")
        asked = await discord.say("ben", INVOICE, "help")
        await stage.advance(30)
        assert any(ANSWER in seen.text for seen in discord.seen("help", asked))
        assert app.engine.states["slack"][0] == "fatal"
        assert app.status()["ready"]
    finally:
        await stage.stop()
        await slack.server.stop()
        await discord.server.stop()


# --- delivery ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "internal_error"])
async def test_a_connection_that_broke_during_the_post_leaves_one_answer(
    knowledge: Knowledge, tmp_path: Path, fault: str
) -> None:
    """34, 35: whether the post had arrived or not."""
    async with playing(knowledge, tmp_path) as driver:
        driver.server.fail("chat.postMessage", fault)
        asked = await driver.say("ana", INVOICE, "help")
        await driver.advance(5)
        assert (await driver.stage.rows("SELECT state FROM outbox WHERE audience = 'customer'")) == [
            {"state": "ambiguous"}
        ]
        await driver.advance(MINUTE)
        assert len(answers(driver, "help", asked)) == 1
        assert driver.server.count("chat.postMessage") == (1 if fault == "drop_after" else 2)


async def test_too_fast_in_one_channel_delays_only_that_channel(knowledge: Knowledge, tmp_path: Path) -> None:
    """36: and what waited arrives once, when Slack allows it."""
    async with playing(knowledge, tmp_path) as driver:
        driver.server.rate_limit("help", 40)
        slow = await driver.say("ana", INVOICE, "help")
        await driver.advance(10)
        quick = await driver.say("ben", INVOICE, "questions")
        await driver.advance(10)
        assert (len(answers(driver, "help", slow)), len(answers(driver, "questions", quick))) == (0, 1)
        driver.server.rate_limit("help", 0)
        await driver.advance(10)
        assert answers(driver, "help", slow) == []  # not before Retry-After
        await driver.advance(MINUTE)
        assert len(answers(driver, "help", slow)) == 1
        assert driver.server.count("chat.postMessage") == 3


async def test_a_burst_of_twenty_in_one_channel_is_one_a_second(knowledge: Knowledge, tmp_path: Path) -> None:
    """40: Slack allows one message a second in a channel; nothing runs into its limit."""
    async with playing(knowledge, tmp_path) as driver:
        asked = [
            await driver.say(name, f"{INVOICE} ({n})", "help") for n, name in enumerate(["ana", "ben"] * 10)
        ]
        await driver.advance(2 * MINUTE)
        posted = sorted(m["ts"] for m in driver.server.messages("help") if m.get("bot_id"))
        assert [len(answers(driver, "help", thread)) for thread in asked] == [1] * 20
        assert min(float(b) - float(a) for a, b in pairwise(posted)) > 0.99


async def test_one_message_delivered_eleven_times_gets_one_answer(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """T-DEL-1: other event ids, no retry header, also after the answer."""
    async with playing(knowledge, tmp_path) as driver:
        asked = await driver.say("ana", INVOICE, "help")
        where, message = driver.server.space.find(asked)
        assert where is not None
        for _ in range(5):
            await driver.server.emit({**message, "channel": where.id, "channel_type": "channel"}, wait=True)
        await driver.advance(MINUTE)
        for _ in range(5):
            await driver.server.emit({**message, "channel": where.id, "channel_type": "channel"}, wait=True)
        await driver.advance(MINUTE)
        assert len(answers(driver, "help", asked)) == 1


async def test_an_answer_to_a_question_that_is_gone_does_not_stand_alone(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """44: Slack would post it at the top level of the channel."""
    async with playing(knowledge, tmp_path) as driver:
        driver.server.fail("chat.postMessage", "ratelimited", seconds=20)
        asked = await driver.say("ana", INVOICE, "help")
        await driver.advance(5)
        await driver.server.user_deletes("help", asked, silent=True)
        await driver.advance(MINUTE)
        assert texts(driver, "help") == []


# --- absence -------------------------------------------------------------------------------------------------


async def test_the_first_question_of_a_channels_life_may_come_while_the_process_is_down(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """10: watched from the first start on; what stood there before stays unanswered."""
    async with playing(knowledge, tmp_path) as driver:
        await driver.stop()
        asked = await driver.say("ana", INVOICE, "help")
        await driver.advance(5 * MINUTE)
        await driver.start()
        await driver.advance(MINUTE)
        [answer] = answers(driver, "help", asked)
        assert "you waited" in answer
        assert ANSWER in answer


async def test_edits_and_deletions_of_an_absence_reach_the_desk(knowledge: Knowledge, tmp_path: Path) -> None:
    """65: while the process was down the customer corrected one message and deleted another."""
    async with playing(knowledge, tmp_path) as driver:
        asked = await driver.say("ana", "Can I talk to a human please?", "help")
        await driver.advance(30)
        wrong = await driver.say("ana", "my order is A-17", "help", asked)
        regret = await driver.say("ana", "and you are all fools", "help", asked)
        await driver.advance(30)
        card = (await driver.card("T-1")) or ("", "")
        assert any("A-17" in text for text in texts(driver, *card))

        await driver.stop()
        await driver.edit("ana", wrong, "my order is B-42")
        await driver.delete("ana", regret)
        await driver.start()
        await driver.advance(30)

        seen = "\n".join(texts(driver, *card))
        assert "B-42" in seen
        assert "A-17" not in seen
        assert "fools" not in seen


async def test_a_deleted_message_takes_its_file_along(knowledge: Knowledge, tmp_path: Path) -> None:
    """65, 67: on Slack a relayed file is a message of its own; both ways it goes with the words."""
    async with playing(knowledge, tmp_path) as driver:
        asked = await driver.say("ana", "Can I talk to a human please?", "help")
        await driver.advance(30)
        card = (await driver.card("T-1")) or ("", "")
        shot = await driver.say("ana", "my screen", "help", asked, ["mine.png"])
        reply = await driver.say("dana", "!reply your bill", *card, ["yours.pdf"])
        await driver.advance(30)
        assert files(driver, "desk") == ["yours.pdf", "mine.png"]  # the order itself, and the copy
        assert files(driver, "help") == ["mine.png", "yours.pdf"]

        await driver.delete("ana", shot)
        await driver.delete("dana", reply)
        await driver.advance(30)
        assert files(driver, "desk") == files(driver, "help") == []
        assert any("deleted" in text for text in texts(driver, *card))


@pytest.mark.parametrize("away", [False, True], ids=["heard", "found out"])
async def test_tickets_of_a_deactivated_agent_return_to_the_queue(
    knowledge: Knowledge, tmp_path: Path, away: bool
) -> None:
    async with playing(knowledge, tmp_path) as driver:
        await driver.say("ana", "Can I talk to a human please?", "help")
        await driver.advance(30)
        card = await seen_card(driver)
        await driver.press("kim", card, "Claim")
        await driver.advance(30)
        query = "SELECT state, assignee FROM tickets"
        assert await driver.stage.rows(query) == [{"state": "open", "assignee": ident("kim")}]

        if away:
            await driver.stop()
            driver.server.space.users[ident("kim")]["deleted"] = True
            await driver.start()
        else:
            await driver.server.user_changes("kim", deleted=True)
        await real(
            driver, lambda: any("no longer on the desk" in text for text in texts(driver, "desk", card.id))
        )

        assert await driver.stage.rows(query) == [{"state": "new", "assignee": ""}]


# --- people --------------------------------------------------------------------------------------------------


async def test_of_three_who_claim_at_once_one_has_it_and_the_others_are_told(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """53."""
    async with playing(knowledge, tmp_path) as driver:
        await driver.say("ana", "Can I talk to a human please?", "help")
        await driver.advance(30)
        card = await seen_card(driver)
        await driver.press_at_once(["dana", "kim", "lee"], card, "Claim")
        await driver.advance(30)
        [row] = await driver.stage.rows("SELECT assignee, assignee_name FROM tickets")
        told = {name: [w.text for w in driver.whispers(name)] for name in ("dana", "kim", "lee")}
        losers = [name for name in told if ident(name) != row["assignee"]]
        assert len(losers) == 2
        assert all(any(row["assignee_name"] in text for text in told[name]) for name in losers)


async def test_a_customer_who_presses_an_agents_button_is_refused_in_private(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """55: the button proves nothing; rights are looked up at the press."""
    async with playing(knowledge, tmp_path) as driver:
        await driver.say("ana", "Can I talk to a human please?", "help")
        await driver.advance(30)
        before = texts(driver, "desk")
        await driver.press("ben", await seen_card(driver), "Claim")
        await driver.advance(30)
        assert (await driver.stage.rows("SELECT state, assignee FROM tickets")) == [
            {"state": "new", "assignee": ""}
        ]
        assert driver.whispers("ben") != []
        assert texts(driver, "desk") == before


async def test_private_values_are_in_the_staff_channel_and_nowhere_else(
    knowledge: Knowledge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """52: not in a public post, not in metadata, not in a button, not in the log."""
    caplog.set_level(logging.DEBUG)
    address = "ana.private@example.org"
    async with playing(knowledge, tmp_path) as driver:
        asked = await driver.say(
            "ana", "I sold my studio and want to transfer the account to the new owner", "help"
        )
        await driver.advance(30)
        question = driver.seen("help", asked)[-1]
        await driver.press("ana", question, "Fill in privately")
        [view] = await real(driver, lambda: driver.server.views("ana"))
        await driver.submit("ana", str(view["callback_id"]).rpartition(":")[2], {"email": address})
        await driver.advance(30)

        sent = [(method, args) for method, args in driver.server.calls if address in json.dumps(args)]
        assert sent
        assert {args["channel"] for _, args in sent} == {"C0DESK"}
        hidden = [(args.get("metadata"), _values(args.get("blocks") or [])) for _, args in sent]
        assert address not in json.dumps(hidden)
        assert address not in caplog.text


def _values(blocks: list[dict[str, Any]]) -> list[str]:
    return [
        e.get("value", "") + e["action_id"] for b in blocks if b["type"] == "actions" for e in b["elements"]
    ]


async def test_while_the_desks_platform_is_down_what_customers_write_waits(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """68: the customer is on Discord, the desk on Slack; nothing is lost and nothing comes twice."""
    async with both(knowledge, tmp_path, desk="slack") as world:
        asked = await world.discord.say("ben", "Can I talk to a human please?", "help")
        await world.stage.advance(30)
        card = (await world.slack.card("T-1")) or ("", "")
        server = world.slack.server
        for method in ("apps.connections.open", "chat.postMessage", "auth.test"):
            server.fail(method, "drop_before", times=100_000)
        server.sockets.drop()
        await server.wait_for(lambda: world.stage.app.engine.states["slack"][0] != "connected")
        await world.discord.say("ben", "are you there?", "help", asked)
        await world.stage.advance(10 * MINUTE)
        assert not any("are you there?" in text for text in texts(world.slack, *card))

        server.faults.clear()
        await world.stage.connected()
        await world.stage.advance(MINUTE)
        await world.slack.say("dana", "!reply Yes, I am.", *card)
        await world.stage.advance(30)
        assert sum("are you there?" in text for text in texts(world.slack, *card)) == 1
        assert sum("Yes, I am." in seen.text for seen in world.discord.seen("help", asked)) == 1
