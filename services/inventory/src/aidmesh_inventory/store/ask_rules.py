"""Rules by which other regions are asked for what waits here."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg

from aidmesh_inventory.domain.proposing import AskRule


async def in_force(conn: asyncpg.Connection) -> list[AskRule]:
    """The rules in force; none for a closed site."""
    rows = await conn.fetch(
        """
        SELECT r.id, r.item, r.to_site_id, site.area, r.regions, r.open_max, r.sensitive_too,
               r.chosen_only
        FROM ask_rule r JOIN site ON site.id = r.to_site_id
        WHERE r.ended_at IS NULL AND site.status = 'open' ORDER BY r.id
        """
    )
    return [
        AskRule(
            row["id"],
            row["item"],
            row["to_site_id"],
            row["area"],
            None if row["regions"] is None else frozenset(row["regions"]),
            row["open_max"],
            row["sensitive_too"],
            row["chosen_only"],
        )
        for row in rows
    ]


async def put(
    conn: asyncpg.Connection, rule_id: UUID, values: Mapping[str, object], by: UUID
) -> bool:
    """Set a rule; False if there is one for this item and site.

    Raises:
        asyncpg.ForeignKeyViolationError: the item or the site is not known.
    """
    return bool(
        await conn.fetchval(
            """
            INSERT INTO ask_rule (id, item, to_site_id, regions, open_max, sensitive_too, set_at,
                                  set_by, chosen_only)
            VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), $7, $8)
            ON CONFLICT (item, to_site_id) WHERE ended_at IS NULL DO NOTHING RETURNING true
            """,
            rule_id,
            values["item"],
            values["to_site_id"],
            values["regions"],
            values["open_max"],
            values["sensitive_too"],
            by,
            values["chosen_only"],
        )
    )


async def end(conn: asyncpg.Connection, rule_id: UUID, by: UUID) -> bool:
    """End a rule; False if there is none in force of that id."""
    return bool(
        await conn.fetchval(
            """
            UPDATE ask_rule SET ended_at = clock_timestamp(), ended_by = $2
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
        SELECT id AS rule_id, item, to_site_id, regions, open_max, chosen_only, set_at, set_by
        FROM ask_rule
        WHERE ended_at IS NULL ORDER BY item, id
        """
    )
