"""Rules by which asks of other regions are accepted, and what they look at."""

from collections.abc import Collection
from datetime import date, timedelta
from uuid import UUID

import asyncpg

from aidmesh_inventory.domain.accepting import NEED_DAYS, WEEK_DAYS, Rule
from aidmesh_inventory.store.stock import Key


async def in_force(conn: asyncpg.Connection) -> list[Rule]:
    """The rules that were set and not ended."""
    rows = await conn.fetch(
        """
        SELECT id, item, site_id, regions, keep_pieces, keep_days, ask_max, week_max
        FROM accept_rule WHERE ended_at IS NULL ORDER BY id
        """
    )
    return [
        Rule(
            row["id"],
            row["item"],
            row["site_id"],
            None if row["regions"] is None else frozenset(row["regions"]),
            row["keep_pieces"],
            row["keep_days"],
            row["ask_max"],
            row["week_max"],
        )
        for row in rows
    ]


async def put(conn: asyncpg.Connection, rule: Rule, by: UUID) -> bool:
    """Set a rule; False if its item is not known."""
    return bool(
        await conn.fetchval(
            """
            INSERT INTO accept_rule (id, item, site_id, regions, keep_pieces, keep_days, ask_max,
                                     week_max, set_at, set_by)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), $9
            WHERE $2::text IS NULL OR EXISTS (SELECT FROM item WHERE code = $2)
            RETURNING true
            """,
            rule.rule_id,
            rule.item,
            rule.site_id,
            None if rule.regions is None else sorted(rule.regions),
            rule.keep_pieces,
            rule.keep_days,
            rule.ask_max,
            rule.week_max,
            by,
        )
    )


async def end(conn: asyncpg.Connection, rule_id: UUID, by: UUID) -> bool:
    """End a rule; False if there is none in force of that id."""
    return bool(
        await conn.fetchval(
            """
            UPDATE accept_rule SET ended_at = clock_timestamp(), ended_by = $2
            WHERE id = $1 AND ended_at IS NULL RETURNING true
            """,
            rule_id,
            by,
        )
    )


async def shown(conn: asyncpg.Connection) -> list[asyncpg.Record]:
    """The rules in force, who set them, and what they promised within `WEEK_DAYS`."""
    return await conn.fetch(
        """
        SELECT r.id AS rule_id, r.item, r.site_id, r.regions, r.keep_pieces, r.keep_days,
               r.ask_max, r.week_max, r.set_at, r.set_by,
               COALESCE((SELECT sum(t.quantity) FROM transfer t WHERE t.accept_rule_id = r.id
                         AND t.answered_at > clock_timestamp() - $1::interval), 0)::int AS given
        FROM accept_rule r WHERE r.ended_at IS NULL ORDER BY r.item NULLS LAST, r.id
        """,
        timedelta(days=WEEK_DAYS),
    )


async def given(conn: asyncpg.Connection) -> dict[UUID, int]:
    """Pieces that each rule promised within `WEEK_DAYS`, also if they are not wanted any more."""
    return {row["rule_id"]: row["given"] for row in await shown(conn)}


async def keys_of(conn: asyncpg.Connection, items: Collection[str]) -> list[Key]:
    """Where these items lie at open sites."""
    rows = await conn.fetch(
        """
        SELECT s.site_id, s.item FROM stock_state s JOIN site ON site.id = s.site_id
        WHERE s.item = ANY($1::text[]) AND site.status = 'open'
        """,
        list(items),
    )
    return [(row["site_id"], row["item"]) for row in rows]


async def promised(conn: asyncpg.Connection, region: str, item: str) -> int:
    """Pieces that other regions were promised, or that are prepared for them, and are still here.

    Hold the mutexes of the item: promises and dispatches do.
    """
    return int(
        await conn.fetchval(
            """
            SELECT COALESCE((
                SELECT sum(t.accepted - COALESCE((
                    SELECT sum(l.quantity) FROM shipment s JOIN shipment_line l
                        ON l.shipment_id = s.id
                    WHERE s.transfer_id = t.id AND s.sent = 'dispatched'), 0))
                FROM transfer t
                WHERE t.from_region = $1 AND t.item = $2 AND t.state = 'accepted'), 0)
            + COALESCE((
                SELECT sum(l.quantity) FROM shipment s JOIN shipment_line l
                    ON l.shipment_id = s.id
                WHERE s.from_region = $1 AND s.transfer_id IS NULL AND s.state = 'preparing'
                  AND l.item = $2), 0)
            """,
            region,
            item,
        )
    )


async def issued(conn: asyncpg.Connection, item: str, today: date) -> dict[UUID, int]:
    """Pieces of an item that were given out within `NEED_DAYS`, by site."""
    rows = await conn.fetch(
        """
        SELECT l.site_id, -sum(m.quantity)::int AS pieces
        FROM lot l JOIN movement m ON m.lot_id = l.id
        WHERE l.item = $1 AND m.kind IN ('issue', 'reversal', 'fact') AND m.happened_on > $2
        GROUP BY 1 HAVING sum(m.quantity) < 0
        """,
        item,
        today - timedelta(days=NEED_DAYS),
    )
    return {row["site_id"]: row["pieces"] for row in rows}
