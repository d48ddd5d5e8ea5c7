"""From Slack's payload to a recorded event: acknowledged exactly when recorded."""

from __future__ import annotations

import asyncio

import pytest

from adapters.port import (
    ActionInvoked,
    Form,
    FormErrors,
    FormInput,
    HomeOpened,
    Inbound,
    MemberLeft,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Post,
    ReactionChanged,
)
from tests.slack.delivery import Delivery
from tests.slack.running import Running
from tests.slack.scene import question, say, with_button

FORM = Form("contact", "Contact", (FormInput("email", "E-mail", "email"),), context="d-1")


# --- acknowledging -----------------------------------------------------------------------------------------


async def test_a_question_arrives_with_who_where_and_what(slack: Running) -> None:
    """The first thing that must work: `@firstline …` becomes one event, with the thread in which to answer."""
    ts = await slack.server.user_says("help", "ana", "@firstline how do I get a refund for A & B <now>?")

    [event] = slack.sink.of(MessageReceived)
    assert event.text == "how do I get a refund for A & B <now>?"
    assert event.place == slack.place(ts)
    assert event.ref.id == ts
    assert event.is_root
    assert event.mentions_bot
    assert event.actor is not None
    assert (event.actor.name, event.actor.email, event.actor.roles) == ("ana", "ana@example.com", frozenset())


async def test_an_event_is_acknowledged_only_when_recorded(slack: Running) -> None:
    """14: while the record is not durable there is no acknowledgement."""
    slack.sink.gate.clear()
    await slack.server.user_says("help", "ana", "hello", wait=False)
    await slack.until(lambda: slack.sink.asked == 1)
    [delivery] = slack.server.outstanding
    assert not delivery.acked

    slack.sink.gate.set()
    await slack.until(lambda: delivery.acked)
    assert slack.sink.texts == ["hello"]


async def test_what_could_not_be_recorded_comes_again_and_is_processed_once(slack: Running) -> None:
    """15: a full disk means no acknowledgement; Slack delivers again."""
    slack.server.ack_seconds = 0.05
    slack.sink.broken = 1
    await question(slack)
    [delivery] = slack.server.outstanding
    assert not delivery.acked

    slack.server.ack_seconds = 3.0
    await slack.server.redeliver()
    assert delivery.acked
    [event] = slack.sink.of(MessageReceived)
    assert event.attempt == 1


async def test_a_retry_of_something_unseen_is_processed(slack: Running) -> None:
    """16, T-DEL-2: the retry may be the only delivery that ever arrives."""
    message = {"type": "message", "channel": "C0HELP", "channel_type": "channel", "user": slack.server.space.user("ana"),
               "text": "only the retry", "ts": "1700000000.000100"}  # fmt: skip
    body = (await slack.server.emit(message, wait=True)).payload
    slack.sink.events.clear()
    retried = Delivery(
        "events_api", {**body, "event_id": "EvLOST", "event": {**message, "ts": "1700000000.000200"}}, 1
    )
    await slack.server.deliver(retried)
    assert retried.acked
    [event] = slack.sink.of(MessageReceived)
    assert event.attempt == 1


async def test_a_repeat_is_acknowledged_and_recognised(slack: Running) -> None:
    """17: the same event id twice."""
    await question(slack)
    body = {
        "type": "message",
        "channel": "C0HELP",
        "user": slack.server.space.user("bob"),
        "text": "x",
        "ts": "1.2",
    }
    deliveries = [await slack.server.emit(body, event_id="EvSAME", wait=True) for _ in range(2)]
    assert all(delivery.acked for delivery in deliveries)
    assert slack.sink.texts == ["hello", "x"]
    assert [type(event) for event in slack.sink.repeats] == [MessageReceived]


async def test_eleven_deliveries_of_one_message_are_one_event(slack: Running) -> None:
    """T-DEL-1: different event ids, no retry header."""
    body = {
        "type": "message",
        "channel": "C0HELP",
        "user": slack.server.space.user("bob"),
        "text": "x",
        "ts": "1.2",
    }
    for _ in range(11):
        await slack.server.emit(body, wait=True)
    assert len(slack.sink.of(MessageReceived)) == 1


async def test_mention_and_message_are_one_event(slack: Running) -> None:
    """18: both arrive, one is recognised as the repeat of the other."""
    await question(slack, "@firstline hi")
    assert slack.sink.texts == ["hi"]
    assert len(slack.sink.repeats) == 1


async def test_files_of_the_later_twin_are_merged(slack: Running) -> None:
    """18: app_mention often comes first and without the files; they follow as an edit of the same message."""
    ts = await slack.server.user_uploads(
        "help", "ana", "log.txt", b"boom", "text/plain", "@firstline see this"
    )
    [event] = slack.sink.of(MessageReceived)
    [edit] = slack.sink.of(MessageEdited)
    assert event.files == ()
    assert edit.ref.id == ts
    assert [file.name for file in edit.files] == ["log.txt"]
    assert edit.text == event.text == "see this"


async def test_no_merge_when_the_message_came_first(slack: Running) -> None:
    """18, the other order: the message with its files is complete; nothing follows."""
    file = {"id": "F1", "name": "a", "mimetype": "text/plain", "size": 1}
    event = {"type": "message", "subtype": "file_share", "channel": "C0HELP", "user": slack.server.space.user("ana"),
             "text": f"<@{slack.server.bot_user}>", "ts": "1.5", "files": [file]}  # fmt: skip
    await slack.server.emit(event, wait=True)
    await slack.server.emit({**event, "type": "app_mention", "files": []}, wait=True)
    assert len(slack.sink.of(MessageReceived)) == 1
    assert not slack.sink.of(MessageEdited)


@pytest.mark.parametrize("inner", [{"type": "emoji_changed"}, {"type": "message", "subtype": "channel_join"}])
async def test_what_means_nothing_is_acknowledged(slack: Running, inner: dict[str, str]) -> None:
    """20: otherwise Slack would deliver it three more times and in the end switch the app off."""
    delivery = await slack.server.emit(inner, wait=True, unasked=True)
    assert delivery.acked
    assert slack.sink.asked == 0


async def test_app_rate_limited_has_no_inner_event(slack: Running) -> None:
    """24: acknowledged, nothing crashes."""
    payload = {
        "type": "app_rate_limited",
        "team_id": slack.server.team,
        "minute_rate_limited": 1,
        "api_app_id": "A",
    }
    assert (await slack.server.deliver(Delivery("events_api", payload))).acked


async def test_our_own_words_and_other_bots_are_ignored(slack: Running) -> None:
    """25, T-ANS-8: the server tells us about our own posts, as Slack does."""
    ts = await question(slack)
    await slack.adapter.deliver(Post(slack.place(ts), say("an answer")), 0, "k1")
    await slack.server.emit(
        {"type": "message", "channel": "C0HELP", "bot_id": "BOTHER", "text": "beep", "ts": "1.2"}, wait=True
    )
    await slack.server.settled()
    assert slack.sink.texts == ["hello"]


async def test_link_previews_edits_and_deletions(slack: Running) -> None:
    """26: a preview is nothing, an edit is an edit, a deletion a deletion."""
    ts = await question(slack, "see https://example.com")
    await slack.server.unfurl("help", ts)
    assert slack.sink.of(MessageEdited) == []
    await slack.server.user_edits("help", ts, "see this")
    await slack.server.user_deletes("help", ts)
    assert [event.text for event in slack.sink.of(MessageEdited)] == ["see this"]
    assert [event.ref.id for event in slack.sink.of(MessageDeleted)] == [ts]


async def test_a_deleted_root_with_replies_is_deleted(slack: Running) -> None:
    ts = await question(slack)
    await slack.server.user_says("help", "bob", "me too", ts)
    await slack.server.user_deletes("help", ts)
    assert [event.ref.id for event in slack.sink.of(MessageDeleted)] == [ts]


async def test_direct_messages_reactions_home_and_leaving(slack: Running) -> None:
    ts = await question(slack)
    done = await slack.adapter.deliver(Post(slack.place(ts), say("an answer")), 0, "k1")
    assert done.ref is not None
    await slack.server.user_says(slack.server.dm_of("ana"), "ana", "in private")
    await slack.server.user_reacts("help", done.ref.id, "+1", "ana")
    await slack.server.user_opens_home("ana")
    await slack.server.user_leaves("desk", "dana")

    assert slack.sink.of(MessageReceived)[1].place.kind == "dm"
    [reaction] = slack.sink.of(ReactionChanged)
    assert (reaction.emoji, reaction.added, reaction.place.thread) == ("+1", True, ts)
    assert [event.place.kind for event in slack.sink.of(HomeOpened)] == ["dm"]
    assert [event.who for event in slack.sink.of(MemberLeft)] == [slack.server.space.user("dana")]


async def test_a_reaction_on_a_message_that_is_gone_has_no_thread(slack: Running) -> None:
    item = {"type": "message", "channel": "C0HELP", "ts": "1.2"}
    await slack.server.emit({"type": "reaction_added", "user": slack.server.space.user("ana"), "reaction": "+1",
                             "item_user": slack.server.bot_user, "item": item}, wait=True)  # fmt: skip
    assert [event.place.thread for event in slack.sink.of(ReactionChanged)] == [None]


async def test_names_stand_for_ids(slack: Running) -> None:
    await question(slack, "@bob said it works")
    assert slack.sink.texts == ["@bob said it works"]


async def test_concurrent_messages_keep_their_order_numbers(slack: Running) -> None:
    """31: Bolt dispatches side by side; the order is in the events, not in their arrival."""
    stamps = await asyncio.gather(*(question(slack, f"{n}") for n in range(20)))
    found = sorted(slack.sink.of(MessageReceived), key=lambda event: event.order)
    assert [event.ref.id for event in found] == sorted(stamps)
    assert [event.text for event in found] == [str(n) for n in range(20)]


async def test_a_slow_record_does_not_hold_up_the_others(slack: Running) -> None:
    """32: one event that cannot be stored yet leaves the rest alone."""
    release = asyncio.Event()
    receive = slack.sink.receive

    async def slow(event: Inbound) -> Form | FormErrors | None:
        if isinstance(event, MessageReceived) and event.text == "slow":
            await release.wait()
        return await receive(event)

    slack.sink.receive = slow  # type: ignore[method-assign]
    await slack.server.user_says("help", "ana", "slow", wait=False)
    await question(slack, "quick")
    assert slack.sink.texts == ["quick"]
    release.set()
    await slack.server.settled()
    assert slack.sink.texts == ["quick", "slow"]


# --- rights ------------------------------------------------------------------------------------------------


async def test_agents_are_the_members_of_the_staff_channel(slack: Running) -> None:
    await slack.server.user_says("desk", "dana", "internal")
    [event] = slack.sink.of(MessageReceived)
    assert event.actor is not None
    assert event.actor.roles == {"agent"}
    assert event.place.kind == "private"
    root = await slack.adapter.actor(slack.server.team, slack.server.space.user("root"))
    assert root.roles == {"admin"}


async def test_who_joins_the_staff_channel_is_an_agent_at_once(slack: Running) -> None:
    """Also for ordinary messages: an agent's word in a customer's thread stops the bot."""
    await slack.server.user_says("help", "bob", "before")
    await slack.server.user_joins("desk", "bob")
    await slack.server.user_says("help", "bob", "after")
    await slack.server.user_leaves("desk", "bob")
    await slack.server.user_says("help", "bob", "no longer")
    roles = [event.actor.roles for event in slack.sink.of(MessageReceived) if event.actor is not None]
    assert roles == [frozenset(), {"agent"}, frozenset()]


async def test_a_right_that_was_taken_is_gone_at_the_next_press(slack: Running) -> None:
    """T-SEC-4: an action never runs on a remembered right."""
    ts = await with_button(slack)
    await slack.server.user_presses(ts, "A person", "dana")
    slack.server.space.channel("desk").members.discard(slack.server.space.user("dana"))
    await slack.server.user_presses(ts, "A person", "dana")
    roles = [event.actor.roles for event in slack.sink.of(ActionInvoked) if event.actor]
    assert roles == [{"agent"}, frozenset()]


async def test_people_of_another_company_never_get_rights(slack: Running) -> None:
    """29: not even when they sit in the staff channel and are admins at home."""
    guest = slack.server.add_user("eve", team="T0OTHER", is_admin=True)
    slack.server.space.channel("desk").members.add(guest)
    slack.server.space.channel("help").members.add(guest)
    ts = await with_button(slack)
    await slack.server.user_presses(ts, "A person", "eve")
    [event] = slack.sink.of(ActionInvoked)
    assert event.actor is not None
    assert event.actor.external
    assert event.actor.roles == frozenset()
