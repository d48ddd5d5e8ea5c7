"""THE texts: every fact that can be said, as platform-neutral content. Pure functions over the catalogues.

Sentences stand in `bot/words/*.toml`; here stands how they are put together. What people wrote is plain text in a
span, so no markup of theirs survives; only approved text is read as Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from adapters.port import Block, Button, Content, Doc, Span
from bot import wording_desk as desk
from bot.rich import rich
from bot.texts import Texts, bullets, heading, load_texts, note, para, quote, short
from bot.wording_reports import report
from handoff import facts
from handoff.effects import Fact

__all__ = ["Texts", "load_texts", "word"]

DETAIL_CHARACTERS = 300
# The desk reads its own language, whatever the customer speaks.
FOR_STAFF = (
    *(facts.Card, facts.Raised, facts.OnCall, facts.Transcript, facts.InThread, facts.Preview, facts.Draft),
    *(facts.Shadow, facts.Proposal, facts.Erased),
)
SHADOWS_MAX = 5
NAMED = "\x00"  # stands for the name that becomes a mention


def word(fact: Fact, language: str, texts: Texts) -> Content:
    """The words for `fact` in `language`, or in the bot's own language where there is no catalogue."""
    maker = _WORDS.get(type(fact))
    if maker is None:
        raise TypeError(f"no words for {type(fact).__name__}")
    if isinstance(fact, FOR_STAFF) or (
        isinstance(fact, facts.Line) and fact.key.startswith(("staff.", "timer."))
    ):
        language = texts.language
    if isinstance(fact, facts.Ask | facts.Offer | facts.AskField):
        language = fact.language or language
    return maker(fact, language, texts)


def _opening(fact: Any, language: str, texts: Texts) -> Iterator[Block]:
    """The first words to a customer say that a bot speaks."""
    if fact.opening:
        yield note(texts.get("opening.line", language, bot=texts.bot))


# --- sentences -------------------------------------------------------------------------------------------------


def _line(fact: facts.Line, language: str, texts: Texts) -> Content:
    values = dict(fact.values)
    if fact.at is not None:
        values["at"] = texts.clock(fact.at, language)
    said = _calling(fact, values, language, texts) if fact.mention else None
    if fact.channel:
        said = _pointing(fact, values, language, texts)
    body = (*_opening(fact, language, texts), said or para(texts.get(fact.key, language, **values)))
    return Content(body, tuple(texts.button(verb, arg, language) for verb, arg in fact.buttons))


def _calling(fact: facts.Line, values: dict[str, str], language: str, texts: Texts) -> Block:
    """The sentence with the name of whom it calls as a mention; before it where it does not say the name."""
    slot = "to" if "to" in values else "name"
    before, found, after = texts.get(fact.key, language, **{**values, slot: NAMED}).partition(NAMED)
    if not found:
        before, after = "", f" {before}"
    return desk.calling(fact.mention, values.get(slot, ""), before, after)


def _pointing(fact: facts.Line, values: dict[str, str], language: str, texts: Texts) -> Block:
    """The sentence with a channel or thread in it that the reader can open."""
    before, _, after = texts.get(fact.key, language, **{**values, "channel": NAMED}).partition(NAMED)
    spans = (Span(before), Span(f"#{fact.channel}", mention=f"channel:{fact.channel}"), Span(after))
    return Block("para", (tuple(span for span in spans if span.text),))


# --- to the customer, from the bot --------------------------------------------------------------------------


def _answer(fact: facts.Answer, language: str, texts: Texts) -> Content:
    blocks: list[Block] = list(_opening(fact, language, texts))
    if fact.late:
        blocks.append(para(texts.get("answer.late", language, span=texts.span(fact.late, language))))
    blocks.extend(rich(fact.text))
    blocks.extend(
        para(texts.get("answer.passed_on", language, question=short(question, DETAIL_CHARACTERS)))
        for question in fact.passed_on
    )
    if fact.handed is not None:
        handed = _handed_over(fact.handed, language, texts)
        blocks.extend(handed.body)
    blocks.extend(_aside(fact.aside, language, texts))
    if fact.offer and not fact.passed_on:
        blocks.append(para(texts.get("answer.offer", language)))
    footer = " | ".join(_source(source, language, texts) for source in fact.sources)
    buttons: tuple[Button, ...] = ()
    if fact.buttons:
        case = fact.arg.partition(".")[0]
        buttons = (
            texts.button("helpful", fact.arg, language),
            texts.button("unhelpful", fact.arg, language),
            texts.button("person", case, language),
        )
        if fact.passed_on:
            buttons = buttons[:2]
        if fact.handed is not None:
            buttons = (*buttons, *_handed_over(fact.handed, language, texts).buttons)
    return Content(tuple(blocks), buttons, footer=footer)


def _aside(questions: Sequence[str], language: str, texts: Texts) -> list[Block]:
    """The parts of a message that are not about our product, each by name: nothing is dropped without a word."""
    return [
        para(texts.get("answer.aside", language, question=short(question, DETAIL_CHARACTERS)))
        for question in questions
    ]


def _source(source: facts.Source, language: str, texts: Texts) -> str:
    """Where it comes from, when it was reviewed, which version."""
    parts = [texts.get("answer.source", language, title=source.title)]
    if source.reviewed:
        parts.append(texts.get("answer.reviewed", language, date=source.reviewed))
    if source.version:
        parts.append(texts.get("answer.version", language, version=source.version[:12]))
    return " · ".join(parts)


def _ask(fact: facts.Ask, language: str, texts: Texts) -> Content:
    key = "ask.about" if fact.about and fact.reason == "close" else f"ask.{fact.reason}"
    aside = _aside(fact.aside, language, texts)
    body = (*_opening(fact, language, texts), *aside, para(texts.get(key, language, question=fact.about)))
    shown = fact.options if fact.reason == "close" else ()
    if fact.reason == "language":
        body = (*body, bullets(list(fact.options)))
        shown = (texts.get("button.show", language),)
    if fact.over:  # the topics stood on the buttons, and belong to the question
        return Content((*body, bullets(list(shown))) if fact.reason == "close" else body)
    picks = tuple(
        texts.button("pick", f"{fact.arg}.{i}", language, "", title) for i, title in enumerate(shown)
    )
    rest = (texts.button("none", fact.arg, language), texts.button("person", fact.arg, language))
    return Content(body, (*picks, *rest))


def _offer(fact: facts.Offer, language: str, texts: Texts) -> Content:
    blocks = [*_opening(fact, language, texts), para(texts.get(f"offer.{fact.reason}", language))]
    if fact.nearest and fact.reason == "unsure":
        blocks += [para(texts.get("offer.nearest", language)), bullets(list(fact.nearest))]
    if fact.over:
        return Content(tuple(blocks))
    return Content(tuple(blocks), (texts.button("person", fact.arg, language, "primary"),))


def _ask_field(fact: facts.AskField, language: str, texts: Texts) -> Content:
    blocks: list[Block] = list(_opening(fact, language, texts))
    if fact.problem:
        choices = ", ".join(fact.choices)
        blocks.append(para(texts.get(fact.problem, language, hint=fact.hint, choices=choices)))
    elif fact.again:
        blocks.append(para(texts.get("field.again", language)))
    elif fact.begins:
        blocks.append(para(texts.get("field.first", language)))
    position, total = str(fact.position), str(fact.total)
    asked = texts.get("field.progress", language, label=fact.label, position=position, total=total)
    blocks.append(para(asked if fact.total > 1 else fact.label, "b"))
    if fact.hint and not fact.problem:
        blocks.append(note(fact.hint))
    if fact.choices:
        blocks.append(Block("numbers", bullets(list(fact.choices)).items))
    if fact.over:
        return Content(tuple(blocks))
    blocks.append(note(texts.get("field.private" if fact.private else "field.optional", language)))
    verbs = ["fill"] if fact.private else []
    verbs += ["skip", *(["back"] if fact.position > 1 else []), "cancel"]
    return Content(tuple(blocks), tuple(texts.button(verb, fact.arg, language) for verb in verbs))


def _handed_over(fact: facts.HandedOver, language: str, texts: Texts) -> Content:
    """One line: what happens, the number, an honest time."""
    key = f"handed.{fact.reason}" if texts.has(f"handed.{fact.reason}", language) else "handed.default"
    what = texts.get(
        key,
        language,
        number=fact.number,
        reference=fact.reference,
        minutes=str(fact.muted_minutes),
        span=texts.span(fact.late, language),
    )
    moment = texts.clock(fact.due, language, fact.now)
    if fact.opens is None:
        left = texts.span(fact.due - fact.now, language)
        when = texts.get("handed.promise", language, span=left, moment=moment)
    else:
        opens = texts.clock(fact.opens, language, fact.now)
        if texts.same_day(fact.opens, fact.due):
            moment = texts.hour(fact.due)
        when = texts.get("handed.promise_closed", language, opens=opens, moment=moment)
    buttons = (texts.button("details", fact.number, language),) if fact.details else ()
    return Content((*_opening(fact, language, texts), para(f"{what} {when}")), buttons)


def _incident(fact: facts.Incident, language: str, texts: Texts) -> Content:
    body = (
        *_opening(fact, language, texts),
        para(texts.get("incident.line", language)),
        *rich(fact.text),
        note(texts.get("incident.follow", language)),
    )
    return Content(body, (texts.button("other_issue", fact.arg, language),))


def _incident_over(fact: facts.IncidentOver, language: str, texts: Texts) -> Content:
    return Content((para(texts.get("incident.over", language)), *rich(fact.text)))


def _correction(fact: facts.Correction, language: str, texts: Texts) -> Content:
    """Wrong answers get called back: what changed, in approved words."""
    version = texts.get("answer.version", language, version=fact.version[:12]) if fact.version else ""
    said = para(texts.get("correction.line", language, title=fact.title))
    return Content((said, *rich(fact.text)), footer=version)


# --- to the customer, from a person -------------------------------------------------------------------------


def _relayed(fact: facts.Relayed, language: str, texts: Texts) -> Content:
    """Word for word. Attachments travel with it; their names stand here for whoever cannot open them."""
    names = [texts.get("transcript.file", language, name=f.name) for f in fact.files]
    return Content(tuple(block for block in (para(fact.text), *map(note, names)) if block.items[0][0].text))


def _resolved(fact: facts.Resolved, language: str, texts: Texts) -> Content:
    body: Doc = (para(texts.get("resolved.line", language, name=fact.name, number=fact.number)),)
    if fact.summary:
        body = (*body, quote(fact.summary))
    hours = str(fact.close_hours)
    body = (
        *body,
        para(texts.get("resolved.close", language, hours=hours)),
        para(texts.get("resolved.rate", language)),
    )
    stars = tuple(texts.button(f"csat{n}", fact.number, language) for n in range(1, 6))
    not_solved = texts.get("resolved.not_solved", language)
    return Content(body, (*stars, texts.button("still_open", fact.number, language, "", not_solved)))


# --- what would have been said --------------------------------------------------------------------------------


def _shadow(fact: facts.Shadow, language: str, texts: Texts) -> Content:
    asked = texts.get(
        "shadow.question", language, where=fact.where, question=short(fact.question, DETAIL_CHARACTERS)
    )
    blocks: list[Block] = [heading(texts.get("shadow.title", language)), quote(asked)]
    for said in fact.would[:SHADOWS_MAX]:
        inner = word(said, language, texts)
        blocks += inner.body
        if inner.footer:
            blocks.append(note(inner.footer))
    if not fact.would:
        blocks.append(para(texts.get("shadow.nothing", language)))
    blocks.append(note(fact.why))
    return Content(tuple(blocks))


_WORDS: dict[type[Fact], Callable[[Any, str, Texts], Content]] = {
    facts.Line: _line,
    facts.Answer: _answer,
    facts.Ask: _ask,
    facts.Offer: _offer,
    facts.AskField: _ask_field,
    facts.HandedOver: _handed_over,
    facts.Incident: _incident,
    facts.IncidentOver: _incident_over,
    facts.Correction: _correction,
    facts.Relayed: _relayed,
    facts.Resolved: _resolved,
    facts.Shadow: _shadow,
    facts.Card: desk.card,
    facts.Erased: desk.erased,
    facts.Raised: desk.raised,
    facts.OnCall: desk.on_call,
    facts.Transcript: desk.transcript,
    facts.InThread: desk.in_thread,
    facts.Preview: desk.preview,
    facts.Draft: desk.draft,
    facts.Proposal: desk.proposal,
    facts.Help: desk.help_text,
    facts.Report: report,
    facts.HomeView: desk.home,
}
