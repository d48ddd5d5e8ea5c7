"""A small chat platform in memory: people, channels, threads, messages, files, open forms.

What Slack's or Discord's servers are to their adapters, this is to the playground and the console. It knows
nothing of events or of the bot's work, and does no I/O but for the optional journal, with which it outlives a
restart of the process the way a real platform does (uploaded bytes are not kept).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from adapters.port import (
    Content,
    FileRef,
    Form,
    Gone,
    MsgRef,
    Place,
    PlatformName,
    Rejected,
)

TEXT_MAX = 8_000
FILE_BYTES_MAX = 2_000_000
FILES_BYTES_MAX = 64_000_000
MESSAGES_MAX = 20_000
VIEWS_MAX = 500


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can speak here. `roles` may hold "agent" and "admin"; without either, a customer."""

    id: str
    name: str = ""
    roles: frozenset[str] = frozenset()
    email: str | None = None


@dataclass(slots=True)
class Message:
    """One message as it stands now. `author` is a person's id, or empty for the bot.

    `place.thread` is the root's id for a reply, `None` for a message that stands at top level.
    `private_to`: the only person who sees it. `key`: the delivery that made it. `order`: creation, ascending.
    """

    id: str
    place: Place
    author: str
    at: float
    text: str = ""
    content: Content | None = None
    speaking_as: str = ""
    files: tuple[FileRef, ...] = ()
    reactions: dict[str, list[str]] = field(default_factory=dict)
    edits: int = 0
    deleted: bool = False
    private_to: str = ""
    interaction: str = ""
    reply_to: str = ""
    key: str = ""

    @property
    def ref(self) -> MsgRef:
        return MsgRef(self.place, self.id)


@dataclass(slots=True)
class Thread:
    """What is known of a thread besides its messages."""

    id: str
    title: str = ""
    solved: bool = False
    archived: bool = False
    locked: bool = False
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class View:
    """A form that is open in front of one person, until it is submitted and accepted."""

    id: str
    user: str
    form: Form
    place: Place
    tries: int = 0


Change = tuple[Literal["message", "removed", "thread"], Message | Thread]
_line: TypeAdapter[Message | Thread] = TypeAdapter(Message | Thread)


class Room:
    """The platform's memory. `on_change` is called after every change with what changed."""

    def __init__(
        self,
        platform: PlatformName,
        channels: Iterable[str],
        staff_channel: str,
        people: Iterable[Person],
        *,
        desks: Iterable[str] = (),
        clock: Callable[[], float],
        journal: Path | None = None,
    ) -> None:
        self.platform = platform
        self.staff_channel = staff_channel
        self.desks = tuple(dict.fromkeys((staff_channel, *(d.removeprefix("#") for d in desks))))
        self.channels = tuple(dict.fromkeys(c.removeprefix("#") for c in channels))
        self.people = {p.id: p for p in people}
        self.messages: dict[str, Message] = {}
        self.threads: dict[str, Thread] = {}
        self.views: dict[str, View] = {}
        self.on_change: Callable[[Change], None] = lambda _: None
        self._clock = clock
        self._last_id = 0
        self._files: dict[str, tuple[FileRef, bytes]] = {}
        self._journal = journal
        self.remembered = False
        if journal is not None and journal.exists():
            self._remember(journal)
            self.remembered = bool(self.messages)

    # --- who and where -----------------------------------------------------------------------------------

    def person(self, user: str) -> Person:
        if user not in self.people:
            raise Rejected(f"nobody here is called {user!r}")
        return self.people[user]

    def place(self, channel: str, thread: str | None = None, user: str = "") -> Place:
        """The place that a person means by a channel's name; `dm` is that person's own."""
        name = channel.removeprefix("#")
        if name == "dm":
            name = f"dm-{user}"
        if name.startswith("dm-") and name.removeprefix("dm-") in self.people:
            return Place(self.platform, self.platform, name, thread, kind="dm")
        if name in self.desks:
            return Place(self.platform, self.platform, name, thread, kind="private")
        if name not in self.channels:
            raise Gone(f"there is no channel {name!r}")
        return Place(self.platform, self.platform, name, thread)

    def may_see(self, user: str, place: Place) -> bool:
        """Community channels are open to all, the staff channels to the desk, a direct message to its owner."""
        if place.channel in self.desks:
            return bool(self.person(user).roles)
        return place.kind != "dm" or place.channel == f"dm-{user}"

    def new_id(self) -> str:
        """Ascending and never given twice, not even across restarts: the clock's microseconds."""
        self._last_id = max(self._last_id + 1, int(self._clock() * 1_000_000))
        return str(self._last_id)

    # --- messages ----------------------------------------------------------------------------------------

    def post(self, message: Message) -> Message:
        if len(message.text) > TEXT_MAX:
            raise Rejected(f"a message holds at most {TEXT_MAX} characters")
        root = self.messages.get(message.place.thread or "")
        if root is not None and root.deleted and not any(self.replies(root.id)):
            raise Gone("the message that this thread hangs on was deleted")
        self.messages[message.id] = message
        while len(self.messages) > MESSAGES_MAX:
            del self.messages[next(iter(self.messages))]
        self._changed(("message", message))
        return message

    def message(self, message_id: str) -> Message:
        found = self.messages.get(message_id)
        if found is None or found.deleted:
            raise Gone("that message is not here any more")
        return found

    def remove(self, message: Message) -> None:
        """As if it had never been posted."""
        self.messages.pop(message.id, None)
        self._changed(("removed", message))

    def changed(self, message: Message) -> None:
        """Tell that `message` was altered in place."""
        self._changed(("message", message))

    def delete(self, message: Message) -> None:
        message.deleted = True
        message.text, message.content, message.files = "", None, ()
        message.reactions.clear()
        self.changed(message)

    def react(self, message: Message, emoji: str, user: str, *, on: bool) -> bool:
        """Whether anything changed."""
        who = message.reactions.setdefault(emoji, [])
        if (user in who) == on:
            return False
        who.append(user) if on else who.remove(user)
        if not who:
            del message.reactions[emoji]
        self.changed(message)
        return True

    def replies(self, root: str) -> Iterator[Message]:
        return (m for m in self.messages.values() if m.place.thread == root and not m.deleted)

    def in_place(self, channel: str, thread: str | None = None) -> Iterator[Message]:
        """The top level of a channel, or a thread with its root; private messages and deleted ones left out."""
        for m in self.messages.values():
            here = m.place.thread == thread or (thread is not None and m.id == thread)
            if here and m.place.channel == channel and not m.private_to and not m.deleted:
                yield m

    def thread(self, root: str) -> Thread:
        return self.threads.setdefault(root, Thread(root))

    def thread_changed(self, thread: Thread) -> None:
        self._changed(("thread", thread))

    # --- files -------------------------------------------------------------------------------------------

    def keep_file(self, name: str, mime: str | None, content: bytes) -> FileRef:
        if len(content) > FILE_BYTES_MAX:
            raise Rejected(f"a file holds at most {FILE_BYTES_MAX // 1_000_000} MB here")
        if sum(len(kept) for _, kept in self._files.values()) + len(content) > FILES_BYTES_MAX:
            raise Rejected("no room for more files until the next start")
        plain = re.sub(r"[^\w. ()-]", "_", name.strip())[:80].strip(". ") or "file"
        ref = FileRef(id=f"f{self.new_id()}", name=plain, mime=mime, size=len(content))
        self._files[ref.id] = (ref, content)
        return ref

    def file(self, file_id: str) -> tuple[FileRef, bytes]:
        if file_id not in self._files:
            raise Gone("that file is not here any more")
        return self._files[file_id]

    def has_file(self, file_id: str) -> bool:
        return file_id in self._files

    # --- forms -------------------------------------------------------------------------------------------

    def show(self, user: str, form: Form, place: Place) -> View:
        view = View(id=f"v{self.new_id()}", user=user, form=form, place=place)
        self.views[view.id] = view
        while len(self.views) > VIEWS_MAX:  # left open and never sent
            del self.views[next(iter(self.views))]
        return view

    def view(self, user: str, wanted: str) -> View:
        """The open form of this person, by the view's id or the form's; the newest of several."""
        for view in reversed(self.views.values()):
            if view.user == user and wanted in (view.id, view.form.id):
                return view
        raise Gone("that form is not open any more")

    # --- the journal -------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        if self._journal is not None:
            kind, what = change
            if isinstance(what, Message) and kind == "removed":
                what = replace(what, deleted=True, text="", content=None, files=(), reactions={})
            with self._journal.open("ab") as lines:
                lines.write(_line.dump_json(what) + b"\n")
        self.on_change(change)

    def _remember(self, journal: Path) -> None:
        """Read the journal. A torn last line, from a crash in the middle of a write, is left out."""
        for line in journal.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            what = _line.validate_json(line)
            if isinstance(what, Message):
                self.messages[what.id] = what
                self._last_id = max(self._last_id, int(what.id))
            else:
                self.threads[what.id] = what
        kept: list[Message | Thread] = [*self.messages.values()]
        kept = [*kept[-MESSAGES_MAX:], *self.threads.values()]
        aside = journal.with_suffix(".new")
        aside.write_bytes(b"".join(_line.dump_json(k) + b"\n" for k in kept))
        aside.replace(journal)
