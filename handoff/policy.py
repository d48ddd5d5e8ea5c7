"""THE rules: levels, routes, targets, timers, and who may do what. Numbers come from the configuration; what they
mean stands here and in the modules that read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from adapters.port import Actor, Place
from handoff.model import Case, LaunchMode, Level, Priority

Who = Literal["anyone", "customer", "agent", "assignee", "admin"]
ChannelMode = Literal["mention", "questions", "all", "off"]


class Hours(Protocol):
    """Business time: days with intervals, holidays and a time zone."""

    def add(self, start_epoch: float, seconds: float) -> float: ...
    def between(self, a: float, b: float) -> float: ...
    def next_open(self, epoch: float) -> float: ...
    def is_open(self, epoch: float) -> bool: ...


class RoundTheClock:
    """Hours of a desk that never closes."""

    def add(self, start_epoch: float, seconds: float) -> float:
        return start_epoch + seconds

    def between(self, a: float, b: float) -> float:
        return max(0.0, b - a)

    def next_open(self, epoch: float) -> float:
        return epoch

    def is_open(self, epoch: float) -> bool:  # noqa: ARG002  the protocol asks for a moment
        return True


@dataclass(frozen=True, slots=True)
class FieldWords:
    """How a field reads in one language; `choices` in the order of the field's own."""

    label: str
    hint: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field of a form. `pattern` is matched against the whole value. A choice is kept as `choices` spells it,
    whatever language it was made in; `words` are those of other languages."""

    id: str
    label: str
    kind: Literal["line", "text", "choice", "email", "date", "file", "number"] = "line"
    required: bool = False
    private: bool = False
    pattern: re.Pattern[str] | None = None
    hint: str = ""
    choices: tuple[str, ...] = ()
    words: Mapping[str, FieldWords] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CategoryRule:
    name: str
    title: str = ""
    level: Level = "answer"
    launch_mode: LaunchMode = "answer"
    route: str = "desk"
    fields: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    priority: str = ""
    compose: bool = False
    private: bool = False


@dataclass(frozen=True, slots=True)
class RouteRule:
    """A queue: where its cards go, by the customer's platform; the role that works it; whom a P0 calls."""

    name: str
    desks: Mapping[str, Place] = field(default_factory=dict)
    role: str = ""
    on_call: str = ""


@dataclass(frozen=True, slots=True)
class TierRule:
    name: str
    roles: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    floor: Priority = "P2"


@dataclass(frozen=True, slots=True)
class Target:
    """What a priority promises, in seconds of business time unless `around_the_clock`."""

    first_response: float
    resolution: float
    around_the_clock: bool = False


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds."""

    pick_up: float = 15 * 60
    claim_reply: float = 30 * 60
    claim_release: float = 120 * 60
    acknowledge: float = 4 * 3600
    pending_warn: float = 72 * 3600
    pending_close: float = 24 * 3600
    solved_close: float = 48 * 3600
    follow_up: float = 24 * 3600
    on_call_repeat: float = 5 * 60


@dataclass(frozen=True, slots=True)
class ChannelRule:
    mode: ChannelMode = "mention"
    category: str = ""
    language: str = ""
    greeting: str = ""
    private: bool = False  # private matters asked here go on in private threads


@dataclass(frozen=True, slots=True)
class TriggerRule:
    """What a trigger leads to. `routes`: the first that is configured wins, else the category's own.

    `collect`: ask the category's fields before the ticket. `categories`: where such a ticket belongs, the first that is
    configured. `tone`: which wording the customer's one line takes. `draft`: a draft may lie ready under its card;
    where a person must think anew (law, health, money back, danger, secrets), nothing lies ready that could be sent in
    passing.
    """

    routes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    collect: bool = False
    tone: str = ""
    private: bool = False  # nothing for the eyes of a whole channel
    draft: bool = False


# The names are those of triggers.toml; the last ones are made by rules.
TRIGGERS: Mapping[str, TriggerRule] = {
    "human": TriggerRule(draft=True),
    "manager": TriggerRule(routes=("manager", "management", "lead"), tone="manager", draft=True),
    "angry": TriggerRule(draft=True),
    "abuse": TriggerRule(tone="abuse"),
    "distress": TriggerRule(routes=("safety", "lead"), tone="distress", private=True),
    "legal": TriggerRule(routes=("legal", "management")),
    "medical": TriggerRule(routes=("legal",), private=True),
    "tax": TriggerRule(routes=("legal", "billing")),
    "financial": TriggerRule(routes=("legal", "billing")),
    "dispute": TriggerRule(routes=("billing",), categories=("billing",)),
    "refund": TriggerRule(routes=("billing",), categories=("billing",)),
    "sensitive": TriggerRule(routes=("security",), tone="secret", private=True),
    "security": TriggerRule(routes=("security",), tone="security", private=True),
    "safety": TriggerRule(routes=("safety", "security"), tone="safety", private=True),
    "bug": TriggerRule(routes=("technical",), categories=("technical",), collect=True),
    "outage": TriggerRule(routes=("technical",), categories=("technical",)),
    "quote": TriggerRule(routes=("sales", "billing"), categories=("sales", "billing"), collect=True),
    "churn": TriggerRule(routes=("retention", "management")),
    "third_turn": TriggerRule(),
    "repeat": TriggerRule(),
}
DEFAULT_TRIGGER = TriggerRule()

# THE table of permissions: verbs of commands, buttons, forms and message actions. "customer" is the one whose
# conversation it is; "agent" includes admins; "assignee" is whoever has the ticket, or an admin, or any agent
# while nobody has it. A verb without a row is refused, and a test fails.
PERMISSIONS: Mapping[str, Who] = {
    # /firstline <verb>
    "ask": "anyone",
    "help": "anyone",
    "my-data": "anyone",
    "status": "agent",
    "search": "agent",
    "gaps": "agent",
    "review": "agent",
    "report": "agent",
    "why": "agent",
    "tickets": "agent",
    "reload": "admin",
    "rollback": "admin",
    "mode": "admin",
    "incident": "admin",
    # a customer's buttons
    "helpful": "customer",
    "unhelpful": "customer",
    "wrong": "customer",
    "outdated": "customer",
    "unclear": "customer",
    "incomplete": "customer",
    "person": "customer",
    "pick": "customer",
    "none": "customer",
    "skip": "customer",
    "back": "customer",
    "cancel": "customer",
    "fill": "customer",
    "details": "customer",
    "other_issue": "customer",
    "csat1": "customer",
    "csat2": "customer",
    "csat3": "customer",
    "csat4": "customer",
    "csat5": "customer",
    "comment": "customer",
    "still_open": "customer",
    # the desk's buttons and forms
    "claim": "agent",
    "release": "assignee",
    "transfer": "assignee",
    "reply": "assignee",
    "undo": "assignee",
    "draft": "agent",
    "send_draft": "assignee",
    "edit_draft": "assignee",
    "discard_draft": "agent",
    "priority": "agent",
    "escalate": "agent",
    "resolve": "assignee",
    "reopen": "agent",
    "return": "assignee",
    "transcript": "agent",
    "acknowledge": "agent",
    # actions on somebody's message
    "help_message": "anyone",
    "escalate_message": "agent",
}

COMMANDS = (
    *("ask", "help", "tickets", "status", "search", "why", "gaps", "review", "report", "my-data"),
    *("reload", "rollback", "mode", "incident", "claim", "release", "transfer", "reply", "resolve"),
)

RESOLUTION_TYPES = ("solved", "workaround", "explained", "duplicate", "wont_fix", "no_reply")
ROOT_CAUSES = ("bug", "docs_gap", "how_to", "configuration", "third_party", "account")


@dataclass(frozen=True, slots=True)
class Policy:
    """The configuration as the rules read it."""

    name: str = "Firstline"
    launch_mode: LaunchMode = "answer"
    language: str = "en"
    max_bot_turns: int = 3
    channels: Mapping[tuple[str, str], ChannelRule] = field(default_factory=dict)
    categories: Mapping[str, CategoryRule] = field(
        default_factory=lambda: {"general": CategoryRule("general")}
    )
    fields: Mapping[str, FieldRule] = field(default_factory=dict)
    routes: Mapping[str, RouteRule] = field(default_factory=lambda: {"desk": RouteRule("desk")})
    tiers: tuple[TierRule, ...] = ()
    targets: Mapping[str, Target] = field(
        default_factory=lambda: {
            "P0": Target(900, 4 * 3600, around_the_clock=True),
            "P1": Target(3600, 8 * 3600),
            "P2": Target(4 * 3600, 24 * 3600),
            "P3": Target(24 * 3600, 72 * 3600),
        }
    )
    warn_share: float = 0.8
    timers: Timers = Timers()
    hours: Hours = field(default_factory=RoundTheClock)
    anonymous: bool = False
    undo_seconds: float = 5.0
    public_name: str = "Support"
    canned: Mapping[str, str] = field(default_factory=dict)
    agents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # platform -> id -> name or ""
    mute_seconds: float = 1800.0
    late_seconds: float = 1800.0
    phrases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # language -> key -> words

    def phrase(self, key: str, language: str = "", **values: str) -> str:
        """The words for a label that is stored or put into a form; the key itself where there are none."""
        for spoken in (language, self.language, "en"):
            words = self.phrases.get(spoken, {}).get(key)
            if words is not None:
                return words.format(**values) if values else words
        return key

    def words_of(self, rule: FieldRule, language: str = "") -> FieldWords:
        """How a field is asked in the language in which everything else is said; as it is written where it has no
        words of that language."""
        spoken = language if language in self.phrases else self.language
        return rule.words.get(spoken) or FieldWords(rule.label, rule.hint, rule.choices)

    def category(self, name: str) -> CategoryRule:
        """The rule of a category; what fits nowhere is "general"."""
        return self.categories.get(name) or self.categories.get("general") or CategoryRule("general")

    def channel(self, place: Place) -> ChannelRule:
        return self.channels.get((place.platform, place.channel), _UNNAMED)

    def desk(self, route: str, platform: str) -> Place | None:
        """Where the cards of `route` go for a customer on `platform`; another route's desk rather than none."""
        for rule in (self.routes.get(route), *self.routes.values()):
            if rule is not None and platform in rule.desks:
                return rule.desks[platform]
        return None

    def is_desk(self, place: Place) -> bool:
        """Is that a staff channel?"""
        return any(
            desk.platform == place.platform and desk.channel == place.channel
            for rule in self.routes.values()
            for desk in rule.desks.values()
        )

    def tier(self, customer: Actor) -> TierRule | None:
        """The first tier that this customer belongs to."""
        for tier in self.tiers:
            if customer.id in tier.users or tier.roles & customer.roles:
                return tier
        return None


_UNNAMED = ChannelRule()


def is_staff(actor: Actor | None) -> bool:
    return actor is not None and not actor.is_bot and ("agent" in actor.roles or "admin" in actor.roles)


def same_person(a: Actor | None, b: Actor | None) -> bool:
    return a is not None and b is not None and a.id == b.id and a.platform == b.platform


def refusal(actor: Actor | None, verb: str, case: Case, policy: Policy) -> str:
    """Why `actor` may not do `verb` here: a catalogue key, or "" when they may."""
    who = PERMISSIONS.get(verb)
    if who is None:
        return "refused.unknown_verb"
    if who == "anyone":
        return ""
    if who == "customer":
        return "" if same_person(actor, case.customer) else "refused.not_yours"
    if actor is None or not is_staff(actor):
        return "refused.staff_only"
    if "admin" in actor.roles:
        return ""
    if who == "admin":
        return "refused.admin_only"
    ticket = case.ticket
    if ticket is None:
        return ""
    role = policy.routes[ticket.route].role if ticket.route in policy.routes else ""
    if role and role not in actor.roles and not same_person(actor, ticket.assignee):
        return "refused.other_team"
    if who == "assignee" and ticket.assignee is not None and not same_person(actor, ticket.assignee):
        return "refused.taken"
    return ""


_LEVELS: tuple[Level, ...] = ("answer", "draft", "collect", "escalate")
_MODES: tuple[LaunchMode, ...] = ("off", "shadow", "draft", "answer")


def stricter_level(*levels: str) -> Level:
    """Of several permission levels the strictest; an empty or unknown one does not count."""
    return max((x for x in _LEVELS if x in levels), key=_LEVELS.index, default="answer")


def stricter_mode(*modes: str) -> LaunchMode:
    """Of several launch modes the strictest; an empty or unknown one does not count."""
    return min((x for x in _MODES if x in modes), key=_MODES.index, default="answer")
