"""T-SEC-13, T-SEC-15: what leaves the process as a file is inert, wherever it is opened."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.evaluating import Judged
from bot.evaluation_report import write_cases
from bot.shell_output import as_csv, neutral, plain
from tests.security.scene import Desk

FORMULAS = (
    '=HYPERLINK("http://evil.example";"x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "=cmd|' /C calc'!A0", "＝1+1",
    "%0A-3+3", " =1+1", "\n=1+1", '";=1+1', "=1+1\n=2+2",
)  # fmt: skip
SCRIPTS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<svg onload=alert(1)>", "</td></table><script>x</script>",
    "javascript:alert(1)", "<a href='javascript:alert(1)'>x</a>", "<!--><script>alert(1)</script>", "&lt;script&gt;",
    "<iframe srcdoc='<script>1</script>'>", "{{7*7}}{% raw %}", "<style>*{background:url(http://evil.example)}</style>",
    "![x](http://evil.example/p.png)", "[x](javascript:alert(1))", "| a | b |", "`</code><b>`", "<emoji:😀 onload=1>",
)  # fmt: skip
ALLOWED = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td",
           "dl", "dt", "dd", "figure", "figcaption", "img", "main", "section", "div", "span", "ul", "li", "caption", "code", "em",
           "strong", "small", "header", "footer", "b", "br"}  # fmt: skip


class Reader(HTMLParser):
    """A real parser's view: which elements there are, and what they would do."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.acts: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            outside = (value or "").strip().lower().startswith(("http", "javascript", "//"))
            if name.startswith("on") or (name in ("href", "src", "srcset", "action") and outside):
                self.acts.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("suffix", [".html", ".htm"])
def test_an_html_report_runs_and_fetches_nothing(tmp_path: Path, suffix: str) -> None:
    """Questions of customers stand in it, and an admin opens it in a browser."""
    file = tmp_path / f"report{suffix}"
    write_cases(file, [Judged(s, s, s, s) for s in SCRIPTS])

    reader = Reader()
    reader.feed(file.read_text("utf-8"))
    assert reader.tags <= ALLOWED
    assert reader.acts == []
    assert SCRIPTS[0] in "".join(reader.text)


def test_a_markdown_report_is_inert_too(tmp_path: Path) -> None:
    """Markdown may hold HTML; a hostile question must stay a cell of its table."""
    from markdown_it import MarkdownIt

    file = tmp_path / "report.md"
    write_cases(file, [Judged(s, s, s, s) for s in SCRIPTS])

    text = file.read_text("utf-8")
    reader = Reader()
    reader.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert reader.tags - {"table", "thead", "tbody", "tr", "th", "td", "h1", "h2", "p", "code", "em"} == set()
    assert reader.acts == []
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(SCRIPTS) + 2


@pytest.mark.parametrize("cell", FORMULAS)
def test_no_cell_of_a_csv_is_a_formula(cell: str) -> None:
    """A spreadsheet reads the first visible character; what begins a formula is preceded by an apostrophe."""
    written = as_csv(("a", "b"), [{"a": cell, "b": 1}])

    row = list(csv.reader(io.StringIO(written)))[1]
    assert not row[0].lstrip(" \t\r\n").startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert cell.strip() in row[0]
    assert len(row) == 2


def test_numbers_stay_numbers() -> None:
    assert neutral(-3) == -3
    assert neutral(None) == ""
    assert neutral("T-1") == "T-1"


@pytest.fixture
def export(
    secure: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    (secure.data.parent / "config.toml").write_text(f'[bot]\ndata_dir = "{secure.data}"\n[web]\nport = 0\n')

    def call(*words: str) -> str:
        monkeypatch.chdir(secure.data.parent)
        monkeypatch.setattr(sys, "argv", ["firstline", "tickets", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
        return capsys.readouterr().out

    return call


async def test_tickets_of_hostile_customers_are_exported_inert(
    secure: Desk, export: Callable[..., str]
) -> None:
    """The whole way: what a stranger wrote as a subject arrives in a spreadsheet and on a terminal as words."""
    import asyncio

    hostile = (
        "=1+1 human please",
        "+1 human please",
        "@everyone human please",
        "\x1b[31m human please",
        "<b>human please</b>",
    )
    for text in hostile:
        await secure.driver.say("ana", text, "help")
    await secure.passes()

    table = list(csv.DictReader(io.StringIO(await asyncio.to_thread(export, "export", "--format", "csv"))))
    text = await asyncio.to_thread(export, "export", "--format", "text")
    listed = await asyncio.to_thread(export, "list")
    shown = await asyncio.to_thread(export, "show", "T-1")
    data = json.loads(await asyncio.to_thread(export, "export", "--format", "json"))

    assert len(table) == len(data) == len(hostile)
    assert [c for row in table for c in row.values() if c.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert "\x1b" not in text + shown
    assert "\x1b[31m" not in listed
    assert {row["subject"] for row in data} >= {"=1+1 human please", "<b>human please</b>"}


def test_a_terminal_is_not_steered() -> None:
    assert "\x1b" not in plain("\x1b]0;owned\x07 \x9b31m \u202e")
    assert "\u202e" not in plain("\u202egnp.exe")
