"""`firstline check` for Discord: what is missing, and what to click."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import discord

from adapters.discord_commands import registered, same
from adapters.discord_http import INTENTS, RoutedHTTP, session, translate
from adapters.discord_invite import PERMISSIONS, invite
from adapters.discord_people import GuildFacts, facts_of, overwrites
from adapters.discord_settings import DiscordSettings
from adapters.port import AdapterError, AdapterFatal, CheckResult

_CONTENT = (1 << 18) | (1 << 19)
_MEMBERS = (1 << 14) | (1 << 15)
_FORUM = 15
_PRIVATE = "Create Private Threads"
_NEEDED = frozenset(PERMISSIONS) - {_PRIVATE}


async def check(settings: DiscordSettings) -> list[CheckResult]:
    """Everything that can be verified without a gateway connection, the first broken thing first."""
    try:
        async with session(settings) as http:
            app = await http.call("GET", "/oauth2/applications/@me")
            me = str((await http.call("GET", "/users/@me"))["id"])
            results = [CheckResult("discord: token", ok=True, detail=str(app.get("name") or me))]
            results += _application(settings, app)
            results += await _guild(settings, http, str(app["id"]), me)
            return results
    except AdapterFatal as error:
        return [CheckResult("discord: token", ok=False, detail="refused (401)", fix=str(error))]
    except (AdapterError, discord.DiscordException, OSError) as error:
        words = str(translate(error))
        return [
            CheckResult("discord: connection", ok=False, detail=words, fix="Try again; is api_base right?")
        ]


def _application(settings: DiscordSettings, app: dict[str, Any]) -> Iterable[CheckResult]:
    flags = int(app.get("flags") or 0)
    content = not settings.message_content or bool(flags & _CONTENT)
    yield CheckResult("discord: message content intent", ok=content, fix="" if content else INTENTS)
    members = bool(flags & _MEMBERS)
    detail = "on" if members else "off: an agent who leaves is noticed only at the next action"
    yield CheckResult("discord: members intent (optional)", ok=True, detail=detail)
    endpoint = app.get("interactions_endpoint_url")
    fix = "Developer Portal → General Information → empty Interactions Endpoint URL." if endpoint else ""
    yield CheckResult(
        "discord: buttons and commands arrive", ok=not endpoint, detail=str(endpoint or ""), fix=fix
    )


async def _guild(settings: DiscordSettings, http: RoutedHTTP, app: str, me: str) -> list[CheckResult]:
    if not settings.guild:
        fix = "Set guild in [discord] to check channels and permissions."
        return [CheckResult("discord: guild", ok=True, detail="every server of the bot", fix=fix)]
    try:
        guild = await http.call("GET", "/guilds/{guild_id}", ids={"guild_id": settings.guild})
        ids = {"guild_id": settings.guild, "user": me}
        member = await http.call("GET", "/guilds/{guild_id}/members/{user}", ids=ids)
    except discord.HTTPException:
        fix = f"Invite the bot to the server: {invite(app)}"
        return [CheckResult("discord: guild", ok=False, detail=f"{settings.guild} is not visible", fix=fix)]
    roles = frozenset(str(r) for r in member.get("roles", []))
    results = [CheckResult("discord: guild", ok=True, detail=str(guild.get("name") or settings.guild))]
    results += await _staff(settings, http, guild, me, roles)
    for channel in settings.channels:
        facts = facts_of(guild, None)
        needed = _NEEDED | ({_PRIVATE} if channel in settings.private else frozenset())
        results += [await _channel(http, facts, channel, me, roles, needed)]
    results += [await _commands(settings, http, app)]
    return results


async def _staff(
    settings: DiscordSettings, http: RoutedHTTP, guild: dict[str, Any], me: str, roles: frozenset[str]
) -> list[CheckResult]:
    if not settings.staff_channel:
        fix = "Set staff_channel in [discord]: tickets need a private channel to arrive in."
        return [CheckResult("discord: staff channel", ok=False, detail="missing", fix=fix)]
    facts = facts_of(guild, None)
    permitted = await _channel(http, facts, settings.staff_channel, me, roles, _NEEDED)
    if not permitted.ok and permitted.detail == "not visible":
        return [permitted]
    ids = {"channel_id": settings.staff_channel}
    raw = await http.call("GET", "/channels/{channel_id}", ids=ids)
    private = facts_of(guild, raw.get("permission_overwrites", [])).staff_is_private()
    fix = "" if private else "Edit Channel → Permissions → @everyone → deny View Channel."
    detail = "private" if private else "everybody can read it, so nobody counts as an agent by seeing it"
    return [permitted, CheckResult("discord: staff channel is private", ok=private, detail=detail, fix=fix)]


async def _channel(
    http: RoutedHTTP, facts: GuildFacts, channel: str, me: str, roles: frozenset[str], needed: frozenset[str]
) -> CheckResult:
    """One channel: is it there, and which permissions does the bot lack in it?"""
    name = f"discord: channel {channel}"
    try:
        raw = await http.call("GET", "/channels/{channel_id}", ids={"channel_id": channel})
    except discord.HTTPException:
        fix = "Check the id; let the bot's role see the channel (Edit Channel → Permissions → View Channel)."
        return CheckResult(name, ok=False, detail="not visible", fix=fix)
    have = facts.inside(overwrites(raw.get("permission_overwrites", [])), me, roles)
    if int(raw.get("type", 0)) == _FORUM:
        if _PRIVATE in needed:
            fix = "Discord has no private threads in forums: leave private = true out for this channel."
            return CheckResult(name, ok=False, detail=f"#{raw.get('name', channel)}", fix=fix)
        needed = needed - {"Create Public Threads"}
    lacking = [label for label, (bit, _) in PERMISSIONS.items() if label in needed and not have & bit]
    fix = f"Edit Channel → Permissions → the bot's role → allow {', '.join(lacking)}." if lacking else ""
    return CheckResult(name, ok=not lacking, detail=f"#{raw.get('name', channel)}", fix=fix)


async def _commands(settings: DiscordSettings, http: RoutedHTTP, app: str) -> CheckResult:
    try:
        current = same(await registered(http, app, settings.guild))
    except discord.HTTPException as error:
        fix = f"Invite the bot again, with its commands: {invite(app)}"
        return CheckResult("discord: commands", ok=False, detail=str(translate(error)), fix=fix)
    detail = "registered" if current else "registered at the next start"
    return CheckResult("discord: commands", ok=True, detail=detail)
