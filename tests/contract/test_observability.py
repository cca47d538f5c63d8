"""Alerts and dashboard ask for metrics that are there, and every alert says what to do."""

import json
import re
from pathlib import Path

import pytest

from aidmesh import dashboard, reference
from aidmesh.__main__ import build
from aidmesh.alerts import ALERTS, Alert, page, rules

ROOT = Path(__file__).parents[2]
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
METRICS = {
    spec.name + suffix: spec
    for specs in reference.metric_specs().values()
    for spec in specs
    for suffix in SUFFIXES[spec.kind]
}
FROM_ELSEWHERE = {"process_cpu_seconds_total", "process_resident_memory_bytes", "up"}
NOT_METRICS = {"le", "instance", "region", "job"}


def check(query: str) -> None:
    """Every metric is known, and only labels that it has are asked of it."""
    named = set(re.findall(r"\b(?:aidmesh|process)_\w+", query)) | (
        {"up"} if re.match(r"up\b", query) else set()
    )
    assert named, query
    assert named <= set(METRICS) | FROM_ELSEWHERE, query
    known = {label for name in named & set(METRICS) for label in METRICS[name].labels}
    asked = re.findall(r'(\w+)\s*=~?\s*"', query)
    for group in re.findall(r"(?:by|on)\s*\(([^)]*)\)", query):
        asked += [label.strip() for label in group.split(",")]
    assert set(asked) <= known | NOT_METRICS, query
    assert query.count("(") == query.count(")")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each.name)
def test_every_alert_asks_for_what_is_measured_and_has_a_page(alert: Alert) -> None:
    check(alert.expr)
    assert re.fullmatch(r"\d+[mhd]", alert.lasting)
    text = page(alert)
    assert alert.harm in text
    assert alert.look
    assert alert.do
    assert f"docs/runbooks/{alert.page}" in rules([alert])
    assert (ROOT / "docs" / "runbooks" / alert.page).is_file()


def test_there_are_no_pages_without_an_alert() -> None:
    written = {path.name for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert written == {alert.page for alert in ALERTS} | {"README.md"}


def test_the_dashboard_shows_all_that_services_measure() -> None:
    for query in dashboard.queries():
        check(query)
    shown = " ".join([*dashboard.queries(), *(alert.expr for alert in ALERTS)])
    unseen = {
        spec.name
        for specs in reference.metric_specs().values()
        for spec in specs
        if spec.name not in shown
    }
    # A figure beside one that is shown: how many events, where the seconds are.
    assert unseen <= {
        "aidmesh_outbox_pending_rows", "aidmesh_handoffs_waiting", "aidmesh_peer_beat_age_seconds",
        "aidmesh_peer_lag_events",
    }  # fmt: skip
    panels = json.loads(dashboard.dashboard())["panels"]
    places = [tuple(each["gridPos"].values()) for each in panels]
    assert len(set(places)) == len(places)
    assert len({each["id"] for each in panels}) == len(panels)


def commands_in(text: str) -> set[tuple[str, ...]]:
    """`aidmesh` and the words after it, as far as they are names of commands."""
    found = re.findall(r"aidmesh((?: [a-z]+)+)", " ".join(re.findall(r"`(aidmesh [^`]*)`", text)))
    return {tuple(words.split()) for words in found}


PAGES = sorted(
    path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
)


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_commands_that_pages_name_are_there(path: Path) -> None:
    app = build()
    for words in commands_in((ROOT / path).read_text(encoding="utf-8")):
        assert words[0] in app, f"aidmesh {' '.join(words)}"
        command = app[words[0]]
        subcommands = [name for name in command if not name.startswith("-")]
        if subcommands and len(words) > 1:
            assert words[1] in subcommands, f"aidmesh {' '.join(words)}"


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / path).parent / link).exists(), link
