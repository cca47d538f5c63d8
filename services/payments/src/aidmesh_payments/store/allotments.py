"""Allotments at their holder, and those of others as they last told."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_contracts.payments_grants import AllotmentChangedV1
from aidmesh_contracts.restriction import Restriction
from aidmesh_payments.domain.allotments import Allotment
from aidmesh_payments.domain.choosing import Purse

_COLUMNS = """a.id, a.grant_id, a.budget_line, a.grantor, a.currency, a.received_minor,
    a.returned_minor, a.held_minor, a.committed_minor, a.spent_minor, a.status, a.valid_until,
    a.version"""

_PURSES = f"""SELECT {_COLUMNS}, a.cost_categories, t.code, t.restriction, t.status AS grant_status
    FROM allotment a JOIN grant_terms t ON t.grant_id = a.grant_id"""  # noqa: S608 - our columns


def _allotment(row: asyncpg.Record) -> Allotment:
    return Allotment(
        id=AllotmentId(row["id"]),
        grant_id=GrantId(row["grant_id"]),
        budget_line=row["budget_line"],
        grantor=row["grantor"],
        currency=row["currency"],
        received_minor=row["received_minor"],
        returned_minor=row["returned_minor"],
        held_minor=row["held_minor"],
        committed_minor=row["committed_minor"],
        spent_minor=row["spent_minor"],
        status=row["status"],
        valid_until=row["valid_until"],
        version=row["version"],
    )


async def lock(
    conn: asyncpg.Connection, ids: Iterable[AllotmentId]
) -> dict[AllotmentId, Allotment]:
    """Lock allotments in order of id."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM allotment a WHERE id = ANY($1::uuid[])
        ORDER BY id FOR NO KEY UPDATE
        """,  # noqa: S608 - our columns
        list(set(ids)),
    )
    return {AllotmentId(row["id"]): _allotment(row) for row in rows}


async def lock_all(
    conn: asyncpg.Connection, ids: Iterable[AllotmentId], currencies: Iterable[str]
) -> list[Allotment]:
    """Lock allotments, and all in these currencies that a choice may look at, in order of id."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM allotment a
        WHERE id = ANY($1::uuid[]) OR (currency = ANY($2::text[]) AND status <> 'returned')
        ORDER BY id FOR NO KEY UPDATE
        """,  # noqa: S608 - our columns
        list(set(ids)),
        list(set(currencies)),
    )
    return [_allotment(row) for row in rows]


async def lock_world(conn: asyncpg.Connection) -> None:
    """Wait for other batches that tell of grants and allotments, until this one ends."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('world', 0))")


async def lock_purses(
    conn: asyncpg.Connection, currencies: Iterable[str]
) -> tuple[dict[AllotmentId, Allotment], list[Purse]]:
    """Lock every allotment in these currencies and show them as a choice sees them."""
    rows = await conn.fetch(
        f"""
        {_PURSES} WHERE a.currency = ANY($1::text[]) AND a.status <> 'returned'
        ORDER BY a.id FOR NO KEY UPDATE OF a
        """,
        list(set(currencies)),
    )
    return _purses(rows)


async def lock_purse(
    conn: asyncpg.Connection, allotment_id: AllotmentId
) -> tuple[dict[AllotmentId, Allotment], list[Purse]]:
    """Lock one allotment and show it as a choice sees it."""
    query = f"{_PURSES} WHERE a.id = $1 FOR NO KEY UPDATE OF a"
    return _purses(await conn.fetch(query, allotment_id))


def _purses(
    rows: Sequence[asyncpg.Record],
) -> tuple[dict[AllotmentId, Allotment], list[Purse]]:
    allotments = {AllotmentId(row["id"]): _allotment(row) for row in rows}
    purses = [
        Purse(
            allotment_id=allotment.id,
            grant_id=allotment.grant_id,
            currency=allotment.currency,
            free_minor=allotment.free_minor,
            restriction=Restriction.model_validate_json(row["restriction"]),
            name=(row["code"], allotment.budget_line),
            cost_categories=None
            if row["cost_categories"] is None
            else tuple(row["cost_categories"]),
            valid_until=allotment.valid_until,
            usable=allotment.status == "active" and row["grant_status"] == "active",
        )
        for row, allotment in zip(rows, allotments.values(), strict=True)
    ]
    return allotments, purses


async def save(conn: asyncpg.Connection, allotments: Sequence[Allotment]) -> None:
    """Write balances, status and version of locked allotments."""
    await conn.execute(
        """
        UPDATE allotment a SET received_minor = n.received, returned_minor = n.returned,
               held_minor = n.held, committed_minor = n.committed, spent_minor = n.spent,
               status = n.status, version = n.version
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                    $6::bigint[], $7::text[], $8::int[])
             AS n (id, received, returned, held, committed, spent, status, version)
        WHERE a.id = n.id
        """,
        [each.id for each in allotments],
        [each.received_minor for each in allotments],
        [each.returned_minor for each in allotments],
        [each.held_minor for each in allotments],
        [each.committed_minor for each in allotments],
        [each.spent_minor for each in allotments],
        [each.status for each in allotments],
        [each.version for each in allotments],
    )


async def take_untold(conn: asyncpg.Connection, limit: int) -> list[Allotment]:
    """Allotments that changed since other regions were told, as they are now; now told."""
    rows = await conn.fetch(
        f"""
        WITH untold AS (
            SELECT id FROM allotment WHERE version > told_version
            ORDER BY id LIMIT $1 FOR NO KEY UPDATE)
        UPDATE allotment a SET told_version = a.version FROM untold u WHERE a.id = u.id
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - our columns
        limit,
    )
    return [_allotment(row) for row in rows]


async def open_empty(
    conn: asyncpg.Connection,
    allotment: Allotment,
    cost_categories: Sequence[str] | None,
) -> None:
    """Make the allotment, without money, if it is not there."""
    await conn.execute(
        """
        INSERT INTO allotment (id, grant_id, budget_line, grantor, currency, cost_categories,
                               valid_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING
        """,
        allotment.id,
        allotment.grant_id,
        allotment.budget_line,
        allotment.grantor,
        allotment.currency,
        None if cost_categories is None else list(cost_categories),
        allotment.valid_until,
    )


async def of_grant(conn: asyncpg.Connection, grant_id: GrantId) -> list[AllotmentId]:
    """Return the active allotments that this region holds of a grant."""
    return await of_grants(conn, [grant_id])


async def of_grants(conn: asyncpg.Connection, grant_ids: Iterable[GrantId]) -> list[AllotmentId]:
    """Return the active allotments that this region holds of these grants."""
    rows = await conn.fetch(
        """
        SELECT id FROM allotment WHERE grant_id = ANY($1::uuid[]) AND status = 'active'
        ORDER BY id
        """,
        list(set(grant_ids)),
    )
    return [AllotmentId(row["id"]) for row in rows]


async def past_validity(conn: asyncpg.Connection, today: date, limit: int) -> list[AllotmentId]:
    """Return active allotments whose last day is over."""
    rows = await conn.fetch(
        """
        SELECT id FROM allotment WHERE status = 'active' AND valid_until < $1
        ORDER BY id LIMIT $2
        """,
        today,
        limit,
    )
    return [AllotmentId(row["id"]) for row in rows]


async def keep_elsewhere(conn: asyncpg.Connection, states: Sequence[AllotmentChangedV1]) -> None:
    """Keep other regions' states; the highest version wins, whatever comes last.

    Only the holder that is known speaks of an allotment.
    """
    rows: list[tuple[object, ...]] = [
        (
            each.allotment_id,
            each.grant_id,
            each.grantor,
            each.holder,
            each.currency,
            each.received_minor,
            each.returned_minor,
            each.held_minor,
            each.committed_minor,
            each.spent_minor,
            each.status,
            each.version,
            each.as_of,
        )
        for each in states
    ]
    await conn.execute(
        """
        INSERT INTO allotment_elsewhere AS old
        SELECT DISTINCT ON (n.allotment_id) n.*
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[],
                    $12::int[], $13::timestamptz[])
             AS n (allotment_id, grant_id, grantor, holder, currency, received_minor,
                   returned_minor, held_minor, committed_minor, spent_minor, status, version, as_of)
        LEFT JOIN allotment_elsewhere known ON known.allotment_id = n.allotment_id
        WHERE known.allotment_id IS NULL OR known.holder = n.holder
        ORDER BY n.allotment_id, n.version DESC
        ON CONFLICT (allotment_id) DO UPDATE SET received_minor = excluded.received_minor,
            returned_minor = excluded.returned_minor, held_minor = excluded.held_minor,
            committed_minor = excluded.committed_minor, spent_minor = excluded.spent_minor,
            status = excluded.status, version = excluded.version, as_of = excluded.as_of
        WHERE excluded.version > old.version AND excluded.holder = old.holder
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def clock(conn: asyncpg.Connection) -> datetime:
    """Return the database's clock now: asked after locking, it tells the order of decisions."""
    now: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return now
