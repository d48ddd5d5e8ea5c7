"""Our client of discord.py: its own REST and gateway address, raw frames out, nothing cached but the structure."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import Any, Protocol

import discord
from discord.gateway import KeepAliveHandler

from adapters.discord_http import RoutedHTTP
from adapters.discord_people import GuildFacts
from adapters.discord_settings import DiscordSettings
from adapters.port import Sink, Unavailable

IDENTIFIES, WINDOW = 10, 600.0


class Ears(Protocol):
    """Who listens to the client."""

    async def heard(self, frame: str) -> None: ...
    def ready(self, sink: Sink) -> None: ...
    def resumed(self, sink: Sink) -> None: ...
    def disconnected(self, sink: Sink) -> None: ...


class Wired(discord.Client):
    """What is ours about the client; works below the plain and the sharded one alike."""

    ears: Ears
    sink: Sink
    identify_pause: float
    identified: deque[float]

    def wire(self, http: RoutedHTTP, ears: Ears, sink: Sink, identify_pause: float) -> None:
        """Speak through `http`. Both references must be ours before login."""
        self.http = http
        self._connection.http = http
        self.ears, self.sink, self.identify_pause = ears, sink, identify_pause
        self.identified = deque(maxlen=IDENTIFIES)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:  # noqa: ARG002
        """Spare the budget of 1000 IDENTIFYs a day: a session that is refused again and again is given up."""
        now = time.monotonic()
        if len(self.identified) == IDENTIFIES and now - self.identified[0] < WINDOW:
            raise Unavailable(f"Discord ended {IDENTIFIES} sessions within {WINDOW / 60:.0f} minutes")
        self.identified.append(now)
        if not initial:
            await asyncio.sleep(self.identify_pause)

    async def on_socket_raw_receive(self, frame: str) -> None:
        await self.ears.heard(frame)

    async def on_ready(self) -> None:
        self.ears.ready(self.sink)

    async def on_resumed(self) -> None:
        self.ears.resumed(self.sink)

    async def on_disconnect(self) -> None:
        self.ears.disconnected(self.sink)


class PlainClient(Wired):
    pass


class ShardedClient(Wired, discord.AutoShardedClient):
    pass


def build_client(
    settings: DiscordSettings, http: RoutedHTTP, flags: discord.ApplicationFlags, ears: Ears, sink: Sink
) -> Wired:
    """A new client. Leavers are watched only where the members intent was granted."""
    options: dict[str, Any] = {
        "intents": intents(settings, flags),
        "allowed_mentions": discord.AllowedMentions.none(),
        "guild_ready_timeout": settings.timing.guilds,
        "heartbeat_timeout": settings.timing.heartbeat,
        "enable_debug_events": True,  # raw frames: one parser for live events and for history
        "chunk_guilds_at_startup": False,
        "member_cache_flags": discord.MemberCacheFlags.none(),
        "max_messages": None,
    }
    client = ShardedClient(**options) if settings.sharded else PlainClient(**options)
    client.wire(http, ears, sink, settings.timing.identify)
    return client


def intents(settings: DiscordSettings, flags: discord.ApplicationFlags) -> discord.Intents:
    """Exactly what we need."""
    wanted = discord.Intents.none()
    wanted.guilds = wanted.guild_messages = wanted.dm_messages = True
    wanted.guild_reactions = wanted.dm_reactions = True
    wanted.message_content = settings.message_content
    wanted.members = flags.gateway_guild_members or flags.gateway_guild_members_limited
    return wanted


def guild_facts(client: discord.Client, settings: DiscordSettings, guild: str) -> GuildFacts | None:
    """What decides about permissions, from the live cache."""
    found = client.get_guild(int(guild)) if guild.isdigit() else None
    if found is None or not found.roles:
        return None
    channel = found.get_channel(int(settings.staff_channel)) if settings.staff_channel.isdigit() else None
    staff = None
    if channel is not None:
        pairs = ((target.id, overwrite.pair()) for target, overwrite in channel.overwrites.items())
        staff = {str(ident): (allow.value, deny.value) for ident, (allow, deny) in pairs}
    return GuildFacts(
        id=guild,
        owner=str(found.owner_id or ""),
        roles={str(role.id): role.permissions.value for role in found.roles},
        staff=staff,
    )


def is_role(client: discord.Client, settings: DiscordSettings, ident: str) -> bool | None:
    """Does a guild of ours know this id as a role? None while no guild is known."""
    guilds = [g for g in client.guilds if not settings.guild or str(g.id) == settings.guild]
    if not guilds or not ident.isdigit():
        return None
    return any(guild.get_role(int(ident)) is not None for guild in guilds)


def stop_heartbeats(client: discord.Client) -> None:
    """End the library's heartbeat threads of this client. It ends them itself only with an open connection; one that
    was lost or never finished would beat on, into a loop that may be gone."""
    for thread in threading.enumerate():
        if isinstance(thread, KeepAliveHandler) and thread.ws._connection is client._connection:  # noqa: SLF001
            thread.stop()
