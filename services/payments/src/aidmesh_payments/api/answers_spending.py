"""What routes answer about money spent: commitments, purchases, discrepancies and the books."""

from datetime import date, datetime
from uuid import UUID

from aidmesh_payments.api.answers import Answer, Page


class Account(Answer):
    """An account of the ledger; debit is positive."""

    id: UUID
    code: str
    currency: str
    grant_id: UUID | None
    allotment_id: UUID | None
    balance_minor: int


class AccountPage(Page):
    """Accounts, by code."""

    accounts: list[Account]


class Posting(Answer):
    """What a journal does to an account."""

    account: str
    grant_id: UUID | None
    allotment_id: UUID | None
    currency: str
    amount_minor: int


class Journal(Answer):
    """An entry in the books; its postings add up to zero in each currency."""

    id: UUID
    kind: str
    occurred_on: date
    recorded_at: datetime
    reference: str | None
    reason: str | None
    postings: list[Posting]


class JournalPage(Page):
    """Journals, by when they were recorded."""

    journals: list[Journal]


class PurchaseRow(Answer):
    """A purchase as lists show it."""

    id: UUID
    allotment_id: UUID
    supplier: str
    cost_category: str
    programme: str
    currency: str
    amount_minor: int
    state: str
    planned_on: date
    paid_on: date | None
    recorded_at: datetime


class PurchasePage(Page):
    """Purchases, the oldest first."""

    purchases: list[PurchaseRow]


class PurchaseLine(Answer):
    """What is bought.

    Attributes:
        line: its number, from 1.
        item: None for a service or a cost such as rent.
        unit_value_minor: of one piece as it was ordered, in minor units of the purchase's currency.
        billed_unit_minor: of one piece by the bill; None where that is what was ordered.
        received: how many pieces of it were counted.
    """

    line: int
    item: str | None
    description: str
    quantity: int
    unit_value_minor: int
    billed_unit_minor: int | None
    received: int


class PurchaseCorrection(Answer):
    """What stood in a purchase before somebody put it right.

    Attributes:
        what: a `bill` or a `payment`; an `order` that was given up after it was said to have come.
        amount_minor: what was ordered, or the bill asked for, then; in minor units of the
            purchase's currency.
        reference: of the bill, or of the bank.
        reason: why it was put right.
    """

    what: str
    amount_minor: int
    reference: str | None
    paid_on: date | None
    reason: str
    corrected_by: UUID
    recorded_at: datetime


class Purchase(PurchaseRow):
    """A purchase with its lines and what was put right in it, the oldest first.

    Attributes:
        amount_minor: what was ordered and, once there is a bill, what it asks for.
        commitment_id: the money set aside for it since it was ordered.
        maker, approver, payer: who drew it up, who ordered it, and who paid it.
        biller: who entered what the bill asks for.
        version: one more with each change.
    """

    commitment_id: UUID | None
    area: str
    invoice_reference: str | None
    bank_reference: str | None
    maker: UUID
    approver: UUID | None
    payer: UUID | None
    biller: UUID | None
    version: int
    lines: list[PurchaseLine]
    corrections: list[PurchaseCorrection]


class Discrepancy(Answer):
    """Money that a fact took and the books do not have; some may not see what for."""

    id: UUID
    about: str
    need_id: UUID
    programme: str | None
    amount_minor: int
    currency: str
    occurred_on: date
    cost_category: str | None
    commitment_id: UUID | None
    opened_at: datetime


class DiscrepancyPage(Page):
    """Open discrepancies, the oldest first."""

    discrepancies: list[Discrepancy]


class Commitment(Answer):
    """What was set aside for an attempt of a need; some may not see of what grant.

    Attributes:
        billed_minor: what its provider charges, by the last bill that was not withdrawn.
        bill_state: `waiting` for a second person, or `charged`.
        biller: who entered that bill.
    """

    id: UUID
    attempt_no: int
    allotment_id: UUID | None
    grant_code: str | None
    amount_minor: int
    currency: str
    purpose: str
    state: str
    hold_until: datetime | None
    collect_by: datetime | None
    spent_on: date | None
    cause: str | None
    billed_minor: int | None
    bill_state: str | None
    biller: UUID | None


class Bill(Answer):
    """What a provider charges; some may not see of what grant.

    Attributes:
        committed_minor: what they get as long as the bill waits.
        state: of the commitment, `spent` once the service was given.
        biller: who entered it; another person has it charged.
    """

    id: UUID
    commitment_id: UUID
    need_id: UUID
    amount_minor: int
    committed_minor: int
    currency: str
    state: str
    grant_code: str | None
    reason: str
    biller: UUID
    recorded_at: datetime


class BillPage(Page):
    """Bills that wait for a second person, the oldest first."""

    bills: list[Bill]


class Refusal(Answer):
    """Why money was refused last; `code` is what is lacking."""

    attempt_no: int
    reason: str
    code: str | None
    amount_minor: int | None
    decided_at: datetime


class PayoutOfNeed(Answer):
    """A payment to the person of a need, by the number that lists and banks call it."""

    id: UUID
    amount_minor: int
    currency: str
    mechanism: str | None
    state: str
    settled_on: date | None


class OfNeed(Answer):
    """What was committed for a need, attempt by attempt, and the payouts drawn up for it."""

    commitments: list[Commitment]
    refused: Refusal | None
    payouts: list[PayoutOfNeed]
