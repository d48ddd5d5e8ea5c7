"""An environment for other people's programs, outside the repository, made on first use and kept for the next run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import progress

PINS = Path(__file__).with_name("peers.txt")
TORCH = "torch==2.13.0"
INSTALL_SECONDS = 900


def python() -> Path | None:
    """Its interpreter; None where the packages cannot be installed."""
    mark = hashlib.sha256((TORCH + PINS.read_text("utf-8")).encode()).hexdigest()[:10]
    home = Path(tempfile.gettempdir()) / f"firstline-peers-{mark}"
    ready, made = home / "ready", home / "bin" / "python"
    if ready.exists():
        return made
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [str(made), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TORCH],
        [str(made), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(PINS)],
    )
    for number, step in enumerate(steps):
        progress(number, len(steps), "installing the peers, once")
        try:
            done = subprocess.run(step, check=False, stdout=subprocess.DEVNULL, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
    ready.touch()
    return made
