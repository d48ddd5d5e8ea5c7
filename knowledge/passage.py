"""The words of knowledge: what is read, what is indexed, what is found. Pure values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Literal

Kind = Literal["topic", "document", "emergency"]
LEVELS = ("answer", "draft", "collect", "escalate")  # from the most to the least that the bot may do alone
KINDS: tuple[Kind, ...] = ("topic", "document", "emergency")
PUBLIC = "public"
_NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing wrong with one source, where a person can go and mend it."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.message}" if where else self.message


class KnowledgeError(Exception):
    """Knowledge could not be read or built. It carries every complaint, and nothing was changed."""

    def __init__(self, complaints: Sequence[Complaint] | str) -> None:
        if isinstance(complaints, str):
            complaints = [Complaint("", 0, complaints)]
        self.complaints: tuple[Complaint, ...] = tuple(complaints)
        super().__init__("\n".join(str(one) for one in self.complaints))


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a source under one heading; for a topic, the whole approved text."""

    heading: str
    text: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Topic:
    """One unit of approved knowledge as it was read: a topic file, a CSV answer, or a whole document."""

    id: str
    title: str
    path: str
    sections: tuple[Section, ...]
    kind: Kind = "topic"
    questions: tuple[str, ...] = ()
    level: str = "answer"
    category: str = ""
    audience: tuple[str, ...] = (PUBLIC,)
    tags: tuple[str, ...] = ()
    language: str = ""
    escalate_when: tuple[str, ...] = ()
    owner: str = ""
    reviewed: str = ""
    valid_from: str = ""
    valid_to: str = ""
    related: tuple[str, ...] = ()
    line: int = 1

    @property
    def body(self) -> str:
        return "\n\n".join(section.text for section in self.sections)

    def to_fields(self) -> dict[str, object]:
        """Everything that was approved, as plain JSON values; `asdict` would copy every text three times."""
        fields: dict[str, object] = {
            name: getattr(self, name) for name in self.__slots__ if name != "sections"
        }
        fields["sections"] = [(one.heading, one.text, one.line) for one in self.sections]
        return fields

    @property
    def key(self) -> str:
        """What must be unique in a snapshot: one topic may exist once per language."""
        return f"{self.id}@{self.language}" if self.language else self.id


@dataclass(frozen=True, slots=True)
class Passage:
    """What one search result can be: a topic's whole approved text, or one passage of a document."""

    topic: int  # position of its topic in the snapshot
    number: int  # position among the passages of its topic, from 1
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One result: the approved text, where it comes from, and why it was found."""

    topic: str
    title: str
    path: str
    version: str
    score: float
    confidence: float
    text: str
    passage: str
    passage_id: str
    level: str = "answer"
    category: str = ""
    audience: tuple[str, ...] = (PUBLIC,)
    tags: tuple[str, ...] = ()
    escalate_when: tuple[str, ...] = ()
    owner: str = ""
    reviewed: str = ""
    valid_from: str = ""
    valid_to: str = ""
    language: str = ""
    related: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    kind: Kind = "topic"
    evidence: Mapping[str, float] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Scope:
    """Who asks and where: it decides what may be found at all, before anything is ranked."""

    channel: str = ""
    roles: frozenset[str] = frozenset()
    language: str = ""
    tags: tuple[str, ...] = ()
    audience: frozenset[str] = frozenset({PUBLIC})
    previous: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, in one snapshot, with the lines that a decision is drawn along."""

    snapshot: str
    hits: tuple[Hit, ...]
    language: str
    repaired: str
    confidence: float
    threshold_answer: float
    threshold_clarify: float
    timings_ms: Mapping[str, float]
    why: tuple[str, ...]
    among: float = 0.0  # the probability that one of the first three topics is right

    @property
    def near(self) -> bool:
        """Good enough to ask back: one of the topics that the question would offer is probably the right one."""
        return bool(self.hits) and max(self.confidence, self.among) >= self.threshold_clarify


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot in one glance."""

    id: str
    topics: int
    passages: int
    model: str
    built_at: str
    threshold_answer: float
    threshold_clarify: float
    languages: tuple[str, ...] = ()
    engine: str = ""
    calibration: Mapping[str, float | str] = field(default_factory=dict)
    model_hash: str = ""  # of the model that its vectors are of


@dataclass(frozen=True, slots=True)
class Change:
    """How one topic differs from the snapshot in use."""

    topic: str
    what: Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Built:
    """A snapshot built aside; nothing uses it until it is activated."""

    info: SnapshotInfo
    embedded: int
    reused: int
    changes: tuple[Change, ...]
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()


def valid_on(valid_from: str, valid_to: str, day: date) -> bool:
    """Whether a topic speaks on `day`; both ends are inclusive and ISO dates compare as text."""
    today = day.isoformat()
    return not (valid_from and today < valid_from[:10]) and not (valid_to and today > valid_to[:10])
