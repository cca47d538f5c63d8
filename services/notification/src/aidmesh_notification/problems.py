"""Problems particular to notification."""

from typing import Final

from aidmesh_chassis.problems import ProblemType

NOT_REPORTABLE: Final = ProblemType(
    "not-reportable",
    409,
    "This message's state does not allow this report",
    "Look at its state: only what was sent can be reported, and not in two ways.",
)

PROBLEMS: Final[tuple[ProblemType, ...]] = (NOT_REPORTABLE,)
"""Notification's part of the catalogue."""
