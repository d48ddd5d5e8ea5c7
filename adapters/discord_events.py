"""From gateway frames to the sink: every handler normalises, records, and does nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import aiohttp
import discord

from adapters.discord_absence import left, top_level
from adapters.discord_client import guild_facts
from adapters.discord_format import OPTION, OPTIONS, Payload
from adapters.discord_history import History
from adapters.discord_http import RoutedHTTP, errors_translated, translate
from adapters.discord_live import Live, Lives
from adapters.discord_parse import (
    AUTOCOMPLETE,
    COMPONENT,
    Raw,
    Room,
    parse_delete,
    parse_edit,
    parse_interaction,
    parse_message,
    parse_reaction,
    split_id,
    spoken,
)
from adapters.discord_people import ADMINISTRATOR, MANAGE_GUILD, actor_of, roles_of
from adapters.discord_rooms import HEARD_TYPES
from adapters.discord_settings import DiscordSettings
from adapters.discord_text import clip
from adapters.port import (
    Actor,
    AdapterError,
    InstallChanged,
    Mark,
    MessageAction,
    Place,
    Sink,
    ThreadChanged,
)

log = logging.getLogger(__name__)
_THREADS = 5000  # whose last state is remembered, to tell changes from repetitions
Handler = Callable[[dict[str, Any]], Awaitable[None]]


class Intake:
    """Turns one connection's frames into events. Stopped, it lets everything pass by."""

    def __init__(
        self,
        settings: DiscordSettings,
        client: discord.Client,
        http: RoutedHTTP,
        sink: Sink,
        lives: Lives,
        history: History,
        actor: Callable[[str, str], Awaitable[Actor]],
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._client, self._http, self._sink = settings, client, http, sink
        self._lives, self._rooms, self._clock = lives, history.rooms, clock
        self._actor = actor
        self._open = True
        self._agents: set[tuple[str, str]] = set()
        self._thread_states: dict[str, str] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Handler] = {
            "MESSAGE_CREATE": self._message,
            "MESSAGE_UPDATE": self._edit,
            "MESSAGE_DELETE": self._delete,
            "MESSAGE_DELETE_BULK": self._bulk_delete,
            "MESSAGE_REACTION_ADD": self._reaction_added,
            "MESSAGE_REACTION_REMOVE": self._reaction_removed,
            "INTERACTION_CREATE": self._interaction,
            "CHANNEL_CREATE": self._channel,
            "THREAD_UPDATE": self._thread,
            "THREAD_DELETE": self._thread_gone,
            "GUILD_MEMBER_REMOVE": self._member_left,
            "GUILD_MEMBER_UPDATE": self._member_changed,
            "GUILD_DELETE": self._guild_gone,
        }
        self._ours = re.compile(r'"t":\s*"(?:' + "|".join(self._handlers) + '")')

    def stop(self) -> None:
        self._open = False
        for timer in self._timers:
            timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()

    async def frame(self, frame: str) -> None:
        """Record what the frame says. Raises if it could not be recorded."""
        # Big frames (a guild with all its channels) are not parsed twice.
        if not self._open or not self._ours.search(frame):
            return
        event = json.loads(frame)
        handler = self._handlers.get(event.get("t") or "")
        data = event.get("d")
        if handler is None or not isinstance(data, dict) or self._foreign(data):
            return
        await handler(data)

    def _foreign(self, data: Raw) -> bool:
        """Another guild than the one that we serve."""
        guild = data.get("guild_id")
        return bool(guild and self._settings.guild and str(guild) != self._settings.guild)

    # --- who and where ---

    async def _room(self, data: Raw, channel: str) -> Room | None:
        if not data.get("guild_id"):
            return self._rooms.dm(channel)
        async with errors_translated(self._settings.timing.call):
            room = await self._rooms.get(channel, str(data["guild_id"]))
        if room is None or "off" in {self._settings.channels.get(i) for i in (room.id, room.parent)}:
            return None
        return room

    async def _who(self, user: Raw, member: Raw | None, room: Room) -> Actor:
        """The person with the roles of this moment: from the event, in a direct message from the guild."""
        me = self._rooms.names().me
        if member is None:
            return actor_of(user, None, room.tenant, await self._asked(str(user["id"]), room), me)
        ids = frozenset(str(r) for r in member.get("roles", []))
        roles = self._roles(str(user["id"]), ids, room.tenant, int(member.get("permissions") or 0))
        if "agent" in roles:
            self.knows_agent(room.tenant, str(user["id"]))
        return actor_of(user, member, room.tenant, roles, me)

    async def _asked(self, user: str, room: Room) -> frozenset[str]:
        """The roles of somebody whose event names none; only the configured ones where Discord will not say."""
        try:
            return (await self._actor(room.tenant, user)).roles
        except AdapterError as error:
            log.info("roles unknown: %s", error)
            return self._roles(user, frozenset(), "", 0)

    def _roles(self, user: str, ids: frozenset[str], guild: str, granted: int) -> frozenset[str]:
        facts = guild_facts(self._client, self._settings, guild)
        roles = roles_of(user, ids, facts, self._settings.agents, self._settings.admins)
        return roles | {"admin"} if granted & (ADMINISTRATOR | MANAGE_GUILD) else roles

    # --- messages ---

    async def _message(self, data: dict[str, Any]) -> None:
        names = self._rooms.names()
        if not spoken(data, names.me):
            return
        room = await self._room(data, str(data["channel_id"]))
        if room is None:
            return
        actor = await self._who(data["author"], data.get("member"), room)
        await self._sink.receive(parse_message(data, room, actor, names))

    async def _edit(self, data: dict[str, Any]) -> None:
        names = self._rooms.names()
        if not data.get("edited_timestamp") or not spoken(data, names.me):
            return
        room = await self._room(data, str(data["channel_id"]))
        if room is None:
            return
        actor = await self._who(data["author"], data.get("member"), room)
        if event := parse_edit(data, room, actor, names):
            await self._sink.receive(event)

    async def _delete(self, data: dict[str, Any]) -> None:
        await self._deleted(data, [str(data["id"])])

    async def _bulk_delete(self, data: dict[str, Any]) -> None:
        await self._deleted(data, [str(i) for i in data["ids"]])

    async def _deleted(self, data: Raw, idents: list[str]) -> None:
        room = await self._room(data, str(data["channel_id"]))
        if room is None:
            return
        for ident in idents:
            await self._sink.receive(parse_delete(ident, room, self._clock()))

    async def _reaction_added(self, data: dict[str, Any]) -> None:
        await self._reaction(data, added=True)

    async def _reaction_removed(self, data: dict[str, Any]) -> None:
        await self._reaction(data, added=False)

    async def _reaction(self, data: Raw, *, added: bool) -> None:
        member = data.get("member")
        user = (member or {}).get("user") or {"id": data["user_id"]}
        if str(data["user_id"]) == self._rooms.names().me or user.get("bot"):
            return
        room = await self._room(data, str(data["channel_id"]))
        if room is None:
            return
        actor = await self._who(user, member, room)
        await self._sink.receive(parse_reaction(data, room, actor, self._clock(), added=added))

    # --- structure ---

    async def _channel(self, data: dict[str, Any]) -> None:
        """A new channel: what is said there is missed from its beginning on."""
        ident = str(data["id"])
        if int(data["type"]) in HEARD_TYPES and self._settings.channels.get(ident) != "off":
            place = top_level(self._rooms.from_raw(data, {}))
            await self._sink.watch([Mark(place, ident)])

    async def _thread(self, data: dict[str, Any]) -> None:
        meta, ident = data.get("thread_metadata") or {}, str(data["id"])
        state: Literal["locked", "archived", "unarchived"] = (
            "locked" if meta.get("locked") else "archived" if meta.get("archived") else "unarchived"
        )
        before = self._thread_states.get(ident, "unarchived")
        self._thread_states[ident] = state
        while len(self._thread_states) > _THREADS:
            self._thread_states.pop(next(iter(self._thread_states)))
        if state == before:
            return
        key = f"discord:thread:{ident}:{state}:{meta.get('archive_timestamp') or self._clock()}"
        await self._thread_changed(data, key, state)

    async def _thread_gone(self, data: dict[str, Any]) -> None:
        self._thread_states.pop(str(data["id"]), None)
        await self._thread_changed(data, f"discord:thread:{data['id']}:deleted", "deleted")

    async def _thread_changed(
        self, data: Raw, key: str, state: Literal["archived", "unarchived", "locked", "deleted"]
    ) -> None:
        place = Place("discord", str(data["guild_id"]), str(data["parent_id"]), str(data["id"]))
        now = self._clock()
        await self._sink.receive(
            ThreadChanged(keys=(key,), place=place, actor=None, occurred_at=now, state=state)
        )

    async def _member_left(self, data: dict[str, Any]) -> None:
        await self._no_agent(str(data["guild_id"]), str(data["user"]["id"]))

    async def _member_changed(self, data: dict[str, Any]) -> None:
        guild, user = str(data["guild_id"]), str(data["user"]["id"])
        ids = frozenset(str(r) for r in data.get("roles", []))
        if "agent" in self._roles(user, ids, guild, 0):
            self.knows_agent(guild, user)
        else:
            await self._no_agent(guild, user)

    def knows_agent(self, guild: str, user: str) -> None:
        """Somebody is an agent now; if they leave, that is told."""
        self._agents.add((guild, user))

    async def _no_agent(self, guild: str, user: str) -> None:
        """Tell of a leaver only if we knew them as an agent; the others the core asks about anyway."""
        if (guild, user) not in self._agents:
            return
        self._agents.discard((guild, user))
        await self._sink.receive(left(guild, user, self._settings.staff_channel, self._clock()))

    async def _guild_gone(self, data: dict[str, Any]) -> None:
        if data.get("unavailable"):
            return  # an outage, not a farewell
        guild, now = str(data["id"]), self._clock()
        if self._settings.guild and guild != self._settings.guild:
            return
        place = Place("discord", guild, self._settings.staff_channel)
        key = f"discord:install:{guild}:uninstalled:{int(now)}"
        await self._sink.receive(
            InstallChanged(keys=(key,), place=place, actor=None, occurred_at=now, state="uninstalled")
        )

    # --- interactions ---

    async def _interaction(self, raw: dict[str, Any]) -> None:
        """Answered in time whatever happens; what goes wrong here concerns one person and one press."""
        live = Live(self._http, raw, str(self._client.application_id), self._settings.timing.call)
        if int(raw["type"]) == AUTOCOMPLETE:
            await self._quietly(self._autocomplete(raw, live))
            return
        watchdog = self._later(self._settings.timing.watchdog, live.ack)
        try:
            await self._quietly(self._answer(raw, live))
        finally:
            watchdog.cancel()
            self._timers.discard(watchdog)
        if live.state == "thinking":
            self._later(self._settings.timing.thinking, live.stop_thinking)

    def _later(self, delay: float, work: Callable[[], Any]) -> asyncio.TimerHandle:
        def start() -> None:
            self._timers.discard(timer)
            task = asyncio.create_task(self._quietly(work()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        timer = asyncio.get_running_loop().call_later(delay, start)
        self._timers.add(timer)
        return timer

    async def _quietly(self, work: Awaitable[Any]) -> None:
        try:
            await work
        except (AdapterError, discord.DiscordException, aiohttp.ClientError, OSError, RuntimeError) as error:
            log.warning("an interaction was not answered: %s", translate(error))

    async def _person(self, raw: Raw) -> tuple[Room, Actor] | None:
        channel = str(raw.get("channel_id") or (raw.get("channel") or {}).get("id"))
        member = raw.get("member") if raw.get("guild_id") else None
        user = (member or {}).get("user") or raw["user"]
        room = await self._room(raw, channel)
        if room is None:
            return None
        return room, await self._who(user, member, room)

    async def _answer(self, raw: dict[str, Any], live: Live) -> None:
        data = raw.get("data") or {}
        user = str(((raw.get("member") or {}).get("user") or raw.get("user") or {})["id"])
        prefix, verb, arg = split_id(str(data.get("custom_id") or ""))
        if int(raw["type"]) == COMPONENT and prefix == "fl1c":
            await self._lives.ask_back(live, raw)
            return
        if int(raw["type"]) == COMPONENT and verb == "again":
            await self._lives.reopen(live, user, arg)
            return
        found = await self._person(raw)
        if found is None:  # the channel is off
            await self._not_here(live)
            return
        event = parse_interaction(raw, *found, self._rooms.names())
        if isinstance(event, MessageAction) and not self._rooms.sees(found[0]):
            await self._not_here(live)
            return
        if event is None:
            await live.ack()
            return
        self._lives.keep(event.keys[0], live)
        try:
            result = await self._sink.receive(event)
        except Exception as error:  # noqa: BLE001
            log.warning("an interaction could not be recorded: %s", type(error).__name__)
            await live.tell({"content": self._settings.words.not_now, "allowed_mentions": {"parse": []}})
            return
        await self._lives.answer(live, user, result)

    async def _not_here(self, live: Live) -> None:
        await live.tell({"content": self._settings.words.not_here, "allowed_mentions": {"parse": []}})

    async def _autocomplete(self, raw: Raw, live: Live) -> None:
        found = await self._person(raw)
        option, typed = _focused(raw["data"].get("options") or [])
        choices = await self._sink.choices("discord", found[1], option, typed) if found and option else ()
        shown: list[Payload] = [
            {"name": clip(label, OPTION) or value[:OPTION], "value": value[:OPTION]}
            for value, label in list(choices)[:OPTIONS]
        ]
        await live.choices(shown)


def _focused(options: list[Raw]) -> tuple[str, str]:
    """The option that is being typed, and what is there so far."""
    for option in options:
        if option.get("focused"):
            return str(option["name"]), str(option.get("value") or "")
        if (nested := _focused(option.get("options") or []))[0]:
            return nested
    return "", ""
