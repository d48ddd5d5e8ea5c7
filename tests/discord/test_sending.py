"""What we send arrives once, whatever the network does; every refusal has words for staff."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from adapters.discord import DiscordAdapter
from adapters.port import (
    Ambiguous,
    Block,
    Button,
    Content,
    Delete,
    Delivered,
    Edit,
    Forbidden,
    Gone,
    MsgRef,
    OpenThread,
    Place,
    Post,
    PublishHome,
    RateLimited,
    React,
    Rejected,
    SetThread,
    Span,
    Unavailable,
)
from tests.discord_server.world import MANAGE_THREADS, SEND, SEND_IN_THREADS
from tests.discord_sink import at, connected, say, send, settings_for

SENT = r"/messages$"


# --- once ---


async def test_37_500_500_200_is_one_message(adapter, server):
    """§7.37: discord.py repeats the call by itself; the nonce makes that harmless."""
    server.fail("POST", SENT, 500, times=2)
    done = await send(adapter, Post(at(server), say("hello")))
    assert server.texts("help") == ["hello"]
    calls = [c for c in server.calls if c.method == "POST" and c.path.endswith("/messages")]
    assert [c.status for c in calls] == [500, 500, 200]
    assert len({c.body["nonce"] for c in calls}) == 1
    assert len(calls[0].body["nonce"]) == 24
    assert all(c.body["enforce_nonce"] for c in calls)
    assert done.ref == MsgRef(at(server), server.messages("help")[0]["id"])


async def test_34_dropped_after_accept_is_ambiguous_and_found(adapter, server):
    """§7.34"""
    server.drop("POST", SENT, after=True)
    op = Post(at(server), say("hello", Button("yes", "1", "Yes")))
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 0, "k")
    found = await adapter.reconcile(op, 0, "k", server.world.clock() - 1)
    assert found == Delivered(ref=MsgRef(at(server), server.messages("help")[0]["id"]))


async def test_34_a_resend_with_the_same_key_makes_no_second_message(adapter, server):
    server.drop("POST", SENT, after=True)
    op = Post(at(server), say("hello"))
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 0, "k")
    await adapter.deliver(op, 0, "k")
    assert server.texts("help") == ["hello"]
    await adapter.deliver(op, 0, "another key")
    assert server.texts("help") == ["hello", "hello"]


async def test_35_dropped_before_accept_is_absent_and_sent_once(adapter, server):
    """§7.35"""
    server.drop("POST", SENT, after=False)
    op = Post(at(server), say("hello"))
    since = server.world.clock() - 1
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 0, "k")
    assert await adapter.reconcile(op, 0, "k", since) == "absent"
    await adapter.deliver(op, 0, "k")
    assert server.texts("help") == ["hello"]


async def test_41_reconciling_tells_our_messages_apart(adapter, server, ann):
    """§7.41: by text, card, buttons or file; not somebody else's, not an older one; by nonce where it returns."""
    since = server.world.clock() - 1
    await server.user_says("help", ann, "hello")
    ops = [
        Post(at(server), say("hello", Button("a", "1", "A"))),
        Post(at(server), say("hello", Button("a", "2", "A"))),
        Post(at(server), say("hello", title="Card one")),
        Post(at(server), say("hello", title="Card two")),
    ]
    done = [await send(adapter, op, f"k{n}") for n, op in enumerate(ops)]
    for number, op in enumerate(ops):
        assert await adapter.reconcile(op, 0, f"k{number}", since) == done[number]
    assert await adapter.reconcile(Post(at(server), say("hello")), 0, "k", since) == "absent"
    assert await adapter.reconcile(ops[0], 0, "k0", server.world.clock() + 60) == "absent"
    server.rest.nonce_in_history = True
    twin = await send(adapter, ops[0], "twin")
    assert await adapter.reconcile(ops[0], 0, "twin", since) == twin
    gone = dataclasses.replace(ops[0], place=at(server, thread="1"))
    assert await adapter.reconcile(gone, 0, "k0", since) == "absent"
    assert await adapter.reconcile(React(done[0].ref, "eyes"), 0, "k", since) == "absent"


async def test_503_is_ambiguous(adapter, server):
    server.fail("POST", SENT, 503)
    with pytest.raises(Ambiguous):
        await adapter.deliver(Post(at(server), say("hello")), 0, "k")


async def test_no_connection_is_certainly_not_delivered(server, sink):
    async with connected(server, sink) as adapter:
        await server.stop()
        with pytest.raises((Unavailable, Ambiguous)):
            await adapter.deliver(Post(at(server), say("hello")), 0, "k")
    with pytest.raises(Unavailable):
        await DiscordAdapter(settings_for(server)).deliver(Post(at(server), say("hello")), 0, "k")


# --- rate limits ---


async def test_38_a_long_429_is_given_back_not_waited_for(adapter, server):
    """§7.38: with Via, longer than 30 s."""
    body = {"message": "limited", "retry_after": 61.5, "global": False}
    server.fail("POST", SENT, 429, body=body, headers={"Via": "1.1 google", "Retry-After": "62"})
    with pytest.raises(RateLimited) as caught:
        await adapter.deliver(Post(at(server), say("hello")), 0, "k")
    assert (caught.value.retry_after, caught.value.scope) == (61.5, "lane")
    assert server.texts("help") == []


async def test_39_a_429_without_via_freezes_the_platform(adapter, server):
    """§7.39: Cloudflare; hammering would make the ban longer. One call, no more."""
    server.fail("POST", SENT, 429, body={"message": "banned"}, headers={"Retry-After": "900"}, times=5)
    with pytest.raises(RateLimited) as caught:
        await adapter.deliver(Post(at(server), say("hello")), 0, "k")
    assert (caught.value.retry_after, caught.value.scope) == (900, "platform")
    assert len([c for c in server.calls if c.status == 429]) == 1


async def test_36_a_full_bucket_delays_only_its_channel(adapter, server):
    """§7.36"""
    body = {"message": "limited", "retry_after": 0.2, "global": False}
    server.fail("POST", f"{server.id_of('help')}/messages", 429, body=body, headers={"Via": "1.1 google"})
    slow = asyncio.create_task(send(adapter, Post(at(server), say("slow"))))
    await server.until(lambda: [c for c in server.calls if c.status == 429])
    await send(adapter, Post(at(server, "general"), say("quick")), "k2")
    assert (server.texts("general"), server.texts("help")) == (["quick"], [])
    await slow
    assert server.texts("help") == ["slow"]


async def test_40_a_burst_keeps_its_order_and_breaks_no_bucket(adapter, server):
    """§7.40, §7.47: five messages in half a second are allowed, twelve are sent, none is refused."""
    server.limit("POST", SENT, 5, 0.5)
    for number in range(12):
        await send(adapter, Post(at(server), say(f"m{number}")), f"k{number}")
    assert server.texts("help") == [f"m{n}" for n in range(12)]
    assert [c for c in server.calls if c.status == 429] == []


# --- threads ---


async def test_46_a_thread_that_exists_is_success(adapter, server, ann):
    """§7.46: 160004."""
    ident = await server.user_says("help", ann, "question")
    op = OpenThread(MsgRef(at(server, thread=ident), ident), "  How do\nI … " + "x" * 200)
    for _ in range(2):
        assert (await adapter.deliver(op, 0, "k")).place == at(server, thread=ident)
    (thread,) = server.threads_of("help")
    assert thread["id"] == ident
    assert thread["name"].startswith("How do I … xx")
    assert len(thread["name"]) == 100
    await send(adapter, Post(at(server, thread=ident), say("answer")))
    assert server.texts(ident) == ["answer"]


async def test_a_thread_on_a_card(adapter, server):
    done = await send(adapter, Post(at(server, "staff"), say("x", title="T-1")))
    opened = await adapter.deliver(OpenThread(done.ref, "T-1"), 0, "k")
    assert opened.place == at(server, "staff", done.ref.id)
    await send(adapter, Post(opened.place, say("the conversation")), "k2")
    await send(adapter, Edit(done.ref, say("y", title="T-1 claimed")))
    assert server.texts("staff") == ["T-1 claimed\ny"]
    assert server.texts(done.ref.id) == ["the conversation"]


async def test_where_a_thread_is_already_nothing_is_opened(adapter, server, ann):
    post = await server.user_posts("forum", ann, "Title", "text")
    for place in (at(server, "forum", post, "forum"), Place("discord", server.guild, "1", None, "dm")):
        assert (await adapter.deliver(OpenThread(MsgRef(place, post), "x"), 0, "k")).place == place
    assert not [c for c in server.calls if c.path.endswith("/threads") and c.method == "POST"]


async def test_45_archived_sending_works_editing_opens_first_locked_is_refused(adapter, server, ann):
    """§7.45"""
    thread = await server.user_starts_thread("help", ann, "x")
    place = at(server, thread=thread)
    done = await send(adapter, Post(place, say("one")))
    await server.archive(thread)
    await send(adapter, Edit(done.ref, say("one, edited")))
    assert server.texts(thread) == ["one, edited"]
    await server.archive(thread)
    await send(adapter, React(done.ref, "eyes"))
    await server.archive(thread)
    await send(adapter, Post(place, say("two")), "k2")
    assert server.texts(thread) == ["one, edited", "two"]
    await server.archive(thread, locked=True)
    with pytest.raises(Forbidden, match="locked"):
        await adapter.deliver(Post(place, say("three")), 0, "k3")
    bot_role = server.world.members[server.bot]["roles"][0]
    for role in (bot_role, server.guild):
        server.world.roles[role]["permissions"] = str(
            int(server.world.roles[role]["permissions"]) & ~MANAGE_THREADS
        )
    with pytest.raises(Forbidden, match="Manage Threads"):
        await adapter.deliver(Edit(done.ref, say("again")), 0, "k4")


async def test_set_thread_closes_and_tags(adapter, server, ann):
    post = await server.user_posts("forum", ann, "Title", "text", tags=["billing"])
    place = at(server, "forum", post, "forum")
    tags = {t["name"]: t["id"] for t in server.world.channel("forum")["available_tags"]}
    await send(adapter, SetThread(place, archived=True, solved=True))
    thread = server.thread(post)
    assert thread["applied_tags"] == [tags["Solved"], tags["billing"]]
    assert thread["thread_metadata"]["archived"]
    await send(adapter, SetThread(place, solved=False))
    assert (thread["applied_tags"], thread["thread_metadata"]["archived"]) == ([tags["billing"]], True)
    await send(adapter, SetThread(place, archived=False, locked=False, tags=("solved", "no such tag")))
    assert (thread["applied_tags"], thread["thread_metadata"]["archived"]) == ([tags["Solved"]], False)
    await send(adapter, SetThread(at(server), archived=True))


async def test_a_solved_tag_of_ones_own(server, sink, ann):
    forum = server.add_channel("ideas", forum=True, tags=("Solved", "Done"))
    async with connected(server, sink, solved_tag="done") as adapter:
        post = await server.user_posts(forum, ann, "Title", "text")
        await send(adapter, SetThread(Place("discord", server.guild, forum, post, "forum"), solved=True))
        done = next(t["id"] for t in server.world.channel(forum)["available_tags"] if t["name"] == "Done")
        assert server.thread(post)["applied_tags"] == [done]


# --- changes ---


async def test_reactions_replies_and_deletes(adapter, server, sink, ann):
    ident = await server.user_says("help", ann, "question")
    ref = (await sink.event("message")).ref
    await send(adapter, React(ref, "eyes"))
    await send(adapter, React(ref, "⏳"))
    await send(adapter, React(ref, "eyes", on=False))
    held = server.message(ident)["_reactions"]
    assert {emoji for emoji, users in held.items() if users} == {"⏳"}
    answer = await send(adapter, Post(at(server), say("answer"), reply_to=MsgRef(at(server), ident)))
    assert server.message(answer.ref.id)["message_reference"]["message_id"] == ident
    assert server.pings(server.message(answer.ref.id)) == []
    for _ in range(2):  # a second time is success too
        await send(adapter, Delete(answer.ref))
    assert server.texts("help") == ["question"]
    await server.user_deletes(ident)
    await send(adapter, React(ref, "eyes"))
    assert await adapter.deliver(PublishHome(sink.events[0].actor, say("home")), 0, "k") == Delivered()


async def test_43_an_edit_of_what_is_gone_is_gone(adapter, server):
    """§7.43"""
    done = await send(adapter, Post(at(server), say("x")))
    await server.user_deletes(done.ref.id)
    with pytest.raises(Gone):
        await send(adapter, Edit(done.ref, say("y")))


async def test_a_card_edit_replaces_text_and_buttons(adapter, server):
    done = await send(adapter, Post(at(server), say("x", Button("claim", "1", "Claim"), title="T-1")))
    await send(adapter, Edit(done.ref, say("y", title="T-1", status="claimed")))
    message = server.message(done.ref.id)
    assert server.buttons(message) == []
    assert message["embeds"][0]["author"]["name"] == "claimed"


# --- refusals ---


async def test_refusals_say_what_to_grant(adapter, server):
    world = server.world
    world.channels[server.id_of("help")]["permission_overwrites"] = [
        world.overwrite(server.bot, 1, deny=SEND | SEND_IN_THREADS)
    ]
    with pytest.raises(Forbidden, match="lacks a permission"):
        await adapter.deliver(Post(at(server), say("x")), 0, "k")
    world.channels[server.id_of("help")]["permission_overwrites"] = [
        world.overwrite(server.bot, 1, deny=1 << 10)
    ]
    with pytest.raises(Forbidden, match="View Channel"):
        await adapter.deliver(Post(at(server), say("x")), 0, "k")
    with pytest.raises(Gone):
        await adapter.deliver(Post(at(server, thread="12345"), say("x")), 0, "k")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 200000, Rejected),
        (400, 50035, Rejected),
        (400, 50006, Rejected),
        (400, 30033, Rejected),
        (403, 50007, Forbidden),
        (403, 160005, Forbidden),
        (400, 160006, Forbidden),
        (404, 10003, Gone),
        (404, 10008, Gone),
        (400, 20016, RateLimited),
        (418, 1, Rejected),
        (403, 99999, Forbidden),
        (404, 99999, Gone),
    ],
)
async def test_error_codes(adapter, server, status, code, kind):
    server.fail("POST", SENT, status, code=code)
    with pytest.raises(kind):
        await adapter.deliver(Post(at(server), say("x")), 0, "k")


# --- mentions ---


async def test_48_nothing_that_anybody_writes_pings_anybody(adapter, server, ann):
    """§7.48"""
    role = server.agents
    hostile = f"@everyone @here <@&{role}> <@{ann}> <@!{ann}> @\u200beveryone ＠everyone @@everyoneeveryone"
    card = Content(
        (
            Block("fields", ((Span(hostile),), (Span(hostile),))),
            Block("code", ((Span(hostile),),)),
            Block("quote", ((Span(hostile, frozenset({"b", "code"})),),)),
        ),
        (Button("v", "1", "@everyone"),),
        title=hostile,
        status=hostile,
        footer=hostile,
    )
    for number, content in enumerate((say(hostile), card, dataclasses.replace(card, title=""))):
        await send(adapter, Post(at(server), content, speaking_as=hostile), f"k{number}")
    for message in server.messages("help"):
        assert server.pings(message) == []
    for call in server.calls:
        if call.method in {"POST", "PATCH"} and "/messages" in call.path:
            assert call.body["allowed_mentions"] == {"parse": [], "replied_user": False}


async def test_only_configured_ids_are_pinged(adapter, server, ann):
    role = server.agents
    content = Content((Block("para", ((Span("", mention=role), Span(" look at @everyone")),)),))
    await send(adapter, Post(at(server), content))
    await send(adapter, Post(at(server), dataclasses.replace(content, title="P0")), "k2")
    person = Content((Block("para", ((Span("", mention=ann), Span(" look")),)),))
    await send(adapter, Post(at(server), person), "k3")
    messages = server.messages("help")
    assert [server.pings(m) for m in messages] == [[role], [role], [ann]]
    assert messages[1]["content"] == f"<@&{role}>"
    assert messages[2]["content"] == f"<@{ann}> look"
