"""The fields of forms: what is known already, what is missing, what is a right value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from email_validator import EmailNotValidError, validate_email

from adapters.port import FileRef
from handoff.facts import AskField
from handoff.model import Asked, Case, Collecting
from handoff.policy import CategoryRule, FieldRule, Policy
from handoff.summary import latest_question

VALUE_CHARACTERS = 3000
TOKEN_CHARACTERS = 40
NUMBERED = frozenset(("order", "invoice", "no", "nr", "nummer", "bestellung", "rechnung"))
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_VERSION = re.compile(r"\b(?:v|version\s?)(\d{1,4}(?:\.\d{1,5}){0,3})\b", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,10})?")
_DATE = re.compile(r"\b(?:\d{4}-\d{2}-\d{2}|\d{1,2}\.\d{1,2}\.\d{4})\b")
_WORDS = re.compile(r"[^\W_]+")
_DATE_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%d %B %Y", "%B %d, %Y", "%d %b %Y")
SKIP = frozenset((
    "skip", "skip it", "skip this", "pass", "next", "none", "n/a", "na", "-", "i don't know", "don't know",
    "i dont know", "dont know", "überspringen", "weiter", "keine", "weiß nicht", "weiß ich nicht", "weiss nicht",
))  # fmt: skip
BACK = frozenset(("back", "go back", "previous", "zurück", "zurueck"))
CANCEL = frozenset(
    ("cancel", "stop", "never mind", "nevermind", "forget it", "abbrechen", "vergiss es", "egal")
)
CONTROLS = {"skip": SKIP, "back": BACK, "cancel": CANCEL}


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known for a category's form."""

    public: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict, repr=False)

    def plus(self, values: Mapping[str, str], policy: Policy) -> Answers:
        """These, and the right ones among `values` of a form."""
        public, private = dict(self.public), dict(self.private)
        for key, value in values.items():
            rule = policy.fields.get(key)
            if rule is not None and rule.kind != "file" and not problem(rule, value):
                (private if rule.private else public)[key] = clean(rule, value)
        return Answers(public, private)


# --- what is known -----------------------------------------------------------------------------------------


def answers(case: Case, category: CategoryRule, policy: Policy) -> Answers:
    """Everything that the customer has said already, by field."""
    public: dict[str, str] = {}
    private: dict[str, str] = {}
    asked = case.collecting.values if case.collecting is not None else {}
    for rule in _rules(category.fields, policy):
        value = asked.get(rule.id) or case.profile.get(rule.id) or _heard(rule, case)
        if value:
            (private if rule.private else public)[rule.id] = value
    return Answers(public, private)


def missing(case: Case, category: CategoryRule, policy: Policy) -> tuple[FieldRule, ...]:
    """The fields of a category's form that nobody has answered; public ones first."""
    known = answers(case, category, policy)
    rules = [
        r for r in _rules(category.fields, policy) if r.id not in known.public and r.id not in known.private
    ]
    return (*(r for r in rules if not r.private), *(r for r in rules if r.private))


def _rules(names: tuple[str, ...], policy: Policy) -> Iterator[FieldRule]:
    return (policy.fields[n] for n in names if n in policy.fields)


def _heard(rule: FieldRule, case: Case) -> str:
    """The field's value in what the customer has written, or ""."""
    if rule.id == "summary":
        return latest_question(case)
    if rule.id == "name":
        return case.customer.name
    for line in reversed(case.said):
        if line.who == "customer" and (value := _found(rule, line.text)):
            return value
    return ""


def _found(rule: FieldRule, text: str) -> str:
    if rule.kind == "email":
        match = _EMAIL.search(text)
        return match.group() if match else ""
    if rule.pattern is not None:
        return _numbered(rule, text)
    if rule.id == "version":
        match = _VERSION.search(text)
        return match.group(1) if match else ""
    if rule.kind == "date":
        match = _DATE.search(text)
        return match.group() if match and problem(rule, match.group()) == "" else ""
    if rule.kind == "choice":
        words = f" {' '.join(_WORDS.findall(text.lower()))} "
        return next((c for said, c in _choices(rule) if f" {said.lower()} " in words), "")
    return ""


def _numbered(rule: FieldRule, text: str) -> str:
    """A token that fits the pattern and is certainly meant: letters and digits, or named by the field's label."""
    assert rule.pattern is not None
    labels = " ".join((rule.label, *(words.label for words in rule.words.values()))).lower()
    named = (set(re.findall(r"[^\W\d_]{4,}", labels)) | NUMBERED) - {"oder", "your", "ihre"}
    tokens = [w.strip(".,;:!?()[]\"'#") for w in text[:VALUE_CHARACTERS].split()]
    for i, token in enumerate(tokens):
        if (
            len(token) <= TOKEN_CHARACTERS
            and any(c.isdigit() for c in token)
            and rule.pattern.fullmatch(token)
        ):
            before = {w.lower() for w in tokens[max(0, i - 3) : i]}
            if any(c.isalpha() for c in token) or named & before:
                return token
    return ""


# --- how it is asked ---------------------------------------------------------------------------------------


def question(
    rule: FieldRule, case: Case, form: Collecting, asked: Asked, policy: Policy, *, over: bool = False
) -> AskField:
    """The question as it was put, in the language in which it was put."""
    language = asked.language or case.language
    words = policy.words_of(rule, language)
    return AskField(
        case.id,
        words.label,
        words.hint,
        rule.kind,
        words.choices,
        asked.at + 1,
        len(form.fields),
        rule.required,
        by_form(rule, case),
        asked.problem,
        asked.again,
        asked.opening,
        asked.begins,
        over,
        language,
    )


def by_form(rule: FieldRule, case: Case) -> bool:
    """Private fields come through a form, except in a DM, which is private already."""
    return rule.private and case.place.kind != "dm"


# --- is it right? ------------------------------------------------------------------------------------------


def problem(rule: FieldRule, value: str, files: tuple[FileRef, ...] = ()) -> str:
    """What is wrong with a value: a catalogue key, or ""."""
    text = value.strip()
    if rule.kind == "file":
        return "" if files else "problem.file"
    if not text:
        return "problem.empty"
    if len(text) > VALUE_CHARACTERS:
        return "problem.long"
    if rule.kind == "email" and not _is_email(text):
        return "problem.email"
    if rule.kind == "choice" and not chosen(rule, text):
        return "problem.choice"
    if rule.kind == "date" and parsed_date(text) is None:
        return "problem.date"
    if rule.kind == "number" and not _NUMBER.fullmatch(text):
        return "problem.number"
    if rule.pattern is not None and not rule.pattern.fullmatch(text[:200]):
        return "problem.pattern"
    return ""


def _is_email(text: str) -> bool:
    try:
        validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def chosen(rule: FieldRule, text: str) -> str:
    """The choice that `text` means: its words, or its number in the list."""
    said = text.strip().lower()
    if said.isascii() and said.isdigit() and 0 < int(said[:6]) <= len(rule.choices):
        return rule.choices[int(said[:6]) - 1]
    return next((c for words, c in _choices(rule) if words.lower() == said), "")


def _choices(rule: FieldRule) -> Iterator[tuple[str, str]]:
    """What can be chosen, as it may be said in any language, and as it is kept."""
    for spoken in (rule.choices, *(words.choices for words in rule.words.values())):
        yield from zip(spoken, rule.choices, strict=True)


def parsed_date(text: str) -> date | None:
    for form in _DATE_FORMS:
        try:
            return datetime.strptime(text.strip()[:40], form).date()  # noqa: DTZ007  a day has no zone
        except ValueError:
            continue
    return None


def clean(rule: FieldRule, value: str, files: tuple[FileRef, ...] = ()) -> str:
    """A right value in its one spelling."""
    if rule.kind == "file":
        return ", ".join(f.name for f in files)
    if rule.kind == "choice":
        return chosen(rule, value) or value.strip()
    if rule.kind == "date":
        day = parsed_date(value)
        return day.isoformat() if day else value.strip()
    return value.strip()


def control_word(text: str) -> str:
    """`skip`, `back` or `cancel` when the whole message says that, else ""."""
    said = " ".join(text.lower().strip(" .!").split())
    return next((verb for verb, words in CONTROLS.items() if said in words), "")
