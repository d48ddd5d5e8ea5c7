"""Whatever happens, in whatever order: the decision exists, and the promises hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.port import (
    ActionInvoked,
    ChoreDone,
    CommandInvoked,
    DeliveryFailed,
    FileRef,
    FormSubmitted,
    HomeOpened,
    Inbound,
    InstallChanged,
    MemberLeft,
    MessageAction,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    MsgRef,
    Place,
    ReactionChanged,
    ThreadChanged,
    TimerFired,
)
from bot.wording import word
from handoff import clock
from handoff import ticket as tickets
from handoff.decide import concerns, decide, wants_search, wants_signals
from handoff.effects import Cancel, Decision, Fact, Say, Thread, Unsay, Update, Wake, Whisper
from handoff.facts import Answer, Line
from handoff.forms import FORMS, form_errors, form_for
from handoff.model import Case, Fired, Known, Phase, Reason, TicketState
from handoff.policy import COMMANDS, PERMISSIONS, TRIGGERS, Policy
from tests.handoff.scene import (
    ANA,
    ANCHOR,
    BEN,
    CARD,
    DANA,
    DESK,
    INVOICE,
    KIM,
    LEE,
    LOGIN,
    POLICY,
    QUIET,
    REFUND,
    ROOM,
    START,
    TEXTS,
    THREAD,
    found,
)

INTERNAL = "internal-canary-4711"
PEOPLE = (ANA, ANA, ANA, BEN, KIM, LEE, DANA, replace(BEN, is_bot=True), None)
WORDS = (
    "How do refunds work?", "and then?", "skip", "back", "cancel", "thanks", "hello", "", "INV-12345", "macOS", "25",
    "ana@example.org", "{amount}", "<!channel> @everyone *x* `y`", "a" * 5000, "T-1042", "T-1042 dana", "🙂\n\n```x",
)  # fmt: skip
ORDERS = ("!reply Hello {name}", "!reply {amount}", "!canned hello", "!canned", "!repyl x", "!reply", "! x")
RESULTS: tuple[tuple[Any, ...], ...] = (
    (), (found(REFUND),), (found(REFUND, INVOICE, LOGIN, sure=0.6),), (found(LOGIN, sure=0.2),), (found(sure=0.0),),
    (found(replace(LOGIN, level="collect", category="sales")),), (found(replace(LOGIN, level="draft")),),
    (found(replace(LOGIN, level="escalate")),), (found(REFUND), found(LOGIN, sure=0.1)), (found(REFUND), found(INVOICE)),
    (found(replace(REFUND, language="de"), language="en"),),
)  # fmt: skip
MODES = ("answer", "answer", "answer", "draft", "shadow", "off")

KINDS = (
    *(
        "customer",
        "customer",
        "customer",
        "someone",
        "note",
        "order",
        "press",
        "press",
        "press",
        "form",
        "command",
    ),
    *(
        "timer",
        "timer",
        "edit",
        "delete",
        "reaction",
        "failed",
        "left",
        "home",
        "thread",
        "install",
        "chore",
        "action",
    ),
)
events = st.tuples(st.sampled_from(KINDS), st.integers(0, 10_000), st.integers(0, 10_000))


class Life:
    """One conversation that anything may happen to."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.now, self.n = policy, START, 0
        self.case = Case("c-0123456789", THREAD, ANA)
        self.timers: dict[str, Wake] = {}

    def event(self, kind: str, a: int, b: int) -> Inbound:
        self.n += 1
        actor = PEOPLE[a % len(PEOPLE)]
        number = self.case.ticket.id if self.case.ticket is not None else "T-1042"
        base: dict[str, Any] = {
            "keys": (f"k{self.n}",),
            "place": THREAD,
            "actor": actor,
            "occurred_at": self.now,
        }
        staff = {**base, "place": CARD, "actor": (KIM, LEE, DANA, BEN)[a % 4]}
        ref = MsgRef(THREAD, f"m{a % (self.n + 1)}")
        arg = (
            number,
            f"{number}.1",
            f"{number}.{b % 4}",
            "c-0123456789",
            f"c-0123456789.{b % 4}",
            "T-7",
            "",
            "x.y.z",
        )[b % 8]
        files = (FileRef("f", "a.png"),) if b % 7 == 0 else ()
        new = MsgRef(THREAD, f"m{self.n}")
        match kind:
            case "customer":
                text, where = WORDS[b % len(WORDS)], self.case.place if a % 2 else THREAD
                return MessageReceived(
                    **{**base, "actor": ANA, "place": where}, ref=MsgRef(where, new.id), text=text, files=files,
                    is_root=self.n == 1,
                )  # fmt: skip
            case "someone":
                return MessageReceived(**base, ref=new, text=WORDS[b % len(WORDS)], mentions_bot=b % 3 == 0)
            case "note":
                return MessageReceived(**staff, ref=MsgRef(CARD, f"m{self.n}"), text=f"{INTERNAL} {b}")
            case "order":
                return MessageReceived(
                    **staff, ref=MsgRef(CARD, f"m{self.n}"), text=ORDERS[b % len(ORDERS)], files=files
                )
            case "press":
                verb = ([*PERMISSIONS, "nothing"])[a % (len(PERMISSIONS) + 1)]
                who = PEOPLE[b % len(PEOPLE)]
                return ActionInvoked(
                    **{**base, "actor": who, "place": (THREAD, CARD)[b % 2]}, verb=verb, arg=arg
                )
            case "form":
                values = {
                    "text": WORDS[b % len(WORDS)], "to": ("lee", "", "x")[b % 3], "level": ("P0", "P2", "")[b % 3],
                    "route": ("lab", "x")[b % 2], "reason": "r", "kind": "solved", "cause": "bug", "save": "yes",
                    "summary": "s", "email": WORDS[a % len(WORDS)], "order": "INV-12345", "canned": ("", "hello", "x")[b % 3],
                }  # fmt: skip
                form = ([*FORMS, "nothing"])[a % (len(FORMS) + 1)]
                return FormSubmitted(
                    **{**base, "actor": PEOPLE[b % len(PEOPLE)]}, form=form, context=arg, values=values
                )
            case "command":
                return CommandInvoked(
                    **base, name=([*COMMANDS, "x"])[b % (len(COMMANDS) + 1)], text=WORDS[a % len(WORDS)]
                )
            case "timer":
                name = ([*self.timers, "ghost"])[a % (len(self.timers) + 1)]
                timer = self.timers.pop(name, Wake(name, self.now, number))
                self.now = max(self.now, timer.at) if b % 3 else self.now
                return TimerFired(**{**base, "actor": None}, timer=name, arg=timer.arg)
            case "edit":
                return MessageEdited(**base, ref=ref, text=(f"!reply new {b}", f"new {b}")[b % 2])
            case "delete":
                return MessageDeleted(**base, ref=ref)
            case "reaction":
                return ReactionChanged(**base, ref=ref, emoji=("+1", "-1", "eyes")[b % 3], added=b % 2 == 0)
            case "failed":
                anchor = (f"{number}/out/1", f"{number}/card", "c-0123456789/a/1", "", ANCHOR)[b % 5]
                audience = ("customer", "staff", "person")[a % 3]
                return DeliveryFailed(**base, anchor=anchor, kind="gone", reason="r", audience=audience)  # type: ignore[arg-type]
            case "left":
                return MemberLeft(**base, who=("kim", "lee", "x")[b % 3])
            case "home":
                return HomeOpened(**base)
            case "thread":
                state = ("archived", "deleted", "locked", "opened", "opened")[b % 5]
                where = (THREAD, ROOM, ROOM)[a % 3] if state == "opened" else THREAD
                return ThreadChanged(**{**base, "place": where}, state=state)  # type: ignore[arg-type]
            case "install":
                return InstallChanged(**base, state=("revoked", "left_channel", "joined_channel")[b % 3])  # type: ignore[arg-type]
            case "chore":
                return ChoreDone(
                    **base, chore=COMMANDS[b % len(COMMANDS)], ok=True, result={"n": 1, "rows": [{"a": 1}]}
                )
            case _:
                return MessageAction(
                    **base,
                    verb=("help", "escalate", "x")[b % 3],
                    target=new,
                    target_text="broken",
                    target_author=ANA,
                )

    def known(self, event: Inbound, a: int, b: int) -> Known:
        searched = wants_search(self.case, event, self.policy, self.now)
        names = list(TRIGGERS)
        fired = (
            (Fired(names[b % len(names)], Reason("says", "why")),)
            if wants_signals(self.case, event, self.policy, self.now) and a % 5 == 0
            else ()
        )
        number = 1042 + len(self.case.closed_tickets) + (self.case.ticket is not None)
        return Known(
            next_number=number, found=RESULTS[a % len(RESULTS)] if searched else (), fired=fired,
            anchor=f"T-{number}/card" if event.place == CARD else ("c-0123456789/a/1", "")[b % 2],
            search_failed="R-1" if searched and a % 31 == 0 else "", incident="known" if searched and b % 29 == 0 else "",
            sentiment=("neutral", "negative")[b % 2], redacted=("key",) if b % 37 == 0 else (),
        )  # fmt: skip

    def take(self, decision: Decision) -> None:
        self.case = decision.case
        for effect in decision.effects:
            if isinstance(effect, Wake):
                self.timers[effect.timer] = effect
            elif isinstance(effect, Cancel):
                self.timers.pop(effect.timer, None)
        self.now += 1


LEGAL = {(before, after) for (before, _), after in tickets.MOVES.items()} | {
    (TicketState.SOLVED, TicketState.NEW),
    (TicketState.CLOSED, TicketState.NEW),
    (TicketState.NEW, TicketState.PENDING),  # a reply takes the ticket on its way
    (TicketState.ESCALATED, TicketState.PENDING),
}


def spoken_to(before: Case, after: Case, what: Fact) -> tuple[Place | Thread | None, ...]:
    """Once a private place is ordered, nothing but the way to it is said where everybody reads."""
    there = Thread(after.moving) if after.moving else after.place
    if isinstance(what, Answer) and not before.moving:
        return (before.place, there)  # everybody may have it; only the other part of the question is private
    if what == Line("customer.moved", channel="t9"):
        return (after.public,)
    return (there,)


def holds(before: Case, event: Inbound, decision: Decision, policy: Policy) -> None:
    """The promises, after one step."""
    after, effects = decision.case, decision.effects
    assert decision.why
    if decision.kind == "refuse":
        assert after == before
        assert event.actor is None or any(isinstance(e, Whisper) for e in effects)
    assert after.epoch >= before.epoch
    if before.ticket and after.ticket and before.ticket.number == after.ticket.number:
        old, new = before.ticket, after.ticket
        assert old.state == new.state or (old.state, new.state) in LEGAL, (
            old.state,
            new.state,
            decision.kind,
        )
        assert (
            new.state not in (TicketState.OPEN, TicketState.PENDING)
            or new.assignee is not None
            or isinstance(event, MemberLeft)
        )
        if old.assignee and new.assignee and old.assignee != new.assignee:
            assert decision.kind == "transfer"
        if new is not old and new != old:
            assert any(isinstance(e, Update) and e.anchor == f"{new.id}/card" for e in effects)
    elif before.ticket and after.ticket:
        assert before.ticket.state == TicketState.CLOSED, "an open or solved ticket is never replaced"
    assert (after.phase == Phase.COLLECTING) == (after.collecting is not None)
    if before.phase == Phase.HUMAN and before.ticket is not None and before.ticket.is_open:
        assert not [
            e for e in effects if isinstance(e, Say) and e.audience == "customer" and e.voice == "bot"
        ]
    if decision.kind in ("claim", "takeover", "transfer", "resolve"):
        assert after.epoch > before.epoch
    for effect in effects:
        if isinstance(effect, Say) and effect.audience == "customer":
            assert effect.to in spoken_to(before, after, effect.what)
        if isinstance(effect, Say | Update | Unsay) and effect.audience == "customer":
            assert INTERNAL not in str(effect)
        if isinstance(effect, Say | Update | Whisper):
            content = word(effect.what, after.language, TEXTS)
            assert content.body or content.title
    if policy.launch_mode in ("off", "shadow"):
        spoken = [e for e in effects if isinstance(e, Say) and e.audience == "customer" and e.voice == "bot"]
        assert not spoken or isinstance(event, ActionInvoked | MessageAction)


@settings(max_examples=200, deadline=None)
@given(st.lists(events, min_size=1, max_size=30), st.sampled_from(MODES))
def test_any_life_keeps_the_promises(steps: list[tuple[str, int, int]], mode: str) -> None:
    policy = replace(QUIET, launch_mode=mode)  # type: ignore[arg-type]
    life = Life(policy)
    for kind, a, b in steps:
        event = life.event(kind, a, b)
        known = life.known(event, a, b)
        before = life.case
        concerns(before, event, policy)
        form_for(event, before, policy, "de")
        if isinstance(event, FormSubmitted):
            form_errors(event, before, policy, "")
        decision = decide(before, event, known, life.now, policy)
        assert decision == decide(before, event, known, life.now, policy), "the same input, the same decision"
        holds(before, event, decision, policy)
        life.take(decision)
        wanted = clock.timers(life.case.ticket, policy)
        assert {n for n in life.timers if n != "on_call" and not n.startswith("sent/")} <= set(wanted)


@settings(max_examples=100, deadline=None)
@given(st.lists(events, min_size=1, max_size=20))
def test_a_message_that_comes_twice_changes_nothing_the_second_time(
    steps: list[tuple[str, int, int]],
) -> None:
    life = Life(POLICY)
    for kind, a, b in steps:
        event = life.event(kind, a, b)
        known = life.known(event, a, b)
        life.take(decide(life.case, event, known, life.now, POLICY))
        if isinstance(event, MessageReceived):
            again = decide(life.case, event, known, life.now, POLICY)
            said = [e for e in again.effects if isinstance(e, Say)]
            refused = again.kind in ("refuse", "ignore")
            assert refused or not said, (event, again)
            assert again.case.ticket == life.case.ticket


def test_the_desk_that_is_missing_loses_nothing() -> None:
    """No staff channel for the platform: the customer is told, the ticket exists, the trace says what is missing."""
    policy = replace(POLICY, routes={})
    event = MessageReceived(
        keys=("k",),
        place=THREAD,
        actor=ANA,
        occurred_at=0,
        ref=MsgRef(THREAD, "m"),
        text="a person",
        is_root=True,
    )
    decision = decide(
        Case("c-1", THREAD, ANA), event, Known(next_number=7, fired=(Fired("human"),)), 1.0, policy
    )
    assert decision.case.ticket is not None
    assert any(rule == "no desk" for rule, _ in decision.trace)
    assert DESK not in [e.to for e in decision.effects if isinstance(e, Say)]
