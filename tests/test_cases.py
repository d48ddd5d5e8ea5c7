"""Golden cases guard: one that does not hold is told with what mends it, by `eval` and by the gate of a build alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bot.asking import Asker
from handoff.effects import Decision
from tests.test_shell import TOPIC, TOPICS

THEFT = TOPIC.format(
    id="stolen",
    title="Report a theft",
    question="My bike was stolen, what now?",
    text="Tell the police first.",
).replace("owner:", "level: collect\nowner:")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small knowledge folder, one topic of which ends with a person, and a configuration with golden cases."""
    home = tmp_path_factory.mktemp("cases")
    (home / "knowledge").mkdir()
    for name, text in {**TOPICS, "stolen.md": THEFT}.items():
        (home / "knowledge" / name).write_text(text)
    (home / "config.toml").write_text(
        '[bot]\ndata_dir = "data"\n[knowledge]\npaths = ["knowledge"]\ngolden = "golden.yaml"\n'
    )
    return home


# An asked-back question, one that ends with a person by its topic's level, and one by a trigger.
ENDINGS = {
    "clarify": ("refund or invoice", {"refund-policy", "invoice-download"}, "password-reset"),
    "collect": ("My bike was stolen, what now?", {"stolen"}, "refund-policy"),
    "escalate": ("Can I talk to a human about my invoices?", {"invoice-download"}, "stolen"),
}


@pytest.mark.parametrize("decision", ENDINGS)
def test_an_expected_topic_is_checked_beside_every_decision(run, folder: Path, decision: str) -> None:
    question, near, other = ENDINGS[decision]

    def evaluated(expected: str) -> tuple[int, int, str]:
        case = f"- question: {question}\n  expected: {expected}\n  decision: {decision}\n"
        (folder / "one.yaml").write_text(case)
        (folder / "one.csv").write_text(f'question,expected,decision\n"{question}",{expected},{decision}\n')
        code, out, _ = run("eval", "one.yaml", "--json")
        return code, run("eval", "one.csv")[0], json.loads(out)[0]["fix"]

    assert {evaluated(topic) for topic in near} == {(0, 0, "")}
    in_yaml, in_csv, fix = evaluated(other)
    assert (in_yaml, in_csv) == (1, 1)
    assert fix.startswith(f"add this wording to the questions of {other}; ")


REFUND = "- question: Can I have a refund?\n"


@pytest.mark.parametrize(
    ("case", "fix"),
    [
        ("  expected: refund-policy\n", ""),
        ("  expected: invoice-download\n", "questions of invoice-download; refund-policy came first"),
        ("  expected: ''\n", "refund-policy answers what is not covered"),
        ("  never_say: [30 days]\n", ""),
        ("  expected: refund-polcy\n  decision: answer\n", "did you mean 'refund-policy'?"),
    ],
    ids=["right", "another topic", "not covered", "only never said", "no such topic"],
)
def test_a_case_without_a_decision_is_judged_by_its_topic(run, folder: Path, case: str, fix: str) -> None:
    (folder / "one.yaml").write_text(REFUND + case)

    code, out, _ = run("eval", "one.yaml", "--json")

    (judged,) = json.loads(out)
    assert (code, judged["ok"]) == (int(bool(fix)), not fix)
    assert fix in judged["fix"]


def test_what_came_first_by_mistake_is_not_asked_to_learn_the_question(run, folder: Path) -> None:
    question = "- question: What colours do your bicycles have?\n"
    (folder / "one.yaml").write_text(f"{question}  expected: stolen\n  decision: answer\n")
    found = json.loads(run("eval", "one.yaml", "--json")[1])[0]["actual"].split()
    other = next(
        name for name in ("refund-policy", "password-reset", "invoice-download") if name not in found
    )
    (folder / "one.yaml").write_text(f"{question}  expected: {other}\n  decision: answer\n")

    (judged,) = json.loads(run("eval", "one.yaml", "--json")[1])

    assert judged["fix"].startswith(f"add this wording to the questions of {other}; ")


@pytest.mark.parametrize(
    ("case", "holds"),
    [
        ("- question: My bike was stolen, what now?\n  decision: collect\n", True),
        ("- question: My bike was stolen, what now?\n  never_say: [discount]\n", True),
        (REFUND + "  decision: answer\n", True),
        (REFUND + "  decision: decline\n", False),
        (REFUND + "  expected: ''\n", False),
    ],
    ids=["level", "only never said", "any answer", "declined", "not covered"],
)
def test_a_build_is_stopped_by_what_knowledge_decides(run, folder: Path, case: str, holds: bool) -> None:
    (folder / "golden.yaml").write_text(case)

    code, out, _ = run("knowledge", "build", "--json")

    built = json.loads(out)
    assert (code, built["activated"]) == (int(not holds), holds)


def test_a_crossed_boundary_is_told_as_that_and_not_as_a_trigger(run, folder: Path) -> None:
    """Triggers have counter-examples; a topic's own `escalate_when` has none."""
    bounded = folder / "knowledge" / "bounded.md"
    bounded.write_text(
        TOPIC.format(id="bounded", title="Change a booking", question="How do I change a booking?", text="Press it.")
        .replace("owner:", "escalate_when:\n  - customer mentions a wedding\nowner:")
    )  # fmt: skip
    question = "How do I change a booking for my wedding?"
    (folder / "one.yaml").write_text(f"- question: {question}\n  expected: bounded\n  decision: answer\n")
    try:
        (judged,) = json.loads(run("eval", "one.yaml", "--json")[1])
    finally:
        bounded.unlink()

    assert judged["fix"].startswith("a line of escalate_when of bounded was crossed")


def test_a_label_that_names_no_topic_is_a_finding(run, folder: Path) -> None:
    (folder / "labels.csv").write_text("question,expected\nCan I have a refund?,refund-polcy\n")

    code, out, _ = run("eval", "labels.csv")

    assert code == 1
    assert "refund-polcy" in out


@pytest.mark.parametrize(("stated", "holds"), [("decline", True), ("offer", True), ("clarify", False)])
def test_a_decision_may_be_stated_as_ask_tells_it(
    run, folder: Path, monkeypatch: pytest.MonkeyPatch, stated: str, holds: bool
) -> None:
    decide = Asker.decide

    async def offering(self: Asker, question: str) -> tuple[Decision, object, object]:
        decision, known, timings = await decide(self, question)
        return replace(decision, kind="offer"), known, timings

    monkeypatch.setattr(Asker, "decide", offering)
    (folder / "one.yaml").write_text(f"{REFUND}  decision: {stated}\n")
    (folder / "one.csv").write_text(f"question,expected,decision\nCan I have a refund?,,{stated}\n")

    asked = json.loads(run("ask", "Can I have a refund?", "--json")[1])
    codes = [run("eval", file)[0] for file in ("one.yaml", "one.csv")]

    assert asked["decision"] == "decline"
    assert codes == [int(not holds)] * 2
