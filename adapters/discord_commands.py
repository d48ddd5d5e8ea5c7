"""The slash commands and context menus, as Discord's JSON, and when they need to be sent again. Pure but for `sync`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.discord_http import RoutedHTTP
from adapters.discord_parse import CONTEXT_VERBS

SUB, STRING = 1, 3
GUILD_INSTALL, IN_GUILD, IN_BOT_DM = 0, 0, 1
Option = dict[str, Any]


def _option(name: str, description: str, kind: int = STRING, **more: Any) -> Option:
    return {"type": kind, "name": name, "description": description} | more


def _verb(name: str, description: str, *options: Option) -> Option:
    return {"type": SUB, "name": name, "description": description} | (
        {"options": list(options)} if options else {}
    )


def _choices(*values: str) -> list[dict[str, str]]:
    return [{"name": value, "value": value} for value in values]


_TICKET = _option("ticket", "The ticket, T-1042; in a ticket's thread: that one", autocomplete=True)

VERBS: tuple[Option, ...] = (
    _verb("ask", "Ask the knowledge", _option("question", "Your question", required=True, max_length=1500)),
    _verb("help", "What I can do for you"),
    _verb(
        "my-data",
        "What is stored about you",
        _option("action", "See or erase it", choices=_choices("export", "erase")),
    ),
    _verb(
        "tickets",
        "The tickets in work",
        _option(
            "state",
            "Only in this state",
            choices=_choices("new", "open", "pending", "escalated", "solved", "closed"),
        ),
    ),
    _verb("claim", "Take a ticket", _TICKET),
    _verb("release", "Give a ticket back", _TICKET),
    _verb(
        "transfer",
        "Give a ticket to another agent",
        _option("to", "Whom", required=True, autocomplete=True),
        _TICKET,
    ),
    _verb(
        "reply",
        "Write to the customer",
        _option("text", "What the customer reads", required=True, max_length=3000),
        _TICKET,
    ),
    _verb("resolve", "Mark a ticket as solved", _TICKET, _option("text", "What solved it", max_length=1000)),
    _verb("why", "Why something was decided", _TICKET),
    _verb(
        "search",
        "Search the knowledge, with confidence",
        _option("topic", "A topic, or any words", required=True, autocomplete=True, max_length=300),
    ),
    _verb("review", "What waits for approval"),
    _verb("gaps", "Questions that the knowledge does not cover"),
    _verb("report", "The figures"),
    _verb("status", "How I am"),
    _verb(
        "reload",
        "Read the knowledge again",
        _option(
            "action", "Only look, or activate although a check failed", choices=_choices("preview", "force")
        ),
    ),
    _verb("rollback", "Back to the knowledge before"),
    _verb(
        "mode",
        "How I may speak, until the next start",
        _option("mode", "The mode; empty: show it", choices=_choices("off", "shadow", "draft", "answer")),
    ),
    _verb(
        "incident",
        "Tell everybody about an outage, and when it is over",
        _option("action", "What to do; empty: show it", choices=_choices("open", "update", "close")),
        _option("text", "What customers read", max_length=1000),
    ),
)


def definitions(guild: str) -> list[dict[str, Any]]:
    """The whole command set. Who may run what is decided at the action, not here."""
    # A guild's own commands know no contexts: they exist in that guild only.
    everywhere = {} if guild else {"contexts": [IN_GUILD, IN_BOT_DM], "integration_types": [GUILD_INSTALL]}
    in_guilds = {} if guild else {"contexts": [IN_GUILD], "integration_types": [GUILD_INSTALL]}
    firstline = {
        "type": 1,
        "name": "firstline",
        "description": "Support: questions, tickets, knowledge",
        "options": [dict(verb) for verb in VERBS],
    } | everywhere
    menus = [{"type": 3, "name": name} | in_guilds for name in CONTEXT_VERBS]
    return [firstline, *menus]


def _shape(command: Mapping[str, Any]) -> Any:
    """What matters of a command, without what Discord adds (ids, versions, defaults)."""
    kept = ("type", "name", "description", "required", "autocomplete", "max_length", "min_length", "value")
    shape = {key: command[key] for key in kept if command.get(key) not in (None, False, "")}
    for key in ("options", "choices"):
        if command.get(key):
            shape[key] = [_shape(item) for item in command[key]]
    return shape


def same(registered: list[dict[str, Any]]) -> bool:
    """Is what Discord knows what we want it to know?"""

    def ordered(commands: list[dict[str, Any]]) -> list[Any]:
        return [_shape(c) for c in sorted(commands, key=lambda c: (c.get("type", 1), c["name"]))]

    return ordered(registered) == ordered(definitions("any"))


def _path(guild: str) -> str:
    return "/applications/{app}/guilds/{guild_id}/commands" if guild else "/applications/{app}/commands"


async def registered(http: RoutedHTTP, app: str, guild: str) -> list[dict[str, Any]]:
    ids = {"app": app} | ({"guild_id": guild} if guild else {})
    found = await http.call("GET", _path(guild), ids=ids)
    return list(found)


async def sync(http: RoutedHTTP, app: str, guild: str) -> bool:
    """Register the commands if they differ from what Discord has; True if it was needed."""
    if same(await registered(http, app, guild)):
        return False
    ids = {"app": app} | ({"guild_id": guild} if guild else {})
    await http.call("PUT", _path(guild), ids=ids, json=definitions(guild))
    return True
