"""What comes in, pure: golden payloads in Slack's documented shapes, and what they mean for us."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.codec import dump_inbound, load_inbound
from adapters.port import (
    ActionInvoked,
    CommandInvoked,
    FileRef,
    FormSubmitted,
    HomeOpened,
    InstallChanged,
    MemberLeft,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Place,
    ReactionChanged,
    ThreadChanged,
)
from adapters.slack_events import parse_event
from adapters.slack_gestures import parse_gesture
from adapters.slack_parse import Us, mentioned, order, plain

US = Us("T1", "UBOT", bot="BBOT", app="ABOT", staff_channel="CDESK", kinds={"CPRIV": "private"})
NAMES = {"U1": "Ana", "U2": "Bob"}


def event(inner: dict[str, Any], **outer: Any) -> Any:
    body = {"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "event": inner, **outer}
    found = parse_event(body, US, NAMES, 0)
    if found is not None:
        assert load_inbound(dump_inbound(found)) == found
    return found


def gesture(body: dict[str, Any]) -> Any:
    found = parse_gesture(body, US, NAMES, 1700000000.25)
    if found is not None:
        assert load_inbound(dump_inbound(found)) == found
    return found


MESSAGE = {
    "type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "text": "hello", "team": "T1",
    "ts": "1700000001.000200", "event_ts": "1700000001.000200", "client_msg_id": "cm-1",
}  # fmt: skip


# --- text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "read"),
    [
        ("<@UBOT> how do I pay?", "how do I pay?"),
        ("hi <@UBOT|firstline> and <@U1>", "hi and @Ana"),
        ("<@U9|nina> said so", "@nina said so"),
        ("<@U9> said so", "@U9 said so"),
        ("see <#C2|general> or <#C3>", "see #general or #C3"),
        ("<!here> <!channel> <!subteam^S1|@oncall>", "@here @channel @oncall"),
        ("<!date^1392734382^{date}|18 February>", "18 February"),
        ("<https://example.com>", "https://example.com"),
        ("<https://example.com|example.com>", "https://example.com"),
        ("<http://evil.example|https://good.example>", "https://good.example (http://evil.example)"),
        ("<mailto:a@b.c|a@b.c>", "a@b.c"),
        ("a &lt; b &amp;&amp; b &gt; c", "a < b && b > c"),
        ("&amp;lt; stays", "&lt; stays"),
        ("  :wave:  ", ":wave:"),
        ("", ""),
    ],
)
def test_text_is_read_as_a_person_reads_it(wire: str, read: str) -> None:
    """§1.7: names for ids, the real target of a masked link, entities decoded exactly once."""
    assert plain(wire, US, NAMES) == read


def test_mentions_are_listed_once() -> None:
    assert mentioned("<@U1> <@U2|bob> <@U1> <!here> @U3") == ["U1", "U2"]


def test_ids_sort_as_numbers_and_stay_text() -> None:
    """`ts` must never become a float: 1.000200 and 1.0002 are different ids."""
    stamps = ["1700000001.000200", "999999999.999999", "1700000001.000010"]
    assert sorted(stamps, key=order) == ["999999999.999999", "1700000001.000010", "1700000001.000200"]


# --- messages --------------------------------------------------------------------------------------------


def test_a_channel_message_belongs_to_its_own_thread() -> None:
    found = event(MESSAGE)
    place = Place("slack", "T1", "C1", "1700000001.000200")
    assert isinstance(found, MessageReceived)
    assert found.place == place
    assert found.keys == ("slack:ev:Ev1", "slack:msg:T1:C1:1700000001.000200", "slack:cm:T1:U1:cm-1")
    assert found.order == (1700000001, 200)
    assert (found.is_root, found.mentions_bot, found.text) == (True, False, "hello")


def test_a_reply_belongs_to_the_root() -> None:
    found = event({**MESSAGE, "thread_ts": "1700000000.000100"})
    assert found.place.thread == "1700000000.000100"
    assert not found.is_root


def test_a_root_with_replies_is_still_a_root() -> None:
    assert event({**MESSAGE, "thread_ts": MESSAGE["ts"]}).is_root


def test_a_direct_message_is_one_conversation() -> None:
    found = event({**MESSAGE, "channel": "D1", "channel_type": "im"})
    assert found.place == Place("slack", "T1", "D1", None, "dm")
    assert found.is_root


def test_a_mention_twin_has_the_same_logical_key() -> None:
    """18: `app_mention` and `message` have different event ids, and app_mention often lacks channel_type."""
    twin = {k: v for k, v in MESSAGE.items() if k not in {"channel_type", "client_msg_id"}}
    first = event({**MESSAGE, "text": "<@UBOT> hi"})
    second = event({**twin, "type": "app_mention", "text": "<@UBOT> hi"}, event_id="Ev2")
    assert set(first.keys) & set(second.keys) == {"slack:msg:T1:C1:1700000001.000200"}
    assert first.mentions_bot
    assert second.mentions_bot
    assert second.place == first.place


def test_the_same_message_delivered_eleven_times_has_one_logical_key() -> None:
    """T-DEL-1: eleven deliveries with different event ids and no retry header."""
    found = [event(MESSAGE, event_id=f"Ev{n}") for n in range(11)]
    assert len({f.keys[0] for f in found}) == 11
    assert len({f.keys[1] for f in found}) == 1


def test_one_gesture_delivered_as_two_messages_shares_its_key() -> None:
    """19: Slack once delivered one gesture under two ts."""
    first, second = event(MESSAGE), event({**MESSAGE, "ts": "1700000022.000100"}, event_id="Ev2")
    assert set(first.keys) & set(second.keys) == {"slack:cm:T1:U1:cm-1"}


@pytest.mark.parametrize("subtype", [None, "file_share", "thread_broadcast", "me_message"])
def test_what_people_write_is_read(subtype: str | None) -> None:
    """27: also "send to channel" replies, /me, and files without a word."""
    more = {"subtype": subtype} if subtype else {}
    assert isinstance(event({**MESSAGE, **more}), MessageReceived)


@pytest.mark.parametrize(
    "subtype",
    [
        "bot_message", "channel_join", "channel_leave", "channel_topic", "channel_purpose", "channel_name",
        "channel_archive", "channel_convert_to_private", "message_replied", "tombstone", "assistant_app_thread",
        "ekm_access_denied", "reminder_add", "pinned_item", "something_new",
    ],
)  # fmt: skip
def test_system_messages_are_ignored(subtype: str) -> None:
    """20, 30: the subtypes are an allow-list, so what Slack invents next is ignored too."""
    assert event({**MESSAGE, "subtype": subtype}) is None


@pytest.mark.parametrize(
    "who",
    [{"bot_id": "BOTHER"}, {"bot_profile": {"id": "B1"}}, {"app_id": "ABOT"}, {"user": "USLACKBOT"}, {"user": "UBOT"},
     {"user": None}, {"hidden": True}],
)  # fmt: skip
def test_bots_and_ourselves_are_ignored(who: dict[str, Any]) -> None:
    """25: own messages, other bots (also without a subtype), Slackbot."""
    assert event({**MESSAGE, **who}) is None


def test_files_are_references() -> None:
    """27: no lasting address; deleted files are left out."""
    files = [
        {"id": "F1", "name": "log.txt", "mimetype": "text/plain", "size": 12, "url_private": "https://…"},
        {"id": "F2", "mode": "tombstone"},
    ]
    found = event({**MESSAGE, "subtype": "file_share", "text": "", "files": files})
    assert found.text == ""
    assert found.files == (FileRef("F1", "log.txt", "text/plain", 12, MsgRef(found.place, MESSAGE["ts"])),)
    assert found.unsupported == ""


def test_forwarded_words_are_read() -> None:
    """T-REL-4: a shared message arrives as something readable."""
    found = event(
        {**MESSAGE, "text": "look", "attachments": [{"is_share": True, "text": "it is <@U2>", "id": 1}]}
    )
    assert found.text == "look\nit is @Bob"
    empty = event({**MESSAGE, "text": "", "attachments": [{"fallback": "[no preview available]"}]})
    assert empty.text == "[no preview available]"
    assert (
        event({**MESSAGE, "text": "", "blocks": [{"type": "image"}]}).unsupported == "a message without text"
    )


def test_people_of_another_company_are_external() -> None:
    """29: Slack Connect; the place is external too."""
    found = event({**MESSAGE, "team": "T1", "user_team": "T9"}, is_ext_shared_channel=True)
    assert found.actor.external
    assert found.place.external
    assert not event({**MESSAGE, "user_team": "T1"}).actor.external


def test_the_staff_channel_and_known_channels_are_private() -> None:
    assert event({**MESSAGE, "channel": "CDESK", "channel_type": "channel"}).place.kind == "private"
    assert event({**MESSAGE, "channel": "CPRIV", "channel_type": None}).place.kind == "private"


# --- edits and deletions ---------------------------------------------------------------------------------


def changed(before: dict[str, Any], after: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "message", "subtype": "message_changed", "hidden": True, "channel": "C1", "channel_type": "channel",
        "ts": "1700000009.000100", "event_ts": "1700000009.000100", "message": after, "previous_message": before, **more,
    }  # fmt: skip


def test_an_edit_is_an_edit_when_the_words_differ() -> None:
    after = {**MESSAGE, "text": "hello again", "edited": {"user": "U1", "ts": "1700000008.000000"}}
    found = event(changed(MESSAGE, after))
    assert isinstance(found, MessageEdited)
    assert found.text == "hello again"
    assert found.ref.id == MESSAGE["ts"]
    assert found.keys == ("slack:ev:Ev1", f"slack:edit:T1:C1:{MESSAGE['ts']}:1700000008.000000")


def test_a_link_preview_is_no_edit() -> None:
    """26: message_changed with the same words and the same files."""
    assert (
        event(changed(MESSAGE, {**MESSAGE, "attachments": [{"from_url": "https://x", "text": "X", "id": 1}]}))
        is None
    )


def test_a_new_file_is_an_edit() -> None:
    after = {**MESSAGE, "files": [{"id": "F1", "name": "a.png", "mimetype": "image/png", "size": 1}]}
    assert [file.id for file in event(changed(MESSAGE, after)).files] == ["F1"]


def test_edits_by_bots_are_ignored() -> None:
    """25: our own card edits come back as message_changed."""
    ours = {**MESSAGE, "bot_id": "BBOT", "user": "UBOT"}
    assert event(changed(ours, {**ours, "text": "new"})) is None


def test_a_deletion_names_thread_and_author() -> None:
    before = {**MESSAGE, "thread_ts": "1700000000.000100"}
    found = event({
        "type": "message", "subtype": "message_deleted", "channel": "C1", "channel_type": "channel", "hidden": True,
        "ts": "1700000009.000100", "deleted_ts": MESSAGE["ts"], "previous_message": before,
    })  # fmt: skip
    assert isinstance(found, MessageDeleted)
    assert found.place.thread == "1700000000.000100"
    assert found.actor.id == "U1"
    assert found.keys[1] == f"slack:del:T1:C1:{MESSAGE['ts']}"


def test_a_root_that_became_a_tombstone_was_deleted() -> None:
    """Slack keeps a deleted root with replies, and says so as an edit."""
    stone = {**MESSAGE, "subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted."}
    assert isinstance(event(changed(MESSAGE, stone)), MessageDeleted)


def test_deleting_a_bot_message_is_nobodys_business() -> None:
    before = {**MESSAGE, "bot_id": "BBOT"}
    assert event({"type": "message", "subtype": "message_deleted", "channel": "C1", "deleted_ts": "1.2", "ts": "1.3",
                  "previous_message": before}) is None  # fmt: skip


# --- the other events ------------------------------------------------------------------------------------


def test_a_reaction_on_our_answer() -> None:
    item = {"type": "message", "channel": "C1", "ts": "1700000001.000200"}
    body = {"type": "reaction_added", "user": "U1", "reaction": "thumbsup::skin-tone-3", "item_user": "UBOT",
            "item": item, "event_ts": "1700000003.000000"}  # fmt: skip
    found = event(body)
    assert isinstance(found, ReactionChanged)
    assert (found.emoji, found.added, found.ref.id) == ("+1", True, "1700000001.000200")
    assert event({**body, "type": "reaction_removed"}).added is False
    assert event({**body, "item_user": "U2"}) is None
    assert event({**body, "item": {"type": "file", "file": "F1"}}) is None


@pytest.mark.parametrize(
    ("inner", "kind", "state"),
    [
        ({"type": "app_uninstalled"}, InstallChanged, "uninstalled"),
        ({"type": "tokens_revoked", "tokens": {"bot": ["UBOT"]}}, InstallChanged, "revoked"),
        ({"type": "channel_shared", "channel": "CDESK"}, InstallChanged, "became_external"),
        (
            {"type": "member_joined_channel", "user": "UBOT", "channel": "C1"},
            InstallChanged,
            "joined_channel",
        ),
        ({"type": "member_left_channel", "user": "UBOT", "channel": "C1"}, InstallChanged, "left_channel"),
        ({"type": "channel_archive", "channel": "C1", "user": "U1"}, ThreadChanged, "archived"),
        ({"type": "group_unarchive", "channel": "C1", "user": "U1"}, ThreadChanged, "unarchived"),
        ({"type": "channel_deleted", "channel": "C1"}, ThreadChanged, "deleted"),
    ],
)
def test_changes_of_the_installation(inner: dict[str, Any], kind: type, state: str) -> None:
    found = event(inner)
    assert isinstance(found, kind)
    assert found.state == state


def test_an_agent_who_leaves_the_staff_channel() -> None:
    found = event({"type": "member_left_channel", "user": "U2", "channel": "CDESK"})
    assert isinstance(found, MemberLeft)
    assert found.who == "U2"
    assert event({"type": "member_left_channel", "user": "U2", "channel": "C1"}) is None


def test_the_home_tab() -> None:
    assert isinstance(
        event({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home"}), HomeOpened
    )
    assert event({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "messages"}) is None


@pytest.mark.parametrize(
    "inner",
    [
        {"type": "team_join"},
        {"type": "tokens_revoked", "tokens": {"oauth": ["U1"]}},
        {},
        {"type": "star_added"},
    ],
)
def test_unknown_events_are_ignored(inner: dict[str, Any]) -> None:
    """20: acknowledged (elsewhere) and ignored."""
    assert event(inner) is None


# --- gestures --------------------------------------------------------------------------------------------

PRESS = {
    "type": "block_actions", "user": {"id": "U1", "username": "ana", "team_id": "T1"}, "team": {"id": "T1"},
    "container": {"type": "message", "message_ts": "1700000001.000200", "channel_id": "C1", "is_ephemeral": False},
    "channel": {"id": "C1", "name": "help"}, "message": {"ts": "1700000001.000200", "thread_ts": "1700000000.000100"},
    "trigger_id": "1.2.3", "response_url": "https://hooks.slack.com/x",
    "actions": [{"action_id": "fl1:claim", "block_id": "b1", "value": "T-7", "type": "button",
                 "action_ts": "1700000005.000001"}],
}  # fmt: skip


def test_a_button() -> None:
    found = gesture(PRESS)
    assert isinstance(found, ActionInvoked)
    assert (found.verb, found.arg, found.value) == ("claim", "T-7", "")
    assert found.place == Place("slack", "T1", "C1", "1700000000.000100")
    assert found.source == MsgRef(found.place, "1700000001.000200")
    assert found.keys == ("slack:act:C1:1700000001.000200:U1:1700000005.000001",)


def test_a_button_on_a_root_message_belongs_to_its_thread() -> None:
    found = gesture({**PRESS, "message": {"ts": "1700000001.000200"}})
    assert found.place.thread == "1700000001.000200"


def test_a_numbered_button_and_a_select() -> None:
    numbered = {**PRESS["actions"][0], "action_id": "fl1:rate:4", "value": "T-7:4"}
    assert (
        gesture({**PRESS, "actions": [numbered]}).verb,
        gesture({**PRESS, "actions": [numbered]}).arg,
    ) == ("rate", "T-7:4")
    chosen = {"action_id": "fl1:priority", "block_id": "fl1:T-7", "type": "static_select", "action_ts": "1.2",
              "selected_option": {"text": {"type": "plain_text", "text": "P1"}, "value": "P1"}}  # fmt: skip
    found = gesture({**PRESS, "actions": [chosen]})
    assert (found.verb, found.arg, found.value) == ("priority", "T-7", "P1")


def test_a_button_in_a_dm_and_on_an_ephemeral_message() -> None:
    dm = {**PRESS, "channel": {"id": "D1", "name": "directmessage"}, "message": {"ts": "1700000001.000200"},
          "container": {**PRESS["container"], "channel_id": "D1"}}  # fmt: skip
    assert gesture(dm).place == Place("slack", "T1", "D1", None, "dm")
    ephemeral = {k: v for k, v in PRESS.items() if k != "message"} | {
        "container": {**PRESS["container"], "is_ephemeral": True}
    }
    found = gesture(ephemeral)
    assert found.source is None
    assert found.place.thread is None


@pytest.mark.parametrize("action_id", ["claim", "fl2:claim", "fl1:", "", "other:fl1:claim"])
def test_buttons_that_we_did_not_make_are_ignored(action_id: str) -> None:
    """T-SEC-5: nothing is read into a foreign id."""
    assert gesture({**PRESS, "actions": [{**PRESS["actions"][0], "action_id": action_id}]}) is None


def test_a_message_shortcut() -> None:
    message = {
        "type": "message",
        "user": "U2",
        "ts": "1700000002.000100",
        "text": "it is <@U1>'s",
        "team": "T9",
    }
    found = gesture({
        "type": "message_action", "callback_id": "fl1:help", "user": {"id": "U1", "name": "ana"}, "team": {"id": "T1"},
        "channel": {"id": "C1", "name": "help"}, "message": message, "action_ts": "1700000003.000001",
    })  # fmt: skip
    assert isinstance(found, MessageAction)
    assert (found.verb, found.target_text, found.target_author.id) == ("help", "it is @Ana's", "U2")
    assert found.target_author.external
    assert found.target == MsgRef(Place("slack", "T1", "C1", "1700000002.000100"), "1700000002.000100")


def test_a_form() -> None:
    values = {
        "email": {"email": {"type": "email_text_input", "value": "ana@example.com"}},
        "kind": {"kind": {"type": "static_select", "selected_option": {"value": "bug"}}},
        "day": {"day": {"type": "datepicker", "selected_date": "2026-11-26"}},
        "note": {"note": {"type": "plain_text_input", "value": None}},
        "proof": {
            "proof": {"type": "file_input", "files": [{"id": "F1", "name": "a.png", "mimetype": "image/png"}]}
        },
    }
    found = gesture({
        "type": "view_submission", "user": {"id": "U1", "name": "ana", "team_id": "T1"}, "team": {"id": "T1"},
        "view": {"id": "V1", "hash": "h1", "type": "modal", "callback_id": "fl1:contact", "state": {"values": values},
                 "private_metadata": '{"context":"d-17","channel":"C1","thread":"1.2","kind":"channel"}'},
    })  # fmt: skip
    assert isinstance(found, FormSubmitted)
    assert (found.form, found.context, found.place) == ("contact", "d-17", Place("slack", "T1", "C1", "1.2"))
    assert found.values == {
        "email": "ana@example.com", "kind": "bug", "day": "2026-11-26", "note": "", "proof": "",
    }  # fmt: skip
    assert [file.id for file in found.files] == ["F1"]
    assert found.keys == ("slack:view:V1:h1",)
    assert "ana@example.com" not in repr(found)  # 52: private values do not reach a log by accident


@pytest.mark.parametrize("metadata", ["", "not json", "[1]", None])
def test_a_form_with_foreign_metadata_is_read_without_context(metadata: str | None) -> None:
    shown = {"id": "V1", "hash": "h", "callback_id": "fl1:x", "private_metadata": metadata, "state": {}}
    found = gesture({"type": "view_submission", "user": {"id": "U1"}, "view": shown})
    assert (found.context, found.place.channel, found.place.kind) == ("", "", "dm")


COMMAND = {
    "command": "/firstline", "text": "", "channel_id": "C1", "channel_name": "help", "user_id": "U1",
    "user_name": "ana", "team_id": "T1", "trigger_id": "1.2.3",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "rest"),
    [
        ("", "help", ""),
        ("status", "status", ""),
        ("Search  how to pay", "search", "how to pay"),
        ("why &lt;this&gt; <@U2|bob>", "why", "<this> @Bob"),
        ("reload payload docs", "reload", "payload docs"),
    ],
)
def test_a_command(text: str, name: str, rest: str) -> None:
    found = gesture({**COMMAND, "text": text})
    assert isinstance(found, CommandInvoked)
    assert (found.name, found.text, found.keys) == (name, rest, ("slack:cmd:1.2.3",))
    assert found.place == Place("slack", "T1", "C1")


def test_a_command_in_a_dm() -> None:
    assert gesture({**COMMAND, "channel_id": "D1", "channel_name": "directmessage"}).place.kind == "dm"


@pytest.mark.parametrize(
    "body", [{}, {"type": "app_rate_limited"}, {"type": "view_closed"}, {"type": "shortcut"}]
)
def test_other_payloads_mean_nothing(body: dict[str, Any]) -> None:
    """24: app_rate_limited has no inner event."""
    assert gesture(body) is None
