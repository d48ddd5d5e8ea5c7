"""Short stories of one conversation: every place where the power can go, and schedules that Hypothesis thinks up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.people import Agent, Customer
from tests.simulation import Options, Story, World, folder, play, silence
from tests.virtual_time import run
from tests.world import DESK, Shown, place

STATEMENTS = range(1, 920, 13)  # of a quiet world in which one customer and one agent meet


@pytest.mark.slow
@pytest.mark.parametrize("first", range(4))
def test_the_power_may_go_at_any_statement(first: int) -> None:
    """T-DEL-3: whatever was committed counts, whatever was not did not happen, and nobody is forgotten."""
    for statement in STATEMENTS[first::4]:
        story = play(5, Options(customers=1, agents=1, crashes=False, foul=False, cut_at=statement))

        assert story.seen["power cuts"] == 1
        assert not story.violations, f"cut at statement {statement}: {story.violations[:5]}"


ACTS = st.one_of(
    st.tuples(
        st.just("asks"), st.sampled_from(("how do refunds work?", "I want a HUMAN", "password or invoice?"))
    ),
    st.tuples(st.just("edits"), st.sampled_from(("how do invoices work?", "I want a HUMAN"))),
    st.tuples(st.just("agent writes"), st.just("I have got this one")),
    st.tuples(st.just("orders"), st.sampled_from(("!reply Hello", "!canned ask", "CANARY between us"))),
    st.tuples(st.sampled_from(("deletes", "claims", "presses", "crashes")), st.just("")),
)
SCHEDULES = st.lists(
    st.tuples(ACTS, st.sampled_from((0.0, 0.01, 0.5, 1.3, 6.0, 400.0, 90_000.0))), max_size=12
)


class Scripted(World):
    """A world in which just this happens."""

    def __init__(self, script: Sequence[Any], *rest: Any) -> None:
        super().__init__(*rest)
        self.script = script

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        return [self._perform()]

    async def _perform(self) -> None:
        customer, agent = Customer(self, "ana"), Agent(self, "dana")
        root = customer.say("how do refunds work?", place("help"))
        for number, ((act, text), pause) in enumerate(self.script):
            await asyncio.sleep(pause)
            thread, cards = place("help", root.id), self._cards(agent)
            match act:
                case "asks":
                    customer.say(f"{text} ({number})", thread)
                case "edits":
                    customer.edit(customer.mine()[-1] if customer.mine() else root, f"{text} ({number})")
                case "deletes" if customer.mine():
                    customer.delete(customer.mine()[-1])
                case "agent writes":
                    agent.say(f"{text} ({number})", thread)
                case "orders" if cards:
                    agent.say(text, place(DESK, cards[0].place.thread or cards[0].id))
                case "claims" if cards and cards[0].buttons:
                    agent.press(cards[0], cards[0].buttons[0])
                case "presses":
                    shown = customer.said_by_bot(lambda m: m.place.thread == root.id)
                    for message in shown[-1:]:
                        customer.press(message, message.buttons[0])
                case "crashes":
                    await self.crash(0.1)

    @staticmethod
    def _cards(agent: Agent) -> list[Shown]:
        return agent.said_by_bot(lambda m: m.place == place(DESK))


def perform(script: Sequence[Any], seed: int) -> Story:
    async def main() -> Story:
        with silence(), folder() as path:
            return await Scripted(script, seed, Options(), path).play()

    return run(main())


@pytest.mark.slow
@given(script=SCHEDULES, seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_no_schedule_of_one_conversation_breaks_a_promise(script: Sequence[Any], seed: int) -> None:
    assert not perform(script, seed).violations
