"""The waitlist, growth and who was woken for it, in the database.

Whoever adds to a queue or to what has grown holds the lock of that key until the end of the
transaction, so that neither misses the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import SiteId
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain.waitlist import SLACK, Growth, Queue, Waiter, Wake
from aidmesh_intake.store.needs import columns

WAKES_MAX = 500
GROWTHS_MAX = 50


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


async def queues(
    conn: asyncpg.Connection,
    wanted: Iterable[BlockedBy],
    today: date,
    apart_from: UUID | None = None,
) -> list[Queue]:
    """Those waiting for the same things because there is too little of them.

    Needs that ask for special features wait for something rarer: nobody queues behind them.

    Args:
        today: those whose first days have gone by wait for what begins today; see `Ask.place_on`.
        apart_from: a need that does not count, since it is about to leave its place.
    """
    pairs = list({(each.resource, each.code) for each in wanted})
    if not pairs:
        return []
    rows = await conn.fetch(
        """
        SELECT blocked_resource, blocked_code, blocked_site, blocked_area,
            CASE WHEN ask -> 'capacity' ? 'as_written' THEN first_on
                ELSE greatest(first_on, $4::date) END AS first_on,
            CASE WHEN ask ? 'days' THEN greatest(last_on, $4::date + (ask ->> 'days')::int)
                ELSE last_on END AS last_on,
            min(ROW(-priority, asked_on, queue_no, id)) AS first  -- from PostgreSQL 18 on
        FROM need JOIN unnest($1::text[], $2::text[]) AS u (resource, code)
            ON blocked_resource = u.resource AND blocked_code = u.code
        WHERE state = 'waitlisted' AND wait IN ('short', 'behind')
            AND coalesce(jsonb_array_length(ask -> 'capacity' -> 'features'), 0) = 0
            AND id IS DISTINCT FROM $3
        GROUP BY 1, 2, 3, 4, 5, 6
        """,
        *columns(pairs),
        apart_from,
        today,
    )
    return [
        Queue(_blocked(row, 1), tuple(row["first"]), row["first_on"], row["last_on"])
        for row in rows
    ]


async def add_growth(conn: asyncpg.Connection, growths: Sequence[Growth]) -> None:
    """Note what has grown."""
    await conn.execute(
        """
        INSERT INTO growth (id, resource, code, currency, programmes, site_id, area, quantity,
            left_over, freed_by, grew_at, received_at)
        SELECT u.id, u.resource, u.code, u.currency,
            CASE WHEN u.programmes IS NOT NULL THEN string_to_array(u.programmes, ' ') END,
            u.site_id, u.area, u.quantity, u.quantity, u.freed_by, u.grew_at, u.received_at
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[],
            $7::text[], $8::bigint[], $9::uuid[], $10::timestamptz[], $11::timestamptz[])
        AS u (id, resource, code, currency, programmes, site_id, area, quantity, freed_by,
            grew_at, received_at)
        ON CONFLICT (id) DO NOTHING
        """,
        *columns(
            [
                (
                    each.id,
                    each.resource,
                    each.code,
                    each.currency,
                    None if each.programmes is None else " ".join(sorted(each.programmes)),
                    each.site_id,
                    each.area,
                    each.left,
                    each.freed_by,
                    each.grew_at,
                    each.received_at,
                )
                for each in growths
            ]
        ),
    )


async def open_growths(conn: asyncpg.Connection, keys: Iterable[Key]) -> list[Growth]:
    """Growth of these keys that somebody on the waitlist may still use, oldest first."""
    pairs = list({(key.resource, key.code) for key in keys})
    if not pairs:
        return []
    rows = await conn.fetch(
        """
        SELECT DISTINCT g.id, g.resource, g.code, g.currency, g.programmes, g.site_id, g.area,
            g.left_over, g.cap, g.freed_by, g.grew_at, g.received_at
        FROM unnest($1::text[], $2::text[]) AS k (resource, code)
        JOIN growth g ON g.left_over > 0 AND g.resource = k.resource
            AND k.code = CASE WHEN g.resource = 'money' THEN g.currency ELSE g.code END
        CROSS JOIN LATERAL (
            SELECT min(coalesce(n.decided_at, n.waiting_since)) AS since FROM need n
            WHERE n.state = 'waitlisted' AND n.blocked_resource = k.resource
                AND (n.blocked_code = k.code
                    OR (k.resource = 'money' AND split_part(n.blocked_code, '/', 2) = k.code))
        ) AS waiting
        WHERE greatest(g.grew_at, g.received_at) + $3::interval > waiting.since
        ORDER BY g.grew_at, g.id LIMIT $4
        """,
        *columns(pairs),
        SLACK,
        GROWTHS_MAX,
    )
    return [growth_of(row) for row in rows]


async def waiters(conn: asyncpg.Connection, growths: Sequence[Growth]) -> list[Waiter]:
    """The first of each growth's queue who may use it or for whom it is kept.

    No more of them than it could serve, and the one after.
    """
    rows = await conn.fetch(
        """
        SELECT DISTINCT n.id, n.priority, n.asked_on, n.queue_no, n.blocked_resource,
            n.blocked_code, n.blocked_site, n.blocked_area, n.blocked_quantity, n.decided_at,
            n.waiting_since, n.wait = 'short' AS short,
            CASE WHEN n.splittable THEN n.blocked_quantity / n.quantity END AS piece,
            ARRAY(SELECT w.growth_id FROM wake w WHERE w.need_id = n.id) AS tried
        FROM growth g CROSS JOIN LATERAL (
            SELECT * FROM need w
            WHERE w.state = 'waitlisted' AND w.blocked_resource = g.resource
                AND (w.blocked_code = g.code OR (g.resource = 'money'
                    AND split_part(w.blocked_code, '/', 2) = g.currency
                    AND (g.programmes IS NULL
                        OR split_part(w.blocked_code, '/', 1) = ANY(g.programmes))))
                AND (w.blocked_site IS NULL OR g.site_id IS NULL OR w.blocked_site = g.site_id)
                AND (w.blocked_area IS NULL OR g.area IS NULL
                    OR starts_with(g.area, w.blocked_area))
                AND w.id IS DISTINCT FROM g.freed_by
                AND ((w.wait = 'short' AND NOT w.splittable AND w.blocked_quantity > g.left_over)
                    OR ((g.cap IS NULL OR w.blocked_quantity <= g.cap)
                        AND CASE WHEN w.decided_at IS NULL THEN g.received_at >= w.waiting_since
                            ELSE g.grew_at + $2::interval > w.decided_at END
                        AND NOT EXISTS (SELECT FROM wake x
                            WHERE x.need_id = w.id AND x.growth_id = g.id)))
            ORDER BY w.priority DESC, w.asked_on, w.queue_no, w.id
            LIMIT least(g.left_over + 1, $3)
        ) AS n
        WHERE g.id = ANY($1::uuid[])
        """,
        [growth.id for growth in growths],
        SLACK,
        WAKES_MAX,
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
            piece=row["piece"],
            tried=frozenset(row["tried"]),
        )
        for row in rows
    ]


async def save_offer(
    conn: asyncpg.Connection,
    growths: Sequence[Growth],
    wakes: Sequence[tuple[Wake, int]],
    *,
    pending: bool,
) -> None:
    """Write what is left of the growths, and who was woken for which attempt.

    Args:
        pending: more may be woken by what is left; the sweep goes on.
    """
    await conn.execute(
        """
        UPDATE growth SET left_over = u.left_over, pending = $3
        FROM unnest($1::uuid[], $2::bigint[]) AS u (id, left_over) WHERE growth.id = u.id
        """,
        [growth.id for growth in growths],
        [growth.left for growth in growths],
        pending,
    )
    taken = [
        (wake.need_id, growth_id, attempt_no, quantity)
        for wake, attempt_no in wakes
        for growth_id, quantity in wake.taken
    ]
    if taken:
        await conn.execute(
            """
            INSERT INTO wake (need_id, growth_id, attempt_no, quantity, status)
            SELECT u.*, 'asked' FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[]) AS u
            ON CONFLICT (need_id, growth_id) DO UPDATE SET attempt_no = excluded.attempt_no,
                quantity = excluded.quantity, status = 'asked'
            """,
            *columns(taken),
        )


async def settle_wakes(conn: asyncpg.Connection, need_ids: Sequence[UUID]) -> list[Key]:
    """These needs got what they were woken for.

    At least one piece of it was missing before, but the rest may have been there already and is
    there still: it is offered to those who queued behind them. Returns the keys of that.
    """
    if not need_ids:
        return []
    rows = await conn.fetch(
        """
        WITH used AS (
            UPDATE wake SET status = 'used'
            WHERE need_id = ANY($1::uuid[]) AND status = 'asked' RETURNING growth_id, quantity
        ), summed AS (
            SELECT growth_id, sum(quantity - 1) AS spare FROM used WHERE quantity > 1 GROUP BY 1
        )
        UPDATE growth SET left_over = least(quantity, left_over + s.spare), pending = true
        FROM summed s WHERE growth.id = s.growth_id
        RETURNING growth.resource, coalesce(growth.code, growth.currency) AS code
        """,
        list(need_ids),
    )
    return [Key(row["resource"], row["code"]) for row in rows]


async def give_back(
    conn: asyncpg.Connection, refused: Sequence[tuple[UUID, BlockedBy | None]]
) -> list[Key]:
    """Return what these needs were woken for, to be offered to the next.

    Args:
        refused: needs, each with what it was too short of, or None where something else was in
            its way. Whoever is short of the very thing proves that there is less of it than it
            wanted: only those who want less are offered it.

    Returns:
        The keys of what can be offered again.
    """
    if not refused:
        return []
    rows = await conn.fetch(
        """
        WITH back AS (
            UPDATE wake SET status = 'given_back'
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[])
                AS u (need_id, resource, code, short_of)
            WHERE wake.need_id = u.need_id AND status = 'asked'
            RETURNING wake.growth_id, wake.quantity, u.resource, u.code, u.short_of
        ), summed AS (
            SELECT b.growth_id, sum(b.quantity) AS quantity,
                min(b.short_of - 1) FILTER (WHERE b.resource = g.resource
                    AND b.code = coalesce(g.code, g.currency)) AS cap
            FROM back b JOIN growth g ON g.id = b.growth_id GROUP BY 1
        )
        UPDATE growth SET left_over = least(growth.quantity, left_over + s.quantity),
            cap = least(growth.cap, s.cap), pending = true
        FROM summed s WHERE growth.id = s.growth_id
        RETURNING growth.resource, coalesce(growth.code, growth.currency) AS code
        """,
        *columns(
            [
                (
                    need_id,
                    None if short is None else short.resource,
                    None if short is None else key_of(short).code,
                    None if short is None else short.quantity,
                )
                for need_id, short in refused
            ]
        ),
    )
    return [Key(row["resource"], row["code"]) for row in rows]


async def pending_keys(conn: asyncpg.Connection, limit: int) -> list[Key]:
    """Keys with growth that was not offered to everybody yet."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT resource, coalesce(code, currency) AS code FROM (
            SELECT * FROM growth WHERE pending ORDER BY received_at LIMIT $1) AS g
        """,
        limit,
    )
    return [Key(row["resource"], row["code"]) for row in rows]


async def set_done(conn: asyncpg.Connection, keys: Iterable[Key]) -> None:
    """Nobody on the waitlist can use what is left of these keys."""
    await conn.execute(
        """
        UPDATE growth SET pending = false FROM unnest($1::text[], $2::text[]) AS k (resource, code)
        WHERE pending AND growth.resource = k.resource
            AND coalesce(growth.code, growth.currency) = k.code
        """,
        *columns([(key.resource, key.code) for key in keys]),
    )


async def prune(conn: asyncpg.Connection, older_than: timedelta, limit: int) -> int:
    """Forget old growth; returns how many rows."""
    result = await conn.execute(
        """
        DELETE FROM growth WHERE id IN (
            SELECT id FROM growth WHERE received_at < now() - $1::interval
            ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        """,
        older_than,
        limit,
    )
    return int(result.split()[-1])


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


def growth_of(row: asyncpg.Record) -> Growth:
    """Make a growth of its row."""
    programmes = row["programmes"]
    return Growth(
        id=row["id"],
        resource=row["resource"],
        code=row["code"],
        currency=row["currency"],
        programmes=None if programmes is None else frozenset(programmes),
        site_id=row["site_id"],
        area=row["area"],
        left=row["left_over"],
        cap=row["cap"],
        freed_by=row["freed_by"],
        grew_at=row["grew_at"],
        received_at=row["received_at"],
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


def synthetic_growth(growth_id: UUID, freed: BlockedBy, need_id: UUID, now: datetime) -> Growth:
    """What a need that left the waitlist no longer keeps from those behind it."""
    currency = key_of(freed).code if freed.resource == "money" else None
    return Growth(
        id=growth_id,
        resource=freed.resource,
        code=None if currency else freed.code,
        currency=currency,
        programmes=frozenset({freed.code.rpartition("/")[0]}) if currency else None,
        site_id=freed.site_id,
        area=freed.area,
        left=freed.quantity,
        cap=None,
        freed_by=need_id,
        grew_at=now,
        received_at=now,
    )
