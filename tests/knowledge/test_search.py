"""Who finds what, in which language, on which day, however it is spelt."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from datetime import date
from pathlib import Path

import pytest

from knowledge.library import Library, Scope
from knowledge.tokens import is_follow_up, split_questions

KB = {
    "billing/refund.md": "---\nid: refund\ntitle: How do refunds work?\nquestions: [How do I get my money back?, I want a refund]\nrelated: [secret, invoice]\nescalate_when: [chargeback]\nowner: maria\n---\nRefunds take 14 days. See https://example.com/refunds.\n",
    "billing/invoice.md": "---\nid: invoice\nquestion: Where is my invoice?\n---\nInvoices are on the billing page.\n",
    "billing/plan-monthly.md": "---\nid: monthly\nquestion: How do I cancel the monthly plan?\n---\nPress cancel under monthly plan.\n",
    "billing/plan-annual.md": "---\nid: annual\nquestion: How do I cancel the annual plan?\n---\nWrite to us to cancel the annual plan.\n",
    "secret.md": "---\nid: secret\nquestion: How do refunds over the limit work?\naudience: [staff]\n---\nZanzibar: the bosses allow refunds of 900.\n",
    "partners.md": "---\nid: partners\nquestion: What do partners get back for refunds?\naudience: ['channel:C7']\n---\nQuokka: partners get 30 percent.\n",
    "winter.md": "---\nid: winter\nquestion: Is there a winter sale?\nvalid_from: 2026-12-01\nvalid_to: 2026-12-24\n---\nThe winter sale is on.\n",
    "password.md": "---\nid: password\nquestion: How do I reset my password?\nlanguage: en\n---\nUse the link on the sign-in page.\n",
    "password.de.md": "---\nid: password\nquestion: Wie setze ich mein Passwort zurück?\n---\nNutze den Link auf der Anmeldeseite.\n",
    "gas.md": "---\nid: gas\nkind: emergency\nquestion: I smell gas in the office\n---\nLeave the building and call 112.\n",
    "android.md": "---\nid: android\nquestion: The app crashes\ntags: [android]\n---\nUpdate the Android app.\n",
    "ios.md": "---\nid: ios\nquestion: The app crashes\ntags: [ios]\n---\nUpdate the iOS app.\n",
    "kubernetes.md": "# Kubernetes\nHow to run it.\n\n## Autoscaling\nSet replicas in the deployment to scale the workers.\n\n## Backups\nSnapshots run every night.\n",
}
CANARIES = ("Zanzibar", "Quokka")
TODAY = date(2026, 11, 26)
ANYBODY = Scope()


@pytest.fixture(scope="module")
def built(tmp_path_factory, pytestconfig) -> Path:
    """A home with this file's knowledge in use; every test opens its own copy of it."""
    shared = Path(pytestconfig.cache.mkdir("knowledge"))
    home = tmp_path_factory.mktemp("search")
    (shared / "vectors").mkdir(exist_ok=True)
    (home / "vectors").symlink_to(shared / "vectors")
    for name, text in KB.items():
        (home / "kb" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "kb" / name).write_text(text)

    async def build() -> None:
        library = Library(home)
        await library.activate((await library.build([home / "kb"])).info.id)
        library.close()

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FIRSTLINE_MODELS", str(shared / "models"))
        asyncio.run(build())
    return home


@pytest.fixture
async def library(built, open_library, tmp_path) -> Library:
    shutil.copytree(built / "snapshots", tmp_path / "home" / "snapshots")
    shutil.copy(built / "current.json", tmp_path / "home" / "current.json")
    made = open_library()
    await made.open()
    return made


async def top(library: Library, question: str, scope: Scope = ANYBODY, day: date = TODAY) -> str:
    found = await library.search(question, scope, now=day)
    return found.hits[0].topic if found.hits else ""


async def test_a_hit_carries_everything_that_an_answer_needs(library):
    found = await library.search("I'd like my money back", now=TODAY)
    hit = found.hits[0]

    assert (hit.topic, hit.path, hit.category, hit.level, hit.owner) == (
        "refund",
        "billing/refund.md",
        "billing",
        "answer",
        "maria",
    )
    assert hit.text == "Refunds take 14 days. See https://example.com/refunds."
    assert (hit.links, hit.escalate_when) == (("https://example.com/refunds",), ("chargeback",))
    assert len(hit.version) == 10
    assert found.confidence == hit.confidence
    assert set(found.timings_ms) == {"wait", "prepare", "embed", "search"}
    assert any("How do refunds work?" in line for line in found.why)


async def test_confidences_are_probabilities_that_share_one_whole(library):
    for question in ("refund", "Is there a winter sale?", "the weather in Lisbon", "crash"):
        hits = (await library.search(question, now=TODAY)).hits
        assert all(0.0 <= hit.confidence <= 1.0 for hit in hits)
        assert all(hit.confidence <= 1.0 - hits[0].confidence + 1e-9 for hit in hits[1:])


async def test_small_talk_is_less_likely_to_be_covered(library):
    covered = (await library.search("How do I reset my password?", now=TODAY)).confidence

    assert (await library.search("what a lovely day it is today", now=TODAY)).confidence < min(0.3, covered)


PROBES = (
    "How do refunds over the limit work?", "What do partners get back for refunds?", "zanzibar", "zanzbar quoka", "bosses",
    "refunds of 900", "30 percent", "staff", "secret", "How do I get my money back?",
)  # fmt: skip


@pytest.mark.parametrize(
    "scope",
    [Scope(), Scope(channel="C8"), Scope(roles=frozenset({"helper"})), Scope(tags=("staff",))],
    ids=repr,
)
async def test_what_is_not_yours_is_nowhere(library, scope):
    for question in PROBES:
        found = await library.search(question, scope, k=50, now=TODAY)

        assert not {hit.topic for hit in found.hits} & {"secret", "partners"}
        said = str(dataclasses.astuple(found)).lower()
        assert not any(canary.lower() in said for canary in CANARIES if canary.lower() not in question)
        assert all("secret" not in hit.related for hit in found.hits)


async def test_what_is_yours_is_found(library):
    assert (
        await top(library, "refunds over the limit", Scope(audience=frozenset({"public", "staff"})))
        == "secret"
    )
    assert await top(library, "refunds over the limit", Scope(roles=frozenset({"staff"}))) == "secret"
    assert await top(library, "What do partners get back?", Scope(channel="C7")) == "partners"


@pytest.mark.parametrize(
    ("day", "speaks"),
    [("2026-11-30", False), ("2026-12-01", True), ("2026-12-24", True), ("2026-12-25", False)],
)
async def test_a_topic_speaks_on_its_days(library, day, speaks):
    assert (await top(library, "Is there a winter sale?", day=date.fromisoformat(day)) == "winter") is speaks


async def test_a_tag_narrows_where_topics_carry_it(library):
    assert await top(library, "The app crashes", Scope(tags=("ios",))) == "ios"
    assert await top(library, "The app crashes", Scope(tags=("Android",))) == "android"
    assert (
        await top(library, "Where is my invoice?", Scope(tags=("ios",))) == "invoice"
    )  # untagged topics are for all
    assert await top(library, "Where is my invoice?", Scope(tags=("nobody-has-this",))) == "invoice"


async def test_the_answer_is_in_the_language_of_the_question(library):
    german = await library.search(
        "Wie kann ich bitte mein Passwort zurücksetzen, ich habe es vergessen?", now=TODAY
    )
    english = await library.search("I forgot my password, how can I please reset it?", now=TODAY)

    assert (german.language, german.hits[0].language) == ("de", "de")
    assert english.hits[0].language == "en"
    assert {hit.language for hit in english.hits if hit.topic == "password"} == {"en"}
    given = await library.search("password", Scope(language="de"), now=TODAY)
    assert given.hits[0].language == "de"


async def test_a_follow_up_is_read_with_the_question_before(library):
    scope = Scope(previous="How do I cancel the monthly plan?")

    assert await top(library, "and for the annual plan?", scope) == "annual"
    assert (await library.search("and what about that?", scope, now=TODAY)).hits[0].topic == "monthly"


async def test_words_of_this_knowledge_are_repaired(library):
    found = await library.search("kuberntes autoscalling replcas", now=TODAY)

    assert found.hits[0].topic == "kubernetes"
    assert "kubernetes" in found.repaired
    assert (await library.search("where is my invoice", now=TODAY)).repaired == ""


async def test_a_document_answers_with_the_passage(library):
    hit = (await library.search("how do I scale the workers", now=TODAY)).hits[0]

    assert (hit.kind, hit.title, hit.passage) == ("document", "Kubernetes", "Autoscaling")
    assert hit.text == "Set replicas in the deployment to scale the workers."


STRANGE = (
    "", "   ", "?", "'", '"', "AND", "NEAR(a b)", "a OR", "-", "*", 'x" OR 1=1 --', "(" * 50, "\0", "😀", "é" * 5000, "word " * 3000,
    "DROP TABLE topics;", "title:refund", "^start", "{a b}", "日本語の質問です",
)  # fmt: skip


async def test_no_text_is_too_strange_to_be_asked(library):
    for question in STRANGE:
        found = await library.search(question, now=TODAY)

        assert 0.0 <= found.confidence <= 1.0


async def test_the_same_question_gives_the_same_answer_alone_and_in_company(library):
    alone = await library.search("How do I get a refund for the annual plan?", now=TODAY)
    questions = [
        "How do I get a refund for the annual plan?",
        *(f"question {number} about invoices" for number in range(30)),
    ]
    crowd = await asyncio.gather(*(library.search(question, now=TODAY) for question in questions))

    assert crowd[0].hits == alone.hits
    assert crowd[0].why == alone.why


async def test_a_named_snapshot_can_be_asked_without_being_in_use(library, write):
    built = await library.build(
        [write({**KB, "billing/refund.md": KB["billing/refund.md"].replace("14", "30")})]
    )

    assert "30 days" in (await library.search_in(built.info.id, "money back", now=TODAY)).hits[0].text
    assert "14 days" in (await library.search("money back", now=TODAY)).hits[0].text


async def test_an_emergency_is_answered_first_and_alone(library):
    found = await library.search("help, there is a smell of gas in our office", now=TODAY)

    assert [hit.kind for hit in found.hits] == ["emergency"]
    assert (await library.search("How do I reset my password?", now=TODAY)).hits[0].kind == "topic"


async def test_full_text_search_finds_words_and_minds_the_audience(library):
    assert [hit.topic for hit in await library.lookup("replicas")] == ["kubernetes"]
    assert await library.lookup("Zanzibar") == ()
    assert [hit.topic for hit in await library.lookup("Zanzibar", Scope(roles=frozenset({"staff"})))] == [
        "secret"
    ]
    assert await library.lookup("' OR \"") == ()


async def test_k_limits_the_hits(library):
    assert len((await library.search("refund", k=2, now=TODAY)).hits) == 2


@pytest.mark.parametrize(("text", "parts"), [
    ("How do I pay?", ["How do I pay?"]),
    ("How do I pay? Really?", ["How do I pay? Really?"]),
    ("How do I pay? And where is my invoice?", ["How do I pay?", "And where is my invoice?"]),
    ("Hi! I moved. How do I pay?\nAlso, can I change my address? Thanks!", ["Hi! I moved. How do I pay?", "Also, can I change my address? Thanks!"]),
    ("", []),
])  # fmt: skip
def test_two_questions_in_one_message_are_two(text, parts):
    assert split_questions(text) == parts


@pytest.mark.parametrize(("text", "leans"), [
    ("and for the annual plan?", True), ("what about teams?", True), ("does it work on linux?", True), ("", False),
    ("How do I reset my password on the new phone?", False), ("Where is my invoice?", False),
])  # fmt: skip
def test_follow_ups_are_recognised(text, leans):
    assert is_follow_up(text) is leans
