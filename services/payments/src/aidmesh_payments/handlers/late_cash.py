"""Payouts, most of them cash, that were let go and had been paid: a fact, come what may."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from aidmesh_contracts.ids import derive_id
from aidmesh_payments.domain import commitments as rules
from aidmesh_payments.domain.allotments import NotEnough
from aidmesh_payments.domain.commitments import Commitment
from aidmesh_payments.handlers.book import Book
from aidmesh_payments.handlers.ending import (
    cancelled,
    discrepancy_of,
    let_go,
    payout_state,
    released_event,
)
from aidmesh_payments.handlers.spending import pay, tell_unfunded
from aidmesh_payments.store.discrepancies import Discrepancy
from aidmesh_payments.store.payouts import PayoutRow

Other = tuple[Commitment, PayoutRow | None]
"""Another attempt of the need, with its payout that is not over."""


@dataclass(frozen=True, slots=True)
class PaidLate:
    """What became of the books.

    Attributes:
        discrepancy: what the books could not bear.
        released, given_up: what another attempt held for a payment that is not to follow.
    """

    row: PayoutRow
    commitment: Commitment
    discrepancy: Discrepancy | None
    released: Sequence[Commitment]
    given_up: Sequence[PayoutRow]


def pay_late(
    book: Book, row: PayoutRow, commitment: Commitment, others: Sequence[Other], on: date
) -> PaidLate:
    """Record a payment of which word came late, and keep the need from being paid again.

    The need is served by it, whatever attempt it is at, and intake is told at once. What another
    attempt holds is free, for this payment first. Where a payment of another attempt has left, or
    the money is gone, a person has to find some.
    """
    released: list[Commitment] = []
    given_up: list[PayoutRow] = []
    paid_twice = False
    for other, live in others:
        if live is not None and live.has_left:
            paid_twice = True
        elif other.state in ("held", "committed"):
            released.append(let_go(book, other, "withdrawn"))
            given_up += [] if live is None else [cancelled(live)]
    lacking = "paid_twice" if paid_twice else _take_up_again(book, commitment)
    odd: Discrepancy | None = None
    if lacking is None:
        commitment = pay(book, replace(commitment, state="committed", cause=None), row, on)
    else:
        commitment = rules.pay_unfunded(commitment)
        row = replace(row, paid_twice=paid_twice)
        odd = discrepancy_of(commitment, lacking, on)
        odd = odd._replace(id=derive_id("discrepancy", lacking, row.id))
        tell_unfunded(book, commitment, row.id, on)
    # Intake hears of the payment before it hears that anything was let go.
    for each in given_up:
        book.tx.emit(payout_state(each), version=each.payout.version)
    for gone in released:
        book.tx.emit(released_event(gone))
    return PaidLate(row, commitment, odd, released, given_up)


def _take_up_again(book: Book, commitment: Commitment) -> Literal["no_money"] | None:
    try:
        book.put(book[commitment.allotment_id].commit_free(commitment.amount_minor))
    except NotEnough:
        return "no_money"
    return None
