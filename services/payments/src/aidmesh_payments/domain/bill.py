"""What a provider charges for a need, and how many people that takes.

    waiting → charged; or withdrawn, also by the next bill that is entered

Up to the float limit a bill is charged at once by whoever enters it, as a purchase of so little is
ordered and paid by one person. Above it another one than who entered it says that it is charged.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal
from uuid import UUID

BillState = Literal["waiting", "charged", "withdrawn"]


class BillRefusal(StrEnum):
    """Why a step is refused."""

    WRONG_STATE = "wrong-state"
    SECOND_PERSON = "second-person-needed"


@dataclass(frozen=True, slots=True)
class Bill:
    """State of a bill and the people who touched it.

    Attributes:
        amount_minor: all that the provider gets, whatever was committed.
        biller: who entered it.
        decided_by: who had it charged, or withdrew it.
    """

    amount_minor: int
    reason: str
    biller: UUID
    state: BillState = "waiting"
    decided_by: UUID | None = None


def enter(amount_minor: int, reason: str, by: UUID, *, float_limit_minor: int) -> Bill:
    """Take in a bill; above the float limit it waits for a second person."""
    bill = Bill(amount_minor, reason, by)
    if amount_minor > float_limit_minor:
        return bill
    return replace(bill, state="charged", decided_by=by)


def approve(bill: Bill, by: UUID) -> Bill | BillRefusal:
    """Have a bill that waits charged; not by who entered it."""
    if bill.state != "waiting":
        return BillRefusal.WRONG_STATE
    if by == bill.biller:
        return BillRefusal.SECOND_PERSON
    return replace(bill, state="charged", decided_by=by)


def withdraw(bill: Bill, by: UUID) -> Bill | BillRefusal:
    """Give up a bill that waits; nothing was charged for it."""
    if bill.state != "waiting":
        return BillRefusal.WRONG_STATE
    return replace(bill, state="withdrawn", decided_by=by)
