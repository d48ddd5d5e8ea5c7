"""The words for staff: the card and what happens under it, drafts, proposals; and the home tab."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapters.port import Block, Content, Span
from bot.rich import rich
from bot.texts import Texts, bullets, certainty, heading, lines, note, para, quote, short
from handoff import facts
from handoff.model import Said, Ticket, TicketState
from handoff.summary import asks_for_something, besides

TITLE_CHARACTERS = 150
FIELD_CHARACTERS = 300
CHANNEL = re.compile(r"[\w-]{1,80}")
ROWS_MAX = 12
ERASED_REVISION = 1_000_000  # newer than whatever a card can say

Pair = tuple[tuple[Span, ...], tuple[Span, ...]]


# --- the card -------------------------------------------------------------------------------------------------


def card(fact: facts.Card, language: str, texts: Texts) -> Content:
    """Everything that whoever claims it needs, on one card."""
    ticket = fact.ticket
    title = texts.get(
        "card.title", language, number=ticket.id, priority=ticket.priority, subject=ticket.subject
    )
    return Content(
        tuple(_card_body(fact, language, texts)),
        tuple(texts.button(verb, ticket.id, language) for verb in fact.buttons),
        title=short(title, TITLE_CHARACTERS),
        status=_status(ticket, language, texts),
        revision=ticket.revision,
        urgent=ticket.priority == "P0" and ticket.is_open,
    )


def _status(ticket: Ticket, language: str, texts: Texts) -> str:
    state = texts.get(f"state.{ticket.state}", language)
    state = f"{state[:1].upper()}{state[1:]}"
    if ticket.assignee is not None and ticket.claimed_at is not None:
        name = ticket.assignee.name or ticket.assignee.id
        at = texts.clock(ticket.claimed_at, language)
        return texts.get("card.assigned", language, state=state, name=name, at=at)
    return texts.get("card.waiting", language, state=state) if ticket.is_open else state


def _card_body(fact: facts.Card, language: str, texts: Texts) -> Iterator[Block]:
    ticket = fact.ticket

    def say(key: str, **values: str) -> str:
        return texts.get(f"card.{key}", language, **values)

    yield Block("fields", tuple(cell for pair in _pairs(fact, language, texts) for cell in pair))
    summary, wants = _story(ticket)
    if summary:
        yield from _section(say("summary"), summary)
    if wants:
        yield from _section(say("wants"), wants)
    yield para(say("tried"), "b")
    tried = [_tried(x.title, x.confidence, x.outcome, language, texts) for x in ticket.tried[-3:]]
    yield bullets(tried) if tried else para(say("untried"))
    yield from _section(say("why"), ticket.why_escalated)
    yield from _section(say("next"), ticket.next_step)
    if ticket.nearest:
        yield para(say("nearest"), "b")
        yield bullets([title for _, title in ticket.nearest])
    if ticket.state in (TicketState.SOLVED, TicketState.CLOSED):
        yield from _solution(ticket, language, texts)
    if ticket.failures:
        yield para(say("failures"), "b")
        yield bullets([short(f, FIELD_CHARACTERS) for f in ticket.failures[-3:]])


def _story(ticket: Ticket) -> tuple[str, str]:
    """The summary and what the customer wants: of each what the card has not said yet. In the ordinary case, one short
    message, the title says it all."""
    wants = besides(ticket.wants, ticket.subject)
    summary = besides(ticket.summary, ticket.subject, ticket.wants)
    if summary or asks_for_something(wants):
        return summary, wants
    return wants, ""


def _section(title: str, text: str) -> Iterator[Block]:
    yield para(title, "b")
    yield para(short(text, 500))


def _tried(title: str, confidence: float, outcome: str, language: str, texts: Texts) -> str:
    known = (
        texts.get(f"outcome.{outcome}", language) if texts.has(f"outcome.{outcome}", language) else outcome
    )
    shown = known or texts.get("card.no_outcome", language)
    return texts.get(
        "card.tried_line", language, title=title, confidence=certainty(confidence), outcome=shown
    )


def _solution(ticket: Ticket, language: str, texts: Texts) -> Iterator[Block]:
    kind = texts.get(f"resolution.{ticket.resolution_type or 'solved'}", language)
    cause = texts.get(f"cause.{ticket.root_cause}", language) if ticket.root_cause else ""
    yield para(texts.get("card.resolution", language), "b")
    yield para(texts.get("card.kind", language, kind=kind, cause=cause) if cause else kind)
    if ticket.resolution:
        yield para(short(ticket.resolution, 500))
    if ticket.csat is not None:
        stars = texts.get("card.stars", language, stars=str(ticket.csat))
        rating = texts.get("card.rating", language)
        yield para(f"{rating}: {stars}" + (f" · {ticket.csat_comment}" if ticket.csat_comment else ""))


def _pairs(fact: facts.Card, language: str, texts: Texts) -> Iterator[Pair]:
    """Label and value, in the order in which people look."""
    ticket, customer = fact.ticket, fact.customer

    def pair(key: str, value: str) -> Pair:
        return _pair(texts.get(f"card.{key}", language), value)

    reason = f" ({ticket.priority_reason})" if ticket.priority_reason else ""
    yield pair("priority", f"{ticket.priority}{reason}")
    yield pair("category", f"{fact.category} › {ticket.leaf}" if ticket.leaf else fact.category)
    name = customer.name or customer.id
    yield pair(
        "customer", texts.get("card.tier", language, name=name, tier=ticket.tier) if ticket.tier else name
    )
    if ticket.earlier:
        yield pair("earlier", ", ".join(f"T-{n}" for n in ticket.earlier[-5:]))
    if ticket.sentiment:
        key = f"sentiment.{ticket.sentiment}"
        yield pair("sentiment", texts.get(key, language) if texts.has(key, language) else ticket.sentiment)
    if ticket.first_response_at is not None:
        yield pair("replied", texts.clock(ticket.first_response_at, language))
    elif ticket.first_response_due is not None:
        yield pair("first_due", texts.clock(ticket.first_response_due, language))
    if ticket.is_open and ticket.resolution_due is not None:
        yield pair("resolution_due", texts.clock(ticket.resolution_due, language))
    yield (Span(texts.get("card.where", language)),), (_where(fact.where, language, texts),)
    for key, value in (*ticket.fields.items(), *ticket.private_fields.items()):
        yield _pair(fact.labels.get(key, key), value)
    if ticket.tags:
        yield pair("tags", ", ".join(ticket.tags))


def _where(channel: str, language: str, texts: Texts) -> Span:
    """The channel by its name, where the reader's platform knows it; never a word that could be anything else."""
    if not channel:
        return Span(texts.get("card.direct", language))
    named = f"channel:{channel}" if CHANNEL.fullmatch(channel) else None
    return Span(short(f"#{channel}", FIELD_CHARACTERS), mention=named)


def _pair(label: str, value: str) -> Pair:
    return (Span(label),), (Span(short(value, FIELD_CHARACTERS) or "-"),)


def erased(fact: facts.Erased, language: str, texts: Texts) -> Content:
    """A card without a word of its customer's, and without a button."""
    said = texts.get("staff.erased", language, ticket=fact.number)
    return Content(
        (para(said),), title=fact.number, status=texts.get("card.erased", language), revision=ERASED_REVISION
    )


def raised(fact: facts.Raised, language: str, texts: Texts) -> Content:
    ticket = fact.ticket
    what = texts.get(
        "raised.line", language, ticket=ticket.id, priority=ticket.priority, subject=ticket.subject
    )
    blocks = [called(fact.mention, what)]
    if fact.customer:
        blocks.append(para(texts.get("raised.customer", language, customer=fact.customer)))
    if fact.reason:
        blocks.append(para(texts.get("raised.reason", language, reason=fact.reason)))
    return Content(tuple(blocks), (texts.button("claim", ticket.id, language),))


def on_call(fact: facts.OnCall, language: str, texts: Texts) -> Content:
    ticket = fact.ticket
    what = texts.get("on_call.line", language, ticket=ticket.id, subject=ticket.subject)
    key = "on_call.again" if fact.times > 1 else "on_call.first"
    body = (called(fact.mention, what), note(texts.get(key, language, times=str(fact.times))))
    buttons = tuple(texts.button(verb, ticket.id, language) for verb in ("claim", "acknowledge"))
    return Content(body, buttons, urgent=True)


def called(mention: str, text: str) -> Block:
    """A sentence that calls a configured group or person."""
    if not mention:
        return para(text)
    return Block("para", ((Span(mention, mention=mention), Span(f" {text}")),))


def calling(person: str, name: str, before: str, after: str) -> Block:
    """A sentence in which an agent's name calls them; together with `called` the only pings there are."""
    spans = (Span(before), Span(name or person, mention=f"user:{person}"), Span(after))
    return Block("para", (tuple(span for span in spans if span.text),))


# --- the conversation under it --------------------------------------------------------------------------------


def transcript(fact: facts.Transcript, language: str, texts: Texts) -> Content:
    """No title: a card is one message and would be cut; a conversation is as many as it needs."""
    blocks = [heading(texts.get("transcript.title", language, number=fact.number))]
    blocks += [block for said in fact.lines for block in _said(said, language, texts)]
    if not fact.lines:
        blocks.append(para(texts.get("transcript.empty", language)))
    if fact.fields:
        cells = tuple(cell for label, value in fact.fields for cell in _pair(label, value))
        blocks.append(Block("fields", cells))
    return Content(tuple(blocks))


def in_thread(fact: facts.InThread, language: str, texts: Texts) -> Content:
    blocks = list(_said(fact.said, language, texts))
    if fact.unsupported:
        blocks.append(para(texts.get("transcript.unsupported", language, kind=fact.unsupported)))
    return Content(tuple(blocks))


def _said(said: Said, language: str, texts: Texts) -> Iterator[Block]:
    """Who, when, and what: the words as they are, never as markup."""
    state = " " + texts.get("transcript.edited", language) if said.edited and not said.deleted else ""
    head = (
        Span(said.name or said.who, frozenset(("b",))),
        Span(f" · {texts.clock(said.at, language)}{state}"),
    )
    if said.deleted:
        yield Block("para", (head, *lines(texts.get("transcript.deleted", language), "i")))
        return
    if said.who == "bot":
        yield Block("para", (head,))
        yield from rich(said.text)
        return
    text = lines(said.text) if said.text else ()
    files = tuple((Span(texts.get("transcript.file", language, name=f.name)),) for f in said.files)
    yield Block("para", (head, *text, *files))


def preview(fact: facts.Preview, language: str, texts: Texts) -> Content:
    seconds = f"{fact.seconds:g}"
    who = texts.get(f"preview.{fact.state}", language, to=fact.to, name=fact.name, seconds=seconds)
    blocks = [para(who)]
    if fact.state != "deleted":
        names = "\n".join(texts.get("transcript.file", language, name=f.name) for f in fact.files)
        text = "\n".join(x for x in (fact.text, names) if x)
        blocks.append(quote(text))
    buttons = (texts.button("undo", fact.arg, language),) if fact.state == "waiting" else ()
    return Content(tuple(blocks), buttons)


def draft(fact: facts.Draft, language: str, texts: Texts) -> Content:
    if fact.outcome:
        return Content((para(texts.get(f"draft.{fact.outcome}", language)), quote(fact.text)))
    sources = " | ".join(texts.get("answer.source", language, title=s.title) for s in fact.sources)
    sure = texts.get("draft.confidence", language, confidence=certainty(fact.confidence))
    buttons = tuple(
        texts.button(v, fact.arg, language) for v in ("send_draft", "edit_draft", "discard_draft")
    )
    footer = " · ".join(x for x in (sources, sure if fact.confidence else "") if x)
    return Content(rich(fact.text), buttons, title=texts.get("draft.title", language), footer=footer)


def proposal(fact: facts.Proposal, language: str, texts: Texts) -> Content:
    near = (
        texts.get("proposal.nearest", language, title=fact.nearest[1])
        if fact.nearest
        else texts.get("proposal.fresh", language)
    )
    body = (
        para(texts.get("proposal.question", language), "b"),
        para(fact.question or "-"),
        para(texts.get("proposal.answer", language), "b"),
        para(fact.answer or "-"),
        para(near),
        note(texts.get("proposal.next", language, key=fact.key)),
    )
    return Content((heading(texts.get("proposal.title", language, key=fact.key, number=fact.number)), *body))


# --- to one person --------------------------------------------------------------------------------------------


def help_text(fact: facts.Help, language: str, texts: Texts) -> Content:
    blocks = [bullets([texts.get(f"help.{verb}", language) for verb in fact.verbs])]
    if fact.canned:
        blocks.append(para(texts.get("help.canned", language, names=", ".join(fact.canned))))
    return Content(tuple(blocks), title=texts.get("help.title", language))


def home(fact: facts.HomeView, language: str, texts: Texts) -> Content:
    blocks = [
        para(texts.get("home.about", language)),
        para(texts.get("home.person", language)),
        heading(texts.get("home.tickets", language)),
    ]
    rows = [
        texts.get(
            "home.ticket",
            language,
            number=f"T-{e.number}",
            subject=e.subject,
            state=texts.get(f"state.{e.state}", language),
        )
        for e in fact.tickets[:ROWS_MAX]
    ]
    blocks.append(bullets(rows) if rows else para(texts.get("home.none", language)))
    return Content(tuple(blocks), title=texts.get("home.title", language, name=fact.name))
