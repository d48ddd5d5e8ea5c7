"""Which model, which engine: the exported model where there is one, sentence-transformers where there cannot be."""

from __future__ import annotations

import hashlib
import json
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
POINTER = b"version https://git-lfs"  # how a file begins that stands for weights which were never fetched
REASON_AT_MOST = 300  # characters of a library's own complaint
log = logging.getLogger(__name__)


def identify(model: str) -> tuple[str, str]:
    """(name to show, content hash) of the configured model; a clear complaint when it is not there."""
    folder = export.model_folder(model)
    if folder is None:
        if model.startswith(("/", ".", "~")):
            raise KnowledgeError(f"the embedding model {model} was not found: no such folder")
        return model, hashlib.sha256(f"{export.EXPORT}{model}".encode()).hexdigest()[:16]
    if wrong := _wrong_with(folder):
        raise KnowledgeError(f"the embedding model {model} {wrong}")
    return model or DEFAULT_NAME, export.content_hash(folder)


def _wrong_with(folder: Path) -> str:
    """What is plainly wrong with a model's folder, in words that a person can act on; empty where nothing is."""
    try:
        modules = json.loads((folder / "modules.json").read_text("utf-8"))
        places = {str(one["type"]).rpartition(".")[2]: folder / str(one["path"]) for one in modules}
    except FileNotFoundError:
        return "is not a sentence-transformers folder: no modules.json"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"is broken: modules.json cannot be read ({error})"
    settled = {"Transformer": "config.json", "Pooling": "config.json", "Dense": "config.json"}
    for kind, place in places.items():
        if kind in settled and not (place / settled[kind]).is_file():
            return f"is not whole: {(place / settled[kind]).relative_to(folder)} is missing"
    weights = [path for ending in ("safetensors", "bin") for path in sorted(folder.glob(f"*.{ending}"))]
    for path in weights:
        with path.open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                return (
                    f"is not whole: {path.name} is a Git LFS pointer; fetch the weights with `git lfs pull`"
                )
    return ""


def folder_of(model_hash: str, home: Path) -> Path:
    """Where a model's export lies."""
    return Path(os.environ.get(SHARED) or home / "models") / model_hash


def load(model: str, model_hash: str, home: Path, *, threads: int, workers: int) -> Engine:
    """The engine of a model, exporting it first if that was never done here: int8 unless fp32 was found necessary."""
    place = folder_of(model_hash, home)
    if not (place / "about.json").exists():
        folder = export.model_folder(model)
        try:
            _export(str(folder.resolve() if folder else model), place)
        except (RuntimeError, OSError) as error:
            log.warning("model_not_exported", extra={"model": model, "reason": str(error)})
            return _reference(str(folder or model), threads)
    return OnnxEngine(place, precision.settled(place) or "int8", threads=threads, workers=workers)


def load_again(name: str, model_hash: str, home: Path, *, threads: int, workers: int) -> Engine:
    """The engine that a snapshot was built with, after another model was configured: by its export, which needs nothing
    of the model's folder, or by that folder, if it still holds what it held. Raises KnowledgeError otherwise."""
    model = "" if name == DEFAULT_NAME else name
    if not (folder_of(model_hash, home) / "about.json").exists() and not _still_is(model, model_hash):
        raise KnowledgeError(
            f"the embedding model {name}, which the snapshot was built with, is no longer there: build the knowledge again"
        )
    return load(model, model_hash, home, threads=threads, workers=workers)


def _still_is(model: str, model_hash: str) -> bool:
    try:
        return identify(model)[1] == model_hash
    except KnowledgeError:
        return False


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
    except Exception as error:
        # whatever a broken folder makes the libraries raise: they have no error in common
        said = " ".join(str(error).split())[:REASON_AT_MOST] or type(error).__name__
        raise KnowledgeError(f"the embedding model {model} cannot be loaded: {said}") from error
