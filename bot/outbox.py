"""Station 6: deliver what was promised, in order per lane, once.

One task per busy lane. A row is claimed in the database before anything leaves (`sending`); an error after bytes
may have left makes it `ambiguous`, and an ambiguous row is looked for on the platform before it is sent again. A
row that a takeover has overtaken is dropped at the moment of sending; a takeover waits for the row that is just
leaving (`quiet`), so that nothing of the bot's arrives after the takeover's commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol
from weakref import WeakValueDictionary

import structlog

from adapters import port
from adapters.port import ChatAdapter, Delivered, DeliveryFailed, MsgRef, Place, ThreadChanged
from bot.clock import Clock
from bot.metrics import Metrics
from bot.outgoing import Outgoing, Unresolved, changed, deletions, place_of, platform_of, resolve
from bot.storage import Row, Storage
from bot.writer import STORAGE_RETRY_SECONDS, StorageError

log = structlog.get_logger("outbox")

TRIES_MAX = 12  # a row that fails so often, and for so long, is parked, visibly
GIVE_UP_SECONDS = 900.0
BACKOFF_SECONDS = (0.5, 1, 2, 4, 8, 15, 30, 60)
RECHECK_SECONDS = (
    10.0  # platform.md §3.6: before an ambiguous post may be sent again where keys are best effort
)
DOUBTFUL_MAX = 10_000
THREADS_OPENED = 2  # so often a thread that is gone is opened again for one message


class Unknowable(port.Ambiguous):
    """Whether it arrived cannot be found out, now or later."""


class Chores(Protocol):
    async def __call__(self, row: Row) -> None:
        """Do the work that a `Chore` effect ordered; its result becomes an event."""


class Outbox:
    def __init__(
        self,
        storage: Storage,
        adapters: Mapping[str, ChatAdapter],
        chores: Chores,
        *,
        clock: Clock,
        metrics: Metrics,
        wake: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._storage, self._adapters, self._chores, self._clock = storage, adapters, chores, clock
        self._metrics, self._wake = metrics, wake
        self._lanes: dict[str, deque[Row]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._up: dict[str, asyncio.Event] = {name: asyncio.Event() for name in adapters}
        self._frozen: dict[str, float] = {}
        self._next_post: dict[tuple[str, str], float] = {}
        self._fences: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._doubtful: OrderedDict[str, None] = OrderedDict()
        self._leaving: set[str] = set()  # lanes whose head is with the platform right now
        self._changed = asyncio.Event()
        self._stopping = False
        self._group: asyncio.TaskGroup | None = None
        # Committed before what an earlier process left was read; None: it was read.
        self._early: list[Row] | None = []

    # --- life ------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`; what is leaving at that moment is finished by `drain`."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            left = await self._recovered(stop)
            known = {row.id for row in left}
            early, self._early = self._early or [], None
            for row in (*left, *(row for row in early if row.id not in known)):
                self._queue(row)
            await stop.wait()
            self._stopping = True
            for task in self._running.values():
                task.cancel()

    async def _recovered(self, stop: asyncio.Event) -> list[Row]:
        """What an earlier process left; a disk that is full at the start is waited for."""
        while not stop.is_set():
            try:
                return await self._storage.recover()
            except StorageError as error:
                log.error("start_waits_for_storage", error=str(error))  # noqa: TRY400
                await self._clock.until(self._clock.now() + STORAGE_RETRY_SECONDS)
        return []

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is waiting that could leave now, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._idle():
                    self._changed.clear()
                    await self._changed.wait()

    def _idle(self) -> bool:
        return all(self._waits(lane) for lane in self._lanes)

    def _waits(self, lane: str) -> bool:
        rows = self._lanes.get(lane)
        if not rows:
            return True
        row = rows[0]
        if lane in self._leaving:
            return False
        up = self._up.get(row.out.platform)
        failing = row.attempts > 0 and row.state != "sending"
        return failing or row.not_before > self._clock.now() or (up is not None and not up.is_set())

    def add(self, rows: Sequence[Row]) -> None:
        """Rows that were just committed."""
        if self._early is not None:
            self._early += rows
            return
        for row in rows:
            self._queue(row)

    def connected(self, platform: str, *, up: bool) -> None:
        """Rows of a platform that is not connected wait; nothing is tried in vain."""
        event = self._up.get(platform)
        if event is not None:
            (event.set if up else event.clear)()

    @contextlib.asynccontextmanager
    async def quiet(self, case_id: str) -> AsyncIterator[None]:
        """While inside, no bot message to this customer is leaving, and none starts to."""
        fence = self._fences.setdefault(case_id, asyncio.Lock())
        async with fence:
            yield

    def doubt(self, case_id: str) -> None:
        """A person has stepped in there, or is about to: what was claimed for sending is checked once more."""
        self._doubtful[case_id] = None
        self._doubtful.move_to_end(case_id)
        if len(self._doubtful) > DOUBTFUL_MAX:
            self._doubtful.popitem(last=False)

    def leaving(self, rows: Sequence[Outgoing]) -> frozenset[str]:
        """The customers' lanes of `rows` that are free: their rows can leave as soon as they are committed."""
        return frozenset(row.lane for row in rows if row.audience == "customer" and self._free(row))

    def _free(self, row: Outgoing) -> bool:
        up = self._up.get(row.platform)
        if self._stopping or self._early is not None or row.lane in self._lanes:
            return False
        if up is None or not up.is_set():
            return False
        now = self._clock.now()
        shaped = self._adapters[row.platform].caps.post_interval_seconds
        return not shaped and self._frozen.get(row.platform, 0) <= now

    def opens(self, platform: str) -> bool:
        """Whether a thread there must be opened before anything can be written into it (unknown: try it)."""
        adapter = self._adapters.get(platform)
        return adapter is None or adapter.caps.thread_model == "channel"

    @property
    def backlog(self) -> int:
        return sum(len(rows) for rows in self._lanes.values())

    @property
    def ambiguous(self) -> int:
        """Messages of which it is not known whether they arrived."""
        return sum(1 for rows in self._lanes.values() if rows and rows[0].state == "ambiguous")

    @property
    def lanes(self) -> int:
        return len(self._lanes)

    def _queue(self, row: Row) -> None:
        self._lanes.setdefault(row.out.lane, deque()).append(row)
        if row.out.lane not in self._running and self._group is not None and not self._stopping:
            task = self._group.create_task(self._lane(row.out.lane), name=f"lane {row.out.lane}")
            self._running[row.out.lane] = task

    # --- one lane --------------------------------------------------------------------------------------------

    async def _lane(self, lane: str) -> None:
        rows = self._lanes[lane]
        try:
            while rows and not self._stopping:
                row = rows[0]
                again = await self._attempt(row)
                self._changed.set()
                if again is None:
                    rows.popleft()
                else:
                    rows[0] = again
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        except Exception:
            # The disk is full or gone, or something of ours is wrong. Nothing is lost: the row is still promised;
            # whether it left is unknown. Other lanes go on.
            log.exception("lane_waits", lane=lane)
            rows[0] = replace(
                rows[0], state="ambiguous", not_before=self._clock.now() + STORAGE_RETRY_SECONDS
            )
        finally:
            self._running.pop(lane, None)
            if not rows:
                self._lanes.pop(lane, None)
            elif not self._stopping and self._group is not None:
                self._running[lane] = self._group.create_task(self._lane(lane), name=f"lane {lane}")

    async def _attempt(self, row: Row) -> Row | None:
        """One try of the head of a lane. None: it is finished, one way or the other."""
        await self._clock.until(row.not_before)
        if row.out.do == "chore":
            return await self._chore(row)
        platform, channel = await self._where(row.out)
        if platform in self._up:
            if not self._up[platform].is_set() or self._frozen.get(platform, 0) > self._clock.now():
                self.doubt(row.case_id)  # much may happen while it waits, an erasure too
            await self._up[platform].wait()
            await self._clock.until(self._frozen.get(platform, 0))
            if row.out.do == "post":
                await self._shape(platform, channel)
        self._leaving.add(row.out.lane)
        try:
            if row.out.voice == "bot" and row.out.audience == "customer":
                async with self.quiet(row.case_id):
                    return await self._send(row)
            return await self._send(row)
        finally:
            self._leaving.discard(row.out.lane)

    async def _send(self, row: Row) -> Row | None:
        was_ambiguous = row.state == "ambiguous"
        claimed: Row | None
        anchors: Mapping[str, MsgRef]
        try:
            if row.state == "sending" and row.case_id not in self._doubtful:
                claimed, anchors = row, {}  # claimed by the very transaction that promised it
            else:
                claimed, anchors = await self._storage.start_sending(row.id, self._clock.now())
        except StorageError as error:  # nothing has left: what was certain stays certain
            log.error("row_waits_for_storage", row=row.id, error=str(error))  # noqa: TRY400
            return replace(row, not_before=self._clock.now() + STORAGE_RETRY_SECONDS)
        if claimed is None:
            return None
        if was_ambiguous:  # and it stays so, whatever the next try says, until it was looked for
            claimed = replace(claimed, state="ambiguous")
        adapter, op = None, None
        try:
            op = resolve(claimed.out, anchors)
            adapter = self._adapters.get(platform_of(op))
            if adapter is None:
                raise port.Gone(f"{platform_of(op)} is not enabled")
            for other in deletions(claimed.out, anchors)[1:] if claimed.out.do == "delete" else ():
                with contextlib.suppress(port.Gone):
                    await adapter.deliver(other, 0, claimed.key)
            ref = await self._parts(claimed, adapter, op, ambiguous=was_ambiguous)
        except Unresolved as error:
            if claimed.out.do == "delete" or claimed.out.tidies:  # what was never there is not there
                await self._storage.sent(claimed, None, self._clock.now())
                return None
            return await self._park(claimed, "gone", str(error))
        except port.AdapterError as error:
            return await self._failed(claimed, adapter, op, error)
        except Exception as error:
            log.exception("adapter_failed", row=claimed.id, platform=claimed.out.platform)
            return await self._failed(claimed, adapter, op, port.Ambiguous(f"{type(error).__name__}"))
        now = self._clock.now()
        if isinstance(op, port.OpenThread) and op.private_for is not None:
            await self._tell_where(claimed, ref or op.origin, now)
        else:
            await self._storage.sent(claimed, ref, now)
        self._metrics.delivered(claimed.out.do, claimed.out.audience, now - claimed.created_at)
        return None

    async def _tell_where(self, row: Row, ref: MsgRef, now: float) -> None:
        """A private thread is there, or what was given instead: its conversation learns which, and goes on."""
        event = ThreadChanged(
            keys=(f"opened:{row.id}",), place=ref.place, actor=None, occurred_at=now, state="opened"
        )
        conversation = await self._storage.conversation_of_case(row.case_id)
        if conversation is None:  # erased meanwhile
            await self._storage.sent(row, ref, now)
            return
        await self._storage.sent(row, ref, now, event, conversation)
        self._wake(conversation)

    async def _parts(self, row: Row, adapter: ChatAdapter, op: port.Op, *, ambiguous: bool) -> MsgRef | None:
        count = 1 if row.out.do != "post" else adapter.parts(op)
        first: MsgRef | None = None
        for part in range(row.parts_done, count):
            key = f"{row.key}#{part}"
            done = (
                await self._look(row, adapter, op, part, key)
                if ambiguous and part == row.parts_done
                else None
            )
            if done is None:
                done = await adapter.deliver(op, part, key)
            ref = done.ref or (
                MsgRef(done.place, done.place.thread) if done.place and done.place.thread else None
            )
            if part == 0:
                first = ref
            if count > 1:
                await self._storage.part_sent(
                    row.id, part, row.out.anchor, row.case_id, ref, self._clock.now()
                )
        return first

    async def _look(
        self, row: Row, adapter: ChatAdapter, op: port.Op, part: int, key: str
    ) -> Delivered | None:
        """Did the earlier try of an ambiguous row arrive? None: it is right to send (again)."""
        if not isinstance(op, port.Post):  # the rest may be repeated: it ends in the same state, or is a hint
            return None
        since = row.first_try_at or row.created_at
        age = self._clock.now() - since
        if adapter.caps.idempotent_post == "native" and age <= adapter.caps.safe_resend_seconds:
            return None
        if not adapter.caps.can_reconcile:
            raise Unknowable("this platform cannot be asked whether the message arrived")
        found = await adapter.reconcile(op, part, key, since)
        if isinstance(found, Delivered):
            return found
        if found == "unknown":
            raise port.Ambiguous("the platform did not say whether the message arrived")
        if adapter.caps.idempotent_post != "native" and age < RECHECK_SECONDS:
            raise port.Ambiguous("not there yet; looking once more before it is sent again")
        return None

    # --- failures --------------------------------------------------------------------------------------------

    async def _failed(
        self, row: Row, adapter: ChatAdapter | None, op: port.Op | None, error: port.AdapterError
    ) -> Row | None:
        now = self._clock.now()
        unsent = "ambiguous" if row.state == "ambiguous" else "pending"
        match error:
            case port.RateLimited():
                until = now + error.retry_after
                if error.scope == "platform" and adapter is not None:
                    self._frozen[adapter.name] = until
                return await self._again(row, unsent, until, str(error), count=False)
            case port.Unavailable():
                return await self._again(row, unsent, now + self._backoff(row), str(error))
            case Unknowable():
                return await self._park(row, "ambiguous", str(error))
            case port.Ambiguous():
                wait = self._backoff(row)
                if adapter and adapter.caps.idempotent_post == "best_effort":
                    wait = max(wait, RECHECK_SECONDS)
                return await self._again(row, "ambiguous", now + wait, str(error))
            case port.Gone() if (
                row.out.do == "edit" and isinstance(op, port.Edit) and row.out.target.endswith("/card")
            ):
                return await self._repost(row, op)
            case port.Gone() if row.out.tidies or row.out.do in ("delete", "react", "set_thread"):
                await self._storage.sent(row, None, now)  # what should not be there is not there
                return None
            case port.TooLate():
                await self._storage.sent(row, None, now)
                return None
            case port.Gone() if row.attempts <= THREADS_OPENED and await self._opened_again(row, adapter, op):
                return await self._again(row, unsent, now, str(error))
            case port.Gone():
                return await self._park(row, "gone", str(error))
            case port.Forbidden():
                return await self._park(row, "forbidden", str(error))
            case _:
                return await self._park(row, "rejected", str(error))

    async def _again(self, row: Row, state: str, at: float, error: str, *, count: bool = True) -> Row | None:
        tried_for = self._clock.now() - (row.first_try_at or self._clock.now())
        if count and row.attempts >= TRIES_MAX and tried_for >= GIVE_UP_SECONDS:
            return await self._park(row, "ambiguous" if state == "ambiguous" else "exhausted", error)
        attempts = row.attempts if count else row.attempts - 1
        await self._storage.postpone(row.id, state, at, error, attempts)
        self._metrics.retried(row.out.platform or "?", state)
        log.warning("delivery_postponed", row=row.id, platform=row.out.platform, state=state, error=error)
        return replace(row, state=state, not_before=at, attempts=attempts)

    async def _park(
        self, row: Row, kind: Literal["gone", "forbidden", "rejected", "exhausted", "ambiguous"], reason: str
    ) -> Row | None:
        log.error("delivery_parked", row=row.id, kind=kind, reason=reason, anchor=row.out.anchor)
        self._metrics.parked(row.out.platform or "?", kind)
        conversation = await self._storage.conversation_of_case(row.case_id)
        now = self._clock.now()
        event = None
        if conversation is not None and row.out.audience != "self" and row.out.hint_lost:
            event = DeliveryFailed(
                keys=(f"parked:{row.id}",), place=place_of(row.out), actor=None, occurred_at=now,
                anchor=row.out.anchor or changed(row.out), kind=kind, reason=reason, audience=row.out.audience,
            )  # fmt: skip
        await self._storage.park(row, f"{kind}: {reason}", event, conversation or "", now)
        if event is not None and conversation is not None:
            self._wake(conversation)
        return None

    async def _opened_again(self, row: Row, adapter: ChatAdapter | None, op: port.Op | None) -> bool:
        """A card's thread that is gone while the card is there, or that a card posted anew does not have yet: is it
        open now?"""
        if adapter is None or adapter.caps.thread_model != "channel" or not isinstance(op, port.Post):
            return False
        ref = await self._storage.anchored(row.out.under) if row.out.under.endswith("/card") else None
        if ref is None:
            return False
        try:
            await adapter.deliver(port.OpenThread(ref, row.out.under.partition("/")[0]), 0, f"{row.key}/open")
        except port.AdapterError:
            return False
        return True

    async def _repost(self, row: Row, op: port.Edit) -> Row | None:
        """A card that somebody deleted is posted anew; its anchor then names the new message."""
        adapter = self._adapters[platform_of(op)]
        place = op.ref.place
        top = Place(place.platform, place.tenant, place.channel, None, place.kind, place.external)
        post, key = port.Post(top, op.content), f"{row.key}/repost"
        try:
            done = await self._look(row, adapter, post, 0, key) if row.attempts > 1 else None
            done = done or await adapter.deliver(post, 0, key)
        except port.AdapterError as error:
            return await self._failed(row, adapter, None, error)
        await self._storage.part_sent(row.id, 0, row.out.target, row.case_id, done.ref, self._clock.now())
        await self._storage.sent(row, None, self._clock.now())
        return None

    def _backoff(self, row: Row) -> float:
        seconds = BACKOFF_SECONDS[min(row.attempts, len(BACKOFF_SECONDS)) - 1]
        return seconds * random.uniform(0.7, 1.0)  # noqa: S311 - spreads retries, protects nothing

    # --- waiting ---------------------------------------------------------------------------------------------

    async def _shape(self, platform: str, channel: str) -> None:
        """Platforms ask for so many posts a second and channel; whoever comes later waits his turn."""
        interval = self._adapters[platform].caps.post_interval_seconds
        if not interval:
            return
        key = (platform, channel)
        at = max(self._next_post.get(key, 0), self._clock.now())
        self._next_post[key] = at + interval
        await self._clock.until(at)

    async def _where(self, out: Outgoing) -> tuple[str, str]:
        """Platform and channel, also of a row that names its place by an anchor; empty: there is no such message."""
        if out.place is not None:
            return out.place.platform, out.place.channel
        if out.platform:
            return out.platform, ""
        ref = await self._storage.anchored(out.needs.removesuffix("#"))
        return (ref.place.platform, ref.place.channel) if ref else ("", "")

    async def _chore(self, row: Row) -> Row | None:
        claimed, _ = await self._storage.start_sending(row.id, self._clock.now())
        if claimed is not None:
            await self._chores(claimed)
            await self._storage.sent(claimed, None, self._clock.now())
        return None
