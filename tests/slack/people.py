"""What people do in the local Slack, told to the app in Slack's shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.slack.blocks import check_view
from tests.slack.delivery import Delivery
from tests.slack.workspace import APP, BOT_USER, TEAM, Channel, Message, Workspace, buttons

SHOWN_NAMES = {"im": "directmessage", "group": "privategroup"}
RESPONSE_URL_SECONDS = 30 * 60


def shown(message: Message) -> Message:
    """A message as events show it, without what only the local Slack keeps."""
    return {name: value for name, value in message.items() if name != "reactions_by_name"}


class Doings:
    """Mixed into SlackServer, which delivers."""

    space: Workspace
    url: str

    if TYPE_CHECKING:

        async def emit(self, event: Mapping[str, Any], *, wait: bool = False, **outer: Any) -> Delivery: ...

        async def deliver(self, delivery: Delivery, *, wait: bool = True) -> Delivery: ...

        def touch(self) -> None: ...

    # --- messages ------------------------------------------------------------------------------------------------

    async def user_says(
        self, channel: str, user: str, text: str, thread_ts: str | None = None, *, raw: bool = False,
        wait: bool = True, silent: bool = False, **more: Any,
    ) -> str:  # fmt: skip
        """Write a message; its ts. `silent`: the app does not hear of it (it was down)."""
        where, who = self.space.channel(channel), self.space.user(user)
        message = self.space.write(where, who, text if raw else self.space.escape(text), thread_ts, **more)
        self.touch()
        if not silent and BOT_USER in where.members:
            await self._tell_message(where, message, wait=wait)
        return str(message["ts"])

    async def _tell_message(self, where: Channel, message: Message, *, wait: bool) -> None:
        """A mention in a channel comes twice, as two event types with two event ids."""
        event = {**message, "channel": where.id, "channel_type": where.kind}
        if f"<@{BOT_USER}" in message["text"] and where.kind != "im":
            bare = {
                k: v
                for k, v in event.items()
                if k not in {"channel_type", "files", "client_msg_id", "subtype"}
            }
            await self.emit({**bare, "type": "app_mention"}, wait=wait)
        await self.emit(event, wait=wait)

    async def user_uploads(
        self, channel: str, user: str, name: str, data: bytes, mime: str, text: str = "",
        thread_ts: str | None = None, *, size: int | None = None, **more: Any,
    ) -> str:  # fmt: skip
        """Share a file. `size`: what Slack claims, if not the truth; `more` goes into the file object."""
        file = self.space.add_file(name, data, mime, self.space.user(user))
        file.update(more)
        if size is not None:
            file["size"] = size
        return await self.user_says(
            channel, user, text, thread_ts, subtype="file_share", files=[{**file}], upload=False
        )

    async def user_edits(
        self, channel: str, ts: str, text: str, *, wait: bool = True, silent: bool = False
    ) -> None:
        where = self.space.channel(channel)
        before = dict(where.messages[ts])
        where.messages[ts] |= {
            "text": self.space.escape(text),
            "edited": {"user": before["user"], "ts": self.space.ts()},
        }
        if not silent:
            await self._tell_change(where, before, where.messages[ts], wait=wait)

    async def unfurl(self, channel: str, ts: str) -> None:
        """Slack attaches a link preview: an edit event without an edit."""
        where = self.space.channel(channel)
        before = dict(where.messages[ts])
        where.messages[ts]["attachments"] = [{"from_url": "https://example.com", "title": "Example", "id": 1}]
        await self._tell_change(where, before, where.messages[ts], wait=True)

    async def _tell_change(self, where: Channel, before: Message, after: Message, *, wait: bool) -> None:
        await self.emit(
            {
                "type": "message", "subtype": "message_changed", "hidden": True, "channel": where.id,
                "channel_type": where.kind, "ts": self.space.ts(), "message": shown(after), "previous_message": shown(before),
            },
            wait=wait,
        )  # fmt: skip

    async def user_deletes(self, channel: str, ts: str, *, wait: bool = True, silent: bool = False) -> None:
        where = self.space.channel(channel)
        before = self.space.delete(where, ts)
        self.touch()
        if silent:
            return
        if ts in where.messages:  # a root with replies becomes a tombstone
            await self._tell_change(where, before, where.messages[ts], wait=wait)
            return
        await self.emit(
            {
                "type": "message", "subtype": "message_deleted", "hidden": True, "channel": where.id,
                "channel_type": where.kind, "ts": self.space.ts(), "deleted_ts": ts, "previous_message": shown(before),
            },
            wait=wait,
        )  # fmt: skip

    async def user_reacts(self, channel: str, ts: str, emoji: str, user: str, *, on: bool = True) -> None:
        where = self.space.channel(channel)
        item_user = where.messages[ts].get("user")
        await self.emit(
            {
                "type": "reaction_added" if on else "reaction_removed", "user": self.space.user(user),
                "reaction": emoji, "item_user": item_user,
                "item": {"type": "message", "channel": where.id, "ts": ts},
            },
            wait=True,
        )  # fmt: skip

    async def user_leaves(self, channel: str, user: str) -> None:
        where, who = self.space.channel(channel), self.space.user(user)
        where.members.discard(who)
        await self.emit(
            {"type": "member_left_channel", "user": who, "channel": where.id, "channel_type": where.kind[0].upper(),
             "team": TEAM}, wait=True
        )  # fmt: skip

    async def user_joins(self, channel: str, user: str) -> None:
        where, who = self.space.channel(channel), self.space.user(user)
        where.members.add(who)
        await self.emit(
            {"type": "member_joined_channel", "user": who, "channel": where.id, "channel_type": where.kind[0].upper(),
             "team": TEAM}, wait=True
        )  # fmt: skip

    async def user_changes(self, user: str, **flags: Any) -> None:
        """Somebody's profile or account changed: `deleted=True`, `is_restricted=True`, `name=…`."""
        found = self.space.users[self.space.user(user)]
        found.update(flags)
        await self.emit(
            {"type": "user_change", "user": dict(found), "cache_ts": 1, "event_ts": self.space.ts()},
            wait=True,
        )

    async def user_joins_team(self, name: str, **flags: Any) -> str:
        ident = self.space.add_user(name, **flags)
        await self.emit(
            {"type": "team_join", "user": dict(self.space.users[ident]), "event_ts": self.space.ts()},
            wait=True,
        )
        return ident

    async def user_leaves_group(self, group: str, user: str) -> None:
        who = self.space.user(user)
        self.space.groups[group].discard(who)
        await self.emit(
            {"type": "subteam_members_changed", "subteam_id": group, "team_id": TEAM, "added_users": [],
             "removed_users": [who], "event_ts": self.space.ts()}, wait=True
        )  # fmt: skip

    async def user_opens_home(self, user: str) -> None:
        who = self.space.user(user)
        await self.emit(
            {"type": "app_home_opened", "user": who, "channel": self.space.dm(who).id, "tab": "home"},
            wait=True,
        )

    # --- interactivity -------------------------------------------------------------------------------------------

    def _gesture(self, user: str, channel: Channel | None) -> dict[str, Any]:
        """What every interactive payload carries."""
        who = self.space.users[user]
        shown = {"id": user, "username": who["name"], "name": who["name"], "team_id": who["team_id"]}
        payload = {
            "user": shown, "api_app_id": APP, "token": "verification", "team": {"id": TEAM, "domain": "local"},
            "enterprise": None, "is_enterprise_install": False, "trigger_id": self.space.trigger(user),
        }  # fmt: skip
        if channel is not None:
            name = SHOWN_NAMES.get(channel.kind, channel.name)
            payload |= {
                "channel": {"id": channel.id, "name": name},
                "response_url": self._response_url(user, channel),
            }
        return payload

    def _response_url(self, user: str, channel: Channel) -> str:
        ident = f"r{self.space.number()}"
        self.space.response_urls[ident] = {
            "user": user, "channel": channel.id, "uses": 0, "expires": self.space.clock() + RESPONSE_URL_SECONDS,
        }  # fmt: skip
        return f"{self.url}/respond/{ident}"

    async def user_presses(self, message_ts: str, label: str, user: str, *, wait: bool = True) -> Delivery:
        """Press the button `label` of a message, or of an ephemeral message that the person sees."""
        who = self.space.user(user)
        channel, message = self.space.find(message_ts)
        assert channel is not None
        if who not in channel.members:
            raise KeyError(f"{user} does not see {channel.name}")
        ephemeral = "to" in message
        container = {
            "type": "message",
            "message_ts": message_ts,
            "channel_id": channel.id,
            "is_ephemeral": ephemeral,
        }
        if message.get("thread_ts"):
            container["thread_ts"] = message["thread_ts"]
        payload = {
            "type": "block_actions", **self._gesture(who, channel), "container": container,
            "state": {"values": {}}, "actions": [self._pressed(message, label)],
        }  # fmt: skip
        if not ephemeral:
            payload["message"] = shown(message)
        return await self.deliver(Delivery("interactive", payload), wait=wait)

    async def user_presses_home(self, user: str, label: str) -> Delivery:
        who = self.space.user(user)
        view = self.space.homes[who]
        payload = {
            "type": "block_actions", **self._gesture(who, None), "view": view,
            "container": {"type": "view", "view_id": view["id"]}, "actions": [self._pressed(view, label)],
        }  # fmt: skip
        return await self.deliver(Delivery("interactive", payload))

    def _pressed(self, message: Message, label: str) -> dict[str, Any]:
        found = [button for button in buttons(message) if button["text"]["text"] == label]
        if not found:
            raise KeyError(f"no button {label!r}; there are {[b['text']['text'] for b in buttons(message)]}")
        keep = {k: v for k, v in found[0].items() if k in {"action_id", "block_id", "text", "value", "type"}}
        return {**keep, "action_ts": self.space.ts()}

    async def user_submits(
        self, view: Mapping[str, Any], values: Mapping[str, str], user: str, *, wait: bool = True
    ) -> Delivery:
        """Fill in and send an open modal; `values` by the inputs' labels or block ids. Then the modal closes, shows
        errors (`view["errors"]`) or changes, as the acknowledgement says."""
        held = self.space.views[view["id"]]
        who = self.space.user(user)
        if held["user"] != who:
            raise KeyError(f"this form is not open for {user}")
        held["errors"] = {}
        state = {
            block["block_id"]: self._filled(block, values)
            for block in held["blocks"]
            if block["type"] == "input"
        }
        shown = {k: v for k, v in held.items() if k not in {"user", "errors"}}
        payload = {
            "type": "view_submission", **self._gesture(who, None),
            "view": {**shown, "state": {"values": state}}, "response_urls": [],
        }  # fmt: skip
        delivery = await self.deliver(Delivery("interactive", payload), wait=wait)
        if delivery.acked:
            self._obey(held, delivery.ack or {})
        return delivery

    def _filled(self, block: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
        element = block["element"]
        text = values.get(block["block_id"], values.get(block["label"]["text"]))
        if text is None:
            chosen = element.get("initial_option")
            text = (
                element.get("initial_value")
                or element.get("initial_date")
                or (chosen or {}).get("value")
                or ""
            )
        kind = element["type"]
        if not text and not block.get("optional") and kind != "file_input":
            raise ValueError(f"Slack's own check: {block['label']['text']} is required")
        if kind == "static_select":
            options = [o for o in element["options"] if text in {o["value"], o["text"]["text"]}]
            filled: dict[str, Any] = {"selected_option": options[0] if options else None}
        elif kind == "datepicker":
            filled = {"selected_date": text or None}
        elif kind == "file_input":
            filled = {"files": [self.space.files[ident] for ident in text.split()]}
        else:
            if len(text) > element.get("max_length", 3000):
                raise ValueError("Slack's own check: too long")
            filled = {"value": text or None}
        return {element["action_id"]: {"type": kind, **filled}}

    def _obey(self, held: dict[str, Any], ack: Mapping[str, Any]) -> None:
        match ack.get("response_action"):
            case None | "clear":
                self.space.views.pop(held["id"], None)
            case "errors":
                inputs = {block["block_id"] for block in held["blocks"] if block["type"] == "input"}
                if not ack.get("errors") or not set(ack["errors"]) <= inputs:
                    raise ValueError(
                        f"Slack shows 'trouble connecting': errors for unknown blocks in {dict(ack)}"
                    )
                held["errors"] = dict(ack["errors"])
            case "update" | "push":
                check_view(ack["view"])
                held.update(ack["view"], hash=f"h{self.space.number()}", errors={})
            case other:
                raise ValueError(f"unknown response_action {other!r}")
        self.touch()

    async def user_command(self, text: str, user: str, channel: str, *, wait: bool = True) -> Delivery:
        """`/firstline …`, with or without the command itself in `text`."""
        who, where = self.space.user(user), self.space.channel(channel)
        payload = {
            "command": "/firstline", "text": self.space.escape(text.removeprefix("/firstline").strip()),
            "token": "verification", "team_id": self.space.users[who]["team_id"], "team_domain": "local",
            "channel_id": where.id, "channel_name": SHOWN_NAMES.get(where.kind, where.name), "user_id": who,
            "user_name": self.space.users[who]["name"], "api_app_id": APP, "is_enterprise_install": "false",
            "response_url": self._response_url(who, where), "trigger_id": self.space.trigger(who),
        }  # fmt: skip
        return await self.deliver(Delivery("slash_commands", payload), wait=wait)

    async def user_shortcut(
        self, verb: str, channel: str, ts: str, user: str, *, wait: bool = True
    ) -> Delivery:
        """A message shortcut: `help` or `escalate`. Also offered where the bot is not a member."""
        who, where = self.space.user(user), self.space.channel(channel)
        payload = {
            "type": "message_action", **self._gesture(who, where), "callback_id": f"fl1:{verb}",
            "action_ts": self.space.ts(), "message_ts": ts, "message": dict(where.messages[ts]),
        }  # fmt: skip
        return await self.deliver(Delivery("interactive", payload), wait=wait)
