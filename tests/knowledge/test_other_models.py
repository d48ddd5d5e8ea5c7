"""Any sentence-transformers model can be configured: a multilingual one with its prompts, another one tomorrow, one that
cannot be exported, one whose folder is broken."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from knowledge import export, models
from knowledge.engine import Engine, OnnxEngine, ReferenceEngine
from knowledge.library import Library
from knowledge.passage import KnowledgeError
from knowledge.spelling import Speller
from tests.knowledge.tiny_models import PREFIXES, multilingual

KB = {
    "rechnung.md": "---\nid: rechnung\nlanguage: de\nquestions: [Wo finde ich meine Rechnung?, Ich brauche die Rechnung]\n---\nDie Rechnung steht im Konto unter Abrechnung.\n",
    "passwort.md": "---\nid: passwort\nlanguage: de\nquestions: [Wie setze ich mein Passwort zurück?, Passwort vergessen]\n---\nNutze den Link auf der Anmeldeseite.\n",
    "geld.md": "---\nid: geld\nlanguage: de\nquestions: [Wie bekomme ich mein Geld zurück?, Ich will eine Rückerstattung]\n---\nEine Rückerstattung dauert vierzehn Tage.\n",
    "invoice.md": "---\nid: invoice\nquestions: [Where is my invoice?, I need the invoice of last month]\n---\nInvoices are on the billing page.\n",
    "password.md": "---\nid: password\nquestions: [How do I reset my password?, I forgot my password]\n---\nUse the link on the sign-in page.\n",
}
TEXTS = [
    "Wo finde ich meine Rechnung?",
    "  How do I get my money back?  ",
    "我的发票在哪里?",
    "Où est ma facture ? " * 9,
    "x",
    "",
    "Eine Rückerstattung dauert vierzehn Tage nach der Kündigung. " * 80,  # longer than any of them reads
]


@pytest.fixture(scope="session")
def e5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaped like multilingual-e5: mean pooling, Normalize, prompts for questions and passages."""
    return multilingual(tmp_path_factory.mktemp("models") / "e5", normalize=True, prompts=PREFIXES, limit=512)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaped like paraphrase-multilingual-MiniLM: mean pooling and nothing after it. The same weights as the other."""
    return multilingual(tmp_path_factory.mktemp("models") / "plain", limit=128)


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, e5: Path) -> Path:
    """A folder of exported models: the multilingual one, kept in pytest's cache until the export itself is changed, and
    the packaged one."""
    home, cache = tmp_path_factory.mktemp("exports"), Path(pytestconfig.cache.mkdir("knowledge"))  # type: ignore[union-attr]
    _, multilingual = models.identify(str(e5))
    made_by = hashlib.sha256(Path(export.__file__).read_bytes()).hexdigest()[:16]
    kept = cache / "others" / made_by / multilingual
    if not (kept / "about.json").exists():
        shutil.rmtree(cache / "others", ignore_errors=True)
        export.main([str(e5), str(kept)])
    _, packaged = models.identify("")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(models.SHARED, str(cache / "models"))
        models.load("", packaged, home, threads=1, workers=1).close()
    (home / multilingual).symlink_to(kept)
    (home / packaged).symlink_to(cache / "models" / packaged)
    return home


@pytest.fixture
def shared(exports: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(models.SHARED, str(exports))
    return exports


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[Library]]:
    """Libraries to close after the test."""
    some: list[Library] = []
    yield some
    for library in some:
        library.close()


def cosines(one: Engine, other: Engine, *, passages: bool = False) -> float:
    """The least agreement of two engines."""
    return float(
        np.min(np.sum(one.encode(TEXTS, passages=passages) * other.encode(TEXTS, passages=passages), axis=1))
    )


def written(folder: Path, named: Mapping[str, str]) -> Path:
    folder.mkdir()
    for name, text in named.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("passages", [False, True])
def test_a_multilingual_model_is_exported_and_makes_the_vectors_of_sentence_transformers(
    e5, exports, passages
):
    """Padded batches, texts longer than its limit and four languages: positions count from the padding's number on."""
    made, reference = OnnxEngine(exports / models.identify(str(e5))[1]), ReferenceEngine(str(e5))

    assert cosines(made, reference, passages=passages) >= export.FAITHFUL
    assert (made.dimension, made.limit) == (reference.dimension, reference.limit) == (48, 512)
    assert made.offsets(TEXTS) == reference.offsets(TEXTS)
    assert [made.knows(word) for word in ("Rechnung", "Sonne")] == [True, False]
    assert [reference.knows(word) for word in ("Rechnung", "Sonne")] == [True, False]


def test_without_normalize_and_prompts_the_vectors_are_the_models_too(plain, e5, exports, tmp_path):
    """The graph ends before pooling and is that of the other, whose weights are the same; the rest is in about.json."""
    from sentence_transformers import SentenceTransformer

    place = tmp_path / "plain"
    shutil.copytree(exports / models.identify(str(e5))[1], place)
    about = export.about_of(SentenceTransformer(str(plain), device="cpu"))
    (place / "about.json").write_text(json.dumps(about))

    made, reference = OnnxEngine(place), ReferenceEngine(str(plain))

    assert cosines(made, reference) >= export.FAITHFUL
    assert made.limit == reference.limit == 128
    assert np.array_equal(made.encode(TEXTS), made.encode(TEXTS, passages=True))


def test_a_question_gets_the_prompt_of_questions_and_a_passage_that_of_passages(e5, plain, exports):
    """Written out in front of the text, for the same model without prompts, it is the same vector."""
    bare = ReferenceEngine(str(plain))
    short = TEXTS[:4]
    for engine in (OnnxEngine(exports / models.identify(str(e5))[1]), ReferenceEngine(str(e5))):
        questions, passages = engine.encode(short), engine.encode(short, passages=True)

        assert np.allclose(questions, bare.encode([f"query: {text}" for text in short]), atol=1e-4)
        assert np.allclose(passages, bare.encode([f"passage: {text}" for text in short]), atol=1e-4)
        assert not np.allclose(questions, passages, atol=1e-2)


def test_a_model_that_names_no_limit_is_read_as_far_as_its_positions_go(tmp_path):
    """Of 514 positions 512 are a text's; one token more and nothing could be embedded at all."""
    reference = ReferenceEngine(str(multilingual(tmp_path / "model", limit=None)))

    assert reference.limit == 512
    assert reference.encode(TEXTS).shape == (len(TEXTS), 48)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [({"dense": True}, "modules .*'Dense'"), ({"pooling": "max_tokens"}, "pooling 'max'")],
    ids=["a layer after pooling", "maximum pooling"],
)
def test_what_cannot_be_exported_is_refused_with_the_reason(tmp_path, shape, reason):
    folder = multilingual(tmp_path / "model", **shape)

    with pytest.raises(RuntimeError, match=reason):
        export.main([str(folder), str(tmp_path / "out")])

    assert not (tmp_path / "out" / "about.json").exists()


def test_common_words_of_a_sentencepiece_model_are_not_repaired(e5, exports):
    """Its vocabulary marks where words begin, and has nouns with their capital and their umlauts."""
    vocabulary = ["passworte", "gebuhre", "rechnunge"]
    for engine in (OnnxEngine(exports / models.identify(str(e5))[1]), ReferenceEngine(str(e5))):
        repair = Speller(vocabulary, engine.knows).repair

        asked = "Passwort, Gebühr und die rechnung"
        assert repair(asked, lambda _: True) == asked
        assert repair("Pasworte", lambda _: True) == "passworte"


async def test_knowledge_in_german_is_found_with_a_multilingual_model(e5, shared, tmp_path, opened):
    library = Library(tmp_path / "home", model=str(e5))
    opened.append(library)
    built = await library.build([written(tmp_path / "kb", KB)])
    await library.activate(built.info.id)

    assert built.info.model == str(e5)
    assert built.info.engine.startswith("onnxruntime")
    assert built.embedded > 0
    for question, topic in (
        ("wo ist denn meine Rechnung", "rechnung"),
        ("Passwort zurücksetzen", "passwort"),
        ("where can I see my invoice", "invoice"),
    ):
        assert (await library.search(question)).hits[0].topic == topic


async def test_another_model_embeds_everything_anew_and_what_was_built_stays_in_use(
    e5, shared, tmp_path, opened
):
    """The snapshot in use goes on with the model it was built with, through a restart, a reload and a rollback."""
    question, home = "Wo finde ich meine Rechnung?", tmp_path / "home"
    before, after = Library(home), Library(home, model=str(e5))
    opened += [before, after]
    built = await before.build([written(tmp_path / "kb", KB)])
    await before.activate(built.info.id)
    asked = await before.search(question)

    assert await after.open() == built.info
    assert (await after.search(question)).hits == asked.hits
    assert [hit.topic for hit in await after.lookup("Rechnung")] == ["rechnung"]

    anew = await after.build([tmp_path / "kb"])
    assert anew.info.id != built.info.id
    assert (anew.embedded > 0, anew.reused) == (True, 0)
    assert (after.info, anew.info.model) == (built.info, str(e5))

    await after.activate(anew.info.id)
    found = await after.search(question)
    assert (found.snapshot, found.hits[0].topic) == (anew.info.id, "rechnung")
    assert (await after.rollback()).id == built.info.id
    assert (await after.search(question)).hits == asked.hits


async def test_a_snapshot_outlives_its_models_folder_but_not_the_model(
    e5, shared, tmp_path, monkeypatch, opened
):
    """The export is all that it needs; without it, whoever opens the snapshot hears what to do."""
    moved, home = tmp_path / "e5", tmp_path / "home"
    shutil.copytree(e5, moved)
    first, second, third = Library(home, model=str(moved)), Library(home), Library(home)
    opened += [first, second, third]
    await first.activate((await first.build([written(tmp_path / "kb", KB)])).info.id)
    shutil.rmtree(moved)

    await second.open()
    assert (await second.search("Wo finde ich meine Rechnung?")).hits[0].topic == "rechnung"

    _, packaged = models.identify("")
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / packaged).symlink_to(shared / packaged)
    monkeypatch.setenv(models.SHARED, str(tmp_path / "exports"))
    with pytest.raises(
        KnowledgeError, match="e5, which the snapshot was built with, is no longer there: build"
    ):
        await third.open()


async def test_without_an_export_sentence_transformers_answers(tmp_path, monkeypatch, opened, caplog):
    folder = multilingual(tmp_path / "model", dense=True)
    monkeypatch.setenv(models.SHARED, str(in_the_way(tmp_path)))
    library = Library(tmp_path / "home", model=str(folder))
    opened.append(library)

    built = await library.build([written(tmp_path / "kb", KB)])
    await library.activate(built.info.id)

    assert "model_not_exported" in caplog.text
    assert built.info.engine == "sentence-transformers"
    assert (await library.search("Wo finde ich meine Rechnung?")).hits[0].topic == "rechnung"


def _cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "modules.json").write_text("{"), r"is broken: modules\.json cannot be read"),
        (lambda folder: (folder / "modules.json").write_text('["a"]'), r"is broken: modules\.json cannot be read"),
        (lambda folder: (folder / "1_Pooling" / "config.json").unlink(), r"is not whole: 1_Pooling/config\.json is missing"),
        (lambda folder: (folder / "config.json").unlink(), r"is not whole: config\.json is missing"),
        (
            lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
            r"is not whole: model\.safetensors is a Git LFS pointer",
        ),
        (_cut_weights, "cannot be loaded: "),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be loaded: "),
    ],
    ids=["no JSON", "no modules", "no pooling", "no configuration", "a pointer", "half the weights", "no tokenizer"],
)  # fmt: skip
async def test_a_broken_model_is_named_with_what_is_wrong(tmp_path, monkeypatch, opened, damage, complaint):
    """One sentence that a person can act on, whatever the libraries say of it."""
    folder = multilingual(tmp_path / "model")
    damage(folder)
    monkeypatch.setenv(models.SHARED, str(in_the_way(tmp_path)))
    library = Library(tmp_path / "home", model=str(folder))
    opened.append(library)

    with pytest.raises(KnowledgeError, match=f"the embedding model {folder} {complaint}") as told:
        await library.build([written(tmp_path / "kb", KB)])

    assert "\n" not in str(told.value)


def in_the_way(tmp_path: Path) -> Path:
    """A file where exports should go, so that none is tried: that takes ten seconds, and is tested elsewhere."""
    (tmp_path / "exports").write_text("")
    return tmp_path / "exports"
