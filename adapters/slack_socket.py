"""Socket Mode that recovers: slack_sdk's client with the ways closed in which it can go deaf or hang.

The stock client re-uses a single-use address after a failed attempt, retries a refused token for ever, waits
ten seconds for a peer that does not answer Close, and leaves its tasks behind. This one does none of these.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack_api import FATAL, SDK_LOG

log = logging.getLogger("firstline.slack")

SOCKET_FATAL = FATAL.keys() | {"missing_scope"}
CLOSE_SECONDS = 2.0
BACKOFF_MAX = 30.0


def code_of(error: SlackApiError) -> str:
    data = getattr(error.response, "data", None)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


class ManagedSocketClient(SocketModeClient):
    """One connection. `on_fatal` hears the code when no retry can help, `on_connected` whether a gap is possible."""

    def __init__(
        self,
        app: AsyncApp,
        *,
        app_token: str,
        web_client: AsyncWebClient,
        ping_interval: float,
        backoff: float,
        proxy: str | None,
        on_fatal: Callable[[str], None],
        on_connected: Callable[[ManagedSocketClient, bool], None],
    ) -> None:
        super().__init__(
            app_token=app_token,
            logger=SDK_LOG,
            web_client=web_client,
            ping_interval=ping_interval,
            proxy=proxy,
        )
        self._app = app
        self._backoff = backoff
        self._on_fatal, self._on_connected = on_fatal, on_connected
        self._running: set[asyncio.Task[None]] = set()
        self._replaced: set[asyncio.Future[None]] = set()
        self._planned = False
        self._reviving: asyncio.Task[None] | None = None
        self.socket_mode_request_listeners.append(self._dispatch)

    async def _dispatch(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Through Bolt, and acknowledged only when Bolt says 200."""
        started = time.time()
        await send_async_response(client, request, await run_async_bolt_app(self._app, request), started)

    @property
    def alive(self) -> bool:
        return self.current_session is not None and not self.current_session.closed and not self.stale

    def revive(self) -> None:
        """Reconnect at once when the peer hung up; the SDK would notice only at its next ping."""
        session = self.current_session
        if (
            session is None
            or not session.closed
            or self._reviving is not None
            or self.connect_operation_lock.locked()
        ):
            return

        def over(task: asyncio.Task[None]) -> None:
            self._reviving = None
            if not task.cancelled() and task.exception() is not None:
                log.warning("socket not reopened", extra={"code": type(task.exception()).__name__})

        self._reviving = asyncio.ensure_future(self._reopen())
        self._reviving.add_done_callback(over)

    async def _reopen(self) -> None:
        async with self.connect_operation_lock:
            if not self.alive:
                await self.connect()

    async def connect(self) -> None:
        """Connect, however long it takes; raises only what no retry can help. Each attempt uses a new ticket."""
        attempt = 0
        while not self.closed:
            try:
                await self._connect_once()
            except SlackApiError as error:
                code = code_of(error)
                if code in SOCKET_FATAL:
                    raise
                log.warning("socket not opened", extra={"code": code})
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("socket not opened", extra={"code": type(error).__name__})
            else:
                self._on_connected(self, self._planned)
                self._planned = False
                return
            attempt += 1
            await asyncio.sleep(min(BACKOFF_MAX, self._backoff * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311

    async def issue_new_wss_url(self) -> str:
        try:
            return str(await super().issue_new_wss_url())
        except SlackApiError as error:
            if code_of(error) in SOCKET_FATAL:
                self._on_fatal(code_of(error))
            raise

    async def _connect_once(self) -> None:
        old, self.auto_reconnect_enabled = self.current_session, False
        if old is not None and not old.closed:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                await old.close()
        uri, self.wss_uri = self.wss_uri, None  # a ticket is used at most once
        session = await self.aiohttp_client_session.ws_connect(
            uri or await self.issue_new_wss_url(),
            autoping=False,
            heartbeat=self.ping_interval,
            proxy=self.proxy,
            ssl=self.web_client.ssl if self.web_client.ssl is not None else True,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
        )
        if self.closed:
            await session.close()
            return
        self.current_session = session
        self.auto_reconnect_enabled, self.stale = self.default_auto_reconnect_enabled, False
        self.last_ping_pong_time = None
        await session.ping(f"sdk-ping-pong:{time.time()}".encode())
        self.current_session_monitor = self._replace(
            self.current_session_monitor, self.monitor_current_session()
        )
        self.message_receiver = self._replace(self.message_receiver, self.receive_messages())

    def _replace(self, task: asyncio.Future[None] | None, work: Awaitable[None]) -> asyncio.Future[None]:
        if task is not None and not task.done():
            self._replaced.add(task)
            task.add_done_callback(self._replaced.discard)
            if task is not asyncio.current_task():
                task.cancel()
        return asyncio.ensure_future(work)

    async def process_message(self) -> None:
        """As the SDK does, but every task is kept until it is done."""
        raw = await self.message_queue.get()
        if raw is None:
            return
        message: dict[str, Any] = json.loads(raw) if raw.startswith("{") else {}
        task = asyncio.ensure_future(self.run_message_listeners(message, raw))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def run_message_listeners(self, message: dict[str, Any], raw_message: str) -> None:
        if message.get("type") == "disconnect":
            if message.get("reason") == "link_disabled":
                self._on_fatal("link_disabled")
                return
            self._planned = True
        await super().run_message_listeners(message, raw_message)

    async def finish(self, grace: float) -> None:
        """Let what was received be recorded and acknowledged."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=grace)

    async def close(self) -> None:
        """Close without waiting for the peer's goodbye, and without leaving a task behind."""
        self.closed = True
        self.auto_reconnect_enabled = False
        tasks = {self.message_processor, self.current_session_monitor, self.message_receiver, self._reviving}
        left = [task for task in {*tasks, *self._running, *self._replaced} if task is not None]
        left = [task for task in left if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS + 1):
                if self.current_session is not None:
                    await self.current_session.close()
        await self.aiohttp_client_session.close()
