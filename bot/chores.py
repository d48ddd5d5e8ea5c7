"""Work that a command orders and that takes longer than a decision: reload, search, reports.

A chore is a row of the outbox: it happens after the commit that ordered it, again after a crash, and its result
comes back as the event `ChoreDone`. Every chore here may be repeated without harm.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from adapters.port import Actor, ChoreDone, Place
from bot.clock import Clock
from bot.recall import Recall
from bot.reload import Reloader, refused
from bot.reports import Reports
from bot.routing import PLATFORMS
from bot.storage import Row, Storage
from handoff.model import Case
from knowledge.library import KnowledgeError, Library, Scope

log = structlog.get_logger("chores")

Result = Mapping[str, Any]
SHOWN = 8


class Chores:
    """Does chores by name; unknown ones and failures are told in words, never raised."""

    def __init__(
        self,
        library: Library,
        reloader: Reloader,
        reports: Reports,
        storage: Storage,
        status: Callable[[], Result],
        *,
        recall: Recall,
        clock: Clock,
    ) -> None:
        self._library, self._reloader, self._reports = library, reloader, reports
        self._storage, self._status, self._clock, self._recall = storage, status, clock, recall
        self._put: Callable[[ChoreDone, str], Awaitable[None]] | None = None
        self._by_name: dict[str, Callable[[Mapping[str, Any], Row], Awaitable[tuple[bool, Result]]]] = {
            "reload": self._reload,
            "rollback": self._rollback,
            "status": self._show_status,
            "search": self._search,
            "gaps": self._report,
            "review": self._review,
            "report": self._report,
            "tickets": self._report,
            "why": self._report,
            "incident": self._incident,
            "mode": self._mode,
            "my-data": self._my_data,
        }

    def connect(self, put: Callable[[ChoreDone, str], Awaitable[None]]) -> None:
        """Where results go; the engine exists only after the outbox that calls us."""
        self._put = put
        self._recall.connect(put)

    async def __call__(self, row: Row) -> None:
        name = str(row.out.args.get("name", ""))
        args = {key: value for key, value in row.out.args.items() if key != "name"}
        work = self._by_name.get(name)
        try:
            ok, result = await work(args, row) if work else (False, {"error": f"there is no chore {name!r}"})
        except KnowledgeError as error:
            ok, result = False, refused(error)
        except Exception as error:
            log.exception("chore_failed", chore=name)
            ok, result = False, {"error": f"{type(error).__name__}: {error}"}
        await self._done(name, row, ok=ok, result=result)

    async def _done(self, name: str, row: Row, *, ok: bool, result: Result) -> None:
        conversation = await self._storage.conversation_of_case(row.case_id)
        if self._put is None or conversation is None:
            return
        platform, tenant, channel = [*conversation.split(":"), "", "", ""][:3]
        case = await self._storage.case(conversation)
        event = ChoreDone(
            keys=(f"chore:{row.id}",), place=case.place if case else Place(platform, tenant, channel),  # type: ignore[arg-type]
            actor=asked_by(row.out.args) or (case.customer if isinstance(case, Case) else None), occurred_at=self._clock.now(), chore=name, ok=ok,
            result=json.loads(json.dumps(result, default=str)), interaction=row.out.interaction,
        )  # fmt: skip
        await self._put(event, conversation)

    # --- knowledge ---------------------------------------------------------------------------------------

    async def _reload(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        words = str(args.get("text", "")).split()
        by = str(args.get("by_name") or args.get("by") or row.case_id)
        preview = await self._reloader.preview()
        if "preview" in words or "dry" in words:
            return True, preview.data(activated=False)
        if preview.blocked and "force" not in words:
            return False, preview.data(activated=False)
        await self._reloader.activate(preview, by=by)
        told = await self._recall.told()
        return True, {
            **preview.data(activated=True),
            "told_old_texts": len(told),
            "topics_told": sorted({t.topic for t in told}),
        }

    async def _rollback(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        info = await self._reloader.rollback(by=str(args.get("by", row.case_id)))
        return True, {"snapshot": info.id, "topics": info.topics, "passages": info.passages}

    async def _search(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        question = str(args.get("text", "")).strip()
        if not question:
            return False, {"error": "what for? /firstline search how do refunds work"}
        found = await self._library.search(
            question, Scope(audience=frozenset({"public", *args.get("audience", ())}))
        )
        hits = [
            {"topic": h.topic, "title": h.title, "path": h.path, "confidence": round(h.confidence, 3)}
            for h in found.hits[:SHOWN]
        ]
        return True, {
            "question": question, "hits": hits, "confidence": round(found.confidence, 3),
            "threshold_answer": round(found.threshold_answer, 3), "why": list(found.why), "snapshot": found.snapshot,
        }  # fmt: skip

    # --- the desk ----------------------------------------------------------------------------------------

    async def _show_status(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        return True, self._status()

    async def _report(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        name = str(row.out.args["name"])
        return True, await self._reports.named(name, args, self._clock.now())

    async def _review(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        """`review` lists what was answered wrongly; `review impact <topic>` who was told a text that has changed;
        `review correct <topic> [text]` tells them, once each (admins only)."""
        verb, _, rest = str(args.get("text", "")).strip().partition(" ")
        topic, _, text = rest.strip().partition(" ")
        if verb == "impact":
            return True, await self._recall.show(topic)
        if verb == "correct":
            if not args.get("admin"):
                return False, {"error": "only an admin may send corrections"}
            result = await self._recall.correct(topic, text.strip()) if topic else {"error": "which topic?"}
            return "error" not in result, result
        return await self._report(args, row)

    async def _incident(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        """`incident open <status text>`, `incident update <text>`, `incident close <text>`; one at a time."""
        verb, _, text = str(args.get("text", "")).strip().partition(" ")
        current = json.loads(await self._storage.get("incident") or "{}")
        if verb in ("open", "update") and text:
            state = {**current, "text": text, "opened_at": current.get("opened_at", self._clock.now())}
            await self._storage.set("incident", json.dumps(state))
            return True, {"incident": "open", "text": text}
        if verb == "close" and current:
            await self._storage.set("incident", "")
            told = await self._recall.incident_over(str(current["opened_at"]), text or current["text"])
            return True, {"incident": "closed", "text": text or current["text"], "told": told}
        return not verb, {"incident": "open" if current else "none", "text": current.get("text", "")}

    async def _mode(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        """`mode` shows, `mode shadow` sets the global launch mode until the next start; config.toml is for good."""
        wanted = str(args.get("text", "")).strip()
        if wanted in ("off", "shadow", "draft", "answer"):
            await self._storage.set("launch_mode", wanted)
        elif wanted:
            return False, {"error": f"there is no mode {wanted!r}; one of off, shadow, draft, answer"}
        return True, {"mode": wanted or await self._storage.get("launch_mode") or "as configured"}

    async def _my_data(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        """What is stored of whoever asks; `my-data erase` empties it."""
        case = await self._storage.case(await self._storage.conversation_of_case(row.case_id) or "")
        if case is None:
            return False, {"error": "nothing is stored"}
        erase = "erase" in str(args.get("text", ""))
        work = self._reports.erase if erase else self._reports.mine
        return True, await asyncio.shield(work(case.customer))


def asked_by(args: Mapping[str, Any]) -> Actor | None:
    """Whoever gave the command, with the rights that they had then."""
    platform, who = args.get("platform"), args.get("by")
    if platform not in PLATFORMS or not who:
        return None
    roles = frozenset({"admin", "agent"} if args.get("admin") else {"agent"})
    return Actor(platform, str(args.get("tenant", "")), str(who), str(args.get("by_name", "")), roles=roles)
