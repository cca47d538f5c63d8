"""What a region knows of the grants that it may spend of: terms, state, and when they begin."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_contracts.payments_grants import GrantTerms
from aidmesh_contracts.restriction import Restriction


async def put(
    conn: asyncpg.Connection,
    terms: GrantTerms,
    grantor: str,
    *,
    status: str | None = None,
    state_version: int = 0,
    amount_minor: int | None = None,
    received_minor: int | None = None,
) -> bool:
    """Keep the newest terms (by their version) and the newest state (by its version).

    A grant whose period is still to begin is noted, so that `begin` finds it then.

    Returns:
        whether it is the grantor's grant; nothing is kept of what others say of it.
    """
    kept = await conn.fetchval(
        """
        INSERT INTO grant_terms AS old (grant_id, grantor, code, donor, currency, restriction,
            paying_office, terms_version, status, state_version, amount_minor, received_minor)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, COALESCE($9, 'active'), $10, $11, $12)
        ON CONFLICT (grant_id) DO UPDATE SET
            code = CASE WHEN excluded.terms_version > old.terms_version
                        THEN excluded.code ELSE old.code END,
            donor = CASE WHEN excluded.terms_version > old.terms_version
                         THEN excluded.donor ELSE old.donor END,
            restriction = CASE WHEN excluded.terms_version > old.terms_version
                               THEN excluded.restriction ELSE old.restriction END,
            paying_office = CASE WHEN excluded.terms_version > old.terms_version
                                 THEN excluded.paying_office ELSE old.paying_office END,
            terms_version = greatest(excluded.terms_version, old.terms_version),
            status = CASE WHEN excluded.state_version > old.state_version
                          THEN excluded.status ELSE old.status END,
            amount_minor = CASE WHEN excluded.state_version > old.state_version
                                THEN excluded.amount_minor ELSE old.amount_minor END,
            received_minor = CASE WHEN excluded.state_version > old.state_version
                                  THEN excluded.received_minor ELSE old.received_minor END,
            state_version = greatest(excluded.state_version, old.state_version)
        WHERE old.grantor = excluded.grantor RETURNING true
        """,
        terms.grant_id,
        grantor,
        terms.code,
        terms.donor,
        terms.currency,
        terms.restriction.model_dump_json(),
        terms.paying_office,
        terms.terms_version,
        status,
        state_version,
        amount_minor,
        received_minor,
    )
    if kept is None:
        return False
    await conn.execute(
        """
        INSERT INTO grant_to_come (grant_id)
        SELECT grant_id FROM grant_terms
        WHERE grant_id = $1 AND (restriction ->> 'valid_from')::date
                                > (now() AT TIME ZONE 'Europe/Kyiv')::date
        ON CONFLICT DO NOTHING
        """,
        terms.grant_id,
    )
    return True


class GrantState(NamedTuple):
    """A grant as this region knows it."""

    status: str
    restriction: Restriction


async def state_of(conn: asyncpg.Connection, grant_id: GrantId) -> GrantState | None:
    """Return state and restriction of a grant, its own or another region's."""
    row = await conn.fetchrow(
        "SELECT status, restriction FROM grant_terms WHERE grant_id = $1", grant_id
    )
    if row is None:
        return None
    return GrantState(row["status"], Restriction.model_validate_json(row["restriction"]))


async def programmes(
    conn: asyncpg.Connection, ids: Iterable[AllotmentId]
) -> dict[AllotmentId, tuple[str, ...] | None]:
    """Return whom each allotment may serve; None for all. Left out: grants that are not active."""
    rows = await conn.fetch(
        """
        SELECT a.id, t.restriction FROM allotment a JOIN grant_terms t ON t.grant_id = a.grant_id
        WHERE a.id = ANY($1::uuid[]) AND t.status = 'active'
        """,
        list(set(ids)),
    )
    return {
        AllotmentId(row["id"]): Restriction.model_validate_json(row["restriction"]).programmes
        for row in rows
    }


async def restrictions(
    conn: asyncpg.Connection, ids: Iterable[AllotmentId]
) -> dict[AllotmentId, Restriction]:
    """What the grant of each allotment allows."""
    rows = await conn.fetch(
        """
        SELECT a.id, t.restriction FROM allotment a JOIN grant_terms t ON t.grant_id = a.grant_id
        WHERE a.id = ANY($1::uuid[])
        """,
        list(set(ids)),
    )
    return {
        AllotmentId(row["id"]): Restriction.model_validate_json(row["restriction"]) for row in rows
    }


_BEGUN = """t.grant_id = c.grant_id AND t.status = 'active'
    AND COALESCE((t.restriction ->> 'valid_from')::date <= $1, true)"""


async def due_to_begin(conn: asyncpg.Connection, today: date, limit: int) -> list[GrantId]:
    """Return active grants whose period has begun, and of which nobody was told so far."""
    rows = await conn.fetch(
        f"""
        SELECT c.grant_id FROM grant_to_come c JOIN grant_terms t ON {_BEGUN}
        ORDER BY c.grant_id LIMIT $2
        """,  # noqa: S608 - our condition
        today,
        limit,
    )
    return [GrantId(row["grant_id"]) for row in rows]


async def begin(
    conn: asyncpg.Connection, grant_ids: Iterable[GrantId], today: date
) -> set[GrantId]:
    """Note that these grants have begun; returns those of which that is so, and is news."""
    rows = await conn.fetch(
        f"""
        WITH begun AS (
            SELECT c.grant_id FROM grant_to_come c JOIN grant_terms t ON {_BEGUN}
            WHERE c.grant_id = ANY($2::uuid[]) ORDER BY c.grant_id FOR UPDATE OF c)
        DELETE FROM grant_to_come c USING begun b WHERE c.grant_id = b.grant_id
        RETURNING c.grant_id
        """,  # noqa: S608 - our condition
        today,
        list(grant_ids),
    )
    return {GrantId(row["grant_id"]) for row in rows}
