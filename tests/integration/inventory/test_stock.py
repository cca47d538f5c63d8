"""Goods from receipt to handover, on a real database."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from aidmesh_chassis.db import Tx
from aidmesh_contracts.days import day_of
from aidmesh_contracts.ids import GrantId, NeedId, PurchaseId
from aidmesh_contracts.intake import AidGivenV1
from aidmesh_contracts.inventory import (
    DiscrepancyOpenedV1,
    GoodsReceivedV1,
    GoodsReversedV1,
    ReservationConfirmedV1,
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationReversedV1,
    StockChangedV1,
    SupplyGrewV1,
)
from aidmesh_contracts.payments import PurchaseCanceledV1, PurchaseChangedV1, PurchaseOrderedV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_contracts.values import StockDemand
from aidmesh_inventory.handlers import adjustments, changes, receipts, sweeps
from aidmesh_inventory.handlers.adjustments import Adjustment
from aidmesh_inventory.handlers.receipts import Line, Receipt
from aidmesh_inventory.handlers.reversals import reverse_receipt
from aidmesh_inventory.store import purchases
from integration.inventory.world import DAY, World, approved, confirmed, ordered


async def test_a_parcel_from_receipt_to_handover_and_back(world: World) -> None:
    site_id, grant_id = await world.site(), uuid4()
    await world.item()
    await world.stock(site_id, 3, grant_id=grant_id, unit_value_minor=250)
    need = approved(quantity=2)

    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id) is None
    assert await world.issue(need.need_id) == "already-issued"
    assert await world.undo(need.need_id)
    assert not await world.undo(need.need_id)
    assert await world.state(need.need_id) == "confirmed"
    assert await world.issue(need.need_id) is None

    (held,) = await world.emitted(ReservationHeldV1)
    assert [(each.item, each.quantity) for each in held.allocations] == [("parcel", 2)]
    assert held.site_id == site_id
    assert len(await world.emitted(ReservationConfirmedV1)) == 1
    first, second = await world.emitted(ReservationIssuedV1)
    assert (first.issue_no, second.issue_no) == (1, 2)
    assert (first.quantity, first.unit, first.how) == (2, "piece", "handover")
    assert [(each.grant_id, each.amount_minor) for each in first.shares] == [(grant_id, 500)]
    (reversed_,) = await world.emitted(ReservationReversedV1)
    assert reversed_.issue_no == 1
    assert await world.emitted(StockChangedV1) == []
    assert await world.run(changes.tell_stock) == 1
    (last,) = await world.emitted(StockChangedV1)  # once for all that happened
    assert (last.on_hand, last.free) == (1, 1)
    assert await world.run(changes.tell_stock) == 0
    await world.books_are_right()


async def test_goods_of_a_purchase_carry_its_terms(world: World) -> None:
    site_id = await world.site()
    await world.item()
    purchase_id, grant_id = PurchaseId(uuid4()), GrantId(uuid4())
    receipt = Receipt(uuid4(), site_id, DAY, (Line("parcel", 4),), purchase_id)

    async def receive(tx: Tx) -> Mapping[UUID, str]:
        return await receipts.receive(tx, [receipt], None)

    async with world.database.transaction() as tx:
        assert await receive(tx) == {receipt.receipt_id: "unknown-purchase"}
    await world.take(
        PurchaseOrderedV1(
            purchase_id=purchase_id,
            grant_id=grant_id,
            restriction=Restriction(programmes=("food",)),
            currency="EUR",
            lines=(PurchaseOrderedV1.Line(item="parcel", quantity=5, unit_value_minor=700),),
        )
    )
    async with world.database.transaction() as tx:
        assert await receive(tx) == {}

    (told,) = await world.emitted(GoodsReceivedV1)
    assert [(line.item, line.quantity) for line in told.lines] == [("parcel", 4)]
    (lot,) = await world.rows("SELECT grant_id, unit_value_minor, currency FROM lot")
    assert lot == {"grant_id": grant_id, "unit_value_minor": 700, "currency": "EUR"}
    need = approved()
    await world.take(need)
    assert await world.state(need.need_id) == "held"


async def to_come(world: World) -> list[UUID]:
    """The purchases of which goods are expected."""
    async with world.database.read() as conn:
        rows = await purchases.expected(conn, item=None, after=None, limit=9)
    return [row["purchase_id"] for row in rows]


async def test_nothing_is_received_for_a_purchase_that_was_canceled(world: World) -> None:
    site_id = await world.site()
    await world.item()
    kept, given_up, unheard = (PurchaseId(uuid4()) for _ in range(3))

    async def receive(purchase_id: PurchaseId) -> list[str]:
        receipt = Receipt(uuid4(), site_id, DAY, (Line("parcel", 4),), purchase_id)
        async with world.database.transaction() as tx:
            return list((await receipts.receive(tx, [receipt], None)).values())

    await world.take(ordered(kept, parcel=5), ordered(given_up, parcel=5))
    assert sorted(await to_come(world)) == sorted([kept, given_up])
    canceled = PurchaseCanceledV1(purchase_id=given_up)
    await world.take(canceled, PurchaseCanceledV1(purchase_id=unheard))
    await world.take(canceled)
    assert await to_come(world) == [kept]
    await world.take(ordered(unheard, parcel=5))  # put aside until it could be taken in
    assert await to_come(world) == [kept]
    assert await receive(given_up) == await receive(unheard) == ["purchase-canceled"]
    assert await receive(kept) == []
    [told] = await world.emitted(GoodsReceivedV1)
    assert told.purchase_id == kept
    assert await world.value("SELECT sum(on_hand) FROM lot") == 4


async def test_what_all_was_said_to_have_come_of_is_not_expected(world: World) -> None:
    site_id = await world.site()
    await world.item()
    first, second = sorted(PurchaseId(uuid4()) for _ in range(2))

    def said(purchase_id: PurchaseId, version: int, *, more: bool) -> PurchaseChangedV1:
        return PurchaseChangedV1(purchase_id=purchase_id, is_to_come=more, version=version)

    # Whether the order or what was said of it comes first, and in whichever order that does.
    await world.take(ordered(first, parcel=5), said(second, 3, more=False))
    await world.take(ordered(second, parcel=5))
    assert await to_come(world) == [first]
    await world.take(said(first, 5, more=True), said(first, 4, more=False))
    assert await to_come(world) == [first]
    await world.take(said(first, 6, more=False), said(second, 4, more=True))
    await world.take(said(second, 3, more=False))
    assert await to_come(world) == [second]
    # What comes all the same is taken in, under the terms of its purchase.
    receipt = Receipt(uuid4(), site_id, DAY, (Line("parcel", 4),), first)
    async with world.database.transaction() as tx:
        assert await receipts.receive(tx, [receipt], None) == {}
    [told] = await world.emitted(GoodsReceivedV1)
    assert told.purchase_id == first


async def test_a_receipt_for_the_wrong_purchase_is_taken_back(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.item("soap")
    purchase_id = PurchaseId(uuid4())
    lines = (Line("parcel", 4), Line("soap", 1), Line("parcel", 2))
    receipt = Receipt(uuid4(), site_id, DAY, lines, purchase_id)
    await world.take(ordered(purchase_id, parcel=5, soap=5))
    async with world.database.transaction() as tx:
        assert await receipts.receive(tx, [receipt], None) == {}
    handed, waiting = approved(), approved(quantity=3)
    await world.take(handed, waiting)
    await world.take(confirmed(handed.need_id))
    assert await world.issue(handed.need_id) is None

    async def reverse(receipt_id: UUID) -> object:
        async with world.database.transaction() as tx:
            return await reverse_receipt(tx, receipt_id, "wrong_purchase", None)

    assert await reverse(uuid4()) == "unknown-receipt"
    assert await reverse(receipt.receipt_id) == "goods-gone"
    assert await world.emitted(GoodsReversedV1) == []
    assert await world.undo(handed.need_id)
    lots = await reverse(receipt.receipt_id)
    assert isinstance(lots, list)
    assert len(lots) == 3
    assert await reverse(receipt.receipt_id) == "already-reversed"

    (told,) = await world.emitted(GoodsReversedV1)
    assert (told.receipt_id, told.purchase_id, told.reason) == (
        receipt.receipt_id, purchase_id, "wrong_purchase",
    )  # fmt: skip
    pieces = sorted((line.item, line.quantity) for line in told.lines)
    assert pieces == [("parcel", 2), ("parcel", 4), ("soap", 1)]
    assert await world.value("SELECT sum(received) FROM purchase_line") == 0
    assert {await world.state(each.need_id) for each in (handed, waiting)} == {"relocated"}
    assert await world.value("SELECT sum(on_hand) FROM lot") == 0
    await world.books_are_right()


async def test_aid_given_is_booked_and_what_the_books_lack_is_a_discrepancy(
    world: World,
) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 3)
    facts = [
        AidGivenV1(
            need_id=NeedId(uuid4()),
            kind="food_parcel",
            programme="food",
            served_on=DAY,
            place_area="UA80",
            site_id=None,
            stock=(StockDemand(item="parcel", quantity=2),),
        )
        for _ in range(2)
    ]
    nowhere = facts[0].model_copy(update={"need_id": uuid4(), "place_area": "UA46"})

    await world.take(*facts, nowhere)
    await world.take(facts[0])

    lacking = {each.need_id: each.quantity for each in await world.emitted(DiscrepancyOpenedV1)}
    assert sorted(lacking.values()) == [1, 2]
    assert lacking[nowhere.need_id] == 2
    (left,) = await world.rows("SELECT on_hand, held FROM lot")
    assert left == {"on_hand": 0, "held": 0}
    await world.books_are_right()


async def test_a_loss_gives_up_the_latest_of_the_least_urgent(world: World) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 3)
    urgent, early, late = approved(priority=9), approved(), approved()
    await world.take(early)
    await world.take(late)
    await world.take(urgent)

    async def adjust(kind: str, quantity: int) -> object:
        wanted = Adjustment(
            uuid4(), lot_id, "loss" if kind == "loss" else "count", quantity, "stolen", DAY
        )
        async with world.database.transaction() as tx:
            return await adjustments.adjust(tx, wanted, None)

    assert await adjust("loss", 4) == "more-than-on-hand"
    await adjust("loss", 1)
    assert await world.state(late.need_id) == "relocated"
    assert await world.state(early.need_id) == "held"
    assert await world.state(urgent.need_id) == "held"
    assert len(await world.emitted(DiscrepancyOpenedV1)) == 1
    await adjust("count", 5)
    (lot,) = await world.rows("SELECT on_hand, held FROM lot")
    assert lot == {"on_hand": 5, "held": 2}
    grown = [each.quantity for each in await world.emitted(SupplyGrewV1) if not each.freed_by]
    assert grown == [3, 3]
    await world.books_are_right()


async def test_what_was_handed_over_out_of_date_is_a_discrepancy(world: World) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 2)
    need = approved()
    await world.take(need)
    await world.take(confirmed(need.need_id))
    await world.goes_off(lot_id)
    assert await world.issue(need.need_id, on=DAY + timedelta(days=1)) is None
    assert len(await world.emitted(DiscrepancyOpenedV1)) == 1
    assert await world.run(sweeps.expire_lots) == 1
    await world.run(changes.tell_stock)
    last = (await world.emitted(StockChangedV1))[-1]
    assert (last.on_hand, last.free) == (1, 0)
    await world.books_are_right()


async def test_who_waits_is_woken_on_the_day_from_which_goods_may_be_given(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 4)
    coming = Restriction(valid_from=date(2999, 1, 1))
    lot_id = await world.stock(site_id, 3, restriction=coming)
    before = len(await world.emitted(SupplyGrewV1))
    # Nobody looks until that day: the service may have been down.
    await world.execute(
        "UPDATE lot SET restriction = jsonb_set(restriction, '{valid_from}', to_jsonb($2::text))"
        " WHERE id = $1",
        lot_id,
        day_of(datetime.now(UTC)).isoformat(),
    )
    assert await world.run(sweeps.begin_periods) == 1
    (grew,) = (await world.emitted(SupplyGrewV1))[before:]
    assert (grew.code, grew.site_id, grew.quantity, grew.freed_by) == ("parcel", site_id, 3, None)
    assert await world.run(sweeps.begin_periods) == 0
    assert len(await world.emitted(SupplyGrewV1)) == before + 1
    await world.books_are_right()


async def test_goods_given_outside_their_grants_period_are_a_discrepancy(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2, restriction=Restriction(valid_from=DAY, valid_to=DAY))
    need = approved(quantity=2)
    await world.take(need)
    await world.take(confirmed(need.need_id))

    assert await world.issue(need.need_id, on=DAY) is None
    assert await world.emitted(DiscrepancyOpenedV1) == []
    for count, on in enumerate((DAY + timedelta(days=1), DAY - timedelta(days=1)), start=1):
        assert await world.undo(need.need_id)
        assert await world.issue(need.need_id, on=on) is None  # it is a fact
        opened = await world.emitted(DiscrepancyOpenedV1)
        assert len(opened) == count
        assert (opened[-1].need_id, opened[-1].code, opened[-1].quantity) == (
            need.need_id,
            "parcel",
            2,
        )
    whys = await world.rows("SELECT DISTINCT why, status FROM discrepancy")
    assert whys == [{"why": "outside_period", "status": "open"}]
    await world.books_are_right()


async def test_things_with_serial_numbers_are_registered_at_the_center(world: World) -> None:
    store, center = await world.site("store"), await world.site("center")
    await world.item("laptop", "serial")
    await world.stock(store, 2, "laptop", unit_value_minor=1000)
    need = approved(items=("laptop",), quantity=2)
    await world.take(need)
    await world.take(confirmed(need.need_id))

    for serials in (("SN1", "SN1"), ("SN1", "SN2", "SN3")):
        fault = await world.issue(need.need_id, to_site_id=center, serials=serials)
        assert fault == "serials-do-not-fit"
    assert await world.issue(need.need_id, to_site_id=uuid4()) == "unknown-site"
    assert await world.state(need.need_id) == "confirmed"
    assert await world.issue(need.need_id, to_site_id=center, serials=("SN1",)) is None
    found = await world.rows("SELECT site_id, serial, status FROM asset ORDER BY serial")
    assert [each["serial"] for each in found] == ["SN1", None]
    assert {each["site_id"] for each in found} == {center}
    assert await world.undo(need.need_id)
    found = await world.rows("SELECT DISTINCT status FROM asset")
    assert found == [{"status": "taken_back"}]


async def test_parcels_have_no_serial_numbers(world: World) -> None:
    await world.item()
    await world.stock(await world.site(), 1)
    need = approved()
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id, serials=("SN1",)) == "serials-do-not-fit"
    assert await world.issue(need.need_id) is None
