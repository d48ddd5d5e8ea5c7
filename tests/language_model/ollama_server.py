"""A local server that speaks Ollama's API, and misbehaves on order.

It answers /api/version, /api/tags and /api/chat (streaming NDJSON and plain) as Ollama does, refuses what Ollama
refuses, and keeps every request. What a chat answers is queued, or stands ready for every question of one form; an empty
queue is a mistake of the test.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Fault = Literal[
    "", "silent", "cut", "error line", "no json", "list line", "server error", "redirect", "endless", "no end"
]


@dataclass
class Reply:
    """One chat answer. `content` is what the model says; a `fault` spoils it after `chunks` pieces."""

    content: str = ""
    fault: Fault = ""
    done_reason: str = "stop"
    chunks: int = 3


def says(**answer: Any) -> Reply:
    """A well-formed structured answer."""
    return Reply(json.dumps(answer))


@dataclass
class Ollama:
    """The server's side: what was asked, what comes next, how many are being answered now."""

    models: tuple[str, ...] = ("small:latest",)
    replies: deque[Reply] = field(default_factory=deque)
    always: dict[str, Reply] = field(default_factory=dict)  # by the title of the schema that is asked for
    asked: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0
    most: int = 0
    gate: asyncio.Event | None = None  # while it is set up and unset, answers wait
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    host: str = ""

    def next(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    @property
    def forms(self) -> list[str]:
        """What was asked for, in order."""
        return [form_of(body) for body in self.asked]

    @property
    def prompts(self) -> list[dict[str, Any]]:
        """The data of each chat, as the model would read it."""
        return [json.loads(body["messages"][-1]["content"]) for body in self.asked]


STATE = web.AppKey("ollama", Ollama)


@asynccontextmanager
async def running(**state: Any) -> AsyncIterator[Ollama]:
    """Serve on a free port of this machine until the end of the block."""
    ollama = Ollama(**state)
    app = web.Application()
    app[STATE] = ollama
    app.add_routes(
        [web.get("/api/version", version), web.get("/api/tags", tags), web.post("/api/chat", chat)]
    )
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    ollama.host = f"http://127.0.0.1:{port}"
    try:
        yield ollama
    finally:
        await runner.cleanup()


async def version(_: web.Request) -> web.Response:
    return web.json_response({"version": "0.12.0"})


async def tags(request: web.Request) -> web.Response:
    names = request.app[STATE].models
    return web.json_response(
        {"models": [{"model": n, "name": n, "size": 1, "digest": "0" * 64} for n in names]}
    )


async def chat(request: web.Request) -> web.StreamResponse:
    ollama: Ollama = request.app[STATE]
    body = await request.json()
    if refused := wrong(body, ollama):
        return refused
    ollama.asked.append(body)
    ollama.running += 1
    ollama.most = max(ollama.most, ollama.running)
    ollama.arrived.set()
    try:
        if ollama.gate is not None:
            await ollama.gate.wait()
        ready = ollama.always.get(form_of(body))
        return await answer(request, ready or ollama.replies.popleft(), body)
    finally:
        ollama.running -= 1


def form_of(body: dict[str, Any]) -> str:
    """The title of the schema that a chat's answer must have."""
    return str(body["format"].get("title", "")) if isinstance(body.get("format"), dict) else ""


def wrong(body: dict[str, Any], ollama: Ollama) -> web.Response | None:
    """What Ollama refuses: no model, a model that it has not, messages without role, a format that is no schema."""
    model = body.get("model", "")
    if not model:
        return web.json_response({"error": "model is required"}, status=400)
    if model not in ollama.models and f"{model}:latest" not in ollama.models:
        return web.json_response({"error": f"model '{model}' not found"}, status=404)
    if any(m.get("role") not in ("system", "user", "assistant", "tool") for m in body.get("messages", [])):
        return web.json_response({"error": "invalid role"}, status=400)
    if body.get("format") not in (None, "", "json") and not isinstance(body["format"], dict):
        return web.json_response({"error": "invalid format"}, status=400)
    return None


async def answer(request: web.Request, reply: Reply, body: dict[str, Any]) -> web.StreamResponse:
    if reply.fault == "server error":
        return web.json_response({"error": "llama runner process has terminated"}, status=500)
    if reply.fault == "redirect":
        return web.HTTPTemporaryRedirect("http://127.0.0.1:9/api/chat")
    if not body.get("stream", True):
        return web.json_response(line(body["model"], reply.content, done=True, reason=reply.done_reason))
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    size = max(1, -(-len(reply.content) // reply.chunks))
    pieces = [reply.content[at : at + size] for at in range(0, len(reply.content), size)]
    for piece in pieces[:1] if reply.fault else pieces:
        await write(response, line(body["model"], piece))
    if reply.fault:
        return await spoil(request, response, reply, body["model"])
    await write(response, line(body["model"], "", done=True, reason=reply.done_reason))
    await response.write_eof()
    return response


async def spoil(
    request: web.Request, response: web.StreamResponse, reply: Reply, model: str
) -> web.StreamResponse:
    match reply.fault:
        case "silent":
            await asyncio.Event().wait()  # until the client has had enough
        case "cut":
            assert request.transport is not None
            request.transport.abort()
        case "error line":
            await write(response, {"error": "an error was encountered while running the model"})
        case "no json":
            await response.write(b"<html>proxy error</html>\n")
        case "list line":
            await response.write(b"[1, 2]\n")
        case "endless":
            for _ in range(10_000):
                await write(response, line(model, "and so on " * 50))
    return response


def line(model: str, content: str, *, done: bool = False, reason: str = "") -> dict[str, Any]:
    ending = {"done_reason": reason, "total_duration": 5, "eval_count": 3} if done else {}
    message = {"role": "assistant", "content": content}
    return {"model": model, "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done, **ending}


async def write(response: web.StreamResponse, data: dict[str, Any]) -> None:
    await response.write(json.dumps(data).encode() + b"\n")
