"""Everything that can be said, as facts. The words for each stand in `bot.wording` and its catalogues.

A fact carries what a sentence needs and nothing else: never a sentence, never a platform's markup. One-line
sentences without structure are a `Line`: the key of a catalogue entry and the values for its placeholders.

Messages that something later must find again carry an anchor:

    T-1042/card             the card in the staff channel; its thread is the ticket's thread
    T-1042/transcript       the older part of a long conversation, first message of that thread
    T-1042/in/<message>     the copy, in the staff thread, of what was said in the customer's thread
    T-1042/from/<message>   that message itself
    T-1042/out/<reply>      a reply as the customer sees it
    T-1042/order/<message>  the `!reply` message that ordered it
    T-1042/preview/<reply>  what staff see of it: preview, undo, sent
    T-1042/draft/<n>        a proposed reply
    T-1042/s/<n>            any other line for staff
    c-3f9a/a/<n>            an answer of the bot
    c-3f9a/corrected/…      a correction: of which answer or draft, which topic, to which version
    c-3f9a/field/<n>        a question of a form
    c-3f9a/ask/<n>          a clarifying question
    c-3f9a/offer/<n>        an offer of a person
    c-3f9a/private          the private thread in which a private matter goes on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adapters.port import Actor, FileRef
from handoff.effects import Fact
from handoff.model import AskReason, Earlier, OfferReason, Said, Ticket


@dataclass(frozen=True, slots=True)
class Line(Fact):
    """One sentence: `key` names it in the catalogue, `values` fill its placeholders.

    `buttons` are (verb, arg) pairs. `at` values (epoch seconds) are shown in the desk's time zone. `mention`: the id of
    the agent whom it calls.
    """

    key: str
    values: Mapping[str, str] = field(default_factory=dict)
    at: float | None = None
    buttons: tuple[tuple[str, str], ...] = ()
    opening: bool = False  # the first thing that this customer hears from the bot: say that it is one
    mention: str = ""
    channel: str = ""  # the channel or thread that is shown for `{channel}`


# --- to the customer, from the bot ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """Where an answer comes from."""

    topic: str
    title: str
    path: str
    version: str
    reviewed: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer(Fact):
    """Approved text with its sources. `arg` names the answer in its buttons.

    `passed_on`: questions of the same message that go to a person, `handed`: what the customer is told of that.
    `aside`: those that are not about our product, which nobody has to look at.
    `offer`: the third turn, say plainly that a person can take over. `late`: seconds that the customer waited because
    we were away.
    """

    arg: str
    text: str
    sources: tuple[Source, ...]
    confidence: float
    opening: bool = False
    passed_on: tuple[str, ...] = ()
    offer: bool = False
    late: float = 0.0
    buttons: bool = True
    handed: HandedOver | None = None
    aside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask(Fact):
    """The one clarifying question; `options` are topic titles. `reason` "language": known in another one only.

    `about`: which of several questions in one message it is about; `aside`: as in an answer. `over`: it is settled,
    nothing to press. `language`: the one in which it was put, whatever is spoken by now.
    """

    arg: str
    options: tuple[str, ...]
    opening: bool = False
    reason: AskReason = "close"
    about: str = ""
    aside: tuple[str, ...] = ()
    language: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class Offer(Fact):
    """Nothing is good enough: say so, name what is near, offer a person. `over`, `language`: as in a question."""

    arg: str
    nearest: tuple[str, ...] = ()
    opening: bool = False
    reason: OfferReason = "unsure"
    language: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class AskField(Fact):
    """One field of a form, asked in the thread. `problem` says what was wrong with the last try (a key). `language`: as
    in a clarifying question."""

    arg: str
    label: str
    hint: str
    kind: str
    choices: tuple[str, ...] = ()
    position: int = 1
    total: int = 1
    required: bool = False
    private: bool = False
    problem: str = ""
    again: bool = False  # politely back after an interruption
    opening: bool = False
    begins: bool = False  # the form begins with this: say what it is for
    over: bool = False  # it was answered, or is no longer asked: nothing to press
    language: str = ""


@dataclass(frozen=True, slots=True)
class HandedOver(Fact):
    """The one line of a handover: what happens, the number, an honest time.

    `due` is the moment of the promised first reply, `opens` the next staffed hour when nobody is there now.
    """

    number: str
    now: float
    due: float
    opens: float | None = None
    reason: str = ""  # "", "draft", "security", "manager", "abuse", "failure", "late", "secret"
    reference: str = ""
    muted_minutes: int = 0
    late: float = 0.0
    details: bool = False
    opening: bool = False


@dataclass(frozen=True, slots=True)
class Incident(Fact):
    """The approved status of an open incident, the same for everybody."""

    arg: str
    text: str
    opening: bool = False


@dataclass(frozen=True, slots=True)
class IncidentOver(Fact):
    """The incident that the customer asked about is over."""

    text: str


@dataclass(frozen=True, slots=True)
class Correction(Fact):
    """What the bot told about `title` was wrong or has changed; this is right."""

    title: str
    text: str
    version: str = ""


# --- to the customer, because a person did something -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Relayed(Fact):
    """A person's reply. The name is shown by the message itself (`Say.speaking_as`)."""

    text: str
    name: str
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved(Fact):
    """Solved: what was done, and how satisfied are you?"""

    number: str
    summary: str
    name: str
    close_hours: int


# --- to staff ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card(Fact):
    """A ticket's message in the staff channel, all of it. `buttons` are the verbs that make sense now."""

    ticket: Ticket
    customer: Actor
    where: str
    buttons: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)  # field id -> label
    category: str = ""


@dataclass(frozen=True, slots=True)
class Erased(Fact):
    """What is left of a card when its customer was erased: the number, and that."""

    number: str


@dataclass(frozen=True, slots=True)
class Raised(Fact):
    """A pointer to a ticket in another team's channel, with a Claim button. `mention`: whom it calls."""

    ticket: Ticket
    customer: str
    reason: str
    mention: str = ""


@dataclass(frozen=True, slots=True)
class OnCall(Fact):
    """A P0 calls the on-call group, until somebody acknowledges."""

    ticket: Ticket
    mention: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Transcript(Fact):
    """The conversation, as it stands now."""

    number: str
    lines: tuple[Said, ...]
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class InThread(Fact):
    """One line of the customer's thread, as staff see it under the card."""

    said: Said
    unsupported: str = ""


PreviewState = Literal["waiting", "sent", "undone", "edited", "deleted", "failed"]


@dataclass(frozen=True, slots=True)
class Preview(Fact):
    """A reply on its way: who will see it and as whom; Undo while `seconds` run."""

    arg: str
    text: str
    to: str
    name: str
    seconds: float
    state: PreviewState = "waiting"
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft(Fact):
    """A proposed reply, for a person to send, edit or discard."""

    arg: str
    text: str
    sources: tuple[Source, ...] = ()
    confidence: float = 0.0
    outcome: str = ""  # sent | edited | discarded


@dataclass(frozen=True, slots=True)
class Shadow(Fact):
    """What the bot would have said, had it been allowed to speak."""

    question: str
    where: str
    kind: str
    why: str
    would: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal(Fact):
    """A topic proposed from a resolution, next to the nearest existing one."""

    key: str
    number: str
    question: str
    answer: str
    nearest: tuple[str, str] | None = None


# --- to one person ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Help(Fact):
    """What this person may ask of `/firstline`."""

    verbs: tuple[str, ...]
    canned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report(Fact):
    """The result of work outside the conversation."""

    chore: str
    ok: bool
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HomeView(Fact):
    """The bot's home: what it can do, and this person's tickets."""

    name: str
    tickets: tuple[Earlier, ...] = ()
