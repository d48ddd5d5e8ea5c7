"""Reading Slack back: what was missed, and whether something sent did arrive."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
)
from adapters.slack_api import SlackApi, Vanished
from adapters.slack_events import deletion, parse_message_event
from adapters.slack_files import marked_name
from adapters.slack_parse import Us, mentioned, order
from adapters.slack_people import MESSAGE_MAX_AGE, People
from adapters.slack_sending import mark_of, messages_of

log = logging.getLogger("firstline.slack")

ASKED_ONE_BY_ONE = 5
PAGES_MAX = 25  # beyond that a channel was busy for days: what is older is not worth an answer any more
LOOK_BACK_SECONDS = 5.0
BEFORE_ALL = "0000000000.000000"
THREAD_GONE = "thread_not_found"
TOMBSTONE = "tombstone"
# Edits are told apart by their keys, which are kept for two days. A message that is missing later than a week was
# more likely removed by the workspace's retention than by its author.
EDITED_WITHIN = 46 * 3600.0
DELETED_WITHIN = 7 * 86400.0

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What Slack showed; `complete`: all there is in the range that was asked for."""

    messages: list[Json]
    complete: bool


class History:
    """The channels' own memory."""

    def __init__(self, api: SlackApi, us: Us, people: People, clock: Callable[[], float]) -> None:
        self._api, self._us, self._people, self._clock = api, us, people, clock
        self._unread: list[Mark] = []

    # --- catching up -----------------------------------------------------------------------------------------

    async def newest(self, place: Place) -> Mark | None:
        """Where listening begins in a channel: after the last message that is there now; None: it cannot be read."""
        try:
            answer = await self._api.patiently("conversations.history", channel=place.channel, limit=1)
        except AdapterError as error:
            log.warning("channel not read", extra={"channel": place.channel, "why": str(error)})
            return None
        return Mark(place, str(answer["messages"][0]["ts"]) if answer["messages"] else BEFORE_ALL)

    async def missed(self, mark: Mark, page: int) -> AsyncIterator[Inbound]:
        """Everything that people wrote in `mark.place` after `mark.after`, oldest first, replies included; before it
        what became of the messages that are known there.

        Nothing for a place without a mark: a channel's past before the first start is not ours to answer.
        """
        if not mark.after:
            return
        found = await self._read(mark, page)
        if found is None:
            return
        for change in self._changed(mark, found):
            yield await self._known(change)
        for message in sorted(found.messages, key=lambda message: order(str(message["ts"]))):
            if order(str(message["ts"])) <= order(mark.after):
                continue
            event = await self._event(message, mark.place)
            if event is not None:
                yield event

    async def missed_since(self, marks: Sequence[Mark], page: int) -> AsyncIterator[Inbound]:
        """As `missed`, for all marks, without asking Slack about threads in which nobody wrote.

        Reading every thread of a busy team would take minutes at Slack's rate; the channel's own history tells
        two hundred roots at once when each was last replied to. See `changed` for what that leaves out.
        """
        self._unread = []
        for channel in dict.fromkeys(mark.place.channel for mark in marks):
            here = [mark for mark in marks if mark.place.channel == channel and mark.after]
            try:
                silent = await self._silent(channel, here, page)
            except (Gone, Forbidden) as error:
                log.warning("not caught up", extra={"channel": channel, "why": str(error)})
                continue
            self._unread += [mark for mark in here if mark.place.conversation in silent]
            for mark in here:
                if mark.place.conversation not in silent:
                    async for event in self.missed(mark, page):
                        yield event

    async def changed(self, page: int) -> AsyncIterator[Inbound]:
        """What was edited and deleted meanwhile in open conversations in which nobody wrote: Slack does not say of a
        thread that one of its messages changed, so each is read, in the background."""
        unread, self._unread = self._unread, []
        for mark in unread:
            found = await self._read(mark, page) if mark.known else None
            for event in self._changed(mark, found) if found is not None else ():
                yield await self._known(event)

    async def _read(self, mark: Mark, page: int) -> Found | None:
        """What stands in a place since the oldest message that matters there; None: it cannot be read."""
        since = min((mark.after, *(ref.id for ref in mark.known)), key=order)
        try:
            return await self._messages(mark, since, page)
        except Vanished as error:
            if error.code == THREAD_GONE:
                return Found([], complete=True)
            log.warning("not caught up", extra={"channel": mark.place.channel, "why": str(error)})
        except (Gone, Forbidden) as error:
            log.warning("not caught up", extra={"channel": mark.place.channel, "why": str(error)})
        return None

    def _changed(self, mark: Mark, found: Found) -> Iterator[Inbound]:
        """Edits and deletions of what is known in `mark.place`. What was heard of before has the same key."""
        now = self._clock()
        by_id = {str(message["ts"]): message for message in found.messages}
        for ref in mark.known:
            message = by_id.get(ref.id)
            missing = message is None and found.complete and now - float(ref.id) <= DELETED_WITHIN
            if missing or (message is not None and message.get("subtype") == TOMBSTONE):
                yield deletion(self._us, ref, now)
            elif message is not None and now - _edited_at(message) <= EDITED_WITHIN:
                event = parse_message_event(
                    {"subtype": "message_changed", "channel": mark.place.channel, "message": message},
                    self._us,
                    {},
                    external=mark.place.external,
                    catchup=True,
                    told=mark.place.kind,
                )
                if event is not None:
                    yield event

    async def _silent(self, channel: str, marks: Sequence[Mark], page: int) -> set[str]:
        """The conversations of one channel that need not be asked: their last reply is the one we know."""
        threads = {mark.place.thread: mark for mark in marks if mark.place.thread is not None}
        if len(threads) <= ASKED_ONE_BY_ONE:
            return set()
        oldest = min(threads, key=order)
        roots = await self._pages(
            "conversations.history", page, channel=channel, oldest=oldest, inclusive=True
        )
        last = {str(root["ts"]): str(root.get("latest_reply") or root["ts"]) for root in roots.messages}
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

    async def _messages(self, mark: Mark, since: str, page: int) -> Found:
        """`since` itself included."""
        place = mark.place
        if place.thread is not None:
            return await self._replies(place.channel, place.thread, since, page)
        roots = await self._pages(
            "conversations.history", page, channel=place.channel, oldest=since, inclusive=True
        )
        found = {str(root["ts"]): root for root in roots.messages}
        for root in roots.messages:
            new = order(str(root["ts"])) > order(mark.after) and not self._is_card(root, place)
            if new and (root.get("reply_count") or root.get("thread_ts") == root["ts"]):
                replies = await self._replies(place.channel, str(root["ts"]), mark.after, page)
                found |= {str(reply["ts"]): reply for reply in replies.messages}
        return Found(list(found.values()), roots.complete)

    def _is_card(self, root: Json, place: Place) -> bool:
        """The threads under our cards have marks of their own while their tickets are open; the others are over."""
        return place.channel == self._us.staff_channel and root.get("user") == self._us.user

    async def _replies(self, channel: str, thread: str, since: str, page: int) -> Found:
        """With `since` itself; the root comes whatever its time."""
        return await self._pages(
            "conversations.replies", page, channel=channel, ts=thread, oldest=since, inclusive=True
        )

    async def _pages(self, method: str, page: int, **query: Any) -> Found:
        found: list[Json] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            answer = await self._api.patiently(method, limit=page, cursor=cursor, **query)
            found += answer["messages"]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return Found(found, complete=True)
        return Found(found, complete=False)

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
        return None if event is None else await self._known(event)

    async def _known(self, event: Inbound) -> Inbound:
        """With the rights that the person has now: what Slack shows of a message tells nothing of them."""
        if event.actor is None:
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
                name = marked_name(op.files[part - texts].name, mark_of(key, part)) if part >= texts else None
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
        """Uploads take no metadata; their names tell which they are."""
        ours = message.get("user") == self._us.user
        return ours and any(file.get("name") == name for file in message.get("files") or ())


def _edited_at(message: Json) -> float:
    return float((message.get("edited") or {}).get("ts") or 0)


def _marked(message: Json, mark: str) -> bool:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return bool(payload.get("k") == mark)
