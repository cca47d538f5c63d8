"""The way of a payout, and how many people it takes.

    draft → approved → exported → accepted → settled
    rejected (before it was booked), returned (after), cancelled (before it left)

Reasons of `rejected` and `returned` are ISO 20022 external reason codes. Cash that nobody fetched
is `cancelled` as `not_collected`, also when it stands on a list. Whoever cancels cash, and why,
somebody may have been given it all the same: it is settled late, by whoever could have settled it
before. So is what was cancelled while nobody could prove that it had not been paid.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID

from aidmesh_contracts.days import is_future

PayoutState = Literal[
    "draft", "approved", "exported", "accepted", "settled", "rejected", "returned", "cancelled"
]
Verb = Literal[
    "approve", "export", "accept", "settle", "reject", "return", "cancel", "not_collected"
]

Withdrawal = Literal["withdrawn", "returned", "corrected", "erased"]
"""Why a payout is asked back from the office that was to pay it: its need is over, somebody gave
it up, it should go elsewhere, or its person was erased."""

REVIEW_DAYS = 7

RETURN_REASONS: Mapping[str, str] = {
    "AC01": "The account number is wrong.",
    "AC04": "The account is closed.",
    "AC06": "The account is blocked.",
    "AM04": "There was not enough money on the paying account.",
    "AM05": "The payment is a duplicate.",
}
"""ISO 20022 external status reason codes that banks answer with."""

NOT_COLLECTED = "not_collected"
"""Why cash was cancelled that its payee did not fetch."""

UNFETCHED: frozenset[PayoutState] = frozenset({"draft", "approved", "exported", "accepted"})
"""States in which cash waits for its payee."""

UNSETTLED: frozenset[PayoutState] = frozenset({"approved", "exported", "accepted"})
"""States of which an office that pays for another region may say more."""

LIVE: frozenset[PayoutState] = frozenset({"draft", "approved", "exported", "accepted", "settled"})
"""States of which a need has at most one payout."""

LEFT: frozenset[PayoutState] = frozenset({"exported", "accepted", "settled"})
"""States in which nobody here can keep the money from reaching the payee, or it has."""

PAID: frozenset[PayoutState] = frozenset({"exported", "accepted", "settled", "returned"})
"""States in which money went to the payee, or may have: their details are a payment record."""


class PayoutRefusal(StrEnum):
    """Why a step is refused."""

    WRONG_STATE = "wrong-state"
    SECOND_PERSON = "second-person-needed"
    NO_DETAILS = "payee-not-here"
    REASON_UNKNOWN = "return-reason-unknown"
    ALREADY_REVIEWED = "already-reviewed"
    DAY_IN_FUTURE = "day-in-future"
    PAID_ELSEWHERE = "paid-elsewhere"
    NOT_VOUCHED = "order-not-vouched"
    UNPROVEN = "outcome-unproven"


@dataclass(frozen=True, slots=True)
class Payout:
    """State of a payout and the people who touched it.

    Attributes:
        maker: who drew it up; None when the need's own commitment did.
        sealed_by: who entered or last corrected where it goes; None of what is older than that.
        review_due_at: a single person paid; a second looks at it until then.
        version: counts its states.
    """

    amount_minor: int
    currency: str
    state: PayoutState = "draft"
    reason: str | None = None
    maker: UUID | None = None
    sealed_by: UUID | None = None
    approver: UUID | None = None
    settler: UUID | None = None
    reviewer: UUID | None = None
    review_due_at: datetime | None = None
    version: int = 1


_FROM: Mapping[Verb, frozenset[PayoutState]] = {
    "approve": frozenset({"draft"}),
    "export": frozenset({"approved"}),
    "accept": frozenset({"exported"}),
    "settle": frozenset({"draft", "approved", "exported", "accepted"}),
    "reject": frozenset({"approved", "exported", "accepted"}),
    "return": frozenset({"settled"}),
    "cancel": frozenset({"draft", "approved"}),
    "not_collected": UNFETCHED,
}

_TO: Mapping[Verb, PayoutState] = {
    "approve": "approved",
    "export": "exported",
    "accept": "accepted",
    "settle": "settled",
    "reject": "rejected",
    "return": "returned",
    "cancel": "cancelled",
    "not_collected": "cancelled",
}


def step(
    payout: Payout,
    verb: Verb,
    by: UUID,
    now: datetime,
    *,
    float_limit_minor: int,
    reason: str | None = None,
    settled_on: date | None = None,
    is_cash: bool = False,
    has_details: bool = True,
    is_doubted: bool = False,
    is_forgotten: bool = False,
) -> Payout | PayoutRefusal:
    """Take one step.

    Up to the float limit one person may do everything, and a second reviews it within
    `REVIEW_DAYS`. Above it whoever approves neither drew it up nor said where it goes, so nobody
    approves it before that was said, and it is not settled before two different people had it in
    hand; a draft is not settled at all.

    Args:
        by: the member of staff.
        now: the database's clock.
        float_limit_minor: of the payout's currency.
        reason: required when it is rejected or returned.
        settled_on: when the money moved, of a settlement; None for today.
        is_cash: only cash waits to be fetched, and may have been handed over when it is cancelled.
        has_details: where it goes is known, or it is cash that goes by no details.
        is_doubted: nobody can prove that it was not paid, cancelled or not.
        is_forgotten: a person found out that it was paid, and who had it in hand may not be known
            any more: a settlement is recorded all the same, and reviewed by a second person.
    """
    may_be_paid = is_cash or is_doubted or is_forgotten
    is_late = verb == "settle" and payout.state == "cancelled" and may_be_paid
    if payout.state not in _FROM[verb] and not is_late:
        return PayoutRefusal.WRONG_STATE
    if verb == "not_collected" and not is_cash:
        return PayoutRefusal.WRONG_STATE
    if verb in ("reject", "return") and reason not in RETURN_REASONS:
        return PayoutRefusal.REASON_UNKNOWN
    if settled_on is not None and is_future(settled_on, now):
        return PayoutRefusal.DAY_IN_FUTURE
    small = payout.amount_minor <= float_limit_minor
    changed = replace(payout, state=_TO[verb], version=payout.version + 1)
    if verb == "approve":
        if not small and not has_details:
            return PayoutRefusal.NO_DETAILS
        if not small and by in (payout.maker, payout.sealed_by):
            return PayoutRefusal.SECOND_PERSON
        changed = replace(changed, approver=by)
    elif verb == "settle":
        people = {payout.maker, payout.approver, by} - {None}
        alone = len(people) < 2 or (not small and payout.approver is None)
        if not small and alone and not is_forgotten:
            unseen = payout.approver is None
            return PayoutRefusal.WRONG_STATE if unseen else PayoutRefusal.SECOND_PERSON
        due = now + timedelta(days=REVIEW_DAYS) if alone else None
        changed = replace(changed, settler=by, review_due_at=due, reason=None)
    elif verb in ("reject", "return", "cancel"):
        changed = replace(changed, reason=reason)
    elif verb == "not_collected":
        changed = replace(changed, reason=NOT_COLLECTED)
    return changed


def may_be_second(verb: str, *, is_cash: bool) -> bool:
    """Whether a step could pay what was paid already, where nobody can prove that it was not.

    What the bank's statement says is always recorded; at a cash desk it is the step that pays.
    """
    return verb in ("approve", "export") or (verb == "settle" and is_cash)


def uncollected(payout: Payout) -> Payout | None:
    """The time to fetch cash is over: give it up; None if it was paid, or is over already."""
    if payout.state not in UNFETCHED:
        return None
    return replace(payout, state="cancelled", reason=NOT_COLLECTED, version=payout.version + 1)


def stop(payout: Payout) -> Payout:
    """Give up what has not left."""
    assert payout.state in LIVE - LEFT
    return replace(payout, state="cancelled", reason=None, version=payout.version + 1)


def correct(payout: Payout, by: UUID | None) -> Payout | None:
    """Somebody corrected where the money goes: it is approved anew, above the limit by another.

    None where it is on a payment list already, or over.

    Args:
        by: who corrected it; None if that is not known.
    """
    if payout.state not in ("draft", "approved"):
        return None
    return replace(payout, state="draft", sealed_by=by, approver=None, version=payout.version + 1)


def follow(payout: Payout, state: PayoutState, reason: str | None, settler: UUID | None) -> Payout:
    """Take over what the office that pays it says: its staff had it in hand, not ours."""
    return replace(
        payout,
        state=state,
        reason=reason,
        settler=settler or payout.settler,
        version=payout.version + 1,
    )


def given_review_due(amount_minor: int, now: datetime, *, float_limit_minor: int) -> datetime:
    """Until when a second person looks at cash that was entered as given.

    It is recorded whatever it is. Above the float limit it is due at once: nobody else had it in
    hand, where two people should have.
    """
    return now if amount_minor > float_limit_minor else now + timedelta(days=REVIEW_DAYS)


def review_given(
    entered_by: UUID | None, by: UUID, *, is_reviewed: bool
) -> Literal[PayoutRefusal.ALREADY_REVIEWED, PayoutRefusal.SECOND_PERSON] | None:
    """Whether somebody may say that they looked at cash that was entered as given; None if so."""
    if is_reviewed:
        return PayoutRefusal.ALREADY_REVIEWED
    return PayoutRefusal.SECOND_PERSON if by == entered_by else None


def review(payout: Payout, by: UUID) -> Payout | PayoutRefusal:
    """A second person looked at a payout that one person made alone."""
    if payout.review_due_at is None or payout.reviewer is not None:
        return PayoutRefusal.ALREADY_REVIEWED
    if by in (payout.maker, payout.sealed_by, payout.approver, payout.settler):
        return PayoutRefusal.SECOND_PERSON
    return replace(payout, reviewer=by)
