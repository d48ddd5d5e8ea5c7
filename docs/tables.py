# ruff: noqa: INP001  # a script beside the pages that it writes, not a package
"""Fills tables of docs/handoff.md and docs/operating.md from the code itself: moves, permissions, buttons, commands …

Called by docs/generate.py. A table stands between `<!-- name: begin -->` and `<!-- name: end -->`; what is written
around it is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from adapters.port import Actor
from bot.config import Config
from bot.shell import shell
from bot.texts import catalogue
from handoff.forms import FORMS
from handoff.model import Ticket, TicketState
from handoff.policy import COMMANDS, PERMISSIONS
from handoff.sla import _ACTS
from handoff.ticket import MOVES, buttons

HERE = Path(__file__).resolve().parent
WORDS = catalogue("en")
WHO = {
    "anyone": "everybody",
    "customer": "the customer whose conversation it is",
    "agent": "agents",
    "assignee": "the assignee, or any agent while nobody has it",
    "admin": "admins",
}
ON_A_MESSAGE = {"help_message": "Get help with this", "escalate_message": "Escalate this message"}


def filled(page: str) -> str:
    """A page with every table as the code says it now. Raises `SystemExit` for a table without a place."""
    text = (HERE / page).read_text("utf-8")
    for name, make in PAGES[page].items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"{page}: the place {begin} … {end} is missing")
        text = "\n".join((f"{before}{begin}", *make(), f"{end}{after}"))
    return text


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def states() -> Iterator[str]:
    """The diagram: moves that change the state, those of one arrow together."""
    arrows: dict[tuple[TicketState, TicketState], list[str]] = {}
    for (state, move), to in MOVES.items():
        if state != to:
            arrows.setdefault((state, to), []).append(move)
    yield from ("", "```mermaid", "stateDiagram-v2", f"    [*] --> {TicketState.NEW}")
    for (state, to), moves in arrows.items():
        yield f"    {state} --> {to}: {', '.join(moves)}"
    yield from (f"    {TicketState.CLOSED} --> [*]", "```", "")


def moves() -> Iterator[str]:
    """One row per move, one column per state: where it leads, or nothing where it is illegal."""
    names = dict.fromkeys(move for _, move in MOVES)
    rows = ((f"`{name}`", *(str(MOVES.get((state, name), "")) for state in TicketState)) for name in names)
    yield ""
    yield from table(("Move", *(f"from `{state}`" for state in TicketState)), rows)
    yield ""


def permissions() -> Iterator[str]:
    """One row per verb, in the order of the rules."""
    rows = ((f"`{verb}`", kind(verb), label(verb), WHO[who]) for verb, who in PERMISSIONS.items())
    yield ""
    yield from table(("Verb", "Is a", "Reads", "Who"), rows)
    yield ""


def kind(verb: str) -> str:
    if verb in ON_A_MESSAGE:
        return "action on a message"
    names = {
        "command": verb in COMMANDS,
        "button": f"button.{verb}" in WORDS,
        "form": verb in FORMS,
    }
    return ", ".join(name for name, applies in names.items() if applies)


def label(verb: str) -> str:
    return ON_A_MESSAGE.get(verb) or (
        "a topic's title" if verb == "pick" else WORDS.get(f"button.{verb}", "")
    )


def card() -> Iterator[str]:
    """The buttons of the card in each state."""
    agent = Actor("console", "", "dana")
    rows = (
        (f"`{state}`", " ".join(f"[{WORDS[f'button.{verb}']}]" for verb in buttons(_ticket(state, agent))))
        for state in TicketState
    )
    yield ""
    yield from table(("State", "Buttons"), rows)
    yield ""


def _ticket(state: TicketState, agent: Actor) -> Ticket:
    return Ticket(1042, state, "general", "P2", "", "desk", "", "", 0.0, assignee=agent)


def promises() -> Iterator[str]:
    """What each priority promises where nothing else is configured."""
    sla = Config().sla
    rows = (
        (
            name,
            WORDS[f"priority.{name}"].partition(": ")[2],
            span(target.first_response_minutes * 60),
            span(target.resolution_minutes * 60),
            "around the clock" if target.around_the_clock else "business hours",
        )
        for name, target in ((f"P{n}", getattr(sla, f"P{n}")) for n in range(4))
    )
    yield ""
    yield from table(("Priority", "Means", "First human reply", "Solved", "Counted in"), rows)
    yield ""


def span(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:g} min" if minutes < 60 else f"{minutes / 60:g} h"  # noqa: PLR2004  an hour


TIMERS = {
    "pick_up": ("pick_up_minutes", "nobody has claimed a new ticket", "the staff channel is told"),
    "claim_reply": (
        "claim_reply_minutes",
        "the customer waits for the assignee's reply",
        "the assignee is reminded",
    ),
    "claim_release": (
        "claim_release_minutes",
        "the assignee was reminded and has not replied since claiming",
        "the ticket goes back to the queue",
    ),
    "follow_up": ("follow_up_hours", "the customer waits and has had no news", "the desk is reminded"),
    "acknowledge": (
        "acknowledge_hours",
        "raised to a specialist, and nobody has claimed it",
        "their channel is told",
    ),
    "pending_warn": (
        "pending_warn_hours",
        "the customer has not answered",
        "the customer is asked once more",
    ),
    "pending_close": ("pending_close_hours", "still no answer, so long after that", "the ticket is closed"),
    "solved_close": ("solved_close_hours", "solved, and no objection", "the ticket is closed"),
    "first_response_warn": ("", "80 % of the time for the first reply has passed", "the desk is warned"),
    "first_response_breach": (
        "",
        "the first reply is overdue",
        "the staff channel is told; the card is tagged",
    ),
    "resolution_warn": ("", "80 % of the time for the solution has passed", "the desk is warned"),
    "resolution_breach": ("", "the solution is overdue", "the staff channel is told; the card is tagged"),
}


def timers() -> Iterator[str]:
    """Every timer that a ticket can have."""
    if set(TIMERS) != set(_ACTS):
        raise SystemExit(f"docs/tables.py: timers without words, or gone: {set(TIMERS) ^ set(_ACTS)}")
    config = Config().timers
    yield ""
    yield from table(
        ("Timer", "After", "When", "Then", "Set by"),
        (
            (f"`{name}`", _after(config, key), when, then, f"`[timers] {key}`" if key else "`[sla]`")
            for name, (key, when, then) in TIMERS.items()
        ),
    )
    yield ""


def _after(config: object, key: str) -> str:
    if not key:
        return "see above"
    return span(getattr(config, key) * (3600 if key.endswith("hours") else 60))


def commands() -> Iterator[str]:
    """Every command, as its help says it."""
    rows = (
        (f"`{usage}`", what[:1].upper() + what[1:], WHO[PERMISSIONS[name]])
        for name in COMMANDS
        for usage, _, what in [WORDS[f"help.{name}"].partition(": ")]
    )
    yield ""
    yield from table(("Command", "Does", "Who"), rows)
    yield ""


def shell_commands() -> Iterator[str]:
    """Every command of the command line, as its own help says it."""
    yield ""
    yield from table(
        ("Command", "Does"), ((f"`firstline {name}`", " ".join(text.split())) for name, text in leaves(shell))
    )
    yield ""


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(words, help) of every command that does something."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join((*path, *_arguments(command))), command.help


def _arguments(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"


PAGES: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
    "handoff.md": {
        "states": states,
        "moves": moves,
        "permissions": permissions,
        "card": card,
        "promises": promises,
        "timers": timers,
        "commands": commands,
    },
    "operating.md": {"shell": shell_commands},
}
