"""What intake's catalogue shows the desk: kinds of need, what each takes and costs, its limits."""

from collections.abc import Mapping
from datetime import date
from typing import Literal

from aidmesh_console.clients.link import View


class StockTake(View):
    """Pieces of an item for each unit of a need."""

    item: str
    quantity: int = 1


class CapacityTake(View):
    """A bed, or a slot with a professional, looked for within so many days.

    Attributes:
        nights: of a stay whose end was not given; None leaves it open.
    """

    resource: Literal["bed", "slot"]
    code: str
    within_days: int = 14
    nights: int | None = None
    minutes: int | None = None


class Price(View):
    """What one unit, or a night of it, costs from a day on."""

    from_on: date
    amount_minor: int
    currency: str = "UAH"


class MoneyTake(View):
    """Money for each unit; `payout` pays the person."""

    prices: tuple[Price, ...] = ()
    cost_category: str = ""
    by: Literal["payout", "provider"]
    per: Literal["unit", "night"] = "unit"
    amount_given: bool = False
    amount_minor_max: int | None = None

    @property
    def currency(self) -> str:
        """The currency of the latest price."""
        return self.prices[-1].currency if self.prices else "UAH"

    @property
    def dated(self) -> tuple[Price, ...]:
        """The prices by their days."""
        return tuple(sorted(self.prices, key=lambda price: price.from_on))

    def price_on(self, day: date) -> Price | None:
        """The price of a day: the latest that began by then, else the first there is."""
        begun = [price for price in self.dated if price.from_on <= day]
        if begun:
            return begun[-1]
        return self.dated[0] if self.prices else None


class Limit(View):
    """At most so many units of these kinds within so many days; its own where none is named."""

    per: Literal["person", "household"] = "person"
    count: int = 1
    days: int
    kinds: tuple[str, ...] = ()


class AutoApprove(View):
    """Up to here the rule approves by itself."""

    quantity_max: int = 1
    amount_minor_max: int | None = None


class Kind(View):
    """One kind of need of the catalogue; `active` is whether new requests may name it."""

    code: str
    version: int = 1
    names: Mapping[str, str]
    programme: str
    sensitivity: str = "none"
    for_whom: tuple[str, ...] = ("person", "household")
    headcount: bool = False
    stock: tuple[StockTake, ...] = ()
    capacity: CapacityTake | None = None
    money: MoneyTake | None = None
    limits: tuple[Limit, ...] = ()
    auto_approve: AutoApprove | None = None
    base_points: int = 0
    within_hours: int | None = None
    collect_days: int = 7
    unit: str = "piece"
    confirmed_start: bool = False
    splittable: bool = False
    active: bool = True


class Catalogue(View):
    """The kinds that one may see, and the programmes and items of all kinds."""

    kinds: tuple[Kind, ...] = ()
    programmes: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
