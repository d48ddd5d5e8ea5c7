"""Threads on Discord: opened once, opened again before a change, closed, tagged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import discord

from adapters.discord_format import Payload, thread_name
from adapters.discord_http import ARCHIVED, LOCKED, THREAD_EXISTS, RoutedHTTP, translate
from adapters.discord_rooms import PRIVATE_THREAD
from adapters.discord_text import clip
from adapters.port import Actor, Delivered, Forbidden, OpenThread, Place, SetThread

log = logging.getLogger(__name__)
_ARCHIVE_MINUTES = 4320
_TITLE = 90  # of a private thread; the rest tells it from others with the same title
_TAGS = 5
_SOLVED = ("solved", "resolved", "answered")


def worded(error: discord.HTTPException) -> Exception:
    """A locked thread in words for staff; anything else as it is."""
    if error.code == LOCKED:
        return Forbidden("The thread is locked: unlock it, or give the bot Manage Threads in this channel.")
    return error


def _give_up(error: discord.HTTPException) -> None:
    """Say why there is no private thread. What may be better in a moment is raised, to be tried again."""
    if error.status >= 500 or error.status == 429:  # noqa: PLR2004
        raise error
    log.warning("no private thread: %s", translate(error))


class Threads:
    """`solved_tag`: the name of the forum tag for solved posts; empty: the usual names."""

    def __init__(self, http: RoutedHTTP, solved_tag: str) -> None:
        self._http, self._solved_tag = http, solved_tag

    async def opened(self, channel: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """A change in an archived thread: open it, change, and leave it to Discord to archive it again."""
        try:
            return await call()
        except discord.HTTPException as error:
            if error.code != ARCHIVED:
                raise worded(error) from error
        try:
            await self._patch_channel(channel, {"archived": False})
            return await call()
        except discord.HTTPException as error:
            if error.code in {ARCHIVED, LOCKED, 50013}:
                raise Forbidden(
                    "The thread is archived and locked. Unlock it, or give the bot Manage Threads in this channel."
                ) from error
            raise

    async def _patch_channel(self, channel: str, changes: Payload) -> Any:
        return await self._http.call(
            "PATCH", "/channels/{channel_id}", ids={"channel_id": channel}, json=changes
        )

    async def open(self, op: OpenThread) -> Delivered:
        """A thread made from a message has that message's id, so a second try finds the first one's."""
        place = op.origin.place
        if op.private_for is not None and (private := await self._private(op, op.private_for)):
            return Delivered(place=private)
        if place.kind in {"dm", "forum"} or (place.thread and place.thread != op.origin.id):
            return Delivered(place=place)
        ids = {"channel_id": place.channel, "message_id": op.origin.id}
        body = {"name": thread_name(op.title), "auto_archive_duration": _ARCHIVE_MINUTES}
        try:
            await self._http.call(
                "POST", "/channels/{channel_id}/messages/{message_id}/threads", ids=ids, json=body
            )
        except discord.HTTPException as error:
            if error.code != THREAD_EXISTS:
                raise
            await self._http.call("GET", "/channels/{channel_id}", ids={"channel_id": op.origin.id})
        return Delivered(place=Place("discord", place.tenant, place.channel, op.origin.id, place.kind))

    async def _private(self, op: OpenThread, person: Actor) -> Place | None:
        """A private thread with this person in it; None where Discord has none or does not allow it.

        Creating one is not idempotent, so an earlier try's is looked for first, by its name.
        """
        place = op.origin.place
        if place.kind != "channel":
            return None  # forums and direct messages have none, and what is private already needs none
        name = f"{clip(thread_name(op.title), _TITLE)} · {op.origin.id[-6:]}"
        try:
            thread = await self._earlier(place, name) or await self._made(place, name)
        except discord.HTTPException as error:
            _give_up(error)
            return None
        try:
            path, ids = "/channels/{channel_id}/thread-members/{user}", {"channel_id": thread}
            await self._http.call("PUT", path, ids=ids | {"user": person.id})
        except discord.HTTPException as error:
            _give_up(error)
            with contextlib.suppress(discord.HTTPException):
                await self._patch_channel(thread, {"archived": True, "locked": True})
            return None
        return Place("discord", place.tenant, place.channel, thread, "private")

    async def _earlier(self, place: Place, name: str) -> str | None:
        ids = {"guild_id": place.tenant}
        found = await self._http.call("GET", "/guilds/{guild_id}/threads/active", ids=ids)
        for thread in found.get("threads", []):
            ours = str(thread.get("parent_id")) == place.channel and thread.get("type") == PRIVATE_THREAD
            if ours and thread.get("name") == name:
                return str(thread["id"])
        return None

    async def _made(self, place: Place, name: str) -> str:
        body = {
            "name": name,
            "type": PRIVATE_THREAD,
            "invitable": False,
            "auto_archive_duration": _ARCHIVE_MINUTES,
        }
        ids = {"channel_id": place.channel}
        made = await self._http.call("POST", "/channels/{channel_id}/threads", ids=ids, json=body)
        return str(made["id"])

    async def set(self, op: SetThread) -> Delivered:
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
                raise worded(error) from error
            # Only an open thread can be changed otherwise; then it is closed again.
            await self.opened(thread, lambda: self._patch_channel(thread, {"archived": True} | changes))

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
            wanted = (self._solved_tag.lower(),) if self._solved_tag else _SOLVED
            solved = next((names[name] for name in wanted if name in names), None)
            after = [t for t in after if t != solved]
            if solved and op.solved:
                after = [solved, *after]
        after = list(dict.fromkeys(after))[:_TAGS]
        return {} if after == before else {"applied_tags": after}
