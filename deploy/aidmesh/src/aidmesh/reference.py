"""`python -m aidmesh.reference write FOLDER`: what operators look up, written from the code.

The words of the logs, the metrics, the problem types, the settings and the columns of an import,
each from the catalogue that the code itself uses.
"""

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo
from pydantic_core import to_json

from aidmesh import dashboard, import_reference, runbooks
from aidmesh.__main__ import build
from aidmesh.alerts import ALERTS
from aidmesh.command_list import listed
from aidmesh.commands.common import EXIT_CODES
from aidmesh.log_calls import fields_by_event
from aidmesh.reference_tables import described, table
from aidmesh.topology.serving import FILE_GIB_DEFAULT, FILE_GIB_MAX
from aidmesh_chassis import key_routes, metrics, problems, vocabulary
from aidmesh_chassis.metrics import MetricSpec
from aidmesh_chassis.problems import ProblemType
from aidmesh_chassis.settings import ServiceSettings
from aidmesh_chassis.vocabulary import LogEvent

LOG_MODULES: Final = {
    "The desk (console)": "aidmesh_console.log_events",
    "Intake": "aidmesh_intake.log_events",
    "Inventory": "aidmesh_inventory.log_events",
    "Payments": "aidmesh_payments.log_events",
    "Notification": "aidmesh_notification.log_events",
    "Reporting": "aidmesh_reporting.log_events",
    "The mesh on one machine (`aidmesh up`, `aidmesh demo`)": "aidmesh.log_events",
}
"""Packages with words of their own; the others use those of every service."""

PROBLEM_MODULES: Final = {
    "Intake": "aidmesh_intake.api.context",
    "Inventory": "aidmesh_inventory.api.problems",
    "Payments": "aidmesh_payments.problems",
    "Notification": "aidmesh_notification.problems",
    "Reporting": "aidmesh_reporting.problems",
}

MEASURED_MODULES: Final = {
    "Intake": "aidmesh_intake.store.numbers",
    "Inventory": "aidmesh_inventory.store.numbers",
    "Payments": "aidmesh_payments.store.numbers",
    "Notification": "aidmesh_notification.store.numbers",
}
"""What a service measures besides what every service does."""

SERVICES: Final = ("intake", "inventory", "payments", "notification", "reporting", "console")

LOG_HEAD: Final = """# Words of the logs

Generated from the code by `make documents`; a test compares it with the code.
Every line is a JSON object: `ts`, `level`, `event`, `service` and `region`, the ids at hand, and
the fields of its event. To follow a need, look for its id in the lines of all services
(`aidmesh logs need=ID`). What is done by the batch is told by the batch, in counts, and only when
it is committed; with `AIDMESH_<SERVICE>_LOG_LEVEL=debug` intake tells each step of each need. What
waits for a server says so when it begins, once a minute, and by `wait.over` when it is there. Of
one event and level 120 lines a minute are written; how many more there were is told by
`log.suppressed`.
"""
METRICS_HEAD: Final = """# Metrics

Generated from the code by `make documents`; a test compares it with the code.
Every service answers on `/metrics` in the Prometheus format, with what is listed here for it and
with the `process_*` metrics of the Prometheus client (CPU, memory, open files). Services that share
a process report the same `process_*` numbers. A database, and so a way of messages, has every
service but the desk (console); keys for personal data have intake, inventory, payments and
notification. What scrapes them as alerts and dashboard expect:
[prometheus.yaml](../deploy/observability/prometheus.yaml).

"""
COMMANDS_HEAD: Final = """# Commands

Generated from the code by `make documents`; a test compares it with the code.
`aidmesh COMMAND --help` tells the options. Results go to standard output, as JSON with `--json`;
what is refused, and why, to standard error. `aidmesh --install-completion` has bash, zsh, fish or
PowerShell complete commands and options (`--output FILE` only writes the script).
"""
PROBLEMS_HEAD: Final = """# Problems

Generated from the code by `make documents`; a test compares it with the code.
Errors are problem details (RFC 9457): `type` is `urn:aidmesh:problem:` and the name below, and
`detail` says what to do.
"""
SETTINGS_HEAD: Final = """# Settings

Generated from the code by `make documents`; a test compares it with the code.
Every service reads its settings from the environment: `AIDMESH_`, the service, and the name below,
such as `AIDMESH_PAYMENTS_POOL_MAX`; what is not there, from a file of that name in lower case in
the folder that `AIDMESH_SECRETS_DIR` names, if it does. `aidmesh up` sets addresses, passwords and
keys by itself and leaves the rest to the environment that it was started in. Containers are handed
them as files, [the mail server's password](containers.md#settings-and-secrets) too; the rest is in
`deploy/containers/settings.env`.

What is missing or does not fit keeps a service from starting: `settings.refused` in its log, and
`aidmesh doctor`, name it and say what is wrong; `aidmesh up` ends with the same. A name that a
service does not know has no effect, and is told by `settings.unknown` with the one that was meant.
"""

SETTINGS_OF_SERVERS: Final = f"""
## NATS

Read from the environment by whatever writes the servers' configuration: `aidmesh up`,
`aidmesh topology render` and, of containers, the supervisor.

| name | default | what it is |
| --- | --- | --- |
| `{FILE_GIB_MAX}` | `{FILE_GIB_DEFAULT}` | GiB that a server's streams may take on its disk; when \
they are full nothing is published ([what to do](scaling.md#streams-that-grow)). |
"""


def documents() -> dict[str, str]:
    """The text of every generated file, by its path below the repository's root."""
    fields = fields_by_event()
    return {
        "docs/log-events.md": LOG_HEAD
        + table(
            "Fields of any line",
            ("field", "what it is"),
            ((f"`{name}`", meaning) for name, meaning in vocabulary.FIELDS.items()),
        )
        + "".join(_words(owner, events, fields) for owner, events in log_events().items()),
        "docs/metrics.md": METRICS_HEAD
        + "\n".join(
            f"## {owner}\n\n{metrics.reference(specs)}" for owner, specs in metric_specs().items()
        ),
        "docs/settings.md": SETTINGS_HEAD
        + "".join(_settings(owner, kind, of) for owner, kind, of in settings_classes())
        + SETTINGS_OF_SERVERS,
        "docs/commands.md": COMMANDS_HEAD
        + table(
            "Exit codes",
            ("code", "what it means"),
            ((str(code), what) for code, what in EXIT_CODES.items()),
        )
        + table(
            "Commands",
            ("command", "what it does", "JSON"),
            (
                (
                    f"`aidmesh {' '.join(each.words)}`",
                    each.what,
                    f"`{each.json}`" if each.json else "",
                )
                for each in listed(build())
            ),
        ),
        "docs/problems.md": PROBLEMS_HEAD
        + "".join(_kinds(owner, kinds) for owner, kinds in problem_types().items()),
        "docs/import.md": import_reference.page(),
        "docs/examples/requests.csv": import_reference.example(),
        "deploy/observability/alerts.yaml": runbooks.rules(ALERTS),
        "deploy/observability/dashboard.json": dashboard.dashboard(),
        "docs/runbooks/README.md": runbooks.index(ALERTS),
        **{f"docs/runbooks/{each.page}": runbooks.page(each) for each in ALERTS},
    }


def log_events() -> dict[str, Mapping[str, LogEvent]]:
    """The words of the logs, by whose they are."""
    own = {owner: import_module(module).EVENTS for owner, module in LOG_MODULES.items()}
    return {"Every service": vocabulary.EVENTS, **own}


def metric_specs() -> dict[str, tuple[MetricSpec, ...]]:
    """The metrics, by whose they are."""
    own = {
        owner: tuple(each.spec for each in import_module(module).MEASURED)
        for owner, module in MEASURED_MODULES.items()
    }
    return {
        "Every service": metrics.OF_REQUESTS,
        "Every service with a database": metrics.OF_MESSAGES,
        "Every service with keys for personal data": metrics.OF_KEYS,
        **own,
    }


def problem_types() -> dict[str, tuple[ProblemType, ...]]:
    """The problem types, by whose they are."""
    own = {owner: import_module(module).PROBLEMS for owner, module in PROBLEM_MODULES.items()}
    return {"Every service": problems.PROBLEMS, "Keys": key_routes.PROBLEMS, **own}


def settings_classes() -> list[tuple[str, type[ServiceSettings], type[ServiceSettings] | None]]:
    """The settings: whose they are, the class, and the class whose fields are not told again."""
    own = [
        (name.capitalize(), import_module(f"aidmesh_{name}.config").Settings, ServiceSettings)
        for name in SERVICES
    ]
    return [("Every service", ServiceSettings, None), *own]


def _settings(owner: str, kind: type[ServiceSettings], of: type[ServiceSettings] | None) -> str:
    said = described(kind)
    told_elsewhere = () if of is None else of.model_fields
    rows = [
        (f"`{name.upper()}`", _default(field), said[name])
        for name, field in kind.model_fields.items()
        if name not in told_elsewhere
    ]
    return table(owner, ("name", "default", "what it is"), rows) if rows else ""


def _default(field: FieldInfo) -> str:
    """As the environment would say it."""
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    text = value if isinstance(value, str) else to_json(value).decode().strip('"')
    return f"`{text}`"


def _words(owner: str, events: Mapping[str, LogEvent], fields: Mapping[str, frozenset[str]]) -> str:
    return table(
        owner,
        ("event", "level", "fields", "what it means", "what to do"),
        (
            (
                f"`{name}`",
                word.level,
                ", ".join(f"`{field}`" for field in sorted(fields.get(name, ()))),
                word.meaning,
                word.what_to_do,
            )
            for name, word in sorted(events.items())
        ),
    )


def _kinds(owner: str, kinds: Iterable[ProblemType]) -> str:
    return table(
        owner,
        ("name", "status", "title", "what to do"),
        ((f"`{kind.slug}`", str(kind.status), kind.title, kind.what_to_do) for kind in kinds),
    )


if __name__ == "__main__":
    if sys.argv[1:2] != ["write"] or len(sys.argv) != 3:
        sys.exit("usage: python -m aidmesh.reference write FOLDER")
    for name, text in documents().items():
        path = Path(sys.argv[2], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
