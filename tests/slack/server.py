"""A local Slack for tests: the Web API, Socket Mode or HTTP delivery, and people who use it.

    async with SlackServer() as server:
        ana = server.add_user("ana", email="ana@example.com")
        help_ = server.add_channel("help", members=["ana"])
        settings = SlackSettings(bot_token=server.bot_token, app_token=server.app_token, api_base=server.api_base, …)
        …                                             # run the adapter, then
        await server.wait_for(lambda: server.sockets.open)
        ts = await server.user_says("help", "ana", "@firstline how do refunds work?")
        await server.wait_for(lambda: len(server.messages("help", ts)) > 1)

People do: `user_says`, `user_edits`, `user_deletes`, `user_uploads`, `user_reacts`, `user_presses`, `user_submits`,
`user_command`, `user_shortcut`, `user_opens_home`, `user_leaves`, `unfurl`. Channels and people may be named or given by id;
text is typed text (`&`, `<`, `>` are escaped and `@name` becomes a mention) unless `raw=True`. Each waits until the
delivery is acknowledged, at most `ack_seconds`; what `user_presses`, `user_submits`, `user_command` and
`user_shortcut` return is the `Delivery`: `.acked`, and `.ack` for the payload of the acknowledgement.

One sees: `messages(channel)` (everything, in order), `messages(channel, root_ts)` (one thread, its root first),
`ephemerals(user)`, `dms(user)`, `views(user)` (open modals; `view["errors"]` holds inline errors), `home(user)`;
`plain(message)` is what a person reads, `labels(message)` the buttons. Nothing sleeps: `wait_for(predicate)` returns
the predicate's truthy value as soon as it has one, `settled()` returns when every delivery has been acknowledged and
no request is in the air (it cannot know what the program under test still thinks about: use `wait_for` for that).

Faults, on order: `fail(method, kind, times=1, channel=None, seconds=…)` with kind "drop_before" (connection closed
before anything happened), "drop_after" (done, then closed), "hang", "500", "ratelimited", or any error code
(`done=True`: it happened all the same). `rate_limit(channel, seconds)` until `rate_limit(channel, 0)`.
`sockets.disconnect(reason)`, `sockets.drop()`, `sockets.dead_tickets`, `sockets.never_close`, `sockets.mute_pongs`.
Un-acknowledged events come again with `redeliver()`, or by themselves after each of `retry_seconds`.
It refuses what Slack refuses: see `blocks.py` for shapes and `methods.py` for the rest.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from tests.slack.blocks import Invalid, check_blocks
from tests.slack.courier import Courier
from tests.slack.methods import ALL_SCOPES, NEEDS, Methods, Refused
from tests.slack.people import Doings
from tests.slack.workspace import (
    APP_TOKEN,
    BOT,
    BOT_TOKEN,
    BOT_USER,
    SIGNING_SECRET,
    TEAM,
    Channel,
    Message,
    Workspace,
    buttons,
    readable,
)

RESPONSE_URL_USES = 5
STRUCTURED = {"blocks", "files", "metadata", "view"}  # in forms they are JSON text


@dataclass
class Fault:
    method: str
    kind: str
    times: int
    channel: str | None = None
    seconds: float = 1.0
    done: bool = False


class SlackServer(Courier, Doings):
    """See the module."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(Workspace(clock))
        self.methods = Methods(self)
        self.bot_token, self.app_token, self.signing_secret = BOT_TOKEN, APP_TOKEN, SIGNING_SECRET
        self.bot_user, self.team = BOT_USER, TEAM
        self.scopes = set(ALL_SCOPES)
        self.app_scopes = {"connections:write"}
        self.token_error = ""  # e.g. "token_revoked": every call with the bot token is refused with it
        self.echo = True  # tell the app about its own messages, as Slack does
        self.page_max = 1000
        self.share_after = 0  # so often a file's own page is asked before Slack has shared it
        self.posts_per_second: float | None = None
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[Fault] = []
        self.url = ""
        self._limited: dict[str, float] = {}
        self._last_post: dict[str, float] = {}
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link/", self.sockets.handle)
        app.router.add_post("/respond/{id}", self._respond)
        app.router.add_post("/upload/{id}", self._upload)
        app.router.add_get("/files-pri/{id}", self._download)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.sockets.host = f"{host}:{port}"
        self.url = f"http://{host}:{port}"
        self._session = aiohttp.ClientSession()

    async def stop(self) -> None:
        self._stopping.set()
        self.sockets.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def api_base(self) -> str:
        return f"{self.url}/api/"

    # --- setting up ----------------------------------------------------------------------------------------------

    def add_user(self, name: str, **more: Any) -> str:
        return self.space.add_user(name, **more)

    def add_channel(self, name: str, **more: Any) -> str:
        return self.space.add_channel(name, **more)

    def add_usergroup(self, ident: str, members: list[str]) -> str:
        self.space.groups[ident] = {self.space.user(member) for member in members}
        return ident

    # --- seeing --------------------------------------------------------------------------------------------------

    def messages(self, channel: str, thread_ts: str | None = None) -> list[Message]:
        found = self.space.channel(channel)
        if thread_ts is None:
            return found.in_order()
        return [m for ts, m in found.messages.items() if ts == thread_ts] + found.replies(thread_ts)

    def ephemerals(self, user: str) -> list[Message]:
        return [m for m in self.space.ephemerals if m["to"] == self.space.user(user)]

    def dms(self, user: str) -> list[Message]:
        return self.space.dm(user).in_order()

    def dm_of(self, user: str) -> str:
        """The id of the channel in which this person and the bot talk."""
        return self.space.dm(user).id

    def views(self, user: str) -> list[dict[str, Any]]:
        return [view for view in self.space.views.values() if view["user"] == self.space.user(user)]

    def home(self, user: str) -> dict[str, Any] | None:
        return self.space.homes.get(self.space.user(user))

    plain = staticmethod(readable)

    @staticmethod
    def labels(message: Message) -> list[str]:
        return [button["text"]["text"] for button in buttons(message)]

    def count(self, method: str) -> int:
        """How often a method was called, successfully or not."""
        return sum(called == method for called, _ in self.calls)

    # --- faults --------------------------------------------------------------------------------------------------

    def fail(
        self, method: str, kind: str, times: int = 1, *, channel: str | None = None, seconds: float = 1.0,
        done: bool = False,
    ) -> None:  # fmt: skip
        where = self.space.channel(channel).id if channel else None
        self.faults.append(Fault(method, kind, times, where, seconds, done))

    def rate_limit(self, channel: str, seconds: float) -> None:
        self._limited[self.space.channel(channel).id] = seconds

    def check_post_rate(self, channel: str) -> None:
        if self._limited.get(channel):
            raise Refused("ratelimited", retry_after=self._limited[channel])
        if self.posts_per_second is not None:
            now, gap = time.monotonic(), 1 / self.posts_per_second
            if now - self._last_post.get(channel, -gap) < gap:
                raise Refused("ratelimited", retry_after=1)
            self._last_post[channel] = now

    def _fault(self, method: str, args: Mapping[str, Any]) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and fault.channel in {None, args.get("channel")}:
                fault.times -= 1
                return fault
        return None

    # --- the Web API ---------------------------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        self._in_air += 1
        try:
            args: dict[str, Any] = dict(request.query)
            if request.content_type == "application/json":
                args |= await request.json()
            else:
                args |= {name: str(value) for name, value in (await request.post()).items()}
                args |= {name: json.loads(args[name]) for name in STRUCTURED & args.keys()}
            self.calls.append((method, args))
            return await self._answer(request, method, args)
        finally:
            self._in_air -= 1
            self.touch()

    async def _answer(self, request: web.Request, method: str, args: dict[str, Any]) -> web.StreamResponse:
        fault = self._fault(method, args)
        if fault is not None and (fault.kind == "drop_after" or fault.done):
            self._perform(request, method, args)
        match fault.kind if fault is not None else "":
            case "":
                answer = self._perform(request, method, args)
            case "drop_before" | "drop_after":
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            case "hang":
                await self._stopping.wait()
                return web.Response()
            case "500":
                return web.Response(status=500, text="<html>oops</html>", content_type="text/html")
            case kind:
                assert fault is not None
                answer = {"ok": False, "error": kind}
                if kind == "ratelimited":
                    answer["retry_after"] = fault.seconds
        headers = {"X-OAuth-Scopes": ",".join(sorted(self.scopes))}
        if answer.get("error") == "ratelimited":
            headers["Retry-After"] = f"{answer.pop('retry_after'):g}"
            return web.json_response(answer, status=429, headers=headers)
        return web.json_response(answer, headers=headers, dumps=_dumps)

    def _perform(self, request: web.Request, method: str, args: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._authorise(request, method, args)
            return self.methods.call(method, args)
        except Refused as refused:
            return refused.answer

    def _authorise(self, request: web.Request, method: str, args: Mapping[str, Any]) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or str(args.get("token", ""))
        app_level = method == "apps.connections.open"
        if not token:
            raise Refused("not_authed")
        if token not in {self.bot_token, self.app_token}:
            raise Refused("invalid_auth")
        if (token == self.app_token) != app_level:
            raise Refused("not_allowed_token_type")
        if self.token_error and not app_level:
            raise Refused(self.token_error)
        needed = NEEDS.get(method)
        held = self.app_scopes if app_level else self.scopes
        if needed is not None and needed not in held:
            raise Refused("missing_scope", needed=needed, provided=",".join(sorted(held)))

    def posted(self, channel: Channel, message: Message) -> None:
        """The app hears its own messages too; they carry its bot_id."""
        if self.echo:
            self._later(self.emit({**message, "channel": channel.id, "channel_type": channel.kind}))
        self.touch()

    # --- response urls, files --------------------------------------------------------------------------------------

    async def _respond(self, request: web.Request) -> web.Response:
        held = self.space.response_urls.get(request.match_info["id"])
        body = await request.json()
        if held is None or self.space.clock() > held["expires"]:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        held["uses"] += 1
        if held["uses"] > RESPONSE_URL_USES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        try:
            check_blocks(body.get("blocks") or [])
        except Invalid as why:
            return web.json_response({"ok": False, "error": "invalid_blocks", "why": str(why)}, status=400)
        message = {
            "ts": self.space.ts(), "channel": held["channel"], "to": held["user"], "text": body.get("text", ""),
            "blocks": body.get("blocks"), "thread_ts": body.get("thread_ts"), "via": "response_url",
        }  # fmt: skip
        if body.get("response_type") == "in_channel":
            found = self.space.channels[held["channel"]]
            found.messages[message["ts"]] = {**message, "type": "message", "user": BOT_USER, "bot_id": BOT}
        else:
            self.space.ephemerals.append(message)
        self.touch()
        return web.json_response({"ok": True})

    async def _upload(self, request: web.Request) -> web.Response:
        upload = self.space.uploads.get(request.match_info["id"])
        data = await request.read()
        if upload is None or len(data) != upload["length"]:
            return web.Response(status=400)
        upload["data"] = data
        return web.Response(text=f"OK - {len(data)}")

    async def _download(self, request: web.Request) -> web.Response:
        """Without the token or the scope Slack answers 200 with its login page."""
        file = self.space.files.get(request.match_info["id"])
        if file is None:
            return web.Response(status=404)
        if (
            request.headers.get("Authorization") != f"Bearer {self.bot_token}"
            or "files:read" not in self.scopes
        ):
            return web.Response(
                text="<!DOCTYPE html><html><body>Sign in</body></html>", content_type="text/html"
            )
        if file.get("redirect"):
            return web.Response(status=302, headers={"Location": file["redirect"]})
        served = file.get("served") or file["mimetype"]
        return web.Response(body=self.space.contents[file["id"]], content_type=served)

    def show(self, user: str, view: dict[str, Any]) -> dict[str, Any]:
        """Open a modal for a person."""
        ident = f"V{self.space.number()}"
        blocks = [{"block_id": f"b{self.space.number()}", **block} for block in view["blocks"]]
        held = {
            **view,
            "blocks": blocks,
            "id": ident,
            "hash": f"h{self.space.number()}",
            "user": user,
            "errors": {},
        }
        self.space.views[ident] = held
        return held


def _dumps(value: Any) -> str:
    return json.dumps(value, default=sorted)
