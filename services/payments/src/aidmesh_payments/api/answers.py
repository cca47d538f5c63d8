"""What routes answer, as `/docs` shows it. Amounts are in minor units of their currency.

A field of a row that is not here is an error, not a field less: the tests find it.
"""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from aidmesh_chassis.peers import LinkState


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Page(_Answer):
    """`next` is the cursor of the page that follows."""

    next: str | None


class Donor(_Answer):
    """Who gives grants."""

    id: UUID
    name: str


class DonorPage(_Page):
    """Donors, by name."""

    donors: list[Donor]


class Regions(_Page):
    """Whom money may be allotted to: `region` is the own one."""

    region: str
    regions: list[str]


class Standing(_Answer):
    """How a region stands that is or was gone, since when, and from which epoch on it is heard."""

    region: str
    standing: str
    epoch: int
    since: datetime


class Declaration(_Answer):
    """A region that a lead holds for lost, until another one decides."""

    region: str
    reason: str
    asked_by: UUID
    asked_at: datetime


class Reissue(_Answer):
    """What was taken back of a lost region's allotment, by figures of `figures_as_of`."""

    allotment_id: UUID
    epoch: int
    holder: str
    amount_minor: int
    currency: str
    figures_as_of: datetime | None
    booked_at: datetime


class Debt(_Answer):
    """What this region owes of an allotment since it was held for lost."""

    allotment_id: UUID
    grantor: str
    currency: str
    owed_minor: int


class Standings(_Answer):
    """How regions stand; `left_out` names the lists that have more."""

    standings: list[Standing]
    asked: list[Declaration]
    reissued: list[Reissue]
    owed: list[Debt]
    left_out: list[str]


class Offer(_Answer):
    """Money of an own grant that could go there; of a `holder`, that could be proposed to it.

    Attributes:
        is_plain: its donor restricts nothing but programmes and time; else a person has to say
            whether it fits.
    """

    grant_id: UUID
    grant_code: str | None
    budget_line: str
    allotment_id: UUID | None
    holder: str | None
    amount_minor: int
    free_minor: int
    is_plain: bool


class Wait(_Answer):
    """What is waited for in a region.

    Attributes:
        chosen_minor: of it for needs that somebody chose to be served from elsewhere by rule.
        coming_minor: what was sent for it or is proposed.
    """

    region: str
    programme: str
    currency: str
    amount_minor: int
    chosen_minor: int
    coming_minor: int
    as_of: datetime
    link: LinkState | None
    offers: list[Offer]


class WaitPage(_Page):
    """What is waited for, by region."""

    waits: list[Wait]


class WaitRule(_Answer):
    """A rule in force; `given_minor` is what it moved or proposed within seven days."""

    rule_id: UUID
    programme: str | None
    currency: str
    regions: list[str] | None
    keep_minor: int
    move_max_minor: int
    week_max_minor: int
    chosen_only: bool
    set_at: datetime
    set_by: UUID
    given_minor: int


class WaitRulePage(_Page):
    """Rules in force, the oldest first."""

    rules: list[WaitRule]


class Account(_Answer):
    """An account of the ledger; debit is positive."""

    id: UUID
    code: str
    currency: str
    grant_id: UUID | None
    allotment_id: UUID | None
    balance_minor: int


class AccountPage(_Page):
    """Accounts, by code."""

    accounts: list[Account]


class Posting(_Answer):
    """What a journal does to an account."""

    account: str
    grant_id: UUID | None
    allotment_id: UUID | None
    currency: str
    amount_minor: int


class Journal(_Answer):
    """An entry in the books; its postings add up to zero in each currency."""

    id: UUID
    kind: str
    occurred_on: date
    recorded_at: datetime
    reference: str | None
    reason: str | None
    postings: list[Posting]


class JournalPage(_Page):
    """Journals, by when they were recorded."""

    journals: list[Journal]


class PurchaseRow(_Answer):
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


class PurchasePage(_Page):
    """Purchases, the oldest first."""

    purchases: list[PurchaseRow]


class PaymentList(_Answer):
    """What was put on one list for the bank."""

    id: UUID
    currency: str
    mechanism: str
    payouts: int
    total_minor: int
    exported_at: datetime


class PaymentListPage(_Page):
    """Payment lists, the newest first."""

    batches: list[PaymentList]


class Payout(_Answer):
    """A payment to a person; who it goes to is sealed and not shown.

    Attributes:
        sealed_by: who entered whom it goes to, if they did so after it was drawn up.
        assigned_to: the office of another region that pays it.
        withdrawal: what that office was told of it since.
    """

    id: UUID
    need_id: UUID
    amount_minor: int
    currency: str
    mechanism: str | None
    state: str
    reason: str | None
    maker: UUID | None
    sealed_by: UUID | None
    approver: UUID | None
    settler: UUID | None
    review_due_at: datetime | None
    batch_id: UUID | None
    bank_reference: str | None
    settled_on: date | None
    assigned_to: str | None
    withdrawal: str | None
    recorded_at: datetime


class PayoutPage(_Page):
    """Payouts in a state, the oldest first."""

    payouts: list[Payout]


class PayoutReview(_Answer):
    """A payout that one person paid alone and a second has to look at."""

    id: UUID
    need_id: UUID
    amount_minor: int
    currency: str
    settler: UUID | None
    settled_on: date | None
    review_due_at: datetime
    review_overdue: bool


class PayoutReviewPage(_Page):
    """Such payouts, the most urgent first."""

    payouts: list[PayoutReview]


class Order(_Answer):
    """What another region has this office pay; without a sum until its box could be opened.

    Attributes:
        grant_code: for those who may see what is sensitive.
    """

    id: UUID
    region: str
    grant_code: str | None
    amount_minor: int | None
    currency: str | None
    mechanism: str | None
    state: str
    reason: str | None
    approver: UUID | None
    settler: UUID | None
    review_due_at: datetime | None
    batch_id: UUID | None
    bank_reference: str | None
    settled_on: date | None
    recorded_at: datetime


class OrderPage(_Page):
    """Orders in a state, the oldest first."""

    orders: list[Order]


class OrderReview(_Answer):
    """An order that one person paid alone and a second has to look at."""

    id: UUID
    region: str
    amount_minor: int | None
    currency: str | None
    settler: UUID | None
    settled_on: date | None
    review_due_at: datetime
    review_overdue: bool


class OrderReviewPage(_Page):
    """Such orders, the most urgent first."""

    orders: list[OrderReview]


class Doubtful(_Answer):
    """A payout, an order or a purchase (`about`) that may have been paid, as nobody can prove.

    Attributes:
        region: that asked for an order, or was to pay a payout and is lost.
    """

    id: UUID
    about: str
    since: datetime
    need_id: UUID | None
    supplier: str | None
    region: str | None
    amount_minor: int | None
    currency: str | None
    mechanism: str | None
    state: str | None
    recorded_at: datetime | None


class DoubtfulPage(_Page):
    """What nobody can prove, the oldest first."""

    unproven: list[Doubtful]


class Discrepancy(_Answer):
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


class DiscrepancyPage(_Page):
    """Open discrepancies, the oldest first."""

    discrepancies: list[Discrepancy]
