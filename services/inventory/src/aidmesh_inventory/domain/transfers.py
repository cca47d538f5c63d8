"""What regions asked each other for: what may be sent as an answer. No I/O."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

State = Literal["asked", "accepted", "refused"]
SendFault = Literal["not-accepted", "not-what-was-asked", "more-than-accepted"]


class Ask(NamedTuple):
    """An ask as its owner answered it: `accepted` pieces of `item`; None without such an answer."""

    item: str
    state: State
    accepted: int | None


def unfit(ask: Ask, wanted: Mapping[str, int], elsewhere: int) -> SendFault | None:
    """Why a shipment can't be sent as an answer to an ask; None if it can.

    Args:
        wanted: all pieces of the shipment, by item.
        elsewhere: pieces of the ask's other shipments, unless those were given up.
    """
    if ask.state != "accepted" or ask.accepted is None:
        return "not-accepted"
    if wanted.keys() - {ask.item}:
        return "not-what-was-asked"
    if elsewhere + sum(wanted.values()) > ask.accepted:
        return "more-than-accepted"
    return None
