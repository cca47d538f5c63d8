"""Goods that come in: receipts become lots with the terms they were bought or given under."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.days import day_of, is_future
from aidmesh_contracts.ids import PurchaseId, derive_id
from aidmesh_contracts.inventory import GoodsReceivedV1
from aidmesh_contracts.payments import (
    PurchaseBilledV1,
    PurchaseCanceledV1,
    PurchaseChangedV1,
    PurchaseOrderedV1,
)
from aidmesh_contracts.restriction import UNRESTRICTED, Restriction
from aidmesh_inventory.domain.days import keeps
from aidmesh_inventory.domain.picking import Place
from aidmesh_inventory.handlers.changes import StockChanges
from aidmesh_inventory.handlers.release import emit_grew
from aidmesh_inventory.store import purchases, sites, stock
from aidmesh_inventory.store.lots import note_to_come
from aidmesh_inventory.store.stock import LotRow, MovementRow

Fault = Literal[
    "unknown-site",
    "unknown-item",
    "unknown-purchase",
    "purchase-canceled",
    "not-in-purchase",
    "day-in-future",
]


@dataclass(frozen=True, slots=True)
class Line:
    """Counted pieces of one item.

    Attributes:
        grant_id, restriction, unit_value_minor, currency: of donated goods; a purchase has its
            own and overrules them.
        terms_version: of goods bought by another region: of the grant's terms that `restriction`
            is of.
    """

    item: str
    quantity: int
    batch: str | None = None
    expiry: date | None = None
    grant_id: UUID | None = None
    restriction: Restriction | None = None
    unit_value_minor: int = 0
    currency: str = "UAH"
    terms_version: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came in at once."""

    receipt_id: UUID
    site_id: UUID
    received_on: date
    lines: tuple[Line, ...]
    purchase_id: UUID | None = None


async def expect(tx: Tx, batch: Sequence[Received[PurchaseOrderedV1]]) -> None:
    """Remember what was ordered, and under which terms it will be received."""
    await purchases.expect(
        tx.conn,
        [
            (
                each.event.purchase_id,
                each.event.grant_id,
                each.event.restriction.model_dump_json(exclude_none=True),
                each.event.currency,
                each.event.terms_version or 0,
            )
            for each in batch
        ],
        sorted(
            (each.event.purchase_id, item, count, value)
            for each in batch
            for item, (count, value) in _by_item(each.event.lines).items()
        ),
    )


def _by_item(lines: Iterable[PurchaseOrderedV1.Line]) -> dict[str, tuple[int, int]]:
    """How many of an item, and the value of one; what differs is averaged, rounded half up."""
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        count, value = sums.get(line.item, (0, 0))
        sums[line.item] = (count + line.quantity, value + line.quantity * line.unit_value_minor)
    return {
        item: (count, (2 * value + count) // (2 * count)) for item, (count, value) in sums.items()
    }


async def expect_no_more(tx: Tx, batch: Sequence[Received[PurchaseCanceledV1]]) -> None:
    """Remember which orders were given up: what comes all the same is refused under them."""
    await purchases.cancel(tx.conn, {each.event.purchase_id for each in batch})


async def know_whether_to_come(tx: Tx, batch: Sequence[Received[PurchaseChangedV1]]) -> None:
    """Remember of which orders all was said to have come; what comes all the same is received."""
    newest: dict[UUID, tuple[int, bool]] = {}
    for each in batch:
        told = (each.event.version, each.event.is_to_come)
        newest[each.event.purchase_id] = max(told, newest.get(each.event.purchase_id, told))
    await purchases.note_to_come(tx.conn, newest)


async def know_prices(tx: Tx, batch: Sequence[Received[PurchaseBilledV1]]) -> None:
    """Remember what goods cost by their bill: what comes from now on is worth that."""
    newest: dict[UUID, PurchaseBilledV1] = {}
    for each in batch:
        before = newest.get(each.event.purchase_id)
        if before is None or each.event.version > before.version:
            newest[each.event.purchase_id] = each.event
    await purchases.set_prices(
        tx.conn,
        sorted(
            (event.purchase_id, item, event.version, value)
            for event in newest.values()
            for item, (_, value) in _by_item(event.lines).items()
        ),
    )


async def receive(
    tx: Tx, receipts: Sequence[Receipt], recorded_by: UUID | None
) -> dict[UUID, Fault]:
    """Take goods in; returns the receipts that can't be, with what is wrong. The rest is done.

    What has expired by now is entered as that: it is there, and nobody gets it.
    """
    site_ids = {each.site_id for each in receipts}
    known_sites = {each.site_id: each for each in await sites.places(tx.conn, (), list(site_ids))}
    items = await sites.items_by_code(
        tx.conn, [line.item for each in receipts for line in each.lines]
    )
    ordered = await purchases.terms_of(
        tx.conn, {each.purchase_id for each in receipts if each.purchase_id is not None}
    )
    faults: dict[UUID, Fault] = {}
    good: list[Receipt] = []
    for receipt in receipts:
        fault = _fault(receipt, set(known_sites), set(items), ordered, tx.now)
        if fault is None:
            good.append(receipt)
        else:
            faults[receipt.receipt_id] = fault
    if good:
        await _save(tx, good, ordered, recorded_by, known_sites)
    return faults


def _fault(
    receipt: Receipt,
    known: set[UUID],
    items: set[str],
    ordered: dict[UUID, purchases.Terms],
    now: datetime,
) -> Fault | None:
    if is_future(receipt.received_on, now):
        return "day-in-future"
    if receipt.site_id not in known:
        return "unknown-site"
    if any(line.item not in items for line in receipt.lines):
        return "unknown-item"
    if receipt.purchase_id is not None:
        terms = ordered.get(receipt.purchase_id)
        if terms is None:
            return "unknown-purchase"
        if terms.is_canceled:
            return "purchase-canceled"
        if any(line.item not in terms.values for line in receipt.lines):
            return "not-in-purchase"
    return None


async def _save(
    tx: Tx,
    good: Sequence[Receipt],
    ordered: dict[UUID, purchases.Terms],
    recorded_by: UUID | None,
    places: dict[UUID, Place],
) -> None:
    at = await stock.lock(
        tx.conn, {(each.site_id, line.item) for each in good for line in each.lines}
    )
    today = day_of(tx.now)
    changes = StockChanges()
    lots: list[LotRow] = []
    grown: dict[stock.Key, int] = {}
    counted: dict[tuple[UUID, str], int] = {}
    for receipt in good:
        terms = None if receipt.purchase_id is None else ordered[receipt.purchase_id]
        for number, line in enumerate(receipt.lines):
            is_good = keeps(line.expiry, today)
            lot = _lot(receipt, number, line, terms, "available" if is_good else "expired")
            lots.append(lot)
            key = (receipt.site_id, line.item)
            changes.lot(lot.lot_id, key, on_hand=line.quantity, counts=is_good)
            changes.movement(
                MovementRow(
                    derive_id("movement", "receipt", lot.lot_id),
                    lot.lot_id,
                    line.quantity,
                    "receipt",
                    None,
                    receipt.receipt_id,
                    None,
                    receipt.received_on,
                    recorded_by,
                )
            )
            if is_good:
                grown[key] = grown.get(key, 0) + line.quantity
            if receipt.purchase_id is not None:
                line_key = (receipt.purchase_id, line.item)
                counted[line_key] = counted.get(line_key, 0) + line.quantity
        if receipt.purchase_id is not None:
            tx.emit(
                GoodsReceivedV1(
                    receipt_id=receipt.receipt_id,
                    purchase_id=PurchaseId(receipt.purchase_id),
                    received_on=receipt.received_on,
                    lines=tuple(
                        GoodsReceivedV1.Line(item=line.item, quantity=line.quantity)
                        for line in receipt.lines
                    ),
                )
            )
    await stock.insert_receipts(
        tx.conn,
        [
            (each.receipt_id, each.site_id, each.purchase_id, each.received_on, recorded_by)
            for each in good
        ],
    )
    await stock.insert_lots(tx.conn, lots)
    restricted = [
        lot.lot_id for lot in lots if lot.restriction is not None or lot.terms_version is not None
    ]
    if restricted:
        await note_to_come(tx.conn, restricted, today)
    if counted:
        await purchases.add_received(tx.conn, counted)
    await changes.save(tx)
    for (site_id, item), quantity in sorted(grown.items()):
        emit_grew(tx, "stock", item, places[site_id], quantity, at)


def _lot(
    receipt: Receipt, number: int, line: Line, terms: purchases.Terms | None, status: str
) -> LotRow:
    restriction = line.restriction
    text = (
        None
        if restriction is None or restriction == UNRESTRICTED
        else restriction.model_dump_json(exclude_none=True)
    )
    return LotRow(
        derive_id("lot", receipt.receipt_id, number),
        receipt.receipt_id,
        line.item,
        receipt.site_id,
        line.batch,
        line.expiry,
        line.grant_id if terms is None else terms.grant_id,
        text if terms is None else terms.restriction,
        line.unit_value_minor if terms is None else terms.values[line.item],
        line.currency if terms is None else terms.currency,
        status,
        line.terms_version if terms is None else terms.terms_version,
    )
