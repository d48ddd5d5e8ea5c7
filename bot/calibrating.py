"""`firstline calibrate`: what a share of wrong answers buys, on this team's own knowledge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bot import shell_output as out
from bot.config import Config
from knowledge.confidence import ENOUGH
from knowledge.evaluate import Lines, Point, calibrate, read_labelled
from knowledge.library import Library

WIDTH, HEIGHT = 60, 12  # of the picture, in characters
EIGHTHS = " ▁▂▃▄▅▆▇█"
STEPS = 10  # rows of the table


async def calibrate_library(
    config: Config, max_wrong: float | None, transcripts: Path | None, *, apply: bool, json: bool
) -> int:
    """Show the risk-coverage curve and the lines that `max_wrong` draws on it. Without `apply` nothing is written."""
    from bot.asking import opened, today

    wrong = config.knowledge.max_wrong if max_wrong is None else max_wrong
    async with opened(config) as library:
        lines = await calibrate(library, max_wrong=wrong, labelled=transcripts, now=today(config))
    if json:
        out.as_json({**lines.to_json(), "applied": apply, "enough": enough(lines)})
    else:
        show(lines)
    if apply:
        await _apply(config, wrong, transcripts)
    return 0


async def _apply(config: Config, max_wrong: float, transcripts: Path | None) -> None:
    """Build with the labelled questions and this share, and put it to use."""
    from bot.app import library_of
    from bot.asking import today

    chosen = config.knowledge.model_copy(update={"max_wrong": max_wrong})
    library: Library = library_of(config.model_copy(update={"knowledge": chosen}))
    try:
        await library.open()
        if transcripts is not None:
            await library.keep_labelled([(row.question, row.expected) for row in read_labelled(transcripts)])
        with out.progress() as step:
            built = await library.build(config.knowledge.paths, progress=step, now=today(config))
        await library.activate(built.info.id)
    finally:
        library.close()
    told = [f"in use now: answers start at {built.info.threshold_answer:.0%} (snapshot {built.info.id})"]
    if max_wrong != config.knowledge.max_wrong:
        told.append(
            f"write max_wrong = {max_wrong:g} under [knowledge] in config.toml, or the next reload goes back to "
            f"{config.knowledge.max_wrong:g}"
        )
    told.append("a bot that is running follows with /firstline reload")
    for line in told:
        out.note(line)


def enough(lines: Lines) -> bool:
    """Whether the curve speaks for this knowledge at all."""
    return lines.rehearsed + lines.labelled >= ENOUGH


# --- for people ------------------------------------------------------------------------------------------------


def show(lines: Lines) -> None:
    if not enough(lines):
        out.say(
            f"Too little data: questions of this knowledge that could be rehearsed: {lines.rehearsed}, labelled ones: "
            f"{lines.labelled}; {ENOUGH} are needed to say how often an answer is wrong. Until then the line is drawn on the "
            "safe side. More `questions:` in the topics help, and real questions most: --transcripts FILE"
        )
    if lines.curve:
        out.say(f"Share of wrong answers (upwards) for the share of questions answered (to the right), as far as "
                f"{lines.rehearsed} rehearsed and {lines.labelled} labelled questions say")  # fmt: skip
        for row in picture(lines.curve, lines.max_wrong, lines.coverage):
            out.say(row)
        out.table(["answered", "wrong", "from confidence"], rows(lines.curve))
    out.table(
        ["", ""],
        [
            ["wrong answers that you accept", f"{lines.max_wrong:.1%}"],
            ["answers start at a confidence of", f"{lines.threshold_answer:.3f}"],
            ["asking back starts at", f"{lines.threshold_clarify:.3f}"],
            ["questions answered", f"{lines.coverage:.0%}"],
            ["of the answers, wrong", f"{lines.risk:.1%}"],
            *([f"in {name}, answers start at", f"{start:.3f}"] for name, start in lines.categories.items()),
        ],
        f"What that means for snapshot {lines.snapshot}",
    )
    if lines.note:
        out.say(lines.note)


def rows(curve: Sequence[Point]) -> list[list[str]]:
    """The curve at each tenth of the questions."""
    picked = [_at(curve, step / STEPS) for step in range(1, STEPS + 1)]
    return [[f"{p.coverage:.0%}", f"{p.risk:.1%}", f"{p.threshold:.3f}"] for p in picked]


def picture(curve: Sequence[Point], max_wrong: float, coverage: float) -> list[str]:
    """The curve as columns of blocks; ┄ is the accepted share, ▲ how far the line lets answers go."""
    top = max(0.01, max_wrong, *(point.risk for point in curve)) * 1.1
    risks = [_at(curve, (column + 1) / WIDTH).risk for column in range(WIDTH)]
    limit = int(max_wrong / top * HEIGHT)
    drawn = []
    for row in range(HEIGHT - 1, -1, -1):
        filled = [max(0.0, min(1.0, risk / top * HEIGHT - row)) for risk in risks]
        cells = [EIGHTHS[round(share * 8)] for share in filled]
        if row == limit:
            cells = ["┄" if cell == " " else cell for cell in cells]
        label = f"{max_wrong:.1%}" if row == limit else f"{top:.0%}" if row == HEIGHT - 1 else ""
        drawn.append(f"{label:>6} │{''.join(cells)}")
    drawn.append(f"{'':>6} └{'─' * WIDTH}")
    mark = min(WIDTH - 1, round(coverage * WIDTH))
    drawn.append(f"{'':>8}{' ' * mark}▲ {coverage:.0%} answered")
    return drawn


def _at(curve: Sequence[Point], coverage: float) -> Point:
    """The first point that answers at least so many."""
    return next((point for point in curve if point.coverage >= coverage), curve[-1])
