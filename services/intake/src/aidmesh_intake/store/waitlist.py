"""The waitlist in the database: its keys, who queues for what, and whom growth may serve.

Whoever adds to a queue or to what has grown holds the lock of that key until the end of the
transaction, so that neither misses the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain.waitlist import SLACK, Growth, Queue, Rank, Waiter
from aidmesh_intake.store.matching import (
    CONCERNS,
    FIRST_ON,
    KEEPS,
    LAST_ON,
    LET_GO,
    MAY_USE,
    WAITING,
)
from aidmesh_intake.store.needs import columns

WAKES_MAX = 500


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What a queue waits for: `stock/<item>`, `bed/<code>`, `slot/<code>`, `money/<currency>`."""

    resource: str
    code: str


def key_of(blocked_by: BlockedBy) -> Key:
    """The key of what a need waits for; money is offered by currency."""
    if blocked_by.resource == "money":
        return Key("money", blocked_by.code.rpartition("/")[2])
    return Key(blocked_by.resource, blocked_by.code)


async def lock_keys(conn: asyncpg.Connection, keys: Iterable[Key]) -> None:
    """Lock queues, in one order."""
    names = sorted({f"{key.resource}/{key.code}" for key in keys})
    if names:
        await conn.execute(
            """
            SELECT pg_advisory_xact_lock(hashtextextended('waitlist/' || name, 0))
            FROM unnest($1::text[]) WITH ORDINALITY AS u (name, place) ORDER BY place
            """,
            names,
        )


async def try_keys(conn: asyncpg.Connection, keys: Iterable[Key]) -> bool:
    """Lock queues without waiting; False if somebody holds one of them."""
    names = sorted({f"{key.resource}/{key.code}" for key in keys})
    locked: bool = await conn.fetchval(
        """
        SELECT coalesce(bool_and(
            pg_try_advisory_xact_lock(hashtextextended('waitlist/' || name, 0))), true)
        FROM unnest($1::text[]) AS name
        """,
        names,
    )
    return locked


async def keys_of(
    conn: asyncpg.Connection, need_ids: Sequence[UUID], standing: Sequence[UUID] = ()
) -> set[Key]:
    """The queues of everything that these needs could wait for: that does not change.

    Args:
        standing: needs that count only where they wait, or were woken.
    """
    rows = await conn.fetch(
        """
        SELECT DISTINCT k.resource, k.code FROM (
            SELECT ask, blocked_resource, blocked_code FROM need WHERE id = ANY($1::uuid[])
            UNION ALL
            SELECT ask, blocked_resource, blocked_code FROM need
            WHERE id = ANY($2::uuid[]) AND (woken OR state = 'waitlisted')
        ) AS n CROSS JOIN LATERAL (
            SELECT 'stock', line ->> 'item'
            FROM jsonb_array_elements(coalesce(n.ask -> 'stock', '[]')) AS line
            UNION ALL SELECT n.ask -> 'capacity' ->> 'resource', n.ask -> 'capacity' ->> 'code'
            UNION ALL SELECT 'money', n.ask -> 'money' ->> 'currency'
            UNION ALL SELECT n.blocked_resource, CASE WHEN n.blocked_resource = 'money'
                THEN split_part(n.blocked_code, '/', 2) ELSE n.blocked_code END
        ) AS k (resource, code)
        WHERE k.code IS NOT NULL
        """,
        list(need_ids),
        list(standing),
    )
    return {Key(row["resource"], row["code"]) for row in rows}


async def queues(
    conn: asyncpg.Connection,
    wanted: Iterable[BlockedBy],
    today: date,
    apart_from: UUID | None = None,
    before: Rank | None = None,
) -> list[Queue]:
    """Those waiting for the same things: there is too little of them, or their site is closed.

    Needs that ask for special features wait for something rarer: nobody queues behind them.

    Args:
        today: those whose first days have gone by wait for what begins today; see `Ask.place_on`.
        apart_from: a need that does not count, since it is about to leave its place.
        before: only those who are served before this rank.
    """
    pairs = list({(each.resource, each.code) for each in wanted})
    if not pairs:
        return []
    rows = await conn.fetch(
        f"""
        WITH queue AS (
            SELECT blocked_resource, blocked_code, blocked_site, blocked_area,
                {FIRST_ON} AS first_on, {LAST_ON} AS last_on,
                CASE WHEN ask -> 'capacity' ->> 'resource' = 'slot' THEN needed_until
                    END AS starts_before, wait = 'closed' AS closed,
                -- The least of rows is known from PostgreSQL 18 on, that of arrays everywhere.
                min(ARRAY[-priority, asked_on - DATE 'epoch', queue_no]) AS first,
                count(*) AS needs
            FROM need w JOIN unnest($2::text[], $3::text[]) AS u (resource, code)
                ON blocked_resource = u.resource AND blocked_code = u.code
            WHERE state = 'waitlisted' AND wait IN ('short', 'behind', 'closed')
                AND coalesce(jsonb_array_length(ask -> 'capacity' -> 'features'), 0) = 0
                AND id IS DISTINCT FROM $4
                AND ($5::int IS NULL OR (-priority, asked_on, queue_no, id)
                    < ($5::int, $6::date, $7::bigint, $8::uuid))
            GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
        )
        SELECT q.*, -f.priority AS place, f.asked_on, f.queue_no, f.id
        FROM queue q JOIN need f
            ON f.state = 'waitlisted'
            AND f.blocked_resource = q.blocked_resource AND f.blocked_code = q.blocked_code
            AND f.priority = -q.first[1] AND f.asked_on = DATE 'epoch' + q.first[2]::int
            AND f.queue_no = q.first[3]
        """,  # noqa: S608 - constants
        today,
        *columns(pairs),
        apart_from,
        *(before or (None, None, None, None)),
    )
    return [
        Queue(
            _blocked(row, 1),
            (row["place"], row["asked_on"], row["queue_no"], row["id"]),
            row["first_on"],
            row["last_on"],
            row["starts_before"],
            row["needs"],
            row["closed"],
        )
        for row in rows
    ]


async def waiters(conn: asyncpg.Connection, growths: Sequence[Growth], today: date) -> list[Waiter]:
    """The first of each growth's queue who may use it or for whom it is kept.

    No more of them than it could serve, and the one after.
    """
    rows = await conn.fetch(
        f"""
        SELECT DISTINCT n.id, n.priority, n.asked_on, n.queue_no, n.blocked_resource,
            n.blocked_code, n.blocked_site, n.blocked_area, n.blocked_quantity, n.decided_at,
            n.waiting_since, n.wait = 'short' AS short, n.let_go,
            CASE WHEN n.splittable THEN n.blocked_quantity / n.quantity END AS piece,
            ARRAY(SELECT w.growth_id FROM wake w WHERE w.need_id = n.id) AS tried,
            n.looks_from, n.looks_to
        FROM growth g CROSS JOIN LATERAL (
            SELECT w.*, {FIRST_ON} AS looks_from, {LAST_ON} AS looks_to, {LET_GO} AS let_go
            FROM {WAITING} w WHERE {CONCERNS} AND ({KEEPS} OR {MAY_USE})
            ORDER BY w.priority DESC, w.asked_on, w.queue_no, w.id
            LIMIT least(g.left_over + 1, $3)
        ) AS n
        WHERE g.id = ANY($4::uuid[])
        """,  # noqa: S608 - constants
        today,
        SLACK,
        WAKES_MAX,
        [growth.id for growth in growths],
    )
    return [
        Waiter(
            need_id=row["id"],
            priority=row["priority"],
            asked_on=row["asked_on"],
            queue_no=row["queue_no"],
            blocked_by=_blocked(row, row["blocked_quantity"]),
            decided_at=row["decided_at"],
            waiting_since=row["waiting_since"],
            short=row["short"],
            let_go=row["let_go"],
            piece=row["piece"],
            tried=frozenset(row["tried"]),
            first_on=row["looks_from"],
            last_on=row["looks_to"],
        )
        for row in rows
    ]


SummaryKey = tuple[int, str, str, str, UUID]
"""Where a page of the summary ended: needs, resource, code, area, site (`NO_SITE` for any)."""
NO_SITE = UUID(int=0)


async def summary(
    conn: asyncpg.Connection, after: SummaryKey | None, limit: int, *, sensitive_too: bool
) -> list[asyncpg.Record]:
    """How many wait for what, where, since when, and how much they want; the longest first.

    The length of a queue is part of the order, so a queue that grows or shrinks meanwhile may come
    on two pages or on none; what comes first is what people ask for.
    """
    needs, resource, code, area, site = after or (None, None, None, None, None)
    return await conn.fetch(
        """
        SELECT resource, code, site_id, area, needs, quantity, oldest_asked_on, priority_max
        FROM (
            SELECT blocked_resource AS resource, blocked_code AS code, blocked_site AS site_id,
                blocked_area AS area, count(*) AS needs, sum(blocked_quantity)::bigint AS quantity,
                min(asked_on) AS oldest_asked_on, max(priority) AS priority_max,
                (-count(*), blocked_resource, blocked_code, COALESCE(blocked_area, ''),
                 COALESCE(blocked_site, $6)) AS place
            FROM need WHERE state = 'waitlisted' AND ($8 OR NOT sensitive) GROUP BY 1, 2, 3, 4
        ) queue
        WHERE $1::bigint IS NULL
           OR place > (-$1::bigint, $2::text, $3::text, $4::text, $5::uuid)
        ORDER BY place LIMIT $7
        """,
        needs,
        resource,
        code,
        area,
        site,
        NO_SITE,
        limit,
        sensitive_too,
    )


def _blocked(row: asyncpg.Record, quantity: int) -> BlockedBy:
    site = row["blocked_site"]
    return BlockedBy(
        resource=row["blocked_resource"],
        code=row["blocked_code"],
        site_id=None if site is None else SiteId(site),
        area=row["blocked_area"],
        quantity=quantity,
    )
