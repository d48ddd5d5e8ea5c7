"""The playground over HTTP: the page and its files, a stream of updates, and what people do, as JSON.

It is for the machine it runs on. Requests must name this host (no DNS rebinding), must come from its own page
(no cross-site request) and are small; nothing in an answer can run as script.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from adapters.playground_format import errors_view
from adapters.port import AdapterError, Forbidden, Gone, Rejected, Unavailable

if TYPE_CHECKING:
    from adapters.playground import PlaygroundAdapter, Update

PAGE: Final = Path(__file__).parent / "playground_page"
TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
CSRF_HEADER: Final = "X-Firstline"
CSRF_VALUE: Final = "playground"
BODY_MAX: Final = 64 * 1024
UPLOAD_MAX: Final = 2_800_000  # base64 of what a file may hold
HEARTBEAT_SECONDS: Final = 15.0
STATUS: Final[dict[type[AdapterError], int]] = {Gone: 410, Forbidden: 403, Rejected: 422, Unavailable: 503}

Body = dict[str, Any]
Act = Callable[["PlaygroundAdapter", Body], Awaitable[Body]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(chat: PlaygroundAdapter) -> list[web.RouteDef]:
    files = {f.name: f.read_bytes() for f in sorted(PAGE.iterdir()) if f.suffix in TYPES}
    made = [
        web.get("/", guarded(chat, page(files, "index.html"))),
        web.get("/playground/events", guarded(chat, events(chat))),
        web.get("/playground/file/{id}", guarded(chat, download(chat))),
    ]
    made += [web.get(f"/playground/page/{name}", guarded(chat, page(files, name))) for name in files]
    made += [
        web.post(
            f"/playground/{name}", guarded(chat, acting(chat, act, UPLOAD_MAX if act is upload else BODY_MAX))
        )
        for name, act in ACTS.items()
    ]
    return made


# --- who may ask -------------------------------------------------------------------------------------------


def guarded(chat: PlaygroundAdapter, handler: Handler) -> Handler:
    """Refuse a request that does not name this host or comes from another site; add the headers."""

    async def guard(request: web.Request) -> web.StreamResponse:
        if not names_this_host(request):
            return refusal(421, "this page answers only under the address that it is bound to")
        if comes_from_elsewhere(request):
            return refusal(403, "this request comes from another site")
        if not chat.base_url:
            chat.base_url = f"{request.scheme}://{request.headers['Host']}"
        return await handler(request)

    return guard


def names_this_host(request: web.Request) -> bool:
    """Whether `Host` is a loopback name or the very address that was connected to: a name that an attacker
    points here (DNS rebinding) is neither."""
    try:
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        return False
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    bound = request.transport.get_extra_info("sockname") if request.transport else None
    return address.is_loopback or (bound is not None and str(address) == bound[0])


def comes_from_elsewhere(request: web.Request) -> bool:
    """Whether the browser says that another site caused this. Following a link to the page itself is fine."""
    followed = request.path == "/" and request.headers.get("Sec-Fetch-Dest") == "document"
    return request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none") and not followed


def comes_from_the_page(request: web.Request) -> bool:
    """A page of another site can neither set the header without being asked for leave nor forge `Origin`."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.headers.get('Host', '')}":
        return False
    return request.headers.get(CSRF_HEADER) == CSRF_VALUE


def refusal(status: int, words: str) -> web.Response:
    return web.json_response({"error": words}, status=status, headers=HEADERS)


# --- what can be read --------------------------------------------------------------------------------------


def page(files: dict[str, bytes], name: str) -> Handler:
    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body=files[name], content_type=TYPES[Path(name).suffix], charset="utf-8", headers=HEADERS
        )

    return serve


def download(chat: PlaygroundAdapter) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            _, content = chat.room.file(request.match_info["id"])
        except Gone as error:
            return refusal(410, str(error))
        headers = {**HEADERS, "Content-Disposition": "attachment"}  # never shown, whatever it says it is
        return web.Response(body=content, content_type="application/octet-stream", headers=headers)

    return serve


def events(chat: PlaygroundAdapter) -> Handler:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"})
        with chat.watching() as watcher:
            missed = chat.missed(request.headers.get("Last-Event-ID", ""))
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            for update in missed if missed is not None else [chat.snapshot()]:
                await response.write(line(chat, update))
            while True:
                try:
                    update_or_end = await asyncio.wait_for(watcher.updates.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if update_or_end is None:
                    return response
                await response.write(line(chat, update_or_end))

    async def until_gone(request: web.Request) -> web.StreamResponse:
        try:
            return await stream(request)
        except ConnectionError:
            return web.Response()  # nobody is there to read it

    return until_gone


def line(chat: PlaygroundAdapter, update: Update) -> bytes:
    number, kind, value = update
    return f"id: {chat.event_id(number)}\nevent: {kind}\ndata: {json.dumps(value)}\n\n".encode()


# --- what people do ----------------------------------------------------------------------------------------


def acting(chat: PlaygroundAdapter, act: Act, body_max: int) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if not comes_from_the_page(request):
            return refusal(403, "this request does not come from the playground's page")
        if request.content_type != "application/json":
            return refusal(415, "only application/json is read here")
        try:
            body = await read(request, body_max)
        except ValueError as error:
            return refusal(413 if str(error) == "too large" else 400, f"the request is {error}")
        try:
            return web.json_response(await act(chat, body), headers=HEADERS)
        except AdapterError as error:
            return refusal(STATUS.get(type(error), 422), str(error))
        except KeyError as error:
            return refusal(400, f"the request is missing {error}")
        except Exception:  # noqa: BLE001 - the sink's reason is the engine's to log; the person is told plainly
            return refusal(503, "that could not be stored, so it was not sent; try again")

    return handle


async def read(request: web.Request, body_max: int) -> Body:
    """The JSON object in the body; ValueError says what it is instead."""
    content = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > body_max:
            raise ValueError("too large")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind of refusal
    return body


def word(body: Body, name: str) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise Rejected(f"{name} must be text")
    return value


def words(body: Body, name: str) -> list[str]:
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise Rejected(f"{name} must be a list of texts")
    return value


async def say(chat: PlaygroundAdapter, body: Body) -> Body:
    thread = word(body, "thread") if body.get("thread") else None
    user = word(body, "user")
    files = [chat.room.file(f)[0] for f in words(body, "files")]
    message = await chat.say(user, word(body, "text"), word(body, "channel"), thread, files)
    return {"id": message}


async def press(chat: PlaygroundAdapter, body: Body) -> Body:
    button = body["button"]
    if not isinstance(button, str | int):
        raise Rejected("button must be its index or its label")
    view = await chat.press(word(body, "user"), word(body, "message"), button)
    return {"form": chat.shown_form(view)}


async def submit(chat: PlaygroundAdapter, body: Body) -> Body:
    values = body["values"]
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise Rejected("values must be texts by input id")
    files = [chat.room.file(f)[0] for f in words(body, "files")]
    user = word(body, "user")
    before = {v.id for v in chat.forms(user)}
    refused = await chat.submit(user, word(body, "view"), values, files)
    if refused is not None:
        return errors_view(refused)
    opened = [v for v in chat.forms(user) if v.id not in before]
    return {"form": chat.shown_form(opened[-1]) if opened else None}


async def dismiss(chat: PlaygroundAdapter, body: Body) -> Body:
    await chat.dismiss(word(body, "user"), word(body, "view"))
    return {}


async def command(chat: PlaygroundAdapter, body: Body) -> Body:
    user = word(body, "user")
    before = {v.id for v in chat.forms(user)}
    text = word(body, "text")
    key = chat.announce_command(user, text) if body.get("pane") else chat.command_key()
    await chat.command(user, text, str(body.get("channel") or ""), key)
    opened = [v for v in chat.forms(user) if v.id not in before]
    if opened:
        chat.command_opened(key, opened[-1].form.title)
    return {"key": key, "form": chat.shown_form(opened[-1]) if opened else None}


async def edit(chat: PlaygroundAdapter, body: Body) -> Body:
    await chat.edit(word(body, "user"), word(body, "message"), word(body, "text"))
    return {}


async def delete(chat: PlaygroundAdapter, body: Body) -> Body:
    await chat.delete(word(body, "user"), word(body, "message"))
    return {}


async def react(chat: PlaygroundAdapter, body: Body) -> Body:
    emoji = word(body, "emoji")
    if not 0 < len(emoji) <= 40:  # noqa: PLR2004 - the longest name of an emoji, and then some
        raise Rejected("that is no emoji")
    await chat.react(word(body, "user"), word(body, "message"), emoji, on=body.get("on") is not False)
    return {}


async def menu(chat: PlaygroundAdapter, body: Body) -> Body:
    view = await chat.menu(word(body, "user"), word(body, "verb"), word(body, "message"))
    return {"form": chat.shown_form(view)}


async def upload(chat: PlaygroundAdapter, body: Body) -> Body:
    try:
        content = base64.b64decode(word(body, "content"), validate=True)
    except (binascii.Error, ValueError):
        raise Rejected("the file's content is not base64") from None
    mime = word(body, "mime") if body.get("mime") else None
    ref = chat.room.keep_file(word(body, "name"), mime, content)
    return {"id": ref.id, "name": ref.name, "size": ref.size}


ACTS: Final[dict[str, Act]] = {
    "say": say,
    "press": press,
    "submit": submit,
    "dismiss": dismiss,
    "command": command,
    "edit": edit,
    "delete": delete,
    "react": react,
    "menu": menu,
    "upload": upload,
}
