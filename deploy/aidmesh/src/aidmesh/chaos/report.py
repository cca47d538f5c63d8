"""What a run came to: as JSON, and in the terminal."""

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from aidmesh.chaos.nemesis import Injected
from aidmesh.chaos.violation import Violation

SHOWN_MAX: Final = 20
EVENTS_SHOWN_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Report:
    """One run.

    Attributes:
        seconds: for which there were load and faults.
        operations: see `aidmesh.chaos.judge.counted`.
    """

    seed: int
    seconds: float
    regions: tuple[str, ...]
    faults: tuple[Injected, ...]
    operations: Mapping[str, object]
    violations: tuple[Violation, ...]

    @property
    def recovery_s(self) -> dict[str, float | None]:
        """Half of the faults were recovered from within `p50`, all within `max`."""
        times = [each.recovered_s for each in self.faults if each.recovered_s is not None]
        if not times:
            return {"p50": None, "max": None}
        return {"p50": round(statistics.median(times), 2), "max": max(times)}

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "regions": list(self.regions),
            "faults": [
                {
                    **asdict(each.fault),
                    "injected_at_s": each.injected_at_s,
                    "healed_at_s": each.healed_at_s,
                    "recovered_s": each.recovered_s,
                    "waited_s": dict(each.recovery.waited_s),
                    "missed": each.missed,
                }
                for each in self.faults
            ],
            "operations": dict(self.operations),
            "violations": [asdict(each) for each in self.violations],
            "recovery_s": self.recovery_s,
        }

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(self.as_json(), indent=1, default=str) + "\n", encoding="utf-8")


def show(console: Console, report: Report) -> None:
    """Print it."""
    console.print()
    console.rule(f"seed {report.seed}, {report.seconds:.0f} s, {', '.join(report.regions)}")
    console.print(_faults(report.faults))
    console.print(_operations(report.operations))
    recovery = report.recovery_s
    if recovery["max"] is not None:
        console.print(
            f"Recovered within {recovery['p50']} s (median), {recovery['max']} s (longest)"
        )
    for violation in report.violations[:SHOWN_MAX]:
        where = f"{violation.region}: " if violation.region else ""
        console.print(f"[red]broken[/] {violation.promise}", highlight=False)
        console.print(f"  {where}{violation.what}", highlight=False, markup=False)
        for event in violation.events[:EVENTS_SHOWN_MAX]:
            console.print(f"    {event['at']} {event['by']} {event['type']}", highlight=False)
        if violation.note:
            console.print(f"    ({violation.note})", highlight=False, markup=False)
    more = len(report.violations) - SHOWN_MAX
    if more > 0:
        console.print(f"… and {more} more")
    verdict = "[green]0 violations[/]" if not report.violations else "[red]violations[/]"
    console.print(f"{verdict}: {len(report.violations)}" if report.violations else verdict)


def _faults(faults: Sequence[Injected]) -> Table:
    table = Table(title="Faults", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("fault", "injected", "missed", "longest recovery, s"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    kinds = Counter(each.fault.kind for each in faults)
    for kind, count in sorted(kinds.items()):
        of_kind = [each for each in faults if each.fault.kind is kind]
        missed = sum(each.missed is not None for each in of_kind)
        times = [each.recovered_s for each in of_kind if each.recovered_s is not None]
        table.add_row(
            kind, str(count - missed), str(missed or ""), f"{max(times):.1f}" if times else ""
        )
    return table


def _operations(operations: Mapping[str, object]) -> Table:
    table = Table(title="Operations", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("what")
    table.add_column("count", justify="right")
    for name, value in operations.items():
        if isinstance(value, int):
            table.add_row(name.replace("_", " "), f"{value:,}")
    return table
