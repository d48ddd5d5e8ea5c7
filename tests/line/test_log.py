"""Logs name what happened, never what people wrote, and never a secret; even at DEBUG, even when things break."""

from __future__ import annotations

import io
import json
import logging
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import structlog

from adapters.port import Ambiguous, Forbidden, Post, RateLimited
from bot.batch import Step
from bot.log import configure, scrub
from handoff.model import Case, Known
from tests import stand_ins
from tests.line.scene import DANA, Line, Platform, deletes, edits, person, place, presses, says
from tests.virtual_time import run

CANARY = "zanzibar"
TOKENS = (
    "xoxb-" + "123456789012-abcdefABCDEF", "xapp-" + "1-A111-222-abcdef", "Bearer " + "abc.def-ghi",
    "MTk4NjIyNDgzNDcxOTI1MjQ4" + ".Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs", "Bot " + "a1b2c3d4" * 5,
)  # fmt: skip


class Log:
    """What the process would write to its standard error."""

    def __init__(self) -> None:
        self.written = io.StringIO()

    def configure(self, form: Literal["auto", "json", "text"], level: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", self.written)
            configure(form, level)

    def __call__(self) -> str:
        return self.written.getvalue()


@pytest.fixture
def logged() -> Iterator[Log]:
    """Logging as in production, at DEBUG."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    log = Log()
    log.configure("json", "debug")
    yield log
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


class Breaks:
    """Facts that cannot be gathered, with the customer's words in the error: so libraries fail."""

    def __init__(self) -> None:
        self.inner: stand_ins.Gatherer | None = None

    async def known(self, case: Case, step: Step, number: int, anchor: str, now: float) -> Known:
        if step.texts and "break" in step.texts[0]:
            raise ValueError(f"cannot parse {step.texts[0]!r} with {TOKENS[0]}")
        assert self.inner is not None
        return await self.inner.known(case, step, number, anchor, now)


async def scenario(folder: Path) -> None:
    """Questions, answers, edits, refusals, a handover, a reply, a poisoned event, a deletion, a failing platform."""
    breaks = Breaks()
    line = Line(folder, (Platform(),), gatherer=breaks)
    breaks.inner = stand_ins.Gatherer(line.storage, line.rules, random.Random(4))
    line.home.will(
        RateLimited(2), Ambiguous(f"broke with {TOKENS[1]}"), Forbidden(f"{TOKENS[2]} may not"), ValueError(TOKENS[3]),
        on=lambda op: isinstance(op, Post) and op.place.thread == "100",
    )  # fmt: skip
    async with line.up():
        line.engine.state("playground", "reconnecting", f"login with {TOKENS[0]} failed")
        line.engine.state("playground", "connected")
        await line.hears(says(f"how do refunds work, {CANARY}?", 100), edits(100, f"refunds, {CANARY}?"))
        await line.passes(120)
        await line.hears(says(f"break {CANARY}", 200, where=place("200")))
        await line.passes(60)
        await line.hears(says(f"a HUMAN, {CANARY}", 300, person("ben"), place("300")))
        await line.passes(10)
        number = f"T-{line.look('SELECT max(number) FROM tickets')[0]}"
        await line.hears(presses("claim", number, DANA))
        await line.passes(5)
        card = await line.storage.anchored(f"{number}/card")
        assert card is not None
        await line.hears(says(f"!reply dear {CANARY}", 900, DANA, place(card.id, "desk")))
        await line.passes(30)
        await line.hears(deletes(300, place("300")))
        line.disk.full = True
        await line.passes(10)
        line.disk.full = False
        await line.passes(30)
        texts = "\n".join(line.home.texts)
        assert CANARY in texts  # it was said, and it went through everything
        assert line.look("SELECT count(*) FROM inbox WHERE state = 'dead'") == [1]


def test_a_whole_scenario_logs_no_word_of_anybody_and_no_token(tmp_path: Path, logged: Log) -> None:
    logging.getLogger("asyncio").setLevel(logging.DEBUG)
    run(scenario(tmp_path))
    text = logged()
    lines = [json.loads(line) for line in text.splitlines()]
    events = {line["event"] for line in lines}
    assert {"decided", "adapter_state", "delivery_postponed", "delivery_parked", "event_failed"} <= events
    assert CANARY not in text
    assert not [token for token in TOKENS if token in text]
    assert all({"event", "level", "timestamp", "logger"} <= set(line) for line in lines)


def test_a_failure_still_says_what_failed_and_where(tmp_path: Path, logged: Log) -> None:
    run(scenario(tmp_path))
    failed = next(line for line in map(json.loads, logged().splitlines()) if line["event"] == "event_failed")
    assert "ValueError" in failed["exception"]
    assert "test_log.py" in failed["exception"]


def test_causes_and_groups_are_named_without_their_words(logged: Log) -> None:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ExceptionGroup(CANARY, [ValueError(CANARY)]) from error
    except ExceptionGroup:
        structlog.get_logger("some").exception("broke")
    text = logged()
    assert all(name in text for name in ("KeyError", "ExceptionGroup", "ValueError", "caused by"))
    assert CANARY not in text


@pytest.mark.parametrize("token", TOKENS)
def test_what_looks_like_a_token_is_cut_out_wherever_it_stands(token: str, logged: Log) -> None:
    structlog.get_logger("some").warning(
        f"login with {token}", detail=f"<{token}>", nested={"why": [f"{token}"]}
    )
    logging.getLogger("slack_sdk.web").error("request failed: %s", token)
    try:
        raise ConnectionError(f"refused: {token}")
    except ConnectionError:
        logging.getLogger("discord.http").exception("it broke")
    text = logged()
    assert token not in text
    assert text.count("[token]") >= 4
    assert "ConnectionError" in text
    assert "words" not in text


@pytest.mark.parametrize("key", ["text", "values", "question", "answer", "email", "token", "payload", "body"])
def test_what_people_wrote_is_private_by_its_name(key: str) -> None:
    assert scrub(None, "", {"event": "x", key: {"order": "4711"}}) == {"event": "x", key: "[private]"}


def test_the_level_is_kept_and_noisy_libraries_are_quiet(logged: Log) -> None:
    logged.configure("json", "warning")
    structlog.get_logger("some").info("not this")
    structlog.get_logger("some").warning("this")
    logged.configure("json", "debug")
    logging.getLogger("discord.gateway").info("nor that")
    text = logged()
    assert "not this" not in text
    assert "nor that" not in text
    assert '"event": "this"' in text


def test_a_terminal_gets_lines_to_read(logged: Log) -> None:
    logged.configure("text", "info")
    structlog.get_logger("some").info("hello", n=1)
    assert "hello" in logged()
