"""Interactions: tokens that expire, one first response, follow-ups, modals, ephemeral messages."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.discord_server.http import API, BODY, answer
from tests.discord_server.limits import check_choices, check_message, check_modal
from tests.discord_server.rest import Rest
from tests.discord_server.world import Raw, Refused, World, iso

PING, COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 1, 2, 3, 4, 5
EPHEMERAL = 1 << 6
DEADLINE, LIFE = 3.0, 15 * 60.0


@dataclass
class Interaction:
    """One interaction and everything that was answered to it.

    `response`: the callback type (4 message, 5 deferred message, 6 deferred update, 7 update, 8 choices,
    9 modal), 0 while there is none. `shown`: messages that it made, in order, as the user sees them now.
    """

    id: str
    token: str
    type: int
    user: str
    channel: str
    payload: Raw
    created: float
    response: int = 0
    modal: Raw | None = None
    choices: list[Raw] = field(default_factory=list)
    shown: list[Raw] = field(default_factory=list)
    original: str = ""  # the id behind @original
    expired: bool = False  # by order of a test

    @property
    def ephemerals(self) -> list[Raw]:
        return [m for m in self.shown if m["flags"] & EPHEMERAL and not m.get("_thinking")]

    @property
    def thinking(self) -> bool:
        return any(m.get("_thinking") for m in self.shown)


@dataclass
class Modal:
    """A form on somebody's screen."""

    interaction: Interaction
    data: Raw
    open: bool = True

    @property
    def title(self) -> str:
        return str(self.data["title"])

    @property
    def custom_id(self) -> str:
        return str(self.data["custom_id"])

    def inputs(self) -> dict[str, Raw]:
        """The inputs by custom id, each with the "label" that the user reads."""
        found: dict[str, Raw] = {}
        for top in self.data["components"]:
            item = top.get("component") or top["components"][0]
            found[item["custom_id"]] = item | {"label": top.get("label") or item.get("label")}
        return found


class Interactions:
    def __init__(self, world: World, rest: Rest, changed: Any) -> None:
        self.world, self.rest, self._changed = world, rest, changed
        self.all: dict[str, Interaction] = {}
        self.modals: list[Modal] = []

    def routes(self) -> list[web.RouteDef]:
        hook = API + "/webhooks/{app}/{token}"
        return [
            web.post(API + "/interactions/{id}/{token}/callback", self.callback),
            web.post(hook, self.followup),
            web.get(hook + "/messages/{message}", self.get),
            web.patch(hook + "/messages/{message}", self.edit),
            web.delete(hook + "/messages/{message}", self.delete),
        ]

    def create(
        self, kind: int, user: str, channel: Raw, data: Raw, message: Raw | None = None
    ) -> Interaction:
        """A new interaction with the payload that the gateway carries."""
        ident, token = self.world.snowflake(), secrets.token_urlsafe(24)
        payload: Raw = {
            "id": ident,
            "application_id": self.world.app["id"],
            "type": kind,
            "token": token,
            "version": 1,
            "channel_id": channel["id"],
            "channel": {
                k: channel[k]
                for k in ("id", "type", "name", "parent_id", "guild_id")
                if channel.get(k) is not None
            },
            "data": data,
            "locale": "en-US",
            "entitlements": [],
            "app_permissions": str(self.world.permissions(channel, self.world.bot)),
            "authorizing_integration_owners": {"0": self.world.guild_id},
            "context": 0 if "guild_id" in channel else 1,
            "attachment_size_limit": 10 * 1024 * 1024,
        }
        if "guild_id" in channel:
            payload |= {"guild_id": channel["guild_id"], "guild_locale": "en-US"}
            granted = {"permissions": str(self.world.permissions(channel, user))}
            payload["member"] = self.world.members[user] | granted
        else:
            payload["user"] = self.world.users[user]
        if message is not None:
            payload["message"] = self.world.signed(
                {k: v for k, v in message.items() if not k.startswith("_")}
            )
        made = Interaction(ident, token, kind, user, channel["id"], payload, self.world.clock())
        self.all[token] = made
        return made

    async def callback(self, request: web.Request) -> web.Response:
        found = self.all.get(request.match_info["token"])
        late = found is None or found.expired or self.world.clock() - found.created > DEADLINE
        if found is None or found.id != request.match_info["id"] or late:
            raise Refused(404, 10062, "Unknown interaction")
        if found.response:
            raise Refused(400, 40060, "Interaction has already been acknowledged.")
        kind, data = int(request[BODY]["type"]), request[BODY].get("data") or {}
        self._fits(found, kind)
        await self._respond(found, kind, data, request[BODY])
        found.response = kind
        self._changed()
        return answer(None)

    @staticmethod
    def _fits(found: Interaction, kind: int) -> None:
        """Which callback may answer which interaction."""
        of_component = found.type == COMPONENT or (found.type == MODAL and "message" in found.payload)
        allowed = {
            4: found.type != AUTOCOMPLETE,
            5: found.type != AUTOCOMPLETE,
            6: of_component,
            7: of_component,
            8: found.type == AUTOCOMPLETE,
            9: found.type in {COMMAND, COMPONENT},
        }
        if not allowed.get(kind, False):
            raise Refused(
                400, 50035, "Invalid Form Body", {"type": {"_errors": [{"code": "BASE_TYPE_CHOICES"}]}}
            )

    async def _respond(self, found: Interaction, kind: int, data: Raw, body: Raw) -> None:
        match kind:
            case 4:
                found.original = (await self._message(found, data | {"_files": body.get("_files", [])}))["id"]
            case 5:
                found.original = (await self._message(found, data, thinking=True))["id"]
            case 6:
                found.original = found.payload["message"]["id"]
            case 7:
                check_message(data, edit=True)
                found.original = found.payload["message"]["id"]
                await self._apply(found, found.original, data)
            case 8:
                check_choices(data.get("choices") or [])
                found.choices = list(data.get("choices") or [])
            case 9:
                check_modal(data)
                found.modal = data
                self.modals.append(Modal(found, data))

    async def _message(self, found: Interaction, data: Raw, *, thinking: bool = False) -> Raw:
        if not thinking:
            check_message(data, files=len(data.get("_files", [])))
        channel = self.world.channels[found.channel]
        flags = int(data.get("flags") or 0)
        if flags & EPHEMERAL:
            message: Raw = {
                "id": self.world.snowflake(),
                "channel_id": channel["id"],
                "type": 20,
                "author": self.world.users[self.world.bot],
                "timestamp": iso(self.world.clock()),
                "attachments": [],
                "edited_timestamp": None,
                "mentions": [],
                "mention_roles": [],
                "mention_everyone": False,
                "pinned": False,
                "tts": False,
                "content": data.get("content") or "",
                "embeds": data.get("embeds") or [],
                "components": data.get("components") or [],
                "flags": flags,
                "_for": found.user,
            }
        else:
            drawn = {key: data[key] for key in ("embeds", "components") if data.get(key)}
            kind = 20 if found.type == COMMAND else 19
            message = self.world.new_message(
                channel, self.world.bot, str(data.get("content") or ""), type=kind, flags=flags, **drawn
            )
            await self.rest.announce(message)
        if thinking:
            message["_thinking"] = True
        found.shown.append(message)
        return message

    def _hook(self, request: web.Request) -> Interaction:
        found = self.all.get(request.match_info["token"])
        if request.match_info["app"] != self.world.app["id"] or found is None or not found.response:
            raise Refused(404, 10015, "Unknown Webhook")
        if found.expired or self.world.clock() - found.created > LIFE:
            raise Refused(401, 50027, "Invalid Webhook Token")
        return found

    async def followup(self, request: web.Request) -> web.Response:
        found = self._hook(request)
        thought = next((m for m in found.shown if m.get("_thinking")), None)
        if thought is not None:  # the first follow-up takes the place of "thinking…"
            check_message(request[BODY])
            await self._apply(found, thought["id"], request[BODY])
            return answer(self._public(thought))
        message = await self._message(found, request[BODY])
        self._changed()
        return answer(self._public(message))

    @staticmethod
    def _public(message: Raw) -> Raw:
        return {k: v for k, v in message.items() if not k.startswith("_")}

    def _target(self, request: web.Request, found: Interaction) -> str:
        named = request.match_info["message"]
        return found.original if named == "@original" else named

    def _find(self, found: Interaction, ident: str) -> Raw:
        for message in found.shown:
            if message["id"] == ident:
                return message
        return self.world.message(ident)

    async def _apply(self, found: Interaction, ident: str, data: Raw) -> Raw:
        message = self._find(found, ident)
        message |= {key: data[key] for key in ("content", "embeds", "components") if key in data}
        if not message.pop("_thinking", False):
            message["edited_timestamp"] = iso(self.world.clock())
        if not message["flags"] & EPHEMERAL:
            await self.rest.announce_edit(message)
        self._changed()
        return message

    async def get(self, request: web.Request) -> web.Response:
        found = self._hook(request)
        return answer(self._public(self._find(found, self._target(request, found))))

    async def edit(self, request: web.Request) -> web.Response:
        found = self._hook(request)
        check_message(request[BODY], edit=True)
        return answer(self._public(await self._apply(found, self._target(request, found), request[BODY])))

    async def delete(self, request: web.Request) -> web.Response:
        found = self._hook(request)
        message = self._find(found, self._target(request, found))
        if message in found.shown:
            found.shown.remove(message)
        if not message["flags"] & EPHEMERAL:
            await self.rest.remove(message)
        self._changed()
        return answer(None)
