"""Connecting, losing the connection, catching up: the real discord.py against a gateway that misbehaves."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import threading

import pytest

from adapters.discord import DiscordAdapter
from adapters.port import AdapterFatal, Block, Content, Mark, Place, Post, Span, Unavailable
from tests.discord_server import DiscordServer
from tests.discord_sink import QUICK, RecordingSink, connected, running, settings_for


async def fails(server: DiscordServer, sink: RecordingSink, **more) -> BaseException:
    """What `run` raises, within five seconds."""
    async with asyncio.timeout(5):
        with pytest.raises(Exception) as caught:
            await DiscordAdapter(settings_for(server, **more)).run(sink)
    return caught.value


async def test_8_a_bad_token_is_fatal_and_says_what_to_click(server, sink):
    error = await fails(server, sink, token="wrong")
    assert isinstance(error, AdapterFatal)
    assert "Reset Token" in str(error)


async def test_8_a_missing_intent_is_fatal_and_says_what_to_click(server, sink):
    server.world.app["flags"] = 0
    error = await fails(server, sink)
    assert isinstance(error, AdapterFatal)
    assert "Message Content Intent" in str(error)


@pytest.mark.parametrize("code", [4004, 4010, 4011, 4012, 4013, 4014])
async def test_8_every_fatal_close_code_is_fatal(server, sink, code):
    server.gateway.close_next = code
    error = await fails(server, sink)
    assert isinstance(error, AdapterFatal)


async def test_7_a_refused_first_connection_is_retried_with_a_new_client(server, sink):
    """§7.7: discord.py itself dies of an AttributeError here."""
    server.gateway.refuse = 1
    adapter = DiscordAdapter(settings_for(server))
    # discord.py retries once by itself, and that is where it dies.
    with pytest.raises(Unavailable):
        await adapter.run(sink)
    task = asyncio.create_task(adapter.run(sink))
    await sink.connected()
    await adapter.close(2)
    await task


async def test_a_dead_api_is_worth_a_new_try(server, sink):
    await server.stop()
    error = await fails(server, sink)
    assert not isinstance(error, AdapterFatal)


async def test_an_interactions_endpoint_address_is_fatal(server, sink):
    server.world.app["interactions_endpoint_url"] = "https://example.com/discord"
    error = await fails(server, sink)
    assert isinstance(error, AdapterFatal)
    assert "Interactions Endpoint URL" in str(error)


async def test_the_last_identifies_of_the_day_are_not_spent(server, sink):
    server.gateway.budget["remaining"] = 3
    error = await fails(server, sink)
    assert isinstance(error, Unavailable)
    assert server.gateway.identifies == []


async def test_only_the_needed_intents_are_asked_for(server, sink):
    async with connected(server, sink):
        pass
    (identify,) = server.gateway.identifies
    assert identify["intents"] == 1 << 0 | 1 << 1 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 15


async def test_without_the_members_intent_it_is_not_asked_for(server, sink):
    server.world.app["flags"] = 1 << 18
    async with connected(server, sink):
        pass
    assert not server.gateway.identifies[0]["intents"] & 1 << 1


async def test_mention_only_without_message_content(server, sink):
    server.world.app["flags"] = 0
    ann = server.add_user("ann")
    async with connected(server, sink, message_content=False):
        await server.user_says("help", ann, "not for us")
        await server.user_says("help", ann, f"<@{server.bot}> for us")
        await sink.event("message", 2)
    assert [e.text for e in sink.of("message")] == ["", "for us"]


@pytest.mark.parametrize("compress", [False, True])
async def test_9_a_reconnect_request_is_followed_by_resume_without_loss(server, sink, compress):
    """§7.9: op 7, RESUME with the sequence, what was missed is replayed once."""
    server.gateway.compress = compress
    ann = server.add_user("ann")
    async with connected(server, sink):
        await server.user_says("help", ann, "one")
        await sink.event("message")
        await server.gateway.reconnect()
        await server.user_says("help", ann, "two")
        await server.until(lambda: server.gateway.resumes)
        await sink.connected(2)
        await server.user_says("help", ann, "three")
        await sink.event("message", 3)
    assert [e.text for e in sink.of("message")] == ["one", "two", "three"]
    assert len(server.gateway.identifies) == 1
    assert server.gateway.resumes[0]["seq"] >= 3


async def test_10_a_lost_session_is_caught_up_and_the_missed_message_arrives_once(server, sink):
    """§7.10: op 9 false, new IDENTIFY, the message in the gap is never replayed by Discord."""
    ann = server.add_user("ann")
    first = await server.user_says("help", ann, "known")
    sink.places = [Mark(Place("discord", server.guild, server.id_of("help")), first)]
    async with connected(server, sink):
        async with server.offline():
            missed = await server.user_says("help", ann, "missed")
        await sink.connected(2)
        await server.user_says("help", ann, "live")
        await sink.event("message", 2)
    messages = sink.of("message")
    assert [(e.text, e.catchup) for e in messages] == [("missed", True), ("live", False)]
    assert messages[0].ref.id == missed
    assert messages[0].place.thread == missed
    assert sink.repeats == 0
    assert sink.caught_up == 2


async def test_op_9_alone_starts_anew(server, sink):
    async with connected(server, sink):
        await server.gateway.invalidate(resumable=False)
        await sink.connected(2)
    assert len(server.gateway.identifies) == 2


async def test_5_a_gateway_that_no_longer_answers_is_given_up_and_resumed(server, sink):
    """§7.5: the socket is open, and nobody is there any more."""
    server.gateway.heartbeat_ms, server.gateway.deaf = 20, True
    ann = server.add_user("ann")
    async with connected(server, sink, timing=dataclasses.replace(QUICK, heartbeat=0.1)):
        await server.until(lambda: server.gateway.resumes)
        server.gateway.deaf = False
        await sink.connected(2)
        await server.user_says("help", ann, "still there?")
        await sink.event("message")
    assert len(server.gateway.identifies) == 1


@pytest.mark.parametrize("code", [1000, 4000, 4007, 4009])
async def test_an_ordinary_close_is_resumed(server, sink, code):
    async with connected(server, sink):
        await server.gateway.close_all(code)
        await sink.connected(2)
    assert len(server.gateway.resumes) == 1


async def test_a_resume_after_a_long_silence_asks_for_what_was_missed(server, sink):
    timing = dataclasses.replace(QUICK, gap=-1.0)
    async with connected(server, sink, timing=timing):
        await server.gateway.close_all(4000)
        await sink.connected(2)
    assert sink.caught_up == 2


async def test_catch_up_reads_pages_new_threads_and_posts_and_skips_machines(server, sink):
    ann = server.add_user("ann")
    start = await server.user_says("help", ann, "known")
    thread = await server.user_starts_thread("help", ann, "open conversation")
    said = await server.user_says(thread, ann, "said")
    forum_start = server.world.snowflake()
    for number in range(120):
        await server.user_says("help", ann, f"m{number}")
    await server.webhook_says("help", "noise")
    await server.user_says(thread, ann, "in the thread")
    post = await server.user_posts("forum", ann, "Invoice", "where?", tags=["billing"])
    help_, forum = server.id_of("help"), server.id_of("forum")
    sink.places = [
        Mark(Place("discord", server.guild, help_), start),
        Mark(Place("discord", server.guild, help_, thread), said),
        Mark(Place("discord", server.guild, forum, None, "forum"), forum_start),
        Mark(Place("discord", server.guild, server.id_of("general"))),
        Mark(Place("discord", server.guild, help_, start), start),  # a question whose thread was never made
    ]
    async with connected(server, sink):
        pass
    texts = [e.text for e in sink.of("message")]
    assert texts[:120] == [f"m{n}" for n in range(120)]
    assert texts[120:] == ["in the thread", "where?"]
    opened = sink.of("message")[-1]
    assert (opened.place.thread, opened.title, opened.tags) == (post, "Invoice", ("billing",))
    assert all(e.catchup and e.actor.name == "ann" for e in sink.of("message"))
    assert len([c for c in server.calls if "/members/" in c.path]) <= 4


async def test_a_follow_up_in_a_questions_thread_is_caught_up_although_only_the_question_is_known(
    server, sink
):
    ann = server.add_user("ann")
    question = await server.user_says("help", ann, "known")
    world = server.world
    thread = world.add_thread(server.id_of("help"), question, "known", server.bot)
    world.new_message(thread, server.bot, "an answer")
    await server.user_says(question, ann, "still broken")
    sink.places = [Mark(Place("discord", server.guild, server.id_of("help")), question)]
    async with connected(server, sink):
        pass
    (event,) = sink.of("message")
    assert (event.text, event.place.thread, event.is_root) == ("still broken", question, False)


async def test_catch_up_stops_at_its_limit(server, sink):
    ann = server.add_user("ann")
    start = await server.user_says("help", ann, "known")
    for number in range(7):
        await server.user_says("help", ann, f"m{number}")
    async with connected(server, sink) as adapter:
        mark = Mark(Place("discord", server.guild, server.id_of("help")), start)
        found = [e.text async for e in adapter.catch_up(mark, 5)]
    assert found == ["m0", "m1", "m2", "m3", "m4"]


async def test_what_cannot_be_recorded_ends_the_run_and_comes_with_the_next(server, sink):
    """§7.15: a full disk; nothing is acknowledged as known, catch-up brings it."""
    ann = server.add_user("ann")
    start = await server.user_says("help", ann, "known")
    sink.places = [Mark(Place("discord", server.guild, server.id_of("help")), start)]
    async with running(server, sink) as (adapter, task):
        await sink.connected()
        sink.broken = True
        await server.user_says("help", ann, "while the disk is full")
        with pytest.raises(OSError, match="disk full"):
            await task
        sink.broken = False
        again = asyncio.create_task(adapter.run(sink))
        await sink.event("message")
        await adapter.close(2)
        await again
    assert [e.text for e in sink.of("message")] == ["while the disk is full"]


async def test_sessions_that_are_ended_again_and_again_do_not_use_up_the_budget(server, sink):
    async with running(server, sink) as (_, task):
        for number in range(1, 11):
            await sink.connected(number)
            await server.gateway.invalidate(resumable=False)
        with pytest.raises(Unavailable, match="10 sessions"):
            await task
    gc.collect()  # the socket that was given up on the way would warn, and a warning is an error
    assert len(server.gateway.identifies) == 10


async def test_a_connection_that_does_not_come_back_is_given_up_for_a_new_client(server, sink):
    timing = dataclasses.replace(QUICK, patience=0.1)
    async with running(server, sink, timing=timing) as (_, task):
        await sink.connected()
        async with server.offline():
            with pytest.raises(Unavailable, match="too long"):
                await task


async def test_marks_of_what_is_gone_are_passed_over(server, sink):
    gone = Place("discord", "123", "456")
    sink.places = [Mark(gone, "1"), Mark(Place("discord", server.guild, "789", "790"), "1")]
    async with connected(server, sink):
        pass
    assert sink.events == []


async def test_two_adapters_one_after_the_other_leave_no_trace_in_the_library(server, sink):
    import discord

    base, gateway = discord.http.Route.BASE, str(discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY)
    async with connected(server, sink):
        pass
    async with DiscordServer.running() as other:
        async with connected(other, RecordingSink()):
            pass
        assert len(other.gateway.identifies) == 1
    assert (discord.http.Route.BASE, str(discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY)) == (base, gateway)
    assert base == "https://discord.com/api/v10"


async def test_a_gateway_of_ones_own(server, sink):
    address, server.gateway.url = server.gateway.url, "ws://127.0.0.1:1/nowhere"
    async with connected(server, sink, gateway=address):
        pass
    assert len(server.gateway.identifies) == 1


async def test_an_api_behind_a_proxy_that_adds_a_charset_and_knows_little(server, sink):
    """What is not needed to speak may be missing: commands, members, guilds, active threads."""
    ann = server.add_user("ann")
    start = await server.user_says("help", ann, "known")
    await server.user_says("help", ann, "missed")
    sink.places = [Mark(Place("discord", server.guild, server.id_of("help")), start)]
    for pattern in ("/commands$", "/members/", r"^/guilds/\d+$", "/threads/active$"):
        server.fail("GET", pattern, 404, times=99)
    body = server.world.app
    server.fail(
        "GET",
        "^/oauth2/applications/@me$",
        200,
        times=2,
        body=body,
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    async with running(server, sink):
        await sink.connected()
        await sink.event("message")
    assert [(e.text, e.actor.name) for e in sink.of("message")] == [("missed", "ann")]


async def test_the_sharded_client_works_too(server, sink):
    ann = server.add_user("ann")
    async with connected(server, sink, sharded=True):
        await server.user_says("help", ann, "hello")
        await sink.event("message")
    assert server.gateway.identifies[0]["shard"] == [0, 1]


async def test_4_a_peer_that_never_answers_our_goodbye_does_not_hold_us_up(server, sink):
    """§7.4: `close` keeps to its grace; the adapter's own timeouts bound this test."""
    server.gateway.mute = True
    async with running(server, sink) as (adapter, task):
        await sink.connected()
        async with asyncio.timeout(2):
            await adapter.close(0.4)
            await task


async def test_82_nothing_is_left_after_the_end(server, sink):
    """§7.82: no task, no thread, no open session (a ResourceWarning is an error)."""
    before = set(threading.enumerate())

    def tasks() -> list[str]:
        codes = [getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()]
        ours = ("/adapters/", "/site-packages/discord/")
        return [code.co_qualname for code in codes if code and any(part in code.co_filename for part in ours)]

    async with connected(server, sink) as adapter:
        assert tasks()
        place = Place("discord", server.guild, server.id_of("help"))
        await adapter.deliver(Post(place, Content((Block("para", ((Span("x"),),)),))), 0, "k")
        started = [t for t in set(threading.enumerate()) - before if t.name.startswith("keep-alive")]
    for thread in started:
        thread.join(5)
    gc.collect()
    assert tasks() == []
    assert [t.name for t in started if t.is_alive()] == []


async def test_close_leaves_a_stopped_adapter(server, sink):
    async with running(server, sink) as (adapter, task):
        await sink.connected()
        await adapter.close(2)
        await task
        assert sink.states[-1][0] == "stopped"
        with pytest.raises(Unavailable):
            await adapter.reconcile(None, 0, "k", 0)  # type: ignore[arg-type]


async def test_74_commands_are_registered_only_when_they_changed(server, sink):
    async with connected(server, sink):
        pass
    again = RecordingSink()
    async with connected(server, again):
        await server.until(lambda: len([c for c in server.calls if c.path.endswith("/commands")]) >= 3)
    assert server.world.command_writes == 1
    server.world.commands[0]["options"].pop()
    async with connected(server, RecordingSink()):
        await server.until(lambda: server.world.command_writes == 2)
