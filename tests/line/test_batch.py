"""Folding: what waits in a conversation becomes one step, or is settled; nothing is lost, nothing happens twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.port import FileRef, Inbound, MessageEdited, MessageReceived
from bot.batch import BURST_MESSAGES_MAX, BURST_SECONDS_MAX, ORPHAN_SECONDS, Fold, fold
from bot.statements import Recorded
from tests.line.scene import DANA, deletes, edits, person, presses, says

T = 1000.0
CALM = 1.5


def rows(*events: Inbound, every: float = 0.0, known: bool = False) -> list[Recorded]:
    return [Recorded(n, event, T + (n - 1) * every, 0, known) for n, event in enumerate(events, 1)]


def step_of(found: Fold):
    assert found.step is not None
    return found.step


def test_a_burst_of_five_is_one_question() -> None:
    burst = rows(*(says(f"line {n}", n) for n in range(1, 6)), every=0.6)
    step = step_of(fold(burst, T + 10, CALM))
    assert step.seqs == (1, 2, 3, 4, 5)
    assert step.texts == ("line 1", "line 2", "line 3", "line 4", "line 5")
    assert isinstance(step.event, MessageReceived)
    assert step.event.text == "line 1\nline 2\nline 3\nline 4\nline 5"
    assert [ref.id for ref in step.refs] == ["1", "2", "3", "4", "5"]


def test_a_burst_waits_for_its_last_message_and_then_for_quiet() -> None:
    burst = rows(says("a", 1), says("b", 2), every=1.0)
    assert fold(burst, T + 1.2, CALM) == Fold(again_at=T + 1.0 + CALM)
    assert step_of(fold(burst, T + 1.0 + CALM, CALM)).seqs == (1, 2)


def test_a_burst_without_end_is_answered_all_the_same() -> None:
    burst = rows(*(says(f"{n}", n) for n in range(1, 11)), every=1.0)
    assert fold(burst, T + BURST_SECONDS_MAX - 0.1, CALM).step is None
    assert len(step_of(fold(burst, T + BURST_SECONDS_MAX, CALM)).seqs) == 10


def test_a_flood_is_taken_in_portions() -> None:
    flood = rows(*(says(f"{n}", n) for n in range(1, BURST_MESSAGES_MAX + 6)))
    assert step_of(fold(flood, T, CALM)).seqs == tuple(range(1, BURST_MESSAGES_MAX + 1))


def test_what_a_burst_carries_is_all_carried() -> None:
    files = [FileRef(f"f{n}", f"{n}.png") for n in range(2)]
    step = step_of(fold(rows(
        says("a", 1, files=(files[0],), redacted=("card",)), says("", 2, files=(files[1],), mentions_bot=True),
        says("c", 3, redacted=("key", "card")),
    ), T + 9, CALM))  # fmt: skip
    event = step.event
    assert isinstance(event, MessageReceived)
    assert (event.text, event.files, event.mentions_bot, event.redacted) == (
        "a\nc", tuple(files), True, ("card", "key"),
    )  # fmt: skip


def test_another_author_ends_the_burst_at_once() -> None:
    step = step_of(fold(rows(says("mine", 1), says("yours", 2, DANA)), T, CALM))
    assert step.seqs == (1,)


def test_a_press_of_a_button_ends_the_burst_at_once() -> None:
    assert step_of(fold(rows(says("a", 1), presses("person", "c-1", person())), T, CALM)).seqs == (1,)


def test_messages_stand_in_the_platforms_order_not_in_that_of_their_arrival() -> None:
    step = step_of(fold(rows(says("third", 3), says("first", 1), says("second", 2)), T + 9, CALM))
    assert step.texts == ("first", "second", "third")
    assert sorted(step.seqs) == [1, 2, 3]


def test_what_was_missed_does_not_wait_for_more() -> None:
    assert step_of(fold(rows(says("old", 1, catchup=True)), T, CALM)).seqs == (1,)


def test_between_people_nothing_is_merged_and_nothing_waits() -> None:
    assert step_of(fold(rows(says("a", 1), says("b", 2)), T, 0.0)).seqs == (1,)


def test_an_edit_before_the_answer_is_the_question() -> None:
    step = step_of(fold(rows(says("refnud?", 1), edits(1, "refund?")), T + 9, CALM))
    assert (step.texts, step.seqs) == (("refund?",), (1, 2))


def test_an_edit_that_overtakes_its_message_is_applied_to_it() -> None:
    step = step_of(fold(rows(edits(1, "refund?"), says("refnud?", 1)), T + 9, CALM))
    assert step.texts == ("refund?",)
    assert sorted(step.seqs) == [1, 2]


def test_of_two_edits_the_one_made_last_counts_even_if_it_arrives_first() -> None:
    step = step_of(fold(rows(says("v0", 1), edits(1, "v2", 2), edits(1, "v1", 1)), T + 9, CALM))
    assert step.texts == ("v2",)
    assert sorted(step.seqs) == [1, 2, 3]


def test_an_edit_that_only_brings_files_takes_no_words_back() -> None:
    late = replace(edits(1, "v0", 0, files=(FileRef("f", "f.png"),)), occurred_at=says("", 1).occurred_at)
    step = step_of(fold(rows(says("v0", 1), edits(1, "v1", 1), late), T + 9, CALM))
    assert isinstance(step.event, MessageReceived)
    assert (step.event.text, step.event.files) == ("v1", (FileRef("f", "f.png"),))


def test_secrets_removed_from_an_edit_are_told_of() -> None:
    step = step_of(
        fold(rows(says("v0", 1, redacted=("card",)), edits(1, "v1", redacted=("key",))), T + 9, CALM)
    )
    assert step.event.redacted == ("card", "key")


def test_a_deletion_before_the_answer_leaves_nothing_to_answer() -> None:
    for events in (
        (says("x", 1), deletes(1)),
        (deletes(1), says("x", 1)),
        (says("x", 1), edits(1, "y"), deletes(1)),
    ):
        found = fold(rows(*events), T, CALM)
        assert found.step is None
        assert sorted(found.gone) == list(range(1, len(events) + 1))


def test_a_deletion_takes_only_its_own_message_out_of_a_burst() -> None:
    waiting = rows(says("keep", 1), says("drop", 2), deletes(2))
    gone = fold(waiting, T + 9, CALM).gone
    assert gone == (2, 3)
    assert step_of(fold([r for r in waiting if r.seq not in gone], T + 9, CALM)).texts == ("keep",)


def test_an_edit_without_its_message_waits_a_while_and_lets_others_pass() -> None:
    alone = rows(edits(9, "of what?"))
    assert fold(alone, T + 1, CALM) == Fold(again_at=T + ORPHAN_SECONDS)
    assert step_of(fold(alone, T + ORPHAN_SECONDS, CALM)).seqs == (1,)
    beside = rows(edits(9, "of what?"), presses("claim", "T-1", DANA))
    assert step_of(fold(beside, T + 1, CALM)).seqs == (2,)


def test_an_edit_of_an_answered_message_waits_for_nothing() -> None:
    assert step_of(fold(rows(edits(1, "later"), known=True), T, CALM)).event == edits(1, "later")


def test_nothing_waits_means_nothing_to_look_at_again() -> None:
    assert fold([], T, CALM) == Fold()


# --- for all conversations -------------------------------------------------------------------------------


@st.composite
def conversations(draw: st.DrawFn) -> list[Recorded]:
    """Messages of two people, some edited or deleted, arriving in any order, some events twice removed."""
    events: list[Inbound] = []
    for number in range(1, draw(st.integers(1, 7)) + 1):
        who = draw(st.sampled_from((person(), DANA)))
        kinds = draw(st.sets(st.sampled_from(("message", "edit", "edit again", "delete")), min_size=1))
        made: dict[str, Inbound] = {
            "message": says(f"m{number}", number, who, catchup=draw(st.booleans())),
            "edit": edits(number, f"m{number} v1", 1), "edit again": edits(number, f"m{number} v2", 2),
            "delete": deletes(number),
        }  # fmt: skip
        events += [made[kind] for kind in kinds]
    if draw(st.booleans()):
        events.append(presses("person", "c-1", person()))
    events = draw(st.permutations(events))
    times = sorted(draw(st.lists(st.floats(0, 30), min_size=len(events), max_size=len(events))))
    known = draw(st.booleans())
    return [Recorded(n, e, T + at, 0, known) for n, (e, at) in enumerate(zip(events, times, strict=True), 1)]


def worked(waiting: Sequence[Recorded], debounce: float) -> tuple[list[tuple[int, ...]], list[int]]:
    """Fold until nothing waits, as the engine does: (the steps' rows, the settled rows)."""
    left, now, steps, gone = list(waiting), T, [], []
    for _ in range(200):
        if not left:
            return steps, gone
        here = [row for row in left if row.received_at <= now]
        if not here:
            now = min(row.received_at for row in left)
            continue
        found = fold(here, now, debounce)
        done = {*found.gone, *(found.step.seqs if found.step else ())}
        assert done or found.again_at is not None, "it would never be looked at again"
        assert done or (found.again_at or 0) > now, "it would be looked at for ever"
        if found.step:
            steps.append(found.step.seqs)
        gone += found.gone
        left = [row for row in left if row.seq not in done]
        if not done:
            now = min([found.again_at or now, *(r.received_at for r in left if r.received_at > now)])
    raise AssertionError("it never ends")


@settings(max_examples=150, deadline=None)
@given(conversations(), st.sampled_from((0.0, CALM)))
def test_every_row_is_in_exactly_one_step_or_settled(waiting: list[Recorded], debounce: float) -> None:
    steps, gone = worked(waiting, debounce)
    everything = [seq for seqs in steps for seq in seqs] + gone
    assert sorted(everything) == [row.seq for row in waiting]


@settings(max_examples=150, deadline=None)
@given(conversations())
def test_what_is_answered_is_the_final_text_and_never_a_deleted_one(waiting: list[Recorded]) -> None:
    late = T + 1000
    found = fold(waiting, late, CALM)
    if found.gone:
        found = fold([row for row in waiting if row.seq not in found.gone], late, CALM)
    deleted = {r.event.ref.id for r in waiting if r.event.type == "deleted"}  # type: ignore[union-attr]
    newest: dict[str, str] = {}
    for event in sorted(
        (r.event for r in waiting if isinstance(r.event, MessageEdited)), key=lambda e: e.occurred_at
    ):
        newest[event.ref.id] = event.text
    step = found.step
    if step is not None and isinstance(step.event, MessageReceived):
        for ref, text in zip(step.refs, step.texts, strict=True):
            assert ref.id not in deleted
            assert text == newest.get(ref.id, f"m{ref.id}")


@settings(max_examples=100, deadline=None)
@given(conversations())
def test_folding_is_a_function_of_what_it_sees(waiting: list[Recorded]) -> None:
    assert fold(waiting, T + 40, CALM) == fold(list(waiting), T + 40, CALM)


@settings(max_examples=100, deadline=None)
@given(conversations())
def test_nothing_that_waits_is_merged_across_people(waiting: list[Recorded]) -> None:
    by_seq = {row.seq: row.event.actor for row in waiting if isinstance(row.event, MessageReceived)}
    for seqs in worked(waiting, CALM)[0]:
        assert len({actor.id for seq in seqs if (actor := by_seq.get(seq))}) <= 1
