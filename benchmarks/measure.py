"""What every benchmark shares: how a figure is written down, where scratch files go, how progress is told."""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bot.config import Config, load

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
SAMPLE = ROOT / "examples" / "knowledge"
MODELS = ROOT / ".firstline" / "models"
DIGITS = 4

Measure = dict[str, Any]
Outcome = dict[str, Any]


class Skipped(Exception):
    """This benchmark cannot run here; the text says what is missing."""


def measure(
    key: str, what: str, value: float | None, unit: str = "", aim: str = "", note: str = ""
) -> Measure:
    """One figure. `aim` is like "<= 1.3"; whether it was met is computed here and nowhere else."""
    number = None if value is None or not math.isfinite(value) else rounded(value)
    return {
        "key": key, "what": what, "value": number, "unit": unit, "aim": aim, "met": met(number, aim), "note": note,
    }  # fmt: skip


def met(value: float | None, aim: str) -> bool | None:
    """Whether a figure reaches its aim; None where there is none, and a figure that could not be had misses it."""
    if not aim:
        return None
    if value is None:
        return False
    sign, limit = aim.split()
    return value <= float(limit) if sign == "<=" else value >= float(limit)


def rounded(value: float) -> float:
    """Four digits: more would be noise."""
    return float(f"{value:.{DIGITS}g}")


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    if not seconds:
        return {"p50_ms": float("nan"), "p99_ms": float("nan")}
    return {f"p{p}_ms": rounded(float(np.percentile(seconds, p)) * 1000) for p in (50, 99)}


def progress(done: int, total: int, text: str) -> None:
    """Tell whoever watches; the command line draws a bar from it."""
    print(json.dumps({"progress": [done, total, text]}), flush=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk where the product's data would lie, gone afterwards."""
    home = ROOT / ".firstline"
    home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as name:
        yield Path(name)


def resident_mb(pid: int | str = "self", line: str = "VmRSS") -> float:
    """Memory of a process as the kernel counts it."""
    for row in Path(f"/proc/{pid}/status").read_text().splitlines():
        if row.startswith(f"{line}:"):
            return int(row.split()[1]) / 1024
    return float("nan")


def environment(**more: str) -> Mapping[str, str]:
    """For child processes: one exported model for all of them."""
    return {**os.environ, "FIRSTLINE_MODELS": str(MODELS), "PYTHONPATH": str(ROOT), **more}


def child(command: Sequence[str], **env: str) -> Any:
    """Run a process to its end; the JSON on its last line. What it complained about, if it failed."""
    done = subprocess.run(
        command, cwd=ROOT, env=dict(environment(**env)), check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[1:3]} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def settings(folder: Path, concurrency: int = 16) -> Config:
    """The project's own configuration with its data in `folder`, and without the waits that are there by choice."""
    config = load(ROOT / "config.toml")
    bot = config.bot.model_copy(
        update={"data_dir": folder, "debounce_seconds": 0.0, "concurrency": concurrency, "drain_seconds": 1.0}
    )
    return config.model_copy(update={"bot": bot, "web": config.web.model_copy(update={"port": 0})})
