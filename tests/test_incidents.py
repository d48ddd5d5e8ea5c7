"""Many ask the same: the desk hears of each burst once; whoever was told of an incident hears once that it is over."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adapters.port import ChoreDone
from bot.incidents import Incidents
from bot.recall import Recall
from tests.line.scene import Line, case_in, person, place, says, virtual
from tests.security.scene import Desk
from tests.stage import Knowledge

SUBJECTS = ("sync", "pictures", "printer")


class Library:
    """Two questions are alike when they are about the same subject."""

    async def embed(self, texts: list[str]) -> np.ndarray:
        return np.array([[float(subject in text) for subject in SUBJECTS] for text in texts])

    def versions(self) -> dict[str, str]:
        return {}


class Watch:
    """The part under test, with what it told the desk."""

    def __init__(self, line: Line, similar: int = 3, minutes: float = 15.0) -> None:
        self.line, self.told = line, list[ChoreDone]()
        self.incidents = Incidents(
            line.storage, Library(), similar=similar, minutes=minutes, clock=line.clock  # type: ignore[arg-type]
        )  # fmt: skip
        self.incidents.connect(self._put)

    async def _put(self, event: ChoreDone, conversation: str) -> None:
        assert conversation
        self.told.append(event)

    async def asks(self, question: str, *people: str) -> None:
        for number, name in enumerate(people):
            where = place(f"{question}{number}")
            case = case_in(where, person(name))
            await self.incidents.watch(case, question, where.conversation)


@virtual
async def test_a_burst_of_different_people_is_told_once(tmp_path: Path) -> None:
    watch = Watch(Line(tmp_path))

    await watch.asks("the sync hangs", "ana", "ben")
    assert not watch.told
    await watch.asks("why is sync so slow", "chloe", "dora", "emil", "fay", "gus")

    (event,) = watch.told
    assert event.chore == "incident_suspected"
    assert event.result["people"] == 3
    assert event.result["examples"] == ["why is sync so slow"]  # of the conversation that it is told in


@virtual
async def test_one_person_who_insists_is_no_burst(tmp_path: Path) -> None:
    watch = Watch(Line(tmp_path))

    await watch.asks("the sync hangs", *["ana"] * 20)

    assert not watch.told


@virtual
async def test_unrelated_questions_do_not_count_together(tmp_path: Path) -> None:
    watch = Watch(Line(tmp_path))

    await watch.asks("the sync hangs", "ana", "ben")
    await watch.asks("no pictures", "chloe", "dora")

    assert not watch.told


@virtual
async def test_what_was_asked_long_ago_does_not_count(tmp_path: Path) -> None:
    watch = Watch(Line(tmp_path))

    await watch.asks("the sync hangs", "ana", "ben")
    await watch.line.passes(15 * 60 + 1)
    await watch.asks("the sync hangs", "chloe", "dora")

    assert not watch.told


@virtual
async def test_a_burst_that_goes_on_is_not_told_again_and_hides_no_other(tmp_path: Path) -> None:
    watch = Watch(Line(tmp_path))

    for minute in range(60):
        await watch.asks("the sync hangs", f"person{minute}")
        await watch.line.passes(60)
    assert len(watch.told) == 1
    await watch.asks("no pictures", "ana", "ben", "chloe")
    assert len(watch.told) == 2

    await watch.line.passes(3600)
    await watch.asks("the sync hangs", "ana", "ben", "chloe")
    assert len(watch.told) == 3


@virtual
async def test_questions_join_the_open_incident_that_they_belong_to(tmp_path: Path) -> None:
    watch = Watch(Line(tmp_path))
    assert await watch.incidents.joined("the sync hangs") == ("", "")

    await watch.line.storage.set("incident", '{"opened_at": 5.0, "text": "We know that sync is slow."}')
    await watch.incidents.refresh()

    assert await watch.incidents.joined("the sync hangs") == ("5.0", "We know that sync is slow.")
    assert await watch.incidents.joined("no pictures") == ("", "")


@virtual
async def test_the_end_is_told_to_each_subscriber_once(tmp_path: Path) -> None:
    line = Line(tmp_path)
    recall = Recall(Library(), line.storage, clock=line.clock)  # type: ignore[arg-type]
    recall.connect(line.engine.put)
    async with line.up():
        for number in range(100, 106):
            await line.engine.receive(says("gibberish", number, person(f"p{number}"), place(str(number))))
        await line.passes(20)
        cases = line.look("SELECT id FROM cases ORDER BY id")
        assert len(cases) == 6
        for case in cases[:4]:
            await line.storage.keep("subscription", f"s/{case}", case, {"incident": "5.0"}, line.clock.now())
            await line.storage.keep("subscription", f"t/{case}", case, {"incident": "5.0"}, line.clock.now())

        told = await recall.incident_over("5.0", "It works again.")
        await recall.incident_over("5.0", "It works again.")
        await line.passes(20)

        heard = [s.ref.place.thread for s in line.home.shown.values() if "IncidentOver" in s.text]
        assert told == 4
        assert len(heard) == len(set(heard)) == 4


async def test_the_desk_hears_of_a_burst_while_the_process_runs(knowledge: Knowledge, tmp_path: Path) -> None:
    """Three people whom nothing answers: one line in the staff channel."""
    async with Desk(knowledge, tmp_path, incident={"similar": 3}) as desk:
        for name in ("ana", "ben", "chloe"):
            await desk.says(name, "I want to talk to a human, the whiteboard shows only grey squares")

        told = [m.text for m in desk.driver.seen("desk") if "people asked alike" in m.text]

    assert len(told) == 1
    assert "3 people" in told[0]
    assert "grey squares" in told[0]
