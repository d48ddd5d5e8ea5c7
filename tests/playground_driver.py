"""Transcripts on the playground: the chat platform in memory, its journal and the real process behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.chat_room import Message, Person
from adapters.console_format import block_lines
from adapters.playground import PlaygroundAdapter
from adapters.port import ActionInvoked, Content
from tests.staged_driver import ADMINS, AGENTS, BOTS, CHANNELS, CUSTOMERS, StagedDriver
from tests.transcript import OpenForm, Seen

PEOPLE = (
    Person("dana", roles=frozenset({"agent", "admin"})),
    Person("kim", roles=frozenset({"agent"})),
    Person("lee", roles=frozenset({"agent", "billing-team"})),
)


class PlaygroundDriver(StagedDriver):
    """What people do goes through the adapter, as it does from the page."""

    platform = "playground"
    chat: PlaygroundAdapter

    def sections(self) -> Mapping[str, Any]:
        channels = [{"id": name, "mode": mode} for name, mode in CHANNELS.items()]
        staff = {"playground": {"agents": AGENTS, "admins": ADMINS}}
        return {"playground": {"channels": channels, "staff_channel": "desk"}, "staff": staff}

    def adapter(self) -> PlaygroundAdapter:
        before = getattr(self, "chat", None)
        self.chat = PlaygroundAdapter(
            tuple(CHANNELS), "desk", (*CUSTOMERS, *BOTS), PEOPLE, (), clock=self.clock.now,
            journal=self.folder / "chat.jsonl",
        )  # fmt: skip
        if before is not None:
            self.chat.room.views = before.room.views  # a form stays open in front of a person
        actor = self.chat._actor
        self.chat._actor = lambda user: replace(actor(user), is_bot=user in BOTS or not user)  # type: ignore[method-assign]
        return self.chat

    # --- what people do -----------------------------------------------------------------------------------

    async def say(
        self, user: str, text: str, channel: str, thread: str | None = None, files: Sequence[str] = ()
    ) -> str:
        if self.stage.app is not None:
            return await self.chat.say(user, text, channel, thread, files)
        place = self.chat.room.place(channel, thread, user)  # the platform lives on while the bot is down
        message = Message(self.chat.room.new_id(), place, user, self.clock.now(), text)
        return self.chat.room.post(message).id

    async def edit(self, user: str, message: str, text: str) -> None:
        await self.chat.edit(user, message, text)

    async def delete(self, user: str, message: str) -> None:
        if self.stage.app is not None:
            await self.chat.delete(user, message)
        else:
            self.chat.room.delete(self.chat.room.message(message))

    async def react(self, user: str, message: str, emoji: str) -> None:
        await self.chat.react(user, message, emoji)

    async def press(self, user: str, message: Seen, label: str) -> None:
        """Press what was seen, even if the message has changed since."""
        chat = self.chat
        verb, arg = message.handles[message.buttons.index(label)]
        shown = chat._visible(user, message.id)
        event = ActionInvoked(
            keys=(f"{chat.name}:act:{message.id}:{user}:{chat.room.new_id()}",), place=shown.place,
            actor=chat._actor(user), occurred_at=self.clock.now(), verb=verb, arg=arg, source=shown.ref,
        )  # fmt: skip
        chat._shown(user, await chat._emit(event), shown.place)

    async def submit(self, user: str, form: str, values: Mapping[str, str]) -> Mapping[str, str]:
        errors = await self.chat.submit(user, form, values)
        return errors.errors if errors is not None else {}

    async def command(self, user: str, text: str) -> None:
        await self.chat.command(user, text)

    async def menu(self, user: str, verb: str, message: str) -> None:
        await self.chat.menu(user, verb, message)

    async def leave(self, user: str) -> None:
        await self.chat.leave(user)

    # --- what people see ----------------------------------------------------------------------------------

    def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        room = self.chat.room
        whole = channel == room.staff_channel
        return [
            _seen(m) for m in room.messages.values()
            if m.place.channel == channel and not m.deleted and not m.private_to
            and (whole or thread in (m.place.thread, m.id))
        ]  # fmt: skip

    def whispers(self, user: str) -> list[Seen]:
        return [_seen(m) for m in self.chat.privates(user)]

    def forms(self, user: str) -> list[OpenForm]:
        return [
            OpenForm(v.form.id, v.form.title, tuple(i.label for i in v.form.inputs))
            for v in self.chat.forms(user)
        ]

    def is_solved(self, thread: str) -> bool:
        return self.chat.room.thread(thread).solved


def plain(content: Content) -> str:
    """A message as a person reads it."""
    lines = [line for block in content.body for line in block_lines(block)]
    return "\n".join(filter(None, (content.title, content.status, *lines, content.footer)))


def _seen(message: Message) -> Seen:
    content = message.content
    files = " ".join(f"[file {f.name}]" for f in message.files)
    return Seen(
        message.id, message.place.channel, message.place.thread, message.author, message.speaking_as,
        f"{plain(content) if content is not None else message.text} {files}".strip(),
        tuple(b.label for b in content.buttons) if content is not None else (),
        tuple((b.verb, b.arg) for b in content.buttons) if content is not None else (),
    )  # fmt: skip
