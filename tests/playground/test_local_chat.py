"""The local chat keeps the port's promises: what the engine may rely on, and what a platform would refuse."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.chat_room import Room
from adapters.codec import dump_inbound, load_inbound
from adapters.console import ConsoleAdapter
from adapters.local_chat import LocalChat
from adapters.playground import PlaygroundAdapter
from adapters.port import (
    ActionInvoked,
    Button,
    CommandInvoked,
    Content,
    Delete,
    Delivered,
    Edit,
    FileRef,
    Forbidden,
    FormSubmitted,
    Gone,
    Mark,
    MemberLeft,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    OpenThread,
    Place,
    Post,
    Private,
    PublishHome,
    React,
    ReactionChanged,
    Rejected,
    SetThread,
    Unavailable,
)
from tests.playground.world import ADMINS, AGENTS, CUSTOMERS, SmallDesk, para

HELP = Place("playground", "playground", "help")


def words(text: str, revision: int = 0, *buttons: Button) -> Content:
    return Content(body=(para(text),), revision=revision, buttons=buttons)


# --- what comes in -----------------------------------------------------------------------------------------


async def test_a_question_at_top_level_starts_the_thread_that_its_answer_belongs_in(
    chat: LocalChat, desk: SmallDesk
) -> None:
    asked = await chat.say("ana", "where is my invoice?", "help")

    event = desk.events[0]
    assert isinstance(event, MessageReceived)
    assert (event.place.thread, event.is_root, event.ref.id) == (asked, True, asked)
    assert event.actor is not None
    assert (event.actor.name, event.actor.roles) == ("Ana", frozenset())
    assert load_inbound(dump_inbound(event)) == event


async def test_a_reply_stays_in_its_thread(chat: LocalChat, desk: SmallDesk) -> None:
    root = await chat.say("ana", "hello", "#help")

    await chat.say("ana", "it is about my invoice", "help", root)

    event = desk.events[-1]
    assert isinstance(event, MessageReceived)
    assert (event.place.thread, event.is_root) == (root, False)
    assert event.place.conversation == desk.events[0].place.conversation


@pytest.mark.parametrize(
    ("text", "said", "mentioned"),
    [
        ("@Firstline where is it?", "where is it?", True),
        ("hey @bot, hello", "hey hello", True),
        ("mail me at ana@firstline.example", "mail me at ana@firstline.example", False),
        ("firstline is down", "firstline is down", False),
    ],
)
async def test_a_mention_of_the_bot_is_taken_out_and_told(
    chat: LocalChat, desk: SmallDesk, text: str, said: str, mentioned: bool
) -> None:
    await chat.say("ana", text, "general")

    event = desk.events[0]
    assert isinstance(event, MessageReceived)
    assert (event.text, event.mentions_bot) == (said, mentioned)


async def test_a_direct_message_is_one_conversation(chat: LocalChat, desk: SmallDesk) -> None:
    await chat.say("ana", "hello", "dm")
    await chat.say("ana", "are you there?", "dm")

    first, second = desk.events
    assert first.place.kind == "dm"
    assert first.place.conversation == second.place.conversation
    assert first.place.channel == "dm-ana"


async def test_the_desk_writes_in_a_private_channel_with_its_roles(chat: LocalChat, desk: SmallDesk) -> None:
    await chat.say("dana", "who is on today?", "desk")

    event = desk.events[0]
    assert event.place.kind == "private"
    assert event.actor is not None
    assert event.actor.roles == {"agent", "admin"}


async def test_ids_ascend_and_are_never_given_twice_though_the_clock_stands_still(
    chat: LocalChat, desk: SmallDesk
) -> None:
    ids = [int(await chat.say("ana", f"line {n}", "help")) for n in range(5)]

    assert ids == sorted(set(ids))
    assert [e.order for e in desk.events] == [(i,) for i in ids]


async def test_every_event_has_its_own_key(chat: LocalChat, desk: SmallDesk) -> None:
    asked = await chat.say("ana", "how do refunds work?", "help")
    answer = chat.messages("help", asked)[-1]

    await chat.press("ana", answer.id, "Helpful")
    await chat.press("ana", answer.id, "Helpful")
    await chat.edit("ana", asked, "how do refunds work, please?")
    await chat.edit("ana", asked, "how?")
    await chat.react("ana", answer.id, "+1")
    await chat.react("ana", answer.id, "+1", on=False)
    await chat.command("ana", "/firstline help")
    await chat.menu("kim", "escalate", asked)
    await chat.leave("lee")
    await chat.delete("ana", asked)

    keys = [e.keys[0] for e in desk.events]
    assert len(keys) == len(set(keys))
    kinds = [type(e) for e in desk.events]
    assert kinds == [
        MessageReceived, ActionInvoked, ActionInvoked, MessageEdited, MessageEdited, ReactionChanged,
        ReactionChanged, CommandInvoked, MessageAction, MemberLeft, MessageDeleted,
    ]  # fmt: skip


async def test_what_could_not_be_stored_was_not_said(chat: LocalChat, desk: SmallDesk) -> None:
    desk.refusing = True

    with pytest.raises(OSError, match="disk full"):
        await chat.say("ana", "hello", "help")

    assert chat.messages("help") == []


async def test_nothing_is_taken_after_the_doors_have_closed_but_sending_works(
    chat: LocalChat, desk: SmallDesk
) -> None:
    await chat.stop_ingress()

    with pytest.raises(Unavailable):
        await chat.say("ana", "hello", "help")
    await chat.deliver(Post(HELP, words("we are back soon")), 0, "k1")

    assert [m.content for m in chat.messages("help")] == [words("we are back soon")]


async def test_a_command_is_read_with_or_without_its_first_word(chat: LocalChat, desk: SmallDesk) -> None:
    await chat.command("dana", "/firstline search refund after 14 days")
    await chat.command("dana", "reload")
    await chat.command("ana", "/firstline")

    found = [(e.name, e.text, e.place.channel) for e in desk.events if isinstance(e, CommandInvoked)]
    assert found == [
        ("search", "refund after 14 days", "desk"),
        ("reload", "", "desk"),
        ("help", "", "dm-ana"),
    ]


async def test_run_tells_its_state_and_returns_when_closed(chat: LocalChat, desk: SmallDesk) -> None:
    running = asyncio.create_task(chat.run(desk))
    await asyncio.sleep(0)

    await chat.close(1)
    await running

    assert desk.states == ["connected", "stopped"]


# --- who may -----------------------------------------------------------------------------------------------


async def test_a_customer_can_neither_read_nor_press_nor_write_at_the_desk(
    chat: LocalChat, desk: SmallDesk
) -> None:
    done = await chat.deliver(
        Post(Place("playground", "playground", "desk"), words("card", 0, Button("claim", "T-1", "Claim"))),
        0,
        "k",
    )
    assert done.ref is not None

    with pytest.raises(Forbidden):
        await chat.say("ana", "let me in", "desk")
    with pytest.raises(Gone):
        await chat.press("ana", done.ref.id, "Claim")

    assert desk.events == []


async def test_only_its_author_changes_a_message(chat: LocalChat, desk: SmallDesk) -> None:
    asked = await chat.say("ana", "mine", "help")

    with pytest.raises(Forbidden):
        await chat.edit("ben", asked, "yours")
    with pytest.raises(Forbidden):
        await chat.delete("ben", asked)

    assert chat.messages("help")[0].text == "mine"


async def test_another_persons_direct_messages_are_not_there(chat: LocalChat, desk: SmallDesk) -> None:
    asked = await chat.say("ana", "secret", "dm")

    with pytest.raises(Gone):
        await chat.react("ben", asked, "+1")
    with pytest.raises(Forbidden):
        await chat.say("ben", "hello", "dm-ana")


@pytest.mark.parametrize("text", ["", "   \n", "x" * 8_001])
async def test_an_empty_or_endless_message_is_refused(chat: LocalChat, desk: SmallDesk, text: str) -> None:
    with pytest.raises(Rejected):
        await chat.say("ana", text, "help")

    assert desk.events == []


async def test_unknown_people_channels_and_buttons_are_refused_in_words(
    chat: LocalChat, desk: SmallDesk
) -> None:
    asked = await chat.say("ana", "hello", "help")

    with pytest.raises(Rejected, match="nobody here"):
        await chat.say("zoe", "hello", "help")
    with pytest.raises(Gone, match="no channel"):
        await chat.say("ana", "hello", "kitchen")
    with pytest.raises(Gone, match="no button"):
        await chat.press("ana", asked, "Claim")


async def test_a_locked_thread_takes_no_more(chat: LocalChat, desk: SmallDesk) -> None:
    root = await chat.say("ana", "hello", "help")
    await chat.deliver(SetThread(Place("playground", "playground", "help", root), locked=True), 0, "k")

    with pytest.raises(Forbidden, match="locked"):
        await chat.say("ana", "one more", "help", root)


# --- what goes out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [PlaygroundAdapter, ConsoleAdapter])
async def test_the_same_key_posts_once(make: type[PlaygroundAdapter | ConsoleAdapter]) -> None:
    chat = make(["help"], "desk", CUSTOMERS, AGENTS, ADMINS)
    op = Post(Place(chat.name, chat.name, "help"), words("once"))

    first = await chat.deliver(op, 0, "row-1")
    again = await chat.deliver(op, 0, "row-1")
    await chat.deliver(op, 0, "row-2")

    assert first == again
    assert len(chat.messages("help")) == 2
    await chat.close(1)


async def test_reconcile_knows_what_arrived(chat: LocalChat) -> None:
    op = Post(HELP, words("hello"))
    done = await chat.deliver(op, 0, "row-1")

    assert await chat.reconcile(op, 0, "row-1", 0.0) == done
    assert await chat.reconcile(op, 0, "row-2", 0.0) == "absent"
    assert chat.parts(op) == 1


async def test_of_two_edits_the_higher_revision_stays(chat: LocalChat) -> None:
    ref = (await chat.deliver(Post(HELP, words("card", 1)), 0, "a")).ref
    assert ref is not None

    await chat.deliver(Edit(ref, words("card, claimed", 3)), 0, "c")
    await chat.deliver(Edit(ref, words("card, late", 2)), 0, "b")

    assert chat.messages("help")[0].content == words("card, claimed", 3)


async def test_what_is_gone_is_told(chat: LocalChat, desk: SmallDesk) -> None:
    root = await chat.say("ana", "hello", "general")
    for reply in chat.messages("general", root)[1:]:
        await chat.deliver(Delete(reply.ref), 0, f"del-{reply.id}")
    await chat.delete("ana", root)

    with pytest.raises(Gone):
        await chat.deliver(Post(Place("playground", "playground", "general", root), words("late")), 0, "k1")
    with pytest.raises(Gone):
        await chat.deliver(Edit(MsgRef(HELP, "1"), words("x")), 0, "k2")
    with pytest.raises(Gone):
        await chat.deliver(Post(Place("playground", "playground", "attic"), words("x")), 0, "k3")
    assert await chat.deliver(Delete(MsgRef(HELP, "1")), 0, "k4") == Delivered(MsgRef(HELP, "1"), HELP)


async def test_a_private_message_is_for_one_person(chat: LocalChat, desk: SmallDesk) -> None:
    kim = await chat.actor("playground", "kim")

    await chat.deliver(Private(HELP, kim, words("Dana has it"), interaction="i1"), 0, "k")

    assert [m.interaction for m in chat.privates("kim")] == ["i1"]
    assert chat.privates("dana") == []
    assert chat.messages("help") == []


async def test_threads_open_are_marked_and_reactions_show(chat: LocalChat, desk: SmallDesk) -> None:
    root = await chat.say("ana", "hello", "help")
    origin = MsgRef(HELP, root)

    done = await chat.deliver(OpenThread(origin, "Refund"), 0, "k1")
    again = await chat.deliver(OpenThread(origin, "Other"), 0, "k2")
    assert done.place is not None
    await chat.deliver(SetThread(done.place, solved=True, tags=("billing",)), 0, "k3")
    await chat.deliver(React(origin, "eyes"), 0, "k4")
    await chat.deliver(PublishHome(await chat.actor("playground", "ana"), words("home")), 0, "k5")

    assert done.place == again.place == Place("playground", "playground", "help", root)
    thread = chat.room.threads[root]
    assert (thread.title, thread.solved, thread.tags) == ("Refund", True, ("billing",))
    assert chat.messages("help")[0].reactions == {"eyes": [""]}


# --- forms -------------------------------------------------------------------------------------------------


async def test_a_refused_form_stays_open_and_an_accepted_one_closes(chat: LocalChat, desk: SmallDesk) -> None:
    asked = await chat.say("ana", "refund please", "help")
    view = await chat.press("ana", chat.messages("help", asked)[-1].id, "Talk to a person")
    assert view is not None

    refused = await chat.submit("ana", "details", {"email": "nonsense"})
    assert refused is not None
    assert list(refused.errors) == ["email"]
    assert [v.id for v in chat.forms("ana")] == [view.id]

    assert await chat.submit("ana", view.id, {"email": "ana@example.org"}) is None
    assert chat.forms("ana") == []
    event = next(e for e in desk.events if isinstance(e, FormSubmitted))
    assert (event.form, event.context, event.values["email"]) == ("details", "c-1", "ana@example.org")
    assert set(event.values) == {"email", "what", "plan"}
    assert "ana@example.org" not in repr(event)


async def test_a_form_belongs_to_the_person_it_was_opened_for(chat: LocalChat, desk: SmallDesk) -> None:
    asked = await chat.say("ana", "refund please", "help")
    view = await chat.press("ana", chat.messages("help", asked)[-1].id, "Talk to a person")
    assert view is not None

    with pytest.raises(Gone):
        await chat.submit("ben", view.id, {"email": "ben@example.org"})
    await chat.dismiss("ana", view.id)
    with pytest.raises(Gone):
        await chat.submit("ana", view.id, {"email": "ana@example.org"})


# --- catching up, files, restarts --------------------------------------------------------------------------


async def test_catching_up_brings_what_people_said_after_the_mark(chat: LocalChat, desk: SmallDesk) -> None:
    first = await chat.say("ana", "one", "help")
    await chat.say("ben", "two", "help")

    since = [e async for e in chat.catch_up(Mark(HELP, first), 10)]
    everything = [e async for e in chat.catch_up(Mark(HELP), 1)]

    assert [(e.text, e.catchup) for e in since if isinstance(e, MessageReceived)] == [("two", True)]
    assert [e.keys for e in everything] == [desk.events[0].keys]


async def test_a_file_is_handed_over_within_its_limit_and_only_as_what_it_is(
    chat: LocalChat, desk: SmallDesk
) -> None:
    text = chat.room.keep_file("../../etc/pass<wd>.txt", "text/plain", b"hello")
    fake = chat.room.keep_file("cat.png", "image/png", b"<script>")

    assert text.name == "_.._etc_pass_wd_.txt"
    assert [part async for part in chat.fetch(text, 5)] == [b"hello"]
    for ref, limit in ((text, 4), (fake, 100)):
        with pytest.raises(Rejected):
            [part async for part in chat.fetch(ref, limit)]
    with pytest.raises(Gone):
        [part async for part in chat.fetch(FileRef("nowhere", "x"), 10)]

    asked = await chat.say("ana", "", "help", files=[text, "just-a-name.pdf"])
    assert [f.name for f in chat.messages("help", asked)[0].files] == [
        "_.._etc_pass_wd_.txt",
        "just-a-name.pdf",
    ]


async def test_with_a_journal_the_chat_outlives_the_process(tmp_path: Path) -> None:
    journal = tmp_path / "chat.jsonl"
    before = PlaygroundAdapter(customers=CUSTOMERS, journal=journal)
    before.connect(SmallDesk(before))
    asked = await before.say("ana", "refund?", "help")
    gone = await before.say("ana", "never mind", "help")
    await before.delete("ana", gone)
    row = Post(Place("playground", "playground", "help", asked), words("answer"))
    first = await before.deliver(row, 0, "row-9")
    with journal.open("ab") as lines:
        lines.write(b'{"id": "torn')

    after = PlaygroundAdapter(customers=CUSTOMERS, journal=journal)
    desk = SmallDesk(after)
    after.connect(desk)
    again = await after.deliver(row, 0, "row-9")
    newer = await after.say("ana", "still there?", "help", asked)

    assert again == first
    assert next(m.text or m.content for m in after.messages("help", asked)) == "refund?"
    assert int(newer) > int(asked)
    assert all(m.id != gone for m in after.messages("help"))


async def test_a_thread_of_an_earlier_run_is_still_a_place_to_post() -> None:
    """Without a journal the chat forgets; the bot's answer to an older question still shows."""
    chat = PlaygroundAdapter()

    await chat.deliver(Post(Place("playground", "playground", "help", "123"), words("late answer")), 0, "k")

    assert len(chat.messages("help", "123")) == 1


def test_the_room_forgets_the_oldest_messages_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.chat_room.MESSAGES_MAX", 3)
    chat = PlaygroundAdapter(clock=lambda: 5.0)
    room: Room = chat.room

    for n in range(5):
        room.post(chat._outgoing(Post(HELP, words(str(n))), f"k{n}"))

    assert [m.key for m in room.messages.values()] == ["k2", "k3", "k4"]


async def test_check_names_the_channels_and_the_desk(chat: LocalChat) -> None:
    results = await chat.check()

    assert [(r.name, r.ok) for r in results] == [("channels", True), ("agents", True)]
    assert await chat.permalink(MsgRef(HELP, "5")) is None
    chat.base_url = "http://127.0.0.1:8710"
    assert await chat.permalink(MsgRef(HELP, "5")) == "http://127.0.0.1:8710/#m-5"
