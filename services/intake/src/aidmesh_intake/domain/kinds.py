"""The catalogue of kinds of need: what a kind takes, costs, and is limited to.

A kind is data. Those that come with the package are in `catalogue.json`; a programme lead may
change them, and a changed kind keeps its own version over later releases of the package.
"""

from datetime import date, timedelta
from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.values import (
    Area,
    BlockedBy,
    CapacityDemand,
    Code,
    Currency,
    MoneyDemand,
    StockDemand,
)

HOLD_S: Final = 900
COLLECT_DAYS: Final = 7
QUANTITY_MAX: Final = 100_000


class ForWhom(StrEnum):
    """Whom a request is for."""

    PERSON = "person"
    HOUSEHOLD = "household"
    GROUP = "group"
    SITE = "site"


class Sensitivity(StrEnum):
    """Kinds that endanger people when they are seen; visible by role."""

    NONE = "none"
    HEALTH = "health"
    HIV = "hiv"
    LEGAL = "legal"
    VIOLENCE = "violence"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Names(_Part):
    """What people call it, in the three languages of the desk."""

    uk: str = Field(min_length=1, max_length=120)
    en: str = Field(min_length=1, max_length=120)
    de: str = Field(min_length=1, max_length=120)


class StockTake(_Part):
    """Pieces of an item for each unit of the need."""

    item: Code
    quantity: int = Field(default=1, gt=0, le=10_000)


class CapacityTake(_Part):
    """Places in time; the need's quantity is how many places together.

    Attributes:
        within_days: a slot is looked for from the planned day on, for so many days.
        nights: of a stay whose end was not given; None leaves it open.
        minutes: how long a slot takes, for people to read.
    """

    resource: Literal["bed", "slot"]
    code: Code
    within_days: int = Field(default=14, ge=0, le=366)
    nights: int | None = Field(default=None, gt=0, le=366)
    minutes: int | None = Field(default=None, gt=0, le=24 * 60)


class Price(_Part):
    """What one unit costs from a day on, in minor units."""

    from_on: date
    amount_minor: int = Field(gt=0)
    currency: Currency = "UAH"


class MoneyTake(_Part):
    """Money for each unit.

    Attributes:
        by: `payout` pays the person and is the service itself; `provider` pays whoever serves
            them, once inventory reports that they did.
        amount_given: whether a request may name its own amount, up to `amount_minor_max`.
    """

    prices: tuple[Price, ...] = Field(min_length=1)
    cost_category: Code
    by: Literal["payout", "provider"]
    amount_given: bool = False
    amount_minor_max: int | None = Field(default=None, gt=0)

    def price_on(self, day: date) -> Price:
        """The price of a day: the latest that began by then, else the first there is."""
        dated = sorted(self.prices, key=lambda price: price.from_on)
        begun = [price for price in dated if price.from_on <= day]
        return begun[-1] if begun else dated[0]


class Limit(_Part):
    """At most `count` of these kinds within any `days` days."""

    per: Literal["person", "household"] = "person"
    count: int = Field(default=1, gt=0)
    days: int = Field(gt=0, le=3660)
    kinds: tuple[Code, ...] = ()


class AutoApprove(_Part):
    """Up to here the rule approves by itself; beyond, a person does."""

    quantity_max: int = Field(default=1, gt=0)
    amount_minor_max: int | None = Field(default=None, gt=0)


class Kind(_Part):
    """One kind of need.

    Attributes:
        base_points: where triage begins; 1000 and more comes before everything else.
        headcount: whether it may be given to a number of unnamed people.
        unit: what its quantity is reported in when intake itself records the service.
        splittable: whether a waiting need may be served in parts.
        active: whether new requests may name it.
    """

    code: Code
    version: int = Field(default=1, gt=0)
    names: Names
    programme: Code
    sensitivity: Sensitivity = Sensitivity.NONE
    for_whom: tuple[ForWhom, ...] = (ForWhom.PERSON, ForWhom.HOUSEHOLD)
    headcount: bool = False
    stock: tuple[StockTake, ...] = ()
    capacity: CapacityTake | None = None
    money: MoneyTake | None = None
    limits: tuple[Limit, ...] = ()
    auto_approve: AutoApprove | None = None
    base_points: int = Field(default=0, ge=0, le=10_000)
    hold_s: int = Field(default=HOLD_S, ge=30, le=86_400)
    collect_days: int = Field(default=COLLECT_DAYS, ge=1, le=366)
    unit: Code = "piece"
    splittable: bool = False
    active: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        supplied = bool(self.stock) or self.capacity is not None
        if self.money is not None and (self.money.by == "provider") != supplied:
            # A payout is itself the service; a provider is paid for what inventory reports.
            raise ValueError("money by provider needs stock or capacity, a payout takes neither")
        if self.splittable and (self.capacity is not None or self.money is not None):
            raise ValueError("only a need of goods alone can be split")
        items = [take.item for take in self.stock]
        if len(set(items)) != len(items):
            raise ValueError("an item is named twice")
        return self

    @property
    def sensitive(self) -> bool:
        """Whether it is hidden from roles that need not know."""
        return self.sensitivity is not Sensitivity.NONE


class Ask(BaseModel):
    """What one need takes, fixed when it was asked for: the price does not move under it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stock: tuple[StockDemand, ...] = ()
    capacity: CapacityDemand | None = None
    money: MoneyDemand | None = None

    @property
    def of_supply(self) -> bool:
        """Whether inventory owes something."""
        return bool(self.stock) or self.capacity is not None

    @property
    def of_money(self) -> bool:
        """Whether payments owes something."""
        return self.money is not None


class AskError(ValueError):
    """A request does not fit its kind; `rule` is a code, `field` the name of the field."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


def ask_of(
    kind: Kind,
    quantity: int,
    planned_on: date,
    *,
    from_on: date | None = None,
    to_on: date | None = None,
    amount_minor: int | None = None,
    features: tuple[str, ...] = (),
) -> Ask:
    """What `quantity` units of a kind take.

    Args:
        planned_on: the day whose price holds, and the first day of a stay or of looking for a
            slot, unless `from_on` is given.
        from_on, to_on: nights of a stay (half open), or days within which a slot will do.
        amount_minor: the whole amount, where the kind lets a request name it.

    Raises:
        AskError: something was given that the kind does not take, or that is out of its bounds.
    """
    if not 0 < quantity <= QUANTITY_MAX:
        raise AskError("quantity", "out_of_range")
    if kind.capacity is None and (from_on or to_on or features):
        raise AskError("from_on", "not_of_this_kind")
    return Ask(
        stock=tuple(
            StockDemand(item=take.item, quantity=take.quantity * quantity) for take in kind.stock
        ),
        capacity=None
        if kind.capacity is None
        else _place(kind.capacity, quantity, from_on or planned_on, to_on, features),
        money=_cost(kind, quantity, planned_on, amount_minor),
    )


def _place(
    take: CapacityTake,
    places: int,
    first: date,
    to_on: date | None,
    features: tuple[str, ...],
) -> CapacityDemand:
    if take.resource == "bed":
        last = to_on or (first + timedelta(days=take.nights) if take.nights else None)
        if last is not None and last <= first:
            raise AskError("to_on", "not_after_from_on")
    else:
        last = to_on or first + timedelta(days=take.within_days)
        if last < first:
            raise AskError("to_on", "before_from_on")
    return CapacityDemand(
        resource=take.resource,
        code=take.code,
        from_on=first,
        to_on=last,
        places=places,
        features=features,
    )


def _cost(
    kind: Kind, quantity: int, planned_on: date, amount_minor: int | None
) -> MoneyDemand | None:
    take = kind.money
    if take is None:
        if amount_minor is not None:
            raise AskError("amount_minor", "not_of_this_kind")
        return None
    price = take.price_on(planned_on)
    total = price.amount_minor * quantity
    if amount_minor is not None:
        if not take.amount_given:
            raise AskError("amount_minor", "price_is_fixed")
        total = amount_minor
    if total <= 0 or (take.amount_minor_max is not None and total > take.amount_minor_max):
        raise AskError("amount_minor", "out_of_range")
    return MoneyDemand(
        amount_minor=total, currency=price.currency, cost_category=take.cost_category, by=take.by
    )


def approves_itself(kind: Kind, quantity: int, ask: Ask) -> bool:
    """Whether the catalogue's rule approves this without a person."""
    rule = kind.auto_approve
    if rule is None or quantity > rule.quantity_max:
        return False
    return (
        rule.amount_minor_max is None
        or ask.money is None
        or ask.money.amount_minor <= rule.amount_minor_max
    )


def blockers_of(
    ask: Ask, programme: str, site_id: SiteId | None, area: Area
) -> tuple[BlockedBy, ...]:
    """Everything a need could come to wait for, as inventory and payments would name it."""
    place = None if site_id is not None else area
    found = [
        BlockedBy(
            resource="stock", code=line.item, site_id=site_id, area=place, quantity=line.quantity
        )
        for line in ask.stock
    ]
    if ask.capacity is not None:
        found.append(
            BlockedBy(
                resource=ask.capacity.resource,
                code=ask.capacity.code,
                site_id=site_id,
                area=place,
                quantity=ask.capacity.places,
            )
        )
    if ask.money is not None:
        found.append(
            BlockedBy(
                resource="money",
                code=f"{programme}/{ask.money.currency}",
                quantity=ask.money.amount_minor,
            )
        )
    return tuple(found)
