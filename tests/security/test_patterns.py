"""T-SEC-16: no pattern that an admin may write, and no text that a customer may write, keeps the process busy."""

from __future__ import annotations

import re

import pytest

from bot.config import Config, ConfigError, load
from bot.patterns import runaway
from bot.policies import policy_of
from bot.texts import load_texts
from handoff import fields, priority, redact, sentiment, triggers
from handoff.policy import FieldRule

ENDLESS = (
    "(a+)+$", "((a+))+$", "(a|aa)+$", "(a*)*b", r"(\w+\s?)*$", "(.*)*x", "(?:x+x+)+y", "(a{1,3}){1,99}",
    r"^(([a-z])+.)+[A-Z]([a-z])+$", "(?P<n>a+)+", "(?=(a+)+b)a", "(a??a)*$", "x|(a+)+$",
)  # fmt: skip
FINE = (
    r"^[A-Za-z]{0,4}-?\d{3,12}$", r"\d{4}-\d{4}", r"(\d{1,3}\.){3}\d{1,3}", "[A-Z]+-[0-9]+", "(foo|bar)", "a+b*c?", "(ab)*",
    r"INV-\d+", "", "([a-z]|[a-m])+", "(?i)order ?#?[0-9]+", "([A-Z]{2}){1,3}",
)  # fmt: skip
LONG = 50_000


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_may_take_for_ever_is_refused_at_load(pattern: str, tmp_path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[[field]]\nid = 'order'\nlabel = 'Order'\npattern = '{pattern}'\n")

    with pytest.raises(ConfigError) as refused:
        load(file)

    assert any("pattern" in c and "for ever" in c for c in refused.value.complaints), refused.value


@pytest.mark.parametrize("pattern", FINE)
def test_an_ordinary_pattern_is_accepted(pattern: str) -> None:
    assert not runaway(pattern)


def test_what_is_no_pattern_is_refused_in_words(tmp_path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[[field]]\nid = 'order'\nlabel = 'Order'\npattern = '('\n")

    with pytest.raises(ConfigError, match="not a regular expression"):
        load(file)


TEXTS = (
    "a" * LONG, "a " * (LONG // 2), "é" * LONG, "\n" * LONG, "1" * LONG, "a@" * (LONG // 2), "-" * LONG, "(" * LONG, "\\" * LONG,
    "not not not " * (LONG // 12), '"' * LONG, "`" * LONG, "> " * (LONG // 2), "https://" * (LONG // 8), "4111 " * (LONG // 5),
    "abandon " * (LONG // 8), "password: " * (LONG // 10), "@everyone" * (LONG // 9), "\u200b" * LONG, "ab.cd@" * (LONG // 6),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_fifty_thousand_hostile_characters_are_read_to_the_end(number: int) -> None:
    """Secrets, triggers, mood, priority and every field of a form; the time limit of the suite is the judge."""
    text = TEXTS[number]

    assert len(redact.redact(text).text) > 0
    triggers.by_words(text)
    sentiment.of(text)
    priority.assess(text)
    for rule in policy_of(Config()).fields.values():
        fields.problem(rule, text, ())
    fields.problem(FieldRule("x", "X", pattern=re.compile(r"[A-Z]+-[0-9]+")), text, ())


def test_a_long_text_has_words_too() -> None:
    """Nothing of what is said to anybody grows without bound."""
    texts = load_texts()
    for key in texts.catalogues["en"]:
        said = texts.get(
            key, "en", **dict.fromkeys(("name", "ticket", "subject", "reason"), "{ticket}" * 1000)
        )
        assert said.count("{ticket}") <= 4000
