"""Evaluations as a file that one can hand on: Markdown or HTML, with pictures. Every text in it is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from bot.evaluating import Judged
from knowledge.evaluate import Report

ROWS_MAX = 500
INK, LINE = "#334155", "#2563eb"


def write(path: Path, report: Report, source: str) -> None:
    """The report of a CSV: measures, risk-coverage curve, reliability diagram, and the cases that failed."""
    failed = [c for c in report.cases if not c.ok][:ROWS_MAX]
    rows = [
        (c.question, c.expected or "(not covered)", c.top, f"{c.confidence:.2f}", c.decision) for c in failed
    ]
    columns = ("question", "expected", "top", "confidence", "decision")
    pictures = [
        ("Share of wrong answers against share of questions answered", risk_coverage(report)),
        ("Confidence against the share that is right", reliability(report)),
    ]
    _write(path, source, columns, rows, f"{len(failed)} of {report.n} are not as expected", report, pictures)


def write_cases(path: Path, judged: Sequence[Judged]) -> None:
    """The table expected / actual / fix of a YAML file."""
    rows = [("yes" if j.ok else "NO", j.question, j.expected, j.actual, j.fix) for j in judged]
    good = sum(1 for j in judged if j.ok)
    _write(
        path,
        path.stem,
        ("holds", "question", "expected", "actual", "fix"),
        rows,
        f"{good} of {len(rows)} hold",
        None,
        [],
    )


def _write(
    path: Path,
    source: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    heading: str,
    report: Report | None,
    pictures: Sequence[tuple[str, bytes]],
) -> None:
    measures = _measures(report) if report else []
    if path.suffix in (".html", ".htm"):
        environment = Environment(
            loader=PackageLoader("bot", "templates"), autoescape=select_autoescape(default=True)
        )
        encoded = [(alt, base64.b64encode(data).decode()) for alt, data in pictures]
        text = environment.get_template("evaluation.html.j2").render(
            source=source,
            report=report,
            measures=measures,
            pictures=encoded,
            heading=heading,
            columns=columns,
            rows=rows,
        )
        path.write_text(text, "utf-8")
        return
    lines = [f"# Evaluation of {cell(source)}", ""]
    if report:
        lines += ["| measure | value |", "|---|--:|", *(f"| {n} | {v} |" for n, v in measures), ""]
    for number, (alt, data) in enumerate(pictures, 1):
        image = path.with_name(f"{path.stem}-{number}.png")
        image.write_bytes(data)
        lines += [f"![{alt}]({image.name})", ""]
    lines += [f"## {heading}", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def cell(text: str) -> str:
    """Text that stays one inert cell of a Markdown table."""
    for mark in ("\\", "|", "`", "*", "_", "[", "]", "<", ">", "!", "#"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())


def _measures(report: Report) -> list[tuple[str, str]]:
    names = (
        "n",
        "in_scope",
        "out_of_scope",
        "hit_at_1",
        "hit_at_5",
        "mrr",
        "coverage",
        "precision",
        "oos_recall",
        "auroc",
        "ece",
        "wrong_rate",
    )

    def shown(value: Any) -> str:
        return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)

    return [(name, shown(getattr(report, name))) for name in names]


def risk_coverage(report: Report) -> bytes:
    return _picture(
        [p.coverage for p in report.curve], [p.risk for p in report.curve], "share of questions answered",
        "share of answers that are wrong", diagonal=False,
    )  # fmt: skip


def reliability(report: Report) -> bytes:
    return _picture(
        [b[0] for b in report.bins],
        [b[1] for b in report.bins],
        "confidence",
        "share that is right",
        diagonal=True,
    )


def _picture(x: Sequence[float], y: Sequence[float], across: str, up: str, *, diagonal: bool) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    if diagonal:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    axes.plot(x, y, color=LINE, marker="o" if diagonal else "", linewidth=1.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1 if diagonal else max([0.05, *y]) * 1.1)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
