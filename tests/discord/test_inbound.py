"""What people do on Discord arrives as our events, once; what machines do does not. Through the real discord.py."""

from __future__ import annotations

import pytest

from adapters.discord_parse import seconds
from adapters.port import Place
from tests.discord_sink import connected


async def test_a_question_in_a_text_channel_belongs_into_the_thread_with_its_id(adapter, server, sink, ann):
    ident = await server.user_says("help", ann, f"<@{server.bot}> how do I get a *refund*?")
    event = await sink.event("message")
    assert event.place == Place("discord", server.guild, server.id_of("help"), ident)
    assert (event.ref.id, event.text, event.is_root, event.mentions_bot) == (
        ident,
        "how do I get a *refund*?",
        True,
        True,
    )
    assert event.keys == (f"discord:msg:{ident}",)
    assert event.order == (int(ident),)
    assert abs(event.occurred_at - seconds(ident)) < 0.01
    assert (event.actor.name, event.actor.roles) == ("ann", frozenset())


async def test_a_message_in_a_thread_belongs_to_its_parent(adapter, server, sink, ann):
    thread = await server.user_starts_thread("help", ann, "about my order")
    await server.user_says(thread, ann, "hello")
    event = await sink.event("message")
    assert event.place == Place("discord", server.guild, server.id_of("help"), thread)
    assert not event.is_root


async def test_a_forum_post_carries_its_title_and_tags(adapter, server, sink, ann):
    post = await server.user_posts("forum", ann, "Where is my invoice?", "I need it.", tags=["billing"])
    await server.user_says(post, ann, "please")
    first, second = await sink.event("message"), await sink.event("message", 2)
    assert first.place == Place("discord", server.guild, server.id_of("forum"), post, "forum")
    assert (first.title, first.tags, first.is_root) == ("Where is my invoice?", ("billing",), True)
    assert (second.title, second.is_root, second.place) == ("", False, first.place)


async def test_a_direct_message_has_the_guild_as_tenant_and_the_roles_of_now(adapter, server, sink):
    dana = server.add_user("dana", roles=[server.agents])
    await server.user_dm(dana, "hi")
    event = await sink.event("message")
    assert (event.place.kind, event.place.tenant, event.place.thread) == ("dm", server.guild, None)
    assert "agent" in event.actor.roles


async def test_the_staff_channel_and_its_threads_are_private(adapter, server, sink):
    dana = server.add_user("dana", roles=[server.agents])
    card = await server.user_says("staff", dana, "hello")
    thread = await server.user_starts_thread("staff", dana, "T-1")
    await server.user_says(thread, dana, "a note")
    await sink.event("message", 2)
    places = {e.place for e in sink.of("message")}
    assert places == {Place("discord", server.guild, server.staff, t, "private") for t in (card, thread)}


async def test_a_private_thread_is_private(adapter, server, sink, ann):
    thread = await server.user_starts_thread("help", ann, "my data", private=True)
    await server.user_says(thread, ann, "hello")
    assert (await sink.event("message")).place.kind == "private"


async def test_25_30_machines_are_not_customers(adapter, server, sink, ann):
    """§7.25, §7.30: own messages, bots, webhooks and Discord's own messages are ignored."""
    await server.bot_says("help", server.bot, "mine")
    await server.bot_says("help", server.add_user("other", bot=True), "beep")
    await server.webhook_says("help", "deploy done")
    for kind in (1, 3, 6, 7, 8, 18, 20, 21, 24, 46):
        await server.system_says("help", ann, kind)
    last = await server.user_says("help", ann, "a person")
    assert (await sink.event("message")).ref.id == last
    assert len(sink.events) == 1


async def test_26_a_link_preview_is_no_edit(adapter, server, sink, ann):
    """§7.26: an update without edit time is Discord's own; a real edit arrives once, whatever follows it."""
    ident = await server.user_says("help", ann, "see https://example.com")
    await server.unfurl(ident)
    await server.user_edits(ident, "see https://example.com/2")
    await server.unfurl(ident)
    await server.user_deletes(ident)
    await sink.event("deleted")
    edits = sink.of("edited")
    assert [e.text for e in edits] == ["see https://example.com/2"]
    assert edits[0].place == sink.of("message")[0].place
    assert edits[0].keys[0].startswith(f"discord:edit:{ident}:")
    assert sink.of("deleted")[0].keys == (f"discord:del:{ident}",)


async def test_many_messages_deleted_at_once(adapter, server, sink, ann):
    idents = [await server.user_says("help", ann, f"spam {i}") for i in range(3)]
    await server.user_bulk_deletes("help", idents)
    await sink.event("deleted", 3)
    assert sorted(e.ref.id for e in sink.of("deleted")) == idents


async def test_reactions_both_ways_but_not_our_own(adapter, server, sink, ann):
    ident = await server.user_says("help", ann, "hello")
    await server.user_reacts(ident, "👀", server.bot)
    await server.user_reacts(ident, "👍", ann)
    await server.user_reacts(ident, "👍", ann, on=False)
    await sink.event("reaction", 2)
    assert [(e.emoji, e.added, e.actor.id) for e in sink.of("reaction")] == [
        ("+1", True, ann),
        ("+1", False, ann),
    ]


async def test_a_reply_names_what_it_answers(adapter, server, sink, ann):
    first = await server.user_says("help", ann, "one")
    await server.user_says("help", ann, "two", reply_to=first)
    assert (await sink.event("message", 2)).reply_to.id == first


async def test_mentions_become_names(adapter, server, sink, ann):
    role = server.add_role("Billing team")
    await server.gateway.dispatch(
        "GUILD_ROLE_CREATE", {"guild_id": server.guild, "role": server.world.roles[role]}
    )
    help_ = server.id_of("help")
    text = f"ask <@{ann}> or <@&{role}> in <#{help_}> <:party:123456> </firstline ask:42> <t:0:R> <@999>"
    await server.user_says("help", ann, text)
    event = await sink.event("message")
    assert event.text == (
        "ask @ann or @Billing team in #help :party: /firstline ask 1970-01-01 00:00 UTC @someone"
    )


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"sticker_items": [{"id": "1", "name": "Wave", "format_type": 1}]}, "sticker: Wave"),
        ({"flags": 1 << 13}, "voice message"),
        (
            {
                "poll": {
                    "question": {"text": "Tea?"},
                    "answers": [],
                    "expiry": None,
                    "allow_multiselect": False,
                    "layout_type": 1,
                }
            },
            "poll: Tea?",
        ),
    ],
)
async def test_what_is_no_text_says_what_it_is(adapter, server, sink, ann, more, word):
    await server.user_says("help", ann, "", **more)
    assert (await sink.event("message")).unsupported == word


async def test_attachments_are_references(adapter, server, sink, ann):
    await server.user_says("help", ann, "", attachments=[("log.txt", b"x" * 7, "text/plain")])
    (file,) = (await sink.event("message")).files
    assert (file.name, file.mime, file.size, file.source) == ("log.txt", "text/plain", 7, sink.events[0].ref)


async def test_a_thread_that_was_archived_before_the_start_is_asked_for_once(server, sink, ann):
    thread = await server.user_starts_thread("help", ann, "old")
    await server.archive(thread)
    async with connected(server, sink):
        server.world.channels[thread]["thread_metadata"]["archived"] = False
        for text in ("one", "two"):
            await server.user_says(thread, ann, text)
            await sink.event("message", 1 if text == "one" else 2)
        asked = [c for c in server.calls if (c.method, c.path) == ("GET", f"/channels/{thread}")]
    assert [e.place.channel for e in sink.of("message")] == [server.id_of("help")] * 2
    assert len(asked) == 1


async def test_a_channel_that_is_off_stays_silent(server, sink, ann):
    channels = {server.id_of("general"): "off", server.id_of("help"): "all"}
    async with connected(server, sink, channels=channels):
        await server.user_says("general", ann, "nothing for you")
        thread = await server.user_starts_thread("general", ann, "nor this")
        await server.user_says(thread, ann, "hello")
        await server.user_says("help", ann, "for you")
        await sink.event("message")
    assert [e.text for e in sink.of("message")] == ["for you"]


async def test_who_sees_the_private_staff_channel_is_an_agent_and_managers_are_admins(
    adapter, server, sink, ann
):
    boss = server.add_role("boss", 1 << 5)
    await server.gateway.dispatch(
        "GUILD_ROLE_CREATE", {"guild_id": server.guild, "role": server.world.roles[boss]}
    )
    dana = server.add_user("dana", roles=[server.agents])
    root = server.add_user("root", roles=[boss])
    for user in (ann, dana, root):
        await server.user_says("help", user, "hi")
    await sink.event("message", 3)
    roles = {e.actor.name: e.actor.roles for e in sink.of("message")}
    assert roles == {
        "ann": frozenset(),
        "dana": {server.agents, "agent"},
        "root": {boss, "admin"},
    }
    assert (await adapter.actor(server.guild, dana)).roles == roles["dana"]
    await server.set_roles(dana, [])
    assert (await adapter.actor(server.guild, dana)).roles == frozenset()
    await server.member_leaves(dana)
    assert (await adapter.actor(server.guild, dana)).roles == frozenset()


async def test_a_staff_channel_that_everybody_reads_makes_nobody_an_agent(server, sink, ann):
    async with connected(server, sink, staff_channel=server.id_of("general")) as adapter:
        assert (await adapter.actor(server.guild, ann)).roles == frozenset()


async def test_listed_people_and_roles_are_agents_and_admins(server, sink, ann):
    helpers = server.add_role("helpers")
    bob = server.add_user("bob", roles=[helpers])
    async with connected(server, sink, agents=frozenset({ann, helpers}), admins=frozenset({bob})) as adapter:
        assert (await adapter.actor(server.guild, ann)).roles == {"agent"}
        assert (await adapter.actor(server.guild, bob)).roles == {helpers, "agent", "admin"}


async def test_an_agent_who_leaves_or_loses_the_role_is_told_once(adapter, server, sink, ann):
    people = [server.add_user(name, roles=[server.agents]) for name in ("dana", "kim")]
    for user in (*people, ann):
        await server.user_says("help", user, "hi")
    await sink.event("message", 3)
    await server.set_roles("kim", [])
    await server.set_roles("kim", [])
    await server.member_leaves("ann")
    await server.member_leaves("dana")
    await sink.event("member_left", 2)
    assert {e.who for e in sink.of("member_left")} == set(people)


async def test_threads_that_close_or_vanish(adapter, server, sink, ann):
    thread = await server.user_starts_thread("help", ann, "x")
    await server.archive(thread)
    await server.archive(thread)
    await server.archive(thread, locked=True)
    await server.archive(thread, archived=False, locked=False)
    await server.delete_thread(thread)
    await sink.event("thread", 4)
    assert [e.state for e in sink.of("thread")] == ["archived", "locked", "unarchived", "deleted"]
    assert {e.place.thread for e in sink.of("thread")} == {thread}


async def test_a_farewell_is_told_an_outage_is_not(adapter, server, sink):
    await server.gateway.dispatch("GUILD_DELETE", {"id": server.guild, "unavailable": True})
    await server.gateway.dispatch("GUILD_DELETE", {"id": server.guild})
    await sink.event("install")
    assert [e.state for e in sink.of("install")] == ["uninstalled"]


async def test_after_stop_ingress_nothing_is_recorded_but_sending_works(adapter, server, sink, ann):
    await adapter.stop_ingress()
    ident = await server.user_says("help", ann, "too late")
    from adapters.port import Block, Content, Post, Span

    place = Place("discord", server.guild, server.id_of("help"))
    await adapter.deliver(Post(place, Content((Block("para", ((Span("still here"),),)),))), 0, "k")
    assert server.texts("help") == ["too late", "still here"]
    assert not sink.events
    assert ident
