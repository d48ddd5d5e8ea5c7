"""Which channel, thread or direct message an id is: from the connection's cache, else asked once and kept."""

from __future__ import annotations

from typing import Any

import discord

from adapters.discord_http import GONE, RoutedHTTP
from adapters.discord_parse import Names, Raw, Room
from adapters.discord_people import VIEW_CHANNEL, overwrites
from adapters.discord_settings import DiscordSettings

DM_TYPES, THREAD_TYPES, FORUM_TYPES = frozenset({1, 3}), frozenset({10, 11, 12}), frozenset({15, 16})
HEARD_TYPES = frozenset({0, 2, 5, 13}) | FORUM_TYPES  # guild channels in which people write or post
PRIVATE_THREAD = 12
_KEPT = 5000


def hidden(channel: discord.abc.GuildChannel) -> bool:
    """Can somebody without any role not see it?"""
    return not channel.permissions_for(channel.guild.default_role).view_channel


def visible(channel: discord.abc.GuildChannel) -> bool:
    """Can the bot see it?"""
    me = channel.guild.me
    return me is None or channel.permissions_for(me).view_channel


def _denied(raw: Raw, guild: str) -> bool:
    _, deny = overwrites(raw.get("permission_overwrites") or []).get(guild, (0, 0))
    return bool(deny & VIEW_CHANNEL)


class Rooms:
    def __init__(self, settings: DiscordSettings, http: RoutedHTTP, client: discord.Client) -> None:
        self._settings, self._http, self._client = settings, http, client
        self._fetched: dict[str, Room] = {}

    def names(self) -> Names:
        return Names(
            me=str(self._client.user.id) if self._client.user else "", role=self._role, channel=self._channel
        )

    def _role(self, ident: str) -> str | None:
        for guild in self._client.guilds:
            if role := guild.get_role(int(ident)):
                return role.name
        return None

    def _channel(self, ident: str) -> str | None:
        found = self._client.get_channel(int(ident))
        return getattr(found, "name", None)

    def sees(self, room: Room) -> bool:
        """May the bot be there? Where nothing is known, it is tried."""
        found = self._client.get_channel(int(room.parent or room.id))
        return not isinstance(found, discord.abc.GuildChannel) or visible(found)

    def dm(self, channel: str) -> Room:
        return Room(channel, self._settings.tenant, "dm")

    def cached(self, channel: str) -> Room | None:
        """What the connection knows without asking."""
        found = self._client.get_channel(int(channel))
        match found:
            case discord.Thread():
                if found.parent is None:
                    return self._fetched.get(channel)
                return Room(
                    id=channel,
                    tenant=str(found.guild.id),
                    kind="thread",
                    parent=str(found.parent_id),
                    parent_is_forum=isinstance(found.parent, discord.ForumChannel),
                    private=found.is_private() or hidden(found.parent),
                    title=found.name,
                    tags=tuple(tag.name for tag in found.applied_tags),
                )
            case discord.ForumChannel():
                return Room(channel, str(found.guild.id), "forum")
            case discord.abc.GuildChannel():
                return Room(channel, str(found.guild.id), private=hidden(found))
            case discord.DMChannel() | discord.GroupChannel():
                return self.dm(channel)
            case _:
                return self._fetched.get(channel)

    async def get(self, channel: str, guild: str = "") -> Room | None:
        """The room, fetched once where the connection does not know it; None if it is gone or closed to us.

        Where Discord will not say, a message from there shows that it is a channel of `guild`.
        """
        if known := self.cached(channel):
            return known
        try:
            raw = await self._http.call("GET", "/channels/{channel_id}", ids={"channel_id": channel})
            room = self.from_raw(raw, await self._parent(raw))
        except discord.HTTPException as error:
            if error.code in GONE or error.code == 50001:  # noqa: PLR2004
                return None
            if error.status < 500 and error.status != 429:  # noqa: PLR2004
                return Room(channel, guild or self._settings.tenant)
            raise
        self._fetched[channel] = room
        while len(self._fetched) > _KEPT:
            self._fetched.pop(next(iter(self._fetched)))
        return room

    async def _parent(self, raw: Raw) -> dict[str, Any]:
        if int(raw["type"]) not in THREAD_TYPES:
            return {}
        parent = self._client.get_channel(int(raw["parent_id"]))
        if isinstance(parent, discord.ForumChannel):
            tags = [{"id": tag.id, "name": tag.name} for tag in parent.available_tags]
            return {"type": 15, "available_tags": tags}
        if isinstance(parent, discord.abc.GuildChannel):
            denied = {"id": str(parent.guild.id), "deny": VIEW_CHANNEL}
            return {"type": 0, "permission_overwrites": [denied] if hidden(parent) else []}
        found = await self._http.call("GET", "/channels/{channel_id}", ids={"channel_id": raw["parent_id"]})
        return dict(found)

    def from_raw(self, raw: Raw, parent: Raw) -> Room:
        """The room of an API channel object."""
        kind, ident = int(raw["type"]), str(raw["id"])
        if kind in DM_TYPES:
            return self.dm(ident)
        tenant = str(raw.get("guild_id") or self._settings.guild)
        if kind in FORUM_TYPES:
            return Room(ident, tenant, "forum")
        if kind not in THREAD_TYPES:
            return Room(ident, tenant, private=_denied(raw, tenant))
        names = {str(tag["id"]): str(tag["name"]) for tag in parent.get("available_tags") or []}
        return Room(
            id=ident,
            tenant=tenant,
            kind="thread",
            parent=str(raw["parent_id"]),
            parent_is_forum=int(parent.get("type", 0)) in FORUM_TYPES,
            private=kind == PRIVATE_THREAD or _denied(parent, tenant),
            title=str(raw.get("name") or ""),
            tags=tuple(names[str(t)] for t in raw.get("applied_tags") or [] if str(t) in names),
        )
