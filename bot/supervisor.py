"""Keeps adapters alive, each by itself: one platform's failure never stops another."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import structlog

from adapters.port import AdapterError, AdapterFatal, ChatAdapter, PlatformName, Sink

log = structlog.get_logger("supervisor")

BACKOFF_CAP_SECONDS = 300.0
HEALTHY_SECONDS = 60.0  # an adapter that ran so long starts again without the earlier failures' patience


async def supervise(
    adapter: ChatAdapter,
    sink: Sink,
    stop: asyncio.Event,
    *,
    base_seconds: float = 1.0,
    jitter: Callable[[], float] = lambda: random.uniform(0.7, 1.0),  # noqa: S311 - spreads retries
) -> None:
    """Run an adapter until `stop`, again and again. A fatal failure leaves it down and says what to do; it never
    raises (only a cancellation passes), so that siblings in a task group live on."""
    name: PlatformName = adapter.name
    failures, loop = 0, asyncio.get_running_loop()
    while not stop.is_set():
        started = loop.time()
        sink.state(name, "connecting")
        try:
            await adapter.run(sink)
        except AdapterFatal as error:
            sink.state(name, "fatal", str(error))
            log.error("adapter_fatal", platform=name, detail=str(error))  # noqa: TRY400 - the text says what to do
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, the others live on
            sink.state(name, "down", told(error))
            log.warning("adapter_down", platform=name, detail=told(error))
        else:
            sink.state(name, "stopped" if stop.is_set() else "down")
        if stop.is_set():
            return
        failures = 0 if loop.time() - started > HEALTHY_SECONDS else failures + 1
        wait = min(BACKOFF_CAP_SECONDS, base_seconds * 2 ** min(failures, 12)) * jitter()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)


def told(error: Exception) -> str:
    """What everybody may read of a failure: the words of platforms and of the network; others may quote what they could
    not read, which may be what people wrote."""
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, AdapterError | OSError) else kind
