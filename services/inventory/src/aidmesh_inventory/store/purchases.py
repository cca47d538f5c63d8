"""Purchases as they were ordered: their lines, and the terms of the lots that they become."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg


async def expect(
    conn: asyncpg.Connection,
    purchases: Sequence[tuple[UUID, UUID, str, str, int]],
    lines: Sequence[tuple[UUID, str, int, int]],
) -> None:
    """Record orders and their lines (item, count, value).

    Args:
        purchases: id, grant, restriction, currency, version of the terms.
    """
    await conn.execute(
        """
        INSERT INTO purchase (id, grant_id, restriction, currency, terms_version)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::jsonb[], $4::text[], $5::int[])
        ON CONFLICT DO NOTHING
        """,
        *(list(column) for column in zip(*purchases, strict=True)),
    )
    if lines:
        await conn.execute(
            """
            INSERT INTO purchase_line (purchase_id, item, ordered, unit_value_minor)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[])
            ON CONFLICT DO NOTHING
            """,
            *(list(column) for column in zip(*lines, strict=True)),
        )


async def cancel(conn: asyncpg.Connection, purchase_ids: Collection[UUID]) -> None:
    """Note that purchases were given up."""
    await conn.execute(
        "INSERT INTO canceled_purchase (purchase_id) SELECT unnest($1::uuid[])"
        " ON CONFLICT DO NOTHING",
        sorted(set(purchase_ids)),
    )


async def note_to_come(conn: asyncpg.Connection, told: Mapping[UUID, tuple[int, bool]]) -> None:
    """Note of purchases whether more is to come: version, and whether. The highest version wins."""
    await conn.execute(
        """
        INSERT INTO purchase_to_come AS old (purchase_id, version, is_to_come)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::bool[])
        ON CONFLICT (purchase_id) DO UPDATE
        SET version = excluded.version, is_to_come = excluded.is_to_come,
            heard_at = excluded.heard_at
        WHERE excluded.version > old.version
        """,
        sorted(told),
        [told[each][0] for each in sorted(told)],
        [told[each][1] for each in sorted(told)],
    )


async def set_prices(
    conn: asyncpg.Connection, prices: Sequence[tuple[UUID, str, int, int]]
) -> None:
    """Note what goods of purchases cost by their bills: purchase, item, version, value of one.

    The highest version wins.
    """
    await conn.execute(
        """
        INSERT INTO purchase_price AS old (purchase_id, item, version, unit_value_minor)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[])
        ON CONFLICT (purchase_id, item) DO UPDATE
        SET version = excluded.version, unit_value_minor = excluded.unit_value_minor
        WHERE excluded.version > old.version
        """,
        *(list(column) for column in zip(*prices, strict=True)),
    )


async def set_price_of(conn: asyncpg.Connection, lot_id: UUID) -> None:
    """Note that goods cost what somebody says of a lot of their purchase, until a bill says more.

    Nothing is noted of a lot that came by no purchase of this region.
    """
    await conn.execute(
        """
        INSERT INTO purchase_price (purchase_id, item, version, unit_value_minor)
        SELECT r.purchase_id, l.item, 0, l.unit_value_minor
        FROM lot l JOIN receipt r ON r.id = l.receipt_id
        WHERE l.id = $1 AND r.purchase_id IS NOT NULL
        ON CONFLICT (purchase_id, item) DO UPDATE SET unit_value_minor = excluded.unit_value_minor
        """,
        lot_id,
    )


@dataclass(frozen=True, slots=True)
class Terms:
    """What lots of a purchase carry; `values` are minor units by item, by the bill if it came."""

    grant_id: UUID
    restriction: str
    currency: str
    terms_version: int
    values: Mapping[str, int]
    is_canceled: bool = False


async def terms_of(conn: asyncpg.Connection, purchase_ids: Collection[UUID]) -> dict[UUID, Terms]:
    """The terms of purchases that were ordered."""
    rows = await conn.fetch(
        """
        SELECT p.id, p.grant_id, p.restriction, p.currency, p.terms_version,
               (SELECT COALESCE(jsonb_object_agg(
                    l.item, COALESCE(b.unit_value_minor, l.unit_value_minor)), '{}')
                FROM purchase_line l
                LEFT JOIN purchase_price b ON b.purchase_id = l.purchase_id AND b.item = l.item
                WHERE l.purchase_id = p.id) AS item_values,
               EXISTS (SELECT FROM canceled_purchase c WHERE c.purchase_id = p.id) AS is_canceled
        FROM purchase p WHERE p.id = ANY($1::uuid[])
        """,
        list(purchase_ids),
    )
    return {
        row["id"]: Terms(
            row["grant_id"],
            row["restriction"],
            row["currency"],
            row["terms_version"],
            json.loads(row["item_values"]),
            row["is_canceled"],
        )
        for row in rows
    }


async def add_received(conn: asyncpg.Connection, counted: Mapping[tuple[UUID, str], int]) -> None:
    """Count pieces that came in for lines of purchases."""
    await conn.execute(
        """
        UPDATE purchase_line l SET received = l.received + c.quantity
        FROM unnest($1::uuid[], $2::text[], $3::int[]) AS c (purchase_id, item, quantity)
        WHERE l.purchase_id = c.purchase_id AND l.item = c.item
        """,
        [key[0] for key in counted],
        [key[1] for key in counted],
        list(counted.values()),
    )


_LINES = """
    SELECT l.purchase_id, p.grant_id, l.item, l.ordered, l.received,
           COALESCE(b.unit_value_minor, l.unit_value_minor) AS unit_value_minor, p.currency
    FROM purchase_line l JOIN purchase p ON p.id = l.purchase_id
    LEFT JOIN purchase_price b ON b.purchase_id = l.purchase_id AND b.item = l.item
"""


async def lines_of(
    conn: asyncpg.Connection, purchase_id: UUID, *, after: str | None, limit: int
) -> list[asyncpg.Record]:
    """Lines of one purchase by item, whether or not more is expected.

    None of one that was given up: nothing is received for it, whatever became of it since.
    """
    return await conn.fetch(
        f"""
        {_LINES}
        WHERE l.purchase_id = $1 AND ($2::text IS NULL OR l.item > $2)
          AND NOT EXISTS (SELECT FROM canceled_purchase c WHERE c.purchase_id = p.id)
        ORDER BY l.item LIMIT $3
        """,
        purchase_id,
        after,
        limit,
    )


async def expected(
    conn: asyncpg.Connection, *, item: str | None, after: tuple[UUID, str] | None, limit: int
) -> list[asyncpg.Record]:
    """Lines of purchases of which less came in than was ordered; of one item, if it is given.

    Of purchases that were given up nothing is to come, nor of those of which somebody said that
    all has come.
    """
    return await conn.fetch(
        f"""
        {_LINES}
        WHERE l.received < l.ordered
          AND NOT EXISTS (SELECT FROM canceled_purchase c WHERE c.purchase_id = p.id)
          AND NOT EXISTS (SELECT FROM purchase_to_come c
                          WHERE c.purchase_id = p.id AND NOT c.is_to_come)
          AND ($1::uuid IS NULL OR (l.purchase_id, l.item) > ($1, $2::text))
          AND ($3::text IS NULL OR l.item = $3)
        ORDER BY l.purchase_id, l.item LIMIT $4
        """,  # noqa: S608 - our columns
        *(after or (None, None)),
        item,
        limit,
    )
