"""The real process, really killed. The long version: `python -m tests.chaos`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.killing import kill_often


@pytest.mark.slow
async def test_after_kill_9_every_question_has_exactly_one_answer(tmp_path: Path) -> None:
    result = await kill_often(3, 40, tmp_path, seed=1)

    assert result.unanswered == []
    assert result.doubled == []
    assert result.repeated_keys == 0
    assert result.intact == "ok"
