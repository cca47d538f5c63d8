"""Grants of an office that was restored: what was stopped since pays for nothing."""

from functools import partial
from pathlib import Path

import pytest

from aidmesh_chassis import restoring
from aidmesh_chassis.db import Tx
from aidmesh_contracts.ids import GrantId
from aidmesh_payments.handlers import grants
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import (
    exchange,
)
from integration.payments.restored import backed_up, over, restored_office, two_offices
from support.servers import DatabaseFactory


@pytest.mark.parametrize(("verb", "status"), [("suspend", "suspended"), ("close", "closed")])
async def test_a_grant_that_was_stopped_since_is_active_nowhere(
    database: DatabaseFactory, tmp_path: Path, verb: str, status: str
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    old, idle = await kyiv.grant(100_000), await kyiv.grant(10_000)
    await exchange(kyiv, lviv)
    backup = await backed_up(dsn, tmp_path)
    await kyiv.allot(old, 30_000, to="lviv")
    await kyiv.allot(old, 20_000)
    young = await kyiv.grant(50_000)
    for grant_id in (old, idle, young):
        await kyiv.run(partial(_change, office=kyiv.office, grant_id=grant_id, verb=verb))
    await exchange(kyiv, lviv)
    await kyiv.db.close()

    restored = await restored_office(dsn, fresh, backup, lviv)
    standing = "SELECT array_agg(DISTINCT status) FROM {}"
    assert await restored.value(standing.format("donor_grant")) == [status]
    assert await restored.value(standing.format("grant_terms")) == [status]
    # What was allotted before that is gone all the same.
    known = "SELECT (received_minor, allotted_minor) FROM donor_grant WHERE id = $1"
    assert await restored.value(known, old) == (100_000, 50_000)
    assert await restored.value(known, young) == (50_000, 0)
    for event in await restored.told():
        if event.stream == "EVENTS":
            await lviv.feed(event, region="kyiv", epoch=2)
            assert await lviv.value(standing.format("grant_terms")) == [status]
    version = "SELECT state_version FROM grant_terms WHERE grant_id = $1"
    for grant_id in (old, idle):
        assert await lviv.value(version, grant_id) > restoring.VERSION_GAP
    await over(restored, lviv)


async def test_what_was_allotted_while_a_grant_was_resumed_is_booked(
    database: DatabaseFactory, tmp_path: Path
) -> None:
    dsn, fresh, kyiv, lviv = await two_offices(database)
    grant_id = await kyiv.grant(100_000)
    await kyiv.run(partial(_change, office=kyiv.office, grant_id=grant_id, verb="suspend"))
    backup = await backed_up(dsn, tmp_path)
    await kyiv.run(partial(_change, office=kyiv.office, grant_id=grant_id, verb="resume"))
    for region in ("kyiv", "lviv"):
        await kyiv.allot(grant_id, 20_000, to=region)
    await exchange(kyiv, lviv)
    await kyiv.db.close()
    restored = await restored_office(dsn, fresh, backup, lviv)
    # A lead resumes it once more, or not; its money is not there twice either way.
    known = "SELECT (status, allotted_minor) FROM donor_grant"
    assert await restored.value(known) == ("suspended", 40_000)
    await over(restored, lviv)


async def _change(tx: Tx, *, office: Office, grant_id: GrantId, verb: str) -> None:
    await grants.change_status(office, tx, grant_id, verb)
