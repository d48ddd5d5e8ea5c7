"""Slack's interactive payloads, pure: buttons, shortcuts, forms and commands, as our words."""

from __future__ import annotations

import json
from collections.abc import Mapping

from adapters.port import (
    ActionInvoked,
    Actor,
    CommandInvoked,
    FileRef,
    FormSubmitted,
    Inbound,
    MessageAction,
    MsgRef,
    Place,
)
from adapters.slack_parse import (
    Json,
    Kind,
    Us,
    actor_of,
    kind_of,
    message_place,
    message_text,
    order,
    place_of,
    plain,
)

ACTION_PREFIX = "fl1"
CHANNEL_NAMES: Mapping[str, Kind] = {"directmessage": "dm", "privategroup": "private"}


def parse_gesture(body: Json, us: Us, names: Mapping[str, str], now: float) -> Inbound | None:
    """A press, a shortcut, a form or a command; `now` is for the payloads that carry no time."""
    if "command" in body:
        return _parse_command(body, us, names, now)
    match body.get("type"):
        case "block_actions":
            return _parse_action(body, us, now)
        case "message_action":
            return _parse_message_action(body, us, names, now)
        case "view_submission":
            return _parse_submission(body, us, now)
    return None


def _verb(identifier: object) -> str | None:
    """`fl1:claim` or `fl1:rate:2` -> the verb; anything else was not made by us."""
    prefix, _, rest = str(identifier or "").partition(":")
    return rest.split(":")[0] if prefix == ACTION_PREFIX and rest else None


def _presser(body: Json, us: Us) -> Actor:
    user: Json = body.get("user") or {}
    team = user.get("team_id") or (body.get("team") or {}).get("id")
    return actor_of(us, str(user.get("id", "")), team, str(user.get("name") or user.get("username") or ""))


def _pressed_at(body: Json, us: Us) -> Place:
    """Where a button stands: the thread under its message, or the person's own DM for the home tab (channel "")."""
    container: Json = body.get("container") or {}
    channel: Json = body.get("channel") or {}
    message: Json = body.get("message") or {}
    told = CHANNEL_NAMES.get(str(channel.get("name", "")))
    ident = str(channel.get("id") or container.get("channel_id") or "")
    if not ident:
        return Place("slack", us.tenant, "", None, "dm")
    thread = message.get("thread_ts") or container.get("thread_ts")
    ts = message.get("ts") or container.get("message_ts")
    if (
        thread is None
        and ts is not None
        and kind_of(us, ident, told) != "dm"
        and not container.get("is_ephemeral")
    ):
        thread = str(ts)
    return place_of(us, ident, thread, told=told)


def _parse_action(body: Json, us: Us, now: float) -> Inbound | None:
    action: Json = (body.get("actions") or [{}])[0]
    verb = _verb(action.get("action_id"))
    if verb is None:
        return None
    container: Json = body.get("container") or {}
    place, actor = _pressed_at(body, us), _presser(body, us)
    message_ts = str(container.get("message_ts") or (body.get("message") or {}).get("ts") or "")
    stamp = str(action.get("action_ts") or now)
    chosen = action.get("selected_option")
    editable = message_ts and not container.get("is_ephemeral")
    return ActionInvoked(
        keys=(f"slack:act:{place.channel}:{message_ts}:{actor.id}:{stamp}",),
        place=place,
        actor=actor,
        occurred_at=float(stamp),
        order=order(stamp),
        verb=verb,
        arg=str(action.get("value") or "") if chosen is None else str(_verb(action.get("block_id")) or ""),
        source=MsgRef(place, message_ts) if editable else None,
        value=str(chosen["value"]) if chosen else "",
    )


def _parse_message_action(body: Json, us: Us, names: Mapping[str, str], now: float) -> Inbound | None:
    verb = _verb(body.get("callback_id"))
    message: Json = body.get("message") or {}
    if verb is None or "ts" not in message:
        return None
    channel: Json = body.get("channel") or {}
    told = CHANNEL_NAMES.get(str(channel.get("name", "")))
    place = message_place(us, str(channel.get("id", "")), message, told, external=False)
    actor = _presser(body, us)
    stamp = str(body.get("action_ts") or now)
    author = actor_of(us, str(message.get("user") or message.get("bot_id") or ""), message.get("team"))
    if message.get("bot_id"):
        author = Actor("slack", us.tenant, author.id, is_bot=True, is_self=message.get("user") == us.user)
    return MessageAction(
        keys=(f"slack:msgact:{place.channel}:{message['ts']}:{actor.id}:{stamp}",),
        place=place,
        actor=actor,
        occurred_at=float(stamp),
        order=order(stamp),
        verb=verb,
        target=MsgRef(place, str(message["ts"])),
        target_text=message_text(message, us, names),
        target_author=author,
    )


def _parse_submission(body: Json, us: Us, now: float) -> Inbound | None:
    shown: Json = body.get("view") or {}
    form = _verb(shown.get("callback_id"))
    if form is None:
        return None
    try:
        metadata = json.loads(str(shown.get("private_metadata") or "{}"))
    except ValueError:
        metadata = {}
    if not isinstance(metadata, dict):
        metadata = {}
    values, files = _values((shown.get("state") or {}).get("values") or {})
    channel = str(metadata.get("channel") or "")
    place = place_of(us, channel, metadata.get("thread"), told=metadata.get("kind") if channel else "dm")
    return FormSubmitted(
        keys=(f"slack:view:{shown.get('id')}:{shown.get('hash')}",),
        place=place,
        actor=_presser(body, us),
        occurred_at=now,
        order=order(f"{now:.6f}"),
        form=form,
        context=str(metadata.get("context") or ""),
        values=values,
        files=files,
    )


def _values(blocks: Json) -> tuple[dict[str, str], tuple[FileRef, ...]]:
    values: dict[str, str] = {}
    files: list[FileRef] = []
    for block_id, actions in blocks.items():
        for state in actions.values():
            chosen = state.get("selected_option") or {}
            found = state.get("value") or chosen.get("value") or state.get("selected_date") or ""
            values[str(block_id)] = str(found)
            files += [
                FileRef(str(f["id"]), str(f.get("name") or f["id"]), f.get("mimetype"), f.get("size"))
                for f in state.get("files") or ()
            ]
    return values, tuple(files)


def _parse_command(body: Json, us: Us, names: Mapping[str, str], now: float) -> Inbound | None:
    told = CHANNEL_NAMES.get(str(body.get("channel_name", "")))
    verb, _, rest = plain(str(body.get("text") or ""), us, names).partition(" ")
    return CommandInvoked(
        keys=(f"slack:cmd:{body.get('trigger_id', '')}",),
        place=place_of(us, str(body.get("channel_id", "")), None, told=told),
        actor=actor_of(
            us, str(body.get("user_id", "")), body.get("team_id"), str(body.get("user_name") or "")
        ),
        occurred_at=now,
        order=order(f"{now:.6f}"),
        name=verb.lower() or "help",
        text=rest.strip(),
    )
