"""What a settled stay costs where a price by night was committed, and what follows from that."""

from dataclasses import dataclass, replace
from typing import Literal

from aidmesh_payments.domain.commitments import Commitment

Then = Literal["nothing", "charge", "charge_nothing", "change", "ask"]


@dataclass(frozen=True, slots=True)
class Settled:
    """What follows from a settlement.

    Attributes:
        commitment: as it is known from now on; its amount is not changed yet.
        takes_back_late: what a person found elsewhere for the stay is taken back first.
        then: `charge` it, or `charge_nothing`; `change` what it would cost, since nothing is paid
            for it; `ask` a person for money, since somebody is to be paid for whom none is set
            aside; or `nothing`.
        cost_minor: of all its nights.
    """

    commitment: Commitment
    takes_back_late: bool
    then: Then
    cost_minor: int


def settle(
    commitment: Commitment,
    *,
    issue_no: int,
    nights: int,
    settle_no: int | None,
    late_minor: int | None,
    was_reversed: bool,
) -> Settled | None:
    """Decide what a settlement changes; None where it settles no amount.

    A settlement that is corrected later gives way to the last one, with all that was booked for it.

    Args:
        issue_no, nights, settle_no: as in `cost_of_stay`.
        late_minor: what a person found elsewhere for nights that were missing, if it still counts.
        was_reversed: whether the service that a need without an attempt tells of was undone.
    """
    cost_minor = cost_of_stay(commitment, issue_no, nights, settle_no)
    if cost_minor is None:
        return None
    if settle_no is not None:
        commitment = replace(commitment, settle_no=settle_no)
    nobody_slept = commitment.state == "released" and (
        0 < commitment.issue_no == issue_no or (not commitment.attempt_no and not was_reversed)
    )
    booked_minor = 0 if nobody_slept else commitment.amount_minor
    takes_back_late = False
    if late_minor is not None:
        takes_back_late = settle_no is not None and cost_minor != late_minor + booked_minor
        if not takes_back_late:
            return Settled(commitment, False, "nothing", cost_minor)
    then: Then = "charge"
    if cost_minor == booked_minor:
        then = "nothing"
    elif nobody_slept:
        then = "ask"
    elif cost_minor == 0:
        then = "charge_nothing"
        commitment = replace(commitment, issue_no=max(commitment.issue_no, issue_no))
    elif commitment.state == "released":
        then = "change"
    return Settled(commitment, takes_back_late, then, cost_minor)


def cost_of_stay(
    commitment: Commitment, issue_no: int, nights: int, settle_no: int | None = None
) -> int | None:
    """What the nights of a settled stay cost, in minor units; None if it settles no amount.

    Args:
        issue_no: of the check-in that is settled; one that was undone, or made again since,
            settles nothing.
        nights: of all beds together.
        settle_no: of the settlement; one that was corrected already settles nothing. None where
            it says nothing of that.
    """
    is_over = issue_no < commitment.issue_no or 0 < issue_no <= commitment.reversed_no
    is_old = settle_no is not None and settle_no <= commitment.settle_no
    if commitment.night_minor is None or is_over or is_old:
        return None
    return commitment.night_minor * nights
