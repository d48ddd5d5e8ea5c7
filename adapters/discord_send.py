"""Carrying out what the core wants done on Discord: one API call per part, keyed, with errors in the port's words."""

from __future__ import annotations

import asyncio
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
    thread_name,
)
from adapters.discord_http import ARCHIVED, GONE, LOCKED, THREAD_EXISTS, RoutedHTTP, errors_translated
from adapters.discord_live import Lives
from adapters.discord_parse import EMOJI, snowflake
from adapters.discord_settings import DiscordSettings
from adapters.discord_text import escape, units
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
_TAGS = 5
_SOLVED = ("solved", "resolved", "answered")
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
                    return await self._open_thread(op)
                case SetThread():
                    return await self._set_thread(op)
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
            raise self._worded(error) from error
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
        left = UPLOAD
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
        await self._in_open_thread(channel, lambda: self._http.call("PATCH", _MESSAGE, ids=ids, json=payload))
        return Delivered(ref=op.ref)

    async def _delete(self, op: Delete) -> Delivered:
        ids = {"channel_id": channel_of(op.ref), "message_id": op.ref.id}
        try:
            await self._in_open_thread(
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
            await self._in_open_thread(
                channel, lambda: self._http.call("PUT" if op.on else "DELETE", path, ids=ids)
            )
        except discord.HTTPException as error:
            if error.code not in GONE:
                raise
        return Delivered(ref=op.ref)

    async def _in_open_thread(self, channel: str, call: Callable[[], Any]) -> Any:
        """A change in an archived thread: open it, change, and leave it to Discord to archive it again."""
        try:
            return await call()
        except discord.HTTPException as error:
            if error.code != ARCHIVED:
                raise self._worded(error) from error
        try:
            await self._patch_channel(channel, {"archived": False})
            return await call()
        except discord.HTTPException as error:
            if error.code in {ARCHIVED, LOCKED, 50013}:
                raise Forbidden(
                    "The thread is archived and locked. Unlock it, or give the bot Manage Threads in this channel."
                ) from error
            raise

    def _worded(self, error: discord.HTTPException) -> Exception:
        if error.code == LOCKED:
            return Forbidden(
                "The thread is locked: unlock it, or give the bot Manage Threads in this channel."
            )
        return error

    # --- threads ---

    async def _patch_channel(self, channel: str, changes: Payload) -> Any:
        return await self._http.call(
            "PATCH", "/channels/{channel_id}", ids={"channel_id": channel}, json=changes
        )

    async def _open_thread(self, op: OpenThread) -> Delivered:
        """A thread made from a message has that message's id, so a second try finds the first one's."""
        place = op.origin.place
        if place.kind in {"dm", "forum"} or (place.thread and place.thread != op.origin.id):
            return Delivered(place=place)
        ids = {"channel_id": place.channel, "message_id": op.origin.id}
        body = {"name": thread_name(op.title), "auto_archive_duration": 4320}
        try:
            await self._http.call("POST", _MESSAGE + "/threads", ids=ids, json=body)
        except discord.HTTPException as error:
            if error.code != THREAD_EXISTS:
                raise
            await self._http.call("GET", "/channels/{channel_id}", ids={"channel_id": op.origin.id})
        return Delivered(place=Place("discord", place.tenant, place.channel, op.origin.id, place.kind))

    async def _set_thread(self, op: SetThread) -> Delivered:
        if op.place.thread is None:
            return Delivered(place=op.place)
        changes: Payload = {}
        if op.archived is not None:
            changes["archived"] = op.archived
        if op.locked is not None:
            changes["locked"] = op.locked
        thread = op.place.thread
        if op.place.kind == "forum" and (op.tags is not None or op.solved is not None):
            changes |= await self._tags(op, thread)
        if changes:
            await self._change_thread(thread, changes)
        return Delivered(place=op.place)

    async def _change_thread(self, thread: str, changes: Payload) -> None:
        try:
            await self._patch_channel(thread, changes)
        except discord.HTTPException as error:
            if error.code != ARCHIVED or changes.get("archived") is False:
                raise self._worded(error) from error
            # Only an open thread can be changed otherwise; then it is closed again.
            await self._in_open_thread(
                thread, lambda: self._patch_channel(thread, {"archived": True} | changes)
            )

    async def _tags(self, op: SetThread, thread: str) -> Payload:
        """The forum tags that result; unknown names are left out, at most five stay."""
        post, forum = await asyncio.gather(
            self._http.call("GET", "/channels/{channel_id}", ids={"channel_id": thread}),
            self._http.call("GET", "/channels/{channel_id}", ids={"channel_id": op.place.channel}),
        )
        known = {str(t["name"]).lower(): str(t["id"]) for t in forum.get("available_tags", [])}
        names = {ident: ident for ident in known.values()} | known
        before = [str(t) for t in post.get("applied_tags", [])]
        after = before
        if op.tags is not None:
            after = [names[t.lower()] for t in op.tags if t.lower() in names]
        if op.solved is not None:
            wanted = (self._settings.solved_tag.lower(),) if self._settings.solved_tag else _SOLVED
            solved = next((names[name] for name in wanted if name in names), None)
            after = [t for t in after if t != solved]
            if solved and op.solved:
                after = [solved, *after]
        after = list(dict.fromkeys(after))[:_TAGS]
        return {} if after == before else {"applied_tags": after}

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
