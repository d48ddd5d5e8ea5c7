"""The line: record → gather → decide → word → commit; one conversation at a time, in order, many side by side.

`receive` returns when an event is durable. What follows from it is decided by one task per conversation, and
written in one transaction together with "event done". Nothing that must survive lives here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import structlog
from pydantic import TypeAdapter

from adapters.codec import dump_inbound
from adapters.port import (
    Actor,
    ChoreDone,
    Content,
    DeliveryFailed,
    Form,
    FormErrors,
    FormSubmitted,
    Inbound,
    Mark,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    PlatformName,
)
from bot.batch import Step, fold
from bot.clock import Clock, until_or
from bot.clockwork import Clockwork
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.outgoing import promised
from bot.pace import Pace
from bot.receipts import explained
from bot.routing import Router, case_id_of, fresh_case, redacted
from bot.storage import READ_AT_ONCE, Commit, Conflict, Recorded, Storage
from bot.writer import STORAGE_RETRY_SECONDS, StorageError
from handoff import effects as follow
from handoff.decide import concerns, decide
from handoff.effects import Decision, Fact
from handoff.forms import form_errors, form_for
from handoff.listening import engaged
from handoff.model import Case, Known, Phase
from handoff.policy import Policy, is_staff

log = structlog.get_logger("engine")
T = TypeVar("T")

FAILURES_MAX = 3
READ_AHEAD = 1000  # waiting events among which those of the desk are looked for
SPEAKING = (Phase.DESK, Phase.HUMAN)

_known: TypeAdapter[Known] = TypeAdapter(Known)
Choices = Callable[[Actor, str, str], Awaitable[Sequence[tuple[str, str]]]]
Observer = Callable[[Mapping[str, Any]], None]
After = Callable[[str, Decision, Known], Awaitable[None]]


class Gathers(Protocol):
    async def known(self, case: Case, step: Step, number: int, anchor: str, now: float) -> Known: ...


class Engine:
    """The `Sink` that adapters see. `policy` may be replaced at any time; the next decision follows it."""

    def __init__(
        self,
        storage: Storage,
        outbox: Outbox,
        gatherer: Gathers,
        policy: Policy,
        word: Callable[[Fact, str], Content],
        *,
        clock: Clock,
        metrics: Metrics,
        debounce: float,
        concurrency: int,
        messages_per_minute: int = 60,
        choices: Choices | None = None,
    ) -> None:
        self._storage, self._outbox, self._gatherer, self.policy, self._word = (
            storage,
            outbox,
            gatherer,
            policy,
            word,
        )
        self._clock, self._metrics, self._debounce, self._choices = clock, metrics, debounce, choices
        self._router = Router(storage, policy)
        self._pace = Pace(messages_per_minute)
        self._places = asyncio.Semaphore(concurrency)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._awake: dict[str, asyncio.Event] = {}
        self._catching: set[str] = set()
        self._held: set[str] = set()
        self._desk_acts: set[str] = set()  # where it may wait behind a customer whose turn has not come
        self._number = 0
        self._group: asyncio.TaskGroup | None = None
        self._stopping = False
        self.clockwork = Clockwork(storage, clock, self.wake)
        self.observers: list[Observer] = []
        self.after: list[After] = []  # work that follows a decision and may fail without harm
        self.states: dict[str, tuple[str, str]] = {}

    # --- life ------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then finish what is being decided (see `drain`)."""
        self._number = await self._patiently(stop, self._storage.last_ticket, 0) + 1
        async with asyncio.TaskGroup() as group:
            self._group = (
                group  # from here on events wake their conversations; before, they are found as left over
            )
            clockwork = group.create_task(self.clockwork.run(), name="timers")
            for conversation in await self._patiently(stop, self._storage.waiting_conversations, list[str]()):
                self.wake(conversation)
            await stop.wait()
            self._stopping = True
            clockwork.cancel()
            for task in self._tasks.values():
                task.cancel()

    async def _patiently(self, stop: asyncio.Event, read: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """Read what is needed to begin; a disk that is full at the start is waited for."""
        while not stop.is_set():
            try:
                return await read()
            except StorageError as error:
                log.error("start_waits_for_storage", error=str(error))  # noqa: TRY400
                await self._clock.until(self._clock.now() + STORAGE_RETRY_SECONDS)
        return otherwise

    async def drain(self, seconds: float) -> None:
        """Let conversations that have something to decide finish, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(set(self._tasks.values()))

    @property
    def busy(self) -> int:
        return len(self._tasks)

    # --- station 1: record -----------------------------------------------------------------------------------

    async def receive(self, event: Inbound) -> Form | FormErrors | None:
        """Durable when it returns. See `adapters.port.Sink.receive`."""
        started = time.perf_counter()
        event = redacted(event)
        conversation = await self._router.conversation(event)
        shown = await self._form(event, conversation)
        if shown is not None:
            return shown
        for key, item in await self._router.spread(event, conversation):
            seq = await self._record(item, key)
            self._metrics.recorded(
                item.place.platform, item.type, time.perf_counter() - started, new=seq is not None
            )
            if seq is not None:
                if is_staff(item.actor):
                    self._desk_acts.add(key)
                self.wake(key)
        return None

    async def _record(self, event: Inbound, conversation: str) -> int | None:
        """Record; an agent's words in a customer's thread wait for the bot message that is just leaving, so that
        none of the bot's arrives after them."""
        person = isinstance(event, MessageReceived) and is_staff(event.actor)
        if not person or event.place.channel in self._router.desk_channels:
            return await self._storage.record(event, conversation, self._clock.now())
        case_id = case_id_of(conversation)
        async with self._outbox.quiet(case_id):
            self._outbox.doubt(case_id)
            return await self._storage.record(event, conversation, self._clock.now())

    async def _form(self, event: Inbound, conversation: str) -> Form | FormErrors | None:
        """A form to show at once (nothing is stored), or why a submitted one is refused."""
        if event.type not in ("action", "command", "message_action", "form"):
            return None
        case = await self._storage.case(conversation)
        language = case.language if case else ""
        if isinstance(event, FormSubmitted):
            return form_errors(event, case, self.policy, language)
        return form_for(event, case, self.policy, language)

    def state(self, platform: PlatformName, state: str, detail: str = "") -> None:
        """An adapter tells how its connection is; its rows wait while it is not connected."""
        self.states[platform] = (state, detail)
        self._metrics.adapter.labels(platform).set(1 if state == "connected" else 0)
        self._outbox.connected(platform, up=state == "connected")
        log.info("adapter_state", platform=platform, state=state, detail=detail)

    async def marks(self, platform: PlatformName) -> Sequence[Mark]:
        return await self._storage.marks(platform)

    async def watch(self, marks: Sequence[Mark]) -> None:
        await self._storage.watch(marks, self._clock.now())

    async def assignees(self, platform: PlatformName) -> Sequence[str]:
        return await self._storage.assignees(platform)

    @contextlib.asynccontextmanager
    async def catching_up(self, platform: PlatformName) -> AsyncIterator[None]:
        """What was missed is recorded first and worked on when all of it is here: only then is it known which
        questions people have answered themselves."""
        self._catching.add(platform)
        try:
            yield
        finally:
            self._catching.discard(platform)
            held, self._held = self._held, set()
            for conversation in held:
                self.wake(conversation)

    async def choices(
        self,
        platform: PlatformName,  # noqa: ARG002 - the actor says it too
        actor: Actor,
        option: str,
        typed: str,
    ) -> Sequence[tuple[str, str]]:
        return await self._choices(actor, option, typed) if self._choices else ()

    # --- one conversation ------------------------------------------------------------------------------------

    def wake(self, conversation: str) -> None:
        """There is something to work on in this conversation."""
        if self._stopping or self._group is None:
            return
        if conversation in self._tasks:
            self._awake.setdefault(conversation, asyncio.Event()).set()
            return
        self._start(conversation)

    def _start(self, conversation: str) -> None:
        assert self._group is not None
        self._awake[conversation] = asyncio.Event()
        self._tasks[conversation] = self._group.create_task(
            self._work(conversation), name=f"work {conversation}"
        )

    async def _work(self, conversation: str) -> None:
        awake = self._awake[conversation]
        try:
            again: float | None = self._clock.now()
            while again is not None or awake.is_set():
                await self._pause(again, awake)
                again = await self._safely(conversation)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            self._tasks.pop(conversation, None)
            self._awake.pop(conversation, None)
            self._desk_acts.discard(conversation)
            if awake.is_set() and not self._stopping:
                self._start(conversation)

    async def _pause(self, again: float | None, awake: asyncio.Event) -> None:
        """Until `again`, or until something new arrives."""
        if again is not None:
            await until_or(self._clock, again, awake)
        awake.clear()

    async def _safely(self, conversation: str) -> float | None:
        """One round; when to look again, None: nothing waits. The one broad catch of the line."""
        step: Step | None = None
        try:
            async with self._places:
                case, rows = await self._storage.waiting(conversation)
                if not rows:
                    return None
                now = self._clock.now()
                if self._hold(conversation, rows):
                    return None
                found = fold(rows, now, self._patience(case, rows[0].event))
                if found.gone:
                    await self._storage.drop(found.gone, "deleted before it was worked on")
                if found.step is None:
                    return found.again_at
                turn = self._turn(found.step, now)
                step = found.step if turn <= now else await self._ahead(conversation, now)
                if step is None:
                    return turn
                await self._step(conversation, case, step, rows)
                all_of_it = step is found.step and len(step.seqs) == len(rows) < READ_AT_ONCE
                if all_of_it and not self._news(conversation):
                    return None  # that was all; whoever records more wakes this conversation again
        except Conflict:
            return self._clock.now()
        except StorageError as error:
            log.error("storage_refuses", conversation=conversation, error=str(error))  # noqa: TRY400
            return self._clock.now() + STORAGE_RETRY_SECONDS
        except Exception as error:
            log.exception("event_failed", conversation=conversation)
            await self._stumble(conversation, step, f"{type(error).__name__}: {error}")
            return self._clock.now() + STORAGE_RETRY_SECONDS
        return self._clock.now()

    def _hold(self, conversation: str, rows: Sequence[Recorded]) -> bool:
        """Something here was missed, and not all that was missed is known yet."""
        if any(row.event.catchup and row.event.place.platform in self._catching for row in rows):
            self._held.add(conversation)
            return True
        return False

    def _patience(self, case: Case | None, event: Inbound) -> float:
        """Bursts are one question only where the bot would answer; what people say to people is relayed singly."""
        if case is None:
            return 0.0 if event.place.channel in self._router.desk_channels else self._debounce
        speaking = case.phase in SPEAKING or event.place.conversation != case.place.conversation
        author = event.actor is not None and event.actor.id == case.customer.id
        return self._debounce if author and not speaking else 0.0

    def _turn(self, step: Step, now: float) -> float:
        """What people write is listened to at a pace; presses, timers and the desk are not slowed."""
        first = isinstance(step.event, MessageReceived) and step.attempts == 0
        return self._pace.turn(step.event.actor, now) if first else now

    async def _ahead(self, conversation: str, now: float) -> Step | None:
        """What the desk does here while a customer's flood waits its turn: a claim must not wait behind it."""
        if conversation not in self._desk_acts:
            return None
        self._desk_acts.discard(conversation)
        _, rows = await self._storage.waiting(conversation, READ_AHEAD)
        found = fold([row for row in rows if is_staff(row.event.actor)], now, 0.0)
        if found.step is not None:
            self._desk_acts.add(conversation)  # there may be more
        return found.step

    async def _stumble(self, conversation: str, step: Step | None, error: str) -> None:
        if step is None:
            return
        dead = step.attempts + 1 >= FAILURES_MAX
        self._metrics.failed("dead" if dead else "retry")
        with contextlib.suppress(StorageError):
            await self._storage.failed(step.seqs, error, dead=dead)
            if dead and not isinstance(step.event, DeliveryFailed):
                event = DeliveryFailed(
                    keys=(f"dead:{step.seqs[0]}",), place=step.event.place, actor=step.event.actor,
                    occurred_at=self._clock.now(), anchor="", kind="exhausted", reason=error, audience="customer",
                )  # fmt: skip
                await self._storage.record(event, conversation, self._clock.now())

    # --- stations 2 to 5 -------------------------------------------------------------------------------------

    async def _step(
        self, conversation: str, loaded: Case | None, step: Step, rows: Sequence[Recorded]
    ) -> None:
        started = time.perf_counter()
        event, now = step.event, self._clock.now()
        case = loaded or await self._fresh(conversation, event, now)
        speaks = isinstance(event, MessageReceived) and not engaged(case)
        if (speaks or not case.customer.id) and event.actor is not None:
            case = replace(case, customer=event.actor)  # until somebody has said something it is nobody's
        if not concerns(case, event, self.policy):
            await self._storage.drop(step.seqs, "not for us")
            if isinstance(event, MessageReceived):  # its author may be watching for what comes of it
                off = "off" in (self.policy.launch_mode, self.policy.channel(event.place).mode)
                why = "the bot is switched off" if off else "nobody called the bot"
                left_alone = Decision(case, why=why, kind="unaddressed")
                self._show(case, left_alone, event, Known(), now, 0.0)
            return
        anchor = await self._router.anchor(event)
        known = await self._gatherer.known(case, step, self._number, anchor, now)
        if isinstance(event, MessageReceived):
            if self._news(conversation):
                _, rows = await self._storage.waiting(conversation)
                if changed_meanwhile(step, rows):
                    return  # once more, as its author has left it
            known = replace(known, solved_by_others=stepped_in(case, event, rows))
        known = replace(known, next_number=self._number)  # others may have opened tickets while we gathered
        decided_at = time.perf_counter()
        decision = decide(case, event, known, now, self.policy)
        self._metrics.decided(decision.kind, time.perf_counter() - decided_at)
        if decision.case.ticket is not None and decision.case.ticket.number == self._number:
            self._number += 1
        ms = (time.perf_counter() - started) * 1000
        change = self._change(conversation, loaded, decision, step, known, now, ms)
        if decision.case.epoch > case.epoch:
            async with self._outbox.quiet(case.id):
                self._outbox.doubt(case.id)
                promised_rows = await self._storage.commit(change)
        else:
            promised_rows = await self._storage.commit(change)
        self._outbox.add(promised_rows)
        if change.wakes or change.cancels:
            self.clockwork.nudge()
        self._tell(case, decision, event, known, now, ms)
        await self._follow_up(conversation, decision, known)

    async def _follow_up(self, conversation: str, decision: Decision, known: Known) -> None:
        """What is committed stays so, whatever becomes of this."""
        for work in self.after:
            try:
                await work(conversation, decision, known)
            except Exception:
                log.exception("follow_up_failed", conversation=conversation)

    async def _fresh(self, conversation: str, event: Inbound, now: float) -> Case:
        """A conversation of which nothing is known; one whose person was erased goes on in the thread that it has."""
        case = fresh_case(conversation, event, now)
        in_thread = isinstance(event, MessageReceived) and not event.is_root
        return replace(case, thread_open=in_thread and await self._storage.was_erased(case.id))

    def _news(self, conversation: str) -> bool:
        """Whether anything was recorded here since this round began. What is being recorded at this very moment
        is not heard of yet: the commit and the outbox look for a person who is stepping in once more."""
        awake = self._awake.get(conversation)
        return awake is None or awake.is_set()

    def _change(
        self,
        conversation: str,
        loaded: Case | None,
        decision: Decision,
        step: Step,
        known: Known,
        now: float,
        ms: float,
    ) -> Commit:
        case = replace(decision.case, version=(loaded.version if loaded else 0) + 1)
        event = step.event
        interaction = event.interaction if isinstance(event, ChoreDone) else event.keys[0]
        effects = decision.effects

        def word(fact: Fact) -> Content:
            return self._word(fact, case.language)

        rows = promised(effects, case, word, interaction, self._outbox.opens)
        content = {
            "event": dump_inbound(event),
            "known": _known.dump_json(known, exclude_defaults=True).decode(),
            "now": now,
            "trace": [list(item) for item in decision.trace],
        }
        return Commit(
            loaded, case, conversation, step.seqs, now, rows,
            wakes=[e for e in effects if isinstance(e, follow.Wake)],
            cancels=[e.timer for e in effects if isinstance(e, follow.Cancel)],
            keeps=[e for e in effects if isinstance(e, follow.Keep)],
            links=[e for e in effects if isinstance(e, follow.Link)],
            withdrawn=[e.anchor for e in effects if isinstance(e, follow.Withdraw)],
            leaving=self._outbox.leaving(rows),
            event=event.type, event_key=event.keys[0], decision=decision.kind, why=decision.why, ms=ms,
            content=content,
        )  # fmt: skip

    def _tell(
        self, case: Case, decision: Decision, event: Inbound, known: Known, now: float, ms: float
    ) -> None:
        """One line per event, and the why for whoever watches."""
        ticket = decision.case.ticket
        log.info(
            "decided", conversation=case.id, event_kind=event.type, platform=event.place.platform,
            decision=decision.kind, why=decision.why, ticket=ticket.id if ticket else None, ms=round(ms, 1),
        )  # fmt: skip
        self._show(case, decision, event, known, now, ms)

    def _show(
        self, case: Case, decision: Decision, event: Inbound, known: Known, now: float, ms: float
    ) -> None:
        """The why, to whoever watches: also of what is left alone."""
        if not self.observers:
            return
        trace = explained(case, decision, event, known, now, ms)
        for observer in self.observers:
            observer(trace)

    async def put(self, event: Inbound, conversation: str) -> None:
        """Put an event of the process itself on the line (a chore's result)."""
        if await self._storage.record(event, conversation, self._clock.now()) is not None:
            self.wake(conversation)


def changed_meanwhile(step: Step, rows: Sequence[Recorded]) -> bool:
    """Has its author edited or deleted what is being worked on?"""
    mine = {ref.id for ref in step.refs}
    new = [row.event for row in rows if row.seq not in step.seqs]
    return any(isinstance(event, MessageEdited | MessageDeleted) and event.ref.id in mine for event in new)


def stepped_in(case: Case, event: MessageReceived, rows: Sequence[Recorded]) -> bool:
    """Has an agent written here while `event` was worked on? For a message that was missed: has anybody?"""
    others = [r.event for r in rows if isinstance(r.event, MessageReceived) and r.event.actor]
    people = [e for e in others if e.actor and not e.actor.is_bot and e.actor.id != case.customer.id]
    if not event.catchup:
        here = case.place.conversation
        people = [e for e in people if is_staff(e.actor) and e.place.conversation == here]
    return bool(people)
