"""Shipments between regions and their lines."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.inventory_shipments import ShipmentCount, ShipmentLine
from aidmesh_inventory.domain.shipments import Shipment


@dataclass(frozen=True, slots=True)
class Book:
    """A shipment with where it goes from and to; `lots` are those of its lines in this region.

    At the sender they are where the lines were taken from, at the receiver what they became.
    `as_of` is when it was last written here, None for one that is not written yet.
    """

    shipment_id: UUID
    from_region: str
    to_region: str
    from_site_id: UUID
    to_site_id: UUID
    transfer_id: UUID | None
    dispatched_on: date | None
    by_manifest: bool
    matched: bool
    shipment: Shipment
    lots: dict[UUID, UUID]
    as_of: datetime | None = None


class NewLine(NamedTuple):
    """Pieces of a lot that are to be sent."""

    line_id: UUID
    lot_id: UUID
    quantity: int


async def lock(conn: asyncpg.Connection, ids: Collection[UUID]) -> dict[UUID, Book]:
    """Take these shipments, by id, for as long as the transaction lasts; those that there are."""
    await conn.fetch(
        "SELECT 1 FROM shipment WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE",
        sorted(set(ids)),
    )
    return await books(conn, ids)


async def books(conn: asyncpg.Connection, ids: Collection[UUID]) -> dict[UUID, Book]:
    """These shipments."""
    rows = await conn.fetch("SELECT * FROM shipment WHERE id = ANY($1::uuid[])", list(ids))
    lines = await conn.fetch(
        """
        SELECT l.*, COALESCE(l.lot_id, lot.id) AS own_lot_id
        FROM shipment_line l
        LEFT JOIN receipt r ON r.shipment_id = l.shipment_id AND r.line_id = l.line_id
        LEFT JOIN lot ON lot.receipt_id = r.id
        WHERE l.shipment_id = ANY($1::uuid[]) ORDER BY l.line_id
        """,
        list(ids),
    )
    of: dict[UUID, list[asyncpg.Record]] = {}
    for line in lines:
        of.setdefault(line["shipment_id"], []).append(line)
    return {row["id"]: _book(row, of.get(row["id"], [])) for row in rows}


def _book(row: asyncpg.Record, lines: Sequence[asyncpg.Record]) -> Book:
    return Book(
        row["id"],
        row["from_region"],
        row["to_region"],
        row["from_site_id"],
        row["to_site_id"],
        row["transfer_id"],
        row["dispatched_on"],
        row["by_manifest"],
        row["matched"],
        Shipment(
            row["sent"],
            row["version"],
            tuple(_line(line) for line in lines),
            {line["line_id"]: _count(line) for line in lines if line["good"] is not None},
        ),
        {line["line_id"]: line["own_lot_id"] for line in lines if line["own_lot_id"] is not None},
        row["changed_at"],
    )


def _line(row: asyncpg.Record) -> ShipmentLine:
    restriction = row["restriction"] and json.loads(row["restriction"])
    return ShipmentLine.model_validate({**row, "restriction": restriction})


def _count(row: asyncpg.Record) -> ShipmentCount:
    return ShipmentCount.model_validate(dict(row))


async def put(conn: asyncpg.Connection, books: Sequence[Book]) -> None:
    """Save the heads of shipments as they are now."""
    await conn.execute(
        """
        INSERT INTO shipment (id, from_region, to_region, from_site_id, to_site_id, transfer_id,
                              sent, state, version, dispatched_on, by_manifest, matched)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[],
            $6::uuid[], $7::text[], $8::text[], $9::int[], $10::date[], $11::bool[], $12::bool[])
        ON CONFLICT (id) DO UPDATE
        SET sent = excluded.sent, state = excluded.state, version = excluded.version,
            dispatched_on = excluded.dispatched_on, matched = excluded.matched,
            by_manifest = excluded.by_manifest,
            to_site_id = excluded.to_site_id, changed_at = clock_timestamp()
        """,
        [each.shipment_id for each in books],
        [each.from_region for each in books],
        [each.to_region for each in books],
        [each.from_site_id for each in books],
        [each.to_site_id for each in books],
        [each.transfer_id for each in books],
        [each.shipment.sent for each in books],
        [each.shipment.state for each in books],
        [each.shipment.version for each in books],
        [each.dispatched_on for each in books],
        [each.by_manifest for each in books],
        [each.matched for each in books],
    )


async def put_lines(
    conn: asyncpg.Connection, shipment_id: UUID, lines: Sequence[ShipmentLine]
) -> None:
    """Have a shipment that arrives consist of these lines, unless some were counted."""
    await conn.execute(
        "DELETE FROM shipment_line WHERE shipment_id = $1 AND good IS NULL", shipment_id
    )
    await conn.execute(
        """
        INSERT INTO shipment_line (shipment_id, line_id, item, quantity, batch, expiry, grant_id,
                                   restriction, unit_value_minor, currency, terms_version)
        SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::int[], $5::text[], $6::date[],
            $7::uuid[], $8::jsonb[], $9::bigint[], $10::text[], $11::int[])
        ON CONFLICT DO NOTHING
        """,
        shipment_id,
        [each.line_id for each in lines],
        [each.item for each in lines],
        [each.quantity for each in lines],
        [each.batch for each in lines],
        [each.expiry for each in lines],
        [each.grant_id for each in lines],
        [
            None if each.restriction is None else each.restriction.model_dump_json()
            for each in lines
        ],
        [each.unit_value_minor for each in lines],
        [each.currency for each in lines],
        [each.terms_version for each in lines],
    )


async def pieces_for(conn: asyncpg.Connection, transfer_id: UUID, but: UUID) -> int:
    """Pieces that are sent, or are to be, for an ask by all shipments but one; hold the ask."""
    return int(
        await conn.fetchval(
            """
            SELECT COALESCE(sum(l.quantity), 0)
            FROM shipment s JOIN shipment_line l ON l.shipment_id = s.id
            WHERE s.transfer_id = $1 AND s.id <> $2 AND s.sent <> 'cancelled'
            """,
            transfer_id,
            but,
        )
    )


async def add_lines(conn: asyncpg.Connection, shipment_id: UUID, lines: Sequence[NewLine]) -> None:
    """Add pieces of own lots to a shipment that is being prepared."""
    await conn.execute(
        """
        INSERT INTO shipment_line (shipment_id, line_id, lot_id, item, quantity, batch, expiry,
                                   grant_id, restriction, unit_value_minor, currency,
                                   terms_version)
        SELECT $1, n.line_id, l.id, l.item, n.quantity, l.batch, l.expiry, l.grant_id,
               l.restriction, l.unit_value_minor, l.currency, l.terms_version
        FROM unnest($2::uuid[], $3::uuid[], $4::int[]) AS n (line_id, lot_id, quantity)
        JOIN lot l ON l.id = n.lot_id
        """,
        shipment_id,
        [each.line_id for each in lines],
        [each.lot_id for each in lines],
        [each.quantity for each in lines],
    )


async def renew_terms(conn: asyncpg.Connection, shipment_id: UUID) -> None:
    """Have the lines of a shipment say what their lots say now; hold the lots' mutexes."""
    await conn.execute(
        """
        UPDATE shipment_line s SET batch = l.batch, expiry = l.expiry, grant_id = l.grant_id,
               restriction = l.restriction, unit_value_minor = l.unit_value_minor,
               currency = l.currency, terms_version = l.terms_version
        FROM lot l WHERE l.id = s.lot_id AND s.shipment_id = $1
        """,
        shipment_id,
    )


async def put_counts(
    conn: asyncpg.Connection,
    shipment_id: UUID,
    counts: Sequence[ShipmentCount],
    counted_on: date,
    counted_by: UUID | None,
) -> None:
    """Record what came of lines that were not counted before."""
    await conn.execute(
        """
        UPDATE shipment_line s SET good = c.good, damaged = c.damaged, short = c.short,
               surplus = c.surplus, reason = c.reason, counted_on = $2, counted_by = $3
        FROM unnest($4::uuid[], $5::int[], $6::int[], $7::int[], $8::int[], $9::text[])
             AS c (line_id, good, damaged, short, surplus, reason)
        WHERE s.shipment_id = $1 AND s.line_id = c.line_id AND s.good IS NULL
        """,
        shipment_id,
        counted_on,
        counted_by,
        [each.line_id for each in counts],
        [each.good for each in counts],
        [each.damaged for each in counts],
        [each.short for each in counts],
        [each.surplus for each in counts],
        [each.reason for each in counts],
    )


async def mark_receipts(
    conn: asyncpg.Connection, shipment_id: UUID, receipts: Sequence[tuple[UUID, UUID]]
) -> None:
    """Say of receipts (id, line) that they are what was counted of a shipment's lines."""
    await conn.execute(
        """
        UPDATE receipt r SET shipment_id = $1, line_id = n.line_id
        FROM unnest($2::uuid[], $3::uuid[]) AS n (id, line_id) WHERE r.id = n.id
        """,
        shipment_id,
        [receipt_id for receipt_id, _ in receipts],
        [line_id for _, line_id in receipts],
    )


async def page(
    conn: asyncpg.Connection,
    *,
    region: str,
    outgoing: bool,
    states: Collection[str],
    after: UUID | None,
    limit: int,
) -> list[UUID]:
    """Ids of the shipments of a region in some states, out of it or into it."""
    rows = await conn.fetch(
        """
        SELECT id FROM shipment
        WHERE CASE WHEN $2 THEN from_region ELSE to_region END = $1 AND state = ANY($3::text[])
          AND ($4::uuid IS NULL OR id > $4)
        ORDER BY id LIMIT $5
        """,
        region,
        outgoing,
        list(states),
        after,
        limit,
    )
    return [row["id"] for row in rows]


async def in_transit(
    conn: asyncpg.Connection,
    item: str | None,
    *,
    after: tuple[str, str, str] | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Pieces that were dispatched and not counted yet, by item and regions."""
    return await conn.fetch(
        """
        SELECT s.from_region, s.to_region, l.item, sum(l.quantity)::int AS quantity,
               min(s.dispatched_on) AS since
        FROM shipment s JOIN shipment_line l ON l.shipment_id = s.id
        WHERE s.state IN ('dispatched', 'receiving') AND l.good IS NULL
          AND ($1::text IS NULL OR l.item = $1)
          AND ($2::text IS NULL OR (l.item, s.from_region, s.to_region) > ($2, $3, $4))
        GROUP BY 1, 2, 3 ORDER BY 3, 1, 2 LIMIT $5
        """,
        item,
        *(after or (None, None, None)),
        limit,
    )
