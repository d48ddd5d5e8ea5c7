"""`firstline knowledge …`: build, look at, search, lint, audit and roll back what the bot knows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bot import shell_output as out
from bot.config import Config
from bot.shell_health import audit, lint

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration; default: config.toml if it is there.")
]
KnowledgeDir = Annotated[
    Path | None, typer.Option("--knowledge", help="A folder of knowledge instead of the configured.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

knowledge = typer.Typer(
    help="What the bot knows: build, look at it, check it, go back.", no_args_is_help=True
)
knowledge.command("lint")(lint)
knowledge.command("audit")(audit)


def _configured(config: Path | None, folder: Path | None) -> Config:
    from bot.shell import configured

    return configured(config, folder)


@knowledge.command("build")
def build(
    config: ConfigFile = None,
    folder: KnowledgeDir = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; put nothing to use.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Put it to use although golden cases fail.")] = False,
    json: Json = False,
) -> int:
    """Read, lint, embed what is new, put the snapshot to use. After the golden cases; complaints name file and line."""
    return asyncio.run(_build(_configured(config, folder), dry=dry, force=force, json=json))


async def _build(config: Config, *, dry: bool, force: bool, json: bool) -> int:
    from bot.app import library_of, open_library
    from bot.asking import fingerprint, read_from, today
    from bot.cases import golden_cases
    from bot.reload import failed_golden, load_model

    golden_cases(config.knowledge.golden)  # what is wrong with them is told before the work
    library, day, seen = library_of(config), today(config), fingerprint(config.knowledge.paths)
    try:
        with out.progress() as step:
            await load_model(library, step)
            before = await open_library(library)
            built = await library.build(config.knowledge.paths, progress=step, now=day)
        failed = await failed_golden(library, built.info.id, config.knowledge.golden, day)
        refused = bool(failed) and not force
        if not dry and not refused:
            await library.activate(built.info.id)
            read_from(config).write_text(seen, "utf-8")
    finally:
        library.close()
    info = built.info
    data = {
        "snapshot": info.id, "previous": before.id if before else "", "activated": not dry and not refused,
        "topics": info.topics, "passages": info.passages, "embedded": built.embedded, "reused": built.reused,
        "seconds": dict(built.seconds), "notes": list(built.notes), "threshold_answer": info.threshold_answer,
        "failed_golden": [{"question": g.question, "expected": g.expected, "got": g.got} for g in failed],
        "changes": [str(change) for change in built.changes],
    }  # fmt: skip
    if json:
        out.as_json(data)
    else:
        _show_build(data)
    return 1 if refused else 0


def _show_build(data: dict[str, Any]) -> None:
    out.say(
        f"snapshot {data['snapshot']}: {out.counted(data['topics'], 'topic')}, "
        f"{out.counted(data['passages'], 'passage')} "
        f"({data['embedded']} embedded, {data['reused']} unchanged)"
    )
    for note in data["notes"]:
        out.say(f"note: {note}")
    if data["failed_golden"]:
        out.table(
            ["question", "expected", "got"],
            [list(g.values()) for g in data["failed_golden"]],
            "Golden cases that fail",
        )
    out.say(
        "in use now"
        if data["activated"]
        else "NOT put to use" + (" (golden cases fail; --force overrides)" if data["failed_golden"] else "")
    )


@knowledge.command("status")
def status(config: ConfigFile = None, folder: KnowledgeDir = None, json: Json = False) -> int:
    """The snapshot in use. Exit 1 when there is none."""

    async def work() -> Any:
        from bot.app import library_of

        library = library_of(_configured(config, folder))
        try:
            return await library.open(), library.history
        finally:
            library.close()

    info, history = asyncio.run(work())
    if info is None:
        out.fail("No snapshot is in use.", ["firstline knowledge build"])
        return 1
    data = {
        "snapshot": info.id, "topics": info.topics, "passages": info.passages, "model": info.model,
        "built_at": info.built_at, "engine": info.engine, "threshold_answer": info.threshold_answer,
        "threshold_clarify": info.threshold_clarify, "languages": list(info.languages),
        "calibration": dict(info.calibration), "earlier": list(history[1:]),
    }  # fmt: skip
    if json:
        out.as_json(data)
    else:
        out.facts({**data, "calibration": _calibration_told(info.calibration)})
    return 0


def _calibration_told(summary: Mapping[str, Any]) -> dict[str, object]:
    """What the rehearsal found, as a person reads it: whole questions, and shares in percent."""
    rehearsed = out.counted(round(float(summary.get("rehearsed", 0))), "question")
    told: dict[str, object] = {"rehearsed": f"{rehearsed} (a topic's only question counts half)"}
    if "expected_coverage" in summary:
        told["expected to be answered"] = f"{summary['expected_coverage']:.0%} of the questions"
    if "expected_wrong" in summary:
        told["expected to be wrong"] = f"{summary['expected_wrong']:.1%} of the answers"
    if summary.get("note"):
        told["note"] = summary["note"]
    return told


@knowledge.command("search")
def search(
    question: Annotated[str, typer.Argument(callback=out.said)],
    config: ConfigFile = None,
    folder: KnowledgeDir = None,
    json: Json = False,
) -> int:
    """What the snapshot knows about a question. With scores and reasons."""

    async def work() -> Any:
        from bot.asking import opened, today

        settings = _configured(config, folder)
        async with opened(settings) as library:
            return await library.search(question, now=today(settings))

    found = asyncio.run(work())
    hits = [
        {"topic": h.topic, "title": h.title, "path": h.path, "confidence": round(h.confidence, 4),
         "score": round(h.score, 4), "evidence": {k: round(float(v), 4) for k, v in h.evidence.items()}}
        for h in found.hits
    ]  # fmt: skip
    if json:
        out.as_json({"confidence": found.confidence, "threshold_answer": found.threshold_answer, "hits": hits,
                     "why": list(found.why), "timings_ms": dict(found.timings_ms), "snapshot": found.snapshot})  # fmt: skip
        return 0
    out.say(f"confidence {found.confidence:.2f}, answered from {found.threshold_answer:.2f} on")
    out.table(["topic", "title", "file", "confidence", "score"],
              [[h["topic"], h["title"], h["path"], f"{h['confidence']:.2f}", f"{h['score']:.3f}"] for h in hits])  # fmt: skip
    for line in found.why:
        out.say(line)
    return 0


@knowledge.command("rollback")
def rollback(config: ConfigFile = None, folder: KnowledgeDir = None) -> int:
    """Go back to the snapshot that was in use before."""

    async def work() -> Any:
        from bot.app import library_of

        library = library_of(_configured(config, folder))
        try:
            await library.open()
            return await library.rollback()
        finally:
            library.close()

    info = asyncio.run(work())
    out.say(f"snapshot {info.id} is in use again: {out.counted(info.topics, 'topic')}, built {info.built_at}")
    return 0
