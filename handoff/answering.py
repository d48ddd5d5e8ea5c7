"""From what knowledge found to what is said: an answer, one question back, an offer, a polite no; or a person.

Approved text is never changed on its way, and every answer leaves its receipt.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Literal

from adapters.port import ActionInvoked
from handoff import collect, escalation, listening
from handoff.effects import Decision
from handoff.escalation import NOTHING
from handoff.facts import Answer, Ask, Offer
from handoff.model import Found, Hit, Level, Phase, Proposed, Tried
from handoff.policy import stricter_level
from handoff.politeness import small_talk
from handoff.summary import shorten
from handoff.turn import REMEMBERED, Turn

OPTIONS_MAX = 3
ABOUT_CHARACTERS = 150
LATE_SECONDS = 60.0  # so long a wait deserves a word
UNRELATED_SHARE = 0.25  # of the clarifying threshold: below it, this is not about our product at all
ASIDE_SHARE = 0.125  # the same for a part of a message: only what is plainly so makes no ticket


def from_knowledge(t: Turn, mode: str) -> Decision:
    found = t.known.found
    if t.case.phase == Phase.CLARIFYING and found:  # one question and its answer, not two questions
        found = (max(found, key=lambda f: f.confidence),)
    known = [f for f in found if f.hits and f.confidence >= f.threshold_answer]
    for f in found:
        nearest = (
            f"{f.hits[0].title} ({f.confidence:.2f}, needs {f.threshold_answer:.2f})" if f.hits else "nothing"
        )
        t.rule("search", f"{f.question[:80]!r}: {nearest}")
    if not known:
        return _unsure(t, found, mode)
    levels = _levels(t, known, mode)
    t.rule("level", ", ".join(dict.fromkeys(levels)))
    easy = [f for f, level in zip(known, levels, strict=True) if level == "answer"]
    if easy:  # what may be answered is answered; the other parts are for people
        return _answer(t, easy, [f for f in found if f not in easy])
    top, level = known[0].hits[0], stricter_level(*levels)
    if level == "escalate":
        escalation.escalate(t, "level", t.policy.phrase("why.level", topic=top.title))
        return t.done("escalate", f"{top.title} is for people only")
    if level == "collect":
        category = escalation.choose_category(t, top.category)
        return collect.begin(t, category, "collect", t.policy.phrase("why.collect", topic=top.title))
    escalation.escalate(t, "draft", t.policy.phrase("why.draft", topic=top.title), draft=_proposed(known))
    return t.done("draft", f"{top.title} needs a person's eye before it is sent")


def would_be_drafted(t: Turn, mode: str) -> Proposed:
    """The approved text, where the message would have been drafted had nobody been asked for; else nothing."""
    known = [f for f in t.known.found if f.hits and f.confidence >= f.threshold_answer]
    levels = _levels(t, known, mode)
    if mode not in ("answer", "draft") or "answer" in levels or stricter_level(*levels) != "draft":
        return NOTHING
    return _proposed(known)


def _levels(t: Turn, known: list[Found], mode: str) -> list[Level]:
    return [stricter_level(_level(t, f.hits[0]), "draft" if mode == "draft" else "") for f in known]


def for_people_only(t: Turn) -> bool:
    """Whether the message is surely about something that a person must see at once, without a form before it."""
    sure = [f for f in t.known.found if f.hits and f.confidence >= f.threshold_answer]
    return any(_level(t, f.hits[0]) == "escalate" for f in sure)


def _level(t: Turn, hit: Hit) -> str:
    return stricter_level(hit.level, t.policy.category(hit.category or t.case.category).level)


def _answer(t: Turn, known: list[Found], others: list[Found]) -> Decision:
    hits = [f.hits[0] for f in known]
    told = {x.topic for x in t.case.tried if x.delivered and x.outcome != "helpful"}
    third = t.case.bot_turns + 1 >= t.policy.max_bot_turns
    unknown = [f for f in others if not small_talk(f.question)]
    aside, left = _set_aside(t, unknown)
    passed_on = (*(f.question for f in left), *t.case.others)
    if not passed_on and all(h.topic in told for h in hits):
        return _again(t, known[0], third=third)
    if _other_language(t, known[0]) and not t.case.clarified:
        return _ask(t, known[0], (known[0].hits[0],), "language", passed_on, aside)
    for f in unknown:
        if f.confidence < f.threshold_answer:
            _gap(t, f)
    if any(small_talk(f.question) == "about" for f in others):
        t.change(disclosed=False)  # whoever asks who this is hears it, however often it was said
    say_answer(t, known, hits, offer=third, passed_on=passed_on, aside=aside, draft=_drafted(t, left))
    if not passed_on:
        return t.done("answer", f"{hits[0].title}, confidence {known[0].confidence:.2f}")
    return t.done("answer", f"{hits[0].title} answered; passed on: {len(passed_on)}")


def _set_aside(t: Turn, others: list[Found]) -> tuple[tuple[str, ...], list[Found]]:
    """The parts of a message that are plainly not about our product, and those that somebody has to look at. The former
    are named to the customer and make no work for people."""
    aside = [f for f in others if f.hits and f.confidence < f.threshold_clarify * ASIDE_SHARE]
    for f in aside:
        t.rule("set aside", f"{f.question[:80]!r}: not about what the knowledge covers")
    return tuple(f.question for f in aside), [f for f in others if f not in aside]


def _drafted(t: Turn, others: list[Found]) -> Proposed:
    """The approved text for the parts that a person checks before it is sent."""
    sure = [f for f in others if f.hits and f.confidence >= f.threshold_answer]
    drafts = [f for f in sure if _level(t, f.hits[0]) == "draft"]
    return _proposed(drafts) if drafts and len(drafts) == len(others) else Proposed()


def _proposed(known: list[Found]) -> Proposed:
    return Proposed(_text(known), tuple((f.question, hit) for f in known for hit in f.cited))


def _again(t: Turn, found: Found, *, third: bool) -> Decision:
    """The same answer a second time would not help."""
    last = next(x for x in reversed(t.case.tried) if x.topic == found.hits[0].topic)
    t.change(tried=escalation.tried_with(t.case.tried, last.receipt, last.outcome or "re-asked"))
    t.keep("outcome", last.receipt, outcome="re-asked", ticket="")
    if third:
        return _third_turn(t)
    t.offer(Offer(t.case.id, (found.hits[0].title,), t.opening(), "again"))
    t.change(phase=Phase.OFFERED, bot_turns=t.case.bot_turns + 1)
    return t.done("offer", "the same topic again: offers a person instead of repeating itself")


def _third_turn(t: Turn) -> Decision:
    escalation.escalate(t, "third_turn", t.policy.phrase("why.third_turn"))
    return t.done("escalate", f"bot turn {t.case.bot_turns + 1} without success")


def _other_language(t: Turn, found: Found) -> bool:
    spoken, written = found.language or t.case.language, found.hits[0].language
    return bool(spoken and written and spoken != written)


def say_emergency(t: Turn, mode: str) -> bool:
    """What the team has approved for an emergency is said at once, whoever takes over then. Whether there was any."""
    known = [
        f
        for f in t.known.found
        if f.hits and f.hits[0].kind == "emergency" and f.confidence >= f.threshold_answer
    ]
    if not known or mode != "answer" or set(_levels(t, known, mode)) != {"answer"}:
        return False
    t.rule("emergency", known[0].hits[0].title)
    say_answer(t, known, [f.hits[0] for f in known], offer=False, buttons=False)
    return True


def say_answer(
    t: Turn,
    known: list[Found],
    hits: list[Hit],
    *,
    offer: bool,
    buttons: bool = True,
    passed_on: tuple[str, ...] = (),
    aside: tuple[str, ...] = (),
    draft: Proposed = NOTHING,
) -> None:
    """The answer, its receipt, that it was tried; and in the same message what becomes of the other questions."""
    n = t.count("answer")
    receipt, arg = f"A-{t.case.id}.{n}", f"{t.case.id}.{n}"
    top, found = hits[0], known[0]
    text = _text(known, hits)
    sources = escalation.sources_of(
        [one for f, hit in zip(known, hits, strict=True) for one in (f.cited if f.composed else (hit,))]
    )
    opening, late = t.opening(), t.known.waited_seconds if t.known.waited_seconds > LATE_SECONDS else 0.0
    t.remember("bot", t.policy.name, text)
    tried = Tried(receipt, top.topic, top.title, top.version, found.confidence, delivered=True)
    t.change(
        phase=Phase.BOT,
        bot_turns=t.case.bot_turns + 1,
        clarified=False,
        clarify_options=(),
        offered=None,
        pending_question="",
        others=(),
        tried=(*t.case.tried[1 - REMEMBERED :], tried),
    )
    handed = escalation.pass_on(t, passed_on, draft) if passed_on else None
    t.say(
        Answer(arg, text, sources, found.confidence, opening, passed_on, offer, late, buttons, handed, aside),
        f"{t.case.id}/a/{n}",
    )
    _receipt(t, receipt, known, hits, text)


def _receipt(t: Turn, receipt: str, known: list[Found], hits: list[Hit], text: str) -> None:
    top, found = hits[0], known[0]
    t.keep(
        "receipt",
        receipt,
        case=t.case.id,
        snapshot=found.snapshot,
        question=found.question,
        topic=top.topic,
        passage=top.passage,
        version=top.version,
        path=top.path,
        confidence=found.confidence,
        threshold=found.threshold_answer,
        scores=[[h.topic, h.version, h.score, dict(h.evidence)] for h in found.hits[:5]],
        parts=[[f.question, h.topic, h.version] for f, h in zip(known, hits, strict=True)],
        each=[_part(f, h) for f, h in zip(known, hits, strict=True)],
        searched=asdict(t.known.searched) if t.known.searched is not None else None,
        chosen=isinstance(
            t.event, ActionInvoked
        ),  # the customer picked the topic: not what the search put first
        trace=[list(x) for x in t.trace],
        text=text,
        at=t.now,
    )


def _part(found: Found, hit: Hit) -> dict[str, Any]:
    """What `parts` does not say of one of them. The language is the one that the search settled on."""
    cited = found.cited if found.composed else ()
    return {
        "passage": hit.passage,
        "language": found.language,
        "confidence": hit.confidence,
        "composed": bool(found.composed),
        "cites": [[h.topic, h.version, h.passage] for h in cited],
    }


def _text(known: list[Found], hits: list[Hit] | None = None) -> str:
    """Approved text, word for word; several parts under their titles."""
    hits = hits or [f.hits[0] for f in known]
    texts = [f.composed or h.text for f, h in zip(known, hits, strict=True)]
    if len(texts) == 1:
        return texts[0]
    return "\n\n".join(f"**{h.title}**\n\n{text}" for h, text in zip(hits, texts, strict=True))


# --- when nothing is good enough ------------------------------------------------------------------------------


def _unsure(t: Turn, every: tuple[Found, ...], mode: str) -> Decision:
    found = max(every, key=lambda f: f.confidence, default=None)
    for f in every:
        _gap(t, f)
    if mode == "draft":
        escalation.escalate(t, "unsure", t.policy.phrase("why.unsure"))
        return t.done("escalate", "nothing is good enough for a draft")
    if t.case.bot_turns + 1 >= t.policy.max_bot_turns:
        return _third_turn(t)
    near = found is not None and found.near
    if t.case.phase == Phase.CLARIFYING:
        escalation.escalate(t, "unclear", t.policy.phrase("why.unclear"))
        return t.done("escalate", "still unclear after the one clarifying question")
    if found is not None and near and not t.case.clarified:
        options = _options(found)
        if options:
            others = [f for f in every if f is not found and not small_talk(f.question)]
            aside, others = _set_aside(t, others)
            return _ask(t, found, options, "close", tuple(f.question for f in others), aside)
    if _unrelated(found) and "declined" not in t.case.counters:
        t.count("declined")
        t.offer(Offer(t.case.id, (), t.opening(), "unrelated"))
        t.change(bot_turns=t.case.bot_turns + 1)
        return t.done("decline", "not about what the knowledge covers")
    titles = tuple(dict.fromkeys(h.title for h in found.hits[:OPTIONS_MAX])) if found and near else ()
    t.offer(Offer(t.case.id, titles, t.opening(), "unsure"))
    t.change(phase=Phase.OFFERED, bot_turns=t.case.bot_turns + 1)
    return t.done("offer", "nothing is good enough; offers a person")


def _unrelated(found: Found | None) -> bool:
    if found is None or not found.hits:
        return True
    return found.confidence < found.threshold_clarify * UNRELATED_SHARE


def _options(found: Found) -> tuple[Hit, ...]:
    """The nearest topics, each once."""
    topics: dict[str, Hit] = {}
    for hit in found.hits:
        topics.setdefault(hit.topic, hit)
    return tuple(topics.values())[:OPTIONS_MAX]


def _ask(
    t: Turn,
    found: Found,
    options: tuple[Hit, ...],
    reason: Literal["close", "language"],
    others: tuple[str, ...] = (),
    aside: tuple[str, ...] = (),
) -> Decision:
    """The one clarifying question; `others` of the same message wait until it is settled."""
    titles = tuple(h.title for h in options)
    about = shorten(found.question, ABOUT_CHARACTERS) if others else ""
    t.ask(Ask(t.case.id, titles, t.opening(), reason, about, aside))
    t.change(
        phase=Phase.CLARIFYING,
        clarified=True,
        clarify_options=tuple((h.topic, h.title) for h in options),
        pending_question=found.question,
        others=others,
        bot_turns=t.case.bot_turns + 1,
    )
    return t.done("clarify", f"between {' / '.join(titles)}")


def _gap(t: Turn, found: Found) -> None:
    """A question that knowledge does not cover, for the weekly review."""
    t.keep(
        "gap",
        f"{t.case.id}.{t.count('gap')}",
        question=found.question,
        kind="near" if found.near else "none",
        confidence=found.confidence,
        nearest=[[h.topic, h.title] for h in found.hits[:3]],
        snapshot=found.snapshot,
        channel=t.case.place.channel,
        case=t.case.id,
    )


# --- buttons that belong to the bot's questions ----------------------------------------------------------------


def picked(t: Turn, arg: str) -> Decision:
    """One of the clarifying question's topics was chosen: that answers which one is meant."""
    index = listening.number_of(arg)
    if not _still_asked(t) or not 0 <= index < len(t.case.clarify_options):
        return t.no("refused.late", "that question is no longer open", verb="pick")
    topic, title = t.case.clarify_options[index]
    found = next((f for f in t.known.found for h in f.hits if h.topic == topic), None)
    t.rule("clarified", title)
    if found is None:
        escalation.escalate(t, "unclear", t.policy.phrase("why.unclear"))
        return t.done("escalate", f"{title} could not be found again")
    hit = next(h for h in found.hits if h.topic == topic)
    sure = replace(found, hits=(hit, *(h for h in found.hits if h is not hit)), confidence=1.0, composed="")
    level = stricter_level(_level(t, hit))
    if level == "answer":
        third = t.case.bot_turns + 1 >= t.policy.max_bot_turns
        say_answer(t, [sure], [hit], offer=third, passed_on=t.case.others)
        return t.done("answer", f"the customer chose {title}")
    t.change(clarified=True)
    t.known = replace(t.known, found=(sure,))
    return from_knowledge(t, t.policy.launch_mode)


def _still_asked(t: Turn) -> bool:
    """Whether the press is for the question that is open, not for an older one whose buttons were just going."""
    anchor = t.case.asked.anchor if t.case.asked is not None else ""
    return t.case.phase == Phase.CLARIFYING and (not anchor or t.known.anchor in ("", anchor))


def none_of_these(t: Turn) -> Decision:
    """None of the topics: a person takes it."""
    if not _still_asked(t):
        return t.no("refused.late", "that question is no longer open", verb="none")
    escalation.escalate(t, "unclear", t.policy.phrase("why.unclear"))
    return t.done("escalate", "none of the offered topics")
