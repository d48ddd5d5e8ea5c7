"""Discord: the gateway through discord.py, everything else through its REST client. Handlers only record."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Literal

import discord

from adapters.discord_absence import Absence, left
from adapters.discord_check import check
from adapters.discord_client import build_client, guild_facts, is_role, stop_heartbeats
from adapters.discord_commands import sync
from adapters.discord_events import Intake
from adapters.discord_files import Files, channel_of
from adapters.discord_history import History
from adapters.discord_http import INTENTS, LOGIN_REFUSED, RoutedHTTP, errors_translated, session, translate
from adapters.discord_invite import invite, setup_text
from adapters.discord_live import Lives
from adapters.discord_people import GuildFacts, actor_of, facts_of, roles_of
from adapters.discord_send import Sender, plan
from adapters.discord_settings import DiscordSettings, Timing, Words
from adapters.port import (
    Actor,
    AdapterError,
    AdapterFatal,
    Caps,
    CheckResult,
    Delivered,
    FileRef,
    Inbound,
    Mark,
    MsgRef,
    Op,
    PlatformName,
    Sink,
    Unavailable,
)

__all__ = ["DiscordAdapter", "DiscordSettings", "Timing", "Words", "invite", "setup_text"]

log = logging.getLogger(__name__)

FATAL = {
    4004: LOGIN_REFUSED,
    4010: "Discord refuses the shard: set sharded = false in [discord].",
    4011: "The bot is in too many servers for one connection: set sharded = true in [discord].",
    4012: "Discord no longer speaks this version of its protocol: update Firstline.",
    4013: "Discord does not know an intent that we asked for: update Firstline.",
    4014: INTENTS,
}
_ENDPOINT = (
    "The application sends interactions to a web address, so no button or command arrives here. Developer Portal → "
    "your application → General Information → empty Interactions Endpoint URL."
)
_RESERVE = 5  # IDENTIFYs that we leave over; Discord resets the token of who uses up all
_CATCH_UP = 200
_GRACE = 5.0  # for goodbyes, when nobody asked to hurry


class DiscordAdapter:
    """One Discord bot behind the port. A new client for every `run`; no state of its own survives it."""

    name: PlatformName = "discord"
    caps = Caps(
        idempotent_post="native",
        safe_resend_seconds=110,
        can_reconcile=True,
        thread_model="channel",
        inline_form_errors=False,
        private_in_channel=False,
    )

    def __init__(self, settings: DiscordSettings, *, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self._clock = clock
        self._files = Files(settings)
        self._lives = Lives(settings, clock)
        self._gateway = ""
        self._client: discord.Client | None = None
        self._http: RoutedHTTP | None = None
        self._sender: Sender | None = None
        self._history: History | None = None
        self._absence: Absence | None = None
        self._intake: Intake | None = None
        self._over: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._catching = asyncio.Lock()
        self._lost_at: float | None = None
        self._closing = False
        self._grace = _GRACE
        self._released = asyncio.Event()

    # --- connecting ---

    async def run(self, sink: Sink) -> None:
        """Connect and emit until `close`. AdapterFatal says what to click; anything else is worth a new try."""
        self._closing, self._grace = False, _GRACE
        self._released.clear()
        sink.state("discord", "connecting")
        async with asyncio.timeout(self.settings.timing.call):
            flags = await self._preflight()
        if self._closing:
            return
        self._over = asyncio.get_running_loop().create_future()
        http = RoutedHTTP(self.settings)
        client = build_client(self.settings, http, flags, self, sink)
        try:
            await client.login(self.settings.token)
            self._attach(client, http, sink)
            await self._listen(client)
        except discord.LoginFailure as error:
            raise AdapterFatal(LOGIN_REFUSED) from error
        finally:
            await self._release(client)
        sink.state("discord", "stopped")

    async def _preflight(self) -> discord.ApplicationFlags:
        """Check what would fail later without words: token, endpoint address, identify budget."""
        async with session(self.settings) as http:
            app = await http.call("GET", "/oauth2/applications/@me")
            if app.get("interactions_endpoint_url"):
                raise AdapterFatal(_ENDPOINT)
            self._gateway = self.settings.gateway or await self._ask_gateway(http)
        return discord.ApplicationFlags._from_value(int(app.get("flags") or 0))  # noqa: SLF001

    async def _ask_gateway(self, http: RoutedHTTP) -> str:
        """Where to connect; refused while only the reserve of today's IDENTIFYs is left."""
        bot = await http.call("GET", "/gateway/bot")
        budget = bot.get("session_start_limit") or {}
        if int(budget.get("remaining", _RESERVE + 1)) <= _RESERVE:
            hours = int(budget.get("reset_after", 0)) / 3_600_000
            raise Unavailable(
                f"Discord allows no more connections today; the budget is reset in {hours:.1f} h"
            )
        return str(bot.get("url") or "")

    def _attach(self, client: discord.Client, http: RoutedHTTP, sink: Sink) -> None:
        http.gateway = self._gateway
        self._client, self._http = client, http
        self._history = History(self.settings, http, client, self.actor)
        self._absence = Absence(self.settings, http, client, self._history, self._clock)
        self._intake = Intake(
            self.settings,
            client,
            http,
            sink,
            self._lives,
            self._history,
            self.actor,
            self._clock,
        )
        self._sender = Sender(
            self.settings,
            http,
            self._lives,
            self._files,
            lambda ident: is_role(client, self.settings, ident),
            self._link,
        )

    async def _listen(self, client: discord.Client) -> None:
        """The gateway, until it is closed or something fails that only a new client can mend."""
        assert self._over is not None
        connecting = asyncio.create_task(client.connect())
        try:
            await asyncio.wait({connecting, self._over}, return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                self._over.result()
            else:
                await connecting
        except discord.PrivilegedIntentsRequired as error:
            raise AdapterFatal(INTENTS) from error
        except discord.ConnectionClosed as error:
            if error.code in FATAL:
                raise AdapterFatal(f"{FATAL[error.code]} ({error.code})") from error
            raise
        except AttributeError as error:
            if client.ws is None:  # discord.py cannot resume what never began
                raise Unavailable("the gateway could not be reached") from error
            raise
        finally:
            while not connecting.done():
                # Python 3.11's wait_for, which the library connects with, can swallow a cancellation.
                connecting.cancel()
                await asyncio.wait({connecting}, timeout=0.1)
            if not connecting.cancelled():
                connecting.exception()  # it was told already, or no longer matters

    async def _release(self, client: discord.Client) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        if self._intake:
            self._intake.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sender = self._history = self._absence = self._intake = None
        self._client = self._http = None
        if self._over and not self._over.done():
            self._over.cancel()
        try:
            async with asyncio.timeout(self._grace):
                await client.close()
        except TimeoutError:  # a peer that never answers our goodbye
            await client.http.close()
        stop_heartbeats(client)
        self._released.set()

    async def stop_ingress(self) -> None:
        """Record nothing more; what happens from now on is caught up by the next start."""
        if self._intake:
            self._intake.stop()

    async def close(self, grace: float) -> None:
        self._closing = True
        await self.stop_ingress()
        self._grace = max(0.1, grace / 2)
        if self._over is None or self._released.is_set():
            return
        if not self._over.done():
            self._over.set_result(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._released.wait()

    # --- what the client tells us ---

    async def heard(self, frame: str) -> None:
        """A gateway frame, as text; what is for us goes to the sink."""
        if self._intake is None:
            return
        try:
            await self._intake.frame(frame)
        except Exception as error:  # noqa: BLE001
            # It is not recorded, so only a new connection with its catch-up can bring it back.
            log.warning("an event could not be recorded: %s", type(error).__name__)
            self._fail(error)

    def ready(self, sink: Sink) -> None:
        """The connection stands anew: everything since the last known message has to be asked for."""
        self._lost_at = None
        self._spawn(self._connected(sink, fresh=True))

    def resumed(self, sink: Sink) -> None:
        """Discord replayed what we missed; after a long silence we ask all the same."""
        lost, self._lost_at = self._lost_at, None
        long = lost is not None and self._clock() - lost > self.settings.timing.gap
        if long:
            self._spawn(self._connected(sink, fresh=False))
        else:
            sink.state("discord", "connected")

    def disconnected(self, sink: Sink) -> None:
        if self._lost_at is None:
            self._lost_at = self._clock()
            self._spawn(self._lose_patience())
        if not self._closing:
            sink.state("discord", "reconnecting")

    async def _lose_patience(self) -> None:
        """The library tries again ever more rarely, up to 17 minutes; a new client does not."""
        lost = self._lost_at
        await asyncio.sleep(self.settings.timing.patience)
        if self._lost_at is not None and self._lost_at == lost:
            raise Unavailable("the gateway has been out of reach for too long")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._over and not self._over.done() and not self._closing:
            self._over.set_exception(error)

    async def _connected(self, sink: Sink, *, fresh: bool) -> None:
        history, absence, intake = self._history, self._absence, self._intake
        if history is None or absence is None or intake is None:
            return
        async with self._catching:
            async with sink.catching_up("discord"):
                marks = await sink.marks("discord")
                if new := absence.unmarked(marks):
                    await sink.watch(new)
                    marks = await sink.marks("discord")
                with history.round(marks, told=fresh):
                    for mark in marks:
                        async for event in history.since(mark, _CATCH_UP):
                            await sink.receive(event)
            sink.state("discord", "connected")
        if fresh and self._http is not None and self._client is not None:
            await self._sync_commands(self._http, str(self._client.application_id))
        await self._look_back(sink, marks, absence, intake)

    async def _look_back(self, sink: Sink, marks: Sequence[Mark], absence: Absence, intake: Intake) -> None:
        """What else became of open conversations. Nobody waits for it, and what fails is done at the next connection."""
        try:
            async for event in absence.changes(marks):
                await sink.receive(event)
            async for guild, agent, stays in absence.members(await sink.assignees("discord")):
                if stays:
                    intake.knows_agent(guild, agent)
                else:
                    await sink.receive(left(guild, agent, self.settings.staff_channel, self._clock()))
        except AdapterError as error:
            log.warning("not everything that happened meanwhile is known: %s", error)

    async def _sync_commands(self, http: RoutedHTTP, app: str) -> None:
        try:
            if await sync(http, app, self.settings.guild):
                log.info("commands registered")
        except Exception as error:  # noqa: BLE001
            # The bot answers without commands too; `firstline check` names the cause.
            log.warning("commands not registered: %s", translate(error))

    # --- the port's other side ---

    def parts(self, op: Op) -> int:
        return len(plan(op, self.settings.words.support))

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        return await self._sending().deliver(op, part, key)

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        return await self._sending().reconcile(op, part, key, since)

    def _sending(self) -> Sender:
        if self._sender is None:
            raise Unavailable("not connected to Discord")
        return self._sender

    async def catch_up(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        if self._history is None:
            raise Unavailable("not connected to Discord")
        async for event in self._history.since(mark, limit):
            yield event

    @contextlib.asynccontextmanager
    async def _rest(self) -> AsyncIterator[RoutedHTTP]:
        """The running client, or one for this call only (`firstline check` needs no gateway)."""
        if self._http is not None:
            yield self._http
            return
        async with session(self.settings) as http:
            yield http

    async def actor(self, tenant: str, user: str) -> Actor:
        """Who that is now; somebody who left has no roles."""
        guild = tenant if tenant.isdigit() else self.settings.guild
        async with errors_translated(self.settings.timing.call), self._rest() as http:
            if not guild:
                person = await http.call("GET", "/users/{user}", ids={"user": user})
                return actor_of(
                    person,
                    None,
                    tenant,
                    roles_of(user, frozenset(), None, self.settings.agents, self.settings.admins),
                )
            try:
                ids = {"guild_id": guild, "user": user}
                member = await http.call("GET", "/guilds/{guild_id}/members/{user}", ids=ids)
            except discord.NotFound:
                return Actor(platform="discord", tenant=tenant, id=user)
            facts = await self._facts(http, guild)
        roles = frozenset(str(r) for r in member.get("roles", []))
        found = roles_of(user, roles, facts, self.settings.agents, self.settings.admins)
        return actor_of(member["user"], member, tenant, found)

    async def _facts(self, http: RoutedHTTP, guild: str) -> GuildFacts | None:
        if self._client is not None and (cached := guild_facts(self._client, self.settings, guild)):
            return cached
        try:
            raw = await http.call("GET", "/guilds/{guild_id}", ids={"guild_id": guild})
        except discord.HTTPException:
            return None  # then only the lists of the configuration count
        staff = None
        if self.settings.staff_channel:
            with contextlib.suppress(discord.HTTPException):
                ids = {"channel_id": self.settings.staff_channel}
                staff = (await http.call("GET", "/channels/{channel_id}", ids=ids)).get(
                    "permission_overwrites", []
                )
        return facts_of(raw, staff)

    async def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        async with self._rest() as http:
            async for chunk in self._files.fetch(http, file, max_bytes):
                yield chunk

    async def permalink(self, ref: MsgRef) -> str | None:
        return self._link(ref)

    def _link(self, ref: MsgRef) -> str:
        guild = "@me" if ref.place.kind == "dm" else ref.place.tenant
        return f"https://discord.com/channels/{guild}/{channel_of(ref)}/{ref.id}"

    async def check(self) -> Sequence[CheckResult]:
        return await check(self.settings)
