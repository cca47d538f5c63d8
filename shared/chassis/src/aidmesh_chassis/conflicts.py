"""Conflicts: what other regions said and what has no effect; kept for people to look at.

What a lost region says may count yet: it was let in again from an epoch that it speaks in already,
and who let it in is not heard here. Such a conflict keeps its content. Once it is heard that it
counts, it is handled as a letter is; once it is heard that it never will, the content goes.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_chassis.envelope import Received, said_by_sender
from aidmesh_contracts.base import Event

COUNTS: Final = "counts_after_all"
"""Why a letter is tried that was a conflict."""


async def leave_to_people(
    conn: asyncpg.Connection,
    durable: str,
    late: Sequence[Received[Event]],
    may_count: Collection[UUID] = (),
    *,
    comes_again: bool = False,
) -> None:
    """Keep as conflicts what other regions said and what has no effect.

    Args:
        durable: through which it came, or what it was that had no use for it.
        may_count: ids of those that may count yet.
        comes_again: whether their content need not be kept for that.
    """
    kept = () if comes_again else may_count
    contents = [item.raw if item.event_id in kept else None for item in late]
    await conn.execute(
        """
        INSERT INTO conflict (event_id, durable, region, epoch, event_type, aggregate, occurred_at,
                              may_count, subject, headers, payload)
        SELECT id, $2, region, epoch, type, aggregate, at, yet, subject, headers, payload
        FROM unnest($1::uuid[], $3::text[], $4::int[], $5::text[], $6::text[], $7::timestamptz[],
                    $8::bool[], $9::text[], $10::jsonb[], $11::bytea[])
             AS n (id, region, epoch, type, aggregate, at, yet, subject, headers, payload)
        ON CONFLICT DO NOTHING
        """,
        [item.event_id for item in late],
        durable,
        [item.region for item in late],
        [item.epoch for item in late],
        [item.event.type for item in late],
        [str(item.event.aggregate_id) for item in late],
        [item.occurred_at for item in late],
        [item.event_id in may_count for item in late],
        [None if raw is None else raw.subject for raw in contents],
        [None if raw is None else json.dumps(said_by_sender(raw.headers)) for raw in contents],
        [None if raw is None else raw.payload for raw in contents],
    )


async def kept_aside(conn: asyncpg.Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these events were set aside as conflicts, seen to by people or not."""
    rows = await conn.fetch(
        "SELECT event_id FROM conflict WHERE event_id = ANY($1::uuid[])", list(ids)
    )
    return {row["event_id"] for row in rows}


async def end(conn: asyncpg.Connection, ids: Collection[UUID]) -> set[UUID]:
    """These events count: they are conflicts no more. Returns which of them were."""
    rows = await conn.fetch(
        "DELETE FROM conflict WHERE event_id = ANY($1::uuid[]) RETURNING event_id", list(ids)
    )
    return {row["event_id"] for row in rows}


async def take_up(conn: asyncpg.Connection, counting: Mapping[str, int]) -> None:
    """Have handled what was set aside and counts after all.

    Whatever people noted about it meanwhile goes along. It is not in the inbox any more, so it is
    handled as what comes for the first time: by its version, if it has one, after what is newer.

    Args:
        counting: by region that was let in, the first epoch that counts.
    """
    await conn.execute(
        """
        WITH counted AS (
            DELETE FROM conflict c USING unnest($1::text[], $2::int[]) AS n (region, epoch)
            WHERE c.region = n.region AND c.epoch >= n.epoch AND may_count AND payload IS NOT NULL
            RETURNING c.event_id, place, durable, subject, headers, payload, closed_by, note
        ), forgotten AS (
            DELETE FROM inbox i USING counted c
            WHERE i.event_id = c.event_id AND i.occurred_at = inbox_time(c.event_id)
        )
        INSERT INTO dead_letter AS old (durable, event_id, subject, headers, payload, status,
                                        reason, retry_at, decided_by, note)
        SELECT durable, event_id, subject, headers, payload, 'parked', $3, now(),
               closed_by::text, note
        FROM counted ORDER BY place
        ON CONFLICT (durable, event_id) DO UPDATE
        SET status = 'parked', reason = excluded.reason, attempts = 0, retry_at = now(),
            changed_at = now(), payload = excluded.payload, headers = excluded.headers,
            decided_by = COALESCE(excluded.decided_by, old.decided_by),
            note = COALESCE(excluded.note, old.note)
        """,
        list(counting),
        list(counting.values()),
        COUNTS,
    )


async def forget(conn: asyncpg.Connection, fenced: Mapping[str, int]) -> None:
    """Keep no longer the content of what never counts; the conflicts stay.

    Args:
        fenced: by region, the last epoch that counts no more.
    """
    await conn.execute(
        """
        UPDATE conflict c SET may_count = false, subject = NULL, headers = NULL, payload = NULL
        FROM unnest($1::text[], $2::int[]) AS n (region, epoch)
        WHERE c.region = n.region AND c.epoch <= n.epoch AND may_count
        """,
        list(fenced),
        list(fenced.values()),
    )


async def listed(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Open conflicts, the oldest first."""
    rows: list[asyncpg.Record] = await conn.fetch(
        """
        SELECT event_id, region, epoch, event_type, aggregate, occurred_at, arrived_at, may_count
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
