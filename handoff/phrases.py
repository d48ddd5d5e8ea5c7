"""Phrases over a customer's words: whole words, typos, negation, quotations. Pure; time grows with the text only.

A phrase is written the way people read it:

    speak/talk .. @person      one of two words, up to three words between, one word of the set "person"
    refund-                    a word that begins so
    [very] angry               a word that may be missing
    ^human$                    a sentence of nothing else
    #                          a number
    ...                        up to seven words between

Small words ("a", "the", "please") may stand between any two words of a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from rapidfuzz.distance import OSA

NEAR, FAR = 3, 7  # how many words ".." and "..." may span
SHORTEST_TYPO = 5  # letters; of so short a word only swapped letters are mended
LONG_WORD = 10  # letters from which on two slips are forgiven
REPAIRS_AT_MOST = 400  # unknown words of one text that are compared with the vocabulary
MASKED = "\x00"  # stands where an idiom stood

_WORD = re.compile(r"[^\W_]+(?:['*][^\W_]*)*|[.!?;,:()\n–—]+")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_QUOTED_LINE = re.compile(r"^[ \t]*(?:>|&gt;).*$", re.MULTILINE)
_QUOTATION = re.compile(r'"[^"\n]{1,600}"|[“„][^”“„\n]{1,600}[”“]|«[^»\n]{1,600}»|»[^«\n]{1,600}«')
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_NO_ONE = re.compile(r"\bno[ -]one\b")
_RUN = re.compile(r"(.)\1{2,}")


def word_set(words: str) -> frozenset[str]:
    """The words of a line of the source as a set."""
    return frozenset(words.split())


FILLERS = word_set(
    "a an the please just really actually very so to kindly simply bitte mal doch wirklich sehr ein "
    "eine einen einem einer der die das den dem fucking damn bloody freaking goddamn my our your this"
)
CONTRACTIONS = {
    word.replace("'", ""): word
    for word in word_set(
        "don't can't isn't won't doesn't didn't aren't couldn't shouldn't wasn't weren't wouldn't hasn't haven't "
        "i'm i've you're that's what's"
    )
}
NEGATORS = word_set(
    "not don't doesn't didn't isn't aren't wasn't weren't hasn't haven't wouldn't never no without nor "
    "neither nicht kein keine keinen keinem keiner ohne nie"
)
_ASKED_BACK = word_set("you i we there it they he she")  # "isn't there a person?" asks for one
_EMPHATIC = word_set("only just so such nur mehr more longer")  # "not only", "never so", "no longer"
_NEW_SUBJECT = word_set("i we i'm i've ich wir please bitte can could kann give get")
_REPORTED = word_set("that if say saying said mean think thinking claiming dass whether")
_TURN = word_set("but aber sondern however instead yet")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text as phrases see it; `sentence` and `clause` say what it stands together with."""

    text: str
    sentence: int
    clause: int


@dataclass(frozen=True, slots=True)
class Step:
    """One place of a phrase: any of these words, or words beginning so, or a number, after a gap."""

    words: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    number: bool = False
    optional: bool = False
    gap: int = 0

    def takes(self, word: str) -> bool:
        if word in self.words or (self.prefixes and word.startswith(self.prefixes)):
            return True
        return self.number and word[0].isdigit()


@dataclass(frozen=True, slots=True)
class Phrase:
    """A compiled phrase; `written` is how it stands in the data file."""

    written: str
    steps: tuple[Step, ...]
    starts: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """Where a phrase was found; `shown` holds its own words only, never what stood between them."""

    name: str
    phrase: Phrase
    first: int
    last: int
    taken: tuple[int, ...]
    shown: str


def fold(text: str) -> str:
    """Lower case without accents, invisible characters and typographic apostrophes."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKD", text.casefold()))
    bare = "".join(c for c in plain if not unicodedata.combining(c)).replace("’", "'").replace("ʼ", "'")
    return _NO_ONE.sub("noone", bare)


def outside_quotes(text: str) -> str:
    """The text without code, quoted lines and quotations of three words or more.

    A message that is nothing but a quotation is taken at its word.
    """
    bare = _QUOTED_LINE.sub(" ", _CODE.sub(" ", text))
    bare = _QUOTATION.sub(lambda m: " , " if m[0].count(" ") > 1 else m[0], bare)
    if len(re.findall(r"[^\W\d_]+", bare)) >= 2:  # noqa: PLR2004 - one stray word is no message
        return bare
    return text if not _CODE.search(text) and not _QUOTED_LINE.search(text) else bare


def sentences(text: str) -> list[str]:
    """A text cut where sentences or lines end."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def compile_phrase(written: str, sets: Mapping[str, Sequence[str]] | None = None) -> Phrase:
    """Read one phrase; ValueError says what is wrong with it."""
    text = written.strip()
    starts, ends = text.startswith("^"), text.endswith("$")
    steps: list[Step] = []
    gap = 0
    for part in text.removeprefix("^").removesuffix("$").split():
        if part in ("..", "..."):
            gap = NEAR if part == ".." else FAR
            continue
        steps.append(_step(part, gap, sets or {}, written))
        gap = 0
    if not steps or gap or steps[0].optional:
        raise ValueError(f"phrase {written!r}: must begin and end with a word")
    return Phrase(written, tuple(steps), starts, ends)


def _step(part: str, gap: int, sets: Mapping[str, Sequence[str]], written: str) -> Step:
    optional = part.startswith("[") and part.endswith("]")
    words: list[str] = []
    for word in part.strip("[]").split("/"):
        if word.startswith("@"):
            if word[1:] not in sets:
                raise ValueError(f"phrase {written!r}: there is no set {word!r}")
            words += sets[word[1:]]
        else:
            words.append(word)
    folded = [fold(w) for w in words if w and w != "#"]
    return Step(
        words=frozenset(w for w in folded if not w.endswith("-")),
        prefixes=tuple(sorted(w[:-1] for w in folded if w.endswith("-"))),
        number="#" in words,
        optional=optional,
        gap=gap,
    )


@dataclass(frozen=True, eq=False)
class Phrasebook:
    """Named phrases, ready to be found in texts."""

    phrases: tuple[tuple[str, Phrase], ...]
    idioms: tuple[Phrase, ...] = ()
    not_typos: frozenset[str] = frozenset()
    _by_word: dict[str, list[tuple[str, Phrase]]] = field(default_factory=dict, init=False, repr=False)
    _by_start: dict[str, list[tuple[str, Phrase]]] = field(default_factory=dict, init=False, repr=False)
    _numbered: list[tuple[str, Phrase]] = field(default_factory=list, init=False, repr=False)
    _vocabulary: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)
    _prefixes: tuple[str, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        prefixes: set[str] = set()
        for entry in (*self.phrases, *(("", idiom) for idiom in self.idioms)):
            first = entry[1].steps[0]
            for word in first.words:
                self._by_word.setdefault(word, []).append(entry)
            for start in {p[:3] for p in first.prefixes}:
                self._by_start.setdefault(start, []).append(entry)
            if first.number:
                self._numbered.append(entry)
            for step in entry[1].steps:
                self._known.update(step.words)
                prefixes.update(step.prefixes)
        self._known.update(NEGATORS, FILLERS, _NEW_SUBJECT, _REPORTED, _TURN)
        object.__setattr__(self, "_prefixes", tuple(sorted(prefixes)))
        for word in sorted(self._known | prefixes):
            if len(word) >= SHORTEST_TYPO and word.isalpha():
                self._vocabulary.setdefault(word[0], []).append(word)

    def read(self, text: str) -> list[Word]:
        """The words of a text, typos of this book's own words mended."""
        repairs = 0
        words: list[Word] = []
        sentence = clause = 0
        folded = fold(text)
        for found in _WORD.finditer(folded):
            token = found[0]
            if not token[0].isalnum():
                sentence += any(c in ".!?;" for c in token) and _ends_sentence(
                    token, folded[found.end() : found.end() + 1]
                )
                clause += 1
                continue
            token = CONTRACTIONS.get(token.rstrip("'"), token.rstrip("'"))
            if token in _TURN:
                clause += 1
            if repairs < REPAIRS_AT_MOST and not self.knows(token):
                repairs += 1
                token = self.mended(token)
            words.append(Word(token, sentence, clause))
        return words

    def knows(self, word: str) -> bool:
        return word in self._known or word in self.not_typos or word.startswith(self._prefixes or "\x00")

    def mended(self, word: str) -> str:
        """The word of this book that `word` is a typo of, else `word` itself. "download" is no typo of "down"."""
        return _mended(self, word)

    def nearest(self, word: str) -> str:
        for shorter in (_RUN.sub(r"\1\1", word), _RUN.sub(r"\1", word)):
            if shorter != word and self.knows(shorter):
                return shorter
        if len(word) < SHORTEST_TYPO or not word.isalpha():
            return word
        allowed = 2 if len(word) >= LONG_WORD else 1
        best, distance = word, allowed + 1
        for known in self._vocabulary.get(word[0], ()):
            if abs(len(known) - len(word)) > allowed or (
                len(word) == SHORTEST_TYPO and sorted(word) != sorted(known)
            ):
                continue
            far = OSA.distance(word, known, score_cutoff=distance - 1)
            if far < distance and not _inflected(word, known):
                best, distance = known, far
        return best

    def find(self, text: str, denied_too: Collection[str] = (), only: str = "") -> Iterator[Match]:
        """Every phrase that the text says, and means: idioms are left out, and denied ones but of `denied_too`.

        `only`: the one name whose phrases are looked for, which is quicker.
        """
        words = self.read(text)
        for match in self.matches(words, idioms=True):
            for index in match.taken:
                words[index] = Word(MASKED, words[index].sentence, words[index].clause)
        for match in self.matches(words, idioms=False, only=only):
            if match.name in denied_too or not negated(words, match):
                yield match

    def matches(self, words: Sequence[Word], *, idioms: bool, only: str = "") -> list[Match]:
        found: list[Match] = []
        for at, word in enumerate(words):
            if word.text == MASKED:
                continue
            candidates = self._by_word.get(word.text, [])
            if starting := self._by_start.get(word.text[:3]):
                candidates = [*candidates, *starting]
            if word.text[0].isdigit():
                candidates = [*candidates, *self._numbered]
            for name, phrase in candidates:
                if (name == "") is not idioms or (only and name != only):
                    continue
                if taken := _match(phrase, words, at):
                    found.append(_matched(name, phrase, words, taken))
        return found


@lru_cache(maxsize=8192)
def _mended(book: Phrasebook, word: str) -> str:
    return book.nearest(word)


def _inflected(word: str, known: str) -> bool:
    """A plural or a verb form is another word, not a typo: the data file lists the forms that it means."""
    longer, shorter = (word, known) if len(word) > len(known) else (known, word)
    return longer.startswith(shorter) and longer[len(shorter) :] in {
        "s",
        "e",
        "d",
        "ed",
        "er",
        "r",
        "en",
        "y",
        "ly",
    }


def _ends_sentence(mark: str, following: str) -> bool:
    """A dot inside "3.5" or "example.com" ends nothing."""
    return mark != "." or not following.isalnum()


def _matched(name: str, phrase: Phrase, words: Sequence[Word], taken: tuple[int, ...]) -> Match:
    shown = [words[taken[0]].text]
    for before, index in pairwise(taken):
        between = [w.text for w in words[before + 1 : index]]
        shown += between if all(w in FILLERS for w in between) else ["…"]
        shown.append(words[index].text)
    return Match(name, phrase, taken[0], taken[-1], taken, " ".join(shown))


def _match(phrase: Phrase, words: Sequence[Word], at: int) -> tuple[int, ...]:
    """The places of the words that the phrase takes when it begins at `at`; empty if it does not fit."""
    if not phrase.steps[0].takes(words[at].text):
        return ()
    if phrase.starts and at > 0 and words[at - 1].sentence == words[at].sentence:
        return ()
    return _rest(phrase, words, 1, (at,))


def _rest(phrase: Phrase, words: Sequence[Word], step: int, taken: tuple[int, ...]) -> tuple[int, ...]:
    last = taken[-1]
    if step == len(phrase.steps):
        open_end = last + 1 == len(words) or words[last + 1].sentence != words[last].sentence
        return taken if open_end or not phrase.ends else ()
    now = phrase.steps[step]
    for index in _reach(words, last, now.gap):
        if now.takes(words[index].text) and (found := _rest(phrase, words, step + 1, (*taken, index))):
            return found
    return _rest(phrase, words, step + 1, taken) if now.optional else ()


def _reach(words: Sequence[Word], last: int, gap: int) -> Iterator[int]:
    """Where the next word of a phrase may stand: within the gap, fillers not counted, in the same sentence."""
    spent = fillers = 0
    for index in range(last + 1, len(words)):
        if words[index].sentence != words[last].sentence:
            return
        yield index
        if words[index].text in FILLERS and fillers < NEAR:
            fillers += 1
            continue
        spent += 1
        if spent > gap:
            return


def negated(words: Sequence[Word], match: Match) -> bool:
    """The words before the match, or between its own, deny it: "not asking for a refund", "the site is not down"."""
    clause = words[match.first].clause
    for index in range(match.first, match.last + 1):
        if index not in match.taken and words[index].text in NEGATORS and _denies(words, index):
            return True
    for steps, index in enumerate(range(match.first - 1, max(-1, match.first - 7), -1)):
        word = words[index]
        if word.clause != clause:
            return False
        if word.text in NEGATORS:
            return _denies(words, index) and (word.text != "no" or steps < 2)  # noqa: PLR2004 - "no" reaches one noun
        before = words[index - 1].text if index else ""
        if word.text in _NEW_SUBJECT and before not in _REPORTED and before not in NEGATORS:
            return False
    after = [w.text for w in words[match.last + 1 : match.last + 3] if w.clause == words[match.last].clause]
    return "nicht" in after or after in (["not", "needed"], ["not", "necessary"])


def _denies(words: Sequence[Word], index: int) -> bool:
    following = [w.text for w in words[index + 1 : index + 4]]
    if words[index].text in ("never", "nie"):
        return not _EMPHATIC.intersection(following) and "this" not in following
    if not following or following[0] in _EMPHATIC:
        return not following
    return not ("'" in words[index].text and following[0] in _ASKED_BACK)


def compiled(
    named: Iterable[tuple[str, Collection[str]]],
    sets: Mapping[str, Sequence[str]] | None = None,
    idioms: Sequence[str] = (),
    not_typos: Iterable[str] = (),
) -> Phrasebook:
    """A book of every name's phrases."""
    return Phrasebook(
        tuple((name, compile_phrase(p, sets)) for name, phrases in named for p in phrases),
        tuple(compile_phrase(i, sets) for i in idioms),
        frozenset(fold(w) for w in not_typos),
    )
