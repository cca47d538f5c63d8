"""Small values that several events share: codes, money, and what a need asks for."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from aidmesh_contracts.ids import GrantId, LotId, SiteId

Region = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,19}$")]
"""An installation with its own servers; the second token of every subject."""

Area = Annotated[str, Field(pattern=r"^UA[0-9]{2,10}$")]
"""An oblast or city by its COD-AB P-code (Kyiv city is UA80; its ISO 3166-2 code is UA-30)."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""

Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
"""A code of the catalogue: a kind of need, an item, a programme, a cost category."""


class Value(BaseModel):
    """A frozen part of an event. Readers ignore fields they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Money(Value):
    """An amount in the minor units of a currency (cents, kopiykas)."""

    amount_minor: int
    currency: Currency


class StockDemand(Value):
    """So many pieces of an item."""

    item: Code
    quantity: int = Field(gt=0)


class CapacityDemand(Value):
    """Places in time: beds by night, or a slot with a professional.

    Attributes:
        resource: `bed` is taken from `from_on` up to, not including, `to_on`; `slot` is the
            earliest free one that starts within the two dates, the last included.
        code: which kind of place, such as `shelter` or `counseling`.
        to_on: None leaves the stay open-ended (beds) or takes any later slot.
        places: beds wanted together, or seats in the slot.
        features: what the bed's room must have, such as `ground_floor`.
        as_written: the days are meant as they stand, though they had passed when they were
            entered: what was arranged on paper. Otherwise days gone by are no longer wanted.
        starts_before: the instant before which a slot has to start, where hours count.
    """

    resource: Literal["bed", "slot"]
    code: Code
    from_on: date
    to_on: date | None = None
    places: int = Field(default=1, gt=0)
    features: tuple[Code, ...] = ()
    as_written: bool = False
    starts_before: AwareDatetime | None = None


class Visit(Value):
    """When somebody may come to the place that is kept for them.

    Attributes:
        starts_at: of a slot.
        from_on: the first night of a bed.
        until_at: until when a bed is kept for a guest who does not come; it may only become later.
    """

    starts_at: AwareDatetime | None = None
    from_on: date | None = None
    until_at: AwareDatetime | None = None


class MoneyDemand(Value):
    """Money a need costs.

    Attributes:
        by: `payout` pays the person, `provider` pays whoever serves them once they did.
        night_minor: what one night of one bed costs, where the amount is a number of nights:
            check-out settles it by those there were. None for an amount of another kind.
    """

    amount_minor: int = Field(gt=0)
    currency: Currency
    cost_category: Code
    by: Literal["payout", "provider"]
    night_minor: int | None = Field(default=None, gt=0)


class BlockedBy(Value):
    """What a waiting need waits for; only growth of exactly this wakes it.

    Attributes:
        code: item, kind of bed or slot, or `<programme>/<currency>` for money.
        site_id: the one site that will do, or None.
        area: the area that will do, or None for anywhere in the region.
        quantity: pieces, places or minor units wanted.
    """

    resource: Literal["stock", "bed", "slot", "money"]
    code: str
    site_id: SiteId | None = None
    area: Area | None = None
    quantity: int = Field(gt=0)


class Allocation(Value):
    """Pieces of one lot set aside or handed out."""

    lot_id: LotId
    item: Code
    quantity: int = Field(gt=0)
    site_id: SiteId


class GrantShare(Value):
    """What one grant bore of a service; a grant of None is aid without a donor's condition."""

    grant_id: GrantId | None = None
    amount_minor: int
    currency: Currency
