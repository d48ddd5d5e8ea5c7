"""Triggers by words: typos, negation, quotations, idioms; and the data file itself."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handoff import phrases, triggers
from handoff.model import Fired, Reason
from handoff.phrases import compile_phrase, compiled

LABELLED = Path(__file__).with_name("labelled.csv")


def fired(text: str) -> set[str]:
    return {f.trigger for f in triggers.by_words(text)}


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("Can I talk to a human?", "human"),
        ("CAN I TALK TO A HUMAN", "human"),
        ("can i talk to a humna", "human"),
        ("why can't I speak to a person", "human"),
        ("Don't you have any real people there?", "human"),
        ("I don't want a bot, give me a human", "human"),
        ("It's not working i want a human", "human"),
        ("human", "human"),
        ("I want to speak with the manager", "manager"),
        ("put me through to your superviser", "manager"),
        ("This is unacceptable", "angry"),
        ("I've never been so angry with a company", "angry"),
        ("fuck you", "abuse"),
        ("my lawyer will write to you", "legal"),
        ("my laywer will write to you", "legal"),
        ("what dose should I take", "medical"),
        ("can I deduct this from my taxes", "tax"),
        ("should I invest my savings in shares", "financial"),
        ("I will do a chargeback", "dispute"),
        ("I will do a charge back", "dispute"),
        ("make an exception and refund me", "refund"),
        ("password: hunter22", "sensitive"),
        ("my card is [card number removed]", "sensitive"),
        ("my account was hacked", "security"),
        ("someone is stalking me", "safety"),
        ("I want to kill myself", "distress"),
        ("I will not kill myself", "distress"),
        ("the app crashes when I save", "bug"),
        ("the site is down for everyone", "outage"),
        ("Is your site not down? It is down for everyone!", "outage"),
        ("we need a custom quote", "quote"),
        ("we are switching to a competitor", "churn"),
        ("Ich möchte mit einem Menschen sprechen", "human"),
        ("Ich moechte einen Anwalt einschalten", "legal"),
        ("Die Seite ist down", "outage"),
        ('"I want to talk to a human"', "human"),  # nothing but a quotation is meant
        ("A member wrote “I will kill you, I know where you live” in the chat", "safety"),
        ("Hello!\n\nfirst some talk. and then: i\u200b want to talk to a h\u00aduman", "human"),
    ],
)
def test_words_fire(text, trigger):
    assert trigger in fired(text)


@pytest.mark.parametrize(
    "text",
    [
        "I do not want to talk to a human",
        "I don't need a manager",
        "I'm NOT asking for a refund exception",
        "I am not saying that your site is down",
        "The site is not down",
        "not a data loss",
        "scroll down",
        "I want all my data deleted under GDPR",
        "Please delete all our records",
        "Please scroll all the way down and click download",
        "Where can I download the app?",
        "breakdown of costs",
        "Is the log human readable?",
        "How do I kill the process?",
        "What does an agent seat cost?",
        "Is there a password manager?",
        "we played the game layer by layer",
        "How do I change my password?",
        "The manager role is missing in the list",
        "Ich brauche keinen Anwalt",
        "Einen Menschen brauche ich nicht",
        "> I want to talk to a human\nHow do I answer him?",
        "&gt; I will sue you\nWhat does this customer want?",
        'He wrote "I want to talk to a human" and left',
        "```\nfatal: server is down\n```\nWhere do I find this log?",
        "Look for `outage` in the file please",
        "",
        "   ",
        "?!",
    ],
)
def test_words_that_mean_something_else_do_not_fire(text):
    assert fired(text) == set()


def test_why_holds_words_of_the_data_file_only():
    (found,) = triggers.by_words("I want to speak with Maria Example or a human")
    assert found == Fired("human", Reason("says", "speak with … human"))


def test_the_most_serious_comes_first():
    found = [f.trigger for f in triggers.by_words("I'm furious, my account was hacked and I want a human")]
    assert found == sorted(found, key=list(triggers.by_name()).index)
    assert found[0] == "security"


def test_hard_and_soft():
    assert triggers.is_hard(Fired("legal"))
    assert not triggers.is_hard(Fired("bug"))
    assert triggers.is_hard(Fired("topic", topic="refunds"))


def test_the_data_file_is_complete():
    for trigger in triggers.catalogue().triggers:
        assert trigger.title
        assert trigger.means.endswith(".")
        assert len(trigger.examples) >= 10, trigger.name
        assert len(trigger.counter_examples) >= 10, trigger.name
        assert len(set(trigger.examples)) == len(trigger.examples)
        assert 0 < trigger.threshold <= 3
    names = [t.name for t in triggers.catalogue().triggers]
    assert len(names) == len(set(names)) >= 14
    assert len(triggers.catalogue().background) >= 200


def test_no_counter_example_and_no_ordinary_question_fires_by_words():
    catalogue = triggers.catalogue()
    wrong = [(t.name, c) for t in catalogue.triggers for c in t.counter_examples if t.name in fired(c)]
    assert wrong == []
    assert [b for b in catalogue.background if fired(b)] == []


def test_the_labelled_set_is_large_and_apart_from_the_data_file():
    with LABELLED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    counts = Counter(row["trigger"] for row in rows)
    assert set(counts) == {"", *triggers.by_name()}
    assert min(counts.values()) >= 25
    assert counts[""] >= 150


@pytest.mark.parametrize("name", ["labelled.csv", "seen.csv", "blind.csv"])
def test_no_text_is_both_a_lesson_and_a_test(name):
    with LABELLED.with_name(name).open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert len(texts) == len(set(texts)) > 500
    assert set(triggers.lessons().labelled).isdisjoint(texts)


def test_the_lessons_are_many_for_every_trigger():
    lessons = triggers.lessons()
    counts = Counter(name for names in lessons.labelled.values() for name in names)
    assert set(counts) == set(triggers.by_name())
    assert min(counts.values()) >= 300
    assert sum(not names for names in lessons.labelled.values()) >= 3000
    assert len(lessons.texts) == len(set(lessons.texts))


def test_the_lessons_hold_no_secret():
    from handoff import redact

    assert [t for t in triggers.lessons().texts if redact.redact(t).text != t] == []


def test_a_wording_of_an_unknown_trigger_is_refused():
    with pytest.raises(ValueError, match="no_such"):
        triggers.lessons_of(triggers.catalogue(), "text,triggers\nhello,no_such human\n")


def test_a_wording_may_be_of_two_triggers_and_changes_the_digest():
    plain = triggers.lessons_of(triggers.catalogue())
    more = triggers.lessons_of(triggers.catalogue(), "text,triggers\nI want out and a human,churn human\n")
    assert more.labelled["I want out and a human"] == {"churn", "human"}
    assert more.digest != plain.digest
    assert plain.digest == triggers.lessons_of(triggers.catalogue()).digest


def test_denied_words_are_known_as_denied():
    assert "human" in triggers.denied("I don't want to talk to a human")
    assert triggers.denied("I want to talk to a human") == frozenset()


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("customer mentions a chargeback", "chargeback"),
        ("the customer asks for a discount.", "discount"),
        ("Kunde fragt nach einer Rechnung", "einer Rechnung"),
        ("customer", "customer"),
    ],
)
def test_what_a_boundary_is_about(line, about):
    assert triggers.words_of(line) == about


@pytest.mark.parametrize(
    ("line", "crossed", "kept"),
    [
        (
            "Kunde kann in der App nicht kündigen",
            "Warum kann ich nicht kündigen?",
            "Wie kann ich mein Abo kündigen?",
        ),
        (
            "customer is not an owner of the studio",
            "I'm not the owner of the studio",
            "I am the owner of the studio",
        ),
        ("customer cannot open the old mailbox", "I can't open my old mailbox", "How do I open the mailbox?"),
        ("clients cannot book", "Our clients can't book", "Can clients book online?"),
        ("Kunde hat keine Codes mehr", "Ich habe keine Codes", "Wo sind die Codes?"),
    ],
)
def test_a_boundary_that_says_not_is_crossed_by_who_says_not(line, crossed, kept):
    book = triggers.boundary_book(triggers.words_of(line))

    assert any(book.find(crossed))
    assert not any(book.find(kept))


@pytest.mark.parametrize("written", ["", "..", "a ..", "[a] b", "@nobody"])
def test_a_phrase_that_cannot_be_read_is_refused(written):
    with pytest.raises(ValueError, match="phrase"):
        compile_phrase(written, {})


def test_the_language_of_phrases():
    book = compiled(
        [("x", ["open/close .. @door", "^stop$", "# boxes", "very [very] late", "pay-"])],
        {"door": ["door", "gate"]},
    )

    def found(text: str) -> bool:
        return any(book.find(text))

    assert found("please close the big old door")
    assert not found("open it. The door is red")  # not across sentences
    assert not found("open one two three four gates of the door")
    assert found("Stop!")
    assert not found("stop that")
    assert found("I want 12 boxes")
    assert found("very late")
    assert found("very very late")
    assert found("payments")


@given(st.text(max_size=400))
@settings(max_examples=150)
def test_any_text_can_be_read(text):
    triggers.by_words(text)
    triggers.denied(text)


@given(
    st.lists(
        st.sampled_from(
            [
                "human",
                "not",
                "want",
                ".",
                ",",
                '"',
                "```",
                "> ",
                "\n",
                "speak",
                "to",
                "the",
                "down",
                "site",
                "is",
                "👍",
                "I",
            ]
        ),
        max_size=25,
    ).map(" ".join)
)
@settings(max_examples=150)
def test_reading_is_steady(text):
    assert triggers.by_words(text) == triggers.by_words(text)
    assert set(fired(text)).issubset(triggers.by_name())


def test_a_pasted_log_is_soon_read():
    triggers.by_words("humna doun sytem " * 3000)
    triggers.by_words("a" * 50_000)
    triggers.by_words('"' * 50_000)
    triggers.by_words("> \n" * 20_000)
    phrases.outside_quotes("„" * 50_000)


def test_words_alone_find_most_of_the_development_half():
    """The report half is for benchmarks/triggers.py; a test that fails on it would tempt to tune on it."""
    from benchmarks.triggers import half, read

    texts = [t for t in read(LABELLED) if half(t.text) == "development"]
    asked = [t for t in texts if t.trigger]
    assert len(asked) > 200
    assert sum(t.trigger in fired(t.text) for t in asked) / len(asked) >= 0.8
    loud = [t.text for t in texts if not t.trigger and fired(t.text)]
    assert len(loud) <= 2, loud
