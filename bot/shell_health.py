"""`firstline knowledge lint` and `audit`: what a careful colleague would say about the folder; nothing is changed."""

from __future__ import annotations

import asyncio
import json as json_module
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot import shell_output as out
from bot.config import Config

if TYPE_CHECKING:  # numpy would make every command wait
    from knowledge.lint import Finding

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration; default: config.toml if it is there.")
]
KnowledgeDir = Annotated[
    Path | None, typer.Option("--knowledge", help="A folder of knowledge instead of the configured.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
USED_SECONDS = 90 * 86_400.0


def lint(config: ConfigFile = None, folder: KnowledgeDir = None, json: Json = False) -> int:
    """Say what is wrong, stale or incomplete in the files. With file and line; exit 1 when something is wrong."""
    from bot.asking import today
    from bot.shell import configured
    from knowledge import lint as rules
    from knowledge.reader import read

    loaded = configured(config, folder)
    settings = loaded.knowledge
    topics, complaints = read(settings.paths, max_file_bytes=settings.max_file_mb * 2**20)
    found = (
        *rules.of_complaints(complaints),
        *rules.lint(
            topics,
            today=today(loaded),
            stale_days=settings.review_days,
            categories=[category.name for category in loaded.category],
        ),
    )
    return _show(found, len(topics), json=json)


def audit(config: ConfigFile = None, folder: KnowledgeDir = None, json: Json = False) -> int:
    """The same for the snapshot in use, comparing its topics. Finds those that overlap, contradict each other, or never
    answered anybody."""
    from bot.shell import configured

    found, topics = asyncio.run(_audit(configured(config, folder)))
    return _show(found, topics, json=json)


async def _audit(settings: Config) -> tuple[Sequence[Finding], int]:
    from bot.asking import opened, today
    from knowledge import lint as rules

    async with opened(settings) as library:
        topics = library.topics()
        found = await rules.audit(
            topics,
            library.embed,
            today=today(settings),
            stale_days=settings.knowledge.review_days,
            categories=[category.name for category in settings.category],
            used=await _used(settings),
        )
    return found, len(topics)


async def _used(settings: Config) -> Counter[str] | None:
    """How often each topic answered lately, by the receipts; None where the bot has not run yet."""
    from bot.storage import Storage
    from bot.writer import Writer

    database = settings.bot.data_dir / "firstline.db"
    if not database.exists():
        return None
    writer = Writer(database)
    await writer.open(reading=True)
    try:
        rows = await Storage(writer).query(
            "SELECT data FROM records WHERE kind = 'receipt' AND at >= ?", (time.time() - USED_SECONDS,)
        )
    finally:
        await writer.close()
    return Counter(str(json_module.loads(row["data"]).get("topic", "")) for row in rows)


def _show(found: Sequence[Finding], topics: int, *, json: bool) -> int:
    if json:
        out.as_json({"topics": topics, "findings": [one.to_json() for one in found]})
    else:
        for one in found:
            out.say(f"{one.severity}: {one}")
        out.say(f"{out.counted(topics, 'topic')}, {out.counted(len(found), 'finding')}")
    return int(any(one.severity == "problem" for one in found))
