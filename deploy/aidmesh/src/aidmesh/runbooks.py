"""Alerts as Prometheus reads them, and as people do: a page for each on what to do."""

from collections.abc import Sequence

from aidmesh.alerts import Alert


def rules(alerts: Sequence[Alert]) -> str:
    """The rules, as Prometheus reads them."""
    lines = ["# Written by `make documents` from aidmesh/alerts.py.", "groups:", "- name: aidmesh",
             "  rules:"]  # fmt: skip
    for alert in alerts:
        lines += [
            f"  - alert: {alert.name}",
            f"    expr: {_quoted(alert.expr)}",
            f"    for: {alert.lasting}",
            f"    labels: {{severity: {alert.severity}}}",
            "    annotations:",
            f"      summary: {_quoted(alert.summary)}",
            f"      runbook: docs/runbooks/{alert.page}",
        ]
    return "\n".join([*lines, ""])


def page(alert: Alert) -> str:
    """What to do when it rings."""
    when = {"page": "now, at any hour", "ticket": "in the morning"}[alert.severity]
    return "\n".join(
        [
            f"# {alert.name}",
            "",
            f"Somebody sees to it {when}. It rings when this holds for {alert.lasting}:",
            "",
            f"    {alert.expr}",
            "",
            alert.harm,
            "",
            "Look at:",
            "",
            *(f"- {line}" for line in alert.look),
            "",
            "Do:",
            "",
            *(f"- {line}" for line in alert.do),
            "",
        ]
    )


def index(alerts: Sequence[Alert]) -> str:
    """The list of all pages."""
    return "\n".join(
        [
            "# Runbooks",
            "",
            (
                "Written by `make documents`; a page for each alert of "
                "`deploy/observability/alerts.yaml`. Begin with `aidmesh doctor --data DIR`; it "
                "names most of this by itself. `aidmesh logs --explain` says what each line of a "
                "log asks for ([list](../log-events.md))."
            ),
            "",
            "| alert | urgent | what people notice |",
            "| --- | --- | --- |",
            *(
                f"| [{alert.name}]({alert.page}) | {alert.severity} | {alert.harm} |"
                for alert in alerts
            ),
            "",
        ]
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
