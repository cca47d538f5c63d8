"""A payout goes to another region's office and its outcome comes back, over links that fail."""

from functools import partial
from pathlib import Path

from aidmesh_chassis.keys import PAYMENTS, KeyRing
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import REGIONS, Desk
from integration.payments.paying import Side, Two
from support.regions_running import RunningRegion, running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

WAIT_S = 60.0


def _side(name: str, region: RunningRegion, keys: Path) -> Side:
    database = region.services["payments"].database
    assert database is not None
    office = Office(name, {"UAH": 1_000_000}, lambda: REGIONS)
    return Side(Desk(office, database), KeyRing(keys, [PAYMENTS]))


async def test_a_payout_is_paid_once_across_links_that_fail(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(tmp_path, database, ("kyiv", "lviv"), ("payments",)) as mesh:
        kyiv, lviv = (
            _side(name, mesh[name], tmp_path / name / "keys") for name in ("kyiv", "lviv")
        )
        pair = Two(kyiv, lviv)
        grant_id = await kyiv.desk.grant(100_000)
        await kyiv.desk.allot(grant_id, 100_000, to="lviv")
        await eventually(
            partial(_is, lviv, "SELECT received_minor = 100000 FROM allotment"), WAIT_S
        )

        await mesh.cut("lviv")
        payout_id = await pair.approve(await pair.need())
        await eventually(partial(_is, lviv, "SELECT assigned_to = 'kyiv' FROM payout"), WAIT_S)
        assert await pair.states(payout_id) == ("approved", None)
        await mesh.heal()
        vouched = "SELECT amount_minor IS NOT NULL FROM paying_order"
        await eventually(partial(_is, kyiv, vouched), WAIT_S)
        told = "SELECT committed_minor > 0 FROM allotment_elsewhere"
        await eventually(partial(_is, kyiv, told), WAIT_S)

        await mesh.cut("lviv")
        assert await pair.pay(payout_id, "settle") is None
        assert await pair.states(payout_id) == ("approved", "settled")
        await mesh.heal()
        await eventually(partial(_is, lviv, "SELECT state = 'settled' FROM payout"), WAIT_S)
        assert await lviv.desk.value("SELECT spent_minor FROM allotment") == 5_000
        for side in (kyiv, lviv):
            await side.desk.check()


async def _is(side: Side, query: str) -> bool:
    return bool(await side.desk.value(query))
