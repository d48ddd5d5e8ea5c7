"""What surrounds every REST call: recording, faults on order, authorisation, rate limits, errors as JSON."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from tests.discord_server.world import Raw, Refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
API = "/api/v10"
BODY = web.RequestKey("body", dict)


def answer(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """JSON with exactly `Content-Type: application/json`, as Discord sends it."""
    if data is None:
        return web.Response(status=204, headers=headers)
    typed = {"Content-Type": "application/json"} | (headers or {})
    return web.Response(body=json.dumps(data).encode(), status=status, headers=typed)


def refusal(error: Refused) -> web.Response:
    body: Raw = {"code": error.code, "message": error.message}
    if error.errors:
        body["errors"] = error.errors
    return answer(body, error.status)


@dataclass
class Call:
    """One REST call that reached the server."""

    method: str
    path: str
    body: Raw
    query: dict[str, str]
    status: int = 0


@dataclass
class Fault:
    """Trouble for the next `times` calls that match.

    `drop="before"`: the connection breaks and nothing happened. `drop="after"`: it happened, then it breaks.
    `hold`: the call waits until the event is set. Otherwise `status`, `body` and `headers` are the answer.
    """

    method: str
    pattern: str
    times: int = 1
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: Literal["", "before", "after"] = ""
    hold: asyncio.Event | None = None


@dataclass
class Limit:
    """A real bucket: `limit` calls in `window` seconds for each channel, webhook or guild of the route."""

    method: str
    pattern: str
    limit: int
    window: float
    used: dict[str, list[float]] = field(default_factory=dict)


class Surroundings:
    def __init__(self, token: str, changed: Callable[[], None]) -> None:
        self.token, self._changed = token, changed
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.limits: list[Limit] = []

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(API):
            return await handler(request)
        path = request.path.removeprefix(API)
        call = Call(request.method, path, await self._body(request), dict(request.query))
        request[BODY] = call.body
        self.calls.append(call)
        try:
            response = await self._around(request, handler, call)
        finally:
            self._changed()
        call.status = response.status
        return response

    async def _around(self, request: web.Request, handler: Handler, call: Call) -> web.StreamResponse:
        fault = next(
            (f for f in self.faults if f.method == call.method and re.search(f.pattern, call.path)), None
        )
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
            if fault.hold is not None:
                await fault.hold.wait()
            elif fault.drop == "before":
                return self._drop(request)
            elif not fault.drop:
                return answer(fault.body if fault.body is not None else {}, fault.status, fault.headers)
        if self._needs_token(call.path) and request.headers.get("Authorization") != f"Bot {self.token}":
            return answer({"message": "401: Unauthorized", "code": 0}, 401)
        headers, limited = self._limited(call)
        if limited is not None:
            return limited
        try:
            response = await handler(request)
        except Refused as error:
            response = refusal(error)
        if fault is not None and fault.drop == "after":
            return self._drop(request)
        response.headers.update(headers)
        return response

    @staticmethod
    def _needs_token(path: str) -> bool:
        return not path.startswith(("/interactions/", "/webhooks/"))

    @staticmethod
    def _drop(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def _body(self, request: web.Request) -> Raw:
        """The JSON body; for multipart, `payload_json` with the uploads under "_files"."""
        if request.content_type == "multipart/form-data":
            form = await request.post()
            body: Raw = json.loads(str(form.get("payload_json") or "{}"))
            uploads = [value for key, value in form.items() if key.startswith("files[")]
            files = [(u.filename, u.file.read()) for u in uploads if isinstance(u, web.FileField)]
            for upload in uploads:
                if isinstance(upload, web.FileField):
                    upload.file.close()
            return body | {"_files": files}
        data = await request.read()
        if not data:
            return {}
        found = json.loads(data)
        return found if isinstance(found, dict) else {"_list": found}

    def _limited(self, call: Call) -> tuple[dict[str, str], web.Response | None]:
        """Rate-limit headers, and 429 where a bucket that the test made is empty."""
        bucket = re.sub(r"\d{10,}", "-", f"{call.method} {call.path}")
        if call.path.startswith("/interactions/"):
            bucket = "callback"
        headers = {"X-RateLimit-Bucket": str(abs(hash(bucket))), "Via": "1.1 google"}
        limit = next(
            (
                item
                for item in self.limits
                if item.method == call.method and re.search(item.pattern, call.path)
            ),
            None,
        )
        if limit is None:
            rest = {"Limit": "1000", "Remaining": "999", "Reset-After": "1", "Reset": str(time.time() + 1)}
            return headers | {f"X-RateLimit-{k}": v for k, v in rest.items()}, None
        major = "".join(re.findall(r"^/(?:channels|guilds|webhooks)/(\d+)", call.path))
        now = time.monotonic()
        used = [t for t in limit.used.get(major, []) if now - t < limit.window]
        wait = limit.window - (now - used[0]) if used else limit.window
        full = len(used) >= limit.limit
        if not full:
            used.append(now)
        limit.used[major] = used
        rest = {
            "Limit": str(limit.limit),
            "Remaining": str(limit.limit - len(used)),
            "Reset-After": f"{wait:.3f}",
            "Reset": f"{time.time() + wait:.3f}",
        }
        headers |= {f"X-RateLimit-{k}": v for k, v in rest.items()}
        if not full:
            return headers, None
        body = {"message": "You are being rate limited.", "retry_after": round(wait, 3), "global": False}
        extra = {"Retry-After": str(int(wait) + 1), "X-RateLimit-Scope": "user"}
        return headers, answer(body, 429, headers | extra)
