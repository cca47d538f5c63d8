"""Needs that no service was for: those that wait and those that closed."""

from collections.abc import Sequence

import asyncpg

from aidmesh_contracts.intake import NeedClosedV1, NeedUnlistedV1, NeedWaitlistedV1
from aidmesh_reporting.store.rows import columns

WaitingKey = tuple[int, str, str, str, str]
"""How many needs wait, of which kind, where, and for what: what most wait for comes first."""


async def put_waiting(conn: asyncpg.Connection, events: Sequence[NeedWaitlistedV1]) -> None:
    """Record what needs wait for; the highest version holds, also that of `put_unlisted`."""
    newest = {event.need_id: event for event in sorted(events, key=_age)}
    await conn.execute(
        """
        INSERT INTO waiting (need_id, version, attempt_no, kind, area, asked_on, resource, code,
                             quantity, sensitive)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::text[], $6::date[],
                             $7::text[], $8::text[], $9::bigint[], $10::boolean[])
            AS n (need_id, version)
        WHERE NOT EXISTS (
            SELECT FROM unlisted u WHERE u.need_id = n.need_id AND u.version > n.version)
        ORDER BY need_id
        ON CONFLICT (need_id) DO UPDATE
        SET version = excluded.version, attempt_no = excluded.attempt_no, area = excluded.area,
            resource = excluded.resource, code = excluded.code, quantity = excluded.quantity,
            sensitive = excluded.sensitive
        WHERE (waiting.version, waiting.attempt_no) < (excluded.version, excluded.attempt_no)
        """,
        *columns(
            (
                event.need_id,
                event.version,
                event.attempt_no,
                event.kind,
                event.area,
                event.asked_on,
                event.blocked_by.resource,
                event.blocked_by.code,
                event.blocked_by.quantity,
                event.sensitive,
            )
            for event in newest.values()
        ),
    )


def _age(event: NeedWaitlistedV1) -> tuple[int, int]:
    # Attempts order what was told before there were versions.
    return event.version, event.attempt_no


async def put_unlisted(conn: asyncpg.Connection, events: Sequence[NeedUnlistedV1]) -> None:
    """Record which needs wait no longer; the highest version holds.

    They are forgotten as waiting: who asks what waits reads no more than that, however many did.
    """
    told = columns((event.need_id, event.version) for event in events)
    await conn.execute(
        """
        INSERT INTO unlisted (need_id, version)
        SELECT need_id, max(version) FROM unnest($1::uuid[], $2::int[]) AS n (need_id, version)
        GROUP BY need_id ORDER BY need_id
        ON CONFLICT (need_id) DO UPDATE SET version = excluded.version
        WHERE unlisted.version < excluded.version
        """,
        *told,
    )
    await conn.execute(
        """
        DELETE FROM waiting w USING unnest($1::uuid[], $2::int[]) AS n (need_id, version)
        WHERE w.need_id = n.need_id AND w.version < n.version
        """,
        *told,
    )


async def add_closed(conn: asyncpg.Connection, events: Sequence[NeedClosedV1]) -> None:
    """Record needs that ended without a service."""
    await conn.execute(
        """
        INSERT INTO closed_need (need_id, state, reason)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n (need_id)
        ORDER BY need_id ON CONFLICT DO NOTHING
        """,
        *columns((event.need_id, event.state, event.reason) for event in events),
    )


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
          -- Looked up for each: a join would read all that ever waited.
          AND w.version >= coalesce(
            (SELECT u.version FROM unlisted u WHERE u.need_id = w.need_id), 0)
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
