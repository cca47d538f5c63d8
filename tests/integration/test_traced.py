"""What led to a violation is found in real outboxes, handoffs, inboxes and streams."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import nats
import pytest
from nats.aio.client import Client

from aidmesh.chaos.trace import NOTHING, traced
from aidmesh.chaos.violation import Violation
from aidmesh.chaos.waiting import waiting_in
from aidmesh.meshfile import RegionEntry
from aidmesh.quiet import RegionProbe
from aidmesh.topology.rights import READER
from support.servers import DatabaseFactory, NatsRegion

NEED, KEY = str(uuid4()), str(uuid4())
BEGAN = datetime(2024, 5, 1, tzinfo=UTC)


def probe(
    name: str, connections: dict[str, asyncpg.Connection], client: Client | None = None
) -> RegionProbe:
    """A region of which only this can be looked at."""
    entry, nobody = cast("RegionEntry", None), cast("Client", None)
    return RegionProbe(name, entry, client or nobody, connections, ["lviv"])


@pytest.fixture
async def connections(database: DatabaseFactory) -> AsyncIterator[dict[str, asyncpg.Connection]]:
    opened = {
        service: await asyncpg.connect(await database(service))
        for service in ("intake", "inventory")
    }
    yield opened
    for conn in opened.values():
        await conn.close()


async def publish(
    conn: asyncpg.Connection, no: int, *, subject: str = "", correlation: str = "", text: str = "",
    status: str = "acked",
) -> UUID:  # fmt: skip
    event_id = uuid4()
    await conn.execute(
        """
        INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash, created_at,
                            status, ack_seq, acked_at, stream_created)
        SELECT $1, 'LOCAL', 'local.kyiv.x', jsonb_build_object('ce-type', $2::text,
                   'ce-subject', $3::text, 'aid-correlation', $4::text), $5, '\\x00', $6, $7,
               acked.seq, acked.at, acked.at
        FROM (SELECT CASE $7 WHEN 'acked' THEN 1 END AS seq,
                     CASE $7 WHEN 'acked' THEN now() END AS at) AS acked
        """,
        event_id, f"type-{no}", subject, correlation, text.encode(),
        BEGAN + timedelta(seconds=no), status,
    )  # fmt: skip
    return event_id


async def test_events_are_found_by_what_they_name_and_what_led_to_them(
    connections: dict[str, asyncpg.Connection],
) -> None:
    intake, inventory = connections["intake"], connections["inventory"]
    first = await publish(intake, 1, subject=NEED)
    await publish(inventory, 2, text=f'{{"need_id":"{NEED}"}}')
    await publish(intake, 3, subject=str(uuid4()), text='{"code":"food_parcel"}')
    caused = await publish(inventory, 4, correlation=KEY)
    waits = await publish(intake, 5, status="pending")
    await inventory.execute(
        "INSERT INTO inbox (event_id, occurred_at, content_hash) VALUES ($1, now(), '\\x00')",
        first,
    )
    violations = [
        Violation("p", "kyiv", "by subject and payload", (NEED,)),
        Violation("p", "kyiv", "by what was asked for", (KEY,)),
        Violation("p", "kyiv", "by the event itself", (str(waits),)),
        Violation("p", "kyiv", "a code is no id", ("food_parcel",)),
        Violation("p", "kyiv", "never published", (str(uuid4()),)),
    ]

    found = await traced(violations, [probe("kyiv", connections)])

    assert [[each["type"] for each in violation.events] for violation in found] == [
        ["type-1", "type-2"], ["type-4"], ["type-5"], [], [],
    ]  # fmt: skip
    assert [each.note for each in found] == ["", "", "", NOTHING, NOTHING]
    [one, _] = found[0].events
    assert (one["by"], one["event_id"]) == ("kyiv.intake", str(first))
    assert cast("dict[str, str]", one["taken_by"]).keys() == {"kyiv.inventory"}
    assert found[1].events[0]["event_id"] == str(caused)
    assert found[2].events[0]["status"] == "pending"


async def test_what_waits_in_a_region_is_named_the_oldest_first(
    connections: dict[str, asyncpg.Connection], nats_region: NatsRegion
) -> None:
    admin = await nats_region.admin()
    reader = await nats.connect(nats_region.url, nkeys_seed=str(nats_region.seed_file(READER)))
    looked_at = probe("kyiv", connections, reader)
    assert await waiting_in(looked_at) == ()
    unsent = await publish(connections["intake"], 1, status="pending")
    await publish(connections["intake"], 2)
    for event_id in ("one", "two"):
        headers = {"ce-id": event_id, "Nats-Msg-Id": event_id}
        subject = "local.kyiv.intake.need.approved.v1"
        await admin.jetstream().publish(subject, b"{}", headers=headers)

    assert await waiting_in(looked_at) == (str(unsent), "one", "two")
    await asyncio.gather(admin.close(), reader.close())
