"""Numbers for Prometheus, one registry per service because several share a process.

What is measured is declared as `MetricSpec` rows, so that the documented list is the code.
Labels are bounded: route templates and status classes, never an id, a subject or a raw path.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric, as it is made and as it is documented. Units are part of `name`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCY_BUCKETS_S


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

METRICS: Final[tuple[MetricSpec, ...]] = (INFO, HTTP_SECONDS, HTTP_RUNNING)
"""What every service's HTTP side measures."""


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


def reference(specs: Iterable[MetricSpec]) -> str:
    """The documented list, as a Markdown table."""
    rows = [
        f"| `{spec.name}` | {spec.kind} | {', '.join(spec.labels) or '—'} | {spec.meaning} |"
        for spec in specs
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows, ""])
