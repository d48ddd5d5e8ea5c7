"""REST v10 as far as a bot for support needs it, with Discord's error codes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.discord_server.gateway import CONTENT, DMS, MESSAGES, REACTIONS, Gateway
from tests.discord_server.http import API, BODY, Surroundings, answer
from tests.discord_server.limits import Form, check_commands, check_message
from tests.discord_server.world import (
    ATTACH,
    CREATE_PRIVATE,
    CREATE_THREADS,
    DM,
    EMBED,
    FORUM,
    HISTORY,
    MANAGE_MESSAGES,
    MANAGE_THREADS,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    REACT,
    SEND,
    SEND_IN_THREADS,
    TEXT,
    THREADS,
    Raw,
    Refused,
    World,
    iso,
)

__all__ = ["CONTENT", "Rest"]


class Rest:
    def __init__(self, world: World, gateway: Gateway, around: Surroundings) -> None:
        self.world, self.gateway, self.around = world, gateway, around
        self.nonce_in_history = False

    def routes(self) -> list[web.RouteDef]:
        message = "/channels/{channel}/messages/{message}"
        table: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
            ("GET", "/users/@me", self.me),
            ("GET", "/users/{user}", self.get_user),
            ("POST", "/users/@me/channels", self.open_dm),
            ("GET", "/oauth2/applications/@me", self.application),
            ("GET", "/applications/@me", self.application),
            ("GET", "/gateway", self.get_gateway),
            ("GET", "/gateway/bot", self.get_gateway),
            ("GET", "/guilds/{guild}", self.get_guild),
            ("GET", "/guilds/{guild}/members/{user}", self.get_member),
            ("GET", "/guilds/{guild}/threads/active", self.threads),
            ("GET", "/channels/{channel}", self.get_channel),
            ("PATCH", "/channels/{channel}", self.patch_channel),
            ("GET", "/channels/{channel}/messages", self.history),
            ("POST", "/channels/{channel}/messages", self.create),
            ("GET", message, self.get_message),
            ("PATCH", message, self.edit),
            ("DELETE", message, self.delete),
            ("POST", message + "/threads", self.thread_from_message),
            ("POST", "/channels/{channel}/threads", self.private_thread),
            ("PUT", "/channels/{channel}/thread-members/{user}", self.add_thread_member),
            ("PUT", message + "/reactions/{emoji}/@me", self.react),
            ("DELETE", message + "/reactions/{emoji}/@me", self.unreact),
        ]
        for place in ("/applications/{app}/commands", "/applications/{app}/guilds/{guild}/commands"):
            table += [("GET", place, self.get_commands), ("PUT", place, self.put_commands)]
        return [web.route(method, API + path, handler) for method, path, handler in table]

    # --- who and what ---

    async def me(self, _: web.Request) -> web.Response:
        return answer(self.world.users[self.world.bot])

    async def get_user(self, request: web.Request) -> web.Response:
        user = self.world.users.get(request.match_info["user"])
        if user is None:
            raise Refused(404, 10013, "Unknown User")
        return answer(user)

    async def application(self, _: web.Request) -> web.Response:
        return answer(self.world.app)

    async def get_gateway(self, _: web.Request) -> web.Response:
        return answer(
            {"url": self.gateway.url, "shards": 1, "session_start_limit": dict(self.gateway.budget)}
        )

    def _guild(self, request: web.Request) -> None:
        if request.match_info["guild"] != self.world.guild_id:
            raise Refused(404, 10004, "Unknown Guild")

    async def get_guild(self, request: web.Request) -> web.Response:
        self._guild(request)
        return answer(self.world.guild())

    async def get_member(self, request: web.Request) -> web.Response:
        self._guild(request)
        member = self.world.members.get(request.match_info["user"])
        if member is None:
            raise Refused(404, 10007, "Unknown Member")
        return answer(member)

    async def threads(self, request: web.Request) -> web.Response:
        self._guild(request)
        return answer({"threads": self.world.active_threads(), "members": []})

    async def open_dm(self, request: web.Request) -> web.Response:
        user = str(request[BODY].get("recipient_id"))
        if user not in self.world.users:
            raise Refused(400, 50033, "Invalid Recipient(s)")
        return answer(self.world.channels[self.world.dm_channel(user)])

    # --- channels ---

    def _channel(self, request: web.Request, *bits: int) -> Raw:
        channel = self.world.channels.get(request.match_info["channel"])
        if channel is None:
            raise Refused(404, 10003, "Unknown Channel")
        self.world.need(channel, self.world.bot, *bits)
        return channel

    def _message(self, request: web.Request, channel: Raw) -> Raw:
        found = self.world.messages[channel["id"]].get(request.match_info["message"])
        if found is None:
            raise Refused(404, 10008, "Unknown Message")
        return found

    async def get_channel(self, request: web.Request) -> web.Response:
        return answer(self._channel(request))

    async def patch_channel(self, request: web.Request) -> web.Response:
        """Threads only: name, archived, locked, tags."""
        body = request[BODY]
        thread = self._channel(request)
        if thread["type"] not in THREADS:
            raise Refused(403, 50013, "Missing Permissions")
        meta = thread["thread_metadata"]
        manages = self.world.permissions(thread, self.world.bot) & MANAGE_THREADS
        if meta["locked"] and not manages:
            raise Refused(403, 50013, "Missing Permissions")
        if meta["archived"] and body.get("archived") is not False and set(body) - {"archived", "locked"}:
            raise Refused(400, 50083, "Thread is archived")
        if (
            ("locked" in body or "applied_tags" in body)
            and not manages
            and thread["owner_id"] != self.world.bot
        ):
            raise Refused(403, 50013, "Missing Permissions")
        if len(body.get("applied_tags", [])) > 5:
            raise Refused(400, 50035, "Invalid Form Body", {"applied_tags": {}})
        meta |= {key: body[key] for key in ("archived", "locked", "auto_archive_duration") if key in body}
        if "archived" in body:
            meta["archive_timestamp"] = iso(self.world.clock())
        thread |= {key: body[key] for key in ("name", "applied_tags") if key in body}
        await self.gateway.dispatch("THREAD_UPDATE", thread)
        return answer(thread)

    # --- messages ---

    async def history(self, request: web.Request) -> web.Response:
        """Newest first; `after` returns the messages that follow immediately, not the latest ones. Whoever may not
        read the history gets no messages, and no error."""
        channel = self._channel(request)
        if channel["type"] == FORUM:
            raise Refused(400, 50024, "Cannot execute action on this channel type")
        query = request.query
        limit = int(query.get("limit", 50))
        if not 1 <= limit <= 100:
            raise Refused(400, 50035, "Invalid Form Body", {"limit": {}})
        stored = sorted(self.world.messages[channel["id"]].values(), key=lambda m: int(m["id"]))
        if not self.world.permissions(channel, self.world.bot) & HISTORY:
            stored = []
        if "after" in query:
            page = [m for m in stored if int(m["id"]) > int(query["after"])][:limit]
        elif "before" in query:
            page = [m for m in stored if int(m["id"]) < int(query["before"])][-limit:]
        elif "around" in query:
            middle, half = int(query["around"]), limit // 2
            page = [m for m in stored if int(m["id"]) < middle][-half:]
            page += [m for m in stored if int(m["id"]) >= middle][: limit - half]
        else:
            page = stored[-limit:]
        return answer([self._shown(message) for message in reversed(page)])

    def _shown(self, message: Raw) -> Raw:
        shown = self.world.signed(message)
        return shown if self.nonce_in_history else {k: v for k, v in shown.items() if k != "nonce"}

    async def get_message(self, request: web.Request) -> web.Response:
        channel = self._channel(request, HISTORY)
        return answer(self._shown(self._message(request, channel)))

    async def create(self, request: web.Request) -> web.Response:
        body = request[BODY]
        channel = self.world.channels.get(request.match_info["channel"])
        if channel is None:
            raise Refused(404, 10003, "Unknown Channel")
        await self._may_send(channel, body)
        check_message(body, files=len(body.get("_files", [])))
        nonce = str(body.get("nonce") or "")
        if nonce and body.get("enforce_nonce") and (same := self._same(nonce)):
            return answer(self.world.signed(same))
        message = self.world.new_message(
            channel,
            self.world.bot,
            str(body.get("content") or "").strip(),
            **self._drawn(body, channel),
            **({"nonce": nonce} if nonce else {}),
        )
        if nonce:
            moment = self.world.clock()
            self.world.nonces[(self.world.bot, nonce)] = (moment, channel["id"], message["id"])
        await self.announce(message)
        return answer(self.world.signed(message))

    def _same(self, nonce: str) -> Raw | None:
        """The message that this nonce made within the window; an error if it was deleted since."""
        made = self.world.nonces.get((self.world.bot, nonce))
        if made is None or self.world.clock() - made[0] > self.world.nonce_window:
            return None
        found = self.world.messages[made[1]].get(made[2])
        if found is None:
            raise Refused(404, 10008, "Unknown Message")
        return found

    async def _may_send(self, channel: Raw, body: Raw) -> None:
        kind = channel["type"]
        if kind == DM and channel["recipients"][0]["id"] in self.world.closed_dms:
            raise Refused(403, 50007, "Cannot send messages to this user")
        if kind == FORUM:
            raise Refused(
                400, 40058, "Cannot message this thread until after the post author has sent a message"
            )
        self.world.need(channel, self.world.bot, SEND_IN_THREADS if kind in THREADS else SEND)
        if body.get("embeds"):
            self.world.need(channel, self.world.bot, EMBED)
        if body.get("_files"):
            self.world.need(channel, self.world.bot, ATTACH)
        if kind in THREADS and channel["thread_metadata"]["archived"]:
            if channel["thread_metadata"]["locked"]:
                raise Refused(403, 160005, "Thread is locked")
            channel["thread_metadata"]["archived"] = False
            await self.gateway.dispatch("THREAD_UPDATE", channel)
        elif kind in THREADS and channel["thread_metadata"]["locked"]:
            self.world.need(channel, self.world.bot, MANAGE_THREADS)

    def _drawn(self, body: Raw, channel: Raw) -> Raw:
        drawn: Raw = {key: body[key] for key in ("embeds", "components", "flags") if body.get(key)}
        drawn["attachments"] = [self.world.attach(name, data, None) for name, data in body.get("_files", [])]
        reference = body.get("message_reference")
        if reference:
            known = str(reference["message_id"]) in self.world.messages[channel["id"]]
            if not known and reference.get("fail_if_not_exists", True):
                raise Refused(400, 50035, "Invalid Form Body", {"message_reference": {}})
            if known:
                drawn |= {
                    "type": 19,
                    "message_reference": reference | {"channel_id": channel["id"], "type": 0},
                }
        # Who is really notified: only what allowed_mentions lets through.
        allowed = body.get("allowed_mentions")
        content = str(body.get("content") or "")
        drawn["_pinged"] = pinged(content, allowed, self.world)
        drawn["mention_everyone"] = "everyone" in drawn["_pinged"]
        return drawn

    async def announce(self, message: Raw) -> None:
        channel = self.world.channels[message["channel_id"]]
        intent = DMS if channel["type"] == DM else MESSAGES
        await self.gateway.dispatch("MESSAGE_CREATE", self.world.for_gateway(message), intent)

    async def announce_edit(self, message: Raw) -> None:
        channel = self.world.channels[message["channel_id"]]
        intent = DMS if channel["type"] == DM else MESSAGES
        await self.gateway.dispatch("MESSAGE_UPDATE", self.world.for_gateway(message), intent)

    def _open(self, channel: Raw) -> None:
        if channel["type"] in THREADS and channel["thread_metadata"]["archived"]:
            raise Refused(400, 50083, "Thread is archived")

    async def edit(self, request: web.Request) -> web.Response:
        channel = self._channel(request)
        message = self._message(request, channel)
        if message["author"]["id"] != self.world.bot:
            raise Refused(403, 50005, "Cannot edit a message authored by another user")
        self._open(channel)
        body = request[BODY]
        check_message(body, edit=True)
        message |= {key: body[key] for key in ("content", "embeds", "components") if key in body}
        message["edited_timestamp"] = iso(self.world.clock())
        await self.announce_edit(message)
        return answer(self._shown(message))

    async def delete(self, request: web.Request) -> web.Response:
        channel = self._channel(request)
        message = self._message(request, channel)
        if message["author"]["id"] != self.world.bot:
            self.world.need(channel, self.world.bot, MANAGE_MESSAGES)
        self._open(channel)
        await self.remove(message)
        return answer(None)

    async def remove(self, message: Raw) -> None:
        channel = self.world.channels[message["channel_id"]]
        del self.world.messages[channel["id"]][message["id"]]
        event = {"id": message["id"], "channel_id": channel["id"]}
        guild = {"guild_id": channel["guild_id"]} if "guild_id" in channel else {}
        await self.gateway.dispatch("MESSAGE_DELETE", event | guild, MESSAGES if guild else DMS)

    async def thread_from_message(self, request: web.Request) -> web.Response:
        channel = self._channel(request, CREATE_THREADS)
        message = self._message(request, channel)
        if channel["type"] != TEXT:
            raise Refused(400, 50024, "Cannot execute action on this channel type")
        form = Form()
        form.text("name", request[BODY].get("name"), 100, 1)
        form.done()
        if message["id"] in self.world.channels:
            raise Refused(400, 160004, "A thread has already been created for this message")
        thread = self.world.add_thread(channel["id"], message["id"], request[BODY]["name"], self.world.bot)
        assert thread["type"] == PUBLIC_THREAD
        message |= {"thread": dict(thread), "flags": int(message["flags"]) | 1 << 5}
        await self.gateway.dispatch("THREAD_CREATE", thread | {"newly_created": True})
        starter = self.world.new_message(
            thread,
            self.world.bot,
            "",
            type=21,
            message_reference={"message_id": message["id"], "channel_id": channel["id"], "type": 0},
        )
        await self.announce(starter)
        return answer(thread, 201)

    async def private_thread(self, request: web.Request) -> web.Response:
        """A thread that hangs on no message; only private ones are needed here."""
        channel, body = self._channel(request), request[BODY]
        if channel["type"] != TEXT or body.get("type") != PRIVATE_THREAD:
            raise Refused(400, 50024, "Cannot execute action on this channel type")
        self.world.need(channel, self.world.bot, CREATE_PRIVATE)
        form = Form()
        form.text("name", body.get("name"), 100, 1)
        form.done()
        ident, bot = self.world.snowflake(), self.world.bot
        thread = self.world.add_thread(channel["id"], ident, body["name"], bot, kind=PRIVATE_THREAD)
        thread["thread_metadata"]["invitable"] = body.get("invitable", True)
        await self.gateway.dispatch("THREAD_CREATE", thread | {"newly_created": True})
        return answer(thread, 201)

    async def add_thread_member(self, request: web.Request) -> web.Response:
        """Adds somebody who is there and may see the channel; Discord says so in the thread, in its own words."""
        thread, user = self._channel(request, SEND_IN_THREADS), request.match_info["user"]
        if thread["type"] not in THREADS:
            raise Refused(400, 50024, "Cannot execute action on this channel type")
        self._open(thread)
        if user not in self.world.members:
            raise Refused(404, 10007, "Unknown Member")
        self.world.need(self.world.channels[thread["parent_id"]], user)
        if user not in self.world.thread_members[thread["id"]]:
            self.world.thread_members[thread["id"]].add(user)
            added = [
                {"id": thread["id"], "user_id": user, "join_timestamp": iso(self.world.clock()), "flags": 0}
            ]
            event = {"id": thread["id"], "guild_id": thread["guild_id"], "member_count": 2}
            await self.gateway.dispatch("THREAD_MEMBERS_UPDATE", event | {"added_members": added})
            await self.announce(self.world.new_message(thread, self.world.bot, "", type=1))
        return answer(None)

    async def react(self, request: web.Request) -> web.Response:
        return await self._reaction(request, on=True)

    async def unreact(self, request: web.Request) -> web.Response:
        return await self._reaction(request, on=False)

    async def _reaction(self, request: web.Request, *, on: bool) -> web.Response:
        channel = self._channel(request, REACT, HISTORY)
        message = self._message(request, channel)
        self._open(channel)
        emoji = unquote(request.match_info["emoji"])
        if emoji.isascii() and ":" not in emoji:
            raise Refused(400, 10014, "Unknown Emoji")
        await self.reaction(message, emoji, self.world.bot, on=on)
        return answer(None)

    async def reaction(self, message: Raw, emoji: str, user: str, *, on: bool) -> None:
        held = message.setdefault("_reactions", {}).setdefault(emoji, set())
        if (user in held) == on:
            return
        (held.add if on else held.discard)(user)
        channel = self.world.channels[message["channel_id"]]
        event: Raw = {
            "user_id": user,
            "channel_id": channel["id"],
            "message_id": message["id"],
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
        }
        if "guild_id" in channel:
            event["guild_id"] = channel["guild_id"]
            if on and user in self.world.members:
                event["member"] = self.world.members[user]
        await self.gateway.dispatch(f"MESSAGE_REACTION_{'ADD' if on else 'REMOVE'}", event, REACTIONS)

    # --- commands ---

    async def get_commands(self, _: web.Request) -> web.Response:
        return answer(self.world.commands)

    async def put_commands(self, request: web.Request) -> web.Response:
        commands = request[BODY].get("_list") or []
        check_commands(commands)
        self.world.command_writes += 1
        guild = {"guild_id": request.match_info["guild"]} if "guild" in request.match_info else {}
        extra: dict[str, Any] = {
            "application_id": self.world.app["id"],
            "version": self.world.snowflake(),
        } | guild
        self.world.commands = [
            {"description": "", "nsfw": False} | command | {"id": self.world.snowflake()} | extra
            for command in commands
        ]
        return answer(self.world.commands)


def pinged(content: str, allowed: Raw | None, world: World) -> list[str]:
    """Who would hear a sound. Without `allowed_mentions`, everything that is written would."""
    rule: Raw = {"parse": ["everyone", "roles", "users"]} if allowed is None else allowed
    parse = rule.get("parse", [])
    heard = ["everyone"] if "everyone" in parse and ("@everyone" in content or "@here" in content) else []
    for kind, ids, mark in (("roles", world.roles, "<@&"), ("users", world.users, "<@")):
        for ident in ids:
            written = f"{mark}{ident}>" in content or (kind == "users" and f"<@!{ident}>" in content)
            if written and (kind in parse or ident in rule.get(kind, [])):
                heard.append(ident)
    return heard
