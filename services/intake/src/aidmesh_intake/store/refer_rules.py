"""Rules that offer needs to other regions, and how many of their offers stand."""

from uuid import UUID

import asyncpg

from aidmesh_intake.domain.elsewhere import Rule


async def in_force(conn: asyncpg.Connection) -> list[Rule]:
    """The rules in force."""
    rows = await conn.fetch(
        """
        SELECT id, kind, regions, open_max, hours, set_by, chosen_only FROM refer_rule
        WHERE ended_at IS NULL ORDER BY id
        """
    )
    return [
        Rule(
            row["id"],
            row["kind"],
            None if row["regions"] is None else frozenset(row["regions"]),
            row["open_max"],
            row["hours"],
            row["set_by"],
            row["chosen_only"],
        )
        for row in rows
    ]


async def lock(conn: asyncpg.Connection) -> None:
    """Have nobody else offer by these rules for as long as the transaction lasts."""
    await conn.execute("SELECT FROM refer_rule WHERE ended_at IS NULL ORDER BY id FOR UPDATE")


async def standing(conn: asyncpg.Connection) -> dict[UUID, int]:
    """How many offers of each rule stand."""
    rows = await conn.fetch(
        """
        SELECT rule_id, count(*)::int AS offers FROM referral_out
        WHERE rule_id IS NOT NULL AND status = 'offered' GROUP BY 1
        """
    )
    return {row["rule_id"]: row["offers"] for row in rows}


async def put(conn: asyncpg.Connection, rule: Rule) -> bool:
    """Set a rule; False if there is one for this kind."""
    return bool(
        await conn.fetchval(
            """
            INSERT INTO refer_rule (id, kind, regions, open_max, hours, set_at, set_by, chosen_only)
            VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7)
            ON CONFLICT (kind) WHERE ended_at IS NULL DO NOTHING RETURNING true
            """,
            rule.rule_id,
            rule.kind,
            None if rule.regions is None else sorted(rule.regions),
            rule.open_max,
            rule.hours,
            rule.set_by,
            rule.chosen_only,
        )
    )


async def end(conn: asyncpg.Connection, rule_id: UUID, by: UUID) -> bool:
    """End a rule; False if there is none in force of that id."""
    return bool(
        await conn.fetchval(
            """
            UPDATE refer_rule SET ended_at = clock_timestamp(), ended_by = $2
            WHERE id = $1 AND ended_at IS NULL RETURNING true
            """,
            rule_id,
            by,
        )
    )


async def shown(conn: asyncpg.Connection) -> list[asyncpg.Record]:
    """The rules in force, and who set them."""
    return await conn.fetch(
        """
        SELECT r.id AS rule_id, r.kind, r.regions, r.open_max, r.hours, r.set_at, r.set_by,
               r.chosen_only
        FROM refer_rule r WHERE r.ended_at IS NULL ORDER BY r.kind
        """
    )
