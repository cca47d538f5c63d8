"""The words of reporting's logs."""

from collections.abc import Mapping
from typing import Final

from aidmesh_chassis.vocabulary import LogEvent

EVENTS: Final[Mapping[str, LogEvent]] = {
    "reporting.rebuilt": LogEvent(
        "info", "The read models were made anew from the kept events: how many, how long."
    ),
}
