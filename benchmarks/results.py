"""benchmarks/results.json: what it looks like, how a run is merged into it, on which machine it was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from benchmarks.measure import ROOT

RESULTS = ROOT / "benchmarks" / "results.json"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MeasureRow(Strict):
    key: str
    what: str
    value: float | None
    unit: str
    aim: str
    met: bool | None
    note: str


class Run(Strict):
    """One benchmark's last run."""

    status: Literal["ok", "skipped", "failed"]
    reason: str = ""
    date: str
    commit: str
    seconds: float
    load: float  # how busy the machine was before: processes that wanted a core, in the last minute
    measures: list[MeasureRow] = []
    details: dict[str, Any] = {}


class Machine(Strict):
    cpu: str
    cores: int
    memory_gb: float
    python: str
    system: str


class Results(Strict):
    machine: Machine
    benchmarks: dict[str, Run]


def read(path: Path = RESULTS) -> Results | None:
    """What was measured so far; None where nothing was."""
    return Results.model_validate_json(path.read_text("utf-8")) if path.exists() else None


def merged(before: Results | None, runs: Mapping[str, Run]) -> Results:
    """New runs replace old ones of the same name. Figures of another machine are not mixed with this one's."""
    here = machine()
    kept = before.benchmarks if before is not None and before.machine.cpu == here.cpu else {}
    return Results(machine=here, benchmarks={**kept, **runs})


def write(results: Results, path: Path = RESULTS) -> None:
    path.write_text(json.dumps(results.model_dump(), indent=1, ensure_ascii=False) + "\n", "utf-8")


def machine() -> Machine:
    """What it ran on, without its name or any path."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        cpu=_cpu(), cores=len(os.sched_getaffinity(0)), memory_gb=round(memory, 1),
        python=platform.python_version(), system=f"{platform.system()} {platform.machine()}",
    )  # fmt: skip


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def today() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
