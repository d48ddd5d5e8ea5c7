"""The command line: every command keeps its promise, every mistake ends in one clear message and an exit code."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock
from rich.console import Console

from bot import shell_output
from bot.demo import forget, started
from bot.reload import LOADING, load_model
from bot.shell_output import Step, as_csv, facts, plain
from bot.writer import Writer

SHOW_CURSOR = "\x1b[?25h"

TOPIC = """---
id: {id}
title: {title}
questions:
  - {question}
category: billing
owner: maria
reviewed: 2026-10-01
---
{text}
"""

TOPICS = {
    "refunds.md": TOPIC.format(
        id="refund-policy", title="Refund policy", question="Can I have a refund?",
        text="Customers can request a refund within 14 days if the service has not started.",
    ),
    "invoices.md": TOPIC.format(
        id="invoice-download", title="Download an invoice", question="Where are my invoices?",
        text="Open Settings, then Billing, and press Download beside the invoice.",
    ),
    "password.md": TOPIC.format(
        id="password-reset", title="Reset a password", question="I forgot my password, what now?",
        text="Press Forgot password on the sign-in page and follow the e-mail that arrives.",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small knowledge folder with a configuration beside it."""
    home = tmp_path_factory.mktemp("shell")
    knowledge = home / "knowledge"
    knowledge.mkdir()
    for name, text in TOPICS.items():
        (knowledge / name).write_text(text)
    (home / "config.toml").write_text(
        '[bot]\ndata_dir = "data"\n[knowledge]\npaths = ["knowledge"]\n[web]\nport = 0\n'
    )
    return home


@pytest.mark.parametrize("group", [(), ("knowledge",), ("tickets",), ("audit",), ("privacy",)])
def test_a_list_of_commands_is_not_cut_off_on_a_narrow_terminal(
    run, group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, said, _ = run(*group, "-h")

    assert code == 0
    assert not [line for line in said.splitlines() if line.startswith("  ") and line.endswith("...")]


def test_values_are_told_in_words_and_not_as_a_program_writes_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts({"languages": ["de", "en"], "calibration": {"expected_wrong": 0.0495, "note": "hm"}, "earlier": []})

    said = capsys.readouterr().out
    assert "de, en" in said
    assert "expected wrong: 0.0495" in said
    assert not set("[]{}'") & set(said)


def test_a_new_demo_leaves_a_running_one_alone(tmp_path: Path) -> None:
    database = tmp_path / "firstline.db"
    database.touch()

    with FileLock(f"{database}.lock"):
        forget(tmp_path)
        assert database.exists()
    forget(tmp_path)
    assert not database.exists()


@pytest.mark.parametrize("terminal", [True, False], ids=["read by a person", "read by a program"])
def test_words_are_wrapped_where_a_person_reads_them(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "[hours] timezone is no time zone; write one like Europe/Berlin, and then run firstline check"
    screen = io.StringIO()
    made = Console(file=screen, force_terminal=terminal, width=40, color_system=None)
    monkeypatch.setattr(shell_output, "errors", made)
    monkeypatch.setattr(shell_output, "console", made)

    shell_output.say(words)
    shell_output.fail(words, [words])
    shell_output.verdict(True, words)

    lines = screen.getvalue().splitlines()
    if terminal:
        assert max(map(len, lines)) <= 40
        assert (
            lines.count("  write one like Europe/Berlin, and then") == 3
        )  # under the words, not under the mark
    else:
        assert lines == [words, f"✗ {words}", f"  {words}", f"✓ {words}"]


class Starting:
    """An app as far as being started goes: it tells a stage of its start."""

    @asynccontextmanager
    async def running(self, progress: Step, opened: Callable[[], None]) -> AsyncIterator[Starting]:
        opened()
        progress("embed", 3, 7)
        yield self


async def test_progress_moves_while_it_starts_and_is_gone_before_anybody_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(shell_output, "errors", Console(file=screen, force_terminal=True, width=60))
    said: list[str] = []

    async with started(Starting(), lambda: said.append("open")):  # type: ignore[arg-type]
        shown = screen.getvalue()

    assert said == ["open"]
    assert "working" in shown
    assert "3/7" in shown
    assert SHOW_CURSOR in shown.rpartition("3/7")[2]
    assert screen.getvalue() == shown  # nothing was drawn any more


@pytest.mark.parametrize("slow", [True, False], ids=["the first time", "from then on"])
async def test_a_model_that_takes_long_is_waited_for_in_so_many_words(slow: bool) -> None:
    told: list[tuple[str, int, int]] = []
    ready = asyncio.Event()

    def step(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))
        ready.set()

    class Model:
        async def embed(self, texts: Sequence[str]) -> None:
            if slow:
                await ready.wait()

    await load_model(Model(), step, patience=0.05)  # type: ignore[arg-type]

    assert told == ([(LOADING, 0, 0), (LOADING, 1, 1)] if slow else [])


def test_ask_prints_the_contract_as_json(run) -> None:
    code, out, _ = run("ask", "Where can I find my invoices?", "--json")

    answer = json.loads(out)
    assert code == 0
    assert set(answer) >= {
        "decision",
        "confidence",
        "answer",
        "sources",
        "trigger",
        "why",
        "snapshot",
        "timings_ms",
    }
    assert answer["nearest"][0]["topic"] == "invoice-download"


def test_ask_reports_the_trigger_that_fired(run) -> None:
    _, out, _ = run("ask", "Let me talk to a human please", "--json")

    answer = json.loads(out)
    assert (answer["decision"], answer["trigger"], answer["answer"]) == ("escalate", "human", "")


def test_ask_shows_what_the_customer_would_read_also_where_no_knowledge_answers(run) -> None:
    greeted = run("ask", "hello")[1]
    asked = run("ask", "Let me talk to a human please")[1]
    kept = json.loads(run("ask", "hello", "--json")[1])

    assert "What can I help you with?" in greeted
    assert "[Talk to a person]" in greeted
    assert "confidence" not in greeted  # nothing was looked up
    assert "Your request is T-1." in asked
    assert kept["said"] in greeted
    assert (kept["answer"], kept["reactions"]) == ("", [])


def test_ask_says_so_where_the_customer_reads_nothing(run, folder: Path) -> None:
    (folder / "off.toml").write_text(
        '[bot]\ndata_dir = "data"\nlaunch_mode = "off"\n[knowledge]\npaths = ["knowledge"]\n'
    )

    thanked = run("ask", "thanks!")[1]
    off = run("ask", "Where can I find my invoices?", "--config", "off.toml")[1]

    assert "the bot says nothing; it reacts to the message with 👍" in thanked
    assert "the bot says nothing\nwhy: the launch mode is off" in off


def test_build_embeds_only_what_changed(run, folder: Path) -> None:
    run("knowledge", "build")
    (folder / "knowledge" / "invoices.md").write_text(TOPICS["invoices.md"] + "\nOr write to us.\n")

    code, out, _ = run("knowledge", "build", "--json")

    built = json.loads(out)
    assert code == 0
    assert built["activated"]
    assert 0 < built["embedded"] < built["embedded"] + built["reused"]


def test_status_search_and_rollback_tell_the_snapshot(run, folder: Path) -> None:
    run("knowledge", "build")
    first = json.loads(run("knowledge", "status", "--json")[1])
    (folder / "knowledge" / "password.md").write_text(TOPICS["password.md"] + "\nIt is valid for an hour.\n")
    run("knowledge", "build")

    found = json.loads(run("knowledge", "search", "password", "--json")[1])
    code, out, _ = run("knowledge", "rollback")

    assert found["hits"][0]["topic"] == "password-reset"
    assert found["snapshot"] != first["snapshot"]
    assert code == 0
    assert first["snapshot"] in out


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        pytest.param("broken.md", b"---\nid: [x\n---\ntext", "broken.md:", id="broken front matter"),
        pytest.param("twice.md", TOPICS["refunds.md"].encode(), "refund-policy", id="duplicate id"),
        pytest.param("latin.md", b"caf\xe9", "latin.md", id="invalid UTF-8"),
        pytest.param("level.md", b"---\nlevel: loud\n---\ntext", "loud", id="unknown level"),
        pytest.param("key.md", b"---\nlevle: answer\n---\ntext", "level", id="misspelt key"),
    ],
)
def test_bad_knowledge_is_refused_with_its_place_and_the_old_snapshot_answers(
    run, folder: Path, name: str, content: bytes, complaint: str
) -> None:
    run("knowledge", "build")
    before = json.loads(run("knowledge", "status", "--json")[1])["snapshot"]
    bad = folder / "knowledge" / name
    bad.write_bytes(content)
    try:
        code, _, err = run("knowledge", "build")
        after = json.loads(run("knowledge", "status", "--json")[1])["snapshot"]
    finally:
        bad.unlink()

    assert code == 1
    assert complaint in err.replace("\n", "")
    assert "Traceback" not in err
    assert before == after


def test_a_huge_file_and_a_link_out_of_the_folder_are_refused_without_reading_them(run, folder: Path) -> None:
    huge, link = folder / "knowledge" / "huge.md", folder / "knowledge" / "passwd.md"
    with huge.open("wb") as file:
        file.truncate(100 * 2**20)
    link.symlink_to("/etc/passwd")
    try:
        code, _, err = run("knowledge", "build")
    finally:
        huge.unlink()
        link.unlink()

    assert code == 1
    assert "huge.md" in err
    assert "passwd.md" in err


def test_an_empty_folder_is_refused(run, tmp_path: Path) -> None:
    code, _, err = run("knowledge", "build", "--knowledge", str(tmp_path))

    assert code == 1
    assert str(tmp_path) in err.replace("\n", "")


def test_a_missing_folder_is_wrong_usage(run) -> None:
    code, _, err = run("ask", "hello", "--knowledge", "/does/not/exist")

    assert code == 2
    assert "/does/not/exist" in err


def test_a_missing_model_says_what_to_do(run, folder: Path) -> None:
    (folder / "model.toml").write_text(
        '[bot]\ndata_dir = "other"\n[knowledge]\npaths = ["knowledge"]\nmodel = "/no/such/model"\n'
    )

    code, _, err = run("knowledge", "build", "--config", "model.toml")

    assert code == 1
    assert "/no/such/model" in err.replace("\n", "")
    assert "Traceback" not in err


def test_a_configuration_that_cannot_be_used_lists_every_complaint(run, folder: Path) -> None:
    (folder / "bad.toml").write_text('[bot]\nnam = "x"\nlaunch_mode = "loud"\n')

    code, _, err = run("ask", "hello", "--config", "bad.toml")

    assert code == 1
    assert "name" in err
    assert "launch_mode" in err


def test_a_second_process_on_the_same_data_is_refused(run, folder: Path) -> None:
    database = folder / "data" / "demo" / "firstline.db"
    database.parent.mkdir(parents=True, exist_ok=True)

    with FileLock(str(database) + ".lock"):
        code, _, err = run("chat")

    assert code == 1
    assert "another Firstline process" in " ".join(err.split())


def test_a_port_in_use_says_so(run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, _, err = run("demo", "--port", str(port))

    assert code == 1
    assert str(port) in err
    assert "in use" in err


def test_run_without_a_platform_says_what_to_set(run) -> None:
    code, _, err = run("run")

    assert code == 1
    assert "enabled = true" in err


def test_a_newer_database_is_refused(run, folder: Path) -> None:
    database = folder / "data" / "firstline.db"
    database.parent.mkdir(parents=True, exist_ok=True)
    database.unlink(missing_ok=True)
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE _sqlite_migrations (migration_set TEXT, name TEXT, applied_at TEXT)")
        db.execute("INSERT INTO _sqlite_migrations VALUES ('firstline', '0099_future', '')")
    db.close()
    try:
        code, _, err = run("privacy", "erase", "slack:T1:U1", "--yes")
    finally:
        database.unlink()

    assert code == 1
    assert "newer Firstline" in " ".join(err.split())


def test_commands_without_a_database_say_so(run) -> None:
    for words in (("tickets", "list"), ("audit", "verify"), ("report",), ("backup", "copy.db")):
        code, _, err = run(*words)

        assert code == 1, words
        assert "no database yet" in " ".join(err.split())


async def _empty(database: Path) -> None:
    writer = Writer(database)
    await writer.open()
    await writer.close()


def test_a_report_is_for_people_and_for_programs(run, folder: Path) -> None:
    database = folder / "data" / "firstline.db"
    database.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(_empty(database))
    try:
        code, shown, _ = run("report", "--days", "3")
        _, given, _ = run("report", "--days", "3", "--json")
    finally:
        database.unlink()

    data = json.loads(given)
    assert code == 0
    assert f"{datetime.fromtimestamp(data['from'], UTC):%Y-%m-%d}" in shown
    assert data["drafts"]["offered"] == data["captured"]["total"] == 0
    assert "sent unchanged: 0" in shown


def test_eval_gives_the_contract_and_fails_on_a_failed_case(run, folder: Path) -> None:
    (folder / "cases.csv").write_text(
        "question,expected,decision\nWhere are my invoices?,invoice-download,\n"
        "How tall is the Eiffel tower?,,\nLet me talk to a human,,answer\n"
    )

    code, out, _ = run("eval", "cases.csv", "--json")

    report = json.loads(out)
    assert code == 1
    assert report["n"] == 3
    assert set(report) >= {
        *(
            "n",
            "in_scope",
            "out_of_scope",
            "hit_at_1",
            "hit_at_5",
            "mrr",
            "coverage",
            "precision",
            "oos_recall",
        ),
        *("auroc", "ece", "wrong_rate", "latency_ms", "cases"),
    }
    assert set(report["cases"][0]) >= {"question", "expected", "top", "confidence", "decision", "ok"}


def test_eval_of_yaml_cases_names_the_fix_and_writes_a_report(run, folder: Path) -> None:
    (folder / "cases.yaml").write_text(
        "- question: Let me talk to a human\n  decision: escalate\n  reason: human\n"
        "- question: Where are my invoices?\n  expected: refund-policy\n  decision: answer\n"
        "- question: <script>alert(1)</script> | `x`\n"
    )

    code, out, _ = run("eval", "cases.yaml", "--report", "report.html")

    page = (folder / "report.html").read_text()
    assert code == 1
    assert "2 of 3 hold" in out
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_init_writes_a_configuration_that_loads_and_a_manifest(run, tmp_path: Path) -> None:
    code, out, _ = run("init", str(tmp_path))
    again, said, _ = run("init", str(tmp_path))

    from bot.config import load

    assert code == 0
    assert load(tmp_path / "config.toml").bot.name
    assert "socket_mode_enabled" in (tmp_path / "slack-manifest.yaml").read_text()
    assert "FIRSTLINE_SLACK_BOT_TOKEN" in out
    assert "--application-id" in out
    assert "[knowledge] paths" in out
    assert again == 0
    assert "already" in said


def test_cells_that_a_spreadsheet_would_run_are_neutralised() -> None:
    text = as_csv(
        ("a", "b"), [{"a": "=HYPERLINK(1)", "b": "+1"}, {"a": "-2", "b": "@x"}, {"a": "\t=1", "b": 5}]
    )

    assert [line for line in text.splitlines()[1:] if line[0] in "=+-@\t"] == []
    assert "'=HYPERLINK(1),'+1" in text


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert plain("a\x1b[31mred\x07") == "a·[31mred·"
