"""Slots with professionals and who has a seat in them."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_inventory.domain import shown
from aidmesh_inventory.domain.slots import Slot


class NewSlot(NamedTuple):
    """Time with a professional; `professional` is a code, never a name."""

    slot_id: UUID
    site_id: UUID
    code: str
    professional: str
    starts_at: datetime
    ends_at: datetime
    minutes: int
    seats: int


@dataclass(frozen=True, slots=True)
class Seated:
    """The seats of a reservation; in a slot that was cancelled nobody else can have them."""

    reservation_id: UUID
    slot_id: UUID
    site_id: UUID
    code: str
    starts_at: datetime
    ends_at: datetime
    minutes: int
    seats: int
    is_open: bool


async def insert(conn: asyncpg.Connection, slots: Sequence[NewSlot]) -> set[UUID]:
    """Add slots; returns the ids of those whose professional is not elsewhere then."""
    rows = await conn.fetch(
        """
        INSERT INTO slot (id, site_id, code, professional, starts_at, ends_at, minutes, seats)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[],
            $6::timestamptz[], $7::int[], $8::int[])
        ON CONFLICT DO NOTHING RETURNING id
        """,
        *(list(column) for column in zip(*slots, strict=True)),
    )
    return {row["id"] for row in rows}


class Wish(NamedTuple):
    """Seats in a slot that starts on one of these days; one that has begun only if meant so.

    Attributes:
        starts_before: the instant before which it has to start, None for the end of `to_on`.
    """

    code: str
    from_on: date
    to_on: date | None
    seats: int
    begun_too: bool
    starts_before: datetime | None


async def picture(
    conn: asyncpg.Connection, site_ids: Collection[UUID], wishes: Sequence[Wish], at: datetime
) -> list[Slot]:
    """The slots among which every one of these wishes finds its earliest, whoever comes first.

    For each different wish these are, at each site, as many free slots as there are wishes of its
    kind: others can take all but one of them.

    Args:
        at: the clock by which a slot has begun.
    """
    of_kind = Counter(wish.code for wish in wishes)
    different = sorted(set(wishes), key=str)
    rows = await conn.fetch(
        """
        SELECT DISTINCT s.* FROM unnest($2::text[], $3::date[], $4::date[], $5::int[], $6::bool[],
                                        $7::timestamptz[], $8::int[])
             AS w (code, from_on, to_on, seats, begun_too, starts_before, wishes)
        CROSS JOIN unnest($1::uuid[]) AS site (id)
        CROSS JOIN LATERAL (
            SELECT id, site_id, code, starts_at, minutes, seats - taken AS free FROM slot
            WHERE site_id = site.id AND code = w.code AND status = 'open' AND taken < seats
              AND seats - taken >= w.seats
              AND starts_at >= w.from_on::timestamp AT TIME ZONE 'Europe/Kyiv'
              AND (w.to_on IS NULL
                   OR starts_at < (w.to_on + 1)::timestamp AT TIME ZONE 'Europe/Kyiv')
              AND (w.starts_before IS NULL OR starts_at < w.starts_before)
              AND (w.begun_too OR starts_at > $9)
            ORDER BY starts_at, id LIMIT w.wishes
        ) AS s
        """,
        list(site_ids),
        *(list(column) for column in zip(*different, strict=True)),
        [of_kind[wish.code] for wish in different],
        at,
    )
    return [Slot(*row) for row in rows]


async def book(conn: asyncpg.Connection, rows: Sequence[tuple[UUID, UUID, int]]) -> None:
    """Take seats: reservation, slot, seats.

    Raises:
        asyncpg.CheckViolationError: a slot has no such number of seats left.
    """
    if rows:
        await conn.execute(
            """
            WITH new AS (
                INSERT INTO slot_booking (reservation_id, slot_id, seats)
                SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]) RETURNING slot_id, seats
            )
            UPDATE slot SET taken = taken + s.seats
            FROM (SELECT slot_id, sum(seats)::int AS seats FROM new GROUP BY 1) AS s
            WHERE slot.id = s.slot_id
            """,
            *(list(column) for column in zip(*rows, strict=True)),
        )


async def seated(conn: asyncpg.Connection, ids: Collection[UUID]) -> list[Seated]:
    """The live seats of these reservations."""
    rows = await conn.fetch(
        """
        SELECT g.reservation_id, s.id, s.site_id, s.code, s.starts_at, s.ends_at, s.minutes,
               g.seats, s.status = 'open'
        FROM slot_booking g JOIN slot s ON s.id = g.slot_id
        WHERE g.reservation_id = ANY($1::uuid[]) AND g.live
        """,
        list(ids),
    )
    return [Seated(*row) for row in rows]


async def release(conn: asyncpg.Connection, ids: Collection[UUID]) -> list[Seated]:
    """Give the seats of these reservations back."""
    rows = await conn.fetch(
        """
        WITH gone AS (
            UPDATE slot_booking SET live = false WHERE reservation_id = ANY($1::uuid[]) AND live
            RETURNING reservation_id, slot_id, seats
        ), given AS (
            UPDATE slot SET taken = taken - s.seats
            FROM (SELECT slot_id, sum(seats)::int AS seats FROM gone GROUP BY 1) AS s
            WHERE slot.id = s.slot_id
        )
        SELECT g.reservation_id, s.id, s.site_id, s.code, s.starts_at, s.ends_at, s.minutes,
               g.seats, s.status = 'open'
        FROM gone g JOIN slot s ON s.id = g.slot_id
        """,
        list(ids),
    )
    return [Seated(*row) for row in rows]


_SENSITIVE = """
    (SELECT COALESCE(sum(g.seats), 0)::int FROM slot_booking g
     JOIN reservation r ON r.id = g.reservation_id
     WHERE g.slot_id = slot.id AND g.live AND r.sensitive)
"""


async def with_sensitive(
    conn: asyncpg.Connection, site_ids: Collection[UUID], from_on: date, to_on: date
) -> dict[tuple[UUID, str], list[shown.Seated]]:
    """Open slots of these sites, in [from_on, to_on), with seats for what only some may see.

    By site and kind.
    """
    rows = await conn.fetch(
        """
        SELECT s.site_id, s.code, (s.starts_at AT TIME ZONE 'Europe/Kyiv')::date AS day,
               sum(g.seats)::int AS sensitive, s.seats - s.taken AS free
        FROM slot s
        JOIN slot_booking g ON g.slot_id = s.id AND g.live
        JOIN reservation r ON r.id = g.reservation_id AND r.sensitive
        WHERE s.site_id = ANY($1::uuid[]) AND s.status = 'open' AND s.taken > 0
          AND s.starts_at >= $2::date::timestamp AT TIME ZONE 'Europe/Kyiv'
          AND s.starts_at < $3::date::timestamp AT TIME ZONE 'Europe/Kyiv'
        GROUP BY s.id
        """,
        list(site_ids),
        from_on,
        to_on,
    )
    found: dict[tuple[UUID, str], list[shown.Seated]] = {}
    for site_id, code, *seated in rows:
        found.setdefault((site_id, code), []).append(shown.Seated(*seated))
    return found


async def page(
    conn: asyncpg.Connection,
    *,
    site_id: UUID | None,
    code: str | None,
    from_on: date,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Slots from a day on, earliest first; `sensitive` seats are for what only some may see."""
    return await conn.fetch(
        f"""
        SELECT id AS slot_id, site_id, code, professional, starts_at, minutes, seats, taken, status,
               {_SENSITIVE} AS sensitive
        FROM slot
        WHERE ($1::uuid IS NULL OR site_id = $1) AND ($2::text IS NULL OR code = $2)
          AND starts_at >= $3::date::timestamp AT TIME ZONE 'Europe/Kyiv'
          AND ($4::timestamptz IS NULL OR (starts_at, id) > ($4, $5::uuid))
        ORDER BY starts_at, id LIMIT $6
        """,  # noqa: S608
        site_id,
        code,
        from_on,
        None if after is None else after[0],
        None if after is None else after[1],
        limit,
    )


async def key_of(conn: asyncpg.Connection, slot_id: UUID) -> tuple[UUID, str] | None:
    """Site and kind of a slot."""
    row = await conn.fetchrow("SELECT site_id, code FROM slot WHERE id = $1", slot_id)
    return None if row is None else (row["site_id"], row["code"])


async def cancel(conn: asyncpg.Connection, slot_id: UUID) -> list[UUID] | None:
    """Cancel an open slot; returns its reservations that were not attended, None if not open."""
    found = await conn.fetchval(
        "UPDATE slot SET status = 'cancelled' WHERE id = $1 AND status = 'open' RETURNING id",
        slot_id,
    )
    if found is None:
        return None
    rows = await conn.fetch(
        """
        SELECT r.id FROM slot_booking g JOIN reservation r ON r.id = g.reservation_id
        WHERE g.slot_id = $1 AND g.live AND r.state IN ('held', 'confirmed')
        """,
        slot_id,
    )
    return [row["id"] for row in rows]


async def free_by_day(
    conn: asyncpg.Connection, site_ids: Collection[UUID], since: datetime
) -> list[tuple[UUID, str, date, int]]:
    """Free seats at these sites, by kind and day in Kyiv, in slots that are still to come."""
    rows = await conn.fetch(
        """
        SELECT site_id, code, (starts_at AT TIME ZONE 'Europe/Kyiv')::date AS day,
               sum(seats - taken)::int AS free
        FROM slot
        WHERE site_id = ANY($1::uuid[]) AND status = 'open' AND taken < seats AND starts_at > $2
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        list(site_ids),
        since,
    )
    return [(row["site_id"], row["code"], row["day"], row["free"]) for row in rows]
