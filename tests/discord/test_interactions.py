"""Buttons, forms, commands: answered in time, once, by whatever is in the ids, for whoever pressed."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from adapters.codec import dump_op, load_op
from adapters.discord import DiscordAdapter
from adapters.port import (
    Actor,
    Block,
    Button,
    Content,
    Forbidden,
    Form,
    FormErrors,
    FormInput,
    MsgRef,
    Place,
    Post,
    Private,
    Rejected,
    Span,
)
from handoff.policy import COMMANDS
from tests.discord_server import DiscordServer, Refused
from tests.discord_server.world import VIEW
from tests.discord_sink import QUICK, RecordingSink, connected, say

CONTACT = Form(
    id="contact",
    title="How can we reach you?",
    inputs=(
        FormInput("email", "E-mail", "email"),
        FormInput("kind", "Kind", "choice", choices=(("bug", "A bug"), ("bill", "A bill"))),
        FormInput("more", "Anything else?", "text", required=False, hint="only the team sees it"),
        FormInput("proof", "Screenshot", "file", required=False),
    ),
    context="T-1",
)


async def card(adapter: DiscordAdapter, server: DiscordServer, *buttons: Button, channel: str = "") -> str:
    """A card with buttons; by default in the staff channel."""
    place = Place("discord", server.guild, channel or server.staff)
    done = await adapter.deliver(Post(place, say("A customer needs help.", *buttons, title="T-1")), 0, "card")
    assert done.ref is not None
    return done.ref.id


CLAIM = Button("claim", "T-1", "Claim", "primary")


async def test_a_press_is_recorded_and_acknowledged_silently(adapter, server, sink, dana):
    ident = await card(adapter, server, CLAIM)
    pressed = await server.user_presses(ident, "Claim", dana)
    event = await sink.event("action")
    assert (event.verb, event.arg, event.keys) == ("claim", "T-1", (f"discord:int:{pressed.id}",))
    assert event.source == MsgRef(Place("discord", server.guild, server.staff, kind="private"), ident)
    assert event.actor.name == "dana"
    assert event.actor.roles == {server.agents, "agent"}
    assert pressed.response == 6
    assert pressed.shown == []


async def test_54_a_button_from_before_the_restart_works(server, sink, dana):
    """§7.54: nothing about a button is kept in memory."""
    async with connected(server, sink) as adapter:
        ident = await card(adapter, server, CLAIM)
    again = RecordingSink()
    async with connected(server, again):
        await server.user_presses(ident, "Claim", dana)
        assert (await again.event("action")).arg == "T-1"


async def test_55_a_customer_who_presses_claim_arrives_without_the_role(adapter, server, sink, ann):
    """§7.55: the button proves nothing; the roles of the moment travel with the event, the refusal is private."""
    ident = await card(adapter, server, CLAIM, channel=server.id_of("help"))
    pressed = await server.user_presses(ident, "Claim", ann)
    event = await sink.event("action")
    assert "agent" not in event.actor.roles
    op = Private(event.place, event.actor, say("Only agents can claim."), interaction=event.keys[0])
    await adapter.deliver(op, 0, "no")
    assert [m["content"] for m in server.ephemerals("ann")] == ["Only agents can claim."]
    assert pressed.ephemerals
    assert server.dms("ann") == []


async def test_roles_are_those_of_the_moment(adapter, server, sink, dana):
    ident = await card(adapter, server, CLAIM, channel=server.id_of("help"))
    await server.set_roles(dana, [])
    await server.user_presses(ident, "Claim", dana)
    assert "agent" not in (await sink.event("action")).actor.roles


async def test_a_confirmation_asks_back_and_survives_a_restart(adapter, server, sink, dana):
    ident = await card(adapter, server, Button("resolve", "T-1", "Resolve", "danger", confirm="Sure?"))
    pressed = await server.user_presses(ident, "Resolve", dana)
    assert "are you sure" in pressed.ephemerals[0]["content"]
    assert not sink.events
    await server.user_presses(ident, "Resolve", dana, confirm=True)
    event = await sink.event("action")
    assert (event.verb, event.arg) == ("resolve", "T-1")


async def test_a_form_opens_fits_and_comes_back_with_everything(adapter, server, sink, ann):
    sink.answers = lambda event: CONTACT if event.type == "action" else None
    ident = await card(adapter, server, Button("contact", "T-1", "Tell us"), channel=server.id_of("help"))
    pressed = await server.user_presses(ident, "Tell us", ann)
    assert pressed.response == 9
    (form,) = server.modals("ann")
    assert form.custom_id == "fl1:contact:T-1"
    values = {"E-mail": "ann@example.com", "Kind": "A bill", "more": "line one\nline two"}
    await server.user_submits(form, values, ann, files=[("shot.png", b"\x89PNG\r\n\x1a\n123", "image/png")])
    event = await sink.event("form")
    assert (event.form, event.context) == ("contact", "T-1")
    assert event.values["email"] == "ann@example.com"
    assert event.values["kind"] == "bill"
    assert event.values["more"] == "line one\nline two"
    (file,) = event.files
    assert (file.name, file.source) == ("shot.png", None)
    assert b"".join([c async for c in adapter.fetch(file, 1000)]).startswith(b"\x89PNG")
    assert file.url not in repr(event), "nor is the address of a private file"
    assert "ann@example.com" not in repr(event), "private values are not logged"


async def test_59_two_people_submit_the_same_form_at_once(adapter, server, sink, ann, dana):
    """§7.59: the same custom id; discord.py's own store would mix them up."""
    sink.answers = lambda event: CONTACT if event.type == "action" else None
    ident = await card(adapter, server, Button("contact", "T-1", "Tell us"))
    await server.set_roles(ann, [server.agents])
    for user in (ann, dana):
        await server.user_presses(ident, "Tell us", user)
    sent = [
        server.user_submits(server.modals(u)[0], {"email": f"{u}@x.org", "kind": "bug"}, u)
        for u in (ann, dana)
    ]
    await asyncio.gather(*sent)
    await sink.event("form", 2)
    assert {(e.actor.id, e.values["email"]) for e in sink.of("form")} == {
        (u, f"{u}@x.org") for u in (ann, dana)
    }


async def test_60_a_form_submitted_after_a_restart(server, sink, ann):
    """§7.60"""
    sink.answers = lambda event: CONTACT if event.type == "action" else None
    async with connected(server, sink) as adapter:
        ident = await card(adapter, server, Button("contact", "T-1", "Tell us"), channel=server.id_of("help"))
        await server.user_presses(ident, "Tell us", ann)
    again = RecordingSink()
    async with connected(server, again):
        await server.user_submits(server.modals("ann")[0], {"email": "a@b.org", "kind": "bug"}, ann)
        assert (await again.event("form")).context == "T-1"


async def test_a_file_of_a_form_outlives_the_process(server, sink, ann):
    """It stands in no message, so its address travels with it, through inbox and outbox."""
    sink.answers = lambda event: CONTACT if event.type == "action" else None
    async with connected(server, sink) as adapter:
        ident = await card(adapter, server, Button("contact", "T-1", "Tell us"), channel=server.id_of("help"))
        await server.user_presses(ident, "Tell us", ann)
        shot = ("shot.png", b"\x89PNG\r\n\x1a\n123", "image/png")
        await server.user_submits(
            server.modals("ann")[0], {"email": "a@b.org", "kind": "bug"}, ann, files=[shot]
        )
        event = await sink.event("form")
    op = load_op(
        dump_op(Post(Place("discord", server.guild, server.staff), say("from ann"), files=event.files))
    )
    async with connected(server, RecordingSink()) as again:
        await again.deliver(op, 0, "k")
        server.expire_links()
        await again.deliver(op, 0, "k2")
    (copied, lost) = server.messages("staff")
    assert [f["filename"] for f in copied["attachments"]] == ["shot.png"]
    assert "shot.png" in lost["content"], "after a day it is gone, and staff are told"
    assert lost["attachments"] == []


async def test_58_a_refused_form_can_be_edited_again_by_its_author_only(adapter, server, sink, ann, dana):
    """§7.58: no inline errors on Discord; what was typed comes back, the private values stay in memory."""

    def answers(event):
        if event.type == "action":
            return CONTACT
        if "@" in event.values["email"]:
            return None
        filled = dataclasses.replace(CONTACT.inputs[0], value=event.values["email"])
        form = dataclasses.replace(CONTACT, inputs=(filled, *CONTACT.inputs[1:]))
        return FormErrors({"email": "That is no e-mail address."}, form)

    sink.answers = answers
    ident = await card(adapter, server, Button("contact", "T-1", "Tell us"), channel=server.id_of("help"))
    await server.user_presses(ident, "Tell us", ann)
    refused = await server.user_submits(
        server.modals("ann")[0], {"email": "secret-nonsense", "kind": "bug"}, ann
    )
    (told,) = refused.ephemerals
    assert "E-mail" in told["content"]
    assert "That is no e-mail address." in told["content"]
    assert "secret-nonsense" not in str(told)
    with pytest.raises(Refused):
        await server.user_presses(told["id"], "Edit again", dana)
    await server.user_presses(told["id"], "Edit again", ann)
    (again,) = server.modals("ann")
    assert again.inputs()["email"]["value"] == "secret-nonsense"
    await server.user_submits(again, {"email": "ann@example.com", "kind": "bug"}, ann)
    assert (await sink.event("form")).values["email"] == "ann@example.com"


async def test_a_draft_that_is_gone_says_so(server, sink, ann):
    sink.answers = lambda event: CONTACT if event.type == "action" else FormErrors({"email": "no"}, CONTACT)
    async with connected(server, sink) as adapter:
        ident = await card(adapter, server, Button("contact", "T-1", "Tell us"), channel=server.id_of("help"))
        await server.user_presses(ident, "Tell us", ann)
        refused = await server.user_submits(server.modals("ann")[0], {"email": "x", "kind": "bug"}, ann)
    async with connected(server, RecordingSink()):
        pressed = await server.user_presses(refused.ephemerals[0]["id"], "Edit again", ann)
        assert "no longer here" in pressed.ephemerals[0]["content"]


async def test_23_a_slow_store_never_stalls_a_press(server, sink, dana):
    """§7.23: the watchdog acknowledges, the event is recorded later."""
    timing = dataclasses.replace(QUICK, watchdog=0.05)
    async with connected(server, sink, timing=timing) as adapter:
        ident = await card(adapter, server, CLAIM)
        sink.gate = asyncio.Event()
        pressed = await server.user_presses(ident, "Claim", dana)
        assert (pressed.response, sink.of("action")) == (6, [])
        sink.gate.set()
        await sink.event("action")


async def test_57_a_form_that_comes_too_late_is_offered_with_a_button(server, sink, ann):
    """§7.57: once the watchdog has acknowledged, no form can open; a button opens it."""
    timing = dataclasses.replace(QUICK, watchdog=0.05)
    async with connected(server, sink, timing=timing) as adapter:
        ident = await card(adapter, server, Button("contact", "T-1", "Tell us"), channel=server.id_of("help"))
        sink.answers = lambda _event: CONTACT
        sink.gate = asyncio.Event()
        await server.user_presses(ident, "Tell us", ann)
        sink.gate.set()
        (offer,) = await server.until(lambda: server.ephemerals("ann"))
        await server.user_presses(offer["id"], "Open the form", ann)
        assert server.modals("ann")[0].title == CONTACT.title


async def test_an_interaction_that_could_not_be_stored_says_so(adapter, server, sink, dana):
    ident = await card(adapter, server, CLAIM)
    sink.broken = True
    pressed = await server.user_presses(ident, "Claim", dana)
    assert "nothing was changed" in pressed.ephemerals[0]["content"]


async def test_61_a_forgotten_interaction_becomes_a_direct_message(adapter, server, sink, dana):
    """§7.61: 10062 on the acknowledgement; what has to be said comes as a DM."""
    ident = await card(adapter, server, CLAIM)
    server.fail("POST", "/callback$", 404, code=10062)
    pressing = asyncio.create_task(server.user_presses(ident, "Claim", dana))
    event = await sink.event("action")
    await server.until(lambda: [c for c in server.calls if c.path.endswith("/callback") and c.status])
    op = Private(event.place, event.actor, say("It is yours."), interaction=event.keys[0])
    await adapter.deliver(op, 0, "k")
    assert [m["content"] for m in server.dms("dana")] == ["It is yours."]
    pressing.cancel()
    await asyncio.gather(pressing, return_exceptions=True)


async def test_40060_is_no_error(adapter, server, sink, dana):
    ident = await card(adapter, server, CLAIM)
    server.drop("POST", "/callback$", after=True)
    pressed = await server.user_presses(ident, "Claim", dana)
    assert (await sink.event("action")).verb == "claim"
    assert pressed.response == 6
    sink.answers = lambda _event: CONTACT
    server.drop("POST", "/callback$", after=True)
    await server.user_presses(ident, "Claim", dana)
    await server.until(lambda: [c for c in server.calls if c.status == 400])
    assert len(server.modals("dana")) == 1
    assert server.ephemerals("dana") == []


async def test_an_acknowledgement_that_never_arrived_is_sent_again(adapter, server, sink, dana):
    ident = await card(adapter, server, CLAIM)
    server.drop("POST", "/callback$", after=False)
    assert (await server.user_presses(ident, "Claim", dana)).response == 6


async def test_private_after_the_token_expired_is_a_direct_message(adapter, server, sink, dana):
    ident = await card(adapter, server, CLAIM)
    await server.user_presses(ident, "Claim", dana)
    event = await sink.event("action")
    server.expire_interactions()
    await adapter.deliver(Private(event.place, event.actor, say("late"), interaction=event.keys[0]), 0, "k")
    assert [m["content"] for m in server.dms("dana")] == ["late"]


async def test_private_without_interaction_is_a_direct_message_or_forbidden(adapter, server, ann):
    person = Actor("discord", server.guild, ann)
    place = Place("discord", server.guild, server.id_of("help"))
    done = await adapter.deliver(Private(place, person, say("psst")), 0, "k")
    assert done.ref.place.kind == "dm"
    assert [m["content"] for m in server.dms("ann")] == ["psst"]
    server.close_dms("ann")
    with pytest.raises(Forbidden, match="direct messages"):
        await adapter.deliver(Private(place, person, say("psst again")), 0, "k2")


async def test_a_command_thinks_privately_until_its_answer_comes(adapter, server, sink, ann):
    asked = await server.user_command("ask", {"question": "how long do refunds take?"}, "ann", "help")
    event = await sink.event("command")
    assert (event.name, event.text) == ("ask", "how long do refunds take?")
    assert event.args == {"question": "how long do refunds take?"}
    assert asked.thinking
    long = Content(tuple(Block("para", ((Span("word " * 300),),)) for _ in range(2)))
    op = Private(event.place, event.actor, long, interaction=event.keys[0])
    assert adapter.parts(op) == 2
    for part in range(2):
        await adapter.deliver(op, part, "k")
    assert not asked.thinking
    assert [m["content"][:5] for m in server.ephemerals("ann")] == ["word ", "word "]
    assert server.messages("help") == []


async def test_thinking_does_not_stand_for_ever(server, sink, ann):
    timing = dataclasses.replace(QUICK, thinking=0.01)
    async with connected(server, sink, timing=timing):
        asked = await server.user_command("status", {}, ann, "help")
        await server.until(lambda: not asked.shown)


async def test_a_command_in_a_thread_belongs_there(adapter, server, sink, ann):
    thread = await server.user_starts_thread("help", ann, "x")
    await server.user_command("tickets", {}, ann, thread)
    event = await sink.event("command")
    assert event.place == Place("discord", server.guild, server.id_of("help"), thread)


async def test_62_where_the_bot_does_not_help_it_says_so(server, sink, ann, dana):
    """§7.62: commands and context menus are offered in every channel, also where the bot may not be."""
    world = server.world
    hidden = world.add_channel("hidden", overwrites=[world.overwrite(server.bot, 1, deny=VIEW)])
    async with connected(server, sink, channels={server.id_of("general"): "off"}):
        made = [await server.user_command("ask", {"question": "anything"}, ann, "general")]
        for place in ("general", hidden):
            message = await server.user_says(place, ann, "where is my invoice?")
            made.append(await server.user_context_menu("Get help with this", message, dana))
        await server.user_command("ask", {"question": "for my eyes only"}, ann, hidden)
        await sink.event("command")
    assert ["do not help in this channel" in m.ephemerals[0]["content"] for m in made] == [True] * 3
    assert [e.text for e in sink.events] == ["for my eyes only"]


async def test_every_verb_is_a_command_with_its_options(adapter, server, sink, ann):
    (command,) = [c for c in server.world.commands if c["name"] == "firstline"]
    verbs = {o["name"] for o in command["options"]}
    assert verbs == set(COMMANDS)
    given = [
        ("incident", {"text": "Exports are slow", "action": "open"}, "open Exports are slow"),
        ("reload", {"action": "force"}, "force"),
        ("reply", {"text": "On it!", "ticket": "T-7"}, "T-7 On it!"),
        ("transfer", {"to": ann, "ticket": "T-7"}, f"T-7 {ann}"),
        ("status", {}, ""),
    ]
    for verb, options, _ in given:
        await server.user_command(verb, options, ann, "help")
    assert [(e.name, e.text) for e in sink.of("command")] == [(verb, text) for verb, _, text in given]
    assert sink.of("command")[2].args == {"ticket": "T-7", "text": "On it!"}


async def test_autocomplete_offers_what_the_core_knows(adapter, server, sink, ann):
    asked = []

    def options(option, typed):
        asked.append((option, typed))
        return [(f"T-{i}", f"T-{i} " + "x" * 150) for i in range(40)]

    sink.options = options
    found = await server.autocomplete("claim", "ticket", "T-", ann, "help")
    assert asked == [("ticket", "T-")]
    assert (len(found), found[0]["value"], len(found[0]["name"])) == (25, "T-0", 100)


@pytest.mark.parametrize(
    ("menu", "verb"), [("Get help with this", "help"), ("Escalate this message", "escalate")]
)
async def test_62_context_menus_name_the_message(adapter, server, sink, ann, dana, menu, verb):
    """§7.62"""
    ident = await server.user_says("help", ann, "it <@999> *breaks*")
    await server.user_context_menu(menu, ident, dana)
    event = await sink.event("message_action")
    assert (event.verb, event.target.id, event.target_author.id, event.actor.id) == (verb, ident, ann, dana)
    assert event.target_text == "it @someone *breaks*"
    assert event.target == sink.of("message")[0].ref


async def test_unknown_buttons_are_acknowledged_and_ignored(adapter, server, sink, ann):
    room = server.world.channel("help")
    row = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Old", "custom_id": "v0:claim"}]}
    message = server.world.new_message(room, server.bot, "from another life", components=[row])
    pressed = await server.user_presses(message["id"], "Old", ann)
    assert pressed.response == 6
    assert not sink.events


async def test_more_than_fits_is_refused_before_it_is_sent(adapter, server):
    place = Place("discord", server.guild, server.staff)
    with pytest.raises(Rejected, match="characters long"):
        await adapter.deliver(Post(place, say("x", Button("v", "a" * 120, "L"))), 0, "k")
    with pytest.raises(Rejected, match="25 are possible"):
        await adapter.deliver(Post(place, say("x", *[Button("v", str(i), "L") for i in range(26)])), 0, "k")
