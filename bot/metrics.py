"""What `/metrics` shows. Names and meaning: docs/operating.md; one registry per process, none global."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"firstline_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"firstline_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"firstline_{name}", text, labels, buckets=buckets, registry=self.registry)

        self._events = counter("events", "Events recorded", "platform", "kind")
        self._repeats = counter("events_repeated", "Events that were known already", "platform")
        self._decisions = counter("decisions", "Decisions made", "kind")
        self._failures = counter("decision_failures", "Events whose processing failed", "state")
        self._delivered = counter("deliveries", "Messages delivered", "do", "audience")
        self._retried = counter("delivery_retries", "Deliveries put off", "platform", "state")
        self._parked = counter("deliveries_parked", "Deliveries given up, visibly", "platform", "kind")
        self._record = histogram(
            "record_seconds", "From an event's arrival to its being durable (acknowledged)", FAST
        )
        self._search = histogram("search_seconds", "Search of the snapshot, embedding included", FAST)
        self._decide = histogram("decide_seconds", "The pure decision", FAST)
        self._latency = histogram("delivery_seconds", "From the commit to the platform's confirmation", SLOW)
        self.inbox = gauge("inbox_waiting", "Conversations with events that wait")
        self.outbox = gauge("outbox_waiting", "Messages that wait")
        self.lanes = gauge("outbox_lanes", "Lanes with messages that wait")
        self.ambiguous = gauge("outbox_ambiguous", "Messages that may or may not have arrived")
        self.adapter = gauge("adapter_up", "1: connected", "platform")

    def recorded(self, platform: str, kind: str, seconds: float, *, new: bool) -> None:
        self._record.observe(seconds)
        if new:
            self._events.labels(platform, kind).inc()
        else:
            self._repeats.labels(platform).inc()

    def decided(self, kind: str, seconds: float) -> None:
        self._decisions.labels(kind).inc()
        self._decide.observe(seconds)

    def searched(self, seconds: float) -> None:
        self._search.observe(seconds)

    def failed(self, state: str) -> None:
        self._failures.labels(state).inc()

    def delivered(self, do: str, audience: str, seconds: float) -> None:
        self._delivered.labels(do, audience).inc()
        self._latency.observe(max(0.0, seconds))

    def retried(self, platform: str, state: str) -> None:
        self._retried.labels(platform, state).inc()

    def parked(self, platform: str, kind: str) -> None:
        self._parked.labels(platform, kind).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
