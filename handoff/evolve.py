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
Put = Callable[[object, Any], None]


@lru_cache(maxsize=64)
def _shape(cls: type) -> tuple[attrgetter[tuple[Any, ...]], tuple[Put, ...], dict[str, Put]]:
    names = tuple(f.name for f in fields(cls))
    puts: tuple[Put, ...] = tuple(getattr(cls, name).__set__ for name in names)
    return attrgetter(*names), puts, dict(zip(names, puts, strict=True))


def evolve(record: Record, /, **changes: Any) -> Record:
    """`record` with `changes`: a slotted, frozen dataclass of at least two fields. TypeError for unknown ones."""
    cls = type(record)
    values_of, puts, by_name = _shape(cls)  # type: ignore[arg-type]
    made = object.__new__(cls)
    for put, value in zip(puts, values_of(record)):  # noqa: B905 - equally long; checking that again costs time
        put(made, value)
    for name, value in changes.items():
        if name not in by_name:
            raise TypeError(f"{cls.__name__} has no {name}")
        by_name[name](made, value)
    return made
