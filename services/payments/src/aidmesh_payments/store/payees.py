"""Whom payouts pay, sealed."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import CommitmentId, NeedId, PayeeRef


async def has(conn: asyncpg.Connection, payee_ref: PayeeRef, need_id: NeedId) -> bool:
    """Whether there are details under this reference for whom this need pays."""
    return bool(
        await conn.fetchval(
            "SELECT EXISTS (SELECT FROM payee WHERE payee_ref = $1 AND need_id = $2)",
            payee_ref,
            need_id,
        )
    )


async def put(
    conn: asyncpg.Connection,
    payees: Sequence[tuple[PayeeRef, NeedId, str | None, bytes, int, UUID | None]],
) -> None:
    """Keep a batch of sealed details, each once; nothing of needs whose people were erased.

    Payouts that were drawn up before say from now on how they go and who said so; what the needs
    hold is locked, or one that is drawn up at this moment would not.
    """
    rows = list({payee[0]: payee for payee in payees}.values())
    await conn.execute(
        """
        INSERT INTO payee (payee_ref, need_id, mechanism, sealed, version, sealed_by)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::int[],
                             $6::uuid[])
             AS n (payee_ref, need_id, mechanism, sealed, version, sealed_by)
        WHERE NOT EXISTS (SELECT FROM erased_need e WHERE e.need_id = n.need_id)
        ORDER BY n.payee_ref
        ON CONFLICT (payee_ref) DO NOTHING
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )
    await conn.execute(
        """
        WITH waiting AS (
            SELECT p.id, payee.mechanism, payee.sealed_by FROM payout p
            JOIN payee ON payee.payee_ref = p.payee_ref
            WHERE p.payee_ref = ANY($1::uuid[]) AND p.mechanism IS NULL
            ORDER BY p.id FOR NO KEY UPDATE OF p
        )
        UPDATE payout p SET mechanism = waiting.mechanism, sealed_by = waiting.sealed_by
        FROM waiting WHERE p.id = waiting.id
        """,
        [payee[0] for payee in rows],
    )


async def here(conn: asyncpg.Connection, payee_refs: Iterable[PayeeRef]) -> set[PayeeRef]:
    """Return which of these details are here."""
    rows = await conn.fetch(
        "SELECT payee_ref FROM payee WHERE payee_ref = ANY($1::uuid[])", list(set(payee_refs))
    )
    return {PayeeRef(row["payee_ref"]) for row in rows}


async def corrected(conn: asyncpg.Connection, need_ids: Iterable[NeedId]) -> dict[NeedId, PayeeRef]:
    """Of needs whose details were corrected, under which reference they are now."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (need_id) need_id, payee_ref FROM payee
        WHERE need_id = ANY($1::uuid[]) AND version > 0 ORDER BY need_id, version DESC
        """,
        list(set(need_ids)),
    )
    return {NeedId(row["need_id"]): PayeeRef(row["payee_ref"]) for row in rows}


async def redirect(
    conn: asyncpg.Connection, payees: Mapping[CommitmentId, PayeeRef]
) -> list[CommitmentId]:
    """Have what locked commitments pay go elsewhere, also payouts that have not left.

    Returns:
        of which commitments a payout goes another way than before.
    """
    rows = await conn.fetch(
        """
        WITH n AS (
            SELECT n.id, n.payee_ref, payee.mechanism, payee.sealed_by
            FROM unnest($1::uuid[], $2::uuid[]) AS n (id, payee_ref)
            JOIN payee ON payee.payee_ref = n.payee_ref
        ), of_commitment AS (
            UPDATE commitment c SET payee_ref = n.payee_ref FROM n WHERE c.id = n.id
        ), old AS (
            SELECT p.id, p.mechanism FROM payout p JOIN n ON n.id = p.commitment_id
            WHERE p.state IN ('draft', 'approved') AND p.assigned_to IS NULL
        )
        UPDATE payout p SET payee_ref = n.payee_ref, mechanism = n.mechanism,
               sealed_by = n.sealed_by
        FROM n, old WHERE p.commitment_id = n.id AND p.id = old.id
        RETURNING p.commitment_id, old.mechanism IS DISTINCT FROM p.mechanism AS changed
        """,
        list(payees),
        list(payees.values()),
    )
    return [CommitmentId(row["commitment_id"]) for row in rows if row["changed"]]


async def note_access(
    conn: asyncpg.Connection, openings: Sequence[tuple[PayeeRef, UUID, str]]
) -> None:
    """Record whose details were opened, by whom, and for what."""
    await conn.execute(
        """
        INSERT INTO payee_access (payee_ref, staff_id, purpose)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])
        """,
        [payee_ref for payee_ref, _, _ in openings],
        [staff_id for _, staff_id, _ in openings],
        [purpose for _, _, purpose in openings],
    )
