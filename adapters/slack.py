"""Slack: connect, take events, carry out operations. The shapes are in the modules named slack_*."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import aiohttp
from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

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
from adapters.slack_api import FATAL, SDK_LOG, SlackApi, TokenRefused
from adapters.slack_check import check_setup
from adapters.slack_files import Files
from adapters.slack_history import History
from adapters.slack_http import routes
from adapters.slack_ingress import Ingress, build_bolt
from adapters.slack_leavers import Leavers
from adapters.slack_parse import Kind, Us, place_of
from adapters.slack_people import People
from adapters.slack_sending import Sending, parts
from adapters.slack_socket import ManagedSocketClient

log = logging.getLogger("firstline.slack")

CALL_SECONDS = 15.0
CONNECTIONS_MAX = 50
DEAF_SECONDS = 60.0  # without a live socket for that long, everything is built anew
CATCH_UP_PAGE = 200


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """What the adapter needs to know. Nothing is read from the environment but the proxy."""

    bot_token: str = field(repr=False)
    app_token: str = field(default="", repr=False)
    signing_secret: str = field(default="", repr=False)
    api_base: str = "https://slack.com/api/"
    staff_channel: str = ""
    channels: Mapping[str, str] = field(default_factory=dict)
    http: bool = False
    sockets: int = 2
    agents: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()  # user groups that are named as roles elsewhere: of routes, of tiers
    agent_channel_members_are_agents: bool = True
    proxy: str = ""
    file_bytes_max: int = 20_000_000
    ping_seconds: float = 10.0
    backoff_seconds: float = 0.5
    watch_seconds: float = 1.0
    ack_seconds: float = 2.0
    share_seconds: float = 0.3


@dataclass(slots=True)
class _Workspace:
    """What exists once we know who we are."""

    us: Us
    people: People
    sending: Sending
    history: History
    leavers: Leavers


class SlackAdapter:
    """One Slack workspace."""

    name: PlatformName = "slack"
    caps = Caps(
        idempotent_post="best_effort",
        safe_resend_seconds=0,
        can_reconcile=True,
        thread_model="reply",
        inline_form_errors=True,
        private_in_channel=True,
        post_interval_seconds=1.0,
    )

    def __init__(self, settings: SlackSettings, *, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._workspace: _Workspace | None = None
        self._learning = asyncio.Lock()
        self._kinds: dict[str, Kind] = {}
        self._shared: set[str] = set()
        self._bolt: AsyncApp | None = None
        self._ingress: Ingress | None = None
        self._sockets: list[ManagedSocketClient] = []
        self._fatal: asyncio.Future[None] | None = None
        self._gap = asyncio.Event()  # something may have been missed
        self._read_back = asyncio.Event()  # and was caught up; the rest of it may follow
        self._closed = asyncio.Event()

    # --- life ------------------------------------------------------------------------------------------------

    async def run(self, sink: Sink) -> None:
        """Connect and emit until closed; see the port."""
        sink.state("slack", "connecting")
        self._closed.clear()
        self._gap.clear()
        self._read_back.clear()
        self._fatal = asyncio.get_running_loop().create_future()
        try:
            workspace = await self._identify()
            await self._begin(sink, workspace)
            await self._until_over(sink, workspace)
        except TokenRefused as error:
            raise AdapterFatal(str(error)) from error
        finally:
            await self._stop_sockets(grace=1.0)
            self._bolt = None
            if not self._fatal.cancel():
                self._fatal.exception()  # seen: it was raised, or another error came first
        sink.state("slack", "stopped")

    async def stop_ingress(self) -> None:
        """Close the sockets (Slack delivers elsewhere or again); what was received is still recorded."""
        self._bolt = None
        await self._stop_sockets(grace=3.0)

    async def close(self, grace: float) -> None:
        self._closed.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(grace, 0.1)):
                await self._stop_sockets(grace=grace / 2)
        if self._session is not None:
            await self._session.close()
        self._session = None
        self._workspace = None

    async def _begin(self, sink: Sink, workspace: _Workspace) -> None:
        api = workspace.sending.api
        self._ingress = Ingress(
            sink,
            api,
            workspace.us,
            workspace.people,
            workspace.history,
            workspace.leavers,
            lambda op: workspace.sending.deliver(op, 0, f"told:{op.interaction}"),
            clock=self._clock,
            ack_seconds=self.settings.ack_seconds,
            on_revoked=self._token_refused,
        )
        self._bolt = build_bolt(
            self.settings.api_base,
            workspace.sending.session,
            self.settings.bot_token,
            workspace.us,
            self._ingress.take,
        )
        await self._learn_channels(api)
        if self.settings.http:
            self._listen_anew(workspace)
            return
        if not self.settings.app_token:
            raise AdapterFatal(
                "The app-level token is missing: your app, Basic Information, App-Level Tokens, Generate Token (xapp-)."
            )
        for _ in range(max(1, self.settings.sockets)):
            if self._bolt is None or self._closed.is_set():
                return  # told to stop while connecting
            socket = self._socket(self._bolt, workspace)
            self._sockets.append(socket)
            # The first must stand before anything else is done; the others follow while it already listens.
            await self._or_fatal(socket.connect())

    async def _learn_channels(self, api: SlackApi) -> None:
        """Which channels are private: some events do not tell. Without an answer they count as public."""

        async def learn(channel: str) -> None:
            with contextlib.suppress(AdapterError):
                answer = await api.call("conversations.info", form=True, channel=channel)
                self._kinds[channel] = "private" if answer["channel"].get("is_private") else "channel"
                (self._shared.add if answer["channel"].get("is_ext_shared") else self._shared.discard)(
                    channel
                )

        await asyncio.gather(*(learn(channel) for channel in self.settings.channels))

    def _socket(self, bolt: AsyncApp, workspace: _Workspace) -> ManagedSocketClient:
        return ManagedSocketClient(
            bolt,
            app_token=self.settings.app_token,
            web_client=workspace.sending.api.client,
            ping_interval=self.settings.ping_seconds,
            backoff=self.settings.backoff_seconds,
            proxy=self.settings.proxy or None,
            on_fatal=self._token_refused,
            on_connected=partial(self._socket_connected, workspace),
        )

    def _socket_connected(self, workspace: _Workspace, socket: ManagedSocketClient, planned: bool) -> None:  # noqa: FBT001
        """A planned change while another socket listens leaves no gap; anything else may have."""
        others = any(other.alive for other in self._sockets if other is not socket)
        if not (others and planned):
            self._listen_anew(workspace)

    def _listen_anew(self, workspace: _Workspace) -> None:
        workspace.people.told_from_now_on()
        self._gap.set()

    def _token_refused(self, code: str) -> None:
        if self._fatal is not None and not self._fatal.done():
            hint = (
                FATAL.get(code) or f"Slack refuses the app-level token ({code}): it needs connections:write."
            )
            self._fatal.set_exception(AdapterFatal(hint))

    async def _or_fatal(self, work: Awaitable[Any]) -> None:
        """Wait for `work`, but not longer than the token is good or the adapter open."""
        assert self._fatal is not None
        doing: asyncio.Future[Any] = asyncio.ensure_future(work)
        closed: asyncio.Future[Any] = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({doing, closed, self._fatal}, return_when=asyncio.FIRST_COMPLETED)
            if self._fatal.done():
                self._fatal.result()
            if doing.done():
                doing.result()
        finally:
            for task in (doing, closed):
                task.cancel()
            await asyncio.gather(doing, closed, return_exceptions=True)

    async def _until_over(self, sink: Sink, workspace: _Workspace) -> None:
        work = (
            self._watch(sink),
            self._each_time(self._gap, partial(self._catch_up, sink, workspace)),
            self._each_time(self._read_back, partial(self._follow_up, sink, workspace)),
        )
        await self._or_fatal(asyncio.gather(*work))

    async def _each_time(self, event: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await event.wait()
            event.clear()
            await work()

    async def _watch(self, sink: Sink) -> None:
        """Reconnect a socket that was cut, at once; give up when none lives for a minute."""
        deaf_since: float | None = None
        while True:
            await asyncio.sleep(self.settings.watch_seconds)
            if not self._sockets:
                continue
            if any(socket.alive for socket in self._sockets):
                deaf_since = None
            elif deaf_since is None:
                deaf_since = time.monotonic()
                sink.state("slack", "reconnecting")
            elif time.monotonic() - deaf_since > DEAF_SECONDS:
                raise Unavailable("no socket could be opened for a minute")
            for socket in self._sockets:
                socket.revive()

    async def _catch_up(self, sink: Sink, workspace: _Workspace) -> None:
        """What must be known before anything is answered: what people wrote."""
        async with sink.catching_up("slack"):
            await self._begin_watching(sink, workspace)
            async for event in workspace.history.missed_since(await sink.marks("slack"), CATCH_UP_PAGE):
                await sink.receive(event)
        sink.state("slack", "connected")
        self._read_back.set()

    async def _begin_watching(self, sink: Sink, workspace: _Workspace) -> None:
        """A channel in which nothing was ever recorded is watched from its last message on."""
        marked = {mark.place.channel for mark in await sink.marks("slack") if mark.place.thread is None}
        fresh = {channel for channel, mode in self.settings.channels.items() if mode != "off"} - marked
        places = [
            place_of(workspace.us, channel, None, external=channel in self._shared)
            for channel in sorted(fresh)
        ]
        found = await asyncio.gather(*(workspace.history.newest(place) for place in places))
        await sink.watch([mark for mark in found if mark is not None])

    async def _follow_up(self, sink: Sink, workspace: _Workspace) -> None:
        """What else may have happened meanwhile, while answers already go out."""
        async for left in workspace.leavers.missed(await sink.assignees("slack")):
            await sink.receive(left)
        try:
            await workspace.people.meet_everybody()
            async for event in workspace.history.changed(CATCH_UP_PAGE):
                await sink.receive(event)
        except AdapterError as error:
            log.warning("not everything was looked up again", extra={"why": str(error)})

    async def _stop_sockets(self, grace: float) -> None:
        sockets, self._sockets = self._sockets, []
        await asyncio.gather(*(socket.finish(grace) for socket in sockets))
        if self._ingress is not None:
            await self._ingress.finish(grace)
        await asyncio.gather(*(socket.close() for socket in sockets))

    # --- who we are ------------------------------------------------------------------------------------------

    def _api(self) -> SlackApi:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            )
        client = AsyncWebClient(
            token=self.settings.bot_token,
            base_url=self.settings.api_base,
            session=self._session,
            proxy=self.settings.proxy or None,
            retry_handlers=[],  # the default one sends chat.postMessage twice after a lost connection
            logger=SDK_LOG,
        )
        return SlackApi(client, self._token_refused)

    async def _identify(self) -> _Workspace:
        """Who we are, asked once per connection; everything else is built on it."""
        async with self._learning:
            if self._workspace is not None and self._session is not None and not self._session.closed:
                return self._workspace
            if self._closed.is_set():  # nobody would close another session any more
                raise Unavailable("the connection to Slack is closed; this waits for the next start")
            api = self._api()
            answer = await api.call("auth.test", form=True)
            us = Us(
                tenant=str(answer["team_id"]),
                user=str(answer["user_id"]),
                bot=str(answer.get("bot_id") or ""),
                app=str(answer.get("app_id") or ""),
                enterprise=str(answer.get("enterprise_id") or ""),
                staff_channel=self.settings.staff_channel,
                kinds=self._kinds,
            )
            self._workspace = self._build(api, us)
            return self._workspace

    def _build(self, api: SlackApi, us: Us) -> _Workspace:
        settings, session = self.settings, self._session
        assert session is not None
        people = People(
            api,
            us,
            agents=settings.agents,
            admins=settings.admins,
            groups=settings.groups,
            staff_channel_is_staff=settings.agent_channel_members_are_agents,
        )
        files = Files(api, session, settings.bot_token, settings.api_base, settings.share_seconds)
        sending = Sending(
            api,
            people,
            files,
            session,
            settings.api_base,
            us.tenant,
            settings.staff_channel,
            settings.file_bytes_max,
            self._live,
        )
        history = History(api, us, people, self._clock)
        return _Workspace(us, people, sending, history, Leavers(us, people, self._clock))

    def _live(self, key: str) -> str | None:
        return self._ingress.live(key) if self._ingress is not None else None

    # --- the rest of the port --------------------------------------------------------------------------------

    def parts(self, op: Op) -> int:
        return parts(op)

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        return await (await self._identify()).sending.deliver(op, part, key)

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        return await (await self._identify()).history.reconcile(op, part, key, since)

    async def catch_up(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        """What was missed; `limit` is the size of the pages in which it is read, nothing is dropped for it."""
        async for event in (await self._identify()).history.missed(mark, limit):
            yield event

    async def actor(self, tenant: str, user: str) -> Actor:
        found = await (await self._identify()).people.actor(user)
        return replace(found, tenant=tenant)

    async def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        async for chunk in (await self._identify()).sending.files.fetch(file, max_bytes):
            yield chunk

    async def permalink(self, ref: MsgRef) -> str | None:
        return await (await self._identify()).sending.permalink(ref)

    async def check(self) -> Sequence[CheckResult]:
        try:
            return await self._check(self._api())
        finally:
            if self._workspace is None and self._session is not None:
                await self._session.close()

    async def _check(self, api: SlackApi) -> Sequence[CheckResult]:
        return await check_setup(
            api,
            app_token=self.settings.app_token,
            signing_secret=self.settings.signing_secret,
            http=self.settings.http,
            staff_channel=self.settings.staff_channel,
            channels=self.settings.channels,
        )

    def routes(self, sink: Sink) -> list[web.RouteDef]:
        """For the site, in HTTP mode; none in Socket Mode. Payloads go to the sink that `run` was given: this one."""
        del sink
        if not self.settings.http:
            return []
        return routes(self.settings.signing_secret, self._clock, lambda: self._bolt)
