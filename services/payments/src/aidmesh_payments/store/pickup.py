"""The pick-up clock of cash, and what makes it stand still."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import AllotmentId, CommitmentId, NeedId, SiteId
from aidmesh_contracts.pickup import ends_at
from aidmesh_payments.domain.payout import UNFETCHED
from aidmesh_payments.domain.pickup import Clock, Pause
from aidmesh_payments.store.commitments import Key, Place


class Told(NamedTuple):
    """A commitment of which someone was told; locked.

    Attributes:
        clock: None if nobody was told before.
        waits: it is cash that was not fetched yet, or may be: how it goes is perhaps not known.
    """

    id: CommitmentId
    key: Key
    clock: Clock | None
    waits: bool
    site_id: UUID | None
    area: str | None


async def lock_told(conn: asyncpg.Connection, told: Iterable[Key]) -> list[Told]:
    """Lock the payments to people for attempts of which somebody was told, in order of id."""
    rows = await conn.fetch(
        """
        SELECT c.id, c.need_id, c.attempt_no, c.collect_from, c.collect_days, c.site_id,
               COALESCE((SELECT s.area FROM site s WHERE s.id = c.site_id), c.area) AS area,
               c.state = 'committed' AND EXISTS (
                   SELECT FROM payout p WHERE p.commitment_id = c.id
                       AND COALESCE(p.mechanism, 'cash') = 'cash' AND p.state = ANY($3)) AS waits
        FROM unnest($1::uuid[], $2::int[]) AS n (need_id, attempt_no)
        JOIN commitment c ON c.need_id = n.need_id AND c.attempt_no = n.attempt_no
        WHERE c.purpose = 'payout' ORDER BY c.id FOR NO KEY UPDATE OF c
        """,
        *(list(column) for column in zip(*told, strict=True)),
        sorted(UNFETCHED),
    )
    return [
        Told(
            CommitmentId(row["id"]),
            (NeedId(row["need_id"]), row["attempt_no"]),
            None
            if row["collect_from"] is None
            else Clock(row["collect_from"], row["collect_days"]),
            row["waits"],
            row["site_id"],
            row["area"],
        )
        for row in rows
    ]


class Start(NamedTuple):
    """From when the clock of a commitment runs, and until when cash waits.

    Attributes:
        collect_by: None of what goes to a bank: only its days are kept, should it become cash.
    """

    id: CommitmentId
    clock: Clock
    collect_by: datetime | None


async def start_clocks(conn: asyncpg.Connection, starts: Sequence[Start]) -> None:
    """Start the clocks of locked commitments, or start them anew; never to end earlier."""
    await conn.execute(
        """
        UPDATE commitment c SET collect_from = n.collect_from, collect_days = n.collect_days,
               collect_by = greatest(c.collect_by, n.collect_by)
        FROM unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::timestamptz[])
             AS n (id, collect_from, collect_days, collect_by)
        WHERE c.id = n.id
        """,
        [each.id for each in starts],
        [each.clock.started_at for each in starts],
        [each.clock.collect_days for each in starts],
        [each.collect_by for each in starts],
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
    """Set until when cash waits, now that more pauses are known; somebody told again has more."""
    if deadlines:
        await conn.execute(
            """
            WITH mine AS (
                SELECT c.id, n.collect_by FROM unnest($1::uuid[], $2::timestamptz[])
                     AS n (id, collect_by)
                JOIN commitment c ON c.id = n.id
                WHERE c.state = 'committed' ORDER BY c.id FOR NO KEY UPDATE OF c)
            UPDATE commitment c SET collect_by = greatest(c.collect_by, mine.collect_by)
            FROM mine WHERE c.id = mine.id
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
