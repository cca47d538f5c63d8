"""Events of payments about grants, and what regions give each other of them; all hear them."""

from datetime import date
from typing import Literal

from pydantic import AwareDatetime, Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId, TransferId
from aidmesh_contracts.restriction import Restriction
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import Code, Currency, Region, Value


class GrantTerms(Value):
    """What a region must know of a grant to spend from it; self-contained in every transfer."""

    grant_id: GrantId
    code: Code
    donor: str
    currency: Currency
    restriction: Restriction
    paying_office: Region
    terms_version: int = Field(gt=0)


class GrantChangedV1(Event, type="payments.grant.changed.v1", stream=Stream.EVENTS, key="grant_id"):
    """State of a grant at its grantor; the highest version wins.

    Attributes:
        unallotted_minor: what nobody was given yet and nobody waits for; None where an older
            region tells. The grantor itself needs it when it is restored.
    """

    grant_id: GrantId
    terms: GrantTerms
    amount_minor: int
    received_minor: int
    status: Literal["pledged", "active", "suspended", "closed"]
    version: int = Field(gt=0)
    unallotted_minor: int | None = None


class AllotmentSentV1(
    Event, type="payments.allotment.sent.v1", stream=Stream.EVENTS, key="allotment_id"
):
    """Money is on its way to a region; it is credited once, by `transfer_id`.

    Attributes:
        amount_minor: in the currency of spending.
        granted_minor: what the grantor counts as gone, in the grant's currency.
        rate: spending currency per unit of the grant's, as a decimal string.
        cost_categories: what the budget line pays for; None for all that the grant allows.
        rebalancing_id: the proposal that it carries out; None of other transfers.
    """

    allotment_id: AllotmentId
    transfer_id: TransferId
    terms: GrantTerms
    budget_line: Code
    from_region: Region
    to_region: Region
    amount_minor: int = Field(gt=0)
    currency: Currency
    granted_minor: int = Field(gt=0)
    rate: str
    valid_until: date | None = None
    cost_categories: tuple[Code, ...] | None = None
    rebalancing_id: RebalancingId | None = None


class AllotmentReceivedV1(
    Event, type="payments.allotment.received.v1", stream=Stream.EVENTS, key="allotment_id"
):
    """The holder credited a transfer; the grantor takes it out of transit."""

    allotment_id: AllotmentId
    transfer_id: TransferId
    grantor: Region
    holder: Region
    amount_minor: int = Field(gt=0)
    currency: Currency


class AllotmentReturnedV1(
    Event, type="payments.allotment.returned.v1", stream=Stream.EVENTS, key="allotment_id"
):
    """The holder gave free money back; the grantor credits it once, by `transfer_id`.

    Attributes:
        rebalancing_id: the proposal that it consents to; None of other returns.
        fences: the epochs of the holder that it knew to be fenced for this allotment
            (`AllotmentReissuedV1`) when it gave this back. Before it has heard of all of them, what
            it gives back has no effect. None from older regions, which did not say.
    """

    allotment_id: AllotmentId
    transfer_id: TransferId
    grantor: Region
    holder: Region
    amount_minor: int = Field(gt=0)
    currency: Currency
    rebalancing_id: RebalancingId | None = None
    fences: tuple[int, ...] | None = None


class ReturnBookedV1(
    Event, type="payments.return.booked.v1", stream=Stream.EVENTS, key="allotment_id"
):
    """The grantor credited a return; the holder takes it out of transit."""

    allotment_id: AllotmentId
    transfer_id: TransferId
    grantor: Region
    holder: Region
    amount_minor: int = Field(gt=0)
    currency: Currency


class RecallRequestedV1(
    Event, type="payments.recall.requested.v1", stream=Stream.EVENTS, key="allotment_id"
):
    """The grantor asks for what is free; from its receipt the holder commits nothing new."""

    allotment_id: AllotmentId
    grantor: Region
    holder: Region
    reason: Code


class AllotmentChangedV1(
    Event, type="payments.allotment.changed.v1", stream=Stream.EVENTS, key="allotment_id"
):
    """State of an allotment at its holder; the highest version wins.

    Attributes:
        given: how a region gave it to itself; None of what another region gave, and where an older
            region tells.
    """

    class Given(Value):
        """What of other allotments their transfers tell; a grantor that is restored needs it.

        Attributes:
            granted_minor: what its grant counted as gone, in the grant's currency, returns not
                taken off.
            rate: of the last that was given, as a decimal string.
        """

        budget_line: Code
        granted_minor: int = Field(gt=0)
        rate: str
        valid_until: date | None = None

    allotment_id: AllotmentId
    grant_id: GrantId
    grantor: Region
    holder: Region
    currency: Currency
    received_minor: int
    returned_minor: int
    held_minor: int
    committed_minor: int
    spent_minor: int
    status: Literal["active", "recalled", "returned"]
    version: int = Field(gt=0)
    as_of: AwareDatetime
    given: Given | None = None


class AllotmentReissuedV1(
    Event, type="payments.allotment.reissued.v1", stream=Stream.EVENTS, key="allotment_id"
):
    """The grantor took back, by itself, what a lost holder had free; from then on it is recalled.

    Attributes:
        amount_minor: taken back, in the currency of spending; the grantor uses it anew. The holder,
            when it is back, owes it, less what it had given back itself and nobody credited.
        epoch: of the holder, that was fenced.
        credited: what the holder had given back and the grantor had credited by then.
    """

    allotment_id: AllotmentId
    grantor: Region
    holder: Region
    amount_minor: int = Field(ge=0)
    currency: Currency
    epoch: int = Field(gt=0)
    credited: tuple[TransferId, ...] = ()


EVENTS: tuple[type[Event], ...] = (
    GrantChangedV1,
    AllotmentSentV1,
    AllotmentReceivedV1,
    AllotmentReturnedV1,
    ReturnBookedV1,
    RecallRequestedV1,
    AllotmentChangedV1,
    AllotmentReissuedV1,
)
