"""The site: alive as long as the process lives, ready only when it can answer."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.metrics import Metrics
from bot.web import Site, WebError

HOST = "127.0.0.1"


class Health:
    """What the process would say of itself."""

    def __init__(self) -> None:
        self.ready, self.asked = False, 0

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        return {"ready": self.ready, "adapters": {"slack": ["fatal", "the token is wrong"]}}


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def get(health: Health, metrics: Metrics) -> AsyncIterator[Any]:
    async def greet(_: web.Request) -> web.Response:
        return web.Response(text="mounted")

    site = Site(HOST, 0, metrics, health, [web.get("/beside", greet)])
    port = await site.open()
    async with aiohttp.ClientSession(f"http://{HOST}:{port}") as session:

        async def fetch(path: str) -> tuple[int, str]:
            async with session.get(path) as response:
                return response.status, await response.text()

        yield fetch
    await site.close()


async def test_it_is_alive_before_it_is_ready(get: Any, health: Health) -> None:
    assert await get("/healthz") == (200, '{"alive": true}')
    status, text = await get("/readyz")
    assert status == 503
    assert "the token is wrong" in text
    health.ready = True
    assert (await get("/readyz"))[0] == 200


async def test_metrics_are_fresh_and_name_what_waits(get: Any, health: Health, metrics: Metrics) -> None:
    metrics.recorded("slack", "message", 0.001, new=True)
    metrics.recorded("slack", "message", 0.001, new=False)
    metrics.ambiguous.set(3)
    metrics.parked("slack", "forbidden")
    status, text = await get("/metrics")
    assert status == 200
    assert health.asked == 1  # the gauges are set when somebody asks
    for line in (
        'firstline_events_total{kind="message",platform="slack"} 1.0',
        'firstline_events_repeated_total{platform="slack"} 1.0',
        "firstline_outbox_ambiguous 3.0",
        'firstline_deliveries_parked_total{kind="forbidden",platform="slack"} 1.0',
        "firstline_record_seconds_count 2.0",
    ):
        assert line in text


async def test_adapters_mount_their_routes_beside_these(get: Any) -> None:
    assert await get("/beside") == (200, "mounted")
    assert (await get("/elsewhere"))[0] == 404


async def test_a_port_in_use_is_told_with_what_to_do(health: Health, metrics: Metrics) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = Site(HOST, port, metrics, health)
        with pytest.raises(WebError, match=rf"port {port} on {HOST} is in use.*\[web\] port"):
            await site.open()


async def test_a_host_that_is_not_ours_is_told(health: Health, metrics: Metrics) -> None:
    with pytest.raises(WebError, match=r"cannot listen on 192\.0\.2\.1:0.*\[web\] host"):
        await Site("192.0.2.1", 0, metrics, health).open()


async def test_two_sites_of_one_process_share_nothing(health: Health) -> None:
    one, two = Metrics(), Metrics()
    one.failed("dead")
    assert b'decision_failures_total{state="dead"} 1.0' in one.text()
    assert b'state="dead"' not in two.text()
