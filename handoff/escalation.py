"""A conversation becomes a ticket: number, priority, route, deadlines, card, transcript, and the one line that the
customer reads. Happens once: with an open ticket, nothing here makes a second one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from adapters.port import Actor, MessageReceived, Place
from handoff import fields, priority, private, reasons, triggers
from handoff import ticket as tickets
from handoff.effects import CloseThread, Effect, Fact, Link, Open, Say, Unsay, Update
from handoff.facts import Answer, HandedOver, InThread, Line, OnCall, Raised, Source, Transcript
from handoff.facts import Draft as DraftFact
from handoff.model import Case, Hit, Known, Phase, Proposed, Said, Ticket, TicketState, Tried
from handoff.policy import DEFAULT_TRIGGER, TRIGGERS, CategoryRule, Policy
from handoff.politeness import gist
from handoff.summary import about, headline, latest_question, matter, request, summarise
from handoff.turn import Turn

SUBJECT_CHARACTERS = 80
LINES_ONE_BY_ONE = 12
OFTEN, RECENT_SECONDS, UNHAPPY = 3, 30 * 86_400, 2
SHOWN_AGAIN_SECONDS = 60.0
ONE_MESSAGE = 900  # so much fits into one message everywhere, whatever must be escaped in it
LINE_CHARACTERS = 60  # what stands around a line of a transcript
NOTHING = Proposed()
ASKS_FOR_SOMEBODY, BARE_WORDS = frozenset(("human", "manager")), 9


def escalate(
    t: Turn,
    trigger: str,
    why: str,
    *,
    category: str = "",
    question: str = "",
    by: Actor | None = None,
    quiet: bool = False,
    draft: Proposed = NOTHING,
    values: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Open the ticket and tell everybody once. `by`: the agent who did it, which is a takeover. `quiet`: the
    customer has been told already."""
    if t.open_ticket is not None:
        return
    if t.case.ticket is not None and t.case.ticket.state == TicketState.SOLVED:
        reopen(t)
        return
    _forget_closed(t)
    draft = draft if draft.text else by_the_model(t.known) if may_lie_ready(t.known) else NOTHING
    t.change(ticket=_ticket(t, trigger, why, category, question, draft.text, values))
    _give_up_on(t)
    if by is not None:
        t.take_over()
    t.change(
        phase=Phase.DESK,
        collecting=None,
        clarify_options=(),
        pending_question="",
        others=(),
        bot_turns=0,
        category=t.ticket.category,
    )
    t.rule("escalate", f"{t.ticket.id} {t.ticket.priority} to {t.ticket.route}: {why}")
    if by is None:
        private.move(t, t.policy.category(t.ticket.category), trigger)
    if not quiet:
        _tell_customer(t, by)
    _show_staff(t, draft)
    capture(t)


def may_lie_ready(known: Known) -> bool:
    """Whether a draft may lie under the card that nobody has asked for: every trigger that fired allows it, and no
    topic's own boundary was crossed."""
    return all(TRIGGERS.get(f.trigger, DEFAULT_TRIGGER).draft and not f.topic for f in known.fired)


def by_the_model(known: Known) -> Proposed:
    """The language model's draft; nothing where it has written none."""
    cited = [known.found[0].hits[n - 1] for n in known.draft_sources] if known.found else []
    return Proposed(known.draft, tuple((known.found[0].question, hit) for hit in cited))


def pass_on(t: Turn, questions: tuple[str, ...], draft: Proposed = NOTHING) -> HandedOver:
    """The part of a message that the bot does not answer goes to a person. What the customer is told of it stands in
    the answer to the other part."""
    why = t.policy.phrase("why.part")
    escalate(t, "part", why, question=" ".join(questions), quiet=True, draft=draft)
    return handed_over(t)


def _forget_closed(t: Turn) -> None:
    """An earlier, closed ticket of this conversation becomes history."""
    old = t.case.ticket
    if old is not None:
        t.change(closed_tickets=(*t.case.closed_tickets, old.number), ticket=None)


def _ticket(
    t: Turn, trigger: str, why: str, category: str, question: str, draft: str, values: Mapping[str, str]
) -> Ticket:
    case, known, policy = t.case, t.known, t.policy
    rule = TRIGGERS.get(trigger, DEFAULT_TRIGGER)
    chosen = choose_category(t, category, *rule.categories)
    text = question or latest_question(case)
    asked = _asked(t, trigger, text)
    tier = policy.tier(case.customer)
    level, because = priority.assess(
        text, chosen.priority, known.fired, tier.floor if tier is not None else "", known.sentiment
    )
    answers = fields.answers(case, chosen, policy).plus(values, policy)
    ticket = Ticket(
        number=known.next_number,
        state=TicketState.NEW,
        category=chosen.name,
        leaf=_leaf(asked, chosen),
        priority=level,
        priority_reason=reasons.priority(because, policy.phrase),
        route=_route(rule.routes, chosen, policy),
        subject=headline(matter(gist(asked), asks_for_somebody), SUBJECT_CHARACTERS)
        or policy.phrase("subject.none"),
        summary=known.summary or summarise(_besides_wishes(_besides_the_form(case))),
        wants=request(gist(asked)),
        opened_at=t.now,
        waiting_since=t.now,
        tier=tier.name if tier is not None else "",
        sentiment=known.sentiment,
        trigger=trigger,
        why_escalated=why,
        next_step=_next_step(trigger, policy),
        confidence=known.found[0].confidence
        if known.found
        else case.tried[-1].confidence
        if case.tried
        else 0.0,
        tried=case.tried,
        nearest=case.nearest,
        fields=answers.public,
        private_fields=answers.private,
        earlier=tuple(dict.fromkeys((*case.closed_tickets, *(e.number for e in known.earlier)))),
        draft=draft,
        tags=_history(t),
    )
    return tickets.with_dues(ticket, policy)


def _besides_the_form(case: Case) -> tuple[Said, ...]:
    """What was said on the matter, without the answers to the form: they stand on the card under their own names."""
    said = about(case)
    if case.collecting is None:
        return said
    told = {value.casefold() for value in case.collecting.values.values()}
    return tuple(
        s
        for s in said
        if s.who != "customer" or not (s.text.strip().casefold() in told or fields.control_word(s.text))
    )


def _besides_wishes(said: tuple[Said, ...]) -> tuple[Said, ...]:
    """The same without lines that say no more than that a person is wanted: why it is here tells that."""
    return tuple(s for s in said if s.who != "customer" or not asks_for_somebody(s.text)) or said


def _asked(t: Turn, trigger: str, text: str) -> str:
    """The customer's question. Whoever writes no more than that a person is wanted has said before what for; a press is
    about what was asked last."""
    written = isinstance(t.event, MessageReceived) and trigger in ASKS_FOR_SOMEBODY
    bare = written and says_nothing_else(text)
    before = [q for q in t.case.questions if q != text] if bare else []
    return before[-1] if before else text


def says_nothing_else(text: str) -> bool:
    """Whether whoever asks for a person has said no more than that: few words, and no sentence beside it."""
    said = gist(text)
    return len(text.split()) <= BARE_WORDS and matter(said, asks_for_somebody) == said


def asks_for_somebody(sentence: str) -> bool:
    """Whether it says no more than that a person is wanted."""
    if len(sentence.split()) > BARE_WORDS:
        return False
    return any(triggers.says(sentence, name) for name in ASKS_FOR_SOMEBODY)


def _history(t: Turn) -> tuple[str, ...]:
    """What this customer's earlier tickets say about this one."""
    earlier = t.known.earlier
    often = sum(t.now - e.opened_at <= RECENT_SECONDS for e in earlier) + 1 >= OFTEN
    unhappy = any(e.csat is not None and e.csat <= UNHAPPY for e in earlier)
    return (*(("often-here",) if often else ()), *(("rated-low-before",) if unhappy else ()))


def choose_category(t: Turn, *wishes: str) -> CategoryRule:
    """The first category that is configured: what was asked for, the nearest topic's, the channel's."""
    found = t.known.found[0] if t.known.found else None
    near = (
        found.hits[0].category
        if found and found.hits and found.confidence >= found.threshold_clarify / 2
        else ""
    )
    names = (*wishes, near, t.policy.channel(t.case.place).category, t.case.category)
    return t.policy.category(next((n for n in names if n in t.policy.categories), "general"))


def _route(wishes: tuple[str, ...], category: CategoryRule, policy: Policy) -> str:
    names = (*wishes, category.route, *policy.routes)
    return next((n for n in names if n in policy.routes), category.route)


def _leaf(text: str, category: CategoryRule) -> str:
    words = text.lower()
    return next((leaf for leaf in category.leaves if leaf.replace("-", " ") in words), "")


def _next_step(trigger: str, policy: Policy) -> str:
    key = f"next.{trigger}"
    words = policy.phrase(key)
    return words if words != key else policy.phrase("next.default")


def _give_up_on(t: Turn) -> None:
    """What the bot tried has not helped: an escalation counts as that. An answer to the other part of the same
    message may well have, and so may what was said of an emergency just now."""
    just_said = any(isinstance(one, Say) and isinstance(one.what, Answer) for one in t.effects)
    fresh = t.ticket.tried[-1:] if t.ticket.trigger == "part" or just_said else ()
    tried = tuple(x if x.outcome or x in fresh else replace(x, outcome="escalated") for x in t.ticket.tried)
    for old, new in zip(t.ticket.tried, tried, strict=True):
        if old is not new:
            t.keep("outcome", new.receipt, outcome="escalated", ticket=t.ticket.id)
    if tried != t.ticket.tried:
        t.edit(tried=tried)
        t.change(tried=tried)


def _tell_customer(t: Turn, by: Actor | None) -> None:
    line = replace(handed_over(t), opening=t.opening())
    if by is None:
        t.say(line)
    else:
        t.notify(line)


def handed_over(t: Turn) -> HandedOver:
    """What happens now, the number, an honest time."""
    ticket, hours, failed = t.ticket, t.policy.hours, t.known.search_failed
    around = t.policy.targets[ticket.priority].around_the_clock
    opens = None if around or hours.is_open(t.now) else hours.next_open(t.now)
    told = {*ticket.fields, *ticket.private_fields}
    tone = TRIGGERS.get(ticket.trigger, DEFAULT_TRIGGER).tone or ticket.trigger
    if failed:
        tone = "failure"
    elif told and _form_was_open(t):
        tone = "collect"
    elif tone == "security" and (t.case.moving or t.case.place.kind in ("private", "dm")):
        tone = "security_private"
    return HandedOver(
        ticket.id,
        t.now,
        ticket.first_response_due or t.now,
        opens,
        tone,
        reference=failed,
        muted_minutes=round(t.policy.mute_seconds / 60) if tone == "abuse" else 0,
        late=t.known.waited_seconds if ticket.trigger == "late" else 0.0,
        details=any(
            r.id not in told for r in fields.missing(t.case, t.policy.category(ticket.category), t.policy)
        ),
    )


def _form_was_open(t: Turn) -> bool:
    """The ticket is what the customer's answers to a form have led to."""
    form = t.before.collecting
    return form is not None and (form.trigger or "collect") == t.ticket.trigger


def _show_staff(t: Turn, draft: Proposed) -> None:
    """The card, its thread with everything said so far, a call where it is a P0, a draft where there is one."""
    ticket, policy = t.ticket, t.policy
    desk = policy.desk(ticket.route, t.case.place.platform)
    if desk is None:
        t.rule("no desk", f"route {ticket.route} has no staff channel on {t.case.place.platform}")
        return
    _put_card(t, desk)
    if tickets.calls_on_call(ticket):
        call(t)
    if draft.text:
        offer_draft(t, draft, ticket.confidence)


def _put_card(t: Turn, desk: Place) -> None:
    t.add(
        Say(desk, t.card_fact(), "staff", "notice", f"{t.ticket.id}/card"),
        Open(t.card, f"{t.ticket.id} {t.ticket.subject}"[:80], "staff"),
    )
    _so_far(t)


def show_again(t: Turn, anchor: str) -> bool:
    """Something for the thread under the card found neither: somebody deleted the card, or it never arrived. It is put
    there anew, with everything said so far, so that no word of the customer is lost to the desk. What had waited for
    the same thread fails as well, and changes nothing more."""
    ticket = t.open_ticket
    desk = t.policy.desk(ticket.route, t.case.place.platform) if ticket is not None else None
    if ticket is None or desk is None or not anchor.startswith(f"{ticket.id}/in/"):
        return False
    if t.now - t.case.counters.get("shown", 0) < SHOWN_AGAIN_SECONDS:
        return False
    t.change(counters={**t.case.counters, "shown": int(t.now)})
    _put_card(t, desk)
    return True


def offer_draft(t: Turn, draft: Proposed, confidence: float) -> None:
    """Put a proposed reply under the card; what becomes of it is kept under the same name. Once sent it is what the
    customer was told, so what its words are from is kept as with an answer's receipt."""
    ticket, n = t.ticket, t.count("draft")
    name = f"{ticket.id}.{n}"
    sources = sources_of([hit for _, hit in draft.parts])
    t.staff(DraftFact(name, draft.text, sources, confidence), f"{ticket.id}/draft/{n}")
    t.keep(
        "draft",
        name,
        category=ticket.category,
        confidence=round(confidence, 4),
        parts=[[question, hit.topic, hit.version] for question, hit in draft.parts],
        at=t.now,
    )


def sources_of(hits: Sequence[Hit]) -> tuple[Source, ...]:
    """The topics that words are from, each once."""
    topics = {hit.topic: hit for hit in reversed(hits)}
    named = [topics[topic] for topic in dict.fromkeys(hit.topic for hit in hits)]
    return tuple(Source(h.topic, h.title, h.path, h.version, h.reviewed, h.links) for h in named)


def _so_far(t: Turn) -> None:
    """The conversation so far: the last lines as they were said, one message each, so that every edit and deletion
    finds its copy; what is older in one piece before them."""
    number, said = t.ticket.id, t.case.said
    if older := said[:-LINES_ONE_BY_ONE]:
        t.staff(Transcript(number, older), f"{number}/transcript")
    unsupported = t.event.unsupported if isinstance(t.event, MessageReceived) else ""
    for line in said[-LINES_ONE_BY_ONE:]:
        mine = isinstance(t.event, MessageReceived) and line.ref == t.event.ref
        copy(t, line, unsupported if mine else "")


def copy(t: Turn, line: Said, unsupported: str = "") -> None:
    """One line of the customer's thread under the card, and the names by which both are found again."""
    number, ref = t.ticket.id, line.ref
    t.staff(InThread(line, unsupported), f"{number}/in/{ref.id}" if ref else "", files=line.files)
    if ref is not None:
        t.add(Link(f"{number}/from/{ref.id}", ref))


def recopied(t: Turn, line: Said, had: Said) -> tuple[Effect, ...]:
    """The copy of a line that was edited or deleted, as it must look now. Where it stands in several messages only the
    first can be changed, so it is put there anew."""
    number, said, opened = t.ticket.id, t.case.said, t.ticket.opened_at
    before = [s for s in said if s.at <= opened]
    older = before[:-LINES_ONE_BY_ONE]
    what: Fact
    if line.ref is None or line in older:
        name, what = f"{number}/transcript", Transcript(number, tuple(older))
        long = sum(len(s.text) + LINE_CHARACTERS for s in (*older, had)) > ONE_MESSAGE
    else:
        name, what = f"{number}/in/{line.ref.id}", InThread(line)
        long = max(len(had.text), len(line.text)) > ONE_MESSAGE and not line.deleted
    if not long:
        return (Update(name, what),)
    files = line.files if isinstance(what, InThread) else ()
    return Unsay(name, "staff"), Say(t.card, what, "staff", "notice", name, files=files)


def transcript(t: Turn) -> Transcript:
    """The whole conversation as it stands, with the public answers of a form."""
    rules = t.policy.fields
    told = tuple((t.policy.words_of(rules[k]).label, v) for k, v in t.ticket.fields.items() if k in rules)
    return Transcript(t.ticket.id, t.case.said, told)


def call(t: Turn, times: int = 1) -> None:
    """Call the on-call group, and again later unless somebody acknowledges."""
    route = t.policy.routes.get(t.ticket.route)
    t.staff(OnCall(t.ticket, route.on_call if route is not None else "", times))
    t.wake("on_call", t.now + t.policy.timers.on_call_repeat, "a P0 that nobody has acknowledged")


def raise_to(t: Turn, route: str, reason: str) -> None:
    """Raise the ticket to specialists: its own acknowledgement clock, and a pointer in their channel."""
    t.move(
        "escalate",
        assignee=None,
        claimed_at=None,
        escalated_at=t.now,
        escalated_ever=True,
        reminded_at=None,
        waiting_since=t.now,
        route=route if route in t.policy.routes else t.ticket.route,
        why_escalated=reason or t.ticket.why_escalated,
    )
    t.take_over()
    t.change(phase=Phase.DESK)
    rule = t.policy.routes.get(t.ticket.route)
    desk = t.policy.desk(t.ticket.route, t.case.place.platform)
    if desk is not None:
        fact = Raised(t.ticket, t.case.customer.name, reason, rule.on_call if rule is not None else "")
        t.staff(fact, f"{t.ticket.id}/raised/{t.ticket.route}", to=desk)
    t.staff(Line("staff.raised", {"name": t.actor.name, "route": t.ticket.route, "reason": reason or "-"}))
    t.notify(Line("customer.raised", {"ticket": t.ticket.id}))


def reopen(t: Turn) -> None:
    """A solved or closed ticket is open again, with whoever had it."""
    t.move("reopen", reopened=t.ticket.reopened + 1, waiting_since=t.now, reminded_at=None)
    t.change(phase=Phase.HUMAN if t.ticket.assignee is not None else Phase.DESK)
    t.add(CloseThread(t.case.place, solved=False, archived=False))
    t.notify(Line("customer.reopened", {"ticket": t.ticket.id}))
    t.staff(Line("staff.reopened", {"name": t.actor.name or t.actor.id}))
    capture(t)


def capture(t: Turn) -> None:
    """Keep the capture record: who asked what, how to reach them, and how it went."""
    ticket, case = t.ticket, t.case
    told = {**case.profile, **ticket.fields, **ticket.private_fields}
    t.keep(
        "capture",
        ticket.id,
        name=told.get("name") or case.customer.name,
        contact=told.get("email") or told.get("phone") or "",
        order=told.get("order") or "",
        category=ticket.category,
        leaf=ticket.leaf,
        urgency=ticket.priority,
        confidence=round(ticket.confidence, 4),
        resolved=not ticket.is_open,
        escalated=True,
        platform=case.place.platform,
        began=ticket.opened_at,
    )


def tried_with(tried: tuple[Tried, ...], receipt: str, outcome: str) -> tuple[Tried, ...]:
    """The answers, with the outcome of one of them."""
    return tuple(replace(x, outcome=outcome) if x.receipt == receipt else x for x in tried)
