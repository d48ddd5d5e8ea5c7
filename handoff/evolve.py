"""A changed copy of a frozen record, at a quarter of the time of `dataclasses.replace`.

A decision copies cases and tickets of more than thirty fields; `replace` looks every field up by name and checks it
again, and was a third of all the time that decisions took.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar

Record = TypeVar("Record")


@lru_cache(maxsize=64)
def _shape(cls: type) -> tuple[tuple[str, ...], attrgetter[tuple[Any, ...]], tuple[Callable[..., None], ...]]:
    names = tuple(f.name for f in fields(cls))
    return names, attrgetter(*names), tuple(getattr(cls, name).__set__ for name in names)


def evolve(record: Record, /, **changes: Any) -> Record:
    """`record` with `changes`: a slotted, frozen dataclass of at least two fields. TypeError for unknown ones."""
    cls = type(record)
    names, values_of, setters = _shape(cls)  # type: ignore[arg-type]
    values = dict(zip(names, values_of(record), strict=True))
    values.update(changes)
    if len(values) != len(names):
        raise TypeError(f"{cls.__name__} has no {', '.join(sorted(set(values) - set(names)))}")
    made = object.__new__(cls)
    for put, value in zip(setters, values.values(), strict=True):
        put(made, value)
    return made
