"""The catalogues: which words a key has in which language, and how moments and spans are written.

`load_texts` reads them once at the start; everything after that is pure.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from importlib import resources
from zoneinfo import ZoneInfo

from adapters.port import Block, Button, Span, Style
from bot.complaints import meant

LANGUAGES = ("en", "de")
MINUTE, HOUR, DAY = 60, 3600, 86_400
_SLOT = re.compile(r"\{(\w*)\}")
LABEL_CHARACTERS = 75


class WordingError(Exception):
    """An override in `[wording]` does not fit; `complaints` says all that is wrong."""

    def __init__(self, complaints: list[str]) -> None:
        self.complaints = complaints
        super().__init__("\n".join(complaints))


@dataclass(frozen=True, slots=True)
class Texts:
    """All sentences, by language and key."""

    catalogues: Mapping[str, Mapping[str, str]]
    language: str = "en"
    zone: tzinfo = field(default_factory=lambda: ZoneInfo("UTC"))
    bot: str = "Firstline"

    def has(self, key: str, language: str) -> bool:
        return any(key in self.catalogues.get(spoken, {}) for spoken in (language, self.language, "en"))

    def get(self, key: str, language: str, /, **values: str) -> str:
        """The sentence, filled in. What is put in is plain text and is never read as a pattern itself."""
        for spoken in (language, self.language, "en"):
            sentence = self.catalogues.get(spoken, {}).get(key)
            if sentence is not None:
                return _SLOT.sub(lambda m: values.get(m.group(1), ""), sentence)
        return key

    def button(self, verb: str, arg: str, language: str, style: str = "", label: str = "", /) -> Button:
        """A button with its label; the ones that do the main thing stand out."""
        words = label or self.get(f"button.{verb}", language)
        confirm = self.get(f"confirm.{verb}", language) if self.has(f"confirm.{verb}", language) else None
        look = style or _STYLES.get(verb, "default")
        return Button(verb, arg, short(words, LABEL_CHARACTERS), look, confirm)  # type: ignore[arg-type]

    def span(self, seconds: float, language: str) -> str:
        """A length of time as people say it: rounded up, in one unit."""
        for size, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
            if seconds >= size * 1.5 or name == "minute":
                n = max(1, -(-int(seconds) // size))
                return self.get(f"time.{name}" if n == 1 else f"time.{name}s", language, n=str(n))
        return ""

    def hour(self, at: float) -> str:
        """The time of day, in the desk's time zone."""
        there = datetime.fromtimestamp(at, self.zone)
        return f"{there:%H:%M} {there.tzname() or ''}".strip()

    def same_day(self, one: float, other: float) -> bool:
        """Whether both moments are of one day there."""
        return (
            datetime.fromtimestamp(one, self.zone).date() == datetime.fromtimestamp(other, self.zone).date()
        )

    def clock(self, at: float, language: str, now: float | None = None) -> str:
        """A moment in the desk's time zone; seen from `now`, in the words of a calendar."""
        there, clock = datetime.fromtimestamp(at, self.zone), self.hour(at)
        if now is None:
            return f"{there:%Y-%m-%d} {clock}"
        days = (there.date() - datetime.fromtimestamp(now, self.zone).date()).days
        if days in (0, 1):
            return self.get("time.today" if days == 0 else "time.tomorrow", language, clock=clock)
        if 1 < days < 7:  # noqa: PLR2004  a week
            day = self.get(f"time.day{there.weekday()}", language)
            return self.get("time.on_day", language, day=day, clock=clock)
        return f"{there:%Y-%m-%d} {clock}"


_STYLES = {
    "claim": "primary",
    "reply": "primary",
    "fill": "primary",
    "send_draft": "primary",
    "acknowledge": "danger",
    "undo": "danger",
}


# --- blocks ---------------------------------------------------------------------------------------------------


def lines(text: str, style: Style | None = None) -> tuple[tuple[Span, ...], ...]:
    """Plain text as the lines of a block."""
    styles: frozenset[Style] = frozenset((style,)) if style else frozenset()
    return tuple((Span(line, styles),) for line in text.split("\n"))


def para(text: str, style: Style | None = None) -> Block:
    return Block("para", lines(text, style))


def note(text: str) -> Block:
    return Block("note", lines(text))


def quote(text: str) -> Block:
    return Block("quote", lines(text))


def heading(text: str) -> Block:
    return Block("heading", ((Span(text),),))


def bullets(items: Iterator[str] | tuple[str, ...] | list[str]) -> Block:
    return Block("bullets", tuple((Span(" ".join(item.split())),) for item in items))


def short(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something is missing."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


# --- loading --------------------------------------------------------------------------------------------------


def certainty(confidence: float) -> str:
    """A confidence as a percentage; nothing is certain, however it would be rounded."""
    return f"{min(confidence, 0.99):.0%}"


def slots(sentence: str) -> frozenset[str]:
    """The placeholders of a sentence."""
    return frozenset(_SLOT.findall(sentence))


def load_texts(
    overrides: Mapping[str, str] | None = None,
    *,
    language: str = "en",
    timezone: str = "UTC",
    bot: str = "Firstline",
) -> Texts:
    """The shipped catalogues with the team's own wording on top.

    An override is named by its key ("customer.joined": the bot's own language) or by language and key
    ("de.customer.joined"). Raises `WordingError` for unknown keys and for placeholders that the sentence does not have.
    """
    catalogues = {name: catalogue(name) for name in LANGUAGES}
    complaints: list[str] = []
    for name, sentence in (overrides or {}).items():
        spoken, _, rest = name.partition(".")
        spoken, key = (spoken, rest) if spoken in LANGUAGES else (language, name)
        known = catalogues.get(spoken, catalogues["en"])
        if key not in catalogues["en"]:
            complaints.append(f"wording.{name}: there is no such sentence{meant(key, catalogues['en'])}")
        elif extra := slots(sentence) - slots(catalogues["en"][key]):
            complaints.append(f"wording.{name}: {', '.join(sorted(extra))} cannot be filled in here")
        else:
            catalogues[spoken] = {**known, key: sentence}
    if complaints:
        raise WordingError(complaints)
    return Texts(catalogues, language, ZoneInfo(timezone), bot)


def catalogue(language: str) -> dict[str, str]:
    """One language's sentences by key."""
    text = resources.files("bot").joinpath("words", f"{language}.toml").read_text("utf-8")
    return dict(_flat(tomllib.loads(text), ""))


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
