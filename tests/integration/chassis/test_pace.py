"""What makes a service busy: what it does, not that it looks. Real PostgreSQL."""

from time import monotonic

import pytest

from aidmesh_chassis import pace
from aidmesh_chassis.db import Database
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.pace import BUSY_S, REST_S
from support.servers import DatabaseFactory


@pytest.mark.parametrize(("looks", "interval_s"), [(False, 1.0), (True, REST_S)])
async def test_a_commit_makes_busy_and_a_look_does_not(
    database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch, looks: bool, interval_s: float
) -> None:
    db = Database(await database("reporting"), Origin("kyiv", "reporting"))
    later = monotonic() + 2 * BUSY_S
    monkeypatch.setattr(pace, "monotonic", lambda: later)
    await db.open()
    try:
        assert db.pace.interval_s(1.0) == REST_S
        async with db.transaction(looks=looks):
            pass
        assert db.pace.interval_s(1.0) == interval_s
    finally:
        await db.close()
