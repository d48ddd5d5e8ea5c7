"""Many at once: one person who writes a hundred times, people who talk among themselves, bots that answer bots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from adapters.port import Actor
from tests.people import Customer, Person
from tests.simulation import SETTLE_SECONDS, Options, World, folder, silence
from tests.virtual_time import run
from tests.world import BOT, NAME, place

Scene = Callable[[World], Awaitable[None]]


def staged(scene: Scene, seed: int = 1, *, foul: bool = False) -> World:
    """A world in which just this happens, looked at when nothing is left to do."""

    async def main() -> World:
        with silence(), folder() as path:
            world = World(seed, Options(crashes=False, foul=foul), path)
            world.own.add(asyncio.current_task())  # type: ignore[arg-type]
            world.start()
            assert world.process is not None
            try:
                await scene(world)
                await world.settle(SETTLE_SECONDS)
                world.watch.final(world.postbox.accepted)
                world.counts["tickets"] = world.process.writer.look("SELECT count(*) FROM tickets")[0][0]
            finally:
                await world.process.kill()
            return world

    return run(main())


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_messages_of_one_person_at_once_are_one_ticket(seed: int) -> None:
    """T-DEL-6."""

    async def scene(world: World) -> None:
        ana = Customer(world, "ana")
        for number in range(100):
            ana.say(f"I want a HUMAN ({number})", place("dm-ana"))

    world = staged(scene, seed, foul=True)

    assert world.watch.violations == []
    assert world.counts["tickets"] == 1


def test_people_who_talk_among_themselves_are_left_alone() -> None:
    """T-ANS-7: a thousand messages of three people, and not one of the bot's."""

    async def scene(world: World) -> None:
        people = [Person(world, name) for name in ("ana", "ben", "chloe")]
        root = people[0].say("how do refunds work?", place("talk"))
        for number in range(999):
            where = place("talk", root.id) if number % 3 else place("talk")
            people[number % 3].say(f"how do invoices work? ({number})", where)
            await asyncio.sleep(0.2)

    world = staged(scene)

    assert world.watch.violations == []
    assert not [m for m in world.town.messages.values() if m.author is BOT]


def test_bots_do_not_talk_with_each_other() -> None:
    """T-ANS-8: another bot answers whatever is said in our conversation, for ever if it is let."""

    async def scene(world: World) -> None:
        ana, other = Customer(world, "ana"), Person(world, "otherbot")
        other.actor = replace(Actor(NAME, NAME, "otherbot", "Other bot"), is_bot=True)
        root = ana.say("how do refunds work?", place("help"))
        for _ in range(300):
            await asyncio.sleep(2.0)
            other.say("@bot how do invoices work?", place("help", root.id), mention=True)

    world = staged(scene)

    assert world.watch.violations == []
    assert len([m for m in world.town.messages.values() if m.author is BOT]) == 1
