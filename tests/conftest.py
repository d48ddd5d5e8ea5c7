"""What several test files share: the sample knowledge, built once and kept between runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from filelock import FileLock

from bot import __main__ as shell
from tests.stage import Knowledge


@pytest.fixture(autouse=True)
def logged_beside_the_output() -> Iterator[None]:
    """What the process logs goes to the standard library's loggers, which pytest shows when a test fails; standard
    output is what a command says."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session", autouse=True)
def models(pytestconfig: pytest.Config) -> Iterator[Path]:
    """The model is exported once for all tests and runs: the first to need it does, the others find it."""
    home = Path(pytestconfig.cache.mkdir("knowledge")) / "models"  # type: ignore[union-attr]
    home.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTLINE_MODELS", str(home))
        yield home


@pytest.fixture(scope="session")
def knowledge(pytestconfig: pytest.Config, models: Path) -> Iterator[Knowledge]:
    """The sample knowledge in use. The folder stays in pytest's cache: unchanged passages are not embedded again."""
    home = Path(pytestconfig.cache.mkdir("knowledge"))  # type: ignore[union-attr]
    with FileLock(str(models / "building.lock")):
        made = asyncio.run(Knowledge.built(home))
    yield made
    made.library.close_for_good()


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a command as a person would, in the `folder` of its test file; returns exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["firstline", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            shell.main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call
