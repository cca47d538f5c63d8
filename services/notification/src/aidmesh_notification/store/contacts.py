"""Who may be reached how: sealed cards of people, and of staff who want the digest."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg


async def put_contacts(
    conn: asyncpg.Connection, cards: Sequence[tuple[UUID, int, bytes]]
) -> list[UUID]:
    """Store sealed cards; the highest version wins and an erased person stays erased.

    Args:
        cards: person, version and sealed card, at most one for each person.

    Returns:
        the persons whose card is new.
    """
    rows = await conn.fetch(
        """
        INSERT INTO contact (person_id, version, sealed)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::bytea[]) AS n (person_id, version, sealed)
        ORDER BY person_id
        ON CONFLICT (person_id) DO UPDATE
        SET version = excluded.version, sealed = excluded.sealed, changed_at = now()
        WHERE contact.erased_at IS NULL AND contact.version < excluded.version
        RETURNING person_id
        """,
        *(list(column) for column in zip(*cards, strict=True)),
    )
    return [row["person_id"] for row in rows]


async def erase_contacts(conn: asyncpg.Connection, persons: Sequence[UUID]) -> None:
    """Delete the cards of these persons for good; a tombstone stays."""
    await conn.execute(
        """
        INSERT INTO contact (person_id, version, sealed, erased_at)
        SELECT person_id, 0, NULL, now() FROM unnest($1::uuid[]) AS n (person_id)
        ORDER BY person_id
        ON CONFLICT (person_id) DO UPDATE
        SET sealed = NULL, erased_at = coalesce(contact.erased_at, now()), changed_at = now()
        """,
        list(persons),
    )


async def erased_among(conn: asyncpg.Connection, persons: Sequence[str]) -> list[UUID]:
    """Of these persons those who were erased."""
    rows = await conn.fetch(
        """
        SELECT person_id FROM contact
        WHERE person_id::text = ANY($1::text[]) AND erased_at IS NOT NULL
        """,
        list(persons),
    )
    return [row["person_id"] for row in rows]


async def put_subscription(conn: asyncpg.Connection, staff_id: UUID, sealed: bytes) -> None:
    """Store where a member of staff wants the digest; a later one replaces it."""
    await conn.execute(
        """
        INSERT INTO subscription (staff_id, sealed) VALUES ($1, $2)
        ON CONFLICT (staff_id) DO UPDATE SET sealed = excluded.sealed, changed_at = now()
        """,
        staff_id,
        sealed,
    )


async def delete_subscription(conn: asyncpg.Connection, staff_id: UUID) -> bool:
    """Forget a subscription; returns whether there was one."""
    return (
        await conn.execute("DELETE FROM subscription WHERE staff_id = $1", staff_id) == "DELETE 1"
    )


async def subscribed_since(conn: asyncpg.Connection, staff_id: UUID) -> datetime | None:
    """Return when a member of staff last set their subscription, None without one."""
    since: datetime | None = await conn.fetchval(
        "SELECT changed_at FROM subscription WHERE staff_id = $1", staff_id
    )
    return since


async def claim_digests(conn: asyncpg.Connection, on: date, limit: int) -> list[UUID]:
    """Take members of staff who had no digest on this day yet."""
    rows = await conn.fetch(
        """
        WITH mine AS (
            SELECT staff_id FROM subscription
            WHERE last_digest_on IS NULL OR last_digest_on < $1
            ORDER BY staff_id LIMIT $2 FOR UPDATE SKIP LOCKED)
        UPDATE subscription s SET last_digest_on = $1
        FROM mine WHERE s.staff_id = mine.staff_id RETURNING s.staff_id
        """,
        on,
        limit,
    )
    return [row["staff_id"] for row in rows]
