"""Reservations as staff see them. Sensitive ones are not there for those who may not see them."""

from collections.abc import Collection
from uuid import UUID

import asyncpg

_VIEW = """
    SELECT r.id AS reservation_id, r.need_id, r.attempt_no, r.way, r.state, r.cause, r.site_id,
           r.to_site_id,
           r.planned_on, r.hold_until, r.told_at, r.collect_by, r.served_on, r.issue_no,
           (SELECT COALESCE(jsonb_agg(jsonb_build_object(
                'lot_id', a.lot_id, 'item', l.item, 'quantity', a.quantity, 'expiry', l.expiry)
                ORDER BY l.item, l.expiry, l.id), '[]')
            FROM allocation a JOIN lot l ON l.id = a.lot_id WHERE a.reservation_id = r.id)
               AS allocations,
           (SELECT jsonb_build_object('resource', 'bed', 'code', min(b.code),
                'from_on', min(COALESCE(lower(g.stay), g.left_on)),
                'to_on', max(COALESCE(upper(g.stay), g.left_on)), 'left_on', max(g.left_on),
                'left_by_clock', COALESCE(bool_or(g.left_by_clock), false), 'places', count(*),
                'beds', jsonb_agg(b.label ORDER BY b.label))
            FROM bed_booking g JOIN bed b ON b.id = g.bed_id
            WHERE g.reservation_id = r.id HAVING count(*) > 0) AS beds,
           (SELECT jsonb_build_object('resource', 'slot', 'code', s.code, 'slot_id', s.id,
                'starts_at', s.starts_at, 'minutes', s.minutes, 'places', g.seats)
            FROM slot_booking g JOIN slot s ON s.id = g.slot_id WHERE g.reservation_id = r.id)
               AS slot
    FROM reservation r
"""


async def by_ids(
    conn: asyncpg.Connection, ids: Collection[UUID], *, sensitive_too: bool
) -> list[asyncpg.Record]:
    """These reservations."""
    return await conn.fetch(
        f"{_VIEW} WHERE r.id = ANY($1::uuid[]) AND ($2 OR NOT r.sensitive) ORDER BY r.id",
        list(ids),
        sensitive_too,
    )


async def page(
    conn: asyncpg.Connection,
    *,
    states: Collection[str],
    site_id: UUID | None,
    way: str | None,
    sensitive_too: bool,
    after: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Reservations in some states, by id."""
    return await conn.fetch(
        f"""{_VIEW}
        WHERE r.state = ANY($1::text[]) AND ($2::uuid IS NULL OR r.site_id = $2)
          AND ($3::text IS NULL OR r.way = $3) AND ($4 OR NOT r.sensitive)
          AND ($5::uuid IS NULL OR r.id > $5)
        ORDER BY r.id LIMIT $6
        """,
        list(states),
        site_id,
        way,
        sensitive_too,
        after,
        limit,
    )


async def current(
    conn: asyncpg.Connection, need_ids: Collection[UUID], *, sensitive_too: bool
) -> list[asyncpg.Record]:
    """The latest reservation of each of these needs."""
    return await conn.fetch(
        f"""{_VIEW}
        WHERE r.id IN (SELECT DISTINCT ON (need_id) id FROM reservation
                       WHERE need_id = ANY($1::uuid[]) ORDER BY need_id, attempt_no DESC)
          AND ($2 OR NOT r.sensitive)
        ORDER BY r.id
        """,  # noqa: S608 - a constant
        list(need_ids),
        sensitive_too,
    )


async def by_number(
    conn: asyncpg.Connection, first: UUID, last: UUID, limit: int, *, sensitive_too: bool
) -> list[asyncpg.Record]:
    """The latest reservation of each need whose id lies between two, by id of the need."""
    return await conn.fetch(
        f"""{_VIEW}
        WHERE r.id IN (SELECT DISTINCT ON (need_id) id FROM reservation
                       WHERE need_id BETWEEN $1 AND $2 ORDER BY need_id, attempt_no DESC LIMIT $3)
          AND ($4 OR NOT r.sensitive)
        ORDER BY r.need_id
        """,  # noqa: S608 - a constant
        first,
        last,
        limit,
        sensitive_too,
    )
