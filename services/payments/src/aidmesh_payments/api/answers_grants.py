"""What routes answer about grants: who gives them, who holds what of them, rates of exchange.

Amounts of a grant are in its own currency, those of an allotment in the one it is spent in.
"""

from datetime import date, datetime
from uuid import UUID

from aidmesh_chassis.peers import LinkState
from aidmesh_payments.api.answers import Answer, Page


class Donor(Answer):
    """Who gives grants."""

    id: UUID
    name: str


class DonorPage(Page):
    """Donors, by name."""

    donors: list[Donor]


class Grant(Answer):
    """A grant of this region with its balances, in minor units of its currency.

    Attributes:
        amount_minor: what was pledged.
        overhead_bp: the share for overhead, in hundredths of a percent.
        paying_office: the region that pays people from it.
        allotted_minor: given to regions less what they gave back; what is on its way is in it.
        exchange_difference_minor: what conversions really cost more (negative: less) than their
            booked rates.
        refund_due_minor: set aside for a donor who wants money back; `refunded_minor` went back.
        version: one more with each change of balances or status; `terms_version` with each
            amendment.
        shortfall_minor: what the donor wants back beyond what could be set aside.
        in_transit_minor: of `allotted_minor`, on its way to regions.
    """

    id: UUID
    code: str
    donor: str
    currency: str
    amount_minor: int
    period_from: date
    period_to: date
    overhead_bp: int
    status: str
    paying_office: str
    received_minor: int
    unallotted_minor: int
    allotted_minor: int
    exchange_difference_minor: int
    refund_due_minor: int
    refunded_minor: int
    version: int
    terms_version: int
    shortfall_minor: int
    in_transit_minor: int


class GrantPage(Page):
    """Grants of this region (`region`), by code."""

    region: str
    grants: list[Grant]


class Holding(Answer):
    """An allotment of a grant, as its holder last told of it; amounts in minor units of `currency`.

    Attributes:
        grantor: the region whose grant it is of.
        budget_line: None of another region's grant that is held elsewhere.
        status: `active`, `recalled` or `returned`.
        valid_until: the last day on which it may be spent, if there is one.
        as_of: when the holder told so; now for the own region, None if it told nothing yet.
        grant_code, grant_status: None if the grant's terms are not known here yet.
        granted_minor: of own grants what was sent, in the grant's currency; `granted_back_minor`
            is what came back of it.
        free_minor: what the holder may still commit.
        in_transit_minor: on its way to the holder, as far as this region knows.
        link: whether the holder is heard; None for the own region.
    """

    allotment_id: UUID
    grant_id: UUID
    grantor: str
    holder: str
    budget_line: str | None
    currency: str
    received_minor: int
    returned_minor: int
    held_minor: int
    committed_minor: int
    spent_minor: int
    status: str
    valid_until: date | None
    as_of: datetime | None
    grant_code: str | None
    grant_status: str | None
    granted_minor: int | None
    granted_back_minor: int | None
    free_minor: int
    in_transit_minor: int
    link: LinkState | None


class HoldingPage(Page):
    """Allotments known in this region (`region`), by id."""

    region: str
    allotments: list[Holding]


class HeldGrant(Grant):
    """A grant of this region, and who holds what of it."""

    holders: list[Holding]


class GrantSummary(Page):
    """Own grants as of a moment, by code; `others` is what is known of other regions' grants."""

    region: str
    as_of: datetime
    grants: list[HeldGrant]
    others: list[Holding]


class BudgetLine(Answer):
    """A line of a grant's budget, in minor units of the grant's currency.

    Attributes:
        flexibility_percent: by how much of it more may be allotted without a second person.
        cost_categories: what it may be spent on; None for anything.
        allotted_minor: given to regions from it, less what they gave back.
    """

    code: str
    amount_minor: int
    flexibility_percent: int
    cost_categories: list[str] | None
    allotted_minor: int


class Instalment(Answer):
    """A part of a grant that is expected or came in.

    Attributes:
        expected_minor, received_minor: in minor units of the grant's currency.
        state: `expected`, `received`, `reversed` or `withdrawn`.
        paid_minor: what the donor paid, in minor units of `paid_currency`.
        reason: why it was reversed or withdrawn.
    """

    id: UUID
    expected_minor: int
    expected_on: date
    state: str
    received_minor: int | None
    paid_minor: int | None
    paid_currency: str | None
    received_on: date | None
    bank_reference: str | None
    reason: str | None


class AmendedLine(Answer):
    """A budget line before it was amended, in minor units of the grant's currency."""

    code: str
    amount_minor: int


class Amendment(Answer):
    """What a grant promised before its terms got this version, and why they changed.

    Attributes:
        amount_minor: in minor units of the grant's currency.
        budget_lines: as they were; none of an amendment from before they were on record.
    """

    terms_version: int
    amount_minor: int
    period_to: date
    reason: str
    amended_by: UUID
    recorded_at: datetime
    budget_lines: list[AmendedLine]


class DemandWithdrawal(Answer):
    """What a donor does not want back after all, in minor units of the grant's currency."""

    id: UUID
    amount_minor: int
    reason: str
    withdrawn_on: date
    withdrawn_by: UUID
    recorded_at: datetime


class WholeGrant(HeldGrant):
    """A grant of this region with all that belongs to it, as of one moment.

    Attributes:
        amendments, demand_withdrawals: the newest first, at most 50 of each.
    """

    budget_lines: list[BudgetLine]
    instalments: list[Instalment]
    amendments: list[Amendment]
    demand_withdrawals: list[DemandWithdrawal]


class AllotmentRequest(Answer):
    """An allotment beyond its budget line that waits for a second person."""

    id: UUID
    grant_id: UUID
    reason: str
    maker: UUID
    asked_at: datetime
    budget_line: str
    to_region: str
    amount_minor: int
    currency: str


class AllotmentRequestPage(Page):
    """Such allotments, the oldest first."""

    requests: list[AllotmentRequest]


class Rate(Answer):
    """A rate of exchange as it was published: so much of `spending` for one of `base`."""

    base: str
    spending: str
    rate: str
    rate_on: date
    source: str


class RatePage(Page):
    """Rates, the newest first."""

    rates: list[Rate]
