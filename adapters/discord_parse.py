"""From Discord's words to ours, pure: raw gateway and REST objects to inbound events."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from adapters.port import (
    ActionInvoked,
    Actor,
    CommandInvoked,
    FileRef,
    FormSubmitted,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Place,
    ReactionChanged,
)

Raw = Mapping[str, Any]
SPOKEN = frozenset({0, 19})  # default and reply; every other type is Discord talking about itself
EPOCH_MS = 1_420_070_400_000
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
CONTEXT_VERBS = {"Get help with this": "help", "Escalate this message": "escalate"}
_FIRST = ("ticket", "action")
EMOJI = {
    "👍": "+1",
    "👎": "-1",
    "✅": "white_check_mark",
    "❌": "x",
    "👀": "eyes",
    "⏳": "hourglass_flowing_sand",
    "🎉": "tada",
    "❤️": "heart",
    "🙏": "pray",
    "⚠️": "warning",
    "🔒": "lock",
    "✏️": "pencil2",
}
_TOKEN = re.compile(
    r"<(?:@!?(?P<user>\d+)|@&(?P<role>\d+)|#(?P<channel>\d+)|a?:(?P<emoji>\w+):\d+"
    r"|/(?P<command>[^:>]+):\d+|t:(?P<time>-?\d+)(?::[a-zA-Z])?|id:(?P<guide>\w+))>"
)


@dataclass(frozen=True, slots=True)
class Room:
    """A place where messages stand: a channel, a thread or a direct message. `private`: not for everybody."""

    id: str
    tenant: str
    kind: Literal["text", "thread", "dm", "forum"] = "text"
    parent: str = ""
    parent_is_forum: bool = False
    private: bool = False
    title: str = ""
    tags: tuple[str, ...] = ()

    def place(self, message: str | None = None) -> Place:
        """Where an answer to `message` belongs: a thread made from a message gets the message's id."""
        if self.kind == "dm":
            return Place("discord", self.tenant, self.id, None, "dm")
        kind: Literal["private", "channel"] = "private" if self.private else "channel"
        if self.kind == "thread":
            return Place(
                "discord", self.tenant, self.parent, self.id, "forum" if self.parent_is_forum else kind
            )
        return Place("discord", self.tenant, self.id, message, kind)


@dataclass(frozen=True, slots=True)
class Names:
    """Looks up what mentions call by number only. Roles and channels come from the connection's cache."""

    me: str
    role: Callable[[str], str | None] = lambda _id: None
    channel: Callable[[str], str | None] = lambda _id: None


def seconds(snowflake: str | int) -> float:
    """When the thing with this id came to be."""
    return ((int(snowflake) >> 22) + EPOCH_MS) / 1000


def snowflake(moment: float) -> int:
    """The smallest id of that moment."""
    return max(0, int(moment * 1000) - EPOCH_MS) << 22


def iso_seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def spoken(message: Raw, me: str) -> bool:
    """Did a person write this? Bots, webhooks, our own and Discord's own messages are not."""
    author = message.get("author") or {}
    return not (
        message.get("type", 0) not in SPOKEN
        or message.get("webhook_id")
        or author.get("bot")
        or author.get("system")
        or not author
        or str(author.get("id")) == me
    )


def plain(text: str, message: Raw, names: Names) -> str:
    """What a reader sees: mentions as names, emoji as words, our own mention gone."""
    users = {str(u["id"]): u for u in message.get("mentions", [])}

    def shown(match: re.Match[str]) -> str:
        if user := match["user"]:
            if user == names.me:
                return ""
            known = users.get(user)
            return f"@{_display(known)}" if known else "@someone"
        if role := match["role"]:
            return f"@{names.role(role) or 'a role'}"
        if channel := match["channel"]:
            return f"#{names.channel(channel) or 'a channel'}"
        if match["emoji"]:
            return f":{match['emoji']}:"
        if match["time"]:
            return _moment(match["time"])
        return f"/{match['command']}" if match["command"] else f"#{match['guide']}"

    return re.sub(r"(?m)[ \t]+$", "", _TOKEN.sub(shown, text)).strip()


def _moment(stamp: str) -> str:
    try:
        return datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return stamp


def _display(user: Raw) -> str:
    nick = (user.get("member") or {}).get("nick")
    return str(nick or user.get("global_name") or user.get("username") or user["id"])


def files(message: Raw, source: MsgRef | None) -> tuple[FileRef, ...]:
    """By the message in which they stand; a form's uploads stand in none and keep their address."""
    return tuple(
        FileRef(
            id=str(a["id"]),
            name=str(a.get("filename") or "file"),
            mime=a.get("content_type"),
            size=a.get("size"),
            source=source,
            url="" if source is not None else str(a.get("url") or ""),
        )
        for a in message.get("attachments", [])
    )


def _forwarded(message: Raw) -> Raw | None:
    snapshots = message.get("message_snapshots") or []
    return snapshots[0].get("message") if snapshots else None


def unsupported(message: Raw) -> str:
    """What the message holds besides text and files, in a word; empty: nothing."""
    if stickers := message.get("sticker_items"):
        return f"sticker: {stickers[0].get('name', '')}"
    if poll := message.get("poll"):
        return f"poll: {(poll.get('question') or {}).get('text', '')}"
    if int(message.get("flags") or 0) & (1 << 13):
        return "voice message"
    if _forwarded(message) is not None:
        return "forwarded message"
    if not message.get("content") and message.get("embeds"):
        return "embed"
    if not message.get("content") and message.get("components"):
        return "components"
    return ""


def body(message: Raw, names: Names) -> str:
    """The message's text; a forwarded message speaks with the text that it carries."""
    own = plain(str(message.get("content") or ""), message, names)
    carried = _forwarded(message)
    if carried is None:
        return own
    quoted = plain(str(carried.get("content") or ""), carried, names)
    return f"{own}\n{quoted}".strip()


def parse_message(
    message: Raw, room: Room, actor: Actor, names: Names, *, catchup: bool = False
) -> MessageReceived:
    """A person's message, live or from history."""
    ident = str(message["id"])
    place = room.place(ident)
    ref = MsgRef(place, ident)
    starter = room.kind == "thread" and room.parent_is_forum and room.id == ident
    replied = message.get("message_reference") or {}
    is_reply = message.get("type") == 19 and replied.get("message_id")  # noqa: PLR2004
    carried = _forwarded(message)
    attached = files(message, ref) + (files(carried, ref) if carried else ())
    return MessageReceived(
        keys=(f"discord:msg:{ident}",),
        place=place,
        actor=actor,
        occurred_at=iso_seconds(str(message["timestamp"])) if message.get("timestamp") else seconds(ident),
        order=(int(ident),),
        catchup=catchup,
        ref=ref,
        text=body(message, names),
        files=attached,
        mentions_bot=any(str(u["id"]) == names.me for u in message.get("mentions", [])),
        is_root=starter or room.kind in {"text", "dm"},
        reply_to=MsgRef(room.place(str(replied["message_id"])), str(replied["message_id"]))
        if is_reply
        else None,
        title=room.title if starter else "",
        tags=room.tags if starter else (),
        unsupported=unsupported(message),
    )


def parse_edit(message: Raw, room: Room, actor: Actor | None, names: Names) -> MessageEdited | None:
    """A person's edit; None for what Discord changes itself (link previews carry no edit time)."""
    stamp = message.get("edited_timestamp")
    if not stamp or "content" not in message:
        return None
    ident = str(message["id"])
    ref = MsgRef(room.place(ident), ident)
    return MessageEdited(
        keys=(f"discord:edit:{ident}:{stamp}",),
        place=ref.place,
        actor=actor,
        occurred_at=iso_seconds(str(stamp)),
        order=(int(ident),),
        ref=ref,
        text=body(message, names),
        files=files(message, ref),
    )


def parse_delete(ident: str, room: Room, now: float) -> MessageDeleted:
    ref = MsgRef(room.place(ident), ident)
    return MessageDeleted(
        keys=(f"discord:del:{ident}",),
        place=ref.place,
        actor=None,
        occurred_at=now,
        order=(int(ident),),
        ref=ref,
    )


def parse_reaction(data: Raw, room: Room, actor: Actor, now: float, *, added: bool) -> ReactionChanged:
    ident = str(data["message_id"])
    ref = MsgRef(room.place(ident), ident)
    emoji = str((data.get("emoji") or {}).get("name") or "")
    verb = "add" if added else "del"
    return ReactionChanged(
        keys=(f"discord:react:{ident}:{actor.id}:{emoji}:{verb}:{int(now * 1000)}",),
        place=ref.place,
        actor=actor,
        occurred_at=now,
        order=(int(ident),),
        ref=ref,
        emoji=EMOJI.get(emoji, EMOJI.get(emoji + "\ufe0f", emoji)),
        added=added,
    )


# --- interactions ------------------------------------------------------------------------------------------


def split_id(ident: str) -> tuple[str, str, str]:
    """(prefix, verb, arg) of one of our ids; empty strings for somebody else's."""
    prefix, _, rest = ident.partition(":")
    verb, _, arg = rest.partition(":")
    return (prefix, verb, arg) if prefix in {"fl1", "fl1c"} else ("", "", "")


def parse_interaction(
    raw: Raw, room: Room, actor: Actor, names: Names
) -> CommandInvoked | ActionInvoked | MessageAction | FormSubmitted | None:
    """A command, press, choice, context menu or submitted form; None for what is not ours."""
    data: Raw = raw.get("data") or {}
    match raw["type"]:
        case 2 if data.get("type", 1) == 1:
            return _command(raw, data, room, actor)
        case 2:
            return _context_menu(raw, data, room, actor, names)
        case 3:
            return _press(raw, data, room, actor)
        case 5:
            return _form(raw, data, room, actor)
        case _:
            return None


def _shared(raw: Raw, place: Place, actor: Actor) -> dict[str, Any]:
    ident = str(raw["id"])
    return {
        "keys": (f"discord:int:{ident}",),
        "place": place,
        "actor": actor,
        "occurred_at": seconds(ident),
        "order": (int(ident),),
    }


def _command(raw: Raw, data: Raw, room: Room, actor: Actor) -> CommandInvoked | None:
    options = data.get("options") or []
    if data.get("name") != "firstline" or not options:
        return None
    verb = options[0]
    given = {str(o["name"]): str(o.get("value", "")) for o in verb.get("options") or []}
    # As one line, a command names its ticket or its action first, in whatever order they were filled in.
    args = {name: given[name] for name in (*_FIRST, *given) if name in given}
    return CommandInvoked(
        **_shared(raw, room.place(), actor),
        name=str(verb["name"]),
        text=" ".join(value for value in args.values() if value),
        args=args,
    )


def _context_menu(raw: Raw, data: Raw, room: Room, actor: Actor, names: Names) -> MessageAction | None:
    verb = CONTEXT_VERBS.get(str(data.get("name")))
    target = str(data.get("target_id") or "")
    message = ((data.get("resolved") or {}).get("messages") or {}).get(target)
    if verb is None or message is None:
        return None
    author = message.get("author") or {"id": "0"}
    place = room.place(target)
    return MessageAction(
        **_shared(raw, place, actor),
        verb=verb,
        target=MsgRef(place, target),
        target_text=body(message, names),
        target_author=Actor(
            platform="discord",
            tenant=room.tenant,
            id=str(author["id"]),
            name=_display(author),
            is_bot=bool(author.get("bot")),
            is_self=str(author["id"]) == names.me,
        ),
    )


def _press(raw: Raw, data: Raw, room: Room, actor: Actor) -> ActionInvoked | None:
    _, verb, arg = split_id(str(data.get("custom_id") or ""))
    if not verb:
        return None
    message = raw.get("message") or {}
    ephemeral = int(message.get("flags") or 0) & (1 << 6)
    source = MsgRef(room.place(), str(message["id"])) if message and not ephemeral else None
    values = data.get("values") or []
    return ActionInvoked(
        **_shared(raw, room.place(), actor),
        verb=verb,
        arg=arg,
        source=source,
        value=str(values[0]) if values else "",
    )


def _form(raw: Raw, data: Raw, room: Room, actor: Actor) -> FormSubmitted | None:
    _, form, context = split_id(str(data.get("custom_id") or ""))
    if not form:
        return None
    attachments = (data.get("resolved") or {}).get("attachments") or {}
    values, uploaded = _values(data.get("components") or [], attachments)
    return FormSubmitted(
        **_shared(raw, room.place(), actor), form=form, context=context, values=values, files=uploaded
    )


def _values(components: list[Raw], attachments: Raw) -> tuple[dict[str, str], tuple[FileRef, ...]]:
    """What was typed, chosen and uploaded, from labels (18) and from older rows (1)."""
    values: dict[str, str] = {}
    uploaded: list[FileRef] = []
    for outer in components:
        inner = [outer["component"]] if "component" in outer else outer.get("components") or []
        for item in inner:
            chosen = [str(v) for v in item.get("values") or []]
            if item.get("type") == 19:  # noqa: PLR2004 - file upload
                uploaded += files({"attachments": [attachments[c] for c in chosen if c in attachments]}, None)
            values[str(item["custom_id"])] = str(item.get("value") or ", ".join(chosen))
    return values, tuple(uploaded)
