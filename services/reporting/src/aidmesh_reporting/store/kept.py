"""The kept events, which all read models are made of, and emptying those."""

from collections.abc import Sequence

import asyncpg

from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event
from aidmesh_reporting.store.rows import columns

READ_MODELS = (
    "service",
    "reversal",
    "service_person",
    "share",
    "stay",
    "stay_share",
    "booked_fact",
    "booked_share",
    "spend",
    "spend_reversal",
    "same_person",
    "merge_edge",
    "person_link",
    "dirty_link",
    "waiting",
    "unlisted",
    "closed_need",
    "grant_name",
    "world_month",
    "dirty_month",
)
"""Tables that a rebuild empties and fills again."""

_ALONE = 0x7265706F7274


async def keep(conn: asyncpg.Connection, events: Sequence[Received[Event]]) -> None:
    """Keep events for rebuilding; those known already are left alone."""
    if not events:
        return
    await conn.execute(
        """
        INSERT INTO fact_event (event_id, type, region, occurred_at, payload)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[])
        ON CONFLICT (event_id) DO NOTHING
        """,
        *columns(
            [
                (
                    each.event_id,
                    each.event.type,
                    each.region,
                    each.occurred_at,
                    payload_of(each.event),
                )
                for each in events
            ]
        ),
    )


async def kept_after(conn: asyncpg.Connection, seq: int, limit: int) -> list[asyncpg.Record]:
    """Return kept events after `seq`, with their `seq`."""
    return await conn.fetch(
        """
        SELECT seq, event_id, type, region, occurred_at, payload FROM fact_event
        WHERE seq > $1 ORDER BY seq LIMIT $2
        """,
        seq,
        limit,
    )


async def alone(conn: asyncpg.Connection) -> None:
    """Let one transaction at a time write facts or publish; the others wait for its end.

    A payment tells which month changed only if it sees the service it paid for. Were both
    written at once by two replicas, neither would see the other.

    Raises:
        TimeoutError: another one, such as a rebuild, takes long.
    """
    try:
        await conn.execute("SELECT pg_advisory_xact_lock($1)", _ALONE)
    except asyncpg.LockNotAvailableError as error:
        raise TimeoutError("the facts are being rebuilt") from error


async def empty_read_models(conn: asyncpg.Connection) -> None:
    """Forget everything but the kept events and what was decided or published."""
    await conn.execute(f"TRUNCATE {', '.join(READ_MODELS)}")


def payload_of(event: Event) -> bytes:
    """Return an event as it is kept."""
    return event.model_dump_json(exclude_none=True).encode()
