"""The words of payments' logs. No amounts: with a need's id they would tell what it is for."""

from collections.abc import Mapping
from typing import Final

from aidmesh_chassis.vocabulary import LogEvent

EVENTS: Final[Mapping[str, LogEvent]] = {
    "commitment.held": LogEvent("debug", "Money was set aside for needs."),
    "commitment.refused": LogEvent(
        "info",
        "There was no money to set aside for needs, or what was had run out: `reasons` as counts; "
        "`need_id` where it was one.",
    ),
    "commitment.made": LogEvent("debug", "Money that was set aside became firm."),
    "commitment.released": LogEvent("debug", "Money that was set aside was given up by its need."),
    "commitment.lapsed": LogEvent(
        "info",
        "Money that was set aside went back without its need's doing: not confirmed in time, or "
        "not collected; see `cause`.",
    ),
    "commitment.withdrawn_late": LogEvent(
        "warning",
        "Needs were withdrawn after their payouts had left for the bank.",
        "Finance sees them under GET /v1/discrepancies: they find out whether it was paid.",
    ),
}
