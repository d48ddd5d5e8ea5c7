"""An adapter for the small chat platform in memory: the port on one side, what people do on the other.

The playground shows it in a browser, the console in a terminal, and tests drive it directly. Every act of a
person is an event on the sink before it counts: what could not be stored was not said.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import filetype

from adapters.chat_room import Message, Person, Room, View
from adapters.port import (
    ActionInvoked,
    Actor,
    Button,
    Caps,
    CheckResult,
    CommandInvoked,
    Delete,
    Delivered,
    Edit,
    FileRef,
    Forbidden,
    Form,
    FormErrors,
    FormSubmitted,
    Gone,
    Inbound,
    Mark,
    MemberLeft,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Op,
    OpenThread,
    Place,
    PlatformName,
    Post,
    Private,
    PublishHome,
    React,
    ReactionChanged,
    Rejected,
    SetThread,
    Sink,
    Unavailable,
)

BOT = "firstline"

# Who is there unless somebody else is named.
CUSTOMERS = ("ana", "ben", "chloe")
AGENTS = ("dana", "kim", "lee")
ADMINS = ("dana",)


class LocalChat:
    """A `ChatAdapter` whose platform lives in this process. Posting is idempotent by key."""

    caps = Caps(
        idempotent_post="native",
        safe_resend_seconds=float("inf"),
        can_reconcile=True,
        thread_model="reply",
        inline_form_errors=True,
        private_in_channel=True,
    )

    def __init__(
        self,
        channels: Iterable[str],
        staff_channel: str,
        customers: Iterable[str | Person],
        agents: Iterable[str | Person],
        admins: Iterable[str | Person],
        *,
        name: PlatformName,
        clock: Callable[[], float] = time.time,
        title: str = "Firstline",
        journal: Path | None = None,
    ) -> None:
        self.name: PlatformName = name
        self.title = title
        self.base_url = ""
        self.room = Room(
            name,
            channels,
            staff_channel.removeprefix("#"),
            people(customers, agents, admins),
            clock=clock,
            journal=journal,
        )
        self._clock = clock
        self._sink: Sink | None = None
        self._open = True
        self._closed = asyncio.Event()
        self._done = {m.key: Delivered(m.ref, m.place) for m in self.room.messages.values() if m.key}

    # --- the port: life ----------------------------------------------------------------------------------

    def connect(self, sink: Sink) -> None:
        """Send what people do to `sink` from now on."""
        self._sink = sink
        self._open = True

    async def run(self, sink: Sink) -> None:
        self.connect(sink)
        self._closed.clear()
        sink.state(self.name, "connected")
        await self._closed.wait()
        sink.state(self.name, "stopped")

    async def stop_ingress(self) -> None:
        self._open = False

    async def close(self, grace: float) -> None:
        del grace  # nothing here takes time
        self._open = False
        self._closed.set()

    # --- the port: out -----------------------------------------------------------------------------------

    def parts(self, op: Op) -> int:
        del op  # a message has no practical limit here
        return 1

    async def deliver(self, op: Op, part: int, key: str) -> Delivered:
        if part != 0:
            raise Rejected(f"there is no part {part}")
        if key not in self._done:
            self._done[key] = self._carry_out(op, key)
        return self._done[key]

    def _carry_out(self, op: Op, key: str) -> Delivered:
        match op:
            case Post() | Private():
                message = self.room.post(self._outgoing(op, key))
                return Delivered(message.ref, message.place)
            case Edit(ref=ref, content=content):
                message = self.room.message(ref.id)
                if message.content is None or content.revision >= message.content.revision:
                    message.content, message.edits = content, message.edits + 1
                    message.speaking_as = op.speaking_as or message.speaking_as
                    self.room.changed(message)
                return Delivered(message.ref, message.place)
            case Delete(ref=ref):
                if ref.id in self.room.messages and not self.room.messages[ref.id].deleted:
                    self.room.delete(self.room.messages[ref.id])
                return Delivered(ref, ref.place)
            case React(ref=ref, emoji=emoji, on=on):
                self.room.react(self.room.message(ref.id), emoji, "", on=on)
                return Delivered(ref, ref.place)
            case OpenThread(origin=origin, title=title):
                return Delivered(origin, self._open_thread(origin, title))
            case SetThread():
                return Delivered(None, self._set_thread(op))
            case PublishHome():
                return Delivered()

    def _outgoing(self, op: Post | Private, key: str) -> Message:
        place = self.room.place(op.place.channel, op.place.thread)
        message = Message(
            id=self.room.new_id(), place=place, author="", at=self._clock(), content=op.content, key=key
        )
        if isinstance(op, Private):
            message.private_to, message.interaction = op.actor.id, op.interaction
        else:
            message.speaking_as, message.files = op.speaking_as, op.files
            message.reply_to = op.reply_to.id if op.reply_to else ""
        return message

    def _open_thread(self, origin: MsgRef, title: str) -> Place:
        message = self.room.message(origin.id)
        if message.place.kind == "dm":
            return message.place
        root = message.place.thread or message.id
        thread = self.room.thread(root)
        thread.title = thread.title or title
        self.room.thread_changed(thread)
        return replace(message.place, thread=root)

    def _set_thread(self, op: SetThread) -> Place:
        if op.place.thread is not None:
            thread = self.room.thread(op.place.thread)
            for what in ("archived", "locked", "solved", "tags"):
                value = getattr(op, what)
                if value is not None:
                    setattr(thread, what, value)
            self.room.thread_changed(thread)
        return op.place

    async def reconcile(
        self, op: Op, part: int, key: str, since: float
    ) -> Delivered | Literal["absent", "unknown"]:
        del op, part, since
        return self._done.get(key, "absent")

    # --- the port: asking --------------------------------------------------------------------------------

    async def catch_up(self, mark: Mark, limit: int) -> AsyncIterator[Inbound]:
        missed = [
            m
            for m in self.room.in_place(mark.place.channel, mark.place.thread)
            if m.author and int(m.id) > int(mark.after or 0)
        ]
        for message in missed[:limit]:
            yield replace(self._received(message), catchup=True)

    async def actor(self, tenant: str, user: str) -> Actor:
        del tenant
        return self._actor(user)

    def _actor(self, user: str) -> Actor:
        if not user:
            return Actor(self.name, self.name, BOT, self.title, is_bot=True, is_self=True)
        person = self.room.person(user)
        return Actor(self.name, self.name, person.id, person.name, roles=person.roles, email=person.email)

    async def fetch(self, file: FileRef, max_bytes: int) -> AsyncIterator[bytes]:
        _, content = self.room.file(file.id)
        if len(content) > max_bytes:
            raise Rejected(f"{file.name} is larger than {max_bytes} bytes")
        if (file.mime or "").startswith("image/"):
            kind = filetype.guess(content)
            if kind is None or kind.mime != file.mime:
                raise Rejected(f"{file.name} is not what it says it is")
        yield content

    async def permalink(self, ref: MsgRef) -> str | None:
        return f"{self.base_url}/#m-{ref.id}" if self.base_url else None

    async def check(self) -> Sequence[CheckResult]:
        desk = [p for p in self.room.people.values() if p.roles]
        return [
            CheckResult("channels", ok=bool(self.room.channels), detail=", ".join(self.room.channels)),
            CheckResult(
                "agents",
                ok=bool(desk),
                detail=", ".join(p.name for p in desk),
                fix="name at least one agent under [staff.playground]",
            ),
        ]

    # --- what people do ----------------------------------------------------------------------------------

    async def say(
        self,
        user: str,
        text: str,
        channel: str,
        thread: str | None = None,
        files: Sequence[FileRef | str] = (),
    ) -> str:
        """Write a message; returns its id. A file is one that was uploaded, or just a name."""
        place = self.room.place(channel, thread, user)
        self._may_speak(user, place)
        if not text.strip() and not files:
            raise Rejected("there is nothing in that message")
        message = Message(id=self.room.new_id(), place=place, author=user, at=self._clock(), text=text)
        message.files = tuple(self._attached(f, message.ref) for f in files)
        self.room.post(message)
        try:
            await self._emit(self._received(message))
        except Exception:
            self.room.remove(message)
            raise
        return message.id

    async def edit(self, user: str, message_id: str, text: str) -> None:
        message = self._own(user, message_id)
        if not text.strip() or message.text == text:
            return
        await self._emit(
            MessageEdited(
                keys=(f"{self.name}:edit:{message.id}:{message.edits + 1}",),
                place=self.home(message),
                actor=self._actor(user),
                occurred_at=self._clock(),
                order=(int(self.room.new_id()),),
                ref=MsgRef(self.home(message), message.id),
                text=text,
                files=message.files,
            )
        )
        message.text, message.edits = text, message.edits + 1
        self.room.changed(message)

    async def delete(self, user: str, message_id: str) -> None:
        message = self._own(user, message_id)
        await self._emit(
            MessageDeleted(
                keys=(f"{self.name}:del:{message.id}",),
                place=self.home(message),
                actor=self._actor(user),
                occurred_at=self._clock(),
                order=(int(self.room.new_id()),),
                ref=MsgRef(self.home(message), message.id),
            )
        )
        self.room.delete(message)

    async def react(self, user: str, message_id: str, emoji: str, *, on: bool = True) -> None:
        message = self._visible(user, message_id)
        if not self.room.react(message, emoji, user, on=on):
            return
        await self._emit(
            ReactionChanged(
                keys=(f"{self.name}:react:{self.room.new_id()}",),
                place=self.home(message),
                actor=self._actor(user),
                occurred_at=self._clock(),
                ref=MsgRef(self.home(message), message.id),
                emoji=emoji,
                added=on,
            )
        )

    async def press(self, user: str, message_id: str, label: str | int) -> View | None:
        """Press the button with that label, or that index; returns the form that opens, if one does."""
        message = self._visible(user, message_id)
        button = pressed(message, label)
        event = ActionInvoked(
            keys=(f"{self.name}:act:{message.id}:{user}:{self.room.new_id()}",),
            place=message.place,
            actor=self._actor(user),
            occurred_at=self._clock(),
            verb=button.verb,
            arg=button.arg,
            source=message.ref,
        )
        return self._shown(user, await self._emit(event), message.place)

    async def submit(
        self,
        user: str,
        form: str,
        values: Mapping[str, str],
        files: Sequence[FileRef | str] = (),
    ) -> FormErrors | None:
        """Send an open form, by the id of the form or of its view; the errors, if it is refused."""
        view = self.room.view(user, form)
        view.tries += 1
        event = FormSubmitted(
            keys=(f"{self.name}:view:{view.id}:{view.tries}",),
            place=view.place,
            actor=self._actor(user),
            occurred_at=self._clock(),
            form=view.form.id,
            context=view.form.context,
            values={i.id: str(values.get(i.id, i.value)) for i in view.form.inputs},
            files=tuple(self._attached(f, None) for f in files),
        )
        answer = await self._emit(event)
        if isinstance(answer, FormErrors):
            return answer
        self.room.views.pop(view.id, None)
        self._shown(user, answer, view.place)
        return None

    async def dismiss(self, user: str, form: str) -> None:
        """Close a form without sending it."""
        self.room.views.pop(self.room.view(user, form).id, None)

    def command_key(self) -> str:
        """The delivery key of the next command; what comes of it names this as its interaction."""
        return f"{self.name}:cmd:{self.room.new_id()}"

    async def command(self, user: str, text: str, channel: str = "", key: str = "") -> str:
        """Give a `/firstline` command, with or without that word; returns the key of what came of it."""
        words = re.sub(r"^/?firstline\b", "", text.strip(), flags=re.IGNORECASE).split(None, 1)
        desk = bool(self.room.person(user).roles)
        place = self.room.place(channel or (self.room.staff_channel if desk else "dm"), None, user)
        key = key or self.command_key()
        event = CommandInvoked(
            keys=(key,),
            place=place,
            actor=self._actor(user),
            occurred_at=self._clock(),
            name=words[0].lower() if words else "help",
            text=words[1].strip() if len(words) > 1 else "",
        )
        self._shown(user, await self._emit(event), place)
        return key

    async def menu(self, user: str, verb: str, message_id: str) -> View | None:
        """Choose `verb` ("help", "escalate") from a message's menu."""
        message = self._visible(user, message_id)
        event = MessageAction(
            keys=(f"{self.name}:menu:{message.id}:{user}:{self.room.new_id()}",),
            place=self.home(message),
            actor=self._actor(user),
            occurred_at=self._clock(),
            verb=verb,
            target=MsgRef(self.home(message), message.id),
            target_text=message.text,
            target_author=self._actor(message.author),
        )
        return self._shown(user, await self._emit(event), message.place)

    async def leave(self, agent: str) -> None:
        """An agent leaves the desk for good."""
        person = self.room.person(agent)
        self.room.people[agent] = replace(person, roles=frozenset())
        await self._emit(
            MemberLeft(
                keys=(f"{self.name}:left:{agent}:{self.room.new_id()}",),
                place=self.room.place(self.room.staff_channel),
                actor=self._actor(agent),
                occurred_at=self._clock(),
                who=agent,
            )
        )

    # --- what can be seen --------------------------------------------------------------------------------

    def messages(self, channel: str, thread: str | None = None) -> list[Message]:
        """The top level of a channel, or a thread with its root, oldest first."""
        return list(self.room.in_place(channel.removeprefix("#"), thread))

    def privates(self, user: str) -> list[Message]:
        """What only this person sees, oldest first."""
        return [m for m in self.room.messages.values() if m.private_to == user and not m.deleted]

    def forms(self, user: str) -> list[View]:
        """The forms that are open in front of this person."""
        return [v for v in self.room.views.values() if v.user == user]

    def home(self, message: Message) -> Place:
        """Where an answer to `message` belongs: its thread, which a top-level message starts itself."""
        if message.place.kind == "dm" or message.place.thread is not None:
            return message.place
        return replace(message.place, thread=message.id)

    def observe(self, trace: Mapping[str, Any]) -> None:
        """Learn why the engine decided as it did; whoever shows the chat may show that too."""

    # --- inside ------------------------------------------------------------------------------------------

    async def _emit(self, event: Inbound) -> Form | FormErrors | None:
        if self._sink is None or not self._open:
            raise Unavailable("the bot is not listening right now; nothing was sent")
        return await self._sink.receive(event)

    def _received(self, message: Message) -> MessageReceived:
        spoken, mentioned = without_mention(message.text, self.title)
        place = self.home(message)
        return MessageReceived(
            keys=(f"{self.name}:msg:{message.place.channel}:{message.id}",),
            place=place,
            actor=self._actor(message.author),
            occurred_at=message.at,
            order=(int(message.id),),
            ref=MsgRef(place, message.id),
            text=spoken,
            files=message.files,
            mentions_bot=mentioned,
            is_root=message.place.thread is None,
        )

    def _attached(self, file: FileRef | str, source: MsgRef | None) -> FileRef:
        if isinstance(file, FileRef):
            return replace(file, source=source)
        return FileRef(id=f"f{self.room.new_id()}", name=file, size=0, source=source)

    def _shown(self, user: str, answer: Form | FormErrors | None, place: Place) -> View | None:
        if isinstance(answer, FormErrors):
            answer = answer.form
        return self.room.show(user, answer, place) if answer is not None else None

    def _may_speak(self, user: str, place: Place) -> None:
        if not self.room.may_see(user, place):
            raise Forbidden("that channel is for the support desk")
        thread = self.room.threads.get(place.thread or "")
        if thread is not None and thread.locked:
            raise Forbidden("this thread is locked")

    def _visible(self, user: str, message_id: str) -> Message:
        message = self.room.message(message_id)
        hidden = message.private_to not in ("", user)
        if hidden or not self.room.may_see(user, message.place):
            raise Gone("that message is not here any more")
        return message

    def _own(self, user: str, message_id: str) -> Message:
        message = self._visible(user, message_id)
        if message.author != user:
            raise Forbidden("only its author can change a message")
        return message


def people(
    customers: Iterable[str | Person], agents: Iterable[str | Person], admins: Iterable[str | Person]
) -> list[Person]:
    """Everybody once, with a name to show and the roles of every list that names them."""
    found: dict[str, Person] = {}
    for group, role in ((customers, ""), (agents, "agent"), (admins, "admin")):
        for entry in group:
            person = entry if isinstance(entry, Person) else Person(entry)
            known = found.get(person.id, person)
            roles = known.roles | person.roles | ({role} if role else set())
            found[person.id] = replace(
                known, name=known.name or person.id.replace("_", " ").title(), roles=frozenset(roles)
            )
    return list(found.values())


def pressed(message: Message, label: str | int) -> Button:
    """The button that a person means; Gone where the message does not have it (any more)."""
    buttons = message.content.buttons if message.content else ()
    for index, button in enumerate(buttons):
        if label in (index, button.label, button.verb):
            return button
    raise Gone(f"that message has no button {label!r} any more")


def without_mention(text: str, title: str) -> tuple[str, bool]:
    """The text without a mention of the bot, and whether there was one."""
    pattern = rf"(?<!\w)@(?:{re.escape(title)}|firstline|bot)\b[:,]?\s*"
    spoken, count = re.subn(pattern, "", text, flags=re.IGNORECASE)
    return (spoken.strip() if count else text), bool(count)
