"""What is wrong with a configuration, in words: key, reason, what was meant. Never a secret.

Pydantic finds mistakes table by table and stops before it compares tables with each other. `mended` therefore makes
a copy of the data without the mistakes found so far, so that the next look finds what they hid.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rapidfuzz import fuzz, process

from handoff.hours import DAYS, Hours

if TYPE_CHECKING:
    from bot.config import Config

Where = tuple[int | str, ...]
Model = type[BaseModel]

_SECRET_KEY = re.compile(r"token|secret|password|passwd|api_?key|credential", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"\b(xox[a-z]|xapp|sk|ghp)-\S|[\w-]{23,}\.[\w-]{6}\.[\w-]{27,}|[A-Za-z0-9+/_=-]{32,}"
)
WEEKS_A_YEAR = 52
WEEKS_AT_MOST = (
    5 * WEEKS_A_YEAR
)  # for a promise: half of what is looked ahead, which leaves room for holidays
NEVER_DUE = "give the week more hours, or shorten that"
_SHOWN = 60  # characters of a value that a complaint repeats
_WORDS = {  # where pydantic's own are a programmer's
    "tuple_type": 'must be a list, in brackets: ["…", "…"]',
    "dict_type": "must be a table of names and what they stand for",
    "model_type": "must be a table: its name in brackets, and its keys in the lines below",
    "path_type": "must be a path, in quotes",
}
_FIRST_PERSON = re.compile(r"^(Input|Value|String|List|Field|Tuple)\b")


def meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where something known is close to `word`, else nothing."""
    best = nearest(word, known)
    return f"; did you mean {best!r}?" if best else ""


def nearest(word: str, known: Iterable[str], *, at_least: int = 60) -> str:
    """What somebody who wrote `word` may have meant; empty where nothing is close."""
    best = process.extractOne(word, sorted(known), scorer=fuzz.ratio, score_cutoff=at_least)
    return best[0] if best else ""


def spelled(where: Where) -> str:
    """A place in the file as an admin writes it: `slack.channels[1].mode`, counting from 1."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")


def complaint(error: Mapping[str, Any], model: Model, environment: Mapping[str, str]) -> list[str]:
    """One pydantic error as the lines that an admin reads."""
    where: Where = error["loc"]
    message: str = error["msg"].removeprefix("Value error, ")
    if not where:
        return message.splitlines()
    key = spelled(where)
    if error["type"] == "extra_forbidden":
        return [f"{key}: {unknown(where, model, environment)}"]
    if error["type"] == "missing":
        return [f"{key}: missing; every table of this kind needs one"]
    if error["type"] == "tuple_type" and isinstance(error["input"], Mapping):
        return [f"{key}: there can be several of these; write [[{key}]] instead of [{key}]"]
    said = _WORDS.get(error["type"]) or _FIRST_PERSON.sub(lambda m: m[0].lower(), message)
    return [f"{key}: {said}{shown(error['input'])}"]


def unknown(where: Where, model: Model, environment: Mapping[str, str]) -> str:
    """Why a key is refused. A key for a secret is sent to the environment, where secrets live."""
    key = str(where[-1])
    known = keys_of(model, where[:-1])
    if _SECRET_KEY.search(key) and not nearest(key, known, at_least=85):
        table = "_".join(str(part) for part in where if isinstance(part, str))
        best = process.extractOne(table, sorted(environment))
        name = environment[best[0]] if best else ""
        return f"secrets belong into the environment (here: {name}), never into this file"
    if not known:
        return "there is no such key"
    return f"there is no such {'table' if len(where) == 1 else 'key'}{meant(key, known)}"


def shown(value: object) -> str:
    """` (it says …)` for a short plain value; nothing for a table, and nothing that could be a secret."""
    if isinstance(value, Mapping | list | tuple | BaseModel):
        return ""
    text = repr(value)
    if _SECRET_VALUE.search(text):
        return " (what it says looks like a secret and is not repeated here)"
    return f" (it says {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'})"


def contradictions(config: Config) -> list[str]:
    """What is wrong between tables of which each alone is right."""
    return [*twice(config), *dangling(config), *unreachable(config), *never_due(config)]


def twice(config: Config) -> list[str]:
    """Names that stand for two things."""
    names = {
        "category": [c.name for c in config.category],
        "field": [f.id for f in config.field],
        "route": [r.name for r in config.route],
        "tier": [t.name for t in config.tier],
        "slack.channels": [c.id for c in config.slack.channels],
        "discord.channels": [c.id for c in config.discord.channels],
        "playground.channels": [c.id for c in config.playground.channels],
    }
    return [
        f"{table}: {name!r} stands twice"
        for table, given in names.items()
        for name, count in sorted(Counter(given).items())
        if count > 1
    ]


def dangling(config: Config) -> list[str]:
    """References to something that is not there, and things that must be there and are not."""
    categories = {c.name for c in config.category}
    routes = {r.name for r in config.route}
    complaints: list[str] = []
    for category in config.category:
        where = f"category {category.name!r}"
        if not category.route:
            known = ", ".join(sorted(routes))
            complaints.append(f"{where}.route: missing; every category needs a route, one of: {known}")
        else:
            complaints += absent(f"{where}.route", "route", [category.route], routes)
        complaints += absent(f"{where}.fields", "field", category.fields, {f.id for f in config.field})
    for platform in ("slack", "discord", "playground"):
        for channel in getattr(config, platform).channels:
            named = [channel.category] if channel.category else []
            complaints += absent(
                f"{platform}.channels {channel.id!r}.category", "category", named, categories
            )
    if "general" not in categories:
        complaints.append("category: one must be named 'general'; it takes what fits nowhere else")
    return complaints


def absent(where: str, kind: str, named: Iterable[str], known: set[str]) -> list[str]:
    return [f"{where}: there is no {kind} {one!r}{meant(one, known)}" for one in named if one not in known]


def unreachable(config: Config) -> list[str]:
    """Platforms that are on without a place for tickets to arrive in."""
    return [
        f"{name}.staff_channel: missing; tickets need a private channel to arrive in"
        for name, section in (("slack", config.slack), ("discord", config.discord))
        if section.enabled and not section.staff_channel
    ]


def never_due(config: Config) -> list[str]:
    """Hours in which a promise falls due after years, or never."""
    try:
        hours = Hours.of(config.hours.timezone, {day: getattr(config.hours, day) for day in DAYS})
    except ValueError as error:
        return [f"hours: {error}"]
    open_minutes = sum(end - start for day in hours.week or () for start, end in day)
    targets = {name: getattr(config.sla, name) for name in ("P0", "P1", "P2", "P3")}
    promised: dict[str, tuple[float, float]] = {  # as it is written, and in minutes
        f"sla.{name}.{key}": (getattr(target, key), getattr(target, key))
        for name, target in targets.items()
        if not target.around_the_clock
        for key in ("first_response_minutes", "resolution_minutes")
    }
    if promised:  # these are counted in the desk's hours as well
        for key in ("pick_up_minutes", "claim_reply_minutes", "claim_release_minutes", "acknowledge_hours"):
            written = getattr(config.timers, key)
            promised[f"timers.{key}"] = (written, written * (60 if key.endswith("_hours") else 1))
    longest = max(promised, key=lambda key: promised[key][1], default="")
    if not longest or promised[longest][1] <= open_minutes * WEEKS_AT_MOST:
        return []
    written, minutes = promised[longest]
    years = minutes / open_minutes / WEEKS_A_YEAR
    what = f"what {longest} = {written:g} asks for takes {years:.0f} years"
    return [f"hours: open {open_minutes} min a week, so {what}; {NEVER_DUE}"]


def table_at(model: Model, where: Where) -> Model | None:
    """The model of the table at `where`, or None where there is no table."""
    here: Any = model
    for part in where:
        if isinstance(part, int):
            continue
        fields: Mapping[str, Any] = getattr(here, "model_fields", {})
        if part not in fields:
            return None
        annotation = fields[part].annotation
        here = next((a for a in getattr(annotation, "__args__", ()) if _is_model(a)), annotation)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def keys_of(model: Model, where: Where) -> list[str]:
    """The keys that the table at `where` may have."""
    table = table_at(model, where)
    fields: Mapping[str, object] = table.model_fields if table else {}
    return [name for name in fields if name != "secrets"]


def mended(data: Mapping[str, Any], errors: Sequence[Mapping[str, Any]], model: Model) -> dict[str, Any]:
    """A copy of `data` without what `errors` complain about, to look further; never to be used.

    A misspelt key is taken for what was meant; a wrong value gives way to its default; of an entry that cannot
    stand, what others refer to it by is kept, so that one mistake makes one complaint.
    """
    fixed: dict[str, Any] = copy.deepcopy(dict(data))
    troubled: dict[Where, bool] = {}  # entry: is what it must have wrong, not only missing?
    for error in errors:
        where: Where = error["loc"]
        if not where:
            continue
        if error["type"] == "extra_forbidden":
            _rename(fixed, where, model)
        elif isinstance(where[-1], int) or _is_required(where, model):
            troubled[_entry(where)] = troubled.get(_entry(where), False) or error["type"] != "missing"
        else:
            _drop(fixed, where)
    # From the end, so that leaving one out does not move those that are still to come.
    for where in sorted(troubled, key=lambda w: [str(p).rjust(9, "0") for p in w], reverse=True):
        _reduce(fixed, where, model, wrong=troubled[where])
    return fixed


def _is_model(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _is_required(where: Where, model: Model) -> bool:
    table = table_at(model, where[:-1])
    return bool(
        table and where[-1] in table.model_fields and table.model_fields[str(where[-1])].is_required()
    )


def _rename(data: dict[str, Any], where: Where, model: Model) -> None:
    table = _walk(data, where[:-1])
    if isinstance(table, dict) and where[-1] in table:
        value = table.pop(where[-1])
        free = [key for key in keys_of(model, where[:-1]) if key not in table]
        if wanted := nearest(str(where[-1]), free):
            table[wanted] = value


def _drop(data: dict[str, Any], where: Where) -> None:
    table = _walk(data, where[:-1])
    last: Any = where[-1]
    if (isinstance(table, dict) and last in table) or (isinstance(table, list) and last < len(table)):
        del table[last]


def _reduce(data: dict[str, Any], where: Where, model: Model, *, wrong: bool) -> None:
    """Leave of an entry what it must have; where that is wrong and all there is, nothing."""
    entry, table = _walk(data, where), table_at(model, where)
    if not isinstance(entry, dict) or table is None or not isinstance(where[-1], int):
        _drop(data, where)
        return
    needed = {key: entry.get(key, "-") for key, info in table.model_fields.items() if info.is_required()}
    if wrong and needed == entry:
        _drop(data, where)
    else:
        entry.clear()
        entry.update(needed)


def _entry(where: Where) -> Where:
    """The entry of a list that `where` lies in; of a plain table, its top."""
    numbers = [i for i, part in enumerate(where) if isinstance(part, int)]
    return where[: numbers[-1] + 1] if numbers else where[:1]


def _walk(data: Any, where: Where) -> Any:
    for part in where:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data
