"""The result page in the terminal."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from aidmesh.demo import facts
from aidmesh.demo.results import DemoResult
from aidmesh.demo.run import Login

MINOR_DIGITS = 2
AREA_NAMES = {area.code: area.name for area in facts.AREAS}

TOLD_WEEKS = (1, 13, 26, 39, 52)
"""Off a terminal a line for each of these is enough to see that it goes on."""


class Bars:
    """Weeks played and services recorded, with needs a second; plain lines off a terminal."""

    def __init__(self, console: Console, services: int) -> None:
        self._console = console
        self._told = 0
        self.display = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[rate]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._weeks = self.display.add_task("weeks of 2024", total=facts.WEEKS, rate="")
        self._services = self.display.add_task("services", total=services, rate="")

    def __call__(self, week: int, services: int, needs: int) -> None:
        """Show how far the year is."""
        self.display.update(self._weeks, completed=week)
        task = self.display.tasks[self._services]
        rate = needs / task.elapsed if task.elapsed else 0.0
        self.display.update(self._services, completed=services, rate=f"{rate:.0f} needs/s")
        if not self._console.is_terminal and week != self._told and week in TOLD_WEEKS:
            self._told = week
            self._console.print(f"week {week} of {facts.WEEKS}: {services} services")


def thousands(amount_minor: int) -> str:
    """An amount of minor units in thousands of major ones."""
    return f"{amount_minor / 10**MINOR_DIGITS / 1000:,.1f}"


def show(console: Console, result: DemoResult) -> None:
    """Print what the year came to."""
    console.print()
    console.rule("2024, synthetic, fitted to public totals")
    console.print(
        f"[bold]{result.people:,}[/] people · [bold]{result.services:,}[/] services · "
        f"{result.contacts:,} contacts of outreach and groups · {result.waitlisted:,} needs wait"
    )
    console.print()
    console.print(_regions(result))
    console.print(_counts("Services by kind", "kind", result.services_by_kind))
    console.print(_areas(result))
    console.print(_grants(result))
    if result.waiting_for:
        console.print(_counts("Waitlist", "waits for", result.waiting_for))
    console.print(
        f"Played in {result.seconds:.1f} s, {result.needs_per_s:.0f} needs/s; from approval to "
        f"ready: median {result.latency_ms.p50:.0f} ms, 95 % within {result.latency_ms.p95:.0f} ms"
    )
    bad = [check for check in result.verify.checks if not check.ok]
    for check in bad:
        console.print(f"[red]does not hold[/] {check.name}: {check.detail}", highlight=False)
    good = len(result.verify.checks) - len(bad)
    verdict = "[green]verified[/]" if result.verify.ok else "[red]NOT verified[/]"
    console.print(f"{verdict}: {good} of {len(result.verify.checks)} checks hold")


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _regions(result: DemoResult) -> Table:
    table = _table("Regions", ("region", "people", "services", "contacts", "waiting"))
    for region in result.regions:
        table.add_row(
            region.region,
            f"{region.people:,}",
            f"{region.services:,}",
            f"{region.contacts:,}",
            f"{region.waitlisted:,}",
        )
    return table


def _counts(title: str, column: str, counts: Mapping[str, int]) -> Table:
    table = _table(title, (column, "count"))
    for key, count in counts.items():
        table.add_row(key, f"{count:,}")
    return table


def _areas(result: DemoResult) -> Table:
    table = _table("By area", ("area", "people", "services"))
    for area, services in result.services_by_area.items():
        name = f"{AREA_NAMES.get(area, '')} {area}".strip()
        table.add_row(name, f"{result.people_by_area.get(area, 0):,}", f"{services:,}")
    return table


def _grants(result: DemoResult) -> Table:
    spending = ", ".join(sorted({grant.spending_currency for grant in result.grants}))
    title = f"Money by grant, in thousands; held, committed, spent and returned in {spending}"
    columns = ("grant", "", "received", "allotted", "held", "committed", "spent", "returned")
    table = _table(title, columns)
    for grant in result.grants:
        table.add_row(
            grant.code,
            grant.currency,
            thousands(grant.received_minor),
            thousands(grant.allotted_minor),
            thousands(grant.held_minor),
            thousands(grant.committed_minor),
            thousands(grant.spent_minor),
            thousands(grant.returned_minor),
        )
    return table


def show_doors(
    console: Console,
    result: DemoResult,
    logins: Sequence[Login],
    tokens: Mapping[str, str],
    tokens_file: str,
) -> None:
    """Print where the mesh is and how to come in.

    Args:
        tokens: of the first region, by role.
        tokens_file: where those of all regions are.
    """
    console.print()
    for region in result.regions:
        console.print(f"[bold]{region.console}[/]  the desk of {region.region}", highlight=False)
    table = Table(title="Sign in at any desk", title_justify="left", box=SIMPLE_HEAD)
    for column in ("name and role", "password"):
        table.add_column(column, no_wrap=True)
    for login in logins:
        table.add_row(login.name, login.password)
    console.print(table)
    console.print(f"Tokens of {result.regions[0].region}; those of all regions: {tokens_file}")
    for role, token in tokens.items():
        console.print(f"{role}: {token}", highlight=False, soft_wrap=True)
    console.print(
        "Every center has food parcels and hygiene kits to hand out, to try the desk with."
    )
    console.print("The mesh stays up; Ctrl-C stops it.")
