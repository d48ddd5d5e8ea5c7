"""What happens while the bot is away is noticed when it is back: in places never heard of, edits, deletions, leavers."""

from __future__ import annotations

import asyncio

import pytest

from adapters.discord import DiscordAdapter
from adapters.port import Mark, MsgRef, Place
from tests.discord_server import DiscordServer
from tests.discord_server.world import HISTORY, VIEW
from tests.discord_sink import RecordingSink, at, connected

# --- places in which nothing was ever recorded --------------------------------------------------------------


async def test_an_outage_right_after_the_first_start_loses_nothing(server, sink, ann):
    old = await server.user_says("help", ann, "before the first start")
    thread = await server.user_starts_thread("general", ann, "an old thread")
    await server.user_says(thread, ann, "also before it, and newer than all of its channel")
    async with connected(server, sink):
        async with server.offline():
            for place in ("help", "general", thread):
                await server.user_says(place, ann, f"missed in {place}")
            await server.user_posts("forum", ann, "Missed", "in the forum")
        await sink.connected(2)
    assert {e.text for e in sink.of("message")} == {
        "missed in help",
        "missed in general",
        f"missed in {thread}",
        "in the forum",
    }
    assert sink.watched[f"discord:{server.guild}:{server.id_of('help')}:-"].after == old


async def test_a_channel_made_while_nobody_listened_is_read_from_its_beginning(server, sink, ann):
    async with connected(server, sink):
        live = await server.channel_appears("live")
        await sink.until(lambda: any(m.place.channel == live for m in sink.watched.values()))
        async with server.offline():
            missed = await server.channel_appears("missed")
            for channel in (live, missed):
                await server.user_says(channel, ann, f"in {channel}")
        await sink.connected(2)
    assert sorted(e.text for e in sink.of("message")) == sorted((f"in {live}", f"in {missed}"))


async def test_what_is_off_or_hidden_or_holds_no_words_is_not_watched(server, sink):
    world = server.world
    hidden = world.add_channel("hidden", overwrites=[world.overwrite(server.guild, deny=VIEW)])
    world.add_channel("a heading", 4)
    channels = {server.id_of("general"): "off", server.id_of("help"): "all"}
    async with connected(server, sink, channels=channels):
        pass
    watched = {mark.place.channel: mark.place.kind for mark in sink.watched.values()}
    assert hidden not in watched
    assert watched == {
        server.id_of("help"): "channel",
        server.id_of("forum"): "forum",
        server.staff: "private",
    }


async def test_a_thread_with_a_mark_is_read_from_there_only(server, sink, ann):
    """Its channel may have been quiet for weeks, and what was recorded so long ago is no longer recognised."""
    start = await server.user_says("help", ann, "weeks ago")
    thread = await server.user_starts_thread("help", ann, "lively")
    said = [await server.user_says(thread, ann, text) for text in ("known", "known too", "missed")]
    sink.places = [Mark(at(server), start), Mark(at(server, thread=thread), said[1])]
    async with connected(server, sink):
        pass
    assert [e.text for e in sink.of("message")] == ["missed"]


async def test_a_new_connection_asks_nothing_about_quiet_places(server, sink, ann):
    await server.user_says("help", ann, "known")
    async with connected(server, sink):
        before = len(server.calls)
        async with server.offline():
            await server.user_says("general", ann, "missed")
        await sink.connected(2)
        await sink.event("message")
        asked = [c.path for c in server.calls[before:] if c.method == "GET" and c.path.endswith("/messages")]
    assert asked == [f"/channels/{server.id_of('general')}/messages"]
    assert len([c for c in server.calls[before:] if c.path.endswith("/threads/active")]) == 1


# --- edits and deletions ----------------------------------------------------------------------------------


@pytest.fixture
async def talk(server: DiscordServer, sink: RecordingSink, ann: str) -> list[str]:
    """An open conversation that is known: a question in a channel and two more messages in its thread."""
    root = await server.user_says("help", ann, "question")
    server.world.add_thread(server.id_of("help"), root, "question", server.bot)
    idents = [root, *[await server.user_says(root, ann, f"more {n}") for n in (1, 2)]]
    place = at(server, thread=root)
    known = tuple(MsgRef(place, ident) for ident in idents)
    sink.places = [Mark(at(server), root), Mark(place, idents[-1], known)]
    return idents


async def settled(adapter: DiscordAdapter) -> None:
    """Until everything is done that follows a connection."""
    await asyncio.gather(*(t for t in adapter._tasks if t.get_coro().__name__ == "_connected"))


async def looked_back(server: DiscordServer, sink: RecordingSink, **more: object) -> None:
    async with connected(server, sink, **more) as adapter:
        await settled(adapter)


async def test_edits_made_meanwhile_arrive_once(server, sink, talk):
    await server.user_edits(talk[0], "another question")
    await server.user_edits(talk[2], "less")
    for _ in range(2):
        await looked_back(server, sink)
    assert sorted((e.ref.id, e.text, e.catchup) for e in sink.of("edited")) == [
        (talk[0], "another question", True),
        (talk[2], "less", True),
    ]
    assert {e.place for e in sink.events} == {at(server, thread=talk[0])}
    assert sink.of("deleted") == []


async def test_an_edit_that_was_heard_live_does_not_come_again(server, sink, talk):
    async with connected(server, sink) as adapter:
        await server.user_edits(talk[1], "edited live")
        await sink.event("edited")
        async with server.offline():
            pass
        await sink.connected(2)
        await settled(adapter)
    assert len(sink.of("edited")) == 1


async def test_what_was_deleted_meanwhile_is_told(server, sink, talk):
    for ident in (talk[0], talk[2]):
        await server.user_deletes(ident)
    await looked_back(server, sink)
    assert sorted(e.ref.id for e in sink.of("deleted")) == [talk[0], talk[2]]
    assert {e.place for e in sink.of("deleted")} == {at(server, thread=talk[0])}


async def test_what_is_hidden_is_not_taken_for_deleted(server, sink, talk):
    help_ = server.world.channels[server.id_of("help")]
    help_["permission_overwrites"] = [server.world.overwrite(server.bot, 1, deny=HISTORY)]
    await looked_back(server, sink)
    assert sink.events == []


async def test_only_so_much_is_looked_at_again(server, sink, talk, ann):
    """Three pages; what is older is left alone, whether it is there or not."""
    for number in range(300):
        await server.user_says("help", ann, f"chatter {number}")
    await server.user_deletes(talk[0])
    sink.places[0] = Mark(at(server), server.world.snowflake())
    await looked_back(server, sink)
    asked = [c for c in server.calls if c.path == f"/channels/{server.id_of('help')}/messages"]
    assert (len(asked), sink.events) == (3, [])


async def test_a_conversation_whose_thread_is_gone_does_not_stop_the_others(server, sink, talk):
    gone = Place("discord", server.guild, server.id_of("help"), "123")
    sink.places.insert(0, Mark(gone, "124", (MsgRef(gone, "125"),)))
    await server.user_deletes(talk[1])
    await looked_back(server, sink)
    assert [e.ref.id for e in sink.of("deleted")] == [talk[1]]


async def test_trouble_while_looking_back_ends_no_connection(server, sink, talk):
    sink.places = sink.places[1:]
    server.fail("GET", f"/channels/{talk[0]}/messages", 503, times=9)
    await looked_back(server, sink)
    assert [state for state, _ in sink.states].count("connected") == 1


# --- agents who leave ---------------------------------------------------------------------------------------


async def test_an_assignee_who_left_meanwhile_is_told(server, sink):
    dana, kim, lee = (server.add_user(name, roles=[server.agents]) for name in ("dana", "kim", "lee"))
    await server.member_leaves("dana")
    await server.set_roles("kim", [])
    sink.assigned = [dana, kim, lee]
    await looked_back(server, sink)
    assert sorted(e.who for e in sink.of("member_left")) == sorted((dana, kim))
    assert {e.place for e in sink.of("member_left")} == {Place("discord", server.guild, server.staff)}
    assert len([c for c in server.calls if "/members/" in c.path]) == 3


async def test_an_assignee_who_has_said_nothing_since_the_start_is_told_when_leaving(server, sink):
    dana = server.add_user("dana", roles=[server.agents])
    sink.assigned = [dana]
    async with connected(server, sink) as adapter:
        await settled(adapter)
        await server.member_leaves("dana")
        await sink.event("member_left")


async def test_nobody_has_left_where_it_is_unknown_who_is_an_agent(server, sink):
    """The staff channel decides about agents, and cannot be seen."""
    dana = server.add_user("dana", roles=[server.agents])
    sink.assigned = [dana]
    await looked_back(server, sink, staff_channel="123")
    assert sink.of("member_left") == []
