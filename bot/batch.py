"""What waits in one conversation becomes one step: bursts are one question, edits and deletions come first.

Pure: `fold` looks at what is recorded and at the clock, and says what to work on now or when to look again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.port import Inbound, MessageDeleted, MessageEdited, MessageReceived, MsgRef
from bot.statements import Recorded

ORPHAN_SECONDS = 5.0  # how long an edit or deletion waits for the message that it belongs to
BURST_SECONDS_MAX = 8.0  # a burst is answered after so long, even if it goes on
BURST_MESSAGES_MAX = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One event to decide on, made of these recorded rows."""

    event: Inbound
    seqs: tuple[int, ...]
    refs: tuple[MsgRef, ...] = ()
    texts: tuple[str, ...] = ()
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Fold:
    """`step`: work on it now. `gone`: rows that are settled without a decision. `again_at`: look again then."""

    step: Step | None = None
    gone: tuple[int, ...] = ()
    again_at: float | None = None


def fold(rows: Sequence[Recorded], now: float, debounce: float) -> Fold:
    """The next step of a conversation. `debounce` 0: nothing is merged and nothing waits (a person is there)."""
    rows, gone = settle(rows)
    if gone:
        return Fold(gone=gone, again_at=now)
    rows = in_order(rows)
    for index, row in enumerate(rows):
        if isinstance(row.event, MessageEdited | MessageDeleted) and not row.known_before:
            if row.received_at + ORPHAN_SECONDS > now:
                continue  # its message may still come; what stands behind it need not wait
            return Fold(single(row))
        if not isinstance(row.event, MessageReceived) or not debounce:
            return Fold(single(row))
        burst = run_of(rows[index:])
        ready = min(burst[-1].received_at + debounce, burst[0].received_at + BURST_SECONDS_MAX)
        interrupted = len(burst) < len(rows) - index  # something else follows: the burst is complete
        if ready > now and not interrupted and not row.event.catchup:
            return Fold(again_at=ready)
        return Fold(merged(burst))
    orphans = [row.received_at + ORPHAN_SECONDS for row in rows]
    return Fold(again_at=min(orphans) if orphans else None)


def settle(rows: Sequence[Recorded]) -> tuple[list[Recorded], tuple[int, ...]]:
    """Apply edits and deletions to messages that nobody has worked on yet, whichever came first."""
    messages = {row.event.ref.id for row in rows if isinstance(row.event, MessageReceived)}
    changes: dict[str, list[Recorded]] = {}
    for row in rows:
        if isinstance(row.event, MessageEdited | MessageDeleted) and row.event.ref.id in messages:
            changes.setdefault(row.event.ref.id, []).append(row)
    consumed = {change.seq for many in changes.values() for change in many}
    left, gone = [], []
    for row in rows:
        if row.seq in consumed:
            continue
        event = row.event
        mine = changes.get(event.ref.id, []) if isinstance(event, MessageReceived) else []
        if any(isinstance(change.event, MessageDeleted) for change in mine):
            gone += [row.seq, *(change.seq for change in mine)]
            continue
        if mine and isinstance(event, MessageReceived):
            event = edited(event, [c.event for c in mine if isinstance(c.event, MessageEdited)])
            left.append(replace(row, event=event, settled=tuple(change.seq for change in mine)))
            continue
        left.append(row)
    return left, tuple(gone)


def edited(event: MessageReceived, changes: Sequence[MessageEdited]) -> MessageReceived:
    """The message as its author left it: the edit that was made last counts, in whatever order they arrived."""
    by_age = sorted(changes, key=lambda change: change.occurred_at)
    files = next((change.files for change in reversed(by_age) if change.files), event.files)
    kinds = dict.fromkeys(kind for e in (event, *by_age) for kind in e.redacted)
    return replace(event, text=by_age[-1].text, files=files, redacted=tuple(kinds))


def in_order(rows: Sequence[Recorded]) -> list[Recorded]:
    """By the platform's own order among messages; everything else keeps its place of arrival."""
    messages = sorted(
        (r for r in rows if isinstance(r.event, MessageReceived)),
        key=lambda r: (r.event.order or (0,), r.seq),
    )
    ordered = iter(messages)
    return [next(ordered) if isinstance(row.event, MessageReceived) else row for row in rows]


def run_of(rows: Sequence[Recorded]) -> list[Recorded]:
    """The leading messages of one author."""
    burst: list[Recorded] = []
    author = rows[0].event.actor
    for row in rows[:BURST_MESSAGES_MAX]:
        same = row.event.actor and author and row.event.actor.id == author.id
        if not isinstance(row.event, MessageReceived) or not same:
            break
        burst.append(row)
    return burst


def single(row: Recorded) -> Step:
    event = row.event
    if isinstance(event, MessageReceived):
        return Step(event, row.seqs, (event.ref,), (event.text,), row.attempts)
    return Step(event, row.seqs, attempts=row.attempts)


def merged(burst: Sequence[Recorded]) -> Step:
    """Several messages as one: the first one's place and reply target, everybody's text, the last one's time."""
    events = [row.event for row in burst if isinstance(row.event, MessageReceived)]
    first, last = events[0], events[-1]
    event = replace(
        first,
        text="\n".join(e.text for e in events if e.text),
        files=tuple(f for e in events for f in e.files),
        mentions_bot=any(e.mentions_bot for e in events),
        occurred_at=last.occurred_at,
        redacted=tuple(dict.fromkeys(kind for e in events for kind in e.redacted)),
        keys=first.keys if len(events) == 1 else (*first.keys, *last.keys),
    )
    return Step(
        event,
        tuple(seq for row in burst for seq in row.seqs),
        tuple(e.ref for e in events),
        tuple(e.text for e in events),
        max(row.attempts for row in burst),
    )
