"""The on-call person is rung for whoever has waited long to be told, not for how many wait."""

from uuid import UUID

from aidmesh_contracts.intake import NeedApprovedV1
from aidmesh_intake.domain.need import State
from aidmesh_intake.store.numbers import MEASURED
from integration.intake.world import World, confirmed, held, only
from support.ringing import rings_for


async def ready(world: World) -> UUID:
    """A need of which the person does not know that it is ready."""
    need_id = await world.request("food_parcel")
    only(await world.published(), NeedApprovedV1)
    await world.feed(held(need_id))
    await world.feed(confirmed(need_id))
    assert await world.state(need_id) == State.READY
    return need_id


async def age(world: World, need_id: UUID, interval: str) -> None:
    """As if nothing had happened with it for that long."""
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            f"UPDATE need SET changed_at = now() - interval '{interval}' WHERE id = $1",  # noqa: S608
            need_id,
        )


async def test_the_oldest_untold_need_rings_after_a_day(world: World) -> None:
    assert await rings_for("PeopleUntold", world.db, MEASURED) == []
    oldest, newer = await ready(world), await ready(world)
    await age(world, oldest, "23 hours")
    await age(world, newer, "1 hour")
    assert await rings_for("PeopleUntold", world.db, MEASURED) == []
    await age(world, oldest, "25 hours")
    assert await rings_for("PeopleUntold", world.db, MEASURED) == [
        {"region": "kyiv", "service": "intake"}
    ]
    # One is told, another waits: the count never reaches zero, and nobody is rung.
    await world.post(f"/v1/needs/{oldest}:told")
    assert await rings_for("PeopleUntold", world.db, MEASURED) == []
