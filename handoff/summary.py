"""A conversation in fewer words, all of them the customer's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from handoff.model import Case, Said
from handoff.politeness import content

SUMMARY_CHARACTERS = 400
HEADLINE_CHARACTERS_LEAST = 20  # "It fails." is a sentence, and no headline
MATTER_WORDS = 3
GAP = " … "
# A dot after one letter or a short form ends no sentence: "z. B.", "i.e.", "No. 5".
_SENTENCE = re.compile(
    r"(?<=[.!?])(?<![.\s]\w\.)(?<!\b(?:nr|no|ca|vs)\.)(?<!\b(?:etc|bzw|ggf|usw)\.)\s+|\n+", re.IGNORECASE
)
_WISH = re.compile(
    r"\?|\b(?:please|bitte|(?:i|we|i'd|we'd) (?:would )?(?:need|want|like)|"
    r"(?:ich|wir) (?:möchten?|will|wollen|brauchen?|hätten?))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


def latest_question(case: Case) -> str:
    """What the customer asked last, in their words."""
    if case.pending_question:
        return " ".join((case.pending_question, *case.others))
    if case.questions:
        return case.questions[-1]
    return next((s.text for s in reversed(case.said) if s.who == "customer" and s.text), "")


def about(case: Case) -> tuple[Said, ...]:
    """What was said on the present matter."""
    for at, line in enumerate(case.said):
        if line.ref is not None and line.ref.id == case.matter:
            return case.said[at:]
    return case.said


def summarise(said: tuple[Said, ...]) -> str:
    """The customer's own first sentences and the last one: nothing that nobody said."""
    spoken = [s.text for s in said if s.who == "customer" and s.text.strip() and not s.deleted]
    texts = [left for text in spoken if (left := content(text))] or spoken[:1]
    if not texts:
        return ""
    head = " ".join(s for s in _SENTENCE.split(texts[0])[:2] if s)
    tail = _SENTENCE.split(texts[-1])[-1] if len(texts) > 1 else ""
    return shorten(f"{head} … {tail}" if tail and tail not in head else head, SUMMARY_CHARACTERS)


def matter(text: str, aside: Callable[[str], bool]) -> str:
    """The sentences that say what it is about, without those that are `aside` of it; all where little else is said."""
    sentences = _SENTENCE.split(text.strip())
    left = [s for s in sentences if not aside(s)]
    if len(left) == len(sentences) or sum(len(s.split()) for s in left) < MATTER_WORDS:
        return text
    return " ".join(left)


def headline(text: str, limit: int) -> str:
    """What it is about, in one line: whole sentences as far as they fit, or the beginning of a long one."""
    line = ""
    for sentence in _SENTENCE.split(text.strip()):
        longer = " ".join(f"{line} {sentence}".split())
        if len(longer) > limit:
            return line if len(line) >= HEADLINE_CHARACTERS_LEAST else shorten(text, limit)
        line = longer
    return line


def request(text: str) -> str:
    """What is wanted: all that was said, or its questions where that is too long to be read at a glance."""
    line = " ".join(text.split())
    if len(line) <= SUMMARY_CHARACTERS:
        return line
    asks = " ".join(s.strip() for s in _SENTENCE.split(text) if s.rstrip().endswith("?"))
    return shorten(asks or line, SUMMARY_CHARACTERS)


def asks_for_something(text: str) -> bool:
    """Whether somebody who reads that knows what is wanted, or only what has happened."""
    return _WISH.search(text) is not None


def besides(text: str, *shown: str) -> str:
    """The sentences of `text` that do not stand in what is `shown` already, or ""."""
    left: list[str] = []
    joint = ""
    for sentence, follows in _pieces(text):
        if any(_stands_in(sentence, one) for one in shown):
            joint = GAP
            continue
        if left:
            left.append(joint or (" " if follows else GAP))
        left.append(sentence)
        joint = ""
    return "".join(left)


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Each sentence, and whether it follows the one before without a gap."""
    for part in text.split(GAP):
        for at, sentence in enumerate(_SENTENCE.split(part.strip())):
            yield sentence, at > 0


def _stands_in(sentence: str, text: str) -> bool:
    """Whether the same words stand there in this order, however they are spelt and separated."""
    words = _WORD.findall(sentence.casefold())
    if not words:
        return sentence in text
    return f" {' '.join(words)} " in f" {' '.join(_WORD.findall(text.casefold()))} "


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters, cut between words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1].rsplit(" ", 1)[0] or line[: limit - 1]
    return f"{cut}…"
