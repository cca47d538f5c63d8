"""Events of inventory about goods that go from one region to another; they go to all."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field

from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import GrantId, ShipmentId, SiteId, TransferId
from aidmesh_contracts.restriction import Restriction
from aidmesh_contracts.streams import Stream
from aidmesh_contracts.values import Area, Code, Currency, Region, Value


class TransferAskedV1(
    Event, type="inventory.transfer.asked.v1", stream=Stream.EVENTS, key="transfer_id"
):
    """A region in need asks another for goods; said by `to_region`.

    Attributes:
        from_region: whose goods they are.
        to_site_id, area: where they would go.
        reason: a code, such as `waiting_needs`.
    """

    transfer_id: TransferId
    from_region: Region
    to_region: Region
    item: Code
    quantity: int = Field(gt=0)
    to_site_id: SiteId
    area: Area
    reason: Code


class TransferAnsweredV1(
    Event, type="inventory.transfer.answered.v1", stream=Stream.EVENTS, key="transfer_id"
):
    """The owner accepts or refuses to send goods, once; said by `from_region`.

    Attributes:
        quantity: of what was asked for; None if it is refused.
        reason: why it is refused: a code.
        by_rule: no person looked at it: a rule of the owner's accepted it.
    """

    transfer_id: TransferId
    from_region: Region
    to_region: Region
    answer: Literal["accepted", "refused"]
    quantity: int | None = Field(default=None, gt=0)
    reason: Code | None = None
    by_rule: bool = False


class TransferWithdrawnV1(
    Event, type="inventory.transfer.withdrawn.v1", stream=Stream.EVENTS, key="transfer_id"
):
    """Goods that were asked for are not wanted any more, whatever the owner answered.

    Said by `to_region`, with all that it asked: this may come before the ask itself.
    """

    transfer_id: TransferId
    from_region: Region
    to_region: Region
    item: Code
    quantity: int = Field(gt=0)
    to_site_id: SiteId
    area: Area
    reason: Code


class ShipmentLine(Value):
    """Pieces of one lot on their way, with the terms that they keep where they arrive.

    Attributes:
        terms_version: of its grant's terms that `restriction` is of, where they follow these;
            None where a person entered them.
    """

    line_id: UUID
    item: Code
    quantity: int = Field(gt=0)
    batch: str | None = None
    expiry: date | None = None
    grant_id: GrantId | None = None
    restriction: Restriction | None = None
    unit_value_minor: int = Field(default=0, ge=0)
    currency: Currency
    terms_version: int | None = Field(default=None, ge=0)


class ShipmentChangedV1(
    Event, type="inventory.shipment.changed.v1", stream=Stream.EVENTS, key="shipment_id"
):
    """State of a shipment at its sender; the highest version wins.

    Once dispatched it stays so, with these lines: what came of them the receiver says.

    Attributes:
        transfer_id: the ask that it answers, if there was one.
    """

    shipment_id: ShipmentId
    from_region: Region
    to_region: Region
    from_site_id: SiteId
    to_site_id: SiteId
    transfer_id: TransferId | None = None
    state: Literal["preparing", "dispatched", "cancelled"]
    lines: tuple[ShipmentLine, ...]
    dispatched_on: date | None = None
    version: int = Field(gt=0)


class ShipmentCount(Value):
    """What came of a line: dispatched = good + damaged + short - surplus.

    Attributes:
        good: pieces that went into stock.
        reason: why it is not what was dispatched: a code.
    """

    line_id: UUID
    good: int = Field(ge=0)
    damaged: int = Field(ge=0)
    short: int = Field(ge=0)
    surplus: int = Field(ge=0)
    reason: Code | None = None


class ShipmentCountedV1(
    Event, type="inventory.shipment.counted.v1", stream=Stream.EVENTS, key="shipment_id"
):
    """All that the receiver has counted of a shipment so far; a line is counted once.

    Attributes:
        state: `received` when every line was counted.
        version: how many lines were.
    """

    shipment_id: ShipmentId
    from_region: Region
    to_region: Region
    state: Literal["receiving", "received"]
    counts: tuple[ShipmentCount, ...]
    version: int = Field(gt=0)


EVENTS: tuple[type[Event], ...] = (
    TransferAskedV1,
    TransferAnsweredV1,
    TransferWithdrawnV1,
    ShipmentChangedV1,
    ShipmentCountedV1,
)
