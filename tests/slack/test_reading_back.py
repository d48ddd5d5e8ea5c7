"""What happened while nobody listened: read back from the channels, once, and only what matters."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from adapters.port import (
    Inbound,
    Mark,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Place,
    Post,
)
from adapters.slack import SlackSettings
from tests.slack.running import Running, start, stop
from tests.slack.scene import say
from tests.slack.server import SlackServer
from tests.slack.sink import RecordingSink

DAY = 86400.0


async def cut(slack: Running) -> None:
    """Every socket is cut; returns when what was missed has been told."""
    times = slack.sink.caught_up
    slack.server.sockets.drop()
    await slack.until(lambda: slack.sink.caught_up > times)


# --- what people wrote ---------------------------------------------------------------------------------------


async def test_catching_up_brings_what_people_wrote_in_order(slack: Running) -> None:
    """T-DEL-7: other people's replies too, so that the core sees what is solved; bots, deletions and us left out."""
    server = slack.server
    known = await server.user_says("help", "ana", "known")
    open_ = await server.user_says("help", "ana", "open question", silent=True)
    solved = await server.user_says("help", "bob", "solved question", silent=True)
    await server.user_says("help", "dana", "here is how", solved, silent=True)
    gone = await server.user_says("help", "bob", "never mind", silent=True)
    server.space.delete(server.space.channel("help"), gone)
    server.space.channel("help").messages["2.2"] = {
        "type": "message",
        "ts": "2.2",
        "bot_id": "B",
        "text": "beep",
    }

    found = [event async for event in slack.adapter.catch_up(Mark(slack.place(), known), 200)]

    said = [
        (event.text, event.place.thread, event.is_root)
        for event in found
        if isinstance(event, MessageReceived)
    ]
    assert said == [
        ("open question", open_, True), ("solved question", solved, True), ("here is how", solved, False),
    ]  # fmt: skip
    assert all(event.catchup for event in found)
    last = found[-1]
    assert last.actor is not None
    assert last.actor.roles == {"agent"}


async def test_a_message_caught_up_and_delivered_is_one(slack: Running) -> None:
    """10 for Slack: the delivery has another key, the message the same."""
    ts = await slack.server.user_says("help", "ana", "known")
    await slack.server.user_says("help", "ana", "twice")
    for event in [event async for event in slack.adapter.catch_up(Mark(slack.place(), ts), 200)]:
        await slack.sink.receive(event)
    assert slack.sink.texts == ["known", "twice"]


async def test_catching_up_on_one_conversation(slack: Running) -> None:
    root = await slack.server.user_says("help", "ana", "root")
    seen = await slack.server.user_says("help", "ana", "seen", root)
    await slack.server.user_says("help", "bob", "missed", root, silent=True)
    found = [event async for event in slack.adapter.catch_up(Mark(slack.place(root), seen), 200)]
    assert [event.text for event in found if isinstance(event, MessageReceived)] == ["missed"]


async def test_threads_in_which_nobody_wrote_are_not_asked(slack: Running) -> None:
    """Hundreds of conversations after a short cut: one page of the channel tells which have news."""
    server, known = slack.server, {}
    for n in range(20):
        root = await server.user_says("help", "ana", f"q{n}")
        known[root] = await server.user_says("help", "ana", "more", root)
    roots = list(known)
    await server.user_says("help", "bob", "news", roots[7], silent=True)
    gone = await server.user_says("help", "bob", "gone", silent=True)
    server.space.delete(server.space.channel("help"), gone)
    slack.sink.watched = [Mark(slack.place(root), after) for root, after in known.items()]
    slack.sink.watched += [Mark(slack.place(gone), gone), Mark(slack.place("1.2", "C0GONE"), "1.2")]
    before = server.count("conversations.replies")
    server.sockets.drop()
    await slack.until(lambda: "news" in slack.sink.texts)
    await slack.until(lambda: slack.sink.caught_up == 2)
    assert server.count("conversations.replies") - before == 3  # the news, the deleted one, the lost channel
    assert slack.sink.texts.count("more") == 20


async def test_a_place_without_a_mark_is_not_read(slack: Running) -> None:
    """The first start in an old channel answers nothing of its past."""
    await slack.server.user_says("help", "ana", "years ago", silent=True)
    assert [event async for event in slack.adapter.catch_up(Mark(slack.place()), 200)] == []


async def test_forty_missed_messages_in_small_pages(slack: Running) -> None:
    """T-DEL-7: pages and a rate limit in the middle lose nothing."""
    known = await slack.server.user_says("help", "ana", "known")
    for n in range(40):
        await slack.server.user_says("help", "bob", f"{n}", silent=True)
    slack.server.page_max = 7
    slack.server.fail("conversations.history", "ratelimited", seconds=0)
    found = [event async for event in slack.adapter.catch_up(Mark(slack.place(), known), 200)]
    assert [event.text for event in found if isinstance(event, MessageReceived)] == [
        str(n) for n in range(40)
    ]


@pytest.mark.parametrize("channel", ["C0GONE", "C0OUT"])
async def test_a_channel_that_cannot_be_read_is_skipped(slack: Running, channel: str) -> None:
    slack.server.add_channel("out", ident="C0OUT", bot=False)
    mark = Mark(Place("slack", slack.server.team, channel), "1.2")
    assert [event async for event in slack.adapter.catch_up(mark, 200)] == []


# --- where listening begins ----------------------------------------------------------------------------------


async def test_a_channel_in_which_nothing_was_recorded_is_caught_up(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    """The first question of a channel's life may come while the process is down."""
    await server.user_says("help", "ana", "before the first start", silent=True)
    await stop(await start(server, sink, settings))
    await server.user_says("help", "bob", "while down", silent=True)

    await stop(await start(server, sink, settings))

    assert sink.texts == ["while down"]


async def test_watched_channels_get_a_mark_once(slack: Running, settings: SlackSettings) -> None:
    """Also an empty channel; what has a mark is not looked at again."""
    marks = {mark.place.channel: (mark.place.kind, mark.after) for mark in slack.sink.watched}
    assert marks == {"C0HELP": ("channel", "0000000000.000000")}

    asked = slack.server.count("conversations.history")
    await stop(slack)
    again = await start(slack.server, slack.sink, settings)
    await stop(again)

    assert slack.server.count("conversations.history") == asked + 1  # caught up, not begun anew


async def test_channels_that_are_off_or_out_of_reach_get_no_mark(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    server.add_channel("quiet", ident="C0QUIET")
    modes = {"C0HELP": "all", "C0QUIET": "off", "C0GONE": "all"}
    await stop(await start(server, sink, replace(settings, channels=modes)))
    assert {mark.place.channel for mark in sink.watched} == {"C0HELP"}


async def test_a_channel_shared_with_another_company_is_marked_as_such(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    """29: people who wrote there while nobody listened are as external as they are live."""
    server.space.channel("help").ext_shared = True
    await stop(await start(server, sink, settings))
    assert {mark.place.channel: mark.place.external for mark in sink.watched} == {"C0HELP": True}


# --- what became of known messages ---------------------------------------------------------------------------


async def conversation(slack: Running, *texts: str) -> Mark:
    """A thread with these messages of ana's, all of them recorded."""
    root = await slack.server.user_says("help", "ana", "question")
    place = slack.place(root)
    ids = [root, *[await slack.server.user_says("help", "ana", text, root) for text in texts]]
    return Mark(place, ids[-1], tuple(MsgRef(place, ident) for ident in ids))


def fates(slack: Running) -> list[tuple[str, str, str]]:
    return [
        (event.type, event.ref.id, event.text if isinstance(event, MessageEdited) else "")
        for event in slack.sink.events
        if isinstance(event, MessageEdited | MessageDeleted)
    ]


async def test_edits_and_deletions_are_told_after_a_gap(slack: Running) -> None:
    mark = await conversation(slack, "first", "second", "third")
    question, first, second, _ = (ref.id for ref in mark.known)
    slack.sink.watched = [mark]
    await slack.server.user_edits("help", first, "first, corrected", silent=True)
    await slack.server.user_deletes("help", second, silent=True)
    await slack.server.unfurl("help", question)

    await cut(slack)
    await cut(slack)

    assert fates(slack) == [("edited", first, "first, corrected"), ("deleted", second, "")]
    assert all(
        e.catchup and e.place == mark.place for e in slack.sink.events if e.type in ("edited", "deleted")
    )
    assert [event.type for event in slack.sink.repeats].count("deleted") == 1  # told again, recognised


async def test_what_was_told_live_is_recognised(slack: Running) -> None:
    """The same edit and the same deletion, heard and read back, are one each."""
    mark = await conversation(slack, "first", "second")
    _, first, second = (ref.id for ref in mark.known)
    slack.sink.watched = [mark]
    await slack.server.user_edits("help", first, "first, corrected")
    await slack.server.user_deletes("help", second)
    await cut(slack)
    assert fates(slack) == [("edited", first, "first, corrected"), ("deleted", second, "")]
    assert {event.type for event in slack.sink.repeats} >= {"edited", "deleted"}


async def test_the_threads_of_cards_are_not_read_through_the_staff_channel(slack: Running) -> None:
    """They have marks of their own while their tickets are open; a desk has thousands that are over."""
    server = slack.server
    first = await server.user_says("desk", "dana", "good morning")
    card = await slack.adapter.deliver(Post(slack.place(channel="C0DESK"), say("a card")), 0, "card")
    assert card.ref is not None
    await server.user_says("desk", "dana", "under a card", card.ref.id, silent=True)
    thread = await server.user_says("desk", "dana", "how is everybody?", silent=True)
    await server.user_says("desk", "dana", "fine", thread, silent=True)
    mark = Mark(slack.place(channel="C0DESK", kind="private"), first)
    found = [event async for event in slack.adapter.catch_up(mark, 200)]
    assert [e.text for e in found if isinstance(e, MessageReceived)] == ["how is everybody?", "fine"]


async def test_many_quiet_conversations_are_looked_at_in_the_background(slack: Running) -> None:
    """A thread's last reply does not tell of edits; each open one is read, after the answers go out again."""
    over = replace(await conversation(slack, "thanks"), known=())
    marks = [await conversation(slack, f"more {n}") for n in range(8)]
    slack.sink.watched = [over, *marks]
    await slack.server.user_edits("help", marks[7].known[1].id, "changed", silent=True)
    slack.server.calls.clear()
    await cut(slack)
    await slack.until(lambda: fates(slack))
    assert fates(slack) == [("edited", marks[7].known[1].id, "changed")]
    read = [args["ts"] for method, args in slack.server.calls if method == "conversations.replies"]
    assert read == [mark.place.thread for mark in marks]


@pytest.mark.parametrize("replies", [(), ("more",)], ids=["alone", "with replies"])
async def test_a_deleted_question_is_told(slack: Running, replies: tuple[str, ...]) -> None:
    """Without replies the thread is gone; with replies Slack leaves a tombstone."""
    mark = await conversation(slack, *replies)
    slack.sink.watched = [mark]
    await slack.server.user_deletes("help", mark.known[0].id, silent=True)
    await cut(slack)
    assert fates(slack) == [("deleted", mark.known[0].id, "")]


async def test_edits_and_deletions_in_a_direct_message(slack: Running) -> None:
    dm = slack.server.dm_of("ana")
    place = slack.place(None, dm, kind="dm")
    said = [await slack.server.user_says(dm, "ana", text) for text in ("one", "two", "three")]
    slack.sink.watched = [Mark(place, said[-1], tuple(MsgRef(place, ident) for ident in said))]
    await slack.server.user_edits(dm, said[0], "one!", silent=True)
    await slack.server.user_deletes(dm, said[2], silent=True)
    await cut(slack)
    assert fates(slack) == [("edited", said[0], "one!"), ("deleted", said[2], "")]


async def test_our_own_edits_are_nobodys(slack: Running) -> None:
    """25: a card is edited all the time; only people's messages are known, and only they are told."""
    mark = await conversation(slack)
    slack.server.space.channel("help").messages[mark.after]["bot_id"] = "B0FIRSTLINE"
    await slack.server.user_edits("help", mark.after, "by a bot", silent=True)
    assert [event async for event in slack.adapter.catch_up(mark, 200)] == []


async def test_old_messages_are_left_alone(slack: Running, settings: SlackSettings) -> None:
    """What is missing after weeks fell to the workspace's retention, and an edit of last week was heard of."""
    mark = await conversation(slack, "first", "second")
    await slack.server.user_edits("help", mark.known[1].id, "changed", silent=True)
    await slack.server.user_deletes("help", mark.known[2].id, silent=True)
    later = await start(
        slack.server, RecordingSink(slack.server.touch), settings, clock=lambda: time.time() + 8 * DAY
    )
    assert [event async for event in later.adapter.catch_up(mark, 200)] == []
    await stop(later)


async def test_what_was_not_read_to_the_end_is_not_missing(slack: Running) -> None:
    """A range that is cut off proves nothing about what is not in it."""
    mark = await conversation(slack, *[str(n) for n in range(30)])
    slack.server.page_max = 1

    found: list[Inbound] = [event async for event in slack.adapter.catch_up(mark, 200)]

    assert found == []
