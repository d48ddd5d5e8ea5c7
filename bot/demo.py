"""`firstline demo`, `chat` and `run`: the process in the foreground, with words about what it does."""

from __future__ import annotations

import contextlib
import sys
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
    with out.progress() as step:
        async with app.running(step):
            info = app.library.info
            assert info is not None
            out.say(f"{info.topics} topics, {info.passages} passages, snapshot {info.id}")
            out.console.print(
                f"[bold]http://{settings.web.host}:{app.port}/[/]  ask something as a customer; Ctrl-C stops",
                soft_wrap=True,
            )
            await until_signalled()
    return 0


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
    with out.progress() as step:
        async with app.running(step):
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
    with out.progress() as step:
        async with app.running(step):
            log.info("started", port=app.port, platforms=[a.name for a in adapters])
            await until_signalled()
            log.info("stopping")
    return 0
