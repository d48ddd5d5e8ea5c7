"""One decision in the making: the case as it becomes, the effects in order, the trace of rules.

`done` adds what always follows from a changed ticket: the card says the new state, and the timers are those that the
state asks for. So no rule can forget either.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from adapters.port import Actor, FileRef, Inbound, MessageReceived, MsgRef, Place
from handoff import clock, fields
from handoff import ticket as tickets
from handoff.effects import Cancel, Decision, Effect, Fact, Keep, Open, Say, Thread, Update, Wake, Whisper
from handoff.evolve import evolve
from handoff.facts import Ask, Card, Line, Offer
from handoff.model import AskReason, Case, Known, OfferReason, Phase, Said, Standing, Ticket
from handoff.policy import Policy, refusal
from handoff.politeness import gist

REMEMBERED = 200  # lines of one conversation that the case keeps; older ones are in the journal
SILENT = frozenset({Phase.DESK, Phase.HUMAN, Phase.MUTED})  # the bot says nothing of its own here


class Turn:
    """What rules work on. Created per event by `decide`, and never kept."""

    __slots__ = ("before", "case", "effects", "event", "known", "now", "policy", "small_talk", "trace")

    def __init__(self, case: Case, event: Inbound, known: Known, now: float, policy: Policy) -> None:
        self.case = self.before = case
        self.event = event
        self.known = known
        self.now = now
        self.policy = policy
        self.effects: list[Effect] = []
        self.trace: list[tuple[str, str]] = []
        self.small_talk = ""  # the message is nothing but "hello", "thanks" or "who are you?"

    # --- reading ---

    @property
    def ticket(self) -> Ticket:
        """The ticket, where there certainly is one."""
        assert self.case.ticket is not None
        return self.case.ticket

    @property
    def actor(self) -> Actor:
        """Who caused this; the customer where the process itself did."""
        return self.event.actor or self.case.customer

    @property
    def language(self) -> str:
        return self.case.language or self.policy.language

    @property
    def card(self) -> Thread:
        """The card's thread."""
        return Thread(f"{self.ticket.id}/card")

    @property
    def there(self) -> Place | Thread:
        """Where the customer is spoken to: in the private place as soon as one is ordered."""
        return Thread(self.case.moving) if self.case.moving else self.case.place

    @property
    def open_ticket(self) -> Ticket | None:
        ticket = self.case.ticket
        return ticket if ticket is not None and ticket.is_open else None

    def public(self, name: str) -> str:
        """How an agent is called where the customer can read it."""
        return self.policy.public_name if self.policy.anonymous else name or self.policy.public_name

    # --- changing ---

    def change(self, **changes: Any) -> None:
        """Change the case. The first change makes this turn's own copy; until `done` nobody else sees it, so the
        following ones may write into it: copying thirty fields six times would cost most of a decision."""
        if self.case is self.before:
            self.case = evolve(self.before, **changes)
            return
        for name, value in changes.items():
            object.__setattr__(self.case, name, value)

    def edit(self, **changes: Any) -> None:
        """Change the ticket."""
        self.change(ticket=evolve(self.ticket, **changes))

    def move(self, move: str, **changes: Any) -> None:
        """Make a legal move of the ticket."""
        self.change(ticket=tickets.moved(self.ticket, move, self.now, self.policy, **changes))

    def take_over(self, **changes: Any) -> None:
        """A person has stepped in: from this commit on, nothing that the bot has queued is delivered."""
        self.change(
            epoch=self.case.epoch + 1, phase=Phase.HUMAN, collecting=None, clarify_options=(), **changes
        )

    def count(self, name: str) -> int:
        """The next number of its kind in this conversation."""
        number = self.case.counters.get(name, 0) + 1
        self.change(counters={**self.case.counters, name: number})
        return number

    def remember(
        self,
        who: Literal["customer", "bot", "agent", "other"],
        name: str,
        text: str,
        ref: MsgRef | None = None,
        files: tuple[FileRef, ...] = (),
    ) -> Said:
        """Put a line into the conversation."""
        line = Said(who, name, text, self.now, ref, files)
        self.change(said=(*self.case.said[-REMEMBERED + 1 :], line))
        return line

    # --- effects ---

    def add(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def rule(self, name: str, found: str) -> None:
        """Put a line into the trace: a rule and what it found."""
        self.trace.append((name, found))

    def opening(self) -> bool:
        """Is this the first thing that the customer hears from the bot? Then it says that it is one."""
        if self.case.disclosed:
            return False
        self.change(disclosed=True)
        return True

    def say(self, what: Fact, anchor: str = "") -> None:
        """The bot says something to the customer."""
        self._open_thread()
        self.add(Say(self.there, what, "customer", "bot", anchor))

    def ask(self, what: Ask) -> None:
        """Ask which topic is meant. Whatever was offered before is settled by that."""
        anchor = f"{self.case.id}/ask/{self.count('ask')}"
        put = Standing(
            anchor, what.reason, what.options, what.opening, what.about, what.aside, self.case.language
        )
        self.say(what, anchor)
        self.change(asked=put, offered=None)

    def offer(self, what: Offer) -> None:
        """Offer a person. An offer that was made before is settled by that: the newest stands."""
        anchor = f"{self.case.id}/offer/{self.count('offer')}"
        self.say(what, anchor)
        self.change(
            offered=Standing(anchor, what.reason, what.nearest, what.opening, language=self.case.language)
        )

    def notify(self, what: Fact, anchor: str = "") -> None:
        """A line to the customer that a person's act caused; no epoch holds it back."""
        self._open_thread()
        self.add(Say(self.there, what, "customer", "notice", anchor))

    def staff(
        self, what: Fact, anchor: str = "", to: Place | Thread | None = None, files: tuple[FileRef, ...] = ()
    ) -> None:
        """Something into the ticket's staff thread (or to `to`). Everything there has a name, so that an erasure finds
        it."""
        if not anchor:
            about = self.case.ticket.id if self.case.ticket is not None else self.case.id
            anchor = f"{about}/s/{self.count('staff')}"
        self.add(Say(to or self.card, what, "staff", "notice", anchor, files=files))

    def whisper(self, key: str, /, *, buttons: tuple[tuple[str, str], ...] = (), **values: str) -> None:
        """A sentence to whoever caused this, for them alone."""
        self.tell(Line(key, values, buttons=buttons))

    def tell(self, what: Fact) -> None:
        if self.event.actor is not None:
            self.add(Whisper(self.event.actor, what, self.event.place, must_arrive=True))

    def keep(self, kind: str, key: str, /, **values: Any) -> None:
        self.add(Keep(kind, key, values))

    def _open_thread(self) -> None:
        event, case = self.event, self.case
        if case.thread_open or case.moving or not (isinstance(event, MessageReceived) and event.is_root):
            return
        if event.place.conversation != case.place.conversation:
            return
        title = event.title or gist(event.text).split("\n", 1)[0] or self.policy.name
        self.add(Open(event.ref, title[:80], "customer"))
        self.change(thread_open=True, origin=case.origin or event.ref)

    # --- ending ---

    def refused(self, verb: str) -> Decision | None:
        """The refusal, when whoever caused this may not do `verb` here."""
        key = refusal(self.event.actor, verb, self.case, self.policy)
        return self.no(key, f"{verb}: not allowed", verb=verb) if key else None

    def no(self, key: str, why: str, /, **values: str) -> Decision:
        """Nothing changes, and whoever waits is told why."""
        ticket = self.before.ticket
        self.case, self.effects = self.before, []
        at: float | None = None
        words = {"ticket": "", "state": "", "name": "", "verb": "", **values}
        words["verb"] = self.policy.phrase(f"button.{words['verb']}", self.language)
        if ticket is not None:
            words["ticket"], at = ticket.id, ticket.claimed_at
            words["state"] = self.policy.phrase(f"state.{ticket.state}", self.language)
            if ticket.assignee is not None:
                words["name"] = ticket.assignee.name or ticket.assignee.id
        self.tell(Line(key, words, at=at))
        return Decision(self.case, tuple(self.effects), why, "refuse", tuple(self.trace))

    def ignore(self, why: str) -> Decision:
        """Nothing follows. What was remembered stays."""
        return self.done("ignore", why)

    def done(self, kind: str, why: str) -> Decision:
        """The decision, with what always follows: a question or an offer that is settled loses its buttons; the card
        and the timers are those of the ticket's new state."""
        self._settle()
        self._put_away()
        old, new = self.before.ticket, self.case.ticket
        if new is not None and new is not old:
            if old is not None and old.number == new.number:
                self.edit(revision=new.revision + 1)
                self.add(Update(f"{new.id}/card", self.card_fact()))
            self._set_timers(old, new)
        return Decision(self.case, tuple(self.effects), why, kind, tuple(self.trace))

    def _settle(self) -> None:
        """The clarifying question stands as long as the bot waits for its answer, an offer until people have it."""
        case = self.case
        if case.asked is not None and case.phase != Phase.CLARIFYING:
            self.change(asked=None)
            if case.phase in (Phase.BOT, Phase.OFFERED):  # nor does the question behind it wait any more
                self.change(pending_question="", others=())
        if case.offered is not None and case.phase in SILENT:
            self.change(offered=None)

    def _put_away(self) -> None:
        """Under what was asked or offered before nothing is left to press, once that is settled."""
        self._put_away_field()
        had, now, arg = self.before, self.case, self.case.id
        if (ask := had.asked) is not None and now.asked != ask:
            reason = cast("AskReason", ask.reason)
            question = Ask(
                arg, ask.titles, ask.opening, reason, ask.about, ask.aside, ask.language, over=True
            )
            self.add(Update(ask.anchor, question, "customer", tidies=True))
        if (made := had.offered) is not None and now.offered != made:
            why = cast("OfferReason", made.reason)
            offer = Offer(arg, made.titles, made.opening, why, made.language, over=True)
            self.add(Update(made.anchor, offer, "customer", tidies=True))

    def _put_away_field(self) -> None:
        """The question of a form: once another is asked or the form ends."""
        form, now = self.before.collecting, self.case.collecting
        asked = form.asked if form is not None else None
        if form is None or asked is None or (now is not None and now.asked == asked):
            return
        rule = self.policy.fields.get(form.fields[asked.at])
        if rule is not None:
            over = fields.question(rule, self.case, form, asked, self.policy, over=True)
            self.add(Update(asked.anchor, over, "customer", tidies=True))

    def card_fact(self) -> Card:
        """The card as it should look now."""
        ticket, policy = self.ticket, self.policy
        names = (*ticket.fields, *ticket.private_fields)
        return Card(
            ticket,
            self.case.customer,
            self._where(),
            tickets.buttons(ticket),
            {n: policy.words_of(policy.fields[n]).label for n in names if n in policy.fields},
            policy.category(ticket.category).title or ticket.category,
        )

    def _where(self) -> str:
        """The channel or the private thread; empty for a direct message."""
        place = self.case.place
        if place.kind == "dm":
            return ""
        return place.thread or place.channel if self.case.public is not None else place.channel

    def _set_timers(self, old: Ticket | None, new: Ticket) -> None:
        if clock.signature(old) == clock.signature(new):
            return
        had, wants = clock.timers(old, self.policy), clock.timers(new, self.policy)
        self.effects.extend(wake for name, wake in wants.items() if had.get(name) != wake)
        self.effects.extend(Cancel(name) for name in had if name not in wants)

    def wake(self, timer: str, at: float, why: str) -> None:
        self.add(Wake(timer, at, self.ticket.id, why))
