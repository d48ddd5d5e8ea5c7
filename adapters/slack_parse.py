"""What Slack's payloads have in common, pure: text as a person reads it, people, places, files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adapters.port import Actor, FileRef, MsgRef, Place

Json = Mapping[str, Any]
Kind = Literal["channel", "private", "dm", "forum"]

TEXT_SUBTYPES = frozenset({None, "file_share", "thread_broadcast", "me_message"})
ENTITY = re.compile(r"<([^<>]*)>")
MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
KINDS: Mapping[str, Kind] = {"channel": "channel", "group": "private", "mpim": "private", "im": "dm"}


@dataclass(frozen=True, slots=True)
class Us:
    """Who we are in this workspace, and what we know of its channels."""

    tenant: str
    user: str
    bot: str = ""
    app: str = ""
    enterprise: str = ""
    staff_channel: str = ""
    kinds: Mapping[str, Kind] = field(default_factory=dict)


# --- text ------------------------------------------------------------------------------------------------


def mentioned(text: str) -> list[str]:
    """The ids of the people whom `text` mentions, each once."""
    return list(dict.fromkeys(MENTION.findall(text)))


def plain(text: str, us: Us, names: Mapping[str, str]) -> str:
    """Slack's mrkdwn as a person reads it: names for ids, links with their target, entities decoded."""

    def readable(match: re.Match[str]) -> str:
        target, _, label = match.group(1).partition("|")
        if target.startswith("@"):
            return (
                ""
                if target[1:] == us.user
                else f"@{names.get(target[1:]) or label.lstrip('@') or target[1:]}"
            )
        if target.startswith("#"):
            return f"#{label or target[1:]}"
        if target.startswith("!"):
            return (
                label if target.startswith("!date") else f"@{(label or target[1:].split('^')[0]).lstrip('@')}"
            )
        bare = target.removeprefix("mailto:")
        return bare if not label or bare.endswith(label) else f"{label} ({bare})"

    read = ENTITY.sub(readable, text)
    if us.user in mentioned(text):
        read = re.sub(r"(?<=\S)[ \t]{2,}", " ", read)
    return read.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def order(ts: str) -> tuple[int, ...]:
    """`ts` is text and stays text; this is how it sorts."""
    seconds, _, fraction = ts.partition(".")
    return (int(seconds or 0), int(fraction or 0))


# --- people, places, files -------------------------------------------------------------------------------


def team_is_ours(team: str | None, us: Us) -> bool:
    return not team or team in {us.tenant, us.enterprise}


def actor_of(us: Us, user: str, team: str | None = None, name: str = "") -> Actor:
    return Actor("slack", us.tenant, user, name, external=not team_is_ours(team, us))


def kind_of(us: Us, channel: str, told: Kind | None) -> Kind:
    if channel == us.staff_channel:
        return "private"
    return told or us.kinds.get(channel) or ("dm" if channel.startswith("D") else "channel")


def place_of(
    us: Us, channel: str, thread: str | None, *, told: Kind | None = None, external: bool = False
) -> Place:
    return Place("slack", us.tenant, channel, thread, kind_of(us, channel, told), external)


def message_place(us: Us, channel: str, message: Json, told: Kind | None, *, external: bool) -> Place:
    """In channels an answer belongs under the root; a DM is one conversation unless somebody opened a thread."""
    place = place_of(us, channel, message.get("thread_ts"), told=told, external=external)
    if place.kind == "dm" or place.thread is not None:
        return place
    return place_of(us, channel, str(message["ts"]), told=told, external=external)


def files_of(message: Json, place: Place) -> tuple[FileRef, ...]:
    source = MsgRef(place, str(message["ts"])) if "ts" in message else None
    return tuple(
        FileRef(str(file["id"]), str(file.get("name") or file.get("title") or file["id"]),
                file.get("mimetype"), file.get("size"), source)
        for file in message.get("files") or ()
        if file.get("mode") not in {"tombstone", "hidden_by_limit"}
    )  # fmt: skip


def is_bot(message: Json, us: Us) -> bool:
    return bool(
        message.get("bot_id")
        or message.get("bot_profile")
        or (us.app and message.get("app_id") == us.app)
        or message.get("user") in {None, "USLACKBOT", us.user}
    )


def message_text(message: Json, us: Us, names: Mapping[str, str]) -> str:
    """The words of a message; of a forwarded message also the words that were forwarded."""
    parts = [plain(str(message.get("text") or ""), us, names)]
    for attachment in message.get("attachments") or ():
        if attachment.get("is_share") or attachment.get("is_msg_unfurl") or not parts[0]:
            parts.append(plain(str(attachment.get("text") or attachment.get("fallback") or ""), us, names))
    return "\n".join(part for part in parts if part)
