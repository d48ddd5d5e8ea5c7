"""What the bot says next to a customer: answer, ask back, decline, offer a person, collect; else it hands over.

Triggers come first, then the launch mode, then what was found. Approved text is never changed on its way.
"""

from __future__ import annotations

import re
from dataclasses import replace

from adapters.port import MessageReceived
from handoff import collect, escalation, listening
from handoff.facts import Answer, Ask, Incident, Line, Offer, Shadow, Source
from handoff.model import Decision, Effect, Fired, Found, Hit, Keep, Mark, Phase, Say, Tried
from handoff.policy import DEFAULT_TRIGGER, TRIGGERS, TriggerRule, stricter_level, stricter_mode
from handoff.turn import Turn

OPTIONS_MAX = 3
SAME_ISSUE_TIMES = 3
SAME_ISSUE_OVERLAP = 0.75
EARLIER_SIMILARITY = 0.8
UNRELATED_SHARE = 0.25  # of the clarifying threshold: below it, this is not about our product at all
SMALL = frozenset(
    [
        "a",
        "an",
        "the",
        "i",
        "my",
        "me",
        "we",
        "our",
        "you",
        "your",
        "it",
        "is",
        "are",
        "am",
        "do",
        "does",
        "did",
        "can",
        "could",
        "will",
        "to",
        "of",
        "in",
        "on",
        "for",
        "and",
        "or",
        "how",
        "what",
        "why",
        "still",
        "please",
        "ich",
        "mein",
        "meine",
        "wir",
        "ist",
        "sind",
        "kann",
        "wie",
        "was",
        "warum",
        "und",
        "oder",
        "der",
        "die",
        "das",
        "ein",
        "eine",
        "noch",
        "bitte",
    ]
)
_WORD = re.compile(r"\w+")

# The most serious first: what decides when several fire at once.
SERIOUS = (
    *(
        "safety",
        "distress",
        "security",
        "sensitive",
        "outage",
        "abuse",
        "legal",
        "medical",
        "tax",
        "financial",
    ),
    *("dispute", "manager", "human", "churn", "refund", "quote", "angry", "bug"),
)


# --- a message of the customer, while the bot may speak -------------------------------------------------------


def bot_turn(t: Turn, event: MessageReceived, text: str) -> Decision:
    """Everything that the bot may say of its own accord, within the launch mode."""
    category = escalation.choose_category(t)
    mode = stricter_mode(t.policy.launch_mode, category.launch_mode)
    t.rule("launch mode", f"{mode} ({category.name})")
    if mode == "off":
        return t.ignore("the launch mode is off")
    decision = _respond(t, event, text, mode)
    return _shadowed(t, decision, text) if mode == "shadow" else decision


def _respond(t: Turn, event: MessageReceived, text: str, mode: str) -> Decision:
    fired = _decisive(t)
    if fired is not None:
        return _triggered(t, fired)
    if t.known.solved_by_others:
        return t.ignore("people have answered this while the bot was away")
    if t.case.phase == Phase.COLLECTING:
        return _while_collecting(t, event, text, mode)
    small = _small_talk(t, event, text)
    if small is not None:
        return small
    if t.known.search_failed:
        escalation.escalate(t, "failure", t.policy.phrase("why.failure"))
        return t.done("escalate", f"the search failed ({t.known.search_failed})")
    if t.known.waited_seconds > t.policy.late_seconds:
        escalation.escalate(t, "late", t.policy.phrase("why.late"))
        return t.done("escalate", "the question is too old for an automatic answer")
    if t.known.incident:
        return _incident(t)
    if not text.strip():
        t.say(Line("customer.unreadable", buttons=(("person", t.case.id),), opening=t.opening()))
        return t.done("offer", "the message holds nothing to read")
    if _asked_before(t, text):
        escalation.escalate(t, "repeat", t.policy.phrase("why.repeat"))
        return t.done("escalate", "the same issue came up three times")
    return _from_knowledge(t, text, mode)


def _decisive(t: Turn) -> Fired | None:
    """The trigger that decides, or None."""
    near = {h.topic for f in t.known.found for h in f.hits[:3]}
    fired = [f for f in t.known.fired if not f.topic or f.topic in near]
    if t.case.phase == Phase.COLLECTING:  # the answers to a bug report's questions sound like a bug report
        asked = t.case.collecting.trigger if t.case.collecting else ""
        fired = [f for f in fired if not (f.topic or f.trigger == asked or _rule(f.trigger).collect)]
    if not fired:
        return None
    return min(fired, key=lambda f: SERIOUS.index(f.trigger) if f.trigger in SERIOUS else len(SERIOUS))


def _rule(trigger: str) -> TriggerRule:
    return TRIGGERS.get(trigger, DEFAULT_TRIGGER)


def _triggered(t: Turn, fired: Fired) -> Decision:
    """A trigger: nothing is answered. Some collect what a person will need first."""
    rule = _rule(fired.trigger)
    t.rule("trigger", f"{fired.trigger}: {fired.why}")
    why = f"{t.policy.phrase(f'trigger.{fired.trigger}')} ({fired.why})" if fired.why else fired.trigger
    if rule.collect:
        category = escalation.choose_category(t, rule.category)
        return collect.begin(t, category, fired.trigger, why)
    escalation.escalate(t, fired.trigger, why)
    if fired.trigger == "abuse":
        t.change(phase=Phase.MUTED, muted_until=t.now + t.policy.mute_seconds)
    return t.done("escalate", f"trigger {fired.trigger}: {fired.why}")


def _while_collecting(t: Turn, event: MessageReceived, text: str, mode: str) -> Decision:
    """A form is open: a new question that we can answer interrupts it politely; anything else is its answer."""
    found = t.known.found[0] if t.known.found else None
    if found is None or not found.hits or found.confidence < found.threshold_answer or mode != "answer":
        return collect.answered(t, text, event.files)
    level = stricter_level(found.hits[0].level, t.policy.category(found.hits[0].category).level)
    if level != "answer":
        return collect.answered(t, text, event.files)
    open_form = t.case.collecting
    _say_answer(t, [found], [found.hits[0]], offer=False)
    t.change(phase=Phase.COLLECTING, collecting=open_form and replace(open_form, interrupted=True))
    return collect.proceed(t, "a new question was answered; back to the form", again=True)


def _small_talk(t: Turn, event: MessageReceived, text: str) -> Decision | None:
    said = listening.plain(text)
    if said in listening.HELLO:
        greeting = t.policy.channel(t.case.place).greeting
        key = "customer.greeting" if greeting else "customer.hello"
        values = {"greeting": greeting} if greeting else {"name": t.policy.name}
        t.say(Line(key, values, buttons=(("person", t.case.id),), opening=t.opening()))
        return t.done("answer", "a greeting")
    if said in listening.THANKS:
        if t.case.tried and not t.case.tried[-1].outcome:
            last = t.case.tried[-1].receipt
            t.change(tried=escalation.tried_with(t.case.tried, last, "helpful"), bot_turns=0)
            t.keep("outcome", last, outcome="helpful", ticket="")
        t.add(Mark(event.ref, "+1"))
        return t.done("answer", "thanks")
    return None


def _incident(t: Turn) -> Decision:
    """One incident, one answer: the approved status, and word when it is over."""
    who = t.case.customer
    t.say(Incident(t.case.id, t.known.incident, t.opening()))
    t.keep(
        "subscription",
        f"{t.known.incident_id}/{t.case.id}",
        incident=t.known.incident_id,
        case=t.case.id,
        customer=who.id,
    )
    t.change(phase=Phase.BOT, bot_turns=t.case.bot_turns + 1)
    return t.done("incident", f"belongs to the open incident {t.known.incident_id}")


def _asked_before(t: Turn, text: str) -> bool:
    """The same issue for the third time: here, or in earlier tickets of this customer.

    A question that has a sure answer which was not given yet is not the same, however alike the words are.
    """
    told = {x.topic for x in t.case.tried}
    best = max(t.known.found, key=lambda f: f.confidence, default=None)
    if (
        best is not None
        and best.hits
        and best.confidence >= best.threshold_answer
        and best.hits[0].topic not in told
    ):
        return _in_earlier_tickets(t)
    here = sum(overlap(text, q) >= SAME_ISSUE_OVERLAP for q in t.before.questions)
    return here + 1 >= SAME_ISSUE_TIMES or _in_earlier_tickets(t)


def _in_earlier_tickets(t: Turn) -> bool:
    """Two earlier tickets of this customer were about the same."""
    return sum(e.similarity >= EARLIER_SIMILARITY for e in t.known.earlier) + 1 >= SAME_ISSUE_TIMES


def overlap(a: str, b: str) -> float:
    """How many words two questions share, 0 to 1."""
    first, second = set(_WORD.findall(a.lower())) - SMALL, set(_WORD.findall(b.lower())) - SMALL
    return len(first & second) / len(first | second) if first and second else float(a.strip() == b.strip())


# --- from what was found -----------------------------------------------------------------------------------


def _from_knowledge(t: Turn, text: str, mode: str) -> Decision:
    found = t.known.found
    if t.case.phase == Phase.CLARIFYING and found:  # one question and its answer, not two questions
        found = (max(found, key=lambda f: f.confidence),)
    known = [f for f in found if f.hits and f.confidence >= f.threshold_answer]
    unknown = [f for f in found if f not in known]
    for f in found:
        nearest = (
            f"{f.hits[0].title} ({f.confidence:.2f}, needs {f.threshold_answer:.2f})" if f.hits else "nothing"
        )
        t.rule("search", f"{f.question[:80]!r}: {nearest}")
    if not known:
        best = max(found, key=lambda f: f.confidence, default=None)
        return _unsure(t, text, best, mode)
    level = stricter_level(*(_level(t, f.hits[0]) for f in known), "draft" if mode == "draft" else "")
    t.rule("level", level)
    top = known[0].hits[0]
    if level == "escalate":
        escalation.escalate(t, "level", t.policy.phrase("why.level", topic=top.title))
        return t.done("escalate", f"{top.title} is for people only")
    if level == "collect":
        category = escalation.choose_category(t, top.category)
        return collect.begin(t, category, "collect", t.policy.phrase("why.collect", topic=top.title))
    if level == "draft":
        escalation.escalate(t, "draft", t.policy.phrase("why.draft", topic=top.title), draft=_text(known))
        return t.done("draft", f"{top.title} needs a person's eye before it is sent")
    return _answer(t, known, unknown)


def _level(t: Turn, hit: Hit) -> str:
    return stricter_level(hit.level, t.policy.category(hit.category or t.case.category).level)


def _answer(t: Turn, known: list[Found], unknown: list[Found]) -> Decision:
    hits = [f.hits[0] for f in known]
    told = {x.topic for x in t.case.tried if x.delivered and x.outcome != "helpful"}
    third = t.case.bot_turns + 1 >= t.policy.max_bot_turns
    if not unknown and all(h.topic in told for h in hits):
        return _again(t, known[0], third=third)
    if _other_language(t, known[0]) and not t.case.clarified:
        return _ask(t, known[0], (known[0].hits[0],), "language")
    passed_on = tuple(f.question for f in unknown)
    _say_answer(t, known, hits, offer=third, passed_on=passed_on)
    if not passed_on:
        return t.done("answer", f"{hits[0].title}, confidence {known[0].confidence:.2f}")
    why = t.policy.phrase("why.part")
    _gap(t, unknown[0])
    escalation.escalate(t, "part", why, question=" ".join(passed_on))
    return t.done("answer", f"{hits[0].title} answered; passed on: {len(passed_on)}")


def _again(t: Turn, found: Found, *, third: bool) -> Decision:
    """The same answer a second time would not help."""
    last = next(x for x in reversed(t.case.tried) if x.topic == found.hits[0].topic)
    t.change(tried=escalation.tried_with(t.case.tried, last.receipt, last.outcome or "re-asked"))
    t.keep("outcome", last.receipt, outcome="re-asked", ticket="")
    if third:
        return _third_turn(t)
    t.say(Offer(t.case.id, (found.hits[0].title,), t.opening(), "again"))
    t.change(phase=Phase.OFFERED, bot_turns=t.case.bot_turns + 1)
    return t.done("offer", "the same topic again: offers a person instead of repeating itself")


def _third_turn(t: Turn) -> Decision:
    escalation.escalate(t, "third_turn", t.policy.phrase("why.third_turn"))
    return t.done("escalate", f"bot turn {t.case.bot_turns + 1} without success")


def _other_language(t: Turn, found: Found) -> bool:
    spoken, written = found.language or t.case.language, found.hits[0].language
    return bool(spoken and written and spoken != written)


def _say_answer(
    t: Turn, known: list[Found], hits: list[Hit], *, offer: bool, passed_on: tuple[str, ...] = ()
) -> None:
    """The answer, its receipt, and that it was tried."""
    n = t.count("answer")
    receipt, arg = f"A-{t.case.id}.{n}", f"{t.case.id}.{n}"
    top, found = hits[0], known[0]
    text = _text(known, hits)
    sources = tuple(Source(h.topic, h.title, h.path, h.version, h.reviewed, h.links) for h in hits)
    t.say(
        Answer(
            arg,
            text,
            sources,
            found.confidence,
            t.opening(),
            passed_on,
            offer,
            t.known.waited_seconds if t.known.waited_seconds > 60 else 0.0,  # noqa: PLR2004  a minute
        ),
        f"{t.case.id}/a/{n}",
    )
    t.remember("bot", t.policy.name, text)
    tried = Tried(receipt, top.topic, top.title, top.version, found.confidence, delivered=True)
    t.change(
        phase=Phase.BOT,
        bot_turns=t.case.bot_turns + 1,
        clarified=False,
        clarify_options=(),
        pending_question="",
        tried=(*t.case.tried, tried),
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
        trace=[list(x) for x in t.trace],
        text=text,
        at=t.now,
    )


def _text(known: list[Found], hits: list[Hit] | None = None) -> str:
    """Approved text, word for word; several parts under their titles."""
    hits = hits or [f.hits[0] for f in known]
    texts = [f.composed or h.text for f, h in zip(known, hits, strict=True)]
    if len(texts) == 1:
        return texts[0]
    return "\n\n".join(f"**{h.title}**\n\n{text}" for h, text in zip(hits, texts, strict=True))


# --- when nothing is good enough ------------------------------------------------------------------------------


def _unsure(t: Turn, text: str, found: Found | None, mode: str) -> Decision:
    if found is not None:
        _gap(t, found)
    if mode == "draft":
        escalation.escalate(t, "draft", t.policy.phrase("why.unsure"))
        return t.done("escalate", "nothing is good enough for a draft")
    if t.case.bot_turns + 1 >= t.policy.max_bot_turns:
        return _third_turn(t)
    near = found is not None and bool(found.hits) and found.confidence >= found.threshold_clarify
    if t.case.phase == Phase.CLARIFYING:
        escalation.escalate(t, "unclear", t.policy.phrase("why.unclear"))
        return t.done("escalate", "still unclear after the one clarifying question")
    if found is not None and near and not t.case.clarified:
        options = _options(found)
        if options:
            return _ask(t, found, options, "close")
    if _unrelated(found) and "declined" not in t.case.counters:
        t.count("declined")
        t.say(Offer(t.case.id, (), t.opening(), "unrelated"))
        t.change(bot_turns=t.case.bot_turns + 1)
        return t.done("decline", "not about what the knowledge covers")
    titles = tuple(dict.fromkeys(h.title for h in found.hits[:OPTIONS_MAX])) if found and near else ()
    t.say(Offer(t.case.id, titles, t.opening(), "unsure"))
    t.change(phase=Phase.OFFERED, bot_turns=t.case.bot_turns + 1, pending_question=text)
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


def _ask(t: Turn, found: Found, options: tuple[Hit, ...], reason: str) -> Decision:
    titles = tuple(h.title for h in options)
    t.say(Ask(t.case.id, titles, t.opening(), "language" if reason == "language" else "close"))
    t.change(
        phase=Phase.CLARIFYING,
        clarified=True,
        clarify_options=tuple((h.topic, h.title) for h in options),
        pending_question=found.question,
        bot_turns=t.case.bot_turns + 1,
    )
    return t.done("clarify", f"between {' / '.join(titles)}")


def _gap(t: Turn, found: Found) -> None:
    """A question that knowledge does not cover, for the weekly review."""
    near = bool(found.hits) and found.confidence >= found.threshold_clarify
    t.keep(
        "gap",
        f"{t.case.id}.{t.count('gap')}",
        question=found.question,
        kind="near" if near else "none",
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
    if t.case.phase != Phase.CLARIFYING or not 0 <= index < len(t.case.clarify_options):
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
        _say_answer(t, [sure], [hit], offer=t.case.bot_turns + 1 >= t.policy.max_bot_turns)
        return t.done("answer", f"the customer chose {title}")
    t.change(clarified=True)
    t.known = replace(t.known, found=(sure,))
    return _from_knowledge(t, t.case.pending_question, t.policy.launch_mode)


def none_of_these(t: Turn) -> Decision:
    """None of the topics: a person takes it."""
    if t.case.phase != Phase.CLARIFYING:
        return t.no("refused.late", "that question is no longer open", verb="none")
    escalation.escalate(t, "unclear", t.policy.phrase("why.unclear"))
    return t.done("escalate", "none of the offered topics")


def person(t: Turn) -> Decision:
    """The customer asked for a person: at once, without conditions."""
    if t.open_ticket is not None:
        return t.no("customer.already", "already with the team", verb="person")
    escalation.escalate(t, "human", t.policy.phrase("trigger.human"))
    return t.done("escalate", "the customer asked for a person")


# --- quiet launch ---------------------------------------------------------------------------------------------


def _shadowed(t: Turn, decision: Decision, text: str) -> Decision:
    """What would have been said, for staff alone. The customer sees nothing, and no ticket is made."""
    would = tuple(e.what for e in decision.effects if isinstance(e, Say) and e.audience == "customer")
    kept = replace(
        t.before,
        said=tuple(s for s in t.case.said if s.who != "bot"),
        questions=t.case.questions,
        counters=t.case.counters,
        language=t.case.language,
        started_at=t.case.started_at,
    )
    desk = t.policy.desk(t.policy.category("general").route, t.case.place.platform)
    effects: list[Effect] = [
        Keep(e.kind, e.key, {**e.data, "delivered": False})
        for e in decision.effects
        if isinstance(e, Keep) and e.kind in ("receipt", "gap")
    ]
    if desk is not None and would:
        fact = Shadow(text, t.case.place.channel, decision.kind, decision.why, would)
        anchor = f"{t.case.id}/shadow/{len(kept.said)}"
        effects.insert(0, Say(desk, fact, "staff", "notice", anchor))
    return Decision(kept, tuple(effects), f"shadow: {decision.why}", "shadow", decision.trace)
