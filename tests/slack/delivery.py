"""How the local Slack delivers: Socket Mode with tickets, envelopes and retries, or signed HTTP requests."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import WSMsgType, web

from tests.slack.workspace import APP

MAX_RETRIES = 3


@dataclass
class Delivery:
    """One thing that must be acknowledged. `ack` is the payload that came with the acknowledgement."""

    kind: str  # events_api | interactive | slash_commands
    payload: dict[str, Any]
    attempt: int = 0
    ack: dict[str, Any] | None = None
    acked_at: float = 0.0
    sent_at: float = 0.0
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def acked(self) -> bool:
        return self.answered.is_set()


class Sockets:
    """The other end of Socket Mode."""

    def __init__(self, touch: Callable[[], None]) -> None:
        self._touch = touch
        self.host = ""
        self.tickets: dict[str, bool] = {}
        self.open: list[tuple[web.WebSocketResponse, web.Request]] = []
        self.pending: dict[str, Delivery] = {}
        self.dead_tickets = 0  # this many of the next tickets will be refused
        self.never_close = False
        self.mute_pongs = False
        self.connections = 0  # how many were ever accepted
        self.refused_tickets = 0
        self._turn = 0
        self._ids = 0
        self._over = asyncio.Event()

    def new_ticket(self) -> str:
        self._ids += 1
        ticket = f"ticket-{self._ids}"
        self.tickets[ticket] = self.dead_tickets == 0
        self.dead_tickets = max(0, self.dead_tickets - 1)
        return f"ws://{self.host}/link/?ticket={ticket}&app_id={APP}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if not self.tickets.pop(ticket, False):  # unknown, dead or used before
            self.refused_tickets += 1
            return web.Response(status=404)
        ws = web.WebSocketResponse(autoclose=False, autoping=False)
        await ws.prepare(request)
        self.open.append((ws, request))
        self.connections += 1
        await ws.send_json({
            "type": "hello", "num_connections": len(self.open), "connection_info": {"app_id": APP},
            "debug_info": {"host": "applink-local", "approximate_connection_time": 18060},
        })  # fmt: skip
        self._touch()
        try:
            await self._listen(ws)
        finally:
            self.open = [pair for pair in self.open if pair[0] is not ws]
            self._touch()
        return ws

    async def _listen(self, ws: web.WebSocketResponse) -> None:
        while True:
            message = await ws.receive()
            if message.type == WSMsgType.TEXT:
                self._acknowledged(json.loads(message.data))
            elif message.type == WSMsgType.PING:
                if not self.mute_pongs:
                    await ws.pong(message.data)
            elif message.type == WSMsgType.CLOSE:
                if self.never_close:
                    await self._over.wait()
                await ws.close()
                return
            elif message.type in {WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR}:
                return

    def _acknowledged(self, message: dict[str, Any]) -> None:
        delivery = self.pending.pop(str(message.get("envelope_id")), None)
        if delivery is not None:
            delivery.ack = message.get("payload") or {}
            delivery.acked_at = time.perf_counter()
            delivery.answered.set()
            self._touch()

    async def send(self, delivery: Delivery) -> bool:
        """Into any one open socket; False when there is none."""
        candidates = [pair for pair in self.open if not pair[0].closed]
        if not candidates:
            return False
        ws, _ = candidates[self._turn % len(candidates)]
        self._turn += 1
        self._ids += 1
        envelope: dict[str, Any] = {
            "envelope_id": f"e-{self._ids}", "type": delivery.kind, "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != "events_api",
        }  # fmt: skip
        if delivery.kind == "events_api":
            envelope |= {
                "retry_attempt": delivery.attempt,
                "retry_reason": "timeout" if delivery.attempt else "",
            }
        self.pending[envelope["envelope_id"]] = delivery
        delivery.sent_at = time.perf_counter()
        try:
            await ws.send_json(envelope)
        except ConnectionError:
            return False
        return True

    async def disconnect(self, reason: str, *, cut: bool = True) -> None:
        """Say goodbye to one socket, as Slack does every few hours; `cut`: and hang up."""
        ws, request = self.open[0]
        await ws.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-local"}})
        if cut and request.transport is not None:
            await asyncio.sleep(0)
            request.transport.close()

    def drop(self) -> None:
        """Cut every socket without a word."""
        for _, request in self.open:
            if request.transport is not None:
                request.transport.abort()
        self.open = []

    def stop(self) -> None:
        self._over.set()
        self.drop()


@dataclass
class HttpTarget:
    """Where signed requests go in HTTP mode."""

    url: str
    secret: str

    async def send(self, session: aiohttp.ClientSession, delivery: Delivery) -> bool:
        raw, path, kind = self._body(delivery)
        headers = {"Content-Type": kind, **signed(self.secret, raw, int(time.time()))}
        if delivery.attempt:
            headers |= {"X-Slack-Retry-Num": str(delivery.attempt), "X-Slack-Retry-Reason": "http_timeout"}
        delivery.sent_at = time.perf_counter()
        async with session.post(f"{self.url}{path}", data=raw, headers=headers) as response:
            text = await response.text()
            if response.status != 200:
                return False
            delivery.ack = json.loads(text) if text.startswith("{") else {}
        delivery.acked_at = time.perf_counter()
        delivery.answered.set()
        return True

    @staticmethod
    def _body(delivery: Delivery) -> tuple[bytes, str, str]:
        form = "application/x-www-form-urlencoded"
        if delivery.kind == "events_api":
            return json.dumps(delivery.payload).encode(), "/slack/events", "application/json"
        if delivery.kind == "interactive":
            return urlencode({"payload": json.dumps(delivery.payload)}).encode(), "/slack/interactive", form
        return urlencode(delivery.payload).encode(), "/slack/commands", form


def signed(secret: str, raw: bytes, stamp: int) -> dict[str, str]:
    """Slack's signature headers for `raw`; written from the documentation, not with the code under test."""
    digest = hmac.new(secret.encode(), b"v0:%d:" % stamp + raw, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(stamp), "X-Slack-Signature": f"v0={digest}"}
