"""A clock that was set back, or was ahead, is told with what waits because of it: nothing that goes
by age would say so."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from aidmesh.doctor import servers
from aidmesh.doctor.clocks import Served, clock_of
from aidmesh.doctor.examine import answered, stuck
from aidmesh.doctor.findings import EVERY_SERVICE, Finding
from aidmesh.meshfile import RegionEntry
from aidmesh_chassis import handoff, inbox, outbox
from aidmesh_chassis.consuming import ATTEMPTS_MAX, PARKED_RETRY_S
from aidmesh_inventory.handlers import sweeps
from integration.chassis.parts import emit, opened
from integration.intake.world import open_world
from integration.inventory.world import World as Stock
from integration.inventory.world import approved as wanted
from integration.notification.world import World as Telling
from integration.notification.world import ready
from integration.payments.offices import approved, open_desk
from integration.test_lacks import asked_for, closed, region_of
from support.servers import DatabaseFactory, NatsRegion

BY = "until a time that a clock ahead of this one set, the last for another "
MEND = re.compile(r"in this database: (UPDATE .*;)$")


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
    assert found.harm == "error"
    assert found.what == (
        "2 events are dated ahead, the last one by 3 hours: the clock was set back, or was ahead "
        "until it was put right"
    )
    await db.close()


@pytest.fixture
async def kyiv(database: DatabaseFactory) -> RegionEntry:
    """A region of which only the databases are there."""
    return await region_of(database)


async def waiting(kyiv: RegionEntry, service: str) -> list[Finding]:
    """What a service has that waits for a clock that was ahead."""
    return [each for each in await stuck("kyiv", kyiv, service) if BY in each.what]


async def ahead(conn: asyncpg.Connection, table: str, *columns: str) -> None:
    """Have written its one row three hours ahead."""
    later = ", ".join(f"{each} = {each} + interval '3 hours'" for each in columns)
    done = await conn.execute(f"UPDATE {table} SET {later}")  # noqa: S608 - our own words
    assert done == "UPDATE 1"


async def told_until_mended(
    kyiv: RegionEntry, service: str, table: str, *columns: str, what: str
) -> None:
    """It is told once the one row was written ahead, and what is advised mends it."""
    assert await waiting(kyiv, service) == []
    conn = await asyncpg.connect(kyiv.admin_dsn(service))
    try:
        await ahead(conn, table, *columns)
        (found,) = await waiting(kyiv, service)
        assert found.what == f"1 {what} {BY}3 hours"
        mend = MEND.search(found.do)
        assert mend is not None
        assert await conn.execute(mend[1].removesuffix(";")) == "UPDATE 1"
    finally:
        await conn.close()
    assert await waiting(kyiv, service) == []


MESSAGES: Mapping[str, tuple[str, str]] = {
    "outbox": (
        "events wait in the outbox",
        """
        INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash, retry_at)
        VALUES (gen_random_uuid(), 'LOCAL', 'local.kyiv.x.y.z.v1', '{}', '{}', '', now())
        """,
    ),
    "handoff": (
        "handoffs wait",
        """
        INSERT INTO handoff (event_id, to_region, subject, headers, payload, payload_hash,
                             awaits_answer)
        VALUES (gen_random_uuid(), 'lviv', 'handoff.lviv.kyiv.x.y.z.v1', '{}', '{}', '', true)
        """,
    ),
    "dead_letter": (
        "messages that are to be tried again wait",
        """
        INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason,
                                 retry_at)
        VALUES ('reporting-local', gen_random_uuid(), 'local.kyiv.x.y.z.v1', '{}', '{}', 'parked',
                'no_such_need', now())
        """,
    ),
}


@pytest.mark.parametrize("table", MESSAGES)
async def test_messages_that_wait_for_that_clock_leave_once_they_are_mended(
    kyiv: RegionEntry, table: str
) -> None:
    what, insert = MESSAGES[table]
    conn = await asyncpg.connect(kyiv.admin_dsn("reporting"))
    try:
        await conn.execute(insert)
        column = "next_at" if table == "handoff" else "retry_at"
        await told_until_mended(kyiv, "reporting", table, column, what=what)
        due = {
            "outbox": len(await outbox.claim(conn, 10)),
            "handoff": len(await handoff.claim(conn, 10, (), ())),
            "dead_letter": len(await inbox.due(conn, "reporting-local", 10)),
        }
        assert due == {each: each == table for each in due}
    finally:
        await conn.close()


def test_no_rule_makes_a_message_wait_for_so_long() -> None:
    longest_s = 15 * 60
    assert longest_s > outbox.POSTPONED_S_MAX
    assert max(handoff.UNANSWERED_S_MAX, handoff.UNREACHED_S_MAX, handoff.LEASE_S) < longest_s
    assert max(inbox.LEASE_S, PARKED_RETRY_S * 2 ** (ATTEMPTS_MAX - 1)) < longest_s


async def test_a_need_that_waits_for_that_clock_is_asked_anew_once_it_is_mended(
    kyiv: RegionEntry, tmp_path: Path
) -> None:
    world = await open_world(kyiv.admin_dsn("intake"), tmp_path)
    try:
        await asked_for(world, "food_parcel")
        await told_until_mended(
            kyiv, "intake", "need", "deadline_at", "changed_at", what="needs wait for answers"
        )
    finally:
        await closed(world)


async def test_a_hold_that_waits_for_that_clock_ends_once_it_is_mended(kyiv: RegionEntry) -> None:
    world = Stock(await opened(kyiv.admin_dsn("inventory"), "inventory"))
    site_id = await world.site()
    await world.item()
    await world.stock(site_id, 1)
    need = wanted()
    await world.take(need)
    assert await world.state(need.need_id) == "held"
    await told_until_mended(
        kyiv, "inventory", "reservation", "hold_until", "state_at", what="holds set something aside"
    )
    await world.run(sweeps.expire_holds)
    assert await world.state(need.need_id) == "expired"
    await world.database.close()


async def test_money_that_waits_for_that_clock_is_free_once_it_is_mended(kyiv: RegionEntry) -> None:
    desk = await open_desk(kyiv.admin_dsn("payments"))
    await desk.purse(10_000)
    await desk.feed(approved())
    await told_until_mended(
        kyiv, "payments", "commitment", "hold_until", "recorded_at", what="holds of money hold it"
    )
    assert await desk.value("SELECT hold_until <= clock_timestamp() FROM commitment")
    await desk.db.close()


async def test_messages_to_people_that_wait_for_that_clock_leave_once_they_are_mended(
    kyiv: RegionEntry,
) -> None:
    world = Telling(await opened(kyiv.admin_dsn("notification"), "notification"))
    person = uuid4()
    await world.take(world.card(person))
    await world.take(ready(person))
    conn = await asyncpg.connect(kyiv.admin_dsn("notification"))
    try:
        await conn.execute("INSERT INTO channel_outage VALUES ('email', now(), now())")
    finally:
        await conn.close()
    await told_until_mended(
        kyiv, "notification", "message", "due_at", "changed_at", what="messages wait to be sent"
    )
    await told_until_mended(
        kyiv, "notification", "channel_outage", "since", "look_at", what="channels take no messages"
    )
    await world.sender().run_once()
    assert [row["state"] for row in await world.messages()] == ["sent"]
    await world.database.close()


async def test_a_server_of_nats_tells_its_time(nats_region: NatsRegion) -> None:
    port = nats_region.server.monitor_port
    served = await asyncio.to_thread(servers._jetstream, "127.0.0.1", port, 30.0)
    assert clock_of("kyiv nats", served) == []
    hour = timedelta(hours=3)
    (found,) = clock_of("kyiv nats", Served(served.said, served.before - hour, served.after - hour))
    assert found.what == "its clock is 3 hours ahead of this machine's"
