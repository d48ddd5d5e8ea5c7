"""Agents who are none any more, and people whom Slack tells about."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.port import MemberLeft
from tests.slack.running import Running, stop
from tests.slack.scene import Connect
from tests.slack.server import SlackServer
from tests.slack.sink import RecordingSink


def left(sink: RecordingSink) -> list[str]:
    return [event.who for event in sink.of(MemberLeft)]


async def met(slack: Running) -> None:
    """Everybody is known: the work that follows a connection is done."""
    await slack.until(lambda: slack.server.count("users.list"))
    await slack.server.settled()


# --- told ----------------------------------------------------------------------------------------------------


async def test_a_deactivated_account_has_left(slack: Running) -> None:
    """Slack does not take a deactivated person out of the staff channel by an event."""
    dana = slack.server.space.user("dana")
    await slack.server.user_changes("dana", deleted=True)
    [event] = slack.sink.of(MemberLeft)
    assert (event.who, event.place.channel, event.place.kind) == (dana, "C0DESK", "private")


async def test_a_new_picture_is_nothing_and_costs_nothing(slack: Running) -> None:
    """Slack tells of every status of everybody; nobody is looked up because of one."""
    await met(slack)
    calls = len(slack.server.calls)
    for name in ("ana", "dana", "root"):
        await slack.server.user_changes(name, status="on holiday")
    assert left(slack.sink) == []
    assert len(slack.server.calls) == calls


@pytest.mark.parametrize(("stays", "gone"), [(True, 0), (False, 1)], ids=["in the channel", "out of it"])
async def test_a_guest_is_an_agent_only_while_in_the_staff_channel(
    slack: Running, stays: bool, gone: int
) -> None:
    """Who becomes a guest is taken out of most channels, without a word."""
    await met(slack)
    if not stays:
        slack.server.space.channel("desk").members.discard(slack.server.space.user("dana"))
    await slack.server.user_changes("dana", is_restricted=True)
    assert len(left(slack.sink)) == gone


@pytest.mark.parametrize("flag", ["is_admin", "is_owner", "is_primary_owner"])
async def test_a_demoted_admin_who_is_no_agent_has_left(slack: Running, flag: str) -> None:
    await met(slack)
    await slack.server.user_changes("root", **{"is_admin": False, flag: True})
    assert left(slack.sink) == []
    await slack.server.user_changes("root", **{flag: False})
    assert left(slack.sink) == [slack.server.space.user("root")]


async def test_who_is_taken_from_the_agents_user_group_has_left(
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    """From a group of ours; other groups are nobody's business."""
    bob = server.space.user("bob")
    server.add_usergroup("S0TEAM", ["bob", "dana"])
    server.add_usergroup("S0CHOIR", ["bob"])
    await connect(agents=frozenset({"S0TEAM"}))
    await server.user_leaves_group("S0CHOIR", "bob")
    assert left(sink) == []
    await server.user_leaves_group("S0TEAM", "bob")
    await server.user_leaves_group("S0TEAM", "dana")  # a member of the staff channel is still an agent
    assert left(sink) == [bob]


@pytest.mark.parametrize("fault", ["ratelimited", "500", "drop_before"])
async def test_when_slack_does_not_tell_the_event_comes_again(slack: Running, fault: str) -> None:
    """Nobody loses his tickets because of a lost connection, and nobody keeps them because of one."""
    await met(slack)
    slack.server.space.channel("desk").members.discard(slack.server.space.user("dana"))
    slack.server.fail("conversations.members", fault)
    slack.server.ack_seconds = 0.3
    await slack.server.user_changes("dana", is_ultra_restricted=True)
    assert left(slack.sink) == []
    await slack.server.redeliver()
    assert left(slack.sink) == [slack.server.space.user("dana")]


@pytest.mark.parametrize("flag", ["deleted", "is_restricted"])
async def test_what_could_not_be_recorded_comes_again(slack: Running, flag: str) -> None:
    """15 for leavers: what was learned of the person must not hide the second delivery."""
    await met(slack)
    slack.server.space.channel("desk").members.discard(slack.server.space.user("dana"))
    slack.sink.broken = 1
    slack.server.ack_seconds = 0.3
    await slack.server.user_changes("dana", **{flag: True})
    assert left(slack.sink) == []
    await slack.server.redeliver()
    assert left(slack.sink) == [slack.server.space.user("dana")]


# --- missed --------------------------------------------------------------------------------------------------


async def test_who_left_while_nobody_listened_is_found_out(
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    """Whoever has an open ticket is looked up once at each connection."""
    names = ("deactivated", "outside", "inside", "admin")
    deactivated, outside, inside, admin = (server.add_user(name) for name in names)
    server.space.users[deactivated]["deleted"] = True
    server.space.users[admin]["is_admin"] = True
    server.space.channel("desk").members |= {deactivated, inside}
    sink.assigned = [deactivated, outside, inside, admin, "U0UNKNOWN"]

    slack = await connect()
    await server.wait_for(lambda: len(left(sink)) == 3)
    await met(slack)

    assert left(sink) == [deactivated, outside, "U0UNKNOWN"]
    assert server.count("users.info") == 5


@pytest.mark.parametrize("fault", ["500", "drop_before", "internal_error"])
async def test_about_whom_slack_does_not_tell_is_left_alone(
    server: SlackServer, sink: RecordingSink, fault: str, connect: Connect
) -> None:
    gone = server.add_user("gone", deleted=True)
    sink.assigned = [server.space.user("dana"), gone]
    server.fail("users.info", fault)
    await connect()
    await server.wait_for(lambda: left(sink))
    assert left(sink) == [gone]


async def test_a_bot_that_was_thrown_out_of_the_staff_channel_releases_nothing(
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    """It sees no members there; that does not make every agent a leaver."""
    server.space.channel("desk").members.discard(server.bot_user)
    sink.assigned = [server.space.user("dana"), server.space.user("bob")]
    slack = await connect()
    await met(slack)
    assert left(sink) == []


async def test_slacks_patience_is_respected(
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    gone = server.add_user("gone", deleted=True)
    sink.assigned = [gone]
    server.fail("users.info", "ratelimited", seconds=0)
    await connect()
    await server.wait_for(lambda: left(sink))
    assert left(sink) == [gone]


# --- everybody is known --------------------------------------------------------------------------------------


async def test_no_message_waits_for_a_look_up(slack: Running) -> None:
    """Recording must not hang on another call: people are read at connect, newcomers and changes are told."""
    await met(slack)
    await slack.server.user_joins_team("newcomer", email="new@example.com")
    slack.server.space.channel("help").members.add(slack.server.space.user("newcomer"))
    await slack.server.user_changes("ana", profile={"display_name": "Ana the Second"})
    for name in ("ana", "bob", "dana", "newcomer"):
        await slack.server.user_says("help", name, "hello")

    assert slack.server.count("users.info") == 0
    people: list[Any] = [event.actor for event in slack.sink.events]
    assert [actor.name for actor in people] == ["Ana the Second", "bob", "dana", "newcomer"]
    assert [actor.email for actor in people][1:] == [
        "bob@example.com",
        "dana@local.example",
        "new@example.com",
    ]
    assert [sorted(actor.roles) for actor in people] == [[], [], ["agent"], []]


async def test_after_a_gap_everybody_is_read_anew(slack: Running) -> None:
    """A change that was told while no socket was open may never come again."""
    await met(slack)
    caught_up = slack.sink.caught_up
    slack.server.space.users[slack.server.space.user("ana")]["profile"]["display_name"] = "Ana B."
    slack.server.sockets.drop()
    await slack.until(lambda: slack.sink.caught_up > caught_up)
    await slack.until(lambda: slack.server.sockets.open)
    await slack.until(lambda: slack.server.count("users.list") == 2)
    await slack.server.settled()
    await slack.server.user_says("help", "ana", "hello")
    [event] = slack.sink.events
    assert event.actor is not None
    assert event.actor.name == "Ana B."


async def test_people_in_pages_and_none_at_all(
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    """Slack gives them in pages; where it refuses the list, each person is looked up when needed."""
    server.page_max = 2
    slack = await connect()
    await server.wait_for(lambda: server.count("users.list") == 3)
    await stop(slack)
    server.fail("users.list", "500")
    await connect()
    await server.wait_for(lambda: server.count("users.list") == 4)
    await server.user_says("help", "ana", "hello")
    [event] = sink.events
    assert event.actor is not None
    assert event.actor.name == "ana"
