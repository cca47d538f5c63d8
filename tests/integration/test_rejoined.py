"""A region rejoins and is heard before those who let it in: what it says counts all the same.

Kyiv has no link to Lviv, where the lead is who lets Odesa in again, but has one to Odesa.
"""

import asyncio
from functools import partial
from pathlib import Path

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.payments_grants import AllotmentSentV1
from aidmesh_payments.handlers import lost
from aidmesh_payments.handlers.office import Office
from integration.payments.fenced import close_conflicts, declare_lost
from integration.payments.offices import Desk
from support.regions_running import RunningRegion, running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

WAIT_S = 60.0
NAMES = ("kyiv", "lviv", "odesa")
STANDS = "SELECT standing = $1 FROM region_standing WHERE region = 'odesa'"
SET_ASIDE = "SELECT count(*) = $1 FROM conflict WHERE event_type = $2 AND epoch = $3"


async def test_what_a_region_that_has_rejoined_says_counts_once_it_is_heard_that_it_was_let_in(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(tmp_path, database, NAMES, ("payments",)) as mesh:
        kyiv, lviv, odesa = (_desk(name, mesh[name]) for name in NAMES)
        grant_id = await odesa.grant(10_000)
        await declare_lost(lviv, "odesa")
        for desk in (kyiv, odesa):
            await eventually(partial(desk.value, STANDS, "lost"), WAIT_S)
        await odesa.allot(grant_id, 500, to="kyiv")
        for desk in (kyiv, lviv):
            sent_in_vain = (SET_ASIDE, 1, AllotmentSentV1.type, 1)
            await eventually(partial(desk.value, *sent_in_vain), WAIT_S)

        await mesh.links.cable("kyiv", "lviv").cut()
        await eventually(partial(_let_in, lviv, "odesa"), WAIT_S)
        await eventually(partial(odesa.value, STANDS, "member"), WAIT_S)
        await _rejoin(mesh["odesa"], 2)
        await eventually(lambda: odesa.db.origin.epoch == 2, WAIT_S)
        await odesa.allot(grant_id, 1_000, to="kyiv")
        sent_too_early = (SET_ASIDE, 2, AllotmentSentV1.type, 2)
        await eventually(partial(kyiv.value, *sent_too_early), WAIT_S)
        assert await kyiv.value(STANDS, "lost")
        assert await kyiv.value("SELECT sum(received_minor) FROM allotment") is None

        mesh.links.cable("kyiv", "lviv").heal()
        all_came = "SELECT sum(received_minor) = 1500 FROM allotment"
        await eventually(partial(kyiv.value, all_came), WAIT_S)
        none_left = "SELECT count(*) = 0 FROM conflict WHERE epoch = 2"
        assert await kyiv.value(none_left)
        arrived = "SELECT count(*) = 0 FROM transfer WHERE state = 'in_transit'"
        await eventually(partial(odesa.value, arrived), WAIT_S)
        for desk in (kyiv, lviv, odesa):
            await desk.check()


def _desk(name: str, region: RunningRegion) -> Desk:
    database = region.services["payments"].database
    assert database is not None
    return Desk(Office(name, {"UAH": 1_000_000}, lambda: frozenset(NAMES)), database)


async def _let_in(desk: Desk, region: str) -> bool:
    """A lead has seen to all that came; whether nothing came in between."""
    await close_conflicts(desk)
    try:
        await desk.run(lambda tx: lost.readmit(tx, region))
    except Problem:
        return False
    return True


async def _rejoin(region: RunningRegion, epoch: int) -> None:
    """What `aidmesh topology rejoin` has the supervisor do."""
    region.nats.warden.gate.epoch = epoch
    await asyncio.to_thread(region.nats.stop)
    await asyncio.to_thread(region.nats.start)
