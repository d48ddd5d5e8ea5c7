"""Texts -> vectors, here and now, on the calling thread: the exported model, or sentence-transformers itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Offsets = list[list[tuple[int, int]]]
TOKENS_AT_ONCE = 2048  # padded tokens of one run: enough to fill the core, small enough to stay in its cache
FEW = 4  # texts that are cut one after another
# What begins a word in the vocabularies of SentencePiece and of byte-level BPE; WordPiece marks the other pieces.
WORD_MARKS = ("▁", "Ġ")


class Engine(Protocol):
    """A loaded model. Rows are in the order of the texts.

    `encode`: (texts x dimension), each of length one: what a text means. `read`: the same, and beside it what the model
    knows of the text in layers before the last, each layer's part of length one as well (texts x (dimension + early));
    `early` is 0 where that cannot be had.
    """

    name: str
    dimension: int
    early: int
    limit: int

    def encode(self, texts: Sequence[str], *, passages: bool = False) -> Vectors: ...
    def read(self, texts: Sequence[str], *, passages: bool = False) -> Vectors: ...
    def offsets(self, texts: Sequence[str]) -> Offsets: ...
    def knows(self, word: str) -> bool: ...
    def close(self) -> None: ...


class OnnxEngine:
    """The exported model on onnxruntime: no torch, no transformers, one thread for a question.

    Several texts at once are split over `workers` threads, which is what makes batching pay on a CPU: one question
    already keeps one core busy. int8 runs every text by itself: it scales activations by the whole batch, so that a
    question's vector would depend on who else asked, and an answer could not be reproduced.
    """

    def __init__(self, folder: Path, variant: str = "fp32", *, threads: int = 1, workers: int = 1) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        about: dict[str, Any] = json.loads((folder / "about.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # a spinning core starves the loop
        self._session = onnxruntime.InferenceSession(
            str(folder / f"{variant}.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(int(about["limit"]))
        self._cutter = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._cutter.no_padding()
        self._cutter.no_truncation()
        self._mark = word_mark(self._cutter)
        self._inputs = [one.name for one in self._session.get_inputs()]
        self._pad = int(about["pad"])
        self._mean = about["pooling"] == "mean"
        self._prompts = (str(about["query_prompt"]), str(about["passage_prompt"]))
        self._pool = ThreadPoolExecutor(workers, "model") if workers > 1 else None
        self._workers = workers
        self._alone = variant == "int8"
        self.dimension = int(about["dimension"])
        self.early = self.dimension * len(about["early"])
        self.limit = int(about["limit"])
        self.name = f"onnxruntime {variant}"

    def encode(self, texts: Sequence[str], *, passages: bool = False) -> Vectors:
        return self.read(texts, passages=passages)[:, : self.dimension]

    def read(self, texts: Sequence[str], *, passages: bool = False) -> Vectors:
        out = np.zeros((len(texts), self.dimension + self.early), dtype=np.float32)
        if not texts:
            return out
        prompt = self._prompts[passages]
        ids = self._cut([prompt + text for text in texts])
        batches = (
            [[at] for at in range(len(ids))]
            if self._alone
            else _batches([len(one) for one in ids], self._workers)
        )
        if self._pool and len(batches) > 1:
            results = list(self._pool.map(lambda batch: self._run([ids[at] for at in batch]), batches))
        else:
            results = [self._run([ids[at] for at in batch]) for batch in batches]
        for batch, vectors in zip(batches, results, strict=True):
            out[batch] = vectors
        return out

    def _cut(self, texts: list[str]) -> list[list[int]]:
        """Each text's tokens. A batch is shared out among threads, which takes longer than a few questions do."""
        if len(texts) <= FEW:
            return [self._tokenizer.encode(text).ids for text in texts]
        return [one.ids for one in self._tokenizer.encode_batch(texts)]

    def _run(self, ids: list[list[int]]) -> Vectors:
        longest = max(len(one) for one in ids)
        feed = {"input_ids": np.full((len(ids), longest), self._pad, dtype=np.int64)}
        mask = feed["attention_mask"] = np.zeros((len(ids), longest), dtype=np.int64)
        for row, one in enumerate(ids):
            feed["input_ids"][row, : len(one)] = one
            mask[row, : len(one)] = 1
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros_like(mask)
        last, *early = self._session.run(None, {name: feed[name] for name in self._inputs})
        real = mask.astype(np.float32)
        parts = [_mean(last, real) if self._mean else last[:, 0], *(_mean(layer, real) for layer in early)]
        return np.hstack([_unit(part) for part in parts])

    def offsets(self, texts: Sequence[str]) -> Offsets:
        return [one.offsets for one in self._cutter.encode_batch(list(texts), add_special_tokens=False)]

    def knows(self, word: str) -> bool:
        """Whether the model has this word whole: then it is a common word, not a misspelt one."""
        return is_whole(self._cutter, self._mark, word)

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _mean(hidden: Vectors, real: Vectors) -> Vectors:
    """The sum over a text's tokens, which has the direction of their mean."""
    if len(hidden) == 1:  # nothing is padded
        return np.asarray(hidden.sum(axis=1), dtype=np.float32)
    return np.asarray(np.einsum("btd,bt->bd", hidden, real), dtype=np.float32)


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def word_mark(tokenizer: Any) -> str:
    """What stands before a whole word in a tokenizer's vocabulary; nothing for WordPiece."""
    first = str((tokenizer.encode(" a", add_special_tokens=False).tokens or [""])[0])
    return first[:1] if first[:1] in WORD_MARKS else ""


def is_whole(tokenizer: Any, mark: str, word: str) -> bool:
    """Whether a vocabulary has a word in one piece, as it is or as a noun is written that begins with a capital."""
    return any(tokenizer.token_to_id(mark + one) is not None for one in (word, word.capitalize()))


def prompts_of(model: Any) -> tuple[str, str]:
    """What a sentence-transformers model wants before questions and before passages.

    The first prompt for passages that says anything counts: an empty one named `document` is there by default, and
    would hide the `passage` of models that were trained with it.
    """
    prompts = dict(model.prompts or {})
    passage = next((prompts[name] for name in ("document", "passage", "corpus") if prompts.get(name)), "")
    return str(prompts.get("query") or ""), str(passage)


def limit_of(model: Any) -> int:
    """The most tokens that a sentence-transformers model reads, its own marks included.

    RoBERTa and its kin number positions from the padding's number on, so that the first few are never a text's: of 514
    positions 512 can be used, and a model that names no limit of its own would be asked for the others.
    """
    limit = int(model.max_seq_length or 512)
    positions: Any = getattr(getattr(model[0].auto_model, "embeddings", None), "position_embeddings", None)
    if getattr(positions, "padding_idx", None) is None:
        return limit
    return min(limit, int(positions.num_embeddings) - int(positions.padding_idx) - 1)


def _batches(lengths: Sequence[int], workers: int) -> list[list[int]]:
    """Rows grouped by length, so that little is padded, and into as many groups as there are workers to run them."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    share = max(64, -(-sum(lengths) // workers))
    most = min(TOKENS_AT_ONCE, share)
    batches: list[list[int]] = [[]]
    for at in order:
        if batches[-1] and lengths[at] * (len(batches[-1]) + 1) > most:
            batches.append([])
        batches[-1].append(at)
    return batches


class ReferenceEngine:
    """sentence-transformers itself: the fallback for a model that cannot be exported."""

    def __init__(self, model: str, *, threads: int = 1) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        self._model = SentenceTransformer(model, device="cpu", trust_remote_code=False)
        self._tokenizer: Any = self._model.tokenizer
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.early = 0
        self.limit = limit_of(self._model)
        self._model.max_seq_length = self.limit
        self._mark = word_mark(self._tokenizer.backend_tokenizer)
        self._prompts = prompts_of(self._model)
        self.name = "sentence-transformers"

    def encode(self, texts: Sequence[str], *, passages: bool = False) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        encode = self._model.encode_document if passages else self._model.encode_query
        vectors = encode(
            list(texts),
            prompt=self._prompts[passages],
            normalize_embeddings=True,
            show_progress_bar=False,
            batch_size=32,
        )
        return np.asarray(vectors, dtype=np.float32)

    def read(self, texts: Sequence[str], *, passages: bool = False) -> Vectors:
        return self.encode(texts, passages=passages)

    def offsets(self, texts: Sequence[str]) -> Offsets:
        if not texts:
            return []
        cut = self._tokenizer(
            list(texts), add_special_tokens=False, return_offsets_mapping=True, truncation=False
        )
        return [[(int(begin), int(end)) for begin, end in one] for one in cut["offset_mapping"]]

    def knows(self, word: str) -> bool:
        return is_whole(self._tokenizer.backend_tokenizer, self._mark, word)

    def close(self) -> None:
        return
