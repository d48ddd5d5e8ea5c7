"""An approximate index of the nearest: the same answers with less reading, within the same walls."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest

from knowledge import nearest, searching
from knowledge.passage import KnowledgeError, Scope

THINGS = [
    "invoice",
    "parcel",
    "password",
    "calendar",
    "printer",
    "gift card",
    "newsletter",
    "warranty",
    "passport",
    "ladder",
]
DEEDS = [
    "cancel",
    "find",
    "print",
    "share",
    "rename",
    "lose",
    "repair",
    "forward",
    "archive",
    "paint",
    "sell",
]
PAIRS = list(itertools.product(DEEDS, THINGS))
MANY = {
    f"{deed}-{thing.replace(' ', '-')}.md": f"---\nquestion: How do I {deed} my {thing}?\n---\nTo {deed} a {thing}, open its page.\n"
    for deed, thing in PAIRS
}
ASKED = [
    "how can i sell a ladder",
    "my password, I lost it",
    "painting the printer",
    "who won the match last night",
    "share calendar",
]


def outcome(found):
    return [(hit.topic, hit.confidence) for hit in found.hits]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Eighty keys of the nearest out of two hundred, as 512 are of a hundred thousand."""
    monkeypatch.setattr(searching, "NEAREST", 80)


async def in_use(library, folder):
    await library.activate((await library.build([folder])).info.id)
    return library


async def test_an_index_finds_what_comparing_everything_finds(write, open_library, tmp_path):
    folder = write(MANY)
    exact = await in_use(open_library(), folder)
    plain = [outcome(await exact.search(question, k=3)) for question in ASKED]

    approximate = await in_use(open_library(approximate_from=100), folder)

    assert approximate.info.id != exact.info.id
    assert (tmp_path / "home" / "snapshots" / approximate.info.id / nearest.FILE).exists()
    assert [outcome(await approximate.search(question, k=3)) for question in ASKED] == plain


async def test_few_texts_get_no_index(write, open_library, tmp_path):
    library = await in_use(open_library(approximate_from=100_000), write(MANY))

    assert not (tmp_path / "home" / "snapshots" / library.info.id / nearest.FILE).exists()
    assert (await library.search("how can i sell a ladder")).hits[0].topic == "sell-ladder"


async def test_an_index_opens_no_wall(write, open_library):
    """What the index names nearest is mostly closed to everybody; what is open is found all the same, and nothing else."""
    closed = {name: text.replace("---\n", "---\naudience: [staff]\n", 1) for name, text in MANY.items()}
    opened = {"sell-ladder.md": MANY["sell-ladder.md"], "paint-printer.md": MANY["paint-printer.md"]}
    library = await in_use(open_library(approximate_from=100), write({**closed, **opened}))

    for question in ASKED:
        found = await library.search(question, k=20)
        assert {hit.topic for hit in found.hits} == {"sell-ladder", "paint-printer"}
        assert all(hit.evidence["meaning"] > -1 for hit in found.hits)  # each of them was compared
    assert (await library.search("how can i sell a ladder")).hits[0].topic == "sell-ladder"
    staff = await library.search("how do I find my passport?", Scope(audience=frozenset({"public", "staff"})))
    assert staff.hits[0].topic == "find-passport"


async def test_words_find_what_the_index_leaves_out(write, open_library, monkeypatch):
    """Nothing of the nearest is the topic with the word; the word alone brings its vectors in."""
    rare = {"zanzibar.md": "---\ntitle: Quokkavoltage\n---\nThe quokkavoltage limit of the device is 12 V.\n"}
    library = await in_use(open_library(approximate_from=100), write({**MANY, **rare}))
    await library.search("quokkavoltage")  # opens it
    index = library._current.snapshot.nearest
    monkeypatch.setattr(
        index, "keys", lambda vector, count: np.arange(count)
    )  # as far off as an index can be

    found = await library.search("my printer says quokkavoltage")

    assert found.hits[0].topic == "zanzibar"
    assert found.hits[0].evidence["meaning"] > 0


async def test_without_the_library_a_build_is_refused_and_a_snapshot_is_read_whole(
    write, open_library, tmp_path, monkeypatch, caplog
):
    folder = write(MANY)
    library = await in_use(open_library(approximate_from=100), folder)
    known = [outcome(await library.search(question)) for question in ASKED]
    monkeypatch.setattr(nearest, "_installed", lambda: False)

    with pytest.raises(KnowledgeError, match=r"pip install '\.\[approximate\]'"):
        await open_library(approximate_from=100).build([folder])
    with caplog.at_level(logging.WARNING, logger="knowledge.nearest"):
        restarted = open_library()
        await restarted.open()
    assert [record.message for record in caplog.records] == ["approximate_index_unused"]
    assert [outcome(await restarted.search(question)) for question in ASKED] == known


async def test_a_damaged_index_is_set_aside(write, open_library, tmp_path, caplog):
    library = await in_use(open_library(approximate_from=100), write(MANY))
    (tmp_path / "home" / "snapshots" / library.info.id / nearest.FILE).write_bytes(b"not an index" * 100)

    with caplog.at_level(logging.WARNING, logger="knowledge.nearest"):
        restarted = open_library(approximate_from=100)
        await restarted.open()

    assert [record.message for record in caplog.records] == ["approximate_index_unused"]
    assert (await restarted.search("how can i sell a ladder")).hits[0].topic == "sell-ladder"


def test_the_same_vectors_give_the_same_index(tmp_path):
    vectors = np.random.default_rng(3).standard_normal((300, 16)).astype(np.float32)
    written, steps = [], []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        nearest.build(tmp_path / name, vectors, lambda *step: steps.append(step))
        written.append((tmp_path / name / nearest.FILE).read_bytes())

    assert written[0] == written[1]
    assert steps == [("index", 300, 300)] * 2
