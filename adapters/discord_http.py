"""Discord's REST API through discord.py's own HTTP client, at a configurable address, and what its errors mean."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Route
from yarl import URL

from adapters.discord_settings import DiscordSettings
from adapters.port import (
    AdapterError,
    AdapterFatal,
    Ambiguous,
    Forbidden,
    Gone,
    RateLimited,
    Rejected,
    TooLate,
    Unavailable,
)

GONE = frozenset({10003, 10008, 10015, 10004, 10007, 10013})
TOO_LATE = frozenset({10062, 40060, 50027})
ARCHIVED, THREAD_EXISTS, LOCKED = 50083, 160004, 160005

LOGIN_REFUSED = (
    "Discord refuses the token. Developer Portal → your application → Bot → Reset Token; put the new one into "
    "FIRSTLINE_DISCORD_TOKEN and restart."
)
INTENTS = (
    "Discord refuses an intent. Developer Portal → your application → Bot → Privileged Gateway Intents → switch on "
    "Message Content Intent, or set message_content = false (then only mentions and direct messages are read)."
)

_SAYS: dict[int, tuple[type[AdapterError], str]] = {
    50001: (Forbidden, "The bot cannot see this channel: give its role View Channel there."),
    50013: (Forbidden, "The bot lacks a permission in this channel: see `firstline check` for which one."),
    50007: (Forbidden, "This person does not accept direct messages from the server."),
    50083: (Forbidden, "The thread is archived and could not be opened: give the bot Manage Threads."),
    160005: (Forbidden, "The thread is locked: unlock it, or give the bot Manage Threads."),
    160006: (Forbidden, "The server has too many active threads: archive some."),
    30033: (Rejected, "The thread is full."),
    30046: (Rejected, "Discord allows no more edits of messages this old for now."),
    40005: (Rejected, "The file is too large for this server."),
    40067: (Rejected, "This forum requires a tag on every post."),
    50006: (Rejected, "The message was empty."),
    50024: (Rejected, "This cannot be done in this kind of channel."),
    50035: (Rejected, "Discord refused the content as invalid"),
    200000: (Rejected, "The server's AutoMod blocked the message."),
    200001: (Rejected, "The server's AutoMod blocked the title."),
    20016: (RateLimited, "Slow mode"),
    40058: (Rejected, "A forum takes posts, not messages."),
}


class RoutedHTTP(HTTPClient):
    """discord.py's client, for an API and a gateway of our choice. Nothing global is changed."""

    def __init__(self, settings: DiscordSettings) -> None:
        super().__init__(asyncio.get_running_loop(), max_ratelimit_timeout=30.0)
        self.base = settings.api_base.rstrip("/")
        self.gateway = settings.gateway
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def request(self, route: Route, **kwargs: Any) -> Any:
        if route.url.startswith(Route.BASE + "/"):
            route.url = self.base + route.url.removeprefix(Route.BASE)
        answer = await super().request(route, **kwargs)
        # A proxy that adds a charset to the content type makes the library return text.
        return json.loads(answer) if isinstance(answer, str) and answer[:1] in {"{", "["} else answer

    async def ws_connect(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        default = str(DiscordWebSocket.DEFAULT_GATEWAY)
        if self.gateway and url.startswith(default):
            url = str(URL(self.gateway).with_query(URL(url).query))
        socket = await super().ws_connect(url, compress=compress)
        self._sockets = [*(known for known in self._sockets if not known.closed), socket]
        return socket

    async def close(self) -> None:
        """Also the gateway sockets that the library does not close: those of a session that it gave up on the way."""
        for socket in self._sockets:
            await socket.close()
        await super().close()

    async def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """One request: `{name}`s in `path` are filled from `ids`, of which Discord's buckets depend."""
        ids = kwargs.pop("ids", {})
        return await self.request(Route(method, path, **ids), **kwargs)


@contextlib.asynccontextmanager
async def session(settings: DiscordSettings) -> AsyncIterator[RoutedHTTP]:
    """A logged-in client without a gateway, for checks and before the first connection."""
    http = RoutedHTTP(settings)
    try:
        await http.static_login(settings.token.strip())
        yield http
    except discord.LoginFailure as error:
        raise AdapterFatal(LOGIN_REFUSED) from error
    finally:
        await http.close()


def translate(error: BaseException) -> AdapterError:
    """What an exception out of an API call means for whoever wanted it done."""
    match error:
        case AdapterError():
            return error
        case discord.RateLimited():
            return RateLimited(error.retry_after)
        case discord.HTTPException(status=429):
            # Without Via it is Cloudflare, not Discord: everything pauses, or the ban gets longer.
            return RateLimited(_retry_after(error), "platform")
        case discord.DiscordServerError():
            return Ambiguous(f"Discord answered {error.status}")
        case discord.HTTPException():
            return _refusal(error)
        case aiohttp.ClientConnectorError():
            return Unavailable("no connection to Discord")
        case aiohttp.ClientError() | OSError() | TimeoutError():
            return Ambiguous(f"the connection to Discord broke ({type(error).__name__})")
        case RuntimeError():
            return Unavailable("the connection to Discord is closed")
        case _:
            return Ambiguous(type(error).__name__)


def _refusal(error: discord.HTTPException) -> AdapterError:
    code = error.code
    if code in GONE:
        return Gone(f"It no longer exists on Discord ({code}).")
    if code in TOO_LATE:
        return TooLate(f"The interaction is over ({code}).")
    kind, words = _SAYS.get(code, (None, ""))
    if kind is RateLimited:
        return RateLimited(_retry_after(error))
    if kind is not None:
        return kind(f"{words} ({code})")
    if error.status == 401:  # noqa: PLR2004
        return Forbidden(f"{LOGIN_REFUSED} (401)")
    if error.status == 403:  # noqa: PLR2004
        return Forbidden(f"Discord forbids it ({code}).")
    if error.status == 404:  # noqa: PLR2004
        return Gone(f"It no longer exists on Discord ({code}).")
    return Rejected(f"Discord refused it ({error.status}, {code}).")


def _retry_after(error: discord.HTTPException) -> float:
    try:
        return max(1.0, float(error.response.headers.get("Retry-After", "")))
    except ValueError:
        return 60.0


@contextlib.asynccontextmanager
async def errors_translated(limit: float) -> AsyncIterator[None]:
    """API calls inside raise the port's errors and end within `limit` seconds."""
    try:
        async with asyncio.timeout(limit):
            yield
    except (discord.DiscordException, aiohttp.ClientError, OSError, RuntimeError) as error:
        raise translate(error) from error
