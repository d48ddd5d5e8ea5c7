"""What the page is sent is plain data, in words, whatever comes in."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.playground import PlaygroundAdapter
from adapters.playground_format import safe_url, trace_view, verdict
from adapters.playground_site import PAGE

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.org/a?b=1", True),
        ("HTTP://example.org", True),
        ("mailto:help@example.org", True),
        ("javascript:alert(1)", False),
        (" JavaScript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,x", False),
        ("vbscript:x", False),
        ("//example.org", False),
        ("/relative", False),
        ("http://[", False),
        ("", False),
        (None, False),
    ],
)
def test_only_links_that_a_person_may_follow_are_kept(url: str | None, kept: bool) -> None:
    assert (safe_url(url) is not None) == kept


@pytest.mark.parametrize(
    ("confidence", "threshold", "words"),
    [
        (0.93, 0.74, "Of 100 answers like this one, about 93 are right; the line for answering is 74."),
        (0.4, 0.74, "Of 100 answers like this one, about 40 are right; that is below the line of 74, so it is not sent as an answer."),
        (1.0, 0.995, "Of 100 answers like this one, more than 99 are right; the line for answering is 99.5."),
        (0.93, None, "Of 100 answers like this one, about 93 are right."),
        (None, 0.74, ""),
    ],
)  # fmt: skip
def test_confidence_is_told_as_a_frequency(
    confidence: float | None, threshold: float | None, words: str
) -> None:
    assert verdict(confidence, threshold) == words


def test_a_trace_says_everything_that_is_known() -> None:
    view = trace_view(
        {
            "at": 5.0,
            "conversation": "c-1",
            "place": "playground:playground:help:7",
            "customer": "Ana",
            "event": "message",
            "kind": "escalate",
            "why": "trigger refund: 'my money back'",
            "trace": [["triggers", "refund"]],
            "fired": [{"trigger": "refund", "why": "the words 'money back'", "score": 1.0}],
            "search_why": ["two topics are close"],
            "evidence": [
                {"topic": "t", "title": "T", "confidence": 0.5, "score": 0.25, "evidence": {"bm25": 3.14159}}
            ],
            "timings_ms": {"whole": 12.34},
            "phase": "desk",
            "ticket": {"id": "T-1042", "state": "new", "priority": "P2", "assignee": None},
        },
        1,
    )

    assert (view["label"], view["tone"], view["phase"]) == (
        "Handed to a person",
        "warn",
        "waiting for an agent",
    )
    assert view["fired"] == [["refund", "the words 'money back'"]]
    assert view["evidence"][0]["parts"] == [["words", "3.14"]]
    assert view["timings"] == [["whole", "12.3 ms"]]
    assert view["ticket"] == {"id": "T-1042", "state": "new", "priority": "P2", "assignee": ""}
    assert (view["place"], view["customer"]) == ("playground:playground:help:7", "Ana")


@given(
    kind=st.text(max_size=20), why=json_values, confidence=json_values, ticket=json_values, phase=json_values
)
def test_a_strange_trace_never_breaks_the_page(
    kind: str, why: object, confidence: object, ticket: object, phase: object
) -> None:
    trace = {"kind": kind, "why": why, "confidence": confidence, "ticket": ticket, "phase": phase}

    json.dumps(trace_view(trace, 1))


# --- colours -----------------------------------------------------------------------------------------------

PAIRS = [
    ("ink", "ground"), ("ink", "surface"), ("ink", "sunken"), ("muted", "surface"), ("muted", "ground"),
    ("muted", "sunken"), ("accent", "surface"), ("accent-ink", "accent"), ("info", "accent-soft"),
    ("info", "info-soft"), ("good", "good-soft"), ("warn", "warn-soft"), ("bad", "bad-soft"), ("bad", "surface"),
    ("ink", "warn-soft"), ("ink", "accent-soft"),
]  # fmt: skip


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_ink_is_readable_on_its_ground(scheme: str) -> None:
    css = (PAGE / "style.css").read_text("utf-8")
    roots = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", roots[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", roots[1]))

    weak = {f"{ink} on {ground}": round(contrast(colours[ink], colours[ground]), 2) for ink, ground in PAIRS}
    weak |= {f"white on hue{n}": round(contrast("#ffffff", colours[f"hue{n}"]), 2) for n in range(6)}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}
    assert contrast(colours["line-strong"], colours["surface"]) >= 3.0


def test_suggestions_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = PlaygroundAdapter(suggestions=["", "  ", *"abcdefgh"])

    assert chat.suggestions == list("abcdef")
