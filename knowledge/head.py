"""A light head: ridge regression from a question's vector to its topic, with exact leave-one-out scores for free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    weights: Matrix  # (features, topics of `classes`)
    classes: NDArray[np.int32]  # positions of topics in the snapshot

    def save(self, path: Path) -> None:
        np.savez(path, weights=self.weights, classes=self.classes)

    @classmethod
    def load(cls, path: Path) -> Head:
        with np.load(path) as kept:
            return cls(kept["weights"], kept["classes"])
