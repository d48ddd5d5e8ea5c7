"""The state of the local Slack: people, channels, messages, files, views. No network, no waiting."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.slack.blocks import texts

TEAM = "T0LOCAL"
BOT_USER = "U0FIRSTLINE"
BOT = "B0FIRSTLINE"
APP = "A0FIRSTLINE"
BOT_TOKEN = "xoxb-local-bot"
APP_TOKEN = "xapp-local-app"
SIGNING_SECRET = "local-signing-secret"
TRIGGER_SECONDS = 3.0

Message = dict[str, Any]


def sortable(ts: str) -> tuple[int, int]:
    seconds, _, rest = ts.partition(".")
    return int(seconds or 0), int(rest or 0)


def readable(message: Message) -> str:
    """The words of a message or view as a person reads them: blocks first, entities decoded."""
    words = "\n".join(texts(message.get("blocks") or [])) or str(message.get("text", ""))
    return html.unescape(re.sub(r"<(?:https?|mailto)[^|>]*\|([^>]*)>", r"\1", words))


def buttons(message: Message) -> list[dict[str, Any]]:
    """Every button of a message, view or ephemeral."""
    return [
        {**element, "block_id": block.get("block_id", "")}
        for block in message.get("blocks") or []
        if block["type"] == "actions"
        for element in block["elements"]
        if element["type"] == "button"
    ]


@dataclass
class Channel:
    id: str
    name: str
    kind: str = "channel"  # channel | group | im
    members: set[str] = field(default_factory=set)
    ext_shared: bool = False
    archived: bool = False
    messages: dict[str, Message] = field(default_factory=dict)

    def replies(self, root: str) -> list[Message]:
        found = [m for ts, m in self.messages.items() if m.get("thread_ts") == root and ts != root]
        return sorted(found, key=lambda m: sortable(m["ts"]))

    def in_order(self) -> list[Message]:
        return sorted(self.messages.values(), key=lambda m: sortable(m["ts"]))


class Workspace:
    """Everything that Slack remembers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.users: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, set[str]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.ephemerals: list[Message] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self.triggers: dict[str, tuple[str, float]] = {}
        self.response_urls: dict[str, dict[str, Any]] = {}
        self._count = 0
        self._last_ts = (0, 0)
        self.add_user("firstline", ident=BOT_USER, is_bot=True)

    def number(self) -> int:
        self._count += 1
        return self._count

    def ts(self) -> str:
        """A fresh, ever growing message id."""
        now = self.clock()
        stamp = (int(now), int((now % 1) * 1_000_000))
        if stamp <= self._last_ts:
            stamp = (self._last_ts[0], self._last_ts[1] + 1)
        self._last_ts = stamp
        return f"{stamp[0]}.{stamp[1]:06d}"

    # --- people and channels ---------------------------------------------------------------------------------

    def add_user(
        self,
        name: str,
        *,
        ident: str = "",
        team: str = TEAM,
        email: str = "",
        is_bot: bool = False,
        **flags: Any,
    ) -> str:
        ident = ident or f"U{self.number():06d}{re.sub('[^A-Z]', '', name.upper())}"
        profile = {"display_name": name, "real_name": name}
        if email:
            profile["email"] = email
        self.users[ident] = {
            "id": ident, "name": name, "team_id": team, "is_bot": is_bot, "deleted": False, "is_admin": False,
            "is_owner": False, "is_stranger": team != TEAM, "profile": profile, **flags,
        }  # fmt: skip
        return ident

    def add_channel(
        self, name: str, *, members: Iterable[str] = (), private: bool = False, bot: bool = True, ident: str = "",
        ext_shared: bool = False,
    ) -> str:  # fmt: skip
        ident = ident or f"C{self.number():06d}{re.sub('[^A-Z]', '', name.upper())}"
        people = {self.user(member) for member in members} | ({BOT_USER} if bot else set())
        kind = "group" if private else "channel"
        self.channels[ident] = Channel(ident, name, kind, people, ext_shared)
        return ident

    def user(self, name_or_id: str) -> str:
        """The id for a name; ids pass. A name that nobody has is an error of the test."""
        if name_or_id in self.users:
            return name_or_id
        for ident, user in self.users.items():
            if user["name"] == name_or_id:
                return ident
        raise KeyError(f"nobody here is called {name_or_id!r}")

    def channel(self, name_or_id: str) -> Channel:
        if name_or_id in self.channels:
            return self.channels[name_or_id]
        for channel in self.channels.values():
            if channel.name == name_or_id:
                return channel
        raise KeyError(f"there is no channel {name_or_id!r}")

    def dm(self, user: str) -> Channel:
        ident = self.user(user)
        for channel in self.channels.values():
            if channel.kind == "im" and ident in channel.members:
                return channel
        channel = Channel(f"D{self.number():06d}", f"dm-{ident}", "im", {ident, BOT_USER})
        self.channels[channel.id] = channel
        return channel

    # --- messages ----------------------------------------------------------------------------------------------

    def find(self, ts: str) -> tuple[Channel | None, Message]:
        for channel in self.channels.values():
            if ts in channel.messages:
                return channel, channel.messages[ts]
        for message in self.ephemerals:
            if message["ts"] == ts:
                return self.channels[message["channel"]], message
        raise KeyError(f"there is no message {ts}")

    def escape(self, text: str) -> str:
        """What Slack's composer makes of typed words: entities, and @name as a mention."""
        escaped = html.escape(text, quote=False)
        for ident, user in sorted(self.users.items(), key=lambda pair: -len(pair[1]["name"])):
            escaped = re.sub(rf"@{re.escape(user['name'])}\b", f"<@{ident}>", escaped)
        return escaped

    def write(self, channel: Channel, user: str, text: str, thread_ts: str | None, **more: Any) -> Message:
        """A person's message as the Events API and the history show it."""
        message: Message = {
            "type": "message", "user": user, "text": text, "ts": self.ts(), "team": self.users[user]["team_id"],
            "client_msg_id": f"00000000-0000-4000-8000-{self.number():012d}", **more,
        }  # fmt: skip
        if thread_ts is not None:
            message["thread_ts"] = thread_ts
            self.mark_root(channel, thread_ts, message["ts"])
        channel.messages[message["ts"]] = message
        return message

    def mark_root(self, channel: Channel, root: str, reply: str) -> None:
        parent = channel.messages[root]
        parent["thread_ts"] = root
        parent["reply_count"] = parent.get("reply_count", 0) + 1
        parent["latest_reply"] = reply

    def delete(self, channel: Channel, ts: str) -> Message:
        """A root with replies stays as a tombstone, as in Slack."""
        message = channel.messages.pop(ts)
        if channel.replies(ts):
            channel.messages[ts] = {
                "type": "message", "subtype": "tombstone", "ts": ts, "thread_ts": ts, "user": "USLACKBOT",
                "text": "This message was deleted.", "hidden": True, "reply_count": message.get("reply_count", 0),
            }  # fmt: skip
        return message

    # --- what expires ------------------------------------------------------------------------------------------

    def trigger(self, user: str) -> str:
        ident = f"{self.number()}.trigger"
        self.triggers[ident] = (user, self.clock() + TRIGGER_SECONDS)
        return ident

    def add_file(self, name: str, data: bytes, mime: str, user: str, ident: str = "") -> dict[str, Any]:
        ident = ident or f"F{self.number():06d}"
        self.files[ident] = {"id": ident, "name": name, "title": name, "mimetype": mime, "size": len(data),
                             "user": user, "mode": "hosted", "is_external": False}  # fmt: skip
        self.contents[ident] = data
        return self.files[ident]
