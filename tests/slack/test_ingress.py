"""From Slack's payload to a recorded event: acknowledged exactly when recorded; gestures answered within three seconds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adapters.port import (
    ActionInvoked,
    Block,
    Button,
    CommandInvoked,
    Content,
    Form,
    FormErrors,
    FormInput,
    FormSubmitted,
    HomeOpened,
    Inbound,
    InstallChanged,
    MemberLeft,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Post,
    Private,
    PublishHome,
    ReactionChanged,
    Span,
)
from adapters.slack import SlackSettings
from adapters.slack_ingress import NOT_SAVED, SAVED, TOO_SLOW
from tests.slack.delivery import Delivery
from tests.slack.running import Running, start, stop
from tests.slack.server import SlackServer
from tests.slack.sink import RecordingSink

FORM = Form("contact", "Contact", (FormInput("email", "E-mail", "email"),), context="d-1")


def say(text: str, *buttons: Button) -> Content:
    return Content((Block("para", ((Span(text),),)),), buttons)


async def question(slack: Running, text: str = "hello") -> str:
    return await slack.server.user_says("help", "ana", text)


async def with_button(slack: Running, verb: str = "human", label: str = "A person") -> str:
    """A bot message with one button, in the thread of a question; its ts."""
    ts = await question(slack)
    done = await slack.adapter.deliver(
        Post(slack.place(ts), say("?", Button(verb, "c-1", label))), 0, f"k-{ts}"
    )
    assert done.ref is not None
    return done.ref.id


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
    delivery = await slack.server.emit(inner, wait=True)
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


# --- gestures ----------------------------------------------------------------------------------------------


async def test_a_press_is_recorded_and_acknowledged(slack: Running) -> None:
    ts = await with_button(slack)
    pressed = await slack.server.user_presses(ts, "A person", "ana")
    [event] = slack.sink.of(ActionInvoked)
    assert pressed.acked
    assert pressed.ack == {}
    assert (event.verb, event.arg) == ("human", "c-1")
    assert event.source is not None
    assert event.source.id == ts


async def test_a_press_is_acknowledged_in_time_while_the_record_is_slow(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    """23: the watchdog; the press still travels the line when the database is back."""
    slack = await start(server, sink, replace(settings, sockets=1, ack_seconds=0.05))
    ts = await with_button(slack)
    sink.gate.clear()
    pressed = await server.user_presses(ts, "A person", "ana")
    assert pressed.acked
    assert sink.of(ActionInvoked) == []
    sink.gate.set()
    await server.wait_for(lambda: sink.of(ActionInvoked))
    await stop(slack)


async def test_a_press_that_cannot_be_recorded_is_not_acknowledged(slack: Running) -> None:
    """Slack then tells the person that it failed; they press again."""
    ts = await with_button(slack)
    slack.server.ack_seconds = 0.05
    slack.sink.broken = 1
    assert not (await slack.server.user_presses(ts, "A person", "ana")).acked


async def test_late_failure_is_told_to_the_person(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    """Acknowledged by the watchdog and then not recorded: the person must not believe that it worked."""
    slack = await start(server, sink, replace(settings, sockets=1, ack_seconds=0.05))
    ts = await with_button(slack)
    sink.gate.clear()
    sink.broken = 1
    await server.user_presses(ts, "A person", "ana")
    sink.gate.set()
    [told] = await server.wait_for(lambda: server.ephemerals("ana"))
    assert told["text"] == NOT_SAVED
    await stop(slack)


def forms(event: Inbound) -> Form | FormErrors | None:
    if isinstance(event, FormSubmitted):
        ok = event.values["email"].endswith(".com")
        return None if ok else FormErrors({"email": "We need an address that ends in .com."})
    return FORM


async def test_a_form_opens_is_refused_inline_and_accepted(slack: Running) -> None:
    """57, 58: from the press to the record; private values are only in the event."""
    ts = await with_button(slack)
    slack.sink.answer = forms
    await slack.server.user_presses(ts, "A person", "ana")
    [view] = await slack.until(lambda: slack.server.views("ana"))
    await slack.server.user_submits(view, {"E-mail": "ana@example.org"}, "ana")
    assert view["errors"] == {"email": "We need an address that ends in .com."}

    await slack.server.user_submits(view, {"E-mail": "ana@example.com"}, "ana")
    assert slack.server.views("ana") == []
    [event] = slack.sink.of(FormSubmitted)
    assert (event.form, event.context, event.values) == ("contact", "d-1", {"email": "ana@example.com"})
    root = slack.server.messages("help")[0]["ts"]
    assert event.place == slack.place(root)


async def test_a_form_can_lead_to_another(slack: Running) -> None:
    ts = await with_button(slack)
    second = Form("more", "More", (FormInput("note", "Note", "text"),))
    slack.sink.answer = lambda event: second if isinstance(event, FormSubmitted) and event.form == "contact" else (
        FORM if isinstance(event, ActionInvoked) else None)  # fmt: skip
    await slack.server.user_presses(ts, "A person", "ana")
    [view] = await slack.until(lambda: slack.server.views("ana"))
    await slack.server.user_submits(view, {"email": "ana@example.com"}, "ana")
    [view] = slack.server.views("ana")
    assert view["callback_id"] == "fl1:more"


async def test_two_people_submit_the_same_form_at_once(slack: Running) -> None:
    """59: nothing is kept per form; each submission is its own."""
    ts = await with_button(slack)
    slack.sink.answer = lambda event: FORM if isinstance(event, ActionInvoked) else None
    for user in ("ana", "bob"):
        await slack.server.user_presses(ts, "A person", user)
    views = [(await slack.until(lambda user=user: slack.server.views(user)))[0] for user in ("ana", "bob")]
    await asyncio.gather(*(
        slack.server.user_submits(view, {"email": f"{user}@example.com"}, user)
        for view, user in zip(views, ("ana", "bob"), strict=True)
    ))  # fmt: skip
    found = {event.actor.name: event.values["email"] for event in slack.sink.of(FormSubmitted) if event.actor}
    assert found == {"ana": "ana@example.com", "bob": "bob@example.com"}


async def test_buttons_and_forms_survive_a_restart(
    slack: Running, settings: SlackSettings, server: SlackServer
) -> None:
    """54, 60: everything that is needed travels in the button and in the form."""
    ts = await with_button(slack)
    slack.sink.answer = forms
    await server.user_presses(ts, "A person", "ana")
    [view] = await server.wait_for(lambda: server.views("ana"))
    await stop(slack)

    sink = RecordingSink(server.touch)
    again = await start(server, sink, replace(settings, sockets=1))
    await server.user_submits(view, {"email": "ana@example.com"}, "ana")
    await server.user_presses(ts, "A person", "bob")
    assert [type(event) for event in sink.events] == [FormSubmitted, ActionInvoked]
    await stop(again)


async def test_a_form_that_is_saved_late_shows_that_it_is_saving(
    server: SlackServer, sink: RecordingSink, settings: SlackSettings
) -> None:
    """57: the modal changes to "Saving…" in time, and to the outcome when there is one."""
    slack = await start(server, sink, replace(settings, sockets=1, ack_seconds=0.05))
    ts = await with_button(slack)
    sink.answer = forms
    await server.user_presses(ts, "A person", "ana")
    [view] = await server.wait_for(lambda: server.views("ana"))
    sink.gate.clear()
    await server.user_submits(view, {"email": "ana@example.com"}, "ana")
    assert "Saving" in server.plain(view)
    sink.gate.set()
    await server.wait_for(lambda: server.plain(view) == SAVED)
    assert len(sink.of(FormSubmitted)) == 1

    await server.user_presses(ts, "A person", "bob")
    [view] = await server.wait_for(lambda: server.views("bob"))
    sink.gate.clear()
    await server.user_submits(view, {"email": "bob@example.org"}, "bob")
    sink.gate.set()
    await server.wait_for(lambda: "ends in .com" in server.plain(view))
    await stop(slack)


async def test_a_form_that_opens_too_late_is_told(slack: Running) -> None:
    """61: the trigger has expired; the person hears to press again."""
    ts = await with_button(slack)
    slack.sink.answer = forms
    slack.server.fail("views.open", "trigger_expired")
    pressed = await slack.server.user_presses(ts, "A person", "ana")
    assert pressed.acked
    [told] = await slack.until(lambda: slack.server.ephemerals("ana"))
    assert told["text"] == TOO_SLOW


async def test_a_command_and_its_private_answer(slack: Running) -> None:
    await slack.server.user_command("/firstline status now", "ana", "help")
    [event] = slack.sink.of(CommandInvoked)
    assert (event.name, event.text) == ("status", "now")
    assert event.actor is not None
    done = await slack.adapter.deliver(
        Private(event.place, event.actor, say("All is well"), event.keys[0]), 0, "k"
    )
    assert done.ref is None
    [told] = slack.server.ephemerals("ana")
    assert told["via"] == "response_url"
    assert slack.server.plain(told) == "All is well"


async def test_a_command_opens_a_form(slack: Running) -> None:
    slack.sink.answer = forms
    await slack.server.user_command("ask", "ana", "help")
    assert await slack.until(lambda: slack.server.views("ana"))


async def test_a_shortcut_works_where_the_bot_is_not(slack: Running) -> None:
    """62: offered everywhere; the answer goes through the interaction, because the bot cannot post there."""
    slack.server.add_channel("elsewhere", ident="C0ELSE", members=["ana", "bob"], bot=False)
    ts = await slack.server.user_says("elsewhere", "bob", "it broke")
    await slack.server.user_shortcut("help", "elsewhere", ts, "ana")
    [event] = slack.sink.of(MessageAction)
    assert (event.verb, event.target_text, event.target_author.name) == ("help", "it broke", "bob")
    assert event.actor is not None
    await slack.adapter.deliver(Private(event.place, event.actor, say("Here is help"), event.keys[0]), 0, "k")
    assert [slack.server.plain(m) for m in slack.server.ephemerals("ana")] == ["Here is help"]


async def test_without_a_live_interaction_the_answer_becomes_a_direct_message(slack: Running) -> None:
    """62, after a restart: not in the channel, no interaction: a DM remains."""
    slack.server.add_channel("elsewhere", ident="C0ELSE", members=["ana"], bot=False)
    ana = await slack.adapter.actor(slack.server.team, slack.server.space.user("ana"))
    await slack.adapter.deliver(
        Private(slack.place("1.2", "C0ELSE"), ana, say("Here is help"), "gone"), 0, "k"
    )
    assert [slack.server.plain(m) for m in slack.server.dms("ana")] == ["Here is help"]


async def test_an_interaction_answers_five_times_then_otherwise(slack: Running) -> None:
    """Slack's limit; the sixth goes out as an ephemeral message."""
    await slack.server.user_command("status", "ana", "help")
    [event] = slack.sink.of(CommandInvoked)
    assert event.actor is not None
    for n in range(6):
        await slack.adapter.deliver(Private(event.place, event.actor, say(f"{n}"), event.keys[0]), 0, f"k{n}")
    assert [m.get("via") for m in slack.server.ephemerals("ana")] == ["response_url"] * 5 + [None]


async def test_the_home_tab_is_filled_and_its_buttons_work(slack: Running) -> None:
    """App Home: what the bot can do, my tickets; a press there belongs to the person's own DM."""
    await slack.server.user_opens_home("ana")
    [opened] = slack.sink.of(HomeOpened)
    assert opened.actor is not None
    await slack.adapter.deliver(
        PublishHome(opened.actor, say("Your tickets", Button("ask", "", "Ask"))), 0, "k"
    )
    home = slack.server.home("ana")
    assert home is not None
    assert "Your tickets" in slack.server.plain(home)
    await slack.server.user_presses_home("ana", "Ask")
    [event] = slack.sink.of(ActionInvoked)
    assert event.place.channel == slack.server.dm_of("ana")
    assert event.place.kind == "dm"


async def test_uninstalling_is_fatal(slack: Running) -> None:
    await slack.server.emit({"type": "app_uninstalled"}, wait=True)
    assert [event.state for event in slack.sink.of(InstallChanged)] == ["uninstalled"]
    await slack.until(slack.task.done)
    assert "removed from the workspace" in str(slack.task.exception())
