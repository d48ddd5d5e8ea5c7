"""The local Discord asked without the library: plain REST calls."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.discord_server import DiscordServer


class Api:
    """Raw REST calls as the bot."""

    def __init__(self, server: DiscordServer, web: aiohttp.ClientSession) -> None:
        self.server, self.web = server, web
        self.headers: dict[str, str] = {}

    async def __call__(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bot {self.server.token if token is None else token}"}
        async with self.web.request(
            method, self.server.api_base + path, json=body, headers=headers
        ) as response:
            self.headers = dict(response.headers)
            return response.status, (await response.json() if response.status != 204 else None)
