"""Goods that change their site within the region, on a real database."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from aidmesh_chassis.db import Database, Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import PurchaseId
from aidmesh_contracts.inventory import (
    GoodsReversedV1,
    ReservationHeldV1,
    ReservationRefusedV1,
    StockChangedV1,
    SupplyGrewV1,
)
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.handlers import changes, moving, receipts, sites, sweeps
from aidmesh_inventory.handlers.moving import Fault, Moved
from aidmesh_inventory.handlers.receipts import Line, Receipt
from aidmesh_inventory.handlers.reversals import reverse_receipt
from aidmesh_inventory.handlers.terms import Correction, correct
from aidmesh_inventory.store import stock
from integration.inventory.test_lock_order import in_a_circle
from integration.inventory.test_races import second_waits_for_first
from integration.inventory.world import DAY, World, approved, confirmed, ordered, withdrawn

TERMS = "receipt_id, item, batch, expiry, grant_id, restriction, unit_value_minor, currency, status"


@pytest.fixture
async def replica(world: World) -> AsyncIterator[World]:
    """Another process of the same service on the same database."""
    opened = Database(world.database._dsn, world.database.origin)
    await opened.open()
    yield World(opened)
    await opened.close()


@pytest.fixture
async def places(world: World) -> tuple[UUID, UUID]:
    """A warehouse and, elsewhere in the region, a center."""
    await world.item()
    return await world.site("kyiv-1"), await world.site("bila-1", "UA32")


async def moved(
    world: World, lot_id: UUID, quantity: int, to: UUID, on: date = DAY, reason: str | None = None
) -> UUID | Fault:
    """Move pieces of a lot; returns the lot that they came to, or why not."""
    async with world.database.transaction() as tx:
        return await move(tx, lot_id, quantity, to, on, reason)


async def move(
    tx: Tx, lot_id: UUID, quantity: int, to: UUID, on: date = DAY, reason: str | None = None
) -> UUID | Fault:
    """The same in a transaction that the test keeps open."""
    done = await moving.move(tx, moving.Move(uuid4(), lot_id, quantity, to, on, reason), uuid4())
    return done.to_lot.lot_id if isinstance(done, Moved) else done


async def lot_moved(world: World, lot_id: UUID, quantity: int, to: UUID) -> UUID:
    """The lot that pieces came to."""
    found = await moved(world, lot_id, quantity, to)
    assert isinstance(found, UUID), found
    return found


async def on_hand(world: World, *lots: UUID) -> list[tuple[int, int]]:
    """What lots have, and what of it is held."""
    rows = await world.rows("SELECT id, on_hand, held FROM lot")
    found = {row["id"]: (row["on_hand"], row["held"]) for row in rows}
    return [found[lot_id] for lot_id in lots]


async def close(world: World, site_id: UUID, *, keeps: bool = False) -> None:
    async with world.database.transaction() as tx:
        assert await sites.close(tx, site_id, "evacuation", keeps=keeps) is not None


async def test_goods_keep_their_terms_and_are_told_of_at_both_sites(
    world: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    receipt = Receipt(
        uuid4(),
        warehouse,
        DAY,
        (
            Line(
                "parcel",
                10,
                "B-7",
                date(2099, 1, 31),
                uuid4(),
                Restriction(programmes=("food",)),
                450,
                "EUR",
            ),
        ),
    )
    async with world.database.transaction() as tx:
        assert await receipts.receive(tx, [receipt], None) == {}
    lot_id = await world.value("SELECT id FROM lot")
    assert await world.run(changes.tell_stock) == 1

    to_lot_id = await moved(world, lot_id, 4, center, date(2026, 3, 5), "needed_elsewhere")

    assert isinstance(to_lot_id, UUID)
    assert await on_hand(world, lot_id, to_lot_id) == [(6, 0), (4, 0)]
    terms = await world.rows(f"SELECT {TERMS} FROM lot")  # noqa: S608 - a constant
    assert terms[0] == terms[1]
    assert (terms[0]["batch"], terms[0]["unit_value_minor"]) == ("B-7", 450)
    assert await world.value("SELECT site_id FROM lot WHERE id = $1", to_lot_id) == center
    written = await world.rows(
        "SELECT lot_id, quantity, reason, happened_on, move_id FROM movement"
        " WHERE kind = 'move' AND recorded_by IS NOT NULL ORDER BY quantity"
    )
    of_both = {"reason": "needed_elsewhere", "happened_on": date(2026, 3, 5),
               "move_id": written[0]["move_id"]}  # fmt: skip
    assert written == [
        {"lot_id": lot_id, "quantity": -4, **of_both},
        {"lot_id": to_lot_id, "quantity": 4, **of_both},
    ]
    # The peers see both figures, and only where there is more now somebody is woken.
    assert await world.run(changes.tell_stock) == 2
    told = (await world.emitted(StockChangedV1))[-2:]
    assert {(each.site_id, each.area, each.on_hand, each.free) for each in told} == {
        (warehouse, "UA80", 6, 6),
        (center, "UA32", 4, 4),
    }
    grown = [(each.site_id, each.area, each.quantity, each.freed_by)
             for each in await world.emitted(SupplyGrewV1)]  # fmt: skip
    assert grown == [(warehouse, "UA80", 10, None), (center, "UA32", 4, None)]
    await world.books_are_right()


async def test_who_waits_at_the_other_site_can_have_it(
    world: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 3)
    need = approved(quantity=2, area="UA32", site_id=center)
    await world.take(need)
    (refused,) = await world.emitted(ReservationRefusedV1)

    to_lot_id = await lot_moved(world, lot_id, 2, center)

    grown = (await world.emitted(SupplyGrewV1))[-1]
    assert refused.blocked_by is not None
    assert (grown.resource, grown.code) == (refused.blocked_by.resource, refused.blocked_by.code)
    assert (grown.site_id, grown.quantity) == (center, 2)
    assert grown.grew_at > refused.decided_at
    again = approved(need_id=need.need_id, attempt_no=2, quantity=2, area="UA32", site_id=center)
    await world.take(again)
    assert await world.state(need.need_id, 2) == "held"
    assert await on_hand(world, lot_id, to_lot_id) == [(1, 0), (2, 2)]
    await world.books_are_right()


async def test_what_is_held_stays(world: World, places: tuple[UUID, UUID]) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 5)
    need = approved(quantity=3)
    await world.take(need)
    await world.take(confirmed(need.need_id))

    assert await moved(world, lot_id, 3, center) == "fewer-free"
    assert await moved(world, lot_id, 6, center) == "fewer-free"
    to_lot_id = await lot_moved(world, lot_id, 2, center)
    assert await moved(world, lot_id, 1, center) == "fewer-free"
    assert await on_hand(world, lot_id, to_lot_id) == [(3, 3), (2, 0)]
    assert await world.issue(need.need_id) is None
    assert await on_hand(world, lot_id, to_lot_id) == [(0, 0), (2, 0)]
    await world.books_are_right()


async def test_a_closed_site_is_emptied_and_takes_nothing_in(
    world: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 5)
    await world.take(approved(quantity=3))
    await close(world, warehouse)  # which gives up what was held there
    to_lot_id = await lot_moved(world, lot_id, 5, center)
    assert await on_hand(world, lot_id, to_lot_id) == [(0, 0), (5, 0)]
    assert await moved(world, to_lot_id, 1, warehouse) == "site-closed"
    await world.books_are_right()


async def test_what_can_not_be_moved(world: World, places: tuple[UUID, UUID]) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 5)
    async with world.database.transaction() as tx:
        today = day_of(tx.now)
    assert await moved(world, uuid4(), 1, center) == "unknown-lot"
    assert await moved(world, lot_id, 1, uuid4()) == "unknown-site"
    assert await moved(world, lot_id, 1, warehouse) == "same-site"
    assert await moved(world, lot_id, 1, center, today + timedelta(days=1)) == "day-in-future"
    assert isinstance(await moved(world, lot_id, 1, center, today), UUID)
    assert await world.value("SELECT count(*) FROM movement WHERE kind = 'move'") == 2


async def test_what_can_not_be_told_apart_is_one_lot_and_moving_back_is_another_move(
    world: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 9)
    other = await world.stock(warehouse, 9)
    there = await lot_moved(world, lot_id, 4, center)
    assert await lot_moved(world, lot_id, 1, center) == there
    assert await lot_moved(world, other, 1, center) != there, "it came by another receipt"
    assert await lot_moved(world, there, 2, warehouse) == lot_id
    assert await on_hand(world, lot_id, there) == [(6, 0), (3, 0)]
    wanted = Correction(there, 1, date(2099, 1, 31), None, 0, "UAH", "entry_error")
    async with world.database.transaction() as tx:
        assert await correct(tx, wanted, uuid4()) is None
    apart = await lot_moved(world, lot_id, 1, center)
    assert apart not in (there, lot_id), "its terms are others now"
    assert await world.value("SELECT expiry FROM lot WHERE id = $1", apart) is None
    assert await world.value("SELECT sum(on_hand) FROM lot") == 18
    await world.books_are_right()


async def test_expired_goods_are_moved_and_nobody_is_made_to_hope(
    world: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 5)
    await world.goes_off(lot_id)
    assert await world.run(sweeps.expire_lots) == 1
    before = await world.emitted(SupplyGrewV1)
    to_lot_id = await lot_moved(world, lot_id, 5, center)
    assert await world.value("SELECT status FROM lot WHERE id = $1", to_lot_id) == "expired"
    assert await world.emitted(SupplyGrewV1) == before
    await world.books_are_right()


async def test_goods_that_count_as_expired_are_not_put_to_those_that_do_not_yet(
    world: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 5)
    await world.goes_off(lot_id)
    there = await lot_moved(world, lot_id, 2, center)
    # A sweep that had no room for both.
    await world.execute("UPDATE lot SET status = 'expired' WHERE id = $1", lot_id)
    await world.execute("UPDATE stock_state SET free = 0 WHERE site_id = $1", warehouse)
    apart = await lot_moved(world, lot_id, 3, center)
    assert await on_hand(world, lot_id, there, apart) == [(0, 0), (2, 0), (3, 0)]
    await world.books_are_right()


async def test_goods_whose_period_has_not_begun_are_told_of_where_they_are_then(
    world: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    async with world.database.transaction() as tx:
        tomorrow = day_of(tx.now) + timedelta(days=1)
    lot_id = await world.stock(warehouse, 5, restriction=Restriction(valid_from=tomorrow))
    to_lot_id = await lot_moved(world, lot_id, 3, center)
    await world.execute(
        "UPDATE lot SET restriction = jsonb_set(restriction, '{valid_from}', '\"2024-01-01\"')"
    )
    assert await world.run(sweeps.begin_periods) == 2
    grown = (await world.emitted(SupplyGrewV1))[-2:]
    assert {(each.site_id, each.quantity) for each in grown} == {(warehouse, 2), (center, 3)}
    assert await on_hand(world, to_lot_id) == [(3, 0)]


async def test_a_receipt_is_taken_back_wherever_its_goods_are(
    world: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    purchase_id = PurchaseId(uuid4())
    receipt = Receipt(uuid4(), warehouse, DAY, (Line("parcel", 5),), purchase_id)
    await world.take(ordered(purchase_id, parcel=5))
    async with world.database.transaction() as tx:
        assert await receipts.receive(tx, [receipt], None) == {}
    lot_id = await world.value("SELECT id FROM lot")
    to_lot_id = await lot_moved(world, lot_id, 3, center)
    need = approved(quantity=2, area="UA32")
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id) is None

    async def reverse() -> object:
        async with world.database.transaction() as tx:
            return await reverse_receipt(tx, receipt.receipt_id, "wrong_purchase", None)

    assert await reverse() == "goods-gone", "some of it was handed over at the center"
    assert await world.undo(need.need_id)
    assert await reverse() == sorted([lot_id, to_lot_id])
    assert await world.state(need.need_id) == "relocated"
    assert await on_hand(world, lot_id, to_lot_id) == [(0, 0), (0, 0)]
    (told,) = await world.emitted(GoodsReversedV1)
    assert [(line.item, line.quantity) for line in told.lines] == [("parcel", 5)]
    assert await world.value("SELECT received FROM purchase_line") == 0
    assert await moved(world, to_lot_id, 1, warehouse) == "already-reversed"
    await world.books_are_right()


@pytest.mark.parametrize("first", ["move", "hold"])
async def test_a_move_against_a_hold(
    world: World, replica: World, places: tuple[UUID, UUID], first: str
) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 3)
    need = approved(quantity=2)
    answers: list[UUID | Fault] = []

    async def take_away(tx: Tx) -> None:
        answers.append(await move(tx, lot_id, 2, center))

    async def take_away_too() -> None:
        answers.append(await moved(replica, lot_id, 2, center))

    if first == "move":
        await second_waits_for_first(world, take_away, lambda: replica.take(need))
        assert isinstance(answers[0], UUID)
        assert await world.emitted(ReservationHeldV1) == []
    else:
        await second_waits_for_first(world, lambda tx: world.handle(tx, need), take_away_too)
        assert answers == ["fewer-free"]
        assert await world.state(need.need_id) == "held"
    await world.books_are_right()


async def test_a_move_against_the_closing_of_where_it_goes(
    world: World, replica: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 3)
    answers: list[UUID | Fault] = []

    async def closes(tx: Tx) -> None:
        assert await sites.close(tx, center, "shelling", keeps=False) is not None

    async def moves() -> None:
        answers.append(await moved(replica, lot_id, 2, center))

    await second_waits_for_first(world, closes, moves)
    assert answers == ["site-closed"]
    assert await on_hand(world, lot_id) == [(3, 0)]


@pytest.mark.parametrize("first", ["move", "reverse"])
async def test_a_move_against_the_reversal_of_its_receipt(
    world: World,
    replica: World,
    places: tuple[UUID, UUID],
    first: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not a piece is left in a lot that nobody knew of when the receipt was taken back.

    Whoever takes it back holds the mutexes of all its lots, so nobody holds any of it meanwhile.
    """
    warehouse, center = places
    lot_id = await world.stock(warehouse, 3)
    receipt_id = await world.value("SELECT receipt_id FROM lot")
    answers: list[object] = []

    async def reverses(tx: Tx) -> None:
        answers.append(await reverse_receipt(tx, receipt_id, "wrong_item", None))

    locked: set[stock.Key] = set()
    take_mutexes = stock.lock

    async def lock(conn: asyncpg.Connection, keys: Collection[stock.Key]) -> datetime:
        locked.update(keys)
        return await take_mutexes(conn, keys)

    async def reverses_too() -> None:
        locked.clear()
        monkeypatch.setattr(stock, "lock", lock)
        async with replica.database.transaction() as tx:
            await reverses(tx)

    async def moves(tx: Tx) -> None:
        answers.append(await move(tx, lot_id, 2, center))

    async def moves_too() -> None:
        async with replica.database.transaction() as tx:
            await moves(tx)

    if first == "move":
        await second_waits_for_first(world, moves, reverses_too)
        assert answers[1] == sorted([lot_id, UUID(str(answers[0]))])
        assert locked == {(warehouse, "parcel"), (center, "parcel")}
    else:
        await second_waits_for_first(world, reverses, moves_too)
        assert answers == [[lot_id], "already-reversed"]
    assert await world.value("SELECT sum(on_hand) FROM lot") == 0
    await world.books_are_right()


async def test_moves_to_and_fro_beside_holds_wait_for_each_other_and_lose_nothing(
    world: World, replica: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    lots = [await world.stock(warehouse, 60), await world.stock(center, 60)]
    deadlocks = 0
    for _ in range(10):
        needs = [approved(quantity=2), approved(quantity=2, area="UA32")]
        deadlocks += await in_a_circle(
            moved(world, lots[0], 3, center),
            moved(replica, lots[1], 3, warehouse),
            world.take(*needs),
            replica.take(withdrawn(needs[0].need_id)),
        )
    assert deadlocks == 0
    assert await world.value("SELECT sum(on_hand) FROM lot") == 120
    assert await world.value("SELECT count(*) FROM movement WHERE kind = 'move'") == 40
    await world.books_are_right()


async def test_two_who_move_the_last_pieces(
    world: World, replica: World, places: tuple[UUID, UUID]
) -> None:
    warehouse, center = places
    lot_id = await world.stock(warehouse, 3)
    answers = await asyncio.gather(
        moved(world, lot_id, 2, center), moved(replica, lot_id, 2, center)
    )
    assert [isinstance(each, UUID) for each in answers].count(True) == 1
    assert "fewer-free" in answers
    await world.books_are_right()
