"""The harness of the benchmarks: it lists what there is, and its report says what was measured and nothing else."""

from __future__ import annotations

import importlib
import inspect
import json
import re

import pytest

from benchmarks import __main__ as command
from benchmarks import report, results
from benchmarks.catalogue import BENCHMARKS, BY_NAME
from benchmarks.measure import ROOT, measure, met
from benchmarks.results import Machine, MeasureRow, Results, Run
from bot.app import platform_adapters
from bot.config import ChannelConfig, Config

FOREIGN = re.compile(r"/(?:home|root|tmp|work|usr|var)/|127\.0\.0\.1|https?://")


def made(**runs: Run) -> Results:
    return Results(
        machine=Machine(cpu="A chip", cores=2, memory_gb=8, python="3.11", system="Linux"), benchmarks=runs
    )


def run(*measures: dict[str, object], status: str = "ok", **more: object) -> Run:
    rows = [MeasureRow(**row) for row in measures]
    return Run(status=status, date="2026-11-26", commit="abc", seconds=1, load=0.1, measures=rows, **more)


def test_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    shown = capsys.readouterr().out
    assert all(one.name in shown and one.title in shown for one in BENCHMARKS)


def test_an_unknown_name_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as error:
        command.main(["nonsense"])
    assert error.value.code == 2


@pytest.mark.parametrize(
    "name", ["line", "batching", "rebuild", "decide", "slack", "discord", "peers", "triggers"]
)
def test_every_benchmark_can_be_called(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{BY_NAME[name].module}")
    assert inspect.iscoroutinefunction(module.run)
    assert list(inspect.signature(module.run).parameters) == ["quick"]


@pytest.mark.parametrize("name", ["slack", "discord"])
def test_the_bot_that_is_measured_has_adapters_for_its_platform(name: str) -> None:
    """A platform's own keys of a channel were missing once, and nothing but the benchmark itself noticed."""
    module = importlib.import_module(f"benchmarks.{name}")
    platform = getattr(module, name.title())()
    place = {
        "api_base": "http://127.0.0.1:9", "staff": "C0STAFF", "guild": "1", "bot_token": "xoxb-1", "app_token": "xapp-1",
    }  # fmt: skip
    config = platform.configured(Config(), place, (ChannelConfig(id="C1", mode="all"),))
    assert [adapter.name for adapter in platform_adapters(config)] == [name]


@pytest.mark.parametrize(
    ("value", "aim", "expected"),
    [(1.2, "<= 1.3", True), (1.4, "<= 1.3", False), (5, ">= 3", True), (None, ">= 3", False), (5, "", None)],
)
def test_an_aim_is_met_or_missed(value: float | None, aim: str, expected: bool | None) -> None:
    assert met(value, aim) is expected


def test_a_figure_keeps_four_digits_and_no_infinity() -> None:
    assert measure("k", "w", 123456.0)["value"] == 123500
    assert measure("k", "w", float("nan"), aim="<= 1")["met"] is False


def test_new_runs_replace_old_ones_and_other_machines_do_not_mix() -> None:
    old = made(line=run(), decide=run(reason="kept"))
    old.machine = results.machine()
    found = results.merged(old, {"line": run(reason="new")})
    assert {name: one.reason for name, one in found.benchmarks.items()} == {"line": "new", "decide": "kept"}
    assert set(results.merged(made(decide=run()), {"line": run()}).benchmarks) == {"line"}


def test_the_page_tells_missed_aims_first_and_what_was_skipped() -> None:
    page = report.page(
        made(
            line=run(measure("a", "good", 1.0, "×", "<= 2"), measure("b", "bad", 3.0, "×", "<= 2")),
            quality=run(status="skipped", reason="../shared/data is missing"),
        )
    )
    assert "1 of 2 are met" in page
    assert page.index("bad | 3×") < page.index("good | 1×")
    assert "Skipped: ../shared/data is missing." in page
    assert BY_NAME["line"].limits in page


def test_results_fit_the_schema_and_the_page_is_current() -> None:
    found = results.read()
    if found is None:
        assert not report.PAGE.exists(), "docs/benchmarks.md without benchmarks/results.json"
        return
    assert set(found.benchmarks) <= set(BY_NAME)
    for one in found.benchmarks.values():
        for row in one.measures:
            assert row.met is met(row.value, row.aim)
    assert report.PAGE.read_text("utf-8") == report.page(found), "make bench ARGS=--render writes it again"


def test_results_name_no_place_of_the_machine() -> None:
    found = results.read()
    text = "" if found is None else json.dumps(found.model_dump())
    assert FOREIGN.search(text) is None
    assert str(ROOT) not in text
