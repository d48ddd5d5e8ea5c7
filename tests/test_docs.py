"""Documentation cannot lie: what is written from code is fresh, what exists is documented, what is documented exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.config import Config, load
from bot.metrics import Metrics
from bot.shell import shell
from handoff.model import Phase, TicketState
from handoff.policy import COMMANDS, PERMISSIONS, RESOLUTION_TYPES, ROOT_CAUSES
from handoff.sla import _ACTS
from handoff.ticket import MOVES
from handoff.triggers import by_name

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LEFT_OUT = {
    ".venv",
    ".firstline",  # what a demo or a benchmark left
    "node_modules",
    "knowledge",
    ".pytest_cache",
    "build",
}  # knowledge: the sample, for customers
PAGES = sorted(
    p for p in ROOT.rglob("*.md") if not LEFT_OUT & set(p.relative_to(ROOT).parts) and "tests" not in p.parts
)


def read(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def rows(text: str, begin: str = "") -> list[list[str]]:
    """The cells of every table row, of one generated part or of the whole page."""
    if begin:
        text = text.partition(f"<!-- {begin}: begin -->")[2].partition(f"<!-- {begin}: end -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def first_cells(text: str, begin: str = "") -> list[str]:
    return [row[0] for row in rows(text, begin)[1:]] if begin else [row[0] for row in rows(text)]


# --- what is written from code ----------------------------------------------------------------------------------


def test_generated_pages_are_as_the_code_would_write_them_now() -> None:
    """A key, a move or a right that changed without its page fails the build."""
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}: run python docs/generate.py"


def test_every_configuration_key_is_documented_and_stands_in_the_file_to_start_from() -> None:
    told, example = read("docs/configuration.md"), read("config.toml")

    for table, section in Config.model_json_schema()["$defs"].items():
        for key in section.get("properties", {}):
            if table != "Secrets":
                assert re.search(rf"`\[?\[?[\w.]*\b{key}\b\]?\]?`", told), key
                assert re.search(rf"^#?(?:{key} = |\[+[\w.]*{key}\]+$)", example, re.MULTILINE), key


def test_every_configuration_key_is_read_by_the_program() -> None:
    """A key that nothing reads is a promise to an admin that nobody keeps."""
    packages = ("bot", "adapters", "handoff", "knowledge")
    files = [f for package in packages for f in (ROOT / package).rglob("*.py") if f.name != "config.py"]
    code = "\n".join(f.read_text("utf-8") for f in files)
    by_name = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", "P0", "P1", "P2", "P3"}  # read in a loop
    keys = {
        k for section in Config.model_json_schema()["$defs"].values() for k in section.get("properties", {})
    }

    assert sorted(k for k in keys - by_name if not re.search(rf"\.{k}\b", code)) == []


def test_the_file_to_start_from_is_accepted_and_says_the_defaults() -> None:
    assert load(ROOT / "config.toml").timers == Config().timers
    assert load(ROOT / "config.toml").limits == Config().limits


def test_the_example_that_init_writes_is_the_file_of_the_repository() -> None:
    """Two files that must say the same: what init writes has to know every table, too."""
    tables = re.compile(r"^#?(\[+[\w.]+\]+)", re.MULTILINE)

    assert set(tables.findall(read("bot/config.example.toml"))) <= set(tables.findall(read("config.toml")))


# --- what exists is documented ----------------------------------------------------------------------------------


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield path


@pytest.mark.parametrize("words", [" ".join(leaf) for leaf in leaves(shell)])
def test_every_command_of_the_shell_is_documented(words: str) -> None:
    assert f"| `firstline {words}" in read("docs/operating.md")


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_of_the_chat_is_documented(verb: str) -> None:
    assert f"`/firstline {verb}" in read("docs/handoff.md")
    assert re.search(rf"`(?:/firstline )?{verb}`", read("docs/discord.md"))


def test_every_verb_has_its_row_and_no_row_is_invented() -> None:
    assert first_cells(read("docs/handoff.md"), "permissions") == list(PERMISSIONS)


def test_every_state_move_and_timer_is_documented() -> None:
    text, words = read("docs/handoff.md"), read("docs/glossary.md")

    assert set(first_cells(text, "moves")) == {move for _, move in MOVES}
    assert set(first_cells(text, "timers")) == set(_ACTS)
    assert all(f"| `{state}` |" in words and f"`{state}`: " in text for state in TicketState)
    assert all(f"`{name}`" in text for name in (*RESOLUTION_TYPES, *ROOT_CAUSES))


def test_what_the_glossary_says_about_states_is_what_the_table_of_moves_says() -> None:
    """The one table that people write by hand: each state that it names as reachable is."""
    for state in TicketState:
        row = next(r for r in rows(read("docs/glossary.md")) if r[0] == state)
        reached = set(re.findall(r"`(\w+)`", row[2]))
        assert reached <= {to for (start, _), to in MOVES.items() if start == state}, state


def test_every_trigger_is_documented_with_its_kind_and_priority() -> None:
    told = {row[0]: row for row in rows(read("docs/triggers.md")) if len(row) == 4}
    del told["Name"]

    assert set(told) == set(by_name())
    for name, trigger in by_name().items():
        assert told[name][1:] == [trigger.title, "hard" if trigger.hard else "soft", trigger.priority or ""]


def exported() -> dict[str, set[str]]:
    """Every metric as a scraper sees it, with its labels."""
    found: dict[str, set[str]] = {}
    for collector in {*Metrics().registry._collector_to_names}:
        kind = type(collector).__name__
        name = collector._name + ("_total" if kind == "Counter" else "")
        found[name] = set(collector._labelnames)
    return found


def test_every_metric_is_documented_with_its_labels() -> None:
    told = {
        name: set(filter(None, labels.strip("{}").split(",")))
        for cell in first_cells(read("docs/operating.md"), "metrics")
        for name, _, labels in [cell.partition("{")]
    }

    assert told == exported()


def test_exit_codes_are_those_of_the_program() -> None:
    from bot.__main__ import FINDING, INTERRUPTED, USAGE

    told = {row[0] for row in rows(read("docs/operating.md")) if row[0].isdigit()}
    assert told == {"0", str(FINDING), str(USAGE), str(INTERRUPTED)}


def test_the_words_of_the_code_are_in_the_glossary() -> None:
    words = {w.strip() for cell in first_cells(read("docs/glossary.md")) for w in re.split(r",|\(", cell)}

    assert {"answer", "clarify", "draft", "collect", "escalate", "decline"} <= words
    assert {"ticket", "card", "claim", "relay", "resolve", "reopen", "takeover", "epoch", "incident"} <= words
    assert Phase.HUMAN == "human"


# --- what is documented exists ----------------------------------------------------------------------------------


def written_commands(text: str) -> Iterator[str]:
    """Every command line that a page shows: in code blocks, and in `code` within a sentence."""
    code = re.findall(r"(?:^|\n)(?:```(?:sh|bash|console)?\n(.*?)\n```)", text, re.DOTALL)
    indented = re.findall(r"^ {4,}(.+)$", text, re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", text)
    for line in [*"\n".join(code).splitlines(), *indented, *inline]:
        found = re.match(r"(?:\$ )?(?:[\w./-]*/bin/)?firstline( .*)?$", line.strip())
        if found and found[1]:
            yield re.sub(r"\s+(?:#|←).*", "", found[1].strip())


def spelled_out(line: str) -> Iterator[list[str]]:
    """`knowledge build|status` is two commands."""
    words = shlex.split(line.replace("…", "x"))
    several = next((n for n, w in enumerate(words) if "|" in w), None)
    if several is None:
        yield words
        return
    for choice in words[several].split("|"):
        yield [*words[:several], choice, *words[several + 1 :]]


def understood(words: list[str]) -> str:
    """Why the program would not understand these words; empty: it would."""
    command: Any = shell
    rest = list(words)
    while hasattr(command, "commands"):
        if not rest or rest[0].startswith("-"):
            return ""  # a group alone, or its --help
        if rest[0] not in command.commands:
            return "" if rest[0] in ("COMMAND", "x") else f"no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    options = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)} | {"--help"}
    unknown = [w for w in rest if w.startswith("--") and w.split("=")[0] not in options]
    return f"no option {unknown[0]!r}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_that_a_page_shows_exist(page: Path) -> None:
    """The first thing that a reader does is to copy them."""
    wrong = [
        f"firstline {line}: {problem}"
        for line in written_commands(page.read_text("utf-8"))
        for words in spelled_out(line)
        if (problem := understood(words))
    ]

    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_chat_commands_that_a_page_shows_exist(page: Path) -> None:
    shown = re.findall(r"(?:`|^ {4})/firstline ([a-z][\w-]*)", page.read_text("utf-8"), re.MULTILINE)

    assert set(shown) - set(COMMANDS) - {"verb"} == set()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_doors_that_a_page_shows_exist(page: Path) -> None:
    doors = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    shown = re.findall(r"(?:^ {4}|`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)

    assert set(shown) - doors == set()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_keys_that_a_page_names_exist(page: Path) -> None:
    """`[bot] launch_mode` in a sentence is a table and a key of it."""
    schema = Config.model_json_schema()["$defs"]
    keys = {key for section in schema.values() for key in section.get("properties", {})}
    keys |= set(Config.model_json_schema()["properties"])
    shown = re.findall(r"`\[+([\w.]+)\]+ ([a-z_]+)", page.read_text("utf-8"))

    assert [f"[{table}] {key}" for table, key in shown if key not in keys] == []
    assert [t for t, _ in shown if t.partition(".")[0] not in Config.model_json_schema()["properties"]] == []


def anchors(path: Path) -> set[str]:
    """The anchors of a page: of its headings, as the usual renderers make them, and those it sets itself."""
    text = path.read_text("utf-8")
    heads = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in heads}
    return made | set(re.findall(r'<a id="([^"]+)"></a>', text))


def links(text: str) -> list[str]:
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_the_newest_version_of_the_changelog_is_that_of_the_package() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", read("CHANGELOG.md"), re.MULTILINE)

    assert next(h for h in headings if h != "Unreleased") == version


def test_no_page_speaks_of_where_it_was_made() -> None:
    """A reader has none of the folders of whoever wrote it."""
    assert [page_id(p) for p in PAGES if re.search(r"/work/|/home/\w+/", p.read_text("utf-8"))] == []
