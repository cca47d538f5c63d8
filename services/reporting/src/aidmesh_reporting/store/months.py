"""Months: to publish anew, published and settled, and what other regions published."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_contracts.reporting import MonthlyResultsV1
from aidmesh_reporting.domain.results import PublishedLine, PublishedMonth
from aidmesh_reporting.store.kept import payload_of
from aidmesh_reporting.store.rows import columns


async def put_world_months(
    conn: asyncpg.Connection, events: Sequence[tuple[str, MonthlyResultsV1]]
) -> None:
    """Keep other regions' results, the highest version of each month."""
    newest = {
        (region, event.month): event
        for region, event in sorted(events, key=lambda each: each[1].version)
    }
    await conn.execute(
        """
        INSERT INTO world_month (region, month, version, as_of, payload)
        SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::bytea[])
            AS n (region, month)
        ORDER BY region, month
        ON CONFLICT (region, month) DO UPDATE
        SET version = excluded.version, as_of = excluded.as_of, payload = excluded.payload
        WHERE world_month.version < excluded.version
        """,
        *columns(
            (region, month, event.version, event.as_of, payload_of(event))
            for (region, month), event in newest.items()
        ),
    )


async def mark_dirty(conn: asyncpg.Connection, months: Iterable[str]) -> None:
    """Have months published anew."""
    await conn.execute(
        """
        INSERT INTO dirty_month (month) SELECT * FROM unnest($1::text[])
        ON CONFLICT (month) DO UPDATE SET changed_at = now()
        """,
        sorted(set(months)),
    )


async def world_months(conn: asyncpg.Connection, months: Sequence[str]) -> list[PublishedMonth]:
    """Return what other regions published of these months."""
    rows = await conn.fetch(
        "SELECT region, payload FROM world_month WHERE month = ANY($1::text[])", list(months)
    )
    published: list[PublishedMonth] = []
    for row in rows:
        event = MonthlyResultsV1.model_validate_json(row["payload"])
        published.append(
            PublishedMonth(
                region=row["region"],
                month=event.month,
                as_of=event.as_of,
                people=event.people,
                services=event.services,
                contacts=event.contacts,
                year_people=event.year_people,
                lines=tuple(
                    PublishedLine(
                        line.area,
                        line.kind,
                        line.grant_id,
                        line.people,
                        line.services,
                        line.contacts,
                        line.quantity,
                        line.unit,
                        line.sensitive,
                    )
                    for line in event.lines
                ),
                settled=event.settled,
                elsewhere=event.elsewhere,
                year_elsewhere=event.year_elsewhere,
            )
        )
    return published


async def heard(conn: asyncpg.Connection) -> dict[str, datetime]:
    """Return of when each other region's newest word is, whatever month it was about."""
    rows = await conn.fetch(
        "SELECT region, max(as_of) AS as_of FROM world_month GROUP BY region ORDER BY region"
    )
    return {row["region"]: row["as_of"] for row in rows}


async def take_dirty(
    conn: asyncpg.Connection, limit: int, rest_s: float, restless_s_max: float
) -> list[str]:
    """Take months to publish anew: those at rest for so long, or changing for longer than that."""
    rows = await conn.fetch(
        """
        DELETE FROM dirty_month WHERE month IN (
            SELECT month FROM dirty_month
            WHERE changed_at <= now() - make_interval(secs => $2)
               OR since <= now() - make_interval(secs => $3)
            ORDER BY month LIMIT $1)
        RETURNING month
        """,
        limit,
        rest_s,
        restless_s_max,
    )
    return [row["month"] for row in rows]


async def published(conn: asyncpg.Connection) -> dict[str, tuple[int, bytes]]:
    """Return version and content hash of every month published so far."""
    rows = await conn.fetch("SELECT month, version, content_hash FROM published_month")
    return {row["month"]: (row["version"], row["content_hash"]) for row in rows}


async def put_published(
    conn: asyncpg.Connection, month: str, version: int, content_hash: bytes
) -> None:
    """Record a publication."""
    await conn.execute(
        """
        INSERT INTO published_month (month, version, content_hash, as_of)
        VALUES ($1, $2, $3, now())
        ON CONFLICT (month) DO UPDATE
        SET version = excluded.version, content_hash = excluded.content_hash, as_of = now()
        """,
        month,
        version,
        content_hash,
    )


async def settled(conn: asyncpg.Connection, months: Sequence[str]) -> set[str]:
    """Return which of these months a lead has settled."""
    rows = await conn.fetch(
        "SELECT month FROM settled_month WHERE month = ANY($1::text[])", list(months)
    )
    return {row["month"] for row in rows}


async def settle(conn: asyncpg.Connection, month: str, by: UUID) -> None:
    """Record that a month is settled; the first decision stays."""
    await conn.execute(
        "INSERT INTO settled_month (month, settled_by) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        month,
        by,
    )


async def list_months(
    conn: asyncpg.Connection, *, sensitive_too: bool, after: str | None, limit: int
) -> list[asyncpg.Record]:
    """Return months with services, and settled ones: since when, and what was published of each.

    Looks at one service of each month, the first, and from there on for one of a later month.

    Args:
        sensitive_too: whether sensitive services make a month, and it is told what was published:
            whoever asks again and again would see the minute in which one was given.
    """
    return await conn.fetch(
        """
        WITH RECURSIVE first_served AS (
            (SELECT month, served_on FROM service
             WHERE $1 OR NOT sensitive ORDER BY served_on LIMIT 1)
            UNION ALL
            SELECT later.month, later.served_on FROM first_served f CROSS JOIN LATERAL (
                SELECT month, served_on FROM service
                WHERE ($1 OR NOT sensitive)
                  AND served_on >= date_trunc('month', f.served_on::timestamp) + interval '1 month'
                ORDER BY served_on LIMIT 1) later)
        SELECT m.month, s.settled_at, p.version, p.as_of AS published_at
        FROM (SELECT month FROM first_served UNION SELECT month FROM settled_month) m
        LEFT JOIN settled_month s USING (month)
        LEFT JOIN published_month p ON $1 AND p.month = m.month
        WHERE $2::text IS NULL OR m.month > $2
        ORDER BY m.month LIMIT $3
        """,
        sensitive_too,
        after,
        limit,
    )
