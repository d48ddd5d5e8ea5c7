"""Real questions of a real community, a part of them: the figures of docs/knowledge.md do not slip unnoticed."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from knowledge.evaluate import Labelled, evaluate_rows

DATA = Path(__file__).parents[3] / "shared" / "data" / "datatalks-faq"
pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="the data folder ../shared/data is missing"),
]


async def test_a_courses_questions_are_answered_rightly_and_doubted_rightly(open_library, tmp_path):
    shutil.copytree(DATA / "kb" / "mlops-zoomcamp", tmp_path / "kb")
    files = {path.name.split("-")[0] for path in (tmp_path / "kb").rglob("*.md")}
    with (DATA / "questions.csv").open() as file:
        asked = [row for row in csv.DictReader(file) if row["document"] in files]
    rows = [Labelled(row["question"], row["document"]) for row in asked[::4]]
    library = open_library()
    built = await library.build([tmp_path / "kb"])
    await library.activate(built.info.id)

    report = await evaluate_rows(library, rows)

    assert built.info.topics == len(files)
    assert report.hit_at_1 >= 0.85
    assert report.hit_at_5 >= 0.94
    assert report.ece <= 0.08
    assert report.wrong_rate <= 0.05
    assert report.coverage >= 0.4
