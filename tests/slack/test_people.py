"""Names and rights: looked up when they are used, withheld when Slack does not tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.port import Actor
from adapters.slack_api import SlackApi
from adapters.slack_parse import Us
from adapters.slack_people import MESSAGE_MAX_AGE, PROFILE_MAX_AGE, Fresh, People
from tests.slack.server import SlackServer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def api(server: SlackServer) -> AsyncIterator[SlackApi]:
    async with aiohttp.ClientSession() as session:
        yield SlackApi(AsyncWebClient(server.bot_token, server.api_base, session=session, retry_handlers=[]))


def people_of(
    api: SlackApi, clock: Clock, *, agents: Iterable[str] = (), admins: Iterable[str] = (), **more: Any
) -> People:
    us = Us("T0LOCAL", "U0FIRSTLINE", staff_channel="C0DESK")
    return People(api, us, agents=frozenset(agents), admins=frozenset(admins), now=clock, **more)


async def test_ordinary_messages_share_a_look_up_for_thirty_seconds(
    api: SlackApi, clock: Clock, server: SlackServer
) -> None:
    people, dana = people_of(api, clock), server.space.user("dana")
    for _ in range(5):
        assert (await people.actor(dana, max_age=MESSAGE_MAX_AGE)).roles == {"agent"}
    assert server.count("users.info") == server.count("conversations.members") == 1
    server.space.channel("desk").members.discard(dana)
    clock.now += MESSAGE_MAX_AGE - 1
    assert (await people.actor(dana, max_age=MESSAGE_MAX_AGE)).roles == {"agent"}
    clock.now += 1
    assert (await people.actor(dana, max_age=MESSAGE_MAX_AGE)).roles == frozenset()


async def test_while_slack_tells_of_changes_a_message_looks_nobody_up(
    api: SlackApi, clock: Clock, server: SlackServer
) -> None:
    """A press asks anew all the same; and once in twelve hours so does a message."""
    people, ana = people_of(api, clock), server.space.user("ana")
    people.told_from_now_on()
    clock.now += 1
    await people.actor(ana, max_age=MESSAGE_MAX_AGE)
    clock.now += 3600
    await people.actor(ana, max_age=MESSAGE_MAX_AGE)
    assert server.count("users.info") == 1
    await people.actor(ana)
    assert server.count("users.info") == 2
    clock.now += PROFILE_MAX_AGE
    await people.actor(ana, max_age=MESSAGE_MAX_AGE)
    assert server.count("users.info") == 3
    clock.now += 3600
    people.told_from_now_on()  # there was a gap: what was held before it may be out of date
    clock.now += MESSAGE_MAX_AGE
    await people.actor(ana, max_age=MESSAGE_MAX_AGE)
    assert server.count("users.info") == 4


async def test_while_slack_tells_who_comes_and_goes_a_message_does_not_ask(
    api: SlackApi, clock: Clock, server: SlackServer
) -> None:
    """A question that comes every few minutes must not wait each time for the list of the staff channel."""
    people, dana, bob = people_of(api, clock), server.space.user("dana"), server.space.user("bob")
    people.told_from_now_on()
    clock.now += 1
    for _ in range(5):
        assert (await people.actor(dana, max_age=MESSAGE_MAX_AGE)).roles == {"agent"}
        clock.now += 600
    assert server.count("conversations.members") == 1
    server.space.channel("desk").members.add(bob)
    people.staff_changed()
    assert (await people.actor(bob, max_age=MESSAGE_MAX_AGE)).roles == {"agent"}
    clock.now += 3600
    await people.actor(bob, max_age=MESSAGE_MAX_AGE)
    assert server.count("conversations.members") == 3
    await people.actor(bob)  # a press
    assert server.count("conversations.members") == 4


async def test_what_is_told_while_a_look_up_runs_is_the_newer(clock: Clock) -> None:
    """The answer of a look-up that began before must not bring the old state back."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def load() -> str:
        asked.set()
        await answer.wait()
        return "old"

    fresh = Fresh(load, clock)
    looking = asyncio.create_task(fresh.get(0))
    await asked.wait()
    clock.now += 1
    fresh.put(clock.now, "new")
    answer.set()
    assert await looking == "new"
    assert fresh.held(10) == "new"


async def test_fifty_presses_at_once_are_a_few_look_ups_not_fifty(api: SlackApi, server: SlackServer) -> None:
    """Whoever comes while a look-up runs shares the next one; nobody gets an answer older than the question."""
    ticking = Clock()

    def now() -> float:
        ticking.now += 0.001
        return ticking.now

    people = People(api, Us("T0LOCAL", "U0FIRSTLINE", staff_channel="C0DESK"), now=now)
    dana = server.space.user("dana")
    found = await asyncio.gather(*(people.actor(dana) for _ in range(50)))
    assert all(actor.roles == {"agent"} for actor in found)
    assert server.count("conversations.members") < 10
    assert server.count("users.info") < 10


@pytest.mark.parametrize("flag", ["is_admin", "is_owner", "is_primary_owner"])
async def test_workspace_admins_are_admins(
    api: SlackApi, clock: Clock, server: SlackServer, flag: str
) -> None:
    boss = server.add_user("boss", **{flag: True})
    assert (await people_of(api, clock).actor(boss)).roles == {"admin"}


async def test_a_group_of_a_route_or_tier_is_a_role_of_its_members(
    api: SlackApi, clock: Clock, server: SlackServer
) -> None:
    """Asked once while Slack tells of changes: a message does not wait for it."""
    gold = frozenset({"S0GOLD", "", "gold"})
    people, ana = people_of(api, clock, groups=gold), server.space.user("ana")
    server.add_usergroup("S0GOLD", ["ana"])
    people.told_from_now_on()
    clock.now += 1
    for _ in range(3):
        assert (await people.actor(ana, max_age=MESSAGE_MAX_AGE)).roles == {"S0GOLD"}
        clock.now += 60
    assert server.count("usergroups.users.list") == 1
    server.space.groups["S0GOLD"].clear()
    assert people.is_group_of_ours("S0GOLD")
    assert (await people.actor(ana, max_age=MESSAGE_MAX_AGE)).roles == frozenset()


async def test_listed_people_and_groups(api: SlackApi, clock: Clock, server: SlackServer) -> None:
    ana, bob = server.space.user("ana"), server.space.user("bob")
    server.add_usergroup("S0TEAM", ["bob"])
    people = people_of(api, clock, agents={ana, "S0TEAM"}, admins={"S0TEAM"})
    assert (await people.actor(ana)).roles == {"agent"}
    assert (await people.actor(bob)).roles == {"agent", "admin"}
    server.space.groups["S0TEAM"].clear()
    clock.now += 1
    assert (await people.actor(bob)).roles == frozenset()


async def test_the_staff_channel_need_not_make_agents(
    api: SlackApi, clock: Clock, server: SlackServer
) -> None:
    people = people_of(api, clock, staff_channel_is_staff=False)
    assert (await people.actor(server.space.user("dana"))).roles == frozenset()


@pytest.mark.parametrize(
    "flags",
    [{"team": "T0OTHER"}, {"is_stranger": True}, {"deleted": True}, {"is_bot": True}],
)
async def test_strangers_the_departed_and_bots_have_no_rights(
    api: SlackApi, clock: Clock, server: SlackServer, flags: dict[str, bool]
) -> None:
    """29: whatever the lists say."""
    eve = server.add_user("eve", is_owner=True, **flags)
    server.space.channel("desk").members.add(eve)
    assert (await people_of(api, clock, agents={eve}, admins={eve}).actor(eve)).roles == frozenset()


async def test_the_payload_cannot_make_a_stranger_ours(
    api: SlackApi, clock: Clock, server: SlackServer
) -> None:
    seen = Actor("slack", "T0LOCAL", server.space.user("dana"), external=True)
    found = await people_of(api, clock).actor(seen.id, seen=seen)
    assert found.external
    assert found.roles == frozenset()


async def test_on_a_grid_people_of_a_sister_workspace_are_ours_when_they_are_members(
    api: SlackApi, clock: Clock, server: SlackServer
) -> None:
    sister = server.add_user(
        "sis", team="T0SISTER", is_stranger=False, enterprise_user={"teams": ["T0LOCAL"]}
    )
    assert not (await people_of(api, clock).actor(sister)).external


@pytest.mark.parametrize("fault", ["ratelimited", "500", "drop_before"])
async def test_when_slack_does_not_tell_nobody_gets_a_right(
    api: SlackApi, clock: Clock, server: SlackServer, fault: str
) -> None:
    """A press falls back to no rights; the name is remembered, the admin flag is not."""
    boss = server.add_user("boss", is_admin=True)
    server.space.channel("desk").members.add(boss)
    people = people_of(api, clock)
    assert (await people.actor(boss)).roles == {"agent", "admin"}
    clock.now += 1
    for method in ("users.info", "conversations.members"):
        server.fail(method, fault)
    found = await people.actor(boss)
    assert found.roles == frozenset()
    assert found.name == "boss"
    server.fail("conversations.members", fault)
    clock.now += MESSAGE_MAX_AGE
    # An ordinary message grants nothing by itself: it may use the list of a minute ago.
    assert "agent" in (await people.actor(boss, max_age=MESSAGE_MAX_AGE)).roles


async def test_names_for_mentions(api: SlackApi, clock: Clock, server: SlackServer) -> None:
    ana = server.space.user("ana")
    assert await people_of(api, clock).names([ana, "U0NOBODY"]) == {ana: "ana"}
