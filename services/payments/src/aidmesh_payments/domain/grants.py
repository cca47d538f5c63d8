"""Grants at their grantor: what came in, what was allotted, and what a line still allows.

The equation of a grant, in its own currency at booked rates, holds by construction and is a
CHECK of the table:

    received = unallotted + allotted (net of returns, in transit included)
               + exchange difference + refund due + refunded

All spending goes through an allotment, that of the own region too, so what the own region
holds, committed and spent is part of `allotted`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import Literal
from uuid import UUID

from aidmesh_contracts.ids import GrantId
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain.money import line_limit, round_half_up, share_of

GrantStatus = Literal["pledged", "active", "suspended", "closed"]

OVERHEAD = "overhead"
"""The budget line for indirect costs, made from the grant's overhead rate."""


class GrantRefusal(StrEnum):
    """Why a decision about a grant is refused."""

    NOT_ACTIVE = "grant-not-active"
    WRONG_STATE = "wrong-state"
    LINE_UNKNOWN = "budget-line-unknown"
    NOT_RECEIVED = "money-not-received"
    LINE_EXCEEDED = "budget-line-exceeded"
    LINES_EXCEED_GRANT = "budget-lines-exceed-grant"
    SAME_PERSON = "second-person-needed"
    BELOW_ALLOTTED = "line-below-allotted"
    NOTHING = "amount-is-zero"
    GIVEN_ON = "instalment-given-on"
    REFUNDED = "refunded-already"
    NOT_SET_ASIDE = "refund-above-set-aside"
    NOT_REFUNDED = "more-than-refunded"
    NOT_UNALLOTTED = "difference-above-unallotted"
    UNKNOWN = "unknown-row"
    PAID_UNFIT = "paid-amount-unfit"
    RECEIVED_ALREADY = "received-already"


@dataclass(frozen=True, slots=True)
class Line:
    """A budget line: its amount in the grant's currency and what is allotted from it, net."""

    code: str
    amount_minor: int
    flexibility_percent: int
    allotted_minor: int = 0
    cost_categories: tuple[str, ...] | None = None

    @property
    def room_minor(self) -> int:
        """What may still be allotted without a second person's override."""
        return line_limit(self.amount_minor, self.flexibility_percent) - self.allotted_minor


@dataclass(frozen=True, slots=True)
class Grant:
    """Balances of a grant in minor units of its currency."""

    id: GrantId
    currency: str
    amount_minor: int
    status: GrantStatus
    received_minor: int = 0
    unallotted_minor: int = 0
    allotted_minor: int = 0
    exchange_difference_minor: int = 0
    refund_due_minor: int = 0
    refunded_minor: int = 0
    version: int = 1

    def __post_init__(self) -> None:
        """Hold the equation, and never owe what is not there."""
        assert self.received_minor == (
            self.unallotted_minor
            + self.allotted_minor
            + self.exchange_difference_minor
            + self.refund_due_minor
            + self.refunded_minor
        ), "the grantor's equation"
        assert self.unallotted_minor >= 0, "more was allotted than was received"
        assert self.allotted_minor >= 0, "more was returned than was allotted"
        assert self.refund_due_minor >= 0, "more was refunded than was set aside"
        assert self.refunded_minor >= 0, "more came back from the donor than was refunded"


@dataclass(frozen=True, slots=True)
class Granted:
    """What the grantor remembers of an allotment: both amounts, and what of them came back."""

    amount_minor: int
    granted_minor: int
    returned_minor: int = 0
    returned_granted_minor: int = 0

    def __post_init__(self) -> None:
        """Never more back than was given."""
        assert 0 <= self.returned_minor <= self.amount_minor
        assert 0 <= self.returned_granted_minor <= self.granted_minor

    @property
    def outstanding_minor(self) -> int:
        """What is still with the holder, so far as the grantor counts."""
        return self.amount_minor - self.returned_minor


@dataclass(frozen=True, slots=True)
class Override:
    """A second person allowed a budget line to be exceeded, and says why."""

    by: UUID
    reason: str


_MOVES: dict[str, tuple[frozenset[GrantStatus], GrantStatus]] = {
    "activate": (frozenset({"pledged"}), "active"),
    "suspend": (frozenset({"active"}), "suspended"),
    "resume": (frozenset({"suspended", "closed"}), "active"),
    "close": (frozenset({"pledged", "active", "suspended"}), "closed"),
}


def overhead_minor(amount_minor: int, overhead_bp: int) -> int:
    """Return the indirect costs a grant allows, rounded half up.

    Args:
        amount_minor: of the grant.
        overhead_bp: hundredths of a percent of it.
    """
    return round_half_up(Fraction(amount_minor * overhead_bp, 10_000))


def check_lines(amount_minor: int, lines: Sequence[Line]) -> GrantRefusal | None:
    """Refuse budget lines that together promise more than the grant."""
    if sum(line.amount_minor for line in lines) > amount_minor:
        return GrantRefusal.LINES_EXCEED_GRANT
    return None


def amend(
    grant: Grant,
    lines: Sequence[Line],
    amount_minor: int,
    line_amounts: Mapping[str, int],
    overhead_bp: int,
) -> tuple[Grant, tuple[Line, ...]] | GrantRefusal:
    """Change what a grant and its budget lines promise; overhead keeps its rate.

    Money that was received or allotted stays where it is: what a donor wants back of it is a
    demand, what a holder gives back a return. A line is not cut below what is allotted from it.

    Args:
        lines: all of the grant.
        line_amounts: new amounts by code; other lines stay as they are.
        overhead_bp: hundredths of a percent of the amount.
    """
    if grant.status == "closed":
        return GrantRefusal.WRONG_STATE
    if line_amounts.keys() - {line.code for line in lines} or OVERHEAD in line_amounts:
        return GrantRefusal.LINE_UNKNOWN
    wanted = {**line_amounts, OVERHEAD: overhead_minor(amount_minor, overhead_bp)}
    changed = tuple(
        replace(line, amount_minor=wanted.get(line.code, line.amount_minor)) for line in lines
    )
    for before, after in zip(lines, changed, strict=True):
        if after.amount_minor < min(before.amount_minor, before.allotted_minor):
            return GrantRefusal.BELOW_ALLOTTED
    if any(line.amount_minor < 1 for line in changed):
        return GrantRefusal.NOTHING
    if refusal := check_lines(amount_minor, changed):
        return refusal
    return replace(grant, amount_minor=amount_minor, version=grant.version + 1), changed


def wakes(grant_status: str, before: Restriction, after: Restriction) -> bool:
    """Whether needs can be paid under amended terms that could not before: those of later days."""
    ends_later = before.valid_to is not None and (
        after.valid_to is None or after.valid_to > before.valid_to
    )
    return grant_status == "active" and ends_later


def change_status(grant: Grant, verb: str) -> Grant | GrantRefusal:
    """Activate, suspend, close, or resume what was suspended or closed."""
    allowed, target = _MOVES[verb]
    if grant.status not in allowed:
        return GrantRefusal.WRONG_STATE
    return replace(grant, status=target, version=grant.version + 1)


def receive(grant: Grant, amount_minor: int) -> Grant:
    """Take in an instalment, which is a fact; the first one activates a pledge.

    Some donors pay the rest after the last report: a closed grant stays closed, and its money
    unallotted until somebody resumes it.
    """
    return replace(
        grant,
        status="active" if grant.status == "pledged" else grant.status,
        received_minor=grant.received_minor + amount_minor,
        unallotted_minor=grant.unallotted_minor + amount_minor,
        version=grant.version + 1,
    )


def allot(
    grant: Grant,
    line: Line | None,
    granted_minor: int,
    maker: UUID | None,
    override: Override | None = None,
    *,
    is_fact: bool = False,
) -> tuple[Grant, Line] | GrantRefusal:
    """Give money from a budget line to a holder.

    Only received money is allotted, whoever overrides. A line is kept within its flexibility
    unless a second person, other than the maker, documented why not.

    Args:
        is_fact: it was given before a restore: the grant was active, and who had to let it exceed
            its line did. What the books lack for it is lent first.
    """
    if grant.status != "active" and not is_fact:
        return GrantRefusal.NOT_ACTIVE
    if line is None:
        return GrantRefusal.LINE_UNKNOWN
    if granted_minor > grant.unallotted_minor:
        return GrantRefusal.NOT_RECEIVED
    if granted_minor > line.room_minor and not is_fact:
        if override is None:
            return GrantRefusal.LINE_EXCEEDED
        if override.by == maker:
            return GrantRefusal.SAME_PERSON
    return (
        replace(
            grant,
            unallotted_minor=grant.unallotted_minor - granted_minor,
            allotted_minor=grant.allotted_minor + granted_minor,
            version=grant.version + 1,
        ),
        replace(line, allotted_minor=line.allotted_minor + granted_minor),
    )


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The outcome of a return: `booked_minor` had been counted as gone, `credited_minor` is
    what it is worth now, both in the grant's currency."""

    grant: Grant
    line: Line
    granted: Granted
    booked_minor: int
    credited_minor: int
    set_aside_minor: int


def take_back(
    grant: Grant,
    line: Line,
    granted: Granted,
    amount_minor: int,
    *,
    worth_minor: int | None,
    shortfall_minor: int,
) -> TakenBack:
    """Credit free money that a holder gave back.

    Args:
        amount_minor: in the currency of spending.
        worth_minor: at today's rate in the grant's currency; None books it at the old rate.
        shortfall_minor: what a donor still waits for; it is set aside from this money first.

    Raises:
        ValueError: more comes back than was given.
    """
    booked = share_of(
        granted.granted_minor - granted.returned_granted_minor,
        amount_minor,
        granted.amount_minor - granted.returned_minor,
    )
    credited = booked if worth_minor is None else worth_minor
    aside = min(shortfall_minor, grant.unallotted_minor + credited)
    return TakenBack(
        grant=replace(
            grant,
            unallotted_minor=grant.unallotted_minor + credited - aside,
            allotted_minor=grant.allotted_minor - booked,
            exchange_difference_minor=grant.exchange_difference_minor + booked - credited,
            refund_due_minor=grant.refund_due_minor + aside,
            version=grant.version + 1,
        ),
        line=replace(line, allotted_minor=line.allotted_minor - booked),
        granted=replace(
            granted,
            returned_minor=granted.returned_minor + amount_minor,
            returned_granted_minor=granted.returned_granted_minor + booked,
        ),
        booked_minor=booked,
        credited_minor=credited,
        set_aside_minor=aside,
    )


def demand_back(grant: Grant, amount_minor: int) -> tuple[Grant, int]:
    """Set aside what a donor wants back; returns what is missing: a shortfall, never a debt."""
    aside = min(amount_minor, grant.unallotted_minor)
    changed = replace(
        grant,
        unallotted_minor=grant.unallotted_minor - aside,
        refund_due_minor=grant.refund_due_minor + aside,
        version=grant.version + 1,
    )
    return changed, amount_minor - aside


def reverse_instalment(
    grant: Grant, amount_minor: int, set_aside_minor: int
) -> tuple[Grant, int] | GrantRefusal:
    """Take an instalment out again that did not come, or not so.

    What a donor waits for was set aside from it: as far as no other money stands for that, the
    donor waits for it again. Refused where the money was given on, or set aside for another
    reason: that comes back first.

    Args:
        set_aside_minor: of this instalment, for whoever waited for money.

    Returns:
        the grant, and how much more is missing again.
    """
    missing = max(0, amount_minor - grant.unallotted_minor)
    if missing > min(set_aside_minor, grant.refund_due_minor):
        return GrantRefusal.GIVEN_ON
    changed = replace(
        grant,
        received_minor=grant.received_minor - amount_minor,
        unallotted_minor=grant.unallotted_minor + missing - amount_minor,
        refund_due_minor=grant.refund_due_minor - missing,
        version=grant.version + 1,
    )
    return changed, missing


def withdraw_demand(
    grant: Grant, amount_minor: int, shortfall_minor: int
) -> tuple[Grant, int] | GrantRefusal:
    """The donor does not want so much back after all.

    What is missing still is forgotten first; the rest was set aside, and is free again.

    Args:
        shortfall_minor: what the donor still waits for.

    Returns:
        the grant, and how much less is missing.
    """
    less = min(amount_minor, shortfall_minor)
    freed = amount_minor - less
    if freed > grant.refund_due_minor:
        return GrantRefusal.REFUNDED
    changed = replace(
        grant,
        unallotted_minor=grant.unallotted_minor + freed,
        refund_due_minor=grant.refund_due_minor - freed,
        version=grant.version + 1,
    )
    return changed, less


def refund(grant: Grant, amount_minor: int) -> Grant | GrantRefusal:
    """Send back to the donor what was set aside."""
    if amount_minor > grant.refund_due_minor:
        return GrantRefusal.NOT_SET_ASIDE
    return replace(
        grant,
        refund_due_minor=grant.refund_due_minor - amount_minor,
        refunded_minor=grant.refunded_minor + amount_minor,
        version=grant.version + 1,
    )


def reverse_refund(grant: Grant, amount_minor: int) -> Grant | GrantRefusal:
    """Set aside again what did not go back to the donor, or came back from there."""
    if amount_minor > grant.refunded_minor:
        return GrantRefusal.NOT_REFUNDED
    return replace(
        grant,
        refund_due_minor=grant.refund_due_minor + amount_minor,
        refunded_minor=grant.refunded_minor - amount_minor,
        version=grant.version + 1,
    )


def book_exchange_difference(grant: Grant, loss_minor: int) -> Grant | GrantRefusal:
    """Book what a real conversion cost more (negative: less) than the booked rate said."""
    if loss_minor > grant.unallotted_minor:
        return GrantRefusal.NOT_UNALLOTTED
    return replace(
        grant,
        unallotted_minor=grant.unallotted_minor - loss_minor,
        exchange_difference_minor=grant.exchange_difference_minor + loss_minor,
        version=grant.version + 1,
    )
