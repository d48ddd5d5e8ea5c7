"""Priorities and tones: words in their context, and the reason that people read."""

from __future__ import annotations

import pytest

from bot.texts import catalogue
from handoff import priority, reasons, sentiment, triggers
from handoff.model import Fired, Reason
from handoff.policy import Policy


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("The site is down for everyone", "P0"),
        ("Nobody in our company can log in", "P0"),
        ("all of our data is gone", "P0"),
        ("This affects 300 users, they cannot save", "P0"),
        ("1,200 customers are affected", "P0"),
        ("2k users are locked out", "P0"),
        ("12 people can't open the file", "P1"),
        ("We are completely blocked", "P1"),
        ("I can't log in", "P1"),
        ("we are losing money because of this", "P1"),
        ("How do I scroll down?", "P2"),
        ("Where can I download it?", "P2"),
        ("a breakdown of costs please", "P2"),
        ("It is not a data loss", "P2"),
        ("Our 300 users like it", "P2"),
        ("What does it cost for 300 users?", "P2"),
        ("3 people cannot print", "P2"),
        ("How do I change the colour?", "P2"),
        ("It would be nice to have a dark mode", "P3"),
        ("Feature request: templates", "P3"),
        ("There is a typo in the docs", "P3"),
        ("Das ist nicht dringend", "P3"),
        ("", "P2"),
    ],
)
def test_words_in_their_context(text, level):
    found, why = priority.assess(text)
    assert (found, bool(why)) == (level, level != "P2"), why


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [
        ("en", "The site is down for everyone", "outage or data loss: says “down for everyone”"),
        ("de", "The site is down for everyone", "Ausfall oder Datenverlust: sagt „down for everyone“"),
        ("en", "300 users cannot save", "300 people are affected"),
        ("de", "300 Nutzer sind betroffen", "300 Menschen sind betroffen"),
        ("de", "Das ist nicht dringend", "sagt „nicht dringend“"),
        ("en", "How do I change the colour?", ""),
    ],
)
def test_the_reason_is_in_the_words_of_the_desk(language, text, told):
    policy = Policy(language=language, phrases={language: catalogue(language)})
    assert reasons.priority(priority.assess(text)[1], policy.phrase) == told


def test_every_reason_has_its_words_in_every_language():
    """What words, meaning, moods and tiers say, all at once; nothing of it stays a key or English."""
    because = (
        Reason("category"), Reason("sounds", "negative"), Reason("tier", "P1"), Reason("says", "x"), Reason("people", "12"),
        Reason("trigger", "security", of=Reason("example", "my account was hacked", 0.71)),
        Reason("trigger", "sensitive", of=Reason("secret", "password")), Reason("trigger", "legal", of=Reason("near", "x", 0.6)),
        Reason("trigger", "dispute", of=Reason("boundary", "a chargeback")),
    )  # fmt: skip
    for language in ("en", "de"):
        words = reasons.priority(
            because, Policy(language=language, phrases={language: catalogue(language)}).phrase
        )
        assert "reason." not in words
        assert "trigger." not in words
        if language == "de":
            assert not {"says", "close", "holds", "sounds", "tier", "asks"} & set(
                words.replace(":", "").split()
            )


def test_a_reason_is_told_in_the_language_of_the_desk_and_plainly_in_english():
    policy = Policy(language="de", phrases={"de": catalogue("de")})
    (fired,) = triggers.by_words("get me a lawyer")
    assert reasons.worded(fired.reason, policy.phrase) == "sagt „lawyer“"
    assert reasons.plain(fired.reason) == "says “lawyer”"
    near = Reason("example", "my account was hacked", 0.708)
    assert reasons.plain(near) == "close to the example “my account was hacked” (0.71)"
    assert "0.71" in reasons.worded(near, policy.phrase)
    assert reasons.plain(Reason()) == reasons.worded(Reason(), policy.phrase) == ""


@pytest.mark.parametrize("kind", sorted(reasons.PLAIN))
def test_every_kind_of_reason_has_both(kind):
    english = Policy(phrases={"en": catalogue("en")})
    assert reasons.plain(Reason(kind, "x", 0.5)) == reasons.worded(Reason(kind, "x", 0.5), english.phrase)


def test_a_trigger_brings_its_own_priority():
    level, why = priority.assess("hm", fired=(Fired("security", Reason("example", "…", 0.71)),))
    assert level == "P1"
    assert why == (Reason("trigger", "security", of=Reason("example", "…", 0.71)),)
    assert priority.assess("hm", fired=(Fired("distress"),))[0] == "P0"
    assert priority.assess("hm", fired=(Fired("human"), Fired("topic", topic="a")))[0] == "P2"


def test_the_category_counts_where_the_words_say_nothing():
    assert priority.assess("hm", "P1")[0] == "P1"
    assert priority.assess("hm", "P3")[0] == "P3"
    assert priority.assess("the site is down for everyone", "P3")[0] == "P0"
    assert priority.assess("an idea: add templates", "P1")[0] == "P1"
    assert priority.assess("hm", None, (), None)[0] == "P2"


def test_a_tone_lifts_one_step_but_wakes_nobody():
    assert priority.assess("hm", sentiment="negative")[0] == "P1"
    assert priority.assess("hm", "P3", sentiment="urgent")[0] == "P2"
    assert priority.assess("hm", "P1", sentiment="negative")[0] == "P1"
    assert priority.assess("hm", sentiment="positive")[0] == "P2"
    assert priority.assess("hm", sentiment="negative")[1] == (Reason("sounds", "negative"),)


def test_the_tier_is_a_floor():
    level, why = priority.assess("hm", tier_floor="P1")
    assert level == "P1"
    assert why == (Reason("tier", "P1"),)
    assert priority.assess("the site is down for everyone", tier_floor="P1")[0] == "P0"


def test_every_priority_of_the_data_file_is_one():
    assert {t.priority for t in triggers.catalogue().triggers} <= {None, "P0", "P1", "P2", "P3"}


@pytest.mark.parametrize(
    ("text", "tone"),
    [
        ("Thanks, that helped!", "positive"),
        ("Works perfectly now, great", "positive"),
        ("Vielen Dank, super!", "positive"),
        ("How do I add a user?", "neutral"),
        ("", "neutral"),
        ("This is terrible and I am disappointed", "negative"),
        ("I'm not happy", "negative"),
        ("great, still not working", "negative"),
        ("WHERE IS MY ORDER?!?!", "negative"),
        ("Das ist eine Frechheit", "negative"),
        ("I need this fixed ASAP", "urgent"),
        ("It's urgent, our launch is today", "urgent"),
        ("Bitte dringend helfen", "urgent"),
        ("this is not urgent", "neutral"),
        ("API URL", "neutral"),
    ],
)
def test_tones(text, tone):
    assert sentiment.of(text) == tone


@pytest.mark.parametrize(
    ("text", "urgency"), [("asap please", "now"), ("I need it by Friday", "soon"), ("how?", "")]
)
def test_urgency(text, urgency):
    assert sentiment.urgency(text) == urgency
