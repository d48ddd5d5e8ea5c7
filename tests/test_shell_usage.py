"""Whatever a new admin types wrong ends in words: what is wrong, where, what to do next; 1 for a finding, 2 for wrong
usage, and never a traceback."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from datetime import datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from bot import shell_output
from tests.test_shell import TOPICS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small knowledge folder, configurations that can and cannot be used, and files that hold something else."""
    home = tmp_path_factory.mktemp("shell")
    (home / "knowledge").mkdir()
    (home / "knowledge" / "refunds.md").write_text(TOPICS["refunds.md"])
    for name, text in {
        "config.toml": '[bot]\ndata_dir = "data"\n[knowledge]\npaths = ["knowledge"]\n[web]\nport = 0\n',
        "file.toml": '[bot]\ndata_dir = "config.toml"\n[knowledge]\npaths = ["knowledge"]\n',
        "under.toml": '[bot]\ndata_dir = "config.toml/data"\n[knowledge]\npaths = ["knowledge"]\n',
        "proc.toml": '[bot]\ndata_dir = "/proc/no"\n[knowledge]\npaths = ["knowledge"]\n',
        "nowhere.toml": '[bot]\ndata_dir = "other"\n[knowledge]\npaths = ["nowhere"]\n',
        "broken.toml": "[bot\n",
        "several.toml": '[bot]\nnam = "x"\n[hours]\ntimezone = "Mars"\n',
        "golden.toml": '[knowledge]\npaths = ["knowledge"]\ngolden = "number.yaml"\n',
        "missing.toml": '[knowledge]\npaths = ["knowledge"]\ngolden = "missing.yaml"\n',
        "words.toml": '[knowledge]\npaths = ["knowledge"]\n[wording]\n"customer.joind" = "x"\n',
        "teams.toml": '[bot]\ndata_dir = "teams"\n[knowledge]\npaths = ["knowledge"]\n'
        '[[playground.channels]]\nid = "support"\nmode = "all"\n'
        '[[route]]\nname = "bikes"\nplayground_channel = "workshop"\n'
        '[[category]]\nname = "general"\nroute = "bikes"\n',
        "number.yaml": "5\n",
        "key.yaml": "- question: refund?\n  expcted: refund-policy\n",
        "lists.yaml": "- question: [a, b]\n- question: refund?\n  never_say: {a: b}\n",
        "quote.yaml": '- question: refund?\n- question: "a\n',
        "none.yaml": "cases: 5\n",
        "decision.yaml": "- question: refund?\n  decision: answr\n",
        "decision.csv": "question,expected,decision\nrefund?,refund-policy,answr\n",
        "columns.csv": "a,b\n1,2\n",
        "good.csv": "question,expected\nrefund?,refund-policy\n",
    }.items():
        (home / name).write_text(text)
    return home


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ask|", "write a question"),
        ("ask| ?! ", "write a question"),
        ("knowledge|search|", "write a question"),
        ("tickets|list|--state|bogus", "new, open, pending, escalated, solved, closed"),
        ("tickets|show|²", "write T-1042 or 1042"),
        ("tickets|show|99999999999999999999", "write T-1042 or 1042"),
        ("tickets|export|--output|nowhere/x.csv", "there is no folder"),
        ("tickets|export|--output|knowledge", "name a file"),
        ("eval|good.csv|--report|nowhere/x.html", "there is no folder"),
        ("eval|good.csv|--report|x.txt", ".md or .html"),
        ("backup|nowhere/x.db", "there is no folder"),
        ("init|config.toml", "config.toml is a file; name a folder"),
        ("init|new|--application-id|abc", "'abc' is no application id"),
    ],
)
def test_wrong_usage_is_told_before_any_work(run, folder: Path, words: str, told: str) -> None:
    code, out, err = run(*words.split("|"))

    assert code == 2
    assert told in err
    assert out == ""
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ask|refund?|--config|file.toml", ("file.toml: bot.data_dir", "is a file, not a folder")),
        ("ask|refund?|--config|broken.toml", ("broken.toml", "line 1")),
        ("ask|refund?|--config|several.toml", ("\n  several.toml: bot.nam", "\n  several.toml: hours.timezone")),
        ("ask|refund?|--config|nowhere.toml", ("nowhere: no such file or folder", "[knowledge] paths")),
        ("chat|--config|proc.toml", ("/proc/no", "Make the folder first")),
        ("chat|--config|under.toml", ("config.toml/data", "choose another place")),
        ("demo|--config|under.toml", ("config.toml/data", "choose another place")),
        ("privacy|erase|slack:T:U|--yes", ("there is no database yet",)),
        ("replay|A-1", ("there is no database yet",)),
        ("eval|number.yaml", ("number.yaml:1: a list of cases",)),
        ("eval|none.yaml", ("none.yaml:1: a list of cases",)),
        ("eval|key.yaml", ("case 1: unknown key expcted; did you mean 'expected'?",)),
        ("eval|lists.yaml", ("case 1: question must be a text", "case 2: never_say must be a text or a list")),
        ("eval|quote.yaml", ("quote.yaml:3: broken YAML",)),
        ("knowledge|build|--config|golden.toml", ("number.yaml:1: a list of cases",)),
        ("knowledge|build|--config|missing.toml", ("missing.yaml: no such file; [knowledge] golden names it",)),
        ("eval|decision.yaml", ("case 1: there is no decision 'answr'", "clarify")),
        ("eval|decision.csv", ("'refund?': there is no decision 'answr'", "clarify")),
        ("eval|columns.csv", ("columns.csv:1: no column question",)),
        ("knowledge|rollback", ("There is no earlier snapshot to go back to",)),
    ],
)  # fmt: skip
def test_what_cannot_be_done_says_what_is_wrong_and_where(run, words: str, told: tuple[str, ...]) -> None:
    code, _, err = run(*words.split("|"))

    assert code == 1
    assert [part for part in told if part not in err] == []
    assert "Traceback" not in err
    assert "errno" not in err.casefold()


def test_a_command_makes_no_database_of_its_own(run, folder: Path) -> None:
    run("privacy", "erase", "slack:T:U", "--yes")

    assert not (folder / "data" / "firstline.db").exists()


def test_nobody_who_could_say_yes_erases_nothing(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    code, _, err = run("privacy", "erase", "slack:T:U")

    assert code == 1
    assert "Nothing was erased" in err
    assert "--yes" in err


def test_check_names_a_folder_that_is_not_there(run) -> None:
    code, out, _ = run("check", "--config", "nowhere.toml", "--json")

    failed = {r["detail"] for r in json.loads(out) if not r["ok"]}
    assert code == 1
    assert any("nowhere: no such file or folder" in detail for detail in failed)


@pytest.mark.parametrize(
    ("config", "name", "told"),
    [
        ("golden.toml", "golden cases", "number.yaml:1: a list of cases is expected"),
        (
            "words.toml",
            "wording",
            "customer.joind: there is no such sentence; did you mean 'customer.joined'?",
        ),
    ],
)
def test_check_tells_what_would_stop_the_start_or_the_build(run, config: str, name: str, told: str) -> None:
    code, out, _ = run("check", "--config", config, "--json")

    assert code == 1
    assert [r["name"] for r in json.loads(out) if not r["ok"] and told in r["detail"] and r["fix"]] == [name]


def test_lint_names_no_line_where_there_is_none(run) -> None:
    _, out, _ = run("knowledge", "lint", "--config", "nowhere.toml")

    assert "nowhere: no such file or folder" in out
    assert ":0:" not in out


def test_what_was_just_built_is_not_read_again(run) -> None:
    run("knowledge", "build")

    _, _, err = run("ask", "refund?")

    assert "read" not in err


def test_a_ticket_names_the_receipts_that_replay_asks_for(
    run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Can I have a refund?\nI want to talk to a human\n/quit\n"))
    assert run("chat")[0] == 0
    text = (folder / "config.toml").read_text().replace('"data"', '"data/demo"')
    (folder / "demo.toml").write_text(text)

    shown = run("tickets", "show", "T-1", "--config", "demo.toml")[1]
    receipt = re.search(r"answer (A-[\w.-]+): Refund policy", shown)
    assert receipt, shown
    code, told, _ = run("replay", receipt[1], "--config", "demo.toml")
    missing = run("replay", "A-none", "--config", "demo.toml")

    assert (code, told.splitlines()[0]) == (0, "the same, word for word")
    assert missing[0] == 1
    assert "✗ There is no receipt 'A-none'" in missing[2]


def test_a_spreadsheet_gets_times_that_it_can_read(
    run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("I want to talk to a human\n/quit\n"))
    run("chat")
    (folder / "demo.toml").write_text((folder / "config.toml").read_text().replace('"data"', '"data/demo"'))

    (row,) = csv.DictReader(io.StringIO(run("tickets", "export", "--config", "demo.toml")[1]))
    (same,) = json.loads(run("tickets", "export", "--format", "json", "--config", "demo.toml")[1])

    assert datetime.fromisoformat(row["opened_at"]).timestamp() == int(same["opened_at"])
    assert row["opened_at"].endswith("+00:00")
    assert row["solved_at"] == ""


def test_a_team_with_a_channel_of_its_own_gets_its_cards_there(
    run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "I want to talk to a human\n/as dana\n/staff\n/open T-1\n/quit\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(script))

    _, out, err = run("chat", "--config", "teams.toml")

    assert "You are ana, in #support" in out
    assert "Firstline (workshop):\n    T-1 " in out
    assert "You write in that card's thread now." in out
    assert "there is no channel" not in err


TICKETS = (
    ["ticket", "state", "priority", "category", "subject", "customer", "assignee", "opened (UTC)"],
    ["T-1", "open", "P2", "billing", "How do I get my money back?", "Ana", "Dana", "2026-11-27 14:07"],
)
HITS = (
    ["topic", "title", "file", "confidence", "score"],
    [
        "two-factor-setup-for-teams",
        "Sign in with a second factor",
        "account/two-factor-setup.md",
        "0.99",
        "2.356",
    ],
)


@pytest.mark.parametrize(("columns", "row"), [TICKETS, HITS], ids=["tickets", "hits"])
@pytest.mark.parametrize("width", [120, 80, 70, 60, 40])
def test_no_column_of_a_table_is_lost_or_broken_in_its_heading_on_a_narrow_terminal(
    columns: list[str],
    row: list[str],
    width: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shell_output, "console", Console(width=width, highlight=False))

    shell_output.table(columns, [row])

    shown = capsys.readouterr().out
    short = [cell for cell in row if len(cell) <= 10]
    assert [word for word in (*" ".join(columns).split(), *short) if word not in shown] == []
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    if "│" in shown:  # the last column has its edge
        assert all(line[-1] in "┓┃┩│┘" for line in shown.splitlines())
