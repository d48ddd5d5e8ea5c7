"""How the tests read what became of outgoing rows."""

from __future__ import annotations

from adapters.codec import load_inbound
from tests.line.scene import (
    Line,
)


def failed_events(line: Line) -> list[tuple[str, str]]:
    rows = line.look("SELECT payload FROM inbox WHERE kind = 'delivery_failed' ORDER BY seq")
    events = [load_inbound(payload) for payload in rows]
    return [(e.kind, e.anchor) for e in events if e.type == "delivery_failed"]


def anchored(line: Line, name: str) -> str:
    return Line(line.folder).look("SELECT message FROM anchors WHERE name = ?", name)[0]
