"""Which language a question is in; asked only where it can matter, loaded only when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

COMMON = ("en", "de", "fr", "es", "it", "pt", "nl")
SHORT = 60  # characters: plain ASCII below this is not worth a second of loading where one language is known
CLEAR = 0.15  # how far the likeliest language must lead


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
        async with self._lock:
            if self._detector is None:
                self._detector = await asyncio.to_thread(self._load)
        ranked = self._detector.compute_language_confidence_values(text)
        if len(ranked) > 1 and ranked[0].value - ranked[1].value < CLEAR:
            return default
        return str(ranked[0].language.iso_code_639_1.name).lower()

    def _load(self) -> Any:
        from lingua import IsoCode639_1, Language, LanguageDetectorBuilder

        codes = [getattr(IsoCode639_1, code.upper(), None) for code in self._wanted]
        languages = [Language.from_iso_code_639_1(code) for code in codes if code is not None]
        detector = LanguageDetectorBuilder.from_languages(*languages).build()
        detector.detect_language_of("load the models now, where nobody waits on the loop")
        return detector
