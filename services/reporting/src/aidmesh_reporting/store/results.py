"""Results out: what the facts add up to."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.reporting import MonthlyResultsV1
from aidmesh_reporting.domain.results import (
    Cell,
    Dimension,
    Line,
    PublishedLine,
    PublishedMonth,
)

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


async def freshness(conn: asyncpg.Connection) -> tuple[datetime, datetime | None]:
    """Return the database's clock, and when the newest event taken in happened."""
    row = await conn.fetchrow(
        "SELECT now() AS as_of, (SELECT max(occurred_at) FROM fact_event) AS last_event_at"
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM gives a row
    return row["as_of"], row["last_event_at"]


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

    Args:
        sensitive_too: whether sensitive services make a month, and it is told what was published:
            whoever asks again and again would see the minute in which one was given.
    """
    return await conn.fetch(
        """
        SELECT m.month, s.settled_at, p.version, p.as_of AS published_at
        FROM (SELECT month FROM service WHERE $1 OR NOT sensitive
              UNION SELECT month FROM settled_month) m
        LEFT JOIN settled_month s USING (month)
        LEFT JOIN published_month p ON $1 AND p.month = m.month
        WHERE $2::text IS NULL OR m.month > $2
        ORDER BY m.month LIMIT $3
        """,
        sensitive_too,
        after,
        limit,
    )


async def list_grants(
    conn: asyncpg.Connection, after: tuple[str, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Return the names of grants, this region's and others', by code."""
    return await conn.fetch(
        """
        SELECT grant_id, region, code, donor, currency, status FROM grant_name
        WHERE $1::text IS NULL OR (code, grant_id) > ($1, $2::uuid)
        ORDER BY code, grant_id LIMIT $3
        """,
        *(after or (None, None)),
        limit,
    )


async def codes_of(conn: asyncpg.Connection, grant_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the codes of these grants."""
    rows = await conn.fetch(
        "SELECT grant_id, code FROM grant_name WHERE grant_id = ANY($1::uuid[])", list(grant_ids)
    )
    return {row["grant_id"]: row["code"] for row in rows}


WaitingKey = tuple[int, str, str, str, str]
"""How many needs wait, of which kind, where, and for what: what most wait for comes first."""


async def waiting(
    conn: asyncpg.Connection, *, sensitive_too: bool, after: WaitingKey | None, limit: int
) -> list[asyncpg.Record]:
    """Return how many needs wait, for what and since when.

    What was told before needs had versions is believed until they were served or closed.
    """
    return await conn.fetch(
        """
        SELECT w.kind, w.area, w.resource, w.code, count(*) AS needs,
               sum(w.quantity)::bigint AS quantity, min(w.asked_on) AS oldest_asked_on
        FROM waiting w
        WHERE ($1 OR NOT w.sensitive)
          AND NOT EXISTS (
            SELECT 1 FROM unlisted u WHERE u.need_id = w.need_id AND u.version > w.version)
          AND (w.version > 0 OR NOT (
            EXISTS (SELECT 1 FROM closed_need c WHERE c.need_id = w.need_id)
            OR EXISTS (
                SELECT 1 FROM service s WHERE s.need_id = w.need_id AND NOT EXISTS (
                    SELECT 1 FROM reversal r
                    WHERE r.need_id = s.need_id AND r.service_no = s.service_no))))
        GROUP BY w.kind, w.area, w.resource, w.code
        HAVING $2::bigint IS NULL
            OR (-count(*), w.kind, w.area, w.resource, w.code) > (-$2::bigint, $3, $4, $5, $6)
        ORDER BY needs DESC, w.kind, w.area, w.resource, w.code LIMIT $7
        """,
        sensitive_too,
        *(after or (None, None, None, None, None)),
        limit,
    )


async def closed(conn: asyncpg.Connection, *, reasons: bool) -> list[asyncpg.Record]:
    """Return how many needs ended without a service, by state and, if wanted, by reason."""
    return await conn.fetch(
        """
        SELECT state, CASE WHEN $1 THEN reason END AS reason, count(*) AS needs FROM closed_need
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        reasons,
    )
