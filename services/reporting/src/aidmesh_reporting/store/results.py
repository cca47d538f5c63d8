"""Results out: what the facts add up to."""

from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_reporting.domain.results import Cell, Dimension, Line

# What was given in the period and not reversed; nights as settled; who bore what. A stay belongs
# to the service of the same check-in; those told of without one, to the need's last. What inventory
# booked of a fact tells where it counts; until then that is where it was entered.
# $1, $2: first and last day. $3: of sensitive kinds, of others, or (NULL) of all.
_FACTS = """
    WITH live AS (
        SELECT s.need_id, s.service_no, s.event_id, s.kind, coalesce(b.area, s.area) AS area,
               s.month, s.unit, s.headcount, s.served_on,
               coalesce(t.nights, s.quantity) AS quantity, t.event_id AS stay_event_id,
               b.event_id AS booked_event_id,
               CASE WHEN t.has_shares THEN t.reservation_id END AS settled_by
        FROM service s LEFT JOIN booked_fact b USING (need_id) LEFT JOIN LATERAL (
            SELECT st.nights, st.event_id, st.has_shares, st.reservation_id FROM stay st
            WHERE s.unit = 'night' AND st.need_id = s.need_id
              AND (st.attempt_no IS NULL OR s.attempt_no IS NULL
                   OR (st.attempt_no, st.issue_no) = (s.attempt_no, s.issue_no))
            ORDER BY st.occurred_at DESC, st.event_id DESC LIMIT 1) t ON true
        WHERE s.served_on BETWEEN $1 AND $2 AND ($3::boolean IS NULL OR s.sensitive = $3)
          AND NOT EXISTS (
            SELECT 1 FROM reversal r
            WHERE r.need_id = s.need_id AND r.service_no = s.service_no)),
    paid AS (
        SELECT l.need_id, l.service_no, h.grant_id, h.amount_minor, h.currency
        FROM live l JOIN share h USING (need_id, service_no) WHERE l.settled_by IS NULL
        UNION ALL
        SELECT l.need_id, l.service_no, h.grant_id, h.amount_minor, h.currency
        FROM live l JOIN booked_share h USING (need_id) WHERE l.settled_by IS NULL
        UNION ALL
        SELECT l.need_id, l.service_no, h.grant_id, h.amount_minor, h.currency
        FROM live l JOIN stay_share h ON h.reservation_id = l.settled_by
        UNION ALL
        SELECT l.need_id, l.service_no, p.grant_id, p.amount_minor, p.currency
        FROM live l JOIN spend p USING (need_id)
        WHERE NOT p.fulfils AND NOT EXISTS (
            SELECT 1 FROM spend_reversal r
            WHERE r.commitment_id = p.commitment_id AND r.spend_no = p.spend_no)),
    bearer AS (
        SELECT DISTINCT ON (need_id, service_no) need_id, service_no, grant_id
        FROM (SELECT need_id, service_no, grant_id, sum(amount_minor) AS amount_minor
              FROM paid GROUP BY need_id, service_no, grant_id) b
        ORDER BY need_id, service_no, amount_minor DESC, grant_id NULLS LAST),
    given AS (
        SELECT l.*, b.grant_id FROM live l LEFT JOIN bearer b USING (need_id, service_no))
"""

# $4 … $8: whether to split by kind, area, month, grant, unit.
_SPLIT = """
    CASE WHEN $4 THEN g.kind END AS kind, CASE WHEN $5 THEN g.area END AS area,
    CASE WHEN $6 THEN g.month END AS month
"""

_SERVICES = f"""{_FACTS}
    SELECT {_SPLIT}, CASE WHEN $7 THEN g.grant_id END AS grant_id,
           CASE WHEN $8 THEN g.unit END AS unit, g.unit AS of_unit, count(*) AS services,
           sum(g.quantity)::bigint AS quantity, coalesce(sum(g.headcount), 0) AS contacts
    FROM given g GROUP BY 1, 2, 3, 4, 5, 6 LIMIT $9
"""  # noqa: S608

_PEOPLE = f"""{_FACTS}
    SELECT {_SPLIT}, CASE WHEN $7 THEN g.grant_id END AS grant_id,
           CASE WHEN $8 THEN g.unit END AS unit,
           count(DISTINCT coalesce(a.root_id, p.person_id)) AS people
    FROM given g JOIN service_person p USING (need_id, service_no)
    LEFT JOIN same_person a ON a.person_id = p.person_id GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608

_AMOUNTS = f"""{_FACTS}
    SELECT {_SPLIT}, CASE WHEN $7 THEN p.grant_id END AS grant_id,
           CASE WHEN $8 THEN g.unit END AS unit, p.currency,
           sum(p.amount_minor)::bigint AS amount_minor
    FROM live g JOIN paid p USING (need_id, service_no) GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608

_TRACE = f"""{_FACTS}
    SELECT g.need_id, g.service_no, g.served_on, g.kind, g.area, g.grant_id, g.event_id,
           g.stay_event_id, g.booked_event_id,
           array(SELECT p.event_id FROM spend p WHERE p.need_id = g.need_id AND NOT EXISTS (
                     SELECT 1 FROM spend_reversal r WHERE r.commitment_id = p.commitment_id
                     AND r.spend_no = p.spend_no) ORDER BY 1) AS spend_event_ids
    FROM given g
    WHERE ($4::text IS NULL OR g.kind = $4) AND ($5::text IS NULL OR g.area = $5)
      AND ($6::uuid IS NULL OR g.grant_id = $6) AND (NOT $7 OR g.grant_id IS NULL)
      AND ($8::date IS NULL OR (g.served_on, g.need_id, g.service_no) > ($8, $9::uuid, $10::int))
    ORDER BY g.served_on, g.need_id, g.service_no LIMIT $11
"""  # noqa: S608


class TooManyLines(Exception):
    """A period is split into more lines than were wanted."""


async def lines(
    conn: asyncpg.Connection,
    from_on: date,
    to_on: date,
    by: Collection[Dimension],
    *,
    sensitive: bool | None = None,
    lines_max: int | None = None,
) -> dict[Cell, Line]:
    """Return the region's own results of a period, both days included.

    Args:
        by: what to split by; nothing for one line over all.
        sensitive: whether to count what is sensitive only, or only what is not; None for both.
        lines_max: how many lines are wanted at the most, one that has several units counted by
            unit; None for any number.

    Raises:
        TooManyLines: there are more.
    """
    split = [
        sensitive,
        *(dimension in by for dimension in ("kind", "area", "month", "grant", "unit")),
    ]
    found: dict[Cell, Line] = {}

    def line_of(row: asyncpg.Record) -> Line:
        cell = Cell(row["kind"], row["area"], row["month"], row["grant_id"], row["unit"])
        return found.setdefault(cell, Line())

    read_max = None if lines_max is None else lines_max + 1
    rows = await conn.fetch(_SERVICES, from_on, to_on, *split, read_max)
    if lines_max is not None and len(rows) > lines_max:
        raise TooManyLines
    for row in rows:
        line = line_of(row)
        line.services += row["services"]
        line.contacts += row["contacts"]
        line.quantities[row["of_unit"]] = row["quantity"]
    for row in await conn.fetch(_PEOPLE, from_on, to_on, *split):
        line_of(row).people = row["people"]
    for row in await conn.fetch(_AMOUNTS, from_on, to_on, *split):
        line_of(row).amounts[row["currency"]] = row["amount_minor"]
    return found


async def people(conn: asyncpg.Connection, from_on: date, to_on: date) -> int:
    """Return the distinct people of a period, both days included."""
    count: int = await conn.fetchval(
        """
        SELECT count(DISTINCT coalesce(a.root_id, p.person_id))
        FROM service s JOIN service_person p USING (need_id, service_no)
        LEFT JOIN same_person a ON a.person_id = p.person_id
        WHERE s.served_on BETWEEN $1 AND $2 AND NOT EXISTS (
            SELECT 1 FROM reversal r
            WHERE r.need_id = s.need_id AND r.service_no = s.service_no)
        """,
        from_on,
        to_on,
    )
    return count


class Traced(NamedTuple):
    """One service behind a figure, and the events that tell of it."""

    need_id: UUID
    service_no: int
    served_on: date
    kind: str
    area: str
    grant_id: UUID | None
    event_ids: list[UUID]


async def trace(
    conn: asyncpg.Connection,
    from_on: date,
    to_on: date,
    *,
    kind: str | None,
    area: str | None,
    grant_id: UUID | None,
    without_grant: bool,
    after: tuple[date, UUID, int] | None,
    limit: int,
) -> list[Traced]:
    """Return the services that a figure counts, one by one."""
    rows = await conn.fetch(
        _TRACE,
        from_on,
        to_on,
        None,
        kind,
        area,
        grant_id,
        without_grant,
        *(after or (None, None, None)),
        limit,
    )
    return [
        Traced(
            row["need_id"],
            row["service_no"],
            row["served_on"],
            row["kind"],
            row["area"],
            row["grant_id"],
            [
                row["event_id"],
                *filter(None, [row["booked_event_id"], row["stay_event_id"]]),
                *row["spend_event_ids"],
            ],
        )
        for row in rows
    ]


async def freshness(conn: asyncpg.Connection) -> tuple[datetime, datetime | None]:
    """Return the database's clock, and when the newest event taken in happened."""
    row = await conn.fetchrow(
        "SELECT now() AS as_of, (SELECT max(occurred_at) FROM fact_event) AS last_event_at"
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM gives a row
    return row["as_of"], row["last_event_at"]
