"""Buttons, forms, commands, shortcuts, the home tab: answered within three seconds, recorded like anything else."""

from __future__ import annotations

import asyncio
import time

from adapters.port import (
    ActionInvoked,
    Button,
    CommandInvoked,
    Form,
    FormErrors,
    FormInput,
    FormSubmitted,
    HomeOpened,
    Inbound,
    InstallChanged,
    MessageAction,
    Private,
    PublishHome,
)
from adapters.slack_ingress import NOT_SAVED, SAVED, TOO_SLOW
from tests.slack.running import Running, stop
from tests.slack.scene import Connect, say, with_button
from tests.slack.server import SlackServer
from tests.slack.sink import RecordingSink

FORM = Form("contact", "Contact", (FormInput("email", "E-mail", "email"),), context="d-1")


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
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    """23: the watchdog; the press still travels the line when the database is back."""
    slack = await connect(ack_seconds=0.05)
    ts = await with_button(slack)
    sink.gate.clear()
    pressed = await server.user_presses(ts, "A person", "ana")
    assert pressed.acked
    assert sink.of(ActionInvoked) == []
    sink.gate.set()
    await server.wait_for(lambda: sink.of(ActionInvoked))


async def test_a_press_that_cannot_be_recorded_is_not_acknowledged(slack: Running) -> None:
    """Slack then tells the person that it failed; they press again."""
    ts = await with_button(slack)
    slack.server.ack_seconds = 0.05
    slack.sink.broken = 1
    assert not (await slack.server.user_presses(ts, "A person", "ana")).acked


async def test_late_failure_is_told_to_the_person(
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    """Acknowledged by the watchdog and then not recorded: the person must not believe that it worked."""
    slack = await connect(ack_seconds=0.05)
    ts = await with_button(slack)
    sink.gate.clear()
    sink.broken = 1
    await server.user_presses(ts, "A person", "ana")
    sink.gate.set()
    [told] = await server.wait_for(lambda: server.ephemerals("ana"))
    assert slack.server.plain(told) == NOT_SAVED
    await stop(slack)


def forms(event: Inbound) -> Form | FormErrors | None:
    if isinstance(event, FormSubmitted):
        ok = event.values["email"].endswith(".com")
        return None if ok else FormErrors({"email": "We need an address that ends in .com."}, FORM)
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
    slack: Running, server: SlackServer, connect: Connect
) -> None:
    """54, 60: everything that is needed travels in the button and in the form."""
    ts = await with_button(slack)
    slack.sink.answer = forms
    await server.user_presses(ts, "A person", "ana")
    [view] = await server.wait_for(lambda: server.views("ana"))
    await stop(slack)

    slack.sink.answer = lambda _: None
    await connect()
    await server.user_submits(view, {"email": "ana@example.com"}, "ana")
    await server.user_presses(ts, "A person", "bob")
    assert [type(event) for event in slack.sink.events[1:]] == [FormSubmitted, ActionInvoked]


async def test_a_form_that_is_saved_late_shows_that_it_is_saving(
    server: SlackServer, sink: RecordingSink, connect: Connect
) -> None:
    """57: the modal changes to "Saving…" in time, and to the outcome when there is one."""
    slack = await connect(ack_seconds=0.05)
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

    # The form is still there, with what was typed and the reasons above it.
    await server.user_submits(view, {"email": "bob@example.com"}, "bob")
    await server.wait_for(lambda: server.views("bob") == [] or server.plain(view) == SAVED)
    assert len(sink.of(FormSubmitted)) == 2


async def test_a_form_that_opens_too_late_is_told(slack: Running) -> None:
    """61: the trigger has expired; the person hears to press again."""
    ts = await with_button(slack)
    slack.sink.answer = forms
    slack.server.fail("views.open", "trigger_expired")
    pressed = await slack.server.user_presses(ts, "A person", "ana")
    assert pressed.acked
    [told] = await slack.until(lambda: slack.server.ephemerals("ana"))
    assert slack.server.plain(told) == TOO_SLOW


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


async def test_an_interaction_is_used_for_half_an_hour_at_most(connect: Connect) -> None:
    """Slack closes the address after thirty minutes; five before that we no longer rely on it."""
    ahead = [0.0]
    slack = await connect(clock=lambda: time.time() + ahead[0])
    await slack.server.user_command("status", "ana", "help")
    [event] = slack.sink.of(CommandInvoked)
    assert event.actor is not None
    ahead[0] = 26 * 60.0
    await slack.adapter.deliver(Private(event.place, event.actor, say("late"), event.keys[0]), 0, "k")
    assert [m.get("via") for m in slack.server.ephemerals("ana")] == [None]


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
