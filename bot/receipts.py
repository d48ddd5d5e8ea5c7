"""A decision in data: what the playground's why pane, the console's /why and the receipts show."""

from __future__ import annotations

from typing import Any

from adapters.port import Inbound
from handoff import reasons
from handoff.effects import Decision
from handoff.model import Case, Found, Known


def explained(
    case: Case, decision: Decision, event: Inbound, known: Known, now: float, ms: float
) -> dict[str, Any]:
    """What was asked, what was found, what was decided and why; every value fits into JSON."""
    found = surest(known)
    ticket = decision.case.ticket
    return {
        "at": now,
        "conversation": case.id,
        "place": case.place.conversation,
        "customer": case.customer.name or case.customer.id,
        "event": event.type,
        "key": event.keys[0] if event.keys else "",
        "kind": decision.kind,
        "why": decision.why,
        "trace": [list(item) for item in decision.trace],
        "evidence": [
            {"topic": h.topic, "title": h.title, "confidence": h.confidence, "score": h.score, "path": h.path,
             "version": h.version, "evidence": dict(h.evidence)}
            for h in (found.hits[:5] if found else ())
        ],
        "fired": [{"trigger": f.trigger, "why": reasons.plain(f.reason), "score": f.score} for f in known.fired],
        "search_why": list(found.why) if found else [],
        "snapshot": found.snapshot if found else "",
        "confidence": found.confidence if found else None,
        "threshold_answer": found.threshold_answer if found else None,
        "threshold_clarify": found.threshold_clarify if found else None,
        "language": decision.case.language,
        "timings_ms": {**(dict(found.timings_ms) if found else {}), "whole": round(ms, 2)},
        "phase": str(decision.case.phase),
        "ticket": None if ticket is None else {
            "id": ticket.id, "state": str(ticket.state), "priority": ticket.priority,
            "assignee": ticket.assignee.name if ticket.assignee else None,
        },
    }  # fmt: skip


def surest(known: Known) -> Found | None:
    """Of several questions in one message the one that the decision rests on: what was surest found."""
    return max(known.found, key=lambda f: f.confidence, default=None)
