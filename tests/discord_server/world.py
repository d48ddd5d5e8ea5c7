"""What Discord knows: guild, roles, members, channels, threads, messages. Plain API objects, nothing of HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

Raw = dict[str, Any]
EPOCH_MS = 1_420_070_400_000
TEXT, DM, FORUM, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 15, 11, 12
THREADS = {10, PUBLIC_THREAD, PRIVATE_THREAD}

VIEW, SEND, HISTORY, MANAGE_MESSAGES = 1 << 10, 1 << 11, 1 << 16, 1 << 13
REACT, EMBED, ATTACH = 1 << 6, 1 << 14, 1 << 15
MANAGE_THREADS, CREATE_THREADS, CREATE_PRIVATE, SEND_IN_THREADS = 1 << 34, 1 << 35, 1 << 36, 1 << 38
ADMINISTRATOR = 1 << 3
EVERYONE = VIEW | SEND | HISTORY | REACT | EMBED | ATTACH | CREATE_THREADS | SEND_IN_THREADS
BOT_NEEDS = EVERYONE | MANAGE_THREADS | CREATE_PRIVATE
ALL = (1 << 53) - 1


class Refused(Exception):
    """An API error: HTTP status, Discord's code, words."""

    def __init__(self, status: int, code: int, message: str = "", errors: Raw | None = None) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.code, self.message, self.errors = status, code, message, errors


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


class World:
    """One guild with one bot. Channels "help", "general", "forum" (tags Solved, billing) and a private "staff"."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._last = 0
        self.channels: dict[str, Raw] = {}
        self.messages: dict[str, dict[str, Raw]] = {}
        self.members: dict[str, Raw] = {}
        self.users: dict[str, Raw] = {}
        self.roles: dict[str, Raw] = {}
        self.commands: list[Raw] = []
        self.command_writes = 0
        self.nonces: dict[tuple[str, str], tuple[float, str, str]] = {}
        self.nonce_window = 180.0
        self.thread_members: dict[str, set[str]] = {}
        self.closed_dms: set[str] = set()
        self.files: dict[str, bytes] = {}
        self.link_generation = 0
        self.link_override: dict[str, str] = {}
        self.base = ""
        self.guild_id = self.snowflake()
        self.owner = self.snowflake()
        self.roles[self.guild_id] = self._role(self.guild_id, "@everyone", EVERYONE, 0)
        app = self.snowflake()
        self.app: Raw = {
            "id": app,
            "name": "Firstline",
            "description": "",
            "icon": None,
            "bot_public": False,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "flags": (1 << 19) | (1 << 15),
            "interactions_endpoint_url": None,
            "owner": {"id": self.owner, "username": "owner", "discriminator": "0", "avatar": None},
            "summary": "",
            "team": None,
        }
        self.bot = self.add_user("firstline", roles=(self.add_role("bot", BOT_NEEDS),), bot=True, ident=app)
        self.agents = self.add_role("agents")
        self.help = self.add_channel("help")
        self.general = self.add_channel("general")
        self.forum = self.add_channel("forum", FORUM, tags=("Solved", "billing"))
        hidden = [self.overwrite(self.guild_id, deny=VIEW), self.overwrite(self.agents, allow=VIEW)]
        self.staff = self.add_channel("staff", overwrites=[*hidden, self.overwrite(self.bot, 1, allow=VIEW)])

    # --- building ---

    def snowflake(self) -> str:
        """An id of this moment; later ids are always higher."""
        now = max(0, int(self.clock() * 1000) - EPOCH_MS) << 22
        self._last = max(self._last + 1, now)
        return str(self._last)

    def _role(self, ident: str, name: str, permissions: int, position: int) -> Raw:
        return {
            "id": ident,
            "name": name,
            "permissions": str(permissions),
            "position": position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }

    def add_role(self, name: str, permissions: int = 0) -> str:
        ident = self.snowflake()
        self.roles[ident] = self._role(ident, name, permissions, len(self.roles))
        return ident

    def add_user(
        self, name: str, *, roles: Iterable[str] = (), bot: bool = False, ident: str = "", member: bool = True
    ) -> str:
        ident = ident or self.snowflake()
        user = {"id": ident, "username": name, "global_name": None if bot else name, "discriminator": "0"}
        self.users[ident] = user | {"avatar": None, "bot": bot, "flags": 0}
        if member:
            self.members[ident] = {
                "user": self.users[ident],
                "roles": list(roles),
                "nick": None,
                "avatar": None,
                "joined_at": iso(self.clock()),
                "deaf": False,
                "mute": False,
                "flags": 0,
            }
        return ident

    @staticmethod
    def overwrite(ident: str, kind: int = 0, *, allow: int = 0, deny: int = 0) -> Raw:
        return {"id": ident, "type": kind, "allow": str(allow), "deny": str(deny)}

    def add_channel(
        self, name: str, kind: int = TEXT, *, overwrites: Iterable[Raw] = (), tags: Iterable[str] = ()
    ) -> str:
        ident = self.snowflake()
        channel: Raw = {
            "id": ident,
            "type": kind,
            "guild_id": self.guild_id,
            "name": name,
            "position": len(self.channels),
            "permission_overwrites": list(overwrites),
            "parent_id": None,
            "nsfw": False,
            "topic": None,
            "last_message_id": None,
            "rate_limit_per_user": 0,
        }
        if kind == FORUM:
            channel["available_tags"] = [
                {
                    "id": self.snowflake(),
                    "name": tag,
                    "moderated": False,
                    "emoji_id": None,
                    "emoji_name": None,
                }
                for tag in tags
            ]
            channel["flags"] = 0
        self.channels[ident] = channel
        self.messages[ident] = {}
        return ident

    def dm_channel(self, user: str) -> str:
        for channel in self.channels.values():
            if channel["type"] == DM and channel["recipients"][0]["id"] == user:
                return str(channel["id"])
        ident = self.snowflake()
        self.channels[ident] = {
            "id": ident,
            "type": DM,
            "recipients": [self.users[user]],
            "last_message_id": None,
        }
        self.messages[ident] = {}
        return ident

    def add_thread(
        self,
        parent: str,
        ident: str,
        name: str,
        owner: str,
        *,
        kind: int = PUBLIC_THREAD,
        tags: Iterable[str] = (),
    ) -> Raw:
        thread: Raw = {
            "id": ident,
            "type": kind,
            "guild_id": self.guild_id,
            "parent_id": parent,
            "owner_id": owner,
            "name": name,
            "last_message_id": None,
            "message_count": 0,
            "member_count": 1,
            "rate_limit_per_user": 0,
            "flags": 0,
            "applied_tags": list(tags),
            "thread_metadata": {
                "archived": False,
                "locked": False,
                "auto_archive_duration": 4320,
                "archive_timestamp": iso(self.clock()),
                "create_timestamp": iso(self.clock()),
            },
        }
        self.channels[ident] = thread
        self.messages[ident] = {}
        self.thread_members[ident] = {owner}
        return thread

    # --- looking ---

    def channel(self, ident: str) -> Raw:
        """By id or by name."""
        if ident in self.channels:
            return self.channels[ident]
        for channel in self.channels.values():
            if channel.get("name") == ident and channel["type"] not in THREADS:
                return channel
        raise Refused(404, 10003, "Unknown Channel")

    def user(self, ident: str) -> str:
        """A user's id, by id or by name."""
        if ident in self.users:
            return ident
        return next(i for i, user in self.users.items() if user["username"] == ident)

    def message(self, ident: str) -> Raw:
        for stored in self.messages.values():
            if ident in stored:
                return stored[ident]
        raise Refused(404, 10008, "Unknown Message")

    def permissions(self, channel: Raw, user: str) -> int:
        """Discord's algorithm: guild roles, then overwrites of the channel (a thread's are its parent's)."""
        if channel["type"] == DM:
            return ALL if user in {self.bot, channel["recipients"][0]["id"]} else 0
        if user not in self.members:
            return 0
        held = [self.guild_id, *self.members[user]["roles"]]
        base = 0
        for role in held:
            base |= int(self.roles[role]["permissions"]) if role in self.roles else 0
        if user == self.owner or base & ADMINISTRATOR:
            return ALL
        ruled = self.channels[channel["parent_id"]] if channel["type"] in THREADS else channel
        rules = {o["id"]: (int(o["allow"]), int(o["deny"])) for o in ruled.get("permission_overwrites", [])}
        allow, deny = rules.get(self.guild_id, (0, 0))
        base = base & ~deny | allow
        allow = deny = 0
        for role in held[1:]:
            more = rules.get(role, (0, 0))
            allow, deny = allow | more[0], deny | more[1]
        base = base & ~deny | allow
        allow, deny = rules.get(user, (0, 0))
        base = base & ~deny | allow
        outsider = channel["type"] == PRIVATE_THREAD and user not in self.thread_members.get(
            channel["id"], set()
        )
        return 0 if outsider and not base & MANAGE_THREADS else base

    def need(self, channel: Raw, user: str, *bits: int) -> None:
        have = self.permissions(channel, user)
        if not have & VIEW:
            raise Refused(403, 50001, "Missing Access")
        if any(not have & bit for bit in bits):
            raise Refused(403, 50013, "Missing Permissions")

    # --- messages ---

    def new_message(self, channel: Raw, author: str, content: str, **more: Any) -> Raw:
        """A message as the API returns it; stored."""
        ident = more.pop("id", "") or self.snowflake()
        message: Raw = {
            "id": ident,
            "channel_id": channel["id"],
            "type": 0,
            "content": content,
            "author": self.users.get(
                author, {"id": author, "username": "hook", "discriminator": "0", "avatar": None}
            ),
            "timestamp": iso(self.clock()),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [self.users[u] for u in self.users if f"<@{u}>" in content or f"<@!{u}>" in content],
            "mention_roles": [r for r in self.roles if f"<@&{r}>" in content],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": 0,
        } | more
        self.messages[channel["id"]][ident] = message
        channel["last_message_id"] = ident
        return message

    def attach(self, name: str, data: bytes, mime: str | None, *, size: int | None = None) -> Raw:
        ident = self.snowflake()
        self.files[ident] = data
        found: Raw = {
            "id": ident,
            "filename": name.replace(" ", "_"),
            "size": len(data) if size is None else size,
        }
        return found | ({"content_type": mime} if mime else {})

    def signed(self, message: Raw) -> Raw:
        """The message with fresh signed addresses for its attachments."""
        attachments = []
        for attachment in message.get("attachments", []):
            ident = attachment["id"]
            path = f"/attachments/{message['channel_id']}/{ident}/{attachment['filename']}"
            url = f"{self.base}{path}?ex=1&is=1&hm={self.link_generation}"
            url = self.link_override.get(ident, url)
            attachments.append(attachment | {"url": url, "proxy_url": url})
        public = {key: value for key, value in message.items() if not key.startswith("_")}
        return public | {"attachments": attachments}

    def for_gateway(self, message: Raw) -> Raw:
        """What MESSAGE_CREATE and MESSAGE_UPDATE add: the guild and the author's member."""
        channel = self.channels[message["channel_id"]]
        event = self.signed(message)
        if "guild_id" not in channel:
            return event
        event["guild_id"] = channel["guild_id"]
        member = self.members.get(message["author"]["id"])
        if member and not message.get("webhook_id"):
            event["member"] = {k: v for k, v in member.items() if k != "user"}
        return event

    def guild(self) -> Raw:
        return {
            "id": self.guild_id,
            "name": "Acme",
            "owner_id": self.owner,
            "icon": None,
            "splash": None,
            "description": None,
            "features": [],
            "roles": list(self.roles.values()),
            "emojis": [],
            "stickers": [],
            "afk_timeout": 300,
            "afk_channel_id": None,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "nsfw_level": 0,
            "premium_progress_bar_enabled": False,
        }

    def guild_create(self) -> Raw:
        """GUILD_CREATE: structure and the active threads; archived ones are not sent."""
        rooms = [c for c in self.channels.values() if c["type"] not in THREADS and c["type"] != DM]
        return self.guild() | {
            "joined_at": iso(self.clock()),
            "large": False,
            "unavailable": False,
            "member_count": len(self.members),
            "members": [self.members[self.bot]],
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
            "channels": rooms,
            "threads": self.active_threads(),
        }

    def active_threads(self) -> list[Raw]:
        threads = [c for c in self.channels.values() if c["type"] in THREADS]
        return [
            t
            for t in threads
            if not t["thread_metadata"]["archived"] and self.permissions(t, self.bot) & VIEW
        ]
