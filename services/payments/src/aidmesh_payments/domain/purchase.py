"""The way of a purchase: budget line → order → received → invoice → paid.

    draft → ordered → received → invoiced → paid; or cancelled

Goods that came in while their order was cancelled make it a draft again: whoever orders it takes
what came, and the rest stays given up. Once they are taken back it is cancelled as before.

A bill that was entered wrong is corrected until it is paid; a payment that was none, or was
entered wrong, is reversed, and the bill is open again. Whatever is not paid is given up while
nothing was counted in: it was said to have come by mistake, or the supplier gave the money back.

Goods are charged once, here: issuing them later charges nothing. Rent, salaries, halls, travel
and furniture go the same way, with nothing to count on arrival where there are no goods.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from aidmesh_contracts.ids import derive_id

RESTORE: Final = derive_id("staff", "restore")
"""Who drew up what a restore committed: nobody, so it is not one of two people."""

PurchaseState = Literal["draft", "ordered", "received", "invoiced", "paid", "cancelled"]


class PurchaseRefusal(StrEnum):
    """Why a step is refused."""

    WRONG_STATE = "wrong-state"
    SECOND_PERSON = "second-person-needed"
    UNKNOWN_LINE = "unknown-purchase-line"


@dataclass(frozen=True, slots=True)
class Line:
    """What is bought: pieces of an item, or (item None) a service or cost.

    Attributes:
        unit_value_minor: price of one as it was ordered, in minor units of the order's currency.
        received: pieces counted in so far.
        billed_unit_minor: price of one that the bill asks for, where it is another.
    """

    item: str | None
    description: str
    quantity: int
    unit_value_minor: int
    received: int = 0
    billed_unit_minor: int | None = None

    @property
    def cost_minor(self) -> int:
        """What one piece costs, as far as that is known."""
        return self.unit_value_minor if self.billed_unit_minor is None else self.billed_unit_minor

    @property
    def value_minor(self) -> int:
        """Price of the line."""
        return self.quantity * self.unit_value_minor


@dataclass(frozen=True, slots=True)
class Purchase:
    """State of an order and the people who touched it.

    Attributes:
        maker: who drew it up; `RESTORE` for no person.
        biller: who entered what the bill asks for.
    """

    lines: tuple[Line, ...]
    amount_minor: int
    maker: UUID
    state: PurchaseState = "draft"
    approver: UUID | None = None
    payer: UUID | None = None
    biller: UUID | None = None
    version: int = 1

    @property
    def ordered_minor(self) -> int:
        """What was drawn up and approved, whatever the bill says."""
        return sum(line.value_minor for line in self.lines)

    @property
    def came(self) -> bool:
        """Whether anything was counted in."""
        return any(line.received for line in self.lines)

    @property
    def has_goods(self) -> bool:
        """Whether inventory is to count anything in."""
        return any(line.item is not None for line in self.lines)

    @property
    def is_to_come(self) -> bool:
        """Whether goods were ordered, so that inventory expects them."""
        return self.state == "ordered" and self.has_goods


def draft(lines: Sequence[Line], maker: UUID) -> Purchase:
    """Draw up an order; its amount is the sum of its lines."""
    return Purchase(tuple(lines), sum(line.value_minor for line in lines), maker)


def order(purchase: Purchase, by: UUID, *, float_limit_minor: int) -> Purchase | PurchaseRefusal:
    """Approve and order; above the float limit not by its maker.

    What came all the same after it was cancelled is received; nothing more is to come.
    """
    if purchase.state != "draft":
        return PurchaseRefusal.WRONG_STATE
    if purchase.amount_minor > float_limit_minor and by == purchase.maker:
        return PurchaseRefusal.SECOND_PERSON
    state: PurchaseState = "received" if purchase.came else "ordered"
    return replace(purchase, state=state, approver=by, version=purchase.version + 1)


def count_in(purchase: Purchase, counted: Mapping[str, int]) -> Purchase:
    """Take in what inventory counted; facts are taken in whatever the state.

    More than was ordered is booked on the last line of that item, so that nothing counted is
    lost; an item that was not ordered changes nothing here (inventory has the lot). What was
    cancelled meanwhile is open again, as a draft.
    """
    left = dict(counted)
    lines: list[Line] = []
    last = {line.item: place for place, line in enumerate(purchase.lines)}
    for place, line in enumerate(purchase.lines):
        here = left.get(line.item, 0) if line.item is not None else 0
        taken = (
            here if last[line.item] == place else min(here, max(0, line.quantity - line.received))
        )
        if line.item is not None and taken:
            left[line.item] = here - taken
        lines.append(replace(line, received=line.received + taken))
    complete = all(line.received >= line.quantity for line in lines if line.item is not None)
    state = "received" if complete and purchase.state == "ordered" else purchase.state
    if state == "cancelled" and any(line.received for line in lines):
        state = "draft"
    return replace(purchase, lines=tuple(lines), state=state, version=purchase.version + 1)


def count_out(purchase: Purchase, counted: Mapping[str, int]) -> Purchase:
    """Take back what inventory had counted in by mistake, in whichever state.

    An order that lacks something again is not received any more; what was invoiced or paid stays
    so, and shows how much has come. A draft of which something came had been cancelled, and is so
    again when nothing of it is left.
    """
    left = dict(counted)
    lines: list[Line] = []
    for line in reversed(purchase.lines):
        taken = 0 if line.item is None else min(line.received, left.get(line.item, 0))
        if line.item is not None:
            left[line.item] = left.get(line.item, 0) - taken
        lines.append(replace(line, received=line.received - taken))
    lines.reverse()
    lacks = any(line.received < line.quantity for line in lines if line.item is not None)
    state = "ordered" if lacks and purchase.state == "received" else purchase.state
    if state == "draft" and not any(line.received for line in lines):
        state = "cancelled"
    return replace(purchase, lines=tuple(lines), state=state, version=purchase.version + 1)


def receive(purchase: Purchase) -> Purchase | PurchaseRefusal:
    """Say by hand that all there is to come has come: services, or the rest will not arrive."""
    if purchase.state != "ordered":
        return PurchaseRefusal.WRONG_STATE
    return replace(purchase, state="received", version=purchase.version + 1)


def invoice(
    purchase: Purchase, by: UUID, amount_minor: int, prices: Mapping[int, int] | None = None
) -> Purchase | PurchaseRefusal:
    """Take in the bill; the commitment follows its amount.

    Args:
        prices: of one piece, in minor units, by line of goods from 1, where the bill asks for
            another than was ordered; None where nobody said.
    """
    if purchase.state != "received":
        return PurchaseRefusal.WRONG_STATE
    return _billed(purchase, by, amount_minor, prices)


def _billed(
    purchase: Purchase, by: UUID, amount_minor: int, prices: Mapping[int, int] | None
) -> Purchase | PurchaseRefusal:
    lines = purchase.lines
    if prices is not None:
        if not prices.keys() <= {n for n, line in enumerate(lines, 1) if line.item is not None}:
            return PurchaseRefusal.UNKNOWN_LINE
        lines = tuple(
            replace(line, billed_unit_minor=_other(prices.get(n), line.unit_value_minor))
            for n, line in enumerate(lines, 1)
        )
    return replace(
        purchase,
        lines=lines,
        state="invoiced",
        amount_minor=amount_minor,
        biller=by,
        version=purchase.version + 1,
    )


def _other(price: int | None, ordered: int) -> int | None:
    return None if price == ordered else price


def pay(purchase: Purchase, by: UUID, *, float_limit_minor: int) -> Purchase | PurchaseRefusal:
    """Pay; above the float limit two different people had it in hand.

    Of a bill for more than was ordered, whoever drew up and approved the order has seen nothing;
    nor has anybody seen an order that a restore made. There whoever entered the bill is the other.
    """
    if purchase.state != "invoiced":
        return PurchaseRefusal.WRONG_STATE
    others: set[UUID | None] = {purchase.maker, purchase.approver}
    if purchase.amount_minor > purchase.ordered_minor or purchase.maker == RESTORE:
        others = {purchase.biller or purchase.maker}
    alone = not others - {None, RESTORE, by}
    if purchase.amount_minor > float_limit_minor and alone:
        return PurchaseRefusal.SECOND_PERSON
    return replace(purchase, state="paid", payer=by, version=purchase.version + 1)


def correct_bill(
    purchase: Purchase, by: UUID, amount_minor: int, prices: Mapping[int, int] | None = None
) -> Purchase | PurchaseRefusal:
    """Put a bill right before it is paid; the commitment follows its amount.

    Args:
        prices: as of `invoice`; None leaves those that were entered.
    """
    if purchase.state != "invoiced":
        return PurchaseRefusal.WRONG_STATE
    return _billed(purchase, by, amount_minor, prices)


def reverse_payment(
    purchase: Purchase, by: UUID, *, float_limit_minor: int
) -> Purchase | PurchaseRefusal:
    """Undo a payment; above the float limit not by who paid."""
    if purchase.state != "paid":
        return PurchaseRefusal.WRONG_STATE
    if purchase.amount_minor > float_limit_minor and by == purchase.payer:
        return PurchaseRefusal.SECOND_PERSON
    return replace(purchase, state="invoiced", payer=None, version=purchase.version + 1)


def cancel(purchase: Purchase) -> Purchase | PurchaseRefusal:
    """Give up what is not paid, while nothing of it was counted in."""
    if purchase.state in ("paid", "cancelled") or purchase.came:
        return PurchaseRefusal.WRONG_STATE
    return replace(purchase, state="cancelled", version=purchase.version + 1)
