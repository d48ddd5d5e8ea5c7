"""The engine: durable before it returns, in order per conversation, side by side otherwise, and time is an event."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.codec import load_inbound
from adapters.port import ThreadChanged
from bot.batch import Step
from bot.engine import FAILURES_MAX
from bot.writer import StorageError
from handoff.effects import Decision
from handoff.model import Case, Known
from tests.line.asking import ASK, answers, decisions, line_with
from tests.line.scene import (
    START,
    Line,
    case_in,
    deletes,
    edits,
    person,
    place,
    says,
    virtual,
)
from tests.world import DESK

# --- durable, then acknowledged --------------------------------------------------------------------------


@virtual
async def test_an_event_is_on_disk_when_receive_returns(tmp_path: Path) -> None:
    line = Line(tmp_path)
    await line.engine.receive(says(ASK, 100))
    await line.dies()
    again = Line(tmp_path)
    assert again.look("SELECT state FROM inbox") == ["new"]
    async with again.up():
        await again.passes(10)
        assert len(answers(again)) == 1


@virtual
async def test_what_cannot_be_stored_is_not_acknowledged_and_its_redelivery_is_worked_on_once(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    async with line.up():
        line.disk.full = True
        with pytest.raises(StorageError):
            await line.engine.receive(says(ASK, 100))
        line.disk.full = False
        for attempt in (1, 2):
            await line.engine.receive(says(ASK, 100, attempt=attempt))
        await line.passes(10)
        assert len(answers(line)) == 1


@virtual
async def test_eleven_deliveries_of_one_message_get_one_answer(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        same = [says(ASK, 100, keys=(f"delivery {n}", "message 100")) for n in range(11)]
        await asyncio.gather(*(line.engine.receive(event) for event in same))
        await line.passes(10)
        assert len(answers(line)) == 1
        assert line.metrics.text().count(b'events_repeated_total{platform="playground"} 10.0') == 1


@virtual
async def test_a_hundred_first_messages_of_one_person_open_one_ticket(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await asyncio.gather(*(line.engine.receive(says(f"HUMAN {n}", 100 + n)) for n in range(100)))
        await line.passes(300)  # one person's flood waits its turn
        assert line.look("SELECT count(*) FROM tickets") == [1]
        assert line.look("SELECT count(*) FROM inbox WHERE state = 'new'") == [0]


@virtual
async def test_secrets_are_gone_before_the_first_write(tmp_path: Path) -> None:
    line = Line(tmp_path)
    await line.hears(says("my card is 4111 1111 1111 1111", 100), edits(100, "it is 4111-1111-1111-1111"))
    stored = "\n".join(line.writer.connection.iterdump())
    assert "1111" not in stored.replace("-", "").replace(" ", "")


@virtual
async def test_half_an_emoji_is_no_reason_not_to_be_heard(tmp_path: Path) -> None:
    """JSON can carry it and no text can hold it: not recorded, it would be delivered again and again."""
    line = Line(tmp_path)
    async with line.up():
        await line.hears(says(f"{ASK} \ud83d", 100, replace(person(), name="A\ude00na")))
        await line.passes(10)
        assert len(answers(line)) == 1
        case = await line.storage.case(place("100").conversation)
        assert case is not None
        assert (case.said[0].text, case.customer.name) == (f"{ASK} \ufffd", "A\ufffdna")


# --- order -----------------------------------------------------------------------------------------------


@virtual
async def test_five_messages_in_three_seconds_are_one_question(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        for n, text in enumerate(("hi", "quick thing", "how do", "refunds", "work?")):
            await line.hears(says(text, 100 + n))
            await line.passes(0.7)
        await line.passes(10)
        assert len(answers(line)) == 1
        assert decisions(line).count("answer") == 1


@virtual
async def test_a_deletion_before_the_answer_cancels_it_and_an_edit_replaces_the_question(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.hears(deletes(100), says(ASK, 100), edits(200, ASK, where=place("200")))
        await line.passes(1)
        await line.hears(says("blah", 200, where=place("200")))
        await line.passes(20)
        assert answers(line) == []
        assert len(answers(line, "200")) == 1


@virtual
async def test_what_its_author_changes_while_the_answer_is_looked_for_counts(tmp_path: Path) -> None:
    """Until there is an answer a deletion cancels it and an edit replaces the question, however long that takes."""

    async def takes_its_time(case: Case, step: Step) -> None:
        await asyncio.sleep(5.0)

    line = line_with(tmp_path, takes_its_time)
    async with line.up():
        await line.hears(says(ASK, 100), says("blah", 200, where=place("200")))
        await line.passes(3)
        await line.hears(deletes(100), edits(200, ASK, where=place("200")))
        await line.passes(60)
        assert answers(line) == []
        assert len(answers(line, "200")) == 1
        assert decisions(line) == ["answer"]


@virtual
async def test_one_conversation_is_worked_on_in_order_although_it_arrives_disordered(tmp_path: Path) -> None:
    seen: list[str] = []

    async def note(case: Case, step: Step) -> None:
        seen.extend(step.texts)

    line = line_with(tmp_path, note)
    async with line.up():
        await asyncio.gather(*(line.engine.receive(says(f"{n}", n)) for n in (102, 100, 101)))
        await line.passes(20)
    assert seen == ["100", "101", "102"]


@virtual
async def test_one_conversation_is_never_worked_on_twice_at_a_time(tmp_path: Path) -> None:
    inside: list[str] = []

    async def alone(case: Case, step: Step) -> None:
        assert case.id not in inside
        inside.append(case.id)
        await asyncio.sleep(0.5)
        inside.remove(case.id)

    line = line_with(tmp_path, alone, debounce=0.0)
    async with line.up():
        for n in range(20):
            await line.hears(says(f"{n}", 100 + n))
            await line.passes(0.1)
        await line.passes(60)
        assert line.look("SELECT count(*) FROM inbox WHERE state = 'done'") == [20]
        assert line.look("SELECT count(*) FROM inbox WHERE error != ''") == [0]


@virtual
async def test_a_slow_conversation_does_not_hold_the_others_up(tmp_path: Path) -> None:
    async def slow(case: Case, step: Step) -> None:
        await asyncio.sleep(120 if case.place.thread == "100" else 0)

    line = line_with(tmp_path, slow)
    async with line.up():
        await line.hears(
            says(ASK, 100), *(says(ASK, n, person(f"p{n}"), place(str(n))) for n in range(200, 220))
        )
        await line.passes(10)
        assert all(len(answers(line, str(n))) == 1 for n in range(200, 220))
        assert answers(line) == []
        await line.passes(120)
        assert len(answers(line)) == 1


@virtual
async def test_not_more_conversations_than_configured_are_worked_on_at_once(tmp_path: Path) -> None:
    under_way, most = 0, 0

    async def count(case: Case, step: Step) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1)
        under_way -= 1

    line = line_with(tmp_path, count, concurrency=3)
    async with line.up():
        await line.hears(*(says(ASK, n, where=place(str(n))) for n in range(200, 212)))
        await line.passes(30)
    assert most == 3


# --- failures --------------------------------------------------------------------------------------------


@virtual
async def test_a_passing_failure_is_tried_again(tmp_path: Path) -> None:
    failures = [ValueError("once"), ValueError("twice")]

    async def fails(case: Case, step: Step) -> None:
        if failures:
            raise failures.pop()

    line = line_with(tmp_path, fails)
    async with line.up():
        await line.hears(says(ASK, 100))
        await line.passes(30)
        assert len(answers(line)) == 1
        assert line.look("SELECT attempts, state FROM inbox") == [(2, "done")]


@virtual
async def test_an_event_that_always_fails_is_put_aside_visibly_and_what_follows_is_worked_on(
    tmp_path: Path,
) -> None:
    async def fails(case: Case, step: Step) -> None:
        if "poison" in step.texts:
            raise ValueError("whatever is done, it fails")

    line = line_with(tmp_path, fails)
    async with line.up():
        await line.hears(says("poison", 100))
        await line.passes(60)
        assert line.look("SELECT attempts, state, error FROM inbox WHERE kind = 'message'") == [
            (FAILURES_MAX, "dead", "ValueError: whatever is done, it fails"),
        ]  # fmt: skip
        told = line.look("SELECT payload FROM inbox WHERE kind = 'delivery_failed'")
        assert [load_inbound(payload).keys for payload in told] == [("dead:1",)]
        assert any(shown.ref.place.channel == DESK for shown in line.home.shown.values())
        await line.hears(says(ASK, 101))
        await line.passes(30)
        assert line.look("SELECT count(*) FROM inbox WHERE state = 'new'") == [0]


@virtual
async def test_a_full_disk_stops_answers_and_nothing_else_and_they_come_when_there_is_room(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.hears(says(ASK, 100))
        await line.passes(0.5)
        line.disk.full = True
        await line.passes(60)
        assert answers(line) == []
        line.disk.full = False
        await line.passes(60)
        assert len(answers(line)) == 1
        assert line.look("SELECT attempts FROM inbox") == [0]  # the disk is not the event's fault


@virtual
async def test_what_follows_a_decision_is_done_once_it_stands_and_may_fail(tmp_path: Path) -> None:
    line, seen = Line(tmp_path), list[tuple[str, int]]()

    async def note(conversation: str, decision: Decision, known: Known) -> None:
        seen.append((decision.kind, len(decisions(line))))
        raise ValueError("no harm")

    line.engine.after.append(note)
    async with line.up():
        await line.hears(says(ASK, 100))
        await line.passes(30)
        assert seen == [("answer", 1)]
        assert line.look("SELECT attempts, state FROM inbox") == [(0, "done")]


@virtual
async def test_a_decision_on_an_old_state_is_made_again_on_the_new_one(tmp_path: Path) -> None:
    line: Line

    async def overtaken(case: Case, step: Step) -> None:
        if line.look("SELECT version FROM cases") == [1]:
            await line.promise(case=case, language="de")

    line = line_with(tmp_path, overtaken, debounce=0.0)
    async with line.up():
        await line.hears(says("hello", 100))
        await line.passes(10)
        await line.hears(says(ASK, 101))
        await line.passes(10)
        case = await line.storage.case(place("100").conversation)
        assert case is not None
        assert case.language == "de"
        assert decisions(line)[1:] == ["", "answer"]


@virtual
async def test_what_happens_to_a_strangers_thread_makes_no_conversation_of_it(tmp_path: Path) -> None:
    """Threads of people among themselves are archived all the time; whoever calls the bot there later is its customer."""
    line, thread = Line(tmp_path), place("100", "talk")

    def archived(number: int) -> ThreadChanged:
        return ThreadChanged(
            keys=(f"t{number}",), place=thread, actor=None, occurred_at=START, state="archived"
        )

    async with line.up():
        await line.hears(archived(1), archived(2))
        await line.passes(10)
        assert line.look("SELECT count(*) FROM cases") == line.look("SELECT count(*) FROM journal") == [0]
        assert line.look("SELECT state FROM inbox") == ["done", "done"]
        await line.hears(says("HUMAN please", 101, where=thread, mentions_bot=True))
        await line.passes(10)
        assert line.look("SELECT customer FROM tickets") == ["ana"]


@virtual
async def test_a_conversation_that_has_nobody_belongs_to_whoever_speaks_there(tmp_path: Path) -> None:
    """Earlier versions made one of every thread that was archived."""
    line, thread = Line(tmp_path), place("100", "talk")
    await line.promise(case=replace(case_in(thread), customer=person("")))
    async with line.up():
        await line.hears(says("HUMAN please", 101, where=thread, mentions_bot=True))
        await line.passes(10)
        assert line.look(
            "SELECT tickets.customer, cases.customer FROM tickets JOIN cases ON cases.id = case_id"
        ) == [("ana", "ana")]
