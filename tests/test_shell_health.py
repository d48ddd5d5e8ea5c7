"""`firstline knowledge lint` and `audit`, as an admin runs them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.__main__ import main

TODAY = datetime.now(UTC).date().isoformat()
GOOD = """---
id: {id}
title: How do I {id}?
questions:
  - How do I {id}?
owner: maria
reviewed: {today}
---
{text}
"""


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> Callable[..., tuple[int, str]]:
    shared = Path(pytestconfig.cache.mkdir("knowledge"))  # type: ignore[union-attr]
    monkeypatch.setenv("FIRSTLINE_MODELS", str(shared / "models"))  # the model is exported once for all tests
    folder = tmp_path / "knowledge"
    folder.mkdir()
    (folder / "cancel.md").write_text(
        GOOD.format(today=TODAY, id="cancel", text="Open Settings and press Cancel within 14 days.")
    )
    (folder / "quit.md").write_text(
        GOOD.format(today=TODAY, id="cancel it", text="Open Settings and press Cancel within 30 days.")
    )
    (tmp_path / "config.toml").write_text('[bot]\ndata_dir = "data"\n[knowledge]\npaths = ["knowledge"]\n')

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["firstline", "knowledge", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), capsys.readouterr().out

    return call


def test_lint_reads_the_files_and_needs_no_snapshot(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "knowledge" / "lonely.md").write_text(
        "---\nid: lonely\ntitle: Lonely\nquestions: [x]\n---\nText.\n"
    )

    code, out = run("lint", "--json")

    found = json.loads(out)
    assert code == 0
    assert {one["rule"] for one in found["findings"] if one["topic"] == "lonely"} >= {"ownerless"}
    assert not (tmp_path / "data").exists()


def test_lint_ends_with_1_when_something_is_wrong(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "knowledge" / "broken.md").write_text("---\nid: [\n---\nText.\n")

    code, out = run("lint")

    assert code == 1
    assert "problem: broken.md:" in out


def test_audit_finds_two_topics_that_contradict_each_other(run: Callable[..., tuple[int, str]]) -> None:
    _, out = run("audit", "--json")

    found = json.loads(out)
    assert found["topics"] == 2
    pairs = [one for one in found["findings"] if one["other"]]
    assert {(one["topic"], one["other"]) for one in pairs} & {
        ("cancel", "cancel it"),
        ("cancel it", "cancel"),
    }
