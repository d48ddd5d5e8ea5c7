"""Who lives in a simulated world: customers who ask and correct themselves, agents who claim and reply, a stranger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from adapters.port import (
    ActionInvoked,
    Actor,
    Button,
    Envelope,
    Form,
    FormErrors,
    FormSubmitted,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Place,
    ReactionChanged,
)
from tests.invariants import CANARY
from tests.world import BOT, DESK, NAME, Shown, place

if TYPE_CHECKING:
    from tests.simulation import World

QUESTIONS = (
    "how do refunds work?", "password or invoice?", "collect my refund please", "can you draft something about plans?",
    "what is the meaning of life?", "I want a HUMAN", "the server is DOWN for everyone", "this makes me ANGRY",
    "the export is BROKEN", "where are my calendars?", "LONG story about a plan", "my LAWYER will call you",
)  # fmt: skip
REPLIES = (
    "and what about invoices?", "still not clear", "12345", "ana@example.org", "skip", "cancel", "back",
    "thanks", "hello", "how do refunds work?", "version 3", "@bot a HUMAN please", "you INSULT",
)  # fmt: skip


class Person:
    """Somebody who does one thing after the other, at the world's pace."""

    roles: frozenset[str] = frozenset()

    def __init__(self, world: World, name: str) -> None:
        self.world, self.rng, self.town = world, world.rng, world.town
        self.actor = Actor(NAME, NAME, name, name.title(), roles=self.roles)
        self._sending: set[asyncio.Task[Any]] = set()

    async def live(self, acts: int) -> None:
        for _ in range(self.rng.randint(acts // 2, acts)):
            quick = self.rng.random() < 0.4
            await asyncio.sleep(self.rng.expovariate(1 / (0.3 if quick else self.world.gap)))
            self.act()
            if self.world.fifo:
                await self._delivered()
        await self._delivered()

    async def _delivered(self) -> None:
        while self._sending:
            await asyncio.gather(*self._sending)

    def act(self) -> None:
        raise AssertionError("everybody does something of their own")

    # --- what anybody can do ------------------------------------------------------------------------------

    def post(self, event: Envelope, then: Any = None) -> None:
        before = list(self._sending) if self.world.fifo else []

        async def work() -> None:
            if before:
                await asyncio.gather(*before)
            answer = await self.world.postbox.send(event)  # type: ignore[arg-type]
            if then is not None:
                then(answer)

        task = self.world.task(work())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _envelope(self, where: Place, *keys: str) -> dict[str, Any]:
        number = self.world.number()
        return {
            "keys": (f"delivery:{number}", *keys), "place": where, "actor": self.actor,
            "occurred_at": self.world.clock.now(),
        }  # fmt: skip

    def say(self, text: str, where: Place, *, mention: bool = False) -> Shown:
        shown = self.town.say(self.actor, text, where)
        home = where if where.thread or where.kind == "dm" else place(where.channel, shown.id)
        self.post(
            MessageReceived(
                **self._envelope(home, f"msg:{shown.id}"), ref=MsgRef(home, shown.id), text=text,
                order=(int(shown.id),), is_root=where.thread is None, mentions_bot=mention or "@bot" in text,
            )
        )  # fmt: skip
        return shown

    def edit(self, shown: Shown, text: str) -> None:
        shown.text, shown.edits = text, shown.edits + 1
        home = self._home(shown)
        self.post(
            MessageEdited(
                **self._envelope(home, f"edit:{shown.id}:{shown.edits}"),
                ref=MsgRef(home, shown.id),
                text=text,
            )
        )

    def delete(self, shown: Shown) -> None:
        shown.deleted = True
        home = self._home(shown)
        self.post(MessageDeleted(**self._envelope(home, f"del:{shown.id}"), ref=MsgRef(home, shown.id)))

    def react(self, shown: Shown, emoji: str) -> None:
        home = self._home(shown)
        self.post(ReactionChanged(**self._envelope(home), ref=shown.ref, emoji=emoji, added=True))

    def press(self, shown: Shown, button: Button) -> None:
        event = ActionInvoked(
            **self._envelope(shown.place), verb=button.verb, arg=button.arg, source=shown.ref
        )
        self.world.counts[f"pressed {button.verb}"] += 1
        self.post(event, lambda answer: self._fill(answer, shown.place))

    def _fill(self, answer: Form | FormErrors | None, where: Place, tries: int = 0) -> None:
        form = answer.form if isinstance(answer, FormErrors) else answer
        if form is None or tries > 2:
            return
        values = {i.id: self._value(i.id, i.choices, tries) for i in form.inputs}
        event = FormSubmitted(**self._envelope(where), form=form.id, context=form.context, values=values)
        self.post(event, lambda errors: self._fill(errors, where, tries + 1))

    def _value(self, name: str, choices: tuple[tuple[str, str], ...], tries: int) -> str:
        if choices:
            return self.rng.choice(choices)[0]
        good = {"email": "ana@example.org", "order": "12345", "to": self.rng.choice(("dana", "kim"))}
        return good.get(name, f"words {self.world.number()}") if tries or self.rng.random() < 0.8 else "?"

    def _home(self, shown: Shown) -> Place:
        return shown.place if shown.place.thread else place(shown.place.channel, shown.id)

    def mine(self) -> list[Shown]:
        return [m for m in self.town.messages.values() if m.author.id == self.actor.id and not m.deleted]

    def said_by_bot(self, where: Any) -> list[Shown]:
        return [
            m for m in self.town.messages.values()
            if m.author is BOT and m.buttons and where(m) and m.private_to in ("", self.actor.id)
        ]  # fmt: skip


class Customer(Person):
    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.roots: list[Shown] = []

    def act(self) -> None:
        dice = self.rng.random()
        if not self.roots or dice < 0.12:
            self._ask()
            return
        root = self.rng.choice(self.roots[-2:])
        buttons = self.said_by_bot(lambda m: m.place.thread == root.id)
        if dice < 0.5:
            self.say(self._words(REPLIES), place(root.place.channel, root.id))
        elif dice < 0.75 and buttons:
            shown = self.rng.choice(buttons[-3:])
            self.press(shown, self.rng.choice(shown.buttons))
        elif dice < 0.85 and self.mine():
            self.edit(self.rng.choice(self.mine()[-3:]), self._words(QUESTIONS))
        elif dice < 0.92 and self.mine():
            self.delete(self.rng.choice(self.mine()[-3:]))
        elif buttons:
            self.react(buttons[-1], self.rng.choice(("+1", "-1", "eyes")))

    def _ask(self) -> None:
        self.roots.append(self.say(self._words(QUESTIONS), place("help")))
        while self.rng.random() < 0.3:
            self.say(self._words(REPLIES), place("help", self.roots[-1].id))

    def _words(self, templates: tuple[str, ...]) -> str:
        text = self.rng.choice(templates)
        return text if self.rng.random() < 0.4 else f"{text} ({self.world.number()})"


class Agent(Person):
    roles = frozenset({"agent"})

    def act(self) -> None:
        dice = self.rng.random()
        cards = self.said_by_bot(lambda m: m.place.channel.startswith(DESK))
        roots = [m for m in self.town.messages.values() if m.place == place("help") and m.author is not BOT]
        if cards and dice < 0.5:
            self._press(self.rng.choice(cards[-8:]))
        elif cards and dice < 0.85:
            self._write(self.rng.choice(cards[-8:]))
        elif roots and 0.85 <= dice < 0.93:
            root = self.rng.choice(roots[-3:])
            self.world.counts["takeovers by writing"] += 1
            self.say(
                f"Hello from {self.actor.name} {self.world.number()}",
                place("help", root.id),
                mention=dice > 0.92,
            )
        elif cards and dice < 0.96 and self.world.options.foul:
            self.rng.choice(cards).deleted = True  # somebody tidies up the staff channel
            self.world.counts["cards deleted"] += 1

    def _press(self, shown: Shown) -> None:
        wanted = [b for b in shown.buttons if b.verb in ("claim", "reply", "resolve", "undo")]
        pool = wanted if wanted and self.rng.random() < 0.6 else list(shown.buttons)
        self.press(shown, self.rng.choice(pool))

    def _write(self, card: Shown) -> None:
        thread = place(card.place.channel, card.place.thread or card.id)
        number, dice = self.world.number(), self.rng.random()
        if dice < 0.3:
            self.say(f"{CANARY} {number} between us", thread)
        elif dice < 0.75:
            self.say(f"!reply An answer {number}", thread)
        elif dice < 0.85:
            self.say(self.rng.choice(("!canned thanks", "!canned ask", "!canned nothing", "!what")), thread)
        else:
            orders = [m for m in self.mine() if m.text.startswith("!reply")]
            if orders and dice < 0.93:
                self.edit(orders[-1], f"!reply Corrected {number}")
            elif orders:
                self.delete(orders[-1])


class Stranger(Person):
    """Somebody who has no business here: writes into threads, presses what is not for them."""

    def act(self) -> None:
        if self.rng.random() < 0.7:
            return
        roots = [m for m in self.town.messages.values() if m.place == place("help") and m.author is not BOT]
        shown = self.said_by_bot(lambda m: not m.private_to)
        if roots and self.rng.random() < 0.3:
            self.say(f"me too {self.world.number()}", place("help", self.rng.choice(roots).id))
        elif shown:
            message = self.rng.choice(shown)
            self.press(message, self.rng.choice(message.buttons))
