"""Which model, which engine: the exported model where there is one, sentence-transformers where there cannot be."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from knowledge import export, precision
from knowledge.engine import Engine, OnnxEngine, ReferenceEngine
from knowledge.passage import KnowledgeError

DEFAULT_NAME = "all-MiniLM-L6-v2 (packaged)"
SHARED = "FIRSTLINE_MODELS"  # a folder of exported models that several homes share
log = logging.getLogger(__name__)


def identify(model: str) -> tuple[str, str]:
    """(name to show, content hash) of the configured model; a clear complaint when it is not there."""
    folder = export.model_folder(model)
    if folder is None:
        if model.startswith(("/", ".", "~")):
            raise KnowledgeError(f"the embedding model {model} was not found: no such folder")
        return model, hashlib.sha256(model.encode()).hexdigest()[:16]
    if not (folder / "modules.json").exists():
        raise KnowledgeError(
            f"the embedding model {model} is not a sentence-transformers folder: no modules.json"
        )
    return model or DEFAULT_NAME, export.content_hash(folder)


def folder_of(model_hash: str, home: Path) -> Path:
    """Where a model's export lies."""
    return Path(os.environ.get(SHARED) or home / "models") / model_hash


def load(model: str, model_hash: str, home: Path, *, threads: int, workers: int) -> Engine:
    """The engine of a model, exporting it first if that was never done here: int8 unless fp32 was found necessary."""
    place = folder_of(model_hash, home)
    if not (place / "about.json").exists():
        folder = export.model_folder(model)
        try:
            _export(str(folder or model), place)
        except (RuntimeError, OSError) as error:
            log.warning("model_not_exported", extra={"model": model, "reason": str(error)})
            return _reference(str(folder or model), threads)
    return OnnxEngine(place, precision.settled(place) or "int8", threads=threads, workers=workers)


def _export(model: str, place: Path) -> None:
    """Export aside and rename into place, so that an interrupted export is no export. Whoever comes second waits and
    takes what the first has made."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(place.parent / ".exporting.lock")):
        if (place / "about.json").exists():
            return
        aside = Path(tempfile.mkdtemp(prefix=".exporting-", dir=place.parent))
        try:
            export.export(model, aside)
            shutil.rmtree(place, ignore_errors=True)
            aside.rename(place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _reference(model: str, threads: int) -> Engine:
    try:
        return ReferenceEngine(model, threads=threads)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise KnowledgeError(f"the embedding model {model} cannot be loaded: {error}") from error
