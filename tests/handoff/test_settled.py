"""Under a question or an offer that is settled nothing is left to press, and what it said stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.wording import word
from handoff.effects import Update
from handoff.facts import Ask, Offer
from handoff.model import Phase
from handoff.policy import FieldWords
from tests.handoff.scene import ANA, BEN, INVOICE, KIM, LOGIN, POLICY, REFUND, TEXTS, Scene, found, whispered

CASE = "c-0123456789"
ASK, OFFER = f"{CASE}/ask/1", f"{CASE}/offer/1"
UNCLEAR = found(REFUND, INVOICE, sure=0.6)
FAR = found(LOGIN, sure=0.3)


def put_away(scene: Scene) -> list[str]:
    """The questions and offers that have lost their buttons, by their anchors, in order."""
    updates = [e for e in scene.log if isinstance(e, Update) and isinstance(e.what, Ask | Offer)]
    assert all(u.tidies and u.audience == "customer" and u.what.over for u in updates)  # type: ignore[attr-defined]
    return [u.anchor for u in updates]


def unclear() -> Scene:
    scene = Scene(replace(POLICY, max_bot_turns=9))
    assert scene.asks("That money thing", UNCLEAR).kind == "clarify"
    return scene


def unsure() -> Scene:
    scene = Scene()
    assert scene.asks("Do you like dogs?", FAR).kind == "offer"
    return scene


def end(scene: Scene, how: str) -> None:
    match how:
        case "picked":
            scene.presses(ANA, "pick", f"{CASE}.1", anchor=ASK, found=(UNCLEAR,))
        case "picked, a form":
            collects = found(REFUND, replace(INVOICE, level="collect"), sure=0.6)
            scene.presses(ANA, "pick", f"{CASE}.1", anchor=ASK, found=(collects,))
        case "none":
            scene.presses(ANA, "none", CASE, anchor=ASK)
        case "person":
            scene.presses(ANA, "person", CASE)
        case "answered":
            scene.asks("How do I get my money back?", found(REFUND))
        case "still unclear":
            scene.asks("You know, the thing", UNCLEAR)
        case "trigger":
            scene.asks("A human!", fired="human")
        case "form":
            scene.asks("The app crashes", fired="bug")
        case "incident":
            scene.asks("Is it down?", incident="We know.", incident_id="I-1")
        case "agent":
            scene.steps_in(KIM)
        case "unclear":
            scene.asks("That money thing", UNCLEAR)
        case "offered again":
            scene.asks("And cats, do you like them?", FAR)


@pytest.mark.parametrize(
    "how",
    ["picked", "picked, a form", "none", "person", "answered", "still unclear", "trigger", "form", "incident", "agent"],
)  # fmt: skip
def test_a_settled_clarifying_question_loses_its_buttons_once(how: str) -> None:
    scene = unclear()
    assert put_away(scene) == []
    end(scene, how)
    assert scene.case.phase != Phase.CLARIFYING
    assert put_away(scene) == [ASK]
    scene.asks("and now?", found(LOGIN))
    assert put_away(scene) == [ASK], "once"


@pytest.mark.parametrize(
    "how", ["person", "answered", "trigger", "form", "agent", "unclear", "offered again"]
)
def test_a_settled_offer_loses_its_button_once(how: str) -> None:
    scene = unsure()
    end(scene, how)
    assert put_away(scene) == [OFFER]
    scene.asks("hello")
    assert put_away(scene) == [OFFER], "once"


def test_what_is_not_settled_can_be_pressed() -> None:
    """A greeting, a question who this is, thanks, a stranger's press: the question is still open, the offer stands."""
    for scene in (unclear(), unsure()):
        for words in ("hello", "Are you a bot?", "thanks"):
            scene.asks(words)
        scene.presses(BEN, "person", CASE)
        scene.presses(BEN, "none", CASE)
        assert put_away(scene) == []


def test_a_vote_that_it_helped_ends_what_was_offered_meanwhile() -> None:
    scene = Scene()
    scene.asks("How do I get my money back?", found(REFUND))
    scene.presses(ANA, "wrong", f"{CASE}.1")
    assert scene.case.offered is not None
    scene.presses(ANA, "helpful", f"{CASE}.1")
    assert put_away(scene) == [OFFER]


def test_a_person_who_steps_in_is_followed_by_no_message_of_the_bot() -> None:
    scene = unclear()
    scene.log.clear()
    scene.steps_in(KIM)
    assert scene.told == []
    assert put_away(scene) == [ASK]


def test_a_press_that_comes_late_changes_nothing_and_is_answered() -> None:
    scene = unclear()
    end(scene, "picked")
    before = scene.case
    for verb, arg in (("pick", f"{CASE}.0"), ("none", CASE)):
        assert whispered(scene.presses(ANA, verb, arg, anchor=ASK, found=(UNCLEAR,))) == "refused.late"
    assert scene.case == before


def test_a_button_of_an_older_question_answers_no_newer_one() -> None:
    """Its first topic is not the first topic of the question that is open now."""
    scene = unclear()
    end(scene, "picked")
    assert scene.asks("Login or invoices?", found(LOGIN, INVOICE, sure=0.6)).kind == "clarify"
    before = scene.case
    for verb, arg in (("pick", f"{CASE}.0"), ("none", CASE)):
        late = scene.presses(ANA, verb, arg, anchor=ASK, found=(found(LOGIN, INVOICE, sure=0.6),))
        assert whispered(late) == "refused.late"
    assert scene.case == before
    assert scene.presses(ANA, "none", CASE, anchor=f"{CASE}/ask/2").kind == "escalate"


@pytest.mark.parametrize("reason", ["close", "language", "unsure"])
def test_what_is_settled_still_says_what_it_said(reason: str) -> None:
    """The same words, with the topics that stood on the buttons, in the language in which it was put."""
    scene = Scene()
    german = replace(REFUND, language="de")
    first = {
        "close": found(REFUND, INVOICE, sure=0.6, language="en"),
        "language": found(german, language="en"),
        "unsure": replace(FAR, language="en"),
    }
    scene.asks("That money thing", first[reason])
    put = scene.told[-1]
    scene.asks("Und auf Deutsch?", found(german, language="de"))
    (update,) = [e for e in scene.log if isinstance(e, Update)]
    before, after = word(put, "en", TEXTS), word(update.what, scene.case.language, TEXTS)
    assert scene.case.language == "de"
    assert before.buttons
    assert after.buttons == ()
    assert after.body[: len(before.body)] == before.body
    titles = [span.text for block in after.body[len(before.body) :] for item in block.items for span in item]
    assert titles == (["Refund policy", "Invoices"] if reason == "close" else [])


def test_a_forms_question_keeps_its_words_though_another_language_is_spoken_by_then() -> None:
    """What is asked next is in the customer's language; what stands there already is not said anew."""
    steps = replace(POLICY.fields["steps"], words={"de": FieldWords("Was ist passiert?", "kurz")})
    scene = Scene(replace(POLICY, fields={**POLICY.fields, "steps": steps}))
    scene.asks("Die App stürzt ab", found(LOGIN, sure=0.2, language="de"), fired="bug")
    put = scene.told[-1]
    scene.asks("Can I have my money back?", found(REFUND, language="en"))
    (update,) = [e for e in scene.log if isinstance(e, Update)]
    before, after, next_one = (
        word(fact, scene.case.language, TEXTS) for fact in (put, update.what, scene.told[-1])
    )
    assert scene.case.language == "en"
    assert after.buttons == ()
    assert after.body == before.body[: len(after.body)]
    assert "Was ist passiert?" in str(after.body)
    assert steps.label in str(next_one.body)
