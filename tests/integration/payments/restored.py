"""An office that is restored from a backup, as `aidmesh restore` leaves it."""

import json
from pathlib import Path
from typing import Any

import asyncpg

from aidmesh.backup.load import load
from aidmesh.backup.take import Links, take
from aidmesh.restoring.forward import Forwarded, Restored, prepare, redo_money
from aidmesh_chassis import restoring
from aidmesh_chassis.crypto import PrivateKey
from aidmesh_chassis.restoring import Lost
from aidmesh_contracts.base import Event
from aidmesh_contracts.ids import AllotmentId
from aidmesh_contracts.payments_grants import AllotmentSentV1
from aidmesh_contracts.registry import REGISTRY
from aidmesh_contracts.streams import event_type_of
from aidmesh_payments.handlers import holding
from aidmesh_payments.store import restoring as restoring_store
from integration.payments.offices import REGIONS, Desk, exchange, open_desk, received
from support.servers import DatabaseFactory

TOLD = "SELECT event_id, stream, subject, headers, payload FROM outbox ORDER BY seq"

ALLOTMENTS = """
    SELECT id::text, received_minor, returned_minor, held_minor,
           received_minor - returned_minor - held_minor - committed_minor - spent_minor AS free
    FROM allotment ORDER BY 1
"""
ELSEWHERE = """
    SELECT allotment_id::text AS id, received_minor, returned_minor, held_minor,
           received_minor - returned_minor - held_minor - committed_minor - spent_minor AS free
    FROM allotment_elsewhere ORDER BY 1
"""
GIVEN_TO = """
    SELECT id, amount_minor AS received_minor, returned_minor FROM grant_allotment
    WHERE holder = $1 ORDER BY id
"""
HELD_OF_OTHERS = """
    SELECT a.id, a.received_minor,
           a.returned_minor + COALESCE((SELECT sum(t.owed_minor) FROM taken_back t
                                        WHERE t.allotment_id = a.id), 0) AS returned_minor
    FROM allotment a
    WHERE NOT EXISTS (SELECT FROM donor_grant g WHERE g.id = a.grant_id) ORDER BY a.id
"""

Backup = tuple[Path, PrivateKey]
Row = dict[str, Any]


async def two_offices(database: DatabaseFactory) -> tuple[str, str, Desk, Desk]:
    """Kyiv's database, one that it may be restored into, and the desks of Kyiv and Lviv."""
    dsn, fresh = await database("payments"), await database("payments")
    kyiv, lviv = await open_desk(dsn, "kyiv"), await open_desk(await database("payments"), "lviv")
    return dsn, fresh, kyiv, lviv


async def over(*desks: Desk) -> None:
    """The books of all are right, and nobody needs them any more."""
    for desk in desks:
        await desk.check()
        await desk.db.close()


async def backed_up(dsn: str, folder: Path) -> Backup:
    """Take a backup of Kyiv's payments; returns where it is and what opens it."""
    path, key = folder / "kyiv.backup", PrivateKey.random()
    links = Links({"lviv": None}, "127.0.0.1", 1)
    await take("kyiv", 1, links, {"payments": dsn}, path, key.public)
    return path, key


async def restored_office(
    old: str,
    fresh: str,
    backup: Backup,
    lviv: Desk,
    *,
    with_log: bool = False,
    without: frozenset[str] = frozenset(),
    epoch: int = 2,
) -> Desk:
    """Kyiv's office as `aidmesh restore` leaves it, its services not yet at work.

    Args:
        without: types of events that only a peer has that is left out.
        epoch: one above all that was heard of it.
    """
    path, key = backup

    async def empty(_: str) -> None:
        conn = await asyncpg.connect(fresh)
        await conn.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await conn.close()

    manifest = await load(path, key, lambda _: fresh, empty)
    conn, was = await asyncpg.connect(fresh), await asyncpg.connect(old)
    known = {row["event_id"] for row in await conn.fetch(TOLD)}
    lost = [
        Lost(
            row["event_id"],
            row["stream"],
            row["subject"],
            json.loads(row["headers"]),
            row["payload"],
        )
        for row in await was.fetch(TOLD)
        if row["event_id"] not in known and event_type_of(row["subject"]) not in without
    ]
    at = Restored(
        "kyiv", epoch, manifest.taken_at, REGIONS, {"payments": fresh}, {"payments": conn}
    )
    public = [event for event in lost if event.stream == "EVENTS"]
    await prepare(at, public)
    for about, ids in await restoring_store.open_payments(conn):
        await restoring.doubt(conn, about, ids)
    sent = [
        received(event, "lviv")
        for event in await events_of(lviv)
        if isinstance(event, AllotmentSentV1)
    ]
    local = [event for event in lost if event.stream == "LOCAL"] if with_log else []
    handled = await redo_money(at, public, local, sent, Forwarded())
    left = [event for event in public if event not in handled]
    await restoring.leave_to_people(conn, "kyiv", left)
    await conn.close()
    await was.close()
    desk = await open_desk(fresh, "kyiv")
    desk.db.origin.epoch = epoch
    return desk


async def hear_again(restored: Desk, lviv: Desk) -> None:
    """Have the restored office read Lviv's log from its start, and both hear what is said since."""
    for event in await events_of(lviv):
        if event.stream == "EVENTS":
            await restored.feed(event, region="lviv", epoch=1)
    await exchange(restored, lviv)


async def agree(restored: Desk, lviv: Desk) -> None:
    """What each has given to the other is what the other has of it, and has given back."""
    for grantor, holder in ((restored, lviv), (lviv, restored)):
        given = await rows_of(grantor, GIVEN_TO, holder.office.region)
        assert given == await rows_of(holder, HELD_OF_OTHERS)
    assert await rows_of(lviv, ELSEWHERE) == await rows_of(restored, ALLOTMENTS)


async def rows_of(desk: Desk, query: str, *args: object) -> list[Row]:
    """What a query finds."""
    async with desk.db.read() as conn:
        return [dict(row) for row in await conn.fetch(query, *args)]


async def events_of(desk: Desk) -> list[Event]:
    """All that was ever published there."""
    async with desk.db.read() as conn:
        rows = await conn.fetch(TOLD)
    return [
        REGISTRY[event_type_of(row["subject"])].model_validate_json(row["payload"]) for row in rows
    ]


async def give_back(desk: Desk, allotment_id: AllotmentId, amount_minor: int) -> None:
    """Give back what is free of an allotment, as finance asks for."""
    await desk.run(lambda tx: holding.give_back(desk.office, tx, allotment_id, amount_minor))
