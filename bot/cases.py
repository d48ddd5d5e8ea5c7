"""Golden cases: what must stay true whatever changes in the knowledge. Read strictly, since a case that is overlooked
guards nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bot.complaints import meant
from knowledge.evaluate import read_labelled
from knowledge.passage import Complaint, KnowledgeError

DESK_DECISIONS = ("answer", "clarify", "draft", "collect", "escalate", "decline")
DECISIONS = (*DESK_DECISIONS, "offer")
CASE_KEYS = {"question", "expected", "decision", "asks", "reason", "never_say", "says"}


def as_told(kind: str) -> str:
    """A decision as `firstline ask` calls it: what offers a person, or says nothing, declines."""
    return kind if kind in DESK_DECISIONS else "decline"


def is_wanted(kind: str, wanted: str) -> bool:
    """Whether a decision is the one that a case states, which may have been copied from `firstline ask`."""
    return wanted in (kind, as_told(kind))


def unknown_decision(decision: object) -> str:
    return f"there is no decision {decision!r}; write one of {', '.join(DECISIONS)}"


def read_cases(file: Path) -> list[Mapping[str, Any]]:
    """The cases of a YAML file; complaints with file and number of the case for whatever does not fit."""
    try:
        loaded = yaml.safe_load(file.read_text("utf-8")) or []
    except OSError as error:
        raise KnowledgeError([Complaint(str(file), 0, f"cannot be read: {error.strerror}")]) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or error
        line = mark.line + 1 if mark else 0
        raise KnowledgeError([Complaint(str(file), line, f"broken YAML: {problem}")]) from error
    cases = loaded.get("cases", []) if isinstance(loaded, dict) else loaded
    if not isinstance(cases, list):
        raise KnowledgeError([Complaint(str(file), 1, "a list of cases is expected: - question: …")])
    complaints = [
        Complaint(str(file), 0, f"case {number}: {problem}")
        for number, case in enumerate(cases, 1)
        for problem in _problems(case)
    ]
    if complaints or not cases:
        raise KnowledgeError(complaints or [Complaint(str(file), 0, "no cases in this file")])
    return list(cases)


def _problems(case: object) -> Iterator[str]:
    if not isinstance(case, dict) or not case.get("question"):
        yield "needs a question"
        return
    for key in sorted(map(str, set(case) - CASE_KEYS)):
        yield f"unknown key {key}{meant(key, CASE_KEYS)}"
    for key in sorted(CASE_KEYS & set(case)):
        several = key == "never_say" and isinstance(case[key], list)
        if any(isinstance(one, dict | list) for one in (case[key] if several else [case[key]])):
            yield f"{key} must be a text" + (" or a list of texts" if key == "never_say" else "")
    if isinstance(case.get("decision"), str) and case["decision"] not in ("", *DECISIONS):
        yield unknown_decision(case["decision"])


def golden_cases(path: Path | None) -> list[Mapping[str, Any]]:
    """The cases of a golden file (CSV or YAML); none where no file is configured. Raises `KnowledgeError` for a file
    that is missing or cannot be read: a gate that nobody guards is worse than none."""
    if path is None:
        return []
    if not path.is_file():
        raise KnowledgeError([Complaint(str(path), 0, "no such file; [knowledge] golden names it")])
    if path.suffix.lower() == ".csv":
        rows = read_labelled(path)
        return [{"question": r.question, "expected": r.expected, "decision": r.decision} for r in rows]
    return read_cases(path)
