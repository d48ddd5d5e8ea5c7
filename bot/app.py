"""Wiring: a `Config` in, a running process out. The only module that names a platform.

Order of start and stop: platform.md §3.1. Nothing is global; `App` holds what lives as long as the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from rapidfuzz import fuzz

from adapters.port import Actor, ChatAdapter, Content
from bot import wording
from bot.agents import Agents, Names
from bot.chores import Chores
from bot.clock import Clock, RealClock, day_of
from bot.config import Config
from bot.engine import Engine
from bot.erasing import farewell
from bot.gather import Gatherer
from bot.incidents import Incidents
from bot.language_model import LanguageModel
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.policies import policy_of, texts_of
from bot.recall import Recall
from bot.reload import Reloader, load_model
from bot.reports import Reports
from bot.signals import Signals
from bot.storage import Row, Storage
from bot.supervisor import supervise
from bot.web import Site
from bot.writer import StorageError, Writer
from bot.writing import Writing
from handoff.effects import Decision, Fact
from handoff.model import Known
from handoff.policy import Policy
from knowledge.library import KnowledgeError, Library, SnapshotInfo

log = structlog.get_logger("app")

Progress = Callable[[str, int, int], None]
CHOICES_MAX = 25
UNANSWERED = ("escalate", "offer", "collect", "draft")


class App:
    """One process. `async with App(config, adapters).running():` - everything is up inside, down after."""

    def __init__(
        self,
        config: Config,
        adapters: Sequence[ChatAdapter],
        *,
        clock: Clock | None = None,
        library: Library | None = None,
        routes: Callable[[Engine], Sequence[Any]] = lambda _: (),
    ) -> None:
        self.config = config
        self.adapters: dict[str, ChatAdapter] = {a.name: a for a in adapters}
        self.clock = clock or RealClock()
        self.metrics = Metrics()
        self.writer = Writer(config.bot.data_dir / "firstline.db")
        self.storage = Storage(self.writer)
        self.library = library or library_of(config)
        self.policy = policy_of(config)
        self.zone = ZoneInfo(config.hours.timezone)
        self.texts = texts_of(config)
        self.signals = Signals(self.library.embed, config.bot.data_dir / "triggers")
        self.model = LanguageModel(
            host=config.ollama.host, model=config.ollama.model, timeout_seconds=config.ollama.timeout_seconds,
            keep_alive=config.ollama.keep_alive, embed=self.library.embed,
        )  # fmt: skip
        self.reports = Reports(
            self.storage, farewell=farewell(lambda fact: self.word(fact, "")), now=self.clock.now,
            promised=self._promised,
        )  # fmt: skip
        self.reloader = Reloader(
            self.library, self.storage, paths=config.knowledge.paths, golden=config.knowledge.golden,
            replay=config.knowledge.replay_questions, clock=self.clock, today=self._today,
            changed=self._knowledge_changed,
        )  # fmt: skip
        self.incidents = Incidents(
            self.storage, self.library, similar=config.incident.similar, minutes=config.incident.minutes,
            clock=self.clock,
        )  # fmt: skip
        recall = Recall(self.library, self.storage, clock=self.clock)
        self.chores = Chores(
            self.library, self.reloader, self.reports, self.storage, self.status,
            recall=recall, clock=self.clock, today=self._today,
            incident_changed=self.incidents.refresh, mode_changed=self._follow_mode,
        )  # fmt: skip
        self.outbox = Outbox(
            self.storage,
            self.adapters,
            self.chores,
            clock=self.clock,
            metrics=self.metrics,
            wake=self._wake,
        )
        self.agents = Agents(self.storage, self.policy.agents, self._agents_changed)
        self._gatherer = Gatherer(
            self.library, self.signals, self.storage, self.policy, self.metrics, helper=self.model,
            writing=Writing(self.model, self.policy),
            incidents=self.incidents, agents=self.agents, zone=self.zone,
        )  # fmt: skip
        self.engine = Engine(
            self.storage, self.outbox, self._gatherer, self.policy, self.word, clock=self.clock, metrics=self.metrics,
            debounce=config.bot.debounce_seconds, concurrency=config.bot.concurrency, messages_per_minute=config.limits.messages_per_minute, choices=self.choices,
        )  # fmt: skip
        self.chores.connect(self.engine.put)
        self.incidents.connect(self.engine.put)
        self.engine.after.append(self._watch)
        self.site = Site(config.web.host, config.web.port, self.metrics, self.status, routes(self.engine))
        self.port = 0
        self._ready = False

    # --- parts that others call ------------------------------------------------------------------------------

    def word(self, fact: Fact, language: str) -> Content:
        return wording.word(fact, language or self.config.bot.language, self.texts)

    def _today(self) -> date:
        return day_of(self.clock.now(), self.zone)

    def _promised(self, rows: Sequence[Row]) -> None:
        self.outbox.add(rows)

    def _wake(self, conversation: str) -> None:
        self.engine.wake(conversation)

    async def _watch(self, conversation: str, decision: Decision, known: Known) -> None:
        """Questions that were not answered may be the first signs of an incident."""
        if known.found and decision.kind in UNANSWERED and not known.incident:
            await self.incidents.watch(decision.case, known.found[0].question, conversation)

    async def _follow_mode(self) -> dict[str, str]:
        """The launch mode that an admin set in the chat counts from the next decision on, and after a restart."""
        configured = self.config.bot.launch_mode
        mode: Any = await self.storage.get("launch_mode") or configured
        self._follow(replace(self.policy, launch_mode=mode))
        return {"mode": mode, "configured": configured}

    def _agents_changed(self, names: Names) -> None:
        self._follow(replace(self.policy, agents=names))

    def _follow(self, policy: Policy) -> None:
        """The rules from the next decision on."""
        self.policy = self.engine.policy = self._gatherer.policy = policy

    async def _knowledge_changed(self) -> None:
        """A new snapshot has topics with boundaries of their own."""
        await self.signals.prepare(self.library.boundaries)

    def status(self) -> dict[str, Any]:
        """How the process fares, for `/readyz`, `/firstline status` and the metrics' gauges."""
        info = self.library.info
        self.metrics.inbox.set(self.engine.busy)
        self.metrics.outbox.set(self.outbox.backlog)
        self.metrics.lanes.set(self.outbox.lanes)
        self.metrics.ambiguous.set(self.outbox.ambiguous)
        states = {name: list(self.engine.states.get(name, ("starting", ""))) for name in self.adapters}
        connected = any(state[0] == "connected" for state in states.values())
        return {
            "ready": self._ready and connected,
            "adapters": states,
            "knowledge": None if info is None else {
                "snapshot": info.id, "topics": info.topics, "passages": info.passages, "built_at": info.built_at,
                "threshold_answer": round(info.threshold_answer, 3),
            },
            "waiting": {"conversations": self.engine.busy, "messages": self.outbox.backlog, "ambiguous": self.outbox.ambiguous},
            "launch_mode": self.policy.launch_mode,
            "language_model": self.model.state,
        }  # fmt: skip

    async def choices(self, actor: Actor, option: str, typed: str) -> Sequence[tuple[str, str]]:
        """Autocomplete: topics for everybody, tickets and colleagues for the desk alone."""
        staff = bool(actor.roles & {"agent", "admin"})
        if option == "ticket":
            rows = await self.reports.tickets(states=["new", "open", "pending", "escalated"], limit=200)
            items = (
                [(f"T-{r['number']}", f"T-{r['number']} {r['subject']}"[:100]) for r in rows] if staff else []
            )
        elif option == "to":
            people = self.policy.agents.get(actor.platform, {}) if staff else {}
            items = [(who, name) for who, name in people.items() if name]
        else:
            items = list(self.library.titles.items())
        ranked = sorted(items, key=lambda item: -fuzz.partial_ratio(typed.casefold(), item[1].casefold()))
        return ranked[:CHOICES_MAX]

    # --- life ------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def running(
        self, progress: Progress | None = None, opened: Callable[[], None] = lambda: None
    ) -> AsyncIterator[App]:
        """Start everything in order; stop it in order on the way out, within the drain limit. `opened` is called once
        the address is there: what comes in from then on is kept, and worked on when the knowledge is there too.

        Raises `StorageError`, `WebError` or `KnowledgeError`, each with one clear message, if it cannot start.
        """
        await self.writer.open()
        try:
            await self._follow_mode()
            await self.agents.load()
            self.port = await self.site.open()
            opened()
            await self._open_knowledge(progress)
            stop_ingress, stop_core = asyncio.Event(), asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(self.outbox.run(stop_core), name="outbox")
                group.create_task(self.engine.run(stop_core), name="engine")
                group.create_task(self._housekeeping(stop_core), name="housekeeping")
                group.create_task(self.library.warm(), name="warm")
                keepers = [
                    group.create_task(supervise(a, self.engine, stop_ingress), name=a.name)
                    for a in self.adapters.values()
                ]
                self._ready = True
                try:
                    yield self
                finally:
                    self._ready = False
                    stop_ingress.set()
                    await self._wind_down(keepers)
                    stop_core.set()
        finally:
            await self.site.close()
            await self.model.close()
            self.library.close()
            await self.writer.close()

    async def settled(self, seconds: float = 30.0) -> None:
        """Wait until everything that was received is decided and delivered, at most so long."""
        await self.engine.drain(seconds)
        await self.outbox.drain(seconds)
        if self.engine.busy:  # a chore's result came back
            await self.engine.drain(seconds)
            await self.outbox.drain(seconds)

    async def _wind_down(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        """No new events; finish what is being decided and what can leave; then let the platforms go."""
        seconds = self.config.bot.drain_seconds
        await asyncio.gather(*(a.stop_ingress() for a in self.adapters.values()), return_exceptions=True)
        await self.engine.drain(seconds / 2)
        await self.outbox.drain(seconds / 2)
        closing = (asyncio.wait_for(a.close(3.0), 5.0) for a in self.adapters.values())
        await asyncio.gather(*closing, return_exceptions=True)
        _, late = await asyncio.wait(keepers, timeout=5.0) if keepers else (set(), set())
        for task in late:
            task.cancel()

    async def _open_knowledge(self, progress: Progress | None) -> None:
        """The snapshot in use; the first time, build one. A process without knowledge hands everything over."""
        await load_model(self.library, progress)
        info = await open_library(self.library)
        if info is None:
            preview = await self.reloader.preview(progress)
            await self.reloader.activate(preview, by="first start")
        else:
            await self._knowledge_changed()

    async def _housekeeping(self, stop: asyncio.Event) -> None:
        """Forget what need not be kept, once an hour."""
        keep = self.config.limits.retention_days * 86400.0
        while not stop.is_set():
            now = self.clock.now()
            try:
                await self.storage.prune(now - 48 * 3600, now - keep)
            except StorageError as error:  # what is kept for an hour too long does no harm
                log.error("housekeeping_failed", error=str(error))  # noqa: TRY400
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 3600)


async def open_library(library: Library) -> SnapshotInfo | None:
    """The snapshot in use, or None where there is none that this version can read: snapshots are derived, so one
    that was built by another version is simply built again."""
    try:
        return await library.open()
    except KnowledgeError as error:
        log.warning("snapshot_unreadable", reason=str(error))
        return None


def library_of(config: Config) -> Library:
    k = config.knowledge
    return Library(
        config.bot.data_dir / "knowledge", model=k.model, threads=k.threads, max_wrong=k.max_wrong,
        max_file_bytes=k.max_file_mb * 2**20, approximate_from=k.approximate_from,
        max_wrong_of={c.name: c.max_wrong for c in config.category if c.max_wrong},
    )  # fmt: skip


def platform_adapters(config: Config) -> list[ChatAdapter]:
    """The adapters that the configuration enables; each platform's library is imported only if it is needed."""
    adapters: list[ChatAdapter] = []
    if config.slack.enabled:
        from adapters.slack import SlackAdapter, SlackSettings

        s = config.slack
        adapters.append(
            SlackAdapter(
                SlackSettings(
                    bot_token=config.secrets.slack_bot_token.get_secret_value(),
                    app_token=config.secrets.slack_app_token.get_secret_value(),
                    signing_secret=config.secrets.slack_signing_secret.get_secret_value(),
                    api_base=s.api_base, staff_channel=s.staff_channel, channels={c.id: c.mode for c in s.channels},
                    http=s.http, sockets=s.sockets, agents=frozenset(config.staff.slack.agents),
                    admins=frozenset(config.staff.slack.admins), file_bytes_max=config.limits.file_mb * 2**20,
                    groups=frozenset((*(r.role for r in config.route), *(g for t in config.tier for g in t.roles))),
                )
            )
        )  # fmt: skip
    if config.discord.enabled:
        from adapters.discord import DiscordAdapter, DiscordSettings

        d = config.discord
        adapters.append(
            DiscordAdapter(
                DiscordSettings(
                    token=config.secrets.discord_token.get_secret_value(), guild=d.guild, staff_channel=d.staff_channel,
                    channels={c.id: c.mode for c in d.channels}, private=frozenset(c.id for c in d.channels if c.private),
                    api_base=d.api_base, gateway=d.gateway,
                    agents=frozenset(config.staff.discord.agents), admins=frozenset(config.staff.discord.admins),
                    sharded=d.sharded, message_content=d.message_content, solved_tag=d.solved_tag, file_bytes_max=config.limits.file_mb * 2**20,
                )
            )
        )  # fmt: skip
    return adapters


def playground_app(config: Config) -> App:
    """The process with the local page as its only platform, telling it the why of each decision."""
    from adapters.playground import PlaygroundAdapter

    page = PlaygroundAdapter(
        channels=tuple(c.id for c in config.playground.channels), staff_channel=config.playground.staff_channel,
        desks=_local_desks(config),
        agents=tuple(config.staff.playground.agents), admins=tuple(config.staff.playground.admins),
        title=config.bot.name,
    )  # fmt: skip
    app = App(config, [page], routes=http_routes([page]))
    app.engine.observers.append(page.observe)
    return app


def _local_desks(config: Config) -> tuple[str, ...]:
    """The channels of teams that have their own on the page and in the terminal."""
    return tuple(route.playground_channel for route in config.route if route.playground_channel)


def console_app(config: Config) -> tuple[App, Callable[[], Awaitable[None]]]:
    """The same in the terminal, and what to wait for: the person said /quit."""
    from adapters.console import ConsoleAdapter

    async def settled() -> None:
        await app.settled()

    console = ConsoleAdapter(
        channels=[c.id for c in config.playground.channels] or ["help"], desks=_local_desks(config),
        agents=tuple(config.staff.playground.agents), admins=tuple(config.staff.playground.admins),
        staff_channel=config.playground.staff_channel, title=config.bot.name,
        settled=settled,
    )  # fmt: skip
    app = App(config, [console])
    app.engine.observers.append(console.observe)
    return app, console.finished


def setup_texts(application_id: str) -> tuple[str, str, str]:
    """For `firstline init`: Slack's app manifest, the clicks for Slack, the invite and clicks for Discord."""
    from adapters.discord_invite import setup_text
    from adapters.slack_manifest import clicks, manifest

    return manifest(), clicks(), setup_text(application_id or "YOUR_APPLICATION_ID")


def http_routes(adapters: Sequence[ChatAdapter]) -> Callable[[Engine], Sequence[Any]]:
    """Routes that adapters want on our site (Slack's HTTP mode, the playground's page)."""

    def routes(engine: Engine) -> Sequence[Any]:
        return [r for a in adapters for r in (a.routes(engine) if hasattr(a, "routes") else ())]

    return routes


async def until_signalled() -> None:
    """Returns at the first SIGINT or SIGTERM; the second one ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    await stop.wait()


def demo_config(config: Config, data_dir: Path, *, port: int | None = None) -> Config:
    """The configuration for the playground: no platform, its own data, quick answers."""
    bot = config.bot.model_copy(
        update={"data_dir": data_dir, "debounce_seconds": min(0.4, config.bot.debounce_seconds)}
    )
    web = config.web if port is None else config.web.model_copy(update={"port": port})
    off = {
        "slack": config.slack.model_copy(update={"enabled": False}),
        "discord": config.discord.model_copy(update={"enabled": False}),
    }
    return config.model_copy(update={"bot": bot, "web": web, **off})
