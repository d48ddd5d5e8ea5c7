"""Private threads: opened for one customer, once, and never a reason to fall silent where there can be none."""

from __future__ import annotations

import pytest

from adapters.discord import DiscordAdapter
from adapters.port import Actor, Ambiguous, MsgRef, OpenThread, Place, Post, SetThread
from tests.discord_server import DiscordServer
from tests.discord_server.world import CREATE_PRIVATE, VIEW
from tests.discord_sink import at, say, send, settings_for


@pytest.fixture
async def order(server: DiscordServer, ann: str) -> OpenThread:
    """For a question in #help that is no matter for #help."""
    question = await server.user_says("help", ann, "I was charged twice")
    origin = MsgRef(at(server, thread=question), question)
    return OpenThread(origin, "I was charged twice", Actor("discord", server.guild, ann))


def deny(server: DiscordServer, bit: int) -> None:
    role = server.world.members[server.bot]["roles"][0]
    held = server.world.roles[role]
    held["permissions"] = str(int(held["permissions"]) & ~bit)


async def test_only_the_customer_and_the_team_are_in_it(adapter, server, sink, ann, order):
    bob = server.add_user("bob")
    place = (await send(adapter, order)).place
    thread = server.thread(place.thread)
    assert place == at(server, thread=place.thread, kind="private")
    assert thread["name"] == f"I was charged twice · {order.origin.id[-6:]}"
    assert (thread["type"], thread["thread_metadata"]["invitable"]) == (12, False)
    assert server.world.thread_members[place.thread] == {server.bot, ann}
    assert not server.may_write(place.thread, bob)
    await send(adapter, Post(place, say("only here")))
    await server.user_says(place.thread, ann, "thank you")
    event = await sink.event("message", 2)
    assert (event.place, event.text) == (place, "thank you")
    assert server.texts(place.thread) == ["only here", "thank you"]
    assert server.texts(order.origin.id) == []
    assert len(sink.of("message")) == 2, "Discord's own words are nobody's"


async def test_it_is_archived_like_any_thread(adapter, server, order):
    place = (await send(adapter, order)).place
    await send(adapter, SetThread(place, archived=True, solved=True))
    assert server.thread(place.thread)["thread_metadata"]["archived"]


@pytest.mark.parametrize(
    ("method", "call", "times"),
    [
        ("POST", "/channels/\\d+/threads$", 1),
        ("PUT", "/thread-members/", 2),
    ],  # aiohttp repeats a PUT by itself
)
@pytest.mark.parametrize("after", [True, False])
async def test_a_second_try_finds_the_first_ones_thread(
    adapter, server, ann, order, method, call, times, after
):
    server.drop(method, call, after=after, times=times)
    with pytest.raises(Ambiguous):
        await send(adapter, order)
    place = (await send(adapter, order)).place
    assert [t["id"] for t in server.threads_of("help")] == [place.thread]
    assert ann in server.world.thread_members[place.thread]


async def test_two_customers_with_the_same_words_have_two_threads(adapter, server, order):
    bob = server.add_user("bob")
    question = await server.user_says("help", bob, "I was charged twice")
    other = OpenThread(MsgRef(at(server, thread=question), question), order.title, Actor("discord", "", bob))
    places = [(await send(adapter, op)).place for op in (order, other)]
    assert places[0] != places[1]
    assert bob not in server.world.thread_members[places[0].thread]


async def test_a_busy_discord_is_asked_again(adapter, server, order):
    server.fail("POST", "/channels/\\d+/threads$", 503)
    with pytest.raises(Ambiguous):
        await send(adapter, order)


@pytest.mark.parametrize("title", ["", "  ", "Привет 👩‍🚀 @everyone " * 20, "a\nb"])
async def test_whatever_the_title(adapter, server, order, title):
    op = OpenThread(order.origin, title, order.private_for)
    place = (await send(adapter, op)).place
    assert (await send(adapter, op)).place == place
    assert place.kind == "private"


# --- where there can be none ---------------------------------------------------------------------------------


async def goes_on_in_public(adapter: DiscordAdapter, server: DiscordServer, order: OpenThread) -> None:
    """What is posted there then arrives where everybody reads it."""
    place = (await send(adapter, order)).place
    assert place == order.origin.place
    await send(adapter, Post(place, say("here then")))
    assert server.texts(order.origin.id)[-1:] == ["here then"]


async def test_without_the_permission_it_stays_in_public(adapter, server, order):
    deny(server, CREATE_PRIVATE)
    await goes_on_in_public(adapter, server, order)


async def test_somebody_who_cannot_be_added_is_not_talked_about_in_private(adapter, server, ann, order):
    help_ = server.world.channels[server.id_of("help")]
    help_["permission_overwrites"] = [server.world.overwrite(ann, 1, deny=VIEW)]
    await goes_on_in_public(adapter, server, order)
    (left,) = [t for t in server.threads_of("help") if t["type"] == 12]
    assert left["thread_metadata"]["archived"]


async def test_forums_have_none(adapter, server, ann):
    post = await server.user_posts("forum", ann, "Title", "I was charged twice")
    origin = MsgRef(at(server, "forum", post, "forum"), post)
    await goes_on_in_public(adapter, server, OpenThread(origin, "x", Actor("discord", server.guild, ann)))


async def test_a_direct_message_needs_none(adapter, server, ann):
    place = Place("discord", server.guild, server.world.dm_channel(ann), None, "dm")
    op = OpenThread(MsgRef(place, "3"), "x", Actor("discord", server.guild, ann))
    assert (await send(adapter, op)).place == place


# --- firstline check ------------------------------------------------------------------------------------------


async def test_check_asks_for_the_permission_where_private_matters_may_come_up(server):
    deny(server, CREATE_PRIVATE)
    help_, general, forum = server.id_of("help"), server.id_of("general"), server.id_of("forum")
    settings = settings_for(
        server, channels=dict.fromkeys((help_, general, forum), "all"), private=frozenset({help_, forum})
    )
    results = {r.name: r for r in await DiscordAdapter(settings).check()}
    assert "Create Private Threads" in results[f"discord: channel {help_}"].fix
    assert results[f"discord: channel {general}"].ok
    assert "no private threads in forums" in results[f"discord: channel {forum}"].fix
