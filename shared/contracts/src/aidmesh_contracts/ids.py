"""Typed identifiers, and names derived where a retry must find the same one again.

Ids of persons are random (UUIDv4): a time-ordered id would tell when someone registered.
"""

from typing import NewType
from uuid import UUID, uuid5

AllotmentId = NewType("AllotmentId", UUID)
CommitmentId = NewType("CommitmentId", UUID)
GrantId = NewType("GrantId", UUID)
HouseholdId = NewType("HouseholdId", UUID)
LinkId = NewType("LinkId", UUID)
LotId = NewType("LotId", UUID)
MessageId = NewType("MessageId", UUID)
NeedId = NewType("NeedId", UUID)
PayeeRef = NewType("PayeeRef", UUID)
PayoutId = NewType("PayoutId", UUID)
PersonId = NewType("PersonId", UUID)
PurchaseId = NewType("PurchaseId", UUID)
RebalancingId = NewType("RebalancingId", UUID)
ReferralId = NewType("ReferralId", UUID)
RequestId = NewType("RequestId", UUID)
ReservationId = NewType("ReservationId", UUID)
ShipmentId = NewType("ShipmentId", UUID)
SiteId = NewType("SiteId", UUID)
TransferId = NewType("TransferId", UUID)

NAMESPACE = UUID("6f6a1d0e-4d6c-5d0b-9f5e-a1d3e5400001")


def derive_id(*parts: object) -> UUID:
    """Return the id that these parts always give (UUIDv5, RFC 9562 section 5.5).

    Args:
        parts: what makes the thing unique, such as effect, need, attempt and region. Their
            text is joined by a character that none of them may contain.

    Raises:
        ValueError: a part contains the separator, so two different lists could collide.
    """
    texts = [str(part) for part in parts]
    if any("\x1f" in text for text in texts):
        raise ValueError("a part of a derived id must not contain the unit separator")
    return uuid5(NAMESPACE, "\x1f".join(texts))
