"""What follows from a decision: everything that happens in the world is an `Effect`, a plain value that the engine commits.

Pure data. `decide(case, event, known, now, policy) -> Decision` returns the new state of `handoff.model` with these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adapters.port import Actor, FileRef, MsgRef, Place
from handoff.model import Case


@dataclass(frozen=True, slots=True)
class Fact:
    """Base of everything that can be said; the words for it are found in `bot.wording`, never here."""


@dataclass(frozen=True, slots=True)
class Thread:
    """The thread under an anchored message: `Thread("T-1042/card")`. Resolved when the row is delivered."""

    anchor: str


@dataclass(frozen=True, slots=True)
class Say:
    """Post something. `voice` "bot" is fenced by the epoch; "notice" is a service line that a human act caused;
    "agent" is a person's relayed reply. `anchor` names the message so that later effects can edit it.
    `delay`: undo window in seconds; until then the row can be withdrawn by `Withdraw(anchor)`."""

    to: Place | Thread
    what: Fact
    audience: Literal["customer", "staff"]
    voice: Literal["bot", "notice", "agent"] = "bot"
    anchor: str = ""
    reply_to: MsgRef | None = None
    speaking_as: str = ""
    files: tuple[FileRef, ...] = ()
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Update:
    """Edit an anchored message to say `what`. Of several waiting edits only the newest is sent. `tidies`: it takes away
    what is of no use any more, so where the message never came or is gone there is nothing to do."""

    anchor: str
    what: Fact
    audience: Literal["customer", "staff"] = "staff"
    speaking_as: str = ""
    tidies: bool = False


@dataclass(frozen=True, slots=True)
class Unsay:
    """Delete an anchored message (the counterpart of something deleted)."""

    anchor: str
    audience: Literal["customer", "staff"]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take back a `Say` that has not been sent yet (undo); nothing happens if it has."""

    anchor: str


@dataclass(frozen=True, slots=True)
class Whisper:
    """Tell one person only: a refusal, a confirmation. Uses the interaction that caused it where it lives."""

    to: Actor
    what: Fact
    place: Place
    must_arrive: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """Make sure that a thread hangs on `origin` (a message, or an anchored one). `private_for`: one beside it that only
    this person and the team can read; it is then called `anchor`, and `ThreadChanged("opened")` says where it is."""

    origin: MsgRef | Thread
    title: str
    audience: Literal["customer", "staff"]
    private_for: Actor | None = None
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Show on the customer's message how it fares: seen, failed, solved."""

    ref: MsgRef
    emoji: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class CloseThread:
    """On resolve: mark the customer's thread solved where the platform has that."""

    place: Place
    solved: bool = True
    archived: bool | None = None


@dataclass(frozen=True, slots=True)
class Wake:
    """Put a timer row: at epoch second `at` the event `TimerFired(timer, arg)` happens, once. Replaces the row of the same
    `timer` in this case."""

    timer: str
    at: float
    arg: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take a timer back."""

    timer: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a row for reports: receipt, feedback, gap, proposal, draft, capture, csat, audit.

    The same (kind, key) replaces.
    """

    kind: str
    key: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """Remember that the existing message `ref` is called `anchor` (e.g. a customer's message in the relay)."""

    anchor: str
    ref: MsgRef


@dataclass(frozen=True, slots=True)
class Chore:
    """Work outside the conversation, done after the commit, once: reload, search, report, export …

    Its result comes back as `ChoreDone`.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Home:
    """Refresh the bot's home tab for one person."""

    actor: Actor
    what: Fact


Effect = (
    Say
    | Update
    | Unsay
    | Withdraw
    | Whisper
    | Open
    | Mark
    | CloseThread
    | Wake
    | Cancel
    | Keep
    | Link
    | Chore
    | Home
)


@dataclass(frozen=True, slots=True)
class Decision:
    """The new state, what follows, and why, in words that a support lead understands.

    `kind` counts decisions: answer, clarify, draft, collect, escalate, decline, relay, claim, …, ignore.
    """

    case: Case
    effects: tuple[Effect, ...] = ()
    why: str = ""
    kind: str = "ignore"
    trace: tuple[tuple[str, str], ...] = ()  # (rule, what it found), for the why pane and the receipt
