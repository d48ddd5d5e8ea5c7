"""Threads on Discord: opened once, opened again before a change, closed, tagged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import discord

from adapters.discord_format import Payload, thread_name
from adapters.discord_http import ARCHIVED, LOCKED, THREAD_EXISTS, RoutedHTTP
from adapters.port import Delivered, Forbidden, OpenThread, Place, SetThread

_TAGS = 5
_SOLVED = ("solved", "resolved", "answered")


def worded(error: discord.HTTPException) -> Exception:
    """A locked thread in words for staff; anything else as it is."""
    if error.code == LOCKED:
        return Forbidden("The thread is locked: unlock it, or give the bot Manage Threads in this channel.")
    return error


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
        if place.kind in {"dm", "forum"} or (place.thread and place.thread != op.origin.id):
            return Delivered(place=place)
        ids = {"channel_id": place.channel, "message_id": op.origin.id}
        body = {"name": thread_name(op.title), "auto_archive_duration": 4320}
        try:
            await self._http.call(
                "POST", "/channels/{channel_id}/messages/{message_id}/threads", ids=ids, json=body
            )
        except discord.HTTPException as error:
            if error.code != THREAD_EXISTS:
                raise
            await self._http.call("GET", "/channels/{channel_id}", ids={"channel_id": op.origin.id})
        return Delivered(place=Place("discord", place.tenant, place.channel, op.origin.id, place.kind))

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
