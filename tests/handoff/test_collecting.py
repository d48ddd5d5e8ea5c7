"""Forms in the thread: one field at a time, prefilled, checked, never a trap; private fields by a form only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.port import ActionInvoked, FileRef
from bot.wording import word
from handoff import fields
from handoff.decide import wants_search
from handoff.effects import Update, Whisper
from handoff.facts import Answer, AskField, Card, HandedOver, Transcript
from handoff.forms import form_errors, form_for
from handoff.listening import answers_form
from handoff.model import Phase
from handoff.policy import FieldWords, Policy
from tests.handoff.scene import (
    ANA,
    BEN,
    FIELDS,
    KIM,
    LOGIN,
    POLICY,
    REFUND,
    TEXTS,
    THREAD,
    Scene,
    found,
    whispered,
)

CASE = "c-0123456789"


def press(verb: str, arg: str = CASE, by: object = ANA) -> ActionInvoked:
    return ActionInvoked(keys=("p",), place=THREAD, actor=by, occurred_at=0, verb=verb, arg=arg)  # type: ignore[arg-type]


def buying() -> Scene:
    scene = Scene()
    scene.asks("I want to buy seats", found(replace(LOGIN, level="collect", category="sales")))
    return scene


def asked(scene: Scene) -> AskField:
    fact = scene.told[-1]
    assert isinstance(fact, AskField)
    return fact


def test_a_form_is_asked_one_field_at_a_time_and_becomes_a_ticket() -> None:
    scene = buying()
    assert (asked(scene).label, asked(scene).position, asked(scene).total) == ("Which system?", 1, 4)
    scene.asks("macos")
    scene.asks("25")
    scene.asks("30.11.2026")
    scene.asks("here", message={"files": (FileRef("f1", "log.txt"),)})
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.fields == {"system": "macOS", "seats": "25", "since": "2026-11-30", "log": "log.txt"}
    assert isinstance(scene.told[-1], HandedOver)
    assert scene.case.phase == Phase.DESK


@pytest.mark.parametrize(("trigger", "category"), [("bug", "technical"), ("quote", "sales")])
def test_a_soft_trigger_asks_its_categorys_form_first(trigger: str, category: str) -> None:
    """Nothing is answered; what people will need is asked, and the ticket tells what led to it."""
    scene = Scene()
    decision = scene.asks("words", found(REFUND), fired=trigger)
    assert decision.kind == "collect"
    assert asked(scene).label == POLICY.fields[POLICY.categories[category].fields[0]].label
    for _ in POLICY.categories[category].fields:
        scene.presses(ANA, "skip", CASE)
        scene.presses(ANA, "skip", CASE)  # a needed field is asked once more
    ticket = scene.case.ticket
    assert ticket is not None
    assert (ticket.trigger, ticket.category) == (trigger, category)


def test_what_is_surely_for_people_only_waits_for_no_form() -> None:
    brakes = replace(REFUND, level="escalate")
    assert Scene().asks("My brakes do not work", found(brakes), fired="bug").kind == "escalate"
    assert Scene().asks("My brakes do not work", found(brakes, sure=0.3), fired="bug").kind == "collect"


def test_words_that_only_steer_the_form_are_not_on_the_card() -> None:
    scene = Scene()
    scene.asks("My brakes do not work any more", fired="bug")
    for answer in ("skip", "skip", "Skip!", "weiter"):
        scene.asks(answer)
    assert scene.case.ticket is not None
    assert scene.case.ticket.summary == "My brakes do not work any more"


def test_a_soft_trigger_whose_category_has_no_form_hands_over_at_once() -> None:
    bare = {name: replace(c, fields=()) for name, c in POLICY.categories.items()}
    scene = Scene(replace(POLICY, categories=bare))
    assert scene.asks("a quote please", fired="quote").kind == "escalate"


def test_the_last_line_of_a_form_thanks_for_what_was_said() -> None:
    """Whoever gave something is thanked; whoever skipped it all is told the same as everybody."""
    for answers, tone in ((("macOS", "skip", "skip", "skip"), "collect"), (("skip",) * 4, "quote")):
        scene = Scene()
        scene.asks("a quote please", fired="quote")
        for answer in answers:
            scene.asks(answer)
        line = scene.told[-1]
        assert isinstance(line, HandedOver)
        assert line.reason == tone


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("email", "ana@example.org", "ana at example"),
        ("order", "INV-12345", "the blue one"),
        ("system", "2", "BeOS"),
        ("since", "2026-02-28", "2026-02-30"),
        ("seats", "12", "a dozen"),
        ("version", "3.1", "  "),
    ],
)
def test_values_are_checked(field: str, right: str, wrong: str) -> None:
    assert fields.problem(FIELDS[field], right) == ""
    assert fields.problem(FIELDS[field], wrong).startswith("problem.")


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("email", "write to ana@example.org please", "ana@example.org"),
        ("order", "my order INV-12345 is late", "INV-12345"),
        ("order", "order number 123456, please", "123456"),
        ("order", "I have used it since 2024 and 12345 times", ""),
        ("order", "it says error 404", ""),
        ("version", "on version 3.1.4 it fails", "3.1.4"),
        ("system", "I am on Linux.", "Linux"),
        ("since", "since 2026-11-01", "2026-11-01"),
    ],
)
def test_what_was_said_already_is_not_asked_again(field: str, text: str, value: str) -> None:
    scene = Scene()
    scene.asks(text, found(LOGIN, sure=0.3))
    rule = replace(POLICY.categories["general"], fields=(field,))
    known = fields.answers(scene.case, rule, POLICY)
    assert (known.public.get(field) or known.private.get(field) or "") == value


def test_skip_back_and_cancel_as_words() -> None:
    scene = buying()
    scene.asks("skip")
    assert asked(scene).position == 2
    scene.asks("back")
    assert asked(scene).position == 1
    scene.asks("Abbrechen")
    assert scene.case.phase == Phase.BOT
    assert scene.case.ticket is None


def test_skip_back_and_cancel_as_buttons() -> None:
    scene = buying()
    scene.presses(ANA, "skip", CASE)
    scene.presses(ANA, "back", CASE)
    assert asked(scene).position == 1
    assert whispered(scene.presses(BEN, "cancel", CASE)) == "refused.not_yours"
    scene.presses(ANA, "cancel", CASE)
    assert whispered(scene.presses(ANA, "cancel", CASE)) == "refused.no_form"


def test_nobody_is_kept_in_a_form() -> None:
    scene = buying()
    for _ in range(3):
        scene.asks("BeOS")
    assert asked(scene).position == 2
    assert asked(scene).problem == ""


def test_a_needed_field_is_asked_once_more_and_then_let_go() -> None:
    scene = Scene()
    scene.asks("It crashes", fired="bug")
    scene.asks("skip")
    assert asked(scene).problem == "problem.required"
    scene.asks("skip")
    assert asked(scene).label == "App and version"


def test_a_person_can_be_asked_for_at_any_time() -> None:
    scene = buying()
    assert scene.asks("let me talk to somebody", fired="human").kind == "escalate"
    other = buying()
    assert other.presses(ANA, "person", CASE).kind == "escalate"


def test_a_new_question_interrupts_politely() -> None:
    scene = buying()
    event = scene.message(ANA, "How do I get my money back?")
    assert wants_search(scene.case, event, POLICY, 0)
    scene.asks("How do I get my money back?", found(REFUND))
    assert isinstance(scene.told[-2], Answer)
    assert asked(scene).again
    assert scene.case.collecting is not None
    assert scene.case.collecting.interrupted


def test_answers_to_a_bug_report_do_not_start_a_second_one() -> None:
    scene = Scene()
    scene.asks("It crashes", fired="bug")
    scene.asks("I pressed Save and it crashed with an error", fired="bug")
    assert asked(scene).label == "App and version"


def test_private_fields_travel_by_a_form_only() -> None:
    scene = Scene()
    scene.asks("refund", found(replace(REFUND, level="collect")))
    assert asked(scene).private
    form = form_for(press("fill"), scene.case, POLICY, "")
    assert form is not None
    assert [i.id for i in form.inputs] == ["order", "email"]
    wrong = form_errors(scene.form(ANA, "fill", CASE, order="?", email="ana"), scene.case, POLICY, "")
    assert wrong is not None
    assert set(wrong.errors) == {"order", "email"}
    assert wrong.form is not None
    assert [i.value for i in wrong.form.inputs] == ["?", "ana"]
    right = scene.form(ANA, "fill", CASE, order="INV-77777", email="ana@example.org")
    assert form_errors(right, scene.case, POLICY, "") is None
    scene.play(right)
    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.private_fields == {"order": "INV-77777", "email": "ana@example.org"}
    assert "INV-77777" not in str(scene.told) + str(scene.case.said)


def test_in_a_direct_message_private_fields_are_asked_there() -> None:
    scene = Scene(place=replace(THREAD, kind="dm", channel="d1"))
    scene.asks("refund", found(replace(REFUND, level="collect")))
    assert not asked(scene).private
    scene.asks("INV-88888")
    scene.asks("ana@example.org")
    assert scene.case.ticket is not None
    assert scene.case.ticket.private_fields["order"] == "INV-88888"


def test_skipping_the_private_form_still_makes_the_ticket() -> None:
    scene = Scene()
    scene.asks("refund", found(replace(REFUND, level="collect")))
    assert scene.presses(ANA, "skip", CASE).kind == "escalate"


def test_details_can_be_added_to_a_ticket() -> None:
    scene = Scene()
    scene.asks("refund please", found(REFUND), fired="refund")
    line = scene.told[-1]
    assert isinstance(line, HandedOver)
    assert line.details
    form = form_for(press("details", "T-1042"), scene.case, POLICY, "")
    assert form is not None
    scene.submits(ANA, "details", order="INV-1234567", email="")
    assert scene.case.ticket is not None
    assert scene.case.ticket.private_fields == {"order": "INV-1234567"}
    assert form_for(press("details", "T-1042", BEN), scene.case, POLICY, "") is None


def test_a_form_survives_by_being_state() -> None:
    """Everything that a form needs is in the case: a copy of it goes on where the original stopped."""
    scene = buying()
    scene.asks("Linux")
    later = Scene()
    later.case, later._messages = replace(scene.case), 9
    later.asks("25")
    assert asked(later).label == "Since when?"


@pytest.mark.parametrize(
    ("text", "read"),
    [("40 people, yearly", True), ("macos", True), ("can somebody look at my whole account please", False)],
)
def test_a_short_answer_to_a_form_is_not_read_between_the_lines(text: str, read: bool) -> None:
    """Signals ask its words only: "40 people, yearly" resembles a wish for a quote, and means a number of seats."""
    assert answers_form(buying().case, text) == read
    assert not answers_form(Scene().case, text)


# --- what is over has nothing to press ------------------------------------------------------------------------


def over(scene: Scene) -> list[str]:
    """The questions that have lost their buttons, by their anchors, in order."""
    updates = [e for e in scene.log if isinstance(e, Update) and isinstance(e.what, AskField)]
    assert all(u.tidies and u.audience == "customer" and u.what.over for u in updates)  # type: ignore[attr-defined]
    return [u.anchor.removeprefix(f"{CASE}/field/") for u in updates]


@pytest.mark.parametrize("answer", ["macOS", "skip", "BeOS"])
def test_a_question_loses_its_buttons_when_the_next_is_asked(answer: str) -> None:
    """Also where the next is the same again, because the answer was not right."""
    scene = buying()
    assert over(scene) == []
    scene.asks(answer)
    assert over(scene) == ["1"]
    scene.asks("back")
    assert over(scene) == ["1", "2"]


@pytest.mark.parametrize("end", ["complete", "cancel", "person", "agent", "form"])
def test_a_question_loses_its_buttons_when_the_form_ends(end: str) -> None:
    scene = buying() if end != "form" else Scene()
    if end == "complete":
        for _ in range(3):
            scene.asks("skip")
    elif end == "form":
        scene.asks("refund", found(replace(REFUND, level="collect")))
    count = len(over(scene)) + 1
    match end:
        case "complete" | "cancel":
            scene.asks("skip" if end == "complete" else "cancel")
        case "person":
            scene.presses(ANA, "person", CASE)
        case "agent":
            scene.steps_in(KIM)
        case _:
            scene.submits(ANA, "fill", CASE, order="INV-77777", email="ana@example.org")
    assert scene.case.collecting is None
    assert len(over(scene)) == count
    scene.asks("and now?")
    assert len(over(scene)) == count, "once"


def test_what_is_over_still_says_what_it_said() -> None:
    """That a bot speaks must not vanish with the buttons, nor may the question: the answer under it would hang in the
    air."""
    scene = buying()
    question = asked(scene)
    scene.asks("macOS")
    (update,) = [e for e in scene.log if isinstance(e, Update)]
    assert update.what == replace(question, over=True)
    before, after = (word(fact, "en", TEXTS) for fact in (question, update.what))
    assert question.opening
    assert after.buttons == ()
    assert after.body == before.body[:-1], "all but how to skip it"


def test_a_refused_press_puts_nothing_away() -> None:
    scene = buying()
    scene.presses(BEN, "cancel", CASE)
    assert over(scene) == []


def test_a_button_of_an_older_question_skips_nothing() -> None:
    """Pressed twice by a nervous finger: the second press is for a question that nobody has read."""
    scene = buying()
    scene.presses(ANA, "skip", CASE, anchor=f"{CASE}/field/1")
    assert whispered(scene.presses(ANA, "skip", CASE, anchor=f"{CASE}/field/1")) == "refused.late"
    assert asked(scene).position == 2
    scene.presses(ANA, "skip", CASE, anchor=f"{CASE}/field/2")
    assert asked(scene).position == 3
    scene.presses(ANA, "cancel", CASE, anchor=f"{CASE}/field/1")
    assert scene.case.collecting is None


# --- in the customer's language -------------------------------------------------------------------------------

GERMAN = {
    "order": FieldWords("Bestellnummer"),
    "email": FieldWords("E-Mail-Adresse", "nur das Team sieht sie"),
    "steps": FieldWords("Was ist passiert?"),
    "system": FieldWords("Welches System?", choices=("Fenster", "Apfel", "Pinguin")),
}
SPOKEN = replace(POLICY, fields={n: replace(f, words={"de": GERMAN[n]} if n in GERMAN else {}) for n, f in FIELDS.items()})  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "spoken", "label"),
    [
        (SPOKEN, "de", "Was ist passiert?"),
        (SPOKEN, "en", "What did you do, and what happened?"),
        (replace(SPOKEN, language="de"), "en", "What did you do, and what happened?"),
        (replace(SPOKEN, language="de"), "fr", "Was ist passiert?"),
        (replace(SPOKEN, language="de"), "", "Was ist passiert?"),
        (SPOKEN, "fr", "What did you do, and what happened?"),
    ],
)
def test_a_field_is_asked_in_the_language_of_everything_else(policy: Policy, spoken: str, label: str) -> None:
    """Where we do not speak the customer's, all is said in the bot's own language, and so is the question."""
    scene = Scene(policy)
    scene.asks("It crashes", found(LOGIN, sure=0.1, language=spoken), fired="bug")
    assert asked(scene).label == label


def test_a_field_without_words_of_a_language_is_asked_as_it_is_written() -> None:
    scene = Scene(SPOKEN)
    scene.asks("Es stürzt ab", found(LOGIN, sure=0.1, language="de"), fired="bug")
    scene.asks("Auf Sichern gedrückt")
    assert asked(scene).label == "App and version"


def test_the_desk_reads_labels_in_its_own_language() -> None:
    for language, label in (("de", "Was ist passiert?"), ("en", "What did you do, and what happened?")):
        scene = Scene(replace(SPOKEN, language=language))
        scene.asks("It crashes", found(LOGIN, sure=0.1, language="en"), fired="bug")
        scene.asks("I pressed Save")
        scene.asks("skip")
        (card,) = scene.staff_saw(Card)
        assert card.labels == {"steps": label}
        scene.presses(KIM, "transcript")
        told = next(e.what for e in reversed(scene.log) if isinstance(e, Whisper))
        assert isinstance(told, Transcript)
        assert told.fields == ((label, "I pressed Save"),)


@pytest.mark.parametrize("said", ["Pinguin", "3", "linux"])
def test_a_choice_is_kept_as_the_team_spells_it_whatever_language_it_was_made_in(said: str) -> None:
    scene = Scene(SPOKEN)
    hit = replace(LOGIN, level="collect", category="sales")
    scene.asks("Ich möchte Plätze kaufen", found(hit, language="de"))
    assert asked(scene).choices == ("Fenster", "Apfel", "Pinguin")
    scene.asks(said)
    assert scene.case.collecting is not None
    assert scene.case.collecting.values == {"system": "Linux"}


def test_a_form_and_what_is_wrong_with_it_are_in_the_customers_language() -> None:
    scene = Scene(SPOKEN)
    scene.asks("Erstattung", found(replace(REFUND, level="collect"), language="de"))
    form = form_for(press("fill"), scene.case, SPOKEN, "de")
    assert form is not None
    assert [(i.label, i.hint) for i in form.inputs] == [("Bestellnummer", ""), ("E-Mail-Adresse", "nur das Team sieht sie")]  # fmt: skip
    wrong = form_errors(scene.form(ANA, "fill", CASE, order="?", email="ana"), scene.case, SPOKEN, "de")
    assert wrong is not None
    assert wrong.form is not None
    assert wrong.form.inputs[0].label == "Bestellnummer"


def test_a_number_is_recognised_by_the_label_in_any_language() -> None:
    scene = Scene(SPOKEN)
    scene.asks("Bestellnummer 123456 fehlt", found(LOGIN, sure=0.3))
    rule = replace(POLICY.categories["general"], fields=("order",))
    assert fields.answers(scene.case, rule, SPOKEN).private == {"order": "123456"}


@pytest.mark.parametrize("text", ["cancel", "skip", "It happens since Monday"])
def test_a_third_person_neither_answers_nor_ends_the_customers_form(text: str) -> None:
    scene = Scene()
    scene.asks("the export crashes", fired="bug")
    before = scene.case.collecting
    decision = scene.asks(text, by=BEN, message={"mentions_bot": True})
    assert scene.case.collecting == before
    assert whispered(decision) == "refused.their_form"
    scene.asks("I pressed export")
    assert scene.case.collecting is not None
    assert scene.case.collecting.values == {"steps": "I pressed export"}
