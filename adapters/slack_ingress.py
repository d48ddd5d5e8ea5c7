"""From Slack's payload to a recorded event: record first, acknowledge then, answer within three seconds.

One Bolt middleware takes every payload of both transports. An exception in it means: not recorded, therefore
not acknowledged, therefore delivered again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from adapters.port import (
    AdapterError,
    Block,
    Content,
    Form,
    FormErrors,
    FormSubmitted,
    HomeOpened,
    Inbound,
    InstallChanged,
    MessageAction,
    MessageEdited,
    MessageReceived,
    Private,
    ReactionChanged,
    Sink,
    Span,
)
from adapters.slack_api import SDK_LOG, SlackApi
from adapters.slack_events import parse_event
from adapters.slack_forms import error_response, late_view, notice_view, view
from adapters.slack_gestures import parse_gesture
from adapters.slack_history import History
from adapters.slack_leavers import ABOUT_PEOPLE, Leavers
from adapters.slack_parse import Us, mentioned
from adapters.slack_people import MESSAGE_MAX_AGE, People

log = logging.getLogger("firstline.slack")

Json = Mapping[str, Any]
Outcome = Form | FormErrors | None

ACK_SECONDS = 2.0  # Slack gives three; one is for the way
RESPONSE_URL_SECONDS = 25 * 60.0  # Slack says thirty minutes
RESPONSE_URL_USES = 5
LIVE_MAX = 10_000
TWINS_MAX = 1000
STAFF_COME_AND_GO = ("member_joined_channel", "member_left_channel")

SAVING = "Saving… this window shows when it is done."
SAVED = "Saved. You can close this window."
NOT_SAVED = "That could not be saved. Please try again in a minute."
TOO_SLOW = "That took too long to open. Please press it again."


@dataclass(slots=True)
class Live:
    """An interaction that can still be answered in place."""

    response_url: str
    expires: float
    uses: int = RESPONSE_URL_USES


def build_bolt(
    api_base: str,
    session: aiohttp.ClientSession,
    bot_token: str,
    us: Us,
    take: Callable[[AsyncBoltRequest], Awaitable[BoltResponse]],
) -> AsyncApp:
    """A Bolt app from explicit values only: with its own `authorize` it ignores SLACK_CLIENT_ID in the environment."""
    client = AsyncWebClient(base_url=api_base, session=session, retry_handlers=[], logger=SDK_LOG)

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=us.enterprise or None,
            team_id=us.tenant,
            bot_user_id=us.user,
            bot_id=us.bot,
            bot_token=bot_token,
        )

    app = AsyncApp(
        name="firstline",
        logger=SDK_LOG,
        client=client,
        authorize=authorize,
        signing_secret="verified-in-slack_http",  # noqa: S106 - Bolt's own check is off: ours stands in front
        request_verification_enabled=False,
        ssl_check_enabled=False,
    )

    app.middleware(ToInbox(take))
    return app


class ToInbox(AsyncMiddleware):
    """The last middleware: what comes here is recorded and answered, and goes no further."""

    def __init__(self, take: Callable[[AsyncBoltRequest], Awaitable[BoltResponse]]) -> None:
        self._take = take

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,  # noqa: ARG002 - Bolt's signature
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002, ARG002 - Bolt's signature
    ) -> BoltResponse:
        return await self._take(req)


class Ingress:
    """Takes payloads, tells the sink, answers Slack."""

    def __init__(
        self,
        sink: Sink,
        api: SlackApi,
        us: Us,
        people: People,
        history: History,
        leavers: Leavers,
        private: Callable[[Private], Awaitable[object]],
        *,
        clock: Callable[[], float],
        ack_seconds: float = ACK_SECONDS,
        on_revoked: Callable[[str], None],
    ) -> None:
        self._sink, self._api, self._us = sink, api, us
        self._people, self._history, self._leavers, self._private = people, history, leavers, private
        self._clock, self._ack_seconds, self._on_revoked = clock, ack_seconds, on_revoked
        self._live: OrderedDict[str, Live] = OrderedDict()
        self._twins: OrderedDict[str, None] = OrderedDict()
        self._late: set[asyncio.Task[None]] = set()

    # --- both transports -----------------------------------------------------------------------------------

    async def take(self, req: AsyncBoltRequest) -> BoltResponse:
        """Record, then answer. Raises when nothing was recorded."""
        body: Json = req.body
        if body.get("type") == "event_callback":
            await self._take_event(body, _attempt(req.headers))
            return BoltResponse(status=200)
        event = parse_gesture(body, self._us, await self._names(body), self._clock())
        if event is None:
            return BoltResponse(
                status=200
            )  # nothing of ours: also `app_rate_limited`, which has no inner event
        self._hold(event.keys[0], body)
        return await self._take_gesture(event, body)

    async def _take_event(self, body: Json, attempt: int) -> None:
        inner: Json = body.get("event") or {}
        if inner.get("type") in ABOUT_PEOPLE:
            async for left in self._leavers.told(inner, f"slack:ev:{body.get('event_id', '')}"):
                await self._sink.receive(left)
            return
        if inner.get("type") in STAFF_COME_AND_GO and inner.get("channel") == self._us.staff_channel:
            self._people.staff_changed()
        event = parse_event(body, self._us, await self._names(inner), attempt)
        if event is None:
            return
        await self.receive(event)
        if isinstance(event, MessageReceived):
            await self._merge_twin(event, str(inner.get("type")))
        if isinstance(event, InstallChanged) and event.state in {"revoked", "uninstalled"}:
            self._on_revoked("token_revoked" if event.state == "revoked" else "account_inactive")

    async def receive(self, event: Inbound, max_age: float = MESSAGE_MAX_AGE) -> Outcome:
        """Tell the sink, with the person's rights as they are now."""
        if isinstance(event, HomeOpened) or not event.place.channel:
            event = await self._placed(event)
        elif isinstance(event, ReactionChanged) and event.place.kind != "dm":
            thread = await self._history.thread_of(event.place.channel, event.ref.id)
            place = replace(event.place, thread=thread)
            event = replace(event, place=place, ref=replace(event.ref, place=place))
        if event.actor is not None:
            actor = await self._people.actor(event.actor.id, max_age=max_age, seen=event.actor)
            event = replace(event, actor=actor)
        if isinstance(event, MessageAction):
            seen = event.target_author
            author = await self._people.actor(seen.id, max_age=max_age, seen=seen)
            event = replace(event, target_author=author)
        return await self._sink.receive(event)

    async def _placed(self, event: Inbound) -> Inbound:
        """The home tab and forms opened from it have no channel: they belong to the person's own DM."""
        if event.actor is None or event.place.channel:
            return event
        channel = await self._people.dm(event.actor.id)
        return replace(event, place=replace(event.place, channel=channel, kind="dm"))

    async def _names(self, message: Json) -> dict[str, str]:
        inner = message.get("message")
        texts = [message.get("text"), inner.get("text") if isinstance(inner, Mapping) else None]
        ids = [
            user
            for text in texts
            if isinstance(text, str)
            for user in mentioned(text)
            if user != self._us.user
        ]
        return await self._people.names(ids) if ids else {}

    async def _merge_twin(self, event: MessageReceived, kind: str) -> None:
        """A mention comes as `app_mention` and as `message`; the first may lack the files that the second has.

        The sink recognises the second as a repeat, so the files come after it as an edit of the same message.
        """
        key = f"{event.place.channel}:{event.ref.id}"
        if kind == "app_mention" and not event.files:
            self._twins[key] = None
            while len(self._twins) > TWINS_MAX:
                self._twins.popitem(last=False)
        elif event.files and key in self._twins:
            del self._twins[key]
            edit = MessageEdited(
                keys=(f"slack:files:{event.place.tenant}:{key}",),
                place=event.place,
                actor=event.actor,
                occurred_at=event.occurred_at,
                order=event.order,
                ref=event.ref,
                text=event.text,
                files=event.files,
            )
            await self.receive(edit)

    # --- gestures: an answer within three seconds ------------------------------------------------------------

    async def _take_gesture(self, event: Inbound, body: Json) -> BoltResponse:
        """Acknowledge with what the sink says; when it is slow, acknowledge first and answer later."""
        work = asyncio.create_task(self.receive(event, max_age=0))
        done, _ = await asyncio.wait({work}, timeout=self._ack_seconds)
        if done:
            return self._answer(event, body, work.result())
        self._later(self._answer_late(event, body, work))
        if isinstance(event, FormSubmitted):
            saving = notice_view(_title(body), SAVING)
            return BoltResponse(status=200, body={"response_action": "update", "view": saving})
        return BoltResponse(status=200)

    def _answer(self, event: Inbound, body: Json, outcome: Outcome) -> BoltResponse:
        if isinstance(event, FormSubmitted):
            if isinstance(outcome, FormErrors):
                return BoltResponse(status=200, body=error_response(outcome, body.get("view") or {}))
            if isinstance(outcome, Form):
                shown = view(outcome, event.place)
                return BoltResponse(status=200, body={"response_action": "update", "view": shown})
        elif isinstance(outcome, Form):
            self._later(self._open(event, body, outcome))
        return BoltResponse(status=200)

    async def _answer_late(self, event: Inbound, body: Json, work: asyncio.Task[Outcome]) -> None:
        try:
            outcome = await work
        except Exception:  # the platform has its acknowledgement, the person must hear that it failed
            log.exception("gesture not recorded", extra={"key": event.keys[0]})
            if isinstance(event, FormSubmitted):
                await self._change_view(body, notice_view(_title(body), NOT_SAVED))
            else:
                await self._tell(event, NOT_SAVED)
            return
        if isinstance(event, FormSubmitted):
            await self._change_view(body, late_view(outcome, event.place, _title(body), SAVED))
        elif isinstance(outcome, Form):
            await self._open(event, body, outcome)

    async def _open(self, event: Inbound, body: Json, form: Form) -> None:
        shown = view(form, event.place)
        try:
            await self._api.call("views.open", trigger_id=str(body.get("trigger_id", "")), view=shown)
        except AdapterError as error:
            log.warning("form not opened", extra={"why": str(error)})
            await self._tell(event, TOO_SLOW)

    async def _change_view(self, body: Json, shown: Json) -> None:
        try:
            await self._api.call("views.update", view_id=body["view"]["id"], view=shown)
        except AdapterError as error:  # the person has closed it
            log.info("form not changed", extra={"why": str(error)})

    async def _tell(self, event: Inbound, text: str) -> None:
        """One line to the person who is waiting, wherever they can still be reached; best effort."""
        assert event.actor is not None
        content = Content((Block("para", ((Span(text),),)),))
        try:
            await self._private(Private(event.place, event.actor, content, event.keys[0]))
        except AdapterError as error:
            log.warning("person not told", extra={"why": str(error)})

    def _later(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def finish(self, grace: float) -> None:
        """Let late answers go out; drop what is still running after `grace` seconds."""
        if self._late:
            _, left = await asyncio.wait(set(self._late), timeout=grace)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    # --- live interactions ---------------------------------------------------------------------------------

    def _hold(self, key: str, body: Json) -> None:
        url = body.get("response_url")
        urls = body.get("response_urls")
        if not url and urls:
            url = urls[0].get("response_url")
        if not isinstance(url, str) or not url:
            return
        self._live[key] = Live(url, self._clock() + RESPONSE_URL_SECONDS)
        while len(self._live) > LIVE_MAX:
            self._live.popitem(last=False)

    def live(self, key: str) -> str | None:
        """Where the interaction behind `key` can still be answered; each call uses up one of Slack's five answers."""
        held = self._live.get(key)
        if held is None:
            return None
        held.uses -= 1
        if held.uses < 0 or held.expires < self._clock():
            del self._live[key]
            return None
        return held.response_url


def _title(body: Json) -> str:
    """The title of the modal that was sent in."""
    return str((body["view"].get("title") or {}).get("text") or "Form")


def _attempt(headers: Mapping[str, Any]) -> int:
    found = headers.get("x-slack-retry-num") or ["0"]
    text = found if isinstance(found, str) else str(found[0])
    return int(text) if text.isdigit() else 0
