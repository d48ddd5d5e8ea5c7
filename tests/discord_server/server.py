"""The server to drive: people write, press, submit; tests look at what they would see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.discord_server.gateway import DMS, MEMBERS, MESSAGES, Gateway
from tests.discord_server.http import API, Call, Fault, Limit, Surroundings
from tests.discord_server.interactions import Interaction, Interactions
from tests.discord_server.people import People
from tests.discord_server.rest import Rest
from tests.discord_server.world import DM, FORUM, SEND_IN_THREADS, THREADS, Raw, World, iso

# What a person types for a message: (name, bytes, mime), optionally with a size that lies.
Attachment = tuple[str, bytes, str | None]


class DiscordServer(People):
    """Discord on a free local port, for the real discord.py.

    ::

        async with DiscordServer.running() as server:
            settings = DiscordSettings(token=server.token, guild=server.guild, api_base=server.api_base, ...)
            ann = server.add_user("ann")
            question = await server.user_says("help", ann, "How do I get a refund?")
            await server.until(lambda: server.messages(question))     # the thread made from the message
            await server.user_presses(server.messages(question)[-1]["id"], "Yes", ann)

    Everything that takes a channel, a user or a message takes an id; channels and users also by name ("help",
    "general", "forum", "staff" exist; "staff" is seen by the role `server.agents` alone). A thread made from a
    message has the message's id.

    People: `add_user`, `add_role`, `add_channel`, `channel_appears`, `set_roles`, `member_leaves`; `user_says`, `user_posts`
    (forum), `user_edits`, `user_deletes`, `user_bulk_deletes`, `user_reacts`, `user_starts_thread`,
    `user_dm`, `bot_says`, `webhook_says`, `system_says`, `unfurl`; `user_presses`, `user_submits`,
    `user_command`, `user_context_menu`, `autocomplete`. The five interactions return an `Interaction` as soon
    as the bot has answered first; `interaction.ephemerals`, `.thinking`, `.modal`, `.choices` say how. What the
    bot does later is waited for with `until`.

    Looking: `messages(place)`, `texts(place)`, `message(id)`, `ephemerals(user)`, `dms(user)`, `modals(user)`,
    `thread(id)`, `buttons(message)`, `pings(message)` (who would hear a sound), `calls` (REST calls in order).

    Trouble: `fail`, `drop`, `hold`, `limit` for REST; `gateway.refuse`, `gateway.close_next`,
    `gateway.reconnect()` (op 7), `gateway.invalidate()` (op 9), `gateway.close_all(code)`,
    `gateway.compress`, `gateway.mute` (never answers a Close), `gateway.deaf` (nor a heartbeat); `offline()`: nothing reaches the bot; `archive`, `lock`, `close_dms`, `expire_links`,
    `expire_interactions`, `world.app` (flags, interactions_endpoint_url), `world.nonce_window`.

    Waiting: `await until(predicate)`; never a sleep.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, token: str = "test-token") -> None:
        self.token = token
        self.world = World(clock)
        self._events: set[asyncio.Event] = set()
        self.around = Surroundings(token, self._changed)
        self.gateway = Gateway(self.world, self._changed)
        self.gateway.token = token
        self.rest = Rest(self.world, self.gateway, self.around)
        self.interactions = Interactions(self.world, self.rest, self._changed)
        self._runner: web.AppRunner | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, **options: Any) -> AsyncIterator[DiscordServer]:
        server = cls(**options)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    async def start(self) -> None:
        app = web.Application(middlewares=[self.around.middleware], client_max_size=30 * 1024 * 1024)
        app.add_routes(self.rest.routes())
        app.add_routes(self.interactions.routes())
        app.add_routes([web.get("/gateway", self.gateway.serve)])
        app.add_routes([web.get("/attachments/{channel}/{file}/{name}", self._cdn)])
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.world.base = f"http://127.0.0.1:{port}"
        self.api_base = self.world.base + API
        self.gateway.url = f"ws://127.0.0.1:{port}/gateway"

    async def stop(self) -> None:
        self.gateway.silenced.set()
        await self.gateway.close_all(1001)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _cdn(self, request: web.Request) -> web.StreamResponse:
        """An attachment, while its signature is the current one."""
        data = self.world.files.get(request.match_info["file"])
        if data is None or request.query.get("hm") != str(self.world.link_generation):
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=data, content_type="application/octet-stream")

    # --- waiting ---

    def _changed(self) -> None:
        for event in self._events:
            event.set()

    async def until(self, predicate: Callable[[], Any], timeout: float = 10.0) -> Any:  # noqa: ASYNC109
        """Wait until `predicate` is true, looking again after everything that happens here; its value."""
        event = asyncio.Event()
        self._events.add(event)
        try:
            async with asyncio.timeout(timeout):
                while not (value := predicate()):
                    event.clear()
                    await event.wait()
                return value
        finally:
            self._events.discard(event)

    async def connected(self) -> None:
        """Until a session has a socket."""
        await self.until(lambda: any(s.socket for s in self.gateway.sessions.values()))

    # --- looking ---

    @property
    def guild(self) -> str:
        return self.world.guild_id

    @property
    def bot(self) -> str:
        return self.world.bot

    @property
    def agents(self) -> str:
        return self.world.agents

    @property
    def staff(self) -> str:
        return self.world.staff

    @property
    def calls(self) -> list[Call]:
        return self.around.calls

    def id_of(self, channel: str) -> str:
        return str(self.world.channel(channel)["id"])

    def messages(self, channel: str) -> list[Raw]:
        """What stands in a channel or thread, oldest first; nothing where no thread exists yet."""
        if channel.isdigit() and channel not in self.world.channels:
            return []
        stored = self.world.messages[self.id_of(channel)].values()
        return sorted((m for m in stored if m["type"] in {0, 19, 20}), key=lambda m: int(m["id"]))

    def texts(self, channel: str) -> list[str]:
        return [shown_text(message) for message in self.messages(channel)]

    def message(self, ident: str) -> Raw:
        return self.world.message(ident)

    def thread(self, ident: str) -> Raw:
        return self.world.channels[ident]

    def threads_of(self, channel: str) -> list[Raw]:
        parent = self.id_of(channel)
        return [
            c for c in self.world.channels.values() if c.get("parent_id") == parent and c["type"] in THREADS
        ]

    def ephemerals(self, user: str) -> list[Raw]:
        """What only this person sees, oldest first."""
        who = self.world.user(user)
        shown = [m for i in self.interactions.all.values() if i.user == who for m in i.ephemerals]
        return sorted(shown, key=lambda m: int(m["id"]))

    def dms(self, user: str) -> list[Raw]:
        return self.messages(self.world.dm_channel(self.world.user(user)))

    def modals(self, user: str) -> list[Any]:
        """The forms on this person's screen, the latest last."""
        who = self.world.user(user)
        return [m for m in self.interactions.modals if m.interaction.user == who and m.open]

    @staticmethod
    def buttons(message: Raw) -> list[str]:
        return [str(c.get("label")) for row in message["components"] for c in row["components"]]

    @staticmethod
    def pings(message: Raw) -> list[str]:
        """The ids ("everyone" included) that this message of the bot notified."""
        return list(message.get("_pinged", []))

    # --- trouble ---

    def fail(
        self, method: str, pattern: str, status: int, *, times: int = 1, code: int = 0, **more: Any
    ) -> Fault:
        body = more.pop("body", {"message": "on order", "code": code})
        return self._fault(Fault(method, pattern, times, status, body, **more))

    def drop(self, method: str, pattern: str, *, after: bool, times: int = 1) -> Fault:
        """Break the connection before the call is accepted, or after it took effect."""
        return self._fault(Fault(method, pattern, times, drop="after" if after else "before"))

    def hold(self, method: str, pattern: str, *, times: int = 1) -> asyncio.Event:
        event = asyncio.Event()
        self._fault(Fault(method, pattern, times, hold=event))
        return event

    def _fault(self, fault: Fault) -> Fault:
        self.around.faults.append(fault)
        return fault

    def limit(self, method: str, pattern: str, limit: int, window: float) -> None:
        self.around.limits.append(Limit(method, pattern, limit, window))

    @asynccontextmanager
    async def offline(self) -> AsyncIterator[None]:
        """The bot's sessions are lost and it cannot come back while inside."""
        self.gateway.refuse = 10**9
        self.gateway.sessions.clear()
        await self.gateway.close_all(1001)
        try:
            yield
        finally:
            self.gateway.refuse = 0

    async def archive(self, thread: str, *, archived: bool = True, locked: bool | None = None) -> None:
        channel = self.world.channels[thread]
        channel["thread_metadata"] |= {"archived": archived, "archive_timestamp": iso(self.world.clock())}
        if locked is not None:
            channel["thread_metadata"]["locked"] = locked
        await self.gateway.dispatch("THREAD_UPDATE", channel)

    async def delete_thread(self, thread: str) -> None:
        channel = self.world.channels.pop(thread)
        self.world.messages.pop(thread)
        event = {key: channel[key] for key in ("id", "guild_id", "parent_id", "type")}
        await self.gateway.dispatch("THREAD_DELETE", event)

    def close_dms(self, user: str) -> None:
        self.world.closed_dms.add(self.world.user(user))

    def expire_links(self) -> None:
        """Every attachment address that was handed out so far is dead."""
        self.world.link_generation += 1

    def expire_interactions(self) -> None:
        """Every interaction so far is past its 15 minutes."""
        for interaction in self.interactions.all.values():
            interaction.expired = True

    # --- members ---

    def add_user(self, name: str, *, roles: Iterable[str] = (), bot: bool = False) -> str:
        return self.world.add_user(name, roles=roles, bot=bot)

    def add_role(self, name: str, permissions: int = 0) -> str:
        return self.world.add_role(name, permissions)

    def add_channel(
        self, name: str, *, forum: bool = False, private: bool = False, tags: Sequence[str] = ()
    ) -> str:
        hidden = [self.world.overwrite(self.guild, deny=1 << 10)] if private else []
        return self.world.add_channel(name, FORUM if forum else 0, overwrites=hidden, tags=tags)

    async def channel_appears(self, name: str) -> str:
        """Somebody makes a text channel."""
        ident = self.add_channel(name)
        await self.gateway.dispatch("CHANNEL_CREATE", self.world.channels[ident])
        return ident

    async def set_roles(self, user: str, roles: Iterable[str]) -> None:
        member = self.world.members[self.world.user(user)]
        member["roles"] = list(roles)
        await self.gateway.dispatch("GUILD_MEMBER_UPDATE", member | {"guild_id": self.guild}, MEMBERS)

    async def member_leaves(self, user: str) -> None:
        who = self.world.user(user)
        del self.world.members[who]
        event = {"guild_id": self.guild, "user": self.world.users[who]}
        await self.gateway.dispatch("GUILD_MEMBER_REMOVE", event, MEMBERS)

    def may_write(self, channel: str, user: str) -> bool:
        return bool(self.world.permissions(self.world.channel(channel), user) & SEND_IN_THREADS)

    async def _announce(self, message: Raw) -> str:
        await self.rest.announce(message)
        return str(message["id"])

    @staticmethod
    def _intent(channel: Raw) -> int:
        return DMS if channel["type"] == DM else MESSAGES

    def __repr__(self) -> str:
        return f"<DiscordServer {self.world.base}>"


def shown_text(message: Raw) -> str:
    """What a reader reads: content, then embeds with their fields."""
    lines = [message.get("content") or ""]
    for embed in message.get("embeds") or []:
        lines += [
            (embed.get("author") or {}).get("name", ""),
            embed.get("title", ""),
            embed.get("description", ""),
        ]
        lines += [f"{field['name']}: {field['value']}" for field in embed.get("fields") or []]
        lines.append((embed.get("footer") or {}).get("text", ""))
    return "\n".join(line for line in lines if line)


__all__ = ["Attachment", "DiscordServer", "Interaction", "shown_text"]
