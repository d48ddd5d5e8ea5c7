"""What the playground's page is sent: plain JSON values, made from messages, forms and traces. Pure.

No value here is markup: the page puts every text into the document as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from adapters.chat_room import Message, Person, Room, Thread, View
from adapters.port import Block, Button, FileRef, FormErrors, Span

Json = dict[str, Any]

# What a decision is called in front of a support lead, and how it is coloured.
KINDS: Mapping[str, tuple[str, str]] = {
    "answer": ("Answered", "good"),
    "clarify": ("Asked back", "info"),
    "draft": ("Drafted for the desk", "info"),
    "collect": ("Collecting details", "info"),
    "escalate": ("Handed to a person", "warn"),
    "decline": ("Declined", "warn"),
    "shadow": ("Watched only (shadow mode)", "plain"),
    "incident": ("Told about the incident", "warn"),
    "offer": ("Offered a person", "info"),
    "relay": ("Relayed", "plain"),
    "note": ("Kept internal", "plain"),
    "claim": ("Claimed", "good"),
    "release": ("Released", "plain"),
    "takeover": ("A person stepped in", "good"),
    "resolve": ("Resolved", "good"),
    "refuse": ("Refused", "warn"),
    "command": ("Command", "plain"),
    "timer": ("Timer", "plain"),
    "ignore": ("Nothing to do", "plain"),
    "unaddressed": ("Left alone", "plain"),
}

# How the parts of a passage's evidence are called in front of a support lead; any other key shows as it is.
EVIDENCE: Mapping[str, str] = {
    "dense": "meaning",
    "vector": "meaning",
    "semantic": "meaning",
    "cosine": "meaning",
    "bm25": "words",
    "lexical": "words",
    "fts": "words",
    "covered": "share of its words covered",
    "phrases": "shared phrases",
    "head": "learned judgement",
    "margin": "lead over the next",
    "title": "title",
    "question": "nearest example question",
}


def person_view(person: Person) -> Json:
    return {
        "id": person.id,
        "name": person.name,
        "desk": bool(person.roles),
        "admin": "admin" in person.roles,
    }


def message_view(message: Message, room: Room, title: str) -> Json:
    """One message, complete: the page replaces what it has under the same id."""
    content = message.content
    return {
        "id": message.id,
        "channel": message.place.channel,
        "thread": message.place.thread,
        "author": author_view(message, room, title),
        "at": message.at,
        "text": message.text,
        "title": content.title if content else "",
        "status": content.status if content else "",
        "footer": content.footer if content else "",
        "urgent": bool(content and content.urgent),
        "blocks": [block_view(b) for b in content.body] if content else [],
        "buttons": [button_view(i, b) for i, b in enumerate(content.buttons)] if content else [],
        "files": [file_view(f, room) for f in message.files],
        "reactions": [
            {"emoji": emoji, "who": [display_name(u, room, title) for u in who], "ids": list(who)}
            for emoji, who in message.reactions.items()
        ],
        "edited": message.edits > 0 and not message.content,
        "deleted": message.deleted,
        "private_to": message.private_to,
        "interaction": message.interaction,
    }


def author_view(message: Message, room: Room, title: str) -> Json:
    if message.speaking_as:
        return {"id": "", "name": message.speaking_as, "kind": "relayed"}
    if not message.author:
        return {"id": "", "name": title, "kind": "bot"}
    person = room.people.get(message.author)
    kind = "agent" if person and person.roles else "customer"
    return {"id": message.author, "name": display_name(message.author, room, title), "kind": kind}


def display_name(user: str, room: Room, title: str) -> str:
    if not user:
        return title
    person = room.people.get(user)
    return person.name if person else user


def block_view(block: Block) -> Json:
    return {"type": block.type, "items": [[span_view(s) for s in line] for line in block.items]}


def span_view(span: Span) -> Json:
    ping = bool(span.mention) and not str(span.mention).startswith("channel:")
    text = f"@{span.text or span.mention}" if ping else span.text
    return {"text": text, "style": sorted(span.style), "url": safe_url(span.url), "ping": ping}


def safe_url(url: str | None) -> str | None:
    """The link, where it is one that a person may follow: http, https or mailto."""
    if not url:
        return None
    try:
        scheme = urlsplit(url.strip()).scheme.lower()
    except ValueError:
        return None
    return url.strip() if scheme in ("http", "https", "mailto") else None


def button_view(index: int, button: Button) -> Json:
    return {"index": index, "label": button.label, "style": button.style, "confirm": button.confirm}


def file_view(file: FileRef, room: Room) -> Json:
    return {"id": file.id, "name": file.name, "size": file.size, "here": room.has_file(file.id)}


def thread_view(thread: Thread) -> Json:
    return {
        "id": thread.id,
        "title": thread.title,
        "solved": thread.solved,
        "archived": thread.archived,
        "locked": thread.locked,
        "tags": list(thread.tags),
    }


def form_view(view: View) -> Json:
    form = view.form
    return {
        "view": view.id,
        "user": view.user,
        "title": form.title,
        "submit": form.submit or "Send",
        "inputs": [
            {
                "id": i.id,
                "label": i.label,
                "kind": i.kind,
                "required": i.required,
                "value": i.value,
                "hint": i.hint,
                "max": i.max,
                "choices": [{"value": v, "label": label} for v, label in i.choices],
            }
            for i in form.inputs
        ],
    }


def errors_view(refused: FormErrors) -> Json:
    return {"errors": dict(refused.errors)}


def snapshot_view(room: Room, title: str, newest: int) -> Json:
    """Everything that a page needs to begin with: the newest messages, with the roots of their threads."""
    recent = list(room.messages.values())[-newest:]
    known = {m.id for m in recent}
    roots = [
        room.messages[t]
        for t in dict.fromkeys(m.place.thread for m in recent)
        if t and t not in known and t in room.messages
    ]
    return {
        "title": title,
        "channels": list(room.channels),
        "staff_channel": room.staff_channel,
        "desks": list(room.desks),
        "people": [person_view(p) for p in room.people.values()],
        "messages": [message_view(m, room, title) for m in (*roots, *recent)],
        "threads": [thread_view(t) for t in room.threads.values()],
    }


# --- why ---------------------------------------------------------------------------------------------------


def trace_view(trace: Mapping[str, Any], number: int) -> Json:
    """One decision in words that a support lead understands, whatever of it is known."""
    kind = str(trace.get("kind") or "ignore")
    label, tone = KINDS.get(kind, (kind.replace("_", " ").capitalize(), "plain"))
    confidence = share(trace.get("confidence"))
    threshold = share(trace.get("threshold_answer"))
    return {
        "number": number,
        "at": float(trace.get("at") or 0.0),
        "conversation": str(trace.get("conversation") or ""),
        "place": place_of(trace),
        "customer": str(trace.get("customer") or ""),
        "event": str(trace.get("event") or ""),
        "key": str(trace.get("key") or ""),
        "kind": kind,
        "label": label,
        "tone": tone,
        "why": str(trace.get("why") or ""),
        "rules": [[str(rule), str(finding)] for rule, finding in trace.get("trace") or ()],
        "fired": [[str(f.get("trigger") or ""), str(f.get("why") or "")] for f in trace.get("fired") or ()],
        "search": [str(reason) for reason in trace.get("search_why") or ()],
        "confidence": confidence,
        "threshold": threshold,
        "verdict": verdict(confidence, threshold),
        "evidence": [evidence_view(e) for e in trace.get("evidence") or ()],
        "snapshot": str(trace.get("snapshot") or ""),
        "timings": timings_view(trace.get("timings_ms") or {}),
        "phase": phase_words(str(trace.get("phase") or "")),
        "ticket": ticket_view(trace.get("ticket")),
    }


def place_of(trace: Mapping[str, Any]) -> str:
    """The key of the place where the conversation happens, where the trace tells it."""
    for name in ("place", "conversation"):
        value = str(trace.get(name) or "")
        if value.startswith("playground:"):
            return value
    return ""


def share(value: Any) -> float | None:
    return min(1.0, max(0.0, float(value))) if isinstance(value, int | float) else None


NEARLY_SURE = 0.994  # above this, rounding would claim a certainty that nobody has


def verdict(confidence: float | None, threshold: float | None) -> str:
    """What the confidence means, as a frequency: people read "9 of 10" rightly and "0.9" wrongly."""
    if confidence is None:
        return ""
    right = f"about {round(confidence * 100)}" if confidence <= NEARLY_SURE else "more than 99"
    odds = f"Of 100 answers like this one, {right} are right"
    if threshold is None:
        return f"{odds}."
    line = f"{threshold * 100:.3g}"
    if confidence >= threshold:
        return f"{odds}; the line for answering is {line}."
    return f"{odds}; that is below the line of {line}, so it is not sent as an answer."


def evidence_view(entry: Mapping[str, Any]) -> Json:
    parts: Mapping[str, Any] = entry.get("evidence") or {}
    return {
        "topic": str(entry.get("topic") or ""),
        "title": str(entry.get("title") or entry.get("topic") or ""),
        "confidence": share(entry.get("confidence")),
        "score": number_words(entry.get("score")),
        "parts": [
            [EVIDENCE.get(str(k), str(k).replace("_", " ")), number_words(v)] for k, v in parts.items()
        ],
    }


def number_words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


def timings_view(timings: Mapping[str, Any]) -> list[list[str]]:
    return [
        [str(step).replace("_", " "), f"{round(value, 1):g} ms"]
        for step, value in timings.items()
        if isinstance(value, int | float)
    ]


PHASES: Mapping[str, str] = {
    "bot": "the bot answers",
    "clarifying": "a clarifying question is open",
    "offered": "a person was offered",
    "collecting": "details are being collected",
    "desk": "waiting for an agent",
    "human": "a person has taken over; the bot is silent",
    "muted": "muted for a while",
}


def phase_words(phase: str) -> str:
    return PHASES.get(phase, phase)


def ticket_view(ticket: Any) -> Json | None:
    if not isinstance(ticket, Mapping) or not ticket:
        return None
    number = ticket.get("id") or ticket.get("number") or ""
    return {
        "id": str(number) if str(number).startswith("T-") else f"T-{number}",
        "state": str(ticket.get("state") or ""),
        "priority": str(ticket.get("priority") or ""),
        "assignee": str(ticket.get("assignee") or ""),
    }


def suggestions_view(suggestions: Sequence[str]) -> list[str]:
    return [s for s in suggestions if s.strip()][:6]
