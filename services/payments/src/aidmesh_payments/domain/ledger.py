"""Double entry: journals whose postings sum to zero in each currency, never changed afterwards.

Only what is true for good is booked: money received, granted, returned, spent, reversed. Holds
and commitments can still vanish, so they are kept with the commitments and the allotment.

Accounts (debit positive), by who keeps them:

- grantor, grant's currency: `donor` (negative: what the donor gave), `unallotted`,
  `refund_due` (set aside for a donor who asks for money back), `exchange_difference`;
- `exchange`, one per currency: where a conversion leaves one currency and enters another;
- grantor, currency of spending: `allotted` (what the holder got from us, net of returns);
- holder, currency of spending: `granted` (negative: where it came from), `available`, `spent`.

A region that spends its own grant keeps both sides.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Literal
from uuid import UUID

from aidmesh_contracts.ids import AllotmentId, GrantId, derive_id

AccountCode = Literal[
    "donor",
    "unallotted",
    "refund_due",
    "exchange_difference",
    "exchange",
    "allotted",
    "granted",
    "available",
    "spent",
]

JournalKind = Literal[
    "instalment",
    "instalment_reversed",
    "allotment_sent",
    "allotment_received",
    "return_sent",
    "return_received",
    "spending",
    "spending_reversed",
    "exchange_difference",
    "refund_due",
    "refund_due_reversed",
    "demand_withdrawn",
    "refund",
    "refund_reversed",
]


@dataclass(frozen=True, slots=True)
class Account:
    """One account; its id follows from what it is, so that nobody has to look it up."""

    code: AccountCode
    currency: str
    grant_id: GrantId | None = None
    allotment_id: AllotmentId | None = None
    id: UUID = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Derive the id."""
        derived = derive_id(
            "account", self.code, self.currency, self.grant_id or "", self.allotment_id or ""
        )
        object.__setattr__(self, "id", derived)


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount on an account, in minor units of the account's currency."""

    account: Account
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Journal:
    """One booking.

    Attributes:
        occurred_on: the day it counts for.
        reference: what it stands on: a bank reference, a transfer, a commitment.
        reason: for corrections.
        commitment_id: whose spending it is; what a need was served with may be sensitive.
    """

    id: UUID
    kind: JournalKind
    occurred_on: date
    postings: tuple[Posting, ...]
    reference: str = ""
    reason: str = ""
    commitment_id: UUID | None = None

    def __post_init__(self) -> None:
        """Refuse what does not balance.

        Raises:
            ValueError: no postings, or a currency does not sum to zero.
        """
        if not self.postings or unbalanced(self.postings):
            raise ValueError("the postings of a journal sum to zero in each currency")


def unbalanced(postings: tuple[Posting, ...]) -> dict[str, int]:
    """Return the currencies that do not sum to zero, with their sums."""
    sums: Counter[str] = Counter()
    for posting in postings:
        sums[posting.account.currency] += posting.amount_minor
    return {currency: total for currency, total in sums.items() if total}


def move(debit: Account, credit: Account, amount_minor: int) -> tuple[Posting, ...]:
    """Return the two postings that take an amount from `credit` to `debit`; none for nothing."""
    if amount_minor == 0:
        return ()
    return (Posting(debit, amount_minor), Posting(credit, -amount_minor))


def instalment(
    entry_id: UUID,
    grant_id: GrantId,
    currency: str,
    credited_minor: int,
    paid_minor: int,
    paid_currency: str,
    on: date,
    reference: str,
) -> Journal:
    """Book money from a donor; paid in another currency it passes through the exchange."""
    donor = Account("donor", currency, grant_id)
    postings = move(Account("unallotted", currency, grant_id), donor, credited_minor)
    if paid_currency != currency:
        exchange = Account("exchange", currency)
        paid = Account("donor", paid_currency, grant_id)
        postings = (
            *move(Account("unallotted", currency, grant_id), exchange, credited_minor),
            *move(Account("exchange", paid_currency), paid, paid_minor),
        )
    return Journal(entry_id, "instalment", on, postings, reference)


def instalment_reversed(
    instalment_id: UUID,
    grant_id: GrantId,
    currency: str,
    credited_minor: int,
    paid_minor: int,
    paid_currency: str,
    on: date,
    reason: str,
) -> Journal:
    """Book the reversal of an instalment: a new journal, the old one stays."""
    booked = instalment(
        instalment_id, grant_id, currency, credited_minor, paid_minor, paid_currency, on, ""
    )
    postings = tuple(Posting(each.account, -each.amount_minor) for each in booked.postings)
    entry_id = derive_id("journal", "instalment_reversed", instalment_id)
    return Journal(entry_id, "instalment_reversed", on, postings, str(instalment_id), reason)


def allotment_sent(
    transfer_id: UUID,
    grant_id: GrantId,
    allotment_id: AllotmentId,
    grant_currency: str,
    granted_minor: int,
    currency: str,
    amount_minor: int,
    on: date,
) -> Journal:
    """Book money that leaves a grant for a holder: one conversion, both amounts."""
    unallotted = Account("unallotted", grant_currency, grant_id)
    allotted = Account("allotted", currency, grant_id, allotment_id)
    if grant_currency == currency:
        postings = move(allotted, unallotted, amount_minor)
    else:
        postings = (
            *move(Account("exchange", grant_currency), unallotted, granted_minor),
            *move(allotted, Account("exchange", currency), amount_minor),
        )
    entry_id = derive_id("journal", "allotment_sent", transfer_id)
    return Journal(entry_id, "allotment_sent", on, postings, str(transfer_id))


def allotment_received(
    transfer_id: UUID,
    grant_id: GrantId,
    allotment_id: AllotmentId,
    currency: str,
    amount_minor: int,
    on: date,
) -> Journal:
    """Book money at its holder."""
    postings = move(
        Account("available", currency, grant_id, allotment_id),
        Account("granted", currency, grant_id, allotment_id),
        amount_minor,
    )
    entry_id = derive_id("journal", "allotment_received", transfer_id)
    return Journal(entry_id, "allotment_received", on, postings, str(transfer_id))


def return_sent(
    transfer_id: UUID,
    grant_id: GrantId,
    allotment_id: AllotmentId,
    currency: str,
    amount_minor: int,
    on: date,
) -> Journal:
    """Book free money that its holder gives back."""
    postings = move(
        Account("granted", currency, grant_id, allotment_id),
        Account("available", currency, grant_id, allotment_id),
        amount_minor,
    )
    entry_id = derive_id("journal", "return_sent", transfer_id)
    return Journal(entry_id, "return_sent", on, postings, str(transfer_id))


def return_received(
    transfer_id: UUID,
    grant_id: GrantId,
    allotment_id: AllotmentId,
    grant_currency: str,
    booked_minor: int,
    credited_minor: int,
    currency: str,
    amount_minor: int,
    on: date,
) -> Journal:
    """Book money back in its grant: the difference between the two rates shows by itself.

    Args:
        booked_minor: what the grant had counted as gone for it.
        credited_minor: what it is worth now; both in the grant's currency.
    """
    allotted = Account("allotted", currency, grant_id, allotment_id)
    unallotted = Account("unallotted", grant_currency, grant_id)
    if grant_currency == currency:
        postings = move(unallotted, allotted, amount_minor)
    else:
        difference = Account("exchange_difference", grant_currency, grant_id)
        exchange = Account("exchange", grant_currency)
        postings = (
            *move(Account("exchange", currency), allotted, amount_minor),
            *move(unallotted, exchange, credited_minor),
        )
        if booked_minor != credited_minor:
            postings += move(difference, exchange, booked_minor - credited_minor)
    entry_id = derive_id("journal", "return_received", transfer_id)
    return Journal(entry_id, "return_received", on, postings, str(transfer_id))


def spending(
    source: UUID,
    spend_no: int,
    grant_id: GrantId,
    allotment_id: AllotmentId,
    currency: str,
    amount_minor: int,
    on: date,
    *,
    reference: str = "",
) -> Journal:
    """Book a commitment (`source`) as spent for the `spend_no`-th time."""
    postings = move(
        Account("spent", currency, grant_id, allotment_id),
        Account("available", currency, grant_id, allotment_id),
        amount_minor,
    )
    entry_id = derive_id("journal", "spending", source, spend_no)
    return Journal(
        entry_id, "spending", on, postings, reference or str(source), commitment_id=source
    )


def spending_reversed(
    source: UUID,
    spend_no: int,
    grant_id: GrantId,
    allotment_id: AllotmentId,
    currency: str,
    amount_minor: int,
    on: date,
    reason: str,
) -> Journal:
    """Book the reversal of one spending: a new journal, the old one stays."""
    postings = move(
        Account("available", currency, grant_id, allotment_id),
        Account("spent", currency, grant_id, allotment_id),
        amount_minor,
    )
    entry_id = derive_id("journal", "spending_reversed", source, spend_no)
    return Journal(
        entry_id, "spending_reversed", on, postings, str(source), reason, commitment_id=source
    )


def exchange_difference(
    entry_id: UUID, grant_id: GrantId, currency: str, loss_minor: int, on: date, reason: str
) -> Journal:
    """Book what a real conversion cost more (or, negative, less) than its booked rate."""
    postings = move(
        Account("exchange_difference", currency, grant_id),
        Account("unallotted", currency, grant_id),
        loss_minor,
    )
    return Journal(entry_id, "exchange_difference", on, postings, reason=reason)


def refund_due(
    entry_id: UUID, grant_id: GrantId, currency: str, amount_minor: int, on: date
) -> Journal:
    """Book money set aside because the donor wants it back."""
    postings = move(
        Account("refund_due", currency, grant_id),
        Account("unallotted", currency, grant_id),
        amount_minor,
    )
    return Journal(entry_id, "refund_due", on, postings)


def demand_withdrawn(
    entry_id: UUID, grant_id: GrantId, currency: str, amount_minor: int, on: date, reason: str
) -> Journal:
    """Book money that was set aside for a donor who does not want it back after all."""
    postings = _freed(grant_id, currency, amount_minor)
    return Journal(entry_id, "demand_withdrawn", on, postings, reason=reason)


def refund_due_reversed(
    instalment_id: UUID, grant_id: GrantId, currency: str, amount_minor: int, on: date, reason: str
) -> Journal:
    """Book money that was set aside from an instalment that did not come."""
    postings = _freed(grant_id, currency, amount_minor)
    entry_id = derive_id("journal", "refund_due_reversed", instalment_id)
    return Journal(entry_id, "refund_due_reversed", on, postings, str(instalment_id), reason)


def _freed(grant_id: GrantId, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    return move(
        Account("unallotted", currency, grant_id),
        Account("refund_due", currency, grant_id),
        amount_minor,
    )


def refund(
    entry_id: UUID,
    grant_id: GrantId,
    currency: str,
    amount_minor: int,
    on: date,
    reference: str,
) -> Journal:
    """Book money that went back to the donor."""
    postings = move(
        Account("donor", currency, grant_id),
        Account("refund_due", currency, grant_id),
        amount_minor,
    )
    return Journal(entry_id, "refund", on, postings, reference)


def refund_reversed(
    entry_id: UUID, grant_id: GrantId, currency: str, amount_minor: int, on: date, reason: str
) -> Journal:
    """Book that money did not go back to the donor: it is set aside again."""
    postings = move(
        Account("refund_due", currency, grant_id),
        Account("donor", currency, grant_id),
        amount_minor,
    )
    return Journal(entry_id, "refund_reversed", on, postings, reason=reason)
