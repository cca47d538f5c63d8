"""Payouts at their holder that another region's office pays."""

from collections.abc import Iterable
from typing import NamedTuple

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId, NeedId, PayeeRef, PayoutId
from aidmesh_payments.store.payouts import PayoutRow, lock


class Assignable(NamedTuple):
    """An approved payout that its grant has another office pay; locked."""

    row: PayoutRow
    office: str
    grant_id: GrantId
    allotment_id: AllotmentId
    payee_ref: PayeeRef
    sealed: bytes


async def lock_assignable(
    conn: asyncpg.Connection, region: str, key_purpose: str, limit: int
) -> list[Assignable]:
    """Lock approved payouts that another office pays, whose details and whose key are here.

    Cash is paid where the person is. What somebody else works at is left for the next time.
    """
    rows = await conn.fetch(
        """
        SELECT p.id, t.paying_office, a.grant_id, p.allotment_id, p.payee_ref, payee.sealed
        FROM payout p
        JOIN allotment a ON a.id = p.allotment_id
        JOIN grant_terms t ON t.grant_id = a.grant_id AND t.paying_office <> $1
        JOIN payee ON payee.payee_ref = p.payee_ref
        WHERE p.state = 'approved' AND p.assigned_to IS NULL
          AND COALESCE(p.mechanism, 'iban') <> 'cash'
          AND EXISTS (SELECT FROM peer_key k WHERE k.region = t.paying_office AND k.purpose = $2)
        ORDER BY p.id LIMIT $3 FOR NO KEY UPDATE OF p SKIP LOCKED
        """,
        region,
        key_purpose,
        limit,
    )
    locked = await lock(conn, [PayoutId(row["id"]) for row in rows])
    return [
        Assignable(
            locked[PayoutId(row["id"])],
            row["paying_office"],
            GrantId(row["grant_id"]),
            AllotmentId(row["allotment_id"]),
            PayeeRef(row["payee_ref"]),
            row["sealed"],
        )
        for row in rows
    ]


async def lock_assigned(conn: asyncpg.Connection, need_ids: Iterable[NeedId]) -> list[PayoutRow]:
    """Lock all payouts of these needs that were handed to another office."""
    rows = await conn.fetch(
        "SELECT id FROM payout WHERE need_id = ANY($1::uuid[]) AND assigned_to IS NOT NULL",
        list(set(need_ids)),
    )
    return list((await lock(conn, [PayoutId(row["id"]) for row in rows])).values())
