"""Each event is handled once: its id is written in the transaction that handles it.

Here too: messages that could not be handled, with the count of attempts and how it ended.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis.envelope import Received
from aidmesh_contracts.base import Event


async def admit(
    conn: asyncpg.Connection, batch: Sequence[Received[Event]]
) -> tuple[set[UUID], set[UUID]]:
    """Write the ids of a batch.

    Returns:
        ids that are new, and ids known already but with other content.
    """
    ids = [item.event_id for item in batch]
    times = [item.occurred_at for item in batch]
    hashes = [item.content_hash for item in batch]
    rows = await conn.fetch(
        """
        INSERT INTO inbox (event_id, occurred_at, content_hash)
        SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::bytea[]) AS new (id, at, hash)
        ORDER BY id
        ON CONFLICT DO NOTHING RETURNING event_id
        """,
        ids,
        times,
        hashes,
    )
    fresh = {row["event_id"] for row in rows}
    if len(fresh) == len(batch):
        return fresh, set()
    rows = await conn.fetch(
        """
        SELECT i.event_id FROM inbox i
        JOIN unnest($1::uuid[], $2::timestamptz[], $3::bytea[]) AS new (id, at, hash)
          ON i.event_id = new.id AND i.occurred_at = new.at AND i.content_hash <> new.hash
        """,
        ids,
        times,
        hashes,
    )
    return fresh, {row["event_id"] for row in rows}


class Letter(NamedTuple):
    """A message set aside: as it came from the wire."""

    durable: str
    event_id: UUID
    subject: str
    headers: dict[str, str]
    payload: bytes


async def count_failure(
    conn: asyncpg.Connection, letter: Letter, reason: str, attempts_max: int
) -> int:
    """Record that handling failed; returns the attempts so far.

    At `attempts_max` the letter is dead and waits for a person.
    """
    attempts: int = await conn.fetchval(
        """
        INSERT INTO dead_letter (durable, event_id, subject, headers, payload, reason, attempts,
                                 status)
        VALUES ($1, $2, $3, $4, $5, $6, 1, CASE WHEN $7 <= 1 THEN 'dead' ELSE 'failing' END)
        ON CONFLICT (durable, event_id) DO UPDATE
        SET attempts = dead_letter.attempts + 1, reason = excluded.reason, changed_at = now(),
            status = CASE WHEN dead_letter.attempts + 1 >= $7 THEN 'dead' ELSE 'failing' END
        RETURNING attempts
        """,
        letter.durable,
        letter.event_id,
        letter.subject,
        json.dumps(letter.headers),
        letter.payload,
        reason,
        attempts_max,
    )
    return attempts


async def set_aside(
    conn: asyncpg.Connection, letter: Letter, status: str, reason: str, retry_s: float | None
) -> None:
    """Write a letter as `dead` or `parked`; a parked one comes again after `retry_s` seconds."""
    await conn.execute(
        """
        INSERT INTO dead_letter (durable, event_id, subject, headers, payload, status, reason,
                                 attempts, retry_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 1, now() + make_interval(secs => $8))
        ON CONFLICT (durable, event_id) DO UPDATE
        SET status = excluded.status, reason = excluded.reason, retry_at = excluded.retry_at,
            attempts = dead_letter.attempts + 1, changed_at = now()
        """,
        letter.durable,
        letter.event_id,
        letter.subject,
        json.dumps(letter.headers),
        letter.payload,
        status,
        reason,
        retry_s,
    )


async def settle(conn: asyncpg.Connection, durable: str, ids: Sequence[UUID]) -> None:
    """Mark letters of handled events as done."""
    await conn.execute(
        """
        UPDATE dead_letter SET status = 'done', changed_at = now()
        WHERE durable = $1 AND event_id = ANY($2::uuid[]) AND status IN ('failing', 'parked')
        """,
        durable,
        list(ids),
    )


async def due(conn: asyncpg.Connection, durable: str, limit: int) -> list[Letter]:
    """Return parked letters whose time has come, locked against other replicas."""
    rows = await conn.fetch(
        """
        SELECT event_id, subject, headers, payload FROM dead_letter
        WHERE durable = $1 AND status = 'parked' AND retry_at <= now()
        ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        durable,
        limit,
    )
    return [
        Letter(
            durable,
            row["event_id"],
            row["subject"],
            json.loads(row["headers"]),
            row["payload"],
        )
        for row in rows
    ]


async def open_letters(conn: asyncpg.Connection) -> Mapping[str, int]:
    """Count the letters not settled yet, by status."""
    rows = await conn.fetch(
        """
        SELECT status, count(*) AS letters FROM dead_letter
        WHERE status IN ('failing', 'parked', 'dead') GROUP BY status
        """
    )
    return {row["status"]: row["letters"] for row in rows}


async def sealed_letters(conn: asyncpg.Connection) -> list[str]:
    """Return the aggregates of letters that hold sealed personal data."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT headers ->> 'ce-subject' AS aggregate FROM dead_letter
        WHERE starts_with(subject, 'private.') AND payload <> ''
          AND headers ->> 'ce-subject' IS NOT NULL
        """
    )
    return [row["aggregate"] for row in rows]


async def blank_letters(conn: asyncpg.Connection, aggregate_ids: Collection[object]) -> None:
    """Drop and blank the sealed letters of these aggregates: whoever they speak of was erased."""
    await conn.execute(
        """
        UPDATE dead_letter SET payload = '', changed_at = now(), retry_at = NULL,
               status = CASE status WHEN 'done' THEN status ELSE 'dropped' END
        WHERE starts_with(subject, 'private.') AND payload <> ''
          AND headers ->> 'ce-subject' = ANY($1::text[])
        """,
        [str(each) for each in aggregate_ids],
    )


async def blank_settled_letters(conn: asyncpg.Connection, older_days: int, limit: int) -> int:
    """Blank sealed letters that were settled over `older_days` ago; returns how many."""
    result = await conn.execute(
        """
        UPDATE dead_letter SET payload = '' WHERE id IN (
            SELECT id FROM dead_letter
            WHERE starts_with(subject, 'private.') AND payload <> ''
              AND status IN ('done', 'dropped') AND changed_at < now() - make_interval(days => $1)
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        older_days,
        limit,
    )
    return int(result.split()[-1])
