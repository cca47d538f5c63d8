"""What has grown, and who on the waitlist was woken for it, in the database.

Whoever adds to what has grown holds the lock of its key; see `waitlist.lock_keys`.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg

from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain.waitlist import SLACK, Growth, Wake
from aidmesh_intake.store.matching import CONCERNS, KEEPS, MAY_USE, WAITING
from aidmesh_intake.store.needs import columns
from aidmesh_intake.store.waitlist import Key, key_of

GROWTHS_MAX = 500


async def clock(conn: asyncpg.Connection) -> datetime:
    """The database's clock now. Asked once a queue is locked, it tells who stood in it before.

    Whoever stood there has committed; `now()` is of when a transaction began, and the lock may
    have been waited for since.
    """
    now: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return now


async def add_growth(conn: asyncpg.Connection, growths: Sequence[Growth]) -> None:
    """Note what has grown, unless a later total of its day is known: that counts it already."""
    await conn.execute(
        """
        INSERT INTO growth (id, resource, code, currency, programmes, site_id, area, quantity,
            left_over, freed_by, grew_at, received_at, on_day, is_total)
        SELECT u.id, u.resource, u.code, u.currency,
            CASE WHEN u.programmes IS NOT NULL THEN string_to_array(u.programmes, ' ') END,
            u.site_id, u.area, u.quantity, u.quantity, u.freed_by, u.grew_at, u.received_at,
            u.on_day, u.is_total
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[],
            $7::text[], $8::bigint[], $9::uuid[], $10::timestamptz[], $11::timestamptz[],
            $12::date[], $13::boolean[])
        AS u (id, resource, code, currency, programmes, site_id, area, quantity, freed_by,
            grew_at, received_at, on_day, is_total)
        WHERE u.on_day IS NULL OR NOT EXISTS (
            SELECT FROM growth t
            WHERE t.is_total AND t.code = u.code AND t.site_id = u.site_id
                AND t.on_day = u.on_day AND t.grew_at > u.grew_at)
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
                    each.on,
                    each.is_total,
                )
                for each in growths
            ]
        ),
    )


async def void_days(conn: asyncpg.Connection, totals: Sequence[Growth]) -> None:
    """What was told before of a kind of slot, site and day counts no longer: this is all.

    Nor does what somebody was woken for and gives back later: the total has counted it.
    """
    await conn.execute(
        """
        UPDATE growth g SET left_over = 0, pending = false, voided = true
        FROM unnest($1::text[], $2::uuid[], $3::date[], $4::timestamptz[])
            AS u (code, site_id, on_day, grew_at)
        WHERE g.code = u.code AND g.site_id = u.site_id AND g.on_day = u.on_day
            AND g.grew_at < u.grew_at AND NOT g.voided
        """,
        *columns([(each.code, each.site_id, each.on, each.grew_at) for each in totals]),
    )


async def look_again(
    conn: asyncpg.Connection, keys: Iterable[Key], since: datetime | None = None
) -> None:
    """Growth of these keys that nobody could use may be of use again.

    Args:
        since: only to needs that were refused, or began to wait, at this time or later; None for
            anybody.
    """
    pairs = [(key.resource, key.code) for key in keys]
    if not pairs:
        return
    await conn.execute(
        """
        UPDATE growth g SET pending = true FROM unnest($3::text[], $4::text[]) AS k (resource, code)
        WHERE NOT g.pending AND g.left_over > 0 AND g.resource = k.resource
            AND (g.code = k.code OR g.currency = k.code)
            AND ($1::timestamptz IS NULL OR greatest(g.grew_at, g.received_at) + $2::interval > $1)
        """,
        since,
        SLACK,
        *columns(pairs),
    )


async def open_growths(
    conn: asyncpg.Connection, keys: Iterable[Key], today: date, apart_from: Iterable[UUID] = ()
) -> list[Growth]:
    """Growth of these keys that somebody on the waitlist may use, with what is kept for others.

    No more than `GROWTHS_MAX`, the oldest that may be used before any that is only kept. Empty
    when nobody may use any of what is pending: the rest was looked at before and wakes nobody by
    itself, it only completes what grew. That is asked first, since each refusal comes here.

    Args:
        apart_from: growth that was looked at before.
    """
    pairs = list({(key.resource, key.code) for key in keys})
    seen = list(apart_from)
    if not pairs or not await _is_any_of_use(conn, pairs, today, seen):
        return []
    rows = await conn.fetch(
        f"""
        SELECT g.id, g.resource, g.code, g.currency, g.programmes, g.site_id, g.area,
            g.left_over, g.cap, g.freed_by, g.grew_at, g.received_at, g.on_day,
            g.is_total, waiting.usable
        FROM unnest($3::text[], $4::text[]) AS k (resource, code)
        JOIN growth g ON g.left_over > 0 AND g.resource = k.resource
            AND (g.code = k.code OR g.currency = k.code)
        CROSS JOIN LATERAL (
            SELECT bool_or({MAY_USE}) AS usable FROM {WAITING} w
            WHERE {CONCERNS} AND ({KEEPS} OR {MAY_USE})
        ) AS waiting
        WHERE waiting.usable IS NOT NULL AND g.id <> ALL($5::uuid[])
        ORDER BY waiting.usable DESC, g.grew_at, g.id LIMIT $6
        """,  # noqa: S608 - constants
        today,
        SLACK,
        *columns(pairs),
        seen,
        GROWTHS_MAX,
    )
    return [growth_of(row) for row in rows]


async def _is_any_of_use(
    conn: asyncpg.Connection, pairs: Sequence[tuple[str, str]], today: date, seen: Sequence[UUID]
) -> bool:
    """Whether somebody on the waitlist may use growth of these keys that is pending."""
    return bool(
        await conn.fetchval(
            f"""
            SELECT EXISTS (
                SELECT FROM unnest($3::text[], $4::text[]) AS k (resource, code)
                JOIN growth g ON g.pending AND g.left_over > 0 AND g.resource = k.resource
                    AND (g.code = k.code OR g.currency = k.code)
                CROSS JOIN LATERAL (
                    SELECT FROM {WAITING} w WHERE {CONCERNS} AND {MAY_USE} LIMIT 1
                ) AS waiting
                WHERE g.id <> ALL($5::uuid[]))
            """,  # noqa: S608 - constants
            today,
            SLACK,
            *columns(pairs),
            seen,
        )
    )


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
        FROM summed s WHERE growth.id = s.growth_id AND NOT growth.voided
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
        FROM summed s WHERE growth.id = s.growth_id AND NOT growth.voided
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
    """Nobody on the waitlist can use what is left of these keys: all of it was looked at."""
    await conn.execute(
        """
        UPDATE growth SET pending = false FROM unnest($1::text[], $2::text[]) AS k (resource, code)
        WHERE pending AND growth.resource = k.resource
            AND coalesce(growth.code, growth.currency) = k.code
        """,
        *columns([(key.resource, key.code) for key in keys]),
    )


async def old(
    conn: asyncpg.Connection, older_than: timedelta, limit: int
) -> tuple[list[UUID], set[Key]]:
    """Old growth, and the keys that it belongs to."""
    rows = await conn.fetch(
        """
        SELECT id, resource, coalesce(code, currency) AS code FROM growth
        WHERE received_at < now() - $1::interval ORDER BY received_at LIMIT $2
        """,
        older_than,
        limit,
    )
    return [row["id"] for row in rows], {Key(row["resource"], row["code"]) for row in rows}


async def forget(conn: asyncpg.Connection, growth_ids: Sequence[UUID]) -> None:
    """Forget growth whose keys are locked, and who was woken for it."""
    await conn.execute("DELETE FROM growth WHERE id = ANY($1::uuid[])", list(growth_ids))


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
        on=row["on_day"],
        is_total=row["is_total"],
    )


def synthetic_growth(growth_id: UUID, freed: BlockedBy, need_id: UUID, at: datetime) -> Growth:
    """What a need that left the waitlist no longer keeps from those behind it.

    Args:
        at: see `clock`.
    """
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
        grew_at=at,
        received_at=at,
    )
