"""Discord's objects become our events: payloads as Discord sends them, word for word, and what must follow."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.discord_commands import VERBS, definitions, same
from adapters.discord_invite import PERMISSIONS, invite, setup_text
from adapters.discord_parse import (
    Names,
    Room,
    parse_edit,
    parse_interaction,
    parse_message,
    plain,
    seconds,
    snowflake,
    split_id,
    spoken,
)
from adapters.discord_people import ADMINISTRATOR, VIEW_CHANNEL, GuildFacts, facts_of, roles_of
from adapters.port import (
    ActionInvoked,
    Actor,
    CommandInvoked,
    FileRef,
    FormSubmitted,
    MessageReceived,
    MsgRef,
    Place,
)

ME = "1100000000000000001"
ANN = {
    "id": "80351110224678912",
    "username": "ann",
    "global_name": "Ann",
    "discriminator": "0",
    "avatar": "8342729096ea3675442027381ff50dfe",
    "public_flags": 64,
}
ACTOR = Actor("discord", "197038439483310086", ANN["id"], "Ann")
ROOM = Room("290926798999357250", "197038439483310086")
MESSAGE = {
    "id": "334385199974967042",
    "type": 0,
    "channel_id": ROOM.id,
    "author": ANN,
    "content": f"<@{ME}> Supa <b>hot</b> & *cool*",
    "timestamp": "2017-07-11T17:27:07.299000+00:00",
    "edited_timestamp": None,
    "tts": False,
    "mention_everyone": False,
    "mentions": [{"id": ME, "username": "firstline", "bot": True}],
    "mention_roles": [],
    "attachments": [
        {
            "id": "334385199974967000",
            "filename": "error.log",
            "size": 12,
            "url": "https://cdn.discordapp.com/attachments/1/2/error.log?ex=1&is=2&hm=3",
            "proxy_url": "https://media.discordapp.net/attachments/1/2/error.log",
            "content_type": "text/plain; charset=utf-8",
        }
    ],
    "embeds": [],
    "pinned": False,
}
NAMES = Names(ME, role={"7": "Billing"}.get, channel={"8": "help"}.get)


def test_a_message_word_for_word():
    place = Place("discord", ROOM.tenant, ROOM.id, "334385199974967042")
    ref = MsgRef(place, "334385199974967042")
    assert parse_message(MESSAGE, ROOM, ACTOR, NAMES) == MessageReceived(
        keys=("discord:msg:334385199974967042",),
        place=place,
        actor=ACTOR,
        occurred_at=1499794027.299,
        order=(334385199974967042,),
        ref=ref,
        text="Supa <b>hot</b> & *cool*",
        files=(FileRef("334385199974967000", "error.log", "text/plain; charset=utf-8", 12, ref),),
        mentions_bot=True,
        is_root=True,
    )


def test_an_edit_needs_an_edit_time_and_text():
    assert parse_edit(MESSAGE, ROOM, ACTOR, NAMES) is None
    edited = MESSAGE | {"edited_timestamp": "2017-07-11T17:30:00+00:00", "content": "new"}
    event = parse_edit(edited, ROOM, ACTOR, NAMES)
    assert event is not None
    assert event.keys == ("discord:edit:334385199974967042:2017-07-11T17:30:00+00:00",)
    assert (event.text, event.occurred_at) == ("new", 1499794200.0)
    assert parse_edit({"id": "1", "edited_timestamp": "2017-07-11T17:30:00+00:00"}, ROOM, None, NAMES) is None


def test_a_forwarded_message_speaks_with_what_it_carries():
    carried = {"content": "the original", "attachments": MESSAGE["attachments"]}
    raw = MESSAGE | {"content": "", "attachments": [], "message_snapshots": [{"message": carried}]}
    event = parse_message(raw, ROOM, ACTOR, NAMES)
    assert (event.text, event.unsupported, event.files[0].name) == (
        "the original",
        "forwarded message",
        "error.log",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"type": 7},
        {"type": 18},
        {"type": 21},
        {"webhook_id": "1"},
        {"author": ANN | {"bot": True}},
        {"author": ANN | {"system": True}},
        {"author": ANN | {"id": ME}},
        {"author": None},
    ],
)
def test_what_no_person_wrote(change):
    assert spoken(MESSAGE, ME)
    assert not spoken(MESSAGE | change, ME)


def test_mentions_in_words():
    message = {"mentions": [ANN | {"member": {"nick": "Annie"}}]}
    text = f"<@{ANN['id']}> <@!{ANN['id']}> <@&7> <@&9> <#8> <#9> <a:wave:1> </ask now:1> <id:guide> <t:99999999999999:R>"
    assert plain(text, message, NAMES) == (
        "@Annie @Annie @Billing @a role #help #a channel :wave: /ask now #guide 99999999999999"
    )


@given(st.text())
def test_any_text_can_be_read(text):
    plain(text, MESSAGE, NAMES)
    split_id(text)


@given(st.floats(1_420_070_400, 4_000_000_000))
def test_ids_tell_time(moment):
    assert abs(seconds(snowflake(moment)) - moment) < 0.002


def interaction(kind: int, data: dict, **more) -> dict:
    return {"id": "846462639134605312", "type": kind, "token": "t", "application_id": ME, "data": data} | more


def test_a_command_word_for_word():
    options = [{"name": "mode", "type": 1, "options": [{"name": "mode", "type": 3, "value": "draft"}]}]
    raw = interaction(2, {"id": "1", "name": "firstline", "type": 1, "options": options})
    assert parse_interaction(raw, ROOM, ACTOR, NAMES) == CommandInvoked(
        keys=("discord:int:846462639134605312",),
        place=Place("discord", ROOM.tenant, ROOM.id),
        actor=ACTOR,
        occurred_at=seconds("846462639134605312"),
        order=(846462639134605312,),
        name="mode",
        text="draft",
        args={"mode": "draft"},
    )
    assert (
        parse_interaction(interaction(2, {"name": "other", "options": options}), ROOM, ACTOR, NAMES) is None
    )


def test_a_press_and_a_choice():
    message = {"id": "5", "flags": 0}
    raw = interaction(3, {"custom_id": "fl1:csat:T-1:5", "component_type": 2}, message=message)
    event = parse_interaction(raw, ROOM, ACTOR, NAMES)
    assert isinstance(event, ActionInvoked)
    assert (event.verb, event.arg, event.value) == ("csat", "T-1:5", "")
    assert event.source == MsgRef(Place("discord", ROOM.tenant, ROOM.id), "5")
    raw["data"] |= {"values": ["five"]}
    raw["message"] = {"id": "5", "flags": 64}
    event = parse_interaction(raw, ROOM, ACTOR, NAMES)
    assert isinstance(event, ActionInvoked)
    assert (event.value, event.source) == ("five", None)
    raw["data"]["custom_id"] = "fl2:x"
    assert parse_interaction(raw, ROOM, ACTOR, NAMES) is None


def test_a_form_word_for_word():
    components = [
        {"type": 18, "id": 1, "component": {"type": 4, "id": 2, "custom_id": "email", "value": "a@b.org"}},
        {"type": 18, "id": 3, "component": {"type": 3, "id": 4, "custom_id": "kind", "values": ["bug"]}},
        {
            "type": 18,
            "id": 5,
            "component": {"type": 19, "id": 6, "custom_id": "proof", "values": ["9", "10"]},
        },
        {"type": 1, "components": [{"type": 4, "custom_id": "old", "value": "row"}]},
    ]
    resolved = {
        "attachments": {
            "9": {"id": "9", "filename": "a.png", "size": 3, "url": "https://cdn.discordapp.com/x"}
        }
    }
    raw = interaction(5, {"custom_id": "fl1:contact:T-1", "components": components, "resolved": resolved})
    event = parse_interaction(raw, ROOM, ACTOR, NAMES)
    assert isinstance(event, FormSubmitted)
    assert (event.form, event.context) == ("contact", "T-1")
    assert event.values == {"email": "a@b.org", "kind": "bug", "proof": "9, 10", "old": "row"}
    assert event.files == (FileRef("9", "a.png", None, 3, url="https://cdn.discordapp.com/x"),)


# --- permissions ---

GUILD = "10"
HIDDEN = {GUILD: (0, VIEW_CHANNEL), "staff": (VIEW_CHANNEL, 0)}


@pytest.mark.parametrize(
    ("user", "roles", "overwrites", "sees"),
    [
        ("u", [], {}, True),
        ("u", [], HIDDEN, False),
        ("u", ["staff"], HIDDEN, True),
        ("owner", [], HIDDEN, True),
        ("u", ["root"], HIDDEN, True),
        ("u", [], HIDDEN | {"u": (VIEW_CHANNEL, 0)}, True),
        ("u", ["staff"], HIDDEN | {"u": (0, VIEW_CHANNEL)}, False),
        ("u", ["staff", "muted"], HIDDEN | {"muted": (0, VIEW_CHANNEL)}, True),
    ],
)
def test_permissions_follow_discords_order(user, roles, overwrites, sees):
    facts = GuildFacts(GUILD, "owner", {GUILD: VIEW_CHANNEL, "staff": 0, "root": ADMINISTRATOR}, HIDDEN)
    assert bool(facts.inside(overwrites, user, frozenset(roles)) & VIEW_CHANNEL) is sees


def test_roles_without_a_known_guild_are_those_listed():
    none: frozenset[str] = frozenset()
    assert roles_of("u", none, None, none, none) == none
    assert roles_of("u", none, None, frozenset({"u"}), frozenset({"u"})) == {"agent", "admin"}
    raw = {"id": GUILD, "owner_id": "o", "roles": [{"id": GUILD, "permissions": str(VIEW_CHANNEL)}]}
    assert not facts_of(raw, []).staff_is_private()
    assert not facts_of(raw, None).staff_is_private()
    assert roles_of("o", none, facts_of(raw, []), none, none) == {"admin"}


# --- commands, invitation ---


def test_the_command_set_is_recognised_whatever_discord_adds_and_any_change_is_seen():
    for guild in ("", "1"):
        known = [{"id": "1", "version": "2", "nsfw": False, **c} for c in reversed(definitions(guild))]
        assert same(known)
    for number, verb in enumerate(VERBS):
        changed = definitions("1")
        changed[0]["options"][number] = verb | {"description": "changed"}
        assert not same(changed)
    assert not same(definitions("1")[:-1])
    assert not same([])


def test_the_invitation_asks_for_what_the_documentation_names():
    page = (Path(__file__).parent.parent.parent / "docs" / "discord.md").read_text("utf-8")
    for name in PERMISSIONS:
        assert name in page
    assert "client_id=42&permissions=" in invite("42")
    assert "scope=bot+applications.commands" in invite("42")
    assert invite("42") in setup_text("42")
    total = sum(bit for bit, _ in PERMISSIONS.values())
    assert f"permissions={total}&" in invite("42")
    for verb in VERBS:
        assert f"`{verb['name']}`" in page or f"firstline {verb['name']}`" in page
