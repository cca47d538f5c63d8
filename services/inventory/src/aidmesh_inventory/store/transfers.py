"""What regions asked each other for, and what was answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_inventory.domain.transfers import Ask, State


@dataclass(frozen=True, slots=True)
class Transfer:
    """Goods that one region asked another for.

    Attributes:
        accepted: how many pieces the owner said it would send; None without such an answer.
        by_rule: it was no person who answered; `accept_rule_id` says by which rule, at the owner.
        sent, prepared: pieces that left for it, and those of shipments that have not.
        as_of: when this region last heard of it or did something with it; None if it is new.
    """

    transfer_id: UUID
    from_region: str
    to_region: str
    item: str
    quantity: int
    to_site_id: UUID
    area: str
    reason: str
    state: State
    accepted: int | None
    answer_reason: str | None
    asked_at: datetime
    ask_rule_id: UUID | None = None
    answered_at: datetime | None = None
    answered_by: UUID | None = None
    by_rule: bool = False
    accept_rule_id: UUID | None = None
    sent: int = 0
    prepared: int = 0
    as_of: datetime | None = None

    @property
    def ask(self) -> Ask:
        """What is decided by."""
        return Ask(self.item, self.quantity, self.state, self.accepted)


_PIECES = """
    (SELECT COALESCE(sum(l.quantity), 0)::int
     FROM shipment s JOIN shipment_line l ON l.shipment_id = s.id
     WHERE s.transfer_id = transfer.id AND s.sent = '{sent}')
"""
_AS_OF = """
    greatest(asked_at, answered_at, over_at,
             (SELECT max(s.changed_at) FROM shipment s WHERE s.transfer_id = transfer.id))
"""
_FIELDS = f"""
    id, from_region, to_region, item, quantity, to_site_id, area, reason, state, accepted,
    answer_reason, asked_at, ask_rule_id, answered_at, answered_by, by_rule, accept_rule_id,
    {_PIECES.format(sent="dispatched")}, {_PIECES.format(sent="preparing")}, {_AS_OF}
"""


async def insert(
    conn: asyncpg.Connection,
    asked: Transfer,
    asked_by: UUID | None,
    rule_id: UUID | None = None,
) -> bool:
    """Keep what was asked for, by a person here or by a rule; False if it is known."""
    return bool(
        await conn.fetchval(
            """
            INSERT INTO transfer (id, from_region, to_region, item, quantity, to_site_id, area,
                                  reason, asked_at, asked_by, ask_rule_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT DO NOTHING RETURNING true
            """,
            asked.transfer_id,
            asked.from_region,
            asked.to_region,
            asked.item,
            asked.quantity,
            asked.to_site_id,
            asked.area,
            asked.reason,
            asked.asked_at,
            asked_by,
            rule_id,
        )
    )


async def lock(conn: asyncpg.Connection, transfer_id: UUID) -> Transfer | None:
    """One of them, for as long as the transaction lasts."""
    row = await conn.fetchrow(
        f"SELECT {_FIELDS} FROM transfer WHERE id = $1 FOR UPDATE",  # noqa: S608 - a constant
        transfer_id,
    )
    return None if row is None else Transfer(*row)


async def answer(
    conn: asyncpg.Connection,
    transfer_id: UUID,
    accepted: int | None,
    reason: str | None,
    by: UUID | None,
    *,
    by_rule: bool = False,
    rule_id: UUID | None = None,
) -> None:
    """Accept so many pieces, or refuse for a reason, what was not answered yet."""
    await conn.execute(
        """
        UPDATE transfer SET state = CASE WHEN $2::int IS NULL THEN 'refused' ELSE 'accepted' END,
               accepted = $2, answer_reason = $3, answered_by = $4, by_rule = $5,
               accept_rule_id = $6, answered_at = clock_timestamp(),
               over_at = CASE WHEN $2::int IS NULL THEN clock_timestamp() END
        WHERE id = $1 AND state = 'asked'
        """,
        transfer_id,
        accepted,
        reason,
        by,
        by_rule,
        rule_id,
    )


async def withdraw(conn: asyncpg.Connection, transfer_id: UUID) -> None:
    """Have an ask stand no more, whatever was answered."""
    await conn.execute(
        """
        UPDATE transfer SET state = 'withdrawn', accepted = NULL, answer_reason = NULL,
               over_at = clock_timestamp()
        WHERE id = $1 AND state <> 'withdrawn'
        """,
        transfer_id,
    )


async def item_of(conn: asyncpg.Connection, transfer_id: UUID) -> str | None:
    """What an ask is for; that does not change."""
    found: str | None = await conn.fetchval("SELECT item FROM transfer WHERE id = $1", transfer_id)
    return found


async def page(
    conn: asyncpg.Connection,
    *,
    region: str,
    outgoing: bool,
    state: str | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Transfer]:
    """What a region was asked for (`outgoing`: its goods would go) or asked others for.

    The latest first.
    """
    at, transfer_id = after or (None, None)
    rows = await conn.fetch(
        f"""
        SELECT {_FIELDS} FROM transfer
        WHERE CASE WHEN $2 THEN from_region ELSE to_region END = $1
          AND ($3::text IS NULL OR state = $3)
          AND ($4::timestamptz IS NULL OR (asked_at, id) < ($4, $5::uuid))
        ORDER BY asked_at DESC, id DESC LIMIT $6
        """,  # noqa: S608 - a constant
        region,
        outgoing,
        state,
        at,
        transfer_id,
        limit,
    )
    return [Transfer(*row) for row in rows]
