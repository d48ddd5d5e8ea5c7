"""Scores -> the probability that the top topic is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Calibration:
    weights: Mapping[str, float] = field(default_factory=lambda: {"bias": -9.0, "top": 9.0, "margin": 6.0})
    threshold_answer: float = 0.7
    threshold_clarify: float = 0.35
    summary: Mapping[str, float | str] = field(default_factory=dict)

    def probability(self, features: Mapping[str, float]) -> float:
        z = self.weights["bias"] + sum(
            self.weights.get(name, 0.0) * value for name, value in features.items()
        )
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Calibration:
        return cls(**values)
