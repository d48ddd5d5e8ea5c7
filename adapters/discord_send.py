"""Carrying out what the core wants done on Discord: one API call per part, keyed, with errors in the port's words."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import quote

import discord
from discord.http import Route

from adapters.discord_files import UPLOAD, Files, channel_of, safe_name
from adapters.discord_format import (
    CONTENT,
    Payload,
    nonce,
    render,
    render_one,
    speaker,
)
from adapters.discord_http import GONE, RoutedHTTP, errors_translated
from adapters.discord_live import Lives
from adapters.discord_parse import EMOJI, snowflake
from adapters.discord_settings import DiscordSettings
from adapters.discord_text import escape, units
from adapters.discord_threads import Threads, worded
from adapters.port import (
    AdapterError,
    Delete,
    Delivered,
    Edit,
    FileRef,
    Forbidden,
    Gone,
    MsgRef,
    Op,
    OpenThread,
    Place,
    Post,
    Private,
    PublishHome,
    React,
    SetThread,
    TooLate,
    Unavailable,
)

PER_MESSAGE = 10  # files
_LINE = 260  # the room for the line about a file that could not be copied
_UNICODE = {name: char for char, name in EMOJI.items()}
_MESSAGES = "/channels/{channel_id}/messages"
_MESSAGE = "/channels/{channel_id}/messages/{message_id}"


def plan(op: Op, words_support: str) -> list[tuple[Payload, tuple[FileRef, ...]]]:
    """The calls that `op` needs, each a message payload with its files. Pure, and the same on every try."""
    match op:
        case Post():
            return _plan_post(op, words_support)
        case Private():
            return [(payload, ()) for payload in render(op.content)]
        case _:
            return [({}, ())]


def _plan_post(op: Post, support: str) -> list[tuple[Payload, tuple[FileRef, ...]]]:
    prefix = speaker(op.speaking_as, support)
    texts = render(op.content, prefix) if render(op.content) else []
    parts: list[tuple[Payload, tuple[FileRef, ...]]] = [(payload, ()) for payload in texts]
    groups = [op.files[i : i + PER_MESSAGE] for i in range(0, len(op.files), PER_MESSAGE)]
    if groups and not parts:
        parts = [({"content": prefix.strip(), "allowed_mentions": {"parse": []}}, groups.pop(0))]
    elif groups and "embeds" not in texts[-1]:
        room = CONTENT - units(texts[-1]["content"])
        if room >= _LINE * len(groups[0]):
            parts[-1] = (texts[-1], groups.pop(0))
    parts += [({"content": "", "allowed_mentions": {"parse": []}}, group) for group in groups]
    return parts


class Sender:
    """Sends through one logged-in client. Keeps nothing but the direct-message channels that it opened."""

    def __init__(
        self,
        settings: DiscordSettings,
        http: RoutedHTTP,
        lives: Lives,
        files: Files,
        is_role: Callable[[str], bool | None],
        link: Callable[[MsgRef], str],
    ) -> None:
        self._settings, self._http, self._lives, self._files = settings, http, lives, files
        self._is_role, self._link = is_role, link
        self._threads = Threads(http, settings.solved_tag)
        self._dms: dict[str, str] = {}

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        async with errors_translated(self._settings.timing.call):
            match op:
                case Post():
                    return await self._post(op, part, key)
                case Private():
                    return await self._private(op, part, key)
                case Edit():
                    return await self._edit(op)
                case Delete():
                    return await self._delete(op)
                case React():
                    return await self._react(op)
                case OpenThread():
                    return await self._threads.open(op)
                case SetThread():
                    return await self._threads.set(op)
                case PublishHome():
                    return Delivered()

    # --- new messages ---

    async def _post(self, op: Post, part: int, key: str) -> Delivered:
        payload, files = plan(op, self._settings.words.support)[part]
        payload = dict(payload)
        replied = op.reply_to
        if replied and part == 0 and channel_of(replied) == (op.place.thread or op.place.channel):
            payload["message_reference"] = {"message_id": replied.id, "fail_if_not_exists": False}
        try:
            sent = await self._send(op.place.thread or op.place.channel, payload, files, nonce(key, part))
        except discord.HTTPException as error:
            raise worded(error) from error
        return Delivered(ref=MsgRef(op.place, str(sent["id"])))

    async def _send(self, channel: str, payload: Payload, files: Sequence[FileRef], token: str) -> Any:
        payload = self._pings(payload) | {"nonce": token, "enforce_nonce": True}
        route = Route("POST", _MESSAGES, channel_id=channel)
        if not files:
            return await self._http.request(route, json=payload)
        uploads, lines = await self._copies(files)
        payload["content"] = "\n".join(line for line in (payload.get("content", ""), *lines) if line)
        if not uploads:
            return await self._http.request(route, json=payload)
        payload["attachments"] = [{"id": i, "filename": u.filename} for i, u in enumerate(uploads)]
        form: list[dict[str, Any]] = [{"name": "payload_json", "value": discord.utils._to_json(payload)}]  # noqa: SLF001
        form += [
            {
                "name": f"files[{index}]",
                "value": upload.fp,
                "filename": upload.filename,
                "content_type": "application/octet-stream",
            }
            for index, upload in enumerate(uploads)
        ]
        try:
            return await self._http.request(route, form=form, files=uploads)
        finally:
            for upload in uploads:
                upload.close()

    async def _copies(self, files: Sequence[FileRef]) -> tuple[list[discord.File], list[str]]:
        """The files themselves, and one line for each that could not be copied."""
        uploads: list[discord.File] = []
        lines: list[str] = []
        left = min(UPLOAD, self._settings.file_bytes_max)
        for file in files:
            try:
                data = b"".join([chunk async for chunk in self._files.fetch(self._http, file, left)])
            except AdapterError as error:
                reason = escape(str(error))[:80]
                line = self._settings.words.file_lost.format(
                    name=escape(safe_name(file.name))[:60], reason=reason
                )
                lines.append(f"{line} {self._link(file.source)}" if file.source else line)
                continue
            left -= len(data)
            uploads.append(discord.File(io.BytesIO(data), safe_name(file.name)))
        return uploads, lines

    def _pings(self, payload: Payload) -> Payload:
        """A configured id is drawn as a role; where the guild knows no such role, it is a person."""
        allowed = payload.get("allowed_mentions") or {}
        people = [role for role in allowed.get("roles", []) if self._is_role(role) is False]
        if not people:
            return dict(payload)
        content = str(payload.get("content", ""))
        for ident in people:
            content = content.replace(f"<@&{ident}>", f"<@{ident}>")
        roles = [role for role in allowed["roles"] if role not in people]
        changed = {**allowed, "roles": roles, "users": [*allowed.get("users", []), *people]}
        return payload | {
            "content": content,
            "allowed_mentions": {k: v for k, v in changed.items() if v != [] or k == "parse"},
        }

    async def _private(self, op: Private, part: int, key: str) -> Delivered:
        payload = render(op.content)[part]
        live = self._lives.get(op.interaction) if op.interaction else None
        if live is not None:
            try:
                return Delivered(ref=MsgRef(op.place, await live.tell(self._pings(payload))))
            except (TooLate, Gone):
                live.state = "dead"
        channel = await self._dm(op.actor.id)
        sent = await self._send(channel, payload, (), nonce(key, part))
        place = Place("discord", self._settings.tenant, channel, None, "dm")
        return Delivered(ref=MsgRef(place, str(sent["id"])))

    async def _dm(self, user: str) -> str:
        if user not in self._dms:
            opened = await self._http.call("POST", "/users/@me/channels", json={"recipient_id": user})
            self._dms[user] = str(opened["id"])
        return self._dms[user]

    # --- changes of what is there: all of them end in the same state however often they are made ---

    async def _edit(self, op: Edit) -> Delivered:
        payload = self._pings(render_one(op.content, speaker(op.speaking_as, self._settings.words.support)))
        payload.pop("flags", None)
        channel = channel_of(op.ref)
        ids = {"channel_id": channel, "message_id": op.ref.id}
        await self._threads.opened(channel, lambda: self._http.call("PATCH", _MESSAGE, ids=ids, json=payload))
        return Delivered(ref=op.ref)

    async def _delete(self, op: Delete) -> Delivered:
        ids = {"channel_id": channel_of(op.ref), "message_id": op.ref.id}
        try:
            await self._threads.opened(
                ids["channel_id"], lambda: self._http.call("DELETE", _MESSAGE, ids=ids)
            )
        except discord.HTTPException as error:
            if error.code not in GONE:
                raise
        return Delivered(ref=op.ref)

    async def _react(self, op: React) -> Delivered:
        emoji = _UNICODE.get(op.emoji.strip(":"), op.emoji)
        channel = channel_of(op.ref)
        ids = {"channel_id": channel, "message_id": op.ref.id}
        path = f"{_MESSAGE}/reactions/{quote(emoji, safe='')}/@me"
        try:
            await self._threads.opened(
                channel, lambda: self._http.call("PUT" if op.on else "DELETE", path, ids=ids)
            )
        except discord.HTTPException as error:
            if error.code not in GONE:
                raise
        return Delivered(ref=op.ref)

    # --- did it arrive? ---

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        """Look for our own message. What is not a new message may simply be done again."""
        if isinstance(op, Private):
            return "unknown"
        if not isinstance(op, Post):
            return "absent"
        payload, files = plan(op, self._settings.words.support)[part]
        channel = op.place.thread or op.place.channel
        try:
            async with errors_translated(self._settings.timing.call):
                me = str((await self._http.call("GET", "/users/@me"))["id"])
                found = await self._own_message(channel, me, payload, files, nonce(key, part), since)
        except Gone:
            return "absent"
        except Forbidden:
            return "unknown"
        return Delivered(ref=MsgRef(op.place, found)) if found else "absent"

    async def _own_message(
        self, channel: str, me: str, payload: Payload, files: Sequence[FileRef], token: str, since: float
    ) -> str | None:
        after = str(snowflake(since - 5))
        for _ in range(5):
            params = {"limit": 100, "after": after}
            page = await self._http.call("GET", _MESSAGES, ids={"channel_id": channel}, params=params)
            for message in sorted(page, key=lambda m: int(m["id"])):
                if str(message["author"]["id"]) == me and _is_it(message, self._pings(payload), files, token):
                    return str(message["id"])
                after = str(message["id"])
            if len(page) < 100:  # noqa: PLR2004
                return None
        raise Unavailable("too many messages to look through")


def _is_it(message: dict[str, Any], payload: Payload, files: Sequence[FileRef], token: str) -> bool:
    """By nonce where Discord returns it, else by what the message says and which buttons it has."""
    if message.get("nonce") is not None:
        return str(message["nonce"]) == token
    if files:
        theirs = {str(a["filename"]) for a in message.get("attachments", [])}
        return bool(theirs) and theirs <= {safe_name(f.name).replace(" ", "_") for f in files}
    return (
        str(message.get("content", "")).strip() == str(payload.get("content", "")).strip()
        and _embeds(message) == _embeds(payload)
        and _buttons(message) == _buttons(payload)
    )


def _embeds(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (str(e.get("title", "")).strip(), str(e.get("description", "")).strip())
        for e in message.get("embeds", [])
    ]


def _buttons(message: dict[str, Any]) -> list[str]:
    return [
        str(c.get("custom_id")) for row in message.get("components", []) for c in row.get("components", [])
    ]
