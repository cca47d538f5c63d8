"""By which payout somebody was paid, where a row names only the need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from aidmesh_contracts.ids import PayoutId


class Unclear(StrEnum):
    """Why no payout is found."""

    NONE = "unknown-row"
    SEVERAL = "payout-id-needed"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A payout by which money may have reached the person.

    Attributes:
        offered_on: when the person was told of it, or a payment list went out with it; None while
            neither has happened.
        ended_on: when it was given up or paid; None while it waits.
    """

    payout_id: PayoutId
    offered_on: date | None
    ended_on: date | None

    def was_open_on(self, day: date) -> bool:
        """Whether the person could have been paid by it on that day."""
        if self.offered_on is None or day < self.offered_on:
            return False
        return self.ended_on is None or day <= self.ended_on


def paid_by(candidates: Sequence[Candidate], paid_on: date) -> PayoutId | Unclear:
    """Which payout of a need somebody was paid by on a day.

    Of several it is the one that was open on that day, if no other was: an attempt that begins
    later was not offered yet when the cash of an earlier one was fetched. Nothing is guessed: the
    wrong one would leave the money that was paid unbooked and pay the rest to the person again.
    """
    if not candidates:
        return Unclear.NONE
    if len(candidates) == 1:
        return candidates[0].payout_id
    opened = [each.payout_id for each in candidates if each.was_open_on(paid_on)]
    return opened[0] if len(opened) == 1 else Unclear.SEVERAL
