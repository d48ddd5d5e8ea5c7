"""Slack's Web API through slack_sdk, with every failure told in the port's words.

Nothing is retried here: a call happens once, and the outbox decides what happens after a failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from adapters.port import (
    AdapterError,
    Ambiguous,
    Forbidden,
    Gone,
    RateLimited,
    Rejected,
    TooLate,
    Unavailable,
)

# The SDK writes whole payloads to its log at DEBUG; a customer's words must not get there.
SDK_LOG = logging.getLogger("firstline.slack.sdk")
SDK_LOG.setLevel(logging.WARNING)

TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500

FATAL: Mapping[str, str] = {
    "invalid_auth": "The token is not valid. Copy it again: api.slack.com/apps, your app, OAuth & Permissions.",
    "not_authed": "The token is missing. Copy it: api.slack.com/apps, your app, OAuth & Permissions.",
    "account_inactive": "The app was removed from the workspace. Install it again: your app, Install App.",
    "token_revoked": "The token was revoked. Install the app again: your app, Install App, and copy the new token.",
    "token_expired": "The token has expired. Switch token rotation off: your app, OAuth & Permissions.",
    "not_allowed_token_type": "This is the wrong kind of token: the bot token begins with xoxb-, the app-level token with xapp-.",
    "link_disabled": "Socket Mode is switched off. Your app, Socket Mode, Enable; or set [slack] http = true.",
}
GONE = frozenset({
    "message_not_found", "channel_not_found", "is_archived", "cant_update_message", "edit_window_closed",
    "is_inactive", "thread_not_found", "cannot_reply_to_message", "user_not_found",
    "file_not_found", "file_deleted", "duplicate_message_not_found", "duplicate_channel_not_found",
})  # fmt: skip
FORBIDDEN: Mapping[str, str] = {
    "not_in_channel": "the bot is not in that channel; write /invite @firstline there",
    "missing_scope": "a scope is missing; compare OAuth & Permissions with `firstline init`, then reinstall the app",
    "no_permission": "the app may not do that in this workspace; ask a workspace admin",
    "access_denied": "the app may not do that in this workspace; ask a workspace admin",
    "ekm_access_denied": "the workspace's key management has suspended posting; ask a workspace admin",
    "user_not_in_channel": "that person is not in the channel",
    "user_disabled": "that person's account is deactivated",
    "cannot_dm_bot": "bots cannot be written to",
    "messages_tab_disabled": "the app's messages tab is off; switch it on under App Home",
    "cant_delete_message": "the bot may only delete its own messages",
    "compliance_exports_prevent_deletion": "the workspace's compliance settings do not allow deleting",
    "not_allowed_token_type": "Slack does not offer that to bot tokens",
    "team_access_not_granted": "the app has no access to that workspace",
}
ABOUT_THE_TOKEN = (
    "auth.test",
    "apps.connections.open",
)  # elsewhere only the method refuses that kind of token
TOO_LATE = frozenset({
    "trigger_expired", "trigger_exchanged", "expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id",
    "expired_url", "used_url",
})  # fmt: skip
PERHAPS_DONE = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout"})
SLOW_DOWN = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ServerTimeoutError)


class Vanished(Gone):
    """What was named does not exist, with Slack's code for what it was."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"{method}: {code}")
        self.code = code


class TokenRefused(Unavailable):
    """Slack refuses the token: nothing was delivered, and nothing will be until somebody acts."""

    def __init__(self, code: str) -> None:
        super().__init__(FATAL[code])
        self.code = code


class Refused(Rejected):
    """Slack's plain no, with its code."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"Slack refused {method}: {code}")
        self.code = code


class SlackApi:
    """One workspace's Web API."""

    def __init__(
        self, client: AsyncWebClient, on_token_refused: Callable[[str], None] = lambda _: None
    ) -> None:
        self.client = client
        self._on_token_refused = on_token_refused

    async def call(
        self,
        method: str,
        *,
        write: bool = False,
        form: bool = False,
        token: str | None = None,
        **payload: Any,
    ) -> Mapping[str, Any]:
        """Call once. `write`: a lost connection leaves it open whether it happened (Ambiguous), so that whoever
        sends does not send twice. `form`: for methods that do not read JSON."""
        body = {name: value for name, value in payload.items() if value is not None}
        sent: dict[str, Any] = (
            {"data": {name: _form_value(value) for name, value in body.items()}} if form else {"json": body}
        )
        if token is not None:
            sent["headers"] = {"Authorization": f"Bearer {token}"}
        try:
            response = await self.client.api_call(method, http_verb="POST", **sent)
        except SlackApiError as error:
            raise self._refusal(method, error, write=write) from error
        except NEVER_SENT as error:
            raise Unavailable(f"no connection to Slack for {method}") from error
        except (aiohttp.ClientError, OSError, TimeoutError, SlackClientError) as error:
            lost = f"the connection broke during {method}"
            raise (Ambiguous(lost) if write else Unavailable(lost)) from error
        data: Any = response.data
        return {**data, "_headers": response.headers} if method == "auth.test" else data

    async def patiently(self, method: str, **query: Any) -> Mapping[str, Any]:
        """Read, waiting as long as Slack asks: for work in the background, which nobody waits for directly."""
        while True:
            try:
                return await self.call(method, form=True, **query)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after)

    def _refusal(self, method: str, error: SlackApiError, *, write: bool) -> AdapterError:
        response: Any = error.response
        status = int(getattr(response, "status_code", getattr(response, "status", 0)))
        headers: Mapping[str, str] = getattr(response, "headers", {}) or {}
        data = getattr(response, "data", {})
        code = str(data.get("error", "")) if isinstance(data, dict) else ""
        if status == TOO_MANY_REQUESTS or code in SLOW_DOWN:
            return RateLimited(seconds_of(headers))
        if code in FATAL and (code != "not_allowed_token_type" or method in ABOUT_THE_TOKEN):
            self._on_token_refused(code)
            return TokenRefused(code)
        if code in PERHAPS_DONE or status >= SERVER_ERROR or not code:
            told = f"Slack answered {code or status} to {method}"
            return Ambiguous(told) if write else Unavailable(told)
        return refusal(method, code, data.get("needed") if isinstance(data, dict) else None)


def _form_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def seconds_of(headers: Mapping[str, str]) -> float:
    """What Retry-After asks for; half a minute when Slack does not say."""
    try:
        return max(0.0, float({name.lower(): value for name, value in headers.items()}["retry-after"]))
    except (KeyError, ValueError):
        return 30.0


def refusal(method: str, code: str, needed: str | None = None) -> AdapterError:
    """What an error code of Slack means for the one who sends."""
    if code in GONE:
        return Vanished(method, code)
    if code in TOO_LATE:
        return TooLate(f"{method}: {code}")
    if code in FORBIDDEN or code.startswith("restricted_action"):
        told = FORBIDDEN.get(code, "the workspace's settings do not allow it there; ask a workspace admin")
        return Forbidden(f"{told} ({method}: {code}{f', needs {needed}' if needed else ''})")
    return Refused(method, code)
