"""What regions asked each other for, and what may be sent as an answer. No I/O.

The owner answers once; whoever asked may withdraw the ask, and that stands whatever was answered
meanwhile. So both ends agree in whatever order the words come. What has left comes all the same.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from aidmesh_contracts.inventory_shipments import TransferAnsweredV1

State = Literal["asked", "accepted", "refused", "withdrawn"]
AnswerFault = Literal["already-answered", "ask-withdrawn", "more-than-asked"]
SendFault = Literal["not-accepted", "ask-withdrawn", "not-what-was-asked", "more-than-accepted"]


class Ask(NamedTuple):
    """An ask as its owner answered it: `accepted` pieces of `item`; None without such an answer."""

    item: str
    quantity: int
    state: State
    accepted: int | None


def unanswerable(ask: Ask, accepted: int | None) -> AnswerFault | None:
    """Why the owner can't accept so many pieces, or refuse (None); None if they can."""
    if ask.state != "asked":
        return "ask-withdrawn" if ask.state == "withdrawn" else "already-answered"
    return "more-than-asked" if accepted is not None and accepted > ask.quantity else None


def can_be(ask: Ask, answer: TransferAnsweredV1) -> bool:
    """Whether an owner may have answered so: refused, or accepted what was asked at the most."""
    if answer.answer == "refused":
        return answer.quantity is None
    return answer.quantity is not None and answer.quantity <= ask.quantity


def still_wanted(ask: Ask) -> bool:
    """Whether there is anything to withdraw."""
    return ask.state in ("asked", "accepted")


def unfit(ask: Ask, wanted: Mapping[str, int], elsewhere: int) -> SendFault | None:
    """Why a shipment can't be sent as an answer to an ask; None if it can.

    Args:
        wanted: all pieces of the shipment, by item.
        elsewhere: pieces of the ask's other shipments, unless those were given up.
    """
    if ask.state == "withdrawn":
        return "ask-withdrawn"
    if ask.state != "accepted" or ask.accepted is None:
        return "not-accepted"
    if wanted.keys() - {ask.item}:
        return "not-what-was-asked"
    if elsewhere + sum(wanted.values()) > ask.accepted:
        return "more-than-accepted"
    return None
