"""What inventory may answer besides success, in words that say what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aidmesh_chassis.problems import NOT_FOUND, Problem, ProblemType


def _kind(slug: str, status: HTTPStatus, title: str, what_to_do: str) -> ProblemType:
    return ProblemType(slug, int(status), title, what_to_do)


PROBLEMS: Final[tuple[ProblemType, ...]] = (
    _kind(
        "unknown-site",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "There is no such site",
        "Name a site of this region by its id or code; see GET /v1/sites.",
    ),
    _kind(
        "unknown-item",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "There is no such item",
        "Add the item with POST /v1/items first, or correct its code.",
    ),
    _kind(
        "unknown-purchase",
        HTTPStatus.CONFLICT,
        "This purchase is not known here yet",
        "Check its id; if it was ordered just now, try again in a moment.",
    ),
    _kind(
        "purchase-canceled",
        HTTPStatus.CONFLICT,
        "This purchase was canceled",
        "Have finance order it anew, and receive the goods for that purchase.",
    ),
    _kind(
        "not-in-purchase",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The purchase has no such item",
        "Receive what was not ordered without a purchase, as a gift or a surplus.",
    ),
    _kind(
        "unknown-area",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "There is no such area",
        "Give the COD-AB P-code of an oblast or city, or a longer one inside it.",
    ),
    _kind(
        "code-taken",
        HTTPStatus.CONFLICT,
        "Something else has this code",
        "Choose another code, or look at what has it.",
    ),
    _kind(
        "unknown-lot",
        HTTPStatus.NOT_FOUND,
        "There is no such lot",
        "Check the lot's id; see GET /v1/lots.",
    ),
    _kind(
        "unknown-receipt",
        HTTPStatus.NOT_FOUND,
        "There is no such receipt",
        "Check the receipt's id; every lot names its own, see GET /v1/lots.",
    ),
    _kind(
        "already-reversed",
        HTTPStatus.CONFLICT,
        "This receipt was taken back already",
        "Nothing is left to do; enter what really came in as a new receipt.",
    ),
    _kind(
        "goods-gone",
        HTTPStatus.CONFLICT,
        "Some of these goods were handed out or sent to another region",
        "Undo those handovers first; what was sent stays sent. If they are right, so is the "
        "receipt: count what is left.",
    ),
    _kind(
        "version-changed",
        HTTPStatus.CONFLICT,
        "Somebody else changed it meanwhile",
        "Look at it again, and send the change with the version it has now.",
    ),
    _kind(
        "terms-of-purchase",
        HTTPStatus.CONFLICT,
        "These goods were bought, and their purchase says for what and in which currency",
        "Leave restriction and currency as they are; what a piece cost can be corrected. Goods of "
        "another purchase are taken back and received anew.",
    ),
    _kind(
        "more-than-on-hand",
        HTTPStatus.CONFLICT,
        "The lot has fewer pieces than that",
        "Count the lot and enter the count instead of a loss.",
    ),
    _kind(
        "same-site",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The goods are at this site already",
        "Name another site of this region; goods for another region go by a shipment.",
    ),
    _kind(
        "site-closed",
        HTTPStatus.CONFLICT,
        "This site is closed and takes nothing in",
        "Choose an open site, or open this one first.",
    ),
    _kind(
        "fewer-free",
        HTTPStatus.CONFLICT,
        "Fewer pieces of this lot are free",
        "Move what is free. What is set aside stays until it is handed over or given back; if more "
        "pieces are there than the lot has, count it first.",
    ),
    _kind(
        "unknown-reservation",
        HTTPStatus.NOT_FOUND,
        "Nothing is set aside for this",
        "Look the need up: it may wait, or be served by another region.",
    ),
    _kind(
        "not-confirmed",
        HTTPStatus.CONFLICT,
        "It is not confirmed yet",
        "Wait until the need is ready; what was given all the same is entered as aid given.",
    ),
    _kind(
        "already-issued",
        HTTPStatus.CONFLICT,
        "It was handed out already",
        "Nothing is left to do; undo it with a reason if that was a mistake.",
    ),
    _kind(
        "reservation-over",
        HTTPStatus.CONFLICT,
        "It is not set aside any more",
        "It ran out, was given back or taken back. The need waits again; what was given all the "
        "same is entered as aid given.",
    ),
    _kind(
        "prescription-not-seen",
        HTTPStatus.CONFLICT,
        "This is handed over on prescription only",
        "Look at the prescription, then send it again with the day under `prescription_seen_on`.",
    ),
    _kind(
        "wrong-way",
        HTTPStatus.CONFLICT,
        "This is handed out in another way",
        "Goods are handed over, beds are checked in to, slots are attended.",
    ),
    _kind(
        "stay-over",
        HTTPStatus.CONFLICT,
        "All booked nights have passed",
        "Book anew from the day the guest came.",
    ),
    _kind(
        "serials-do-not-fit",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The serial numbers do not fit what is handed over",
        "Give each serial number once, and no more of them than there are things.",
    ),
    _kind(
        "not-issued",
        HTTPStatus.CONFLICT,
        "There is nothing to undo",
        "It is not handed out (any more). Aid entered as given is corrected where it was entered.",
    ),
    _kind(
        "not-checked-in",
        HTTPStatus.CONFLICT,
        "The guest is not checked in",
        "Check the guest in first, with the day they came.",
    ),
    _kind(
        "already-checked-out",
        HTTPStatus.CONFLICT,
        "The guest has checked out",
        "Nothing is left to do.",
    ),
    _kind(
        "not-checked-out",
        HTTPStatus.CONFLICT,
        "The guest has not checked out",
        "Nothing is left to take back; check the guest out when they leave.",
    ),
    _kind(
        "day-gone-by",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "That day has come already",
        "Give the day on which the guest will leave, tomorrow in Kyiv at the earliest.",
    ),
    _kind(
        "left-before-arrival",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "That is before the guest came",
        "Give the day on which the guest left.",
    ),
    _kind(
        "day-in-future",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "That day has not come yet",
        "Give the day on which it happened, today in Kyiv at the latest.",
    ),
    _kind(
        "not-open",
        HTTPStatus.CONFLICT,
        "It is not open",
        "Look at its state; somebody may have closed it already.",
    ),
    _kind(
        "not-closed",
        HTTPStatus.CONFLICT,
        "It is not closed",
        "Look at its state; somebody may have opened it already.",
    ),
    _kind(
        "in-use",
        HTTPStatus.CONFLICT,
        "Somebody uses or has booked it",
        "Check guests out and release bookings first.",
    ),
    _kind(
        "still-in-use",
        HTTPStatus.CONFLICT,
        "It is in use as it is",
        "Nothing is left to do.",
    ),
    _kind(
        "row-changed",
        HTTPStatus.CONFLICT,
        "This row was sent before with other content",
        "Correct what was recorded through its own route, or give a new row a new row_id.",
    ),
    _kind(
        "professional-busy",
        HTTPStatus.CONFLICT,
        "The professional has another slot then",
        "Choose another time or another professional.",
    ),
    _kind(
        "came-by-shipment",
        HTTPStatus.CONFLICT,
        "These goods came from another region",
        "They were credited by what was counted. Count the lot, and enter what is really there.",
    ),
    _kind(
        "own-region",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Another region is needed",
        "Name the region, and its site, that the goods come from or go to.",
    ),
    _kind(
        "unknown-transfer",
        HTTPStatus.NOT_FOUND,
        "Nobody asked this region for that",
        "Check its id; see GET /v1/transfers.",
    ),
    _kind(
        "already-answered",
        HTTPStatus.CONFLICT,
        "This was answered already",
        "Look at the answer; what more is needed is asked for anew.",
    ),
    _kind(
        "more-than-asked",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "That is more than was asked for",
        "Accept what was asked for at the most; more can be sent unasked.",
    ),
    _kind(
        "no-proposal",
        HTTPStatus.CONFLICT,
        "That is not proposed any more",
        "Look at the proposals again: nobody waits for it, it is asked for already, or that region "
        "has no more of it, or is not heard.",
    ),
    _kind(
        "rule-in-force",
        HTTPStatus.CONFLICT,
        "There is a rule for this already",
        "End it first.",
    ),
    _kind(
        "unknown-rule",
        HTTPStatus.NOT_FOUND,
        "There is no such rule in force",
        "Look at the rules; somebody may have ended it already.",
    ),
    _kind(
        "week-below-ask",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "A week allows less than a single ask",
        "Let `week_max` be `ask_max` at the least.",
    ),
    _kind(
        "not-accepted",
        HTTPStatus.CONFLICT,
        "This was not accepted",
        "Accept it first, or send the goods unasked.",
    ),
    _kind(
        "ask-withdrawn",
        HTTPStatus.CONFLICT,
        "Whoever asked for this does not want it any more",
        "Cancel its shipments that have not left, or send the goods unasked.",
    ),
    _kind(
        "not-what-was-asked",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Something else was asked for",
        "Send other goods by a shipment of their own, unasked.",
    ),
    _kind(
        "more-than-accepted",
        HTTPStatus.CONFLICT,
        "That is more than was promised for this ask",
        "All its shipments count, but for those that were cancelled. Send the rest unasked.",
    ),
    _kind(
        "unknown-shipment",
        HTTPStatus.NOT_FOUND,
        "There is no such shipment",
        "Check its id; if it came without its event, take it in by its manifest.",
    ),
    _kind(
        "not-preparing",
        HTTPStatus.CONFLICT,
        "This shipment is not being prepared any more",
        "What left stays as it is; begin another shipment for what is missing.",
    ),
    _kind(
        "not-one-site",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The lots are not at one site",
        "Make a shipment of each site of its own.",
    ),
    _kind(
        "nothing-to-send",
        HTTPStatus.CONFLICT,
        "There is nothing in this shipment",
        "Add lots first.",
    ),
    _kind(
        "not-free",
        HTTPStatus.CONFLICT,
        "Not all of it is free any more",
        "Somebody was promised the goods, or they expired: send what is free, and cancel a "
        "shipment that was to have more.",
    ),
    _kind(
        "not-dispatched",
        HTTPStatus.CONFLICT,
        "This shipment has not left",
        "Its sender has to dispatch it first; goods that came all the same have a manifest.",
    ),
    _kind(
        "unknown-line",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The shipment has no such line",
        "Receive what is on no line as a receipt of its own.",
    ),
    _kind(
        "already-counted",
        HTTPStatus.CONFLICT,
        "This line was counted already",
        "A line is counted once; if the shelf says something else, count the lot.",
    ),
    _kind(
        "reason-missing",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "A reason is needed where not all came as it was sent",
        "Give a code, such as wet, broken_seal or miscounted.",
    ),
    _kind(
        "manifest-damaged",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "This is no manifest, or it is damaged",
        "Read its codes again, each to the end.",
    ),
    _kind(
        "manifest-incomplete",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Not all codes of the manifest are there",
        "Read every code that was printed; their order does not matter.",
    ),
    _kind(
        "manifest-forged",
        HTTPStatus.FORBIDDEN,
        "The manifest is not signed by its sender",
        "Do not take the goods in by it. Call the sending region; the shipment's event will tell.",
    ),
    _kind(
        "manifest-elsewhere",
        HTTPStatus.CONFLICT,
        "The manifest is for another region",
        "Send the goods on, or call the sending region.",
    ),
)
"""Inventory's part of the catalogue of problems."""

BY_SLUG: Final[Mapping[str, ProblemType]] = {kind.slug: kind for kind in (NOT_FOUND, *PROBLEMS)}


def problem(slug: str) -> Problem:
    """The problem with this slug."""
    return Problem(BY_SLUG[slug])
