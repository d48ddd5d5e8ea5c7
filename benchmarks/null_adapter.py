# ruff: noqa: ARG002  # the port's signatures, of which a platform that accepts everything needs little
"""A platform that accepts everything at once: what is left is our own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from adapters.port import (
    Actor,
    Caps,
    CheckResult,
    Delivered,
    FileRef,
    Inbound,
    Mark,
    MessageReceived,
    MsgRef,
    Op,
    Place,
    Post,
    Sink,
)

CUSTOMER = Actor("playground", "bench", "ana", "Ana")


def question(number: int, text: str) -> MessageReceived:
    """A question in a thread of its own, by a person of its own: nobody floods."""
    place = Place("playground", "bench", "help", str(number))
    person = Actor("playground", "bench", f"ana{number}", "Ana")
    return MessageReceived(
        keys=(f"bench:{number}",), place=place, actor=person, occurred_at=time.time(), ref=MsgRef(place, str(number)),
        text=text, mentions_bot=True, is_root=True,
    )  # fmt: skip


class NullAdapter:
    name = "playground"
    caps = Caps("native", float("inf"), True, "reply", True, True)

    def __init__(self) -> None:
        self._closed = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._number = 0

    def posted(self, thread: str) -> asyncio.Future[float]:
        """When the first message arrives in this thread."""
        return self._waiting.setdefault(thread, asyncio.get_running_loop().create_future())

    async def run(self, sink: Sink) -> None:
        sink.state("playground", "connected")
        await self._closed.wait()

    async def stop_ingress(self) -> None: ...

    async def close(self, grace: float) -> None:
        self._closed.set()

    def parts(self, op: Op) -> int:
        return 1

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        self._number += 1
        if isinstance(op, Post):
            waiting = self._waiting.pop(op.place.thread or "", None)
            if waiting is not None and not waiting.done():
                waiting.set_result(time.perf_counter())
            return Delivered(MsgRef(op.place, f"out{self._number}"))
        return Delivered()

    async def reconcile(self, op: Op, part: int, key: str, since: float) -> str:
        return "absent"

    async def catch_up(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        return
        yield

    async def actor(self, tenant: str, user: str) -> Actor:
        return CUSTOMER

    async def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        return
        yield b""

    async def permalink(self, ref: MsgRef) -> str | None:
        return None

    async def check(self) -> Sequence[CheckResult]:
        return ()
