"""Lots whose expiry or restriction was entered wrong."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.days import day_of
from aidmesh_contracts.inventory import ReservationIssuedV1, SupplyGrewV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.handlers import sweeps
from aidmesh_inventory.handlers.terms import Correction, correct
from integration.inventory.world import World, approved, confirmed

OTHERS_ONLY = Restriction(programmes=("hygiene",))


@pytest.fixture
async def today(world: World) -> date:
    async with world.database.transaction() as tx:
        return day_of(tx.now)


async def put_right(
    world: World,
    lot_id: UUID,
    version: int = 1,
    *,
    expiry: date | None = None,
    restriction: Restriction | None = None,
    value_minor: int = 0,
    currency: str = "UAH",
) -> str | None:
    wanted = Correction(lot_id, version, expiry, restriction, value_minor, currency, "entry_error")
    async with world.database.transaction() as tx:
        return await correct(tx, wanted, uuid4())


async def grown(world: World, before: int) -> list[int]:
    """By how much stock grew since so many events."""
    return [each.quantity for each in (await world.emitted(SupplyGrewV1))[before:]]


async def test_goods_that_are_not_expired_after_all_can_be_given(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 3, expiry=today - timedelta(days=1))
    await world.run(sweeps.expire_lots)
    before = len(await world.emitted(SupplyGrewV1))
    assert await put_right(world, lot_id, expiry=today + timedelta(days=300)) is None
    assert await grown(world, before) == [3]
    need = approved(planned_on=today)
    await world.take(need)
    assert await world.state(need.need_id) == "held"
    await world.books_are_right()
    kept = await world.rows("SELECT version, expiry, reason FROM lot_correction")
    assert kept == [{"version": 1, "expiry": today - timedelta(days=1), "reason": "entry_error"}]


async def test_holds_for_days_after_an_earlier_expiry_are_given_up(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 4)
    soon = approved(planned_on=today + timedelta(days=1))
    late = approved(planned_on=today + timedelta(days=9))
    await world.take(soon, late)
    await world.take(confirmed(late.need_id))
    before = len(await world.emitted(SupplyGrewV1))
    assert await put_right(world, lot_id, expiry=today + timedelta(days=5)) is None
    assert await world.state(soon.need_id) == "held"
    assert await world.state(late.need_id) == "relocated"
    assert sorted(await grown(world, before)) == [1, 2]
    # Expired by now: what is held stays held, nothing more is given.
    assert await put_right(world, lot_id, 2, expiry=today - timedelta(days=1)) is None
    assert await world.value("SELECT status FROM lot") == "expired"
    assert await world.value("SELECT free FROM stock_state") == 0
    await world.books_are_right()


async def test_a_donors_terms_are_corrected_for_those_who_wait(world: World) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 2, restriction=OTHERS_ONLY)
    need = approved()
    await world.take(need)
    assert await world.state(need.need_id) is None
    before = len(await world.emitted(SupplyGrewV1))
    assert await put_right(world, lot_id) is None
    assert await grown(world, before) == [2]
    again = approved(need_id=need.need_id, attempt_no=2)
    await world.take(again)
    assert await world.state(need.need_id, 2) == "held"
    # And back: nobody is given what the donor does not allow.
    assert await put_right(world, lot_id, 2, restriction=OTHERS_ONLY) is None
    assert await world.state(need.need_id, 2) == "relocated"
    await world.books_are_right()


async def test_who_waits_is_woken_by_the_terms_that_were_corrected(
    world: World, today: date
) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 2)
    later = Restriction(valid_from=today + timedelta(days=1))
    assert await put_right(world, lot_id, restriction=later) is None
    before = len(await world.emitted(SupplyGrewV1))
    assert await world.run(sweeps.begin_periods) == 0
    # The day comes.
    await world.execute(
        "UPDATE lot SET restriction = jsonb_set(restriction, '{valid_from}', to_jsonb($1::text))",
        today.isoformat(),
    )
    assert await world.run(sweeps.begin_periods) == 1
    assert await grown(world, before) == [2]


async def test_two_people_do_not_undo_each_others_correction(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 1)
    assert await put_right(world, lot_id, expiry=today) is None
    assert await put_right(world, lot_id, restriction=OTHERS_ONLY) == "version-changed"
    assert await put_right(world, uuid4()) == "unknown-lot"
    before = len(await world.emitted(SupplyGrewV1))
    assert await put_right(world, lot_id, 2, expiry=today) is None
    assert await world.value("SELECT version FROM lot") == 2, "nothing changed"
    assert await grown(world, before) == []


async def test_what_a_purchase_says_is_not_changed_by_hand(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 1)
    await world.execute("UPDATE lot SET terms_version = 0")
    assert await put_right(world, lot_id, restriction=OTHERS_ONLY) == "terms-of-purchase"
    assert await put_right(world, lot_id, currency="EUR") == "terms-of-purchase"
    assert await put_right(world, lot_id, expiry=today) is None


async def test_what_goes_out_is_told_with_its_right_value(world: World, today: date) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 2)
    need = approved(planned_on=today)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    before = len(await world.emitted(SupplyGrewV1))
    assert await put_right(world, lot_id, value_minor=1_250, currency="EUR") is None
    assert await world.state(need.need_id) == "confirmed", "what is set aside stays"
    assert await grown(world, before) == []
    assert await put_right(world, lot_id, 2, value_minor=1_300, currency="EUR") is None
    assert await world.issue(need.need_id, on=today) is None
    (issued,) = await world.emitted(ReservationIssuedV1)
    assert [(each.amount_minor, each.currency) for each in issued.shares] == [(1_300, "EUR")]
    kept = await world.rows(
        "SELECT unit_value_minor, currency FROM lot_correction ORDER BY version"
    )
    assert kept == [
        {"unit_value_minor": 0, "currency": "UAH"},
        {"unit_value_minor": 1_250, "currency": "EUR"},
    ]
    await world.books_are_right()
