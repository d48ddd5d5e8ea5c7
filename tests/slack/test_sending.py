"""What goes out: once, where it belongs, quietly; and what is said when it does not go."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from adapters.port import (
    Actor,
    AdapterError,
    Ambiguous,
    Button,
    Delete,
    Delivered,
    Edit,
    Forbidden,
    Gone,
    MsgRef,
    OpenThread,
    Place,
    Post,
    Private,
    RateLimited,
    React,
    Rejected,
    SetThread,
    TooLate,
    Unavailable,
)
from adapters.slack import SlackAdapter, SlackSettings
from adapters.slack_api import refusal, seconds_of
from adapters.slack_sending import client_msg_id
from tests.slack.scene import say
from tests.slack.server import SlackServer


def place(thread: str | None = None, channel: str = "C0HELP") -> Place:
    return Place("slack", "T0LOCAL", channel, thread)


async def root(server: SlackServer, text: str = "question") -> str:
    return await server.user_says("help", "ana", text, silent=True)


def ours(server: SlackServer, channel: str = "help") -> list[str]:
    return [server.plain(m) for m in server.messages(channel) if m.get("bot_id")]


async def send(adapter: SlackAdapter, op: Post | Private, key: str = "k") -> list[Delivered]:
    return [await adapter.deliver(op, part, key) for part in range(adapter.parts(op))]


# --- posts ---------------------------------------------------------------------------------------------------


async def test_an_answer_is_a_reply_marked_and_quiet(adapter: SlackAdapter, server: SlackServer) -> None:
    """51, T-SEC-9: in the thread, never at top level; no previews; an id to find it again and nothing else."""
    ts = await root(server)
    [done] = await send(adapter, Post(place(ts), say("Within 14 days.")))

    [_, answer] = server.messages("help", ts)
    assert done.ref == MsgRef(place(ts), answer["ts"])
    assert answer["thread_ts"] == ts
    assert answer["metadata"] == {"event_type": "firstline_out", "event_payload": {"k": "k#0"}}
    assert answer["client_msg_id"] == client_msg_id("k", 0)
    assert (answer["unfurl_links"], answer["unfurl_media"]) == (False, False)
    [(_, sent)] = [call for call in server.calls if call[0] == "chat.postMessage"]
    assert {"link_names", "parse", "reply_broadcast", "username", "icon_url"}.isdisjoint(sent)


async def test_the_same_key_gives_the_same_marks(adapter: SlackAdapter) -> None:
    assert client_msg_id("k", 0) == client_msg_id("k", 0)
    assert len({client_msg_id("k", 0), client_msg_id("k", 1), client_msg_id("l", 0)}) == 3


async def test_a_long_answer_goes_out_in_parts_in_order(adapter: SlackAdapter, server: SlackServer) -> None:
    """47: each part is its own call with its own mark."""
    ts = await root(server)
    op = Post(place(ts), say("word " * 5000, Button("help", "c", "A person")))
    assert adapter.parts(op) == 3
    await send(adapter, op)
    replies = server.messages("help", ts)[1:]
    assert [m["metadata"]["event_payload"]["k"] for m in replies] == ["k#0", "k#1", "k#2"]
    assert [server.labels(m) for m in replies] == [[], [], ["A person"]]


@pytest.mark.parametrize(
    "words", ["<!channel> <!here> <@U1> <!subteam^S1>", "@channel @here @everyone", "<!everyone|x>"]
)
async def test_no_words_ping_anybody(adapter: SlackAdapter, server: SlackServer, words: str) -> None:
    """48: from the customer, the knowledge or a model; in text, title, footer, button and name."""
    ts = await root(server)
    content = say(words, Button("x", "1", words, confirm=words), title=words, footer=words, status=words)
    await send(adapter, Post(place(ts), content, speaking_as=words))
    wire = json.dumps([args for method, args in server.calls if method == "chat.postMessage"])
    assert "<!" not in wire
    assert "<@" not in wire


async def test_a_reply_whose_parent_is_gone_does_not_stay_at_the_top(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """44: Slack posts it into the channel without a word; it is taken back."""
    with pytest.raises(Gone, match="first message was deleted"):
        await send(adapter, Post(place("1700000000.000100"), say("private words")))
    assert ours(server) == []


async def test_a_direct_message_and_a_top_level_card(adapter: SlackAdapter, server: SlackServer) -> None:
    dm = replace(place(channel=server.dm_of("ana")), kind="dm")
    [done] = await send(adapter, Post(dm, say("hello")))
    assert done.ref is not None
    assert done.ref.place == dm
    [card] = await send(
        adapter,
        Post(place(channel="C0DESK"), say("refund", Button("claim", "T-1", "Claim"), title="T-1")),
        "k2",
    )
    assert card.ref is not None
    assert "thread_ts" not in server.messages("desk")[0]
    to_person = place(channel=server.space.user("bob"))
    [done] = await send(adapter, Post(to_person, say("hi bob")), "k3")
    assert done.ref is not None
    assert done.ref.place.channel == server.dm_of("bob")


async def test_what_was_delivered_is_named_as_it_will_be_heard(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """A staff place from the configuration has no tenant; the message that came of it does."""
    desk = Place("slack", "", "C0DESK", kind="private")
    [card] = await send(adapter, Post(desk, say("x", title="T-1")))
    assert card.ref == MsgRef(replace(desk, tenant="T0LOCAL"), server.messages("desk")[0]["ts"])
    assert await adapter.reconcile(Post(desk, say("x", title="T-1")), 0, "k", time.time()) == card


async def test_an_unknown_argument_is_dropped_once_and_for_all(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """client_msg_id is undocumented; a workspace that refuses it gets posts without it."""
    ts = await root(server)
    server.fail("chat.postMessage", "invalid_arg_name")
    await send(adapter, Post(place(ts), say("one")))
    await send(adapter, Post(place(ts), say("two")), "k2")
    assert ours(server) == ["one", "two"]
    assert all("client_msg_id" not in m for m in server.messages("help", ts)[1:])
    assert server.count("chat.postMessage") == 3


# --- never twice ---------------------------------------------------------------------------------------------


async def test_a_connection_lost_after_the_post_is_found_again(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """34, T-DEL-9: ambiguous; reconciling finds it by its mark; no second post."""
    ts = await root(server)
    op = Post(place(ts), say("once"))
    began = time.time()
    server.fail("chat.postMessage", "drop_after")
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 0, "k")
    found = await adapter.reconcile(op, 0, "k", began)
    assert isinstance(found, Delivered)
    assert found.ref is not None
    assert found.ref.id == server.messages("help", ts)[-1]["ts"]
    assert ours(server) == ["once"]
    assert server.count("chat.postMessage") == 1


async def test_a_connection_lost_before_the_post_leaves_nothing(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """35: absent; a resend with the same key makes exactly one."""
    ts = await root(server)
    op = Post(place(ts), say("once"))
    began = time.time()
    server.fail("chat.postMessage", "drop_before")
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 0, "k")
    assert await adapter.reconcile(op, 0, "k", began) == "absent"
    await adapter.deliver(op, 0, "k")
    assert ours(server) == ["once"]


@pytest.mark.parametrize(
    "kind", ["500", "internal_error", "fatal_error", "service_unavailable", "request_timeout"]
)
async def test_perhaps_done_is_ambiguous(adapter: SlackAdapter, server: SlackServer, kind: str) -> None:
    """ "Some aspect of the operation may have succeeded": never resend blindly."""
    ts = await root(server)
    op = Post(place(ts), say("once"))
    server.fail("chat.postMessage", kind, done=True)
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 0, "k")
    assert isinstance(await adapter.reconcile(op, 0, "k", time.time()), Delivered)


@pytest.mark.parametrize(("done", "found"), [(True, Delivered), (False, str)])
async def test_a_call_that_is_never_answered_ends_and_is_ambiguous(
    server: SlackServer, settings: SlackSettings, monkeypatch: pytest.MonkeyPatch, done: bool, found: type
) -> None:
    """§1.2.8: with a session of one's own the client's time limit is ignored; ours is the session's."""
    monkeypatch.setattr("adapters.slack.CALL_SECONDS", 0.2)
    adapter = SlackAdapter(settings)
    ts = await root(server)
    op = Post(place(ts), say("once"))
    server.fail("chat.postMessage", "hang", done=done)
    with pytest.raises(Ambiguous):
        await adapter.deliver(op, 0, "k")
    assert isinstance(await adapter.reconcile(op, 0, "k", time.time()), found)
    await adapter.close(1)


async def test_reconciling_tells_parts_and_keys_apart(adapter: SlackAdapter, server: SlackServer) -> None:
    """41: also after a kill: all that is needed is the operation and its key."""
    ts = await root(server)
    op = Post(place(ts), say("word " * 5000))
    await adapter.deliver(op, 0, "k")
    assert isinstance(await adapter.reconcile(op, 0, "k", time.time()), Delivered)
    assert await adapter.reconcile(op, 1, "k", time.time()) == "absent"
    assert await adapter.reconcile(op, 0, "other", time.time()) == "absent"


async def test_reconciling_at_top_level_and_in_a_dm(adapter: SlackAdapter, server: SlackServer) -> None:
    server.page_max = 3
    began = time.time()
    card = Post(place(channel="C0DESK"), say("x", title="T-1"))
    await adapter.deliver(card, 0, "k")
    for n in range(10):
        await server.user_says("desk", "dana", f"{n}", silent=True)
    assert isinstance(await adapter.reconcile(card, 0, "k", began), Delivered)
    ana = await adapter.actor("T0LOCAL", server.space.user("ana"))
    private = Private(place(), ana, say("to you"), hint=False)
    await adapter.deliver(private, 0, "p")
    assert isinstance(await adapter.reconcile(private, 0, "p", began), Delivered)


async def test_what_leaves_no_trace_stays_unknown(adapter: SlackAdapter, server: SlackServer) -> None:
    ana = Actor("slack", "T0LOCAL", server.space.user("ana"))
    assert await adapter.reconcile(Private(place("1.2"), ana, say("x")), 0, "k", 0) == "unknown"
    server.fail("conversations.history", "not_allowed_token_type")
    assert await adapter.reconcile(Post(place(), say("x")), 0, "k", 0) == "unknown"
    server.scopes.discard("channels:history")
    assert await adapter.reconcile(Post(place(), say("x")), 0, "k", 0) == "unknown"
    assert await adapter.reconcile(Post(place("1.2", "C0NONE"), say("x")), 0, "k", 0) == "unknown"


async def test_reconciling_in_a_thread_that_is_gone(adapter: SlackAdapter) -> None:
    assert await adapter.reconcile(Post(place("1.2"), say("x")), 0, "k", 0) == "absent"


async def test_reconciling_without_a_connection_is_no_answer(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """Neither absent nor there: the outbox must ask again."""
    server.fail("conversations.history", "drop_before")
    with pytest.raises(Unavailable):
        await adapter.reconcile(Post(place(), say("x")), 0, "k", 0)


async def test_no_connection_at_all_is_certain(adapter: SlackAdapter, server: SlackServer) -> None:
    """Nothing left this machine: try again without asking. On a connection that was just cut that is not certain."""
    await adapter.actor("T", server.space.user("ana"))
    await server.stop()
    with pytest.raises((Unavailable, Ambiguous)):
        await adapter.deliver(Post(place(), say("x")), 0, "k")
    with pytest.raises(Unavailable):
        await adapter.deliver(Post(place(), say("x")), 0, "k")


# --- refusals ------------------------------------------------------------------------------------------------


async def test_too_fast_in_one_channel_is_told_with_its_wait(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    """36: only that channel; the wait is Slack's; the adapter does not wait itself, and does not try again."""
    server.rate_limit("help", 7)
    with pytest.raises(RateLimited) as told:
        await adapter.deliver(Post(place(), say("x")), 0, "k")
    assert told.value.retry_after == 7
    await adapter.deliver(Post(place(channel="C0DESK"), say("y")), 0, "k2")
    assert ours(server, "desk") == ["y"]
    assert server.count("chat.postMessage") == 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("message_not_found", Gone), ("channel_not_found", Gone), ("is_archived", Gone), ("edit_window_closed", Gone),
        ("not_in_channel", Forbidden), ("missing_scope", Forbidden), ("restricted_action", Forbidden),
        ("restricted_action_thread_locked", Forbidden), ("not_allowed_token_type", Forbidden), ("msg_too_long", Rejected), ("invalid_blocks", Rejected),
        ("msg_blocks_too_long", Rejected), ("something_new", Rejected), ("trigger_expired", TooLate),
        ("exchanged_trigger_id", TooLate),
    ],
)  # fmt: skip
async def test_refusals_are_told_apart(
    adapter: SlackAdapter, server: SlackServer, code: str, kind: type
) -> None:
    """§6.2: what staff see depends on it."""
    server.fail("chat.postMessage", code)
    with pytest.raises(kind):
        await adapter.deliver(Post(place(), say("x")), 0, "k")


def test_a_missing_permission_says_where_to_grant_it() -> None:
    assert "/invite @firstline" in str(refusal("chat.postMessage", "not_in_channel"))
    assert "needs chat:write" in str(refusal("chat.postMessage", "missing_scope", "chat:write"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "12"}, 12), ({"retry-after": "0"}, 0), ({}, 30), ({"Retry-After": "soon"}, 30)],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert seconds_of(headers) == seconds


# --- edits, deletions, reactions, threads --------------------------------------------------------------------


async def test_an_edit_replaces_words_and_buttons(adapter: SlackAdapter, server: SlackServer) -> None:
    """42: the same end state however often; the mark stays."""
    [done] = await send(
        adapter, Post(place(channel="C0DESK"), say("new", Button("claim", "T-1", "Claim"), title="T-1"))
    )
    assert done.ref is not None
    for _ in range(2):
        await adapter.deliver(
            Edit(done.ref, say("open", Button("release", "T-1", "Release"), title="T-1")), 0, "e"
        )
    [card] = server.messages("desk")
    assert server.labels(card) == ["Release"]
    assert "open" in server.plain(card)
    assert card["metadata"]["event_payload"] == {"k": "k#0"}
    await adapter.deliver(Edit(done.ref, say("closed " * 3000)), 0, "e2")
    assert server.labels(server.messages("desk")[0]) == []


async def test_an_edit_of_what_is_gone_is_told(adapter: SlackAdapter, server: SlackServer) -> None:
    """43: the core posts anew and links it."""
    with pytest.raises(Gone):
        await adapter.deliver(Edit(MsgRef(place(), "1.2"), say("x")), 0, "k")
    ts = await root(server)
    with pytest.raises(Gone):
        await adapter.deliver(Edit(MsgRef(place(), ts), say("not mine")), 0, "k")


async def test_a_lost_edit_may_simply_be_repeated(adapter: SlackAdapter, server: SlackServer) -> None:
    """Not ambiguous: the end state is the same."""
    server.fail("chat.update", "drop_after")
    with pytest.raises(Unavailable):
        await adapter.deliver(Edit(MsgRef(place(), "1.2"), say("x")), 0, "k")


async def test_deletions_and_reactions_are_done_when_they_are_done(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    ts = await root(server)
    [done] = await send(adapter, Post(place(ts), say("x")))
    assert done.ref is not None
    for _ in range(2):
        await adapter.deliver(Delete(done.ref), 0, "d")
    assert ours(server) == []
    ref = MsgRef(place(ts), ts)
    for on in (True, True, False, False):
        await adapter.deliver(React(ref, "👀", on), 0, "r")
    await adapter.deliver(React(ref, ":eyes:"), 0, "r")
    [message] = server.messages("help", ts)
    assert {name: len(users) for name, users in message["reactions_by_name"].items()} == {"eyes": 1}
    await adapter.deliver(React(MsgRef(place(), "1.2"), "eyes"), 0, "r")
    with pytest.raises(Rejected):
        await adapter.deliver(React(ref, "not a name"), 0, "r")


async def test_deleting_what_is_not_ours_is_told(adapter: SlackAdapter, server: SlackServer) -> None:
    """It is still there: nobody may believe that it is gone."""
    ts = await root(server)
    with pytest.raises(Forbidden, match="its own messages"):
        await adapter.deliver(Delete(MsgRef(place(ts), ts)), 0, "d")


async def test_threads_are_implicit(adapter: SlackAdapter) -> None:
    assert (await adapter.deliver(OpenThread(MsgRef(place(), "1.2"), "t"), 0, "k")).place == place("1.2")
    assert (await adapter.deliver(OpenThread(MsgRef(place("1.1"), "1.2"), "t"), 0, "k")).place == place("1.1")
    dm = replace(place(channel="D1"), kind="dm")
    assert (await adapter.deliver(OpenThread(MsgRef(dm, "1.2"), "t"), 0, "k")).place == dm
    assert (await adapter.deliver(SetThread(place("1.2"), archived=True), 0, "k")).place == place("1.2")


# --- to one person -------------------------------------------------------------------------------------------


async def test_a_hint_is_ephemeral_in_the_thread(adapter: SlackAdapter, server: SlackServer) -> None:
    ts = await root(server)
    ana = Actor("slack", "T0LOCAL", server.space.user("ana"))
    await send(adapter, Private(place(ts), ana, say("only you see this")))
    [told] = server.ephemerals("ana")
    assert told["thread_ts"] == ts
    assert ours(server) == []


async def test_what_must_be_read_is_a_direct_message(adapter: SlackAdapter, server: SlackServer) -> None:
    """§6.5.4: an ephemeral message may never arrive and vanishes on reload."""
    ana = Actor("slack", "T0LOCAL", server.space.user("ana"))
    [done] = await send(adapter, Private(place("1.2"), ana, say("keep this"), hint=False))
    assert [server.plain(m) for m in server.dms("ana")] == ["keep this"]
    assert done.ref is not None
    assert done.ref.place.kind == "dm"
    assert server.ephemerals("ana") == []


async def test_a_person_who_left_the_channel_gets_a_direct_message(
    adapter: SlackAdapter, server: SlackServer
) -> None:
    ts = await root(server)
    root_user = Actor("slack", "T0LOCAL", server.space.user("root"))
    await send(adapter, Private(place(ts), root_user, say("psst")))
    assert [server.plain(m) for m in server.dms("root")] == ["psst"]


async def test_private_in_a_dm_is_just_a_message(adapter: SlackAdapter, server: SlackServer) -> None:
    ana = Actor("slack", "T0LOCAL", server.space.user("ana"))
    dm = replace(place(channel=server.dm_of("ana")), kind="dm")
    op = Private(dm, ana, say("psst"))
    await send(adapter, op)
    assert [server.plain(m) for m in server.dms("ana")] == ["psst"]
    assert isinstance(await adapter.reconcile(op, 0, "k", time.time()), Delivered)


async def test_nobody_to_write_to(adapter: SlackAdapter) -> None:
    with pytest.raises(AdapterError):
        await send(adapter, Private(place("1.2"), Actor("slack", "T0LOCAL", "U0NOBODY"), say("x")))


async def test_permalinks(adapter: SlackAdapter, server: SlackServer) -> None:
    ts = await root(server)
    assert (
        await adapter.permalink(MsgRef(place(ts), ts))
        == f"https://local.slack.com/archives/C0HELP/p{ts.replace('.', '')}"
    )
    assert await adapter.permalink(MsgRef(place(), "1.2")) is None
