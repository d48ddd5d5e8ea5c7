"""Built aside, content-addressed, swapped whole, rolled back, and never half there."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from knowledge.passage import KnowledgeError, Scope

KB = {
    "billing/refund.md": "---\nid: refund\nquestion: How do I get my money back?\n---\nRefunds take 14 days.\n",
    "billing/invoice.md": "---\nid: invoice\nquestion: Where is my invoice?\n---\nInvoices are in the billing page.\n",
    "account/password.md": "---\nid: password\nquestion: How do I reset my password?\n---\nUse the link on the sign-in page.\n",
}


async def test_the_same_input_gives_the_same_snapshot(write, open_library, tmp_path):
    folder = write(KB)
    first = await open_library().build([folder])
    for file in (tmp_path / "home" / "snapshots" / first.info.id).iterdir():
        file.unlink()
    (tmp_path / "home" / "snapshots" / first.info.id).rmdir()

    again = await open_library().build([folder])

    assert again.info.id == first.info.id
    assert again.embedded == 0


async def test_one_changed_file_is_another_snapshot_and_only_it_is_embedded(write, open_library):
    library = open_library()
    first = await library.build([write(KB)])
    await library.activate(first.info.id)

    second = await library.build([write({"billing/refund.md": KB["billing/refund.md"].replace("14", "30")})])

    assert second.info.id != first.info.id
    assert second.embedded <= 2  # its passage, and the same without its question for the rehearsal
    assert [(change.topic, change.what) for change in second.changes] == [("refund", "changed")]
    assert library.info == first.info  # built aside: nothing is activated


async def test_a_snapshot_survives_a_restart_and_a_rollback_brings_back_every_byte(write, open_library):
    library = open_library()
    await library.activate((await library.build([write(KB)])).info.id)
    before = await library.search("money back")
    built = await library.build([write({"billing/refund.md": KB["billing/refund.md"].replace("14", "30")})])
    await library.activate(built.info.id)

    restarted = open_library()
    assert (await restarted.open()).id == built.info.id
    assert "30 days" in (await restarted.search("money back")).hits[0].text

    await restarted.rollback()
    after = await restarted.search("money back")
    assert (after.snapshot, after.hits) == (before.snapshot, before.hits)
    with pytest.raises(KnowledgeError, match="no snapshot 'nonsense'"):
        await restarted.activate("nonsense")


async def test_bad_input_changes_nothing(write, open_library, tmp_path):
    library = open_library()
    built = await library.build([write(KB)])
    await library.activate(built.info.id)
    before = sorted(path.name for path in (tmp_path / "home" / "snapshots").iterdir())

    with pytest.raises(KnowledgeError) as refused:
        await library.build([write({"bad.md": "---\nlevel: perhaps\n---\nText\n", "worse.md": b"\xff\xff"})])

    assert {one.path for one in refused.value.complaints} == {"bad.md", "worse.md"}
    assert sorted(path.name for path in (tmp_path / "home" / "snapshots").iterdir()) == before
    assert (await library.search("money back")).snapshot == built.info.id


async def test_what_was_deleted_is_unreachable_once_the_swap_reports_success(write, open_library):
    library = open_library()
    folder = write({**KB, "canary.md": "---\nquestion: What sings in the mine?\n---\nThe canary sings.\n"})
    await library.activate((await library.build([folder])).info.id)
    (folder / "canary.md").unlink()
    built = await library.build([folder])

    early = [asyncio.ensure_future(library.search(f"What sings in mine {number}?")) for number in range(40)]
    await library.activate(built.info.id)
    asked_before = await asyncio.gather(*early)

    late = [found for task, found in zip(early, asked_before, strict=True) if found.snapshot == built.info.id]
    assert all("canary" not in hit.text for found in late for hit in found.hits)
    assert all("canary" not in hit.text for hit in (await library.search("What sings in the mine?")).hits)


async def test_each_question_during_reloads_is_answered_from_one_snapshot(write, open_library):
    library = open_library()
    one = await library.build([write(KB)])
    two = await library.build([write({"billing/refund.md": KB["billing/refund.md"].replace("14", "30")})])
    texts = {one.info.id: "Refunds take 14 days.", two.info.id: "Refunds take 30 days."}
    await library.activate(one.info.id)

    async def ask(number: int) -> None:
        found = await library.search(f"money back {number % 50}")
        assert found.hits[0].text == texts[found.snapshot]

    async def swap() -> None:
        for number in range(10):
            await library.activate((two if number % 2 else one).info.id)

    await asyncio.gather(swap(), *(ask(number) for number in range(300)))


async def test_searching_needs_a_snapshot(open_library):
    library = open_library()

    assert await library.open() is None
    with pytest.raises(KnowledgeError, match="no knowledge is loaded"):
        await library.search("anything")


async def test_a_snapshot_of_another_version_says_so(write, open_library, tmp_path):
    library = open_library()
    built = await library.build([write(KB)])
    await library.activate(built.info.id)
    meta = tmp_path / "home" / "snapshots" / built.info.id / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"format": "0"}))

    with pytest.raises(KnowledgeError, match="build the knowledge again"):
        await open_library().open()


async def test_a_place_that_cannot_be_written_is_one_clear_message(write, open_library, tmp_path):
    library = open_library()
    (tmp_path / "home" / "snapshots").write_text("a file where the folder should be")

    with pytest.raises(KnowledgeError, match="cannot be written"):
        await library.build([write(KB)])


@pytest.mark.parametrize("model", ["/nowhere/model", "./missing"])
async def test_a_missing_model_is_one_clear_message(write, open_library, model):
    with pytest.raises(KnowledgeError, match="was not found"):
        await open_library(model=model).build([write(KB)])


async def test_progress_is_told(write, open_library):
    told: list[tuple[str, int, int]] = []

    await open_library().build([write(KB)], progress=lambda *step: told.append(step))

    assert ("read", 3, 3) in told


async def test_topics_out_of_season_are_noted(write, open_library):
    folder = write({**KB, "old.md": "---\nvalid_to: 2020-01-01\n---\nOld.\n"})

    built = await open_library().build([folder], now=date(2026, 11, 26))

    assert any("topics that do not speak today (valid_from, valid_to): 1" in note for note in built.notes)


async def test_labelled_questions_join_the_calibration(write, open_library):
    library = open_library()
    folder = write(KB)
    first = await library.build([folder])
    await library.keep_labelled([("I want my cash again", "refund"), ("tell me a joke", "")])

    second = await library.build([folder])

    assert second.info.id != first.info.id
    assert second.info.calibration["rehearsed"] == float(first.info.calibration["rehearsed"]) + 2


def test_a_cold_process_answers_without_torch(write, open_library, tmp_path):
    async def prepare() -> None:
        library = open_library()
        await library.activate((await library.build([write(KB)])).info.id)

    asyncio.run(prepare())
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom knowledge.library import Library\n"
        "async def main():\n"
        f"    library = Library(Path({str(tmp_path / 'home')!r}))\n"
        "    await library.open()\n"
        "    found = await library.search('money back')\n"
        "    library.close()\n"
        "    heavy = {'torch', 'transformers', 'sentence_transformers', 'sklearn', 'scipy', 'lingua'} & set(sys.modules)\n"
        "    print(found.hits[0].topic, sorted(heavy))\n"
        "asyncio.run(main())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert done.stdout.strip() == "refund []", done.stderr


async def test_embedding_is_normalised_and_shared(open_library):
    vectors = await open_library().embed(["one", "two", "one"])

    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(vectors[0], vectors[2])
    assert Scope().audience == {"public"}
