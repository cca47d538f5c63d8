"""Lots, their movements, and the state of each item at each site."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.restriction import UNRESTRICTED, Restriction
from aidmesh_inventory.domain.days import keeps
from aidmesh_inventory.domain.picking import Lot

Key = tuple[UUID, str]
"""A site and an item."""


class LotRow(NamedTuple):
    """A lot that came in; `restriction` is JSON.

    Attributes:
        terms_version: of its grant's terms that the restriction is of; None where a person
            entered it.
    """

    lot_id: UUID
    receipt_id: UUID
    item: str
    site_id: UUID
    batch: str | None
    expiry: date | None
    grant_id: UUID | None
    restriction: str | None
    unit_value_minor: int
    currency: str
    status: str
    terms_version: int | None


class MovementRow(NamedTuple):
    """Pieces that came or went; `quantity` is signed."""

    movement_id: UUID
    lot_id: UUID
    quantity: int
    kind: str
    reservation_id: UUID | None
    receipt_id: UUID | None
    reason: str | None
    happened_on: date
    recorded_by: UUID | None
    shipment_id: UUID | None = None
    line_id: UUID | None = None
    move_id: UUID | None = None


class LotChange(NamedTuple):
    """By how much a lot's two figures change."""

    lot_id: UUID
    on_hand: int
    held: int


@dataclass(frozen=True, slots=True)
class State:
    """What there is of an item at a site, after a change."""

    site_id: UUID
    item: str
    area: str
    on_hand: int
    free: int
    version: int


@dataclass(frozen=True, slots=True)
class LotState:
    """A lot as it is now, read under its mutex."""

    lot_id: UUID
    item: str
    site_id: UUID
    status: str
    on_hand: int
    held: int
    expiry: date | None

    @property
    def free(self) -> int:
        """Pieces that nobody was promised."""
        return self.on_hand - self.held

    def can_give(self, quantity: int, today: date) -> bool:
        """Whether so many pieces may be taken of it; it may have expired since the last sweep."""
        return self.status == "available" and self.free >= quantity and keeps(self.expiry, today)


async def lock(conn: asyncpg.Connection, keys: Collection[Key]) -> datetime:
    """Take the mutex of each site and item, and return the clock with all of them held.

    Rows that are not there yet are made, so that there is always something to hold.
    """
    wanted = sorted(set(keys))
    if wanted:
        columns = [key[0] for key in wanted], [key[1] for key in wanted]
        if await _lock_existing(conn, *columns) < len(wanted):
            await conn.execute(
                """
                INSERT INTO stock_state (site_id, item)
                SELECT * FROM unnest($1::uuid[], $2::text[]) AS k (site_id, item)
                ORDER BY site_id, item ON CONFLICT DO NOTHING
                """,
                *columns,
            )
            await _lock_existing(conn, *columns)
    return await _clock(conn)


async def lock_site(conn: asyncpg.Connection, site_id: UUID) -> datetime:
    """Take the mutexes of all that lies at a site whose row is locked; returns the clock then."""
    await conn.execute(
        "SELECT FROM stock_state WHERE site_id = $1 ORDER BY site_id, item FOR NO KEY UPDATE",
        site_id,
    )
    return await _clock(conn)


async def _clock(conn: asyncpg.Connection) -> datetime:
    at: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return at


async def _lock_existing(conn: asyncpg.Connection, sites: list[UUID], items: list[str]) -> int:
    return len(
        await conn.fetch(
            """
            SELECT 1 FROM stock_state s
            JOIN unnest($1::uuid[], $2::text[]) AS k (site_id, item)
              ON s.site_id = k.site_id AND s.item = k.item
            ORDER BY s.site_id, s.item FOR NO KEY UPDATE OF s
            """,
            sites,
            items,
        )
    )


async def free_lots(
    conn: asyncpg.Connection, site_ids: Collection[UUID], items: Collection[str], good_on: date
) -> list[Lot]:
    """Lots of these items at these sites with pieces that nobody was promised.

    Hold their mutexes first.

    Args:
        good_on: today; or the first day of aid that was given: what has expired since was good.
    """
    rows = await conn.fetch(
        """
        SELECT id, site_id, item, expiry, restriction, on_hand - held AS free,
               status = 'expired' AS is_expired
        FROM lot
        WHERE item = ANY($2::text[]) AND site_id = ANY($1::uuid[])
          AND status <> 'blocked' AND on_hand > held AND COALESCE(expiry >= $3, true)
        ORDER BY id FOR NO KEY UPDATE
        """,
        list(site_ids),
        list(items),
        good_on,
    )
    return [
        Lot(
            row["id"],
            row["site_id"],
            row["item"],
            row["expiry"],
            restriction_of(row["restriction"]),
            row["free"],
            row["is_expired"],
        )
        for row in rows
    ]


@lru_cache(maxsize=1024)
def restriction_of(text: str | None) -> Restriction:
    """Read what is stored of a lot's terms."""
    # The same few donors' terms are on thousands of lots.
    if text is None:
        return UNRESTRICTED
    found = Restriction.model_validate_json(text)
    return UNRESTRICTED if found == UNRESTRICTED else found


async def lot_states(conn: asyncpg.Connection, lot_ids: Collection[UUID]) -> dict[UUID, LotState]:
    """Lots by id."""
    rows = await conn.fetch(
        "SELECT id, item, site_id, status, on_hand, held, expiry FROM lot"
        " WHERE id = ANY($1::uuid[])",
        list(lot_ids),
    )
    return {row["id"]: LotState(*row) for row in rows}


async def change_lots(conn: asyncpg.Connection, changes: Sequence[LotChange]) -> None:
    """Change lots; hold their mutexes first.

    Raises:
        asyncpg.CheckViolationError: a lot would not stay within 0 ≤ held ≤ on_hand.
    """
    if changes:
        await conn.execute(
            """
            UPDATE lot SET on_hand = lot.on_hand + c.on_hand, held = lot.held + c.held
            FROM unnest($1::uuid[], $2::int[], $3::int[]) AS c (id, on_hand, held)
            WHERE lot.id = c.id
            """,
            *_columns(changes),
        )


async def change_states(conn: asyncpg.Connection, changes: Mapping[Key, tuple[int, int]]) -> None:
    """Change `(on_hand, free)` of items at sites."""
    if not changes:
        return
    await conn.execute(
        """
        UPDATE stock_state s SET on_hand = s.on_hand + c.on_hand, free = s.free + c.free,
               version = s.version + 1, changed_at = clock_timestamp()
        FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[])
             AS c (site_id, item, on_hand, free)
        WHERE s.site_id = c.site_id AND s.item = c.item
        """,
        [key[0] for key in changes],
        [key[1] for key in changes],
        [on_hand for on_hand, _ in changes.values()],
        [free for _, free in changes.values()],
    )


async def take_untold(conn: asyncpg.Connection, limit: int) -> list[State]:
    """Items at sites that changed since other regions were told, as they are now; now told."""
    rows = await conn.fetch(
        """
        WITH untold AS (
            SELECT site_id, item FROM stock_state WHERE version > told_version
            ORDER BY site_id, item LIMIT $1 FOR NO KEY UPDATE)
        UPDATE stock_state s SET told_version = s.version FROM untold u, site
        WHERE s.site_id = u.site_id AND s.item = u.item AND site.id = s.site_id
        RETURNING s.site_id, s.item, site.area, s.on_hand, s.free, s.version
        """,
        limit,
    )
    return [State(*row) for row in rows]


async def insert_receipts(
    conn: asyncpg.Connection,
    receipts: Sequence[tuple[UUID, UUID, UUID | None, date, UUID | None]],
) -> None:
    """Add receipts: id, site, purchase, day, who recorded it."""
    await conn.execute(
        """
        INSERT INTO receipt (id, site_id, purchase_id, received_on, recorded_by)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::date[], $5::uuid[])
        """,
        *_columns(receipts),
    )


async def insert_lots(conn: asyncpg.Connection, lots: Sequence[LotRow]) -> None:
    """Add empty lots; what they hold comes by a movement.

    Those that follow their grant have its newest terms, where these are newer than their own.
    """
    await conn.execute(
        """
        INSERT INTO lot (id, receipt_id, item, site_id, batch, expiry, grant_id, restriction,
                         unit_value_minor, currency, status, terms_version)
        SELECT n.id, n.receipt_id, n.item, n.site_id, n.batch, n.expiry, n.grant_id,
               CASE WHEN g.grant_id IS NULL THEN n.restriction ELSE g.restriction END,
               n.unit_value_minor, n.currency, n.status, COALESCE(g.terms_version, n.terms_version)
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::date[],
                    $7::uuid[], $8::jsonb[], $9::bigint[], $10::text[], $11::text[], $12::int[])
             AS n (id, receipt_id, item, site_id, batch, expiry, grant_id, restriction,
                   unit_value_minor, currency, status, terms_version)
        LEFT JOIN grant_terms g
          ON g.grant_id = n.grant_id AND g.terms_version > n.terms_version
        """,
        *_columns(lots),
    )


async def insert_movements(conn: asyncpg.Connection, movements: Sequence[MovementRow]) -> None:
    """Record movements. The id makes each apply once: the same again is an error."""
    if movements:
        await conn.execute(
            """
            INSERT INTO movement (id, lot_id, quantity, kind, reservation_id, receipt_id, reason,
                                  happened_on, recorded_by, shipment_id, line_id, move_id)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::uuid[],
                $6::uuid[], $7::text[], $8::date[], $9::uuid[], $10::uuid[], $11::uuid[],
                $12::uuid[])
            """,
            *_columns(movements),
        )


async def expired_lots(conn: asyncpg.Connection, today: date, limit: int) -> list[LotState]:
    """Lots past their expiry that still count as free, or are set aside, oldest first."""
    rows = await conn.fetch(
        """
        SELECT id, item, site_id, status, on_hand, held, expiry FROM lot
        WHERE expiry < $1 AND on_hand > 0 AND (status = 'available'
            OR (status = 'expired' AND held > 0 AND EXISTS (
                SELECT FROM allocation a JOIN reservation r ON r.id = a.reservation_id
                WHERE a.lot_id = lot.id AND r.state IN ('held', 'confirmed'))))
        ORDER BY expiry, id LIMIT $2
        """,
        today,
        limit,
    )
    return [LotState(*row) for row in rows]


async def set_status(
    conn: asyncpg.Connection, lot_ids: Collection[UUID], status: str, was: str
) -> list[LotState]:
    """Change the status of lots that have another one; returns those that changed."""
    rows = await conn.fetch(
        """
        UPDATE lot SET status = $2 WHERE id = ANY($1::uuid[]) AND status = $3
        RETURNING id, item, site_id, status, on_hand, held, expiry
        """,
        list(lot_ids),
        status,
        was,
    )
    return [LotState(*row) for row in rows]


async def free_at(conn: asyncpg.Connection, site_id: UUID) -> list[tuple[str, int]]:
    """What is free at a site, by item."""
    rows = await conn.fetch(
        "SELECT item, free FROM stock_state WHERE site_id = $1 AND free > 0 ORDER BY item", site_id
    )
    return [(row["item"], row["free"]) for row in rows]


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
