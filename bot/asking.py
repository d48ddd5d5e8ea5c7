"""One question through gather and decide, nothing sent and nothing stored: `firstline ask`, evaluations."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from adapters.console_format import content_lines
from adapters.port import Actor, Content, MessageReceived, MsgRef, Place
from bot import shell_output as out
from bot import wording
from bot.batch import Step
from bot.cases import as_told
from bot.clock import day_of
from bot.config import Config
from bot.gather import Gatherer
from bot.metrics import Metrics
from bot.policies import policy_of, texts_of
from bot.receipts import surest
from bot.routing import fresh_case, redacted
from bot.signals import Signals
from bot.texts import Texts
from handoff.decide import decide
from handoff.effects import Decision, Mark, Say
from handoff.facts import Answer
from handoff.model import Case, Earlier, Known
from knowledge.library import Library

SHOWN = {"+1": "👍"}  # reactions as they are seen
CUSTOMER = Actor("console", "console", "you", "you")


def data_dir_for(data_dir: Path, folder: Path) -> Path:
    """Where the snapshots of a folder given by --knowledge are kept: its own place, so that nothing is mixed."""
    return data_dir / "folders" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]


def today(config: Config) -> date:
    """The day where the desk is, by which dated topics speak."""
    return day_of(time.time(), ZoneInfo(config.hours.timezone))


class NoHistory:
    """A customer of whom nothing is stored."""

    async def earlier(self, case: Case, limit: int = 10) -> list[Earlier]:
        del case, limit
        return []


class Asker:
    """Decides on questions as the bot would, each in a fresh conversation."""

    def __init__(self, config: Config, library: Library) -> None:
        self.policy = policy_of(config)
        self.library = library
        self._signals = Signals(library.embed, config.bot.data_dir / "triggers")
        zone = ZoneInfo(config.hours.timezone)
        self._gatherer = Gatherer(library, self._signals, NoHistory(), self.policy, Metrics(), zone=zone)

    async def prepare(self) -> None:
        await self._signals.prepare(self.library.boundaries)

    async def decide(self, question: str) -> tuple[Decision, Known, dict[str, float]]:
        started = time.perf_counter()
        place = Place("console", "console", "you", None, "dm")
        event = redacted(
            MessageReceived(
                keys=("ask",), place=place, actor=CUSTOMER, occurred_at=0.0, ref=MsgRef(place, "1"), text=question,
                mentions_bot=True,
            )
        )  # fmt: skip
        assert isinstance(event, MessageReceived)
        case = fresh_case("ask", event, 0.0)
        known = await self._gatherer.known(
            case, Step(event, (), (event.ref,), (event.text,)), 1, "", time.time()
        )
        gathered = time.perf_counter()
        decision = decide(case, event, known, time.time(), self.policy)
        found = dict(known.found[0].timings_ms) if known.found else {}
        timings = {
            **found, "gather": (gathered - started) * 1000, "decide": (time.perf_counter() - gathered) * 1000,
        }  # fmt: skip
        return decision, known, {k: round(v, 3) for k, v in timings.items()}


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Library]:
    """The library with a snapshot of the configured knowledge as its files are now; built (with a progress bar) if
    they changed. For this process alone: what the bot answers from changes by a build or a reload, both of which check
    golden cases. Only where there is no snapshot yet, this one is put to use."""
    from bot.app import library_of, open_library
    from bot.reload import load_model

    library = library_of(config)
    try:
        with out.progress() as step:
            await load_model(library, step)
        info = await open_library(library)
        seen = fingerprint(config.knowledge.paths)
        note = read_from(config)
        if info is None or not note.exists() or note.read_text("utf-8") != seen:
            with out.progress() as step:
                built = await library.build(config.knowledge.paths, progress=step, now=today(config))
            if info is None:
                await library.activate(built.info.id)
            if info is None or info.id == built.info.id:
                note.write_text(seen, "utf-8")
            else:
                await library.use(built.info.id)
                out.note("the files have changed; the bot follows with: firstline knowledge build")
        yield library
    finally:
        library.close()


def read_from(config: Config) -> Path:
    """Where the fingerprint of the files is kept that the snapshot in use was built from."""
    return config.bot.data_dir / "knowledge" / "read-from.txt"


def fingerprint(paths: Sequence[Path]) -> str:
    """Which files there are, how big and how old: whether a build could find anything new."""
    files = sorted(
        f for path in paths for f in ([path] if path.is_file() else path.rglob("*")) if f.is_file()
    )
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return digest.hexdigest()


async def ask_once(config: Config, question: str) -> dict[str, Any]:
    """The contract of `firstline ask --json`."""
    async with opened(config) as library:
        asker = Asker(config, library)
        await asker.prepare()
        decision, known, timings = await asker.decide(question)
    contents = said_to_customer(decision, texts_of(config), config.bot.language)
    return described(decision, known, timings, contents)


def said_to_customer(decision: Decision, texts: Texts, language: str) -> list[Content]:
    """The messages that the customer would get."""
    says = [e for e in decision.effects if isinstance(e, Say) and e.audience == "customer"]
    return [wording.word(e.what, decision.case.language or language, texts) for e in says]


def described(
    decision: Decision, known: Known, timings: Mapping[str, float], contents: Sequence[Content]
) -> dict[str, Any]:
    found = surest(known)
    says = [e.what for e in decision.effects if isinstance(e, Say) and isinstance(e.what, Answer)]
    answer = says[0] if says else None
    scores = {h.topic: h.score for h in (found.hits if found else ())}
    case = decision.case
    decided = case.ticket.trigger if case.ticket else case.collecting.trigger if case.collecting else ""
    trigger = decided if any(fired.trigger == decided for fired in known.fired) else None
    return {
        "decision": as_told(decision.kind),
        "confidence": round(found.confidence, 4) if found else 0.0,
        "answer": answer.text if answer else "",
        "said": "\n\n".join("\n".join(_as_read(content)) for content in contents),
        "reactions": [e.emoji for e in decision.effects if isinstance(e, Mark) and e.on],
        "sources": [
            {"topic": s.topic, "title": s.title, "path": s.path, "version": s.version, "score": scores.get(s.topic)}
            for s in (answer.sources if answer else ())
        ],
        "trigger": trigger,
        "why": decision.why,
        "snapshot": known.snapshot,
        "timings_ms": dict(timings),
        "nearest": [
            {"topic": h.topic, "title": h.title, "confidence": round(h.confidence, 4)} for h in (found.hits[:3] if found else ())
        ],
    }  # fmt: skip


def _as_read(content: Content) -> Iterator[str]:
    """A message as the console shows it, with its buttons."""
    yield from content_lines(content)
    if content.buttons:
        yield "  ".join(f"[{button.label}]" for button in content.buttons)


def show(answer: Mapping[str, Any]) -> None:
    """An answer for people, with all that the customer would see of it."""
    sure = f"confidence {answer['confidence']:.2f}" if answer["snapshot"] else "nothing was looked up"
    out.console.print(f"[bold]{answer['decision']}[/]  {sure}")
    if answer["said"]:
        out.say("\n" + answer["said"] + "\n")
    elif answer["reactions"]:
        shown = " ".join(SHOWN.get(one, one) for one in answer["reactions"])
        out.say(f"the bot says nothing; it reacts to the message with {shown}")
    else:
        out.say("the bot says nothing")
    for source in answer["sources"]:
        out.say(f"from {source['title']} ({source['path']}, version {source['version']})")
    out.say(f"why: {answer['why']}")
    if not answer["answer"] and answer["nearest"]:
        out.say("nearest: " + ", ".join(f"{n['title']} ({n['confidence']:.2f})" for n in answer["nearest"]))
