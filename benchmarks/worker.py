"""One benchmark in a process of its own: `python -m benchmarks.worker NAME OUTCOME.json [--quick]`."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks.catalogue import BY_NAME
from benchmarks.measure import MODELS, Skipped
from bot import log


def main(name: str, outcome: Path, *, quick: bool) -> None:
    """Logging is as in production, a line per event, so that its cost is in the figures."""
    os.environ.setdefault("FIRSTLINE_MODELS", str(MODELS))
    log.configure("json", "info")
    module = importlib.import_module(f"benchmarks.{BY_NAME[name].module}")
    try:
        found = asyncio.run(module.run(quick=quick))
    except Skipped as why:
        found = {"skipped": str(why)}
    outcome.write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), quick="--quick" in sys.argv[3:])
