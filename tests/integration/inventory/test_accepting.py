"""Asks of other regions that a rule accepts, on a real database."""

import asyncio
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.ids import SiteId, TransferId
from aidmesh_contracts.inventory_shipments import (
    TransferAnsweredV1,
    TransferAskedV1,
    TransferWithdrawnV1,
)
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.domain.accepting import Rule
from aidmesh_inventory.handlers import shipping, sites, transfers
from aidmesh_inventory.store import accepting
from aidmesh_inventory.store.shipments import Book, NewLine
from integration.inventory.world import DAY, World, approved, confirmed

LEAD = uuid4()


async def set_rule(world: World, **more: object) -> UUID:
    """A rule for parcels, wide open unless it is told otherwise."""
    values: dict[str, object] = {
        "rule_id": uuid4(),
        "item": "parcel",
        "site_id": None,
        "regions": None,
        "keep_pieces": 0,
        "keep_days": 0,
        "ask_max": 20,
        "week_max": 40,
    }
    rule = Rule(**{**values, **more})  # type: ignore[arg-type]
    async with world.database.transaction() as tx:
        assert await accepting.put(tx.conn, rule, LEAD)
    return rule.rule_id


def ask(quantity: int, region: str = "lviv") -> TransferAskedV1:
    return TransferAskedV1(
        transfer_id=TransferId(uuid4()),
        from_region="kyiv",
        to_region=region,
        item="parcel",
        quantity=quantity,
        to_site_id=SiteId(uuid4()),
        area="UA46",
        reason="waiting_needs",
    )


async def state(world: World, asked: TransferAskedV1) -> str:
    found = await world.value("SELECT state FROM transfer WHERE id = $1", asked.transfer_id)
    return str(found)


@pytest.fixture
async def site_id(world: World) -> UUID:
    await world.item()
    return await world.site()


async def test_an_ask_within_the_rule_is_accepted_as_it_comes(world: World, site_id: UUID) -> None:
    await world.stock(site_id, 30)
    rule_id = await set_rule(world, keep_pieces=10)
    first, much = ask(15), ask(6)
    await world.take(first, region="lviv")
    await world.take(first, region="lviv")
    await world.take(much, region="lviv")
    # 30 - 15 promised - 10 kept leaves 5.
    assert await state(world, first) == "accepted"
    assert await state(world, much) == "asked"
    (answer,) = await world.emitted(TransferAnsweredV1)
    assert (answer.answer, answer.quantity, answer.by_rule) == ("accepted", 15, True)
    (row,) = await world.rows("SELECT * FROM transfer WHERE state = 'accepted'")
    assert (row["accept_rule_id"], row["answered_by"]) == (rule_id, None)
    last = ask(5)
    await world.take(last, region="lviv")
    assert await state(world, last) == "accepted"
    await world.books_are_right()


async def test_asks_of_one_batch_see_each_other(world: World, site_id: UUID) -> None:
    await world.stock(site_id, 25)
    await set_rule(world)
    asks = [ask(10) for _ in range(4)]
    await world.take(*asks, region="lviv")
    states = [await state(world, each) for each in asks]
    assert sorted(states) == ["accepted", "accepted", "asked", "asked"]


async def test_two_replicas_do_not_promise_the_same_pieces(world: World, site_id: UUID) -> None:
    await world.stock(site_id, 10)
    await set_rule(world)
    by_person = ask(10)
    await world.execute("UPDATE accept_rule SET ask_max = 1")
    await world.take(by_person, region="lviv")
    await world.execute("UPDATE accept_rule SET ask_max = 20")

    async def accept() -> None:
        async with world.database.transaction() as tx:
            await transfers.answer(
                tx, region="kyiv", transfer_id=by_person.transfer_id, accepted=10, reason=None,
                by=LEAD,
            )  # fmt: skip

    asks = [ask(10) for _ in range(3)]
    await asyncio.gather(*(world.take(each, region="lviv") for each in asks[:2]), accept())
    by_rule = [each for each in asks[:2] if await state(world, each) == "accepted"]
    # A person may promise what a rule has promised already, a rule never what a person has.
    assert len(by_rule) <= 1
    await world.take(asks[2], region="lviv")
    assert await state(world, asks[2]) == "asked"


async def test_what_is_promised_counts_until_it_has_left(world: World, site_id: UUID) -> None:
    lot_id = await world.stock(site_id, 20)
    await set_rule(world)
    first = ask(12)
    await world.take(first, region="lviv")
    async with world.database.transaction() as tx:
        order = shipping.Order(uuid4(), None, None, first.transfer_id)
        book = await shipping.prepare(tx, "kyiv", order, [NewLine(uuid4(), lot_id, 8)])
    assert isinstance(book, Book)
    async with world.database.transaction() as tx:
        unasked = shipping.Order(uuid4(), "odesa", uuid4(), None)
        assert isinstance(
            await shipping.prepare(tx, "kyiv", unasked, [NewLine(uuid4(), lot_id, 3)]), Book
        )
    for quantity, accepted in ((6, "asked"), (5, "accepted")):
        each = ask(quantity)
        await world.take(each, region="lviv")
        assert await state(world, each) == accepted, quantity
    async with world.database.transaction() as tx:
        assert isinstance(await shipping.dispatch(tx, "kyiv", book.shipment_id, DAY, None), Book)
        # 12 on hand: 4 and 5 promised, 3 prepared.
        assert await accepting.promised(tx.conn, "kyiv", "parcel") == 12


async def test_days_of_own_need_stay(world: World, site_id: UUID) -> None:
    await world.stock(site_id, 40)
    await set_rule(world, keep_days=7)
    for _ in range(2):
        need = approved(quantity=10)
        await world.take(need)
        await world.take(confirmed(need.need_id))
        assert await world.issue(need.need_id) is None
    # The day the tests count by is long gone: what was given out then is not of these weeks.
    await world.execute("UPDATE movement SET happened_on = (now() AT TIME ZONE 'Europe/Kyiv')")
    for quantity, accepted in ((16, "asked"), (15, "accepted")):
        each = ask(quantity)
        await world.take(each, region="lviv")
        assert await state(world, each) == accepted, quantity


async def test_goods_that_may_not_go_there_are_not_promised(world: World, site_id: UUID) -> None:
    await world.stock(site_id, 30, restriction=Restriction(areas=("UA80",)))
    await world.stock(site_id, 4, restriction=Restriction(areas=("UA46",)))
    await set_rule(world)
    for quantity, accepted in ((5, "asked"), (4, "accepted")):
        each = ask(quantity)
        await world.take(each, region="lviv")
        assert await state(world, each) == accepted, quantity


async def test_nothing_is_accepted_of_a_closed_site_or_after_the_end(
    world: World, site_id: UUID
) -> None:
    await world.stock(site_id, 30)
    rule_id = await set_rule(world)
    async with world.database.transaction() as tx:
        assert await sites.close(tx, site_id, "repairs", keeps=True)
    closed = ask(5)
    await world.take(closed, region="lviv")
    assert await state(world, closed) == "asked"
    async with world.database.transaction() as tx:
        assert await sites.reopen(tx, site_id, "repaired")
    gone = ask(5)
    withdrawn = TransferWithdrawnV1.model_validate(gone.model_dump())
    await world.take(withdrawn, region="lviv")
    await world.take(gone, region="lviv")
    assert await state(world, gone) == "withdrawn"
    async with world.database.transaction() as tx:
        assert await accepting.end(tx.conn, rule_id, LEAD)
        assert not await accepting.end(tx.conn, rule_id, LEAD)
    late = ask(5)
    await world.take(late, region="lviv")
    assert await state(world, late) == "asked"
