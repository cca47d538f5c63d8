"""Money that left and came back, and the grants' names; each applies once, in any order."""

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg

from aidmesh_contracts.payments import CommitmentReversedV1, CommitmentSpentV1
from aidmesh_contracts.payments_grants import GrantChangedV1
from aidmesh_reporting.store.rows import columns


async def add_spends(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, CommitmentSpentV1]]
) -> None:
    """Record money that left."""
    await conn.execute(
        """
        INSERT INTO spend (commitment_id, spend_no, event_id, need_id, grant_id, amount_minor,
                           currency, spent_on, fulfils)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[], $5::uuid[],
            $6::bigint[], $7::text[], $8::date[], $9::boolean[]) AS n (commitment_id, spend_no)
        ORDER BY commitment_id, spend_no ON CONFLICT DO NOTHING
        """,
        *columns(
            (
                event.commitment_id,
                event.spend_no,
                event_id,
                event.need_id,
                event.grant_id,
                event.amount_minor,
                event.currency,
                event.spent_on,
                event.fulfils,
            )
            for event_id, event in events
        ),
    )


async def add_spend_reversals(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, CommitmentReversedV1]]
) -> None:
    """Record money that came back."""
    await conn.execute(
        """
        INSERT INTO spend_reversal (commitment_id, spend_no, event_id, need_id)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[])
            AS n (commitment_id, spend_no)
        ORDER BY commitment_id, spend_no ON CONFLICT DO NOTHING
        """,
        *columns(
            (event.commitment_id, event.spend_no, event_id, event.need_id)
            for event_id, event in events
        ),
    )


async def put_grants(
    conn: asyncpg.Connection, events: Sequence[tuple[str, GrantChangedV1]]
) -> None:
    """Keep names of grants, the highest version of each; nothing that another region says of it."""
    await conn.execute(
        """
        INSERT INTO grant_name (grant_id, region, code, donor, currency, status, version)
        SELECT DISTINCT ON (n.grant_id) n.*
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::int[]) AS n (grant_id, region, code, donor, currency, status, version)
        LEFT JOIN grant_name known ON known.grant_id = n.grant_id
        WHERE known.grant_id IS NULL OR known.region = n.region
        ORDER BY n.grant_id, n.version DESC
        ON CONFLICT (grant_id) DO UPDATE
        SET code = excluded.code, donor = excluded.donor, currency = excluded.currency,
            status = excluded.status, version = excluded.version
        WHERE grant_name.version < excluded.version AND grant_name.region = excluded.region
        """,
        *columns(
            (
                event.grant_id,
                region,
                event.terms.code,
                event.terms.donor,
                event.terms.currency,
                event.status,
                event.version,
            )
            for region, event in events
        ),
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
