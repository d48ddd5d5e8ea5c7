"""T-KB-4: a dated topic begins and ends to speak at the desk's midnight, wherever the process runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.port import Actor, MessageReceived, MsgRef, Place
from bot.batch import Step
from bot.replaying import replayed
from bot.routing import fresh_case
from tests.security.scene import Desk
from tests.stage import Knowledge

PLACE = Place("playground", "playground", "help", "m1")
ASKED = MessageReceived(
    keys=("k",), place=PLACE, actor=Actor("playground", "playground", "ana", "Ana"), occurred_at=0.0,
    ref=MsgRef(PLACE, "m1"), text="Is there a new year promotion?", mentions_bot=True, is_root=True,
)  # fmt: skip
OFFER = "billing/new-year-offer.md"
STEP = Step(ASKED, (1,), (ASKED.ref,), (ASKED.text,))


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Europe/Berlin", "UTC", "America/Los_Angeles"])
async def test_an_offer_holds_from_midnight_to_midnight_where_the_desk_is(
    knowledge: Knowledge, tmp_path: Path, zone: str
) -> None:
    async with Desk(knowledge, tmp_path, hours={"timezone": zone}) as desk:

        async def offered(*moment: int) -> bool:
            now = datetime(*moment, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type, misc]
            case = fresh_case(PLACE.conversation, ASKED, now)
            known = await desk.app.engine._gatherer.known(case, STEP, 1, "", now)
            return "new-year-offer" in {hit.topic for found in known.found for hit in found.hits}

        assert not await offered(2027, 1, 3, 23, 59)
        assert await offered(2027, 1, 4, 0, 0)
        assert await offered(2027, 1, 31, 23, 59)
        assert not await offered(2027, 2, 1, 0, 0)


async def test_what_admins_see_follows_the_desks_day_as_answers_do(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """`/firstline search`, and what a reload judges a snapshot by: golden cases, and questions asked before."""
    golden = tmp_path / "golden.yaml"
    golden.write_text(f'- question: "{ASKED.text}"\n  expected: new-year-offer\n', "utf-8")
    settings = {"hours": {"timezone": "Pacific/Auckland"}, "knowledge": {"golden": str(golden)}}
    async with Desk(knowledge, tmp_path, **settings) as desk:
        await desk.driver.change_knowledge(OFFER, "valid_from: 2027-01-04", "valid_from: 2027-01-03")
        await desk.says("ana", ASKED.text)
        await desk.runs("dana", f"/firstline search {ASKED.text}")
        assert "New year offer 2027" in told(desk)

        await desk.runs("dana", "/firstline reload")
        assert "Golden cases: 1; all hold" in told(desk)
        assert "asked again: 1; answered as before: 1" in told(desk)
        assert "do not speak today" not in told(desk)

        # The offer ends: whoever forgot its golden case hears of it, and which question is lost with it.
        await desk.driver.change_knowledge(OFFER, "valid_to: 2027-01-31", "valid_to: 2027-01-05")
        await desk.runs("dana", "/firstline reload preview")
        assert "Golden cases: 1; failing: 1" in told(desk)
        assert "answered as before: 0" in told(desk)
        assert "topics that do not speak today (valid_from, valid_to): 1" in told(desk)

        # An answer is judged by the day on which it was given, whenever somebody asks why.
        (receipt,) = await desk.rows("SELECT key FROM records WHERE kind = 'receipt'")
        again = await replayed(desk.driver.stage.config, receipt["key"])
        assert again["parts"][0]["now"]["topic"] == "new-year-offer"
        assert again["same"]


def told(desk: Desk) -> str:
    return desk.driver.whispers("dana")[-1].text
