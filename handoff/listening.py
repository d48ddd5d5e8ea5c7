"""Who is speaking to us, and what is the question? Asked before anything is looked up; pure and quick."""

from __future__ import annotations

import re

from adapters.port import (
    ActionInvoked,
    CommandInvoked,
    Inbound,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    ReactionChanged,
)
from handoff import fields
from handoff.escalation import ASKS_FOR_SOMEBODY, asks_for_somebody, says_nothing_else
from handoff.model import Case, Known, Phase, Ticket, TicketState
from handoff.policy import Policy, is_staff, same_person
from handoff.politeness import gist, small_talk
from handoff.summary import about, matter
from handoff.turn import SILENT

QUESTION_CHARACTERS = 1500
FOLLOW_UP_CHARACTERS, FOLLOW_UP_WORDS = 80, 4
FORM_ANSWER_WORDS = 5
DIGITS = 8
NEAREST = 3
LEANING_WORDS = 8
VENTS = frozenset(("angry", "abuse", "churn", "distress"))  # how somebody feels, not what it is about
_GOES_ON = re.compile(
    r"\W*(?:no|nope|yes|but|and|or|so|still|ok|okay|then|thanks|thank you|i (?:tried|did|already)|nein|ja|aber|und|oder|"
    r"doch|immer noch|trotzdem|danke|dann|habe ich|hab ich)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|this|that|these|those|they|them|there|one|above|es|das|dies\w*|sie|damit|dafür|davon|dort|oben)\b",
    re.IGNORECASE,
)
_FOLLOW_UP = re.compile(
    r"(?:and|or|but|also|what about|how about|und|oder|aber|was ist mit|wie ist es mit)\b", re.IGNORECASE
)
_ASKS = re.compile(
    r"\?|^\W*(?:how|what|where|when|why|who|which|can|could|do|does|did|is|are|will|would|should|may|i (?:can't|cannot|"
    r"need|want)|wie|was|wo|wann|warum|wer|welche|kann|könnt|kannst|gibt|ist|sind|darf|muss)\b",
    re.IGNORECASE,
)


def here(case: Case, event: Inbound) -> bool:
    """Did that happen in the customer's thread (not in the staff thread)?"""
    where = event.place.conversation
    return where == case.place.conversation or (case.public is not None and where == case.public.conversation)


def engaged(case: Case) -> bool:
    """Have we had anything to do with this conversation before?"""
    known = bool(case.said or case.closed_tickets) or case.ticket is not None or case.phase != Phase.BOT
    return known or case.thread_open  # the thread is ours, even where an erasure has left nothing else


def concerns(case: Case, event: Inbound, policy: Policy) -> bool:
    """Is that for us at all? People talking among themselves, other bots and switched-off channels are not.

    The first message of a third person in our conversation does concern us, once: from then on the bot waits to be
    mentioned, and `decide` must remember that.
    """
    if isinstance(event, MessageReceived):
        return _message_concerns(case, event, policy)
    if (
        event.actor is None and not case.customer.id
    ):  # a thread of people among themselves, or one that was erased
        return False
    if isinstance(event, (MessageEdited, MessageDeleted, ReactionChanged)):
        return engaged(case) and (event.actor is None or not event.actor.is_bot)
    return True


def _message_concerns(case: Case, event: MessageReceived, policy: Policy) -> bool:
    actor = event.actor
    if actor is None or actor.is_bot or actor.is_self:
        return False
    if not here(case, event):
        return True  # the ticket's staff thread
    ticket = case.ticket
    if ticket is not None and ticket.is_open:
        return True
    if policy.is_desk(event.place):
        return False
    channel = policy.channel(event.place)
    if policy.launch_mode == "off" or channel.mode == "off":
        return False
    customer = same_person(actor, case.customer)
    if event.mentions_bot or (event.place.kind == "dm" and customer):
        return True
    if not engaged(case):
        return _opens(event, channel.mode)
    if is_staff(actor) and not customer:
        return True
    if not customer:
        return actor.id not in case.participants
    return not case.participants


def _opens(event: MessageReceived, mode: str) -> bool:
    """Does a message without a mention open a conversation?"""
    if event.place.kind == "forum" and (event.is_root or event.title):
        return True
    if not event.is_root or is_staff(event.actor):
        return False
    return mode == "all" or (mode == "questions" and asks(event.text))


def asks(text: str) -> bool:
    """Does that look like a question or a request?"""
    return _ASKS.search(text) is not None


def other_matter(case: Case, known: Known, text: str) -> bool:
    """Whether the customer begins with something else: the first question, one after a ticket was closed, and after an
    answer whatever is no more about it. In doubt it is still about the same."""
    closed = case.ticket is not None and not case.ticket.is_open
    if not case.questions or (closed and case.phase in SILENT):
        return True
    if not case.tried or case.phase != Phase.BOT or _leans_on_what_was_said(text) or small_talk(text):
        return False
    answered = any(s.who == "bot" for s in about(case))
    names = {f.trigger for f in known.fired}
    if not answered or (names & ASKS_FOR_SOMEBODY and says_nothing_else(text)):
        return False
    last = case.tried[-1]
    if last.outcome:
        return last.outcome == "helpful"
    nearest = {h.topic for f in known.found for h in f.hits[:NEAREST]}
    return last.topic not in nearest and _says_what(known, names, text)


def _says_what(known: Known, names: set[str], text: str) -> bool:
    """Whether it says what it is about: something that the team knows, a trigger that names it, or a question."""
    if any(f.near for f in known.found) or names - VENTS - ASKS_FOR_SOMEBODY:
        return True
    return asks(text) and not names & VENTS


def _leans_on_what_was_said(text: str) -> bool:
    """Whether it can only be understood from what stands above it."""
    return _GOES_ON.match(text) is not None or (
        len(text.split()) <= LEANING_WORDS and _POINTS_BACK.search(text) is not None
    )


def wants_signals(case: Case, event: Inbound, policy: Policy, now: float) -> str:  # noqa: ARG001  one shape for all
    """The customer's words to run the triggers on, or ""."""
    if isinstance(event, MessageReceived):
        theirs = here(case, event) and same_person(event.actor, case.customer)
        return _with_title(event)[:QUESTION_CHARACTERS] if theirs and not small_talk(event.text) else ""
    if isinstance(event, MessageAction):
        return event.target_text[:QUESTION_CHARACTERS]
    if isinstance(event, CommandInvoked) and event.name == "ask":
        return event.text[:QUESTION_CHARACTERS]
    return ""


def answers_form(case: Case, text: str) -> bool:
    """Whether that is short enough to be nothing but the answer to a form's question. "40 people, yearly" means little
    alone and resembles anything, so only what its words say outright counts as a trigger."""
    return case.phase == Phase.COLLECTING and len(text.split()) <= FORM_ANSWER_WORDS


def wants_search(case: Case, event: Inbound, policy: Policy, now: float) -> str:  # noqa: ARG001
    """The question to search for, or "" when nothing needs to be looked up."""
    if isinstance(event, MessageReceived):
        return _question(case, event, now)[:QUESTION_CHARACTERS]
    if isinstance(event, CommandInvoked) and event.name == "ask":
        return event.text[:QUESTION_CHARACTERS]
    if isinstance(event, MessageAction):
        return event.target_text[:QUESTION_CHARACTERS]
    if isinstance(event, ActionInvoked):
        return _asked_by_button(case, event)[:QUESTION_CHARACTERS]
    return ""


def _question(case: Case, event: MessageReceived, now: float) -> str:
    if not here(case, event) or (case.ticket is not None and case.ticket.is_open):
        return ""
    speaks = same_person(event.actor, case.customer) or (event.mentions_bot and not is_staff(event.actor))
    closed = case.ticket is not None and case.ticket.state == TicketState.CLOSED  # then it is a new question
    if not speaks or (case.phase == Phase.HUMAN and not closed) or now < case.muted_until:
        return ""
    if small_talk(event.text):
        return ""
    if case.phase == Phase.COLLECTING:
        return event.text if event.text.rstrip().endswith("?") and not fields.control_word(event.text) else ""
    before = case.pending_question if case.phase == Phase.CLARIFYING else ""
    if asks_for_somebody(event.text) and (before or case.questions):  # what for was said before
        return before or case.questions[-1]
    if before:
        return f"{before} {event.text}"
    if case.questions and _leans_on_the_last(event.text.strip()):
        return f"{case.questions[-1]} {event.text}"
    return matter(
        _with_title(event), asks_for_somebody
    )  # a wish for a person says nothing of what it is about


def _leans_on_the_last(text: str) -> bool:
    """Whether it means nothing alone ("and Solo?"), unlike "and how do I cancel my subscription?"."""
    start = _FOLLOW_UP.match(text) if len(text) <= FOLLOW_UP_CHARACTERS else None
    return start is not None and len(text[start.end() :].split()) <= FOLLOW_UP_WORDS


def _with_title(event: MessageReceived) -> str:
    """What was asked, without greeting and farewell: "hope you are well" is no cry for help, and no question. A forum
    post's title is part of it."""
    said = gist(event.text)
    return f"{event.title}\n{said}".strip() if event.title and event.title not in event.text else said


def _asked_by_button(case: Case, event: ActionInvoked) -> str:
    if event.verb == "pick" and case.phase == Phase.CLARIFYING:
        index = number_of(event.arg)
        if 0 <= index < len(case.clarify_options):
            return f"{case.pending_question} {case.clarify_options[index][1]}".strip()
    if event.verb == "draft" and case.ticket is not None and case.ticket.is_open:
        return _asked_last(case, case.ticket)
    return ""


def _asked_last(case: Case, ticket: Ticket) -> str:
    """What a draft has to answer: what was asked since the ticket was opened, else what it was opened for. The last
    line alone may be an answer to a form ("2.3 on iOS") or an outcry."""
    later = (s.text for s in reversed(case.said) if s.who == "customer" and s.at > ticket.opened_at)
    said = next((s.text for s in reversed(case.said) if s.who == "customer" and s.text), "")
    return next((text for text in later if asks(text)), ticket.wants or said)


def number_of(arg: str) -> int:
    """The number behind the point of a button's argument; -1 where there is none."""
    _, _, number = arg.rpartition(".")
    return int(number) if number.isascii() and number.isdigit() and len(number) <= DIGITS else -1
