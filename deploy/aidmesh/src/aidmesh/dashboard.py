"""The Grafana dashboard, put together from what is shown in each panel."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aidmesh.alerts import OF_PEOPLE, REQUESTS

WIDTH: Final = 24
HEIGHT: Final = 7
PER_ROW: Final = 3


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: lines over time. `queries` are PromQL by what the legend says."""

    title: str
    unit: str
    queries: Mapping[str, str]
    hint: str = ""


OF_REGION: Final = 'and on (instance) aidmesh_info{region=~"$region"}'


def each(metric: str) -> str:
    """A metric of the services of the regions that were chosen."""
    return f"{metric} {OF_REGION}"


def total(metric: str, *labels: str) -> str:
    """The sum over services, split by labels."""
    split = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{split} ({each(metric)})"


def figure(metric: str, *labels: str) -> str:
    """What the databases of the chosen regions say, split by labels.

    Every copy of a service reads the same database, so what several of them say counts once.
    """
    split = f" by ({', '.join(labels)})" if labels else ""
    once = f"max by ({', '.join(('region', *labels))})"
    info = 'aidmesh_info{region=~"$region"}'
    return f"sum{split} ({once} ({metric} * on (instance) group_left (region) {info}))"


def oldest(metric: str) -> str:
    """Of an age that databases of the chosen regions tell: the greatest."""
    return f"max ({each(metric)})"


def rate(metric: str) -> str:
    """A counter's rate, of the last five minutes."""
    return f"rate({metric}[5m])"


def quantile(share: float, metric: str, label: str, selector: str = "") -> str:
    """Below which value this share of a histogram is, split by a label."""
    buckets = rate(f"{metric}_bucket{selector}")
    return f"histogram_quantile({share}, {total(buckets, label, 'le')})"


ASKED: Final = f"{REQUESTS}_count{{{OF_PEOPLE}}}"
FAILED: Final = f'{REQUESTS}_count{{status="5xx",{OF_PEOPLE}}}'
INSTANCE: Final = "{{instance}}"
DURABLE: Final = "{{durable}}"
STATE: Final = "{{state}}"
UNPROBED: Final = "Without what machines ask to see how a service is."

HELPED: Final = (
    Panel("Needs that are not over", "none", {STATE: figure("aidmesh_needs", "state")}),
    Panel("Waitlist", "none", {"{{resource}}": figure("aidmesh_waitlist_needs", "resource")}),
    Panel("Not told yet", "none", {"ready, untold": figure("aidmesh_needs_untold"),
                                   "messages {{state}}": figure("aidmesh_messages", "state")}),
    Panel("Set aside", "none", {STATE: figure("aidmesh_reservations", "state"),
                                "overdue": figure("aidmesh_reservations_overdue")}),
    Panel("Money of allotments", "none",
          {"{{currency}} {{part}}": figure("aidmesh_allotments_minor", "currency", "part")},
          "In minor units, such as cents."),
    Panel("Payouts that are not over", "none", {STATE: figure("aidmesh_payouts", "state")}),
    Panel("Channels that take no messages, for how long", "s",
          {"{{instance}} {{channel}}": each("aidmesh_channel_away_seconds")}),
    Panel("Waiting for a person, the oldest", "s",
          {"to be told": oldest("aidmesh_needs_untold_age_seconds"),
           "stock and places": oldest("aidmesh_stock_discrepancies_open_age_seconds"),
           "money": oldest("aidmesh_money_discrepancies_open_age_seconds"),
           "transfers in transit": oldest("aidmesh_transfers_in_transit_age_seconds")}),
)  # fmt: skip
ANSWERED: Final = (
    Panel("Rate", "reqps", {INSTANCE: total(rate(ASKED), "instance")}, UNPROBED),
    Panel("Errors", "percentunit",
          {INSTANCE: f"{total(rate(FAILED), 'instance')} / {total(rate(ASKED), 'instance')}"},
          UNPROBED),
    Panel("95 % answered within", "s",
          {INSTANCE: quantile(0.95, REQUESTS, "instance", f"{{{OF_PEOPLE}}}")}, UNPROBED),
    Panel("Being answered now", "none", {INSTANCE: each("aidmesh_http_requests_running")}),
    Panel("Processor", "none", {INSTANCE: each(rate("process_cpu_seconds_total"))}),
    Panel("Memory", "bytes", {INSTANCE: each("process_resident_memory_bytes")}),
)  # fmt: skip
MESSAGES: Final = (
    Panel("Events taken in", "none",
          {DURABLE: total(rate("aidmesh_inbox_events_handled_total"), "durable")}),
    Panel("Waiting to be taken in", "none", {DURABLE: each("aidmesh_consumer_pending_events")}),
    Panel("Batch size, median", "none",
          {DURABLE: quantile(0.5, "aidmesh_inbox_batch_events", "durable")}),
    Panel("Outbox: oldest event", "s", {INSTANCE: each("aidmesh_outbox_pending_age_seconds")}),
    Panel("Database", "none", {INSTANCE: each("aidmesh_database_up")}, "1 is up."),
    Panel("Gate", "none", {INSTANCE: each("aidmesh_gate_open")}, "1 is open."),
    Panel("Locked keys", "none", {INSTANCE: each("aidmesh_keys_locked")}, "1 is locked."),
    Panel("Letters", "none", {"{{instance}} {{status}}": each("aidmesh_dead_letters")}),
)  # fmt: skip
REGIONS: Final = (
    Panel("Links", "none", {"{{instance}} to {{peer}}": each("aidmesh_peer_link_up")}, "1 is up."),
    Panel("Lag", "s", {"{{instance}} of {{peer}}": each("aidmesh_peer_lag_seconds")}),
    Panel("Handoffs: oldest without an answer", "s",
          {"{{instance}} to {{peer}}": each("aidmesh_handoffs_waiting_age_seconds")}),
    Panel("Money in transit", "none", {"transfers": figure("aidmesh_transfers_in_transit")}),
    Panel("Shipments", "none", {STATE: figure("aidmesh_shipments_open", "state")}),
    Panel("Open questions", "none",
          {"stock and places": figure("aidmesh_stock_discrepancies_open"),
           "money": figure("aidmesh_money_discrepancies_open"),
           "holds of money overdue": figure("aidmesh_money_holds_overdue")}),
)  # fmt: skip
PANELS: Final[Mapping[str, tuple[Panel, ...]]] = {
    "Is everybody helped?": HELPED,
    "Requests": ANSWERED,
    "Messages between services": MESSAGES,
    "Other regions": REGIONS,
}


def queries() -> Iterable[str]:
    """Every query of the dashboard."""
    return [
        query for panels in PANELS.values() for panel in panels for query in panel.queries.values()
    ]


def dashboard() -> str:
    """The dashboard as Grafana imports it; the data source is chosen at import."""
    panels: list[dict[str, object]] = []
    top = 0
    for title, of_row in PANELS.items():
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False,
             "panels": [], "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}}
        )  # fmt: skip
        top += 1
        for number, panel in enumerate(of_row):
            width = WIDTH // PER_ROW
            place = {"x": number % PER_ROW * width, "y": top + number // PER_ROW * HEIGHT,
                     "w": width, "h": HEIGHT}  # fmt: skip
            panels.append(_panel(len(panels) + 1, panel, place))
        top += -(-len(of_row) // PER_ROW) * HEIGHT
    return json.dumps(
        {
            "title": "Aidmesh",
            "uid": "aidmesh",
            "schemaVersion": 39,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {
                "list": [
                    {"name": "source", "type": "datasource", "query": "prometheus"},
                    {"name": "region", "type": "query", "datasource": "$source", "refresh": 2,
                     "query": "label_values(aidmesh_info, region)", "includeAll": True,
                     "multi": True, "current": {"text": "All", "value": "$__all"}},
                ]
            },
            "panels": panels,
        },
        indent=1,
    ) + "\n"  # fmt: skip


def _panel(number: int, panel: Panel, place: Mapping[str, int]) -> dict[str, object]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.hint,
        "datasource": "$source",
        "gridPos": dict(place),
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }
