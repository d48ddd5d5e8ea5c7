"""`firstline replay`: an answer is found again as its receipt says it was asked for, and compared with what was sent.

The search gets what it got then: the same question in the same snapshot, for the same people, on the same day. What
cannot be made again is said to be so; only what differs differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo

from bot.clock import day_of
from bot.config import Config
from knowledge.library import Found, Hit, KnowledgeError, Library, Scope

Verdict = Literal["same", "differs", "unknown"]
OLD = (
    "this receipt is older than those that keep where, as whom and after which question was asked; "
    "without that the search finds something else"
)
COMPOSED = (
    "what a language model wrote cannot be made again: judged are the approved passages that it was made from"
)
NOT_SENT = "this answer was not sent: the bot answered in shadow"


@dataclass(frozen=True, slots=True)
class Part:
    """One question of a message and what answered it; `passage` is None where the receipt does not say."""

    question: str
    topic: str
    version: str
    passage: str | None = None
    language: str = ""
    confidence: float | None = None
    composed: bool = False
    cites: tuple[tuple[str, str, str], ...] = ()  # (topic, version, passage)


async def replayed(config: Config, receipt: str) -> dict[str, Any]:
    """What became of an answer: `verdict` (same, differs, unknown), part by part, then and now. Raises
    `KnowledgeError` where there is no such receipt."""
    from bot.app import library_of

    key, at, then = await _stored(config, receipt)
    day = _day(then, at, config)
    library = library_of(config)
    try:
        found = await _searched(library, then, day)
    except KnowledgeError as error:
        return _described(key, then, day, "unknown", [str(error)], [], None)
    finally:
        library.close()
    return compared(key, then, day, found)


async def _stored(config: Config, receipt: str) -> tuple[str, float, dict[str, Any]]:
    from bot.storage import Storage
    from bot.writer import Writer

    writer = Writer(config.bot.data_dir / "firstline.db")
    await writer.open(reading=True)
    try:
        rows = await Storage(writer).query(
            "SELECT key, at, data FROM records WHERE kind = 'receipt' AND key = ? COLLATE NOCASE", (receipt,)
        )
    finally:
        await writer.close()
    if not rows:
        raise KnowledgeError(
            f"there is no receipt {receipt!r}; `firstline tickets show` lists those of a ticket"
        )
    return rows[0]["key"], rows[0]["at"], json.loads(rows[0]["data"])


def _day(then: Mapping[str, Any], at: float, config: Config) -> date:
    """What spoke then, not what speaks today."""
    kept = (then.get("searched") or {}).get("day")
    return date.fromisoformat(kept) if kept else day_of(at, ZoneInfo(config.hours.timezone))


async def _searched(library: Library, then: Mapping[str, Any], day: date) -> list[Found]:
    snapshot, given = str(then["snapshot"]), then.get("searched") or {}
    return [
        await library.search_in(snapshot, part.question, _scope(given, part), now=day)
        for part in parts_of(then)
    ]


def _scope(given: Mapping[str, Any], part: Part) -> Scope:
    audience = frozenset(given["audience"]) if "audience" in given else Scope().audience
    return Scope(
        channel=given.get("channel", ""), roles=frozenset(given.get("roles", ())), audience=audience,
        tags=tuple(given.get("tags", ())), language=given.get("language", "") or part.language,
        previous=given.get("previous", ""),
    )  # fmt: skip


def parts_of(then: Mapping[str, Any]) -> list[Part]:
    """The parts of a receipt of any age."""
    parts = then.get("parts") or [[then["question"], then["topic"], then["version"]]]
    each = then.get("each")
    if each is None:
        passage = then.get("passage") if len(parts) == 1 else None
        return [Part(question, topic, version, passage) for question, topic, version in parts]
    return [
        Part(
            question, topic, version, more["passage"], more["language"], more["confidence"], more["composed"],
            tuple((cited, its_version, passage) for cited, its_version, passage in more["cites"]),
        )
        for (question, topic, version), more in zip(parts, each, strict=True)
    ]  # fmt: skip


def compared(receipt: str, then: Mapping[str, Any], day: date, found: Sequence[Found]) -> dict[str, Any]:
    """Pure: what the receipt says was sent, beside what was found now."""
    parts = parts_of(then)
    chosen = bool(then.get("chosen"))
    hits = [_found_again(part, f, chosen=chosen) for part, f in zip(parts, found, strict=True)]
    text = _text(parts, hits)
    kept = str(then.get("text", ""))
    shown = [
        _part(part, f, hit, kept, alone=len(parts) == 1)
        for part, f, hit in zip(parts, found, hits, strict=True)
    ]
    same = all(one["same"] for one in shown) and text in (None, kept)
    notes = [COMPOSED] if any(part.composed for part in parts) else []
    verdict: Verdict = "same" if same else "differs"
    if not same and not then.get("searched"):
        verdict = "unknown"
        notes = [OLD]
        shown = [one | {"same": one["same"] or None} for one in shown]
    return _described(receipt, then, day, verdict, notes, shown, text)


def _found_again(part: Part, found: Found, *, chosen: bool) -> Hit | None:
    """What answers now: the first result; or, where the customer chose the topic, the first of that topic."""
    if chosen:
        return next((hit for hit in found.hits if hit.topic == part.topic), None)
    return found.hits[0] if found.hits else None


def _part(part: Part, found: Found, hit: Hit | None, kept: str, *, alone: bool) -> dict[str, Any]:
    then = {
        "topic": part.topic, "version": part.version, "passage": part.passage, "confidence": part.confidence,
    }  # fmt: skip
    now: dict[str, Any] = dict.fromkeys(then)
    if hit is not None:
        now = {
            "topic": hit.topic, "version": hit.version, "passage": hit.passage_id, "confidence": hit.confidence,
        }  # fmt: skip
    shown = {"question": part.question, "composed": part.composed, "then": then, "now": now}
    if part.composed:
        there = {(h.topic, h.version, h.passage_id) for h in found.hits}
        cites = [{"topic": c[0], "version": c[1], "passage": c[2], "found": c in there} for c in part.cites]
        return shown | {"cites": cites, "same": bool(cites) and all(cite["found"] for cite in cites)}
    same = hit is not None and (hit.topic, hit.version) == (part.topic, part.version)
    same = same and part.passage in (None, now["passage"])
    if hit is not None:
        same = same and (hit.text == kept if alone else _section(hit) in kept)
    return shown | {"same": same}


def _text(parts: Sequence[Part], hits: Sequence[Hit | None]) -> str | None:
    """The whole text again; None where a language model wrote some of it."""
    if any(part.composed for part in parts):
        return None
    if len(hits) == 1:
        return hits[0].text if hits[0] is not None else ""
    return "\n\n".join(_section(hit) for hit in hits if hit is not None)


def _section(hit: Hit) -> str:
    """One of several parts, as `handoff.answering` puts it into a message."""
    return f"**{hit.title}**\n\n{hit.text}"


def _described(
    receipt: str, then: Mapping[str, Any], day: date, verdict: Verdict, notes: list[str],
    parts: list[dict[str, Any]], text: str | None,
) -> dict[str, Any]:  # fmt: skip
    if then.get("delivered") is False:
        notes = [*notes, NOT_SENT]
    return {
        "receipt": receipt, "verdict": verdict, "same": {"same": True, "differs": False, "unknown": None}[verdict],
        "notes": notes, "snapshot": then["snapshot"], "day": day.isoformat(), "chosen": bool(then.get("chosen")),
        "parts": parts, "text": {"then": then.get("text", ""), "now": text},
    }  # fmt: skip
