"""What commands print: tables and progress for people, JSON for programs; hostile text is inert in both."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.console_wrap import wrapped

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

NARROW = 10  # columns of a terminal; what needs no more is not folded in a table
BESIDE_BAR = 56  # columns for a stage's name, its time and its numbers
Step = Callable[[str, int, int], None]
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")  # also in the width of East Asian text


def plain(text: object) -> str:
    """Text without control characters: what a customer wrote must not steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "·" for c in str(text))


def said(text: str) -> str:
    """A question as it was typed; one without a word is wrong usage, and nothing is loaded for it."""
    if not any(c.isalnum() for c in text):
        raise typer.BadParameter("write a question, for example: 'how do I get my money back?'")
    return text


def writable(target: Path, hint: str) -> None:
    """Wrong usage before any work where a file cannot be written."""
    if target.is_dir():
        raise typer.BadParameter(f"{target} is a folder; name a file", param_hint=hint)
    if not target.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {target.absolute().parent}", param_hint=hint)


def fail(message: str, details: Sequence[str]) -> None:
    verdict(False, message, errors)
    for line in details:
        note("  " + line.replace("\n", "\n  "))


def verdict(ok: bool, text: str, screen: Console | None = None) -> None:
    """A line with its mark before it."""
    shown = screen or console
    mark = "[green]✓[/]" if ok else "[bold red]✗[/]"
    shown.print(f"{mark} {_fitted(shown, f'  {text}')[2:]}", soft_wrap=True)


def say(text: str) -> None:
    """Words for people: wrapped where they are read, and as long as they are where a program reads them."""
    console.print(_fitted(console, text), soft_wrap=True)


def note(text: str) -> None:
    """The same beside the result, on standard error."""
    errors.print(_fitted(errors, text), soft_wrap=True)


def _fitted(screen: Console, text: str) -> str:
    words = plain(text)
    return escape("\n".join(wrapped(words, screen.width)) if screen.is_terminal else words)


def as_json(data: object) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table in which only long texts are folded; where even that does not fit, one row below the other."""
    cells = [[plain("" if cell is None else cell) for cell in row] for row in rows]
    widths = [max((cell_len(row[at]) for row in cells), default=0) for at in range(len(columns))]
    widths = [max(width, cell_len(column)) for width, column in zip(widths, columns, strict=True)]
    narrow = [width <= NARROW for width in widths]
    least = sum(width if short else NARROW for width, short in zip(widths, narrow, strict=True))
    if least + 2 * len(columns) > console.width:
        _listed(columns, cells, title)
        return
    made = Table(title=title or None, title_justify="left", header_style="bold", expand=False)
    if least + 3 * len(columns) + 1 > console.width:  # no room for lines between the columns
        made.box, made.show_edge, made.padding = SIMPLE_HEAD, False, (0, 1, 0, 0)
    for column, short in zip(columns, narrow, strict=True):
        made.add_column(column, overflow="fold", no_wrap=short)
    for row in cells:
        made.add_row(*map(escape, row))
    console.print(made)


def _listed(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    for line in (title,) if title else ():
        say(line)
    for row in rows:
        say("\n".join(f"{column}: {cell}" for column, cell in zip(columns, row, strict=True)) + "\n")


def facts(data: Mapping[str, object], title: str = "") -> None:
    """Names and values, one a line; the entries of a mapping one below the other."""
    made = Table(title=title or None, title_justify="left", show_header=False, expand=False)
    for _ in range(2):
        made.add_column(overflow="fold")
    for key, value in data.items():
        made.add_row(escape(key.replace("_", " ")), escape(plain(_told(value))))
    console.print(made)


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{str(key).replace('_', ' ')}: {_told(one)}" for key, one in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value)) or "-"
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV whose cells no spreadsheet takes for a formula (OWASP: CSV injection)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([neutral(row.get(column)) for column in columns])
    return out.getvalue()


def neutral(value: object) -> object:
    if isinstance(value, str) and (value.startswith(FORMULA) or value.lstrip().startswith(FORMULA)):
        return "'" + value
    return "" if value is None else value


def counted(n: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 topic", "3 topics"."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


@contextmanager
def progress() -> Iterator[Step]:
    """A bar on the terminal for long work; one line per stage where there is no terminal."""
    if not errors.is_terminal:
        yield staged()
        return
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(min(40, max(4, errors.width - BESIDE_BAR))), TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"), console=errors, transient=True,
    )  # fmt: skip
    tasks: dict[str, Any] = {}

    def step(stage: str, done: int, total: int) -> None:
        if not tasks:  # nothing is shown before there is anything to show; this row moves between stages, too
            bar.add_task("working", total=None, told="")
            bar.start()
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total or None, told="")
        told = f"{done}/{total}" if total > 1 else ""
        bar.update(tasks[stage], completed=done, total=total or None, told=told)

    try:
        yield step
    finally:
        bar.stop()


def staged() -> Step:
    seen: set[str] = set()

    def step(stage: str, done: int, total: int) -> None:
        if stage not in seen:
            seen.add(stage)
            print(f"{stage} …" if not total else f"{stage}: {total}", file=sys.stderr, flush=True)
        del done

    return step
