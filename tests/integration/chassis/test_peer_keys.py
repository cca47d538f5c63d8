"""Keys that a region tells: whatever happened to its database, the newest is taken for such."""

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aidmesh_chassis import peer_keys
from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received, new_event_id
from aidmesh_chassis.outbox import Origin
from aidmesh_chassis.peer_keys import SEAL
from aidmesh_contracts.payments import KeyChangedV1
from support.servers import DatabaseFactory

FIRST, SECOND, THIRD, FOURTH = (bytes([number]) * 32 for number in (1, 2, 3, 4))


@pytest.fixture
async def pair(database: DatabaseFactory) -> AsyncIterator[tuple[Database, Database]]:
    """lviv, which tells, and kyiv, which hears."""
    lviv = Database(await database("payments"), Origin("lviv", "payments"))
    kyiv = Database(await database("payments"), Origin("kyiv", "payments"))
    for each in (lviv, kyiv):
        await each.open()
    yield lviv, kyiv
    for each in (lviv, kyiv):
        await each.close()


async def tell(lviv: Database, key: bytes) -> list[KeyChangedV1]:
    """Have lviv tell of its key; what it said."""
    async with lviv.transaction() as tx:
        await peer_keys.tell(KeyChangedV1, lambda: {SEAL: key}, tx)
        rows = await tx.conn.fetch("SELECT purpose, version, public FROM own_key")
    return [
        KeyChangedV1.model_validate(
            {
                "purpose": row["purpose"],
                "version": row["version"],
                "public": base64.b64encode(row["public"]).decode(),
            }
        )
        for row in rows
    ]


async def hear(kyiv: Database, events: Sequence[KeyChangedV1], epoch: int = 1) -> None:
    now = datetime.now(UTC)
    batch = []
    for event in events:
        identity = new_event_id()
        batch.append(Received(event, identity, identity, now, "lviv", epoch, None, b"x" * 16))
    async with kyiv.transaction() as tx:
        await peer_keys.know(tx, batch)


async def known(kyiv: Database) -> bytes:
    async with kyiv.connection() as conn:
        return await peer_keys.public_of(conn, "lviv", SEAL)


async def test_a_region_that_was_restored_is_believed_its_next_key(
    pair: tuple[Database, Database],
) -> None:
    lviv, kyiv = pair
    for key in (FIRST, SECOND, THIRD):
        await hear(kyiv, await tell(lviv, key))
    assert await known(kyiv) == THIRD
    # Its database is put back to when it had the first; its keys folder, and the epoch, are not.
    async with lviv.transaction() as tx:
        await tx.conn.execute("UPDATE own_key SET version = 1, public = $1", FIRST)
    lviv.origin = replace(lviv.origin, epoch=2)
    late = await tell(lviv, THIRD)
    await hear(kyiv, late, epoch=2)
    await hear(kyiv, await tell(lviv, FOURTH), epoch=2)
    assert await known(kyiv) == FOURTH
    await hear(kyiv, late, epoch=2)  # it comes again, after what is newer
    assert await known(kyiv) == FOURTH


async def test_a_key_is_told_once_in_an_epoch(pair: tuple[Database, Database]) -> None:
    lviv, _ = pair
    for epoch in (1, 1, 2, 2):
        lviv.origin = replace(lviv.origin, epoch=epoch)
        await tell(lviv, FIRST)
    async with lviv.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM outbox") == 2
