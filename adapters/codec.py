"""The port's words as JSON, for the inbox, the journal and the outbox: what is dumped loads as an equal object."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field, TypeAdapter
from pydantic_core import PydanticSerializationError

from adapters.port import Inbound, Op

_inbound: TypeAdapter[Inbound] = TypeAdapter(Annotated[Inbound, Field(discriminator="type")])
_op: TypeAdapter[Op] = TypeAdapter(Annotated[Op, Field(discriminator="type")])


def dump_inbound(event: Inbound) -> str:
    """Half an emoji, which JSON can carry and no text can hold, becomes a replacement character."""
    try:
        return _inbound.dump_json(event).decode()
    except PydanticSerializationError:
        text = json.dumps(_inbound.dump_python(event, mode="json"), ensure_ascii=False)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def load_inbound(text: str) -> Inbound:
    return _inbound.validate_json(text)


def dump_op(op: Op) -> str:
    return _op.dump_json(op).decode()


def load_op(text: str) -> Op:
    return _op.validate_json(text)
