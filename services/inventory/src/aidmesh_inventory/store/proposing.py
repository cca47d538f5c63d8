"""What waits here, what is coming for it, and what others have."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_contracts.intake import WaitingChangedV1
from aidmesh_inventory.domain.proposing import Coming, Elsewhere, Proposal, Waiting, of

SETTLE_S: Final = 30.0
"""What came in so lately still finds those who wait for it, seconds."""
ASIDE_DAYS: Final = 7
"""What a person set aside comes again after so many days, even if it is no more."""


async def put_waiting(conn: asyncpg.Connection, told: Sequence[WaitingChangedV1]) -> None:
    """Keep the newest totals of each key."""
    await conn.execute(
        """
        INSERT INTO waiting AS w (key, item, site_id, area, sensitive, needs, quantity, version,
                                  as_of, chosen)
        SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bool[], $6::int[],
            $7::bigint[], $8::int[], $9::timestamptz[], $10::bool[]) AS n (key) ORDER BY n.key
        ON CONFLICT (key) DO UPDATE
        SET needs = EXCLUDED.needs, quantity = EXCLUDED.quantity, version = EXCLUDED.version,
            as_of = EXCLUDED.as_of
        WHERE EXCLUDED.version > w.version
        """,
        [each.waiting_key for each in told],
        [each.code for each in told],
        [each.site_id for each in told],
        [each.area for each in told],
        [each.sensitive for each in told],
        [each.needs for each in told],
        [each.quantity for each in told],
        [each.version for each in told],
        [each.as_of for each in told],
        [each.chosen for each in told],
    )


async def lock_waiting(conn: asyncpg.Connection) -> None:
    """Have nobody else propose or ask for what waits for as long as the transaction lasts."""
    await conn.execute("SELECT FROM waiting ORDER BY key FOR UPDATE")


async def waiting(conn: asyncpg.Connection) -> list[Waiting]:
    """What is waited for here."""
    rows = await conn.fetch(
        """
        SELECT item, site_id, area, sensitive, needs, quantity, chosen FROM waiting
        WHERE needs > 0 ORDER BY key
        """
    )
    return [Waiting(*row) for row in rows]


async def pieces_waiting(conn: asyncpg.Connection, items: Collection[str]) -> dict[str, int]:
    """How many pieces of items needs of this region wait for."""
    rows = await conn.fetch(
        """
        SELECT item, sum(quantity)::int AS pieces FROM waiting
        WHERE item = ANY($1::text[]) AND needs > 0 GROUP BY 1
        """,
        list(items),
    )
    return {row["item"]: row["pieces"] for row in rows}


async def coming(conn: asyncpg.Connection, region: str) -> list[Coming]:
    """What this region asked for and was not refused, what is on its way, and what has just come.

    Whoever is served by what came in is counted as waiting until intake has told otherwise.
    """
    rows = await conn.fetch(
        """
        SELECT t.item, t.from_region, t.to_site_id, t.area,
               (COALESCE(t.accepted, t.quantity) - COALESCE(sum(l.quantity), 0))::int AS quantity,
               false AS gone
        FROM transfer t
        LEFT JOIN shipment s ON s.transfer_id = t.id AND s.sent = 'dispatched'
        LEFT JOIN shipment_line l ON l.shipment_id = s.id
        WHERE t.to_region = $1 AND t.state IN ('asked', 'accepted')
        GROUP BY t.id
        HAVING COALESCE(t.accepted, t.quantity) > COALESCE(sum(l.quantity), 0)
        UNION ALL
        SELECT l.item, s.from_region, s.to_site_id, site.area, sum(l.quantity)::int, true
        FROM shipment s JOIN shipment_line l ON l.shipment_id = s.id
        JOIN site ON site.id = s.to_site_id
        WHERE s.to_region = $1 AND s.state IN ('dispatched', 'receiving') AND l.good IS NULL
        GROUP BY s.id, l.item, site.area
        UNION ALL
        SELECT l.item, $1, r.site_id, site.area, sum(m.quantity)::int, true
        FROM receipt r JOIN lot l ON l.receipt_id = r.id
        JOIN movement m ON m.lot_id = l.id AND m.kind = 'receipt'
        JOIN site ON site.id = r.site_id
        WHERE r.recorded_at > clock_timestamp() - $2::interval
          AND l.item IN (SELECT item FROM waiting WHERE needs > 0)
        GROUP BY r.id, l.item, site.area
        UNION ALL
        SELECT l.item, $1, l.site_id, site.area, m.quantity, true
        FROM movement m JOIN lot l ON l.id = m.lot_id JOIN site ON site.id = l.site_id
        WHERE m.kind = 'move' AND m.quantity > 0
          AND m.recorded_at > clock_timestamp() - $2::interval
          AND l.item IN (SELECT item FROM waiting WHERE needs > 0)
        """,
        region,
        timedelta(seconds=SETTLE_S),
    )
    return [Coming(*row) for row in rows]


async def elsewhere(conn: asyncpg.Connection) -> list[Elsewhere]:
    """What other regions have free of what is waited for here; none of it at closed sites.

    Whoever refused it, or was asked in vain, is not asked again before its figure has changed.
    """
    rows = await conn.fetch(
        """
        SELECT s.region, s.item, sum(s.free)::int, min(s.as_of)
        FROM world_stock s LEFT JOIN world_site w USING (region, site_id)
        WHERE s.free > 0 AND w.status IS DISTINCT FROM 'closed'
          AND s.item IN (SELECT item FROM waiting WHERE needs > 0)
        GROUP BY 1, 2
        HAVING max(s.as_of) > COALESCE((
            SELECT max(t.over_at) FROM transfer t
            WHERE t.from_region = s.region AND t.item = s.item), '-infinity')
        ORDER BY 2, 1
        """
    )
    return [Elsewhere(*row) for row in rows]


async def aside(conn: asyncpg.Connection) -> dict[tuple[Waiting, str], int]:
    """What was set aside lately, and how much of it."""
    rows = await conn.fetch(
        """
        SELECT item, site_id, area, sensitive, from_region, quantity FROM proposal_aside
        WHERE set_at > clock_timestamp() - $1::interval
        """,
        timedelta(days=ASIDE_DAYS),
    )
    return {
        (
            Waiting(row["item"], row["site_id"], row["area"], row["sensitive"], 0, 0),
            row["from_region"],
        ): row["quantity"]
        for row in rows
    }


async def set_aside(conn: asyncpg.Connection, proposals: Sequence[Proposal], by: UUID) -> None:
    """Have proposals come again only once they are for more.

    Of what waits for chosen needs and for others the more is kept: neither comes again by itself.
    """
    most: dict[tuple[Waiting, str], int] = {}
    for each in proposals:
        key = (of(each.waiting), each.from_region)
        most[key] = max(most.get(key, 0), each.quantity)
    await conn.execute(
        """
        INSERT INTO proposal_aside AS a (item, site_id, area, sensitive, from_region, quantity,
                                         set_at, set_by)
        SELECT n.*, clock_timestamp(), $7
        FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bool[], $5::text[], $6::int[])
            AS n (item, site_id, area, sensitive, from_region)
        ORDER BY n.item, n.site_id, n.area, n.sensitive, n.from_region
        ON CONFLICT (item, site_id, area, sensitive, from_region) DO UPDATE
        SET quantity = EXCLUDED.quantity, set_at = EXCLUDED.set_at, set_by = EXCLUDED.set_by
        """,
        [wanted.item for wanted, _ in most],
        [wanted.site_id for wanted, _ in most],
        [wanted.area for wanted, _ in most],
        [wanted.sensitive for wanted, _ in most],
        [region for _, region in most],
        list(most.values()),
        by,
    )
