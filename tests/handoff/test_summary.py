"""Subjects and summaries say what it is about: greetings and farewells go, and no other word."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.console_format import block_lines
from adapters.port import Content
from bot.texts import Texts, load_texts
from bot.wording import word
from handoff.decide import wants_search, wants_signals
from handoff.facts import Card
from handoff.model import Found, Said, TicketState
from handoff.politeness import gist, small_talk
from handoff.summary import besides, headline, request, summarise
from tests.handoff.scene import ANA, INVOICE, KIM, LOGIN, POLICY, REFUND, TEXTS, Scene, found


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hi there, my export is broken. Thanks!", "My export is broken."),
        ("hi\nmy password\nhow do I reset it?", "My password\nhow do I reset it?"),
        ("Hi Ana, where is my order", "Where is my order"),
        ("hi I can't log in thanks", "I can't log in"),
        ("Hey team! Hope you are well. Quick question: how do I export?\n\nBest regards,\nAna Miller", "How do I export?"),
        ("Good morning, thanks for your help in advance. My invoice is wrong.", "My invoice is wrong."),
        ("Dear support team,\n\nI was charged twice.\n\nKind regards\nBen", "I was charged twice."),
        ("Sorry to bother you, but my page is empty", "My page is empty"),
        ("Hi :) my page is empty", "My page is empty"),
        ("hey, how are you doing today? my app crashes", "My app crashes"),
        ("Hallo zusammen, ich hoffe es geht euch gut. Wie kündige ich? Viele Grüße, Anna", "Wie kündige ich?"),
        ("Guten Tag, kurze Frage: gibt es eine API? Danke im Voraus", "Gibt es eine API?"),
        (
            "Sehr geehrte Damen und Herren,\nmein Konto ist gesperrt.\nMit freundlichen Grüßen\nMax Mustermann",
            "Mein Konto ist gesperrt.",
        ),
        ("Moin, ich hätte mal eine Frage: geht das mit iCal?", "Geht das mit iCal?"),
    ],
)  # fmt: skip
def test_a_greeting_is_no_subject(text: str, left: str) -> None:
    assert gist(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "hello", "thanks", "no thanks", "my booking page is empty", "Hello world page is empty",
        "Hey Jude is not in the list", "How are you charging me? I do not get it", "Best plan for schools?",
        "I have a question about refunds", "Thanks, but it is still broken", "I'd like the best",
        "Wie geht es weiter mit meiner Bestellung?", "I hope you can refund me my 20 euros, this was a mistake.",
    ],
)  # fmt: skip
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert gist(text) == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Hi there, hope you are well!", "hello"), ("hey how are you?", "hello"), ("Guten Morgen zusammen!", "hello"),
        ("Hallo, kurze Frage", "hello"), ("Are you a bot?", "about"), ("help!!", "about"), ("Bist du ein Mensch?", "about"),
        ("help me with my invoice", ""), ("who are you to decide that?", ""), ("Thank you so much for your help! Best, Ana", "thanks"),
        ("Vielen Dank und viele Grüße, Anna", "thanks"), ("hello!!", "hello"), ("solved", "thanks"),
        ("👎", ""), ("", ""), ("thanks for nothing", ""), ("no thanks", ""), ("hi, it crashes", ""), ("thanks, still broken", ""),
    ],
)  # fmt: skip
def test_politeness_alone_is_small_talk(text: str, kind: str) -> None:
    """Nothing is searched for and nothing is heard in it: "hope you are well" is no cry for help."""
    assert small_talk(text) == kind
    scene = Scene()
    event = scene.message(ANA, text)
    if kind:
        assert wants_signals(scene.case, event, POLICY, 0) == wants_search(scene.case, event, POLICY, 0) == ""


@pytest.mark.parametrize(
    "text",
    [
        "ok thank you, that helps", "thanks, that helps!", "great, that works now", "it works now, thanks", "got it",
        "thank you, that was helpful", "thanks, all good now", "I see, thank you", "No, that's all, thanks",
        "ok got it thanks", "Perfect!", "yes that helped me a lot", "thank you so much, you saved me", "it's fixed now",
        "super danke, das hilft", "danke, hat geklappt", "alles klar, danke", "vielen Dank, jetzt geht es wieder",
        "Nein, das war's, danke", "Danke dir!", "super, danke euch", "Danke Ihnen allen", "Danke vielmals",
        "Dankeschön für die schnelle Hilfe", "thank you for the quick reply",
    ],
)  # fmt: skip
def test_whoever_says_that_it_helped_is_not_handed_over(text: str) -> None:
    assert small_talk(text) == "thanks"


@pytest.mark.parametrize(
    "text",
    [
        "thanks but it does not help", "that helps nobody", "ok", "alles klar", "yes please", "thanks, works now?",
        "it works now, but the export is empty", "it never works", "that's all?", "all good things", "jetzt geht nichts",
        "das hilft mir nicht", "das hilft nicht weiter", "not solved", "it worked yesterday", "yes thanks", "great, broken again",
        "fixed price", "is it working", "es geht nicht", "danke dir für nichts, es geht nicht", "danke ihnen geht das nicht",
    ],
)  # fmt: skip
def test_what_only_begins_like_it_is_read(text: str) -> None:
    assert small_talk(text) == ""


def test_what_is_asked_is_looked_up_without_the_politeness_around_it() -> None:
    scene = Scene()
    event = scene.message(ANA, "Hi there! Hope you are well. My calendar is a day off. Thanks!")
    assert wants_signals(scene.case, event, POLICY, 0) == "My calendar is a day off."
    assert wants_search(scene.case, event, POLICY, 0) == "My calendar is a day off."


def test_thanks_in_many_words_do_not_reopen_a_ticket() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    scene.asks("Thank you so much for your help! Best, Ana")
    assert scene.case.ticket is not None
    assert scene.case.ticket.state == TicketState.SOLVED


@given(st.text(max_size=300))
def test_there_is_always_something_left_and_nothing_is_made_up(text: str) -> None:
    left = gist(text)
    assert bool(left) == bool(text.strip())
    assert left.casefold() in text.casefold() or left[1:] in text


@pytest.mark.parametrize(
    "part", ["hi ", "thanks ", ", ", "\n", "hope you ", "best, ", "-", "dear a ", "sorry stör "]
)
def test_a_hostile_text_takes_no_time(part: str) -> None:
    began = time.process_time()
    gist(part * 5000)
    assert time.process_time() - began < 0.2


def test_a_summary_begins_with_what_it_is_about() -> None:
    said = (
        Said("customer", "Ana", "Hi there!", 1),
        Said(
            "customer", "Ana", "Hello again, my calendar is a day off. It began on Monday. Thanks a lot!", 2
        ),
    )
    assert summarise(said) == "My calendar is a day off. It began on Monday."
    assert summarise(said[:1]) == "Hi there!"


def test_answers_to_a_form_are_no_part_of_the_summary() -> None:
    """They stand on the card under their own names."""
    scene = Scene()
    scene.asks("The calendar shows every booking twice.", fired="bug")
    scene.asks("I pressed Sync")
    scene.asks("2.3 on IOS")

    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.fields == {"steps": "I pressed Sync", "version": "2.3 on IOS"}
    assert ticket.summary == "The calendar shows every booking twice."


def test_whoever_only_asks_for_a_person_has_said_before_what_for() -> None:
    scene = Scene()
    scene.asks("Hi, where do I find the invoice of May?")
    scene.asks("hello, can I talk to a human please", fired="human")

    ticket = scene.case.ticket
    assert ticket is not None
    assert ticket.subject == "Where do I find the invoice of May?"
    assert ticket.wants == "Where do I find the invoice of May?"
    assert ticket.summary == "Where do I find the invoice of May?"


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("Can I talk to a human please? I was charged twice for March.", "I was charged twice for March."),
        (
            "Mein Kalender zeigt den falschen Tag. Kann ich mit einem Menschen sprechen?",
            "Mein Kalender zeigt den falschen Tag.",
        ),
        ("I need a human. Now!", "I need a human. Now!"),
    ],
)
def test_a_title_says_the_matter_and_not_that_a_person_is_wanted(text: str, subject: str) -> None:
    scene = Scene()
    scene.asks(text, fired="human")
    assert scene.case.ticket is not None
    assert scene.case.ticket.subject == subject


def test_whoever_says_in_the_same_words_what_it_is_about_is_taken_at_them() -> None:
    scene = Scene()
    scene.asks("Where do I find the invoice of May?")
    scene.asks("Hi, get me a human, my calendar has been showing the wrong day since Monday", fired="human")

    assert scene.case.ticket is not None
    assert scene.case.ticket.subject.startswith("Get me a human, my calendar")


# --- the card says a thing once -------------------------------------------------------------------------------

LONG = "When I press the button, nothing happens for a minute, and then the page shows an error and is empty."


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (["My order never arrived"], {}),
        (
            ["Hi, mir wurde Geld abgebucht. Kann ich mit einem Menschen sprechen?"],
            {"wants": "Kann ich mit einem Menschen sprechen?"},
        ),
        ([f"My export is broken. {LONG} It worked on Monday."], {"summary": f"{LONG} It worked on Monday."}),
        ([f"My export is broken. {LONG} Please repair it."], {"wants": f"{LONG} Please repair it."}),
        (
            ["How do I export my clients?", "No, the file stays empty. I need it today."],
            {"summary": "How do I export my clients?"},
        ),
        (["my export is broken", "the file stays empty"], {"summary": "my export is broken"}),
        (
            ["My export is broken since Monday.", "can I talk to a human please"],
            {},  # why it is here tells the rest
        ),
        (
            [f"My export is broken. {LONG} Please repair it.", "can I talk to a human please"],
            {"wants": f"{LONG} Please repair it."},
        ),
    ],
)
@pytest.mark.parametrize("language", ["en", "de"])
def test_no_sentence_stands_twice_on_a_card(messages: list[str], told: dict[str, str], language: str) -> None:
    """Title, summary and what the customer wants: each adds something, or is left out."""
    scene = Scene(replace(POLICY, language=language))
    for text in messages[:-1]:
        scene.asks(text)
    scene.asks(messages[-1], fired="human" if "human" in messages[-1] else "dispute")

    words = load_texts(language=language)
    lines = [line for block in words_of(scene, words).body for line in block_lines(block)]
    for section in ("summary", "wants"):
        heading = words.get(f"card.{section}", language)
        assert (heading in lines) == (section in told), section
        if section in told:
            assert lines[lines.index(heading) + 1] == told[section]


def test_a_summary_of_the_language_model_stands_beside_the_title() -> None:
    scene = Scene()
    scene.asks("my export is broken", fired="human", summary="The CSV export of Ana has failed since Monday.")
    shown = words_of(scene, TEXTS)
    assert "The CSV export of Ana has failed since Monday." in str(shown)


def words_of(scene: Scene, texts: Texts) -> Content:
    (card,) = scene.staff_saw(Card)
    return word(card, texts.language, texts)


def test_a_long_message_wants_what_it_asks() -> None:
    story = " ".join(f"Then I tried the button number {n} in vain." for n in range(20))
    assert request(f"{story} How do I export? {story}") == "How do I export?"
    assert request(story).startswith("Then I tried the button number 0 in vain.")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("My export is broken. It worked on Monday, before the update.", "My export is broken."),
        ("It fails. It worked on Monday, before the update.", "It fails. It worked on Monday,…"),
        ("Das betrifft z. B. den Export, und es eilt mir sehr.", "Das betrifft z. B. den Export,…"),
        ("my export is broken\nwhat now?", "my export is broken what now?"),
    ],
)
def test_a_headline_ends_with_a_sentence_where_one_fits(text: str, line: str) -> None:
    assert headline(text, 32) == line


@given(st.text(max_size=200), st.text(max_size=200))
def test_nothing_that_is_new_is_left_out(text: str, other: str) -> None:
    """Every word of a text stands on the card: in what is shown, or in what is left of it."""
    every = set(re.findall(r"\w+", text.casefold()))
    shown = f"{other} {besides(text, other)}"
    assert every <= set(re.findall(r"\w+", shown.casefold()))
    assert besides(text, text) == "" or not every


# --- a card is about what led to it ---------------------------------------------------------------------------

CALENDAR = replace(LOGIN, topic="calendar", title="Calendar sync")
OTHER = found(CALENDAR, replace(CALENDAR, topic="zone"), sure=0.2)
WEDDINGS = "Do you also rent out your studio for weddings?"


def answered_first(then: str = "") -> Scene:
    """The first question has its answer; `then`: a vote on it, or a word of thanks."""
    scene = Scene(replace(POLICY, max_bot_turns=9))
    assert scene.asks("How do I get my money back?", found(REFUND)).kind == "answer"
    match then:
        case "helpful" | "wrong":
            scene.presses(ANA, then, "c-0123456789.1")
        case "thanks":
            scene.asks("thanks, that helps")
    return scene


def story(scene: Scene) -> tuple[str, str, str]:
    ticket = scene.case.ticket
    assert ticket is not None
    return ticket.subject, ticket.summary, ticket.wants


@pytest.mark.parametrize("then", ["", "helpful", "thanks"])
@pytest.mark.parametrize("how", ["offer, press", "offer, words", "trigger", "person wanted", "agent"])
def test_a_later_question_has_a_card_of_its_own(then: str, how: str) -> None:
    """What was answered before, confirmed or gone by, stands under what the bot tried and nowhere else."""
    scene = answered_first(then)
    asked = WEDDINGS
    match how:
        case "offer, press" | "offer, words":
            scene.asks(asked, OTHER)
            scene.presses(ANA, "person", "c-0123456789") if "press" in how else scene.asks(
                "a human!", fired="human"
            )
        case "trigger":
            asked = "My calendar shows all bookings on the wrong day."
            scene.asks(asked, OTHER, fired="dispute")
        case "person wanted":
            scene.asks(f"{asked} I need a human.", OTHER, fired="human")
        case _:
            scene.asks(asked, found(CALENDAR, sure=0.1))
            scene.presses(ANA, "person", "c-0123456789")
    subject, summary, wants = story(scene)
    assert subject == asked
    assert summary.startswith(asked)
    assert "money" not in f"{subject}{summary}{wants}"
    assert scene.case.ticket is not None
    assert [x.title for x in scene.case.ticket.tried] == ["Refund policy"]


@pytest.mark.parametrize(
    ("text", "results", "fired"),
    [
        pytest.param("No, the money is still not there. I want somebody to look", OTHER, "dispute", id="no"),
        pytest.param("How long does it take?", OTHER, "", id="it"),
        pytest.param("Is there a fee for international bank transfers of that amount?", found(CALENDAR, REFUND, sure=0.2), "", id="near"),
        pytest.param("can I talk to a human please", OTHER, "human", id="bare"),
        pytest.param("Immer noch kein Geld auf dem Konto, wer hilft mir?", OTHER, "dispute", id="immer noch"),
        pytest.param("Nein, das Geld ist nicht da. Wer schaut nach?", OTHER, "dispute", id="nein"),
        pytest.param("Wie lange dauert das?", OTHER, "", id="das"),
        pytest.param("Was kostet mich dafür die Bank?", OTHER, "", id="dafür"),
        pytest.param("Are you kidding me?", OTHER, "angry", id="vents"),
    ],
)  # fmt: skip
def test_whoever_goes_on_about_the_answer_is_understood_from_the_question(
    text: str, results: Found, fired: str
) -> None:
    scene = answered_first()
    scene.asks(text, results, fired=fired)
    if scene.case.ticket is None:
        scene.presses(ANA, "person", "c-0123456789")
    assert story(scene)[1].startswith("How do I get my money back?")


def test_a_question_after_an_answer_that_did_not_help_is_on_the_same_card() -> None:
    scene = answered_first("wrong")
    scene.asks(WEDDINGS, OTHER, fired="dispute")
    assert story(scene)[1] == f"How do I get my money back? … {WEDDINGS}"


@pytest.mark.parametrize(("sure", "kind"), [(0.2, "offer"), (0.01, "decline")])
def test_a_question_that_nobody_has_answered_stays_on_the_card(sure: float, kind: str) -> None:
    scene = answered_first()
    assert scene.asks(WEDDINGS, found(CALENDAR, sure=sure)).kind == kind
    scene.asks("Do you offer discounts for schools and clubs?", found(LOGIN, sure=0.2))
    scene.presses(ANA, "person", "c-0123456789")
    assert story(scene)[1] == f"{WEDDINGS} … Do you offer discounts for schools and clubs?"


def test_after_a_closed_ticket_the_next_card_begins_anew() -> None:
    scene = Scene().claimed()
    scene.submits(KIM, "resolve", summary="Done", kind="solved", cause="bug", save="no")
    scene.passes(49 * 3600)
    scene.asks(WEDDINGS, OTHER)
    scene.asks("can I talk to a human please", fired="human")
    assert story(scene) == (WEDDINGS, WEDDINGS, WEDDINGS)


def test_a_question_that_is_settled_is_not_what_a_later_ticket_is_about() -> None:
    """Asked back, then answered by the status of an incident, or by what stands above already."""
    for settled in ({"incident": "We know.", "incident_id": "I-1"}, {}):
        scene = answered_first()
        assert scene.asks("That thing there", found(INVOICE, LOGIN, sure=0.6)).kind == "clarify"
        scene.asks("I mean the first", *(() if settled else (found(REFUND),)), **settled)  # type: ignore[arg-type]
        scene.asks(WEDDINGS, OTHER)
        scene.presses(ANA, "person", "c-0123456789")
        assert story(scene)[0] == WEDDINGS
        assert story(scene)[2] == WEDDINGS


def test_a_few_words_beside_the_wish_for_a_person_are_the_subject() -> None:
    scene = answered_first()
    scene.asks("Where are my photos? I need a human.", OTHER, fired="human")
    assert story(scene)[0] == "Where are my photos?"


def test_what_the_team_knows_is_a_matter_of_its_own_however_it_is_put() -> None:
    scene = answered_first()
    text = "My calendar has been showing the wrong day since Monday"
    assert scene.asks(text, found(CALENDAR, LOGIN, sure=0.6)).kind == "clarify"
    scene.presses(ANA, "none", "c-0123456789")
    assert story(scene)[1] == text


def test_the_answer_to_a_clarifying_question_begins_nothing() -> None:
    scene = answered_first()
    assert scene.asks("That thing there", found(INVOICE, LOGIN, sure=0.6)).kind == "clarify"
    scene.asks("Is the invoice of last year sent by mail?", found(INVOICE, LOGIN, sure=0.6))
    assert story(scene)[1].startswith("How do I get my money back?")


def test_who_this_is_may_be_asked_in_between() -> None:
    scene = answered_first()
    scene.asks("Are you a bot?")
    scene.asks(WEDDINGS, OTHER)
    scene.presses(ANA, "person", "c-0123456789")
    assert story(scene)[1] == WEDDINGS
