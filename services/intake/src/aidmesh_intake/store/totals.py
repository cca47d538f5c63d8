"""How many needs wait for what, as it is told to the region's other services."""

from typing import Final

import asyncpg

TOLD_MAX: Final = 500


async def take_untold(conn: asyncpg.Connection) -> list[asyncpg.Record]:
    """Goods and money of which more or less is waited for than was told, as it is now; now told.

    Only those count that wait because there is too little; what is offered to another region, or
    waits for something else than growth, is not missing here.
    """
    return await conn.fetch(
        """
        WITH waits AS (
            SELECT concat_ws('/', blocked_resource, blocked_code,
                       COALESCE(blocked_site::text, blocked_area, 'any'),
                       CASE WHEN sensitive THEN 'sensitive' ELSE 'open' END,
                       CASE WHEN c.need_id IS NOT NULL THEN 'chosen' END) AS key,
                   blocked_resource AS resource, blocked_code AS code, blocked_site AS site_id,
                   blocked_area AS area, sensitive, c.need_id IS NOT NULL AS chosen,
                   count(*)::int AS needs, sum(blocked_quantity)::bigint AS quantity
            FROM need LEFT JOIN chosen_need c ON c.need_id = need.id
            WHERE state = 'waitlisted' AND wait IN ('short', 'behind')
              AND blocked_resource IN ('stock', 'money')
            GROUP BY 2, 3, 4, 5, 6, 7
        ), changed AS (
            SELECT COALESCE(w.key, t.key) AS key, COALESCE(w.resource, t.resource) AS resource,
                   COALESCE(w.code, t.code) AS code, COALESCE(w.site_id, t.site_id) AS site_id,
                   COALESCE(w.area, t.area) AS area,
                   COALESCE(w.sensitive, t.sensitive) AS sensitive,
                   COALESCE(w.chosen, t.chosen) AS chosen,
                   COALESCE(w.needs, 0) AS needs, COALESCE(w.quantity, 0) AS quantity
            FROM waits w FULL JOIN waiting_told t ON t.key = w.key
            WHERE (COALESCE(w.needs, 0), COALESCE(w.quantity, 0))
                IS DISTINCT FROM (COALESCE(t.needs, 0), COALESCE(t.quantity, 0))
            ORDER BY 1 LIMIT $1
        )
        INSERT INTO waiting_told AS t (key, resource, code, site_id, area, sensitive, chosen,
                                       needs, quantity, version)
        SELECT *, 1 FROM changed
        ON CONFLICT (key) DO UPDATE SET needs = EXCLUDED.needs, quantity = EXCLUDED.quantity,
            version = t.version + 1
        RETURNING key, resource, code, site_id, area, sensitive, chosen, needs, quantity, version
        """,
        TOLD_MAX,
    )
