"""What one need takes and costs, worked out from its kind when it is asked for."""

from datetime import date, datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from aidmesh_contracts.days import days_after
from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.values import Area, BlockedBy, CapacityDemand, MoneyDemand, StockDemand
from aidmesh_intake.domain.kinds import CapacityTake, Kind, MoneyTake

QUANTITY_MAX: Final = 100_000
AMOUNT_MINOR_MAX: Final = 10**15
"""What is more was mistyped, whatever it is for."""


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
        return days_after(place.to_on, -1) if place.resource == "bed" else place.to_on

    def place_on(
        self,
        today: date,
        needed_by: date | None,
        needed_until: datetime | None = None,
        *,
        again: bool = False,
    ) -> CapacityDemand | None:
        """What it asks for on a day: nobody sleeps in a night gone by, or comes to a past hour.

        Args:
            needed_by: the last day on which an appointment is of use.
            needed_until: the instant before which it has to begin, where hours count.
            again: it was tried before, so that even an open-ended stay that was entered as
                written begins today at the earliest.
        """
        place = self.capacity
        if place is None or (place.as_written and not (again and place.to_on is None)):
            return place
        first = max(place.from_on, today)
        last = place.to_on
        if self.days is not None:
            last = days_after(first, self.days)
            if place.resource == "slot" and needed_by is not None:
                last = min(last, needed_by)
        return place.model_copy(
            update={
                "from_on": first,
                "to_on": last,
                "as_written": False,
                "starts_before": needed_until if place.resource == "slot" else None,
            }
        )


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
    given: bool = False,
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
        given: it is aid that was given: it cost what it cost.

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
        money=_cost(kind, quantity, planned_on, amount_minor, place, given=given),
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
    last = to_on if to_on is not None or take.days is None else days_after(first, take.days)
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
    *,
    given: bool,
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
        if not (take.amount_given or given):
            raise AskError("amount_minor", "price_is_fixed")
        total, night_minor = amount_minor, None
    # A long stay costs what it costs; whether that is approved by itself is another question.
    bounded = not given and (amount_minor is not None or take.per == "unit")
    limit = take.amount_minor_max if bounded else None
    if not 0 < total <= (limit or AMOUNT_MINOR_MAX):
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
