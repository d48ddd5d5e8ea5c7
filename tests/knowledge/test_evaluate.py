"""The numbers of an evaluation are what they say, and a bad file is named with its line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from knowledge.evaluate import auroc, by_threshold, calibrate, calibration_error, evaluate, risk_coverage
from knowledge.passage import KnowledgeError

KB = {
    f"{topic}.md": f"---\nid: {topic}\nquestions: {questions}\n---\nThe answer about {topic}.\n"
    for topic, questions in {
        "refund": "[How do I get a refund?, I want my money back, Can you refund me?]",
        "invoice": "[Where is my invoice?, I need a bill, Can I download the receipt?]",
        "password": "[How do I reset my password?, I forgot my login, My password does not work]",
    }.items()
}
KEYS = {
    "n", "in_scope", "out_of_scope", "hit_at_1", "hit_at_5", "mrr", "coverage", "precision", "oos_recall", "auroc", "ece",
    "wrong_rate", "latency_ms", "cases",
}  # fmt: skip


def test_auroc_counts_pairs_and_halves_ties():
    right = np.array([True, True, False, False])

    assert auroc(np.array([0.9, 0.8, 0.2, 0.1]), right) == 1.0
    assert auroc(np.array([0.5, 0.5, 0.5, 0.5]), right) == 0.5
    assert auroc(np.array([0.9, 0.1, 0.5, 0.0]), right) == 0.75
    assert auroc(np.array([0.9]), np.array([True])) is None


def test_calibration_error_is_the_weighted_gap():
    assert calibration_error(np.array([0.95] * 10), np.array([True] * 9 + [False])) == pytest.approx(0.05)
    assert calibration_error(np.array([]), np.array([])) is None


def test_the_risk_coverage_curve_starts_with_the_surest():
    curve = risk_coverage(np.array([0.9, 0.8, 0.1]), np.array([True, False, False]))

    assert [(point.coverage, point.risk) for point in curve] == [(0.3333, 0.0), (0.6667, 0.5), (1.0, 0.6667)]


async def test_a_report_has_the_keys_of_the_contract(write, open_library, tmp_path):
    library = open_library()
    await library.activate((await library.build([write(KB)])).info.id)
    (tmp_path / "q.csv").write_text(
        "question,document\nrefund please,refund\nmy login is gone,password\nthe weather,\n"
    )

    report = await evaluate(library, tmp_path / "q.csv", expected_column="document")
    told = json.loads(json.dumps(report.to_json()))

    assert set(told) >= KEYS
    assert (told["n"], told["in_scope"], told["out_of_scope"]) == (3, 2, 1)
    assert (told["hit_at_1"], told["mrr"], told["oos_recall"]) == (1.0, 1.0, 1.0)
    assert set(told["cases"][0]) == {"question", "expected", "top", "confidence", "decision", "ok"}
    assert set(told["latency_ms"]) == {"p50", "p99"}


async def test_the_bots_own_decision_can_be_judged(write, open_library, tmp_path):
    library = open_library()
    await library.activate((await library.build([write(KB)])).info.id)
    (tmp_path / "q.csv").write_text(
        "question,expected,decision\nrefund please,refund,collect\nrefund please,nothing,\n"
    )

    report = await evaluate(library, tmp_path / "q.csv", decide=lambda found: "collect")

    assert [case.ok for case in report.cases] == [True, False]
    assert report.unknown_expected == ("nothing",)
    assert (report.coverage, report.precision) == (0.0, None)
    assert len(report.failed) == 1


async def test_a_preview_of_other_lines_writes_nothing(write, open_library):
    library = open_library()
    built = await library.build([write(KB)])
    await library.activate(built.info.id)

    strict, easy = [await calibrate(library, max_wrong=share) for share in (0.02, 0.3)]

    assert strict.threshold_answer >= easy.threshold_answer
    assert strict.curve
    assert library.info == built.info
    assert by_threshold(await library.search("refund")) in ("answer", "clarify", "escalate")


@pytest.mark.parametrize(("content", "message"), [
    ("question,answer\na,b\n", "no column expected"), ("question,expected\n", "no questions"), (b"\xff", "cannot be read"),
])  # fmt: skip
async def test_a_bad_file_is_one_clear_message(open_library, tmp_path, content, message):
    path = tmp_path / "q.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(KnowledgeError, match=message):
        await evaluate(open_library(), path)


async def test_transcripts_that_builds_learn_from_count_once(write, open_library, tmp_path):
    """Asked again they would be known by heart; as though never heard, they are on the curve already."""
    library = open_library()
    (tmp_path / "said.csv").write_text("question,expected\nmy money please,refund\nis it raining,\n")
    rows = [("my money please", "refund"), ("is it raining", "")]
    await library.activate((await library.build([write(KB)])).info.id)
    new = await calibrate(library, max_wrong=0.1, labelled=tmp_path / "said.csv")
    await library.keep_labelled(rows)
    await library.activate((await library.build([write(KB)])).info.id)

    kept = await calibrate(library, max_wrong=0.1, labelled=tmp_path / "said.csv")

    assert (new.labelled, kept.labelled) == (2, 0)
    assert kept.rehearsed == new.rehearsed + 2
    assert kept.curve == (await calibrate(library, max_wrong=0.1)).curve


async def test_a_category_may_accept_another_share_of_wrong_answers(write, open_library):
    """The line is drawn on the same curve; which one counts follows from the first result."""
    library = open_library(max_wrong=0.05, max_wrong_of={"money": 0.4, "account": 0.001})
    topics = {
        f"{category}/{number}.md": f"---\ntitle: {category} {number}\nquestions:\n"
        + "".join(
            f"  - {how} {category} thing {number} please\n" for how in ("change", "see", "get", "remove")
        )
        + f"---\nThe {category} thing {number} is in the settings.\n"
        for category in ("money", "account", "other")
        for number in ("alpha", "beta", "gamma", "delta", "omega")
    }
    await library.activate((await library.build([write(topics)])).info.id)

    easy, strict, plain = [
        await library.search(f"change {category} thing beta please")
        for category in ("money", "account", "other")
    ]

    assert [found.hits[0].category for found in (easy, strict, plain)] == ["money", "account", "other"]
    assert easy.threshold_answer < plain.threshold_answer <= strict.threshold_answer
    assert plain.threshold_answer == library.calibration().threshold_answer
    assert easy.threshold_clarify <= plain.threshold_clarify
    assert "at most 40% of them are wrong" in " ".join(easy.why)
    lines = await calibrate(library, max_wrong=0.05)
    assert lines.categories == {"money": easy.threshold_answer, "account": strict.threshold_answer}
