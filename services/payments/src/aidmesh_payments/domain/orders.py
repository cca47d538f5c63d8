"""Payouts of other regions that this office pays.

    received → exported → settled → returned
    rejected (before it was booked), cancelled (asked back before it left)

The holder's approver is the first of the two people that a payment above the float limit takes;
whoever settles it here is the second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

from aidmesh_payments.domain import payout as payouts
from aidmesh_payments.domain.payout import Payout, PayoutRefusal, PayoutState

OrderState = Literal["received", "exported", "settled", "rejected", "returned", "cancelled"]
OrderVerb = Literal["export", "settle", "reject", "return"]

UNREADABLE: Final = "unreadable"
"""Why an order is rejected whose box this office cannot open."""

_AS_PAYOUT: Mapping[OrderState, PayoutState] = {
    "received": "approved",
    "exported": "exported",
    "settled": "settled",
    "rejected": "rejected",
    "returned": "returned",
    "cancelled": "cancelled",
}
_AS_ORDER = {payout_state: state for state, payout_state in _AS_PAYOUT.items()}


@dataclass(frozen=True, slots=True)
class Order:
    """State of an order.

    Attributes:
        amount_minor, currency, approver: None until the box is opened.
        sealed_by: who said at the holder where it goes; None of what is older than that.
        version: counts its states, for the holder.
    """

    amount_minor: int | None = None
    currency: str | None = None
    approver: UUID | None = None
    sealed_by: UUID | None = None
    state: OrderState = "received"
    reason: str | None = None
    settler: UUID | None = None
    reviewer: UUID | None = None
    review_due_at: datetime | None = None
    version: int = 1


def _as_payout(order: Order) -> Payout | None:
    if order.amount_minor is None or order.currency is None:
        return None
    return Payout(
        amount_minor=order.amount_minor,
        currency=order.currency,
        state=_AS_PAYOUT[order.state],
        reason=order.reason,
        approver=order.approver,
        sealed_by=order.sealed_by,
        settler=order.settler,
        reviewer=order.reviewer,
        review_due_at=order.review_due_at,
        version=order.version,
    )


def step(
    order: Order,
    verb: OrderVerb,
    by: UUID,
    now: datetime,
    *,
    float_limit_minor: int,
    reason: str | None = None,
    settled_on: date | None = None,
    is_forgotten: bool = False,
) -> Order | PayoutRefusal:
    """Take one step, as with a payout of the own region; an unread order takes none."""
    before = _as_payout(order)
    if before is None:
        return PayoutRefusal.WRONG_STATE
    after = payouts.step(
        before,
        verb,
        by,
        now,
        float_limit_minor=float_limit_minor,
        reason=reason,
        settled_on=settled_on,
        is_forgotten=is_forgotten,
    )
    if isinstance(after, PayoutRefusal):
        return after
    return replace(
        order,
        state=_AS_ORDER[after.state],
        reason=after.reason,
        settler=after.settler,
        review_due_at=after.review_due_at,
        version=after.version,
    )


def withdraw(order: Order) -> Order:
    """The holder asks it back: what has left, or is over, stays as it is."""
    if order.state != "received":
        return order
    return replace(order, state="cancelled", version=order.version + 1)


def refuse_unreadable(order: Order) -> Order:
    """The box cannot be opened here: the holder has to draw the payout up again."""
    assert order.state == "received"
    return replace(order, state="rejected", reason=UNREADABLE, version=order.version + 1)


def review(order: Order, by: UUID) -> Order | PayoutRefusal:
    """A second person looked at an order that one person paid alone; nobody else is told."""
    before = _as_payout(order)
    if before is None:
        return PayoutRefusal.ALREADY_REVIEWED
    after = payouts.review(before, by)
    return after if isinstance(after, PayoutRefusal) else replace(order, reviewer=after.reviewer)
