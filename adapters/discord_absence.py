"""What else happens while nobody listens: places that were never heard of, edits, deletions, agents who leave."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import discord

from adapters.discord_client import guild_facts
from adapters.discord_files import channel_of
from adapters.discord_history import PAGE, History
from adapters.discord_http import RoutedHTTP, errors_translated
from adapters.discord_parse import Room, parse_delete, parse_edit
from adapters.discord_people import roles_of
from adapters.discord_rooms import visible
from adapters.discord_settings import DiscordSettings
from adapters.port import (
    Actor,
    AdapterError,
    Forbidden,
    Gone,
    Mark,
    MemberLeft,
    MessageDeleted,
    MessageEdited,
    MsgRef,
    Place,
)

log = logging.getLogger(__name__)
_PAGES = 3  # of each channel, from the newest backwards, are read again for edits and deletions
_CONFIRMED = 20  # of the messages that are missing there are asked for one by one
Written = discord.TextChannel | discord.ForumChannel | discord.VoiceChannel | discord.StageChannel


class Absence:
    """Looks at one connection's guilds after it stands; keeps nothing."""

    def __init__(
        self,
        settings: DiscordSettings,
        http: RoutedHTTP,
        client: discord.Client,
        history: History,
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._http, self._client = settings, http, client
        self._history, self._clock = history, clock

    def _guilds(self) -> list[discord.Guild]:
        return [g for g in self._client.guilds if self._settings.guild in ("", str(g.id))]

    # --- where listening began ---

    def unmarked(self, marks: Iterable[Mark]) -> list[Mark]:
        """Marks for the channels that have none: from now on, and for one that was made while nobody listened from
        its beginning."""
        marks = tuple(marks)
        marked = {mark.place.channel for mark in marks if mark.place.thread is None}
        newest = max((int(mark.after) for mark in marks if mark.after), default=None)
        return [
            Mark(place, str(channel.id if newest is not None and channel.id > newest else _position(channel)))
            for channel in self._heard()
            if (place := self._place(channel)).channel not in marked
        ]

    def _heard(self) -> Iterator[Written]:
        """The channels in which the bot hears what is said."""
        for guild in self._guilds():
            for channel in guild.channels:
                off = self._settings.channels.get(str(channel.id)) == "off"
                if isinstance(channel, Written) and not off and visible(channel):
                    yield channel

    def _place(self, channel: Written) -> Place:
        room = self._history.rooms.cached(str(channel.id))
        assert room is not None  # it comes from the same cache
        return top_level(room)

    # --- edits and deletions ---

    async def changes(self, marks: Iterable[Mark]) -> AsyncIterator[MessageEdited | MessageDeleted]:
        """What became of the known messages of open conversations. An edit that was recorded before comes again; its
        key says so. A message counts as deleted only when Discord, asked for it, does not know it."""
        stands: dict[str, dict[str, MsgRef]] = {}
        for ref in (ref for mark in marks for ref in mark.known):
            stands.setdefault(channel_of(ref), {})[ref.id] = ref
        people: dict[str, Actor] = {}
        for channel, known in stands.items():
            try:
                async for event in self._look_again(channel, known, people):
                    yield event
            except (Gone, Forbidden) as error:
                log.debug("nothing to look at again: %s", error)

    async def _look_again(
        self, channel: str, known: dict[str, MsgRef], people: dict[str, Actor]
    ) -> AsyncIterator[MessageEdited | MessageDeleted]:
        room = await self._history.room(channel)
        if room is None:
            return
        missing, floor = set(known), min(map(int, known))
        before: str | None = None
        for _ in range(_PAGES):
            page = await self._history.page(channel, before=before)
            for raw in page:
                missing.discard(str(raw["id"]))
                if str(raw["id"]) in known and raw.get("edited_timestamp"):
                    author = await self._history.author(raw, room, people)
                    if event := parse_edit(raw, room, author, self._history.rooms.names()):
                        yield replace(event, catchup=True)
            before = min((str(raw["id"]) for raw in page), key=int, default="0")
            if len(page) < PAGE or int(before) <= floor:
                break
        else:
            missing = {ident for ident in missing if int(ident) >= int(before or 0)}
        for ident in sorted(missing, key=int)[-_CONFIRMED:]:
            if await self._is_gone(channel, ident):
                yield replace(parse_delete(ident, room, self._clock()), catchup=True)

    async def _is_gone(self, channel: str, ident: str) -> bool:
        ids = {"channel_id": channel, "message_id": ident}
        try:
            async with errors_translated(self._settings.timing.call):
                await self._http.call("GET", "/channels/{channel_id}/messages/{message_id}", ids=ids)
        except Gone:
            return True
        except AdapterError as error:  # hidden, not deleted
            log.debug("a message cannot be asked for: %s", error)
        return False

    # --- agents who left ---

    async def members(self, agents: Sequence[str]) -> AsyncIterator[tuple[str, str, bool]]:
        """(guild, agent, whether that still is one), for those of whom Discord says it. One request for each."""
        for guild in self._guilds():
            for agent in agents:
                stays = await self._is_agent(str(guild.id), agent)
                if stays is not None:
                    yield str(guild.id), agent, stays

    async def _is_agent(self, guild: str, user: str) -> bool | None:
        """None: who decides about agents is not known now."""
        facts = guild_facts(self._client, self._settings, guild)
        ids = {"guild_id": guild, "user": user}
        try:
            async with errors_translated(self._settings.timing.call):
                member = await self._http.call("GET", "/guilds/{guild_id}/members/{user}", ids=ids)
        except Gone:
            return False
        if facts is None or (self._settings.staff_channel and facts.staff is None):
            return None
        held = frozenset(str(role) for role in member.get("roles", []))
        return bool(
            roles_of(user, held, facts, self._settings.agents, self._settings.admins) & {"agent", "admin"}
        )


def left(guild: str, user: str, staff_channel: str, now: float) -> MemberLeft:
    """The event for an agent who is none any more."""
    place = Place("discord", guild, staff_channel)
    key = f"discord:left:{guild}:{user}:{int(now)}"
    return MemberLeft(keys=(key,), place=place, actor=None, occurred_at=now, who=user)


def top_level(room: Room) -> Place:
    """Where a channel's own messages stand, or a forum's posts begin."""
    return replace(room.place(), kind="forum") if room.kind == "forum" else room.place()


def _position(channel: Written) -> int:
    """The newest id there. A thread may be younger than the channel's last message."""
    threads = () if isinstance(channel, discord.VoiceChannel | discord.StageChannel) else channel.threads
    heard = (thread.last_message_id or thread.id for thread in threads)
    return max(channel.id, channel.last_message_id or 0, *heard)
