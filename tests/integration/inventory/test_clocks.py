"""Pick-up clocks under alerts, closings and downtime."""

from datetime import timedelta
from uuid import UUID, uuid4

from aidmesh_contracts.inventory import AlertChangedV1, SiteChangedV1
from aidmesh_inventory.handlers import sites, sweeps
from integration.inventory.world import World, approved, confirmed


class Clock:
    """One parcel that waits to be fetched at a site, and by how much its time was extended."""

    def __init__(self, world: World, site_id: UUID, need_id: UUID) -> None:
        self.world, self.site_id, self.need_id = world, site_id, need_id

    @classmethod
    async def start(cls, world: World, area: str = "UA80") -> "Clock":
        site_id = await world.site(f"site-{uuid4().hex[:8]}", area)
        await world.stock(site_id, 1)
        need = approved(site_id=site_id)
        await world.take(need)
        await world.take(confirmed(need.need_id))
        await world.execute(
            "UPDATE reservation SET collect_by = now() + interval '1 hour', told_at = state_at"
            " WHERE need_id = $1",
            need.need_id,
        )
        return cls(world, site_id, need.need_id)

    async def passes(self, hours: int) -> None:
        """Everything so far happened that much longer ago."""
        for table, columns in (
            ("reservation", ("collect_by", "state_at", "told_at")),
            ("site", ("still_since", "closed_at")),
            ("alert", ("began_at",)),
        ):
            earlier = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
            await self.world.execute(f"UPDATE {table} SET {earlier}", timedelta(hours=hours))  # noqa: S608

    async def left_h(self) -> float:
        left: timedelta = await self.world.value(
            "SELECT collect_by - clock_timestamp() FROM reservation WHERE need_id = $1",
            self.need_id,
        )
        return round(left / timedelta(hours=1), 1)

    async def close(self) -> None:
        async with self.world.database.transaction() as tx:
            assert await sites.close(tx, self.site_id, "shelling", keeps=True)

    async def reopen(self) -> None:
        async with self.world.database.transaction() as tx:
            assert await sites.reopen(tx, self.site_id, "repaired")


async def begin_alert(world: World, area: str) -> UUID:
    async with world.database.transaction() as tx:
        alert, is_new = await sites.begin_alert(tx, area, "air_raid", uuid4())
    assert is_new
    return alert.alert_id


async def end_alert(world: World, alert_id: UUID) -> None:
    async with world.database.transaction() as tx:
        assert await sites.end_alert(tx, alert_id, uuid4())


async def test_an_alert_stops_the_clocks_of_the_sites_in_its_area(world: World) -> None:
    await world.item()
    kyiv, lviv = await Clock.start(world), await Clock.start(world, "UA46")
    alert_id = await begin_alert(world, "UA80")
    await kyiv.passes(3)
    assert await world.run(sweeps.take_back_uncollected) == 1
    assert await world.state(lviv.need_id) == "released"
    # A site that is added while it lasts stands still too.
    added = await Clock.start(world, "UA8000000")
    await kyiv.passes(2)
    await end_alert(world, alert_id)
    assert await kyiv.left_h() == await added.left_h() == 1.0
    assert await world.run(sweeps.take_back_uncollected) == 0
    begun, ended = await world.emitted(AlertChangedV1)
    assert (begun.alert_id, begun.area, begun.ended_at, begun.version) == (
        alert_id, "UA80", None, 1,
    )  # fmt: skip
    assert ended.version == 2
    assert ended.ended_at is not None


async def test_alerts_and_closings_that_overlap_are_given_back_once(world: World) -> None:
    await world.item()
    clock = await Clock.start(world)
    city = await begin_alert(world, "UA80")
    await clock.passes(1)
    await clock.close()
    await clock.passes(1)
    oblast = await begin_alert(world, "UA8000")
    await end_alert(world, city)
    await clock.passes(1)
    await clock.reopen()
    assert await clock.left_h() == 1.0
    await clock.passes(1)
    # The other alert is not over this site: it ended with the closing.
    assert await world.value("SELECT still_since IS NULL FROM site")
    await end_alert(world, oblast)
    assert await clock.left_h() == 0.0


async def test_downtime_during_a_closing_is_given_back_once(world: World) -> None:
    await world.item()
    clock = await Clock.start(world)
    await world.run(sweeps.take_back_uncollected)
    await clock.close()
    await clock.passes(2)
    await world.execute("UPDATE pickup_clock SET seen_at = now() - interval '2 hours'")
    await world.run(sweeps.take_back_uncollected)
    await clock.reopen()
    assert await clock.left_h() == 1.0


async def test_what_is_told_of_a_closing(world: World) -> None:
    await world.item()
    clock = await Clock.start(world)
    await clock.close()
    await clock.reopen()
    new, closed, reopened = await world.emitted(SiteChangedV1)
    assert (new.closed_at, new.reopened_at) == (None, None)
    assert closed.closed_at is not None
    assert closed.reopened_at is None
    assert reopened.closed_at == closed.closed_at
    assert reopened.reopened_at is not None
    assert reopened.reopened_at > closed.closed_at
