"""What the bot says to a question: answer, ask back, decline, offer, collect, draft, hand over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.port import MessageAction, MsgRef, ReactionChanged
from handoff.decide import concerns, wants_search, wants_signals
from handoff.effects import CloseThread, Keep, Mark, Open, Say
from handoff.facts import Answer, Ask, AskField, HandedOver, Incident, Line, Offer, Shadow
from handoff.facts import Draft as DraftFact
from handoff.model import Earlier, Fired, Phase, Reason, Searched
from handoff.policy import CategoryRule, ChannelRule
from tests.handoff.scene import (
    ANA,
    BEN,
    DANA,
    DESK,
    INVOICE,
    KIM,
    LOGIN,
    POLICY,
    REFUND,
    THREAD,
    Scene,
    found,
    person,
    whispered,
)


def test_a_sure_answer_comes_with_sources_buttons_and_says_that_a_bot_speaks() -> None:
    scene = Scene()
    decision = scene.asks("How do I get my money back?", found(REFUND))
    (answer,) = scene.told
    assert isinstance(answer, Answer)
    assert (decision.kind, answer.text, answer.opening) == ("answer", REFUND.text, True)
    assert (answer.sources[0].reviewed, answer.sources[0].version) == ("2025-10-01", "v1")
    assert isinstance(decision.effects[0], Open)
    scene.asks("And invoices?", found(replace(INVOICE, confidence=0.9)))
    second = scene.told[-1]
    assert isinstance(second, Answer)
    assert not second.opening


def test_the_receipt_holds_what_a_replay_needs() -> None:
    scene = Scene()
    scene.asks("How do I get my money back?", found(REFUND, question="money back"))
    (receipt,) = scene.kept("receipt")
    assert receipt.key == "A-c-0123456789.1"
    wanted = {"snapshot": "snap-1", "topic": "refund", "version": "v1", "question": "money back"}
    assert wanted.items() <= receipt.data.items()
    assert receipt.data["text"] == REFUND.text
    assert receipt.data["trace"]


def test_the_receipt_holds_what_the_search_was_given_and_what_a_composed_answer_cites() -> None:
    scene = Scene()
    given = Searched(channel="help", roles=("gold",), previous="before", day="2027-01-11")
    composed = replace(found(REFUND, INVOICE), composed="As a model says it.", composed_sources=(2, 1))
    scene.asks("How do I get my money back?", composed, searched=given)
    (receipt,) = scene.kept("receipt")
    assert receipt.data["searched"]["roles"] == ("gold",)
    assert (receipt.data["searched"]["previous"], receipt.data["searched"]["day"]) == ("before", "2027-01-11")
    (part,) = receipt.data["each"]
    assert part["composed"]
    assert [topic for topic, _, _ in part["cites"]] == ["invoice", "refund"]
    (answer,) = scene.told
    assert [source.topic for source in answer.sources] == ["invoice", "refund"]


def test_a_draft_names_what_its_words_are_from_and_keeps_it() -> None:
    scene = Scene(replace(POLICY, launch_mode="draft"))
    composed = replace(found(REFUND, INVOICE), composed="As a model says it.", composed_sources=(2,))
    scene.asks("How do I get my money back?", composed)
    (draft,) = scene.staff_saw(DraftFact)
    assert [source.topic for source in draft.sources] == ["invoice"]
    assert scene.kept("draft")[0].data["parts"] == [[composed.question, "invoice", INVOICE.version]]


def test_the_language_models_draft_names_the_passages_that_it_cites() -> None:
    scene = Scene()
    given = found(REFUND, INVOICE, sure=0.3)
    scene.asks("?", given)
    scene.presses(ANA, "person", "c-0123456789", found=(given,), draft="Have a look.", draft_sources=(2,))
    (draft,) = scene.staff_saw(DraftFact)
    assert (draft.text, [source.topic for source in draft.sources]) == ("Have a look.", ["invoice"])


@pytest.mark.parametrize(
    ("sure", "hits", "kind", "fact"),
    [
        pytest.param(0.95, (REFUND,), "answer", Answer, id="sure"),
        pytest.param(0.8, (REFUND,), "answer", Answer, id="at the threshold"),
        pytest.param(0.79, (REFUND, INVOICE), "clarify", Ask, id="near two topics"),
        pytest.param(0.3, (REFUND, INVOICE), "offer", Offer, id="not near"),
        pytest.param(0.01, (REFUND,), "decline", Offer, id="unrelated"),
        pytest.param(0.0, (), "decline", Offer, id="nothing found"),
    ],
)
def test_confidence_decides(sure: float, hits: tuple, kind: str, fact: type) -> None:
    scene = Scene()
    assert scene.asks("?", found(*hits, sure=sure)).kind == kind
    assert isinstance(scene.told[0], fact)
    assert bool(scene.kept("gap")) == (kind != "answer")


@pytest.mark.parametrize(
    ("topic", "category", "expected"),
    [
        ("", "answer", "answer"),
        ("draft", "answer", "draft"),
        ("answer", "draft", "draft"),
        ("collect", "draft", "collect"),
        ("draft", "escalate", "escalate"),
        ("escalate", "answer", "escalate"),
    ],
)
def test_the_stricter_of_topic_and_category_wins(topic: str, category: str, expected: str) -> None:
    rule = CategoryRule("general", level=category, fields=("steps",))  # type: ignore[arg-type]
    scene = Scene(replace(POLICY, categories={"general": rule}))
    assert scene.asks("?", found(replace(LOGIN, level=topic))).kind == expected


def test_one_clarifying_question_then_an_answer() -> None:
    scene = Scene()
    scene.asks("That money thing", found(REFUND, INVOICE, LOGIN, sure=0.6))
    (ask,) = scene.told
    assert isinstance(ask, Ask)
    assert ask.options == ("Refund policy", "Invoices", "Logging in")
    scene.presses(ANA, "pick", "c-0123456789.1", found=(found(REFUND, INVOICE, sure=0.6),))
    answer = scene.told[-1]
    assert isinstance(answer, Answer)
    assert answer.text == INVOICE.text


def test_never_a_second_clarifying_question() -> None:
    scene = Scene()
    scene.asks("That money thing", found(REFUND, INVOICE, sure=0.6))
    assert scene.asks("You know, the thing", found(REFUND, INVOICE, sure=0.6)).kind == "escalate"
    assert sum(isinstance(f, Ask) for f in scene.told) == 1


def test_none_of_these_goes_to_a_person() -> None:
    scene = Scene()
    scene.asks("That money thing", found(REFUND, INVOICE, sure=0.6))
    assert scene.presses(ANA, "none").kind == "escalate"


def test_the_third_turn_offers_or_hands_over_without_being_asked() -> None:
    scene = Scene()
    scene.asks("one", found(LOGIN, sure=0.3))
    scene.asks("two", found(LOGIN, sure=0.3))
    assert scene.asks("three", found(LOGIN, sure=0.3)).kind == "escalate"
    assert scene.case.ticket is not None
    assert scene.case.ticket.trigger == "third_turn"
    assert isinstance(scene.told[-1], HandedOver)
    happy = Scene()
    happy.asks("refund", found(REFUND))
    happy.asks("invoice", found(INVOICE))
    happy.asks("login", found(LOGIN))
    assert [f.offer for f in happy.told if isinstance(f, Answer)] == [False, False, True]


def test_the_same_answer_is_not_given_twice() -> None:
    scene = Scene()
    scene.asks("How do I get my money back?", found(REFUND))
    assert scene.asks("But I want that sum returned", found(REFUND)).kind == "offer"
    assert scene.kept("outcome")[0].data["outcome"] == "re-asked"


def test_the_same_question_for_the_third_time_goes_to_a_person() -> None:
    scene = Scene(replace(POLICY, max_bot_turns=9))
    for _ in range(2):
        scene.asks("My invoice is still wrong", found(LOGIN, sure=0.3))
    scene.asks("my invoice is still wrong!", found(LOGIN, sure=0.3))
    assert scene.case.ticket is not None
    assert scene.case.ticket.trigger == "repeat"


def test_two_similar_earlier_tickets_make_it_the_third_time() -> None:
    scene = Scene()
    earlier = tuple(Earlier(n, "invoice wrong", "closed", 0, 0.9) for n in (7, 8))
    scene.asks("My invoice is wrong", found(REFUND), earlier=earlier)
    assert scene.case.ticket is not None
    assert scene.case.ticket.earlier == (7, 8)


def test_two_questions_the_known_one_is_answered_the_other_passed_on() -> None:
    scene = Scene()
    known, unknown = found(REFUND, question="refund?"), found(LOGIN, sure=0.2, question="Can I bring my dog?")
    scene.asks("refund? and can I bring my dog?", known, unknown)
    (answer,) = scene.told
    assert isinstance(answer, Answer)
    assert answer.passed_on == ("Can I bring my dog?",)
    assert answer.handed is not None
    assert scene.case.ticket is not None
    assert answer.handed.number == scene.case.ticket.id
    assert "dog" in scene.case.ticket.wants
    assert [x.outcome for x in scene.case.tried] == [""]  # what was answered has not failed
    assert scene.case.phase == Phase.DESK


def test_a_part_that_is_not_about_our_product_is_named_and_makes_no_ticket() -> None:
    """Whoever thinks that it is one can still ask for a person; the review sees it as a gap."""
    scene = Scene()
    off_topic = found(LOGIN, sure=0.01, question="Who won the world cup?")
    scene.asks("refund? Who won the world cup?", found(REFUND, question="refund?"), off_topic)
    (answer,) = scene.told
    assert isinstance(answer, Answer)
    assert (answer.aside, answer.passed_on, answer.handed) == (("Who won the world cup?",), (), None)
    assert scene.case.ticket is None
    assert scene.case.phase == Phase.BOT
    assert [e.data["question"] for e in scene.log if isinstance(e, Keep) and e.kind == "gap"] == [
        "Who won the world cup?"
    ]

    scene.presses(ANA, "person", "c-0123456789")
    assert scene.case.ticket is not None


def test_of_three_questions_each_gets_what_it_needs() -> None:
    scene = Scene()
    off_topic = found(LOGIN, sure=0.01, question="Who won the world cup?")
    uncovered = found(LOGIN, sure=0.2, question="Can I bring my dog?")
    scene.asks("…", found(REFUND, question="refund?"), off_topic, uncovered)
    (answer,) = scene.told
    assert isinstance(answer, Answer)
    assert (answer.aside, answer.passed_on) == (("Who won the world cup?",), ("Can I bring my dog?",))
    assert scene.case.ticket is not None
    assert scene.case.ticket.wants == "Can I bring my dog?"


@pytest.mark.parametrize("pleasantry", ["How are you doing?", "Are you a bot?"])
def test_a_part_that_is_small_talk_is_no_question_for_anybody(pleasantry: str) -> None:
    """However near it seems to a topic. Who asks whether this is a bot is told so again."""
    scene = Scene()
    scene.asks("refund?", found(REFUND, question="refund?"))
    scene.asks(f"the invoice? {pleasantry}", found(replace(INVOICE, confidence=0.95), question="the invoice?"),
               found(LOGIN, sure=0.3, question=pleasantry))  # fmt: skip
    answer = scene.told[-1]
    assert isinstance(answer, Answer)
    assert INVOICE.text in answer.text
    assert (answer.aside, answer.passed_on, scene.case.ticket) == ((), (), None)
    assert answer.opening == ("bot" in pleasantry)


def test_what_is_not_about_our_product_does_not_wait_for_the_question_that_is_asked_back() -> None:
    scene = Scene()
    near = found(INVOICE, LOGIN, sure=0.5, question="the bill?")
    scene.asks("the bill? Who won?", near, found(LOGIN, sure=0.01, question="Who won?"),
               found(LOGIN, sure=0.01, question="How are you?"))  # fmt: skip
    (ask,) = scene.told
    assert isinstance(ask, Ask)
    assert (ask.about, ask.aside, scene.case.others) == ("", ("Who won?",), ())
    scene.presses(ANA, "pick", "c-0123456789.0", found=(near,))
    assert scene.case.ticket is None


def test_a_question_beside_an_answer_in_another_language_is_not_forgotten() -> None:
    scene = Scene()
    german = found(replace(REFUND, language="de"), question="refund?", language="en")
    scene.asks("refund? my dog?", german, found(LOGIN, sure=0.2, question="my dog?"))
    assert isinstance(scene.told[-1], Ask)
    scene.presses(ANA, "pick", "c-0123456789.0", found=(german,))
    answer = scene.told[-1]
    assert isinstance(answer, Answer)
    assert answer.passed_on == ("my dog?",)


@pytest.mark.parametrize("level", ["draft", "collect", "escalate"])
def test_a_part_that_is_for_people_does_not_keep_the_other_from_being_answered(level: str) -> None:
    scene = Scene()
    held = replace(INVOICE, level=level, confidence=0.95)
    scene.asks(
        "refund? and the invoice?",
        found(REFUND, question="refund?"),
        found(held, question="and the invoice?"),
    )
    (answer,) = scene.told
    assert isinstance(answer, Answer)
    assert REFUND.text in answer.text
    assert INVOICE.text not in answer.text
    assert answer.passed_on == ("and the invoice?",)
    assert scene.case.ticket is not None
    assert scene.case.ticket.draft == (INVOICE.text if level == "draft" else "")


def test_two_questions_of_which_one_needs_asking_back_lose_neither() -> None:
    """The clarifying question says which one it is about; once that is settled, the other goes to a person, by name."""
    scene = Scene()
    near, far = (
        found(INVOICE, LOGIN, sure=0.5, question="the bill?"),
        found(LOGIN, sure=0.1, question="And my dog?"),
    )
    scene.asks("the bill? And my dog?", near, far)
    (ask,) = scene.told
    assert isinstance(ask, Ask)
    assert ask.about == "the bill?"
    assert scene.case.others == ("And my dog?",)
    scene.presses(ANA, "pick", "c-0123456789.0", found=(near,))
    answer = scene.told[-1]
    assert isinstance(answer, Answer)
    assert INVOICE.text in answer.text
    assert answer.passed_on == ("And my dog?",)
    assert scene.case.ticket is not None
    assert scene.case.ticket.wants == "And my dog?"
    assert scene.case.others == ()


def test_nothing_is_lost_where_asking_back_leads_to_a_person() -> None:
    scene = Scene()
    near, far = (
        found(INVOICE, LOGIN, sure=0.5, question="the bill?"),
        found(LOGIN, sure=0.1, question="And my dog?"),
    )
    scene.asks("the bill? And my dog?", near, far)
    scene.presses(ANA, "none", "c-0123456789")
    assert scene.case.ticket is not None
    assert scene.case.ticket.wants == "the bill? And my dog?"


def test_a_ticket_is_about_what_was_said_last_not_about_what_was_asked_before() -> None:
    """An open clarifying question or offer does not become the subject of something else."""
    for before in (found(INVOICE, LOGIN, sure=0.5), found(LOGIN, sure=0.01)):
        scene = Scene()
        scene.asks("something unclear", before)
        scene.asks("somebody has hacked my account", fired="security")
        assert scene.case.ticket is not None
        assert scene.case.ticket.subject == "somebody has hacked my account"


def test_two_known_questions_are_both_answered() -> None:
    scene = Scene()
    scene.asks("refund? invoices?", found(REFUND), found(INVOICE))
    (answer,) = scene.told
    assert isinstance(answer, Answer)
    assert REFUND.text in answer.text
    assert INVOICE.text in answer.text
    assert len(answer.sources) == 2


@pytest.mark.parametrize(
    "trigger",
    [
        "human",
        "angry",
        "legal",
        "advice",
        "dispute",
        "refund",
        "security",
        "safety",
        "outage",
    ],
)
def test_a_trigger_hands_over_and_nothing_is_answered(trigger: str) -> None:
    scene = Scene()
    decision = scene.asks("words", found(REFUND), fired=trigger)
    assert decision.kind == "escalate"
    (line,) = scene.told
    assert isinstance(line, HandedOver)
    assert scene.case.ticket is not None
    assert scene.case.ticket.trigger == trigger


def test_abuse_gets_a_boundary_a_ticket_and_quiet_but_never_loses_a_word() -> None:
    scene = Scene()
    scene.asks("you !%&", fired="abuse")
    assert scene.case.phase == Phase.MUTED
    (line,) = scene.told
    assert isinstance(line, HandedOver)
    assert line.muted_minutes == 30
    assert scene.asks("and again !%&", fired="abuse").kind == "relay"
    assert len(scene.bot_said) == 1


def test_a_topics_own_boundary_counts_only_for_that_topic() -> None:
    from handoff.model import Fired, Known, Reason  # the trigger names a topic here

    scene = Scene()
    event = scene.message(ANA, "refund for a chargeback", is_root=True)
    from handoff.decide import decide

    elsewhere = Known(
        next_number=1,
        found=(found(LOGIN),),
        fired=(Fired("refund", Reason("boundary", "chargeback"), topic="refund"),),
    )
    assert decide(scene.case, event, elsewhere, scene.now, POLICY).kind == "answer"
    own = replace(elsewhere, found=(found(REFUND),))
    assert decide(scene.case, event, own, scene.now, POLICY).kind == "escalate"


@pytest.mark.parametrize(
    ("words", "trigger"),
    [(("human says", "manager example"), "human"), (("human says", "manager says"), "manager"),
     (("human example", "manager example"), "manager"), (("manager example",), "manager")],
)  # fmt: skip
def test_a_person_in_so_many_words_is_no_manager_because_it_sounds_alike(
    words: tuple[str, ...], trigger: str
) -> None:
    scene = Scene()
    kinds = [word.split() for word in words]
    scene.play(
        scene.message(ANA, "I want to talk to a person"),
        fired=tuple(Fired(name, Reason(kind, "…")) for name, kind in kinds),
    )
    assert scene.case.ticket is not None
    assert scene.case.ticket.trigger == trigger


def test_a_bug_report_collects_first() -> None:
    scene = Scene()
    assert scene.asks("It crashes", fired="bug").kind == "collect"
    assert isinstance(scene.told[0], AskField)


@pytest.mark.parametrize(
    ("mode", "kind", "customer_sees"),
    [
        ("answer", "answer", [Answer]),
        ("draft", "draft", [HandedOver]),
        ("shadow", "shadow", []),
        ("off", "ignore", []),
    ],
)
@pytest.mark.parametrize("whole", [True, False], ids=["globally", "for the category"])
def test_launch_modes(mode: str, kind: str, customer_sees: list, whole: bool) -> None:
    billing = replace(POLICY.categories["billing"], launch_mode=mode)  # type: ignore[arg-type]
    policy = (
        replace(POLICY, launch_mode=mode)  # type: ignore[arg-type]
        if whole
        else replace(POLICY, categories={**POLICY.categories, "billing": billing})
    )
    scene = Scene(policy)
    assert scene.asks("refund?", found(REFUND)).kind == kind
    assert [type(f) for f in scene.told] == customer_sees
    assert bool(scene.staff_saw(Shadow)) == (mode == "shadow")
    assert bool(scene.staff_saw(DraftFact)) == (mode == "draft")


def test_a_category_that_is_not_launched_still_hands_over_whoever_needs_a_person() -> None:
    billing = replace(POLICY.categories["billing"], launch_mode="off")
    scene = Scene(replace(POLICY, categories={**POLICY.categories, "billing": billing}))
    assert scene.asks("refund?", found(REFUND)).kind == "ignore"
    assert scene.asks("a person, about my refund", found(REFUND), fired="human").kind == "escalate"


def test_shadow_makes_no_ticket_and_keeps_the_receipt_apart() -> None:
    scene = Scene(replace(POLICY, launch_mode="shadow"))
    scene.asks("refund?", found(REFUND))
    scene.asks("a person please", fired="human")
    assert scene.case.ticket is None
    assert scene.kept("receipt")[0].data["delivered"] is False
    assert not scene.told


def test_an_internal_failure_becomes_a_ticket_with_a_reference() -> None:
    scene = Scene()
    scene.asks("refund?", search_failed="R-abc123")
    (line,) = scene.told
    assert isinstance(line, HandedOver)
    assert line.reference == "R-abc123"


def test_after_downtime_people_are_not_answered_late() -> None:
    scene = Scene()
    assert scene.asks("refund?", found(REFUND), solved_by_others=True).kind == "ignore"
    late = Scene()
    late.asks("refund?", found(REFUND), waited_seconds=7200.0)
    (line,) = late.told
    assert isinstance(line, HandedOver)
    assert line.late == 7200
    soon = Scene()
    soon.asks("refund?", found(REFUND), waited_seconds=300.0)
    (answer,) = soon.told
    assert isinstance(answer, Answer)
    assert answer.late == 300


def test_an_open_incident_gets_one_approved_status_and_a_subscription() -> None:
    scene = Scene()
    scene.asks("sync is slow", found(REFUND), incident="We are on it.", incident_id="I-1")
    assert isinstance(scene.told[0], Incident)
    assert scene.kept("subscription")[0].data["incident"] == "I-1"


@pytest.mark.parametrize(("text", "kind"), [("hello", "answer"), ("Vielen Dank!", "answer"), ("", "offer")])
def test_small_talk_needs_no_search(text: str, kind: str) -> None:
    scene = Scene()
    assert wants_search(scene.case, scene.message(ANA, text), POLICY, 0) == ""
    assert scene.asks(text).kind == kind


def test_thanks_after_an_answer_is_success() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    decision = scene.asks("thank you!")
    assert any(isinstance(e, Mark) for e in decision.effects)
    assert scene.case.tried[0].outcome == "helpful"
    assert scene.case.bot_turns == 0


def test_known_in_another_language_only_is_asked_about() -> None:
    scene = Scene()
    german = replace(REFUND, language="de")
    assert scene.asks("refund?", found(german, language="en")).kind == "clarify"
    scene.presses(ANA, "pick", "c-0123456789.0", found=(found(german, language="en"),))
    assert isinstance(scene.told[-1], Answer)


# --- votes ----------------------------------------------------------------------------------------------------


def test_not_helpful_asks_why_and_makes_a_review() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    arg = "c-0123456789.1"
    assert whispered(scene.presses(ANA, "unhelpful", arg)) == "feedback.why"
    assert whispered(scene.presses(ANA, "outdated", arg)) == "feedback.noted"
    review = scene.kept("review")[-1]
    assert (review.data["reason"], review.data["version"]) == ("outdated", "v1")
    assert scene.case.tried[0].outcome == "not helpful: outdated"
    offer = scene.told[-1]
    assert isinstance(offer, Offer)
    assert offer.reason == "unhelpful"


def test_a_vote_can_change_and_a_repeat_changes_nothing() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    arg = "c-0123456789.1"
    scene.presses(ANA, "unhelpful", arg)
    solved = scene.presses(ANA, "helpful", arg)
    assert any(isinstance(e, CloseThread) for e in solved.effects)
    before = scene.case
    scene.presses(ANA, "helpful", arg)
    assert scene.case == before
    assert scene.kept("capture")[0].data["escalated"] is False


def test_only_the_asker_votes_and_only_on_real_answers() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    assert whispered(scene.presses(BEN, "helpful", "c-0123456789.1")) == "refused.not_yours"
    assert whispered(scene.presses(ANA, "helpful", "c-0123456789.9")) == "refused.late"
    assert whispered(scene.presses(ANA, "helpful", "c-9999999999.1")) == "refused.old_ticket"


def test_a_thumb_on_the_answer_is_a_vote() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    event = ReactionChanged(
        keys=("r",), place=THREAD, actor=ANA, occurred_at=0, ref=MsgRef(THREAD, "x"), emoji="+1", added=True
    )
    assert scene.play(event, anchor="c-0123456789/a/1").kind == "feedback"


# --- who is spoken to -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "text", "mention", "expected"),
    [
        ("mention", "How do refunds work?", False, False),
        ("mention", "How do refunds work?", True, True),
        ("questions", "How do refunds work?", False, True),
        ("questions", "Good morning everybody", False, False),
        ("all", "Good morning everybody", False, True),
        ("off", "How do refunds work?", True, False),
    ],
)
def test_channel_modes(mode: str, text: str, mention: bool, expected: bool) -> None:
    policy = replace(POLICY, channels={("playground", "help"): ChannelRule(mode)})  # type: ignore[arg-type]
    scene = Scene(policy)
    event = scene.message(ANA, text, is_root=True, mentions_bot=mention)
    assert concerns(scene.case, event, policy) is expected


def test_two_people_need_no_mention_three_do() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    assert concerns(scene.case, scene.message(ANA, "and then?"), POLICY)
    third = scene.message(BEN, "I had that too")
    assert concerns(scene.case, third, POLICY)
    scene.play(third)
    assert len(scene.told) == 1
    assert not concerns(scene.case, scene.message(BEN, "again"), POLICY)
    assert not concerns(scene.case, scene.message(ANA, "and then?"), POLICY)
    assert concerns(scene.case, scene.message(ANA, "and then?", mentions_bot=True), POLICY)


def test_a_thousand_messages_among_people_and_not_a_word_of_the_bot() -> None:
    scene = Scene()
    scene.asks("refund?", found(REFUND))
    scene.play(scene.message(BEN, "hey"))
    for n in range(1000):
        event = scene.message((ANA, BEN)[n % 2], f"chat {n}?")
        assert not concerns(scene.case, event, POLICY)
    assert len(scene.told) == 1


@pytest.mark.parametrize("kind", ["is_bot", "is_self"])
def test_bots_are_not_for_us(kind: str) -> None:
    scene = Scene()
    event = scene.message(replace(BEN, **{kind: True}), "hello?", mentions_bot=True)
    assert not concerns(scene.case, event, POLICY)
    assert scene.play(event).effects == ()


def test_the_staff_channel_is_not_a_customer() -> None:
    scene = Scene(place=replace(DESK, thread="t"))
    assert not concerns(scene.case, scene.message(KIM, "anyone?", is_root=True, mentions_bot=True), POLICY)


def test_direct_messages_and_forum_posts_always_count() -> None:
    for place in (replace(THREAD, kind="dm", channel="d1"), replace(THREAD, kind="forum", channel="f1")):
        scene = Scene(place=place)
        assert concerns(scene.case, scene.message(ANA, "hm", is_root=True, title="Refund"), POLICY)


def test_what_is_searched_for() -> None:
    scene = Scene()
    assert wants_search(scene.case, scene.message(ANA, "Why?", title="Refund"), POLICY, 0) == "Refund\nWhy?"
    assert wants_signals(scene.case, scene.message(ANA, "Why?", title="Refund"), POLICY, 0) == "Refund\nWhy?"
    scene.asks("How much is the monthly plan?", found(REFUND))
    follow = scene.message(ANA, "and the annual one?")
    assert wants_search(scene.case, follow, POLICY, 0) == "How much is the monthly plan? and the annual one?"
    scene.asks("a person!", fired="human")
    assert wants_search(scene.case, scene.message(ANA, "How?"), POLICY, 0) == ""
    assert wants_signals(scene.case, scene.message(ANA, "How?"), POLICY, 0) == "How?"
    assert wants_signals(scene.case, scene.message(KIM, "How?"), POLICY, 0) == ""


def test_a_conversation_that_never_ends_does_not_grow_for_ever() -> None:
    """A direct message is one conversation for years; the whole of it is written with every answer."""
    scene = Scene(replace(POLICY, max_bot_turns=10_000), place=replace(THREAD, thread=None, kind="dm"))
    for n in range(250):
        scene.asks(
            f"Question number {n} {'x' * n}?", found(replace(REFUND, topic=f"t{n}", title=f"Topic {n}"))
        )
    assert scene.case.counters["answer"] == 250
    assert len(scene.case.tried) == len(scene.case.said) == 200
    assert scene.case.tried[-1].receipt == "A-c-0123456789.250"


# --- on somebody's message --------------------------------------------------------------------------------------


def action(verb: str, by: object) -> MessageAction:
    return MessageAction(
        keys=("a",), place=THREAD, actor=by, occurred_at=0, verb=verb, target=MsgRef(THREAD, "m0"),  # type: ignore[arg-type]
        target_text="It is all broken", target_author=ANA,
    )  # fmt: skip


def test_help_on_a_message_answers_its_author() -> None:
    scene = Scene()
    scene.play(action("help", BEN), found=(found(REFUND),))
    assert isinstance(scene.told[0], Answer)
    assert scene.case.customer == ANA


def test_escalate_on_a_message_is_for_agents_and_makes_a_ticket() -> None:
    scene = Scene()
    assert whispered(scene.play(action("escalate", BEN))) == "refused.staff_only"
    scene.play(action("escalate", DANA))
    assert scene.case.ticket is not None
    assert scene.case.epoch == 1
    assert whispered(scene.play(action("escalate", DANA))) == "customer.already"
    (said,) = [e for e in scene.log if isinstance(e, Say) and e.audience == "customer"]
    assert said.voice == "notice"


BOT = replace(person("Firstline"), is_bot=True, is_self=True)


@pytest.mark.parametrize("verb", ["help", "escalate"])
def test_a_bots_message_needs_no_help(verb: str) -> None:
    scene = Scene()
    pressed = replace(action(verb, DANA), target_author=BOT, target_text="How do I get my money back?")
    decision = scene.play(pressed, found=(found(REFUND),))
    assert whispered(decision) == "refused.bot_message"
    assert scene.told == []
    assert (scene.case.ticket, scene.case.customer) == (None, ANA)


def test_an_answer_of_the_bots_is_escalated_as_the_conversation_that_it_stands_in() -> None:
    scene = Scene()
    scene.asks("How do I get my money back?", found(REFUND))
    lines = scene.case.said
    scene.play(replace(action("escalate", DANA), target_author=BOT, target_text="Within 14 days."))
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.subject == "How do I get my money back?"
    assert scene.case.said == lines


def test_secrets_that_were_removed_are_told_to_the_customer_alone() -> None:
    scene = Scene()
    decision = scene.asks("my key is [removed]", found(REFUND), redacted=("api key",))
    assert whispered(decision) == "customer.redacted"
    assert not any(isinstance(f, Line) for f in scene.told)
