"""Problems particular to reporting."""

from typing import Final

from aidmesh_chassis.problems import ProblemType

PERIOD: Final = ProblemType(
    "period-not-possible",
    422,
    "This period cannot be reported",
    "Give a first and a last day in this order, at most ten years apart.",
)
NOT_OVER: Final = ProblemType(
    "month-not-over",
    409,
    "This month is not over",
    "Settle a month after its last day, when its services have been entered.",
)

PROBLEMS: Final[tuple[ProblemType, ...]] = (PERIOD, NOT_OVER)
"""Reporting's part of the catalogue."""
