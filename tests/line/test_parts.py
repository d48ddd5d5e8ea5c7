"""One sentence that joins two questions: taken apart only where that answers more of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.gather import QUESTIONS_MAX, worth_apart
from handoff.model import Found, Hit
from knowledge.tokens import joined_questions


def found(topic: str, sure: float) -> Found:
    return Found("s", topic, (Hit(topic, topic, "text", sure),), sure, 0.8, 0.4)


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("How do I cancel and how do I export my data?", ["How do I cancel", "how do I export my data?"]),
        ("wie kündige ich das und wann bekomme ich Geld?", ["wie kündige ich das", "wann bekomme ich Geld?"]),
        ("Can I pause it, and what does that cost?", ["Can I pause it", "what does that cost?"]),
        ("How do I connect Google and Outlook?", []),
        ("how do I cancel and why?", []),
        ("Where is the start and is it free", ["Where is the start", "is it free"]),
        ("and how do I export?", []),
        ("", []),
    ],
)
def test_joined_questions(question: str, parts: list[str]) -> None:
    assert joined_questions(question, QUESTIONS_MAX) == parts


def test_two_parts_with_an_answer_of_their_own_are_two_questions() -> None:
    cancel, export = found("cancel", 0.9), found("export", 0.9)
    assert worth_apart(found("cancel", 0.5), (cancel, export)) == (cancel, export)
    assert worth_apart(found("cancel", 0.95), (cancel, export)) == (cancel, export)


def test_a_half_without_an_answer_does_not_spoil_an_answer_to_the_whole() -> None:
    whole = found("cancel", 0.95)
    assert worth_apart(whole, (found("cancel", 0.9), found("dogs", 0.1))) == (whole,)
    assert worth_apart(whole, (found("cancel", 0.9), found("cancel", 0.9))) == (whole,)


def test_a_half_that_is_close_to_another_topic_is_not_dropped() -> None:
    whole, export, plan = found("export", 0.95), found("export", 0.97), found("plan", 0.6)
    assert worth_apart(whole, (export, plan)) == (export, plan)
    assert worth_apart(whole, (export, found("export", 0.6))) == (whole,)
    leaning = replace(plan, question="what does that cost?")
    assert worth_apart(whole, (export, leaning)) == (whole,)


def test_where_the_whole_has_no_answer_one_half_is_better_than_none() -> None:
    cancel, dogs = found("cancel", 0.9), found("dogs", 0.1)
    assert worth_apart(found("cancel", 0.5), (cancel, dogs)) == (cancel, dogs)
    whole = found("cancel", 0.5)
    assert worth_apart(whole, (found("cancel", 0.6), dogs)) == (whole,)


@pytest.mark.parametrize("text", ["and how " * 4000, " , and " * 4000, "x" * 50_000])
def test_a_hostile_question_takes_no_time(text: str) -> None:
    assert len(joined_questions(text, QUESTIONS_MAX)) <= 3
