"""Logging: one line per event, JSON in production, colours on a terminal; never a secret, never what people wrote."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal

import structlog

TOKENS = re.compile(
    r"xox[a-z]-[\w-]+|xapp-[\w-]+|[\w-]{20,28}\.[\w-]{6}\.[\w-]{27,}|Bearer\s+\S+|Bot\s+[\w.-]{30,}"
)
CAUSES_MAX = 8
PRIVATE = frozenset({"text", "values", "question", "answer", "email", "token", "payload", "body"})


def scrub(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What people wrote, and whatever looks like a token, does not reach a log."""
    for key, value in line.items():
        line[key] = "[private]" if key in PRIVATE else _clean(value)
    return line


def _clean(value: Any) -> Any:
    match value:
        case str():
            return TOKENS.sub("[token]", value)
        case Mapping():
            return {key: "[private]" if key in PRIVATE else _clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item) for item in value]
        case _:
            return value


def where(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """What failed and where, without the errors' own words: libraries quote in them what they could not read."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(parts) < CAUSES_MAX:
        names = [type(error).__name__]
        if isinstance(error, BaseExceptionGroup):
            names += [type(inner).__name__ for inner in error.exceptions]
        parts.append("".join(traceback.format_tb(error.__traceback__)) + ", ".join(names))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by\n".join(parts)


@contextmanager
def quietly() -> Iterator[None]:
    """For commands: what is logged goes to standard error, so that standard output is the result and nothing else;
    afterwards everything is as it was."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    configure("auto", "error")
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)


def configure(form: Literal["auto", "json", "text"], level: str) -> None:
    """Set logging up for the process; libraries' own lines take the same way out."""
    terminal = sys.stderr.isatty() if form == "auto" else form == "text"
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(where),
        scrub,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    handler.setLevel(level.upper())  # also for a library's logger that has a level of its own
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("slack_bolt", "slack_sdk", "discord", "httpx", "aiohttp.access", "sentence_transformers"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
