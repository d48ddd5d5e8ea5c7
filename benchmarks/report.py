"""docs/benchmarks.md, from results.json and the catalogue alone: the same figures give the same page."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.catalogue import BENCHMARKS, Benchmark
from benchmarks.measure import ROOT
from benchmarks.results import MeasureRow, Results, Run

PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
HEAD = """# Benchmarks

Written by `make bench` from benchmarks/results.json; the sentences are in benchmarks/catalogue.py. Nothing here is
chosen on the data that it reports. `python -m benchmarks --list` names the benchmarks, `python -m benchmarks NAME` runs
one of them.
"""
BUSY = 1.0  # processes that wanted a core before the run; more, and its times are worth less


def render(results: Results | None) -> None:
    """Write the page and its pictures."""
    if results is None:
        return
    from benchmarks.pictures import draw

    draw(results, IMAGES)
    PAGE.write_text(page(results), "utf-8")


def page(results: Results) -> str:
    return "\n".join([HEAD, *_machine(results), *_summary(results), *_sections(results)]).rstrip() + "\n"


def shown(row: MeasureRow) -> str:
    """A figure as people read it."""
    if row.value is None:
        return "not measured"
    value = f"{row.value:,.0f}" if abs(row.value) >= 1000 else f"{row.value:.4g}"
    return f"{value}{'' if row.unit in ('', '×') else ' '}{row.unit}"


def aimed(row: MeasureRow) -> str:
    return row.aim.replace(">=", "≥").replace("<=", "≤")


def _machine(results: Results) -> Iterator[str]:
    m = results.machine
    yield f"Machine: {m.cpu}, {m.cores} cores, {m.memory_gb:g} GB; Python {m.python}, {m.system}."
    yield ""


def _summary(results: Results) -> Iterator[str]:
    """Every aim and whether it is met, missed ones first: that is what a reader looks for."""
    rows = [
        (one, row)
        for one in BENCHMARKS
        if (run := results.benchmarks.get(one.name)) is not None
        for row in run.measures
        if row.met is not None
    ]
    missed = [pair for pair in rows if not pair[1].met]
    yield "## Aims"
    yield ""
    yield f"{len(rows) - len(missed)} of {len(rows)} are met."
    yield ""
    if missed:
        yield "Missed:"
        yield ""
        yield from _table(missed)
    yield "Met:"
    yield ""
    yield from _table([pair for pair in rows if pair[1].met])


def _table(pairs: list[tuple[Benchmark, MeasureRow]]) -> Iterator[str]:
    yield "| what | value | aim |"
    yield "| --- | ---: | ---: |"
    for one, row in pairs:
        yield f"| [{one.name}](#{one.name}): {row.what} | {shown(row)} | {aimed(row)} |"
    yield ""


def _sections(results: Results) -> Iterator[str]:
    for one in BENCHMARKS:
        run = results.benchmarks.get(one.name)
        if run is not None:
            yield from _section(one, run)


def _section(one: Benchmark, run: Run) -> Iterator[str]:
    yield f'<a id="{one.name}"></a>'
    yield ""
    yield f"## {one.title}"
    yield ""
    if run.status != "ok":
        yield f"{run.status.capitalize()}: {run.reason}."
        yield ""
        return
    yield one.method
    yield ""
    if (IMAGES / f"bench-{one.name}.png").exists():
        yield f"![{one.title}](images/bench-{one.name}.png)"
        yield ""
    yield "| what | value | aim | met |"
    yield "| --- | ---: | ---: | --- |"
    for row in run.measures:
        met = "" if row.met is None else "yes" if row.met else "**no**"
        note = f" ({row.note})" if row.note else ""
        yield f"| {row.what}{note} | {shown(row)} | {aimed(row)} | {met} |"
    yield ""
    yield f"What limits it: {one.limits}"
    yield ""
    busy = "; the machine was busy with other work, so the times are worth less" if run.load > BUSY else ""
    yield f"Measured {run.date[:10]} at commit {run.commit} in {run.seconds:.0f} s{busy}."
    yield ""
