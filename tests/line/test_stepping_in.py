"""People step in: takeovers, claims, forms; what the bot was about to say is held back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from adapters.port import (
    Form,
    FormErrors,
    FormSubmitted,
    MemberLeft,
    Post,
    Private,
)
from bot.batch import Step
from bot.routing import case_id_of
from handoff.model import Case
from tests.line.asking import ANSWER, ASK, answers, decisions, handed_over, line_with
from tests.line.scene import (
    DANA,
    KEYLESS,
    KIM,
    Line,
    Platform,
    person,
    place,
    presses,
    says,
    virtual,
)
from tests.world import DESK

# --- people step in --------------------------------------------------------------------------------------


@virtual
async def test_an_agent_who_writes_while_the_bot_thinks_stops_the_answer(tmp_path: Path) -> None:
    async def thinks(case: Case, step: Step) -> None:
        await asyncio.sleep(5)

    line = line_with(tmp_path, thinks)
    async with line.up():
        await line.hears(says(ASK, 100))
        await line.passes(3)
        await line.hears(says("I have this one", 101, DANA))
        await line.passes(60)
        assert answers(line) == []
        assert "answer" not in decisions(line)  # it was not even decided


@virtual
async def test_an_agents_words_are_recorded_after_the_answer_that_was_leaving_and_nothing_follows(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path, (Platform(seconds=3.0),))
    async with line.up():
        await line.hears(says(ASK, 100))
        while not line.home.times(ANSWER):
            await line.passes(0.1)
        await line.hears(says("I have this one", 101, DANA))
        assert len(answers(line)) == 1  # it had left; the agent's message stands behind it
        calls = len(line.home.calls)
        await line.hears(says(ASK, 102))
        await line.passes(60)
        bot = [c for c in line.home.calls[calls:] if isinstance(c.op, Post) and c.op.place.thread == "100"]
        assert bot == []


@virtual
async def test_an_answer_that_its_commit_claimed_is_stopped_all_the_same_when_a_person_was_quicker(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    conversation = place("100").conversation
    async with line.up():
        async with line.outbox.quiet(case_id_of(conversation)):  # as the engine does for an agent's message
            await line.hears(says(ASK, 100))
            await line.passes(10)
            assert "answer" in decisions(line)
            line.outbox.doubt(case_id_of(conversation))
            await line.storage.record(says("mine", 101, DANA), conversation, line.clock.now())
        await line.passes(30)
        assert answers(line) == []


@virtual
async def test_an_answer_that_its_commit_claimed_survives_a_crash_and_stands_there_once(
    tmp_path: Path,
) -> None:
    platform = Platform(caps=KEYLESS, seconds=3.0)
    line = Line(tmp_path, (platform,))
    running = [asyncio.ensure_future(part.run(line.stop)) for part in (line.outbox, line.engine)]
    await line.passes(0.1)
    line.engine.state("playground", "connected")
    await line.hears(says(ASK, 100))
    while not platform.times(ANSWER):
        await line.passes(0.1)
    await line.dies()
    assert all(task.done() for task in running)
    async with Line(tmp_path, (platform,)).up() as again:
        await again.passes(60)
        assert len(answers(again)) == 1
        assert set(again.states()) == {"sent"}


@virtual
async def test_an_agent_who_writes_in_the_thread_has_taken_over_without_a_claim(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.hears(says(ASK, 100))
        await line.passes(10)
        assert len(answers(line)) == 1
        await line.hears(says("let me add something", 101, DANA))
        await line.passes(5)
        await line.hears(says(ASK, 102))
        await line.passes(30)
        assert len(answers(line)) == 1
        case = await line.storage.case(place("100").conversation)
        assert case is not None
        assert case.epoch > 0


@virtual
async def test_of_fifty_claims_one_wins_and_forty_nine_are_told_who(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        number = await handed_over(line)
        many = [person(f"agent{n}", "agent") for n in range(50)]
        await asyncio.gather(*(line.engine.receive(presses("claim", number, who)) for who in many))
        await line.passes(30)
        (winner,) = line.look("SELECT assignee_name FROM tickets")
        told = [c.op for c in line.home.calls if isinstance(c.op, Private)]
        losers = {op.actor.name for op in told if winner in str(op.content)} - {winner}
        assert len(losers) == 49
        assert decisions(line).count("claim") == 1


@virtual
async def test_an_agent_who_left_is_taken_off_every_ticket(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        for thread, who in (("100", DANA), ("200", DANA), ("300", KIM)):
            number = await handed_over(line, thread, int(thread))
            await line.hears(presses("claim", number, who))
            await line.passes(5)
        left = MemberLeft(keys=("left",), place=place(None, DESK), actor=None, occurred_at=0, who="dana")
        await line.hears(left, left)
        await line.passes(10)
        assert line.look("SELECT assignee FROM tickets ORDER BY number") == ["", "", "kim"]
        assert line.look("SELECT count(*) FROM inbox WHERE kind = 'member_left'") == [2]


@virtual
async def test_a_message_in_a_cards_thread_belongs_to_the_customers_conversation(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        number = await handed_over(line)
        await line.hears(presses("claim", number, DANA))
        await line.passes(5)
        card = await line.storage.anchored(f"{number}/card")
        assert card is not None
        await line.hears(says("!reply We are on it.", 900, DANA, replace(card.place, thread=card.id)))
        await line.passes(30)
        assert any(
            "We are on it." in s.text and s.ref.place.thread == "100" for s in line.home.shown.values()
        )


# --- forms -----------------------------------------------------------------------------------------------


@virtual
async def test_a_press_that_needs_a_form_gets_it_at_once_and_stores_nothing(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        number = await handed_over(line)
        await line.hears(presses("claim", number, DANA))
        await line.passes(5)
        before = line.look("SELECT count(*) FROM inbox")
        form = await line.engine.receive(presses("reply", number, DANA))
        assert isinstance(form, Form)
        assert line.look("SELECT count(*) FROM inbox") == before
        empty = FormSubmitted(
            keys=("f1",), place=place(None, DESK), actor=DANA, occurred_at=line.clock.now(), form=form.id,
            context=form.context, values={},
        )  # fmt: skip
        refused = await line.engine.receive(empty)
        assert isinstance(refused, FormErrors)
        assert refused.errors
        assert line.look("SELECT count(*) FROM inbox") == before


@virtual
async def test_a_button_of_a_card_from_before_a_restart_works(tmp_path: Path) -> None:
    platform = Platform()
    async with Line(tmp_path, (platform,)).up() as line:
        number = await handed_over(line)
    async with Line(tmp_path, (platform,)).up() as again:
        await again.hears(presses("claim", number, DANA))
        await again.passes(5)
        assert again.look("SELECT assignee FROM tickets") == ["dana"]
