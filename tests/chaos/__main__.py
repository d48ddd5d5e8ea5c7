"""Worlds, races, missing safeguards and kill -9, as long as one likes. Prints what was covered; 1 if anything broke."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import multiprocessing.pool
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.killing import kill_often
from tests.chaos.work import RACES_AT_ONCE, one_race, one_world
from tests.mutations import MUTATIONS
from tests.races import claim_at_once
from tests.simulation import play

TELL_SECONDS = 5.0
ENOUGH_WORLDS = 300


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(w) for w in words) + "\n")
    sys.stdout.flush()


def worlds(pool: multiprocessing.pool.Pool, first: int, count: int) -> list[str]:
    """So many worlds; every violation with the seed that shows it again."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    started = told = time.monotonic()
    for number, story in enumerate(pool.imap_unordered(one_world, range(first, first + count), 8), 1):
        seen += story.seen
        found += [f"world {story.seed}: {v}" for v in story.violations[:3]]
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            say(
                f"  {number}/{count} worlds, {len(found)} violations, {number / (told - started):.0f} a second"
            )
    say(f"{count} worlds in {time.monotonic() - started:.0f} s, {len(found)} violations. They held:")
    for line in covered(seen):
        say(f"  {line}")
    return found


def covered(seen: Counter[str]) -> Iterator[str]:
    """What happened in all worlds, by kind."""
    groups = {"events": "event ", "decisions": "decision ", "ticket states": "state ", "presses": "pressed "}
    rest = dict(seen)
    for title, prefix in groups.items():
        mine = {k.removeprefix(prefix): rest.pop(k) for k in list(rest) if k.startswith(prefix)}
        yield f"{title}: " + ", ".join(f"{k} {v:,}" for k, v in sorted(mine.items(), key=lambda i: -i[1]))
    yield "trouble: " + ", ".join(f"{k} {v:,}" for k, v in sorted(rest.items(), key=lambda i: -i[1]))


def races(pool: multiprocessing.pool.Pool, first: int, count: int) -> list[str]:
    found: list[str] = []
    spoken = withheld = 0
    started = time.monotonic()
    for seed, violations, said, held in pool.imap_unordered(
        one_race, range(first, first + count // RACES_AT_ONCE)
    ):
        found += [f"races {seed}: {v}" for v in violations[:3]]
        spoken, withheld = spoken + said, withheld + held
    say(
        f"{count} times a person stepped in while the bot spoke, in {time.monotonic() - started:.0f} s: {spoken} bot"
        f" messages were faster, {withheld} were held back, {len(found)} came late"
    )
    return found


def claims(count: int) -> list[str]:
    found: list[str] = []
    for seed in range(count):
        result = claim_at_once(seed)
        if result.violations or result.claimed != 1 or len(result.told) != 49:
            found.append(
                f"claims {seed}: {result.claimed} claimed, {len(result.told)} told, {result.violations[:2]}"
            )
    say(f"{count} times fifty agents claimed at once: {len(found)} times not exactly one had it")
    return found


def teeth() -> list[str]:
    """Each safeguard is taken away; some world must notice."""
    found: list[str] = []
    for name, options in MUTATIONS.items():
        noticed = next((seed for seed in range(ENOUGH_WORLDS) if play(seed, options).violations), None)
        say(f"  without {name}: " + ("NOT NOTICED" if noticed is None else f"noticed in world {noticed}"))
        found += [f"nothing notices that {name} is missing"] if noticed is None else []
    return found


def kills(count: int, questions: int, seed: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="firstline-kill-") as folder:
        started = time.monotonic()

        def tell(line: str) -> None:
            if line.split(" ")[1].endswith("0"):
                say(f"  {line}")

        result = asyncio.run(kill_often(count, questions, Path(folder), seed, tell))
    say(
        f"{result.kills} times kill -9 during {result.questions} questions, in {time.monotonic() - started:.0f} s:"
        f" {len(result.unanswered)} unanswered, {len(result.doubled)} answered twice, database {result.intact}"
    )
    wrong = result.unanswered or result.doubled or result.repeated_keys or result.intact != "ok"
    return [f"kill -9 (seed {seed}): {result}"] if wrong else []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--worlds", type=int, default=10_000)
    parser.add_argument("--races", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--first", type=int, default=100_000, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this world alone, and tell what happened")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if args.seed is not None:
        story = one_world(args.seed)
        say("\n".join([*covered(story.seen), *(story.violations or ["nothing broke"])]))
        return 1 if story.violations else 0
    context = multiprocessing.get_context("spawn")
    with context.Pool(args.processes) as pool:
        found = worlds(pool, args.first, args.worlds) if args.worlds else []
        found += races(pool, args.first, args.races) if args.races else []
    found += claims(20) if args.races else []
    if args.worlds:
        say("safeguards taken away, one at a time:")
        found += teeth()
    if args.kills:
        found += kills(args.kills, args.questions, args.first)
    for line in found[:50]:
        say(f"BROKEN {line}")
    say("all held" if not found else f"{len(found)} broken")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
