"""The on-call person is rung for what was left open for long, not for how much is open."""

from uuid import uuid4

from aidmesh_inventory.store.numbers import MEASURED
from integration.inventory.world import World
from support.ringing import rings_for

OPEN = """
INSERT INTO discrepancy (id, about, code, quantity, why, opened_at)
VALUES ($1, 'stock', 'parcel', 1, 'not_in_books', now() - $2 * interval '1 day')
"""
SETTLE = """
UPDATE discrepancy SET status = 'settled', settled_at = now(), settled_reason = 'counted'
WHERE id = $1
"""


async def test_a_discrepancy_rings_after_a_week(world: World) -> None:
    assert await rings_for("DiscrepanciesOpen", world.database, MEASURED) == []
    for days in (0, 3, 6):
        await world.execute(OPEN, uuid4(), days)
    assert await rings_for("DiscrepanciesOpen", world.database, MEASURED) == []
    forgotten = uuid4()
    await world.execute(OPEN, forgotten, 8)
    assert await rings_for("DiscrepanciesOpen", world.database, MEASURED) == [
        {"region": "kyiv", "service": "inventory"}
    ]
    await world.execute(SETTLE, forgotten)
    assert await rings_for("DiscrepanciesOpen", world.database, MEASURED) == []
