"""What the bot says next to a customer: answer, ask back, decline, offer a person, collect; else it hands over.

Triggers come first, then whatever else hands over, then what knowledge found; all within the launch mode.
"""

from __future__ import annotations

import re
from dataclasses import replace

from adapters.port import MessageReceived
from handoff import answering, collect, escalation, reasons
from handoff.effects import Decision, Effect, Keep, Mark, Say
from handoff.facts import Incident, Line, Shadow
from handoff.model import Fired, Hit, Phase
from handoff.policy import (
    DEFAULT_TRIGGER,
    TRIGGERS,
    TriggerRule,
    same_person,
    stricter_level,
    stricter_mode,
)
from handoff.turn import Turn

SAME_ISSUE_TIMES = 3
SHORT_WORDS = 5
SAME_ISSUE_OVERLAP = 0.75
EARLIER_SIMILARITY = 0.8
SMALL = frozenset((
    "a", "an", "the", "i", "my", "me", "we", "our", "you", "your", "it", "is", "are", "am", "do", "does", "did", "can",
    "could", "will", "to", "of", "in", "on", "for", "and", "or", "how", "what", "why", "still", "please", "ich", "mein",
    "meine", "wir", "ist", "sind", "kann", "wie", "was", "warum", "und", "oder", "der", "die", "das", "ein", "eine",
    "noch", "bitte",
))  # fmt: skip
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
    if t.known.solved_by_others:
        return t.ignore("people have answered this while the bot was away")
    category, fired = escalation.choose_category(t), _decisive(t)
    # A category that is not launched yet gets no answers; whoever needs a person still gets one.
    mode = stricter_mode(t.policy.launch_mode, "" if fired else category.launch_mode)
    t.rule("launch mode", f"{mode} ({category.name})")
    if mode == "off":
        return t.ignore("the launch mode is off")
    if fired:
        decision = _triggered(t, fired, text, stricter_mode(mode, category.launch_mode))
    else:
        decision = _respond(t, event, text, mode)
    return _shadowed(t, decision, text) if mode == "shadow" else decision


def _respond(t: Turn, event: MessageReceived, text: str, mode: str) -> Decision:
    if t.case.phase == Phase.COLLECTING:
        return _while_collecting(t, event, text, mode)
    small = _small_talk(t, event)
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
    if not text.strip() or _only_shows(t, event, text):
        t.say(Line("customer.unreadable", buttons=(("person", t.case.id),), opening=t.opening()))
        return t.done("offer", "the message holds nothing to read")
    if _asked_before(t, text):
        escalation.escalate(t, "repeat", t.policy.phrase("why.repeat"))
        return t.done("escalate", "the same issue came up three times")
    return answering.from_knowledge(t, mode)


def _only_shows(t: Turn, event: MessageReceived, text: str) -> bool:
    """A file with a word or two that say nothing: what is meant stands in the file, which the bot cannot read."""
    if not event.files or len(text.split()) > SHORT_WORDS:
        return False
    return not any(f.near for f in t.known.found)


def _decisive(t: Turn) -> Fired | None:
    """The trigger that decides, or None."""
    near = {h.topic for f in t.known.found for h in f.hits[:3]}
    fired = [f for f in t.known.fired if not f.topic or f.topic in near]
    if t.case.phase == Phase.COLLECTING:  # the answers to a bug report's questions sound like a bug report
        asked = t.case.collecting.trigger if t.case.collecting else ""
        fired = [f for f in fired if not (f.topic or f.trigger == asked or _rule(f.trigger).collect)]
    if not fired:
        return None
    said = {f.trigger for f in fired if f.reason.kind == "says"}
    if "human" in said and "manager" not in said:  # asking for a manager only sounds alike
        fired = [f for f in fired if f.trigger != "manager"]
    return min(fired, key=lambda f: SERIOUS.index(f.trigger) if f.trigger in SERIOUS else len(SERIOUS))


def _rule(trigger: str) -> TriggerRule:
    return TRIGGERS.get(trigger, DEFAULT_TRIGGER)


def _triggered(t: Turn, fired: Fired, text: str, mode: str) -> Decision:
    """A trigger: nothing but an emergency is answered. Some collect what a person will need first, but not in an
    emergency; some let the desk have the draft that there would have been (`mode`: the launch mode without the
    trigger)."""
    rule = _rule(fired.trigger)
    t.rule("trigger", f"{fired.trigger}: {reasons.plain(fired.reason)}")
    why = _why(t, fired)
    urgent = answering.say_emergency(t, mode)
    if rule.collect and not urgent and not answering.for_people_only(t):
        if t.case.collecting is None:  # what was open before is not what this is about
            t.change(pending_question="", others=())
        category = escalation.choose_category(t, *rule.categories)
        return collect.begin(t, category, fired.trigger, why)
    ready = escalation.may_lie_ready(t.known)
    draft = answering.would_be_drafted(t, mode) if ready else escalation.NOTHING
    escalation.escalate(t, fired.trigger, why, question=text, draft=draft)
    if fired.trigger == "abuse":
        t.change(phase=Phase.MUTED, muted_until=t.now + t.policy.mute_seconds)
    return t.done("escalate", f"trigger {fired.trigger}: {reasons.plain(fired.reason)}")


def _why(t: Turn, fired: Fired) -> str:
    """What the card says: which trigger, and what it saw."""
    phrase = t.policy.phrase
    title = phrase(f"trigger.{fired.trigger}")
    if fired.topic:
        hits = (h.title for f in t.known.found for h in f.hits if h.topic == fired.topic)
        title = phrase("why.boundary", topic=next(hits, fired.topic))
    found = reasons.worded(fired.reason, phrase)
    return f"{title} ({found})" if found else title


def _while_collecting(t: Turn, event: MessageReceived, text: str, mode: str) -> Decision:
    """A form is open: a new question that we can answer interrupts it politely; anything else is its answer."""
    found = t.known.found[0] if t.known.found else None
    answers = found is not None and found.hits and found.confidence >= found.threshold_answer
    if found is None or not answers or mode != "answer" or _for_people(t, found.hits[0]):
        if same_person(event.actor, t.case.customer):
            return collect.answered(t, text, event.files)
        t.whisper("refused.their_form")
        return t.done("refuse", "a third person does not answer the customer's form")
    open_form = t.case.collecting
    answering.say_answer(t, [found], [found.hits[0]], offer=False)
    t.change(phase=Phase.COLLECTING, collecting=open_form and replace(open_form, interrupted=True))
    return collect.proceed(t, "a new question was answered; back to the form", again=True)


def _for_people(t: Turn, hit: Hit) -> bool:
    return stricter_level(hit.level, t.policy.category(hit.category).level) != "answer"


def _small_talk(t: Turn, event: MessageReceived) -> Decision | None:
    if t.small_talk == "hello":
        greeting = t.policy.channel(t.case.place).greeting
        key = "customer.greeting" if greeting else "customer.hello"
        values = {"greeting": greeting} if greeting else {"name": t.policy.name}
        t.say(Line(key, values, buttons=(("person", t.case.id),), opening=t.opening()))
        return t.done("answer", "a greeting")
    if t.small_talk == "about":  # it says that it is a bot, however often it has said so
        t.opening()
        t.say(Line("customer.about", buttons=(("person", t.case.id),), opening=True))
        return t.done("answer", "asks who this is: a bot, and that a person can take over")
    if t.small_talk == "thanks":
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


# --- a button under everything that the bot says ---------------------------------------------------------------


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
