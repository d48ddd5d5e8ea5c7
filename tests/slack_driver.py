"""Transcripts on Slack: the real client libraries against the local Slack."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.slack import SlackAdapter, SlackSettings
from tests.slack.delivery import Delivery
from tests.slack.server import SlackServer
from tests.slack.workspace import buttons, readable, sortable
from tests.staged_driver import ADMINS, AGENTS, BOTS, CHANNELS, CUSTOMERS, StagedDriver
from tests.transcript import OpenForm, Seen

EMOJI = {"👍": "+1", "👎": "-1"}
MIME = {"png": "image/png", "pdf": "application/pdf"}
BYTES = {"png": b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "pdf": b"%PDF-1.4\n%%EOF\n"}
SIGNED = re.compile(r"\*?([\w .]+?)\*? \(support\):\s*(.*)", re.DOTALL)


def ident(name: str) -> str:
    return f"U0{name.upper()}"


def channel_of(name: str) -> str:
    return f"C0{name.upper()}"


class SlackDriver(StagedDriver):
    """People use the local Slack; the adapter is connected to it by Socket Mode."""

    platform = "slack"
    server: SlackServer

    def sections(self) -> Mapping[str, Any]:
        channels = [{"id": channel_of(name), "mode": mode} for name, mode in CHANNELS.items()]
        staff = {"agents": [ident(a) for a in AGENTS], "admins": [ident(a) for a in ADMINS]}
        return {
            "slack": {"channels": channels, "staff_channel": channel_of("desk")},
            "staff": {"slack": staff},
        }

    async def open(self) -> None:
        await self.server_up()
        await self.start()

    async def server_up(self) -> None:
        """Slack itself, with everybody in it."""
        server = self.server = SlackServer(self.clock.now)
        await server.start()
        for name in (*CUSTOMERS, *AGENTS):
            profile = {"display_name": name.title(), "real_name": name.title()}
            server.add_user(name, ident=ident(name), profile=profile)
        for name in BOTS:
            server.add_user(name, ident=ident(name), is_bot=True)
        everybody = [*CUSTOMERS, *AGENTS, *BOTS]
        for name in CHANNELS:
            server.add_channel(name, ident=channel_of(name), members=everybody)
        server.add_channel("desk", ident=channel_of("desk"), members=list(AGENTS), private=True)

    async def close(self) -> None:
        await super().close()
        await self.server.stop()

    def adapter(self) -> SlackAdapter:
        server, slack, staff = self.server, self.stage.config.slack, self.stage.config.staff.slack
        return SlackAdapter(
            SlackSettings(
                bot_token=server.bot_token, app_token=server.app_token, signing_secret=server.signing_secret,
                api_base=server.api_base, staff_channel=slack.staff_channel,
                channels={c.id: c.mode for c in slack.channels}, sockets=1, agents=frozenset(staff.agents),
                admins=frozenset(staff.admins), backoff_seconds=0.01, watch_seconds=0.02, share_seconds=0.01,
            ),
            clock=self.clock.now,
        )  # fmt: skip

    @property
    def _down(self) -> bool:
        return self.stage.app is None

    # --- what people do -----------------------------------------------------------------------------------

    async def say(
        self, user: str, text: str, channel: str, thread: str | None = None, files: Sequence[str] = ()
    ) -> str:
        where = self.server.dm_of(user) if channel == "dm" else channel
        text = text.replace("@Firstline", "@firstline")
        if files:
            name = files[0]
            kind = name.rpartition(".")[2]
            return await self.server.user_uploads(where, user, name, BYTES[kind], MIME[kind], text, thread)
        if user in BOTS:
            return await self.server.user_says(
                where, user, text, thread, bot_id="B0OTHER", subtype="bot_message"
            )
        return await self.server.user_says(where, user, text, thread, silent=self._down)

    async def edit(self, user: str, message: str, text: str) -> None:
        where, _ = self.server.space.find(message)
        assert where is not None
        await self.server.user_edits(where.id, message, text, silent=self._down)

    async def delete(self, user: str, message: str) -> None:
        where, _ = self.server.space.find(message)
        assert where is not None
        await self.server.user_deletes(where.id, message, silent=self._down)

    async def react(self, user: str, message: str, emoji: str) -> None:
        where, _ = self.server.space.find(message)
        assert where is not None
        await self.server.user_reacts(where.id, message, EMOJI[emoji], user)

    async def press(self, user: str, message: Seen, label: str) -> None:
        await self.press_at_once([user], message, label)

    async def press_at_once(self, users: Sequence[str], message: Seen, label: str) -> None:
        """Everybody presses in the same moment."""
        await asyncio.gather(*(self._press(user, message, label) for user in users))
        await self.settle()

    async def _press(self, user: str, message: Seen, label: str) -> None:
        """Press what was seen, even if the message has changed since."""
        server, snapshot, who = self.server, message.handles[0], self.server.space.user(user)
        channel = server.space.channel(snapshot["_channel"])
        ephemeral = "to" in snapshot
        container = {
            "type": "message", "message_ts": message.id, "channel_id": channel.id, "is_ephemeral": ephemeral,
            **({"thread_ts": snapshot["thread_ts"]} if snapshot.get("thread_ts") else {}),
        }  # fmt: skip
        payload = {
            "type": "block_actions", **server._gesture(who, channel), "container": container,
            "state": {"values": {}}, "actions": [server._pressed(snapshot, label)],
        }  # fmt: skip
        if not ephemeral:
            payload["message"] = {k: v for k, v in snapshot.items() if not k.startswith("_")}
        await server.deliver(Delivery("interactive", payload))

    async def submit(self, user: str, form: str, values: Mapping[str, str]) -> Mapping[str, str]:
        view = next(v for v in reversed(self.server.views(user)) if _form(v) == form)
        typed = {k: ident(v) if v in AGENTS else v for k, v in values.items()}
        await self.server.user_submits(view, typed, user)
        await self.settle()
        return dict(view.get("errors") or {}) if view["id"] in self.server.space.views else {}

    async def command(self, user: str, text: str) -> None:
        where = channel_of("desk") if user in AGENTS else self.server.dm_of(user)
        await self.server.user_command(text, user, where)

    async def menu(self, user: str, verb: str, message: str) -> None:
        where, _ = self.server.space.find(message)
        assert where is not None
        await self.server.user_shortcut(verb, where.id, message, user)

    async def leave(self, user: str) -> None:
        await self.server.user_leaves("desk", user)

    # --- what people see ----------------------------------------------------------------------------------

    def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        server = self.server
        if channel.startswith("dm-"):
            return [self._seen(m, server.dm_of(channel[3:])) for m in server.dms(channel[3:])]
        found: list[Seen] = []
        for message in server.messages(channel, thread):
            seen = self._seen(message, channel)
            if message.get("files") and seen.by_bot and not readable(message) and found:
                found[-1] = replace(
                    found[-1], text=f"{found[-1].text} {seen.text}"
                )  # a reply's file follows it
            elif message.get("subtype") != "tombstone":
                found.append(seen)
        return found

    def _seen(self, message: Mapping[str, Any], channel: str) -> Seen:
        bot = message.get("user") == self.server.bot_user or "to" in message
        author = "" if bot else str(message.get("user", ""))
        text, name = readable(dict(message)), ""
        signed = SIGNED.match(text) if bot else None
        if signed:
            name, text = signed[1], signed[2]
        files = " ".join(f"[file {f['title']}]" for f in message.get("files") or [])
        thread = message.get("thread_ts") if message.get("thread_ts") != message["ts"] else None
        snapshot = copy.deepcopy({**message, "_channel": channel})
        return Seen(
            str(message["ts"]), channel, thread, author, name, f"{text} {files}".strip(),
            tuple(b["text"]["text"] for b in buttons(dict(message))), (snapshot,),
        )  # fmt: skip

    def whispers(self, user: str) -> list[Seen]:
        """What only this person sees: ephemeral messages, and what the bot wrote to them alone."""
        found = [self._seen(m, m["channel"]) for m in self.server.ephemerals(user)]
        found += [m for m in self.seen(f"dm-{user}") if m.by_bot]
        return sorted(found, key=lambda m: sortable(m.id))

    def forms(self, user: str) -> list[OpenForm]:
        views = [v for v in self.server.views(user) if "callback_id" in v]
        return [OpenForm(_form(v), v["title"]["text"], _labels(v)) for v in views]

    def is_solved(self, thread: str) -> bool:
        """A thread on Slack carries the mark as a reaction on its first message."""
        _, message = self.server.space.find(thread)
        names = {r["name"] for r in message.get("reactions") or []} | set(
            message.get("reactions_by_name") or {}
        )
        return "white_check_mark" in names


def _form(view: Mapping[str, Any]) -> str:
    return str(view["callback_id"]).rpartition(":")[2]


def _labels(view: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(b["label"]["text"] for b in view["blocks"] if b["type"] == "input")
