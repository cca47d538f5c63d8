"""The pick-up clock of cash, and what makes it stand still."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, CommitmentId, NeedId, SiteId
from aidmesh_contracts.pickup import ends_at
from aidmesh_payments.domain.payout import UNFETCHED
from aidmesh_payments.domain.pickup import Pause
from aidmesh_payments.store.commitments import Place


class Start(NamedTuple):
    """Someone was told: from when, for how many days, and until when their cash waits."""

    need_id: NeedId
    attempt_no: int
    collect_from: datetime
    collect_days: int
    collect_by: datetime


async def start_clocks(conn: asyncpg.Connection, starts: Sequence[Start]) -> None:
    """Start the clocks of what is paid in cash, or may be: how is perhaps not known yet.

    Of what goes to a bank only the days are kept, should it become cash. Only the first word to
    the person counts.
    """
    await conn.execute(
        """
        WITH told AS (
            SELECT c.id, n.collect_from, n.collect_days,
                   CASE WHEN c.state = 'committed' AND EXISTS (
                       SELECT FROM payout p WHERE p.commitment_id = c.id
                           AND COALESCE(p.mechanism, 'cash') = 'cash' AND p.state = ANY($6))
                   THEN n.collect_by END AS collect_by
            FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[], $5::timestamptz[])
                 AS n (need_id, attempt_no, collect_from, collect_days, collect_by)
            JOIN commitment c ON c.need_id = n.need_id AND c.attempt_no = n.attempt_no
            WHERE c.purpose = 'payout' AND c.collect_from IS NULL
            ORDER BY c.id FOR NO KEY UPDATE OF c
        )
        UPDATE commitment c SET collect_from = told.collect_from,
               collect_days = told.collect_days, collect_by = told.collect_by
        FROM told WHERE c.id = told.id
        """,
        *(list(column) for column in zip(*starts, strict=True)),
        sorted(UNFETCHED),
    )


async def restart_clock(conn: asyncpg.Connection, commitment_id: CommitmentId) -> None:
    """How someone is paid, or whether, was not settled until now: cash waits from now on."""
    row = await conn.fetchrow(
        """
        SELECT c.collect_days, clock_timestamp() AS now, EXISTS (
            SELECT FROM payout p WHERE p.commitment_id = c.id AND p.mechanism = 'cash'
                AND p.state = ANY($2)) AS is_cash
        FROM commitment c
        WHERE c.id = $1 AND c.state = 'committed' AND c.collect_days IS NOT NULL
        FOR NO KEY UPDATE OF c
        """,
        commitment_id,
        sorted(UNFETCHED),
    )
    if row is None:
        return
    await conn.execute(
        """
        UPDATE commitment SET collect_from = COALESCE($2, collect_from), collect_by = $3
        WHERE id = $1
        """,
        commitment_id,
        row["now"] if row["is_cash"] else None,
        ends_at(row["now"], row["collect_days"]) if row["is_cash"] else None,
    )


class Due(NamedTuple):
    """Cash whose time would be over if nothing had stood in the way."""

    place: Place
    collect_from: datetime
    collect_days: int
    site_id: UUID | None
    area: str | None


async def due(conn: asyncpg.Connection, limit: int) -> list[Due]:
    """Find cash that nobody fetched; not where its clock stands still now, nor what may have been
    fetched after the backup that this region was restored from."""
    rows = await conn.fetch(
        """
        SELECT c.id, c.need_id, c.attempt_no, c.allotment_id, c.collect_from, c.collect_days,
               c.site_id, COALESCE(s.area, c.area) AS area
        FROM commitment c
        JOIN payout p ON p.commitment_id = c.id AND p.mechanism = 'cash'
             AND p.state = ANY($2)
        LEFT JOIN site s ON s.id = c.site_id
        WHERE c.state = 'committed' AND c.collect_by <= clock_timestamp()
          AND c.collect_from IS NOT NULL
          AND NOT EXISTS (SELECT FROM unproven u
                          WHERE u.id IN (p.id, p.need_id) AND u.cleared_at IS NULL)
          AND NOT EXISTS (
              SELECT FROM pause WHERE ended_at IS NULL AND began_at <= clock_timestamp()
                AND (pause.site_id = c.site_id
                     OR starts_with(COALESCE(s.area, c.area), pause.area)))
        ORDER BY c.collect_by LIMIT $1
        """,
        limit,
        sorted(UNFETCHED),
    )
    return [
        Due(
            Place(
                CommitmentId(row["id"]),
                NeedId(row["need_id"]),
                row["attempt_no"],
                AllotmentId(row["allotment_id"]),
            ),
            row["collect_from"],
            row["collect_days"],
            row["site_id"],
            row["area"],
        )
        for row in rows
    ]


async def set_deadlines(
    conn: asyncpg.Connection, deadlines: Sequence[tuple[CommitmentId, datetime]]
) -> None:
    """Set until when cash waits, now that more pauses are known."""
    if deadlines:
        await conn.execute(
            """
            WITH mine AS (
                SELECT c.id, n.collect_by FROM unnest($1::uuid[], $2::timestamptz[])
                     AS n (id, collect_by)
                JOIN commitment c ON c.id = n.id
                WHERE c.state = 'committed' ORDER BY c.id FOR NO KEY UPDATE OF c)
            UPDATE commitment c SET collect_by = mine.collect_by FROM mine WHERE c.id = mine.id
            """,
            *(list(column) for column in zip(*deadlines, strict=True)),
        )


async def pauses_since(conn: asyncpg.Connection, since: datetime) -> list[Pause]:
    """Return the pauses that were not over at an instant."""
    rows = await conn.fetch(
        """
        SELECT began_at, ended_at, site_id, area FROM pause
        WHERE ended_at IS NULL OR ended_at > $1 ORDER BY began_at, id
        """,
        since,
    )
    return [Pause(*row) for row in rows]


async def put_pauses(conn: asyncpg.Connection, pauses: Sequence[tuple[UUID, Pause]]) -> None:
    """Keep pauses; one that is known learns its end, in whichever order they come."""
    if not pauses:
        return
    await conn.execute(
        """
        INSERT INTO pause (id, site_id, area, began_at, ended_at)
        SELECT DISTINCT ON (id) * FROM unnest($1::uuid[], $2::uuid[], $3::text[],
            $4::timestamptz[], $5::timestamptz[]) AS n (id, site_id, area, began_at, ended_at)
        ORDER BY id, ended_at
        ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at
        WHERE pause.ended_at IS NULL
        """,
        [pause_id for pause_id, _ in pauses],
        [pause.site_id for _, pause in pauses],
        [pause.area for _, pause in pauses],
        [pause.began_at for _, pause in pauses],
        [pause.ended_at for _, pause in pauses],
    )


class SiteRow(NamedTuple):
    """What inventory says of a site."""

    site_id: SiteId
    area: str
    status: str
    version: int
    as_of: datetime


async def put_sites(conn: asyncpg.Connection, sites: Sequence[SiteRow]) -> None:
    """Keep the newest state of each site; at most one row a site."""
    await conn.execute(
        """
        INSERT INTO site (id, area, status, version, as_of)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
             AS n (id, area, status, version, as_of)
        ORDER BY id
        ON CONFLICT (id) DO UPDATE SET area = excluded.area, status = excluded.status,
            version = excluded.version, as_of = excluded.as_of
        WHERE site.version < excluded.version
        """,
        *(list(column) for column in zip(*sites, strict=True)),
    )


async def last_seen(conn: asyncpg.Connection) -> tuple[datetime, datetime]:
    """When the clocks were last looked at, and now; now is remembered."""
    before: datetime | None = await conn.fetchval(
        "SELECT seen_at FROM pickup_clock FOR NO KEY UPDATE"
    )
    now: datetime = await conn.fetchval(
        """
        INSERT INTO pickup_clock (seen_at) VALUES (clock_timestamp())
        ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at RETURNING seen_at
        """
    )
    return before or now, now
