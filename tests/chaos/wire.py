"""A chat platform in another process: JSON lines over a local socket, as simple as a platform can be.

`Platform` is the platform's side and outlives every bot; `WireAdapter` is the bot's side. The platform keeps whatever
it is sent, also twice: recognising that something arrived already is the bot's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Literal

from adapters.codec import dump_inbound, dump_op, load_inbound, load_op
from adapters.port import (
    Actor,
    Ambiguous,
    Caps,
    CheckResult,
    Delivered,
    FileRef,
    Inbound,
    Mark,
    MsgRef,
    Op,
    Place,
    Post,
    Sink,
    Unavailable,
)
from tests.world import NAME, words


class Platform:
    """Keeps messages by delivery key, and offers each event until it is acknowledged."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Op]] = []
        self.calls = 0
        self._refs: dict[str, MsgRef] = {}
        self._waiting: dict[int, Inbound] = {}
        self._numbers = itertools.count(1)
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self.connected = asyncio.Event()
        self.changed = asyncio.Event()

    async def open(self, path: Path) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(path), limit=2**20)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def unacknowledged(self) -> int:
        return len(self._waiting)

    def offer(self, event: Inbound) -> None:
        number = next(self._numbers)
        self._waiting[number] = event
        self._send({"event": dump_inbound(event), "n": number})

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        for number, event in self._waiting.items():
            self._send({"event": dump_inbound(event), "n": number})
        self.connected.set()
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line.endswith(b"\n"):
                    self._take(json.loads(line))
        self.connected.clear()
        writer.close()

    def _take(self, message: dict[str, Any]) -> None:
        if "ack" in message:
            self._waiting.pop(message["ack"], None)
        elif "find" in message:
            ref = self._refs.get(message["find"])
            self._send({"id": message["id"], "ref": ref.id if ref else None})
        else:
            self.calls += 1
            op, key = load_op(message["op"]), message["key"]
            if isinstance(op, Post):
                ref = MsgRef(op.place, str(1_000_000 + len(self.posts)))
                self.posts.append((key, op))
                self._refs.setdefault(key, ref)
                self._send({"id": message["id"], "ref": ref.id})
            else:
                self._send({"id": message["id"], "ref": None})
        self.changed.set()

    def texts(self, thread: str) -> list[str]:
        """What the bot has posted into a thread."""
        return [
            words(op.content) for _, op in self.posts if isinstance(op, Post) and op.place.thread == thread
        ]


class WireAdapter:
    """The bot's side. Nothing is sent again before it was looked for: the platform forgets no key, and checks none."""

    name = NAME
    caps = Caps("native", 0.0, True, "reply", True, True)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, sink: Sink) -> None:
        reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=2**20)
        sink.state(self.name, "connected")
        while line := await reader.readline():
            message = json.loads(line)
            if "event" in message:
                task = asyncio.ensure_future(self._receive(sink, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif message["id"] in self._asked:
                self._asked.pop(message["id"]).set_result(message["ref"])

    async def _receive(self, sink: Sink, message: dict[str, Any]) -> None:
        await sink.receive(load_inbound(message["event"]))
        self._send({"ack": message["n"]})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _ask(self, message: dict[str, Any]) -> Any:
        if self._writer is None or self._writer.is_closing():
            raise Unavailable("not connected")
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._send({**message, "id": number})
        try:
            async with asyncio.timeout(10):
                return await self._asked[number]
        except TimeoutError:
            raise Ambiguous("no answer") from None

    def parts(self, op: Op) -> int:
        return 1

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        found = await self._ask({"op": dump_op(op), "key": key})
        return Delivered(MsgRef(_place(op), found), _place(op)) if found else Delivered()

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        found = await self._ask({"find": key})
        return Delivered(MsgRef(_place(op), found), _place(op)) if found else "absent"

    async def stop_ingress(self) -> None:
        return

    async def close(self, grace: float) -> None:
        return

    async def catch_up(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        nothing: tuple[Inbound, ...] = ()
        for event in nothing:
            yield event

    async def actor(self, tenant: str, user: str) -> Actor:
        return Actor(self.name, tenant, user)

    async def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        yield b""

    async def permalink(self, ref: MsgRef) -> str | None:
        return None

    async def check(self) -> Sequence[CheckResult]:
        return ()


def _place(op: Op) -> Place:
    assert isinstance(op, Post)
    return op.place
