"""How the local Slack gets things to the app and waits for the acknowledgement."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import aiohttp

from adapters.slack_manifest import BOT_EVENTS
from tests.slack.delivery import MAX_RETRIES, Delivery, HttpTarget, Sockets
from tests.slack.workspace import APP, BOT_USER, TEAM, Workspace

T = TypeVar("T")
SUBSCRIBED = frozenset(name.partition(".")[0] for name in BOT_EVENTS)


class Courier:
    """Mixed into SlackServer."""

    def __init__(self, space: Workspace) -> None:
        self.space = space
        self.sockets = Sockets(self.touch)
        self.ack_seconds = 3.0
        self.retry_seconds: tuple[float, ...] = ()
        self.http: HttpTarget | None = None
        self.outstanding: list[Delivery] = []
        self._in_air = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._session: aiohttp.ClientSession | None = None

    def touch(self) -> None:
        """Something changed: whoever waits looks again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for(self, predicate: Callable[[], T], seconds: float = 10.0) -> T:
        """The first truthy value of `predicate`; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while True:
                found = predicate()
                if found:
                    return found
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.02)

    async def settled(self, seconds: float = 10.0) -> None:
        await self.wait_for(lambda: self._in_air == 0 and all(d.acked for d in self.outstanding), seconds)

    async def emit(
        self,
        event: Mapping[str, Any],
        *,
        event_id: str = "",
        wait: bool = False,
        unasked: bool = False,
        **outer: Any,
    ) -> Delivery:
        """Deliver one event of the Events API, as Slack would: to one socket, or over HTTP, and only if the app's
        manifest subscribes to it (`unasked`: or somebody has clicked more together)."""
        assert unasked or event["type"] in SUBSCRIBED, f"the manifest does not subscribe to {event['type']}"
        event = {"event_ts": event.get("ts") or self.space.ts(), **event}
        payload = {
            "token": "verification", "team_id": TEAM, "context_team_id": TEAM, "api_app_id": APP, "event": event,
            "type": "event_callback", "event_id": event_id or f"Ev{self.space.number():08d}",
            "event_time": int(self.space.clock()), "is_ext_shared_channel": self._shared(event),
            "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True, "enterprise_id": None}], **outer,
        }  # fmt: skip
        return await self.deliver(Delivery("events_api", payload), wait=wait)

    def _shared(self, event: Mapping[str, Any]) -> bool:
        channel = event.get("channel")
        found = self.space.channels.get(channel) if isinstance(channel, str) else None
        return bool(found is not None and found.ext_shared)

    async def deliver(self, delivery: Delivery, *, wait: bool = True) -> Delivery:
        """Send, and wait at most `ack_seconds` for the acknowledgement. Only events are tried again."""
        if delivery.kind == "events_api":
            self.outstanding = [d for d in self.outstanding if not d.acked]
            self.outstanding.append(delivery)
        sent = await self._send(delivery)
        if wait and sent:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(delivery.answered.wait(), self.ack_seconds)
        if delivery.kind == "events_api" and self.retry_seconds and not delivery.acked:
            self._later(self._retry(delivery))
        return delivery

    async def _send(self, delivery: Delivery) -> bool:
        if self.http is None:
            return await self.sockets.send(delivery)
        assert self._session is not None
        try:
            async with asyncio.timeout(self.ack_seconds):
                return await self.http.send(self._session, delivery)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def _retry(self, delivery: Delivery) -> None:
        for seconds in self.retry_seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(delivery.answered.wait(), seconds)
            if delivery.acked or delivery.attempt >= MAX_RETRIES:
                return
            delivery.attempt += 1
            await self._send(delivery)

    async def redeliver(self) -> list[Delivery]:
        """Every event that nobody acknowledged comes again, at most three times each; waits for the answers."""
        again = [d for d in self.outstanding if not d.acked and d.attempt < MAX_RETRIES]
        for delivery in again:
            delivery.attempt += 1
            await self.deliver(delivery)
        return again

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
