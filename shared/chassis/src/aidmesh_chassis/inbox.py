"""Each event is handled once: its id is written in the transaction that handles it.

Here too: messages that could not be handled, with the count of attempts and how it ended.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis.envelope import Received, hash_of
from aidmesh_contracts.base import Event

OTHER_CONTENT: Final = "id_reused_with_other_content"
EXPIRED: Final = "payload_expired"
"""Why a letter is dead: sealed payloads are kept no longer than in the stream they came from."""

UNKNOWN_CONTENT: Final = b""
"""The hash of what was blanked before it was dropped: whatever comes under that id is known."""

LEASE_S: Final = 60.0
"""How long a letter that is being tried is left alone: longer than its transaction may take."""

_SEALED = """(starts_with(subject, 'private.') OR starts_with(subject, 'handoff.'))
              AND payload <> ''"""
"""Letters that hold sealed personal data."""


async def admit(
    conn: asyncpg.Connection, batch: Sequence[Received[Event]]
) -> tuple[set[UUID], set[UUID]]:
    """Write the ids of a batch; each may be in it once.

    The id alone decides: the time beside it in the key follows from the id (`inbox_time`), not
    from what the message says of itself.

    Returns:
        ids that are new, and ids known already but with other content.
    """
    ids = [item.event_id for item in batch]
    hashes = [item.content_hash for item in batch]
    rows = await conn.fetch(
        """
        INSERT INTO inbox (event_id, occurred_at, content_hash)
        SELECT id, inbox_time(id), hash FROM unnest($1::uuid[], $2::bytea[]) AS new (id, hash)
        ORDER BY id
        ON CONFLICT DO NOTHING RETURNING event_id
        """,
        ids,
        hashes,
    )
    fresh = {row["event_id"] for row in rows}
    if len(fresh) == len(batch):
        return fresh, set()
    rows = await conn.fetch(
        """
        SELECT i.event_id FROM inbox i
        JOIN unnest($1::uuid[], $2::bytea[]) AS new (id, hash)
          ON i.event_id = new.id AND i.occurred_at = inbox_time(new.id)
             AND i.content_hash NOT IN (new.hash, $3)
        """,
        ids,
        hashes,
        UNKNOWN_CONTENT,
    )
    return fresh, {row["event_id"] for row in rows}


async def pass_over(conn: asyncpg.Connection, event_id: UUID, payload: bytes) -> bool:
    """Write the id of an event that is never to be handled; returns whether it is new.

    Args:
        conn: in a transaction. Whoever is handling the event at this moment is waited for.
        event_id: of its message.
        payload: as it came; empty where it was blanked.
    """
    result = await conn.execute(
        """
        INSERT INTO inbox (event_id, occurred_at, content_hash) VALUES ($1, inbox_time($1), $2)
        ON CONFLICT DO NOTHING
        """,
        event_id,
        hash_of(payload) if payload else UNKNOWN_CONTENT,
    )
    return result == "INSERT 0 1"


class Letter(NamedTuple):
    """A message set aside: as it came from the wire."""

    durable: str
    event_id: UUID
    subject: str
    headers: dict[str, str]
    payload: bytes


async def count_failure(
    conn: asyncpg.Connection,
    letter: Letter,
    reason: str,
    attempts_max: int,
    retry_s: float | None = None,
) -> int:
    """Record that handling failed; returns the attempts so far.

    A letter that a person dropped stays so, and counts as having used up its attempts.

    Args:
        conn: in a transaction.
        letter: what could not be handled.
        reason: a code, never data of the message.
        attempts_max: after so many failures the letter is dead and waits for a person.
        retry_s: None where the stream brings the message again; else the letter is parked, and
            due after this, twice as long after each further failure.
    """
    attempts: int | None = await conn.fetchval(
        """
        INSERT INTO dead_letter AS l (durable, event_id, subject, headers, payload, reason,
                                      attempts, status, retry_at)
        VALUES ($1, $2, $3, $4, $5, $6, 1,
                CASE WHEN $7 <= 1 THEN 'dead' WHEN $8::float8 IS NULL THEN 'failing'
                     ELSE 'parked' END,
                now() + make_interval(secs => $8))
        ON CONFLICT (durable, event_id) DO UPDATE
        SET attempts = l.attempts + 1, reason = excluded.reason, changed_at = now(),
            status = CASE WHEN l.attempts + 1 >= $7 THEN 'dead' ELSE excluded.status END,
            retry_at = now() + make_interval(secs => $8 * 2 ^ l.attempts)
        WHERE l.status <> 'dropped'
        RETURNING attempts
        """,
        letter.durable,
        letter.event_id,
        letter.subject,
        json.dumps(letter.headers),
        letter.payload,
        reason,
        attempts_max,
        retry_s,
    )
    return attempts_max if attempts is None else attempts


async def set_aside(
    conn: asyncpg.Connection, letter: Letter, status: str, reason: str, retry_s: float | None
) -> bool:
    """Write a letter as `dead` or `parked`; a parked one comes again after `retry_s` seconds.

    To be parked by a handler is no failure: the count of attempts begins anew.

    Returns:
        False for one that was dropped: it stays so.
    """
    result = await conn.execute(
        """
        INSERT INTO dead_letter AS l (durable, event_id, subject, headers, payload, status, reason,
                                      attempts, retry_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, CASE $6 WHEN 'parked' THEN 0 ELSE 1 END,
                now() + make_interval(secs => $8))
        ON CONFLICT (durable, event_id) DO UPDATE
        SET status = excluded.status, reason = excluded.reason, retry_at = excluded.retry_at,
            attempts = CASE excluded.status WHEN 'parked' THEN 0 ELSE l.attempts + 1 END,
            changed_at = now()
        WHERE l.status <> 'dropped'
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
    return result == "INSERT 0 1"


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


async def settle_handled(conn: asyncpg.Connection, durable: str) -> int:
    """Mark letters as done whose event was handled after all; returns how many.

    A message that failed comes again in a batch, or a service crashed after it had written the
    letter and before the server knew. Looked for here, so that no batch has to.
    """
    result = await conn.execute(
        """
        UPDATE dead_letter l SET status = 'done', changed_at = now()
        WHERE durable = $1 AND status IN ('failing', 'parked', 'dead') AND reason <> $2
          AND EXISTS (SELECT FROM inbox i WHERE i.event_id = l.event_id
                      AND i.occurred_at = inbox_time(l.event_id))
        """,
        durable,
        OTHER_CONTENT,
    )
    return int(result.split()[-1])


async def blank_letters_kept(conn: asyncpg.Connection, kept_days: int, limit: int) -> int:
    """Blank sealed letters that came over `kept_days` ago; returns how many.

    One that was still to be tried is dead then: there is nothing left to try.
    """
    result = await conn.execute(
        f"""
        UPDATE dead_letter l SET payload = '', changed_at = now(), retry_at = NULL,
               status = CASE WHEN status IN ('failing', 'parked') THEN 'dead' ELSE status END,
               reason = CASE WHEN status IN ('failing', 'parked') THEN $3 ELSE reason END
        FROM (SELECT id FROM dead_letter
              WHERE {_SEALED}
                AND first_at < now() - make_interval(days => $1)
              ORDER BY first_at LIMIT $2 FOR UPDATE SKIP LOCKED) old
        WHERE l.id = old.id
        """,  # noqa: S608 - our condition
        kept_days,
        limit,
        EXPIRED,
    )
    return int(result.split()[-1])


async def due(conn: asyncpg.Connection, durable: str, limit: int) -> list[Letter]:
    """Take parked letters whose time has come; nobody else is given them for `LEASE_S`.

    Whoever tries one writes down when it comes again, unless it crashes: then it comes after that.
    """
    rows = await conn.fetch(
        """
        UPDATE dead_letter l SET retry_at = now() + make_interval(secs => $3)
        FROM (SELECT id FROM dead_letter
              WHERE durable = $1 AND status = 'parked' AND retry_at <= now()
              ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED) due
        WHERE l.id = due.id
        RETURNING l.id, event_id, subject, headers, payload
        """,
        durable,
        limit,
        LEASE_S,
    )
    return [
        Letter(
            durable,
            row["event_id"],
            row["subject"],
            json.loads(row["headers"]),
            row["payload"],
        )
        for row in sorted(rows, key=lambda row: row["id"])
    ]


async def durables_with_letters(conn: asyncpg.Connection) -> set[str]:
    """Return the consumers that have letters which are not settled yet."""
    rows = await conn.fetch(
        "SELECT DISTINCT durable FROM dead_letter WHERE status IN ('failing', 'parked', 'dead')"
    )
    return {row["durable"] for row in rows}


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
        f"""
        SELECT DISTINCT headers ->> 'ce-subject' AS aggregate FROM dead_letter
        WHERE {_SEALED}
          AND headers ->> 'ce-subject' IS NOT NULL
        """  # noqa: S608 - our condition
    )
    return [row["aggregate"] for row in rows]


async def sealed_letters_by(conn: asyncpg.Connection, member: str) -> dict[str, str | None]:
    """Return the aggregates of letters that hold sealed personal data, each with a member of it.

    Args:
        member: of the event, a text that needs no escape in JSON; None where there is none. It is
            looked for in the bytes as they came: a letter may be broken.
    """
    rows = await conn.fetch(
        """
        SELECT headers ->> 'ce-subject' AS aggregate,
               max(substring(encode(payload, 'escape') FROM $1)) AS member
        FROM dead_letter
        WHERE starts_with(subject, 'private.') AND payload <> ''
          AND headers ->> 'ce-subject' IS NOT NULL
        GROUP BY 1
        """,
        rf'"{member}"\s*:\s*"([^"\\]*)"',
    )
    return {row["aggregate"]: row["member"] for row in rows}


async def blank_letters(conn: asyncpg.Connection, aggregate_ids: Collection[object]) -> None:
    """Drop and blank the sealed letters of these aggregates: whoever they speak of was erased."""
    await conn.execute(
        f"""
        UPDATE dead_letter SET payload = '', changed_at = now(), retry_at = NULL,
               status = CASE status WHEN 'done' THEN status ELSE 'dropped' END
        WHERE {_SEALED}
          AND headers ->> 'ce-subject' = ANY($1::text[])
        """,  # noqa: S608 - our condition
        [str(each) for each in aggregate_ids],
    )
