"""The sample knowledge is a team's work: its golden cases hold, and its translations may do what the originals may."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cases import read_cases
from bot.config import load
from bot.evaluating import judge_cases
from knowledge import reader
from tests.stage import KNOWLEDGE, Knowledge

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "examples" / "golden.yaml"


@pytest.mark.slow
async def test_every_golden_case_of_the_sample_holds(knowledge: Knowledge, tmp_path: Path) -> None:
    """With the delivered configuration, as `firstline eval examples/golden.yaml` tells it."""
    delivered = load(ROOT / "config.toml", {})
    config = delivered.model_copy(update={"bot": delivered.bot.model_copy(update={"data_dir": tmp_path})})

    judged = await judge_cases(config, knowledge.library, read_cases(GOLDEN))

    assert [(one.question, one.expected, one.actual, one.fix) for one in judged if not one.ok] == []


def test_a_third_of_the_golden_cases_ends_otherwise_than_in_an_answer() -> None:
    """What the bot must not answer is as much worth guarding as what it must."""
    decisions = [str(case["decision"]) for case in read_cases(GOLDEN)]
    others = [one for one in decisions if one != "answer"]

    assert len(others) * 3 >= len(decisions)
    assert set(others) == {"clarify", "draft", "collect", "escalate", "decline"}


def test_a_translation_may_do_what_the_original_may() -> None:
    topics, complaints = reader.read([ROOT / KNOWLEDGE])
    originals = {topic.id: topic for topic in topics if not topic.language}
    translations = [topic for topic in topics if topic.language]

    assert not complaints
    assert len(translations) > len(originals) / 4
    for one in translations:
        original = originals[one.id]
        same = (one.level, one.category, one.audience, one.kind, one.owner)
        assert same == (
            original.level, original.category, original.audience, original.kind, original.owner,
        ), one.key  # fmt: skip
        assert bool(one.escalate_when) == bool(original.escalate_when), one.key


def test_no_question_has_slipped_into_an_approved_text() -> None:
    """An indented list at the end of a text looks like the front matter's `questions:`, and would be sent to customers."""
    slipped = [
        path.name
        for path in sorted((ROOT / KNOWLEDGE).rglob("*.md"))
        if path.read_text("utf-8").rstrip().rsplit("\n", 1)[-1].startswith("  - ")
    ]

    assert slipped == []


@pytest.mark.slow
async def test_an_emergency_is_what_was_meant_as_one(knowledge: Knowledge) -> None:
    """In German the English model finds everything close to everything."""
    alarms = (
        "Es riecht nach Gas im Studio",
        "Im Studio brennt es",
        "Someone collapsed in class",
        "I smell gas at the kiln",
    )
    others = (
        "Wie kann ich kündigen?",
        "Wie führe ich Kunden zusammen?",
        "Wie trage ich Urlaub ein?",
        "How do I cancel?",
    )

    found = {text: (await knowledge.library.search(text)).hits[0].kind for text in (*alarms, *others)}

    assert {text for text, kind in found.items() if kind == "emergency"} == set(alarms)
