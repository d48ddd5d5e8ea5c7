"""The playground: the chat platform in memory, shown on one local page with the why of each decision beside it.

This module keeps what the page shows and who is watching; `playground_site` answers its HTTP requests.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters import playground_site
from adapters.chat_room import Change, Message, Person, Thread, View
from adapters.local_chat import ADMINS, AGENTS, CUSTOMERS, LocalChat
from adapters.playground_format import (
    form_view,
    message_view,
    snapshot_view,
    suggestions_view,
    thread_view,
    trace_view,
)
from adapters.port import Form, FormErrors, Inbound, MessageReceived, Post, Sink

EVENTS_KEPT = 2_000
TRACES_KEPT = 200
COMMANDS_KEPT = 40
MESSAGES_SHOWN = 600
BEHIND_MAX = 1_000

SUGGESTIONS = (
    "How do I reset my password?",
    "Can I get my money back?",
    "Nothing has loaded since this morning, is it down?",
    "I would like to talk to a person",
)

Update = tuple[int, str, dict[str, Any]]


class Watcher:
    """One open page. When it falls too far behind it is let go, and comes back for a fresh start."""

    def __init__(self) -> None:
        self.updates: asyncio.Queue[Update | None] = asyncio.Queue()

    def push(self, update: Update) -> bool:
        if self.updates.qsize() >= BEHIND_MAX:
            return False
        self.updates.put_nowait(update)
        return True

    def end(self) -> None:
        self.updates.put_nowait(None)


class PlaygroundAdapter(LocalChat):
    """The embedded default platform. `routes` gives the page; `observe` feeds its why pane."""

    def __init__(
        self,
        channels: Iterable[str] = ("help", "general"),
        staff_channel: str = "desk",
        customers: Iterable[str | Person] = CUSTOMERS,
        agents: Iterable[str | Person] = AGENTS,
        admins: Iterable[str | Person] = ADMINS,
        *,
        desks: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        title: str = "Firstline",
        suggestions: Sequence[str] = SUGGESTIONS,
        journal: Path | None = None,
    ) -> None:
        super().__init__(
            channels,
            staff_channel,
            customers,
            agents,
            admins,
            desks=desks,
            name="playground",
            clock=clock,
            title=title,
            journal=journal,
        )
        self.suggestions = suggestions_view(suggestions)
        self.room.on_change = self._room_changed
        self._run_id = secrets.token_hex(4)
        self._number = 0
        self._recent: deque[Update] = deque(maxlen=EVENTS_KEPT)
        self._traces: deque[dict[str, Any]] = deque(maxlen=TRACES_KEPT)
        self._traced = 0
        self._commands: deque[dict[str, Any]] = deque(maxlen=COMMANDS_KEPT)
        self._working: dict[str, str] = {}
        self._watchers: set[Watcher] = set()

    def routes(self, sink: Sink) -> list[web.RouteDef]:
        """The page, its files, its stream of updates and what people do on it, for the aiohttp site."""
        self.connect(sink)
        return playground_site.routes(self)

    async def close(self, grace: float) -> None:
        for watcher in list(self._watchers):
            watcher.end()
        await super().close(grace)

    def observe(self, trace: Mapping[str, Any]) -> None:
        self._traced += 1
        view = trace_view(trace, self._traced)
        self._traces.append(view)
        self._tell("trace", view)
        for conversation, name in list(self._working.items()):
            if conversation == view["place"] or (not view["place"] and name == view["customer"]):
                self._rest(conversation)

    # --- who is watching ---------------------------------------------------------------------------------

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def event_id(self, number: int) -> str:
        return f"{self._run_id}-{number}"

    def missed(self, last_event_id: str) -> list[Update] | None:
        """What happened since that event, or None when only a snapshot can tell."""
        run, _, number = last_event_id.partition("-")
        if run != self._run_id or not number.isdecimal() or len(number) > len(str(self._number)):
            return None
        after = int(number)
        oldest = self._recent[0][0] if self._recent else self._number + 1
        if after > self._number or after + 1 < oldest:
            return None
        return [u for u in self._recent if u[0] > after]

    def snapshot(self) -> Update:
        """The whole picture as it is now, numbered so that updates continue from it."""
        whole = snapshot_view(self.room, self.title, MESSAGES_SHOWN)
        whole |= {
            "traces": list(self._traces),
            "commands": list(self._commands),
            "working": list(self._working),
            "suggestions": self.suggestions,
            "now": self._clock(),
        }
        return (self._number, "snapshot", whole)

    # --- what changed ------------------------------------------------------------------------------------

    def announce_command(self, user: str, text: str) -> str:
        """A command was given in the admin pane, where its result belongs too; returns its key."""
        given = {"key": self.command_key(), "user": user, "text": text}
        self._commands.append(given)
        self._tell("command", given)
        return given["key"]

    def command_opened(self, key: str, form: str) -> None:
        """A command in the admin pane opened a form: that is what came of it."""
        for given in self._commands:
            if given["key"] == key:
                given["opened"] = form
                self._tell("command", given)

    def expect_work(self, conversation: str, customer: str) -> None:
        """Show that the bot is at it in this conversation, until it speaks there or its decision is known."""
        self._working[conversation] = customer
        self._tell("working", {"conversation": conversation, "on": True})

    async def _emit(self, event: Inbound) -> Form | FormErrors | None:
        asked = isinstance(event, MessageReceived) and event.place.kind != "private"
        if asked and event.actor is not None and not event.actor.roles:
            self.expect_work(event.place.conversation, event.actor.name)
        try:
            return await super()._emit(event)
        except Exception:
            self._rest(event.place.conversation)
            raise

    def _rest(self, conversation: str) -> None:
        if conversation in self._working:
            del self._working[conversation]
            self._tell("working", {"conversation": conversation, "on": False})

    def _carry_out(self, op: Any, key: str) -> Any:
        done = super()._carry_out(op, key)
        if isinstance(op, Post):
            self._rest(op.place.conversation)
        return done

    def _room_changed(self, change: Change) -> None:
        kind, what = change
        if isinstance(what, Thread):
            self._tell("thread", thread_view(what))
        elif kind == "removed":
            self._tell("removed", {"id": what.id})
        else:
            self._tell("message", self.shown_message(what))

    def shown_message(self, message: Message) -> dict[str, Any]:
        return message_view(message, self.room, self.title)

    def shown_form(self, view: View | None) -> dict[str, Any] | None:
        return form_view(view) if view else None

    def _tell(self, kind: str, value: dict[str, Any]) -> None:
        self._number += 1
        update = (self._number, kind, value)
        self._recent.append(update)
        for watcher in list(self._watchers):
            if not watcher.push(update):
                self._watchers.discard(watcher)
                watcher.end()
