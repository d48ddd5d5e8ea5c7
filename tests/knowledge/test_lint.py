"""What lint and audit remark, one rule at a time."""

from __future__ import annotations

from datetime import date

import pytest

from knowledge.lint import audit, lint
from knowledge.passage import Section, Topic

TODAY = date(2026, 11, 26)


def topic(name: str, text: str = "Some text.", **fields: object) -> Topic:
    kept: dict[str, object] = {
        "owner": "maria",
        "reviewed": "2026-11-01",
        "questions": (f"How do I {name}?",),
    } | fields
    title = str(kept.pop("title", f"How do I {name}?"))
    return Topic(id=name, title=title, path=f"{name}.md", sections=(Section("", text),), **kept)  # type: ignore[arg-type]


REMARKS = {
    "stale": topic("a", reviewed="2026-01-01"),
    "ownerless": topic("a", owner=""),
    "unreviewed": topic("a", reviewed=""),
    "reviewed-later": topic("a", reviewed="2027-01-01"),
    "title": topic("a", title="Refund policy"),
    "no-questions": topic("a", questions=()),
    "expired": topic("a", valid_to="2026-11-25"),
    "long": topic("a", "x" * 3000),
    "dangling": topic("a", related=("nowhere",)),
}


@pytest.mark.parametrize(("rule", "case"), REMARKS.items(), ids=REMARKS)
def test_lint_remarks_one_thing(rule, case):
    assert [one.rule for one in lint([case], today=TODAY) if one.rule != "unused-level"] == [rule]


GERMAN = {"questions": ("Wo kann ich das ändern?",)}


@pytest.mark.parametrize(
    ("title", "fields", "good"),
    [
        ("Recommend us to a friend", {}, True),
        ("Erase the data of one client (GDPR request)", {}, True),
        ("Refund a booking", {}, True),
        ("Refund policy", {}, False),
        ("Plans and prices", {}, False),
        ("About your invoice", {}, False),
        ("Session token", {}, False),
        ("Rechnung herunterladen", {"language": "de"}, True),
        ("Rechnung herunterladen", GERMAN, True),
        ("E-Mail-Adresse für die Anmeldung ändern (nur Inhaber)", GERMAN, True),
        ("Buchungen sammeln", GERMAN, True),
        ("Welche Tarife gibt es", GERMAN, True),
        ("Preise und Rechnungen", GERMAN, False),
        ("Tarife und Preise", {"language": "de"}, False),
        ("Account frozen", {"language": "en", **GERMAN}, False),
    ],
)
def test_a_title_is_a_question_or_an_action_in_both_languages(title, fields, good):
    assert (
        "title" in {one.rule for one in lint([topic("a", title=title, **fields)], today=TODAY)}
    ) is not good


def test_a_careful_topic_is_left_alone():
    levels = [topic(level, level=level) for level in ("answer", "draft", "collect", "escalate")]

    assert lint(levels, today=TODAY) == ()


async def test_audit_finds_twins_and_contradictions(open_library):
    topics = [
        topic("cancel", "Cancel within 14 days.", questions=("How can I cancel my subscription?",)),
        topic("stop", "Cancel within 30 days.", questions=("How do I cancel my subscription?",)),
        topic("wifi", "Restart it.", questions=("Why is the wifi slow?",)),
        topic("wlan", "Restart it.", questions=("Why is the wifi so slow?",)),
        topic(
            "staff",
            "Cancel within 90 days.",
            questions=("How do I cancel my subscription?",),
            audience=("staff",),
        ),
    ]

    found = await audit(topics, open_library().embed, today=TODAY, used={"cancel": 3})

    assert [(one.topic, one.other) for one in found if one.rule == "contradiction"] == [("cancel", "stop")]
    assert [(one.topic, one.other) for one in found if one.rule == "duplicate"] == [("wifi", "wlan")]
    assert [one.topic for one in found if one.rule == "unused"] == ["staff", "stop", "wifi", "wlan"]
    assert [one.severity for one in found] == sorted(
        (one.severity for one in found), key=["problem", "warning", "hint"].index
    )


def test_a_category_that_is_not_there_is_told_once_with_what_was_meant():
    topics = [topic(name, category=category) for name, category in
              (("a", "biling"), ("b", "biling"), ("c", "billing"), ("d", ""))]  # fmt: skip

    found = [one for one in lint(topics, today=TODAY, categories=("billing", "general")) if one.topic]

    assert [(one.rule, one.severity, one.topic) for one in found] == [("category", "warning", "a")]
    assert "did you mean `billing`?" in found[0].message
    assert not [one for one in lint(topics, today=TODAY) if one.rule == "category"]
