"""Dialogues that a support lead can read and sign, and that are executed: docs/testing.md tells the format.

`Runner` plays the steps of a `Dialogue` through a `Driver`, which is one chat platform as people see it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.dialogue import Dialogue, Step, TranscriptError, labels_match, matches

PATIENCE_SECONDS = 12.0  # so long an expected message may take: longer than the debounce and the undo window
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True)
class Seen:
    """One message as a person sees it. `author` is empty for the bot; `name` is the name that it shows."""

    id: str
    channel: str
    thread: str | None
    author: str
    name: str
    text: str
    buttons: tuple[str, ...] = ()
    handles: tuple[Any, ...] = ()  # what the platform needs to press each button

    @property
    def by_bot(self) -> bool:
        return not self.author


@dataclass(frozen=True)
class OpenForm:
    id: str
    title: str
    labels: tuple[str, ...]


class Driver(Protocol):
    """A platform as people use it. Threads are named by the id of the message that they hang on."""

    async def say(
        self, user: str, text: str, channel: str, thread: str | None = None, files: Sequence[str] = ()
    ) -> str: ...
    async def edit(self, user: str, message: str, text: str) -> None: ...
    async def delete(self, user: str, message: str) -> None: ...
    async def react(self, user: str, message: str, emoji: str) -> None: ...
    async def press(self, user: str, message: Seen, label: str) -> None: ...
    async def submit(self, user: str, form: str, values: Mapping[str, str]) -> Mapping[str, str]: ...
    async def command(self, user: str, text: str) -> None: ...
    async def menu(self, user: str, verb: str, message: str) -> None: ...
    async def leave(self, user: str) -> None: ...
    def seen(self, channel: str, thread: str | None = None) -> list[Seen]: ...
    def whispers(self, user: str) -> list[Seen]: ...
    def forms(self, user: str) -> list[OpenForm]: ...
    def is_solved(self, thread: str) -> bool: ...
    def refuse(self, user: str) -> None: ...
    async def advance(self, seconds: float, until: Any = None) -> bool: ...
    async def settle(self) -> None: ...
    async def restart(self) -> None: ...
    async def stop(self) -> None: ...
    async def start(self) -> None: ...
    async def card(self, ticket: str) -> tuple[str, str] | None: ...
    async def change_knowledge(self, file: str, old: str, new: str) -> None: ...


class Runner:
    """Plays one dialogue; raises `TranscriptError` at the first line that does not come true."""

    def __init__(self, dialogue: Dialogue, driver: Driver) -> None:
        self.dialogue, self.driver = dialogue, driver
        self.threads: dict[str, tuple[str, str | None]] = {}  # customer -> (channel, thread)
        self.said: list[tuple[str, str, str]] = []  # (who, message id, text)
        self.errors: dict[str, Mapping[str, str]] = {}
        self.heard: set[str] = set()
        self.cards: dict[str, tuple[str, str]] = {}  # ticket -> (staff channel, card)
        self.album: dict[tuple[str, str], Seen] = {}  # (message, label) -> the message as it once was

    async def play(self) -> None:
        for step in self.dialogue.steps:
            try:
                self._remember()
                await getattr(self, f"_{step.verb}")(step)
            except TranscriptError as error:
                raise TranscriptError(f"line {step.line}: {step.text}\n{error}") from None
        await self._silence(None)

    # --- what people do -----------------------------------------------------------------------------------

    async def _say(self, step: Step) -> None:
        a = step.args
        channel, thread = await self._where(step)
        files = [f.strip() for f in a["files"].split(",")] if a["files"] else []
        message = await self.driver.say(a["who"], a["text"].replace("⏎", "\n"), channel, thread, files)
        self.said.append((a["who"], message, a["text"]))
        if a["role"] == "customer" and thread is None:
            self.threads[a["who"]] = (channel, None if channel == "dm" else message)

    async def _where(self, step: Step) -> tuple[str, str | None]:
        a = step.args
        where = a.get("where", "")
        if where.startswith("#") or where == "dm":
            return where.removeprefix("#"), None
        if where.endswith("'s thread"):
            return self.threads[where.removesuffix("'s thread")]
        if where:
            return await self._ticket_thread(where)
        if a["role"] == "customer":
            return self.threads.get(a["who"], ("help", None))
        return await self._ticket_thread(await self._last_ticket())

    async def _ticket_thread(self, ticket: str) -> tuple[str, str | None]:
        await self.driver.advance(PATIENCE_SECONDS, lambda: self._has_card(ticket))
        if ticket not in self.cards:
            raise TranscriptError(f"there is no card of {ticket}")
        return self.cards[ticket]

    async def _has_card(self, ticket: str) -> bool:
        found = await self.driver.card(ticket)
        if found is not None:
            self.cards[ticket] = found
        return ticket in self.cards

    async def _last_ticket(self) -> str:
        last = ""
        for number in range(1, 50):
            if await self._has_card(f"T-{number}"):
                last = f"T-{number}"
        return last or "T-1"

    async def _press(self, step: Step) -> None:
        a, found = step.args, None

        async def there() -> bool:
            nonlocal found
            found = await self._with_button(a["who"], a["label"], a["where"], old=bool(a["old"]))
            return found is not None

        await self.driver.advance(PATIENCE_SECONDS, there)
        if found is None:
            raise TranscriptError(f"{a['who']} sees no button [{a['label']}]")
        await self.driver.press(a["who"], found, a["label"])

    def _remember(self) -> None:
        """People press what they saw, even if it has changed since."""
        for owner in self.threads:
            for seen in (*self._in_thread(owner), *self._desk()):
                self.album.update({(seen.id, label): seen for label in seen.buttons})

    async def _with_button(self, who: str, label: str, where: str, *, old: bool) -> Seen | None:
        """The newest message with that button; `where` is a ticket, a person's thread, or words of the message."""
        self._remember()
        pool = [*self._desk(), *self.driver.whispers(who)]
        for owner in self.threads:
            pool += self._in_thread(owner)
        if where.startswith("T-"):
            _, card = await self._ticket_thread(where)
            pool = [m for m in pool if card in (m.thread, m.id)]
        elif where.endswith("'s thread"):
            pool = self._in_thread(where.removesuffix("'s thread"))
        elif where:
            pool = [m for m in pool if matches(where.strip('"'), m.text)]
        elif who in self.threads:
            pool = [*self._in_thread(who), *self.driver.whispers(who)]
        if old:
            pool = [self.album[m.id, label] for m in pool if (m.id, label) in self.album]
        return next((m for m in reversed(_sorted(pool)) if label in m.buttons), None)

    async def _submit(self, step: Step) -> None:
        a = step.args
        await self.driver.settle()
        forms = self.driver.forms(a["who"])
        form = next((f for f in reversed(forms) if a["form"] in ("", f.id)), None)
        if form is None:
            raise TranscriptError(f"{a['who']} has no open form {a['form']!r}, only {[f.id for f in forms]}")
        values = dict(word.split("=", 1) for word in shlex.split(a["values"]))
        self.errors[a["who"]] = await self.driver.submit(a["who"], form.id, values)

    async def _command(self, step: Step) -> None:
        await self.driver.command(step.args["who"], step.args["text"])

    async def _edit(self, step: Step) -> None:
        await self.driver.edit(step.args["who"], self._own(step), step.args["new"])
        who, message, _ = next(s for s in self.said if s[1] == self._own(step))
        self.said = [s if s[1] != message else (who, message, step.args["new"]) for s in self.said]

    async def _delete(self, step: Step) -> None:
        await self.driver.delete(step.args["who"], self._own(step))

    def _own(self, step: Step) -> str:
        for who, message, text in reversed(self.said):
            if who == step.args["who"] and matches(step.args["old"], text):
                return message
        raise TranscriptError(f"{step.args['who']} never said {step.args['old']!r}")

    async def _react(self, step: Step) -> None:
        for owner in self.threads:
            for seen in reversed(self._in_thread(owner)):
                if matches(step.args["old"], seen.text):
                    await self.driver.react(step.args["who"], seen.id, step.args["emoji"])
                    return
        raise TranscriptError(f"nobody said {step.args['old']!r}")

    async def _menu(self, step: Step) -> None:
        found = next((m for _, m, text in reversed(self.said) if matches(step.args["old"], text)), None)
        if found is None:
            raise TranscriptError(f"nobody said {step.args['old']!r}")
        await self.driver.menu(step.args["who"], step.args["verb"], found)

    async def _leave(self, step: Step) -> None:
        await self.driver.leave(step.args["who"])

    async def _refuse(self, step: Step) -> None:
        self.driver.refuse(self.threads[step.args["who"]][1] or step.args["who"])

    async def _knowledge(self, step: Step) -> None:
        await self.driver.change_knowledge(step.args["file"], step.args["old"], step.args["new"])

    async def _after(self, step: Step) -> None:
        await self.driver.advance(float(step.args["count"]) * UNITS[step.args["unit"]])

    async def _restart(self, _: Step) -> None:
        await self.driver.restart()

    async def _stop(self, _: Step) -> None:
        await self.driver.stop()

    async def _start(self, _: Step) -> None:
        await self.driver.start()

    # --- what must come of it -----------------------------------------------------------------------------

    def _in_thread(self, owner: str) -> list[Seen]:
        channel, thread = self.threads.get(owner, ("dm", None))
        where = f"dm-{owner}" if channel == "dm" else channel
        return list(self.driver.seen(where, thread))

    def _desk(self) -> list[Seen]:
        """Everything in the staff channel, threads included."""
        return _sorted([m for m in self.driver.seen("desk") if m.by_bot])

    def _unheard(self, pool: Sequence[Seen]) -> list[Seen]:
        return [m for m in pool if m.by_bot and m.id not in self.heard]

    async def _heard(self, step: Step) -> None:
        """The next thing that this customer hears is this, word for word where words are given."""
        who, name = step.args["who"], step.args["name"]
        await self._await(lambda: self._unheard(self._in_thread(who)), step, first=True, name=name)

    async def _whisper(self, step: Step) -> None:
        await self._await(lambda: self._unheard(self.driver.whispers(step.args["who"])), step)

    async def _staff(self, step: Step) -> None:
        await self._staff_line(step, None)

    async def _staff_line(self, step: Step, thread: str | None) -> None:
        def pool() -> list[Seen]:
            return [
                m
                for m in self._unheard(_sorted(self.driver.seen("desk")))
                if thread in (None, m.thread, m.id)
            ]

        await self._await(pool, step)

    async def _ticket(self, step: Step) -> None:
        _, thread = await self._ticket_thread(step.args["ticket"])
        await self._staff_line(step, thread)

    async def _await(self, pool: Any, step: Step, *, first: bool = False, name: str = "bot") -> None:
        found: Seen | None = None

        async def there() -> bool:
            nonlocal found
            candidates = pool()[:1] if first else pool()
            found = next((m for m in candidates if matches(step.args["text"], m.text)), None)
            return bool(candidates) if first else found is not None

        await self.driver.advance(PATIENCE_SECONDS, there)
        if found is None:
            raise TranscriptError(_instead(pool()))
        self.heard.add(found.id)
        if (found.name or "bot").lower() != name.lower():
            raise TranscriptError(f"it was said by {found.name or 'the bot'}")
        if step.buttons is not None and not labels_match(step.buttons, found.buttons):
            raise TranscriptError(f"its buttons are {' '.join(f'[{b}]' for b in found.buttons) or 'none'}")

    async def _form(self, step: Step) -> None:
        await self.driver.settle()
        forms = self.driver.forms(step.args["who"])
        labels = step.args["labels"]
        if not any(
            matches(step.args["title"], f.title) and labels in ("", ", ".join(f.labels)) for f in forms
        ):
            raise TranscriptError(f"open are {[(f.title, ', '.join(f.labels)) for f in forms]}")

    async def _error(self, step: Step) -> None:
        errors = self.errors.get(step.args["who"], {})
        if not any(matches(step.args["text"], e) for e in errors.values()):
            raise TranscriptError(f"it was refused with {dict(errors)}" if errors else "it was accepted")

    async def _shows(self, step: Step) -> None:
        async def visible() -> list[Seen]:
            if step.args.get("ticket"):
                _, thread = await self._ticket_thread(step.args["ticket"])
                return [m for m in self.driver.seen("desk") if thread in (m.thread, m.id)]
            return self._in_thread(step.args["who"])

        async def there() -> bool:
            return any(matches(step.args["text"], m.text) for m in await visible())

        wanted = step.args["how"] == "shows"

        async def right() -> bool:
            return await there() == wanted

        if not await self.driver.advance(PATIENCE_SECONDS, right):
            raise TranscriptError(_instead(await visible()))

    async def _solved(self, step: Step) -> None:
        await self.driver.settle()
        if not self.driver.is_solved(self.threads[step.args["who"]][1] or ""):
            raise TranscriptError("it is not")

    async def _silence(self, _: Step | None) -> None:
        """Nothing that a customer can read is unexpected."""
        await self.driver.advance(PATIENCE_SECONDS)
        for owner in self.threads:
            extra = self._unheard([*self._in_thread(owner), *self.driver.whispers(owner)])
            if extra:
                raise TranscriptError(f"{owner} also hears: {_instead(extra)}")


def _sorted(pool: Sequence[Seen]) -> list[Seen]:
    return sorted({m.id: m for m in pool}.values(), key=lambda m: (len(m.id), m.id))


def _instead(pool: Sequence[Seen]) -> str:
    lines = [f"  {m.name or 'bot'}: {m.text!r} {' '.join(f'[{b}]' for b in m.buttons)}" for m in pool]
    return "\n".join(lines) if lines else "nothing was said"
