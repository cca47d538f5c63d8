"""Shipments between two real databases, with messages doubled, reordered and held back."""

import random
from datetime import date
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.errors import Poison
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import PurchaseId
from aidmesh_contracts.inventory import GoodsReversedV1, SupplyGrewV1
from aidmesh_contracts.inventory_shipments import (
    ShipmentChangedV1,
    ShipmentLine,
)
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.domain.shipments import Counted
from aidmesh_inventory.handlers import (
    receipts,
    restoring,
    reversals,
    shipping,
)
from aidmesh_inventory.handlers.receipts import Line, Receipt
from aidmesh_inventory.store.shipments import Book
from integration.inventory.sides import WINTER, Side, exchange
from integration.inventory.world import DAY, approved, ordered


async def test_goods_are_asked_for_sent_and_credited_by_the_count(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    grant_id = uuid4()
    lot_id = await kyiv.world.stock(
        kyiv.site_id,
        20,
        expiry=date(2099, 1, 31),
        restriction=WINTER,
        grant_id=grant_id,
        unit_value_minor=450,
    )
    transfer_id = await lviv.ask(kyiv, 15)
    await exchange(kyiv, lviv)
    assert await kyiv.accept(transfer_id, 16) == "more-than-asked"
    assert await kyiv.accept(transfer_id, 12) is None
    assert await kyiv.accept(transfer_id, 1) == "already-answered"
    book = await kyiv.send(kyiv, (lot_id, 12), transfer_id=transfer_id)
    assert (book.to_region, book.to_site_id) == ("lviv", lviv.site_id)
    await exchange(kyiv, lviv)
    assert await lviv.world.value("SELECT accepted FROM transfer") == 12
    assert (await lviv.book(book.shipment_id)).shipment.state == "preparing"
    assert await kyiv.on_hand() == 20
    assert isinstance(await kyiv.dispatch(book.shipment_id), Book)
    assert await kyiv.on_hand() == 8
    await exchange(kyiv, lviv)
    for side in pair:
        assert (await side.book(book.shipment_id)).shipment.in_transit == {"parcel": 12}
    line_id = book.shipment.lines[0].line_id
    # 9 good, 2 wet, 1 missing.
    taken = await lviv.count(book.shipment_id, {line_id: Counted(9, 2, "wet")})
    assert isinstance(taken, Book)
    assert await lviv.count(book.shipment_id, {line_id: Counted(9, 2, "wet")}) == "already-counted"
    await exchange(kyiv, lviv)
    for side in pair:
        known = (await side.book(book.shipment_id)).shipment
        count = known.counts[line_id]
        assert (count.good, count.damaged, count.short, count.surplus) == (9, 2, 1, 0)
        assert (known.state, known.in_transit) == ("received", {})
        found = await side.world.rows("SELECT why, quantity, status FROM discrepancy ORDER BY why")
        assert found == [
            {"why": "damaged", "quantity": 2, "status": "open"},
            {"why": "short", "quantity": 1, "status": "open"},
        ]
    # The lot keeps what its donor said, and whoever waits is woken.
    lot = (await lviv.world.rows("SELECT * FROM lot"))[0]
    assert (lot["expiry"], lot["grant_id"]) == (date(2099, 1, 31), grant_id)
    assert (lot["unit_value_minor"], lot["currency"], lot["on_hand"]) == (450, "UAH", 9)
    assert Restriction.model_validate_json(lot["restriction"]) == WINTER
    assert [each.quantity for each in await lviv.world.emitted(SupplyGrewV1)] == [9]
    # What was credited by a count is corrected by one.
    async with lviv.world.database.transaction() as tx:
        reversal = await reversals.reverse_receipt(tx, lot["receipt_id"], "mistake", None)
    assert reversal == "came-by-shipment"


async def test_a_receipt_is_not_taken_back_once_some_of_it_left(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    purchase_id = PurchaseId(uuid4())
    await kyiv.world.take(ordered(purchase_id, parcel=10))

    async def receive() -> Receipt:
        receipt = Receipt(uuid4(), kyiv.site_id, DAY, (Line("parcel", 10),), purchase_id)
        async with kyiv.world.database.transaction() as tx:
            assert await receipts.receive(tx, [receipt], None) == {}
        return receipt

    async def reverse(receipt: Receipt) -> object:
        async with kyiv.world.database.transaction() as tx:
            return await reversals.reverse_receipt(tx, receipt.receipt_id, "twice", None)

    async def prepared(receipt: Receipt) -> Book:
        lot_id = await kyiv.world.value(
            "SELECT id FROM lot WHERE receipt_id = $1", receipt.receipt_id
        )
        return await kyiv.send(lviv, (lot_id, 6))

    first, again = await receive(), await receive()
    waits, leaves = await prepared(again), await prepared(first)
    assert isinstance(await kyiv.dispatch(leaves.shipment_id), Book)
    assert await reverse(first) == "goods-gone"
    assert await kyiv.world.emitted(GoodsReversedV1) == []
    # What is only prepared is here still, and can't leave afterwards.
    assert isinstance(await reverse(again), list)
    assert await kyiv.dispatch(waits.shipment_id) == "not-free"
    assert await kyiv.on_hand() == 4
    assert await kyiv.world.value("SELECT received FROM purchase_line") == 10


async def test_what_left_after_a_backup_is_in_the_books_again(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 9)
    prepared = await kyiv.send(lviv, (lot_id, 4))
    forgotten = prepared.shipment.lines[0].model_copy(update={"line_id": uuid4(), "quantity": 2})
    await exchange(kyiv, lviv)

    def left(shipment_id: UUID, line: ShipmentLine) -> ShipmentChangedV1:
        """As kyiv had told it before it lost its books."""
        told = shipping.as_event(prepared)
        return told.model_copy(
            update={
                "shipment_id": shipment_id,
                "state": "dispatched",
                "dispatched_on": DAY,
                "lines": (line,),
                "version": told.version + 1,
            }
        )

    lost = [left(prepared.shipment_id, prepared.shipment.lines[0]), left(uuid4(), forgotten)]
    await lviv.hear(lost, "kyiv")
    for said in lost:
        done = await lviv.count(said.shipment_id, {said.lines[0].line_id: all_good(said)})
        assert isinstance(done, Book)
    for _ in range(2):
        for said in lost:
            async with kyiv.world.database.transaction() as tx:
                assert await restoring.redo(tx, "kyiv", said)
    async with kyiv.world.database.transaction() as tx:
        assert not await restoring.redo(tx, "kyiv", shipping.as_event(prepared))
    # The lot of what was prepared is known; of the other a person has to find it.
    assert await kyiv.on_hand() == 5
    await exchange(kyiv, lviv)
    for side in pair:
        for said in lost:
            assert (await side.book(said.shipment_id)).shipment.state == "received"
    found = await kyiv.world.rows("SELECT why, quantity, shipment_id FROM discrepancy")
    assert found == [
        {"why": "not_in_books", "quantity": 2, "shipment_id": lost[1].shipment_id},
    ]


def all_good(said: ShipmentChangedV1) -> Counted:
    return Counted(said.lines[0].quantity, 0, None)


async def test_only_what_is_free_leaves_and_nothing_is_added_afterwards(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 5)
    book = await kyiv.send(lviv, (lot_id, 3), (lot_id, 2))
    # Somebody comes for one of them before the truck leaves.
    await kyiv.world.take(approved(quantity=1))
    assert await kyiv.dispatch(book.shipment_id) == "not-free"
    assert await kyiv.on_hand() == 5
    # No more is prepared than is free, in one go or bit by bit.
    assert await kyiv.prepare(lviv, (lot_id, 5)) == "not-free"
    assert await kyiv.prepare(lviv, (lot_id, 2), (lot_id, 3)) == "not-free"
    assert isinstance(await kyiv.cancel(book.shipment_id), Book)
    assert await kyiv.dispatch(book.shipment_id) == "not-preparing"
    other = await kyiv.send(lviv, (lot_id, 3))
    assert await kyiv.add(other.shipment_id, (lot_id, 2)) == "not-free"
    assert isinstance(await kyiv.add(other.shipment_id, (lot_id, 1)), Book)
    assert isinstance(await kyiv.dispatch(other.shipment_id), Book)
    assert await kyiv.add(other.shipment_id, (lot_id, 1)) == "not-preparing"
    assert await kyiv.cancel(other.shipment_id) == "not-preparing"
    assert await kyiv.on_hand() == 1
    assert await kyiv.dispatch(other.shipment_id) == "not-preparing"
    await exchange(kyiv, lviv)
    first = await lviv.book(book.shipment_id)
    assert first.shipment.state == "cancelled"
    line_id = first.shipment.lines[0].line_id
    wrong = await lviv.count(book.shipment_id, {line_id: Counted(3, 0, None)})
    assert wrong == "not-dispatched"


async def test_nobody_speaks_for_another_region(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    lot_id = await kyiv.world.stock(kyiv.site_id, 5)
    book = await kyiv.send(lviv, (lot_id, 5))
    await kyiv.dispatch(book.shipment_id)
    said = await kyiv.said()
    for event in said:
        with pytest.raises(Poison):
            await lviv.hear([event], "odesa")
    await lviv.hear(said, "kyiv")
    taken_over = said[-1].model_copy(update={"from_region": "odesa"})
    with pytest.raises(Poison):
        await lviv.hear([taken_over], "odesa")
    line_id = book.shipment.lines[0].line_id
    await lviv.count(book.shipment_id, {line_id: Counted(5, 0, None)})
    counted = (await lviv.said())[0]
    with pytest.raises(Poison):
        await kyiv.hear([counted], "odesa")
    with pytest.raises(Poison):
        await kyiv.hear([counted.model_copy(update={"to_region": "odesa"})], "odesa")


@pytest.mark.parametrize("seed", range(4))
async def test_no_piece_is_lost_whatever_the_wire_does(pair: tuple[Side, Side], seed: int) -> None:
    dice = random.Random(seed)
    lots = {each.region: await each.world.stock(each.site_id, 200) for each in pair}
    wire: list[tuple[Side, Side, Event]] = []
    sent: list[tuple[Side, Side, Book]] = []
    delivered: set[int] = set()
    damaged = short = surplus = 0

    async def listen() -> None:
        for one, other in (pair, (pair[1], pair[0])):
            wire.extend((one, other, event) for event in await one.said())

    for _ in range(60):
        act = dice.random()
        one, other = pair if dice.random() < 0.5 else (pair[1], pair[0])
        if act < 0.2:
            pieces = [(lots[one.region], dice.randint(1, 9)) for _ in range(dice.randint(1, 3))]
            sent.append((one, other, await one.send(other, *pieces)))
        elif act < 0.4 and sent:
            origin, _, book = dice.choice(sent)
            await origin.dispatch(book.shipment_id)
        elif act < 0.6 and sent:
            _, target, book = dice.choice(sent)
            line = dice.choice(book.shipment.lines)
            counted = Counted(dice.randint(0, line.quantity + 1), dice.randint(0, 1), "wet")
            taken = await target.count(book.shipment_id, {line.line_id: counted})
            if isinstance(taken, Book):
                count = taken.shipment.counts[line.line_id]
                damaged, short = damaged + count.damaged, short + count.short
                surplus += count.surplus
        elif wire:
            # Any message, any time, also again under another event id.
            place = dice.randrange(len(wire))
            delivered.add(place)
            origin, target, event = wire[place]
            await target.hear([event], origin.region)
        await listen()
        # In transit is what the senders' books say, less what the receivers have counted.
        transit = 0
        for origin, target, book in sent:
            left = (await origin.book(book.shipment_id)).shipment
            if left.sent != "dispatched":
                continue
            arrived = await target.world.rows(
                "SELECT line_id FROM shipment_line WHERE shipment_id = $1 AND good IS NOT NULL",
                book.shipment_id,
            )
            known = {row["line_id"] for row in arrived}
            transit += sum(each.quantity for each in left.lines if each.line_id not in known)
        total = await pair[0].on_hand() + await pair[1].on_hand()
        assert total + transit + damaged + short - surplus == 400
    # In the end everything arrives.
    while len(delivered) < len(wire):
        for place, (origin, target, event) in enumerate(list(wire)):
            if place not in delivered:
                delivered.add(place)
                await target.hear([event], origin.region)
        await listen()
    for origin, target, book in sent:
        ours, theirs = await origin.book(book.shipment_id), await target.book(book.shipment_id)
        assert (ours.shipment.state, ours.shipment.counts, ours.shipment.lines) == (
            theirs.shipment.state,
            theirs.shipment.counts,
            theirs.shipment.lines,
        )
