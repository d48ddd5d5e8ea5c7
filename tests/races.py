"""Two races, played very often: an answer against a person who steps in, and fifty agents for one ticket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from adapters.port import ActionInvoked, Button
from tests.people import Agent, Customer, Person
from tests.simulation import SETTLE_SECONDS, Options, World, folder, silence
from tests.virtual_time import run
from tests.world import Shown, place


@dataclass
class Outcome:
    """What came of many races in one world."""

    violations: list[str]
    races: int = 0
    spoken: int = 0  # the bot was faster
    withheld: int = 0  # a message of the bot was held back because a person had stepped in


def interleave(seed: int, races: int, options: Options | None = None) -> Outcome:
    """So many customers ask; into each conversation a person steps at a moment of its own."""

    async def main() -> Outcome:
        with silence(), folder() as path:
            world = World(seed, options or Options(crashes=False), path)
            return await _race(world, races)

    return run(main())


async def _race(world: World, races: int) -> Outcome:
    world.own.add(asyncio.current_task())  # type: ignore[arg-type]
    world.start()
    try:
        customers = [Customer(world, f"customer{n}") for n in range(races)]
        await asyncio.gather(*(world.task(_one(world, c)) for c in customers))
        await world.settle(SETTLE_SECONDS)
        look = world.process.writer.look  # type: ignore[union-attr]
        counts = dict(
            look(
                """SELECT state, count(*) FROM outbox WHERE audience = 'customer' AND voice = 'bot' GROUP BY state"""
            )
        )
        return Outcome(world.watch.violations, races, counts.get("sent", 0), counts.get("superseded", 0))
    finally:
        await world.process.kill()  # type: ignore[union-attr]


async def _one(world: World, customer: Customer) -> None:
    rng = world.rng
    agent = Agent(world, rng.choice(("dana", "kim", "lee")))
    await asyncio.sleep(rng.random() * 5)
    wants_person = rng.random() < 0.5
    root = customer.say("I want a HUMAN" if wants_person else "how do refunds work?", place("help"))
    if wants_person and rng.random() < 0.7:
        card = await _card(world, root)
        await asyncio.sleep(rng.expovariate(1 / 0.05))
        if card is not None:
            agent.press(card, Button("claim", card.buttons[0].arg, "Claim"))
    else:
        await asyncio.sleep(1.0 + rng.random() * 0.6)  # around the end of the debounce, while the bot works
        agent.say("Hello, I am a person", place("help", root.id))
    for _ in range(rng.randint(0, 2)):
        await asyncio.sleep(rng.random())
        customer.say("how do invoices work?", place("help", root.id))


async def _card(world: World, root: Shown) -> Shown | None:
    """The ticket's card, as soon as an agent can see it."""
    for _ in range(2000):
        process = world.process
        assert process is not None
        rows = process.writer.look(
            """SELECT message FROM anchors JOIN cases ON cases.id = case_id
               WHERE anchors.name LIKE 'T-%/card' AND conversation = ?""",
            (place("help", root.id).conversation,),
        )
        if rows and rows[0][0] in world.town.messages:
            return world.town.messages[rows[0][0]]
        await asyncio.sleep(0.02)
    return None


@dataclass
class Claims:
    """Who got the ticket and what the others were told."""

    violations: list[str]
    assignee: str
    claimed: int
    told: list[str]


def claim_at_once(seed: int, agents: int = 50) -> Claims:
    async def main() -> Claims:
        with silence(), folder() as path:
            return await _claims(World(seed, Options(crashes=False, foul=False), path), agents)

    return run(main())


async def _claims(world: World, count: int) -> Claims:
    world.own.add(asyncio.current_task())  # type: ignore[arg-type]
    world.start()
    try:
        root = Customer(world, "ana").say("I want a HUMAN", place("help"))
        card = await _card(world, root)
        assert card is not None
        agents = [_Claimer(world, f"agent{n}") for n in range(count)]
        for agent in agents:
            agent.claim(card)
        await world.settle(SETTLE_SECONDS)
        look = world.process.writer.look  # type: ignore[union-attr]
        told = [m.text for m in world.town.messages.values() if m.private_to.startswith("agent")]
        claimed = look("SELECT count(*) FROM journal WHERE decision = 'claim'")[0][0]
        assignee = look("SELECT assignee FROM tickets")[0][0]
        return Claims(world.watch.violations, assignee, claimed, told)
    finally:
        await world.process.kill()  # type: ignore[union-attr]


class _Claimer(Person):
    roles = frozenset({"agent"})

    def claim(self, card: Shown) -> None:
        self.post(ActionInvoked(**self._envelope(card.place), verb="claim", arg="T-1", source=card.ref))
