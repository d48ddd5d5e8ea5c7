"""Lies made on order, and the faithful sentences that they are made from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import yaml

HERE = Path(__file__).parent
Half = Literal["develop", "report"]
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_FLIPS = (
    (r"\bcannot\b", "can"),
    (r"\b(do|does|is|are) not\b", r"\1"),
    (r"\bnever\b", "always"),
    (r"\b(can|may|is|are)\b(?! not)", r"\1 not"),
    (r"\b(kann|werden|ist)\b(?!.*nicht)", r"\1 nicht"),
    (r"\bnicht ", ""),
    (r"\bkeine\b", "eine"),
)


@dataclass(frozen=True)
class Passage:
    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Claim:
    """A sentence cited to passage number `cites` of its half. `kind`: "faithful", "paraphrased" or the kind of lie."""

    text: str
    cites: int
    kind: str


@cache
def half(which: Half) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((HERE / "seeded.yaml").read_text("utf-8"))[which]
    return loaded


def passages(which: Half) -> list[Passage]:
    return [Passage(p["id"], p["title"], p["text"]) for p in half(which)["passages"]]


def faithful(which: Half) -> list[Claim]:
    return [
        Claim(sentence, number, kind)
        for number, passage in enumerate(half(which)["passages"], 1)
        for kind in ("faithful", "paraphrased")
        for sentence in passage[kind]
    ]


def lies(which: Half) -> list[Claim]:
    """Every lie of this half, in a fixed order, none of them equal to a faithful sentence."""
    data = half(which)
    true = {claim.text for claim in faithful(which)}
    made: dict[tuple[str, int], Claim] = {}
    for number, passage in enumerate(data["passages"], 1):
        for lie in about(passage, number, data):
            if lie.text not in true or lie.kind == "other topic":
                made.setdefault((lie.text, lie.cites), lie)
    return list(made.values())


def about(passage: dict[str, Any], number: int, data: dict[str, Any]) -> Iterator[Claim]:
    sentences: list[str] = passage["faithful"]
    for text in changed_numbers(sentences, passage["text"]):
        yield Claim(text, number, "changed number")
    for text in [*passage["flips"], *flipped(sentences)]:
        yield Claim(text, number, "flipped meaning")
    for text in swapped(sentences, passage["swaps"]):
        yield Claim(text, number, "swapped name")
    for text in data["inventions"]:
        yield Claim(text, number, "invented policy")
    for sentence, promise in zip(sentences, data["promises"], strict=False):
        yield Claim(f"{sentence.rstrip('.')}, {promise}.", number, "added promise")
    others = [p for p in data["passages"] if p["id"] != passage["id"]]
    for at, other in enumerate(others):
        yield Claim(other["faithful"][at % len(other["faithful"])], number, "other topic")


def changed_numbers(sentences: list[str], source: str) -> Iterator[str]:
    """Each number replaced by one that is not the passage's, and by one that is, but belongs elsewhere."""
    there = list(dict.fromkeys(_NUMBER.findall(source)))
    for sentence in sentences:
        for match in _NUMBER.finditer(re.sub(r"https?://\S+", lambda m: " " * len(m[0]), sentence)):
            before, after = sentence[: match.start()], sentence[match.end() :]
            fresh = next(str(n) for n in (21, 45, 6, 11, 33) if str(n) != match[0] and str(n) not in there)
            yield f"{before}{fresh}{after}"
            yield from (f"{before}{n}{after}" for n in islice((n for n in there if n not in sentence), 1))


def flipped(sentences: list[str]) -> Iterator[str]:
    """Each sentence with its first negation taken away, or one put in."""
    for sentence in sentences:
        for pattern, instead in _FLIPS:
            turned = re.sub(pattern, instead, sentence, count=1)
            if turned != sentence:
                yield turned
                break


def swapped(sentences: list[str], swaps: list[list[str]]) -> Iterator[str]:
    """Each name exchanged in the first two sentences that have it and not the other."""
    for name, instead in swaps:
        having = (s for s in sentences if name in s and instead not in s)
        yield from (s.replace(name, instead) for s in islice(having, 2))
