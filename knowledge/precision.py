"""May the int8 variant of a model stand in for fp32? Measured on the team's own texts, once per model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from knowledge.engine import Engine, OnnxEngine

AGREEMENT = 0.9  # of the first places must be as good to within DRIFT (end to end this costs under 0.3 points of hit@1)
DRIFT = 0.02  # mean change of a cosine
QUESTIONS, PASSAGES = 64, 192


@dataclass(frozen=True, slots=True)
class Loss:
    """What int8 costs: how often another passage comes first, and how far cosines move."""

    agreement: float
    drift: float

    @property
    def bearable(self) -> bool:
        return self.agreement >= AGREEMENT and self.drift <= DRIFT


def settled(place: Path) -> str:
    """The variant that was chosen for a model, or empty when nothing was measured yet."""
    try:
        return str(json.loads((place / "precision.json").read_text())["variant"])
    except (OSError, ValueError, KeyError):
        return ""


def settle(place: Path, small: Engine, texts: Sequence[str]) -> str:
    """Measure int8 against fp32 on a sample of `texts` and remember the choice."""
    full = OnnxEngine(place, "fp32")
    try:
        loss = measure(small, full, texts)
    finally:
        full.close()
    variant = "int8" if loss.bearable else "fp32"
    if len(texts) >= QUESTIONS:  # a handful of texts is no ground for a lasting choice
        kept = {"variant": variant, **asdict(loss), "bounds": {"agreement": AGREEMENT, "drift": DRIFT}}
        (place / "precision.json").write_text(json.dumps(kept))
    return variant


def measure(small: Engine, full: Engine, texts: Sequence[str]) -> Loss:
    """Every sampled question against every sampled passage, in both variants."""
    chosen = sorted(dict.fromkeys(texts), key=lambda text: hashlib.sha256(text.encode()).digest())
    short = sorted(chosen[: 4 * QUESTIONS], key=len)[:QUESTIONS]
    others = [text for text in chosen if text not in set(short)][:PASSAGES] or short
    near, exact = (
        engine.encode(short) @ engine.encode([text[:400] for text in others], passages=True).T
        for engine in (small, full)
    )
    first = near.argmax(axis=1)
    loss = exact.max(axis=1) - exact[np.arange(len(short)), first]  # two passages alike are no disagreement
    return Loss(round(float((loss <= DRIFT).mean()), 4), round(float(np.abs(near - exact).mean()), 5))
