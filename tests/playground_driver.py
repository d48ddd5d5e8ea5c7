"""Transcripts on the playground: the chat platform in memory, its journal and the real process behind it."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.chat_room import Message, Person
from adapters.console_format import block_lines
from adapters.playground import PlaygroundAdapter
from adapters.port import ActionInvoked, Content, Forbidden, Op, Post
from bot.config import Config
from tests.stage import KNOWLEDGE, Knowledge, ManualClock, Stage
from tests.transcript import Dialogue, OpenForm, Seen

CUSTOMERS = ("ana", "ben", "chloe")
PEOPLE = (
    Person("dana", roles=frozenset({"agent", "admin"})),
    Person("kim", roles=frozenset({"agent"})),
    Person("lee", roles=frozenset({"agent", "billing-team"})),
)
BOTS = frozenset({"zapier"})


def settings(dialogue: Dialogue, data_dir: Path) -> Config:
    """The defaults, this dialogue's own settings, and a data folder of its own."""
    sections = {
        "bot": {"data_dir": str(data_dir), "drain_seconds": 0},
        "web": {"port": 0},
        "playground": {
            "channels": [{"id": "help", "mode": "all"}, {"id": "general"}, {"id": "questions", "mode": "questions"},
                         {"id": "quiet", "mode": "off"}],
        },
        "staff": {"playground": {"agents": ["dana", "kim", "lee"], "admins": ["dana"]}},
        "canned": {"thanks": "Thank you, {customer}. We are on it.", "ask": "Please send us {what}, {customer}."},
    }  # fmt: skip
    return Config.model_validate(_merged(sections, dialogue.settings))


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = _merged(made[key], value) if both else value
    return made


class PlaygroundDriver:
    """A `Driver`; what people do goes through the adapter, as it does from the page."""

    def __init__(self, dialogue: Dialogue, knowledge: Knowledge, folder: Path, clock: ManualClock) -> None:
        self.folder, self.clock = folder, clock
        self.stage = Stage(settings(dialogue, folder / "data"), self._adapter, knowledge, clock)
        self._knowledge = knowledge
        self.chat: PlaygroundAdapter = self._adapter()

    def _adapter(self) -> PlaygroundAdapter:
        config = self.stage.config.playground if hasattr(self, "stage") else None
        channels = tuple(c.id for c in config.channels) if config else ("help",)
        self.chat = PlaygroundAdapter(
            channels,
            "desk",
            (*CUSTOMERS, *BOTS),
            PEOPLE,
            (),
            clock=self.clock.now,
            journal=self.folder / "chat.jsonl",
        )
        actor = self.chat._actor
        self.chat._actor = lambda user: _as_bot(actor(user))  # type: ignore[method-assign]
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

    async def card(self, ticket: str) -> tuple[str, str] | None:
        ref = await self.stage.anchored(f"{ticket}/card") if self.stage.app is not None else None
        return (ref.place.channel, ref.id) if ref is not None else None

    # --- the world ----------------------------------------------------------------------------------------

    def refuse(self, user: str) -> None:
        """The platform refuses what is posted into this person's thread from now on."""

        def refused(op: Op) -> bool:
            return isinstance(op, Post) and user in (op.place.thread, op.place.channel)

        self.stage.refusals.append((refused, Forbidden("the bot may not write in this thread")))

    async def advance(self, seconds: float, until: Callable[[], Awaitable[bool]] | None = None) -> bool:
        return await self.stage.advance(seconds, until=until)

    async def settle(self) -> None:
        await self.stage.settle()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        await self.stage.settle()
        await self.stage.stop()

    async def start(self) -> None:
        views = self.chat.room.views
        await self.stage.start()
        self.chat.room.views = views  # a form stays open in front of a person
        await self.stage.settle()

    async def change_knowledge(self, file: str, old: str, new: str) -> None:
        """Edit a file of this dialogue's own copy of the knowledge; the first time, make that copy."""
        copy = self.folder / "knowledge"
        if not copy.exists():
            shutil.copytree(KNOWLEDGE, copy)
            await self.stop()
            config = self.stage.config
            paths = config.knowledge.model_copy(update={"paths": (copy,)})
            self.stage.config = config.model_copy(update={"knowledge": paths})
            self.stage.library = self._knowledge.library.copy(self.folder / "data" / "knowledge")
            await self.start()
        text = (copy / file).read_text("utf-8")
        assert old in text, f"{file} does not hold {old!r}"
        (copy / file).write_text(text.replace(old, new), "utf-8")


def _as_bot(actor: Any) -> Any:
    return replace(actor, is_bot=True) if actor.id in BOTS else actor


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
