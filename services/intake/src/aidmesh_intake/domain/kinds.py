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
from aidmesh_intake.domain.triage import EMERGENCY_POINTS

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
        within_days: a slot is looked for from the first day on, for so many days.
        nights: of a stay whose end was not given; None leaves it open.
        minutes: how long a slot takes, for people to read.
    """

    resource: Literal["bed", "slot"]
    code: Code
    within_days: int = Field(default=14, ge=0, le=366)
    nights: int | None = Field(default=None, gt=0, le=366)
    minutes: int | None = Field(default=None, gt=0, le=24 * 60)

    @property
    def days(self) -> int | None:
        """How long a stay is or a slot is looked for where a request does not say."""
        return self.nights if self.resource == "bed" else self.within_days


class Price(_Part):
    """What one unit, or one night of it, costs from a day on, in minor units."""

    from_on: date
    amount_minor: int = Field(gt=0)
    currency: Currency = "UAH"


class MoneyTake(_Part):
    """Money for each unit.

    Attributes:
        per: whether a price is that of a unit, or of a night of a bed.
        nights: of an open-ended stay, for its price; those there were are billed at check-out.
        by: `payout` pays the person and is the service itself; `provider` pays whoever serves
            them, once inventory reports that they did.
        amount_given: whether a request may name its own amount.
        amount_minor_max: of a named amount, and of a number of units.
    """

    prices: tuple[Price, ...] = Field(min_length=1)
    cost_category: Code
    by: Literal["payout", "provider"]
    per: Literal["unit", "night"] = "unit"
    nights: int | None = Field(default=None, gt=0, le=366)
    amount_given: bool = False
    amount_minor_max: int | None = Field(default=None, gt=0)

    def price_on(self, day: date) -> Price:
        """The price of a day: the latest that began by then, else the first there is."""
        dated = sorted(self.prices, key=lambda price: price.from_on)
        begun = [price for price in dated if price.from_on <= day]
        return begun[-1] if begun else dated[0]


class Limit(_Part):
    """At most `count` units of these kinds within any `days` days."""

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
        within_hours: it is of use only so many hours after the exposure (else the asking), as PEP
            is: that sets its last day, and such a kind comes before everything else.
        headcount: whether it may be given to a number of unnamed people.
        unit: what its quantity is reported in when intake itself records the service.
        confirmed_start: it is served when a caseworker confirms that what it leads to has begun, as
            with PrEP; attending the appointment is a step on the way.
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
    within_hours: int | None = Field(default=None, gt=0, le=24 * 60)
    hold_s: int = Field(default=HOLD_S, ge=30, le=86_400)
    collect_days: int = Field(default=COLLECT_DAYS, ge=1, le=366)
    unit: Code = "piece"
    confirmed_start: bool = False
    splittable: bool = False
    active: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        supplied = bool(self.stock) or self.capacity is not None
        if self.money is not None and (self.money.by == "provider") != supplied:
            # A payout is itself the service; a provider is paid for what inventory reports.
            raise ValueError("money by provider needs stock or capacity, a payout takes neither")
        if self.money is not None and self.money.per == "night":
            if self.capacity is None or self.capacity.resource != "bed":
                raise ValueError("only beds have a price by night")
            if self.capacity.nights is None and self.money.nights is None:
                raise ValueError("an open-ended stay needs a number of nights for its price")
        if self.splittable and (self.capacity is not None or self.money is not None):
            raise ValueError("only a need of goods alone can be split")
        if self.confirmed_start and (
            self.stock
            or (self.capacity is not None and self.capacity.resource != "slot")
            or (self.money is not None and not supplied)
        ):
            raise ValueError("a start is confirmed after an appointment, or after nothing at all")
        if self.within_hours is not None and self.base_points < EMERGENCY_POINTS:
            raise ValueError("where hours count, base_points put it before everything else")
        items = [take.item for take in self.stock]
        if len(set(items)) != len(items):
            raise ValueError("an item is named twice")
        return self

    @property
    def sensitive(self) -> bool:
        """Whether it is hidden from roles that need not know."""
        return self.sensitivity is not Sensitivity.NONE


class Ask(BaseModel):
    """What one need takes, fixed when it was asked for: the price does not move under it.

    Attributes:
        capacity: the days as they were asked for; `place_on` says what of them is still to come.
        days: how long a stay is, or how long a slot is looked for, where the request did not say:
            the days move on for as long as it waits.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    stock: tuple[StockDemand, ...] = ()
    capacity: CapacityDemand | None = None
    money: MoneyDemand | None = None
    days: int | None = None

    @property
    def of_supply(self) -> bool:
        """Whether inventory owes something."""
        return bool(self.stock) or self.capacity is not None

    @property
    def of_money(self) -> bool:
        """Whether payments owes something."""
        return self.money is not None

    @property
    def last_day(self) -> date | None:
        """The last day on which its place is of use; None where the days move on, or have no end.

        Days that were entered as they were written have passed already, which ends nothing.
        """
        place = self.capacity
        if place is None or place.to_on is None or place.as_written or self.days is not None:
            return None
        return place.to_on - timedelta(days=1) if place.resource == "bed" else place.to_on

    def place_on(
        self, today: date, needed_by: date | None, *, again: bool = False
    ) -> CapacityDemand | None:
        """What it asks for on a day: nobody sleeps in a night gone by, or comes to a past hour.

        Args:
            needed_by: the last day on which an appointment is of use.
            again: it was tried before, so that even an open-ended stay that was entered as
                written begins today at the earliest.
        """
        place = self.capacity
        if place is None or (place.as_written and not (again and place.to_on is None)):
            return place
        first = max(place.from_on, today)
        last = place.to_on
        if self.days is not None:
            last = first + timedelta(days=self.days)
            if place.resource == "slot" and needed_by is not None:
                last = min(last, needed_by)
        return place.model_copy(update={"from_on": first, "to_on": last, "as_written": False})


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
    first_on: date | None = None,
    from_on: date | None = None,
    to_on: date | None = None,
    needed_by: date | None = None,
    today: date | None = None,
    amount_minor: int | None = None,
    features: tuple[str, ...] = (),
) -> Ask:
    """What `quantity` units of a kind take.

    Args:
        planned_on: the day whose price holds.
        first_on: the first day of a stay or of looking for a slot, unless `from_on` is given;
            `planned_on` if None.
        from_on, to_on: nights of a stay (half open), or days within which a slot will do.
        needed_by: the last day on which a place is of use.
        today: days that were given and lie before it altogether are meant as they are written.
        amount_minor: the whole amount, where the kind lets a request name it.

    Raises:
        AskError: something was given that the kind does not take, or that is out of its bounds.
    """
    if not 0 < quantity <= QUANTITY_MAX:
        raise AskError("quantity", "out_of_range")
    if kind.capacity is None and (from_on or to_on or features):
        raise AskError("from_on", "not_of_this_kind")
    place = None
    if kind.capacity is not None:
        first = from_on or first_on or planned_on
        place = _place(kind.capacity, quantity, first, to_on, needed_by, features)
        if today is not None and (from_on or to_on) and _is_past(place, today):
            place = place.model_copy(update={"as_written": True})
    return Ask(
        stock=tuple(
            StockDemand(item=take.item, quantity=take.quantity * quantity) for take in kind.stock
        ),
        capacity=place,
        money=_cost(kind, quantity, planned_on, amount_minor, place),
        days=None
        if kind.capacity is None or to_on is not None or (place is not None and place.as_written)
        else kind.capacity.days,
    )


def _place(
    take: CapacityTake,
    places: int,
    first: date,
    to_on: date | None,
    needed_by: date | None,
    features: tuple[str, ...],
) -> CapacityDemand:
    if needed_by is not None and needed_by < first:
        raise AskError("needed_by", "before_the_first_day")
    last = to_on if to_on is not None or take.days is None else first + timedelta(days=take.days)
    if take.resource == "bed":
        if last is not None and last <= first:
            raise AskError("to_on", "not_after_from_on")
    elif last is not None:
        if last < first:
            raise AskError("to_on", "before_from_on")
        last = min(last, needed_by or last)
    return CapacityDemand(
        resource=take.resource,
        code=take.code,
        from_on=first,
        to_on=last,
        places=places,
        features=features,
    )


def _is_past(place: CapacityDemand, today: date) -> bool:
    if place.resource == "bed":
        # Of an open-ended stay only the first night is known.
        return place.from_on < today if place.to_on is None else place.to_on <= today
    return place.to_on is not None and place.to_on < today


def _cost(
    kind: Kind,
    quantity: int,
    planned_on: date,
    amount_minor: int | None,
    place: CapacityDemand | None,
) -> MoneyDemand | None:
    take = kind.money
    if take is None:
        if amount_minor is not None:
            raise AskError("amount_minor", "not_of_this_kind")
        return None
    price = take.price_on(planned_on)
    total, night_minor = price.amount_minor * quantity, None
    if take.per == "night" and place is not None:
        total, night_minor = total * _nights(take, place), price.amount_minor
    if amount_minor is not None:
        if not take.amount_given:
            raise AskError("amount_minor", "price_is_fixed")
        total, night_minor = amount_minor, None
    # A long stay costs what it costs; whether that is approved by itself is another question.
    bounded = amount_minor is not None or take.per == "unit"
    if total <= 0 or (bounded and total > (take.amount_minor_max or total)):
        raise AskError("amount_minor", "out_of_range")
    return MoneyDemand(
        amount_minor=total,
        currency=price.currency,
        cost_category=take.cost_category,
        by=take.by,
        night_minor=night_minor,
    )


def _nights(take: MoneyTake, place: CapacityDemand) -> int:
    """How many nights of one bed are paid for until check-out tells."""
    if place.to_on is not None:
        return (place.to_on - place.from_on).days
    assert take.nights is not None, "a kind says for how many nights an open end is priced"
    return take.nights


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
    ask: Ask, programme: str, site_id: SiteId | None, area: Area | None
) -> tuple[BlockedBy, ...]:
    """Everything a need could come to wait for, as inventory and payments would name it.

    Args:
        area: where it must be served, None for anywhere in the region.
    """
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
