"""What routes answer about payments to people: own payouts, orders of other regions, lists."""

from datetime import date, datetime
from uuid import UUID

from aidmesh_chassis.peers import LinkState
from aidmesh_payments.api.answers import Answer, Page


class PaymentList(Answer):
    """What was put on one list for the bank."""

    id: UUID
    currency: str
    mechanism: str
    payouts: int
    total_minor: int
    exported_at: datetime


class PaymentListPage(Page):
    """Payment lists, the newest first."""

    batches: list[PaymentList]


class Payout(Answer):
    """A payment to a person; who it goes to is sealed and not shown.

    Attributes:
        programme, grant_code, budget_line: what it is for; of a sensitive need None for those who
            may not see what is sensitive.
        sealed_by: who entered or last corrected whom it goes to.
        assigned_to: the office of another region that pays it.
        withdrawal: what that office was told of it since.
        link: whether that office is heard.
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
    link: LinkState | None
    programme: str | None
    grant_code: str | None
    budget_line: str | None


class PayoutPage(Page):
    """Payouts in a state, the oldest first."""

    payouts: list[Payout]


class PayoutReview(Answer):
    """What one person paid alone, or entered as given, and a second has to look at.

    Attributes:
        id: of the payout; of what was entered as given, which has none, the need's.
        given: somebody, the `settler`, entered it as given.
        review_overdue: above the float limit what was entered as given is due at once.
        programme, grant_code, budget_line: what it was for; of a sensitive need None for those
            who may not see what is sensitive.
    """

    id: UUID
    need_id: UUID
    amount_minor: int
    currency: str
    mechanism: str | None
    given: bool
    settler: UUID | None
    settled_on: date | None
    review_due_at: datetime
    review_overdue: bool
    programme: str | None
    grant_code: str | None
    budget_line: str | None


class PayoutReviewPage(Page):
    """Such payouts, the most urgent first."""

    payouts: list[PayoutReview]


class Order(Answer):
    """What another region has this office pay; without a sum until its box could be opened.

    Attributes:
        grant_code: for those who may see what is sensitive.
        link: whether that region is heard.
    """

    id: UUID
    region: str
    link: LinkState | None
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


class OrderPage(Page):
    """Orders in a state, the oldest first."""

    orders: list[Order]


class OrderReview(Answer):
    """An order that one person paid alone and a second has to look at."""

    id: UUID
    region: str
    link: LinkState | None
    amount_minor: int | None
    currency: str | None
    settler: UUID | None
    settled_on: date | None
    review_due_at: datetime
    review_overdue: bool


class OrderReviewPage(Page):
    """Such orders, the most urgent first."""

    orders: list[OrderReview]


class Doubtful(Answer):
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


class DoubtfulPage(Page):
    """What nobody can prove, the oldest first."""

    unproven: list[Doubtful]
