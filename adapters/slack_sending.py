"""Carrying out operations in Slack: one call per part, marked so that it can be found again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from adapters.port import (
    AdapterError,
    Ambiguous,
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
    RateLimited,
    React,
    Rejected,
    SetThread,
    Unavailable,
)
from adapters.slack_api import Refused, SlackApi
from adapters.slack_files import Files, safe_name, trusted
from adapters.slack_format import Part, home_view, is_empty, render, render_one
from adapters.slack_people import People
from adapters.slack_text import escape, mrkdwn

MARK = "firstline_out"
NAMESPACE = uuid.UUID("6f1d3a52-9c5e-4a53-8a53-0f2f6d6b1d11")
QUIET = {"unfurl_links": False, "unfurl_media": False}

# What the rest of the program may write, in Slack's names; anything else is taken to be a Slack name already.
EMOJI: Mapping[str, str] = {
    "👍": "+1", "👎": "-1", "👀": "eyes", "✅": "white_check_mark", "❌": "x", "⏳": "hourglass_flowing_sand",
    "🎫": "ticket", "🔒": "lock", "🙋": "raising_hand", "⚠️": "warning", "✏️": "pencil2", "🗑️": "wastebasket",
    "❤️": "heart", "🚨": "rotating_light", "💬": "speech_balloon", "📌": "pushpin", "🎉": "tada", "❓": "question",
}  # fmt: skip


def mark_of(key: str, part: int) -> str:
    """What identifies one part of one operation, on every try."""
    return f"{key}#{part}"


def client_msg_id(key: str, part: int) -> str:
    """Slack's own, undocumented, idempotency key; sent, never relied upon."""
    return str(uuid.uuid5(NAMESPACE, mark_of(key, part)))


@dataclass(slots=True)
class Sending:
    """Everything that goes out."""

    api: SlackApi
    people: People
    files: Files
    session: aiohttp.ClientSession
    api_base: str
    tenant: str
    staff_channel: str
    file_bytes_max: int
    live: Callable[[str], str | None]
    with_client_msg_id: bool = True

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        match op:
            case Post():
                return await self._post(op, part, key)
            case Edit():
                return await self._edit(op)
            case Delete():
                return await self._settled("chat.delete", channel=op.ref.place.channel, ts=op.ref.id)
            case React():
                return await self._react(op)
            case OpenThread():
                return Delivered(place=thread_of(op.origin))
            case SetThread():
                return Delivered(place=op.place)
            case Private():
                return await self._private(op, part, key)
            case PublishHome():
                await self.api.call("views.publish", user_id=op.actor.id, view=home_view(op.content))
                return Delivered()

    async def _settled(self, method: str, **payload: Any) -> Delivered:
        """For calls whose end state is what counts: already gone is done."""
        try:
            await self.api.call(method, **payload)
        except Gone:
            return Delivered()
        return Delivered()

    # --- messages ------------------------------------------------------------------------------------------

    async def _post(self, op: Post, part: int, key: str) -> Delivered:
        parts = messages_of(op)
        if part < len(parts):
            return await self._message(op.place, parts[part], part, key)
        file = op.files[part - len(parts)]
        return await self._relay(op.place, file, part, key)

    async def _message(self, place: Place, part: Part, number: int, key: str) -> Delivered:
        channel = await self._channel(place)
        payload: dict[str, Any] = {
            "channel": channel,
            "thread_ts": place.thread,
            "text": part.text,
            "blocks": part.blocks or None,
            "metadata": {"event_type": MARK, "event_payload": {"k": mark_of(key, number)}},
            **QUIET,
        }
        if self.with_client_msg_id:
            payload["client_msg_id"] = client_msg_id(key, number)
        try:
            answer = await self.api.call("chat.postMessage", write=True, **payload)
        except Refused as error:
            if not self.with_client_msg_id or error.code != "invalid_arg_name":
                raise
            self.with_client_msg_id = (
                False  # a workspace that does not know the key; refused means not posted
            )
            payload.pop("client_msg_id")
            answer = await self.api.call("chat.postMessage", write=True, **payload)
        where = replace(place, tenant=self.tenant, channel=str(answer.get("channel") or channel))
        ref = MsgRef(where, str(answer["ts"]))
        if place.thread is not None and (answer.get("message") or {}).get("thread_ts") != place.thread:
            # The parent is gone, and Slack put the reply at the top level, where it must not stand.
            await self._settled("chat.delete", channel=where.channel, ts=ref.id)
            raise Gone("the thread's first message was deleted")
        return Delivered(ref=ref)

    async def _channel(self, place: Place) -> str:
        """A person's id stands for the DM with that person."""
        return await self.people.dm(place.channel) if place.channel[:1] in {"U", "W"} else place.channel

    async def _edit(self, op: Edit) -> Delivered:
        part = render_one(op.content, op.speaking_as)
        await self.api.call(
            "chat.update", channel=op.ref.place.channel, ts=op.ref.id, text=part.text, blocks=part.blocks
        )
        return Delivered(ref=op.ref)

    async def _react(self, op: React) -> Delivered:
        name = EMOJI.get(op.emoji, op.emoji.strip(":"))
        method, done = ("reactions.add", "already_reacted") if op.on else ("reactions.remove", "no_reaction")
        try:
            return await self._settled(method, channel=op.ref.place.channel, timestamp=op.ref.id, name=name)
        except Refused as error:
            if error.code != done:
                raise
            return Delivered()

    # --- to one person ---------------------------------------------------------------------------------------

    async def _private(self, op: Private, part: int, key: str) -> Delivered:
        """In the live interaction, else ephemeral (only what may be lost), else as a DM."""
        shown = render_one(op.content)
        url = self.live(op.interaction) if op.interaction else None
        if url is not None and await self._respond(url, op.place, shown):
            return Delivered()
        if op.hint and op.place.kind != "dm":
            try:
                await self._ephemeral(op, shown)
            except (Gone, Forbidden, Rejected):
                pass  # not in the channel, or no such channel any more: the DM remains
            else:
                return Delivered()
        place = op.place if op.place.kind == "dm" else await self._dm(op)
        return await self._message(place, shown, part, key)

    async def _dm(self, op: Private) -> Place:
        return Place("slack", op.actor.tenant, await self.people.dm(op.actor.id), None, "dm")

    async def _ephemeral(self, op: Private, part: Part) -> None:
        await self.api.call(
            "chat.postEphemeral",
            channel=op.place.channel,
            thread_ts=op.place.thread,
            user=op.actor.id,
            text=part.text,
            blocks=part.blocks or None,
        )

    async def _respond(self, url: str, place: Place, part: Part) -> bool:
        """Answer where the person pressed; False when that is no longer possible."""
        if not trusted(url, self.api_base):
            return False
        body = {
            "response_type": "ephemeral",
            "replace_original": False,
            "text": part.text,
            "blocks": part.blocks,
        }
        if place.thread is not None:
            body["thread_ts"] = place.thread
        try:
            async with self.session.post(url, json=body) as response:
                return response.status == 200  # noqa: PLR2004
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    # --- files -----------------------------------------------------------------------------------------------

    async def _relay(self, place: Place, file: FileRef, part: int, key: str) -> Delivered:
        """Fetch and upload; what cannot be passed on is named in a line instead."""
        try:
            data = await self.files.read(file, self.file_bytes_max)
            channel = await self._channel(place)
            ts = await self.files.upload(file.name, data, channel, place.thread, mark_of(key, part))
        except (Unavailable, RateLimited, Ambiguous):
            raise
        except AdapterError as error:
            return await self._message(place, await self._instead(place, file, error), part, key)
        where = replace(place, tenant=self.tenant, channel=channel)
        return Delivered(ref=MsgRef(where, ts) if ts is not None else None)

    async def _instead(self, place: Place, file: FileRef, why: AdapterError) -> Part:
        """A link only for staff: a link into the staff channel would show customers who works there."""
        line = f"📎 {escape(safe_name(file.name))}: {escape(str(why))}"
        if place.channel == self.staff_channel and file.source is not None:
            link = await self.permalink(file.source)
            line += f" (<{escape(link)}|the message it came with>)" if link else ""
        return Part(line, [{"type": "section", "text": mrkdwn(line)}])

    async def permalink(self, ref: MsgRef) -> str | None:
        try:
            answer = await self.api.call(
                "chat.getPermalink", form=True, channel=ref.place.channel, message_ts=ref.id
            )
        except (Gone, Forbidden, Rejected):
            return None
        link = str(answer.get("permalink") or "")
        return link if urlsplit(link).scheme in {"http", "https"} else None


def thread_of(origin: MsgRef) -> Place:
    """Threads are implicit: the root's id is the thread's id; a DM stays one conversation."""
    if origin.place.thread is not None or origin.place.kind == "dm":
        return origin.place
    return replace(origin.place, thread=origin.id)


@lru_cache(maxsize=16)
def messages_of(op: Post) -> list[Part]:
    """The text messages of a post; none when it only carries files. Asked for at least twice per post: how many
    there are, then for each."""
    if op.files and is_empty(op.content) and not op.speaking_as:
        return []
    return render(op.content, op.speaking_as)


def parts(op: Op) -> int:
    """How many calls `op` needs; the same for the same op."""
    return len(messages_of(op)) + len(op.files) if isinstance(op, Post) else 1
