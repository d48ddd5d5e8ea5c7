"""The support check catches lies made on order and lets honest sentences pass."""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from bot.support import Sentence, check, check_words
from tests.language_model import seeded
from tests.language_model.seeded import Claim, Passage

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "knowledge"
REFUNDS = Passage(
    "refunds",
    "Refunds",
    "You can get a full refund within 14 days. Later payments are not refunded.\n\n"
    "1. Open **Settings → Invoices**.\n2. Press **Request refund**.\n\n"
    "Questions: https://help.example.com/refunds or billing@example.com",
)
PLANS = Passage("plans", "Plans", "Solo costs €14 and Studio €32 per month. Guests cannot edit.")


def refused(claims: Sequence[Claim], passages: Sequence[Passage]) -> tuple[Counter[str], Counter[str]]:
    """How many claims there are and how many are refused, by kind."""
    total: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for claim in claims:
        verdict = check_words([Sentence(claim.text, (claim.cites,))], passages)
        total[claim.kind] += 1
        caught[claim.kind] += not verdict.ok
    return total, caught


def table(name: str, total: Counter[str], caught: Counter[str]) -> str:
    rows = [f"  {kind:<16} {caught[kind]:>4} of {count:>4} refused" for kind, count in total.items()]
    return "\n".join([f"{name}:", *rows])


@pytest.mark.parametrize("half", ["develop", "report"])
def test_seeded_lies_are_caught_and_faithful_sentences_pass(
    half: seeded.Half, capsys: pytest.CaptureFixture[str]
) -> None:
    passages = seeded.passages(half)
    lies, caught = refused(seeded.lies(half), passages)
    honest, lost = refused(seeded.faithful(half), passages)
    with capsys.disabled():
        sys.stdout.write(f"\n{table(half, lies + honest, caught + lost)}")
        sys.stdout.write(
            f"  lies caught {caught.total() / lies.total():.3f}, honest passed {1 - lost.total() / honest.total():.3f}\n"
        )

    assert lies.total() >= 200
    assert caught.total() / lies.total() >= 0.95
    assert 1 - lost.total() / honest.total() >= 0.85


def sample() -> tuple[list[Passage], list[Claim], list[Claim]]:
    """The sample knowledge, without the topics of the seeded lies: its own sentences, and lies made from them."""
    known = {passage.id for passage in seeded.passages("develop")}
    passages: list[Passage] = []
    for file in sorted(SAMPLE.rglob("*.md")):
        _, front, text = [*file.read_text("utf-8").split("---", 2), "", ""][:3]
        meta = yaml.safe_load(front) or {}
        if meta.get("id") not in known and "title" in meta:
            passages.append(Passage(str(meta.get("id", file.stem)), meta["title"], text))
    honest: list[Claim] = []
    lies: list[Claim] = []
    for number, passage in enumerate(passages, 1):
        lines = (re.sub(r"^\s*(-|\d+\.)\s+|\*\*", "", line) for line in passage.text.splitlines())
        cut = [s.strip() for line in lines for s in re.split(r"(?<=[.!?])\s+", line)]
        sentences = [s.replace("**", "") for s in cut if len(s.split()) > 3]
        honest += [Claim(s, number, "verbatim") for s in sentences]
        lies += [Claim(s, number, "changed number") for s in seeded.changed_numbers(sentences, passage.text)]
        lies += [Claim(s, number, "flipped meaning") for s in seeded.flipped(sentences)]
        lies += [Claim(s, number % len(passages) + 1, "other topic") for s in sentences]
    return passages, honest, lies


def test_the_sample_knowledge_supports_its_own_sentences_and_no_lies(
    capsys: pytest.CaptureFixture[str],
) -> None:
    passages, honest, lies = sample()
    total, lost = refused(honest, passages)
    lied, caught = refused(lies, passages)
    with capsys.disabled():
        sys.stdout.write(f"\n{table('sample knowledge', lied + total, caught + lost)}\n")

    assert caught.total() / lied.total() >= 0.95
    assert lost.total() / total.total() <= 0.05


@pytest.mark.parametrize(
    ("text", "cites", "rule"),
    [
        ("You can get a full refund within 15 days.", (1,), "numbers"),
        ("You can get a full refund within 14 weeks.", (1,), "numbers"),
        ("Studio costs €14 per month.", (2,), "numbers"),
        ("Solo costs $14 per month.", (2,), "numbers"),
        ("Solo costs €14 per day.", (2,), "rates"),
        ("Later payments are refunded.", (1,), "negations"),
        ("Guests can edit.", (2,), "negations"),
        ("You cannot get a full refund within 14 days.", (1,), "negations"),
        ("You can always get a full refund within 14 days.", (1,), "binding"),
        ("We guarantee a full refund within 14 days.", (1,), "binding"),
        ("You can get a full refund.", (1,), "conditions"),
        ("Open Invoices → Settings.", (1,), "paths"),
        ("Press Cancel refund.", (1,), "unsupported"),
        ("Our bakery sells fresh bread.", (1,), "unsupported"),
        ("Ask at https://help.example.com.evil.example/refunds.", (1,), "addresses"),
        ("Write to billing@example.org.", (1,), "addresses"),
        ("Later payments are not refunded.", (2,), "unsupported"),
        ("Later payments are not refunded.", (), "citation"),
        ("Later payments are not refunded.", (3,), "citation"),
        ("Later payments are not refunded.", (0,), "citation"),
        ("Later payments are not refunded @everyone.", (1,), "markup"),
        ("Later payments are not refunded <@U123>.", (1,), "markup"),
        ("Later payments are [not refunded](https://help.example.com/refunds).", (1,), "markup"),
        ("Later payments are not\u202e refunded.", (1,), "markup"),
        ("And so it is.", (1,), "empty"),
    ],
)
def test_each_rule_has_its_reason(text: str, cites: tuple[int, ...], rule: str) -> None:
    verdict = check_words([Sentence(text, cites)], [REFUNDS, PLANS])

    assert not verdict.ok
    assert rule in {finding.rule for finding in verdict.findings}, verdict.findings


@pytest.mark.parametrize(
    ("text", "cites"),
    [
        ("You can get a full refund within 14 days.", (1,)),
        ("You can get a full refund within fourteen days.", (1,)),
        ("You can get a full refund within two weeks.", (1,)),
        ("Later payments aren't refunded.", (1,)),
        ("Open Settings → Invoices and press Request refund.", (1,)),
        ("Ask at https://help.example.com/refunds or write to billing@example.com.", (1,)),
        ("Solo costs 14 euros per month.", (2,)),
        ("Studio is €32 per month, and guests cannot edit.", (2,)),
        ("Studio is €32 per month, and later payments are not refunded.", (1, 2)),
    ],
)
def test_the_same_in_other_words_is_supported(text: str, cites: tuple[int, ...]) -> None:
    verdict = check_words([Sentence(text, cites)], [REFUNDS, PLANS])

    assert verdict.ok, verdict.findings
    assert verdict.scores[0] > 0.6


def test_one_unsupported_sentence_refuses_the_whole() -> None:
    good = Sentence("Later payments are not refunded.", (1,))
    verdict = check_words([good, Sentence("Guests can edit.", (2,)), good], [REFUNDS, PLANS])

    assert not verdict.ok
    assert {finding.sentence for finding in verdict.findings} == {2}
    assert not check_words([], [REFUNDS]).ok


async def test_an_embedder_can_refuse_more_but_never_less() -> None:
    async def far(texts: Sequence[str]) -> np.ndarray:
        return np.eye(len(texts), dtype=np.float32)  # everything is unlike everything else

    async def near(texts: Sequence[str]) -> np.ndarray:
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(texts), 1))

    supported, lie = Sentence("Guests cannot edit.", (2,)), Sentence("Guests can edit.", (2,))

    assert (await check([supported], [REFUNDS, PLANS], near)).ok
    assert not (await check([lie], [REFUNDS, PLANS], near)).ok
    verdict = await check([supported], [REFUNDS, PLANS], far)
    assert [finding.rule for finding in verdict.findings] == ["meaning"]
