"""Wrong answers get called back: exactly those who were told the old text, once each, whatever happens meanwhile."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.batch import Step
from bot.recall import DAYS, Recall
from handoff.model import Case, Found, Known
from knowledge.passage import Section, Topic
from tests import stand_ins
from tests.line.scene import DANA, Line, person, place, presses, says, virtual

TOPICS = ("refunds", "passwords", "invoices")
ANSWERS = 30


class Library:
    """What is approved today: topic -> version, and the texts."""

    def __init__(self) -> None:
        self.now = dict.fromkeys(TOPICS, "v1")

    def versions(self) -> dict[str, str]:
        return self.now

    def topics(self) -> list[Topic]:
        """Each as its key says: `refunds@de` is the German refunds."""
        return [
            Topic(
                name,
                f"All about {name}",
                "",
                (Section("", f"Today's {language or 'plain'} text about {name}.", 1),),
                language=language,
            )
            for name, _, language in (key.partition("@") for key in self.now)
        ]

    async def embed(self, texts: list[str]) -> np.ndarray:
        raise AssertionError("recalling compares no meanings")


class Gathering:
    """The stand-in's facts, from the versions of today."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.inner: stand_ins.Gatherer | None = None

    async def known(self, case: Case, step: Step, number: int, anchor: str, now: float) -> Known:
        assert self.inner is not None
        known = await self.inner.known(case, step, number, anchor, now)
        today = self.library.versions()
        found = tuple(
            replace(f, hits=tuple(replace(h, version=today.get(h.topic, h.version)) for h in f.hits))
            for f in known.found
        )
        spoken = tuple(replace(f, language="de" if "bitte" in f.question else "") for f in found)
        return replace(known, found=tuple(composed(f) if "compose" in f.question else f for f in spoken))


def composed(found: Found) -> Found:
    """As a language model answers from two topics at once."""
    return replace(found, confidence=0.95, composed="In other words.", composed_sources=(2, 1))


def desk(folder: Path, library: Library) -> tuple[Line, Recall]:
    gathering = Gathering(library)
    line = Line(folder, gatherer=gathering)
    gathering.inner = stand_ins.Gatherer(line.storage, line.rules, random.Random(3))
    recall = Recall(library, line.storage, clock=line.clock)  # type: ignore[arg-type]
    recall.connect(line.engine.put)
    return line, recall


async def asked(line: Line, first: int, last: int) -> None:
    """Customers who ask about one topic each, each in a thread of their own."""
    for number in range(first, last):
        who = person(f"customer{number}")
        await line.engine.receive(says(f"how do {TOPICS[number % 3]} work?", number, who, place(str(number))))
    await line.passes(20)


def threads(numbers: range, topic: str) -> set[str]:
    return {str(n) for n in numbers if TOPICS[n % 3] == topic}


def corrected(line: Line) -> list[str]:
    """The threads in which a correction can be read, one entry for each."""
    return sorted(s.ref.place.thread or "" for s in line.home.shown.values() if "Correction" in s.text)


async def places(line: Line, told: list[str]) -> set[str]:
    cases = [await line.storage.conversation_of_case(case) for case in told]
    return {conversation.split(":")[-1] for conversation in cases if conversation}


@virtual
async def test_the_list_is_exactly_those_who_were_told_the_old_text(tmp_path: Path) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await asked(line, 100, 110)
        library.now["refunds"] = "v2"
        await asked(line, 110, 120)
        library.now["refunds"] = "v3"
        await asked(line, 120, 100 + ANSWERS)

        told = await recall.told("refunds")

        assert await places(line, [t.case_id for t in told]) == threads(range(100, 120), "refunds")
        assert {t.version for t in told} == {"v1", "v2"}
        assert {t.topic for t in await recall.told()} == {"refunds"}
        assert not await recall.told("invoices")


@virtual
async def test_a_text_that_came_back_is_not_called_back(tmp_path: Path) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await asked(line, 100, 103)
        library.now["refunds"] = "v2"
        assert await recall.told("refunds")

        library.now["refunds"] = "v1"

        assert not await recall.told("refunds")


@virtual
async def test_each_is_corrected_once_also_after_a_second_press_and_a_restart(tmp_path: Path) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await asked(line, 100, 100 + ANSWERS)
        library.now["refunds"] = "v2"
        first = await recall.correct("refunds")
        await recall.correct("refunds")
        await line.passes(20)
        wanted = sorted(threads(range(100, 100 + ANSWERS), "refunds"))
        assert first["corrected"] == len(wanted)
        assert corrected(line) == wanted

    again, recall = desk(tmp_path, library)
    async with again.up():
        await recall.correct("refunds")
        await again.passes(20)
        assert corrected(again) == []


@virtual
async def test_where_a_person_has_the_conversation_the_desk_hears_and_the_customer_does_not(
    tmp_path: Path,
) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await asked(line, 102, 103)  # refunds
        ana = person("customer102")
        await line.engine.receive(says("HUMAN please", 103, ana, place("102")))
        await line.passes(20)
        await line.engine.receive(presses("claim", "T-1", DANA))
        await line.passes(20)
        library.now["refunds"] = "v2"

        await recall.correct("refunds")
        await line.passes(20)

        assert [s.ref.place.channel for s in line.home.shown.values() if "Correction" in s.text] == ["desk"]


@virtual
async def test_a_topic_that_is_gone_needs_words(tmp_path: Path) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await asked(line, 102, 103)
        del library.now["refunds"]

        refused = await recall.correct("refunds")
        done = await recall.correct("refunds", "There are no refunds any more.")
        await line.passes(20)

        assert (refused["problem"], refused["told"]) == ("gone", 1)
        assert (done["corrected"], done["version"]) == (1, "withdrawn")
        assert corrected(line) == ["102"]


@virtual
async def test_what_is_long_past_is_left_alone_unless_the_conversation_is_open(tmp_path: Path) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await asked(line, 102, 103)
        await asked(line, 105, 106)
        await line.engine.receive(says("HUMAN please", 106, person("customer105"), place("105")))
        await line.passes(20)
        library.now["refunds"] = "v2"
        line.look(f"UPDATE records SET at = at - {(DAYS + 1) * 86400}")

        told = await recall.told("refunds")

        assert await places(line, [t.case_id for t in told]) == {"105"}


@virtual
async def test_a_composed_answer_is_called_back_for_every_topic_that_it_cites(tmp_path: Path) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await line.engine.receive(says("compose: refunds and invoices?", 1, person("ana"), place("1")))
        await line.passes(20)
        library.now |= {"invoices": "v2", "refunds": "v2"}
        assert {(t.topic, t.version) for t in await recall.told()} == {("invoices", "v1"), ("refunds", "v1")}

        for topic in ("invoices", "refunds", "invoices"):
            await recall.correct(topic)
        await line.passes(20)

        said = [s.text for s in line.home.shown.values() if "Correction" in s.text]
        assert len(said) == 2
        assert sorted(one.partition("\n\n")[2].partition(":")[0] for one in said) == [
            "Correction of All about invoices",
            "Correction of Refunds",
        ]


@virtual
async def test_what_is_corrected_again_is_told_again(tmp_path: Path) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await asked(line, 102, 103)
        for version in ("v2", "v3"):
            library.now["refunds"] = version
            await recall.correct("refunds")
            await recall.correct("refunds")
            await line.passes(20)

        assert corrected(line) == ["102", "102"]


@virtual
@pytest.mark.parametrize(
    ("verbs", "told"),
    [
        (("send_draft",), True),
        (("send_draft", "undo"), False),  # it was taken back before it was sent
        (("discard_draft",), False),
        ((), False),
    ],
)
async def test_a_draft_that_an_agent_sent_counts_as_told(
    tmp_path: Path, verbs: tuple[str, ...], told: bool
) -> None:
    library = Library()
    line, recall = desk(tmp_path, library)
    async with line.up():
        await line.engine.receive(says("a draft on refunds please", 1, person("ana"), place("1")))
        await line.passes(20)
        await line.engine.receive(presses("claim", "T-1", DANA))
        await line.passes(20)
        for verb in verbs:
            await line.engine.receive(presses(verb, "T-1.1", DANA))
            await line.passes(1)
        await line.passes(20)
        library.now["refunds"] = "v2"

        assert [(t.receipt, t.topic, t.version) for t in await recall.told()] == (
            [("T-1.1", "refunds", "v1")] if told else []
        )
        await recall.correct("refunds")
        await line.passes(20)

        assert [s.ref.place.channel for s in line.home.shown.values() if "Correction" in s.text] == [
            "desk"
        ] * told


@virtual
async def test_a_correction_is_in_the_language_of_the_conversation(tmp_path: Path) -> None:
    library = Library()
    library.now = {"refunds": "v1", "refunds@de": "v1"}
    line, recall = desk(tmp_path, library)
    async with line.up():
        await asked(line, 102, 103)
        await line.engine.receive(says("bitte, how do refunds work?", 105, person("uwe"), place("105")))
        await line.passes(20)
        library.now = {"refunds": "v2", "refunds@de": "v2"}

        await recall.correct("refunds")
        await line.passes(20)

        said = {s.ref.place.thread: s.text for s in line.home.shown.values() if "Correction" in s.text}
        assert "Today's plain text" in said["102"]
        assert "Today's de text" in said["105"]
