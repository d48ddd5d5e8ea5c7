"""Transcripts on Discord: the real discord.py against the local Discord."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.discord import DiscordAdapter, DiscordSettings, Timing
from adapters.discord_parse import CONTEXT_VERBS
from tests.dialogue import Dialogue
from tests.discord_server import DiscordServer
from tests.discord_server.interactions import COMPONENT, Interaction
from tests.discord_server.server import shown_text
from tests.stage import Knowledge, ManualClock
from tests.staged_driver import ADMINS, AGENTS, BOTS, CHANNELS, CUSTOMERS, StagedDriver
from tests.transcript import OpenForm, Seen

QUICK = Timing(guilds=0.02, identify=0.0, watchdog=2.0, thinking=20.0, gap=5.0, patience=0.5)
BYTES = {"png": b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "pdf": b"%PDF-1.4\n%%EOF\n"}
MIME = {"png": "image/png", "pdf": "application/pdf"}
SIGNED = re.compile(r"\*\*([\w .]+?)\*\* \(support\): (.*)", re.DOTALL)


class DiscordDriver(StagedDriver):
    """People use the local Discord; the adapter is connected to its gateway."""

    platform = "discord"

    def __init__(self, dialogue: Dialogue, knowledge: Knowledge, folder: Path, clock: ManualClock) -> None:
        self.server = DiscordServer(clock=clock.now)
        world = self.server.world
        self.people = {name: self.server.add_user(name) for name in CUSTOMERS}
        self.people |= {name: self.server.add_user(name, roles=(self.server.agents,)) for name in AGENTS}
        for name, ident in self.people.items():
            world.users[ident]["global_name"] = name.title()
        self.people |= {name: self.server.add_user(name, bot=True) for name in BOTS}
        self.channels = {
            name: self.server.id_of(name) if name in ("help", "general") else self.server.add_channel(name)
            for name in CHANNELS
        } | {"desk": self.server.staff}
        self._refused: set[str] = set()  # what Discord shows instead of errors beside the inputs
        super().__init__(dialogue, knowledge, folder, clock)

    def sections(self) -> Mapping[str, Any]:
        channels = [{"id": self.channels[name], "mode": mode} for name, mode in CHANNELS.items()]
        discord = {"channels": channels, "staff_channel": self.server.staff, "guild": self.server.guild}
        staff = {"agents": [self.people[a] for a in AGENTS], "admins": [self.people[a] for a in ADMINS]}
        return {"discord": discord, "staff": {"discord": staff}}

    async def open(self) -> None:
        await self.server.start()
        await self.start()

    async def close(self) -> None:
        await super().close()
        await self.server.stop()

    def adapter(self) -> DiscordAdapter:
        server, discord, staff = self.server, self.stage.config.discord, self.stage.config.staff.discord
        return DiscordAdapter(
            DiscordSettings(
                token=server.token, guild=server.guild, staff_channel=discord.staff_channel,
                channels={c.id: c.mode for c in discord.channels}, api_base=server.api_base,
                private=frozenset(c.id for c in discord.channels if c.private),
                agents=frozenset(staff.agents), admins=frozenset(staff.admins), timing=QUICK,
            )
        )  # fmt: skip

    def _channel(self, name: str) -> str:
        return self.channels.get(name, name)

    # --- what people do -----------------------------------------------------------------------------------

    async def say(
        self, user: str, text: str, channel: str, thread: str | None = None, files: Sequence[str] = ()
    ) -> str:
        server, who = self.server, self.people[user]
        text = text.replace("@Firstline", f"<@{server.bot}>")
        if channel == "dm":
            made = await server.user_dm(who, text)
        elif user in BOTS:
            made = await server.bot_says(await self._room(user, channel, thread), who, text)
        else:
            kinds = [(name, name.rpartition(".")[2]) for name in files]
            attachments = [(name, BYTES[kind], MIME[kind]) for name, kind in kinds]
            room = await self._room(user, channel, thread)
            made = await server.user_says(room, who, text, attachments=attachments)
        await self.settle()
        return made

    async def _room(self, user: str, channel: str, thread: str | None) -> str:
        """Where that belongs. Whoever writes under a message that has no thread yet makes one."""
        world = self.server.world
        if thread is None:
            return self._channel(channel)
        if thread not in world.channels:
            made = world.add_thread(self._channel(channel), thread, "thread", self.people[user])
            await self.server.gateway.dispatch("THREAD_CREATE", made | {"newly_created": True})
        return thread

    async def edit(self, user: str, message: str, text: str) -> None:
        await self.server.user_edits(message, text)
        await self.settle()

    async def delete(self, user: str, message: str) -> None:
        await self.server.user_deletes(message)
        await self.settle()

    async def react(self, user: str, message: str, emoji: str) -> None:
        await self.server.user_reacts(message, emoji, self.people[user])
        await self.settle()

    async def press(self, user: str, message: Seen, label: str) -> None:
        """Press what was seen, even if the message has changed since."""
        made = await self._press(user, message.handles[0], label)
        asked = made.ephemerals[-1] if made.ephemerals else None
        confirms = asked is not None and [c for row in asked["components"] for c in row["components"]]
        if confirms and len(confirms) == 1 and asked is not None and confirms[0].get("label") == label:
            await self._press(user, asked, label)
        await self.settle()

    async def _press(self, user: str, shown: Mapping[str, Any], label: str) -> Interaction:
        items = [c for row in shown["components"] for c in row["components"]]
        item = next(c for c in items if c.get("label") == label)
        data = {"custom_id": item["custom_id"], "component_type": item["type"], "id": 1}
        room = self.server.world.channels[shown["channel_id"]]
        made = self.server.interactions.create(COMPONENT, self.people[user], room, data, dict(shown))
        return await self.server._answered(made)

    async def submit(self, user: str, form: str, values: Mapping[str, str]) -> Mapping[str, str]:
        """A refused form comes back by a button of the refusal: Discord has no errors beside the inputs."""
        modal = next(m for m in reversed(self.server.modals(self.people[user])) if _form(m.custom_id) == form)
        typed = {k: self.people.get(v, v) for k, v in values.items()}
        made = await self.server.user_submits(modal, typed, self.people[user])
        await self.settle()
        again = [
            (m, c["label"]) for m in made.ephemerals for row in m["components"] for c in row["components"]
        ]
        if not again:
            return {}
        self._refused.add(str(again[-1][0]["id"]))
        await self._press(user, *again[-1])
        await self.settle()
        return {"form": shown_text(again[-1][0])}

    async def command(self, user: str, text: str) -> None:
        verb, _, rest = text.removeprefix("/firstline").strip().partition(" ")
        _, sub = self.server._verb(verb)
        options: dict[str, str] = {}
        for option in sub.get("options") or []:
            if not rest:
                break
            if option.get("choices"):
                options[option["name"]], _, rest = rest.partition(" ")
            else:
                options[option["name"]], rest = rest, ""
        where = self.channels["desk"] if user in AGENTS else self.channels["help"]
        await self.server.user_command(verb, options, self.people[user], where)
        await self.settle()

    async def menu(self, user: str, verb: str, message: str) -> None:
        name = next(n for n, v in CONTEXT_VERBS.items() if v == verb)
        await self.server.user_context_menu(name, message, self.people[user])
        await self.settle()

    async def leave(self, user: str) -> None:
        await self.server.member_leaves(self.people[user])
        await self.settle()

    # --- what people see ----------------------------------------------------------------------------------

    def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        server = self.server
        if channel.startswith("dm-"):
            return [self._seen(m, channel, None) for m in server.dms(self.people[channel[3:]])]
        if self._channel(channel) == server.staff:
            rooms = [server.staff, *(t["id"] for t in server.threads_of(server.staff))]
        else:
            rooms = [thread or self._channel(channel)]
        return [
            self._seen(m, channel, r if r != server.staff else None)
            for r in rooms
            for m in server.messages(r)
        ]

    def _seen(self, message: Mapping[str, Any], channel: str, thread: str | None) -> Seen:
        by_bot = message["author"]["id"] == self.server.bot
        text, name = shown_text(dict(message)), ""
        signed = SIGNED.match(text) if by_bot else None
        if signed:
            name, text = signed[1], signed[2]
        files = " ".join(f"[file {f['filename']}]" for f in message.get("attachments") or [])
        items = [c for row in message.get("components") or [] for c in row.get("components") or []]
        return Seen(
            str(message["id"]), channel, thread, "" if by_bot else str(message["author"]["id"]), name,
            f"{text} {files}".strip(), tuple(str(c.get("label")) for c in items), (copy.deepcopy(dict(message)),),
        )  # fmt: skip

    def whispers(self, user: str) -> list[Seen]:
        shown = [m for m in self.server.ephemerals(self.people[user]) if str(m["id"]) not in self._refused]
        found = [self._seen(m, m["channel_id"], None) for m in shown]
        found += [m for m in self.seen(f"dm-{user}") if m.by_bot]
        return sorted(found, key=lambda m: int(m.id))

    def forms(self, user: str) -> list[OpenForm]:
        return [
            OpenForm(_form(m.custom_id), m.title, tuple(str(i["label"]) for i in m.inputs().values()))
            for m in self.server.modals(self.people[user])
        ]

    def is_solved(self, thread: str) -> bool:
        """The first message of the thread carries the mark."""
        return "✅" in self.server.message(thread).get("_reactions", {})


def _form(custom_id: str) -> str:
    return custom_id.split(":")[1] if ":" in custom_id else custom_id
