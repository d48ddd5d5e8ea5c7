"""The words of the desk: a conversation's state, its ticket, and what is known when something is decided.

Pure data, JSON-serialisable. What follows from a decision is in `handoff.effects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from adapters.port import Actor, FileRef, MsgRef, Place


class TicketState(StrEnum):
    """design.md's six. Legal moves stand in one table: `handoff.ticket.MOVES`."""

    NEW = "new"
    OPEN = "open"
    PENDING = "pending"
    ESCALATED = "escalated"
    SOLVED = "solved"
    CLOSED = "closed"


class Phase(StrEnum):
    """Who speaks with the customer now."""

    BOT = "bot"  # the bot answers
    CLARIFYING = "clarifying"  # the one clarifying question is open
    OFFERED = "offered"  # the bot has asked back and offered a person
    COLLECTING = "collecting"  # a form is being asked, one field at a time
    DESK = "desk"  # handed over; nobody has claimed yet
    HUMAN = "human"  # a person has stepped in; the bot is silent
    MUTED = "muted"  # abusive; until `Case.muted_until`


Priority = Literal["P0", "P1", "P2", "P3"]
Level = Literal["answer", "draft", "collect", "escalate"]
AskReason = Literal["close", "language"]
OfferReason = Literal["unsure", "again", "unhelpful", "unrelated"]
LaunchMode = Literal["off", "shadow", "draft", "answer"]


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the conversation, as it stands now (edits applied, deletions emptied)."""

    who: Literal["customer", "bot", "agent", "other"]
    name: str
    text: str
    at: float
    ref: MsgRef | None = None
    files: tuple[FileRef, ...] = ()
    edited: bool = False
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """An answer that the bot gave or would have given; `receipt` is its id (`A-…`)."""

    receipt: str
    topic: str
    title: str
    version: str
    confidence: float
    delivered: bool
    outcome: str = ""  # helpful | not helpful: reason | re-asked | escalated


@dataclass(frozen=True, slots=True)
class Asked:
    """The question of a form that stands there with its buttons, and how it was put: the field at `at`."""

    anchor: str
    at: int
    problem: str = ""
    again: bool = False
    opening: bool = False
    begins: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A question or an offer of the bot that stands there with its buttons, and how it was put."""

    anchor: str
    reason: AskReason | OfferReason
    titles: tuple[str, ...] = ()
    opening: bool = False
    about: str = ""
    aside: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class Collecting:
    """Where a form in the thread stands. `values` holds public fields only; private ones come by a form."""

    category: str
    fields: tuple[str, ...]
    at: int = 0
    values: Mapping[str, str] = field(default_factory=dict)
    tries: int = 0
    interrupted: bool = False
    trigger: str = ""  # what led to the form, and why: for the ticket that follows
    why: str = ""
    asked: Asked | None = None  # its buttons go when the next question is asked, or the form ends


@dataclass(frozen=True, slots=True)
class Ticket:
    """The durable record of a request that a person takes over."""

    number: int
    state: TicketState
    category: str
    priority: Priority
    priority_reason: str
    route: str
    subject: str
    summary: str
    opened_at: float
    wants: str = ""
    leaf: str = ""  # second level of the taxonomy
    tier: str = ""
    sentiment: str = "neutral"
    trigger: str = ""
    why_escalated: str = ""
    next_step: str = ""
    confidence: float = 0.0
    tried: tuple[Tried, ...] = ()
    nearest: tuple[tuple[str, str], ...] = ()  # (topic, title)
    fields: Mapping[str, str] = field(default_factory=dict)
    private_fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    earlier: tuple[int, ...] = ()
    assignee: Actor | None = None
    claimed_at: float | None = None
    first_response_at: float | None = None
    first_response_due: float | None = None
    resolution_due: float | None = None
    paused_at: float | None = None
    paused_seconds: float = 0.0
    escalated_ever: bool = False
    acknowledged_at: float | None = None
    solved_at: float | None = None
    closed_at: float | None = None
    reopened: int = 0
    resolution_type: str = ""
    root_cause: str = ""
    resolution: str = ""
    csat: int | None = None
    csat_comment: str = ""
    tags: tuple[str, ...] = ()
    draft: str = ""
    failures: tuple[str, ...] = ()  # deliveries that failed, in words, shown on the card
    revision: int = 0
    waiting_since: float | None = None  # since when nobody has it, or the customer waits for the assignee
    reminded_at: float | None = None  # the assignee was reminded of a reply that is owed
    replied_at: float | None = None  # the last reply of a person
    escalated_at: float | None = None  # raised to a specialist; acknowledged by the next claim
    promises_told: tuple[tuple[str, float], ...] = ()  # the desk heard of it: (timer, due time)

    @property
    def id(self) -> str:
        """What people say: `T-1042`."""
        return f"T-{self.number}"

    @property
    def is_open(self) -> bool:
        return self.state not in (TicketState.SOLVED, TicketState.CLOSED)


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that the line keeps about one conversation: one customer in one thread or DM."""

    id: str  # short and opaque ("c-3f9a1b2c"): what buttons carry before there is a ticket
    place: Place  # the customer's thread
    customer: Actor
    epoch: int = 0  # raised by every takeover; queued bot messages of an older epoch are dropped
    version: int = 0  # optimistic lock of the row
    phase: Phase = Phase.BOT
    started_at: float = 0.0
    language: str = ""
    category: str = ""
    origin: MsgRef | None = None  # the message that the thread hangs on
    thread_open: bool = False  # OpenThread was ordered
    moving: str = ""  # the anchor of a private place that was ordered and is not there yet
    public: Place | None = None  # where it was asked, once it goes on in a private place
    disclosed: bool = False  # the customer was told that this is a bot
    bot_turns: int = 0  # bot turns without success since the last success or handover
    clarified: bool = False
    clarify_options: tuple[tuple[str, str], ...] = ()  # (topic, title)
    nearest: tuple[tuple[str, str], ...] = ()  # (topic, title) of the last search, for the card
    asked: Standing | None = None  # the clarifying question; its buttons go when it is settled
    offered: Standing | None = None  # a person was offered; its button goes when that is settled
    pending_question: str = ""  # the question that waits for clarification or collection
    others: tuple[str, ...] = ()  # questions of the same message that wait until that one is settled
    matter: str = ""  # the message with which the present matter began; what was said before it is done with
    questions: tuple[str, ...] = ()  # what the customer asked, for "same issue three times"
    participants: frozenset[str] = (
        frozenset()
    )  # ids of people (not bots) who wrote here, without the customer
    said: tuple[Said, ...] = ()
    collecting: Collecting | None = None
    ticket: Ticket | None = None
    closed_tickets: tuple[int, ...] = ()
    tried: tuple[Tried, ...] = ()
    muted_until: float = 0.0
    ratings: Mapping[str, str] = field(default_factory=dict)  # receipt -> vote
    profile: Mapping[str, str] = field(default_factory=dict)  # what the customer told: name, product, version
    counters: Mapping[str, int] = field(default_factory=dict)  # answers, drafts, replies: for ids


# --- what is known when deciding ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hit:
    """One retrieved topic or passage, with everything that an answer shows."""

    topic: str
    title: str
    text: str
    confidence: float
    score: float = 0.0
    path: str = ""
    version: str = ""
    passage: str = ""
    level: str = ""
    category: str = ""
    kind: str = "topic"
    escalate_when: tuple[str, ...] = ()
    owner: str = ""
    reviewed: str = ""
    language: str = ""
    related: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What one search of one snapshot gave for one question."""

    snapshot: str
    question: str
    hits: tuple[Hit, ...]
    confidence: float
    threshold_answer: float
    threshold_clarify: float
    language: str = ""
    repaired: str = ""
    why: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    composed: str = ""  # an answer composed by the language model, every sentence checked against its passage
    composed_sources: tuple[int, ...] = ()
    among: float = 0.0  # the probability that one of the first three topics is right

    @property
    def cited(self) -> tuple[Hit, ...]:
        """What the answer's words are from: the passages that a composed one cites, or the first."""
        return tuple(self.hits[n - 1] for n in self.composed_sources) if self.composed else self.hits[:1]

    @property
    def near(self) -> bool:
        """Good enough to ask back: one of the topics that the question would offer is probably the right one."""
        return bool(self.hits) and max(self.confidence, self.among) >= self.threshold_clarify


@dataclass(frozen=True, slots=True)
class Proposed:
    """A reply for the desk to check, and what its words are from: (question, hit)."""

    text: str = ""
    parts: tuple[tuple[str, Hit], ...] = ()


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search was given beside the question: where and as whom, after which question, on which day. The receipt
    keeps it, so that `replay` asks the same again."""

    channel: str = ""
    roles: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    language: str = ""
    previous: str = ""
    day: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something fired or is urgent, as data: `handoff.reasons` puts it into the language of the desk.

    `words` are those of the data file, an example of it, a topic's line, kinds of secrets or a number; never what else
    the customer wrote. `like`: the cosine of an example. `of`: the reason of the trigger that this reason is.
    """

    kind: str = ""
    words: str = ""
    like: float = 0.0
    of: Reason | None = None


@dataclass(frozen=True, slots=True)
class Fired:
    """A trigger fired on the customer's words, and why."""

    trigger: str
    reason: Reason = Reason()
    score: float = 1.0
    topic: str = ""  # for a topic's own escalate_when


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier ticket of the same customer."""

    number: int
    subject: str
    state: str
    opened_at: float
    similarity: float = 0.0
    csat: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """Facts gathered before the decision; `decide` never asks back."""

    next_number: int = 0
    found: tuple[Found, ...] = ()  # one per question in the message (usually one)
    fired: tuple[Fired, ...] = ()
    sentiment: str = "neutral"
    urgency: str = ""
    earlier: tuple[Earlier, ...] = ()
    refs: tuple[MsgRef, ...] = ()  # all messages that were folded into this event
    texts: tuple[str, ...] = ()  # their texts, same order
    anchor: str = ""  # the anchor of the message that the event is about ("T-1042/card", "T-1042/relay/7")
    counterpart: MsgRef | None = None  # the other side of a relayed message
    search_failed: str = ""  # why there is no search result (an internal failure's reference id)
    waited_seconds: float = 0.0  # catch-up: how long the customer has waited
    solved_by_others: bool = False  # catch-up: people answered meanwhile
    incident: str = ""  # text of the open incident that this question belongs to
    incident_id: str = ""
    summary: str = ""  # written by the language model for the card; empty: extractive
    draft: str = ""  # the language model's reply draft
    draft_sources: tuple[int, ...] = ()  # the hits of `found[0]` that it cites, counted from 1
    redacted: tuple[str, ...] = ()  # kinds of secrets that were removed before the first write
    snapshot: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)
    searched: Searched | None = None  # what the search for `found` was given
