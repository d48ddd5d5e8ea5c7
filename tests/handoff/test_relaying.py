"""Both ways between customer and staff: in order, nothing internal, nothing lost, nothing that cannot be taken back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from adapters.port import ActionInvoked, Actor, FileRef, MsgRef
from bot.wording import load_texts, word
from handoff.decide import wants_search
from handoff.effects import Link, Say, Unsay, Update, Withdraw
from handoff.facts import Draft, InThread, Preview, Relayed
from handoff.forms import form_errors
from handoff.model import LaunchMode, Said
from tests.handoff.scene import (
    ANA,
    BEN,
    CARD,
    KIM,
    LEE,
    POLICY,
    REFUND,
    START,
    THREAD,
    Scene,
    found,
    person,
    whispered,
)


def replies(scene: Scene) -> list[str]:
    return [f.text for f in scene.told if isinstance(f, Relayed)]


def test_every_word_of_the_customer_reaches_the_staff_thread_in_order_also_before_a_claim() -> None:
    scene = Scene().handed_over()
    for n in range(3):
        scene.asks(f"word {n}")
    scene.presses(KIM, "claim")
    scene.asks("word 3", message={"files": (FileRef("f", "shot.png"),)})
    copies = [e for e in scene.log if isinstance(e, Say) and isinstance(e.what, InThread)][1:]
    assert [c.what.said.text for c in copies] == [f"word {n}" for n in range(4)]  # type: ignore[attr-defined]
    assert copies[-1].files[0].name == "shot.png"
    assert all(c.anchor.startswith("T-1042/in/") for c in copies)


def test_a_burst_is_relayed_message_by_message() -> None:
    scene = Scene().handed_over()
    refs = tuple(MsgRef(THREAD, f"b{n}") for n in range(3))
    scene.asks("a b c", refs=refs, texts=("a", "b", "c"))
    assert [i.said.text for i in scene.staff_saw(InThread)][1:] == ["a", "b", "c"]


@pytest.mark.parametrize("mode", ["off", "shadow", "draft", "answer"])
@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize(
    "text", ["he is difficult", "note: do not refund", "// internal", "reply to him later", " !reply"]
)
def test_nothing_internal_reaches_the_customer(text: str, mode: LaunchMode, *, anonymous: bool) -> None:
    """T-REL-1: not one byte, in any mode."""
    scene = Scene(replace(POLICY, anonymous=anonymous)).claimed()
    scene.policy = replace(scene.policy, launch_mode=mode)
    before = len(scene.told)
    decision = scene.notes(KIM, text)
    assert len(scene.told) == before
    assert not any("difficult" in str(e) for e in decision.effects)


def test_a_mistyped_order_is_not_silently_internal() -> None:
    scene = Scene().claimed()
    assert whispered(scene.notes(KIM, "!repyl Hello")) == "refused.unknown_order"
    assert not replies(scene)


def test_a_reply_is_previewed_word_for_word_and_waits_for_the_undo_window() -> None:
    scene = Scene().claimed()
    decision = scene.notes(KIM, "!reply Hello Ana,\nit is on its way.")
    (say,) = [e for e in decision.effects if isinstance(e, Say) and e.audience == "customer"]
    (preview,) = scene.staff_saw(Preview)
    assert (say.voice, say.delay, say.speaking_as) == ("agent", 5.0, "Kim")
    assert isinstance(say.what, Relayed)
    assert preview.text == say.what.text == "Hello Ana,\nit is on its way."
    assert (preview.to, preview.name) == ("Ana", "Kim")


def test_undo_in_time_withdraws_and_puts_everything_back() -> None:
    scene = Scene().claimed()
    due = scene.case.ticket and scene.case.ticket.first_response_due
    scene.notes(KIM, "!reply Oops")
    decision = scene.presses(KIM, "undo", "T-1042.1")
    assert any(isinstance(e, Withdraw) and e.anchor == "T-1042/out/1" for e in decision.effects)
    ticket = scene.case.ticket
    assert ticket is not None
    assert (ticket.state, ticket.first_response_at, ticket.first_response_due) == ("open", None, due)
    assert whispered(scene.presses(KIM, "undo", "T-1042.1")) == "refused.undo_late"


def agent_lines(scene: Scene) -> list[tuple[str, bool]]:
    return [(line.text, line.deleted) for line in scene.case.said if line.who == "agent"]


def test_undo_takes_the_reply_back_and_not_what_the_agent_wrote_to_the_customer_since() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply You get it back.")
    scene.steps_in(KIM, "I am looking at it.")
    scene.presses(KIM, "undo", "T-1042.1")
    assert agent_lines(scene) == [("", True), ("I am looking at it.", False)]
    undone = [e.what for e in scene.log if isinstance(e, Update) and isinstance(e.what, Preview)][-1]
    assert (undone.text, undone.state) == ("You get it back.", "undone")


def test_the_preview_of_a_reply_never_shows_what_the_agent_wrote_to_the_customer_since() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply You get it back.")
    scene.steps_in(KIM, "I am looking at it.")
    scene.passes(6)
    sent = [e.what for e in scene.log if isinstance(e, Update) and isinstance(e.what, Preview)][-1]
    assert (sent.text, sent.state) == ("You get it back.", "sent")


def test_undo_too_late_or_by_somebody_else_is_refused() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Hello")
    assert whispered(scene.presses(LEE, "undo", "T-1042.1")) == "refused.taken"
    assert "sent/1" in scene.passes(10)
    assert whispered(scene.presses(KIM, "undo", "T-1042.1")) == "refused.undo_late"


def test_replying_on_a_ticket_that_nobody_has_takes_it() -> None:
    scene = Scene().handed_over()
    scene.notes(KIM, "!reply Hello")
    assert scene.case.ticket is not None
    assert scene.case.ticket.assignee == KIM
    assert scene.case.epoch == 1


def test_only_the_assignee_replies() -> None:
    scene = Scene().claimed()
    assert whispered(scene.notes(LEE, "!reply Hello")) == "refused.taken"
    assert whispered(scene.notes(person("Cy"), "!reply Hello")) == "refused.staff_only"
    assert whispered(scene.runs(LEE, "reply", "T-1042 Hello")) == "refused.taken"
    assert not replies(scene)


def test_a_text_that_was_written_for_another_ticket_is_stopped() -> None:
    scene = Scene().claimed()
    assert whispered(scene.notes(KIM, "!reply About T-77: it is fixed")) == "refused.other_ticket"
    assert whispered(scene.submits(KIM, "reply", text="see t-77")) == "refused.other_ticket"
    scene.notes(KIM, "!reply Your number is T-1042")
    scene.notes(KIM, "!reply! It is the same as T-77")
    assert replies(scene) == ["Your number is T-1042", "It is the same as T-77"]


def test_an_order_that_comes_twice_is_carried_out_once() -> None:
    scene = Scene().claimed()
    event = scene.message(KIM, "!reply Hello", CARD)
    scene.play(event, anchor="T-1042/card")
    assert scene.play(event, anchor="T-1042/card").kind == "ignore"
    assert replies(scene) == ["Hello"]


def test_edits_and_deletions_of_an_order_follow_on_the_customers_side() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Helo")
    order = f"m{scene._messages - 1}"
    edit = scene.edits(KIM, order, "!reply Hello", CARD)
    (copy,) = [e for e in edit.effects if isinstance(e, Update) and e.audience == "customer"]
    assert copy.anchor == "T-1042/out/1"
    assert copy.what == Relayed("Hello", "Kim")
    assert whispered(scene.edits(KIM, order, "just a note", CARD)) == "refused.still_sent"
    gone = scene.deletes(KIM, order, CARD)
    assert any(isinstance(e, Unsay) and e.anchor == "T-1042/out/1" for e in gone.effects)
    assert scene.deletes(KIM, order, CARD).kind == "ignore"


def test_a_long_reply_that_is_changed_is_said_anew() -> None:
    """It stands in several messages where platforms are strict, and only the first could be edited."""
    scene = Scene().claimed()
    scene.notes(KIM, f"!reply {'word ' * 500}wrogn")
    order = f"m{scene._messages - 1}"
    scene.passes(10)
    for text in (f"{'word ' * 500}right", "Short now"):
        effects = scene.edits(KIM, order, f"!reply {text}", CARD).effects
        gone = next(i for i, e in enumerate(effects) if isinstance(e, Unsay))
        assert effects[gone] == Unsay("T-1042/out/1", "customer")
        said = effects[gone + 1]
        assert isinstance(said, Say)
        assert (said.anchor, said.what, said.speaking_as) == ("T-1042/out/1", Relayed(text, "Kim"), "Kim")
    again = scene.edits(KIM, order, "!reply Shorter", CARD).effects
    assert any(isinstance(e, Update) and e.anchor == "T-1042/out/1" for e in again)


def test_an_order_that_is_deleted_within_the_undo_window_was_never_sent() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Hello")
    scene.deletes(KIM, f"m{scene._messages - 1}", CARD)
    ticket = scene.case.ticket
    assert ticket is not None
    assert (ticket.state, ticket.first_response_at) == ("open", None)
    assert "pending_close" not in scene.timers


@pytest.mark.parametrize(
    ("by", "text", "why"),
    [
        (replace(KIM, roles=frozenset()), "!reply Hi", "refused.staff_only"),
        (KIM, "!reply This is about T-7", "refused.other_ticket"),
        (KIM, "!reply " + "x" * 12_001, "refused.long"),
        (KIM, "!reply You get {amount} back.", "refused.unfilled"),
    ],
)
def test_a_changed_order_is_checked_like_a_new_one(by: Actor, text: str, why: str) -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Hello")
    order = f"m{scene._messages - 1}"
    decision = scene.edits(by, order, text, CARD)
    assert whispered(decision) == why
    assert not [e for e in decision.effects if isinstance(e, Update)]
    assert agent_lines(scene) == [("Hello", False)]
    assert scene.edits(KIM, order, "!reply! This is about T-7", CARD).kind == "edit"


@pytest.mark.parametrize(("words", "anew"), [(1, False), (60, True)], ids=["short", "long"])
def test_what_is_deleted_goes_from_the_whole_transcript(words: int, anew: bool) -> None:
    """A long one stands in several messages, of which an edit would change the first alone."""
    scene = Scene()
    said = tuple(
        Said("customer", "Ana", f"line {n} " + "word " * words, START, MsgRef(THREAD, f"x{n}"))
        for n in range(20)
    )
    scene.case = replace(scene.case, said=said)
    scene.handed_over()
    effects = scene.deletes(ANA, "x0").effects
    named = [e for e in effects if getattr(e, "anchor", "") == "T-1042/transcript"]
    assert [type(e) for e in named] == ([Unsay, Say] if anew else [Update])
    assert "line 0" not in repr(named)


def test_edits_and_deletions_of_the_customer_follow_on_the_staff_side() -> None:
    scene = Scene().handed_over()
    scene.asks("I mean the red one")
    message = f"m{scene._messages - 1}"
    edit = scene.edits(ANA, message, "I mean the blue one")
    (copy,) = [e for e in edit.effects if isinstance(e, Update)]
    assert copy.anchor == f"T-1042/in/{message}"
    assert isinstance(copy.what, InThread)
    assert copy.what.said.edited
    assert scene.edits(ANA, message, "I mean the blue one").kind == "ignore"
    gone = scene.deletes(ANA, message)
    (copy,) = [e for e in gone.effects if isinstance(e, Update)]
    assert isinstance(copy.what, InThread)
    assert (copy.what.said.deleted, copy.what.said.text) == (True, "")
    (rest,) = [e for e in gone.effects if isinstance(e, Unsay)]  # more text, files
    assert (rest.anchor, rest.audience) == (f"T-1042/in/{message}#", "staff")
    earlier = scene.edits(ANA, "m0", "My order INV-99999 never arrived")
    (first,) = [e for e in earlier.effects if isinstance(e, Update)]
    assert first.anchor == "T-1042/in/m0"


def test_unknown_content_arrives_as_something_readable() -> None:
    scene = Scene().handed_over()
    scene.asks("", message={"unsupported": "poll"})
    content = word(scene.staff_saw(InThread)[-1], "en", load_texts())
    assert "[unsupported: poll]" in str(content)


def test_links_name_both_originals() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Hello")
    scene.asks("Thanks, and?")
    anchors = {e.anchor.split("/")[1] for e in scene.log if isinstance(e, Link)}
    assert anchors == {"from", "order"}


# --- anonymous -----------------------------------------------------------------------------------------------


def test_anonymous_means_that_no_byte_names_the_agent() -> None:
    anonymous = replace(POLICY, anonymous=True, public_name="The team")
    scene = Scene(anonymous)
    agent = replace(person("Xenophon", "agent"), id="U0XENO")
    scene.asks("help", fired="human")
    scene.presses(agent, "claim")
    scene.notes(agent, "!reply Hello")
    scene.notes(agent, "!canned hello")
    scene.edits(agent, f"m{scene._messages - 2}", "!reply Hello!", CARD)
    scene.submits(agent, "escalate", route="lab", reason="x")
    scene.presses(agent, "claim")
    scene.submits(agent, "transfer", to="lee")
    scene.presses(LEE, "release")
    scene.presses(agent, "claim")
    scene.submits(agent, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    texts = load_texts()
    out = [
        (e, word(e.what, "en", texts))
        for e in scene.log
        if isinstance(e, Say | Update) and e.audience == "customer"
    ]
    assert len(out) > 5
    seen = json.dumps([str(x) for x in out])
    assert "Xenophon" not in seen
    assert "U0XENO" not in seen
    assert "Lee" not in seen
    assert "The team" in seen


# --- canned replies -------------------------------------------------------------------------------------------


def test_canned_replies_are_filled_in() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!canned hello")
    scene.notes(KIM, '!canned amount amount="20 EUR"')
    assert replies(scene) == ["Hello Ana, this is Kim.", "You get 20 EUR back."]


def test_an_unfilled_placeholder_is_refused_everywhere() -> None:
    scene = Scene().claimed()
    assert whispered(scene.notes(KIM, "!canned amount")) == "refused.unfilled"
    assert whispered(scene.notes(KIM, "!reply You get {amount}")) == "refused.unfilled"
    assert whispered(scene.submits(KIM, "reply", text="", canned="amount")) == "refused.unfilled"
    wrong = form_errors(scene.form(KIM, "reply", text="You get {amount}"), scene.case, POLICY, "")
    assert wrong is not None
    assert "{amount}" in wrong.errors["text"]
    assert whispered(scene.notes(KIM, "!canned nothing")) == "refused.no_canned"
    assert not replies(scene)
    scene.notes(KIM, "!reply In JSON that is {name}")
    assert replies(scene) == ["In JSON that is {name}"]


# --- drafts ---------------------------------------------------------------------------------------------------


def drafted() -> Scene:
    scene = Scene(replace(POLICY, launch_mode="draft"))
    scene.asks("refund?", found(REFUND))
    return scene


def test_a_draft_is_sent_as_it_is_or_edited_and_that_is_counted() -> None:
    scene = drafted()
    (draft,) = scene.staff_saw(Draft)
    assert draft.text == REFUND.text
    (offered,) = scene.kept("draft")
    assert (offered.key, offered.data["category"]) == (draft.arg, "billing")
    scene.presses(KIM, "send_draft", "T-1042.1")
    assert replies(scene) == [REFUND.text]
    assert scene.kept("draft_outcome")[0].data["unchanged"] is True
    assert scene.kept("draft_outcome")[0].key == offered.key
    other = drafted()
    other.submits(KIM, "edit_draft", "T-1042.1", text="Within 14 days, yes.")
    assert other.kept("draft_outcome")[0].data == {
        "category": "billing", "unchanged": False, "outcome": "edited", "reply": "T-1042.1", "by": "kim", "at": other.now - 1,
    }  # fmt: skip


def test_a_discarded_or_old_draft_is_history() -> None:
    scene = drafted()
    scene.presses(KIM, "discard_draft", "T-1042.1")
    assert not replies(scene)
    assert whispered(scene.presses(KIM, "send_draft", "T-1042.1")) == "refused.old_draft"
    assert scene.presses(KIM, "draft", found=(found(REFUND),)).kind == "draft"
    assert whispered(scene.presses(KIM, "send_draft", "T-1042.1")) == "refused.old_draft"
    scene.presses(KIM, "send_draft", "T-1042.2")
    assert replies(scene) == [REFUND.text]


def test_a_draft_answers_what_the_ticket_is_about_and_not_the_last_answer_to_its_form() -> None:
    scene = Scene()
    scene.asks("The calendar shows every booking twice.", fired="bug")
    scene.asks("I pressed Sync")
    scene.asks("2.3 on iOS")
    press = ActionInvoked(
        keys=("p",), place=CARD, actor=KIM, occurred_at=scene.now, verb="draft", arg=scene.number
    )

    assert wants_search(scene.case, press, POLICY, scene.now) == "The calendar shows every booking twice."
    scene.asks("it still happens!!")
    assert wants_search(scene.case, press, POLICY, scene.now) == "The calendar shows every booking twice."
    scene.asks("And how do I get my money back?")
    assert wants_search(scene.case, press, POLICY, scene.now) == "And how do I get my money back?"


def test_no_draft_from_nothing() -> None:
    scene = Scene().claimed()
    assert whispered(scene.presses(KIM, "draft", found=(found(REFUND, sure=0.1),))) == "refused.no_draft"


def test_a_bystander_is_relayed_as_somebody_else() -> None:
    scene = Scene().claimed()
    scene.notes(KIM, "!reply Is it fixed?")
    scene.asks("Same here!", by=BEN)
    assert scene.staff_saw(InThread)[-1].said.who == "other"
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == "pending"
