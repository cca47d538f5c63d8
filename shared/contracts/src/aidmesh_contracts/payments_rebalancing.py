"""Events of payments about money that a grantor proposes to move between holders; all hear them."""

from typing import Literal

from pydantic import AwareDatetime, Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import Code, Currency, Region


class RebalancingChangedV1(
    Event, type="payments.rebalancing.changed.v1", stream=Stream.EVENTS, key="rebalancing_id"
):
    """A proposal as its grantor has it; the highest version wins.

    It moves nothing: the holder's return does (`payments.allotment.returned.v1`), and what the
    grantor then sends (`payments.allotment.sent.v1`), both with its id.

    Attributes:
        allotment_id, holder: whose free money would go back.
        to_region: who would get it.
        amount_minor: at most so much, in the currency of spending.
        lapses_at: until when the holder may consent, by the holder's clock.
    """

    rebalancing_id: RebalancingId
    grant_id: GrantId
    allotment_id: AllotmentId
    grantor: Region
    holder: Region
    to_region: Region
    amount_minor: int = Field(gt=0)
    currency: Currency
    reason: Code
    lapses_at: AwareDatetime
    state: Literal["proposed", "declined", "lapsed", "withdrawn", "returned", "moved", "kept"]
    version: int = Field(gt=0)


class RebalancingAnsweredV1(
    Event, type="payments.rebalancing.answered.v1", stream=Stream.EVENTS, key="rebalancing_id"
):
    """What the holder says of a proposal; the highest version wins. Consent is the return itself.

    Attributes:
        amount_minor: what is prepared to go back, once a second person there consents.
        reason: why it is declined: a code.
    """

    rebalancing_id: RebalancingId
    allotment_id: AllotmentId
    grantor: Region
    holder: Region
    answer: Literal["prepared", "declined", "lapsed"]
    amount_minor: int | None = Field(default=None, gt=0)
    reason: Code | None = None
    version: int = Field(gt=0)


EVENTS: tuple[type[Event], ...] = (RebalancingChangedV1, RebalancingAnsweredV1)
