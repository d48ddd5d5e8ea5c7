"""T-SEC-11, T-SEC-18: what must not be kept is not kept: not in the database, its WAL, a backup, a log, or a card."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from adapters.codec import dump_inbound
from adapters.port import CommandInvoked, MessageReceived, MsgRef, Place
from bot import log
from bot.routing import redacted
from bot.writer import copy_database
from tests.security.scene import Desk, holding
from tests.signals.test_redact import AROUND, SECRETS

# What to look for where a secret has several lines, or words of its own.
DISTINCT = {
    "pem": "MIIEpAIBAAKCAQEA75",
    "twelve words": "abandon ability able about",
    "twenty-four words": "action actor actress",
}
WORDS = "Zuckerwatte"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """The product's own logging, at its most talkative."""
    root = logging.getLogger()
    others, level = root.handlers[:], root.level
    log.configure("json", "debug")
    ours = root.handlers[0]
    assert isinstance(ours, logging.StreamHandler)
    written = io.StringIO()
    ours.setStream(written)
    root.handlers[:] = [*others, ours]
    yield written
    root.removeHandler(ours)
    root.setLevel(level)
    structlog.reset_defaults()


async def test_a_secret_leaves_no_trace(secure: Desk, logged: io.StringIO, tmp_path: Path) -> None:
    """Twenty formats, in a text, a file name, an edit, a command and a reply: zero bytes of any of them remain."""
    assert len(SECRETS) >= 20
    edited = []
    for name, (_, secret) in SECRETS.items():
        told = AROUND.get(name, "here it is: {} thanks").format(secret)
        named = "plain" if "/" in secret or name in DISTINCT else told
        await secure.driver.say("ana", f"my payment failed, {told}", "help")
        await secure.driver.say("ben", "this file shows it", "help", None, [f"{named}.txt"])
        edited.append((await secure.driver.say("chloe", "I need a person please", "help"), told))
        await secure.driver.command("ana", f"/firstline ask {told}")
    await secure.passes()
    for message, told in edited:
        await secure.driver.edit("chloe", message, f"I need a person please: {told}")
    await secure.passes()
    await secure.driver.stage.stop()
    backup = tmp_path / "backup"
    backup.mkdir()
    copy_database(secure.data / "firstline.db", backup / "copy.db")

    needles = [DISTINCT.get(name, secret) for name, (_, secret) in SECRETS.items()]
    shown = "\n".join(m.text for m in secure.shown())
    err = logged.getvalue()
    assert holding(secure.data, *needles) == []
    assert holding(backup, *needles) == []
    assert [n for n in needles if n in shown or n in err] == []
    assert "removed]" in shown


async def test_a_log_never_holds_what_people_wrote(secure: Desk, logged: io.StringIO) -> None:
    """At DEBUG, through a question, a ticket, a claim, a note, a reply and a resolution."""
    await secure.says("ana", f"how do I get my money back for {WORDS}?")
    await secure.says("ben", f"I want to talk to a human about {WORDS}")
    await secure.presses("kim", "Claim")
    card = await secure.driver.card("T-1")
    assert card is not None
    await secure.says("kim", f"!reply we look at {WORDS}", "desk", card[1])
    await secure.says("kim", f"internal: {WORDS}", "desk", card[1])
    await secure.runs("kim", f"/firstline resolve T-1 {WORDS} is back")

    err = logged.getvalue()
    assert '"event": "decided"' in err
    assert WORDS not in err


@pytest.mark.parametrize("name", SECRETS)
def test_titles_and_typed_options_lose_their_secrets_too(name: str) -> None:
    """A forum post has a title, a Discord command typed options: both are written down."""
    kind, secret = SECRETS[name]
    told = AROUND.get(name, "here it is: {} thanks").format(secret)
    place = Place("discord", "1", "forum", "9", "forum")
    post = MessageReceived(
        keys=("k",), place=place, actor=None, occurred_at=0.0, ref=MsgRef(place, "9"), text="it fails", title=told
    )  # fmt: skip
    command = CommandInvoked(
        keys=("k",), place=place, actor=None, occurred_at=0.0, name="ask", text="", args={"question": told}
    )

    clean = redacted(post)
    assert secret not in dump_inbound(clean) + dump_inbound(redacted(command))
    assert clean.redacted == (kind,)
