"""Pure decisions: how many a second on one core, and what an open conversation costs in memory."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections import Counter
from typing import Any

from adapters.port import Inbound
from benchmarks.measure import Outcome, measure, progress
from bot.statements import case_json
from handoff.decide import decide
from handoff.effects import Decision
from handoff.model import Case, Known
from handoff.policy import Policy
from tests.handoff.scene import ANA, BEN, INVOICE, KIM, LOGIN, REFUND, THREAD, Scene, found

Step = tuple[Case, Inbound, Known, float, Policy]


class Recorded(Scene):
    """A scene that notes every decision's input, so that exactly the decisions can be timed afterwards."""

    steps: list[Step]
    kinds: Counter[str]

    def play(self, event: Inbound, **known: Any) -> Decision:
        known.setdefault("next_number", 1042 + len(self.case.closed_tickets) + (self.case.ticket is not None))
        self.steps.append((self.case, event, Known(**known), self.now, self.policy))
        decision = super().play(event, **known)
        self.kinds[decision.kind] += 1
        return decision


def scene(steps: list[Step], kinds: Counter[str]) -> Recorded:
    made = Recorded()
    made.steps, made.kinds = steps, kinds
    return made


def mix() -> tuple[list[Step], Counter[str]]:
    """The events of a day on a desk: mostly answered questions, some clarified, every fifth goes to a person."""
    steps: list[Step] = []
    kinds: Counter[str] = Counter()
    for number in range(4):
        answered(scene(steps, kinds), number)
    for number in range(2):
        clarified(scene(steps, kinds), number)
    handed_over(scene(steps, kinds))
    collected(scene(steps, kinds))
    chatter(scene(steps, kinds))
    return steps, kinds


def answered(s: Recorded, number: int) -> None:
    s.asks(f"How do I get my money back for order {number}?", found(REFUND, INVOICE, LOGIN))
    if number % 2:
        s.presses(ANA, "helpful", f"{s.case.tried[-1].receipt}" if s.case.tried else "")
    s.asks("And how long does that take?", found(REFUND, INVOICE))
    s.passes(25 * 3600)


def clarified(s: Recorded, number: int) -> None:
    s.asks(f"It does not work since {number} days", found(INVOICE, LOGIN, sure=0.5))
    s.asks("I mean the invoice of last month", found(INVOICE, LOGIN))
    s.passes(25 * 3600)


def handed_over(s: Recorded) -> None:
    s.asks("My order INV-12345 never arrived", found(INVOICE, LOGIN, sure=0.2))
    s.asks("Let me talk to a person please", fired="human")
    s.presses(KIM, "claim")
    s.notes(KIM, "looks like a problem of the carrier")
    s.notes(KIM, "!reply Hello, I am looking into it.")
    s.asks("Thank you! It was sent to Berlin.")
    s.asks("The number of the parcel is 00340434161094042557.")
    s.notes(KIM, "!reply It arrives tomorrow; we are sorry for the delay.")
    s.edits(ANA, "m1", "Let me talk to a real person please")
    s.asks("Great, thanks!")
    s.submits(KIM, "resolve", kind="solved", cause="bug", summary="The carrier was late.", save="no")
    s.passes(60 * 3600)


def collected(s: Recorded) -> None:
    s.asks("Ich brauche hundred seats, what does that cost?", fired="quote")
    for text in ("Linux", "100", "2025-11-01", "skip"):
        s.asks(text)
    s.presses(KIM, "claim")
    s.presses(KIM, "release")


def chatter(s: Recorded) -> None:
    s.asks("How do refunds work?", found(REFUND))
    for number in range(3):
        s.asks(f"I had the same question, number {number}", by=BEN)


def decisions_per_second(steps: list[Step], seconds: float) -> float:
    """A second of one core's time, so that other programs do not count; best of three."""
    best = 0.0
    for turn in range(3):
        progress(turn, 3, "decisions")
        started, done = time.process_time(), 0
        while time.process_time() - started < seconds:
            for case, event, known, now, policy in steps:
                decide(case, event, known, now, policy)
            done += len(steps)
        best = max(best, done / (time.process_time() - started))
    return best


def memory(cases: int) -> tuple[float, float]:
    """(bytes in memory, bytes as stored) of a conversation that a person has just claimed."""
    kept: list[Case] = []
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(cases):
        s = Scene(place=THREAD)
        s.asks(
            f"My order INV-{number:06d} never arrived and I want to know why", found(INVOICE, LOGIN, sure=0.2)
        )
        s.asks(f"Let me talk to a person about INV-{number:06d} please", fired="human")
        s.presses(KIM, "claim")
        s.log.clear()
        kept.append(s.case)
        del s
        if number % 500 == 0:
            progress(number, cases, "memory of open conversations")
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / cases, len(case_json.dump_json(kept[-1]))


async def run(*, quick: bool) -> Outcome:
    steps, kinds = mix()
    rate = decisions_per_second(steps, 0.2 if quick else 5.0)
    used, stored = memory(100 if quick else 10_000)
    return {
        "measures": [
            measure("rate", "decisions a second on one core", rate, "decisions/s", ">= 20000"),
            measure("microseconds", "one decision", 1e6 / rate, "µs"),
            measure("memory", "an open conversation with a claimed ticket, in memory", used / 1024, "KB"),
            measure("stored", "the same as it is stored", stored / 1024, "KB"),
        ],
        "details": {"kinds": dict(kinds.most_common()), "steps": len(steps)},
    }  # fmt: skip
