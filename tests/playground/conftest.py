from __future__ import annotations

import io
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from adapters.playground import PlaygroundAdapter
from tests.playground.world import ADMINS, AGENTS, CUSTOMERS, SmallDesk


class Ticking:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def chat(clock: Ticking) -> PlaygroundAdapter:
    return PlaygroundAdapter(["#help", "general"], "#desk", CUSTOMERS, AGENTS, ADMINS, clock=clock)


@pytest.fixture
def desk(chat: PlaygroundAdapter) -> SmallDesk:
    desk = SmallDesk(chat)
    chat.connect(desk)
    return desk


Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(chat: PlaygroundAdapter, desk: SmallDesk) -> AsyncIterator[Client]:
    app = web.Application()
    app.add_routes(chat.routes(desk))
    async with TestClient(TestServer(app)) as client:
        yield client
        await chat.close(1)


@pytest.fixture
def post(client: Client) -> Callable[..., object]:
    """Do something the way the page does it."""

    async def send(name: str, /, **body: object) -> tuple[int, dict[str, object]]:
        headers = {"X-Firstline": "playground", "Origin": str(client.make_url("/")).rstrip("/")}
        headers["Content-Type"] = "application/json"
        content = io.BytesIO(json.dumps(body).encode())
        async with client.post(f"/playground/{name}", data=content, headers=headers) as response:
            return response.status, await response.json()

    return send


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(found).exists():
        pytest.skip("no chromium here; on Debian: apt-get install --no-install-recommends chromium")
    return found
