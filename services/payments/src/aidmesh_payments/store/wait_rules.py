"""Rules that send money to those who wait for it, and what each has done."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_payments.domain.waits import Key, Rule

WEEK_DAYS: Final = 7


async def in_force(conn: asyncpg.Connection) -> list[Rule]:
    """The rules in force."""
    rows = await conn.fetch(
        """
        SELECT id, programme, currency, regions, keep_minor, move_max_minor, week_max_minor, set_by,
               chosen_only
        FROM wait_rule WHERE ended_at IS NULL ORDER BY id
        """
    )
    return [
        Rule(
            row["id"],
            row["programme"],
            row["currency"],
            None if row["regions"] is None else frozenset(row["regions"]),
            row["keep_minor"],
            row["move_max_minor"],
            row["week_max_minor"],
            row["set_by"],
            row["chosen_only"],
        )
        for row in rows
    ]


async def given(conn: asyncpg.Connection, rule_ids: Collection[UUID]) -> dict[UUID, int]:
    """What rules moved, or proposed, within a week."""
    rows = await conn.fetch(
        """
        SELECT rule_id, sum(amount_minor)::bigint AS amount_minor FROM wait_move
        WHERE rule_id = ANY($1::uuid[]) AND made_at > clock_timestamp() - $2::interval
        GROUP BY 1
        """,
        list(rule_ids),
        timedelta(days=WEEK_DAYS),
    )
    return {row["rule_id"]: row["amount_minor"] for row in rows}


async def served_by_rule(conn: asyncpg.Connection) -> dict[Key, datetime]:
    """As of when each wait was told for which a rule acted last."""
    rows = await conn.fetch(
        """
        SELECT region, programme, currency, max(wait_as_of) AS as_of FROM wait_move
        WHERE rule_id IS NOT NULL GROUP BY 1, 2, 3
        """
    )
    return {(row["region"], row["programme"], row["currency"]): row["as_of"] for row in rows}


async def put(conn: asyncpg.Connection, rule: Rule) -> None:
    """Set a rule."""
    await conn.execute(
        """
        INSERT INTO wait_rule (id, programme, currency, regions, keep_minor, move_max_minor,
                               week_max_minor, set_at, set_by, chosen_only)
        VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), $8, $9)
        """,
        rule.rule_id,
        rule.programme,
        rule.currency,
        None if rule.regions is None else sorted(rule.regions),
        rule.keep_minor,
        rule.move_max_minor,
        rule.week_max_minor,
        rule.set_by,
        rule.chosen_only,
    )


async def end(conn: asyncpg.Connection, rule_id: UUID, by: UUID) -> bool:
    """End a rule; False if there is none in force of that id."""
    return bool(
        await conn.fetchval(
            """
            UPDATE wait_rule SET ended_at = clock_timestamp(), ended_by = $2
            WHERE id = $1 AND ended_at IS NULL RETURNING true
            """,
            rule_id,
            by,
        )
    )


async def shown(conn: asyncpg.Connection) -> list[asyncpg.Record]:
    """The rules in force, who set them, and what each moved within a week."""
    return await conn.fetch(
        """
        SELECT r.id AS rule_id, r.programme, r.currency, r.regions, r.keep_minor,
               r.move_max_minor, r.week_max_minor, r.chosen_only, r.set_at, r.set_by,
               (SELECT COALESCE(sum(w.amount_minor), 0)::bigint FROM wait_move w
                WHERE w.rule_id = r.id AND w.made_at > clock_timestamp() - $1::interval)
                   AS given_minor
        FROM wait_rule r WHERE r.ended_at IS NULL ORDER BY r.set_at, r.id
        """,
        timedelta(days=WEEK_DAYS),
    )
