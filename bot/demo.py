"""`firstline demo`, `chat` and `run`: the process in the foreground, with words about what it does."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from adapters.port import ChatAdapter
from bot import log as logs
from bot import shell_output as out
from bot.app import (
    App,
    console_app,
    demo_config,
    http_routes,
    platform_adapters,
    playground_app,
    until_signalled,
)
from bot.config import Config

log = structlog.get_logger("demo")


async def serve(config: Config, *, port: int | None) -> int:
    """The playground until Ctrl-C."""
    logs.configure("json" if not sys.stderr.isatty() else config.bot.log_format, "warning")
    data_dir = config.bot.data_dir / "demo"
    forget(data_dir)
    settings = demo_config(config, data_dir, port=port)
    app = playground_app(settings)
    host = f"[{settings.web.host}]" if ":" in settings.web.host else settings.web.host
    soon = "in a moment" if app.library.history else "the first time after about a minute"

    def opened() -> None:
        out.say(
            f"http://{host}:{app.port}/  open this page in a browser; it answers when ready is said here, {soon}"
        )

    async with started(app, opened):
        info = app.library.info
        assert info is not None
        out.say(
            f"ready: {out.counted(info.topics, 'topic')}, {out.counted(info.passages, 'passage')}, snapshot {info.id}; "
            "ask something as a customer, Ctrl-C stops"
        )
        await until_signalled()
    return 0


@contextlib.asynccontextmanager
async def started(app: App, opened: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """The process, up. Its progress is shown until then and no longer: a bar would be drawn over what people type."""
    async with contextlib.AsyncExitStack() as life:
        with out.progress() as step:
            await life.enter_async_context(app.running(step, opened))
        yield


def forget(data_dir: Path) -> None:
    """Remove what earlier demos left (their chat lived in memory and is gone), but not the knowledge; and nothing of a
    demo that is still running."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(Timeout), FileLock(str(data_dir / "firstline.db.lock"), timeout=0):
        for name in ("firstline.db", "firstline.db-wal", "firstline.db-shm"):
            (data_dir / name).unlink(missing_ok=True)


async def talk(config: Config) -> int:
    """The console until /quit."""
    logs.configure("text", "error")
    data_dir = config.bot.data_dir / "demo"
    forget(data_dir)
    settings = demo_config(config, data_dir, port=0)
    app, finished = console_app(settings)
    async with started(app):
        await finished()
    return 0


async def run_platforms(config: Config) -> int:
    """The bot on its platforms until SIGTERM."""
    logs.configure(config.bot.log_format, config.bot.log_level)
    adapters: list[ChatAdapter] = platform_adapters(config)
    if not adapters:
        out.fail(
            "No platform is enabled.",
            ["Set enabled = true under [slack] or [discord] in config.toml; `firstline init` explains the rest.",
             "To look around without an account: firstline demo"],
        )  # fmt: skip
        return 1
    app = App(config, adapters, routes=http_routes(adapters))
    async with started(app):
        log.info("started", port=app.port, platforms=[a.name for a in adapters])
        await until_signalled()
        log.info("stopping")
    return 0
