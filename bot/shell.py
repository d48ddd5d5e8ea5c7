"""The command line: what each command promises stands in its docstring, which is its help."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from bot import shell_output as out
from bot.config import Config, ConfigError, load
from bot.shell_knowledge import knowledge
from bot.shell_records import audit, privacy, tickets
from bot.shell_setup import check, init

typer_app = typer.Typer(
    name="firstline", no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Firstline: the first line of support for communities on Slack and Discord.",
)  # fmt: skip
typer_app.add_typer(knowledge, name="knowledge")
typer_app.add_typer(tickets, name="tickets")
typer_app.add_typer(audit, name="audit")
typer_app.add_typer(privacy, name="privacy")
typer_app.command()(init)
typer_app.command()(check)


def print_version(wanted: bool) -> None:
    if wanted:
        out.say(f"firstline {metadata.version('firstline')}")
        raise typer.Exit


@typer_app.callback()
def every_command(
    _: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Firstline: the first line of support for communities on Slack and Discord."""


ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration; default: config.toml if it is there.")
]
KnowledgeDir = Annotated[
    Path | None, typer.Option("--knowledge", help="A folder of knowledge instead of the configured.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Question = Annotated[str, typer.Argument(callback=out.said)]


def configured(config: Path | None, knowledge_dir: Path | None = None) -> Config:
    """The configuration that commands use. Raises `ConfigError`."""
    path = config or (Path("config.toml") if Path("config.toml").exists() else None)
    loaded = load(path)
    if loaded.bot.data_dir.exists() and not loaded.bot.data_dir.is_dir():
        raise ConfigError(
            path or "config.toml", [f"bot.data_dir: {loaded.bot.data_dir} is a file, not a folder"]
        )
    if knowledge_dir is None:
        return loaded
    if not knowledge_dir.is_dir():
        raise typer.BadParameter(f"{knowledge_dir} is no folder", param_hint="--knowledge")
    from bot.asking import data_dir_for

    knowledge_config = loaded.knowledge.model_copy(update={"paths": (knowledge_dir,), "golden": None})
    bot = loaded.bot.model_copy(update={"data_dir": data_dir_for(loaded.bot.data_dir, knowledge_dir)})
    return loaded.model_copy(update={"knowledge": knowledge_config, "bot": bot})


@typer_app.command()
def demo(
    config: ConfigFile = None,
    knowledge_dir: KnowledgeDir = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the page; default: the configured one.")
    ] = None,
) -> int:
    """A local page: a customer, the desk, and why the bot decided so. No account needed."""
    from bot.demo import serve

    return asyncio.run(serve(configured(config, knowledge_dir), port=port))


@typer_app.command()
def chat(config: ConfigFile = None, knowledge_dir: KnowledgeDir = None) -> int:
    """The same in this terminal. Ask as a customer, /as dana to work the desk, /why, /help."""
    from bot.demo import talk

    return asyncio.run(talk(configured(config, knowledge_dir)))


@typer_app.command()
def ask(
    question: Question, config: ConfigFile = None, knowledge_dir: KnowledgeDir = None, json: Json = False
) -> int:
    """Ask one question: decision, words, sources, reason. As the customer would read it; nothing is sent anywhere."""
    from bot.asking import ask_once, show

    answer = asyncio.run(ask_once(configured(config, knowledge_dir), question))
    if json:
        out.as_json(answer)
    else:
        show(answer)
    return 0


@typer_app.command()
def run(config: ConfigFile = None) -> int:
    """Run the bot on the platforms that the configuration enables. Until SIGTERM or Ctrl-C."""
    from bot.demo import run_platforms

    return asyncio.run(run_platforms(configured(config)))


@typer_app.command("eval")
def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="CSV with question,expected[,decision], or YAML cases."
        ),
    ],
    config: ConfigFile = None,
    knowledge_dir: KnowledgeDir = None,
    expected_column: Annotated[
        str, typer.Option(help="The CSV's column with the expected topic id.")
    ] = "expected",
    report: Annotated[
        Path | None, typer.Option(help="Also write a report here (.md or .html), with pictures.")
    ] = None,
    json: Json = False,
) -> int:
    """Judge ranking, confidence and decisions on labelled questions. Exit 1 when a YAML case fails, or a row that states
    its decision, or where a topic is expected that does not exist."""
    from bot.evaluating import evaluate_file

    settings = configured(config, knowledge_dir)
    if report is not None:
        out.writable(report, "--report")
        if report.suffix not in (".md", ".html"):
            raise typer.BadParameter(
                f"{report}: write a name that ends in .md or .html", param_hint="--report"
            )
    return asyncio.run(
        evaluate_file(settings, file, expected_column=expected_column, report=report, json=json)
    )


@typer_app.command()
def calibrate(
    config: ConfigFile = None,
    knowledge_dir: KnowledgeDir = None,
    max_wrong: Annotated[
        float | None,
        typer.Option(min=0.001, max=0.5, help="Share of wrong answers that is acceptable: 0.05 is 5 %."),
    ] = None,
    transcripts: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Labelled questions to calibrate on as well."),
    ] = None,
    apply: Annotated[bool, typer.Option(help="Use the new thresholds from now on.")] = False,
    json: Json = False,
) -> int:
    """Draw the risk-coverage curve and the lines that follow from it. Writes nothing without --apply."""
    from bot.calibrating import calibrate_library

    settings = configured(config, knowledge_dir)
    return asyncio.run(calibrate_library(settings, max_wrong, transcripts, apply=apply, json=json))


@typer_app.command()
def replay(receipt: str, config: ConfigFile = None, json: Json = False) -> int:
    """Reproduce an answer from its receipt (A-…).

    It is asked as it was asked then: in the snapshot that gave it, for the same people, on the same day. Exit 1 when it
    differs, or when it cannot be reproduced."""
    from bot.replaying import replayed
    from bot.shell_records import show_replay

    if not receipt.upper().startswith("A-"):
        raise typer.BadParameter(f"{receipt!r} is no receipt; write A-…", param_hint="RECEIPT")
    result = asyncio.run(replayed(configured(config), receipt))
    if json:
        out.as_json(result)
    else:
        show_replay(result)
    return 0 if result["same"] else 1


@typer_app.command()
def report(
    config: ConfigFile = None,
    days: Annotated[int, typer.Option(min=1, help="How far back.")] = 7,
    json: Json = False,
) -> int:
    """Volume, speed and quality of the last days."""
    from bot.shell_records import with_storage

    async def work(reports: Any, now: float) -> Any:
        return await reports.week(now - days * 86400, now)

    data = asyncio.run(with_storage(configured(config), work))
    if json:
        out.as_json(data)
    else:
        moments = {name: out.moment(data[name]) for name in ("from", "to")}
        out.facts({**data, **moments}, "The last day" if days == 1 else f"The last {days} days")
    return 0


@typer_app.command()
def backup(target: Path, config: ConfigFile = None) -> int:
    """Write a consistent copy of the database. While the bot runs or not."""
    from bot.writer import copy_database

    source = configured(config).bot.data_dir / "firstline.db"
    if target.is_dir():
        target /= f"firstline-{datetime.now(UTC):%Y-%m-%d-%H%M%S}.db"
    if target.exists():
        raise typer.BadParameter(f"{target} exists; backups never overwrite", param_hint="TARGET")
    out.writable(target, "TARGET")
    copy_database(source, target)
    out.say(f"{target}: {target.stat().st_size} bytes")
    return 0


shell = typer.main.get_command(typer_app)
