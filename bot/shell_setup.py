"""`firstline init` and `firstline check`: from nothing to a running bot, and what to click when it does not run."""

from __future__ import annotations

import asyncio
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from adapters.port import CheckResult
from bot import shell_output as out
from bot.config import ENVIRONMENT, Config

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration; default: config.toml if it is there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def init(
    folder: Annotated[
        Path, typer.Argument(help="Where to write config.toml and slack-manifest.yaml.")
    ] = Path(),
    application_id: Annotated[str, typer.Option(help="Discord's application id, for the invite link.")] = "",
    force: Annotated[bool, typer.Option(help="Overwrite what is there.")] = False,
) -> int:
    """Write a configuration and a Slack app manifest. Prints Discord's invite link, and explains the clicks."""
    from bot.app import setup_texts

    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"{folder} is a file; name a folder", param_hint="FOLDER")
    if application_id and not (application_id.isascii() and application_id.isdecimal()):
        raise typer.BadParameter(
            f"{application_id!r} is no application id; it is the number under General Information",
            param_hint="--application-id",
        )
    manifest, slack_clicks, discord_clicks = setup_texts(application_id)

    folder.mkdir(parents=True, exist_ok=True)
    wanted = {
        "config.toml": resources.files("bot").joinpath("config.example.toml").read_text("utf-8"),
        "slack-manifest.yaml": manifest,
    }
    for name, text in wanted.items():
        target = folder / name
        if target.exists() and not force:
            out.say(f"{target} is there already; left as it is (--force overwrites)")
            continue
        target.write_text(text, "utf-8")
        out.say(f"{target} written")
    out.say("\n" + slack_clicks)
    out.say("\nDiscord, in five steps:\n\n" + discord_clicks)
    if not application_id:
        out.say("   With --application-id NUMBER the link of step 2 is complete.")
    out.say("\nSecrets come from the environment: " + ", ".join(ENVIRONMENT.values()))
    out.say("Say where your answers are ([knowledge] paths in config.toml). Then: firstline check")
    return 0


def check(config: ConfigFile = None, json: Json = False) -> int:
    """Verify configuration, knowledge, tokens and permissions. Says for each failure what to do."""
    from bot.shell import configured

    settings = configured(config)
    results = [CheckResult("configuration", True, "every key is understood")]
    results += asyncio.run(_checks(settings))
    if json:
        out.as_json([{"name": r.name, "ok": r.ok, "detail": r.detail, "fix": r.fix} for r in results])
    else:
        for r in results:
            out.verdict(r.ok, f"{r.name}: {r.detail}" + ("" if r.ok or not r.fix else f"\n    {r.fix}"))
    return 0 if all(r.ok for r in results) else 1


def _wording(settings: Config) -> list[CheckResult]:
    """What is wrong with the team's own words; nothing where they fit."""
    from bot.policies import texts_of
    from bot.texts import WordingError

    try:
        texts_of(settings)
    except WordingError as error:
        fix = "mend it under [wording] in config.toml; the bot does not start as long as it is so"
        return [CheckResult("wording", False, line, fix) for line in str(error).splitlines()]
    return []


async def _checks(settings: Config) -> list[CheckResult]:
    from bot.app import library_of, platform_adapters
    from bot.cases import golden_cases
    from bot.language_model import LanguageModel
    from knowledge.library import KnowledgeError

    results: list[CheckResult] = _wording(settings)
    for path in settings.knowledge.paths:
        if not path.exists():
            fix = "[knowledge] paths in config.toml says where the answers are"
            results.append(CheckResult("knowledge", False, f"{path}: no such file or folder", fix))
    try:
        golden_cases(settings.knowledge.golden)
    except KnowledgeError as error:
        fix = "mend it, or take golden out of [knowledge]; knowledge cannot be built as long as it is so"
        results += [CheckResult("golden cases", False, str(one), fix) for one in error.complaints]
    library = library_of(settings)
    try:
        info = await library.open()
        text = f"snapshot {info.id}, {out.counted(info.topics, 'topic')}" if info else "not built yet"
        results.append(CheckResult("knowledge", info is not None, text, "firstline knowledge build"))
    except KnowledgeError as error:
        results.append(CheckResult("knowledge", False, str(error), "firstline knowledge build"))
    finally:
        library.close()
    if settings.ollama.model:
        model = LanguageModel(
            host=settings.ollama.host,
            model=settings.ollama.model,
            timeout_seconds=settings.ollama.timeout_seconds,
            keep_alive=settings.ollama.keep_alive,
        )
        problem = await model.problem()
        await model.close()
        fix = "start Ollama, pull the model, or empty [ollama] model to do without"
        results.append(CheckResult("language model", not problem, problem or settings.ollama.model, fix))
    adapters = platform_adapters(settings)
    if not adapters:
        results.append(
            CheckResult(
                "platforms", False, "none is enabled", "set enabled = true under [slack] or [discord]"
            )
        )
    for adapter in adapters:
        found = await adapter.check()
        results += [CheckResult(f"{adapter.name}: {r.name}", r.ok, r.detail, r.fix) for r in found]
    return results
