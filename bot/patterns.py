"""Patterns that an admin writes and strangers' words are matched against: may this one take for ever?"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

_parser: Any = importlib.import_module("re._parser")
MANY = 10  # a group that repeats more often than this must match in one way only
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_GROUPS = {"SUBPATTERN": 3, "ASSERT": 1, "ASSERT_NOT": 1}


def runaway(pattern: str) -> bool:
    """Whether a part that repeats holds a choice or another repetition: `(a+)+` tries every way to cut a text.

    Raises `re.error` for what is no pattern at all.
    """
    return _runs_away(_parser.parse(pattern), inside=False)


def _runs_away(parts: Iterable[tuple[Any, Any]], *, inside: bool) -> bool:
    return any(_one(str(kind), value, inside=inside) for kind, value in parts)


def _one(kind: str, value: Any, *, inside: bool) -> bool:
    if kind in _REPEATS:
        least, most, body = value
        return (inside and least != most) or _runs_away(body, inside=inside or int(most) > MANY)
    if kind == "BRANCH":
        return inside or any(_runs_away(choice, inside=False) for choice in value[1])
    return kind in _GROUPS and _runs_away(value[_GROUPS[kind]], inside=inside)
