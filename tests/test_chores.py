"""What commands do, on the whole process: their effect at once, over a restart, and what they answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.reports import Reports
from tests.security.scene import Desk
from tests.stage import Knowledge
from tests.transcript import Seen

ASK = "How do I reset my password?"
TEXT = "The link works once and for 60 minutes."


@pytest.fixture
async def desk(knowledge: Knowledge, tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk(knowledge, tmp_path) as made:
        yield made


def answered(desk: Desk, thread: str) -> bool:
    return any(TEXT in seen.text for seen in desk.shown() if seen.thread == thread)


async def test_the_launch_mode_counts_from_the_next_message_on_and_after_a_restart(desk: Desk) -> None:
    assert answered(desk, await desk.says("ana", ASK))

    await desk.runs("dana", "/firstline mode shadow")
    assert "The launch mode is shadow" in desk.driver.whispers("dana")[-1].text
    assert not answered(desk, await desk.says("ben", ASK))

    await desk.driver.restart()
    assert desk.app.status()["launch_mode"] == "shadow"
    assert not answered(desk, await desk.says("chloe", ASK))

    await desk.runs("dana", "/firstline mode configured")
    assert answered(desk, await desk.says("chloe", ASK))
    assert desk.app.status()["launch_mode"] == "answer"


async def test_a_mode_that_does_not_exist_changes_nothing(desk: Desk) -> None:
    await desk.runs("dana", "/firstline mode loud")

    assert "There is no mode “loud”." in desk.driver.whispers("dana")[-1].text
    assert desk.app.status()["launch_mode"] == "answer"


async def test_only_admins_set_the_mode(desk: Desk) -> None:
    await desk.runs("kim", "/firstline mode off")

    assert "Only admins can do that." in desk.driver.whispers("kim")[-1].text
    assert answered(desk, await desk.says("ana", ASK))


async def test_a_vote_counts_once_and_for_what_it_says(desk: Desk) -> None:
    """Not helpful without a reason is not helpful; the reason that follows is the same vote."""
    thread = await desk.says("ana", ASK)
    await desk.driver.press("ana", desk.driver.seen("help", thread)[-1], "Not helpful")
    await desk.passes()
    await desk.runs("dana", "/firstline review")
    assert "found wrong: 1; found helpful: 0" in desk.driver.whispers("dana")[-1].text

    asked = desk.driver.whispers("ana")[-1]
    await desk.driver.press("ana", asked, "It is outdated")
    await desk.passes()
    await desk.runs("dana", "/firstline review")
    told = desk.driver.whispers("dana")[-1].text
    assert "found wrong: 1; found helpful: 0" in told
    assert told.count("password-reset") == 1


async def test_why_explains_a_ticket_and_an_answer_in_words(desk: Desk) -> None:
    await desk.says("ana", ASK)
    await desk.says("ben", "I want to talk to a human")
    (receipt,) = await desk.rows("SELECT key FROM records WHERE kind = 'receipt'")

    await desk.runs("dana", "/firstline why T-1")
    ticket = desk.driver.whispers("dana")[-1].text
    await desk.runs("dana", f"/firstline why {receipt['key']}")
    answer = desk.driver.whispers("dana")[-1].text
    await desk.runs("dana", "/firstline why T-99")

    assert "handed over to a person: trigger human" in ticket
    assert "account/password-reset.md" in answer
    assert "There is no T-99." in desk.driver.whispers("dana")[-1].text


async def test_an_incident_that_is_not_open_cannot_be_closed(desk: Desk) -> None:
    await desk.runs("dana", "/firstline incident close it works")

    assert "No incident is open." in desk.driver.whispers("dana")[-1].text


async def test_what_stands_in_the_way_of_going_back_is_told(desk: Desk) -> None:
    """Nothing that can be read was in use before."""
    await desk.driver.change_knowledge("account/password-reset.md", "60 minutes", "30 minutes")
    pointer = desk.app.library._pointer
    pointer._write(pointer.history()[:1])

    await desk.runs("dana", "/firstline rollback")

    said = desk.driver.whispers("dana")[-1].text
    assert "Going back is not possible" in said
    assert "there is no earlier snapshot to go back to" in said
    assert answered(desk, await desk.says("ana", ASK))


async def test_whoever_asks_reads_what_is_stored_in_words(desk: Desk) -> None:
    await desk.says("ana", "I want to talk to a human")

    await desk.runs("ana", "/firstline my-data")
    stored = desk.driver.whispers("ana")[-1].text
    await desk.runs("ana", "/firstline my-data erase")

    assert "Stored about you" in stored
    assert "T-1: I want to talk to a human" in stored
    assert "Everything about you is erased" in desk.driver.whispers("ana")[-1].text


async def test_whoever_asks_keeps_the_rights_that_they_have(desk: Desk) -> None:
    """The result of a customer's command does not come back as an agent's."""
    await desk.runs("ana", "/firstline my-data")
    await desk.runs("kim", "/firstline status")
    await desk.runs("dana", "/firstline status")

    rows = await desk.rows("SELECT payload FROM inbox WHERE kind = 'chore_done' ORDER BY seq")
    actors = [json.loads(row["payload"])["actor"] for row in rows]
    assert {actor["id"]: set(actor["roles"]) for actor in actors} == {
        "ana": set(),
        "kim": {"agent"},
        "dana": {"agent", "admin"},
    }


async def test_a_team_reads_the_reports_on_its_own_tickets(knowledge: Knowledge, tmp_path: Path) -> None:
    """Where a queue is worked by a role, the answer is for whoever asked, not for the ticket's thread."""
    team = {"route": [{"name": "desk", "role": "billing-team"}]}
    people = {"staff": {"playground": {"agents": ["dana", "kim", "lee"]}}}
    async with Desk(knowledge, tmp_path, **team, **people) as desk:
        await desk.says("ben", "I want to talk to a human")

        await desk.runs("lee", "/firstline why T-1")
        await desk.runs("kim", "/firstline why T-1")

        assert "trigger human" in desk.driver.whispers("lee")[-1].text
        assert "trigger human" not in desk.driver.whispers("kim")[-1].text


async def test_the_report_says_what_became_of_drafts_and_requests(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """How often drafts go out unchanged tells when a category is ready to be answered without a person."""
    async with Desk(knowledge, tmp_path, bot={"launch_mode": "draft"}) as desk:
        for who in ("ana", "ben", "chloe"):
            await desk.says(who, ASK)
        await desk.driver.press("dana", button(desk, "Send", "T-1"), "Send")
        await desk.driver.press("dana", button(desk, "Edit", "T-2"), "Edit")
        await desk.passes()
        (form,) = desk.driver.forms("dana")
        await desk.driver.submit("dana", form.id, {"text": "Use the link, please."})
        await desk.passes()

        await desk.runs("dana", "/firstline report")
        told = desk.driver.whispers("dana")[-1].text
        now = desk.clock.now()
        week = await Reports(desk.app.storage).week(now - 7 * 86400, now + 1)

    assert "Drafts offered: 3; sent unchanged: 1 (50% of those decided on), edited: 1, discarded: 0" in told
    assert "Drafts sent unchanged, by category\n- account: 1 of 2" in told
    assert week["drafts"] == {
        "offered": 3, "sent_unchanged": 1, "edited": 1, "discarded": 0, "unchanged_share": 0.5
    }  # fmt: skip
    assert week["conversations"] == 3  # an agent's command is none
    assert week["captured"]["handed_over"] == 3
    assert week["by_platform"] == {"playground": 3}


async def test_a_request_counts_for_the_days_in_which_it_began(knowledge: Knowledge, tmp_path: Path) -> None:
    """Its record is written anew when it is resolved: that does not move it into another week."""
    async with Desk(knowledge, tmp_path) as desk:
        await desk.says("ana", "my invoice is wrong, write to ana@example.org, I want a human")
        began = desk.clock.now()
        await desk.passes(10 * 86400)
        await desk.runs("dana", "/firstline resolve T-1 Corrected")
        reports, now = Reports(desk.app.storage), desk.clock.now()
        then = await reports.week(began - 86400, began + 86400)
        later = await reports.week(now - 86400, now + 1)

    assert (then["captured"]["handed_over"], then["captured"]["resolved"]) == (1, 1)
    assert then["captured"]["reachable"] == 1
    assert (then["by_leaf"], then["by_priority"]) == ({"billing › invoice": 1}, {"P1": 1})
    assert later["captured"]["total"] == 0


def button(desk: Desk, label: str, ticket: str) -> Seen:
    """The message of this ticket with that button."""
    return next(
        m for m in desk.driver.seen("desk")
        if label in m.buttons and any(arg.startswith(f"{ticket}.") for _, arg in m.handles)
    )  # fmt: skip


async def test_whoever_was_told_of_an_incident_hears_of_its_end_also_after_a_crash(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies when the incident is closed and nobody was told yet: the chore is done again."""
    await desk.runs("dana", "/firstline incident open Resetting passwords does not work right now.")
    thread = await desk.says("ana", ASK)
    assert "does not work right now" in desk.driver.seen("help", thread)[-1].text
    recall = desk.app.chores._recall
    tell = recall.incident_over

    async def dies(incident: str, text: str) -> int:
        monkeypatch.setattr(recall, "incident_over", tell)
        raise asyncio.CancelledError

    monkeypatch.setattr(recall, "incident_over", dies)
    await desk.driver.command("dana", "/firstline incident close It works again.")
    await desk.driver.restart()
    await desk.passes()

    said = [m.text for m in desk.driver.seen("help", thread)]
    assert sum("It works again." in text for text in said) == 1
    assert await desk.app.storage.get("incident") == ""
