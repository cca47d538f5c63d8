"""Alerts and dashboard ask for metrics that are there, and every alert says what to do."""

import configparser
import fnmatch
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cyclopts import App

from aidmesh import dashboard, reference
from aidmesh.__main__ import build
from aidmesh.alerts import ALERTS, OF_PEOPLE, REQUESTS, Alert
from aidmesh.doctor.examine import LACKING, not_working
from aidmesh.doctor.findings import EVERY_SERVICE, OF_SERVICE
from aidmesh.meshfile import SERVICES
from aidmesh.runbooks import page, rules
from aidmesh.status import ServiceStatus
from aidmesh.story.links import SEE_LINK
from aidmesh.story.standing import (
    ASKED_BACK,
    BY_OFFICE,
    BY_PAYOUT,
    BY_WAIT,
    DECIDES,
    IN_PERSON,
    MAYBE_PAID,
    MORE_OF,
    NO_DETAILS,
    ON_TRIAL,
    SENDER,
    SWEEP,
)
from aidmesh.story.there import ENOUGH, GROWING
from aidmesh_chassis.auth import Verifier
from aidmesh_chassis.http import create_app

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


def test_the_example_for_prometheus_scrapes_every_service_under_the_name_that_alerts_ask_for() -> (
    None
):
    folder = ROOT / "deploy" / "observability"
    config = yaml.safe_load((folder / "prometheus.yaml").read_text(encoding="utf-8"))
    assert [(folder / each).is_file() for each in config["rule_files"]] == [True]
    (job,) = config["scrape_configs"]
    queries = [*(alert.expr for alert in ALERTS), *dashboard.queries()]
    asked = {name for query in queries for name in re.findall(r'job="([^"]*)"', query)}
    assert asked == {job["job_name"]}
    assert any("up{" in query for query in queries)
    app = create_app("any", "kyiv", Verifier(Ed25519PrivateKey.generate().public_key(), "kyiv"))
    assert job["metrics_path"] in {getattr(route, "path", None) for route in app.routes}
    (targets,) = [each["targets"] for each in job["static_configs"]]
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    published = {
        f"127.0.0.1:{re.split(r':-|}', port)[3]}"
        for name in SERVICES
        for port in compose["services"][name]["ports"]
    }
    assert len(targets) == len(SERVICES)
    assert set(targets) == published


def test_every_alert_reaches_somebody_by_the_examples() -> None:
    folder = ROOT / "deploy" / "observability"
    asks = yaml.safe_load((folder / "prometheus.yaml").read_text(encoding="utf-8"))
    assert asks["alerting"]["alertmanagers"] == [{"static_configs": [
        {"targets": ["127.0.0.1:9093"]}]}]  # fmt: skip
    text = (folder / "alertmanager.yaml").read_text(encoding="utf-8")
    told = yaml.safe_load(text)
    top, receivers = told["route"], {each["name"]: each for each in told["receivers"]}
    by_severity = {
        severity: route["receiver"]
        for route in top["routes"]
        for matcher in route["matchers"]
        for severity in re.findall(r'^severity="(\w+)"$', matcher)
    }
    ruled = yaml.safe_load((folder / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    severities = {rule["labels"]["severity"] for group in ruled for rule in group["rules"]}
    assert set(by_severity) == severities == {each.severity for each in ALERTS}
    assert len(set(by_severity.values())) == len(severities), "only what is urgent wakes somebody"
    assert top["receiver"] == by_severity["page"]
    assert {*by_severity.values()} == set(receivers)
    for receiver in receivers.values():
        assert [each for name, each in receiver.items() if name.endswith("_configs") and each]
    # Whom it reaches is for the operator to fill in: no address is anybody's.
    assert set(re.findall(r"@([\w.]+)", text)) == {"example.org"}


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


def lines_of_commands(text: str) -> Iterator[str]:
    """What a page shows as typed: lines of its blocks of code, and what is in backquotes."""
    for number, part in enumerate(text.split("```")):
        if number % 2:
            yield from part.splitlines()
        else:
            yield from re.findall(r"`([^`]+)`", part)


def typed_in(line: str) -> Iterator[list[str]]:
    """The words after each `aidmesh` of a line, up to what the shell makes of it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a quote in prose
        words = line.split()
    for at, word in enumerate(words):
        if word == "aidmesh" or word.endswith("/bin/aidmesh"):
            end = next(
                (i for i, each in enumerate(words) if i > at and not each.strip(";&|()")),
                len(words),
            )
            yield words[at + 1 : end]


def check_command(app: App, typed: list[str]) -> None:
    """It is there, with all its options."""
    command, rest = app, list(typed)
    while rest and rest[0] in command:
        command = command[rest.pop(0)]
    shown = f"aidmesh {' '.join(typed)}"
    assert command is not app, shown
    groups = [name for name in command if not name.startswith("-")]
    assert not (groups and rest and re.fullmatch(r"[a-z]+", rest[0])), shown
    if command.default_command is None:  # a group, spoken of as a whole
        assert not rest, shown
        return
    known = {name for each in command.assemble_argument_collection() for name in each.names}
    options = {each.partition("=")[0] for each in rest if each.startswith("--")}
    assert options <= known | {"--help"}, shown


PAGES = sorted(
    path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
)
STARTS_A_COMMAND = re.compile(r"[a-z]+|--[a-z]+(?:-[a-z]+)*")


def test_the_dashboard_counts_what_is_in_a_database_once() -> None:
    """However many copies of a service read it: only what each of them counts is added up."""
    added_up = [
        query for query in dashboard.queries() if query.startswith("sum") and "rate(" not in query
    ]
    assert len(added_up) > 10
    for query in added_up:
        assert re.match(r"sum(?: by \([a-z, ]+\))? \(max by \(region\b", query), query


def test_what_machines_ask_hides_nowhere_how_people_are_answered() -> None:
    asked = [
        selector
        for query in [*dashboard.queries(), *(alert.expr for alert in ALERTS)]
        for selector in re.findall(rf"{REQUESTS}_\w+(\{{.*?\}})?", query)
    ]
    assert len(asked) > 6
    assert [each for each in asked if OF_PEOPLE not in each] == []


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_commands_that_pages_name_are_there(path: Path) -> None:
    app = build()
    for line in lines_of_commands((ROOT / path).read_text(encoding="utf-8")):
        for typed in typed_in(line):
            if typed and STARTS_A_COMMAND.fullmatch(typed[0]):
                check_command(app, typed)


def test_what_pages_are_held_to() -> None:
    page = "`aidmesh dead list` and\n```sh\nsudo -u aidmesh /opt/bin/aidmesh up --data x && ls\n```"
    found = [typed for line in lines_of_commands(page) for typed in typed_in(line)]
    assert found == [["dead", "list"], ["/opt/bin/aidmesh", "up", "--data", "x"],
                     ["up", "--data", "x"]]  # fmt: skip
    app = build()
    for wrong in (
        ["deed", "list"],
        ["dead", "lost"],
        ["up", "--dota", "x"],
        ["status", "--json=1", "--no"],
    ):
        with pytest.raises(AssertionError, match="aidmesh"):
            check_command(app, wrong)


ADVICE = {
    "doctor": [each.do for many in (EVERY_SERVICE, *OF_SERVICE.values()) for each in many],
    "doctor, services": [
        *LACKING.values(),
        not_working("kyiv intake", ServiceStatus("intake", "away")).do,
    ],
    "trace": [*MORE_OF.values(), *BY_WAIT.values(), *(do for _, do in BY_PAYOUT.values()), SENDER,
              SWEEP, IN_PERSON, DECIDES, ON_TRIAL, ASKED_BACK[1], MAYBE_PAID[1], NO_DETAILS[1],
              *(do for _, do in BY_OFFICE.values()), SEE_LINK, GROWING, ENOUGH],
    "alerts": [text for each in ALERTS for text in (*each.look, *each.do)],
    "log": [word.what_to_do for each in reference.log_events().values() for word in each.values()],
}  # fmt: skip


@pytest.mark.parametrize("whose", ADVICE)
def test_commands_that_are_advised_are_there(whose: str) -> None:
    app = build()
    for text in ADVICE[whose]:
        for words in re.findall(r"aidmesh((?: [a-z]+)+)", text):
            first, *others = words.split()
            assert first in app, text
            groups = [name for name in app[first] if not name.startswith("-")]
            assert not groups or not others or others[0] in groups, text
        for event in re.findall(r"'event=([^']+)'", text):
            known = {name for words in reference.log_events().values() for name in words}
            for pattern in event.split(","):
                assert fnmatch.filter(known, pattern), text


def test_the_unit_for_systemd_starts_what_there_is() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "systemd" / "aidmesh.service", encoding="utf-8")
    program, *typed = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/.venv/bin/aidmesh")
    check_command(build(), typed)
    written = unit["Service"]["ReadWritePaths"].split()
    assert {typed[typed.index(name) + 1] for name in ("--data", "--keys")} == set(written)


def test_the_timers_for_systemd_run_what_there_is() -> None:
    folder = ROOT / "deploy" / "systemd"
    ran = set()
    for path in folder.glob("*.timer"):
        timer = configparser.ConfigParser(strict=False, interpolation=None)
        timer.read(path, encoding="utf-8")
        unit = timer["Timer"].get("Unit", f"{path.stem}.service")
        name, at, instance = unit.removesuffix(".service").partition("@")
        service = configparser.ConfigParser(strict=False, interpolation=None)
        service.read(folder / f"{name}{at}.service", encoding="utf-8")
        # Percent signs are doubled there, and a shell may be between.
        start = service["Service"]["ExecStart"].replace("%i", instance or "kyiv")
        typed = start.partition("/.venv/bin/aidmesh ")[2].rstrip("'")
        check_command(build(), shlex.split(typed.replace("$(date --utc +%%FT%%H%%MZ)", "now")))
        ran.add(typed.split()[0])
        assert service["Unit"]["OnFailure"] == "aidmesh-tell@%n.service"
    assert ran == {"backup", "status", "doctor", "verify"}
    assert (folder / "aidmesh-tell@.service").exists()


def test_cron_runs_for_containers_what_timers_run_elsewhere() -> None:
    page = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^[\d*/]+ [\d*]+ \* \* \* root (.*)$", page)
    ran = set()
    for line in lines:
        ((command, *typed),) = typed_in(line)
        check_command(build(), [command, *typed])
        ran.add(command)
        assert not re.search(r"(?<!\\)%", line), "cron ends a line there"
        assert line.endswith('2>&1) || echo "$said"')
    assert ran == {"backup", "status", "doctor", "verify"}


@pytest.mark.parametrize(
    ("bring", "mode", "old_goes"),
    [
        (None, 0, True),
        (
            "test $1 = kyiv && test -e {backups}/kyiv-old.backup && touch {backups}/brought",
            0o755,
            True,
        ),
        ("exit 1", 0o755, False),
        ("exit 0", 0o644, False),  # somebody meant it to be run
    ],
)
def test_old_backups_go_only_after_the_new_one_was_brought_away(
    tmp_path: Path, bring: str | None, mode: int, old_goes: bool
) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    old, new = backups / "kyiv-old.backup", backups / "kyiv-new.backup"
    for each in (old, new):
        each.touch()
    os.utime(old, (0, 0))
    if bring is not None:
        (tmp_path / "bring").write_text(f"#!/bin/sh\n{bring.format(backups=backups)}\n")
        (tmp_path / "bring").chmod(mode)
    unit = (ROOT / "deploy" / "systemd" / "aidmesh-backup@.service").read_text(encoding="utf-8")
    ended = 0
    for command in re.findall(r"^ExecStartPost=(.*)", unit, re.MULTILINE):
        # Each is run as systemd does it, none after one that failed.
        typed = command.replace("%i", "kyiv").replace("/var/backups/aidmesh", str(backups))
        typed = typed.replace("/etc/aidmesh", str(tmp_path))
        ended = ended or subprocess.run(shlex.split(typed), check=False).returncode
    assert (ended == 0) is old_goes
    assert old.exists() is not old_goes
    assert new.exists()
    assert (backups / "brought").exists() is ("brought" in (bring or ""))


def test_a_look_that_hangs_has_ended_before_the_next_one_is_due() -> None:
    folder = ROOT / "deploy" / "systemd"
    timer = configparser.ConfigParser(strict=False, interpolation=None)
    timer.read(folder / "aidmesh-status.timer", encoding="utf-8")
    every = re.fullmatch(r"\*:0/(\d+)", timer["Timer"]["OnCalendar"])
    shorter = configparser.ConfigParser(strict=False, interpolation=None)
    shorter.read((folder / f"{timer['Timer']['Unit']}.d").glob("*.conf"), encoding="utf-8")
    lasts = re.fullmatch(r"(\d+)min", shorter["Service"]["TimeoutStartSec"])
    assert every is not None
    assert lasts is not None
    assert int(lasts[1]) < int(every[1])


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for link, anchor in re.findall(r"\]\(([^)#:\s]*)(#[^)\s]*)?\)", text):
        there = (ROOT / path).parent / link if link else ROOT / path
        assert there.exists(), link
        if anchor and there.suffix == ".md":
            assert anchor[1:] in anchors(there), f"{link}{anchor}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called, as GitHub makes it of them."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", each).strip().lower().replace(" ", "-") for each in headings}


def test_every_page_is_found_from_the_readme() -> None:
    """Some link leads to each page of docs/, from one to the next."""
    seen: set[Path] = set()
    left = [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for link in re.findall(r"\]\(([^)#:\s]+)", page.read_text(encoding="utf-8")):
            target = (page.parent / link).resolve()
            left += [target] if target.is_file() else sorted(target.glob("*.md"))
    assert {ROOT / path for path in PAGES if path.parts[0] == "docs"} <= seen
