"""Commands that read the database: tickets, audit, privacy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from bot import shell_output as out
from bot.config import Config
from bot.texts import certainty
from handoff.model import TicketState

T = TypeVar("T")
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration; default: config.toml if it is there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

tickets = typer.Typer(help="Tickets: list, show, export.", no_args_is_help=True)
audit = typer.Typer(help="The history of every decision.", no_args_is_help=True)
privacy = typer.Typer(help="Export or erase one person's data.", no_args_is_help=True)

DIGITS_MAX = 15  # of a ticket's number
COLUMNS = (
    *(
        "number",
        "state",
        "priority",
        "category",
        "leaf",
        "subject",
        "customer_name",
        "platform",
        "assignee_name",
    ),
    *("opened_at", "claimed_at", "first_response_at", "first_response_due", "resolution_due", "solved_at"),
    *("closed_at", "resolution_type", "root_cause", "csat", "reopened", "escalated_ever", "trigger", "route"),
)


async def with_storage(
    config: Config, work: Callable[[Any, float], Awaitable[T]], *, writing: bool = False
) -> T:
    """Open the database for one command. Reading works beside a running bot; writing needs it stopped."""
    from bot import wording
    from bot.erasing import farewell
    from bot.policies import texts_of
    from bot.reports import Reports
    from bot.storage import Storage
    from bot.writer import Writer

    texts = texts_of(config)
    told = farewell(lambda fact: wording.word(fact, texts.language, texts))

    database = config.bot.data_dir / "firstline.db"
    writer = Writer(database)
    await writer.open(reading=not writing or not database.exists())  # a command makes no database of its own
    try:
        return await work(Reports(Storage(writer), farewell=told), time.time())
    finally:
        await writer.close()


def _configured(config: Path | None) -> Config:
    from bot.shell import configured

    return configured(config)


@tickets.command("list")
def list_tickets(
    config: ConfigFile = None,
    state: Annotated[list[str] | None, typer.Option(help="Only these states; repeatable.")] = None,
    json: Json = False,
) -> int:
    """Tickets, most urgent first."""
    for name in state or ():
        if name not in set(TicketState):
            raise typer.BadParameter(f"{name!r}: one of {', '.join(TicketState)}", param_hint="--state")

    async def work(reports: Any, _: float) -> Any:
        return await reports.tickets(states=state or (), limit=1000)

    rows = asyncio.run(with_storage(_configured(config), work))
    if json:
        out.as_json(rows)
    elif not rows:
        out.say("No tickets.")
    else:
        out.table(
            ["ticket", "state", "priority", "category", "subject", "customer", "assignee", "opened (UTC)"],
            [[f"T-{r['number']}", r["state"], r["priority"], r["category"], r["subject"], r["customer_name"],
              r["assignee_name"], out.moment(r["opened_at"])] for r in rows],
        )  # fmt: skip
    return 0


@tickets.command("show")
def show_ticket(ticket: str, config: ConfigFile = None, json: Json = False) -> int:
    """One ticket with its conversation and history."""
    number = ticket.upper().removeprefix("T-")
    if not (number.isascii() and number.isdecimal() and len(number) <= DIGITS_MAX):
        raise typer.BadParameter(f"{ticket!r} is no ticket; write T-1042 or 1042", param_hint="TICKET")

    async def work(reports: Any, _: float) -> Any:
        return await reports.ticket(int(number))

    found = asyncio.run(with_storage(_configured(config), work))
    if found is None:
        out.fail(f"There is no ticket T-{number}.", ["`firstline tickets list` shows those there are."])
        return 1
    if json:
        out.as_json(found)
        return 0
    out.table(["", ""], [[c.replace("_", " "), _shown(c, found.get(c))] for c in COLUMNS], f"T-{number}")
    for tried in found["details"].get("tried", ()):
        out.say(f"answer {tried['receipt']}: {tried['title']}, {certainty(tried['confidence'])} sure")
    for line in found["said"]:
        out.say(f"{out.moment(line['at'])} {line['who']} {line['name']}: {line['text']}")
    out.table(["when (UTC)", "event", "decision", "why"],
              [[out.moment(h["at"]), h["event"], h["decision"], h["why"]] for h in found["history"]])  # fmt: skip
    return 0


def show_replay(result: Mapping[str, Any]) -> None:
    """What `replay` found, for people."""
    whole = result["text"]["now"] is not None
    words = {
        "same": "the same, word for word" if whole else "made from the same passages",
        "differs": "it differs",
        "unknown": "it cannot be reproduced",
    }
    out.say(words[result["verdict"]])
    for line in result["notes"]:
        out.say(line)
    rows: list[list[Any]] = []
    for part in result["parts"]:
        rows.append(["question", part["question"], part["question"]])
        rows += [[name, part["then"][name], part["now"][name]] for name in part["then"]]
        rows += [["made from", c["topic"], c["topic"] if c["found"] else None] for c in part.get("cites", ())]
    out.table(["", "then", "now"], [*rows, ["text", result["text"]["then"], result["text"]["now"]]])
    out.say(f"snapshot {result['snapshot']}, {result['day']}")


def _shown(column: str, value: Any) -> Any:
    return out.moment(value) if column.endswith(("_at", "_due")) else value


def _exported(column: str, value: Any) -> Any:
    if value is None or not column.endswith(("_at", "_due")):
        return value
    return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds")


@tickets.command("export")
def export_tickets(
    config: ConfigFile = None,
    form: Annotated[str, typer.Option("--format", help="text, json or csv.")] = "csv",
    output: Annotated[Path | None, typer.Option(help="Write here instead of printing.")] = None,
) -> int:
    """All tickets. In CSV, times are as a spreadsheet reads them (ISO 8601, UTC; in JSON seconds), and cells that it
    would take for a formula are neutralised."""
    import json as json_module

    if form not in ("text", "json", "csv"):
        raise typer.BadParameter(f"{form!r}: one of text, json, csv", param_hint="--format")
    if output is not None:
        out.writable(output, "--output")

    async def work(reports: Any, _: float) -> Any:
        return await reports.tickets(limit=1_000_000)

    rows = asyncio.run(with_storage(_configured(config), work))
    if form == "csv":
        text = out.as_csv(
            COLUMNS, [{name: _exported(name, row.get(name)) for name in COLUMNS} for row in rows]
        )
    elif form == "json":
        text = json_module.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    else:
        text = "".join(
            f"T-{r['number']}\t{r['state']}\t{r['priority']}\t{out.plain(r['subject'])}\n" for r in rows
        )
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, "utf-8")
        out.say(f"{output}: {out.counted(len(rows), 'ticket')}")
    return 0


@audit.command("verify")
def verify(config: ConfigFile = None, json: Json = False) -> int:
    """Check the chain of hashes over the whole history. Exit 1 and the first broken row if one byte was changed."""

    async def work(reports: Any, _: float) -> Any:
        return await reports.verify()

    result = asyncio.run(with_storage(_configured(config), work))
    if json:
        out.as_json(result)
    elif result["ok"]:
        out.say(f"{out.counted(result['rows'], 'decision')}, unbroken")
    else:
        out.fail(f"The history was changed: row {result['broken_at']} of the journal does not fit.", [])
    return 0 if result["ok"] else 1


def _person(who: str) -> Any:
    from adapters.port import Actor

    parts = who.split(":")
    if len(parts) != 3 or parts[0] not in ("slack", "discord", "playground", "console"):  # noqa: PLR2004
        raise typer.BadParameter(
            "write platform:tenant:user, e.g. slack:T024BE7LD:U061F7AUR", param_hint="WHO"
        )
    return Actor(parts[0], parts[1], parts[2])  # type: ignore[arg-type]


@privacy.command("export")
def export_person(who: str, config: ConfigFile = None) -> int:
    """Everything that is stored of one person, as JSON."""
    actor = _person(who)

    async def work(reports: Any, _: float) -> Any:
        return await reports.mine(actor)

    found = asyncio.run(with_storage(_configured(config), work))
    out.as_json(found)
    _nobody(who, found)
    return 0


def _nobody(who: str, found: Mapping[str, Any]) -> None:
    """Say so where nothing is stored of a person: perhaps the id is misspelt."""
    if not any(found.values()):
        out.note(f"nothing is stored of {who}; is it written as the platform spells it?")


def _agreed(question: str) -> bool:
    """Whether somebody said yes; nobody to ask is no yes."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        return False


@privacy.command("erase")
def erase_person(
    who: str,
    config: ConfigFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Remove one person's data. History keeps a tombstone without words. Cannot be undone. The copies in the staff
    channel go when the bot starts again."""
    actor = _person(who)
    if not yes and not _agreed(f"Erase everything of {out.plain(who)}?"):
        out.fail("Nothing was erased.", ["--yes erases without asking."])
        return 1

    async def work(reports: Any, _: float) -> Any:
        return await reports.erase(actor)

    erased = asyncio.run(with_storage(_configured(config), work, writing=True))
    out.as_json(erased)
    _nobody(who, erased)
    return 0
