"""What the statements promise, on real SQLite: recorded once, committed whole, history that shows tampering."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from adapters.codec import dump_inbound
from adapters.port import Actor, Mark, MessageAction, MsgRef, Place
from bot.reports import Reports
from bot.statements import Commit, Conflict
from bot.writer import StorageError
from handoff.effects import Keep, Link, Wake
from handoff.model import Said, Ticket, TicketState
from tests.line.scene import (
    DANA,
    KIM,
    Line,
    case_in,
    deletes,
    edit,
    edits,
    person,
    place,
    post,
    says,
    virtual,
)
from tests.virtual_time import START
from tests.world import DESK

ONE = "playground:playground:help:100"


def ticket(number: int, **more: object) -> Ticket:
    made = Ticket(
        number, TicketState.NEW, "general", "P2", "ordinary", "desk", "Refund", "Wants a refund", START
    )
    return replace(made, **more)  # type: ignore[arg-type]


# --- recorded once ---------------------------------------------------------------------------------------


@virtual
async def test_the_same_message_under_eleven_delivery_keys_is_one_row(tmp_path: Path) -> None:
    line = Line(tmp_path)
    same = [says("help", 1, keys=(f"delivery {n}", "message 1")) for n in range(11)]
    seqs = [await line.storage.record(event, ONE, START) for event in same]
    assert seqs == [1, *[None] * 10]
    assert line.look("SELECT count(*) FROM inbox") == [1]
    assert await line.storage.seen(["delivery 10"])  # a repeat's own key is remembered too


@virtual
async def test_the_same_message_at_the_same_moment_is_one_row(tmp_path: Path) -> None:
    line = Line(tmp_path)
    same = [says("help", 1, keys=(f"delivery {n}", "message 1")) for n in range(11)]
    seqs = await asyncio.gather(*(line.storage.record(event, ONE, START) for event in same))
    assert sorted(seqs, key=str) == [1, *[None] * 10]


@virtual
async def test_a_retry_whose_first_delivery_was_lost_is_recorded(tmp_path: Path) -> None:
    line = Line(tmp_path)
    assert await line.storage.record(says("help", 1, attempt=3), ONE, START) == 1


@virtual
async def test_keys_that_were_never_recorded_are_not_seen(tmp_path: Path) -> None:
    line = Line(tmp_path)
    await line.storage.record(says("help", 1), ONE, START)
    assert not await line.storage.seen(["d2", "mplayground2"])
    assert await line.storage.seen(["d2", "mplayground1"])


@virtual
async def test_edits_and_deletions_know_whether_their_message_was_worked_on(tmp_path: Path) -> None:
    line = Line(tmp_path)
    await line.storage.record(says("help", 1), ONE, START)
    for event in (edits(1, "more"), edits(2, "orphan"), deletes(3)):
        await line.storage.record(event, ONE, START)
    _, rows = await line.storage.waiting(ONE)
    assert [row.known_before for row in rows] == [True, False, False, False]
    await line.storage.drop([rows[0].seq], "done")
    _, rows = await line.storage.waiting(ONE)
    assert [row.known_before for row in rows] == [True, False, False]


@virtual
async def test_marks_name_the_newest_message_of_each_place_whatever_came_last(tmp_path: Path) -> None:
    line = Line(tmp_path)
    top = place("100")
    for number in (100, 99):
        await line.storage.record(says("help", number, where=top, is_root=True), ONE, START)
    await line.promise(case=case_in(top))
    await line.storage.record(says("more", 101, where=top), ONE, START)
    marks = {mark.place.thread: mark.after for mark in await line.storage.marks("playground")}
    assert marks == {None: "100", "100": "101"}


@virtual
async def test_a_place_in_which_nothing_was_ever_recorded_is_caught_up_from_where_listening_began(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    await line.storage.watch([Mark(place(None), "50")], START)
    await line.storage.watch([Mark(place(None), "90"), Mark(place(None, "lounge"), "7")], START)
    marks = {mark.place.channel: mark.after for mark in await line.storage.marks("playground")}
    assert marks == {"help": "50", "lounge": "7"}, (
        "a mark that exists stays: what came after it may be missing"
    )
    await line.storage.record(says("help", 100, where=place("100"), is_root=True), ONE, START)
    await line.storage.watch([Mark(place(None), "50")], START)
    assert {m.place.channel: m.after for m in await line.storage.marks("playground")}["help"] == "100"


@virtual
async def test_marks_name_what_people_wrote_in_conversations_that_are_not_over(tmp_path: Path) -> None:
    """Any of it may be edited or deleted while nobody listens; what is over or gone already is left alone."""
    line = Line(tmp_path)
    top, over, desk = place("100"), place("200"), place("5", "desk")

    def wrote(
        number: int, where: Place, who: Literal["customer", "agent"] = "customer", **more: bool
    ) -> Said:
        return Said(who, who, "words", START, MsgRef(where, str(number)), **more)

    said = (wrote(100, top), wrote(101, top, deleted=True), Said("bot", "bot", "hello", START), wrote(102, top),
            wrote(6, desk, "agent"))  # fmt: skip
    await line.promise(case=replace(case_in(top), said=said, ticket=ticket(1), origin=MsgRef(top, "100")))
    await line.storage.record(says("!reply hi", 6, DANA, where=desk), ONE, START)
    closed = ticket(2, state=TicketState.CLOSED)
    await line.promise(
        case=replace(case_in(over), said=(wrote(200, over),), ticket=closed, origin=MsgRef(over, "200"))
    )
    marks = await line.storage.marks("playground")
    known = {mark.place.thread: [ref.id for ref in mark.known] for mark in marks}
    assert known == {"100": ["100", "102"], "5": ["6"], "200": []}


@virtual
async def test_whoever_has_an_open_ticket_is_named_once(tmp_path: Path) -> None:
    line = Line(tmp_path)
    for number, (who, state) in enumerate(
        [
            (DANA, TicketState.OPEN),
            (DANA, TicketState.OPEN),
            (KIM, TicketState.CLOSED),
            (None, TicketState.NEW),
        ],
        1,
    ):
        case = replace(case_in(place(str(number))), ticket=ticket(number, assignee=who, state=state))
        await line.promise(case=case)
    assert await line.storage.assignees("playground") == ["dana"]
    assert await line.storage.assignees("slack") == []


# --- committed whole or not at all -----------------------------------------------------------------------


@virtual
async def test_a_decision_made_on_an_old_state_changes_nothing(tmp_path: Path) -> None:
    line = Line(tmp_path)
    first = await line.promise()
    await line.promise(epoch=1)
    seq = await line.storage.record(says("help", 1), first.place.conversation, START)
    late = Commit(
        first, replace(first, version=2, language="de"), first.place.conversation, [seq or 0], START, [post("late")],
        wakes=[Wake("nudge", START + 5)], keeps=[Keep("gap", "1", {})], links=[Link("x", MsgRef(place(), "1"))],
    )  # fmt: skip
    with pytest.raises(Conflict):
        await line.storage.commit(late)
    kept = ("SELECT count(*) FROM outbox", "SELECT count(*) FROM timers", "SELECT count(*) FROM records",
            "SELECT count(*) FROM anchors")  # fmt: skip
    assert [line.look(query) for query in kept] == [[0]] * 4
    assert line.look("SELECT state FROM inbox") == ["new"]
    assert line.look("SELECT count(*) FROM journal") == [2]


@virtual
async def test_two_first_decisions_on_one_conversation_cannot_both_win(tmp_path: Path) -> None:
    line = Line(tmp_path)
    case = replace(case_in(), version=1)
    change = Commit(None, case, case.place.conversation, (), START)
    results = await asyncio.gather(*(line.storage.commit(change) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [list, Conflict]


@virtual
async def test_a_case_has_one_open_ticket(tmp_path: Path) -> None:
    line = Line(tmp_path)
    case = await line.promise(ticket=ticket(1))
    before = await line.storage.case(case.place.conversation)
    assert before is not None
    line.writer.connection.execute("BEGIN")
    with pytest.raises(Exception, match=r"UNIQUE constraint failed: tickets\.case_id"):
        line.writer.connection.execute(
            """INSERT INTO tickets SELECT 2, case_id, platform, tenant, customer, customer_name, state, category, leaf,
               priority, route, subject, assignee, assignee_name, trigger, escalated_ever, reopened, opened_at, claimed_at,
               first_response_at, first_response_due, resolution_due, solved_at, closed_at, resolution_type, root_cause,
               csat, data FROM tickets"""
        )
    line.writer.connection.execute("ROLLBACK")
    await line.promise(ticket=ticket(1, state=TicketState.CLOSED))
    await line.promise(ticket=ticket(2))
    assert line.look("SELECT number, state FROM tickets ORDER BY number") == [(1, "closed"), (2, "new")]


@virtual
async def test_a_disk_that_refuses_leaves_everything_as_it_was(tmp_path: Path) -> None:
    line = Line(tmp_path)
    case = await line.promise()
    line.disk.full = True
    with pytest.raises(StorageError, match="nothing was changed"):
        await line.promise(post("never"))
    with pytest.raises(StorageError):
        await line.storage.record(says("help", 1), ONE, START)
    line.disk.full = False
    assert await line.storage.case(case.place.conversation) == case
    assert await line.storage.record(says("help", 1), ONE, START) == 1  # the retry is not taken for a repeat


@virtual
async def test_a_timer_of_the_same_name_is_replaced_and_a_cancelled_one_is_gone(tmp_path: Path) -> None:
    line = Line(tmp_path)
    case = await line.promise(wakes=[Wake("warn", START + 5), Wake("close", START + 9)])
    await line.promise(wakes=[Wake("warn", START + 7)], cancels=["close"])
    assert await line.storage.timers(case.id) == [("warn", START + 7, "")]


@virtual
async def test_assigned_tickets_are_found_by_the_agent_who_has_them(tmp_path: Path) -> None:
    line = Line(tmp_path)
    await line.promise(ticket=ticket(1, assignee=DANA))
    other = case_in(place("2"))
    await line.promise(case=other, ticket=ticket(2, assignee=DANA, state=TicketState.SOLVED))
    assert await line.storage.assigned_to("playground", "dana") == [place("1").conversation]
    assert await line.storage.assigned_to("slack", "dana") == []
    assert await line.storage.conversation_of("ticket", "2") == place("2").conversation
    assert await line.storage.conversation_of("ticket", "77") is None


# --- history ---------------------------------------------------------------------------------------------


async def with_history(folder: Path) -> Line:
    line = Line(folder)
    for number in range(4):
        await line.promise(content={"event": f"words {number}"}, why=f"because {number}", decision="answer")
    return line


@virtual
async def test_untouched_history_holds(tmp_path: Path) -> None:
    line = await with_history(tmp_path)
    assert await Reports(line.storage).verify() == {"ok": True, "rows": 4, "broken_at": None}


@pytest.mark.parametrize(
    ("tampering", "found_at"),
    [
        ("UPDATE journal SET why = 'no reason' WHERE seq = 2", 2),
        ("UPDATE journal SET decision = 'escalate' WHERE seq = 3", 3),
        ("UPDATE journal SET at = at + 60 WHERE seq = 1", 1),
        ("UPDATE journal SET content = '{}' WHERE seq = 4", 4),
        ("UPDATE journal SET case_id = 'c-ffffffffff' WHERE seq = 2", 2),
        ("DELETE FROM journal WHERE seq = 2", 3),
        ("DELETE FROM journal WHERE seq = 1", 2),
    ],
)
def test_tampered_history_is_found(tmp_path: Path, tampering: str, found_at: int) -> None:
    @virtual
    async def tampered() -> None:
        line = await with_history(tmp_path)
        line.writer.connection.execute(tampering)
        found = await Reports(line.storage).verify()
        assert (found["ok"], found["broken_at"]) == (False, found_at)

    tampered()


@virtual
async def test_erasing_a_person_leaves_no_word_and_an_unbroken_chain(tmp_path: Path) -> None:
    line = Line(tmp_path)
    secret, other = "my dog is called Rex", "my cat is called Tom"
    for who, where, text in ((person("ana"), place("1"), secret), (person("ben"), place("2"), other)):
        seq = await line.storage.record(
            says(text, int(where.thread or 0), who, where), where.conversation, START
        )
        await line.promise(
            post(text, anchor=f"{where.thread}/answer"), case=case_in(where, who), seqs=[seq],
            ticket=ticket(int(where.thread or 0), summary=text), content={"event": text},
            keeps=[Keep("gap", where.thread or "", {"question": text})],
        )  # fmt: skip
    counts, _ = await line.storage.erase("playground", "playground", "ana")
    assert counts["conversations"] == counts["tickets"] == counts["outbox"] == counts["inbox"] == 1
    text = "\n".join(line.writer.connection.iterdump())
    assert secret not in text
    assert other in text
    assert await Reports(line.storage).verify() == {"ok": True, "rows": 2, "broken_at": None}
    assert await line.storage.conversation_of("ticket", "2") == place("2").conversation


@virtual
async def test_old_keys_and_finished_events_are_forgotten_and_what_waits_is_not(tmp_path: Path) -> None:
    line = Line(tmp_path)
    old = await line.storage.record(says("old", 1), ONE, START)
    await line.storage.drop([old or 0], "done")
    await line.storage.record(says("still waiting", 2), ONE, START)
    await line.promise(post("waits"), content={"event": "words"})
    await line.storage.prune(START + 1, START - 1)
    assert line.look("SELECT state FROM inbox") == ["new"]
    assert line.states() == ["pending"]
    assert line.look("SELECT content FROM journal") == ['{"event":"words"}']
    assert not await line.storage.seen(["d1"])


@virtual
async def test_what_could_not_be_told_is_forgotten_where_no_conversation_is_kept(tmp_path: Path) -> None:
    line = Line(tmp_path)
    await line.promise(post("kept"))
    await line.promise(post("refused"), case=case_in(place("2")), decision="refuse")
    assert line.look("SELECT count(*) FROM cases") == [1]
    for row in await line.storage.recover():
        await line.storage.park(row, "gone", None, "", START)
    await line.storage.prune(line.clock.now() + 1, START - 1)
    assert line.look("SELECT json_extract(payload, '$.content.body[0].items[0][0].text') FROM outbox") == [
        "kept"
    ]


@virtual
async def test_after_the_retention_limit_no_word_is_left_and_the_chain_holds(tmp_path: Path) -> None:
    line = Line(tmp_path)
    await line.promise(content={"event": "old words"})
    await line.promise(case=case_in(place("2")), content={"event": "words"}, ticket=ticket(1))
    await line.storage.prune(START, line.clock.now() + 1)
    assert line.look("SELECT content FROM journal") == [None, None]
    assert line.look("SELECT conversation FROM cases") == [place("2").conversation]  # its ticket is open
    assert (await Reports(line.storage).verify())["ok"]


# --- at the start ----------------------------------------------------------------------------------------


@virtual
async def test_what_was_being_sent_when_the_process_died_is_not_known_to_have_arrived(tmp_path: Path) -> None:
    line = Line(tmp_path)
    await line.promise(post("leaving"), post("waiting"), edit("T-1/card", "later"))
    await line.storage.start_sending(1, START)
    again = Line(tmp_path)
    rows = await again.storage.recover()
    assert [(row.id, row.state) for row in rows] == [(1, "ambiguous"), (2, "pending"), (3, "pending")]
    assert rows[0].first_try_at == START


@virtual
async def test_an_agents_message_that_only_waits_already_stops_the_bot(tmp_path: Path) -> None:
    line = Line(tmp_path)
    case = await line.promise(post("from the bot"), post("from a person", voice="agent"))
    await line.storage.record(says("let me", 5, DANA, case.place), case.place.conversation, START)
    assert await line.storage.start_sending(1, START) == (None, {})
    row, _ = await line.storage.start_sending(2, START)
    assert row is not None
    assert line.states() == ["superseded", "sending"]


@virtual
async def test_an_agents_message_in_the_staff_channel_stops_nothing(tmp_path: Path) -> None:
    line = Line(tmp_path)
    case = await line.promise(post("from the bot"))
    desk = place("77", DESK)
    await line.storage.record(says("a note", 5, DANA, desk), case.place.conversation, START)
    assert (await line.storage.start_sending(1, START))[0] is not None


@virtual
async def test_events_survive_the_database_word_for_word(tmp_path: Path) -> None:
    line = Line(tmp_path)
    event = says("“héllo” \x00 🧶\n", 1, redacted=("card",), files=(), catchup=True)
    await line.storage.record(event, ONE, START)
    _, rows = await line.storage.waiting(ONE)
    assert rows[0].event == event
    assert dump_inbound(rows[0].event) == dump_inbound(event)


@virtual
async def test_marks_of_threads_that_are_over_are_forgotten_and_those_of_channels_stay(
    tmp_path: Path,
) -> None:
    line = Line(tmp_path)
    for number in (100, 200):
        where = place(str(number))
        await line.storage.record(says("help", number, where=where, is_root=True), where.conversation, START)
        await line.storage.record(says("more", number + 1, where=where), where.conversation, START)
        await line.promise(case=case_in(where))
    await line.storage.record(says("note", 300, where=place("5", "desk")), "desk", START)
    await line.storage.drop(line.look("SELECT seq FROM inbox"), "done")
    later = line.clock.now() + 1

    await line.storage.prune(START, START)
    assert len(line.look("SELECT place FROM marks")) == 4
    await line.storage.prune(START, later)

    assert line.look("SELECT count(*) FROM cases") == [0]
    assert [where[-2:] for where in line.look("SELECT place FROM marks")] == [":-"]


@virtual
async def test_whose_conversation_it_is_follows_whom_it_becomes(tmp_path: Path) -> None:
    """An action on one person's message was refused; another's in the same thread then begins the conversation."""
    line = Line(tmp_path)
    thread = place("100")

    def action(verb: str, number: int, author: Actor) -> MessageAction:
        ref = MsgRef(thread, str(number))
        return MessageAction(
            keys=(f"a{number}",), place=thread, actor=person("ben"), occurred_at=START, verb=verb, target=ref,
            target_text="how do refunds work?", target_author=author,
        )  # fmt: skip

    async with line.up():
        await line.hears(action("escalate", 100, person("ana")))
        await line.passes(10)
        await line.hears(action("help", 101, person("chloe")))
        await line.passes(10)
        assert line.look("SELECT customer FROM cases") == ["chloe"]
        counts, _ = await line.storage.erase("playground", "playground", "chloe")
        assert counts["conversations"] == 1
