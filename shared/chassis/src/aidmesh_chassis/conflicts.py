"""What other regions said and what has no effect: it is kept for people, who see to it.

Whether it counts is a question of how the region stands (see aidmesh_chassis.standings).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_chassis import handoff, standings
from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event


async def set_aside(
    conn: asyncpg.Connection, durable: str, batch: Sequence[Received[Event]]
) -> set[UUID]:
    """Note epochs, and keep as conflicts what does not count; returns those events' ids.

    Args:
        durable: through which they came.
        batch: events of other regions that were not taken in before.
    """
    newest: dict[str, int] = {}
    for item in batch:
        newest[item.region] = max(item.epoch, newest.get(item.region, standings.FIRST_EPOCH))
    if raised := await standings.raise_epochs(conn, newest):
        # It may have been restored, and know nothing of what it had answered since.
        await handoff.again(conn, raised)
    stands = await standings.known(conn)
    if not stands.keys() & newest.keys():
        return set()
    born: datetime = await conn.fetchval("SELECT min(at) FROM service_born")
    late = [
        item
        for item in batch
        if (stand := stands.get(item.region)) is not None
        and not standings.counts(stand, item.epoch)
        # Decided before this service was made: what had happened by then is history to it.
        and not (stand.since < born and item.occurred_at <= stand.since)
    ]
    await leave_to_people(conn, durable, late)
    return {item.event_id for item in late}


async def leave_to_people(
    conn: asyncpg.Connection, durable: str, late: Sequence[Received[Event]]
) -> None:
    """Keep as conflicts what other regions said and what has no effect.

    Args:
        durable: through which it came, or what it was that had no use for it.
    """
    await conn.execute(
        """
        INSERT INTO conflict (event_id, durable, region, epoch, event_type, aggregate, occurred_at)
        SELECT id, $2, region, epoch, type, aggregate, at
        FROM unnest($1::uuid[], $3::text[], $4::int[], $5::text[], $6::text[], $7::timestamptz[])
             AS n (id, region, epoch, type, aggregate, at)
        ON CONFLICT DO NOTHING
        """,
        [item.event_id for item in late],
        durable,
        [item.region for item in late],
        [item.epoch for item in late],
        [item.event.type for item in late],
        [str(item.event.aggregate_id) for item in late],
        [item.occurred_at for item in late],
    )


async def take_up(conn: asyncpg.Connection, batch: Sequence[Received[Event]]) -> set[UUID]:
    """Which of these were set aside before it was heard that they count: conflicts no more.

    So it is where a region that has rejoined is heard before those who let it in.

    Args:
        batch: events of other regions that come once more.
    """
    stands = await standings.known(conn)
    rows = await conn.fetch(
        "DELETE FROM conflict WHERE event_id = ANY($1::uuid[]) RETURNING event_id",
        [
            item.event_id
            for item in batch
            if (stand := stands.get(item.region)) is not None
            and stand.standing == "member"
            and standings.counts(stand, item.epoch)
        ],
    )
    return {row["event_id"] for row in rows}


async def kept_aside(conn: asyncpg.Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these events were set aside as conflicts, seen to by people or not."""
    rows = await conn.fetch(
        "SELECT event_id FROM conflict WHERE event_id = ANY($1::uuid[])", list(ids)
    )
    return {row["event_id"] for row in rows}


async def still_open(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Open conflicts, the oldest first."""
    rows: list[asyncpg.Record] = await conn.fetch(
        """
        SELECT event_id, region, epoch, event_type, aggregate, occurred_at, arrived_at
        FROM conflict
        WHERE closed_at IS NULL
          AND ($1::timestamptz IS NULL OR (arrived_at, event_id) > ($1, $2::uuid))
        ORDER BY arrived_at, event_id LIMIT $3
        """,
        *(after or (None, None)),
        limit,
    )
    return rows


async def close(conn: asyncpg.Connection, event_id: UUID, note: str, by: UUID) -> bool:
    """A person has seen to it; False when there is no such open one."""
    return bool(
        await conn.fetchval(
            """
            UPDATE conflict SET closed_at = now(), closed_by = $3, note = $2
            WHERE event_id = $1 AND closed_at IS NULL RETURNING true
            """,
            event_id,
            note,
            by,
        )
    )


async def count_open(conn: asyncpg.Connection, regions: Collection[str]) -> int:
    """How many conflicts with these regions nobody has seen to."""
    count: int = await conn.fetchval(
        "SELECT count(*) FROM conflict WHERE closed_at IS NULL AND region = ANY($1::text[])",
        list(regions),
    )
    return count
