"""Interactions while they live: answered within three seconds, once, and usable for fourteen minutes after."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Literal

import aiohttp
import discord

from adapters.discord_format import EPHEMERAL, Payload, errors_text, modal
from adapters.discord_http import TOO_LATE, RoutedHTTP, errors_translated
from adapters.discord_parse import COMPONENT, MODAL, Raw
from adapters.discord_settings import DiscordSettings
from adapters.port import Form, FormErrors, TooLate

log = logging.getLogger(__name__)

ANSWERED = 40060
MESSAGE, DEFER_MESSAGE, DEFER_UPDATE, CHOICES, SHOW_MODAL = 4, 5, 6, 8, 9
State = Literal["new", "updated", "thinking", "answered", "dead"]


class Live:
    """One interaction. Its first answer is given once, whoever comes first: we or the watchdog."""

    def __init__(self, http: RoutedHTTP, raw: Raw, app: str, limit: float) -> None:
        self._http, self._limit = http, limit
        self.id, self.token = str(raw["id"]), str(raw["token"])
        self.app = str(raw.get("application_id") or app)
        self.kind = int(raw["type"])
        self.on_message = bool(raw.get("message"))
        self.state: State = "new"
        self._lock = asyncio.Lock()

    async def ack(self) -> None:
        """Say that we have it: silently for a press, as "thinking…" to this person alone for a command."""
        if self.kind == COMPONENT or (self.kind == MODAL and self.on_message):
            await self._first(DEFER_UPDATE, None, "updated")
        else:
            await self._first(DEFER_MESSAGE, {"flags": EPHEMERAL}, "thinking")

    async def show(self, form: Form) -> bool:
        """Open the form; False if this interaction was answered already (a form must come first)."""
        return await self._first(SHOW_MODAL, modal(form), "answered")

    async def choices(self, found: list[Payload]) -> None:
        await self._first(CHOICES, {"choices": found}, "answered")

    async def tell(self, payload: Payload) -> str:
        """Something for this person alone: the first answer, or instead of "thinking…", or after it."""
        payload = payload | {"flags": int(payload.get("flags", 0)) | EPHEMERAL}
        if await self._first(MESSAGE, payload, "answered"):
            return "@original"
        async with self._lock:
            if self.state == "dead":
                raise TooLate("The interaction is over.")
            ids = {"webhook_id": self.app, "webhook_token": self.token}
            path = "/webhooks/{webhook_id}/{webhook_token}"
            async with errors_translated(self._limit):
                if self.state == "thinking":
                    sent = await self._http.call("PATCH", path + "/messages/@original", ids=ids, json=payload)
                    self.state = "answered"
                else:
                    sent = await self._http.call("POST", path, ids=ids, json=payload)
        return str(sent["id"])

    async def stop_thinking(self) -> None:
        """Take "thinking…" away when nothing private follows."""
        async with self._lock:
            if self.state != "thinking":
                return
            self.state = "answered"
            ids = {"webhook_id": self.app, "webhook_token": self.token}
            path = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
            try:
                await self._http.call("DELETE", path, ids=ids)
            except (discord.DiscordException, aiohttp.ClientError, OSError, RuntimeError):
                log.debug("could not remove a thinking message")

    async def _first(self, kind: int, data: Payload | None, then: State) -> bool:
        """The initial response. False if there was one; an interaction that Discord forgot is dead."""
        async with self._lock:
            if self.state != "new":
                return False
            body: Payload = {"type": kind} | ({"data": data} if data is not None else {})
            ids = {"webhook_id": self.id, "webhook_token": self.token}
            path = "/interactions/{webhook_id}/{webhook_token}/callback"
            try:
                await self._twice(path, ids, body)
            except discord.HTTPException as error:
                log.warning("interaction not answered: %s", error.code)
                self.state = "dead" if error.code in TOO_LATE and error.code != ANSWERED else then
                if error.code not in TOO_LATE:
                    raise
                # Nobody else answers: it was an earlier try of ours, whose answer we never saw.
                return error.code == ANSWERED
            self.state = then
            return True

    async def _twice(self, path: str, ids: dict[str, str], body: Payload) -> None:
        """A broken connection is tried once more: if the first try arrived, Discord says so (40060)."""
        try:
            await self._http.call("POST", path, ids=ids, json=body)
        except (aiohttp.ClientError, OSError):
            await self._http.call("POST", path, ids=ids, json=body)


class Lives:
    """The interactions that can still be answered, by delivery key, and the drafts of refused forms."""

    def __init__(self, settings: DiscordSettings, now: Callable[[], float]) -> None:
        self._timing, self._words, self._now = settings.timing, settings.words, now
        self._by_key: dict[str, tuple[float, Live]] = {}
        self._drafts: dict[str, tuple[float, str, Form]] = {}

    def keep(self, key: str, live: Live) -> None:
        self._forget()
        self._by_key[key] = (self._now() + self._timing.interaction, live)

    def get(self, key: str) -> Live | None:
        self._forget()
        found = self._by_key.get(key)
        return found[1] if found and found[1].state != "dead" else None

    def _forget(self) -> None:
        now = self._now()
        for store in (self._by_key, self._drafts):
            for key in [k for k, v in store.items() if v[0] < now]:
                del store[key]

    def draft(self, user: str, form: Form) -> str:
        """Keep what somebody typed, for that person, in memory only."""
        ident = secrets.token_urlsafe(9)
        self._drafts[ident] = (self._now() + self._timing.interaction, user, form)
        return ident

    async def reopen(self, live: Live, user: str, ident: str) -> None:
        """The "Edit again" button: the same form, filled in, for the person who filled it in."""
        self._forget()
        found = self._drafts.get(ident)
        if found is None or found[1] != user:
            await live.tell({"content": self._words.lost_draft, "allowed_mentions": {"parse": []}})
            return
        await live.show(found[2])

    async def answer(self, live: Live, user: str, result: Form | FormErrors | None) -> None:
        """What the core said about an event, shown to the person."""
        match result:
            case Form():
                if not await live.show(result) and live.state != "dead":
                    await live.tell(self._offer(self._words.slow, self._words.open_form, user, result))
            case FormErrors():
                text = errors_text(result, self._words.refused)
                await live.tell(self._offer(text, self._words.again, user, result.form))
            case None:
                await live.ack()

    def _offer(self, text: str, label: str, user: str, form: Form | None) -> Payload:
        payload: Payload = {"content": text, "allowed_mentions": {"parse": []}}
        if form is not None:
            ident = self.draft(user, form)
            button = {"type": 2, "style": 1, "label": label, "custom_id": f"fl1:again:{ident}"}
            payload["components"] = [{"type": 1, "components": [button]}]
        return payload

    async def ask_back(self, live: Live, raw: Raw) -> None:
        """A button with a confirmation: the same button once more, to this person alone."""
        ident = str(raw["data"]["custom_id"])
        pressed = _find(raw.get("message") or {}, ident)
        label = str(pressed.get("label") or "OK")
        text = self._words.confirm.format(label=label)
        again = {"type": 2, "style": pressed.get("style", 4), "label": label}
        again["custom_id"] = ident.replace("fl1c:", "fl1:", 1)
        rows = [{"type": 1, "components": [again]}]
        await live.tell({"content": text, "components": rows, "allowed_mentions": {"parse": []}})


def _find(message: Mapping[str, Any], ident: str) -> Mapping[str, Any]:
    for row in message.get("components") or []:
        for item in row.get("components") or []:
            if item.get("custom_id") == ident:
                return dict(item)
    return {}
