"""What must hold in every world, whatever happens: looked at after every transaction, at every effect, and at the end."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from adapters.codec import load_inbound
from adapters.port import Content, Delete, Edit, MessageReceived, Op, Post, Private, TimerFired
from bot.routing import fresh_case
from bot.statements import case_json, chain_hash
from handoff import clock
from handoff.decide import decide
from handoff.effects import Decision
from handoff.model import Case, Known, Phase, TicketState
from handoff.policy import Policy, same_person
from handoff.ticket import MOVES
from tests.inline_writer import InlineWriter
from tests.world import DESK, Shown, Town, words

CANARY = "CANARY"  # stands in every internal note
_known: TypeAdapter[Known] = TypeAdapter(Known)
_ONE = {(state, after) for (state, _), after in MOVES.items()} | {
    (TicketState.SOLVED, TicketState.NEW), (TicketState.CLOSED, TicketState.NEW),
}  # fmt: skip
# A reply by whoever has not claimed is two moves in one decision: claim, then reply.
LEGAL = _ONE | {
    (a, d) for a, b in _ONE for c, d in _ONE if b == c == TicketState.OPEN and d == TicketState.PENDING
}


class Violation(AssertionError):
    """Something happened that must never happen."""


@dataclass
class Watch:
    """Collects violations; `strict` worlds stop at the first."""

    town: Town
    policy: Policy
    writer: InlineWriter | None = None
    violations: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    fifo: bool = False
    _cases: dict[str, Case] = field(default_factory=dict)
    _raw: dict[str, str] = field(default_factory=dict)
    _posted: dict[str, str] = field(default_factory=dict)
    _lanes: dict[str, int] = field(default_factory=dict)
    _fired: Counter[tuple[str, int, str, float]] = field(default_factory=Counter)

    def fail(self, what: str) -> None:
        self.violations.append(what)

    # --- after every transaction -------------------------------------------------------------------------

    def step(self) -> None:
        if self.writer is None or self.writer.dead:
            return
        for row in self.writer.look("SELECT id, version, epoch, state FROM cases"):
            old = self._cases.get(row["id"])
            if old is not None and old.version == row["version"]:
                if self._raw[row["id"]] != row["state"]:
                    self.fail(f"{row['id']}: two states of version {row['version']}")
                continue
            case = case_json.validate_json(row["state"])
            self._cases[case.id], self._raw[case.id] = case, row["state"]
            self._moved(old, case)

    def _moved(self, old: Case | None, case: Case) -> None:
        if case.version != (old.version if old else 0) + 1:
            self.fail(f"{case.id}: version {old.version if old else 0} became {case.version}")
        if old is not None and case.epoch < old.epoch:
            self.fail(f"{case.id}: the epoch went back")
        if (case.phase == Phase.COLLECTING) != (case.collecting is not None):
            self.fail(f"{case.id}: phase {case.phase} with{'' if case.collecting else 'out'} a form")
        if case.phase == Phase.DESK and case.ticket is None:
            self.fail(f"{case.id}: handed over without a ticket")
        before, after = old.ticket if old else None, case.ticket
        if after is None:
            return
        self.seen[f"state {after.state}"] += 1
        if before is None or before.number != after.number:
            if before is not None and before.is_open:
                self.fail(f"{case.id}: {before.id} was open when {after.id} came")
            if after.state != TicketState.NEW:
                self.fail(f"{case.id}: {after.id} began as {after.state}")
            return
        if before.state != after.state and (before.state, after.state) not in LEGAL:
            self.fail(f"{after.id}: {before.state} became {after.state}")
        changed = before.assignee and after.assignee and not same_person(before.assignee, after.assignee)
        if changed and self._last_decision(case.id) != "transfer":
            self.fail(f"{after.id}: taken from one agent by another")

    def _last_decision(self, case: str) -> str:
        assert self.writer is not None
        rows = self.writer.look(
            "SELECT decision FROM journal WHERE case_id = ? ORDER BY seq DESC LIMIT 1", (case,)
        )
        return rows[0][0] if rows else ""

    # --- at every effect on the platform ------------------------------------------------------------------

    def effect(self, op: Op, key: str, shown: Shown | None) -> None:
        """Called by the town at the moment when something becomes visible."""
        content = op.content if isinstance(op, Post | Private | Edit) else Content()
        place = shown.place if shown is not None else None
        if isinstance(op, Private):
            internal = "agent" in op.actor.roles
        else:
            internal = place is None or place.channel.startswith(DESK)
        if not internal and CANARY in words(content):
            self.fail(f"an internal note became visible in {place}")
        self._fence(op, key)
        if isinstance(op, Post | Private):
            if key in self._posted and isinstance(op, Private):
                self.seen["whisper repeated"] += 1  # nobody can be asked whether a whisper arrived
            elif key in self._posted:
                self.fail(f"posted twice: {key}")
            self._posted[key] = shown.id if shown else ""

    def _fence(self, op: Op, key: str) -> None:
        if self.writer is None or self.writer.dead:
            return
        rows = self.writer.look(
            """SELECT id, lane, audience, voice, epoch, state,
               (SELECT epoch FROM cases WHERE cases.id = case_id) AS now FROM outbox WHERE key = ?""",
            (key.partition("#")[0].removesuffix("/repost"),),
        )
        if not rows:
            self.fail(f"delivered without a promise: {key}")
            return
        row = rows[0]
        late = row["voice"] == "bot" and row["audience"] == "customer" and row["epoch"] < (row["now"] or 0)
        if late and not isinstance(op, Delete):
            self.fail(f"a bot message of epoch {row['epoch']} was delivered in epoch {row['now']}: {key}")
        if row["state"] != "sending":
            self.fail(f"delivered a row that is {row['state']}: {key}")
        if row["id"] < self._lanes.get(row["lane"], 0):
            self.fail(f"out of order in {row['lane']}: {row['id']} after {self._lanes[row['lane']]}")
        self._lanes[row["lane"]] = row["id"]

    # --- at the end ---------------------------------------------------------------------------------------

    def final(self, accepted: list[Any]) -> None:
        assert self.writer is not None
        look = self.writer.look
        for row in look("SELECT seq, kind, state, error FROM inbox WHERE state != 'done'"):
            self.fail(f"event {row['seq']} ({row['kind']}) ended as {row['state']}: {row['error']}")
        for row in look(
            "SELECT id, state, lane FROM outbox WHERE state IN ('pending', 'sending', 'ambiguous')"
        ):
            self.fail(f"message {row['id']} still waits in {row['lane']} as {row['state']}")
        for row in look("SELECT event_key, count(*) AS n FROM journal GROUP BY event_key HAVING n > 1"):
            self.fail(f"decided {row['n']} times: {row['event_key']}")
        self._chain()
        outcomes = self._replayed()
        self._answered(accepted, outcomes)

    def _chain(self) -> None:
        assert self.writer is not None
        previous = ""
        for row in self.writer.look("SELECT * FROM journal ORDER BY seq"):
            if row["previous"] != previous or chain_hash(dict(row)) != row["hash"]:
                self.fail(f"the journal's chain is broken at {row['seq']}")
            previous = row["hash"]

    def _replayed(self) -> Counter[str]:
        """Decide everything again from the journal; returns how often each message was decided on."""
        assert self.writer is not None
        outcomes: Counter[str] = Counter()
        cases: dict[str, Case] = {}
        conversations = {
            r["id"]: r["conversation"] for r in self.writer.look("SELECT id, conversation FROM cases")
        }
        for row in self.writer.look("SELECT * FROM journal ORDER BY seq"):
            content = json.loads(row["content"])
            event = load_inbound(content["event"])
            known, now = _known.validate_json(content["known"]), content["now"]
            before = cases.get(row["case_id"]) or fresh_case(conversations[row["case_id"]], event, now)
            decision = decide(before, event, known, now, self.policy)
            if (decision.kind, decision.why) != (row["decision"], row["why"]):
                self.fail(f"journal {row['seq']}: decided {row['decision']}, replayed {decision.kind}")
            cases[row["case_id"]] = replace(decision.case, version=before.version + 1)
            self.seen[f"decision {decision.kind}"] += 1
            self.seen[f"event {event.type}"] += 1
            if isinstance(event, TimerFired):
                self._once(before, event, decision)
            if isinstance(event, MessageReceived):
                outcomes.update(ref.id for ref in known.refs or (event.ref,))
                self._relayed(before, event, known, decision)
        for row in self.writer.look("SELECT id, state FROM cases"):
            stored = case_json.validate_json(row["state"])
            if cases.get(row["id"]) != stored:
                self.fail(f"{row['id']}: the journal replays to another state")
        return outcomes

    def _once(self, before: Case, event: TimerFired, decision: Decision) -> None:
        """What a deadline brings about, it brings about once."""
        row = clock.timers(before.ticket, self.policy).get(event.timer)
        if row is None or before.ticket is None or decision.kind != "timer":
            return
        deadline = (before.id, before.ticket.number, event.timer, row.at)
        self._fired[deadline] += 1
        self.seen[f"timer {event.timer}"] += 1
        if self._fired[deadline] > 1:
            self.fail(
                f"{before.ticket.id}: {event.timer} acted {self._fired[deadline]} times on one deadline"
            )

    def _relayed(self, before: Case, event: MessageReceived, known: Known, decision: Decision) -> None:
        """With an open ticket every line of the customer reaches the staff thread, once."""
        ticket = before.ticket
        here = event.place.conversation == before.place.conversation
        if ticket is None or not ticket.is_open or not here or not same_person(event.actor, before.customer):
            return
        if decision.kind == "ignore" and "known already" in decision.why:
            return
        assert self.writer is not None
        for ref in known.refs or (event.ref,):
            rows = self.writer.look(
                "SELECT key, state FROM outbox WHERE anchor = ?", (f"{ticket.id}/in/{ref.id}",)
            )
            states = [r["state"] for r in rows]
            copies = [k for r in rows for k in self._posted if k.startswith(f"{r['key']}#0")]
            arrived = [
                state for state in states if state != "failed"
            ]  # with a card posted anew it is told again
            if not states or arrived not in ([], ["sent"]):
                self.fail(f"message {ref.id} has {states} in the staff thread of {ticket.id}")
            if arrived and len(copies) != 1:
                self.fail(f"message {ref.id} stands {len(copies)} times in the staff thread of {ticket.id}")
            self.seen["relayed"] += 1

    def _answered(self, accepted: list[Any], outcomes: Counter[str]) -> None:
        assert self.writer is not None
        for event in accepted:
            if not isinstance(event, MessageReceived):
                continue
            key = f"{event.place.platform}:{event.place.channel}:{event.ref.id}"
            rows = self.writer.look(
                "SELECT state, error FROM inbox WHERE ref = ? AND kind = 'message'", (key,)
            )
            if len(rows) != 1:
                self.fail(f"message {event.ref.id} was recorded {len(rows)} times")
                continue
            dropped = rows[0]["error"]
            count = outcomes[event.ref.id]
            if dropped:
                self.seen[f"dropped: {dropped}"] += 1
            if dropped == "deleted before it was worked on" and not self.town.messages[event.ref.id].deleted:
                self.fail(f"message {event.ref.id} was dropped as deleted and was not")
            if count + bool(dropped) != 1:
                self.fail(f"message {event.ref.id} has {count} outcomes ({dropped or 'not dropped'})")
        if self.fifo:
            self._in_order()

    def _in_order(self) -> None:
        """Where nothing overtakes anything, the staff thread reads as the customer wrote."""
        assert self.writer is not None
        last: dict[str, int] = {}
        lines = "SELECT anchor FROM outbox WHERE anchor LIKE '%/in/%' OR anchor LIKE '%/card' ORDER BY id"
        for row in self.writer.look(lines):
            ticket, _, message = row["anchor"].partition("/")
            if message == "card":  # posted anew, it begins a thread of its own
                last = {thread: at for thread, at in last.items() if not thread.startswith(f"{ticket} ")}
                continue
            message = message.removeprefix("in/")
            thread = f"{ticket} {self.town.messages[message].author.id}"
            if int(message) < last.get(thread, 0):
                self.fail(f"{thread}: message {message} stands after {last[thread]}")
            last[thread] = int(message)
