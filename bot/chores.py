"""Work that a command orders and that takes longer than a decision: reload, search, reports.

A chore is a row of the outbox: it happens after the commit that ordered it, again after a crash, and its result
comes back as the event `ChoreDone`. Every chore here may be repeated without harm.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
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
MODES = ("off", "shadow", "draft", "answer")


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
        today: Callable[[], date],
        incident_changed: Callable[[], Awaitable[None]],
        mode_changed: Callable[[], Awaitable[Result]],
    ) -> None:
        self._library, self._reloader, self._reports = library, reloader, reports
        self._storage, self._status, self._recall = storage, status, recall
        self._clock, self._today = clock, today
        self._incident_changed, self._mode_changed = incident_changed, mode_changed
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
        conversation = await self._storage.conversation_of_case(row.case_id)
        case = await self._storage.case(conversation) if conversation else None  # an erasure takes it away
        try:
            ok, result = await work(args, row) if work else (False, {"problem": "unknown"})
        except KnowledgeError as error:
            ok, result = False, refused(error)
        except Exception:
            log.exception("chore_failed", chore=name)
            ok, result = False, {"problem": "unknown"}
        if conversation is not None:
            await self._done(name, row, conversation, case, ok=ok, result=result)

    async def _done(
        self, name: str, row: Row, conversation: str, case: Case | None, *, ok: bool, result: Result
    ) -> None:
        if self._put is None:
            return
        platform, tenant, channel = [*conversation.split(":"), "", "", ""][:3]
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
            return True, {**preview.data(activated=False), "preview": True}
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
        try:
            info = await self._reloader.rollback(by=str(args.get("by_name") or args.get("by") or row.case_id))
        except KnowledgeError as error:
            return False, {"problem": "no_earlier", "complaints": [str(c) for c in error.complaints]}
        return True, {"snapshot": info.id, "topics": info.topics, "passages": info.passages}

    async def _search(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        question = str(args.get("text", "")).strip()
        if not question:
            return False, {"problem": "no_question"}
        found = await self._library.search(
            question, Scope(audience=frozenset({"public", *args.get("audience", ())})), now=self._today()
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
        result = await self._reports.named(name, args, self._clock.now())
        return "problem" not in result, result

    async def _review(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        """`review` lists what was answered wrongly; `review impact <topic>` who was told a text that has changed;
        `review correct <topic> [text]` tells them, once each (admins only)."""
        verb, _, rest = str(args.get("text", "")).strip().partition(" ")
        topic, _, text = rest.strip().partition(" ")
        if verb == "impact":
            return True, await self._recall.show(topic)
        if verb == "correct":
            if "admin" not in args.get("roles", ()):
                return False, {"problem": "admin_only"}
            result = await self._recall.correct(topic, text.strip()) if topic else {"problem": "no_topic"}
            return "problem" not in result, result
        return await self._report(args, row)

    async def _incident(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        """`incident open <status text>`, `incident update <text>`, `incident close <text>`; one at a time."""
        verb, _, text = str(args.get("text", "")).strip().partition(" ")
        current = json.loads(await self._storage.get("incident") or "{}")
        if verb in ("open", "update") and text:
            state = {**current, "text": text, "opened_at": current.get("opened_at", self._clock.now())}
            await self._storage.set("incident", json.dumps(state))
            await self._incident_changed()
            return True, {"incident": "open", "text": text}
        if verb == "close" and current:
            name, words = str(current["opened_at"]), text or current["text"]
            # Before it is forgotten, so that a crash in between leaves nobody untold, and after: for who asked meanwhile.
            await self._recall.incident_over(name, words)
            await self._storage.set("incident", "")
            await self._incident_changed()
            told = await self._recall.incident_over(name, words)
            return True, {"incident": "closed", "text": words, "told": told}
        if verb:
            return False, {"problem": "no_incident" if verb == "close" else "no_text"}
        return True, {"incident": "open" if current else "none", "text": current.get("text", "")}

    async def _mode(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        """`mode` shows the global launch mode, `mode shadow` sets it from this moment on and over restarts,
        `mode configured` goes back to config.toml."""
        wanted = str(args.get("text", "")).strip()
        if wanted not in ("", "configured", *MODES):
            return False, {"problem": "no_mode", "given": wanted}
        if wanted:
            await self._storage.set("launch_mode", "" if wanted == "configured" else wanted)
        return True, await self._mode_changed()

    async def _my_data(self, args: Mapping[str, Any], row: Row) -> tuple[bool, Result]:
        """What is stored of whoever asks; `my-data erase` empties it."""
        case = await self._storage.case(await self._storage.conversation_of_case(row.case_id) or "")
        if case is None:
            return False, {"problem": "nothing_stored"}
        erase = "erase" in str(args.get("text", ""))
        work = self._reports.erase if erase else self._reports.mine
        return True, await asyncio.shield(work(case.customer))


def asked_by(args: Mapping[str, Any]) -> Actor | None:
    """Whoever gave the command, with the rights that they had then: no more, and not their team's fewer."""
    platform, who = args.get("platform"), args.get("by")
    if platform not in PLATFORMS or not who:
        return None
    roles = frozenset(str(role) for role in args.get("roles", ()))
    return Actor(platform, str(args.get("tenant", "")), str(who), str(args.get("by_name", "")), roles=roles)
