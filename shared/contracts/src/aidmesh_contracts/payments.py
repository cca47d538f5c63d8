"""Events of payments about single needs, orders and payouts, and what regions need for these."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    AllotmentId,
    CommitmentId,
    GrantId,
    NeedId,
    PayoutId,
    PurchaseId,
)
from aidmesh_contracts.restriction import Restriction
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import BlockedBy, Code, Currency, Value


class CommitmentHeldV1(
    Event, type="payments.commitment.held.v1", stream=Stream.LOCAL, key="commitment_id"
):
    """Money is set aside until `hold_until` (clock of payments' database)."""

    commitment_id: CommitmentId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    grant_id: GrantId
    allotment_id: AllotmentId
    amount_minor: int = Field(gt=0)
    currency: Currency
    hold_until: AwareDatetime


class CommitmentRefusedV1(
    Event, type="payments.commitment.refused.v1", stream=Stream.LOCAL, key="need_id"
):
    """No money could be set aside, or a hold had run out before it was confirmed."""

    need_id: NeedId
    attempt_no: int = Field(gt=0)
    reason: Literal["short", "restricted", "expired", "withdrawn", "recalled"]
    blocked_by: BlockedBy | None = None
    decided_at: AwareDatetime


class CommitmentMadeV1(
    Event, type="payments.commitment.made.v1", stream=Stream.LOCAL, key="commitment_id"
):
    """The money is committed.

    Attributes:
        sent: of a payout, whether it is sent to the person rather than kept for them as cash. None
            of a provider's bill, and where the details of who is paid have not come yet.
    """

    commitment_id: CommitmentId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    grant_id: GrantId
    amount_minor: int = Field(gt=0)
    currency: Currency
    sent: bool | None = None


class CommitmentReleasedV1(
    Event, type="payments.commitment.released.v1", stream=Stream.LOCAL, key="commitment_id"
):
    """Money set aside or committed is free again.

    Attributes:
        undone_no: the last payment that served the need, which had been reversed by then; None
            where there was none.
    """

    commitment_id: CommitmentId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    cause: Literal["hold_expired", "not_collected", "withdrawn", "returned"]
    undone_no: int | None = Field(default=None, gt=0)


class CommitmentSpentV1(
    Event, type="payments.commitment.spent.v1", stream=Stream.LOCAL, key="commitment_id"
):
    """Money left for good.

    Attributes:
        spend_no: counts how often this commitment was spent (reversed and spent again).
        grant_id: which grant bears it; if `unfunded`, which was to bear it.
        fulfils: True when the payment itself is the service (cash); False when it pays the
            provider of a service that inventory reported, or bears cash that was unfunded.
        unfunded: the person has the cash, but no grant has borne it yet; once money is found,
            another one tells by which.
    """

    commitment_id: CommitmentId
    need_id: NeedId
    attempt_no: int = Field(ge=0)
    spend_no: int = Field(gt=0)
    grant_id: GrantId
    amount_minor: int
    currency: Currency
    spent_on: date
    payout_id: PayoutId | None = None
    fulfils: bool
    unfunded: bool = False


class CommitmentReversedV1(
    Event, type="payments.commitment.reversed.v1", stream=Stream.LOCAL, key="commitment_id"
):
    """A spending was reversed (a payment came back), for a reason."""

    commitment_id: CommitmentId
    need_id: NeedId
    attempt_no: int = Field(ge=0)
    spend_no: int = Field(gt=0)
    fulfils: bool
    reason: Code


class FundsGrewV1(Event, type="payments.funds.grew.v1", stream=Stream.LOCAL, key="allotment_id"):
    """More money can be held; wakes whom it serves, and who may use what is left of it.

    Attributes:
        programmes: whom it may serve, None for all.
    """

    allotment_id: AllotmentId
    programmes: tuple[Code, ...] | None = None
    currency: Currency
    amount_minor: int = Field(gt=0)
    freed_by: NeedId | None = None
    grew_at: AwareDatetime


class PurchaseOrderedV1(
    Event, type="payments.purchase.ordered.v1", stream=Stream.LOCAL, key="purchase_id"
):
    """Goods were ordered from a grant; the lots they become carry its terms and unit value.

    Attributes:
        terms_version: of the grant's terms that `restriction` is of; None where nobody said.
    """

    class Line(Value):
        """One item of the order."""

        item: Code
        quantity: int = Field(gt=0)
        unit_value_minor: int = Field(ge=0)

    purchase_id: PurchaseId
    grant_id: GrantId
    restriction: Restriction
    currency: Currency
    lines: tuple[Line, ...]
    terms_version: int | None = Field(default=None, gt=0)


class PurchaseCanceledV1(
    Event, type="payments.purchase.canceled.v1", stream=Stream.LOCAL, key="purchase_id"
):
    """Goods that were ordered are given up: nothing is received for them any more."""

    purchase_id: PurchaseId


class PurchaseChangedV1(
    Event, type="payments.purchase.changed.v1", stream=Stream.LOCAL, key="purchase_id"
):
    """Whether more is to come of goods that were ordered; the highest version wins.

    Told when somebody says that all has come, and when that does not hold any more. Goods that
    come all the same are received.
    """

    purchase_id: PurchaseId
    is_to_come: bool
    version: int = Field(gt=0)


class PurchaseBilledV1(
    Event, type="payments.purchase.billed.v1", stream=Stream.LOCAL, key="purchase_id"
):
    """What goods cost by their bill, where that is not what was ordered; the highest version wins.

    Attributes:
        lines: all goods of the order, those that cost what was ordered as well.
    """

    purchase_id: PurchaseId
    lines: tuple[PurchaseOrderedV1.Line, ...]
    version: int = Field(gt=0)


class PayoutChangedV1(
    Event, type="payments.payout.changed.v1", stream=Stream.LOCAL, key="payout_id"
):
    """State of a payout; the highest version wins.

    `reason` is an ISO 20022 code, or `not_collected` of cash that nobody fetched.
    """

    payout_id: PayoutId
    need_id: NeedId
    state: Literal[
        "draft", "approved", "exported", "accepted", "settled", "rejected", "returned", "cancelled"
    ]
    reason: str | None = None
    version: int = Field(gt=0)


class KeyChangedV1(Event, type="payments.key.changed.v1", stream=Stream.EVENTS, key="purpose"):
    """A public key of this service, for those of other regions; the highest version wins.

    Attributes:
        purpose: `seal`: what payee details are sealed to (X25519).
        public: base64 of the 32 bytes.
    """

    purpose: Literal["seal"]
    public: str
    version: int = Field(gt=0)


class PayoutAssignedV1(
    Event, type="payments.payout.assigned.v1", stream=Stream.HANDOFF, key="payout_id"
):
    """An approved payout for the office that the grant names to pay it.

    Attributes:
        sealed: base64 of amount, mechanism, payee, grant and approver, sealed to that office.
    """

    payout_id: PayoutId
    sealed: str


class PayoutWithdrawnV1(
    Event, type="payments.payout.withdrawn.v1", stream=Stream.HANDOFF, key="payout_id"
):
    """The holder asks a payout back; if it has left already, it is paid. It may come first."""

    payout_id: PayoutId


class PayoutOutcomeV1(
    Event, type="payments.payout.outcome.v1", stream=Stream.HANDOFF, key="payout_id"
):
    """What the paying office did with a payout; the highest version wins.

    Attributes:
        reason: an ISO 20022 code, or `unreadable` of a box that could not be opened.
        settled_by: the member of staff there who settled it.
    """

    payout_id: PayoutId
    state: Literal["received", "exported", "settled", "rejected", "returned", "cancelled"]
    reason: str | None = None
    bank_reference: str | None = None
    settled_on: date | None = None
    settled_by: UUID | None = None
    version: int = Field(gt=0)


class HandoffTakenV1(
    Event, type="payments.handoff.taken.v1", stream=Stream.HANDOFF, key="handoff_id"
):
    """The answer to a handoff: it is in the inbox of the region that it was for."""

    handoff_id: UUID


EVENTS: tuple[type[Event], ...] = (
    CommitmentHeldV1,
    CommitmentRefusedV1,
    CommitmentMadeV1,
    CommitmentReleasedV1,
    CommitmentSpentV1,
    CommitmentReversedV1,
    FundsGrewV1,
    PurchaseOrderedV1,
    PurchaseCanceledV1,
    PurchaseChangedV1,
    PurchaseBilledV1,
    PayoutChangedV1,
    KeyChangedV1,
    PayoutAssignedV1,
    PayoutWithdrawnV1,
    PayoutOutcomeV1,
    HandoffTakenV1,
)
