"""The words of the desk in the logs."""

from collections.abc import Mapping
from typing import Final

from aidmesh_chassis.vocabulary import LogEvent

EVENTS: Final[Mapping[str, LogEvent]] = {
    "visit.began": LogEvent("info", "Someone signed in; `staff_id` is the random id of staff."),
    "visit.refused": LogEvent(
        "warning",
        "A sign-in was refused: wrong name or password, a token of another region, or too many "
        "attempts.",
        "Many of them in a short time: someone is guessing; look at who can reach the desk.",
    ),
    "visit.ended": LogEvent("info", "Someone signed out."),
    "staff.unreadable": LogEvent(
        "error",
        "The staff file cannot be read, so nobody can sign in by name.",
        "Look at the file in the keys folder: its mode, and the line that is named.",
    ),
    "service.away": LogEvent(
        "warning",
        "A service did not answer the desk in time; the page showed the rest.",
        "Look at /readyz of the service named in `of`.",
    ),
    "service.puzzled": LogEvent(
        "error",
        "A service answered something that the desk does not understand.",
        "The desk and the service named in `of` are of different versions; deploy the same.",
    ),
    "list.cut": LogEvent(
        "warning",
        "A list has more rows than the desk puts together on one page; the page said so.",
        "Look whether so many sites, items or allotments are in use; close what is not.",
    ),
    "form.stale": LogEvent(
        "warning",
        "A form was sent without the proof that the desk had given it out.",
        "One now and then is a visit that ended meanwhile; many mean that another site sends "
        "forms in staff's name: ask whose browser it is.",
    ),
}
