"""What we send arrives once, whatever the network does; every refusal has words for staff."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

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
    FileRef,
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
from tests.discord_server import DiscordServer
from tests.discord_server.world import MANAGE_THREADS, SEND, SEND_IN_THREADS
from tests.discord_sink import QUICK, RecordingSink, connected, settings_for

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00" * 50
SENT = r"/messages$"


def say(text: str, *buttons: Button, title: str = "", **more) -> Content:
    return Content((Block("para", ((Span(text),),)),), buttons, title=title, **more)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer.running() as running:
        yield running


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
async def adapter(server: DiscordServer, sink: RecordingSink) -> AsyncIterator[DiscordAdapter]:
    async with connected(server, sink) as running:
        yield running


@pytest.fixture
def ann(server: DiscordServer) -> str:
    return server.add_user("ann")


def at(server: DiscordServer, channel: str = "help", thread: str | None = None, kind="channel") -> Place:
    return Place("discord", server.guild, server.id_of(channel), thread, kind)


async def send(adapter: DiscordAdapter, op, key: str = "k") -> Delivered:
    """Every part; the last one's result."""
    done = Delivered()
    for part in range(adapter.parts(op)):
        done = await adapter.deliver(op, part, key)
    return done


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


# --- people and files ---


async def test_a_person_speaks_through_the_bot_with_a_name(adapter, server):
    await send(adapter, Post(at(server), say("Hello!"), speaking_as="Dana *@everyone*"))
    (message,) = server.messages("help")
    assert message["content"].startswith("**Dana \\*@\u200beveryone\\*** (support): Hello!")
    assert "webhook_id" not in message


async def test_67_files_are_fetched_anew_after_their_link_expired(adapter, server, sink, ann):
    """§7.67"""
    await server.user_says("help", ann, "see", attachments=[("my shot.png", PNG, "image/png")])
    file = (await sink.event("message")).files[0]
    server.expire_links()
    await send(adapter, Post(at(server, "staff"), say("from ann"), files=(file,)))
    (message,) = server.messages("staff")
    assert message["content"] == "from ann"
    (copy,) = message["attachments"]
    assert server.world.files[copy["id"]] == PNG


async def test_a_file_alone_is_a_message(adapter, server, sink, ann):
    await server.user_says("help", ann, "", attachments=[("a.txt", b"text", "text/plain")] * 12)
    files = (await sink.event("message")).files
    op = Post(at(server, "staff"), Content(), files=files, speaking_as="Dana")
    assert adapter.parts(op) == 2
    await send(adapter, op)
    assert [len(m["attachments"]) for m in server.messages("staff")] == [10, 2]
    assert server.texts("staff")[0] == "**Dana** (support):"


@pytest.mark.parametrize(
    ("name", "data", "mime", "why"),
    [
        ("photo.png", b"MZ\x90\x00" + b"\x00" * 60, "image/png", "program"),
        ("pic.svg", b"<svg><script>alert(1)</script></svg>", "image/svg+xml", "SVG"),
        ("photo.jpg", b"<html><script>", "image/jpeg", "not the image"),
        ("photo.gif", b"PK\x03\x04" + b"\x00" * 60, "image/gif", "not the image"),
        ("doc.pdf", b"no pdf at all", "application/pdf", "not the PDF"),
    ],
)
async def test_a_file_that_is_not_what_it_says_becomes_a_line_with_a_link(
    adapter, server, sink, ann, name, data, mime, why
):
    await server.user_says("help", ann, "see", attachments=[(name, data, mime)])
    event = await sink.event("message")
    await send(adapter, Post(at(server, "staff"), say("from ann"), files=event.files))
    (text,) = server.texts("staff")
    assert why in text
    assert f"https://discord.com/channels/{server.guild}/{server.id_of('help')}/{event.ref.id}" in text
    assert server.messages("staff")[0]["attachments"] == []


async def test_files_beyond_the_limit_or_elsewhere_are_refused(adapter, server, sink, ann):
    await server.user_says("help", ann, "see", attachments=[("big.txt", b"x" * 5000, "text/plain")])
    file = (await sink.event("message")).files[0]

    async def fetched(ref: FileRef, limit: int) -> bytes:
        return b"".join([chunk async for chunk in adapter.fetch(ref, limit)])

    assert len(await fetched(file, 5000)) == 5000
    for ref in (file, dataclasses.replace(file, size=1)):  # the second one lies about its size
        with pytest.raises(Rejected, match="larger"):
            await fetched(ref, 4999)
    elsewhere = (
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/x",
        "https://cdn.discordapp.com.evil.org/x",
        "http://cdn.discordapp.com/x",
        "https://cdn.discordapp.com@evil.org/x",
        "file:///etc/passwd",
    )
    for url in elsewhere:
        server.world.link_override[file.id] = url
        with pytest.raises(Rejected, match="not Discord's"):
            await fetched(file, 5000)
    server.world.link_override.clear()
    await server.user_deletes(file.source.id)
    with pytest.raises(Gone):
        await fetched(file, 5000)
    with pytest.raises(Gone):
        await fetched(FileRef("1", "upload.txt"), 5000)


async def test_permalinks(adapter, server):
    link = await adapter.permalink(MsgRef(at(server, thread="5"), "5"))
    assert link == f"https://discord.com/channels/{server.guild}/{server.id_of('help')}/5"
    link = await adapter.permalink(MsgRef(at(server, thread="5"), "6"))
    assert link == f"https://discord.com/channels/{server.guild}/5/6"
    assert await adapter.permalink(MsgRef(Place("discord", "dm", "7", None, "dm"), "8")) == (
        "https://discord.com/channels/@me/7/8"
    )


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


# --- check ---


async def test_check_is_content_with_a_good_setup(adapter, server):
    results = await DiscordAdapter(settings_for(server)).check()
    assert [r for r in results if not r.ok] == []
    assert {r.name for r in results} >= {
        "discord: token",
        "discord: staff channel is private",
        "discord: commands",
    }


async def test_check_names_what_is_wrong_and_what_to_click(server):
    world = server.world
    world.app |= {"flags": 0, "interactions_endpoint_url": "https://example.com"}
    help_ = server.id_of("help")
    world.channels[help_]["permission_overwrites"] = [world.overwrite(server.bot, 1, deny=SEND_IN_THREADS)]
    settings = settings_for(
        server, staff_channel=server.id_of("general"), channels={help_: "all", "999": "all"}
    )
    results = {r.name: r for r in await DiscordAdapter(settings).check()}
    wrong = {name for name, r in results.items() if not r.ok}
    assert wrong == {
        "discord: message content intent",
        "discord: buttons and commands arrive",
        "discord: staff channel is private",
        f"discord: channel {help_}",
        "discord: channel 999",
    }
    assert "Send Messages in Threads" in results[f"discord: channel {help_}"].fix
    assert "@everyone" in results["discord: staff channel is private"].fix
    assert all(results[name].fix for name in wrong)


async def test_check_with_a_bad_token_or_no_server(server):
    (only,) = await DiscordAdapter(settings_for(server, token="no")).check()
    assert (only.ok, "Reset Token" in only.fix) == (False, True)
    results = await DiscordAdapter(settings_for(server, guild="123")).check()
    assert "Invite the bot" in results[-1].fix
    await server.stop()
    (only,) = await DiscordAdapter(settings_for(server)).check()
    assert not only.ok


assert QUICK.watchdog < 3
