"""What a restore does to payments' tables at once."""

from collections.abc import Collection, Iterable
from typing import Final, Literal
from uuid import UUID

import asyncpg

from aidmesh_chassis.restoring import VERSION_GAP, About
from aidmesh_contracts.ids import AllotmentId, GrantId, RebalancingId

VERSIONED: Final = ("donor_grant", "allotment", "rebalancing", "return_ask", "paying_order")
"""Tables whose states other regions hear of, by version."""

SHARED: Final = ("wait",)
"""The same, where other regions' rows are among them."""

TOLD: Final = (
    "payments.rebalancing.changed.v1",
    "payments.wait.changed.v1",
)
"""States that no sweep tells by itself; grants are told with what is known of them."""


async def rise_above(
    conn: asyncpg.Connection,
    table: Literal["allotment", "donor_grant"],
    heard: Iterable[tuple[UUID, int]],
) -> None:
    """Raise the versions of what was booked anew above those that others have heard.

    What the backup knew was raised before; what came after it begins again with version 1.
    """
    rows = list(heard)
    await conn.execute(
        f"""
        UPDATE {table} t SET version = heard.version + $3
        FROM unnest($1::uuid[], $2::int[]) AS heard (id, version)
        WHERE t.id = heard.id AND t.version <= heard.version
        """,  # noqa: S608 - named in the code
        [identity for identity, _ in rows],
        [version for _, version in rows],
        VERSION_GAP,
    )


async def open_payments(conn: asyncpg.Connection) -> list[tuple[About, list[UUID]]]:
    """What may have been paid after the backup was taken, by what it is.

    What another office was asked to pay is proven by that office's answer.
    """
    payouts = await conn.fetch(
        "SELECT id FROM payout WHERE state IN ('draft', 'approved') AND assigned_to IS NULL"
    )
    orders = await conn.fetch("SELECT id FROM paying_order WHERE state = 'received'")
    purchases = await conn.fetch(
        "SELECT id FROM purchase WHERE state IN ('draft', 'ordered', 'received', 'invoiced')"
    )
    return [
        ("payout", [row["id"] for row in payouts]),
        ("order", [row["id"] for row in orders]),
        ("purchase", [row["id"] for row in purchases]),
    ]


async def end_holds(conn: asyncpg.Connection) -> None:
    """Have all holds run out now: they last minutes, and the backup is older."""
    await conn.execute("UPDATE commitment SET hold_until = clock_timestamp() WHERE state = 'held'")


async def recalled(conn: asyncpg.Connection) -> list[AllotmentId]:
    """The allotments of which something may still go back by itself."""
    rows = await conn.fetch("SELECT id FROM allotment WHERE status = 'recalled' ORDER BY id")
    return [AllotmentId(row["id"]) for row in rows]


async def is_known(conn: asyncpg.Connection, transfer_id: UUID) -> bool:
    """Whether a transfer is in the books."""
    return bool(
        await conn.fetchval("SELECT EXISTS (SELECT FROM transfer WHERE id = $1)", transfer_id)
    )


async def donor_of(conn: asyncpg.Connection, name: str) -> UUID | None:
    """The donor of a name; None when there is none."""
    donor_id: UUID | None = await conn.fetchval("SELECT id FROM donor WHERE name = $1", name)
    return donor_id


async def widest_line(conn: asyncpg.Connection, grant_id: UUID) -> str | None:
    """The budget line of a grant that has most left; None for a grant that is not in the books."""
    code: str | None = await conn.fetchval(
        """
        SELECT code FROM budget_line WHERE grant_id = $1
        ORDER BY amount_minor - allotted_minor DESC, code LIMIT 1
        """,
        grant_id,
    )
    return code


async def raise_terms(conn: asyncpg.Connection, region: str) -> None:
    """Raise the version of the terms of all own grants: holders keep the highest, and may have
    heard of some that are lost."""
    await conn.execute(
        "UPDATE grant_terms SET terms_version = terms_version + $1 WHERE grantor = $2",
        VERSION_GAP,
        region,
    )


async def rebalancings_of(
    conn: asyncpg.Connection, allotment_id: AllotmentId
) -> list[RebalancingId]:
    """The proposals to move money of an allotment."""
    rows = await conn.fetch("SELECT id FROM rebalancing WHERE allotment_id = $1", allotment_id)
    return [RebalancingId(row["id"]) for row in rows]


async def lent(conn: asyncpg.Connection, reason: str) -> dict[GrantId, int]:
    """What was lent to grants for this reason, and not taken back."""
    rows = await conn.fetch(
        """
        SELECT a.grant_id, sum(p.amount_minor)::bigint AS minor
        FROM journal j
        JOIN posting p ON p.journal_id = j.id
        JOIN account a ON a.id = p.account_id
        WHERE j.kind = 'exchange_difference' AND j.reason = $1 AND a.code = 'unallotted'
        GROUP BY 1 HAVING sum(p.amount_minor) > 0
        """,
        reason,
    )
    return {GrantId(row["grant_id"]): row["minor"] for row in rows}


async def known_commitments(conn: asyncpg.Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these commitments are in the books."""
    rows = await conn.fetch("SELECT id FROM commitment WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"] for row in rows}


async def needs_of(conn: asyncpg.Connection, ids: Collection[UUID]) -> list[UUID]:
    """The needs of these payouts."""
    rows = await conn.fetch(
        "SELECT DISTINCT need_id FROM payout WHERE id = ANY($1::uuid[])", list(ids)
    )
    return [row["need_id"] for row in rows]


async def about(conn: asyncpg.Connection, payment_id: UUID) -> About | None:
    """What something is that nobody can prove yet; None when that is not, or no more, the case.

    A payout is that also by its need.
    """
    found: About | None = await conn.fetchval(
        """
        SELECT about FROM unproven WHERE id = $1 AND about <> 'need' AND cleared_at IS NULL
        UNION ALL
        SELECT 'payout' FROM payout p JOIN unproven u ON u.id = p.need_id AND u.about = 'need'
        WHERE p.id = $1 AND u.cleared_at IS NULL
        LIMIT 1
        """,
        payment_id,
    )
    return found
