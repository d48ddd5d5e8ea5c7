"""What was taken out of the knowledge is told to nobody from the moment a reload reports success."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.security.scene import Desk
from tests.stage import Knowledge


async def test_a_reload_while_a_question_is_worked_on_counts_for_its_answer(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    """T-KB-1: the question was searched for before; writing its answer takes longer than the reload."""
    async with Desk(knowledge, tmp_path) as desk:
        await desk.driver.change_knowledge("account/password-reset.md", "60 minutes", "90 minutes")
        reloader = desk.app.reloader

        class Writing:
            written = 0

            async def add(self, case: object, event: object, known: Any, question: str) -> Any:
                self.written += 1
                if self.written == 1:
                    await reloader.activate(await reloader.preview(), by="dana")
                return known

        desk.app._gatherer._writing = writing = Writing()

        thread = await desk.says("ana", "How do I reset my password?")

        answer = desk.driver.seen("help", thread)[-1].text
        assert "90 minutes" in answer
        assert writing.written == 2
