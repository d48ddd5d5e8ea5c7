"""Tickets and the people who have them: claim, release, transfer, takeover, resolve, reopen, rate."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from adapters.port import (
    ActionInvoked,
    CommandInvoked,
    DeliveryFailed,
    FormInput,
    HomeOpened,
    MemberLeft,
    ThreadChanged,
)
from handoff import forms
from handoff import ticket as tickets
from handoff.effects import CloseThread, Home, Say, Unsay, Update, Whisper
from handoff.facts import (
    Card,
    HandedOver,
    HomeView,
    InThread,
    Line,
    OnCall,
    Proposal,
    Raised,
    Resolved,
    Transcript,
)
from handoff.forms import form_for
from handoff.model import Earlier, Phase, TicketState
from handoff.policy import PERMISSIONS, Policy, TierRule
from tests.handoff.scene import (
    ANA,
    BEN,
    CARD,
    DANA,
    DESK,
    KIM,
    LAB,
    LEE,
    LOGIN,
    POLICY,
    REFUND,
    START,
    THREAD,
    Scene,
    found,
    person,
    whispered,
)

S = TicketState


def test_an_emergency_that_is_given_back_calls_again() -> None:
    """Until somebody has it: whoever had it has looked, and no longer does."""
    scene = Scene()
    scene.asks("the site is down for everyone", fired="outage")
    scene.presses(KIM, "claim")
    assert "on_call" not in scene.timers
    called = len(scene.staff_saw(OnCall))
    scene.presses(KIM, "release")
    assert len(scene.staff_saw(OnCall)) == called + 1
    assert "on_call" in scene.timers
    assert scene.presses(DANA, "acknowledge").kind == "acknowledge"
    assert "on_call" not in scene.timers


def test_the_customer_hears_one_line_and_staff_get_everything() -> None:
    scene = Scene()
    scene.asks("Refund?", found(REFUND))
    scene.asks("I want an exception", found(REFUND), fired="refund")
    line = scene.told[-1]
    assert isinstance(line, HandedOver)
    assert line.number == "T-1042"
    assert line.due == pytest.approx(scene.now - 1 + 4 * 3600)
    (card,) = scene.staff_saw(Card)
    ticket = card.ticket
    assert ticket.category == "billing"
    assert ticket.why_escalated.startswith("asks for a refund outside")
    assert ticket.next_step
    assert ticket.tried[0].outcome == "escalated"
    assert ticket.nearest == (("refund", "Refund policy"),)
    assert [i.said.text for i in scene.staff_saw(InThread)] == ["Refund?", REFUND.text, "I want an exception"]
    assert scene.kept("capture")[0].data["escalated"] is True


def test_a_long_conversation_is_not_thirty_messages() -> None:
    scene = Scene(replace(POLICY, max_bot_turns=99))
    for n in range(15):
        scene.asks(f"number{n} of words{n}", found(replace(REFUND, topic=f"t{n}")))
    scene.asks("a person", fired="human")
    (older,) = scene.staff_saw(Transcript)
    assert len(older.lines) + len(scene.staff_saw(InThread)) == len(scene.case.said) == 31
    edit = scene.edits(ANA, "m0", "number zero")
    (gone,) = [e for e in edit.effects if isinstance(e, Unsay)]  # it may stand in several messages
    (copy,) = [e for e in edit.effects if isinstance(e, Say)]
    assert gone.anchor == copy.anchor == "T-1042/transcript"
    assert "number zero" in str(copy.what)


def test_the_time_that_is_promised_is_the_next_staffed_hour() -> None:
    class Closed:
        def add(self, start_epoch: float, seconds: float) -> float:
            return start_epoch + 50_000 + seconds

        def between(self, a: float, b: float) -> float:
            return b - a

        def next_open(self, epoch: float) -> float:
            return epoch + 50_000

        def is_open(self, epoch: float) -> bool:
            return False

    scene = Scene(replace(POLICY, hours=Closed())).handed_over()
    line = scene.told[-1]
    assert isinstance(line, HandedOver)
    assert line.opens == line.now + 50_000
    assert line.due == line.now + 50_000 + 4 * 3600


def test_a_p0_goes_to_its_route_and_calls_until_somebody_looks() -> None:
    scene = Scene()
    scene.asks("The site is down for everyone", fired="outage")
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.priority == "P0"
    (first,) = scene.staff_saw(OnCall)
    assert first.mention == "oncall"
    (card,) = [e for e in scene.log if isinstance(e, Say) and isinstance(e.what, Card)]
    assert card.to == LAB
    assert scene.passes(601).count("on_call") == 2
    scene.presses(KIM, "acknowledge")
    assert "on_call" not in scene.passes(3600)
    assert whispered(scene.presses(KIM, "acknowledge")) == "refused.acknowledged"


def test_one_open_ticket_per_conversation() -> None:
    scene = Scene().handed_over()
    assert whispered(scene.presses(ANA, "person")) == "customer.already"
    scene.asks("a person!", fired="human")
    assert len(scene.staff_saw(Card)) == 1


def test_tier_and_taxonomy_reach_the_ticket() -> None:
    scene = Scene(customer=BEN)
    scene.asks("My refund is missing", found(REFUND), fired="human")
    ticket = scene.case.ticket
    assert ticket is not None
    assert (ticket.tier, ticket.priority, ticket.category, ticket.leaf) == ("gold", "P1", "billing", "refund")


def test_earlier_tickets_leave_their_mark() -> None:
    scene = Scene()
    earlier = tuple(Earlier(n, "x", "closed", START - n * 86_400, csat=2) for n in (1, 2))
    scene.asks("help", fired="human", earlier=earlier)
    assert scene.case.ticket is not None
    assert scene.case.ticket.tags == ("often-here", "rated-low-before")


# --- claim ------------------------------------------------------------------------------------------------------


def test_fifty_clicks_one_assignee_and_forty_nine_are_told_who() -> None:
    scene = Scene().handed_over()
    agents = [person(f"A{n}", "agent") for n in range(50)]
    keys = [whispered(scene.presses(agent, "claim")) for agent in agents]
    assert keys.count("refused.taken") == 49
    assert scene.case.ticket is not None
    assert scene.case.ticket.assignee == agents[0]
    told = [e.what for e in scene.log if isinstance(e, Whisper) and isinstance(e.what, Line)]
    assert all(line.values["name"] == "A0" and line.at is not None for line in told)


def test_a_claim_raises_the_epoch_and_tells_the_customer_who_is_there() -> None:
    scene = Scene().claimed()
    assert scene.case.epoch == 1
    assert scene.case.phase == Phase.HUMAN
    last = [e for e in scene.log if isinstance(e, Say) and e.audience == "customer"][-1]
    assert isinstance(last.what, Line)
    assert (last.voice, last.what.key, last.what.values["name"]) == ("notice", "customer.joined", "Kim")


def test_whoever_has_it_already_is_told_so() -> None:
    assert whispered(Scene().claimed().presses(KIM, "claim")) == "refused.already_yours"


def test_only_the_claimer_or_an_admin_may_release() -> None:
    scene = Scene().claimed()
    assert whispered(scene.presses(LEE, "release")) == "refused.taken"
    scene.presses(DANA, "release")
    assert scene.case.ticket is not None
    assert (scene.case.ticket.state, scene.case.ticket.assignee) == (S.NEW, None)
    scene.presses(LEE, "claim")
    assert scene.case.ticket.assignee == LEE


def test_transfer_changes_hands_at_once() -> None:
    scene = Scene().claimed()
    assert whispered(scene.submits(KIM, "transfer", to="nobody")) == "refused.no_agent"
    scene.submits(KIM, "transfer", to="lee")
    assert scene.case.ticket is not None
    assert scene.case.ticket.assignee is not None
    assert scene.case.ticket.assignee.id == "lee"
    assert scene.case.epoch == 2
    assert whispered(scene.presses(KIM, "release")) == "refused.taken"


@pytest.mark.parametrize("who", ["lee", "Lee", "@lee", " @Lee ", "le", "LEE"])
def test_a_colleague_is_named_as_people_name_them(who: str) -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "transfer", to=who)
    assert scene.case.ticket is not None
    assert scene.case.ticket.assignee is not None
    assert (scene.case.ticket.assignee.id, scene.case.ticket.assignee.name) == ("lee", "Lee")


def test_a_name_that_fits_two_is_refused_with_the_names_that_are_known() -> None:
    ids = {"U1": "Lee Ann", "U2": "Lee Bo", "U3": ""}
    scene = Scene(replace(POLICY, agents={"playground": ids})).claimed()
    for who in ("lee", "", "nobody", "an"):
        decision = scene.submits(KIM, "transfer", to=who)
        line = next(e.what for e in decision.effects if isinstance(e, Whisper))
        assert isinstance(line, Line)
        assert (line.key, line.values["names"]) == ("refused.no_agent", "Lee Ann, Lee Bo")
    assert scene.submits(KIM, "transfer", to="ann").kind == "transfer"
    assert scene.submits(DANA, "transfer", to="U3").kind == "transfer"


def test_a_transfer_tells_the_customer_a_name_and_calls_the_colleague() -> None:
    """An id is nothing to read; whoever gets the ticket is called in its thread."""
    ids = {"U1": "Lee", "U3": ""}
    scene = Scene(replace(POLICY, agents={"playground": ids})).claimed()
    scene.submits(KIM, "transfer", to="lee")
    joined = scene.told[-1]
    assert isinstance(joined, Line)
    assert joined.values["name"] == "Lee"
    given = scene.staff_saw(Line)[-1]
    assert (given.key, given.values["to"], given.mention) == ("staff.transferred", "Lee", "U1")
    scene.submits(DANA, "transfer", to="U3")
    joined = scene.told[-1]
    assert isinstance(joined, Line)
    assert joined.values["name"] == POLICY.public_name


def test_the_form_lists_colleagues_by_name_without_whoever_has_it() -> None:
    def to(policy: Policy) -> FormInput:
        scene = Scene(policy).claimed()
        press = ActionInvoked(
            keys=("p",), place=CARD, actor=KIM, occurred_at=0, verb="transfer", arg=scene.number
        )
        form = form_for(press, scene.case, policy, "")
        assert form is not None
        return form.inputs[0]

    assert to(POLICY).choices == (("dana", "Dana"), ("lee", "Lee"))
    unseen = to(replace(POLICY, agents={"playground": {"U9": ""}}))
    assert (unseen.kind, unseen.choices) == ("line", ())
    many = to(replace(POLICY, agents={"playground": {f"U{n}": f"Agent {n:02}" for n in range(30)}}))
    assert many.kind == "line"
    assert many.hint.startswith("Agent 00, Agent 01")
    assert len(many.hint) <= 100


def test_writing_in_the_customers_thread_is_a_takeover() -> None:
    scene = Scene().handed_over()
    scene.steps_in(KIM)
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.assignee == KIM
    assert ticket.state == S.PENDING
    assert ticket.first_response_at is not None
    assert scene.case.epoch == 1


def test_a_takeover_without_a_ticket_silences_the_bot() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    scene.steps_in(KIM)
    said = len(scene.bot_said)
    scene.asks("and then?", found(REFUND))
    assert len(scene.bot_said) == said
    scene.steps_in(KIM, "over to you", mentions_bot=True)
    scene.asks("how do I log in?", found(replace(LOGIN, confidence=0.9)))
    assert len(scene.bot_said) == said + 1


def test_another_agent_does_not_take_a_claimed_ticket_by_writing() -> None:
    scene = Scene().claimed()
    scene.steps_in(LEE)
    assert scene.case.ticket is not None
    assert scene.case.ticket.assignee == KIM


@pytest.mark.parametrize("actor", [ANA, BEN], ids=["the customer", "a stranger"])
def test_customers_cannot_press_the_desks_buttons(actor: object) -> None:
    scene = Scene().handed_over()
    before = scene.case
    for verb, who in PERMISSIONS.items():
        if who in ("agent", "assignee", "admin") and verb != "escalate_message":
            decision = scene.presses(actor, verb, "T-1042")  # type: ignore[arg-type]
            assert whispered(decision).startswith("refused."), verb
            assert scene.case == before


def test_another_teams_agent_is_refused() -> None:
    routes = {**POLICY.routes, "desk": replace(POLICY.routes["desk"], role="team-a")}
    scene = Scene(replace(POLICY, routes=routes)).handed_over()
    assert whispered(scene.presses(KIM, "claim")) == "refused.other_team"
    scene.presses(person("Max", "agent", "team-a"), "claim")
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == S.OPEN


def test_the_claimer_who_leaves_gives_it_back() -> None:
    scene = Scene().claimed()
    left = MemberLeft(keys=("l",), place=DESK, actor=None, occurred_at=0, who="kim")
    scene.play(left)
    assert scene.case.ticket is not None
    assert (scene.case.ticket.state, scene.case.ticket.assignee) == (S.NEW, None)
    before = scene.case
    scene.play(left)
    assert scene.case == before


def test_return_to_bot_answers_again_and_does_not_hand_over_again() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply It is on its way.")
    scene.presses(KIM, "return")
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == S.CLOSED
    assert scene.asks("How do refunds work?", found(REFUND)).kind == "answer"
    assert any(s.text == "It is on its way." for s in scene.case.said)


def test_raising_to_a_specialist_has_its_own_clock() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "escalate", route="lab", reason="needs a look inside")
    ticket = scene.case.ticket
    assert ticket is not None
    assert (ticket.state, ticket.route, ticket.assignee, ticket.escalated_ever) == (
        S.ESCALATED,
        "lab",
        None,
        True,
    )
    (pointer,) = [e for e in scene.log if isinstance(e, Say) and isinstance(e.what, Raised)]
    assert pointer.to == LAB
    assert "acknowledge" in scene.timers
    scene.presses(LEE, "claim")
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == S.OPEN
    assert "acknowledge" not in scene.timers


# --- moves ------------------------------------------------------------------------------------------------------

BY_BUTTON = ("claim", "release", "return", "reopen")


def in_state(state: TicketState) -> Scene:
    scene = Scene().handed_over()
    if state == S.ESCALATED:
        scene.submits(DANA, "escalate", route="lab", reason="x")
    elif state != S.NEW:
        scene.presses(DANA, "claim")
    if state == S.PENDING:
        scene.notes(DANA, "!reply Hello")
    if state in (S.SOLVED, S.CLOSED):
        scene.submits(DANA, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    if state == S.CLOSED:
        scene.passes(50 * 3600)
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == state
    return scene


@pytest.mark.parametrize(("state", "move"), list(product(S, BY_BUTTON)), ids=lambda v: str(v))
def test_illegal_moves_change_nothing_and_explain_themselves(state: TicketState, move: str) -> None:
    scene = in_state(state)
    before = scene.case
    decision = scene.presses(DANA, move)
    legal = (state, move) in tickets.MOVES
    if legal:
        assert scene.case.ticket is not None
        assert scene.case.ticket.state in (tickets.MOVES[state, move], S.NEW)
    else:
        assert scene.case == before
        assert whispered(decision).startswith("refused.")


@pytest.mark.parametrize("state", list(S))
def test_every_button_on_the_card_does_something(state: TicketState) -> None:
    scene = in_state(state)
    assert scene.case.ticket is not None
    for verb in tickets.buttons(scene.case.ticket):
        event = ActionInvoked(keys=("b",), place=CARD, actor=DANA, occurred_at=0, verb=verb, arg="T-1042")
        if form_for(event, scene.case, POLICY, "") is not None:
            continue
        copy = Scene()
        copy.case, copy.now = scene.case, scene.now
        decision = copy.play(event, found=(found(LOGIN),))
        assert decision.kind != "refuse", verb


def test_the_card_follows_every_change_of_the_ticket() -> None:
    scene = Scene().handed_over()
    revision = 0
    for act in (
        lambda: scene.presses(KIM, "claim"),
        lambda: scene.notes(KIM, "!reply Hi"),
        lambda: scene.asks("ok?"),
    ):
        decision = act()
        (card,) = [e.what for e in decision.effects if isinstance(e, Update) and e.anchor == "T-1042/card"]
        assert isinstance(card, Card)
        assert card.ticket.revision > revision
        assert card.ticket == scene.case.ticket
        revision = card.ticket.revision


def test_old_buttons_belong_to_history() -> None:
    scene = in_state(S.CLOSED)
    scene.asks("Something else", found(REFUND))
    scene.asks("a person", fired="human")
    assert scene.number == "T-1043"
    assert scene.case.closed_tickets == (1042,)
    assert scene.case.ticket is not None
    assert 1042 in scene.case.ticket.earlier
    assert whispered(scene.presses(KIM, "claim", "T-1042")) == "refused.old_ticket"


# --- the end ----------------------------------------------------------------------------------------------------


def test_resolve_tells_asks_and_proposes() -> None:
    scene = Scene().claimed()
    scene.submits(
        KIM,
        "resolve",
        kind="workaround",
        cause="docs_gap",
        summary="Use the link.",
        tags="Login, mail",
        save="yes",
    )
    ticket = scene.case.ticket
    assert ticket is not None
    assert (ticket.state, ticket.resolution_type, ticket.root_cause) == (S.SOLVED, "workaround", "docs_gap")
    assert ticket.tags == ("login", "mail")
    assert isinstance(scene.told[-1], Resolved)
    assert any(isinstance(e, CloseThread) and e.solved for e in scene.log)
    assert scene.kept("proposal")[0].data["answer"] == "Use the link."
    assert scene.staff_saw(Proposal)
    assert whispered(scene.submits(KIM, "resolve", kind="solved")) == "refused.state"


def test_a_proposal_stands_next_to_its_nearest_topic() -> None:
    scene = Scene()
    scene.asks("refund after 20 days?", found(REFUND), fired="refund")
    scene.presses(KIM, "claim")
    scene.submits(KIM, "resolve", summary="Not after 14 days.", save="yes", kind="explained", cause="how_to")
    assert scene.staff_saw(Proposal)[0].nearest == ("refund", "Refund policy")


def test_ratings_can_change_and_carry_a_comment() -> None:
    scene = in_state(S.SOLVED)
    assert whispered(scene.presses(BEN, "csat1", "T-1042")) == "refused.not_yours"
    scene.presses(ANA, "csat2", "T-1042")
    scene.presses(ANA, "csat5", "T-1042")
    event = ActionInvoked(keys=("b",), place=THREAD, actor=ANA, occurred_at=0, verb="comment", arg="T-1042")
    assert form_for(event, scene.case, POLICY, "") is not None
    scene.submits(ANA, "comment", text="Quick!")
    assert scene.kept("csat")[-1].data["stars"] == 5
    assert scene.kept("csat")[-1].data["comment"] == "Quick!"


def test_no_rating_before_the_end() -> None:
    assert whispered(Scene().claimed().presses(ANA, "csat5", "T-1042")) == "refused.not_solved"


def test_a_reply_reopens_thanks_do_not() -> None:
    scene = in_state(S.SOLVED)
    scene.asks("Thank you!")
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == S.SOLVED
    scene.asks("It is broken again")
    assert scene.case.ticket.reopened == 1
    assert scene.case.ticket.state == S.OPEN
    assert scene.case.ticket.assignee == DANA


def test_after_it_is_closed_the_bot_answers_and_a_new_ticket_knows_the_old_one() -> None:
    scene = in_state(S.CLOSED)
    assert scene.asks("refund?", found(REFUND)).kind == "answer"
    scene.asks("a person", fired="human")
    assert scene.case.ticket is not None
    assert scene.case.ticket.earlier == (1042,)


def test_asking_for_a_person_after_it_was_solved_reopens_it() -> None:
    scene = in_state(S.SOLVED)
    scene.presses(ANA, "person", "c-0123456789")
    assert scene.case.ticket is not None
    assert (scene.number, scene.case.ticket.state) == ("T-1042", S.OPEN)


def test_the_customer_can_say_that_it_is_not_solved() -> None:
    scene = in_state(S.SOLVED)
    assert scene.presses(ANA, "still_open", "T-1042").kind == "reopen"


# --- forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["reply", "transfer", "priority", "escalate", "resolve"])
def test_forms_open_for_whoever_may_and_fit_everywhere(verb: str) -> None:
    scene = Scene().claimed()
    for event in (
        ActionInvoked(keys=("b",), place=CARD, actor=KIM, occurred_at=0, verb=verb, arg="T-1042"),
        CommandInvoked(keys=("b",), place=CARD, actor=KIM, occurred_at=0, name=verb, text="T-1042"),
    ):
        form = form_for(event, scene.case, POLICY, "de")
        assert form is not None
        assert form.context == "T-1042"
        assert 1 <= len(form.inputs) <= forms.INPUTS_MAX
        assert len(form.title) <= forms.TITLE_CHARACTERS
        assert all(len(i.label) <= forms.LABEL_CHARACTERS and i.label[:5] != "form." for i in form.inputs)
        assert form_for(replace(event, actor=ANA), scene.case, POLICY, "") is None
        assert form_for(event, in_state(S.CLOSED).case, POLICY, "") is None


def test_the_priority_form_changes_deadlines() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "priority", level="P1", reason="big customer")
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.priority_reason == "big customer"
    assert ticket.first_response_due == pytest.approx(ticket.opened_at + 3600)
    assert whispered(scene.submits(KIM, "priority", level="P1")) == "refused.same_priority"
    assert whispered(scene.submits(KIM, "priority", level="P9")) == "refused.state"


# --- what goes wrong --------------------------------------------------------------------------------------------


def failed(anchor: str, audience: str) -> DeliveryFailed:
    return DeliveryFailed(
        keys=("f",), place=THREAD, actor=None, occurred_at=0, anchor=anchor, kind="forbidden", reason="50007",
        audience=audience,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_reply_that_does_not_arrive_is_shown_where_staff_work() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Hello")
    scene.play(failed("T-1042/out/1", "customer"))
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.state == S.OPEN
    assert "50007" in ticket.failures[0]
    assert scene.staff_saw(Line)[-1].key == "staff.undelivered"


def test_a_failure_towards_staff_is_never_answered_there() -> None:
    scene = Scene().claimed()
    decision = scene.play(failed("T-1042/card", "staff"))
    assert not any(isinstance(e, Say | Update) for e in decision.effects)


def test_an_answer_that_does_not_arrive_reaches_the_desk() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    scene.play(failed("c-0123456789/a/1", "customer"))
    assert scene.staff_saw(Line)[-1].key == "staff.undelivered_answer"


def test_a_deleted_thread_is_shown_and_archiving_resolves_nothing() -> None:
    scene = Scene().claimed()
    for state in ("archived", "deleted"):
        scene.play(ThreadChanged(keys=("t",), place=THREAD, actor=None, occurred_at=0, state=state))  # type: ignore[arg-type]
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == S.OPEN
    assert len(scene.case.ticket.failures) == 1


def test_the_home_tab() -> None:
    scene = Scene()
    decision = scene.play(HomeOpened(keys=("h",), place=THREAD, actor=ANA, occurred_at=0))
    (home,) = [e for e in decision.effects if isinstance(e, Home)]
    assert isinstance(home.what, HomeView)


# --- the customer as of now -----------------------------------------------------------------------------------


def cards(scene: Scene) -> list[Card]:
    """The card as it was posted, and after each change."""
    every = [e.what for e in scene.log if isinstance(e, Say | Update)]
    return [fact for fact in every if isinstance(fact, Card)]


TIERS = replace(POLICY, tiers=(TierRule("gold", roles=frozenset({"r-gold"}), floor="P1"),))
GOLDEN = replace(ANA, name="Ana Q.", roles=frozenset({"r-gold"}))


def test_the_card_shows_the_customers_present_name_and_tier() -> None:
    """Whoever looks at it must not serve an enterprise customer as anybody."""
    scene = Scene(TIERS).handed_over()
    scene.asks("any news?", by=GOLDEN)

    assert scene.case.ticket is not None
    assert scene.case.ticket.tier == "gold"
    assert (cards(scene)[-1].customer.name, cards(scene)[-1].ticket.tier) == ("Ana Q.", "gold")
    scene.asks("I have left that plan", by=ANA)
    assert (cards(scene)[-1].customer.name, cards(scene)[-1].ticket.tier) == ("Ana", "")


def test_a_better_tier_lifts_the_priority_and_a_worse_one_does_not_lower_it() -> None:
    scene = Scene(TIERS).handed_over()
    before = cards(scene)[-1].ticket
    scene.asks("any news?", by=GOLDEN)

    now = cards(scene)[-1].ticket
    assert (before.priority, now.priority) == ("P2", "P1")
    assert now.priority_reason == POLICY.phrase("reason.tier", words="P1", score="")
    assert now.first_response_due is not None
    assert before.first_response_due is not None
    assert now.first_response_due < before.first_response_due
    scene.submits(KIM, "priority", level="P3", reason="can wait")
    scene.asks("hello?", by=GOLDEN)
    assert cards(scene)[-1].ticket.priority == "P3", (
        "what an agent says counts as long as the tier is the same"
    )
    scene.submits(KIM, "priority", level="P1", reason="cannot wait")
    scene.asks("hello?", by=ANA)
    assert cards(scene)[-1].ticket.priority == "P1"


@pytest.mark.parametrize("act", ["press", "form", "command"])
def test_whatever_the_customer_does_tells_who_they_are(act: str) -> None:
    scene = Scene(TIERS)
    scene.asks("refund please", found(replace(REFUND, level="collect")))
    if act == "press":
        scene.presses(GOLDEN, "skip", scene.case.id)
    elif act == "form":
        scene.submits(GOLDEN, "fill", scene.case.id, order="INV-1234567")
    else:
        scene.runs(GOLDEN, "my-data")
    assert scene.case.customer == GOLDEN


def test_a_platform_that_cannot_be_asked_takes_nothing_away() -> None:
    scene = Scene(TIERS, customer=GOLDEN).handed_over()
    shown = len(cards(scene))
    scene.asks("any news?", by=replace(GOLDEN, name="", roles=frozenset()))

    assert scene.case.customer == GOLDEN
    assert len(cards(scene)) == shown, "nothing changed, so the card is not edited"


def test_nobody_else_is_taken_for_the_customer() -> None:
    scene = Scene(TIERS).handed_over()
    scene.asks("me too", by=replace(BEN, roles=frozenset({"r-gold"})))
    scene.presses(KIM, "claim")
    assert scene.case.customer == ANA
    assert cards(scene)[-1].ticket.tier == ""


def test_a_closed_ticket_keeps_what_it_was() -> None:
    scene = Scene(TIERS).claimed()
    scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    scene.asks("thanks", by=GOLDEN)
    assert scene.case.customer == GOLDEN
    assert scene.case.ticket is not None
    assert scene.case.ticket.tier == ""
