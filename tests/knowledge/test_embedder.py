"""The exported model is the model; batches form by themselves; one failure is one failure."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from knowledge import export, models, precision
from knowledge.embedder import Embedder
from knowledge.engine import OnnxEngine, ReferenceEngine
from knowledge.passage import KnowledgeError

TEXTS = ["How do I get a refund?", "refund", "Wo ist meine Rechnung?", "a much longer question " * 40, "?"]


@pytest.fixture
def exported(pytestconfig: pytest.Config, open_library) -> Path:
    """The packaged model's export, made once and kept in pytest's cache."""
    _, content = models.identify("")
    models.load("", content, Path("unused"), threads=1, workers=1).close()
    return models.folder_of(content, Path("unused"))


def test_the_export_was_checked_against_the_reference(exported):
    assert json.loads((exported / "about.json").read_text())["cosine_fp32"] >= export.FAITHFUL


def test_vectors_are_those_of_sentence_transformers(exported):
    """Also where the export is an old one and what runs it has changed."""
    reference = ReferenceEngine(str(export.model_folder("")))
    made = OnnxEngine(exported, "fp32", workers=2)

    for passages in (False, True):
        expected = reference.encode(TEXTS, passages=passages)
        assert (
            float(np.min(np.sum(made.encode(TEXTS, passages=passages) * expected, axis=1))) >= export.FAITHFUL
        )
    assert (made.dimension, made.limit) == (reference.dimension, reference.limit)
    assert made.offsets(TEXTS) == reference.offsets(TEXTS)
    made.close()


def test_the_early_layers_are_those_of_the_model(exported):
    """The words as they come in, and two thirds of the way: what transformers calls hidden states 0 and 4 of 6."""
    import torch
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(export.model_folder("")), device="cpu")
    made = OnnxEngine(exported, "fp32")

    read = made.read(TEXTS)

    with torch.no_grad():
        given = reference.tokenizer(
            TEXTS, padding=True, truncation=True, max_length=made.limit, return_tensors="pt"
        )
        states = reference[0].auto_model(**given, output_hidden_states=True).hidden_states
    real = given["attention_mask"].unsqueeze(-1)
    assert read.shape == (len(TEXTS), made.dimension + made.early) == (5, 3 * 384)
    assert np.array_equal(read[:, :384], made.encode(TEXTS))
    for part, at in enumerate((0, 4), start=1):
        mean = ((states[at] * real).sum(1) / real.sum(1)).numpy()
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        layer = read[:, part * 384 : (part + 1) * 384]
        assert float(np.min(np.sum(layer * mean, axis=1))) >= export.FAITHFUL
    made.close()


def test_a_model_that_cannot_be_exported_runs_on_sentence_transformers(tmp_path, caplog, monkeypatch):
    """Another pooling than the exported graph can do: nothing is left of the try, and the answers are the model's."""
    folder = tmp_path / "model"
    packaged = export.model_folder("")
    assert packaged is not None
    for path in packaged.rglob("*"):
        if path.is_file() and not path.name.endswith((".md", ".onnx", ".bin")):
            copy = folder / path.relative_to(packaged)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
    pooling = folder / "1_Pooling" / "config.json"
    settings = json.loads(pooling.read_text())
    pooling.unlink()
    modes = {key: key == "pooling_mode_max_tokens" for key in settings if key.startswith("pooling_mode")}
    pooling.write_text(json.dumps(settings | modes | {"pooling_mode_max_tokens": True}))
    monkeypatch.setenv("FIRSTLINE_MODELS", str(tmp_path / "models"))
    _, content = models.identify(str(folder))

    engine = models.load(str(folder), content, tmp_path, threads=1, workers=1)

    assert engine.name == "sentence-transformers"
    assert "model_not_exported" in caplog.text
    assert not models.folder_of(content, tmp_path).exists()
    assert np.allclose(np.linalg.norm(engine.encode(TEXTS), axis=1), 1.0, atol=1e-5)


def test_int8_stays_close_to_fp32(exported):
    full, small = OnnxEngine(exported, "fp32"), OnnxEngine(exported, "int8")

    assert float(np.min(np.sum(full.encode(TEXTS) * small.encode(TEXTS), axis=1))) > 0.95


def steps(graph: Path) -> list[str]:
    import onnx

    return [node.op_type for node in onnx.load(graph).graph.node]


def test_int8_gives_the_same_vectors_on_processors_without_vnni(exported):
    """Two products of an activation (at most 255) and a weight must fit into sixteen bits, where such processors add them."""
    import onnx

    graph = onnx.load(exported / "int8.onnx").graph
    weights = [
        onnx.numpy_helper.to_array(one)
        for one in graph.initializer
        if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 2
    ]
    assert len(weights) == 6 * 4  # of each layer: attention, its output, and two of what follows
    assert max(2 * 255 * int(np.abs(one.astype(int)).max()) for one in weights) <= 2**15 - 1


def test_int8_takes_each_attention_in_one_step_and_needs_no_mask(exported):
    import onnx

    given = [one.name for one in onnx.load(exported / "int8.onnx").graph.input]

    assert json.loads((exported / "about.json").read_text())["int8_fused"] is True
    assert steps(exported / "int8.onnx").count("QAttention") == 6
    assert given == ["input_ids", "token_type_ids"]
    assert not (exported / "fused").exists()


def unlike(plain: Path, path: Path) -> None:
    """A rewriting that changes what comes out: the last layer is that of another place."""
    import onnx

    model = onnx.load(plain)
    names = [output.name for output in model.graph.output]
    for node in model.graph.node:
        node.input[:] = [names[1] if name == names[2] else name for name in node.input]
    onnx.save(model, path)


def unable(plain: Path, path: Path) -> None:
    raise KeyError("no such pattern")


@pytest.mark.parametrize("rewriting", [unlike, unable])
def test_a_graph_that_fusing_would_change_is_quantized_as_it_is(exported, tmp_path, monkeypatch, rewriting):
    for name in ("about.json", "tokenizer.json", "fp32.onnx"):
        (tmp_path / name).symlink_to(exported / name)
    monkeypatch.setattr(export, "_fuse", rewriting)

    assert not export._quantize(tmp_path)

    assert "QAttention" not in steps(tmp_path / "int8.onnx")
    made, full = OnnxEngine(tmp_path, "int8"), OnnxEngine(exported, "fp32")
    assert float(np.min(np.sum(made.encode(TEXTS) * full.encode(TEXTS), axis=1))) > 0.95
    assert not (tmp_path / "fused").exists()


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_a_text_has_one_vector_whoever_else_is_asked(exported, variant):
    engine = OnnxEngine(exported, variant, workers=2)
    together = engine.encode(TEXTS * 5)
    alone = np.vstack([engine.encode([text]) for text in TEXTS])
    engine.close()

    assert np.allclose(together[: len(TEXTS)], alone, atol=0 if variant == "int8" else 1e-5)
    assert engine.encode([]).shape == (0, 384)


class CountingEngine:
    """A small engine that remembers what it was asked at once."""

    name, dimension, early, limit = "counting", 2, 0, 128

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self.gate: asyncio.Event | None = None

    def encode(self, texts, *, passages=False):
        return self.read(texts, passages=passages)

    def read(self, texts, *, passages=False):
        self.runs.append(list(texts))
        if "poison" in texts:
            raise ValueError("poison")
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    def offsets(self, texts):
        return [[] for _ in texts]

    def knows(self, word):
        return True

    def close(self):
        return


async def test_questions_that_wait_together_run_together_and_are_remembered():
    engine = CountingEngine()
    embedder = Embedder(engine)
    # the thread is kept busy by a job that waits for the others to queue up
    go = threading.Event()
    first = asyncio.ensure_future(embedder.run(go.wait))
    await asyncio.sleep(0)
    others = [
        asyncio.ensure_future(embedder.ask(lambda text=f"q{number % 5}": [text], lambda vectors: vectors))
        for number in range(20)
    ]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, *others)

    assert [run for run in engine.runs if run] == [["q0", "q1", "q2", "q3", "q4"]]
    again = await embedder.ask(lambda: ["q3"], lambda vectors: vectors)
    assert again.tolist() == [[2.0, 1.0]]
    assert len([run for run in engine.runs if run]) == 1
    embedder.close()


class Waiting(CountingEngine):
    """An engine whose every run waits for somebody on the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.go = threading.Event(), threading.Event()

    def read(self, texts, *, passages=False):
        self.began.set()
        assert self.go.wait(60), "the event loop stood still while the model ran"
        return super().read(texts, passages=passages)


async def test_the_event_loop_goes_on_while_the_model_runs():
    engine = Waiting()
    embedder = Embedder(engine)
    asked = asyncio.ensure_future(embedder.ask(lambda: ["slow"], lambda vectors: vectors))
    await asyncio.to_thread(engine.began.wait)

    engine.go.set()  # done by the loop, in the middle of the run

    assert (await asked).tolist() == [[4.0, 1.0]]
    embedder.close()


async def test_a_failing_question_fails_alone():
    embedder = Embedder(CountingEngine())

    with pytest.raises(ZeroDivisionError):
        await embedder.ask(lambda: ["a"], lambda _: 1 / 0)
    with pytest.raises(ValueError, match="poison"):
        await embedder.ask(lambda: ["poison"], lambda vectors: vectors)
    assert (await embedder.ask(lambda: ["fine"], lambda vectors: vectors)).tolist() == [[4.0, 1.0]]
    embedder.close()
    with pytest.raises(RuntimeError, match="closed"):
        await embedder.ask(lambda: ["late"], lambda vectors: vectors)


async def test_closing_cancels_what_waits():
    embedder = Embedder(CountingEngine())
    go = threading.Event()
    busy = asyncio.ensure_future(embedder.run(go.wait))
    waiting = asyncio.ensure_future(embedder.ask(lambda: ["never"], lambda vectors: vectors))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(asyncio.to_thread(embedder.close))
    go.set()
    await closing
    done = await asyncio.gather(busy, waiting, return_exceptions=True)

    assert isinstance(done[1], asyncio.CancelledError | np.ndarray)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(KnowledgeError, match=r"no modules\.json"):
        models.identify(str(tmp_path))


def test_a_hub_name_is_not_taken_for_a_folder():
    name, content = models.identify("BAAI/bge-small-en-v1.5")

    assert (name, len(content)) == ("BAAI/bge-small-en-v1.5", 16)


def test_int8_is_chosen_by_what_it_costs_on_the_teams_own_texts(exported, tmp_path):
    for name in ("about.json", "tokenizer.json", "fp32.onnx", "int8.onnx"):
        (tmp_path / name).symlink_to(exported / name)
    texts = [
        f"How do I change setting {number} of the {thing}?"
        for number in range(12)
        for thing in ("app", "bill", "phone", "team", "plan", "card")
    ]
    full, small = OnnxEngine(tmp_path, "fp32"), OnnxEngine(tmp_path, "int8")

    loss = precision.measure(small, full, texts)

    assert precision.settle(tmp_path, small, texts) == ("int8" if loss.bearable else "fp32")
    assert precision.settled(tmp_path) == ("int8" if loss.bearable else "fp32")
    assert precision.measure(full, full, texts).agreement == 1.0
    assert 0.0 < loss.drift < 0.1


class Forgetful(CountingEngine):
    """An int8 variant that lost too much: what it computes has little to do with the texts."""

    def read(self, texts, *, passages=False):
        rows = np.array(
            [np.random.default_rng(len(text)).normal(size=384) for text in texts], dtype=np.float32
        )
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_where_int8_costs_too_much_fp32_is_used_from_then_on(exported, tmp_path, monkeypatch):
    place = tmp_path / "models" / "abc"
    place.mkdir(parents=True)
    for name in ("about.json", "tokenizer.json", "fp32.onnx", "int8.onnx"):
        (place / name).symlink_to(exported / name)
    monkeypatch.setenv("FIRSTLINE_MODELS", str(tmp_path / "models"))
    texts = [f"How do I change setting {number} of the {'very ' * (number % 7)}app?" for number in range(80)]

    assert models.load("", "abc", tmp_path, threads=1, workers=1).name == "onnxruntime int8"
    assert precision.settle(place, Forgetful(), texts) == "fp32"
    assert models.load("", "abc", tmp_path, threads=1, workers=1).name == "onnxruntime fp32"
