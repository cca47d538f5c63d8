"""Payouts at their holder that another region's office pays."""

from collections.abc import Iterable
from typing import NamedTuple

import asyncpg

from aidmesh_contracts.ids import AllotmentId, GrantId, NeedId, PayeeRef, PayoutId
from aidmesh_payments.domain.payout import UNSETTLED
from aidmesh_payments.store.payouts import PayoutRow, lock, payout_of


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

    Cash is paid where the person is. An office that is gone is asked nothing, nor one that had it
    before it was gone and is back. What somebody else works at is left for the next time.
    """
    locked = await conn.fetch(
        """
        SELECT p.id
        FROM payout p
        JOIN allotment a ON a.id = p.allotment_id
        JOIN grant_terms t ON t.grant_id = a.grant_id AND t.paying_office <> $1
        JOIN payee ON payee.payee_ref = p.payee_ref
        WHERE p.state = 'approved' AND p.assigned_to IS NULL AND p.withdrawal IS NULL
          AND t.paying_office <> ALL(p.taken_from)
          AND NOT EXISTS (SELECT FROM unproven u
                          WHERE u.id IN (p.id, p.need_id) AND u.cleared_at IS NULL)
          AND COALESCE(p.mechanism, 'iban') <> 'cash'
          AND NOT EXISTS (SELECT FROM region_standing r
                          WHERE r.region = t.paying_office AND r.standing <> 'member')
          AND EXISTS (SELECT FROM peer_key k WHERE k.region = t.paying_office AND k.purpose = $2)
        ORDER BY p.id LIMIT $3 FOR NO KEY UPDATE OF p SKIP LOCKED
        """,
        region,
        key_purpose,
        limit,
    )
    # Details are read with the payout locked, or they could be of somebody who was erased since.
    rows = await conn.fetch(
        """
        SELECT p.*, t.paying_office, a.grant_id, payee.sealed
        FROM payout p
        JOIN allotment a ON a.id = p.allotment_id
        JOIN grant_terms t ON t.grant_id = a.grant_id
        JOIN payee ON payee.payee_ref = p.payee_ref
        WHERE p.id = ANY($1::uuid[]) ORDER BY p.id
        """,
        [row["id"] for row in locked],
    )
    return [
        Assignable(
            payout_of(row),
            row["paying_office"],
            GrantId(row["grant_id"]),
            AllotmentId(row["allotment_id"]),
            PayeeRef(row["payee_ref"]),
            row["sealed"],
        )
        for row in rows
    ]


async def lock_assigned(conn: asyncpg.Connection, need_ids: Iterable[NeedId]) -> list[PayoutRow]:
    """Lock all payouts of these needs; returns those that were handed to another office."""
    rows = await conn.fetch(
        "SELECT id FROM payout WHERE need_id = ANY($1::uuid[])", list(set(need_ids))
    )
    # Looked at with the locks: one of them may be handed over at this moment.
    locked = await lock(conn, [PayoutId(row["id"]) for row in rows])
    return [row for row in locked.values() if row.assigned_to is not None]


async def lock_unsettled(conn: asyncpg.Connection, offices: Iterable[str]) -> list[PayoutRow]:
    """Lock payouts that these offices have, paid or not, and did not settle."""
    rows = await conn.fetch(
        "SELECT id FROM payout WHERE assigned_to = ANY($1::text[]) AND state = ANY($2::text[])",
        list(offices),
        sorted(UNSETTLED),
    )
    locked = await lock(conn, [PayoutId(row["id"]) for row in rows])
    return [row for row in locked.values() if row.payout.state in UNSETTLED]


async def take_back(conn: asyncpg.Connection, ids: Iterable[PayoutId]) -> None:
    """Have locked payouts again that offices were to pay; whose they were is kept."""
    await conn.execute(
        """
        UPDATE payout SET assigned_to = NULL, taken_from = taken_from || assigned_to
        WHERE id = ANY($1::uuid[]) AND assigned_to IS NOT NULL
        """,
        list(ids),
    )
