"""The catalogue of kinds of need: what a kind takes, costs, and is limited to.

A kind is data. Those that come with the package are in `catalogue.json`; a programme lead may
change them, and a changed kind keeps its own version over later releases of the package.
"""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aidmesh_contracts.days import EnteredDay
from aidmesh_contracts.values import Code, Currency
from aidmesh_intake.domain.triage import EMERGENCY_POINTS

HOLD_S: Final = 900
COLLECT_DAYS: Final = 7


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
        unit: what its quantity is reported in when intake itself records the service; goods are in
            pieces always.
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


def mixed_limits(kinds: Iterable[Kind]) -> set[tuple[str, str]]:
    """Kinds that everybody sees, each with a sensitive one that counts for its limits.

    Who sees that such a limit speaks against a need learns that its person had the other.
    """
    by_code = {kind.code: kind for kind in kinds}
    return {
        (kind.code, other)
        for kind in by_code.values()
        if not kind.sensitive
        for limit in kind.limits
        for other in limit.kinds
        if other in by_code and by_code[other].sensitive
    }


class _EnteredPrice(Price):
    from_on: EnteredDay


class _EnteredMoney(MoneyTake):
    prices: tuple[_EnteredPrice, ...] = Field(min_length=1)


class EnteredKind(Kind):
    """A kind as a lead enters it: prices begin on days that are possible."""

    money: _EnteredMoney | None = None
