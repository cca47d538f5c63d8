"""Problems particular to reporting."""

from typing import Final

from aidmesh_chassis.problems import ProblemType

PERIOD: Final = ProblemType(
    "period-not-possible",
    422,
    "This period cannot be reported",
    "Give a first and a last day in this order, at most ten years apart.",
)
TOO_MANY_LINES: Final = ProblemType(
    "too-many-lines",
    422,
    "These results have more lines than are given at once",
    "Choose coarser: split by fewer things, or ask for a shorter period; years or months asked for"
    " one after the other give the same lines.",
)
NOT_OVER: Final = ProblemType(
    "month-not-over",
    409,
    "This month is not over",
    "Settle a month after its last day, when its services have been entered.",
)

PROBLEMS: Final[tuple[ProblemType, ...]] = (PERIOD, TOO_MANY_LINES, NOT_OVER)
"""Reporting's part of the catalogue."""
