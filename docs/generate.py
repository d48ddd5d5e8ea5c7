# ruff: noqa: INP001  # a script beside the pages that it writes, not a package
"""Writes docs/configuration.md, the words of config.toml beside the rules of bot/config.py, and the tables of
other pages (see tables.py).

    python docs/generate.py          writes the pages
    python docs/generate.py --check  exits with 1 where a page is not what would be written

config.toml is where an admin reads what a key means, bot/config.py is what the process accepts. Neither is repeated
by hand: a key without words, or words without a key, is an error here.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import tables as tables_of_pages  # noqa: E402  # both are found once the project's root is on the path

from bot.config import ENVIRONMENT, Config  # noqa: E402

PAGE = ROOT / "docs" / "configuration.md"
EXAMPLE = ROOT / "config.toml"
OUTSIDE = {"secrets"}  # no table of the file: the environment holds them
_TABLE = re.compile(r"^#?\[\[?([\w.]+)\]\]?$")
_KEY = re.compile(r"^#?([A-Za-z]\w*) = (.+)$")


@dataclass
class Table:
    """One table of config.toml: what is said about it and about its keys."""

    name: str
    words: str
    many: bool
    keys: dict[str, str] = field(default_factory=dict)


def tables(toml: str) -> dict[str, Table]:
    """The tables of a commented file, in its order; of repeated ones the first tells what the keys mean."""
    found: dict[str, Table] = {}
    words: list[str] = []
    here = Table("", "", many=False)
    for line in toml.splitlines():
        if head := _TABLE.match(line):
            here = Table(head[1], " ".join(words), many="[[" in line)
            here = found.setdefault(head[1], here)
            words = []
        elif key := _KEY.match(line):
            if words or key[1] not in here.keys:
                here.keys.setdefault(key[1], " ".join(words))
            words = []
        elif line.startswith("# "):
            words.append(line[2:])
        else:
            words = []
    return found


def models(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table that the schema has, by its name in the file, with its model."""
    for name, info in model.model_fields.items():
        inner = model_in(info.annotation)
        if inner and not (prefix == "" and name in OUTSIDE):
            yield f"{prefix}{name}", inner
            yield from models(inner, f"{prefix}{name}.")


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a table, or of the entries of a list of tables."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a table that are not tables themselves."""
    return {name: info for name, info in model.model_fields.items() if not model_in(info.annotation)}


def kind(annotation: Any, metadata: list[Any]) -> str:
    """What may stand at a key, in words."""
    origin = get_origin(annotation)
    inside = [a for a in get_args(annotation) if a not in (Ellipsis, type(None))]
    if origin is Literal:
        return " · ".join(f"`{toml(value)}`" for value in inside)
    if origin is dict:
        return f"by language: {kind(inside[1], [])}"
    if origin is tuple:
        return f"list of {kind(inside[0], [])}"
    if origin in (Union, types.UnionType):
        return kind(inside[0], metadata)
    if hasattr(annotation, "__metadata__"):
        rules = [rule for said in annotation.__metadata__ for rule in getattr(said, "metadata", [])]
        return kind(annotation.__origin__, rules)
    name = {bool: "true or false", int: "whole number", float: "number", Path: "path"}.get(annotation, "text")
    return name + limits(metadata)


def limits(metadata: list[Any]) -> str:
    """The range that a number must lie in."""
    words = {
        "ge": "from {}",
        "gt": "above {}",
        "le": "to {}",
        "lt": "below {}",
        "max_length": "at most {} characters",
    }
    parts = [
        text.format(f"{value:g}")
        for name, text in words.items()
        for rule in metadata
        if (value := getattr(rule, name, None)) is not None
    ]
    return f", {' '.join(parts)}" if parts else ""


def toml(value: Any) -> str:
    """A value as config.toml writes it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:g}"
        case dict():
            return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
        case tuple() | list():
            return f"[{', '.join(toml(one) for one in value)}]"
        case Enum():
            return toml(value.value)
        case _:
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def default_of(name: str, key: str, info: FieldInfo) -> str:
    """The default of a key: where tables of one kind differ (staff, SLA), that of this one."""
    here: Any = Config()
    for part in name.split("."):
        here = getattr(here, part)
    if isinstance(here, BaseModel):
        return toml(getattr(here, key))
    return "*needed*" if info.is_required() else toml(info.get_default(call_default_factory=True))


def section(table: Table, model: type[BaseModel], words: Mapping[str, str]) -> Iterator[str]:
    """One table of the page."""
    brackets = f"[[{table.name}]]" if table.many else f"[{table.name}]"
    yield from ("", f"## `{brackets}`", "", table.words, "")
    if not keys(model):
        return
    yield from ("| Key | Default | Accepts | Meaning |", "|---|---|---|---|")
    for key, info in keys(model).items():
        default = default_of(table.name, key, info)
        shown = default if default.startswith("*") or not default else f"`{default}`"
        cells = (f"`{key}`", shown, kind(info.annotation, info.metadata), words[key])
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def meaning(
    table: Table, model: type[BaseModel], told: Mapping[type[BaseModel], Mapping[str, str]]
) -> dict[str, str]:
    """What each key of a table means; tables of the same kind (channels, SLA targets) tell it once."""
    words = {key: table.keys.get(key) or told.get(model, {}).get(key, "") for key in keys(model)}
    silent = [key for key, text in words.items() if not text]
    unknown = [key for key in table.keys if key not in model.model_fields]
    if silent or unknown:
        raise SystemExit(f"config.toml, [{table.name}]: no words for {silent}, not in the schema: {unknown}")
    return words


def page() -> str:
    """docs/configuration.md."""
    written = tables(EXAMPLE.read_text("utf-8"))
    schema = dict(models(Config))
    maps = [name for name, info in Config.model_fields.items() if not model_in(info.annotation)]
    if absent := [name for name in [*schema, *maps] if name not in written]:
        raise SystemExit(f"config.toml says nothing about {absent}")
    lines = [
        "# Configuration",
        "",
        "<!-- Generated by docs/generate.py from config.toml and bot/config.py; do not edit. -->",
        "",
        "Everything that can be set, with its default. [`config.toml`](../config.toml) is the same as a file to start from;",
        "`firstline check` tells everything that is wrong with yours. Paths mean “beside the file”.",
        "",
        "## Secrets",
        "",
        "Secrets come from the environment, are never printed, and are refused in the file.",
        "",
        "| Variable | What it is |",
        "|---|---|",
        *(f"| `{name}` | {key.replace('_', ' ').capitalize()} |" for key, name in ENVIRONMENT.items()),
    ]
    told: dict[type[BaseModel], dict[str, str]] = {}
    for name, table in written.items():
        if name in schema:
            words = meaning(table, schema[name], told)
            told.setdefault(schema[name], words)
            lines += section(table, schema[name], words)
        elif name in maps:
            lines += ["", f"## `[{name}]`", "", table.words]
        else:
            raise SystemExit(f"config.toml has a table that the schema does not know: {name}")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    others = {PAGE.parent / name: tables_of_pages.filled(name) for name in tables_of_pages.PAGES}
    pages = {PAGE: page(), **others}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        print(path.relative_to(ROOT), "is stale" if "--check" in arguments else "written")  # noqa: T201
        if "--check" not in arguments:
            path.write_text(pages[path], "utf-8")
    return int("--check" in arguments and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
