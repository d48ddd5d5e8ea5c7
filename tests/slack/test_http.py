"""The one verifier in front of every HTTP route."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from adapters.slack import SlackAdapter, SlackSettings
from adapters.slack_http import PATHS, genuine, read_body, signature
from tests.slack.delivery import signed
from tests.slack.sink import RecordingSink

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1531420618.0
# The worked example of Slack's documentation (verifying-requests-from-slack).
DOCUMENTED = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d"
    b"10d2c447fce8b6703c"
)


def test_the_documented_example() -> None:
    expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert signature(SECRET, "1531420618", DOCUMENTED) == expected
    assert genuine(SECRET, "1531420618", expected, DOCUMENTED, NOW)


GOOD = signature(SECRET, "1531420618", b"body")


@pytest.mark.parametrize(
    ("secret", "stamp", "given", "raw", "now"),
    [
        (SECRET, "1531420618", GOOD, b"tampered", NOW),
        (SECRET, "1531420618", GOOD, b"body", NOW + 301),
        (SECRET, "1531420618", GOOD, b"body", NOW - 301),
        (SECRET, "", GOOD, b"body", NOW),
        (SECRET, "yesterday", GOOD, b"body", NOW),
        (SECRET, "1531420618.0", GOOD, b"body", NOW),
        (SECRET, "١٥٣١٤٢٠٦١٨", GOOD, b"body", NOW),
        (SECRET, "9" * 400, GOOD, b"body", NOW),
        (SECRET, "-1531420618", GOOD, b"body", NOW),
        (SECRET, "1531420618", "", b"body", NOW),
        (SECRET, "1531420618", "v0=é", b"body", NOW),
        (SECRET, "1531420618", GOOD.upper(), b"body", NOW),
        (SECRET, "1531420618", GOOD[3:], b"body", NOW),
        ("", "1531420618", hmac.new(b"", b"v0:1531420618:body", hashlib.sha256).hexdigest(), b"body", NOW),
        ("other", "1531420618", GOOD, b"body", NOW),
    ],
)
def test_forgeries_are_refused(secret: str, stamp: str, given: str, raw: bytes, now: float) -> None:
    """69, T-SEC-6: missing, wrong, stale, future, tampered, malformed; never an exception."""
    assert not genuine(secret, stamp, given, raw, now)


@pytest.mark.parametrize(
    ("raw", "kind", "body"),
    [
        (b"command=%2Ffirstline&text=reload+payload+docs", "application/x-www-form-urlencoded",
         {"command": "/firstline", "text": "reload payload docs"}),
        (urlencode({"payload": '{"type":"block_actions"}'}).encode(), "application/x-www-form-urlencoded",
         {"type": "block_actions"}),
        (b'{"type":"event_callback"}', "application/json", {"type": "event_callback"}),
        (b"[]", "application/json", None),
        (b"{", "application/json", None),
        (b"\xff\xfe", "application/json", None),
        (b"payload=%7B", "application/x-www-form-urlencoded", None),
    ],
)  # fmt: skip
def test_the_word_payload_is_only_a_word(raw: bytes, kind: str, body: dict[str, Any] | None) -> None:
    """70, §0.15: Bolt's own parser takes the command for JSON."""
    assert read_body(raw, kind) == body


def test_http_mode_needs_the_signing_secret() -> None:
    adapter = SlackAdapter(SlackSettings(bot_token="xoxb", http=True))
    with pytest.raises(ValueError, match="signing_secret"):
        adapter.routes(RecordingSink())


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """The routes on a site, with the adapter not running."""
    adapter = SlackAdapter(SlackSettings(bot_token="xoxb", http=True, signing_secret=SECRET))
    app = web.Application()
    app.router.add_routes(adapter.routes(RecordingSink()))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()
    await adapter.close(0.1)


async def post(
    url: str, raw: bytes, headers: dict[str, str], kind: str = "application/json"
) -> tuple[int, str]:
    sent = {"Content-Type": kind, **headers}
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=sent) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("path", PATHS)
async def test_every_route_refuses_what_is_not_signed(site: str, path: str) -> None:
    """T-SEC-6: every route, before anything is parsed."""
    raw = json.dumps({"type": "url_verification", "challenge": "c"}).encode()
    now = int(time.time())
    for headers in (
        {},
        signed("wrong", raw, now),
        signed(SECRET, raw, now - 400),
        signed(SECRET, raw + b" ", now),
    ):
        assert (await post(site + path, raw, headers))[0] == 401
    assert (await post(site + path, b"\xff", {}))[0] == 401


async def test_the_address_is_verified(site: str) -> None:
    """71: url_verification answers the challenge, also before the adapter runs."""
    raw = json.dumps({"type": "url_verification", "challenge": "c-1"}).encode()
    status, text = await post(f"{site}/slack/events", raw, signed(SECRET, raw, int(time.time())))
    assert (status, json.loads(text)) == (200, {"challenge": "c-1"})


@pytest.mark.parametrize(
    ("raw", "status"), [(b"ssl_check=1", 200), (b"{", 503), (b"command=%2Ffirstline", 503)]
)
async def test_other_signed_requests(site: str, raw: bytes, status: int) -> None:
    """Until the adapter runs Slack is told to come again."""
    headers = signed(SECRET, raw, int(time.time()))
    assert (await post(f"{site}/slack/commands", raw, headers, "application/x-www-form-urlencoded"))[
        0
    ] == status


async def test_a_signed_body_that_is_no_json(site: str) -> None:
    raw = b"{"
    assert (await post(f"{site}/slack/events", raw, signed(SECRET, raw, int(time.time()))))[0] == 400
