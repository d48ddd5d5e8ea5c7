"""Dialogues as text: what their lines mean. docs/testing.md tells the format for those who write them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

NAME = r"[a-z]\w*"


class TranscriptError(AssertionError):
    """A dialogue that went another way, with the line that says how it should have gone."""


@dataclass(frozen=True)
class Step:
    line: int
    text: str
    verb: str
    args: dict[str, str]
    buttons: tuple[str, ...] | None = None


@dataclass
class Dialogue:
    title: str
    steps: list[Step]
    settings: dict[str, Any] = field(default_factory=dict)
    starts: str = ""
    needs: tuple[str, ...] = ()  # the platforms that can show it; empty: all

    def fits(self, platform: str) -> bool:
        return not self.needs or platform in ", ".join(self.needs).split(", ")


# Every kind of line there is. The first pattern that matches the whole line says what it does.
LINES: tuple[tuple[str, str], ...] = (
    ("after", r"after (?P<count>\d+(?:\.\d+)?) (?P<unit>second|minute|hour|day)s?"),
    ("restart", r"the process restarts"),
    ("stop", r"the process stops"),
    ("start", r"the process starts"),
    ("knowledge", r"the team changes \"(?P<old>.+)\" to \"(?P<new>.+)\" in (?P<file>\S+)"),
    ("silence", r"nothing is said"),
    ("refuse", rf"what is sent to (?P<who>{NAME}) is refused"),
    ("leave", rf"agent (?P<who>{NAME}) leaves"),
    ("solved", rf"(?P<who>{NAME})'s thread is marked solved"),
    ("form", rf"bot shows (?P<who>{NAME}) form: (?P<title>.+?)(?: \((?P<labels>.+)\))?"),
    ("error", rf"bot refuses (?P<who>{NAME})'s form: (?P<text>.+)"),
    ("whisper", rf"bot whispers (?P<who>{NAME}): (?P<text>.+)"),
    ("staff", r"bot -> staff: (?P<text>.+)"),
    ("ticket", r"bot -> (?P<ticket>T-\d+): (?P<text>.+)"),
    ("heard", rf"(?P<name>[\w .]+?) -> (?P<who>{NAME}): (?P<text>.+)"),
    ("shows", r"(?P<ticket>T-\d+) (?P<how>shows|no longer shows): (?P<text>.+)"),
    ("shows", rf"(?P<who>{NAME})'s thread (?P<how>shows|no longer shows): (?P<text>.+)"),
    ("press", rf"(?P<role>\w+) (?P<who>{NAME}) presses (?P<old>old )?\[(?P<label>[^\]]+)\](?: (?:on|in) (?P<where>.+))?"),
    ("submit", rf"(?P<role>\w+) (?P<who>{NAME}) submits (?:(?P<form>\w+): )?(?P<values>.+)"),
    ("edit", rf"(?P<role>\w+) (?P<who>{NAME}) edits \"(?P<old>.+)\" to \"(?P<new>.+)\""),
    ("delete", rf"(?P<role>\w+) (?P<who>{NAME}) deletes \"(?P<old>.+)\""),
    ("react", rf"(?P<role>\w+) (?P<who>{NAME}) reacts (?P<emoji>\S+) to \"(?P<old>.+)\""),
    ("menu", rf"(?P<role>\w+) (?P<who>{NAME}) chooses \[(?P<verb>\w+)\] on \"(?P<old>.+)\""),
    ("command", rf"(?P<role>\w+) (?P<who>{NAME}): (?P<text>/firstline\b.*)"),
    ("say", rf"(?P<role>customer|agent|admin|bot) (?P<who>{NAME})(?: in (?P<where>[^:,]+?))?(?:,? with (?P<files>[^:]+?))?: (?P<text>.+)"),
)  # fmt: skip
_PATTERNS = tuple((verb, re.compile(pattern)) for verb, pattern in LINES)


def parse(text: str) -> Dialogue:
    """A dialogue from its text. Raises `TranscriptError` for a line that nobody understands."""
    dialogue = Dialogue("", [])
    settings: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line:
            continue
        if line.startswith("#"):
            dialogue.title = dialogue.title or line.lstrip("# ")
        elif line.startswith("set "):
            settings.append(line.removeprefix("set "))
        elif line.startswith("only on "):
            dialogue.needs = (*dialogue.needs, line.removeprefix("only on "))
        elif line.startswith("it is "):
            dialogue.starts = line.removeprefix("it is ")
        elif line.startswith("| "):
            labels = tuple(re.findall(r"\[([^\]]+)\]|(…)", line))
            last = dialogue.steps[-1]
            dialogue.steps[-1] = Step(
                last.line, last.text, last.verb, last.args, tuple(a or b for a, b in labels)
            )
        else:
            dialogue.steps.append(_step(number, line))
    dialogue.settings = tomllib.loads("\n".join(settings))
    return dialogue


def _step(number: int, line: str) -> Step:
    shown, _, buttons = line.partition(" | [")
    for verb, pattern in _PATTERNS:
        match = pattern.fullmatch(shown)
        if match:
            found = tuple(re.findall(r"\[([^\]]+)\]", f"[{buttons}")) if buttons else None
            return Step(number, line, verb, {k: v or "" for k, v in match.groupdict().items()}, found)
    raise TranscriptError(f"line {number}: nobody understands {line!r}")


def matches(expected: str, text: str) -> bool:
    """Whether `text` contains `expected`, where … stands for anything. Blanks, bold type and the colon between a
    label and its value are each platform's own."""
    parts = [re.escape(_bare(part)).replace(r"\ ", " ") for part in expected.split("…")]
    return re.search(".*".join(parts), _bare(text)) is not None


def _bare(text: str) -> str:
    return " ".join(re.sub(r"\*|\\(?=\W)|(?<=[\w)]):(?=\s)", "", text).split())


def labels_match(expected: Sequence[str], shown: Sequence[str]) -> bool:
    """All of them in this order; after … there may be more."""
    if "…" in expected:
        wanted = expected[: expected.index("…")]
        return tuple(shown[: len(wanted)]) == tuple(wanted)
    return tuple(shown) == tuple(expected)


def blocks(markdown: str) -> Iterator[str]:
    """The ```transcript blocks of a page."""
    yield from re.findall(r"^```transcript\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)
