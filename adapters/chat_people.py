"""What people do on the small chat platform in memory, and what they see of it.

Every act of a person is an event on the sink before it counts: what could not be stored was not said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from adapters.chat_room import Message, Room, View
from adapters.port import (
    ActionInvoked,
    Actor,
    Button,
    CommandInvoked,
    FileRef,
    Forbidden,
    Form,
    FormErrors,
    FormSubmitted,
    Gone,
    Inbound,
    MemberLeft,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Place,
    PlatformName,
    ReactionChanged,
    Rejected,
    Sink,
    Unavailable,
)

BOT = "firstline"


class ChatPeople:
    """People's half of a `LocalChat`: they say, press, submit, command, edit, delete, react, leave."""

    def __init__(self, room: Room, *, name: PlatformName, clock: Callable[[], float], title: str) -> None:
        self.name: PlatformName = name
        self.title = title
        self.room = room
        self._clock = clock
        self._sink: Sink | None = None
        self._open = True

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

    def _actor(self, user: str) -> Actor:
        if not user:
            return Actor(self.name, self.name, BOT, self.title, is_bot=True, is_self=True)
        person = self.room.person(user)
        return Actor(self.name, self.name, person.id, person.name, roles=person.roles, email=person.email)


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
