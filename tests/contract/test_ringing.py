"""What rings for whom: once for a region, however many copies of a service say the same."""

import re

import pytest

from aidmesh import reference
from aidmesh.alerts import ALERTS
from aidmesh_chassis.metrics import Metrics
from support.ringing import rings, scraped

SPECS = {spec.name: spec for specs in reference.metric_specs().values() for spec in specs}
OF_ONE_PROCESS = {"ServiceAway", "GateClosed", "KeysLocked", "RequestsFail", "RequestsSlow"}
DAY_S = 24 * 3600


def copy_of(region: str, service: str, numbers: dict[str, float]) -> Metrics:
    """A running copy of a service; labels of its own are all the same."""
    metrics = Metrics(service, region)
    for name, number in numbers.items():
        gauge = metrics.gauge(SPECS[name])
        labels = ["dead" if each == "status" else "unknown" for each in SPECS[name].labels]
        (gauge.labels(*labels) if labels else gauge).set(number)
    return metrics


@pytest.mark.parametrize("name", [each.name for each in ALERTS if each.name not in OF_ONE_PROCESS])
def test_two_copies_of_a_service_ring_once_for_each_region(name: str) -> None:
    (alert,) = [each for each in ALERTS if each.name == name]
    asked = set(re.findall(r"aidmesh_\w+", alert.expr)) - {"aidmesh_info"}
    on = {each: 1.0 if each.endswith(("late", "link_up")) else 1e9 for each in asked}
    off = dict.fromkeys(on, 0.0)
    if name == "DatabaseAway":
        on, off = off, dict.fromkeys(on, 1.0)
    both = [copy_of("kyiv", "payments", on) for _ in range(2)]
    assert rings(name, scraped([*both, copy_of("lviv", "payments", off)])) != []
    found = rings(name, scraped([*both, copy_of("lviv", "payments", on)]))
    assert [each["region"] for each in found] == ["kyiv", "lviv"]
    assert rings(name, scraped([copy_of("kyiv", "payments", off)])) == []


@pytest.mark.parametrize(
    ("name", "metric", "bound_s"),
    [
        ("PeopleUntold", "aidmesh_needs_untold_age_seconds", DAY_S),
        ("DiscrepanciesOpen", "aidmesh_stock_discrepancies_open_age_seconds", 7 * DAY_S),
        ("DiscrepanciesOpen", "aidmesh_money_discrepancies_open_age_seconds", 7 * DAY_S),
        ("MoneyInTransit", "aidmesh_transfers_in_transit_age_seconds", DAY_S),
    ],
)
def test_what_waits_for_a_person_rings_by_the_age_of_the_oldest(
    name: str, metric: str, bound_s: int
) -> None:
    """However many there are, as long as each is seen to in time."""
    assert rings(name, scraped([copy_of("kyiv", "any", {metric: bound_s})])) == []
    over = rings(name, scraped([copy_of("kyiv", "any", {metric: bound_s + 1})]))
    assert over == [{"region": "kyiv", "service": "any"}]


def test_a_database_that_one_copy_alone_does_not_reach_rings() -> None:
    """Whoever is led to that copy is refused, whatever the others can do."""
    both = [copy_of("kyiv", "payments", {"aidmesh_database_up": each}) for each in (1.0, 0.0)]
    assert rings("DatabaseAway", scraped(both)) == [{"region": "kyiv", "service": "payments"}]
    assert rings("DatabaseAway", scraped(both[:1])) == []


def test_an_unanswered_handoff_rings_only_while_the_peer_is_heard() -> None:
    numbers = {"aidmesh_handoffs_waiting_age_seconds": 901.0, "aidmesh_peer_link_up": 1.0}
    up = scraped([copy_of("kyiv", "intake", numbers)])
    assert len(rings("HandoffsUnanswered", up)) == 1
    dark = scraped([copy_of("kyiv", "intake", {**numbers, "aidmesh_peer_link_up": 0.0})])
    assert rings("HandoffsUnanswered", dark) == []
