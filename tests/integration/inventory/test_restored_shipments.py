"""Shipments of a region that is restored from a backup, as `aidmesh restore` leaves them."""

from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from aidmesh.restoring.forward import Restored, redo_goods
from aidmesh_chassis.restoring import Lost
from aidmesh_contracts.inventory_shipments import ShipmentChangedV1
from aidmesh_inventory.domain.shipments import Counted
from aidmesh_inventory.handlers import shipping
from aidmesh_inventory.store.shipments import Book
from integration.inventory.sides import Side, exchange
from integration.inventory.world import DAY, approved

TAKEN_AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


async def restore(side: Side, *lost: ShipmentChangedV1) -> int:
    """Its database is out of a backup, and others heard this since; returns how much is handled."""
    regions = frozenset({"kyiv", "lviv"})
    at = Restored(side.region, 2, TAKEN_AT, regions, {"inventory": side.dsn}, {})
    events = [
        Lost(
            uuid4(),
            "EVENTS",
            "",
            {
                "ce-type": said.type,
                "ce-subject": str(said.aggregate_id),
                "aid-version": str(said.version),
            },
            said.model_dump_json().encode(),
        )
        for said in lost
    ]
    return len(await redo_goods(at, events))


@pytest.mark.parametrize("since", ["more", "given up"])
async def test_what_changed_after_a_backup_still_arrives(
    pair: tuple[Side, Side], since: str
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 9)
    leaves, stays = [await kyiv.send(lviv, (lot_id, 4)) for _ in range(2)]
    await exchange(kyiv, lviv)
    # As kyiv had told them before it lost its books; nobody can tell it so.
    for book in (leaves, stays):
        told = shipping.as_event(book)
        line = told.lines[0].model_copy(update={"line_id": uuid4(), "quantity": 1})
        change = {"lines": (*told.lines, line)} if since == "more" else {"state": "cancelled"}
        for version in (2, 3, 4):
            lost = told.model_copy(update={**change, "version": version})
            await lviv.hear([lost], "kyiv")
    await restore(kyiv)
    await exchange(kyiv, lviv)
    for book in (leaves, stays):
        assert (await lviv.book(book.shipment_id)).shipment == (
            await kyiv.book(book.shipment_id)
        ).shipment
    assert isinstance(await kyiv.dispatch(leaves.shipment_id), Book)
    assert isinstance(await kyiv.cancel(stays.shipment_id), Book)
    await exchange(kyiv, lviv)
    line_id = leaves.shipment.lines[0].line_id
    assert isinstance(await lviv.count(leaves.shipment_id, {line_id: Counted(4, 0, None)}), Book)
    await exchange(kyiv, lviv)
    for side in pair:
        assert (await side.book(leaves.shipment_id)).shipment.state == "received"
        assert (await side.book(stays.shipment_id)).shipment.state == "cancelled"
    assert (await kyiv.on_hand(), await lviv.on_hand()) == (5, 4)


async def test_nobody_waits_for_what_was_only_begun_after_a_backup(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 9)
    known = await kyiv.send(lviv, (lot_id, 4))
    await exchange(kyiv, lviv)
    begun = shipping.as_event(known).model_copy(update={"shipment_id": uuid4(), "version": 3})
    given_up = shipping.as_event(known).model_copy(update={"state": "cancelled", "version": 2})
    await lviv.hear([begun, given_up], "kyiv")
    # The one that is given up without having been so is left to people.
    assert await restore(kyiv, begun, given_up) == 1
    await exchange(kyiv, lviv)
    for side in pair:
        for said in (begun, given_up):
            assert (await side.book(said.shipment_id)).shipment.state == "cancelled"
    assert await kyiv.dispatch(begun.shipment_id) == "not-preparing"
    assert await kyiv.on_hand() == 9


@pytest.mark.parametrize("why", ["held", "expired"])
async def test_what_left_of_a_lot_that_is_not_free_in_the_backup_is_for_people(
    pair: tuple[Side, Side], why: str
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 4, expiry=date(2099, 1, 31))
    prepared = await kyiv.send(lviv, (lot_id, 4))
    told = shipping.as_event(prepared)
    lost = told.model_copy(
        update={"state": "dispatched", "dispatched_on": DAY, "version": told.version + 1}
    )
    if why == "held":
        await kyiv.world.take(approved(quantity=1))
    else:
        await kyiv.world.goes_off(lot_id)
    assert await restore(kyiv, lost) == 1
    await kyiv.world.books_are_right()
    book = await kyiv.book(prepared.shipment_id)
    assert (book.shipment.state, book.shipment.lines, book.lots) == ("dispatched", lost.lines, {})
    assert await kyiv.on_hand() == 4
    found = await kyiv.world.rows("SELECT why, quantity, shipment_id FROM discrepancy")
    assert found == [{"why": "not_in_books", "quantity": 4, "shipment_id": lost.shipment_id}]
    await lviv.hear([lost], "kyiv")
    line_id = lost.lines[0].line_id
    assert isinstance(await lviv.count(lost.shipment_id, {line_id: Counted(4, 0, None)}), Book)
    await exchange(kyiv, lviv)
    assert (await kyiv.book(prepared.shipment_id)).shipment.state == "received"
