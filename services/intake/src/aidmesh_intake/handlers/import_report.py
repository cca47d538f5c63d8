"""What became of the rows of a file, as it is told and as it is stored: never by a value."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from aidmesh_intake.store import imports as store


@dataclass(slots=True)
class Report:
    """What became of a file's rows. Problems name line, column and rule, never a value."""

    import_id: UUID | None
    rows_total: int
    state: str = "running"
    accepted: int = 0
    skipped: int = 0
    rejected: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, object]] = field(default_factory=list)

    def add(self, chunk: "Chunk") -> None:
        """Count a chunk in."""
        self.accepted += chunk.accepted
        self.skipped += chunk.skipped
        self.rejected += len({problem["line"] for problem in chunk.problems})
        self.by_state.update(chunk.by_state)
        room = store.PROBLEMS_MAX - len(self.problems)
        self.problems.extend(chunk.problems[:room])

    def body(self) -> dict[str, object]:
        """The answer."""
        return {
            "import_id": self.import_id,
            "state": self.state,
            "rows_total": self.rows_total,
            "accepted": self.accepted,
            "skipped": self.skipped,
            "rejected": self.rejected,
            "by_state": dict(self.by_state),
            "problems": self.problems,
        }


@dataclass(slots=True)
class Chunk:
    """What became of a few hundred rows."""

    accepted: int = 0
    skipped: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, object]] = field(default_factory=list)

    def reject(
        self, line: int, column: str, rule: str, bounds: Mapping[str, str] | None = None
    ) -> None:
        """Note why a row is not taken in.

        Args:
            bounds: of a rule about days, which of them are possible.
        """
        self.problems.append({"line": line, "column": column, "rule": rule, **(bounds or {})})

    @property
    def counts(self) -> tuple[int, int, int]:
        """Accepted, skipped, rejected."""
        return self.accepted, self.skipped, len({each["line"] for each in self.problems})


def report_of(row: asyncpg.Record) -> Report:
    """A stored job as a report."""
    return Report(
        import_id=row["id"],
        rows_total=row["rows_total"],
        state=row["state"],
        accepted=row["accepted"],
        skipped=row["skipped"],
        rejected=row["rejected"],
        problems=json.loads(row["problems"]),
    )
