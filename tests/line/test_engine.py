"""The engine: durable before it returns, in order per conversation, side by side otherwise, and time is an event."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.port import (
    Form,
    FormErrors,
    FormSubmitted,
    MemberLeft,
    Post,
    Private,
    Unavailable,
    load_inbound,
)
from bot.batch import Step
from bot.engine import FAILURES_MAX
from bot.routing import case_id_of
from bot.writer import StorageError
from handoff.model import Case, Known, Wake
from tests import stand_ins
from tests.line.scene import (
    DANA,
    KEYLESS,
    KIM,
    Line,
    Platform,
    deletes,
    edits,
    person,
    place,
    presses,
    says,
    virtual,
)
from tests.world import DESK

ASK = "how do refunds work?"
ANSWER = "Approved text about refunds."


def answers(line: Line, thread: str = "100") -> list[str]:
    return [s.text for s in line.home.shown.values() if ANSWER in s.text and s.ref.place.thread == thread]


def decisions(line: Line) -> list[str]:
    return line.look("SELECT decision FROM journal ORDER BY seq")


class Gathering:
    """The stand-in's facts, after whatever a test wants to happen first."""

    def __init__(self, first: Callable[[Case, Step], Any]) -> None:
        self._first = first
        self.under_way: list[str] = []
        self.inner: stand_ins.Gatherer | None = None

    async def known(self, case: Case, step: Step, number: int, anchor: str, now: float) -> Known:
        await self._first(case, step)
        assert self.inner is not None
        return await self.inner.known(case, step, number, anchor, now)


def line_with(folder: Path, first: Callable[[Case, Step], Any], **options: Any) -> Line:
    gathering = Gathering(first)
    line = Line(folder, gatherer=gathering, **options)
    gathering.inner = stand_ins.Gatherer(line.storage, line.rules, random.Random(3))
    return line


async def handed_over(line: Line, thread: str = "100", number: int = 100) -> str:
    """A customer has asked for a person; the number of the ticket."""
    await line.hears(says("I want a HUMAN", number, where=place(thread)))
    await line.passes(10)
    found = line.look("SELECT number FROM tickets ORDER BY number DESC LIMIT 1")
    return f"T-{found[0]}"


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


# --- time ------------------------------------------------------------------------------------------------


def fired(line: Line, timer: str) -> int:
    found = line.look(
        "SELECT count(*) FROM inbox WHERE kind = 'timer' AND json_extract(payload, '$.timer') = ?", timer
    )
    return found[0]


@virtual
async def test_a_timer_fires_when_it_is_due_and_once(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(wakes=[Wake("nudge", line.clock.now() + 50)])
        line.engine._timers.set()
        await line.passes(49)
        assert fired(line, "nudge") == 0
        await line.passes(2)
        assert fired(line, "nudge") == 1
        await line.passes(7200)
        assert fired(line, "nudge") == 1


@virtual
async def test_an_earlier_timer_overtakes_a_later_one_that_is_waited_for(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        for seconds in (5000, 10):
            await line.promise(wakes=[Wake(f"in {seconds}", line.clock.now() + seconds)])
            line.engine._timers.set()
        await line.passes(11)
        assert fired(line, "in 10") == 1
        assert fired(line, "in 5000") == 0


@virtual
async def test_a_timer_that_came_due_while_the_process_was_down_fires_at_the_start_once(
    tmp_path: Path,
) -> None:
    async with Line(tmp_path).up() as line:
        await line.promise(
            wakes=[Wake("nudge", line.clock.now() + 50), Wake("later", line.clock.now() + 9000)]
        )
    await asyncio.sleep(5000)
    for _ in range(2):
        async with Line(tmp_path).up() as again:
            await again.passes(5)
            assert fired(again, "nudge") == 1
            assert fired(again, "later") == 0


@virtual
async def test_a_refusing_disk_delays_a_timer_and_does_not_lose_it(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.promise(wakes=[Wake("nudge", line.clock.now() + 5)])
        line.engine._timers.set()
        line.disk.full = True
        await line.passes(30)
        line.disk.full = False
        await line.passes(5)
        assert fired(line, "nudge") == 1


# --- what was missed -------------------------------------------------------------------------------------


@virtual
async def test_what_was_missed_is_recorded_first_and_worked_on_when_all_of_it_is_here(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        async with line.engine.catching_up("playground"):
            await line.hears(says(ASK, 100, catchup=True), says(ASK, 200, where=place("200"), catchup=True))
            await line.passes(30)
            assert line.look("SELECT count(*) FROM inbox WHERE state = 'new'") == [2]
            assert answers(line) == []
            await line.hears(says("you have to press save", 101, person("neighbour"), catchup=True))
        await line.passes(30)
        assert answers(line) == []
        assert len(answers(line, "200")) == 1


@virtual
async def test_what_was_missed_is_not_worked_on_because_something_new_stands_before_it(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    async with line.up():
        async with line.engine.catching_up("playground"):
            await line.hears(says("and quickly please", 103), says(ASK, 100, catchup=True))
            await line.passes(30)
            assert answers(line) == []
            await line.hears(says("somebody from us answered", 101, DANA, catchup=True))
        await line.passes(30)
        assert answers(line) == []


@virtual
async def test_what_happens_now_does_not_wait_for_what_was_missed_elsewhere(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        async with line.engine.catching_up("playground"):
            await line.hears(says(ASK, 100, catchup=True), says(ASK, 200, where=place("200")))
            await line.passes(30)
            assert len(answers(line, "200")) == 1
        await line.passes(30)
        assert len(answers(line)) == 1


@virtual
async def test_a_catch_up_that_breaks_lets_go_of_what_it_held(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():

        async def breaks() -> None:
            async with line.engine.catching_up("playground"):
                await line.hears(says(ASK, 100, catchup=True))
                raise ConnectionError

        with pytest.raises(ConnectionError):
            await breaks()
        await line.passes(30)
        assert len(answers(line)) == 1


# --- the end ---------------------------------------------------------------------------------------------


@virtual
async def test_the_end_lets_decisions_finish_that_can_and_keeps_the_rest_for_the_next_start(
    tmp_path: Path,
) -> None:
    async def thinks(case: Case, step: Step) -> None:
        await asyncio.sleep(900 if case.place.thread == "999" else 1)

    line = line_with(tmp_path, thinks)
    async with line.up():
        await line.hears(*(says(ASK, n, where=place(str(n))) for n in (*range(200, 250), 999)))
        await line.passes(0.5)
        began = line.clock.now()
        await line.engine.drain(30)
        await line.outbox.drain(10)
        assert line.clock.now() - began <= 31
        assert sum(len(answers(line, str(n))) for n in range(200, 250)) == 50
    again = Line(tmp_path)
    assert again.look("SELECT conversation FROM inbox WHERE state = 'new'") == [place("999").conversation]
    async with again.up():
        await again.passes(20)
        assert len(answers(again, "999")) == 1


@virtual
async def test_the_end_waits_for_an_answer_that_is_with_the_platform(tmp_path: Path) -> None:
    line = Line(tmp_path, (Platform(seconds=3.0),))
    line.home.will(Unavailable("once"))
    async with line.up():
        for thread in ("100", "200"):
            await line.hears(says(ASK, int(thread), where=place(thread)))
            await line.passes(2.0)
        await line.outbox.drain(30)
        assert set(line.states()) == {"sent"}
        assert len(answers(line, "200")) == 1


@virtual
async def test_whoever_watches_is_told_why(tmp_path: Path) -> None:
    line = Line(tmp_path)
    seen: list[Any] = []
    line.engine.observers.append(seen.append)
    async with line.up():
        await line.hears(says(ASK, 100))
        await line.passes(10)
    told = next(s for s in seen if s["kind"] == "answer")
    assert told["why"]
    assert told["evidence"][0]["topic"] == "refunds"
    assert told["snapshot"] == "s-1"


@virtual
async def test_a_press_of_an_unknown_ticket_hurts_nobody(tmp_path: Path) -> None:
    line = Line(tmp_path)
    async with line.up():
        await line.hears(
            presses("claim", "T-4711", DANA), presses("nonsense", "'; DROP TABLE cases; --", DANA)
        )
        await line.passes(30)
        assert line.look("SELECT count(*) FROM inbox WHERE state != 'done'") == [0]
