"""T-KB-4: a dated topic begins and ends to speak at the desk's midnight, wherever the process runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.port import Actor, MessageReceived, MsgRef, Place
from bot.batch import Step
from bot.routing import fresh_case
from tests.security.scene import Desk
from tests.stage import Knowledge

PLACE = Place("playground", "playground", "help", "m1")
ASKED = MessageReceived(
    keys=("k",), place=PLACE, actor=Actor("playground", "playground", "ana", "Ana"), occurred_at=0.0,
    ref=MsgRef(PLACE, "m1"), text="Is there a new year promotion?", mentions_bot=True, is_root=True,
)  # fmt: skip
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
