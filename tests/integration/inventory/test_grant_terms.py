"""Grants that are extended or cut short after goods were bought from them: the goods follow."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_chassis.errors import Poison
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import GrantId, PurchaseId
from aidmesh_contracts.inventory import ReservationIssuedV1, ReservationReleasedV1, SupplyGrewV1
from aidmesh_contracts.payments import PurchaseBilledV1, PurchaseOrderedV1
from aidmesh_contracts.payments_grants import GrantChangedV1, GrantTerms
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.domain.shipments import Counted
from aidmesh_inventory.handlers import grants, receipts, sweeps
from aidmesh_inventory.handlers.receipts import Line, Receipt
from aidmesh_inventory.handlers.terms import Correction, correct
from aidmesh_inventory.store import grants as grant_store
from aidmesh_inventory.store.shipments import Book
from integration.inventory.sides import Side, exchange
from integration.inventory.test_races import second_waits_for_first
from integration.inventory.test_shown import plan
from integration.inventory.world import DAY, World, approved, confirmed

GRANT = GrantId(uuid4())
ENDS = "SELECT (restriction ->> 'valid_to')::date FROM lot WHERE id = $1"


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


def until(day: date | None) -> Restriction:
    return Restriction(programmes=("food",), valid_to=day)


def amended(restriction: Restriction, terms_version: int) -> GrantChangedV1:
    """What the grantor tells of the grant."""
    return GrantChangedV1(
        grant_id=GRANT,
        terms=GrantTerms(
            grant_id=GRANT,
            code="g-1",
            donor="A donor",
            currency="UAH",
            restriction=restriction,
            paying_office="kyiv",
            terms_version=terms_version,
        ),
        amount_minor=100,
        received_minor=100,
        status="active",
        version=10 * terms_version,
    )


async def ordered(
    world: World, restriction: Restriction, terms_version: int | None = 1
) -> PurchaseId:
    """Goods are bought from the grant."""
    purchase_id = PurchaseId(uuid4())
    await world.take(
        PurchaseOrderedV1(
            purchase_id=purchase_id,
            grant_id=GRANT,
            restriction=restriction,
            currency="UAH",
            lines=(PurchaseOrderedV1.Line(item="parcel", quantity=9, unit_value_minor=700),),
            terms_version=terms_version,
        )
    )
    return purchase_id


async def came(world: World, site_id: UUID, purchase_id: UUID, quantity: int = 4) -> UUID:
    """Some of them come in; returns the lot."""
    receipt = Receipt(uuid4(), site_id, DAY, (Line("parcel", quantity),), purchase_id)
    async with world.database.transaction() as tx:
        assert await receipts.receive(tx, [receipt], None) == {}
    lot_id = await world.value("SELECT id FROM lot WHERE receipt_id = $1", receipt.receipt_id)
    assert isinstance(lot_id, UUID)
    return lot_id


async def follow(world: World, *told: GrantChangedV1) -> None:
    await world.take(*told)
    while await world.run(grants.renew_terms):
        pass


async def test_an_extended_grant_wakes_who_waits_and_nobody_loses_a_promise(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await came(world, site_id, await ordered(world, until(today)))
    promised, late = approved(planned_on=today), approved(planned_on=today + timedelta(days=30))
    await world.take(promised, late)
    await world.take(confirmed(promised.need_id))
    assert await world.state(late.need_id) is None
    before = len(await world.emitted(SupplyGrewV1))

    longer = today + timedelta(days=90)
    await follow(world, amended(until(longer), 2), amended(until(today), 1))
    # What comes late, or again, changes nothing.
    await follow(world, amended(until(today), 1), amended(until(today), 2))

    assert await world.value(ENDS, lot_id) == longer
    kept = await world.value("SELECT restriction FROM grant_terms WHERE terms_version = 2")
    assert Restriction.model_validate_json(kept) == until(longer)
    grown = (await world.emitted(SupplyGrewV1))[before:]
    assert [(each.code, each.quantity, each.freed_by) for each in grown] == [("parcel", 3, None)]
    assert await world.state(promised.need_id) == "confirmed"
    again = approved(need_id=late.need_id, attempt_no=2, planned_on=late.planned_on)
    await world.take(again)
    assert await world.state(late.need_id, 2) == "held"
    (was,) = await world.rows("SELECT * FROM lot_correction")
    assert (was["version"], was["reason"], was["corrected_by"]) == (1, "grant_amended", None)
    assert Restriction.model_validate_json(was["restriction"]) == until(today)
    await world.books_are_right()


async def test_a_grant_cut_short_gives_up_only_what_is_planned_after_it(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    purchase_id = await ordered(world, until(today + timedelta(days=90)))
    lots = [await came(world, site_id, purchase_id, 2) for _ in range(2)]
    own = await world.stock(site_id, 2, grant_id=GRANT, restriction=until(None))
    soon, far = (approved(planned_on=today + timedelta(days=days)) for days in (1, 30))
    for need in (soon, far):
        await world.take(need)
        await world.take(confirmed(need.need_id))
    before = len(await world.emitted(SupplyGrewV1))

    await follow(world, amended(until(today + timedelta(days=1)), 2))

    assert await world.state(soon.need_id) == "confirmed"
    assert await world.state(far.need_id) == "relocated"
    (released,) = await world.emitted(ReservationReleasedV1)
    assert (released.need_id, released.cause) == (far.need_id, "relocated")
    # Others may want the piece that is free again; what was free before serves nobody anew.
    grown = (await world.emitted(SupplyGrewV1))[before:]
    assert [(each.quantity, each.freed_by) for each in grown] == [(1, far.need_id)]
    for lot_id in lots:
        assert await world.value(ENDS, lot_id) == today + timedelta(days=1)
    # What a person entered of donated goods stays, whatever grant they named.
    assert await world.value("SELECT version FROM lot WHERE id = $1", own) == 1
    assert await world.value(ENDS, own) is None
    # Asked anew, the need gets what it may have.
    await world.take(approved(need_id=far.need_id, attempt_no=2, planned_on=far.planned_on))
    assert await world.state(far.need_id, 2) == "held"
    await world.books_are_right()


async def test_terms_that_say_the_same_change_no_lot(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await came(world, site_id, await ordered(world, until(today)))
    before = len(await world.emitted(SupplyGrewV1))
    await follow(world, amended(until(today), 2))  # the donor gives more, for the same
    assert await world.value("SELECT terms_version FROM lot WHERE id = $1", lot_id) == 2
    assert await world.value("SELECT version FROM lot WHERE id = $1", lot_id) == 1
    assert await world.value("SELECT count(*) FROM lot_correction") == 0
    assert len(await world.emitted(SupplyGrewV1)) == before


async def test_goods_on_order_come_in_under_the_newest_terms(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    longer = today + timedelta(days=90)
    before, unsaid = await ordered(world, until(today)), await ordered(world, until(today), None)
    await world.take(amended(until(longer), 2))
    # Payments and its grantor are not heard in one order.
    late, early = await ordered(world, until(today), 1), await ordered(world, until(None), 3)
    ends = {
        purchase_id: await world.value(ENDS, await came(world, site_id, purchase_id))
        for purchase_id in (before, unsaid, late, early)
    }
    assert ends == {before: longer, unsaid: longer, late: longer, early: None}
    assert await world.run(grants.renew_terms) == 0
    await world.take(amended(until(longer), 4))
    assert await world.run(grants.renew_terms) == 4
    assert await world.value("SELECT count(*) FROM lot WHERE terms_version = 4") == 4


async def test_goods_that_may_be_given_later_only_wait_for_that_day(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await came(world, site_id, await ordered(world, Restriction()))
    later = Restriction(valid_from=today + timedelta(days=1))
    await follow(world, amended(later, 2))
    before = len(await world.emitted(SupplyGrewV1))
    assert await world.run(sweeps.begin_periods) == 0
    await world.execute(
        "UPDATE lot SET restriction = jsonb_set(restriction, '{valid_from}', to_jsonb($1::text))",
        today.isoformat(),
    )
    assert await world.run(sweeps.begin_periods) == 1
    grown = (await world.emitted(SupplyGrewV1))[before:]
    assert [each.quantity for each in grown] == [4]
    assert await world.value("SELECT version FROM lot WHERE id = $1", lot_id) == 2


async def test_a_promise_made_while_terms_change_is_not_overlooked(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await came(world, site_id, await ordered(world, until(None)))
    need = approved(planned_on=today + timedelta(days=30))
    await world.take(amended(until(today), 2))
    await second_waits_for_first(
        world, lambda tx: world.handle(tx, need), lambda: world.run(grants.renew_terms)
    )
    # The sweep did not know of it when it took its locks.
    assert await world.state(need.need_id) == "held"
    assert await world.value(ENDS, lot_id) is None
    assert await world.run(grants.renew_terms) == 1
    assert await world.state(need.need_id) == "relocated"
    assert await world.value(ENDS, lot_id) == today
    await world.books_are_right()


async def test_what_was_bought_goes_out_for_what_the_bill_asked(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    terms = until(today)
    lot_id = await came(world, site_id, await ordered(world, terms))
    need = approved(planned_on=today)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    dearer = Correction(lot_id, 1, None, terms, 750, "UAH", "other_bill")
    async with world.database.transaction() as tx:
        assert await correct(tx, dearer, uuid4()) is None
    assert await world.state(need.need_id) == "confirmed", "what is set aside stays"
    assert await world.issue(need.need_id, on=today) is None
    (issued,) = await world.emitted(ReservationIssuedV1)
    assert [(each.amount_minor, each.currency) for each in issued.shares] == [(750, "UAH")]
    assert await world.rows("SELECT version, unit_value_minor, reason FROM lot_correction") == [
        {"version": 1, "unit_value_minor": 700, "reason": "other_bill"}
    ]
    # It follows its grant as before.
    await follow(world, amended(until(today + timedelta(days=9)), 2))
    assert await world.value("SELECT terms_version FROM lot") == 2
    assert await world.value("SELECT unit_value_minor FROM lot") == 750
    await world.books_are_right()


async def test_only_its_grantor_is_believed(world: World, today: date) -> None:
    await world.take(amended(until(today), 1), region="lviv")
    for told in ([amended(until(None), 2)], [amended(until(None), 3)]):
        with pytest.raises(Poison):
            await world.take(*told, region="odesa")
    assert await world.value("SELECT terms_version FROM grant_terms") == 1


async def test_goods_of_a_grant_follow_it_to_other_regions(pair: tuple[Side, Side]) -> None:
    kyiv, lviv = pair
    lot_id = await came(kyiv.world, kyiv.site_id, await ordered(kyiv.world, until(DAY)), 9)
    here = await kyiv.send(lviv, (lot_id, 4))
    on_its_way = await kyiv.send(lviv, (lot_id, 3))
    for book in (here, on_its_way):
        assert isinstance(await kyiv.dispatch(book.shipment_id), Book)
    await exchange(kyiv, lviv)
    longer, other = until(DAY + timedelta(days=90)), until(DAY + timedelta(days=200))
    counted = await lviv.count(here.shipment_id, {here.shipment.lines[0].line_id: all_of(here)})
    assert isinstance(counted, Book)
    for side in pair:
        await follow(side.world, amended(longer, 2))
    line_id = on_its_way.shipment.lines[0].line_id
    counted = await lviv.count(on_its_way.shipment_id, {line_id: all_of(on_its_way)})
    assert isinstance(counted, Book)
    assert await lviv.world.rows(
        "SELECT (restriction ->> 'valid_to')::date AS ends, count(*) FROM lot GROUP BY 1"
    ) == [{"ends": longer.valid_to, "count": 2}]
    # Nobody there says otherwise by hand.
    of_lviv = await lviv.world.value("SELECT id FROM lot WHERE on_hand = 4")
    wanted = Correction(of_lviv, 2, None, None, 700, "UAH", "entry_error")
    async with lviv.world.database.transaction() as tx:
        assert await correct(tx, wanted, uuid4()) == "terms-of-purchase"
    # And back again, with terms that the first region has not heard of.
    back = await lviv.send(kyiv, (of_lviv, 4))
    await follow(lviv.world, amended(other, 3))
    assert isinstance(await lviv.dispatch(back.shipment_id), Book)
    await exchange(kyiv, lviv)
    counted = await kyiv.count(back.shipment_id, {back.shipment.lines[0].line_id: all_of(back)})
    assert isinstance(counted, Book)
    assert await kyiv.world.rows(
        "SELECT terms_version, (restriction ->> 'valid_to')::date AS ends FROM lot ORDER BY 1"
    ) == [
        {"terms_version": 2, "ends": longer.valid_to},
        {"terms_version": 3, "ends": other.valid_to},
    ]


async def test_what_comes_after_its_bill_costs_what_that_asks_for(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    purchase_id = await ordered(world, until(today))

    def billed(version: int, *prices: int) -> PurchaseBilledV1:
        line = PurchaseOrderedV1.Line(item="parcel", quantity=3, unit_value_minor=0)
        lines = tuple(line.model_copy(update={"unit_value_minor": each}) for each in prices)
        return PurchaseBilledV1(purchase_id=purchase_id, lines=lines, version=version)

    async def cost(lot_id: UUID) -> object:
        return await world.value("SELECT unit_value_minor FROM lot WHERE id = $1", lot_id)

    first = await came(world, site_id, purchase_id)
    await world.take(billed(5, 740, 760), billed(4, 720))
    await world.take(billed(4, 720))
    second = await came(world, site_id, purchase_id)
    assert (await cost(first), await cost(second)) == (700, 750)
    # Somebody says by hand what the goods cost: what still comes cost that, until the next bill.
    wanted = Correction(first, 1, None, until(today), 765, "UAH", "other_bill")
    async with world.database.transaction() as tx:
        assert await correct(tx, wanted, uuid4()) is None
    await world.take(billed(5, 740))
    assert await cost(await came(world, site_id, purchase_id)) == 765
    await world.take(billed(6, 780))
    assert await cost(await came(world, site_id, purchase_id)) == 780
    assert (await cost(first), await cost(second)) == (765, 750)
    other = await ordered(world, until(today))
    assert await cost(await came(world, site_id, other)) == 700


async def test_most_of_the_time_no_lot_is_looked_at(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    await came(world, site_id, await ordered(world, until(today)), 1)
    await world.execute(
        """
        INSERT INTO lot (id, receipt_id, item, site_id, grant_id, restriction, currency,
                         terms_version)
        SELECT md5(n::text)::uuid, receipt_id, item, site_id, md5((n % 20)::text)::uuid,
               restriction, currency, 3
        FROM lot, generate_series(1, 5000) AS n
        """
    )
    await world.execute(
        "INSERT INTO grant_terms (grant_id, grantor, terms_version, restriction)"
        " SELECT md5(n::text)::uuid, 'kyiv', 3, '{}' FROM generate_series(0, 19) AS n"
    )
    await world.execute("ANALYZE")
    shown = await plan(world, lambda conn: grant_store.outdated(conn, 100))
    assert "lot_terms" in shown
    assert "Seq Scan on lot" not in shown


def all_of(book: Book) -> Counted:
    return Counted(book.shipment.lines[0].quantity, 0, None)
