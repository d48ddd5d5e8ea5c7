"""The console: the chat platform in memory, in a terminal. Also reads a script from a pipe, for which its output
is plain and the same every time."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from rich.console import Console
from rich.text import Text

from adapters.chat_room import Change, Message, Person, View
from adapters.console_format import answer_to, clean, message_lines, question_for, told, why_lines
from adapters.console_wrap import wrapped
from adapters.local_chat import ADMINS, AGENTS, CUSTOMERS, LocalChat
from adapters.port import AdapterError, FormErrors, FormInput, Sink

HELP: Final = """\
Write a message, or the number of a button.
  /as NAME            be somebody else (a customer or an agent), and read what they got meanwhile
  /staff              what the staff channel holds; as an agent you write there
  /open N             as an agent: write in the thread of the card with button N (or of a T-number)
  /join               as an agent: write in the customer's own thread
  /new                as a customer: begin a new conversation
  /dm                 talk to the bot directly
  /channel NAME       write in another channel
  /edit TEXT          change your last message
  /delete             take your last message back
  /firstline VERB     a command, for example /firstline status
  /why                why the bot did what it did last
  /quit               leave"""
QUIET_SECONDS: Final = 0.4
PATIENCE_SECONDS: Final = 10.0


class ConsoleAdapter(LocalChat):
    """`run` reads until the end of the input or /quit; then `finished` returns, and `run` itself when closed."""

    def __init__(
        self,
        channels: Iterable[str] = ("help", "general"),
        staff_channel: str = "desk",
        customers: Iterable[str | Person] = CUSTOMERS,
        agents: Iterable[str | Person] = AGENTS,
        admins: Iterable[str | Person] = ADMINS,
        *,
        desks: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        title: str = "Firstline",
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        settled: Callable[[], Awaitable[None]] | None = None,
        journal: Path | None = None,
    ) -> None:
        super().__init__(
            channels, staff_channel, customers, agents, admins,
            desks=desks, name="console", clock=clock, title=title, journal=journal,
        )  # fmt: skip
        self._finished = asyncio.Event()
        self._stdin, stdout = stdin or sys.stdin, stdout or sys.stdout
        self._live = self._stdin.isatty() and stdout.isatty()
        self._screen = Console(
            file=stdout, highlight=False, soft_wrap=True, force_terminal=self._live or None,
            color_system="auto" if self._live else None,
        )  # fmt: skip
        self._settled = settled or self._fall_silent
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._activity = asyncio.Event()
        self._me = next(iter(self.room.people))
        self._channel = self.room.channels[0]
        self._threads: dict[tuple[str, str], str | None] = {}
        self._last_said: dict[str, str] = {}
        self._numbers: dict[int, tuple[str, int]] = {}
        self._printed: dict[tuple[str, str], list[str]] = {}  # (who read it, message) -> as it was then
        self._left: dict[str, str] = {}  # who was somebody else meanwhile -> the channel where they were
        self._trace: Mapping[str, Any] = {}
        self.room.on_change = self._changed

    # --- life --------------------------------------------------------------------------------------------

    async def run(self, sink: Sink) -> None:
        self.connect(sink)
        self._closed.clear()
        sink.state(self.name, "connected")
        if not self._finished.is_set():
            await self._converse()
            self._finished.set()
        await self._closed.wait()
        sink.state(self.name, "stopped")

    async def close(self, grace: float) -> None:
        self._lines.put_nowait(None)
        await super().close(grace)

    async def finished(self) -> None:
        """Returns when the person has left."""
        await self._finished.wait()

    def observe(self, trace: Mapping[str, Any]) -> None:
        self._trace = trace
        self._activity.set()

    async def _converse(self) -> None:
        self._listen()
        self._print(f"You are {self._me}, in #{self._channel}. /help lists what you can do.", "dim")
        while (line := await self._next(f"{self._me}> ")) is not None:
            if line.strip() == "/quit":
                return
            try:
                await self._obey(line.strip())
            except AdapterError as error:
                self._print(clean(str(error)), "red")

    def _listen(self) -> None:
        """Read lines on a thread of its own: a terminal cannot be read without blocking."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                for line in self._stdin:
                    loop.call_soon_threadsafe(self._lines.put_nowait, line.rstrip("\r\n"))
                loop.call_soon_threadsafe(self._lines.put_nowait, None)
            except (RuntimeError, ValueError):
                return  # the loop or the input was closed: nobody listens any more

        threading.Thread(target=read, name="console", daemon=True).start()

    async def _next(self, prompt: str) -> str | None:
        if self._live:
            words = clean(prompt)
            asked = "\n".join(wrapped(words.rstrip(), self._screen.width - 1))
            self._screen.print(Text(asked + words[len(words.rstrip()) :], style="bold"), end="")
        line = await self._lines.get()
        if line is None:
            self._lines.put_nowait(None)  # the end stays the end, whoever asks next
        elif not self._live:
            self._print(prompt + clean(line))
        return line

    async def _fall_silent(self) -> None:
        """Wait until the bot has done something and then nothing more for a moment."""
        try:
            await asyncio.wait_for(self._activity.wait(), PATIENCE_SECONDS)
            while True:
                self._activity.clear()
                await asyncio.wait_for(self._activity.wait(), QUIET_SECONDS)
        except TimeoutError:
            return

    # --- what was typed ----------------------------------------------------------------------------------

    async def _obey(self, line: str) -> None:
        if not line:
            return
        self._activity.clear()
        verb, _, rest = line.partition(" ")
        local: dict[str, Callable[[str], None]] = {
            "/as": self._be,
            "/staff": self._show_staff,
            "/open": self._open_card,
            "/join": self._join,
            "/new": self._begin_anew,
            "/dm": self._go_direct,
            "/channel": self._go,
            "/why": self._why,
            "/help": lambda _: self._print(HELP),
        }
        if verb in local:
            local[verb](rest.strip())
            return
        if line.isdecimal() and int(line) in self._numbers:
            await self._press(int(line))
        elif verb == "/firstline":
            await self.command(self._me, line, self._channel if self._is_desk else "")
        elif verb == "/edit":
            await self.edit(self._me, self._mine(), rest)
        elif verb == "/delete":
            await self.delete(self._me, self._mine())
        elif verb.startswith("/"):
            self._print(f"There is no {clean(verb)}. /help lists what there is.", "yellow")
            return
        else:
            await self._speak(line)
        if not self.forms(self._me):
            await self._settled()
        await self._fill_forms()

    @property
    def _is_desk(self) -> bool:
        return bool(self.room.person(self._me).roles)

    def _be(self, name: str) -> None:
        self.room.person(name)
        self._left[self._me] = self._channel
        self._me = name
        home = self.room.staff_channel if self._is_desk else self.room.channels[0]
        self._channel = self._left.get(name, home)
        self._print(f"You are {name}, in #{self._channel}.", "dim")
        self._catch_up()

    def _catch_up(self) -> None:
        """What this person has got since they were last here, each message as it is now."""
        mine = [m for m in self.room.messages.values() if self._reached_me(m)]
        fresh = [m for m in mine if self._printed.get((self._me, m.id)) != self._printable(m)]
        if fresh:
            self._print("Meanwhile:", "dim")
        for message in fresh:
            self._show(message, again=False)

    def _reached_me(self, message: Message) -> bool:
        """It was meant for this person: their own eyes, their conversations, the desk that they know already."""
        if message.deleted or message.author == self._me:
            return False
        if message.private_to:
            return message.private_to == self._me
        if message.place.kind == "dm":
            return message.place.channel == f"dm-{self._me}"
        if self._is_desk and message.place.channel in self.room.desks:
            return self._me in self._left
        thread = message.place.thread
        return thread is not None and self._threads.get((self._me, message.place.channel)) == thread

    def _show_staff(self, _: str) -> None:
        shown = [m for m in self.room.messages.values() if m.place.channel in self.room.desks]
        shown = [m for m in shown if not m.deleted and m.private_to in ("", self._me)]
        if not shown:
            self._print("The staff channel is empty.", "dim")
        for message in shown:
            self._show(message)

    def _open_card(self, wanted: str) -> None:
        message_id = (
            self._numbers[int(wanted)][0] if wanted.isdecimal() and int(wanted) in self._numbers else ""
        )
        for message in [m for desk in self.room.desks for m in self.messages(desk)]:
            if message.content and wanted and wanted.upper() in message.content.title.upper().split():
                message_id = message.id
        if not message_id:
            self._print(f"There is no card {clean(wanted)!r}.", "yellow")
            return
        message = self.room.message(message_id)
        self._channel = message.place.channel
        self._threads[self._me, self._channel] = message.place.thread or message.id
        self._print("You write in that card's thread now.", "dim")

    def _join(self, _: str) -> None:
        """Step into the newest customer's conversation."""
        for (user, channel), thread in reversed(self._threads.items()):
            if thread and channel in self.room.channels and not self.room.person(user).roles:
                self._channel = channel
                self._threads[self._me, channel] = thread
                self._print(f"You write in {user}'s conversation now.", "dim")
                return
        self._print("There is no customer's conversation yet.", "yellow")

    def _begin_anew(self, _: str) -> None:
        self._threads.pop((self._me, self._channel), None)
        self._print("Your next message begins a new conversation.", "dim")

    def _go_direct(self, _: str) -> None:
        self._go("dm")

    def _go(self, name: str) -> None:
        place = self.room.place(name, None, self._me)
        self._may_speak(self._me, place)
        self._channel = place.channel
        self._print(f"You write in {place.channel} now.", "dim")

    def _why(self, _: str) -> None:
        for line in why_lines(self._trace) if self._trace else ["Nothing has been decided yet."]:
            self._print(line, "dim")

    def _mine(self) -> str:
        return self._last_said.get(self._me, "")

    async def _speak(self, text: str) -> None:
        at = (self._me, self._channel)
        message = await self.say(self._me, text, self._channel, self._threads.get(at))
        self._last_said[self._me] = message
        if not self._is_desk and not self._channel.startswith("dm-"):
            self._threads.setdefault(at, message)

    async def _press(self, number: int) -> None:
        message_id, index = self._numbers[number]
        message = self.room.message(message_id)
        button = (
            message.content.buttons[index]
            if message.content and index < len(message.content.buttons)
            else None
        )
        if button and button.confirm:
            answer = await self._next(f"{button.confirm} [y/n] ")
            if (answer or "").strip().casefold() not in ("y", "yes"):
                return
        await self.press(self._me, message_id, index)

    # --- forms -------------------------------------------------------------------------------------------

    async def _fill_forms(self) -> None:
        while forms := self.forms(self._me):
            await self._fill(forms[-1])

    async def _fill(self, view: View) -> None:
        self._print(f"{clean(view.form.title)} (/cancel leaves it)", "bold")
        values = {i.id: i.value for i in view.form.inputs}
        wanted = list(view.form.inputs)
        while True:
            if not await self._ask(wanted, values):
                await self.dismiss(self._me, view.id)
                self._print("Left; nothing was sent.", "dim")
                return
            self._activity.clear()
            refused = await self.submit(self._me, view.id, values)
            if refused is None:
                await self._settled()
                return
            wanted = self._refused(view, refused)

    async def _ask(self, inputs: Iterable[FormInput], values: dict[str, str]) -> bool:
        """Fill in `values`; whether it was not cancelled."""
        for field in inputs:
            chosen = False
            while not chosen:
                typed = await self._next(f"{question_for(field)}: ")
                if typed is None or typed.strip() == "/cancel":
                    return False
                values[field.id] = answer_to(field, typed)
                chosen = not field.choices or values[field.id] in ("", *dict(field.choices))
                if not chosen:
                    self._print(f"{clean(typed)!r} is none of these.", "red")
        return True

    def _refused(self, view: View, refused: FormErrors) -> list[FormInput]:
        for words in refused.errors.values():
            self._print(clean(words), "red")
        again = [i for i in view.form.inputs if i.id in refused.errors]
        return again or list(view.form.inputs)

    # --- what is printed ---------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        kind, what = change
        if kind != "message" or not isinstance(what, Message):
            return
        if what.author == self._me:
            return
        self._activity.set()
        if self._concerns_me(what):
            self._show(what, again=False)
        elif is_new_card(what, self.room.desks):
            self._print("(The desk has a new card: /as an agent, then /staff.)", "dim")

    def _concerns_me(self, message: Message) -> bool:
        if message.private_to:
            return message.private_to == self._me
        if self._is_desk:
            return message.place.channel in (*self.room.desks, self._channel)
        return message.place.channel == self._channel

    def _show(self, message: Message, *, again: bool = True) -> None:
        """Print a message; without `again` only if it differs from how it was printed last. That buttons went is to
        be seen on a page; here it would be the same words once more."""
        if message.deleted:
            self._print("(a message was deleted)", "dim")
            return
        lines = self._printable(message)
        before = self._printed.get((self._me, message.id), [])
        if not again and before == lines:
            return
        self._printed[self._me, message.id] = lines
        content = message.content
        if message.edits and content and not content.buttons and set(lines[1:]) < told(before[1:]):
            return
        self._print(lines[0], "bold cyan" if not message.author else "bold")
        for line in lines[1:]:
            self._print(line)

    def _printable(self, message: Message) -> list[str]:
        author = message.speaking_as or self._actor(message.author).name
        channel = message.place.channel
        desk = "desk" if channel == self.room.staff_channel else channel if channel in self.room.desks else ""
        where = ", ".join(part for part in (desk, "edited" if message.edits else "") if part)
        buttons = message.content.buttons if message.content else ()
        return message_lines(
            message, author, where, [self._number(message.id, i) for i in range(len(buttons))]
        )

    def _number(self, message_id: str, index: int) -> int:
        for number, button in self._numbers.items():
            if button == (message_id, index):
                return number
        self._numbers[len(self._numbers) + 1] = (message_id, index)
        return len(self._numbers)

    def _print(self, words: str, style: str = "") -> None:
        """Print text that is clean already; rich's own markup is never read in it. Lines are as long as they are but
        on a terminal."""
        shown = "\n".join(wrapped(words, self._screen.width)) if self._live else words
        self._screen.print(Text(shown, style=style))


def is_new_card(message: Message, desks: Sequence[str]) -> bool:
    card = message.content is not None and bool(message.content.title)
    top_level = message.place.channel in desks and message.place.thread is None
    return card and top_level and not message.edits
