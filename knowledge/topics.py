"""Topic files: front matter or the plain form -> a Topic, or complaints that name file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any

import yaml
from rapidfuzz import fuzz, process

from knowledge.passage import KINDS, LEVELS, PUBLIC, Complaint, Section, Topic

LISTS = ("questions", "audience", "tags", "escalate_when", "related")
DATES = ("reviewed", "valid_from", "valid_to")
KEYS = ("id", "title", "question", "level", "category", "language", "owner", "kind", *LISTS, *DATES)
PLAIN_KEYS = {
    "topic": "title",
    "approved answer": "body",
    "answer": "body",
    "escalate when": "escalate_when",
    "question": "questions",  # one to a line, as often as there are
    **{key.replace("_", " "): key for key in KEYS if key not in ("title", "question", "kind")},
}
TELLING = (
    "approved answer",
    "escalate when",
)  # no prose begins like these: what comes near is one of them misspelt
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)(?:\r?\n)?^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PLAIN_START = re.compile(r"^(?:#+\s*)?\**topic\**\s*:", re.IGNORECASE | re.MULTILINE)
_PLAIN_LINE = re.compile(r"^(?:#+\s*)?\**([A-Za-z][A-Za-z _]{1,24}?)\**\s*:\**\s*(.*)$")
_LANGUAGE = re.compile(r"(?:[a-z]{2})?", re.IGNORECASE)
_LANGUAGE_SUFFIX = re.compile(r"\.([a-z]{2})$")
_LINK_TARGET = re.compile(r"(?:channel:|role:|[#@])?(.+)")
_SIMILAR = 75.0  # rapidfuzz ratio from which an unknown key is a slip of the pen, not the team's own field


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # in C where it is built
    """YAML without its own idea of dates: we read them ourselves, and say which line is wrong."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the class above has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(slots=True)
class Source:
    """One file being read: where it lies, and what is wrong with it so far."""

    path: str
    complaints: list[Complaint] = field(default_factory=list)

    def complain(self, line: int, message: str) -> None:
        self.complaints.append(Complaint(self.path, line, message))

    @property
    def stem(self) -> str:
        return self.path.rsplit(".", 1)[0]

    @property
    def language(self) -> str:
        """The two letters before the extension (`refund-policy.de.md`), if any."""
        found = _LANGUAGE_SUFFIX.search(self.stem)
        return found.group(1) if found else ""

    @property
    def default_id(self) -> str:
        return _LANGUAGE_SUFFIX.sub("", self.stem)

    @property
    def default_category(self) -> str:
        return self.path.rsplit("/", 1)[0] if "/" in self.path else ""


def has_front_matter(text: str) -> bool:
    return text.lstrip("\ufeff").startswith("---") and bool(text.lstrip("\ufeff")[3:4].isspace())


def is_plain_form(text: str) -> bool:
    """Whether the first thing in a text is a `Topic:` line."""
    found = _PLAIN_START.search(text)
    return found is not None and not text[: found.start()].strip("\ufeff \t\r\n-")


def front_matter_topic(source: Source, text: str) -> Topic | None:
    """The topic of a file with YAML front matter; None when complaints say why not."""
    found = _FRONT.match(text)
    if not found:
        source.complain(1, "front matter has no closing line `---`")
        return None
    fields = _yaml_mapping(source, found.group(1))
    if fields is None:
        return None
    lines = _key_lines(found.group(1))
    body = text[found.end() :].strip()
    return make_topic(
        source, fields, body, lambda key: lines.get(key, 1), text.count("\n", 0, found.end()) + 1
    )


def _yaml_mapping(source: Source, block: str) -> dict[str, Any] | None:
    try:
        fields = yaml.load(block, Loader=_Loader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not valid YAML"
        source.complain((mark.line if mark else 0) + 2, f"broken front matter: {problem}")
        return None
    except (ValueError, RecursionError) as error:  # e.g. nested a thousand deep
        source.complain(2, f"broken front matter: {error}")
        return None
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        source.complain(2, "front matter must be `key: value` lines")
        return None
    return {str(key): value for key, value in fields.items()}


def _key_lines(block: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    for number, line in enumerate(block.split("\n"), start=2):
        key, colon, _ = line.partition(":")
        if colon and key and not key[0].isspace():
            lines.setdefault(key.strip().strip("\"'"), number)
    return lines


def plain_topics(source: Source, text: str) -> list[Topic]:
    """The topics of a file in the plain form `Topic: … / Approved answer: … / Escalate when: - …`."""
    starts = [found.start() for found in _PLAIN_START.finditer(text)] + [len(text)]
    topics = []
    for begin, end in pairwise(starts):
        first_line = text.count("\n", 0, begin) + 1
        fields, body, lines = _plain_fields(source, text[begin:end].split("\n"), first_line)
        if len(starts) > 2:  # noqa: PLR2004 - several topics share one path
            fields.setdefault("id", f"{source.default_id}#{slug(str(fields.get('title', '')))}")
        line_of = partial(_line_in, lines, first_line)
        topic = make_topic(source, fields, body, line_of, first_line)
        if topic:
            topics.append(topic)
    return topics


def _line_in(lines: Mapping[str, int], otherwise: int, key: str) -> int:
    return lines.get(key, otherwise)


def _plain_fields(
    source: Source, lines: list[str], first_line: int
) -> tuple[dict[str, Any], str, dict[str, int]]:
    fields: dict[str, Any] = {}
    collected: dict[str, list[str]] = {}
    at: dict[str, int] = {}
    current = ""
    for number, line in enumerate(lines, start=first_line):
        found = _PLAIN_LINE.match(line)
        name = found.group(1).lower().strip() if found else ""
        key = PLAIN_KEYS.get(name, "")
        if found and key and (key not in at or name == "question"):
            current = key
            at.setdefault(key, number)
            collected.setdefault(key, []).append(found.group(2))
            continue
        if not key and (near := process.extractOne(name, TELLING, scorer=fuzz.ratio, score_cutoff=_SIMILAR)):
            source.complain(number, f"unknown key `{name}`: did you mean `{near[0]}`?")
        if current:
            collected[current].append(line)
    for key, values in collected.items():
        if key in LISTS:
            fields[key] = [
                item.strip().lstrip("-*• ").strip() for item in values if item.strip().lstrip("-*• ").strip()
            ]
        elif key != "body":
            fields[key] = " ".join(value.strip() for value in values).strip()
    body = "\n".join(collected.get("body", [])).strip().strip("-").strip()
    return fields, body, at


def make_topic(
    source: Source, fields: Mapping[str, Any], body: str, line_of: Callable[[str], int], body_line: int
) -> Topic | None:
    """A Topic from its fields, every mistake in them complained about; None if there is any."""
    before = len(source.complaints)
    extras = _unknown_keys(source, fields, line_of)
    lists = {key: _list_of(source, key, fields.get(key), line_of) for key in LISTS}
    dates = {key: _date_of(source, key, fields.get(key), line_of) for key in DATES}
    asked = _list_of(source, "question", fields.get("question"), line_of)
    level = _one_of(source, "level", fields.get("level"), LEVELS, line_of)
    kind = _one_of(source, "kind", fields.get("kind"), KINDS, line_of)
    text = {
        key: _text_of(source, key, fields.get(key), line_of)
        for key in ("id", "title", "category", "language", "owner")
    }
    if not _LANGUAGE.fullmatch(text["language"]):
        source.complain(
            line_of("language"),
            f"`language` must be two letters like en or de, not {text['language'][:40]!r}",
        )
    if not body and level in ("answer", "draft"):
        source.complain(
            body_line, "no approved text: write what customers may be told, or set level: collect or escalate"
        )
    if dates["valid_from"] and dates["valid_to"] and dates["valid_from"] > dates["valid_to"]:
        source.complain(line_of("valid_to"), "valid_to is before valid_from")
    if len(source.complaints) > before:
        return None
    questions = tuple(dict.fromkeys([*asked, *lists["questions"]]))
    return Topic(
        id=text["id"] or source.default_id,
        title=text["title"]
        or (questions[0] if questions else _title_from_id(text["id"] or source.default_id)),
        path=source.path,
        sections=(Section("", body, body_line),),
        kind="emergency" if kind == "emergency" else "document" if kind == "document" else "topic",
        questions=questions,
        level=level,
        category=text["category"] or source.default_category,
        audience=tuple(_LINK_TARGET.sub(r"\1", one) for one in lists["audience"]) or (PUBLIC,),
        tags=tuple(dict.fromkeys([*lists["tags"], *extras])),
        language=(text["language"] or source.language).lower(),
        escalate_when=tuple(lists["escalate_when"]),
        owner=text["owner"],
        reviewed=dates["reviewed"],
        valid_from=dates["valid_from"],
        valid_to=dates["valid_to"],
        related=tuple(lists["related"]),
        line=min((line_of(key) for key in fields), default=1),
    )


def _unknown_keys(source: Source, fields: Mapping[str, Any], line_of: Callable[[str], int]) -> list[str]:
    """The team's own fields become tags; a key that looks like one of ours misspelt is a mistake."""
    extras = []
    for key, value in fields.items():
        if key in KEYS:
            continue
        near = process.extractOne(key.lower().replace("-", "_").replace(" ", "_"), KEYS, scorer=fuzz.ratio)
        if near and near[1] >= _SIMILAR:
            source.complain(line_of(key), f"unknown key `{key}`: did you mean `{near[0]}`?")
        elif isinstance(value, str | int | float | date) and str(value).strip():
            extras.append(str(value).strip())
    return extras


def _list_of(source: Source, key: str, value: Any, line_of: Callable[[str], int]) -> list[str]:
    if value is None:
        return []
    items: Iterable[Any] = value if isinstance(value, list) else [value]
    found = []
    for item in items:
        if (
            isinstance(item, dict) and len(item) == 1
        ):  # `- customer says: no` is YAML for a mapping, not what was meant
            (name, rest), *_ = item.items()
            found.append(f"{name}: {rest}")
        elif isinstance(item, dict | list):
            source.complain(line_of(key), f"`{key}` must be a text or a list of texts")
        elif item is not None and str(item).strip():
            found.append(str(item).strip())
    return found


def _text_of(source: Source, key: str, value: Any, line_of: Callable[[str], int]) -> str:
    if isinstance(value, dict | list):
        source.complain(line_of(key), f"`{key}` must be one text")
        return ""
    if isinstance(value, bool) and key == "language":  # YAML reads `no` as false: Norwegian
        return "no" if value is False else ""
    return "" if value is None else str(value).strip()


def _date_of(source: Source, key: str, value: Any, line_of: Callable[[str], int]) -> str:
    if value is None or value == "":
        return ""
    try:
        return date.fromisoformat(str(value).strip()).isoformat()
    except ValueError:
        source.complain(line_of(key), f"`{key}` must be a date like 2026-10-01, not {str(value)[:40]!r}")
        return ""


def _one_of(
    source: Source, key: str, value: Any, allowed: tuple[str, ...], line_of: Callable[[str], int]
) -> str:
    if value is None or str(value).strip() == "":
        return allowed[0]
    said = str(value).strip().lower()
    if said in allowed:
        return said
    near = process.extractOne(said, allowed, scorer=fuzz.ratio)
    hint = f" (did you mean `{near[0]}`?)" if near and near[1] >= 60 else ""  # noqa: PLR2004
    source.complain(line_of(key), f"`{key}` must be one of {', '.join(allowed)}, not {said[:40]!r}{hint}")
    return allowed[0]


def _title_from_id(topic_id: str) -> str:
    return topic_id.rsplit("/", 1)[-1].replace("-", " ").replace("_", " ").strip().capitalize() or topic_id


def slug(text: str) -> str:
    """A text as part of an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "untitled"
