"""A clock that was set back is told: nothing that goes by age would say so."""

from datetime import UTC, datetime, timedelta

from aidmesh.doctor.examine import answered
from aidmesh.doctor.findings import EVERY_SERVICE
from integration.chassis.parts import emit, opened
from support.servers import DatabaseFactory


async def test_events_that_are_dated_ahead_are_told_with_how_far(database: DatabaseFactory) -> None:
    (question,) = [each for each in EVERY_SERVICE if "set back" in each.what]
    db = await opened(await database("console"))
    await emit(db, [1, 2, 3])
    async with db.begin() as conn:
        row = await conn.fetchrow(question.sql)
        assert row is not None
        assert row["rows"] == 0
        for number, hours in ((1, 3), (2, 2)):
            await conn.execute(
                "UPDATE outbox SET created_at = now() + make_interval(hours => $2) WHERE seq = $1",
                number,
                hours,
            )
        row = await conn.fetchrow(question.sql)
    assert row is not None
    seconds = (datetime.now(UTC) - timedelta(seconds=5) - row["since"]).total_seconds()
    found = answered(question, "kyiv intake", row["rows"], seconds)
    assert (found.harm, found.what) == (
        "error", "2 events are dated ahead, the last one by 3 hours: the clock was set back",
    )  # fmt: skip
    await db.close()
