"""What ARCHITECTURE.md and CONTRIBUTING.md promise about the code itself; each rule says why anybody cares."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import wording
from bot.texts import catalogue
from handoff import facts
from handoff.effects import Fact
from handoff.model import Ticket, TicketState
from handoff.policy import COMMANDS, PERMISSIONS
from handoff.press import _FORMS, _PRESSES
from handoff.ticket import MOVES, buttons

ROOT = Path(__file__).parent.parent
PACKAGES = ("bot", "adapters", "knowledge", "handoff")
LINES_MAX, FUNCTION_MAX = 450, 70  # blank lines of a module do not count
TEST_LINES_MAX, TEST_FUNCTION_MAX = 600, 100
VOCABULARY = {"adapters/port.py"}  # all words that cross the border, in one place: a list, not a program
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "base", "core", "misc", "stuff"}
PRODUCT = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


# --- what is installed -----------------------------------------------------------------------------------------


def test_every_file_that_the_code_reads_is_installed_with_it() -> None:
    """An editable install reads the checkout and hides what a wheel would lack."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    data = [path for path in tracked if not path.endswith(".py")]

    assert data
    assert [path for path in data if not any(Path(path).match(p) for p in patterns)] == []


# --- size and names -------------------------------------------------------------------------------------------


def test_a_module_fits_into_a_head() -> None:
    """Whoever opens a file can read all of it."""
    long = {
        name(path): lines
        for path in (*PRODUCT, *TESTS)
        if (lines := sum(1 for line in path.read_text("utf-8").splitlines() if line.strip()))
        > (TEST_LINES_MAX if path in TESTS else LINES_MAX)
        and name(path) not in VOCABULARY
    }

    assert long == {}


def test_a_function_fits_onto_a_screen() -> None:
    long = {
        f"{name(path)}: {f.name}": lines
        for path in (*PRODUCT, *TESTS)
        for f in functions(path)
        if (lines := (f.end_lineno or 0) - f.lineno + 1)
        > (TEST_FUNCTION_MAX if path in TESTS else FUNCTION_MAX)
    }

    assert long == {}


def test_every_file_is_named_for_what_it_does() -> None:
    """A file called utils grows for ever."""
    parts = {part for path in (*PRODUCT, *TESTS) for part in (path.stem, *path.stem.split("_"))}

    assert parts & SAYS_NOTHING == set()


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    silent = [
        name(p) for p in PRODUCT if p.name != "__init__.py" and not (ast.get_docstring(tree(p)) or "").strip()
    ]

    assert silent == []


def test_nothing_is_left_for_later() -> None:
    """What is not done is not in the code; it is an issue."""
    marker = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|HA" + r"CK|NotImplemented" + r"Error)\b")
    found = [name(p) for p in (*PRODUCT, *TESTS) if marker.search(p.read_text("utf-8"))]

    assert found == []


# --- tests ----------------------------------------------------------------------------------------------------


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{a.name}" for a in node.names)}
    return names


def test_no_test_believes_a_mock() -> None:
    """A mock agrees with whoever wrote it; a fake has behaviour of its own."""
    assert [name(p) for p in TESTS if imported(p) & {"mock", "unittest.mock", "pytest_mock"}] == []


def calls(path: Path, *wanted: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in wanted
    ]


def test_no_test_waits_for_the_clock_on_the_wall() -> None:
    """A sleep is either too short on a busy machine or too long on every other one."""
    assert [name(p) for p in TESTS if calls(p, "time.sleep", "sleep")] == []


def test_a_test_is_left_out_only_where_something_cannot_be_had() -> None:
    """Chromium and the data sets are not everywhere; everything else has to pass."""
    reasons = [
        f"{name(path)}: {ast.unparse(call)}"
        for path in TESTS
        for call in calls(
            path, "pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail", "pytest.xfail",
            "pytest.importorskip",
        )
    ]  # fmt: skip

    assert [r for r in reasons if not re.search(r"chromium|shared", r)] == []


# --- who knows whom -------------------------------------------------------------------------------------------


def test_the_import_contracts_hold() -> None:
    """`handoff` does no I/O, `knowledge` judges nothing, one module names a platform: proven, not hoped."""
    tool = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_broad_catch_hides_a_mistake() -> None:
    """`except:` alone would also swallow a cancellation."""
    bare = [
        f"{name(p)}:{node.lineno}"
        for p in PRODUCT
        for node in ast.walk(tree(p))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]

    assert bare == []


def test_time_and_chance_are_made_in_one_place() -> None:
    """A rule that reads the clock cannot be replayed."""
    clocks = re.compile(r"\b(?:time\.time|datetime\.now|random\.\w+|uuid\.uuid4)\(")
    found = [name(p) for p in (ROOT / "handoff").rglob("*.py") if clocks.search(p.read_text("utf-8"))]

    assert found == []


# --- the tables that must be complete ---------------------------------------------------------------------------


def kinds_of_facts() -> set[type[Fact]]:
    return {
        kind
        for kind in vars(facts).values()
        if isinstance(kind, type) and issubclass(kind, Fact) and kind is not Fact
    }


def test_every_fact_has_words() -> None:
    """A fact without words would stop a conversation at the moment it is told."""
    assert set(wording._WORDS) == kinds_of_facts()


def verbs_shown() -> set[str]:
    """Every verb of a button: named in the wording, in lines of the rules, or on the card."""
    shown: set[str] = set()
    for path in sorted((ROOT / "bot").glob("wording*.py")):
        for call in ast.walk(tree(path)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "texts.button":
                shown |= {call.args[0].value} if isinstance(call.args[0], ast.Constant) else set()
    for path in sorted((ROOT / "handoff").glob("*.py")):
        for keyword in ast.walk(tree(path)):
            if isinstance(keyword, ast.keyword) and keyword.arg == "buttons":
                shown |= set(re.findall(r"\(\(?'([a-z_\d]+)', ", ast.unparse(keyword.value)))
    for state in TicketState:
        shown |= set(buttons(Ticket(1, state, "general", "P0", "", "desk", "", "", 0.0)))
    labels = {key.removeprefix("button.") for key in catalogue("en") if key.startswith("button.")}
    return shown | (
        labels - {"show", "csat"}
    )  # labels that no verb has: "Show it" is a pick, "Rating" a heading


def test_every_button_has_a_row_in_the_table_of_permissions() -> None:
    """A button that nobody may press, or that everybody may press by oversight, is found here."""
    assert len(verbs_shown()) > 30
    assert verbs_shown() - set(PERMISSIONS) == set()


def test_every_row_of_the_table_of_permissions_does_something() -> None:
    done = {*COMMANDS, *_PRESSES, *_FORMS, "help_message", "escalate_message"}

    assert set(PERMISSIONS) == done


@pytest.mark.parametrize("state", TicketState)
def test_every_button_on_the_card_is_possible_in_its_state(state: TicketState) -> None:
    """A button that always answers "not possible now" is a promise that is broken daily."""
    moves = {move for _, move in MOVES}
    shown = [v for v in buttons(Ticket(1, state, "general", "P2", "", "desk", "", "", 0.0)) if v in moves]

    taken = {"reply": "claim"}  # whoever replies to a ticket that nobody has, claims it
    assert [v for v in shown if (state, v) not in MOVES and (state, taken.get(v)) not in MOVES] == []


# --- the map --------------------------------------------------------------------------------------------------


def test_the_map_names_every_package_and_every_product_package_is_on_it() -> None:
    packages = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    packages -= {"tests", "benchmarks"}

    assert packages == set(PACKAGES)
    for page in ("README.md", "ARCHITECTURE.md"):
        text = (ROOT / page).read_text("utf-8")
        assert [p for p in PACKAGES if f"`{p}/" not in text and f" {p}/" not in text] == [], page


def test_modules_that_the_map_names_exist() -> None:
    """A map that shows a bridge that is gone is worse than none."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = set(re.findall(r"`((?:bot|adapters|handoff|knowledge)/[\w/]+\.(?:py|toml))`", text))
    dotted = set(re.findall(r"`((?:bot|adapters|handoff|knowledge)\.[a-z_]+)", text))

    assert named | dotted
    assert [n for n in named if not (ROOT / n).exists()] == []
    assert [d for d in dotted if not (ROOT / (d.replace(".", "/") + ".py")).exists()] == []


def test_every_dependency_is_locked() -> None:
    """What was tested is what is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    locked = (ROOT / "constraints.txt").read_text("utf-8").lower().replace("_", "-")

    wanted = [re.split(r"[<>=\[ ]", d, maxsplit=1)[0].lower() for d in project["project"]["dependencies"]]
    assert [w for w in wanted if f"\n{w.replace('_', '-')}==" not in f"\n{locked}"] == []
