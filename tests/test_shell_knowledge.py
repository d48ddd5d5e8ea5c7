"""`firstline calibrate` and the commands about a folder's health: what they say, what they leave alone."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.calibrating import HEIGHT, WIDTH, picture, rows
from knowledge.evaluate import Point
from tests.test_shell import TOPICS

CONTRADICTION = TOPICS["refunds.md"].replace("refund-policy", "refund-terms").replace("14 days", "30 days")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small knowledge folder with a configuration beside it."""
    home = tmp_path_factory.mktemp("shell")
    (home / "knowledge").mkdir()
    for name, text in TOPICS.items():
        (home / "knowledge" / name).write_text(text)
    (home / "config.toml").write_text(
        '[bot]\ndata_dir = "data"\n[knowledge]\npaths = ["knowledge"]\n[web]\nport = 0\n'
    )
    return home


def in_use(run) -> dict[str, Any]:
    return dict(json.loads(run("knowledge", "status", "--json")[1]))


# --- asking -----------------------------------------------------------------------------------------------------


def test_asking_sees_files_as_they_are_and_changes_nothing_for_the_bot(run, folder: Path) -> None:
    run("knowledge", "build")
    before = in_use(run)["snapshot"]
    changed = folder / "knowledge" / "invoices.md"
    changed.write_text(TOPICS["invoices.md"].replace("Settings, then Billing", "Billing, then Papers"))
    try:
        _, out, err = run("knowledge", "search", "Where are my invoices?", "--json")
        again = run("knowledge", "search", "Where are my invoices?", "--json")[1]
    finally:
        changed.write_text(TOPICS["invoices.md"])

    assert json.loads(out)["snapshot"] == json.loads(again)["snapshot"] != before
    assert in_use(run)["snapshot"] == before
    assert "firstline knowledge build" in err


# The two are 26 hours apart: at any moment the one has another day than the other, wherever the machine is.
EAST, WEST = "Pacific/Kiritimati", "Etc/GMT+12"


@pytest.fixture
def dated(folder: Path):
    """A topic that speaks from today on in the east, and a desk in the east and one in the west."""
    day = datetime.now(ZoneInfo(EAST)).date().isoformat()
    offer = folder / "knowledge" / "offer.md"
    question = "Is there a discount for new studios?"
    offer.write_text(
        TOPICS["refunds.md"].replace("refund-policy", "offer").replace("Can I have a refund?", question)
        .replace("---\nCustomers", f"valid_from: {day}\n---\nCustomers")
    )  # fmt: skip
    for zone in (EAST, WEST):
        name = zone.split("/")[1]
        (folder / f"{name}.toml").write_text(
            f'[bot]\ndata_dir = "{name}"\n[knowledge]\npaths = ["knowledge"]\ngolden = "golden.yaml"\n'
            f'[hours]\ntimezone = "{zone}"\n'
        )
    (folder / "golden.yaml").write_text(f"- question: {question}\n  expected: offer\n  decision: clarify\n")
    (folder / "offer.csv").write_text(f"question,expected\n{question},offer\n")
    yield question
    offer.unlink()


@pytest.mark.parametrize(("zone", "speaks"), [(EAST, True), (WEST, False)])
def test_commands_take_the_day_from_where_the_desk_is(run, dated: str, zone: str, speaks: bool) -> None:
    desk = ("--config", f"{zone.split('/')[1]}.toml")

    built = json.loads(run("knowledge", "build", *desk, "--json")[1])
    searched = json.loads(run("knowledge", "search", dated, *desk, "--json")[1])
    asked = json.loads(run("ask", dated, *desk, "--json")[1])
    judged = json.loads(run("eval", "offer.csv", *desk, "--json")[1])

    assert built["activated"] is speaks  # its golden case holds
    assert [note for note in built["notes"] if "do not speak today" in note] == (
        [] if speaks else built["notes"][-1:]
    )
    for nearest in (searched["hits"], asked["nearest"]):
        assert ("offer" in {hit["topic"] for hit in nearest}) is speaks
    assert judged["hit_at_5"] == float(speaks)


# --- status -----------------------------------------------------------------------------------------------------


def test_rehearsed_questions_are_whole_and_the_same_number_everywhere(run) -> None:
    run("knowledge", "build")
    raw = in_use(run)["calibration"]["rehearsed"]

    status = " ".join(run("knowledge", "status")[1].replace("│", " ").split())

    assert raw == 1.5  # three topics with one question each
    assert "rehearsed: 2 questions (a topic's only question counts half)" in status
    assert "1.5" not in status
    assert json.loads(run("calibrate", "--json")[1])["rehearsed"] == 2


# --- calibrate --------------------------------------------------------------------------------------------------


def test_too_little_data_says_so_and_what_helps(run) -> None:
    run("knowledge", "build")

    code, out, _ = run("calibrate")

    assert code == 0
    assert "Too little data" in out
    assert "--transcripts" in out


def test_a_larger_share_of_wrong_answers_never_raises_the_line(run) -> None:
    strict = json.loads(run("calibrate", "--max-wrong", "0.01", "--json")[1])
    loose = json.loads(run("calibrate", "--max-wrong", "0.4", "--json")[1])

    assert strict["threshold_answer"] >= loose["threshold_answer"]
    assert not strict["enough"]


def test_the_configured_share_draws_the_line_that_is_in_use(run) -> None:
    run("knowledge", "build")

    shown = json.loads(run("calibrate", "--json")[1])

    assert shown["threshold_answer"] == in_use(run)["threshold_answer"]


def test_nothing_is_written_without_apply(run, folder: Path) -> None:
    run("knowledge", "build")
    before = in_use(run)["snapshot"]
    (folder / "cases.csv").write_text("question,expected\nWhere do I find my bills?,invoice-download\n")

    shown = json.loads(run("calibrate", "--max-wrong", "0.3", "--transcripts", "cases.csv", "--json")[1])

    assert shown["labelled"] == 1
    assert in_use(run)["snapshot"] == before
    assert not (folder / "data" / "knowledge" / "labelled.csv").exists()


def test_apply_keeps_the_labels_and_says_what_to_write_in_the_configuration(run, folder: Path) -> None:
    run("knowledge", "build")
    before = in_use(run)["threshold_answer"]
    (folder / "cases.csv").write_text("question,expected\nWhere do I find my bills?,invoice-download\n")

    code, _, err = run("calibrate", "--max-wrong", "0.3", "--transcripts", "cases.csv", "--apply")

    assert code == 0
    assert "max_wrong = 0.3" in err
    assert "Where do I find my bills?" in (folder / "data" / "knowledge" / "labelled.csv").read_text()
    assert in_use(run)["threshold_answer"] < before


@pytest.mark.parametrize("share", ["0", "1.5", "much"])
def test_a_share_that_is_none_is_wrong_usage(run, share: str) -> None:
    assert run("calibrate", "--max-wrong", share)[0] == 2


@pytest.mark.parametrize(
    "words",
    [("calibrate", "--transcripts", "none.csv"), ("eval", "none.csv"), ("demo", "--port", "99999")],
    ids=" ".join,
)
def test_a_file_or_port_that_cannot_be_is_told_before_any_work(run, words: tuple[str, ...]) -> None:
    code, _, err = run(*words)

    assert code == 2
    assert words[-2].strip("-") in err or words[-1] in err


def test_the_picture_shows_the_accepted_share_and_how_far_answers_go() -> None:
    curve = tuple(Point(1 - step / 100, step / 100, step / 400) for step in range(1, 101))

    drawn = picture(curve, 0.05, 0.2)

    assert len(drawn) == HEIGHT + 2
    assert {len(line) for line in drawn[:HEIGHT]} == {WIDTH + 8}
    assert any("┄" in line and "5.0%" in line for line in drawn)
    assert drawn[-1].index("▲") == 8 + round(0.2 * WIDTH)
    assert rows(curve)[0] == ["10%", "2.5%", "0.900"]


def test_one_point_is_a_picture_too() -> None:
    assert picture((Point(0.9, 1.0, 0.0),), 0.05, 0.0)


# --- lint and audit ---------------------------------------------------------------------------------------------


def test_lint_finds_nothing_wrong_in_a_good_folder(run) -> None:
    code, out, _ = run("knowledge", "lint")

    assert code == 0
    assert "3 topics" in out


def test_one_is_counted_as_one(run, tmp_path: Path) -> None:
    (tmp_path / "invoices.md").write_text(TOPICS["invoices.md"])

    _, out, _ = run("knowledge", "lint", "--knowledge", str(tmp_path))

    assert out.splitlines()[-1] == "1 topic, 1 finding"


def test_lint_names_file_and_line_and_fails(run, folder: Path) -> None:
    bad = folder / "knowledge" / "bad.md"
    bad.write_text(
        TOPICS["password.md"].replace("password-reset", "bad").replace("owner: maria", "related: [nowhere]")
    )
    try:
        code, out, _ = run("knowledge", "lint", "--json")
    finally:
        bad.unlink()

    found = json.loads(out)["findings"]
    assert code == 1
    assert ("dangling", "bad.md") in {(f["rule"], f["path"]) for f in found}


def test_audit_finds_topics_that_contradict_each_other(run, folder: Path) -> None:
    twin = folder / "knowledge" / "terms.md"
    twin.write_text(CONTRADICTION)
    try:
        code, out, _ = run("knowledge", "audit", "--json")
    finally:
        twin.unlink()

    rules = {(f["rule"], f["topic"], f["other"]) for f in json.loads(out)["findings"]}
    assert code == 1
    assert ("contradiction", "refund-policy", "refund-terms") in rules
