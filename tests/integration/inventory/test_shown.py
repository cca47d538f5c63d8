"""What the lists of stock and places read of sensitive needs, and at what cost."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from aidmesh_contracts.values import CapacityDemand
from aidmesh_inventory.store import check_outs, slots
from aidmesh_inventory.store import world as world_store
from integration.inventory.world import DAY, World, approved


async def sensitive(world: World, *, sensitive_too: bool) -> dict[tuple[UUID, str], int]:
    """What is held for sensitive needs, by site and item."""
    async with world.database.read() as conn:
        rows = await world_store.own_stock(
            conn, site_id=None, items=None, sensitive_too=sensitive_too
        )
    return {(row["site_id"], row["item"]): row["sensitive"] for row in rows}


async def plan(world: World, ask: Callable[[asyncpg.Connection], Awaitable[object]]) -> str:
    """How the database finds what is asked for."""
    asked: asyncio.Future[asyncpg.connection.LoggedQuery] = asyncio.Future()
    async with world.database.read() as conn:
        with conn.query_logger(asked.set_result):
            await ask(conn)
        query = await asked
        lines = await conn.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) {query.query}", *query.args)
    return "\n".join(line[0] for line in lines)


async def stock_plan(world: World, *, sensitive_too: bool) -> str:
    """How the database finds a page of stock."""
    return await plan(
        world,
        lambda conn: world_store.own_stock(
            conn, site_id=None, items=None, sensitive_too=sensitive_too, limit=201
        ),
    )


async def test_what_is_held_for_sensitive_needs_is_known_by_site_and_item(world: World) -> None:
    one, other = await world.site(), await world.site("kyiv-2")
    for item in ("parcel", "kit"):
        await world.item(item)
        for site_id in (one, other):
            await world.stock(site_id, 20, item)
            await world.stock(site_id, 20, item)
    await world.take(
        approved(site_id=one, quantity=25, sensitive=True),
        approved(site_id=one, quantity=2, sensitive=True),
        approved(site_id=one, quantity=3),
        approved(site_id=one, items=("parcel", "kit"), sensitive=True),
        approved(site_id=other, items=("kit",), quantity=4, sensitive=True),
        approved(site_id=other, items=("kit",), quantity=5),
    )
    held = {(one, "parcel"): 28, (one, "kit"): 1, (other, "parcel"): 0, (other, "kit"): 4}
    assert await sensitive(world, sensitive_too=False) == held
    assert await sensitive(world, sensitive_too=True) == dict.fromkeys(held, 0)


async def test_a_page_of_stock_reads_no_more_than_what_is_held_for_sensitive_needs(
    world: World,
) -> None:
    site_id = await world.site()
    await world.item()
    lot_id = await world.stock(site_id, 100_000)
    await world.execute(
        """
        WITH made AS (
            INSERT INTO reservation (id, need_id, attempt_no, way, state, site_id, planned_on,
                                     hold_until, served_on, sensitive)
            SELECT gen_random_uuid(), gen_random_uuid(), 1, 'handover',
                   CASE WHEN n % 2 = 0 THEN 'confirmed' ELSE 'issued' END, $1, '2026-03-02', now(),
                   CASE WHEN n % 2 = 1 THEN date '2026-03-02' END, n % 100 < 2
            FROM generate_series(1, 5000) AS n RETURNING id
        )
        INSERT INTO allocation SELECT id, $2, 1 FROM made
        """,
        site_id,
        lot_id,
    )
    await world.execute("ANALYZE")

    shown = await stock_plan(world, sensitive_too=False)
    assert "reservation_sensitive" in shown
    assert "Seq Scan on reservation" not in shown
    assert "reservation_live" not in shown
    skipped = await stock_plan(world, sensitive_too=True)
    assert "on reservation" not in skipped


async def test_only_slots_of_the_page_are_looked_at(world: World) -> None:
    one, other = await world.site(), await world.site("kyiv-2")
    today = datetime.now(UTC).date()
    days = [today + timedelta(days=number) for number in (2, 3, 4, 5)]
    for site_id in (one, other):
        for day in days:
            await world.slot(site_id, day, seats=3)
    for site_id, day in [*((one, day) for day in days), (other, days[1])]:
        seat = CapacityDemand(resource="slot", code="counseling", from_on=day, to_on=day)
        await world.take(
            approved(items=(), capacity=seat, sensitive=True, planned_on=day, site_id=site_id)
        )
    async with world.database.read() as conn:
        found = await slots.with_sensitive(conn, {one}, days[1], days[3])
    assert {key: sorted(seated) for key, seated in found.items()} == {
        (one, "counseling"): [(day, 1, 2) for day in days[1:3]]
    }


async def test_who_left_lately_is_found_among_all_who_ever_did(world: World) -> None:
    site_id = await world.site()
    (bed_id,) = await world.beds(site_id, 1)
    await world.execute(
        """
        WITH made AS (
            INSERT INTO reservation (id, need_id, attempt_no, way, state, site_id, planned_on,
                                     hold_until, served_on, sensitive)
            SELECT md5(n::text)::uuid, gen_random_uuid(), 1, 'check_in', 'issued', $1, $3::date - n,
                   now(), $3::date - n, false
            FROM generate_series(1, 5000) AS n RETURNING id, served_on
        )
        INSERT INTO bed_booking (reservation_id, bed_id, stay, left_on)
        SELECT id, $2, daterange(served_on, served_on + 1), served_on + 1 FROM made
        """,
        site_id,
        bed_id,
        DAY,
    )
    await world.execute("ANALYZE")
    shown = await plan(
        world,
        lambda conn: check_outs.left_since(
            conn,
            site_id=site_id,
            since=DAY - timedelta(days=7),
            sensitive_too=True,
            after=None,
            limit=201,
        ),
    )
    assert "bed_booking_left" in shown
    assert "Seq Scan on bed_booking" not in shown
    assert "Seq Scan on reservation" not in shown
