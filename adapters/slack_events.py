"""Slack's Events API, pure: a payload in, our words out, `None` for what nobody should react to.

Subtypes are an allow-list. Bots, system messages and ourselves never become events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.port import (
    HomeOpened,
    Inbound,
    InstallChanged,
    MemberLeft,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    ReactionChanged,
    ThreadChanged,
)
from adapters.slack_parse import (
    KINDS,
    TEXT_SUBTYPES,
    Json,
    Kind,
    Us,
    actor_of,
    files_of,
    is_bot,
    mentioned,
    message_place,
    message_text,
    order,
    place_of,
)

ALIASES: Mapping[str, str] = {"thumbsup": "+1", "thumbsdown": "-1"}


def parse_event(body: Json, us: Us, names: Mapping[str, str], attempt: int) -> Inbound | None:
    event: Json = body.get("event") or {}
    key = f"slack:ev:{body.get('event_id', '')}"
    external = bool(body.get("is_ext_shared_channel"))
    match event.get("type"):
        case "message" | "app_mention":
            return parse_message_event(event, us, names, key=key, attempt=attempt, external=external)
        case "reaction_added" | "reaction_removed":
            return _parse_reaction(event, us, key, attempt)
        case "app_home_opened" if event.get("tab", "home") == "home":
            return HomeOpened(**_common(us, event, (key,), str(event.get("channel", "")), attempt, told="dm"))
    return _parse_membership(event, us, key, attempt)


def _common(
    us: Us, event: Json, keys: tuple[str, ...], channel: str, attempt: int, *, told: Kind | None = None
) -> dict[str, Any]:
    ts = str(event.get("event_ts") or event.get("ts") or "0")
    user = event.get("user")
    return {
        "keys": keys,
        "place": place_of(us, channel, None, told=told),
        "actor": actor_of(us, str(user), event.get("user_team") or event.get("team"))
        if isinstance(user, str)
        else None,
        "occurred_at": float(ts),
        "order": order(ts),
        "attempt": attempt,
    }


def parse_message_event(
    event: Json,
    us: Us,
    names: Mapping[str, str],
    *,
    key: str = "",
    attempt: int = 0,
    external: bool = False,
    catchup: bool = False,
    told: Kind | None = None,
) -> Inbound | None:
    """A message, an edit or a deletion; also a message read back from the history (`catchup`, no delivery key)."""
    channel = str(event.get("channel", ""))
    told = told or KINDS.get(str(event.get("channel_type", "")))
    subtype = event.get("subtype")
    if subtype == "message_changed":
        return _parse_edit(event, us, names, channel, told, key, attempt, external=external, catchup=catchup)
    if subtype == "message_deleted":
        return _parse_deletion(event, us, channel, told, key, attempt, external=external)
    if subtype not in TEXT_SUBTYPES or event.get("hidden") or is_bot(event, us):
        return None
    ts = str(event["ts"])
    user = str(event["user"])
    place = message_place(us, channel, event, told, external=external)
    text = message_text(event, us, names)
    files = files_of(event, place)
    keys = [key] if key else []
    keys.append(f"slack:msg:{us.tenant}:{channel}:{ts}")
    if event.get("client_msg_id"):
        keys.append(f"slack:cm:{us.tenant}:{user}:{event['client_msg_id']}")
    return MessageReceived(
        keys=tuple(keys),
        place=place,
        actor=actor_of(us, user, event.get("user_team") or event.get("team")),
        occurred_at=float(ts),
        order=order(ts),
        attempt=attempt,
        catchup=catchup,
        ref=MsgRef(place, ts),
        text=text,
        files=files,
        mentions_bot=us.user in mentioned(str(event.get("text") or "")),
        is_root=event.get("thread_ts") in {None, ts},
        unsupported="" if text or files else "a message without text",
    )


def _parse_edit(
    event: Json,
    us: Us,
    names: Mapping[str, str],
    channel: str,
    told: Kind | None,
    key: str,
    attempt: int,
    *,
    external: bool,
    catchup: bool = False,
) -> Inbound | None:
    """Only when words or files differ: Slack sends the same event for every link preview."""
    message: Json = event.get("message") or {}
    before: Json = event.get("previous_message") or {}
    if message.get("subtype") == "tombstone":
        gone = {**event, "deleted_ts": message.get("ts"), "previous_message": before}
        return _parse_deletion(gone, us, channel, told, key, attempt, external=external)
    if message.get("subtype") not in TEXT_SUBTYPES or is_bot(message, us):
        return None
    ts = str(message["ts"])
    place = message_place(us, channel, message, told, external=external)
    text, files = message_text(message, us, names), files_of(message, place)
    if (
        before
        and text == message_text(before, us, names)
        and [f.id for f in files] == [f.id for f in files_of({**before, "ts": ts}, place)]
    ):
        return None
    stamp = str((message.get("edited") or {}).get("ts") or event.get("event_ts") or ts)
    return MessageEdited(
        keys=(*filter(None, (key,)), f"slack:edit:{us.tenant}:{channel}:{ts}:{stamp}"),
        place=place,
        actor=actor_of(us, str(message["user"]), message.get("user_team") or message.get("team")),
        occurred_at=float(stamp),
        order=order(stamp),
        attempt=attempt,
        catchup=catchup,
        ref=MsgRef(place, ts),
        text=text,
        files=files,
    )


def _parse_deletion(
    event: Json,
    us: Us,
    channel: str,
    told: Kind | None,
    key: str,
    attempt: int,
    *,
    external: bool,
) -> Inbound | None:
    before: Json = event.get("previous_message") or {}
    if before and is_bot(before, us):
        return None
    ts = str(event["deleted_ts"])
    place = message_place(us, channel, {**before, "ts": ts}, told, external=external)
    stamp = str(event.get("event_ts") or event.get("ts") or ts)
    return MessageDeleted(
        keys=(*filter(None, (key,)), _deletion_key(us, channel, ts)),
        place=place,
        actor=actor_of(us, str(before["user"]), before.get("team")) if before.get("user") else None,
        occurred_at=float(stamp),
        order=order(stamp),
        attempt=attempt,
        ref=MsgRef(place, ts),
    )


def deletion(us: Us, ref: MsgRef, now: float) -> MessageDeleted:
    """A message that is no longer there, found out about by reading back at `now`."""
    return MessageDeleted(
        keys=(_deletion_key(us, ref.place.channel, ref.id),),
        place=ref.place,
        actor=None,
        occurred_at=now,
        order=order(f"{now:.6f}"),
        catchup=True,
        ref=ref,
    )


def _deletion_key(us: Us, channel: str, ts: str) -> str:
    return f"slack:del:{us.tenant}:{channel}:{ts}"


def _parse_reaction(event: Json, us: Us, key: str, attempt: int) -> Inbound | None:
    """Only on what we said, and in the staff channel; the payload does not tell the thread of the message."""
    item: Json = event.get("item") or {}
    channel = str(item.get("channel", ""))
    ours = event.get("item_user") == us.user
    if item.get("type") != "message" or not (ours or channel == us.staff_channel):
        return None
    emoji = str(event.get("reaction", "")).split("::")[0]
    common = _common(us, event, (key,), channel, attempt)
    ref = MsgRef(common["place"], str(item["ts"]))
    return ReactionChanged(
        **common, ref=ref, emoji=ALIASES.get(emoji, emoji), added=event["type"] == "reaction_added"
    )


def _parse_membership(event: Json, us: Us, key: str, attempt: int) -> Inbound | None:
    channel = str(event.get("channel") or "")
    common = _common(us, event, (key,), channel, attempt)
    ours = event.get("user") == us.user
    match event.get("type"):
        case "app_uninstalled":
            return InstallChanged(**common, state="uninstalled")
        case "tokens_revoked" if us.user in ((event.get("tokens") or {}).get("bot") or ()):
            return InstallChanged(**common, state="revoked")
        case "channel_shared":
            return InstallChanged(**common, state="became_external")
        case "member_joined_channel" if ours:
            return InstallChanged(**common, state="joined_channel")
        case "member_left_channel" if ours:
            return InstallChanged(**common, state="left_channel")
        case "member_left_channel" if channel == us.staff_channel:
            return MemberLeft(**common, who=str(event["user"]))
        case "channel_archive" | "group_archive":
            return ThreadChanged(**common, state="archived")
        case "channel_unarchive" | "group_unarchive":
            return ThreadChanged(**common, state="unarchived")
        case "channel_deleted" | "group_deleted":
            return ThreadChanged(**common, state="deleted")
    return None
