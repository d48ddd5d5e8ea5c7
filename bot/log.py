"""Logging: one line per event, JSON in production, colours on a terminal; never a secret, never what people wrote."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

TOKENS = re.compile(
    r"xox[a-z]-[\w-]+|xapp-[\w-]+|[\w-]{20,28}\.[\w-]{6}\.[\w-]{27,}|Bearer\s+\S+|Bot\s+[\w.-]{30,}"
)
PRIVATE = frozenset({"text", "values", "question", "answer", "email", "token", "payload", "body"})


def scrub(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What people wrote, and whatever looks like a token, does not reach a log."""
    for key, value in line.items():
        if key in PRIVATE:
            line[key] = "[private]"
        elif isinstance(value, str):
            line[key] = TOKENS.sub("[token]", value)
    return line


def configure(form: Literal["auto", "json", "text"], level: str) -> None:
    """Set logging up for the process; libraries' own lines take the same way out."""
    terminal = sys.stderr.isatty() if form == "auto" else form == "text"
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
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
