"""T-PRI-1, T-PRI-2, T-SEC-19: one person's data, all of it and only theirs; and a history that cannot be rewritten."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.port import Actor, MessageReceived, MsgRef, Place
from bot.__main__ import main
from bot.writer import StorageError, copy_database
from tests.security.scene import Desk, holding

ANA = Actor("playground", "playground", "ana", "Ana")
HERS = ("Quittenmus", "Birnenbrot", "Feigensenf", "Ananas-Order-77", "quitte@example.org", "Traubenkern")
HIS = ("Hagebutte", "Schlehenfeuer")
Command = Callable[..., Awaitable[tuple[int, str]]]


async def lived(desk: Desk) -> None:
    """Ana asks, edits, opens a ticket, is answered, rates; Ben does something of his own; a namesake lives elsewhere."""
    message = await desk.says("ana", f"how do I get my money back for {HERS[0]}?")
    await desk.edits("ana", message, f"how do I get my money back for {HERS[1]}?")
    await desk.says("ana", f"I want to talk to a human about {HERS[2]}, order {HERS[3]}, write to {HERS[4]}")
    await desk.says("ben", f"I want to talk to a human about {HIS[0]}")
    await desk.presses("kim", "Claim")
    card = await desk.driver.card("T-1")
    assert card is not None
    await desk.says("kim", f"!reply We have found {HERS[5]}", "desk", card[1])
    await desk.says("ana", "how do I reset my password?", "dm-ana")
    await desk.runs("ana", "/firstline ask what does it cost?")
    for tenant, platform, word in (("other", "playground", HIS[1]), ("playground", "discord", HIS[1])):
        place = Place(platform, tenant, "help", "m1")  # type: ignore[arg-type]
        await desk.app.engine.receive(
            MessageReceived(
                keys=(f"{platform}{tenant}",), place=place, actor=replace(ANA, platform=platform, tenant=tenant),  # type: ignore[arg-type]
                occurred_at=desk.clock.now(), ref=MsgRef(place, "m1"), text=f"a person please, {word}", mentions_bot=True,
                is_root=True,
            )
        )  # fmt: skip
    await desk.passes()


@pytest.fixture
def command(
    secure: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Awaitable[tuple[int, str]]]:
    """A command of the shell on the desk's data folder: exit code, and what it printed."""
    (secure.data.parent / "config.toml").write_text(f'[bot]\ndata_dir = "{secure.data}"\n[web]\nport = 0\n')

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.chdir(secure.data.parent)
        monkeypatch.setattr(sys, "argv", ["firstline", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out + err

    async def beside(*words: str) -> tuple[int, str]:
        return await asyncio.to_thread(call, *words)

    return beside


async def test_an_export_is_all_of_one_person_and_nothing_of_others(secure: Desk) -> None:
    await lived(secure)

    mine = await secure.app.reports.mine(ANA)

    told = json.dumps(mine, ensure_ascii=False)
    assert [w for w in HERS[1:] if w not in told] == []
    assert [w for w in HIS if w in told] == []
    assert len(mine["conversations"]) >= 3
    assert [t["number"] for t in mine["tickets"]] == [1]
    elsewhere = json.dumps(
        await secure.app.reports.mine(replace(ANA, platform="discord")), ensure_ascii=False
    )
    assert HIS[1] in elsewhere
    assert [w for w in HERS if w in elsewhere] == []


async def test_erasing_leaves_not_one_byte(secure: Desk, tmp_path: Path) -> None:
    """Neither in the database nor in its WAL, nor in a backup that is made afterwards; others keep all of theirs."""
    await lived(secure)
    assert {w for _, w in holding(secure.data, *HERS)} == set(HERS)

    counts = await secure.app.reports.erase(ANA)

    assert holding(secure.data, *HERS) == []
    backup = tmp_path / "backup"
    backup.mkdir()
    copy_database(secure.data / "firstline.db", backup / "copy.db")
    assert holding(backup, *HERS) == []
    assert {w for _, w in holding(backup, *HIS)} == set(HIS)
    assert counts["conversations"] >= 3
    assert counts["tickets"] == 1
    assert counts["inbox"] > 0
    assert await secure.app.reports.mine(ANA) == {"conversations": [], "tickets": [], "records": []}


async def test_erasing_keeps_a_history_that_still_verifies(secure: Desk) -> None:
    """A tombstone has times, decisions and hashes, and no word of hers."""
    await lived(secure)
    before = await secure.rows("SELECT count(*) AS n FROM journal")

    await secure.app.reports.erase(ANA)

    assert await secure.rows("SELECT count(*) AS n FROM journal") == before
    assert (await secure.app.reports.verify())["ok"]
    stones = await secure.rows("SELECT * FROM journal WHERE content IS NULL")
    assert stones
    assert [w for w in HERS if w in repr(stones)] == []


async def test_what_staff_were_shown_of_them_goes_too(secure: Desk) -> None:
    """Gaps, reviews and reloads quote questions: they stand in the history of whoever asked for the report."""
    await secure.says("ana", "does Quittenmus fit into the Birnenbrot?")
    await secure.says("ana", "how do I get my money back for the Traubenkern?")
    for report in ("gaps", "review", "reload", "tickets", "why"):
        await secure.runs("dana", f"/firstline {report}")
    kept = await secure.rows("SELECT count(*) AS n FROM journal")

    await secure.app.reports.erase(ANA)

    assert holding(secure.data, *HERS) == []
    assert (await secure.rows("SELECT count(*) AS n FROM journal")) == kept
    assert (await secure.app.reports.verify())["ok"]


async def test_the_history_does_not_name_who_was_erased(secure: Desk) -> None:
    """Not even by the id that a platform puts into the key of a press."""
    message = await secure.says("chloe", "how do I reset my password?")
    answer = secure.driver.seen("help", message)[-1]
    await secure.driver.press("chloe", answer, "Helpful")
    await secure.passes()

    await secure.app.reports.erase(replace(ANA, id="chloe"))

    rows = await secure.rows("SELECT * FROM journal")
    assert rows
    assert "chloe" not in repr(rows)
    assert (await secure.app.reports.verify())["ok"]


async def test_the_history_keeps_no_word_that_was_taken_for_a_command(secure: Desk) -> None:
    await secure.runs("ana", f"/firstline {HERS[4]} I forgot my password")
    assert holding(secure.data, HERS[4])

    await secure.app.reports.erase(ANA)

    assert holding(secure.data, HERS[4]) == []


async def test_whoever_asks_in_the_chat_is_erased_and_told(secure: Desk) -> None:
    await lived(secure)

    await secure.runs("ana", "/firstline my-data erase")

    assert holding(secure.data, *HERS) == []
    assert "erased" in secure.driver.whispers("ana")[-1].text


async def test_somebody_who_was_erased_may_come_back(secure: Desk) -> None:
    """With nothing remembered, and nothing in the way."""
    await lived(secure)
    await secure.app.reports.erase(ANA)

    message = await secure.says("ana", "how do I reset my password?")

    assert "Reset a forgotten password" in secure.driver.seen("help", message)[-1].text
    assert len((await secure.app.reports.mine(ANA))["conversations"]) == 1


def desk_shows(desk: Desk) -> str:
    """Everything that can be read in the staff channel and its threads."""
    return "\n".join(m.text for m in desk.driver.seen("desk") if m.by_bot)


async def test_the_desk_reads_that_somebody_was_erased_and_nothing_of_them(secure: Desk) -> None:
    """T-PRI-2: the card becomes a stub, the copies in its thread go, one line says why; reminders are no more."""
    await lived(secure)
    assert [w for w in ("Feigensenf", "Ananas-Order-77", "Traubenkern") if w not in desk_shows(secure)] == []
    timers = "SELECT count(*) AS n FROM timers JOIN tickets USING (case_id) WHERE number = 1"
    assert (await secure.rows(timers))[0]["n"] > 0

    await secure.app.reports.erase(ANA)
    await secure.passes(4 * 86400.0)

    shown = desk_shows(secure)
    assert [w for w in HERS if w in shown] == []
    assert shown.count("was erased at the customer's request") == 2  # the card, and the line under it
    assert "T-1 (P2)" not in shown  # no reminder of it, before or after
    assert HIS[0] in shown
    buttons = [m.buttons for m in secure.driver.seen("desk") if "T-1" in m.text and "Erased" in m.text]
    assert buttons == [()]


async def test_the_desk_is_told_also_where_the_file_cannot_be_written_anew(
    secure: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are gone then; whoever erases hears that their bytes are not, and the desk's copies go all the same."""
    await secure.says("ana", "I want to talk to a human about Quittenmus")

    async def full() -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(secure.app.storage, "scrub", full)
    with pytest.raises(StorageError):
        await secure.app.reports.erase(ANA)
    await secure.passes()

    assert "Quittenmus" not in desk_shows(secure)
    assert "was erased at the customer's request" in desk_shows(secure)


async def test_an_old_button_of_an_erased_ticket_is_answered_in_words(secure: Desk) -> None:
    await lived(secure)
    old = next(m for m in secure.driver.seen("desk") if "Release" in m.buttons and "T-1 ·" in m.text)
    await secure.app.reports.erase(ANA)

    await secure.driver.press("kim", old, "Release")
    await secure.passes()

    assert "T-1, which is history" in secure.driver.whispers("kim")[-1].text


async def test_the_thread_of_somebody_who_was_erased_is_still_ours(secure: Desk) -> None:
    """The next message there is answered as if it were the first; what stays for that names nobody."""
    message = await secure.says("ana", "I want to talk to a human about Quittenmus")
    await secure.app.reports.erase(ANA)
    stones = await secure.rows("SELECT * FROM records")
    assert [(s["kind"], s["case_id"], s["data"]) for s in stones] == [("erased", "", "{}")]

    await secure.says("ana", "how do I reset my password?", "help", message)

    answer = secure.driver.seen("help", message)[-1].text
    assert "I am Firstline, a bot" in answer
    assert "Reset a forgotten password" in answer


async def test_an_old_button_there_makes_nobody_else_its_customer(secure: Desk) -> None:
    """What is left in the thread can be pressed by anybody; it is still hers when she writes there."""
    message = await secure.says("ana", "how do I reset my password?")
    old = next(m for m in secure.driver.seen("help", message) if "Helpful" in m.buttons)
    await secure.app.reports.erase(ANA)
    await secure.driver.press("ben", old, "Helpful")
    await secure.passes()

    await secure.says("ana", "how do I cancel my subscription?", "help", message)

    assert "ancel" in secure.driver.seen("help", message)[-1].text
    assert len((await secure.app.reports.mine(ANA))["conversations"]) == 1


async def test_where_others_wrote_too_it_waits_to_be_mentioned_as_before(secure: Desk) -> None:
    message = await secure.says("ana", "how do I reset my password?")
    await secure.says("ben", "same here", "help", message)
    await secure.app.reports.erase(ANA)
    said = len(secure.driver.seen("help", message))

    await secure.says("ben", "how do I cancel my subscription?", "help", message)

    assert len(secure.driver.seen("help", message)) == said + 1  # his own words


async def test_a_number_is_never_given_twice(secure: Desk) -> None:
    """Not even after an erasure and a restart: people have written it down."""
    await secure.says("ana", "I want to talk to a human")
    await secure.app.reports.erase(ANA)
    await secure.driver.stop()
    await secure.driver.start()

    await secure.says("ben", "I want to talk to a human")

    assert (await secure.rows("SELECT number FROM tickets")) == [{"number": 2}]


async def test_what_the_desk_is_told_waits_until_the_bot_runs_again(secure: Desk, command: Command) -> None:
    """The command line erases while the process is down; the copies go when it starts."""
    await secure.says("ana", "I want to talk to a human about Quittenmus")
    await secure.driver.stop()
    code, _ = await command("privacy", "erase", "playground:playground:ana", "--yes")
    assert code == 0
    assert "Quittenmus" in desk_shows(secure)

    await secure.driver.start()
    await secure.passes()

    assert "Quittenmus" not in desk_shows(secure)
    assert "was erased at the customer's request" in desk_shows(secure)


async def test_the_command_line_exports_and_erases(secure: Desk, command: Command) -> None:
    await lived(secure)
    code, exported = await command("privacy", "export", "playground:playground:ana")
    assert code == 0
    assert [w for w in HERS[1:] if w not in exported] == []
    assert "nothing is stored" not in exported
    assert (
        "nothing is stored of playground:playground:anna"
        in (await command("privacy", "export", "playground:playground:anna"))[1]
    )
    await secure.driver.stop()
    assert (
        "nothing is stored of playground:playground:anna"
        in (await command("privacy", "erase", "playground:playground:anna", "--yes"))[1]
    )

    code, counts = await command("privacy", "erase", "playground:playground:ana", "--yes")

    assert code == 0
    assert json.loads(counts)["tickets"] == 1
    assert holding(secure.data, *HERS) == []


# --- a history that cannot be rewritten -------------------------------------------------------------------------


async def test_an_honest_history_verifies_beside_the_running_process(secure: Desk, command: Command) -> None:
    await lived(secure)

    code, out = await command("audit", "verify", "--json")

    assert code == 0
    assert json.loads(out) == {
        "ok": True, "rows": (await secure.rows("SELECT count(*) AS n FROM journal"))[0]["n"], "broken_at": None
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE journal SET why = why || ' ' WHERE seq = 3",
        "UPDATE journal SET decision = 'answer' WHERE seq = 3 AND decision != 'answer'",
        "UPDATE journal SET at = at + 0.001 WHERE seq = 3",
        "UPDATE journal SET content = replace(content, 'Schlehenfeuer', 'schlehenfeuer')",
        "UPDATE journal SET ticket = 99 WHERE seq = 3",
        "UPDATE journal SET case_id = 'c-0000000000' WHERE seq = 3",
        "UPDATE journal SET content_hash = replace(content_hash, substr(content_hash, 1, 1), 'g') WHERE seq = 3",
        "DELETE FROM journal WHERE seq = 3",
        "UPDATE journal SET hash = 'x' WHERE seq = (SELECT max(seq) FROM journal)",
    ],
)
async def test_one_changed_byte_of_history_is_named(secure: Desk, command: Command, change: str) -> None:
    await lived(secure)
    await secure.driver.stop()
    with contextlib.closing(sqlite3.connect(secure.data / "firstline.db")) as db, db:
        assert db.execute(change).rowcount >= 1

    code, out = await command("audit", "verify")

    assert code == 1
    assert "row " in out
    assert "does not fit" in out
