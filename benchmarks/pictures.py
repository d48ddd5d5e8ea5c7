"""The pictures of docs/benchmarks.md, from results.json alone. One colour for ours, grey for everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt  # after its backend is chosen
from matplotlib.axes import Axes

from benchmarks.results import Results

OURS, OTHER, THIRD, LINE = "#0b6e4f", "#9aa5ab", "#c98b2b", "#b3261e"
Details = Mapping[str, Any]


def draw(results: Results, folder: Path) -> list[str]:
    """Write every picture that there are figures for; the names of the benchmarks that have one."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, picture in PICTURES.items():
        run = results.benchmarks.get(name)
        if run is None or run.status != "ok" or not run.details:
            continue
        figure = plt.figure(figsize=(8, 3.2), dpi=110, layout="constrained")
        try:
            picture(figure, run.details)
            figure.savefig(folder / f"bench-{name}.png", metadata={"Software": None})
        finally:
            plt.close(figure)
        drawn.append(name)
    return drawn


def tidy(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def bars(axes: Axes, title: str, rows: Mapping[str, float], unit: str, ours: str = "") -> None:
    """Horizontal bars with their figures at the end."""
    colours = [OURS if name.startswith(ours) else OTHER for name in rows]
    drawn = axes.barh(list(rows), list(rows.values()), color=colours)
    axes.bar_label(drawn, labels=[f"{value:.3g} {unit}" for value in rows.values()], fontsize=8, padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.xaxis.set_visible(False)
    tidy(axes, title)


def line(figure: Any, details: Details) -> None:
    for axes, label, words in zip(
        figure.subplots(1, 2), ("1", "64"), ("one conversation", "64 conversations"), strict=True
    ):
        found = details[label]
        rows = {
            "the line, p50": found["line"]["p50_ms"], "bare sum, p50": found["bare"]["p50_ms"],
            "the line, p99": found["line"]["p99_ms"], "bare sum, p99": found["bare"]["p99_ms"],
        }  # fmt: skip
        bars(axes, f"Question to posted answer: {words}", rows, "ms", "the line")


def chat(figure: Any, details: Details) -> None:
    """Latency quantiles under load, for everyone who took it."""
    left, right = figure.subplots(1, 2)
    rows = {
        "firstline": details["firstline"]["single"]["p50_ms"],
        "bare sum": details["firstline"]["bare"]["p50_ms"],
    }
    if "hand_written" in details:
        rows["hand-written"] = details["hand_written"]["single"]["p50_ms"]
    bars(left, "One question at a time, p50", rows, "ms", "firstline")
    for name, colour in (("firstline", OURS), ("hand_written", OTHER)):
        if name in details:
            quantiles = details[name]["load_curve"]
            load = details[name]["load"]
            label = f"{name.replace('_', '-')}: {load['answered']} of {load['offered']} answered"
            right.plot([5 * n for n in range(len(quantiles))], quantiles, color=colour, label=label)
    right.set_xlabel("percentile of answered questions", fontsize=8)
    right.set_ylabel("seconds", fontsize=8)
    right.legend(fontsize=8, frameon=False)
    tidy(right, "200 questions a second offered for a minute")


def rebuild(figure: Any, details: Details) -> None:
    for axes, key, words in zip(
        figure.subplots(1, 2),
        ("full_by_step", "one_file_by_step"),
        ("Full build", "One file changed"),
        strict=True,
    ):
        steps = {name: seconds for name, seconds in details[key].items() if name != "all"}
        bars(axes, f"{words}, by step", steps, "s")


def engine(figure: Any, details: Details) -> None:
    rows = {"arithmetic limit (fp32)": details["limit_ms"]}
    names = {"int8": "onnxruntime int8", "fp32": "onnxruntime fp32", "reference": "sentence-transformers"}
    rows |= {names[variant]: found["p50_ms"] for variant, found in details["ms"].items()}
    bars(
        figure.subplots(),
        f"A question of {details['tokens']} tokens on one thread, p50",
        rows,
        "ms",
        "onnxruntime",
    )


def vectors(figure: Any, details: Details) -> None:
    axes = figure.subplots()
    counts = [int(count) for count in details["exact"]]
    axes.loglog(
        counts, [one["ms"] for one in details["exact"].values()], "o-", color=OURS, label="exact, p50"
    )
    axes.loglog(
        counts,
        [one["limit_ms"] for one in details["exact"].values()],
        "--",
        color=LINE,
        label="reading the vectors once",
    )
    if details["usearch"]:
        axes.loglog([one["count"] for one in details["usearch"]], [one["ms"] for one in details["usearch"]], "s-", color=OTHER,
                    label="usearch (approximate), p50")  # fmt: skip
    axes.set_xlabel("vectors", fontsize=8)
    axes.set_ylabel("milliseconds", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    tidy(axes, "Search of all vectors")


def quality(figure: Any, details: Details) -> None:
    """How often the best topic is right; and how much is answered when one or two in twenty may be wrong."""
    left, right = figure.subplots(1, 2)
    bars(left, "hit@1", {name: found["hit_at_1"] for name, found in details.items()}, "")
    names = [name for name in details if name != "datatalks-scoped"]
    for offset, bound, colour in ((-0.2, "0.05", OURS), (0.2, "0.10", OTHER)):
        values = [details[name][f"max_wrong_{bound}"]["coverage"] for name in names]
        drawn = right.barh(
            [n + offset for n in range(len(names))],
            values,
            height=0.38,
            color=colour,
            label=f"max_wrong {bound}",
        )
        right.bar_label(drawn, fmt="%.2f", fontsize=7, padding=2)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlim(0, 1.1)
    right.legend(fontsize=7, frameon=False)
    tidy(right, "Share of questions answered")


def peers(figure: Any, details: Details) -> None:
    name = next(iter(details))
    found = details[name]
    columns = (("hit_at_1", "hit@1", ""), ("p50_ms", "latency, p50", "ms"), ("cold", "cold start", "s"))
    for axes, (key, words, unit) in zip(figure.subplots(1, 3), columns, strict=True):
        bars(
            axes, f"{name}: {words}", {program: one[key] for program, one in found.items()}, unit, "firstline"
        )


def triggers(figure: Any, details: Details) -> None:
    rows = [row for row in details["triggers"] if row["trigger"] != "all" and row["wordings"]]
    axes = figure.subplots()
    recall = [row["found"] / row["wordings"] for row in rows]
    axes.bar([row["trigger"] for row in rows], recall, color=OURS)
    axes.axhline(0.95, color=LINE, linewidth=0.7, linestyle=":")
    axes.set_ylim(0, 1)
    tidy(axes, "Recall of each trigger")
    axes.tick_params(axis="x", labelrotation=60)


def batching(figure: Any, details: Details) -> None:
    rows = {"64 in flight": max(details["together"]), "one at a time": max(details["alone"])}
    bars(figure.subplots(), "Questions a second", rows, "/s", "64")


PICTURES: Mapping[str, Callable[[Any, Details], None]] = {
    "line": line, "batching": batching, "rebuild": rebuild, "slack": chat, "discord": chat, "engine": engine,
    "vectors": vectors, "quality": quality, "peers": peers, "triggers": triggers,
}  # fmt: skip
