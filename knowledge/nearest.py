"""The nearest keys without reading all of them: an approximate index (HNSW) for knowledge of very many texts. Optional."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from knowledge.engine import Vectors
from knowledge.passage import KnowledgeError

if TYPE_CHECKING:
    from usearch.index import Index

Progress = Callable[[str, int, int], None]
FILE = "nearest.usearch"
AT_A_TIME = 5000  # keys added between two reports of progress
log = logging.getLogger(__name__)


def check() -> None:
    """Raises KnowledgeError where the library behind the index is not installed."""
    if not _installed():
        raise KnowledgeError(
            "[knowledge] approximate_from asks for an approximate index, and usearch is not installed: "
            "pip install '.[approximate]' in Firstline's folder, or set approximate_from = 0"
        )


def build(folder: Path, vectors: Vectors, progress: Progress | None = None) -> None:
    """Write the index of `vectors` (rows of length one) into `folder`. Added in one thread, so that the same vectors give
    the same index."""
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
    for start in range(0, len(vectors), AT_A_TIME):
        some = vectors[start : start + AT_A_TIME]
        index.add(np.arange(start, start + len(some)), np.ascontiguousarray(some), threads=1)
        if progress:
            progress("index", start + len(some), len(vectors))
    index.save(str(folder / FILE))


def opened(folder: Path) -> Nearest | None:
    """The index of a snapshot, mapped into memory. None where it has none, and where it cannot be used here: all its
    vectors are read then, which is slower and finds no less."""
    path = folder / FILE
    if not path.exists():
        return None
    if not _installed():
        log.warning("approximate_index_unused", extra={"snapshot": folder.name, "reason": "no usearch"})
        return None
    from usearch.index import Index

    try:
        index = Index.restore(str(path), view=True)
    except (ValueError, RuntimeError) as error:
        log.warning("approximate_index_unused", extra={"snapshot": folder.name, "reason": str(error)})
        return None
    return Nearest(index) if index is not None else None


class Nearest:
    """An opened index."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def keys(self, vector: Vectors, count: int) -> NDArray[np.int64]:
        """About the `count` keys nearest to a row, in no promised order."""
        return np.asarray(self._index.search(np.ascontiguousarray(vector), count).keys, dtype=np.int64)


def _installed() -> bool:
    return importlib.util.find_spec("usearch") is not None
