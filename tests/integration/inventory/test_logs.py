"""What logs say of needs, and what they must not."""

from structlog.testing import capture_logs

from aidmesh_contracts.inventory import ReservationReversedV1
from aidmesh_inventory.handlers import handover
from aidmesh_inventory.handlers.hold import reservation_id_of
from integration.inventory.world import World, approved, confirmed


async def test_why_a_handover_was_undone_is_in_no_log(world: World) -> None:
    await world.stock(await world.site(), 1, await world.item())
    need = approved(sensitive=True)
    await world.take(need)
    await world.take(confirmed(need.need_id))
    assert await world.issue(need.need_id) is None
    with capture_logs() as lines:
        async with world.database.transaction() as tx:
            reservation_id = reservation_id_of(need.need_id, 1)
            assert await handover.undo(tx, reservation_id, "violence_at_home", None)
    (line,) = lines
    assert (line["event"], line["need_id"]) == ("reservation.reversed", str(need.need_id))
    assert "violence_at_home" not in str(line)
    (told,) = await world.emitted(ReservationReversedV1)
    assert told.reason == "violence_at_home"
