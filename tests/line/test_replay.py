"""`firstline replay`: every answer is found again as it was asked for; what cannot be made again never "differs"."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.port import Actor, MessageReceived, MsgRef, Place
from bot.__main__ import main
from bot.replaying import replayed
from knowledge.library import KnowledgeError
from tests.language_model import ollama_server
from tests.language_model.ollama_server import Reply, says
from tests.security.scene import Desk, holding
from tests.stage import Knowledge

ANA = Actor("playground", "playground", "ana", "Ana")
SANDBOX = "How do I get a sandbox?"


@contextlib.asynccontextmanager
async def a_desk(knowledge: Knowledge, folder: Path, **settings: Any) -> AsyncIterator[Desk]:
    """A desk whose data folder holds the snapshots, as `firstline replay` looks for them there."""
    async with Desk(knowledge, folder, **settings) as made:
        there = made.data / "knowledge" / "snapshots"
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            there.symlink_to((knowledge.library._home / "snapshots").absolute())
        yield made


@pytest.fixture
async def desk(knowledge: Knowledge, tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(knowledge, tmp_path) as made:
        yield made


def with_roles(desk: Desk, *roles: str) -> None:
    """From now on whoever acts has these roles."""
    actor = desk.driver.chat._actor
    desk.driver.chat._actor = lambda user: replace(actor(user), roles=frozenset(roles))  # type: ignore[method-assign]


async def presses(desk: Desk, button: int) -> None:
    """Ana presses one of the buttons of the bot's last message that has any."""
    shown = next(m for m in reversed(desk.shown()) if m.buttons)
    await desk.driver.press("ana", shown, shown.buttons[button])
    await desk.passes()


async def receipt(desk: Desk) -> tuple[str, dict[str, Any]]:
    """The newest one."""
    rows = await desk.rows("SELECT key, data FROM records WHERE kind = 'receipt' ORDER BY at, key")
    assert rows, "nothing was answered"
    return rows[-1]["key"], json.loads(rows[-1]["data"])


async def again(desk: Desk) -> dict[str, Any]:
    """What replay says of the newest answer; it is shown as JSON, so it fits into it."""
    key, _ = await receipt(desk)
    result = await replayed(desk.driver.stage.config, key)
    shown: dict[str, Any] = json.loads(json.dumps(result))
    return shown


async def alone(desk: Desk) -> list[str]:
    """The topic that a search finds first for each part when nobody says who asks: not what was answered, or the test
    would prove nothing."""
    _, kept = await receipt(desk)
    found = [await desk.driver.stage.library.search(question) for question, _, _ in kept["parts"]]
    return [f"{f.hits[0].topic} {f.hits[0].language}".strip() if f.hits else "" for f in found]


def rewritten(desk: Desk, key: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a receipt behind everybody's back."""
    with contextlib.closing(sqlite3.connect(desk.data / "firstline.db")) as db, db:
        (kept,) = db.execute("SELECT data FROM records WHERE kind = 'receipt' AND key = ?", (key,)).fetchone()
        data = json.loads(kept)
        change(data)
        db.execute("UPDATE records SET data = ? WHERE kind = 'receipt' AND key = ?", (json.dumps(data), key))


def as_before(data: dict[str, Any]) -> None:
    """A receipt of the versions that did not keep what the search was given."""
    del data["searched"], data["each"]


def sole(result: dict[str, Any]) -> dict[str, Any]:
    (part,) = result["parts"]
    made: dict[str, Any] = part
    return made


# --- each kind of answer ----------------------------------------------------------------------------------------


async def test_what_only_some_may_see(desk: Desk) -> None:
    with_roles(desk, "partners")
    await desk.says("ana", SANDBOX)

    result = await again(desk)

    assert (result["verdict"], sole(result)["now"]["topic"]) == ("same", "partner-sandbox")
    assert "partner-sandbox" not in await alone(desk)


async def test_what_only_a_channel_may_see(knowledge: Knowledge, tmp_path: Path) -> None:
    channels = [{"id": "partners", "mode": "all"}]
    async with a_desk(knowledge, tmp_path, playground={"channels": channels}) as desk:
        place = Place("playground", "playground", "partners", "m1", "channel")
        await desk.app.engine.receive(
            MessageReceived(
                keys=("k1",), place=place, actor=ANA, occurred_at=desk.clock.now(), ref=MsgRef(place, "m1"), text=SANDBOX,
                mentions_bot=True, is_root=True,
            )
        )  # fmt: skip
        await desk.passes()

        assert (await again(desk))["verdict"] == "same"
        assert "partner-sandbox" not in await alone(desk)


async def test_an_answer_of_two_parts(desk: Desk) -> None:
    await desk.says("ana", "How do I cancel my subscription? And how do I export my data?")

    result = await again(desk)

    assert [part["now"]["topic"] for part in result["parts"]] == ["cancel-subscription", "data-export"]
    assert [part["same"] for part in result["parts"]] == [True, True]
    assert result["verdict"] == "same"
    assert result["text"]["now"] == result["text"]["then"]


async def test_the_second_part_is_judged_as_well(desk: Desk) -> None:
    await desk.says("ana", "How do I cancel my subscription? And how do I export my data?")
    key, _ = await receipt(desk)
    rewritten(desk, key, lambda data: data.update(text=data["text"].replace("An owner", "Anybody")))

    result = await again(desk)

    assert result["verdict"] == "differs"
    assert [part["same"] for part in result["parts"]] == [True, False]


async def test_what_was_picked_of_a_clarifying_question(desk: Desk) -> None:
    await desk.says("ana", "export or delete my data")
    await presses(desk, 1)

    result = await again(desk)

    assert (result["verdict"], result["chosen"]) == ("same", True)
    # A choice holds even where the search would put another topic first.
    key, kept = await receipt(desk)
    part = ["export or delete my data", *kept["parts"][0][1:]]
    rewritten(desk, key, lambda data: data.update(parts=[part]))
    assert sole(result)["now"]["topic"] not in await alone(desk)
    assert (await again(desk))["verdict"] == "same"


async def test_a_follow_up(desk: Desk) -> None:
    await desk.says("ana", "How do I export my data?", "dm-ana")
    await presses(desk, 0)  # it helped: the same text may be sent again
    await desk.says("ana", "how often can I do it?", "dm-ana")

    result = await again(desk)

    assert sole(result)["question"] == "how often can I do it?"
    assert (result["verdict"], sole(result)["now"]["topic"]) == ("same", "data-export")
    assert await alone(desk) != ["data-export"]


async def test_the_language_of_the_conversation(desk: Desk) -> None:
    await desk.says("ana", "Wie kündige ich mein Abonnement?", "dm-ana")
    await desk.says("ana", "Daten Export", "dm-ana")

    result = await again(desk)

    assert (result["verdict"], sole(result)["now"]["topic"]) == ("same", "data-export")
    assert result["text"]["now"].startswith("Eine Inhaberin")
    assert await alone(desk) != ["data-export de"]


async def test_a_text_in_another_language_than_the_question(desk: Desk) -> None:
    await desk.says("ana", "Wie ist das API rate limit?")
    await presses(desk, 0)

    result = await again(desk)

    assert (result["verdict"], sole(result)["now"]["topic"]) == ("same", "api-rate-limits")


async def test_the_tags_of_a_forum_post(knowledge: Knowledge, tmp_path: Path) -> None:
    """Two texts for the same question, one for each kind of post."""
    async with a_desk(knowledge, tmp_path) as desk:
        reset = "account/password-reset.md"
        await desk.driver.change_knowledge(reset, "category: account", "category: account\ntags: [web]")
        made = (tmp_path / "knowledge" / reset).read_text("utf-8").replace("tags: [web]", "tags: [kiosk]")
        made = made.replace("id: password-reset", "id: kiosk-reset")
        (tmp_path / "knowledge" / "account" / "kiosk-reset.md").write_text(made, "utf-8")
        await desk.runs("dana", "/firstline reload")
        place = Place("playground", "playground", "help", "m1", "forum")
        await desk.app.engine.receive(
            MessageReceived(
                keys=("k1",), place=place, actor=ANA, occurred_at=desk.clock.now(), ref=MsgRef(place, "m1"),
                text="How do I reset my password?", mentions_bot=True, is_root=True, tags=("kiosk",),
            )
        )  # fmt: skip
        await desk.passes()

        result = await again(desk)

        assert (result["verdict"], sole(result)["now"]["topic"]) == ("same", "kiosk-reset")
        key, _ = await receipt(desk)
        rewritten(desk, key, lambda data: data["searched"].update(tags=["web"]))
        assert (await again(desk))["verdict"] == "differs"


async def test_a_composed_answer_is_judged_by_the_passages_that_it_cites(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    account = {"name": "account", "route": "desk", "compose": True}
    part = "The link works once and for 60 minutes."
    async with ollama_server.running() as server:
        nothing: Reply = says(question="")
        server.always = {
            "ComposeAnswer": says(sentences=[{"text": part, "cites": [1]}]), "RewriteAnswer": nothing,
            "NotesAnswer": says(summary="", wants="", next_step=""), "DraftAnswer": says(text="", cites=[]),
        }  # fmt: skip
        model = {"host": server.host, "model": "small", "timeout_seconds": 20}
        settings = {"ollama": model, "category": [{"name": "general", "route": "desk"}, account]}
        async with a_desk(knowledge, tmp_path, **settings) as desk:
            await desk.says("ana", "How do I reset my password?")
            key, kept = await receipt(desk)
            result = await again(desk)
            rewritten(desk, key, lambda data: data["each"][0]["cites"][0].__setitem__(1, "another version"))
            changed = await again(desk)
            rewritten(desk, key, as_before)
            old = await again(desk)

    assert kept["text"] == part
    assert result["verdict"] == "same"
    assert "cannot be made again" in result["notes"][0]
    assert result["text"]["now"] is None
    assert [(c["topic"], c["found"]) for c in sole(result)["cites"]] == [("password-reset", True)]
    assert changed["verdict"] == "differs"
    assert old["verdict"] == "unknown"


async def test_what_was_only_thought_in_shadow(knowledge: Knowledge, tmp_path: Path) -> None:
    async with a_desk(knowledge, tmp_path, bot={"launch_mode": "shadow"}) as desk:
        await desk.says("ana", "How do I reset my password?")

        result = await again(desk)

    assert result["verdict"] == "same"
    assert "was not sent" in result["notes"][0]


# --- what differs, and what cannot be said ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data.update(text="Within 30 days."), id="the text"),
        pytest.param(lambda data: data["parts"][0].__setitem__(1, "refund-policy"), id="the topic"),
        pytest.param(lambda data: data["parts"][0].__setitem__(2, "another"), id="the version"),
        pytest.param(lambda data: data["each"][0].update(passage="password-reset#2"), id="the passage"),
    ],
)
async def test_what_differs_is_said(desk: Desk, change: Callable[[dict[str, Any]], None]) -> None:
    await desk.says("ana", "How do I reset my password?")
    key, _ = await receipt(desk)
    rewritten(desk, key, change)

    result = await again(desk)

    assert (result["verdict"], result["same"]) == ("differs", False)


async def test_an_old_receipt_is_reproduced_or_said_to_be_too_old(desk: Desk) -> None:
    await desk.says("ana", "How do I reset my password?")
    rewritten(desk, (await receipt(desk))[0], as_before)
    public = await again(desk)
    with_roles(desk, "partners")
    desk.clock.move(desk.clock.now() + 60)
    await desk.says("ben", SANDBOX)
    rewritten(desk, (await receipt(desk))[0], as_before)

    restricted = await again(desk)

    assert public["verdict"] == "same"
    assert (restricted["verdict"], restricted["same"]) == ("unknown", None)
    assert [part["same"] for part in restricted["parts"]] == [None]
    assert "older" in restricted["notes"][0]


async def test_a_snapshot_that_is_gone_is_no_difference(desk: Desk) -> None:
    await desk.says("ana", "How do I reset my password?")
    key, _ = await receipt(desk)
    rewritten(desk, key, lambda data: data.update(snapshot="0123456789abcdef"))

    result = await again(desk)

    assert result["verdict"] == "unknown"
    assert "no snapshot" in result["notes"][0]


async def test_an_erasure_takes_what_the_search_was_given(desk: Desk) -> None:
    with_roles(desk, "partners", "Quittenmus")
    await desk.says("ana", "How do I get an API key?", "dm-ana")
    await desk.says("ana", SANDBOX, "dm-ana")
    key, kept = await receipt(desk)
    assert kept["searched"]["roles"] == ["Quittenmus", "partners"]
    assert kept["searched"]["previous"] == "How do I get an API key?"
    await desk.app.reports.erase(ANA)
    await desk.passes()

    with pytest.raises(KnowledgeError, match="no receipt"):
        await replayed(desk.driver.stage.config, key)
    assert await desk.rows("SELECT * FROM records WHERE data LIKE '%Quittenmus%'") == []
    assert await desk.rows("SELECT * FROM journal WHERE content LIKE '%Quittenmus%'") == []
    await desk.driver.stop()
    assert holding(desk.data, "Quittenmus") == []
    await desk.driver.start()


# --- the command ------------------------------------------------------------------------------------------------


async def test_the_command_tells_by_its_exit_code(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = desk.data.parent
    (folder / "config.toml").write_text(f'[bot]\ndata_dir = "{desk.data}"\n[web]\nport = 0\n')
    monkeypatch.chdir(folder)

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["firstline", "replay", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return int(stopped.value.code or 0), shown.out + shown.err

    async def replay(*words: str) -> tuple[int, str]:
        return await asyncio.to_thread(call, *words)

    with_roles(desk, "partners")
    await desk.says("ana", SANDBOX)
    key, _ = await receipt(desk)

    code, told = await replay(key)
    assert (code, told.splitlines()[0]) == (0, "the same, word for word")
    code, told = await replay(key.lower(), "--json")
    assert (code, json.loads(told)["verdict"], json.loads(told)["receipt"]) == (0, "same", key)
    assert (await replay("T-1042"))[0] == 2

    rewritten(desk, key, as_before)
    code, told = await replay(key)
    assert (code, told.splitlines()[0]) == (1, "it cannot be reproduced")
    rewritten(desk, key, lambda data: data.update(searched={"audience": ["public"]}))
    code, told = await replay(key)
    assert (code, told.splitlines()[0]) == (1, "it differs")
