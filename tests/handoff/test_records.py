"""What is kept of a ticket and shown on its card: the record of who asked what, what became of it, and when it hurt more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.port import ThreadChanged
from bot.wording import word
from handoff.effects import Update
from handoff.facts import Card, Draft, Line, Raised, Relayed
from handoff.forms import form_errors
from handoff.model import Earlier, Fired, Phase, TicketState
from handoff.policy import CategoryRule, FieldRule
from tests.handoff.scene import (
    ANA,
    CATEGORIES,
    DANA,
    FIELDS,
    KIM,
    POLICY,
    REFUND,
    START,
    TEXTS,
    THREAD,
    Scene,
    found,
    whispered,
)

HOUR = 3600.0


def record(scene: Scene) -> dict[str, Any]:
    """The newest capture record."""
    return dict(scene.kept("capture")[-1].data)


def test_the_record_says_who_asked_what_how_to_reach_them_and_how_it_went() -> None:
    scene = Scene()
    scene.asks(
        "Invoice INV-12345 is wrong, write to ana@example.org", found(REFUND, sure=0.6), fired="dispute"
    )
    assert record(scene) == {
        "name": "Ana",
        "contact": "ana@example.org",
        "order": "INV-12345",
        "category": "billing",
        "leaf": "invoice",
        "urgency": "P1",
        "confidence": 0.6,
        "resolved": False,
        "escalated": True,
        "platform": "playground",
        "began": START,
    }
    scene.presses(KIM, "claim")
    scene.submits(KIM, "priority", level="P2", reason="can wait")
    assert record(scene)["urgency"] == "P2"
    scene.submits(KIM, "resolve", summary="Corrected", kind="solved", cause="bug", save="no")
    assert record(scene)["resolved"] is True
    scene.asks("it is wrong again")
    assert record(scene)["resolved"] is False


def test_details_that_come_later_are_in_the_record() -> None:
    scene = Scene()
    scene.asks("I want my money back against your policy", fired="refund")
    assert (record(scene)["contact"], record(scene)["order"]) == ("", "")
    scene.submits(ANA, "details", email="ana@example.org", order="INV-777")
    assert (record(scene)["contact"], record(scene)["order"]) == ("ana@example.org", "INV-777")


# --- the card -------------------------------------------------------------------------------------------------


def shown(scene: Scene) -> str:
    """The newest card in words."""
    cards = [e.what for e in scene.log if isinstance(getattr(e, "what", None), Card)]
    content = word(cards[-1], "en", TEXTS)
    lines = (" ".join(span.text for span in item) for block in content.body for item in block.items)
    return "\n".join((content.title, content.status, *lines))


def test_the_card_holds_everything_that_whoever_claims_it_needs() -> None:
    earlier = (Earlier(7, "An old matter", "closed", 0.0),)
    scene = Scene(customer=replace(ANA, id="ben", name="Ben"))
    scene.asks("How do refunds work?", found(REFUND))
    scene.asks(
        "I want a refund outside of the policy, this is outrageous", found(REFUND, sure=0.6), fired="refund",
        earlier=earlier, sentiment="negative",
    )  # fmt: skip
    card = shown(scene)
    ticket = scene.case.ticket
    assert ticket is not None
    for needed in (
        "T-1042", ticket.priority, ticket.priority_reason, "Billing › refund", "Ben", "gold", "T-7",
        "I want a refund outside of the policy", "Refund policy", "95%", ticket.why_escalated, ticket.next_step,
        "negative", TEXTS.clock(ticket.first_response_due, "en"), TEXTS.clock(ticket.resolution_due, "en"),
    ):  # fmt: skip
        assert needed
        assert needed in card, needed
    assert "How do refunds work?" in card
    assert card.count("this is outrageous") == 1
    assert card.count("Refund policy") >= 2, "what the bot tried, and the nearest topics"


def test_a_missed_promise_stays_on_the_ticket() -> None:
    scene = Scene().handed_over()
    scene.passes(30 * HOUR)
    assert scene.case.ticket is not None
    assert scene.case.ticket.tags == ("first-response-breached", "resolution-breached")
    told = [line.key for line in scene.staff_saw(Line)]
    promises = [key for key in told if "response" in key or "resolution" in key]
    assert promises == [
        "timer.first_response_warn", "timer.first_response_breach", "timer.resolution_warn", "timer.resolution_breach",
    ]  # fmt: skip


def test_what_became_of_a_draft_stands_where_it_was_proposed() -> None:
    for act, outcome, text in (
        ("send_draft", "sent", REFUND.text), ("discard_draft", "discarded", REFUND.text), ("", "edited", "Yes, 14 days."),
    ):  # fmt: skip
        scene = Scene(replace(POLICY, launch_mode="draft"))
        scene.asks("Refund?", found(REFUND))
        if act:
            scene.presses(KIM, act, "T-1042.1")
        else:
            scene.submits(KIM, "edit_draft", "T-1042.1", text=text)
        (changed,) = [e for e in scene.log if isinstance(e, Update) and e.anchor == "T-1042/draft/1"]
        assert changed.what == Draft("T-1042.1", text, outcome=outcome)
        sent = [f.text for f in scene.told if isinstance(f, Relayed)]
        assert sent == ([] if outcome == "discarded" else [text])


# --- when it hurts more -----------------------------------------------------------------------------------------


def test_words_that_come_later_make_it_more_urgent_and_never_less() -> None:
    scene = Scene().claimed()
    due = scene.case.ticket.first_response_due if scene.case.ticket else None
    scene.asks("now the site is down for everyone", fired="outage", sentiment="negative")
    ticket = scene.case.ticket
    assert ticket is not None
    assert (ticket.priority, ticket.sentiment) == ("P0", "negative")
    assert due is not None
    assert ticket.first_response_due is not None
    assert ticket.first_response_due < due
    scene.asks("it would be nice if it were faster", fired="human")
    assert scene.case.ticket is not None
    assert scene.case.ticket.priority == "P0"


def test_abuse_while_waiting_for_a_person_gets_its_boundary_too() -> None:
    scene = Scene().handed_over()
    scene.asks("you idiots", fired="abuse")
    assert scene.case.phase == Phase.MUTED
    assert [f.key for f in scene.told if isinstance(f, Line)] == ["customer.boundary"]


def test_back_with_the_bot_nobody_stays_muted() -> None:
    scene = Scene()
    scene.asks("you idiots", fired="abuse")
    scene.presses(KIM, "claim")
    scene.presses(KIM, "return")
    assert (scene.case.muted_until, scene.case.bot_turns) == (0.0, 0)
    assert scene.asks("How do refunds work?", found(REFUND)).kind == "answer"


def test_raising_calls_the_people_of_that_queue() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "escalate", route="lab", reason="needs an engineer")
    (raised,) = scene.staff_saw(Raised)
    assert raised.mention == "oncall"
    assert "customer.raised" in [f.key for f in scene.told if isinstance(f, Line)]


def test_an_agent_who_reopens_steps_in_and_nothing_that_the_bot_has_queued_follows() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    scene.passes(49 * HOUR)
    scene.asks("How do refunds work?", found(REFUND))
    before = scene.case.epoch
    assert scene.presses(KIM, "reopen", "T-1042").kind == "reopen"
    assert (scene.case.phase, scene.case.epoch) == (Phase.HUMAN, before + 1)


def test_a_deleted_thread_is_told_to_whoever_has_the_ticket() -> None:
    scene = Scene().claimed()
    gone = ThreadChanged(keys=("t",), place=THREAD, actor=None, occurred_at=0, state="deleted")
    assert scene.play(gone).kind == "thread"
    assert "staff.thread_deleted" in [f.key for f in scene.staff_saw(Line)]
    elsewhere = replace(gone, place=replace(THREAD, thread="m99"))
    assert scene.play(elsewhere).kind == "ignore"


def test_a_private_question_that_needs_a_person_is_not_answered_either() -> None:
    scene = Scene()
    asked = scene.runs(ANA, "ask", "I want a refund against your policy", found=(found(REFUND),),
                       fired=(Fired("refund", "said so"),))  # fmt: skip
    assert whispered(asked) == "private.person"
    assert len(asked.effects) == 1


def test_the_part_that_knowledge_does_not_cover_is_a_gap() -> None:
    scene = Scene()
    unknown = found(REFUND, sure=0.1, question="Do you ship to the moon?")
    scene.asks("How do refunds work? Do you ship to the moon?", found(REFUND), unknown)
    assert [gap.data["question"] for gap in scene.kept("gap")] == ["Do you ship to the moon?"]


# --- small print ------------------------------------------------------------------------------------------------


def test_a_solved_ticket_closes_so_long_after_it_was_solved_not_after_it_was_opened() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Looking")
    scene.passes(40 * HOUR)
    scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    scene.passes(47 * HOUR)
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == TicketState.SOLVED
    scene.passes(2 * HOUR)
    assert scene.case.ticket.state == TicketState.CLOSED


def test_a_choice_may_be_called_like_an_order_to_the_form() -> None:
    field = FieldRule("side", "Which side?", kind="choice", choices=("Front", "Back"))
    categories = {
        **CATEGORIES,
        "sales": CategoryRule("sales", "Sales", level="collect", fields=("side", "seats")),
    }
    scene = Scene(replace(POLICY, fields={**FIELDS, "side": field}, categories=categories))
    scene.asks("A quote, please", fired="quote")
    scene.asks("back")
    assert scene.case.collecting is not None
    assert (dict(scene.case.collecting.values), scene.case.collecting.at) == ({"side": "Back"}, 1)


@pytest.mark.parametrize(
    ("values", "refused"),
    [({"text": " "}, True), ({"text": "Hello"}, False), ({"text": "", "canned": "hello"}, False),
     ({"text": "You get {amount}"}, True)],
)  # fmt: skip
def test_the_reply_form_says_beside_the_field_what_is_wrong(values: dict[str, str], refused: bool) -> None:
    scene = Scene().claimed()
    event = scene.form(DANA, "reply", **values)
    errors = form_errors(event, scene.case, POLICY, "en")
    assert (errors is not None) is refused
    assert errors is None or set(errors.errors) == {"text"}
