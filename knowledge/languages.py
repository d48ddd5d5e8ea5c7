"""Which language a question is in; asked only where it can matter, loaded only when it is asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

COMMON = ("en", "de", "fr", "es", "it", "pt", "nl")
SHORT = 60  # characters: plain ASCII below this is not worth a second of loading where one language is known
CLEAR = 0.15  # how far the likeliest language must lead
PLAIN = 2  # function words of one language, and none of another, leave nothing to detect
# Function words that no other of these languages writes the same way. Most questions hold two of them, and need not
# wait for the detector's models (over a second, 180 MB).
FUNCTION_WORDS = {
    "en": "how the my where what can you your is are does did why when which with without after not don't cant can't "
    "it this that and from for have has there would should could i've i'm please anyone",
    "de": "wie ich mein meine meinen wo kann nicht ist und oder das der den dem ein eine einen für mit ohne nach "
    "bitte warum wann welche wird sind habe hat gibt auf aus zu zum zur bei mir mich",
    "fr": "comment je mon ma mes où puis est et ou le les des du une pour avec sans après pourquoi quand quel quelle "
    "pas dans vous votre",
    "es": "cómo puedo mi mis dónde es y los las del una para con sin después por qué cuándo cuál está mucho usted",
}
# How questions begin, of words that other languages write as well ("do", "i").
PAIRS = {"en": ("do i", "can i", "i need", "i want", "i get", "is there", "tell me", "to do", "to get")}
_PLAINLY = {code: frozenset(words.split()) for code, words in FUNCTION_WORDS.items()}
_PAIRS = {code: frozenset(pairs) for code, pairs in PAIRS.items()}
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


class Languages:
    """A detector for a small, fixed set of languages."""

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self._wanted = tuple(dict.fromkeys((*COMMON, *extra)))
        self._detector: Any = None
        self._lock = asyncio.Lock()

    @staticmethod
    def matters(text: str, known: Sequence[str]) -> bool:
        """Not where a snapshot speaks one language and the question could not be shorter or plainer."""
        return len(known) > 1 or not (text.isascii() and len(text) <= SHORT)

    async def detect(self, text: str, known: Sequence[str]) -> str:
        """The ISO 639-1 code of a question; the snapshot's only language, or empty, when it cannot be told."""
        default = known[0] if len(known) == 1 else ""
        if not self.matters(text, known):
            return default
        plain = plainly(text)
        if plain:
            return plain
        await self.warm()
        ranked = self._detector.compute_language_confidence_values(text)
        if len(ranked) > 1 and ranked[0].value - ranked[1].value < CLEAR:
            return default
        return str(ranked[0].language.iso_code_639_1.name).lower()

    async def warm(self) -> None:
        """Have the detector's models loaded; whoever starts a process calls it before anybody waits."""
        async with self._lock:
            if self._detector is None:
                self._detector = await asyncio.to_thread(self._load)

    def _load(self) -> Any:
        from lingua import IsoCode639_1, Language, LanguageDetectorBuilder

        codes = [getattr(IsoCode639_1, code.upper(), None) for code in self._wanted]
        languages = [Language.from_iso_code_639_1(code) for code in codes if code is not None]
        # Loading holds the interpreter's lock, and so the event loop, for over a second; a pair at a time lets it breathe.
        for some in pairwise(languages):
            LanguageDetectorBuilder.from_languages(*some).build().detect_language_of(
                "load the models of these two"
            )
        return LanguageDetectorBuilder.from_languages(*languages).build()


def plainly(text: str) -> str:
    """The language that the function words alone leave no doubt about; empty where they do."""
    words = [word.casefold().replace("’", "'") for word in _WORD.findall(text)]
    found = {code: sum(word in known for word in words) for code, known in _PLAINLY.items()}
    for code, pairs in _PAIRS.items():
        found[code] += sum(f"{one} {two}" in pairs for one, two in pairwise(words))
    best = max(found, key=lambda code: found[code])
    others = sum(found.values()) - found[best]
    return best if found[best] >= PLAIN and not others else ""
