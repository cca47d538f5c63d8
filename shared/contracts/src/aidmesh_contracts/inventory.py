"""Events of inventory: holds and what became of them stay home; free supply goes to all."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, PositiveInt

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import (
    NeedId,
    PurchaseId,
    ReservationId,
    SiteId,
)
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import (
    Allocation,
    Area,
    BlockedBy,
    Code,
    GrantShare,
    Value,
    Visit,
)


class Booking(Value):
    """A bed or a slot that was taken; `to_on` of None is an open-ended stay."""

    resource: Literal["bed", "slot"]
    code: Code
    site_id: SiteId
    from_on: date
    to_on: date | None = None
    starts_at: AwareDatetime | None = None
    places: int = Field(gt=0)


class ReservationHeldV1(
    Event, type="inventory.reservation.held.v1", stream=Stream.LOCAL, key="reservation_id"
):
    """Stock or a place is set aside until `hold_until` (clock of inventory's database)."""

    reservation_id: ReservationId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    hold_until: AwareDatetime
    site_id: SiteId
    allocations: tuple[Allocation, ...] = ()
    booking: Booking | None = None


class ReservationRefusedV1(
    Event, type="inventory.reservation.refused.v1", stream=Stream.LOCAL, key="need_id"
):
    """Nothing could be set aside.

    Attributes:
        reason: `short` (there is none), `restricted` (there is, but no donor allows this use),
            `closed` (the site is), `withdrawn` (the attempt was over before it was tried),
            `unknown_item` (nobody has entered the item that `blocked_by` names; it may come yet).
        blocked_by: what would have to grow; empty when waiting would not help.
        free_quantities: of goods alone, how much of that lies free for a part of the need, site by
            site, the most first: less than it wants everywhere.
        decided_at: inventory's clock; growth after this instant was not seen by the refusal.
    """

    need_id: NeedId
    attempt_no: int = Field(gt=0)
    reason: Literal["short", "restricted", "closed", "withdrawn", "unknown_item"]
    blocked_by: BlockedBy | None = None
    free_quantities: tuple[PositiveInt, ...] = ()
    decided_at: AwareDatetime


class ReservationConfirmedV1(
    Event, type="inventory.reservation.confirmed.v1", stream=Stream.LOCAL, key="reservation_id"
):
    """The hold became firm: it no longer runs out by minutes, only by the pick-up clock.

    Attributes:
        visit: of a bed or a slot; None for goods, and before confirmations said so.
    """

    reservation_id: ReservationId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    site_id: SiteId
    visit: Visit | None = None


class ReservationReleasedV1(
    Event, type="inventory.reservation.released.v1", stream=Stream.LOCAL, key="reservation_id"
):
    """What was set aside is free again.

    Attributes:
        cause: `hold_expired` (not confirmed in time), `not_collected` (nobody came),
            `withdrawn` (intake ended the attempt), `relocated` (the site closed, or the goods may
            not be given any more).
        undone_no: its last issue, which had been undone by then; None where it had none.
    """

    reservation_id: ReservationId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    cause: Literal["hold_expired", "not_collected", "withdrawn", "relocated", "no_show"]
    undone_no: int | None = Field(default=None, gt=0)


class ReservationIssuedV1(
    Event, type="inventory.reservation.issued.v1", stream=Stream.LOCAL, key="reservation_id"
):
    """Handed over, checked in or attended.

    Attributes:
        issue_no: counts how often this reservation was issued (undone and done again).
        site_id, area: where it was of use: of goods for a site that site, else whoever gave them.
        quantity, unit: pieces, nights booked so far, or minutes.
        shares: the value of the goods, by the grants that bought them.
    """

    reservation_id: ReservationId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    issue_no: int = Field(gt=0)
    how: Literal["handover", "check_in", "attendance"]
    served_on: date
    site_id: SiteId
    area: Area
    quantity: int
    unit: Code
    shares: tuple[GrantShare, ...] = ()


class ReservationReversedV1(
    Event, type="inventory.reservation.reversed.v1", stream=Stream.LOCAL, key="reservation_id"
):
    """An issue was undone, for a reason; the goods are set aside again for the same need."""

    reservation_id: ReservationId
    need_id: NeedId
    attempt_no: int = Field(gt=0)
    issue_no: int = Field(gt=0)
    reason: Code


class AidBookedV1(Event, type="inventory.aid.booked.v1", stream=Stream.LOCAL, key="need_id"):
    """Aid that was entered after it was given is in the books, as far as they have it.

    Of one need the last word holds. It is over when the service of the need is reversed.

    Attributes:
        site_id, area: where it was of use, as of an issue; None where no site is known for it:
            then it counts where its service says.
        shares: what grants bore of it: goods, and the nights booked; see `StaySettledV1`.
    """

    need_id: NeedId
    site_id: SiteId | None = None
    area: Area | None = None
    shares: tuple[GrantShare, ...] = ()


class StaySettledV1(
    Event, type="inventory.stay.settled.v1", stream=Stream.LOCAL, key="reservation_id"
):
    """A guest checked out: the nights are known, half-open `[from_on, to_on)`.

    Of one reservation the settlement with the highest `settle_no` holds.

    Attributes:
        attempt_no, issue_no: of the check-in that is settled (0, 0 for aid that was entered after
            it was given); None before settlements said so.
        nights: of all beds together.
        shares: what each grant bore in the end, in place of the shares of the check-in; None
            before settlements said so.
        settle_no: counts how often the nights of this reservation were told of; None before
            settlements could be corrected.
        is_open: the check-out was taken back: the nights are those of the booking again.
        reason: of a check-out that was taken back.
    """

    reservation_id: ReservationId
    need_id: NeedId
    attempt_no: int | None = Field(default=None, ge=0)
    issue_no: int | None = Field(default=None, ge=0)
    nights: int = Field(ge=0)
    from_on: date
    to_on: date
    shares: tuple[GrantShare, ...] | None = None
    settle_no: int | None = Field(default=None, gt=0)
    is_open: bool = False
    reason: Code | None = None


class SupplyGrewV1(Event, type="inventory.supply.grew.v1", stream=Stream.LOCAL, key="site_id"):
    """More can be had of something; wakes whom `quantity` serves, and who may use what is left.

    Attributes:
        quantity: by how much free stock, beds or slot seats grew.
        freed_by: the need whose release this is; it is not woken by it.
        grew_at: inventory's clock.
        on: the day of the slots in Kyiv: only whoever looks at that day can use them.
        is_total: these are all free seats of that day, told because the days moved on; what was
            told of it before counts no longer.
    """

    resource: Literal["stock", "bed", "slot"]
    code: Code
    site_id: SiteId
    area: Area
    quantity: int = Field(gt=0)
    freed_by: NeedId | None = None
    grew_at: AwareDatetime
    on: date | None = None
    is_total: bool = False


class GoodsReceivedV1(
    Event, type="inventory.goods.received.v1", stream=Stream.LOCAL, key="receipt_id"
):
    """Goods came in and were counted; payments matches them to the purchase."""

    class Line(Value):
        """Counted pieces of one item of the purchase."""

        item: Code
        quantity: int = Field(gt=0)

    receipt_id: UUID
    purchase_id: PurchaseId
    received_on: date
    lines: tuple[Line, ...]


class GoodsReversedV1(
    Event, type="inventory.goods.reversed.v1", stream=Stream.LOCAL, key="receipt_id"
):
    """A receipt was entered by mistake: its goods did not come in for the purchase.

    Attributes:
        lines: as they were told when they came in.
    """

    receipt_id: UUID
    purchase_id: PurchaseId
    received_on: date
    lines: tuple[GoodsReceivedV1.Line, ...]
    reason: Code


class DiscrepancyOpenedV1(
    Event, type="inventory.discrepancy.opened.v1", stream=Stream.LOCAL, key="discrepancy_id"
):
    """A fact does not fit the books; a person settles it.

    Attributes:
        need_id: None for a count or a loss.
        site_id: None for aid that was given where this region has no site.
    """

    discrepancy_id: UUID
    need_id: NeedId | None = None
    site_id: SiteId | None = None
    about: Literal["stock", "bed", "slot"]
    code: Code
    quantity: int


class StockChangedV1(
    Event, type="inventory.stock.changed.v1", stream=Stream.EVENTS, key="stock_key"
):
    """State of one item at one site; the highest `version` wins."""

    stock_key: str
    site_id: SiteId
    area: Area
    item: Code
    on_hand: int
    free: int
    version: int = Field(gt=0)
    as_of: AwareDatetime


class CapacityChangedV1(
    Event, type="inventory.capacity.changed.v1", stream=Stream.EVENTS, key="capacity_key"
):
    """Free places of one kind at one site for the days from `first_on`; highest version wins.

    Where seats are taken for what is sensitive, some more are told as taken.
    """

    capacity_key: str
    site_id: SiteId
    area: Area
    resource: Literal["bed", "slot"]
    code: Code
    first_on: date
    free_by_day: tuple[int, ...]
    total: int
    version: int = Field(gt=0)
    as_of: AwareDatetime


class SiteChangedV1(Event, type="inventory.site.changed.v1", stream=Stream.EVENTS, key="site_id"):
    """State of a site: no address, no name that would tell where it is.

    Attributes:
        closed_at: when it was last closed (inventory's clock); None if it never was.
        reopened_at: when that closing ended; None while it lasts.
    """

    site_id: SiteId
    area: Area
    site_type: Code
    status: Literal["open", "closed"]
    version: int = Field(gt=0)
    closed_at: AwareDatetime | None = None
    reopened_at: AwareDatetime | None = None


class AlertChangedV1(
    Event, type="inventory.alert.changed.v1", stream=Stream.EVENTS, key="alert_id"
):
    """State of an alert over an area: while it lasts pick-up clocks inside it stand still.

    Attributes:
        area: and all that lies inside it.
        ended_at: None while it lasts; an end is final.
    """

    alert_id: UUID
    area: Area
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    version: int = Field(gt=0)


class KeyChangedV1(Event, type="inventory.key.changed.v1", stream=Stream.EVENTS, key="purpose"):
    """A public key of this service, for those of other regions; the highest version wins.

    Attributes:
        purpose: `sign`: what manifests of shipments are signed with (Ed25519).
        public: base64 of the 32 bytes.
    """

    purpose: Literal["sign"]
    public: str
    version: int = Field(gt=0)


EVENTS: tuple[type[Event], ...] = (
    ReservationHeldV1,
    ReservationRefusedV1,
    ReservationConfirmedV1,
    ReservationReleasedV1,
    ReservationIssuedV1,
    ReservationReversedV1,
    AidBookedV1,
    StaySettledV1,
    SupplyGrewV1,
    GoodsReceivedV1,
    GoodsReversedV1,
    DiscrepancyOpenedV1,
    StockChangedV1,
    CapacityChangedV1,
    SiteChangedV1,
    AlertChangedV1,
    KeyChangedV1,
)
