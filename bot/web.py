"""Our one site: is it alive, is it ready, how does it fare; adapters mount their routes beside these."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from bot.metrics import Metrics


class WebError(Exception):
    """The site could not be opened; the text says why and what to do."""


class Site:
    def __init__(
        self,
        host: str,
        port: int,
        metrics: Metrics,
        health: Callable[[], Mapping[str, Any]],
        routes: Iterable[web.AbstractRouteDef] = (),
    ) -> None:
        self._host, self._port, self._metrics, self._health = host, port, metrics, health
        self._app = web.Application(client_max_size=12 * 2**20)
        self._app.add_routes(
            [
                web.get("/healthz", self._alive),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._show),
            ]
        )
        self._app.add_routes(routes)
        self._runner = web.AppRunner(self._app, handle_signals=False, access_log=None, shutdown_timeout=2.0)

    async def open(self) -> int:
        """Listen; returns the port (which the system chose where the configured one is 0)."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                raise WebError(
                    f"port {self._port} on {self._host} is in use. Is another Firstline running? "
                    "Choose another with [web] port, or --port."
                ) from error
            raise WebError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}. Check [web] host and port."
            ) from error
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _alive(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _ready(self, _: web.Request) -> web.Response:
        health = self._health()
        return web.json_response(health, status=200 if health["ready"] else 503)

    async def _show(self, _: web.Request) -> web.Response:
        self._health()
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")
