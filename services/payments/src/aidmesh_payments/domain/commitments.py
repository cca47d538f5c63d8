"""A commitment of money: held → committed → spent; or refused, released."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from aidmesh_contracts.ids import AllotmentId, CommitmentId, GrantId, NeedId, PayeeRef, SiteId

CommitmentState = Literal["held", "committed", "spent", "refused", "released"]
Purpose = Literal["payout", "provider", "purchase"]
ReleaseCause = Literal["hold_expired", "not_collected", "withdrawn", "returned"]


@dataclass(frozen=True, slots=True)
class Commitment:
    """Money promised from one allotment.

    Attributes:
        need_id: None for a purchase.
        attempt_no: 0 for aid that was entered after it was given.
        spend_no: how often it was spent so far, or paid while its money was missing.
        issue_no: highest issue of the service that was taken in.
        reversed_no: highest issue that was undone; the wire promises no order.
        settle_no: highest settlement of its nights that was taken in.
        collect_by: when cash that nobody fetched goes back.
        night_minor: what a night of one bed costs, while check-out settles the amount; None
            where it does not, or where a bill was entered by hand.
        site_id, area: where it is to be fetched, as far as that is known.
    """

    id: CommitmentId
    need_id: NeedId | None
    attempt_no: int
    allotment_id: AllotmentId
    grant_id: GrantId
    amount_minor: int
    currency: str
    purpose: Purpose
    state: CommitmentState
    programme: str
    hold_until: datetime | None = None
    collect_by: datetime | None = None
    payee_ref: PayeeRef | None = None
    spend_no: int = 0
    spent_on: date | None = None
    issue_no: int = 0
    reversed_no: int = 0
    settle_no: int = 0
    cause: ReleaseCause | None = None
    night_minor: int | None = None
    site_id: SiteId | None = None
    area: str | None = None

    def __post_init__(self) -> None:
        """A hold has an end, money spent has a day."""
        assert self.amount_minor > 0
        assert self.state != "held" or self.hold_until is not None
        assert self.state != "spent" or self.spent_on is not None


def confirm(commitment: Commitment, now: datetime) -> Commitment | None:
    """Commit a hold; None when it is too late (the clock is the database's)."""
    if commitment.state in ("committed", "spent"):
        return commitment
    if commitment.state != "held" or commitment.hold_until is None or commitment.hold_until <= now:
        return None
    return replace(commitment, state="committed", hold_until=None)


def release(commitment: Commitment, cause: ReleaseCause) -> Commitment | None:
    """Let go of what is held or committed; None when nothing is."""
    if commitment.state not in ("held", "committed"):
        return None
    return replace(commitment, state="released", hold_until=None, collect_by=None, cause=cause)


def take_up(commitment: Commitment, amount_minor: int) -> Commitment:
    """Commit anew what was let go."""
    assert commitment.state == "released"
    return replace(commitment, state="committed", amount_minor=amount_minor, cause=None)


def spend(commitment: Commitment, on: date) -> Commitment:
    """Spend what is committed."""
    assert commitment.state == "committed"
    return replace(
        commitment,
        state="spent",
        spend_no=commitment.spend_no + 1,
        spent_on=on,
        collect_by=None,
    )


def pay_unfunded(commitment: Commitment) -> Commitment:
    """Count a payment that was made although its money is gone; it holds none afterwards."""
    assert commitment.state == "released"
    return replace(commitment, spend_no=commitment.spend_no + 1)


def unspend(commitment: Commitment) -> Commitment:
    """Undo the last spending: the money is committed again."""
    assert commitment.state == "spent"
    return replace(commitment, state="committed", spent_on=None)


def served(
    commitment: Commitment, issue_no: int
) -> tuple[Commitment, Literal["pay", "pay_late", "known"]]:
    """A provider served the need for the `issue_no`-th time: pay, unless that is known or undone.

    `pay_late` says that the money had been let go already: the fact has to be paid all the same.
    """
    if issue_no <= max(commitment.issue_no, commitment.reversed_no):
        return commitment, "known"
    taken = replace(commitment, issue_no=issue_no)
    if commitment.state in ("held", "committed"):
        return taken, "pay"
    if commitment.state == "released":
        return taken, "pay_late"
    return taken, "known"


def undone(commitment: Commitment, issue_no: int) -> tuple[Commitment, bool]:
    """The `issue_no`-th service did not happen; returns whether its spending is to be reversed."""
    marked = replace(commitment, reversed_no=max(commitment.reversed_no, issue_no))
    return marked, commitment.state == "spent" and commitment.issue_no == issue_no
