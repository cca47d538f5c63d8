"""Numbers for Prometheus, one registry per service because several share a process.

What is measured is declared as `MetricSpec` rows, so that the documented list is the code.
Labels are bounded: route templates and status classes, never an id, a subject or a raw path.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import asyncpg
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from aidmesh_chassis.handoff import Waiting
from aidmesh_chassis.peers import Peers, Trouble

LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric, as it is made and as it is documented. Units are part of `name`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCY_BUCKETS_S


@dataclass(frozen=True, slots=True)
class Measured:
    """A gauge that a service reads from its own database every few seconds.

    Attributes:
        spec: what it is called and means.
        sql: gives a row for each set of labels: the labels in order, then the number. Few rows,
            found by an index: it is asked for as long as the service runs.
    """

    spec: MetricSpec
    sql: str


INFO: Final = MetricSpec(
    "aidmesh_info",
    "gauge",
    "Always 1; says which service of which region this is.",
    ("service", "region"),
)
HTTP_SECONDS: Final = MetricSpec(
    "aidmesh_http_request_seconds",
    "histogram",
    "How long requests took, by route template and class of status: rate, errors and duration.",
    ("method", "route", "status"),
)
HTTP_RUNNING: Final = MetricSpec(
    "aidmesh_http_requests_running",
    "gauge",
    "Requests being answered now: saturation.",
)

INBOX_BATCH: Final = MetricSpec(
    "aidmesh_inbox_batch_events",
    "histogram",
    "How many events were taken in by one transaction, by durable consumer.",
    ("durable",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
INBOX_HANDLED: Final = MetricSpec(
    "aidmesh_inbox_events_handled_total",
    "counter",
    "Events handled, each once however often it came.",
    ("durable", "event_type"),
)
OUTBOX_PENDING: Final = MetricSpec(
    "aidmesh_outbox_pending_rows", "gauge", "Events written and not yet acknowledged by JetStream."
)
OUTBOX_AGE: Final = MetricSpec(
    "aidmesh_outbox_pending_age_seconds",
    "gauge",
    "Age of the oldest of these; alert when it grows beyond a minute.",
)
LETTERS: Final = MetricSpec(
    "aidmesh_dead_letters",
    "gauge",
    "Messages set aside and not settled: failing, parked, or dead (these wait for a person).",
    ("status",),
)
GATE_OPEN: Final = MetricSpec(
    "aidmesh_gate_open", "gauge", "1 when the region's gate lets this service publish, else 0."
)
KEYS_LOCKED: Final = MetricSpec(
    "aidmesh_keys_locked",
    "gauge",
    "1 while a service that holds keys for personal data runs without them: aidmesh unlock.",
)
DATABASE_UP: Final = MetricSpec(
    "aidmesh_database_up",
    "gauge",
    "1 while this service's database answers it, 0 until it first does, and while it does not: "
    "other figures that are read there are then as they last were.",
)
CONSUMER_PENDING: Final = MetricSpec(
    "aidmesh_consumer_pending_events",
    "gauge",
    "Events that wait in the stream, or are delivered and not acknowledged, by durable consumer.",
    ("durable",),
)
HANDOFFS_WAITING: Final = MetricSpec(
    "aidmesh_handoffs_waiting",
    "gauge",
    "What was handed over to a peer region and not answered yet.",
    ("peer",),
)
HANDOFF_AGE: Final = MetricSpec(
    "aidmesh_handoffs_waiting_age_seconds",
    "gauge",
    "Age of the oldest of these; alert when it grows while the peer is heard.",
    ("peer",),
)
PEER_BEAT_AGE: Final = MetricSpec(
    "aidmesh_peer_beat_age_seconds",
    "gauge",
    "Time since a peer region was last heard; alert when a link stays silent for minutes.",
    ("peer",),
)

PEER_UP: Final = MetricSpec(
    "aidmesh_peer_link_up", "gauge", "1 when a peer region is heard, 0 when it is dark.", ("peer",)
)
PEER_LAG: Final = MetricSpec(
    "aidmesh_peer_lag_events",
    "gauge",
    "Events that a peer region has told of and that are not here.",
    ("peer",),
)
PEER_LAG_AGE: Final = MetricSpec(
    "aidmesh_peer_lag_seconds",
    "gauge",
    "Time since all events of a peer region were here; 0 while they are.",
    ("peer",),
)
PEER_LATE: Final = MetricSpec(
    "aidmesh_peer_late",
    "gauge",
    "1 when a peer is dark, behind or leaves handoffs unanswered beyond the bound "
    "(`peer_late_s_max`); alert on it.",
    ("peer",),
)

OF_REQUESTS: Final[tuple[MetricSpec, ...]] = (INFO, HTTP_SECONDS, HTTP_RUNNING)
"""What every service measures, the desk too."""

OF_MESSAGES: Final[tuple[MetricSpec, ...]] = (
    INBOX_BATCH,
    INBOX_HANDLED,
    OUTBOX_PENDING,
    OUTBOX_AGE,
    LETTERS,
    GATE_OPEN,
    DATABASE_UP,
    CONSUMER_PENDING,
    HANDOFFS_WAITING,
    HANDOFF_AGE,
    PEER_BEAT_AGE,
    PEER_UP,
    PEER_LAG,
    PEER_LAG_AGE,
    PEER_LATE,
)
"""What a service with a database measures of its way of messages; see `MessageNumbers`."""

OF_KEYS: Final[tuple[MetricSpec, ...]] = (KEYS_LOCKED,)
"""What a service that holds keys for personal data measures; see `key_routes`."""

LETTER_STATUSES: Final = ("failing", "parked", "dead")


class Metrics:
    """The registry of one service, and the metrics made in it."""

    def __init__(self, service: str, region: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.gauge(INFO).labels(service, region).set(1)
        self._http_seconds = self.histogram(HTTP_SECONDS)
        self.http_running = self.gauge(HTTP_RUNNING)
        # Looking a child up by labels costs more than observing it.
        self._http_children: dict[tuple[str, str, int], Histogram] = {}

    def counter(self, spec: MetricSpec) -> Counter:
        """Make the counter that `spec` declares."""
        return Counter(spec.name, spec.meaning, spec.labels, registry=self.registry)

    def gauge(self, spec: MetricSpec) -> Gauge:
        """Make the gauge that `spec` declares."""
        return Gauge(spec.name, spec.meaning, spec.labels, registry=self.registry)

    def histogram(self, spec: MetricSpec) -> Histogram:
        """Make the histogram that `spec` declares."""
        return Histogram(
            spec.name, spec.meaning, spec.labels, registry=self.registry, buckets=spec.buckets
        )

    def observe_http(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is the template, `method` one that routes declare."""
        key = (method, route, status // 100)
        child = self._http_children.get(key)
        if child is None:
            child = self._http_seconds.labels(method, route, f"{status // 100}xx")
            self._http_children[key] = child
        child.observe(seconds)

    def exposition(self) -> bytes:
        """All of it in the Prometheus text format."""
        return generate_latest(self.registry)


class MessageNumbers:
    """What a service with a database says of its way of messages; one per service."""

    def __init__(self, metrics: Metrics) -> None:
        self._batch = metrics.histogram(INBOX_BATCH)
        self._handled = metrics.counter(INBOX_HANDLED)
        self._letters = metrics.gauge(LETTERS)
        self.outbox_rows = metrics.gauge(OUTBOX_PENDING)
        self.outbox_age_s = metrics.gauge(OUTBOX_AGE)
        self.gate_open = metrics.gauge(GATE_OPEN)
        self.database_up = metrics.gauge(DATABASE_UP)
        self.consumer_pending = metrics.gauge(CONSUMER_PENDING)
        self._peer_beat_age_s = metrics.gauge(PEER_BEAT_AGE)
        self._peer_link_up = metrics.gauge(PEER_UP)
        self._peer_lag_events = metrics.gauge(PEER_LAG)
        self._peer_lag_s = metrics.gauge(PEER_LAG_AGE)
        self._peer_late = metrics.gauge(PEER_LATE)
        self._handoffs = metrics.gauge(HANDOFFS_WAITING)
        self._handoff_age_s = metrics.gauge(HANDOFF_AGE)

    def took_in(self, durable: str, events: int, handled: Mapping[str, int]) -> None:
        """Count a batch that was committed; `handled` by event type, those not known before."""
        self._batch.labels(durable).observe(events)
        for event_type, number in handled.items():
            self._handled.labels(durable, event_type).inc(number)

    def set_letters(self, by_status: Mapping[str, int]) -> None:
        """Say how many letters are open."""
        for status in LETTER_STATUSES:
            self._letters.labels(status).set(by_status.get(status, 0))

    def set_peers(self, peers: Peers, troubles: Mapping[str, Trouble | None]) -> None:
        """Say how peers are; of one that the region is linked with no longer, nothing."""
        for gauge in (
            self._peer_beat_age_s,
            self._peer_link_up,
            self._peer_lag_events,
            self._peer_lag_s,
            self._peer_late,
        ):
            gauge.clear()
        for peer, age_s in peers.ages_s().items():
            link = peers.link(peer)
            self._peer_beat_age_s.labels(peer).set(age_s)
            self._peer_link_up.labels(peer).set(link is not None and link.state == "up")
        for peer, (events, seconds) in peers.lags().items():
            self._peer_lag_events.labels(peer).set(events)
            self._peer_lag_s.labels(peer).set(seconds)
        for peer, trouble in troubles.items():
            self._peer_late.labels(peer).set(trouble is not None)

    def set_handoffs(self, waiting: Iterable[Waiting]) -> None:
        """Say how many handoffs wait for each region, and since when."""
        self._handoffs.clear()
        self._handoff_age_s.clear()
        for each in waiting:
            self._handoffs.labels(each.region).set(each.rows)
            self._handoff_age_s.labels(each.region).set(each.age_s)


class Levels:
    """The gauges of a service that its database is asked for."""

    def __init__(self, metrics: Metrics, measured: Iterable[Measured]) -> None:
        self._gauges = [(each.sql, metrics.gauge(each.spec)) for each in measured]

    async def measure(self, conn: asyncpg.Connection) -> None:
        """Ask for all of them; labels that are not answered any more are gone."""
        for sql, gauge in self._gauges:
            rows = await conn.fetch(sql)
            gauge.clear()
            for *labels, number in rows:
                (gauge.labels(*labels) if labels else gauge).set(float(number))


def reference(specs: Iterable[MetricSpec]) -> str:
    """The documented list, as a Markdown table."""
    rows = [
        f"| `{spec.name}` | {spec.kind} | {', '.join(spec.labels) or '—'} | {spec.meaning} |"
        for spec in specs
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows, ""])
