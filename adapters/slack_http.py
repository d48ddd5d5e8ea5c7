"""Slack over HTTP: one verifier in front of every route, then the same way as Socket Mode."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

log = logging.getLogger("firstline.slack")

PATHS = ("/slack/events", "/slack/interactive", "/slack/commands")
SKEW_SECONDS = 300


def signature(secret: str, timestamp: str, raw: bytes) -> str:
    """What Slack signs: version, time and the body as it came over the wire."""
    signed = b"v0:" + timestamp.encode() + b":" + raw
    return "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def genuine(secret: str, timestamp: str, given: str, raw: bytes, now: float) -> bool:
    """Whether Slack sent this, within five minutes. Never raises, whatever the headers hold."""
    if not secret or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):  # noqa: PLR2004
        return False
    if abs(now - int(timestamp)) > SKEW_SECONDS or not given.isascii():
        return False
    return hmac.compare_digest(signature(secret, timestamp, raw).encode(), given.encode())


def read_body(raw: bytes, content_type: str) -> dict[str, Any] | None:
    """The payload. Bolt's own reading takes any form text with the word "payload" in it for JSON; this does not."""
    try:
        text = raw.decode()
        if content_type == "application/json":
            found = json.loads(text)
        else:
            form = dict(parse_qsl(text, keep_blank_values=True))
            found = json.loads(form["payload"]) if "payload" in form else form
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def routes(
    secret: str, clock: Callable[[], float], bolt: Callable[[], AsyncApp | None]
) -> list[web.RouteDef]:
    """The routes for our site. `bolt` gives None while the adapter does not run: Slack is told to come again."""
    if not secret:
        raise ValueError(
            "[slack] http = true needs signing_secret: your app, Basic Information, Signing Secret"
        )

    async def handle(request: web.Request) -> web.Response:
        raw = await request.read()
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        given = request.headers.get("X-Slack-Signature", "")
        if not genuine(secret, stamp, given, raw, clock()):
            return web.Response(status=401)
        body = read_body(raw, request.content_type)
        if body is None:
            return web.Response(status=400)
        if body.get("ssl_check") == "1":
            return web.Response()
        if body.get("type") == "url_verification":
            return web.json_response({"challenge": str(body.get("challenge", ""))})
        app = bolt()
        if app is None:
            return web.Response(status=503)
        return await _dispatch(app, body, request)

    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = handle
    return [web.post(path, handler) for path in PATHS]


async def _dispatch(app: AsyncApp, body: dict[str, Any], request: web.Request) -> web.Response:
    headers: Any = {k.lower(): v for k, v in request.headers.items() if k.lower().startswith("x-slack-retry")}
    # "socket_mode": already verified and parsed, so both transports share one path from here.
    response = await app.async_dispatch(
        AsyncBoltRequest(body=body, mode="socket_mode", headers=headers or None)
    )
    content_type = response.headers["content-type"][0].split(";")[0]
    return web.Response(status=response.status, text=response.body, content_type=content_type)
