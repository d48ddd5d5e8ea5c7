"""What a careful colleague would say about a knowledge folder: findings, worst first. None of them stops a build."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
from rapidfuzz import fuzz, process

from knowledge.engine import Vectors
from knowledge.languages import plainly
from knowledge.passage import LEVELS, Complaint, SnapshotInfo, Topic, valid_on
from knowledge.tokens import words

STALE_DAYS = 180
SAME, OVERLAPPING = 0.93, 0.85  # cosines of two topics' questions
LONG_ANSWER = 1800  # characters: what one chat message carries comfortably
MEANT = 60  # likeness in percent from which one name may be another misspelt
AT_MOST = 50  # overlapping pairs that are told
Severity = Literal["problem", "warning", "hint"]
_ORDER: Mapping[str, int] = {"problem": 0, "warning": 1, "hint": 2}
_NUMBER = re.compile(
    r"\d+(?:[.,]\d+)?\s*(?:%|€|\$|eur|usd|days?|hours?|minutes?|weeks?|months?|years?|gb|mb|users?|seats?)",
    re.IGNORECASE,
)
_ACTION = re.compile(
    r"^(accept|activate|add|adjust|allow|apply|approve|archive|ask|assign|attach|avoid|back|block|buy|can|cancel|change|"
    r"check|choose|clear|close|combine|configure|confirm|connect|contact|convert|correct|create|customi[sz]e|deactivate|"
    r"define|delete|disable|disconnect|do|does|download|duplicate|edit|enable|erase|exchange|export|extend|fill|filter|"
    r"find|fix|follow|generate|get|give|grant|hide|how|identify|import|increase|insert|install|integrate|invite|is|are|join|"
    r"keep|learn|leave|let|link|lock|log|lower|make|manage|merge|migrate|move|mute|notify|open|order|organi[sz]e|pay|"
    r"pause|prepare|prevent|print|protect|publish|reactivate|recommend|reconnect|recover|redeem|reduce|register|reinstall|"
    r"remove|rename|renew|reopen|repair|replace|report|request|reschedule|resend|reset|restart|restore|resume|retrieve|"
    r"revoke|rotate|run|save|scan|schedule|search|see|select|sell|send|separate|set|setup|share|show|sign|sort|speak|speed|"
    r"split|start|stay|stop|submit|subscribe|swap|switch|sync|take|talk|tell|track|transfer|troubleshoot|try|turn|unblock|"
    r"undo|uninstall|unlink|unlock|unsubscribe|update|upgrade|upload|use|verify|view|what|when|where|which|who|why|will|"
    r"withdraw|write|"
    r"wie|was|wo|woher|wohin|womit|wofür|wann|warum|weshalb|wieso|wer|wem|wen|welche[rsnm]?|kann|können|darf|muss|gibt|so)\b"
    # Many a verb is a noun as well ("refund", "book", "charge"): with an article after it, it is meant as a verb.
    r"|^(?!(?:about|above|after|against|around|as|at|because|before|behind|below|beside|between|beyond|both|by|during|except|for|"
    r"from|if|in|inside|into|like|near|not|of|off|on|once|only|out|outside|over|per|since|than|through|to|under|until|up|"
    r"ways|with|within|without|while)\b)[a-z]+ (?:a|an|the|your|my|our|their|this|these|another|any|every|somebody|someone)\b",
    re.IGNORECASE,
)
_INFINITIVE = re.compile(r"\b[a-zäöüß]{2,}(?:en|ern|eln)$")  # small: "Rechnungen" is none


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark on one topic; `other` names the topic that it collides with."""

    rule: str
    severity: Severity
    topic: str
    path: str
    line: int
    message: str
    other: str = ""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.message} [{self.rule}]"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def lint(
    topics: Sequence[Topic],
    *,
    today: date,
    stale_days: int = STALE_DAYS,
    categories: Sequence[str] | None = None,
) -> tuple[Finding, ...]:
    """What can be said of topics one by one and by their names, without a model. `categories`: those that there are;
    None where that is not known."""
    found: list[Finding] = []
    ids = {topic.id for topic in topics}
    for topic in topics:
        found += _of_topic(topic, today, stale_days, ids)
    found += _unused_levels(topics)
    if categories is not None:
        found += _unknown_categories(topics, categories)
    return _sorted(found)


async def audit(
    topics: Sequence[Topic],
    embed: Callable[[Sequence[str]], Any],
    *,
    today: date,
    stale_days: int = STALE_DAYS,
    categories: Sequence[str] | None = None,
    used: Mapping[str, int] | None = None,
) -> tuple[Finding, ...]:
    """The same, plus what needs meaning: topics that overlap or contradict each other; and, where `used` says how
    often each topic answered, those that never did. `embed` is `Library.embed`."""
    found = list(lint(topics, today=today, stale_days=stale_days, categories=categories))
    texts = [topic.questions[0] if topic.questions else topic.title for topic in topics]
    if topics:
        found += _overlaps(topics, await embed(texts))
    if used is not None:
        found += [
            _finding("unused", "hint", topic, "never answered anybody in the time looked at")
            for topic in topics
            if not used.get(topic.id)
        ]
    return _sorted(found)


def of_complaints(complaints: Iterable[Complaint]) -> tuple[Finding, ...]:
    """A build's complaints as findings, so that one table shows both."""
    return tuple(Finding("unreadable", "problem", "", one.path, one.line, one.message) for one in complaints)


def summary(info: SnapshotInfo, findings: Sequence[Finding]) -> dict[str, Any]:
    """A folder's health in a few numbers."""
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.rule] = counts.get(finding.rule, 0) + 1
    return {"snapshot": info.id, "topics": info.topics, "findings": len(findings), "by_rule": counts}


def _of_topic(topic: Topic, today: date, stale_days: int, ids: set[str]) -> Iterator[Finding]:
    if topic.kind != "document":
        if not topic.owner:
            yield _finding("ownerless", "warning", topic, "nobody owns this topic: add `owner:`")
        if not topic.reviewed:
            yield _finding("unreviewed", "hint", topic, "never reviewed: add `reviewed:` with a date")
        if not _asks_or_acts(topic):
            yield _finding(
                "title", "hint", topic, f"the title “{topic.title[:60]}” is neither a question nor an action"
            )
        if not topic.questions:
            yield _finding(
                "no-questions", "warning", topic, "no example questions: confidence stays low without them"
            )
    if topic.reviewed and (today - date.fromisoformat(topic.reviewed)).days > stale_days:
        yield _finding(
            "stale", "warning", topic, f"last reviewed {topic.reviewed}, over {stale_days} days ago"
        )
    if topic.reviewed > today.isoformat():
        yield _finding(
            "reviewed-later", "problem", topic, f"reviewed on {topic.reviewed}, which is in the future"
        )
    if topic.valid_to and not valid_on("", topic.valid_to, today):
        yield _finding("expired", "warning", topic, f"not valid since {topic.valid_to}: delete or renew it")
    if topic.level == "answer" and topic.kind == "topic" and len(topic.body) > LONG_ANSWER:
        yield _finding(
            "long", "hint", topic, f"{len(topic.body)} characters are more than one message carries well"
        )
    for other in topic.related:
        if other not in ids:
            yield _finding("dangling", "problem", topic, f"related topic `{other}` does not exist")


def _asks_or_acts(topic: Topic) -> bool:
    """Whether the title is a question or an action, in German one that ends in an infinitive ("Rechnung herunterladen")."""
    title = re.sub(r"\s*\([^)]*\)$", "", topic.title.strip())
    if title.endswith("?") or _ACTION.match(title):
        return True
    return _INFINITIVE.search(title) is not None and _german(topic)


def _german(topic: Topic) -> bool:
    """As it says, or else as its words tell."""
    said = (topic.title, *topic.questions, *topic.body.splitlines())
    return topic.language == "de" if topic.language else any(plainly(text) == "de" for text in said)


def _unused_levels(topics: Sequence[Topic]) -> Iterator[Finding]:
    used = {topic.level for topic in topics}
    missing = [level for level in LEVELS if level not in used]
    if topics and missing:
        message = f"no topic has the level {', '.join(missing)}: is nothing here for a person to decide?"
        yield Finding("unused-level", "hint", "", "knowledge", 0, message)


def _unknown_categories(topics: Sequence[Topic], categories: Sequence[str]) -> Iterator[Finding]:
    """One finding for each category that is not there, at the first of its topics: rules, fields and route of
    "general" hold for them."""
    strange: dict[str, Topic] = {}
    for topic in topics:
        if topic.category and topic.category not in categories:
            strange.setdefault(topic.category, topic)
    for name, first in strange.items():
        near = process.extractOne(name, categories, scorer=fuzz.ratio, score_cutoff=MEANT)
        meant = f"; did you mean `{near[0]}`?" if near else ""
        message = f"there is no category `{name}` in the configuration, “general” takes its topics{meant}"
        yield _finding("category", "warning", first, message)


def _overlaps(topics: Sequence[Topic], vectors: Vectors) -> list[Finding]:
    """Pairs of topics that answer the same question, and among them those that name different numbers."""
    close = vectors @ vectors.T
    close[np.tril_indices(len(topics))] = 0.0
    pairs = np.argwhere(close >= OVERLAPPING)
    ranked = sorted(pairs.tolist(), key=lambda pair: -float(close[pair[0], pair[1]]))
    found: list[Finding] = []
    for one, two in ranked:
        if len(found) >= AT_MOST:
            break
        first, second = topics[one], topics[two]
        if (
            first.id == second.id
            or not set(first.audience) & set(second.audience)
            or first.language != second.language
        ):
            continue
        likeness = float(close[one, two])
        where = f"`{second.id}` ({second.path})"
        mine, theirs = _numbers(first), _numbers(second)
        if likeness >= SAME and words(first.body) == words(second.body):
            found.append(_finding("duplicate", "problem", first, f"says the same as {where}", second.id))
        elif mine and theirs and not mine & theirs:
            message = f"may contradict {where}: {', '.join(sorted(mine)[:3])} here, {', '.join(sorted(theirs)[:3])} there"
            found.append(_finding("contradiction", "problem", first, message, second.id))
        else:
            found.append(
                _finding(
                    "overlap",
                    "warning",
                    first,
                    f"{likeness:.0%} like {where}: customers get either",
                    second.id,
                )
            )
    return found


def _numbers(topic: Topic) -> set[str]:
    return {re.sub(r"\s+", " ", found.group().lower()).rstrip("s") for found in _NUMBER.finditer(topic.body)}


def _finding(rule: str, severity: Severity, topic: Topic, message: str, other: str = "") -> Finding:
    return Finding(rule, severity, topic.id, topic.path, topic.line, message, other)


def _sorted(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(
        sorted(found, key=lambda one: (_ORDER[one.severity], one.rule, one.path, one.line, one.other))
    )
