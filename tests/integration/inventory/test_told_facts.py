"""What is told of aid entered as given: who bore it, where it counts, and what does not fit."""

from datetime import timedelta
from itertools import permutations
from uuid import UUID, uuid4

import pytest

from aidmesh_contracts.ids import GrantId, NeedId, SiteId
from aidmesh_contracts.intake import AidGivenV1, NeedReversedV1
from aidmesh_contracts.inventory import (
    AidBookedV1,
    DiscrepancyOpenedV1,
    ReservationIssuedV1,
    StaySettledV1,
)
from aidmesh_contracts.values import CapacityDemand, GrantShare, StockDemand
from aidmesh_inventory.handlers import places, stays
from aidmesh_inventory.handlers import sites as site_handlers
from aidmesh_inventory.store import assets
from aidmesh_inventory.store.beds import NewBed
from integration.inventory.world import DAY, World, approved, confirmed, night

GRANT = GrantId(uuid4())


def given(
    *items: tuple[str, int],
    area: str = "UA80",
    site_id: UUID | None = None,
    to_site_id: UUID | None = None,
    capacity: CapacityDemand | None = None,
) -> AidGivenV1:
    """Aid for a number of unnamed people, or for a site."""
    return AidGivenV1(
        need_id=NeedId(uuid4()),
        kind="food_parcel",
        programme="food",
        served_on=DAY,
        place_area=area,
        site_id=None if site_id is None else SiteId(site_id),
        to_site_id=None if to_site_id is None else SiteId(to_site_id),
        stock=tuple(StockDemand(item=item, quantity=quantity) for item, quantity in items),
        capacity=capacity,
    )


def undone(fact: AidGivenV1) -> NeedReversedV1:
    return NeedReversedV1(need_id=fact.need_id, service_no=1, reason="entered_by_mistake")


def borne(amount_minor: int) -> tuple[GrantShare, ...]:
    return (GrantShare(grant_id=GRANT, amount_minor=amount_minor, currency="UAH"),)


async def handed_over(
    world: World, quantity: int, item: str, to_site_id: UUID | None = None
) -> ReservationIssuedV1:
    """The same handed over for a need that asked for it; returns what was told of it."""
    need = approved(quantity=quantity, items=(item,), to_site_id=to_site_id)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id) is None
    return (await world.emitted(ReservationIssuedV1))[-1]


async def odd(world: World) -> list[tuple[object, ...]]:
    """What stands open for a person to look at."""
    rows = await world.rows(
        "SELECT why, about, code, quantity, site_id FROM discrepancy WHERE status = 'open'"
        " ORDER BY about, code, why"
    )
    return [tuple(row.values()) for row in rows]


async def test_what_grants_bore_of_a_fact_is_told_as_of_a_handover(world: World) -> None:
    site_id = await world.site()
    await world.item()
    for _ in range(2):
        await world.stock(site_id, 3, grant_id=GRANT, unit_value_minor=45_000)
    issued = await handed_over(world, 3, "parcel")
    fact = given(("parcel", 3))
    await world.take(fact)
    await world.take(fact)

    (booked,) = await world.emitted(AidBookedV1)
    assert booked.need_id == fact.need_id
    assert booked.shares == issued.shares == borne(135_000)
    assert (booked.site_id, booked.area) == (issued.site_id, issued.area) == (site_id, "UA80")
    await world.books_are_right()


async def test_only_what_the_books_had_was_borne_by_a_grant(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2, grant_id=GRANT, unit_value_minor=500)
    await world.take(given(("parcel", 5)))
    (booked,) = await world.emitted(AidBookedV1)
    assert booked.shares == borne(1_000)


async def test_nights_of_a_fact_are_borne_as_booked_and_then_as_settled(world: World) -> None:
    site_id = await world.site()
    own = NewBed(uuid4(), site_id, "a", "1", "shelter", "own", GRANT, 300, "UAH")
    async with world.database.transaction() as tx:
        assert await places.add_beds(tx, [(own, ())]) == {}
    fact = given(capacity=night(nights=3))
    await world.take(fact)
    (booked,) = await world.emitted(AidBookedV1)
    assert booked.shares == borne(900)

    fact_id = await world.value("SELECT id FROM reservation")
    async with world.database.transaction() as tx:
        assert await stays.check_out(tx, {fact_id: DAY + timedelta(days=2)}) == {}
    (settled,) = await world.emitted(StaySettledV1)
    assert settled.shares == borne(600)
    assert (settled.attempt_no, settled.issue_no) == (0, 0)


async def test_a_fact_counts_in_the_area_of_the_site_that_it_names(world: World) -> None:
    site_id, center = await world.site(area="UA63"), await world.site("center", "UA51")
    await world.item()
    await world.stock(site_id, 2)
    # The person stays in Kyiv, and came to Kharkiv.
    await world.take(given(("parcel", 1), area="UA80", site_id=site_id))
    await world.take(given(("parcel", 1), area="UA80", site_id=site_id, to_site_id=center))
    # What the books lack was given there all the same.
    await world.take(given(("parcel", 1), area="UA80", site_id=site_id))
    where = [(each.site_id, each.area) for each in await world.emitted(AidBookedV1)]
    assert where == [(site_id, "UA63"), (center, "UA51"), (site_id, "UA63")]


async def test_where_nothing_was_booked_no_site_is_guessed(world: World) -> None:
    await world.site(area="UA8036")
    await world.item()
    await world.take(given(("parcel", 1), area="UA80"))
    (booked,) = await world.emitted(AidBookedV1)
    assert (booked.site_id, booked.area, booked.shares) == (None, None, ())


async def test_things_with_serial_numbers_given_to_a_center_are_its_assets(world: World) -> None:
    warehouse, center = await world.site("warehouse"), await world.site("center", "UA63")
    await world.item("laptop", "serial")
    await world.item("desk")
    await world.stock(warehouse, 3, "laptop", grant_id=GRANT, unit_value_minor=900)
    await world.stock(warehouse, 3, "desk", grant_id=GRANT, unit_value_minor=100)
    await handed_over(world, 1, "laptop", to_site_id=center)
    fact = given(("laptop", 2), ("desk", 1), to_site_id=center)
    await world.take(fact)
    await world.take(fact)

    of_fact = "SELECT id FROM reservation WHERE attempt_no = 0"
    columns = "item, serial, grant_id, unit_value_minor, currency, site_id, status"
    rows = await world.rows(f"SELECT {columns} FROM asset WHERE reservation_id = ({of_fact})")  # noqa: S608
    (handed,) = await world.rows(
        f"SELECT {columns} FROM asset WHERE reservation_id <> ({of_fact})"  # noqa: S608
    )
    assert rows == [handed] * 2
    assert (handed["item"], handed["site_id"], handed["status"]) == ("laptop", center, "in_use")
    assert await world.rows("SELECT DISTINCT since FROM asset") == [{"since": DAY}]


async def test_a_fact_that_is_reversed_takes_its_assets_back(world: World) -> None:
    warehouse, center = await world.site("warehouse"), await world.site("center")
    await world.item("laptop", "serial")
    await world.stock(warehouse, 4, "laptop")
    await handed_over(world, 1, "laptop", to_site_id=center)
    wrong, right = given(("laptop", 2), to_site_id=center), given(("laptop", 1), to_site_id=center)
    await world.take(wrong, right)
    await world.take(undone(wrong))
    await world.take(undone(wrong))

    found = await world.rows(
        "SELECT r.need_id, a.status, a.status_reason, count(*) AS pieces"
        " FROM asset a JOIN reservation r ON r.id = a.reservation_id"
        " GROUP BY 1, 2, 3 ORDER BY 2, 3 NULLS FIRST"
    )
    assert [(each["status"], each["status_reason"], each["pieces"]) for each in found] == [
        ("in_use", None, 1),
        ("in_use", None, 1),
        ("taken_back", "entered_by_mistake", 2),
    ]
    assert found[-1]["need_id"] == wrong.need_id
    assert await world.value("SELECT on_hand FROM lot") == 2
    # There are no more in use than were given.
    gone = await world.value("SELECT id FROM asset WHERE status = 'taken_back' LIMIT 1")
    async with world.database.transaction() as tx:
        assert not await assets.restore(tx.conn, gone, "found", DAY)
    await world.books_are_right()


async def test_in_any_order_no_asset_is_left_of_what_was_reversed(world: World) -> None:
    center = await world.site()
    await world.item("laptop", "serial")
    await world.stock(center, 2, "laptop")
    for order in sorted(set(permutations(("fact", "fact", "reversal", "reversal")))):
        fact = given(("laptop", 2), to_site_id=center)
        for each in order:
            await world.take(fact if each == "fact" else undone(fact))
        assert await world.value("SELECT count(*) FROM asset WHERE status = 'in_use'") == 0, order


async def test_a_site_that_nobody_knows_is_asked_about(world: World) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 5, grant_id=GRANT, unit_value_minor=500)
    fact = given(("parcel", 2), site_id=uuid4())
    await world.take(fact)

    assert await odd(world) == [("unknown_site", "stock", "parcel", 2, None)]
    (opened,) = await world.emitted(DiscrepancyOpenedV1)
    assert (opened.need_id, opened.quantity) == (fact.need_id, 2)
    # Nobody knows from which shelf it came, so none is told to have given it.
    assert await world.value("SELECT on_hand FROM lot") == 5
    (booked,) = await world.emitted(AidBookedV1)
    assert (booked.site_id, booked.area, booked.shares) == (None, None, ())
    await world.take(undone(fact))
    assert await odd(world) == []


async def test_a_center_that_nobody_knows_is_asked_about(world: World) -> None:
    site_id = await world.site(area="UA8036")
    await world.item("laptop", "serial")
    await world.stock(site_id, 2, "laptop", grant_id=GRANT, unit_value_minor=900)
    fact = given(("laptop", 2), to_site_id=uuid4())
    await world.take(fact)

    assert await odd(world) == [("unknown_site", "stock", "laptop", 2, None)]
    (booked,) = await world.emitted(AidBookedV1)
    # They are gone from the shelf; where to is for a person to say.
    assert booked.shares == borne(1_800)
    assert await world.value("SELECT on_hand FROM lot") == 0
    assert (
        await world.rows("SELECT site_id, status FROM asset")
        == [{"site_id": site_id, "status": "in_use"}] * 2
    )


@pytest.mark.parametrize("resource", ["bed", "slot"])
async def test_a_place_at_a_site_that_nobody_knows_is_asked_about(
    world: World, resource: str
) -> None:
    await world.beds(await world.site(), 1)
    slot = CapacityDemand(resource="slot", code="counseling", from_on=DAY, places=2)
    demand = night() if resource == "bed" else slot
    await world.take(given(capacity=demand, site_id=uuid4()))
    assert await odd(world) == [("unknown_site", resource, demand.code, demand.places, None)]


@pytest.mark.parametrize("days", [0, 1])
async def test_aid_given_at_a_site_after_it_closed_is_asked_about(world: World, days: int) -> None:
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 2, grant_id=GRANT, unit_value_minor=500)
    async with world.database.transaction() as tx:
        assert await site_handlers.close(tx, site_id, "shelling", keeps=False) is not None
    fact = given(("parcel", 2), site_id=site_id)
    # Midnight in Kyiv is an evening before it in UTC.
    await world.execute(
        "UPDATE site SET closed_at ="
        " ($1::date - $2::int + time '00:30') AT TIME ZONE 'Europe/Kyiv'",
        DAY,
        days,
    )
    await world.take(fact)

    # On the day itself it may have been given before.
    assert await odd(world) == [("site_closed", "stock", "parcel", 2, site_id)] * days
    (booked,) = await world.emitted(AidBookedV1)
    assert (booked.site_id, booked.shares) == (site_id, borne(1_000))
    assert await world.value("SELECT on_hand FROM lot") == 0
    await world.take(undone(fact))
    assert await odd(world) == []


async def test_a_center_that_was_closed_is_asked_about(world: World) -> None:
    warehouse, center = await world.site("warehouse"), await world.site("center")
    await world.item("desk")
    await world.stock(warehouse, 1, "desk")
    async with world.database.transaction() as tx:
        assert await site_handlers.close(tx, center, "left", keeps=False) is not None
    await world.execute("UPDATE site SET closed_at = $2::date - 9 WHERE id = $1", center, DAY)
    await world.take(given(("desk", 1), to_site_id=center))
    assert await odd(world) == [("site_closed", "stock", "desk", 1, center)]
