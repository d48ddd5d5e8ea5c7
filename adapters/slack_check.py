"""`firstline check` for Slack: one line per thing that must be right, and what to click when it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.port import AdapterError, CheckResult, Forbidden, Gone
from adapters.slack_api import SlackApi
from adapters.slack_manifest import BOT_SCOPES, OPTIONAL_SCOPES

REINSTALL = (
    "Your app at api.slack.com/apps, OAuth & Permissions, Bot Token Scopes: add it, then Install App again."
)


async def check_setup(
    api: SlackApi,
    *,
    app_token: str,
    signing_secret: str,
    http: bool,
    staff_channel: str,
    channels: Mapping[str, str],
) -> list[CheckResult]:
    """Everything that can be known before the first customer writes. Stops early only when the token is no good."""
    results = await _bot_token(api)
    results.append(_http(signing_secret) if http else await _app_token(api, app_token))
    if not results[0].ok:
        return results
    results += await _staff_channel(api, staff_channel)
    for channel in channels:
        if channel != staff_channel:
            results.append(await _channel(api, channel))
    return results


async def _bot_token(api: SlackApi) -> list[CheckResult]:
    name = "bot token"
    try:
        answer = await api.call("auth.test", form=True)
    except AdapterError as error:
        return [CheckResult(name, ok=False, detail="refused or not reachable", fix=str(error))]
    found = CheckResult(name, ok=True, detail=f"{answer.get('user')} in {answer.get('team')}")
    headers = {key.lower(): value for key, value in answer["_headers"].items()}
    granted = {scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",")} - {""}
    return [found, *_scopes(granted)]


def _scopes(granted: set[str]) -> list[CheckResult]:
    if not granted:
        return [CheckResult("scopes", ok=True, detail="Slack did not name them")]
    missing = [scope for scope in BOT_SCOPES if scope not in granted and scope not in OPTIONAL_SCOPES]
    optional = [scope for scope in OPTIONAL_SCOPES if scope not in granted]
    results = [
        CheckResult("scopes", ok=False, detail=f"{scope} is missing: {BOT_SCOPES[scope]}", fix=REINSTALL)
        for scope in missing
    ]
    if not results:
        without = f"; without {', '.join(optional)}" if optional else ""
        results.append(CheckResult("scopes", ok=True, detail=f"{len(granted)} granted{without}"))
    return results


async def _app_token(api: SlackApi, app_token: str) -> CheckResult:
    name = "app-level token"
    fix = "Your app, Basic Information, App-Level Tokens, Generate Token with the scope connections:write (xapp-)."
    if not app_token:
        return CheckResult(name, ok=False, detail="FIRSTLINE_SLACK_APP_TOKEN is empty", fix=fix)
    try:
        await api.call("apps.connections.open", form=True, token=app_token)
    except AdapterError as error:
        return CheckResult(name, ok=False, detail=str(error), fix=fix)
    return CheckResult(name, ok=True, detail="Socket Mode can be opened")


def _http(signing_secret: str) -> CheckResult:
    name = "signing secret"
    if signing_secret:
        return CheckResult(name, ok=True, detail="set")
    fix = "Your app, Basic Information, App Credentials, Signing Secret: copy it to FIRSTLINE_SLACK_SIGNING_SECRET."
    return CheckResult(name, ok=False, detail="FIRSTLINE_SLACK_SIGNING_SECRET is empty", fix=fix)


async def _info(api: SlackApi, channel: str) -> Mapping[str, Any] | CheckResult:
    name = f"channel {channel}"
    try:
        found: Mapping[str, Any] = (await api.call("conversations.info", form=True, channel=channel))[
            "channel"
        ]
    except (Gone, Forbidden):
        return CheckResult(
            name,
            ok=False,
            detail="not found, or private and without the bot",
            fix="Copy the id from the channel's About tab, and write /invite @firstline in the channel.",
        )
    except AdapterError as error:
        return CheckResult(name, ok=False, detail=str(error), fix="Try again in a minute.")
    if found.get("is_archived"):
        return CheckResult(
            name, ok=False, detail="archived", fix="Unarchive it, or configure another channel."
        )
    if not found.get("is_member"):
        return CheckResult(
            name,
            ok=False,
            detail="the bot is not a member",
            fix=f"Write /invite @firstline in #{found.get('name')}.",
        )
    return found


async def _channel(api: SlackApi, channel: str) -> CheckResult:
    found = await _info(api, channel)
    if isinstance(found, CheckResult):
        return found
    return CheckResult(f"channel {channel}", ok=True, detail=f"#{found.get('name')}")


async def _staff_channel(api: SlackApi, channel: str) -> list[CheckResult]:
    name = "staff channel"
    if not channel:
        fix = "Create a private channel, write /invite @firstline in it, and copy its id to [slack] staff_channel."
        return [CheckResult(name, ok=False, detail="staff_channel is empty", fix=fix)]
    found = await _info(api, channel)
    if isinstance(found, CheckResult):
        return [CheckResult(name, ok=False, detail=found.detail, fix=found.fix)]
    results = []
    if not found.get("is_private"):
        fix = "Channel settings, Change to a private channel: cards show what customers wrote in confidence."
        results.append(CheckResult(name, ok=False, detail=f"#{found.get('name')} is public", fix=fix))
    if found.get("is_ext_shared") or found.get("is_pending_ext_shared"):
        fix = "Use a channel that is not shared with another company (Slack Connect)."
        results.append(
            CheckResult(name, ok=False, detail=f"#{found.get('name')} is shared externally", fix=fix)
        )
    return results or [CheckResult(name, ok=True, detail=f"#{found.get('name')}, private")]
