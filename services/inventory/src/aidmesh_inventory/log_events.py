"""The words of inventory's logs."""

from collections.abc import Mapping
from typing import Final

from aidmesh_chassis.vocabulary import LogEvent

EVENTS: Final[Mapping[str, LogEvent]] = {
    "reservation.held": LogEvent("debug", "Something was set aside for needs."),
    "reservation.refused": LogEvent(
        "info",
        "There was nothing to set aside for needs: `reasons`, and what of it (`resources`), as "
        "counts; `need_id` where it was one.",
    ),
    "reservation.confirmed": LogEvent("debug", "What was set aside became firm."),
    "reservation.issued": LogEvent(
        "debug",
        "Goods were handed over, guests checked in, appointments attended; `faults` counts those "
        "that could not be, by why.",
    ),
    "reservation.reversed": LogEvent("info", "A handover was undone."),
    "reservation.released": LogEvent("debug", "What was set aside was given up by its need."),
    "reservation.lapsed": LogEvent(
        "info",
        "What was set aside went back without its need's doing: not confirmed in time, not "
        "collected, nobody came, or the site closed; see `cause`.",
    ),
    "lots.terms_renewed": LogEvent(
        "info",
        "The terms of grants changed, and `lots` of goods bought from them follow; of `changed` "
        "other uses are allowed now.",
    ),
    "discrepancy.opened": LogEvent(
        "info",
        "Facts do not fit the books; `whys` says how. They wait for a person.",
        "Nothing; logisticians see them under GET /v1/discrepancies.",
    ),
}
