"""Reading Slack back: what was missed, and whether something sent did arrive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from adapters.port import (
    AdapterError,
    Delivered,
    Forbidden,
    Gone,
    Inbound,
    Mark,
    MsgRef,
    Op,
    Place,
    Post,
    Private,
    RateLimited,
)
from adapters.slack_api import SlackApi
from adapters.slack_events import parse_message_event
from adapters.slack_parse import Us, mentioned, order
from adapters.slack_people import MESSAGE_MAX_AGE, People
from adapters.slack_sending import mark_of, messages_of

log = logging.getLogger("firstline.slack")

ASKED_ONE_BY_ONE = 5
PAGES_MAX = 25  # beyond that a channel was busy for days: what is older is not worth an answer any more
LOOK_BACK_SECONDS = 5.0

Json = Mapping[str, Any]


class History:
    """The channels' own memory."""

    def __init__(self, api: SlackApi, us: Us, people: People) -> None:
        self._api, self._us, self._people = api, us, people

    # --- catching up -----------------------------------------------------------------------------------------

    async def missed(self, mark: Mark, page: int) -> AsyncIterator[Inbound]:
        """Everything that people wrote in `mark.place` after `mark.after`, oldest first, replies included.

        Nothing for a place without a mark: a channel's past before the first start is not ours to answer.
        """
        if not mark.after:
            return
        try:
            found = await self._messages(mark, page)
        except (Gone, Forbidden) as error:
            log.warning("not caught up", extra={"channel": mark.place.channel, "why": str(error)})
            return
        for message in sorted(found, key=lambda message: order(str(message["ts"]))):
            event = await self._event(message, mark.place)
            if event is not None:
                yield event

    async def missed_since(self, marks: Sequence[Mark], page: int) -> AsyncIterator[Inbound]:
        """As `missed`, for all marks, without asking Slack about threads in which nobody wrote.

        Reading every thread of a busy team would take minutes at Slack's rate; the channel's own history tells
        two hundred roots at once when each was last replied to.
        """
        silent: set[str] = set()
        for channel in dict.fromkeys(mark.place.channel for mark in marks):
            silent |= await self._silent(
                channel, [m for m in marks if m.place.channel == channel and m.after], page
            )
        for mark in marks:
            if mark.place.conversation not in silent:
                async for event in self.missed(mark, page):
                    yield event

    async def _silent(self, channel: str, marks: Sequence[Mark], page: int) -> set[str]:
        """The conversations of one channel that need not be asked: their last reply is the one we know."""
        threads = {mark.place.thread: mark for mark in marks if mark.place.thread is not None}
        if len(threads) <= ASKED_ONE_BY_ONE:
            return set()
        oldest = min(threads, key=order)
        try:
            roots = await self._pages(
                "conversations.history", page, channel=channel, oldest=oldest, inclusive=True
            )
        except (Gone, Forbidden):
            return {mark.place.conversation for mark in marks}
        last = {str(root["ts"]): str(root.get("latest_reply") or root["ts"]) for root in roots}
        return {
            mark.place.conversation
            for thread, mark in threads.items()
            if thread in last and order(last[thread]) <= order(mark.after)
        }

    async def thread_of(self, channel: str, ts: str) -> str | None:
        """The root under which a message stands: its own id when it is a root, None when Slack does not tell."""
        try:
            answer = await self._api.call("conversations.replies", form=True, channel=channel, ts=ts, limit=1)
        except AdapterError:
            return None
        # For the id of a reply Slack gives that reply or its whole thread: either way the first one knows the root.
        first: Json = answer["messages"][0]
        return str(first.get("thread_ts") or first["ts"])

    async def _messages(self, mark: Mark, page: int) -> list[Json]:
        place = mark.place
        if place.thread is not None:
            return await self._replies(place.channel, place.thread, mark.after, page)
        roots = await self._pages("conversations.history", page, channel=place.channel, oldest=mark.after)
        found = {str(root["ts"]): root for root in roots}
        for root in roots:
            if root.get("reply_count") or root.get("thread_ts") == root["ts"]:
                for reply in await self._replies(place.channel, str(root["ts"]), mark.after, page):
                    found.setdefault(str(reply["ts"]), reply)
        return list(found.values())

    async def _replies(self, channel: str, thread: str, after: str, page: int) -> list[Json]:
        found = await self._pages("conversations.replies", page, channel=channel, ts=thread, oldest=after)
        return [message for message in found if order(str(message["ts"])) > order(after)]

    async def _pages(self, method: str, page: int, **query: Any) -> list[Json]:
        found: list[Json] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            answer = await self._patiently(method, limit=page, cursor=cursor, **query)
            found += answer["messages"]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return found

    async def _patiently(self, method: str, **query: Any) -> Json:
        """Reading may wait as long as Slack asks; nobody is answered by it directly."""
        while True:
            try:
                return await self._api.call(method, form=True, **query)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after)

    async def _event(self, message: Json, place: Place) -> Inbound | None:
        names = await self._people.names(
            [u for u in mentioned(str(message.get("text") or "")) if u != self._us.user]
        )
        event = parse_message_event(
            {**message, "channel": place.channel},
            self._us,
            names,
            external=place.external,
            catchup=True,
            told=place.kind,
        )
        if event is None or event.actor is None:
            return event
        actor = await self._people.actor(event.actor.id, max_age=MESSAGE_MAX_AGE, seen=event.actor)
        return replace(event, actor=actor)

    # --- did it arrive? --------------------------------------------------------------------------------------

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        """Look for the mark of an earlier try. Ephemeral messages leave no trace, so they stay unknown."""
        match op:
            case Post():
                place = op.place
                if place.channel[:1] in {"U", "W"}:
                    place = replace(place, channel=await self._people.dm(place.channel))
                texts = len(messages_of(op))
                name = op.files[part - texts].name if part >= texts else None
            case Private() if op.place.kind == "dm":
                place, name = op.place, None
            case Private() if not op.hint:
                place, name = (
                    Place("slack", op.actor.tenant, await self._people.dm(op.actor.id), None, "dm"),
                    None,
                )
            case _:
                return "unknown"
        try:
            found = await self._since(place, since - LOOK_BACK_SECONDS)
        except Gone:
            return "absent"
        except Forbidden:
            return "unknown"
        for message in found:
            if _marked(message, mark_of(key, part)) or (name is not None and self._carries(message, name)):
                return Delivered(ref=MsgRef(replace(place, tenant=self._us.tenant), str(message["ts"])))
        return "absent"

    async def _since(self, place: Place, oldest: float) -> list[Json]:
        query: dict[str, Any] = {
            "channel": place.channel,
            "oldest": f"{oldest:.6f}",
            "include_all_metadata": True,
        }
        method = "conversations.history"
        if place.thread is not None:
            method, query = "conversations.replies", {**query, "ts": place.thread}
        found: list[Json] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            answer = await self._api.call(method, form=True, limit=200, cursor=cursor, **query)
            found += [m for m in answer["messages"] if float(m["ts"]) >= oldest]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return found

    def _carries(self, message: Json, name: str) -> bool:
        """Uploads cannot be marked; our own message with a file of that name, after the first try, is the one."""
        ours = message.get("user") == self._us.user
        return ours and any(
            file.get("title") == name or file.get("name") == name for file in message.get("files") or ()
        )


def _marked(message: Json, mark: str) -> bool:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return bool(payload.get("k") == mark)
