"""What was said while nobody listened: channel history, new threads and posts, oldest first."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

import discord

from adapters.discord_http import RoutedHTTP, errors_translated
from adapters.discord_parse import Raw, Room, parse_message, spoken
from adapters.discord_people import name_of
from adapters.discord_rooms import Rooms
from adapters.discord_settings import DiscordSettings
from adapters.port import Actor, Forbidden, Gone, Inbound, Mark

log = logging.getLogger(__name__)
PAGE = 100


class History:
    def __init__(
        self,
        settings: DiscordSettings,
        http: RoutedHTTP,
        client: discord.Client,
        actor: Callable[[str, str], Awaitable[Actor]],
    ) -> None:
        self._limit = settings.timing.call
        self._http, self._client = http, client
        self._actor = actor
        self._told = False  # the connection was told a moment ago what is newest everywhere
        self._active: dict[str, list[Raw]] | None = None
        self._marked: frozenset[str] = frozenset()
        self.rooms = Rooms(settings, http, client)

    @contextlib.contextmanager
    def round(self, marks: Iterable[Mark], *, told: bool) -> Iterator[None]:
        """Many marks at once: a guild's threads are asked for once, and a thread that has a mark is read from there
        only. `told`: the connection is new and knows what is newest everywhere, so quiet places are not asked for."""
        self._told, self._active = told, {}
        self._marked = frozenset(mark.place.thread for mark in marks if mark.place.thread is not None)
        try:
            yield
        finally:
            self._told, self._active, self._marked = False, None, frozenset()

    async def since(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        """Messages of people after the mark, at most `limit` in each thread. A mark that knows nothing yet
        starts from now. What was recorded before comes again; its key says so."""
        if not mark.after:
            return
        people: dict[str, Actor] = {}
        for channel, after in await self._places(mark):
            if self._quiet(channel, after):
                continue
            room = await self.room(channel)
            if room is None or room.kind == "forum":
                continue
            async for raw in self._messages(channel, after, limit):
                author = await self.author(raw, room, people)
                yield parse_message(raw, room, author, self.rooms.names(), catchup=True)

    def _quiet(self, channel: str, after: str) -> bool:
        """Is it known, without asking, that nothing came after the mark?"""
        if not self._told:
            return False
        found = self._client.get_channel(int(channel))
        if not isinstance(found, discord.TextChannel | discord.Thread):
            return False
        return (found.last_message_id or 0) <= int(after)

    async def room(self, channel: str) -> Room | None:
        async with errors_translated(self._limit):
            return await self.rooms.get(channel)

    async def _places(self, mark: Mark) -> list[tuple[str, str]]:
        """The mark's own channel, and the threads under it in which something happened after the mark."""
        place = mark.place
        if place.thread is not None or place.kind == "dm":
            return [(place.thread or place.channel, mark.after)]
        try:
            active = await self._threads(place.tenant)
        except (Gone, Forbidden) as error:
            log.warning("threads of a server could not be listed: %s", error)
            return [(place.channel, mark.after)]
        # Ids tell time: in a thread with something newer than the mark, what is newer may be missing.
        lively = sorted(
            int(thread["id"])
            for thread in active
            if str(thread.get("parent_id")) == place.channel
            and str(thread["id"]) not in self._marked
            and int(thread.get("last_message_id") or thread["id"]) > int(mark.after)
        )
        return [(place.channel, mark.after), *((str(ident), mark.after) for ident in lively)]

    async def _threads(self, guild: str) -> list[Raw]:
        """The guild's active threads."""
        if self._active is not None and guild in self._active:
            return self._active[guild]
        async with errors_translated(self._limit):
            found = await self._http.call("GET", "/guilds/{guild_id}/threads/active", ids={"guild_id": guild})
        threads = list(found.get("threads", []))
        if self._active is not None:
            self._active[guild] = threads
        return threads

    async def page(self, channel: str, *, after: str | None = None, before: str | None = None) -> list[Raw]:
        """At most `PAGE` messages: those that follow `after`, else the newest ones (before `before`)."""
        window = {name: ident for name, ident in (("after", after), ("before", before)) if ident is not None}
        async with errors_translated(self._limit):
            found = await self._http.call(
                "GET",
                "/channels/{channel_id}/messages",
                ids={"channel_id": channel},
                params={"limit": PAGE} | window,
            )
        return sorted(found, key=lambda message: int(message["id"]))

    async def _messages(self, channel: str, after: str, limit: int) -> AsyncIterator[Raw]:
        me = self.rooms.names().me
        found = 0
        while found < limit:
            try:
                page = await self.page(channel, after=after)
            except (Gone, Forbidden) as error:
                # A question's thread exists only once somebody answered in it.
                log.debug("nothing to catch up: %s", error)
                return
            for raw in page:
                after = str(raw["id"])
                if spoken(raw, me) and found < limit:
                    found += 1
                    yield raw
            if len(page) < PAGE:
                return
        log.warning("more than %s messages were missed in one place; the oldest were read", limit)

    async def author(self, raw: Raw, room: Room, people: dict[str, Actor]) -> Actor:
        """History names no roles, so each author is looked up once."""
        user = raw["author"]
        ident = str(user["id"])
        if ident not in people:
            people[ident] = await self._actor(room.tenant, ident)
        known = people[ident]
        if known.name:
            return known
        return Actor(platform="discord", tenant=room.tenant, id=ident, name=name_of(user), roles=known.roles)
