"""`python -m benchmarks [NAME …] [--quick] [--list]`: measure, write results.json and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import report, results
from benchmarks.catalogue import BENCHMARKS, BY_NAME, Benchmark
from benchmarks.measure import ROOT, environment
from benchmarks.results import MeasureRow, Run

TAIL = 15  # lines of a failed benchmark's log that are shown
console = Console()


def main(arguments: Sequence[str] | None = None) -> int:
    """0: every benchmark ran (or said why it cannot here); 1: one failed; 2: wrong usage."""
    args = _parser().parse_args(arguments)
    if args.list:
        for one in BENCHMARKS:
            console.print(f"[bold]{one.name:10}[/] {one.title}", highlight=False)
        return 0
    if args.render:
        report.render(results.read())
        return 0
    runs = {one.name: _run(one, quick=args.quick) for one in map(BY_NAME.__getitem__, args.names or BY_NAME)}
    console.print(_table(runs))
    if args.quick:
        console.print(
            "[yellow]--quick only tries the harness: these figures mean nothing and are not kept.[/]"
        )
    else:
        found = results.merged(results.read(), runs)
        results.write(found)
        report.render(found)
        console.print("benchmarks/results.json and docs/benchmarks.md are written", highlight=False)
    return int(any(run.status == "failed" for run in runs.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*BY_NAME, []], metavar="NAME", help="default: all")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, nothing is kept: does it run at all?"
    )
    parser.add_argument("--list", action="store_true", help="the names, and what each measures")
    parser.add_argument(
        "--render", action="store_true", help="write docs/benchmarks.md again from results.json"
    )
    return parser


def _run(one: Benchmark, *, quick: bool) -> Run:
    """In a subprocess, so that memory and imports are its own; its progress as a bar, its log only if it fails."""
    started, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        outcome, log = Path(name) / "outcome.json", Path(name) / "log"
        code = _watched(one, outcome, log, quick=quick)
        found = json.loads(outcome.read_text("utf-8")) if code == 0 and outcome.exists() else None
        tail = log.read_text("utf-8", "replace").splitlines()[-TAIL:]
    run = Run(
        status="ok", date=results.today(), commit=results.commit(), seconds=round(time.monotonic() - started, 1),
        load=round(load, 2),
    )  # fmt: skip
    if found is None:
        console.print(f"[red]{one.name} failed[/] with exit code {code}; the end of its log:")
        for line in tail:
            console.print(f"  {line}", markup=False, highlight=False)
        return run.model_copy(update={"status": "failed", "reason": f"exit code {code}"})
    if "skipped" in found:
        return run.model_copy(update={"status": "skipped", "reason": found["skipped"]})
    rows = [MeasureRow(**row) for row in found["measures"]]
    return run.model_copy(update={"measures": rows, "details": found.get("details", {})})


def _watched(one: Benchmark, outcome: Path, log: Path, *, quick: bool) -> int:
    command = [
        sys.executable,
        "-m",
        "benchmarks.worker",
        one.name,
        str(outcome),
        *(["--quick"] if quick else []),
    ]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with log.open("wb") as errors, Progress(*columns, console=console) as bars:
        bar = bars.add_task(one.name, total=None)
        child = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment()), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert child.stdout is not None
        try:
            for line in child.stdout:
                if line.startswith('{"progress"'):
                    done, total, text = json.loads(line)["progress"]
                    bars.update(bar, completed=done, total=total, description=f"{one.name}: {text}")
            return child.wait()
        finally:
            child.kill()
            child.wait()


def _table(runs: dict[str, Run]) -> Table:
    table = Table(title="Benchmarks", show_lines=False)
    for column in ("benchmark", "measure", "value", "aim", "met"):
        table.add_column(column, justify="right" if column in ("value", "aim") else "left")
    for name, run in runs.items():
        if run.status != "ok":
            table.add_row(name, f"[yellow]{run.status}: {run.reason}[/]", "", "", "")
        for row in run.measures:
            met = "" if row.met is None else "[green]yes[/]" if row.met else "[red]no[/]"
            table.add_row(name, row.what, report.shown(row), row.aim, met)
    return table


if __name__ == "__main__":
    sys.exit(main())
