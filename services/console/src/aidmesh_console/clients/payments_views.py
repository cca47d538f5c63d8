"""What payments shows the desk: grants, purchases, payouts and what waits for someone."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from aidmesh_console.clients.link import Page, View
from aidmesh_console.clients.peers import LinkState


class Holding(View):
    """Part of a grant that a region holds, in the currency of spending, in minor units."""

    allotment_id: UUID | None = None
    grant_code: str | None = None
    grantor: str | None = None
    holder: str
    budget_line: str | None = None
    currency: str
    status: str
    received_minor: int = 0
    held_minor: int = 0
    committed_minor: int = 0
    spent_minor: int = 0
    free_minor: int = 0
    in_transit_minor: int = 0
    as_of: datetime | None = None
    link: LinkState | None = None


class Grant(View):
    """One grant in its own currency, in minor units.

    Attributes:
        exchange_difference_minor: what conversions cost more than their rates (negative: less).
    """

    id: UUID
    code: str
    donor: str
    currency: str
    status: str
    amount_minor: int
    received_minor: int
    unallotted_minor: int
    allotted_minor: int
    in_transit_minor: int = 0
    exchange_difference_minor: int = 0
    shortfall_minor: int = 0
    refund_due_minor: int = 0
    refunded_minor: int = 0
    terms_version: int = 1
    holders: tuple[Holding, ...] = ()


class BudgetLine(View):
    """A line of a grant's budget, in the grant's currency."""

    code: str
    amount_minor: int
    allotted_minor: int = 0
    flexibility_percent: int = 0
    cost_categories: tuple[str, ...] | None = None


class Instalment(View):
    """A part of a grant that is expected or came in.

    Attributes:
        paid_minor: what the donor paid, in minor units of `paid_currency`.
    """

    id: UUID
    expected_minor: int
    expected_on: date
    state: str
    received_minor: int | None = None
    paid_minor: int | None = None
    paid_currency: str | None = None
    received_on: date | None = None
    bank_reference: str | None = None
    reason: str | None = None


class Amendment(View):
    """What a grant promised before its terms got this version, and why they changed."""

    terms_version: int
    amount_minor: int
    period_to: date
    reason: str
    recorded_at: datetime


class WholeGrant(Grant):
    """A grant of this region with its budget and its instalments."""

    period_from: date
    period_to: date
    paying_office: str | None = None
    budget_lines: tuple[BudgetLine, ...] = ()
    instalments: tuple[Instalment, ...] = ()
    amendments: tuple[Amendment, ...] = ()


class Grants(Page):
    """A page of the grants known here; `others` are what grants of other regions gave."""

    as_of: datetime
    grants: tuple[Grant, ...]
    others: tuple[Holding, ...] = ()


class Donor(View):
    """Who gives grants."""

    id: UUID
    name: str


class Rate(View):
    """A rate of exchange as it was published: so much of `spending` for one of `base`."""

    base: str
    spending: str
    rate: str
    rate_on: date
    source: str


class Rates(Page):
    """A page of rates, the newest first."""

    rates: tuple[Rate, ...]


class PurchaseLine(View):
    """What is bought: pieces of an item, or a service.

    Attributes:
        billed_unit_minor: what one costs by the bill, where that is not what was ordered.
    """

    line: int = 0
    item: str | None = None
    description: str
    quantity: int
    unit_value_minor: int
    billed_unit_minor: int | None = None
    received: int = 0

    @property
    def cost_minor(self) -> int:
        """What one costs, as far as that is known."""
        return self.unit_value_minor if self.billed_unit_minor is None else self.billed_unit_minor


class Correction(View):
    """What stood in a purchase before it was put right: a `bill`, a `payment` or the `order`."""

    what: str
    amount_minor: int
    reference: str | None = None
    reason: str
    recorded_at: datetime


class Purchase(View):
    """Something that is bought from an allotment."""

    id: UUID
    allotment_id: UUID
    supplier: str
    cost_category: str
    programme: str
    currency: str
    amount_minor: int
    state: str
    planned_on: date
    paid_on: date | None = None
    area: str | None = None
    invoice_reference: str | None = None
    bank_reference: str | None = None
    lines: tuple[PurchaseLine, ...] = ()
    corrections: tuple[Correction, ...] = ()


class Purchases(Page):
    """A page of purchases."""

    rows: tuple[Purchase, ...] = Field(validation_alias="purchases")


class Discrepancy(View):
    """Money that a fact took and the books do not have; some may not see what for."""

    id: UUID
    about: str
    need_id: UUID
    programme: str | None
    amount_minor: int
    currency: str
    occurred_on: date
    opened_at: datetime


class Discrepancies(Page):
    """A page of discrepancies."""

    rows: tuple[Discrepancy, ...] = Field(validation_alias="discrepancies")


class AllotmentRequest(View):
    """An allotment beyond its budget line that waits for a second person."""

    id: UUID
    grant_id: UUID
    reason: str
    asked_at: datetime
    budget_line: str
    to_region: str
    amount_minor: int
    currency: str


class AllotmentRequests(Page):
    """A page of requests."""

    rows: tuple[AllotmentRequest, ...] = Field(validation_alias="requests")


class Payout(View):
    """A payment to a person; who it goes to is sealed and not shown here.

    Attributes:
        assigned_to: the office of another region that is to pay it; link: whether it is heard.
        programme, grant_code, budget_line: what it is for; None where that is not shown.
        given: it has no payout: somebody entered it as given.
    """

    id: UUID
    need_id: UUID | None = None
    given: bool = False
    programme: str | None = None
    grant_code: str | None = None
    budget_line: str | None = None
    amount_minor: int
    currency: str
    mechanism: str | None = None
    state: str = ""
    reason: str | None = None
    recorded_at: datetime | None = None
    settled_on: date | None = None
    review_due_at: datetime | None = None
    assigned_to: str | None = None
    link: LinkState | None = None


class PayingOrder(View):
    """What another region has this office pay; without a sum until the box could be opened.

    Attributes:
        recorded_at: when it was heard of; link: whether that region is heard.
    """

    id: UUID
    region: str
    grant_code: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    mechanism: str | None = None
    state: str
    recorded_at: datetime | None = None
    link: LinkState | None = None


class PayingOrders(Page):
    """A page of orders."""

    rows: tuple[PayingOrder, ...] = Field(validation_alias="orders")


class PaymentList(View):
    """What was put on one list for the bank."""

    id: UUID
    currency: str
    mechanism: str
    payouts: int
    total_minor: int
    exported_at: datetime


class PaymentLists(Page):
    """A page of payment lists."""

    rows: tuple[PaymentList, ...] = Field(validation_alias="batches")


class Payouts(Page):
    """A page of payouts."""

    rows: tuple[Payout, ...] = Field(validation_alias="payouts")


class MoneyOfNeed(View):
    """The payouts that were drawn up for a need, the first one first."""

    payouts: tuple[Payout, ...]


class RowAnswer(View):
    """What became of one row of a bulk form."""

    row: int
    status: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """A line of a table: the bank paid this need or payout under this reference."""

    line: int
    id: UUID
    bank_reference: str
