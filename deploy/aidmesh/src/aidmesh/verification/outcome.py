"""What a verification found."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

SHOWN_MAX = 5
"""Violations shown per check; all are counted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check of one region (or of the mesh): `ok`, or what was found."""

    name: str
    ok: bool
    detail: str


def outcome(name: str, promise: str, violations: Sequence[str]) -> Outcome:
    """Turn a list of violations into an outcome; an empty one keeps the promise."""
    if not violations:
        return Outcome(name, ok=True, detail=promise)
    shown = "; ".join(violations[:SHOWN_MAX])
    more = len(violations) - SHOWN_MAX
    return Outcome(name, ok=False, detail=f"{shown}{f'; and {more} more' if more > 0 else ''}")


@dataclass(frozen=True, slots=True)
class Verification:
    """The whole: `ok` when the mesh was settled and every check was.

    Attributes:
        canaries: how many planted personal values were searched for; with none nothing can be
            said of personal data.
    """

    settled: bool
    unsettled: str
    canaries: int
    checks: tuple[Outcome, ...]

    @property
    def ok(self) -> bool:
        """Whether everything promised holds."""
        return self.settled and all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "ok": self.ok,
            "settled": self.settled,
            "unsettled": self.unsettled,
            "canaries": self.canaries,
            "checks": [asdict(check) for check in self.checks],
        }
