"""What was said while nobody listened: channel history, new threads and posts, oldest first."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import discord

from adapters.discord_http import RoutedHTTP, errors_translated
from adapters.discord_parse import Raw, Room, parse_message, spoken
from adapters.discord_people import name_of
from adapters.discord_rooms import Rooms
from adapters.discord_settings import DiscordSettings
from adapters.port import Actor, Forbidden, Gone, Inbound, Mark

log = logging.getLogger(__name__)
_PAGE = 100


class History:
    def __init__(
        self,
        settings: DiscordSettings,
        http: RoutedHTTP,
        client: discord.Client,
        actor: Callable[[str, str], Awaitable[Actor]],
    ) -> None:
        self._limit = settings.timing.call
        self._http = http
        self._actor = actor
        self.rooms = Rooms(settings, http, client)

    async def since(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        """Messages of people after the mark, at most `limit` in each thread. A mark that knows nothing yet
        starts from now. What was recorded before comes again; its key says so."""
        if not mark.after:
            return
        people: dict[str, Actor] = {}
        for channel, after in await self._places(mark):
            room = await self._room(channel)
            if room is None or room.kind == "forum":
                continue
            async for raw in self._messages(channel, after, limit):
                author = await self._author(raw, room, people)
                yield parse_message(raw, room, author, self.rooms.names(), catchup=True)

    async def _room(self, channel: str) -> Room | None:
        async with errors_translated(self._limit):
            return await self.rooms.get(channel)

    async def _places(self, mark: Mark) -> list[tuple[str, str]]:
        """The mark's own channel, and the threads under it in which something happened after the mark."""
        place = mark.place
        if place.thread is not None or place.kind == "dm":
            return [(place.thread or place.channel, mark.after)]
        ids = {"guild_id": place.tenant}
        try:
            async with errors_translated(self._limit):
                active = await self._http.call("GET", "/guilds/{guild_id}/threads/active", ids=ids)
        except (Gone, Forbidden) as error:
            log.warning("threads of a server could not be listed: %s", error)
            return [(place.channel, mark.after)]
        # Ids tell time: in a thread with something newer than the mark, what is newer may be missing.
        lively = sorted(
            int(thread["id"])
            for thread in active.get("threads", [])
            if str(thread.get("parent_id")) == place.channel
            and int(thread.get("last_message_id") or thread["id"]) > int(mark.after)
        )
        return [(place.channel, mark.after), *((str(ident), mark.after) for ident in lively)]

    async def _messages(self, channel: str, after: str, limit: int) -> AsyncIterator[Raw]:
        me = self.rooms.names().me
        found = 0
        while found < limit:
            try:
                async with errors_translated(self._limit):
                    params = {"limit": _PAGE, "after": after}
                    ids = {"channel_id": channel}
                    page = await self._http.call(
                        "GET", "/channels/{channel_id}/messages", ids=ids, params=params
                    )
            except (Gone, Forbidden) as error:
                # A question's thread exists only once somebody answered in it.
                log.debug("nothing to catch up: %s", error)
                return
            for raw in sorted(page, key=lambda m: int(m["id"])):
                after = str(raw["id"])
                if spoken(raw, me) and found < limit:
                    found += 1
                    yield raw
            if len(page) < _PAGE:
                return
        log.warning("more than %s messages were missed in one place; the oldest were read", limit)

    async def _author(self, raw: Raw, room: Room, people: dict[str, Actor]) -> Actor:
        """History names no roles, so each author is looked up once."""
        user = raw["author"]
        ident = str(user["id"])
        if ident not in people:
            people[ident] = await self._actor(room.tenant, ident)
        known = people[ident]
        if known.name:
            return known
        return Actor(platform="discord", tenant=room.tenant, id=ident, name=name_of(user), roles=known.roles)
