"""Referrals in the database: offers to other regions, and theirs."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import ReferralId
from aidmesh_intake.domain.referral import Got, Offer, Offered, Referral
from aidmesh_intake.store.needs import columns

_OUT: Final = "SELECT id, need_id, to_region, lapses_at, status, reason FROM referral_out"
_IN: Final = """
SELECT id, from_region, status, lapses_at, need_id, person_id, reason FROM referral_in
"""


async def add_offer(
    conn: asyncpg.Connection,
    offer: Offer,
    now: datetime,
    staff_id: UUID,
    rule_id: UUID | None = None,
) -> None:
    """Write a new offer, made by a person or by a rule that they set."""
    await conn.execute(
        """
        INSERT INTO referral_out (id, need_id, to_region, status, lapses_at, offered_at,
            changed_at, staff_id, rule_id)
        VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)
        """,
        offer.id,
        offer.need_id,
        offer.to_region,
        offer.status.value,
        offer.lapses_at,
        now,
        staff_id,
        rule_id,
    )


async def need_ids(conn: asyncpg.Connection, offer_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Of which needs these offers are; that does not change."""
    rows = await conn.fetch(
        "SELECT id, need_id FROM referral_out WHERE id = ANY($1::uuid[])", list(offer_ids)
    )
    return {row["id"]: row["need_id"] for row in rows}


async def lock_offers(conn: asyncpg.Connection, offer_ids: Collection[UUID]) -> dict[UUID, Offer]:
    """Load offers and lock them, in the order of their ids; their needs are locked before."""
    rows = await conn.fetch(
        _OUT + " WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", list(offer_ids)
    )
    return {row["id"]: _offer(row) for row in rows}


async def lock_offers_of(
    conn: asyncpg.Connection, need_ids: Collection[UUID], *, open_only: bool
) -> list[Offer]:
    """The same for those of some needs.

    Args:
        open_only: those that stand.
    """
    rows = await conn.fetch(
        _OUT
        + " WHERE need_id = ANY($1::uuid[]) AND (NOT $2 OR status = 'offered')"
        + " ORDER BY id FOR UPDATE",
        list(need_ids),
        open_only,
    )
    return [_offer(row) for row in rows]


async def save_offers(conn: asyncpg.Connection, offers: Sequence[Offer], now: datetime) -> None:
    """Write where offers stand."""
    if offers:
        await conn.execute(
            """
            UPDATE referral_out r SET status = u.status, reason = u.reason, changed_at = $4
            FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u (id, status, reason)
            WHERE r.id = u.id
            """,
            *columns([(each.id, each.status.value, each.reason) for each in offers]),
            now,
        )


async def open_of(
    conn: asyncpg.Connection, person_ids: Collection[UUID], need_ids: Collection[UUID] = ()
) -> list[UUID]:
    """Offers that stand of the needs of persons and of records merged into theirs, and of others.

    Args:
        need_ids: the others.
    """
    rows = await conn.fetch(
        """
        SELECT r.id FROM referral_out r JOIN need n ON n.id = r.need_id
        JOIN person p ON p.id = n.person_id
        WHERE r.status = 'offered'
            AND (p.id = ANY($1::uuid[]) OR p.merged_into = ANY($1::uuid[])
                OR n.id = ANY($2::uuid[]))
        """,
        list(person_ids),
        list(need_ids),
    )
    return [row["id"] for row in rows]


async def open_to(conn: asyncpg.Connection, regions: Sequence[str]) -> list[UUID]:
    """Offers to these regions that stand."""
    rows = await conn.fetch(
        "SELECT id FROM referral_out WHERE status = 'offered' AND to_region = ANY($1::text[])",
        regions,
    )
    return [row["id"] for row in rows]


async def lapsed(conn: asyncpg.Connection, limit: int) -> list[UUID]:
    """Offers whose time is over, the oldest first."""
    rows = await conn.fetch(
        """
        SELECT id FROM referral_out WHERE status = 'offered' AND lapses_at <= now()
        ORDER BY lapses_at LIMIT $1
        """,
        limit,
    )
    return [row["id"] for row in rows]


async def extend_offers(conn: asyncpg.Connection, since: datetime, by: timedelta) -> None:
    """Have what stood at `since` lapse later."""
    await conn.execute(
        """
        WITH mine AS (
            SELECT id FROM referral_out
            WHERE status = 'offered' AND lapses_at > $1 AND offered_at <= $1
            ORDER BY id FOR NO KEY UPDATE)
        UPDATE referral_out r SET lapses_at = r.lapses_at + $2 FROM mine WHERE r.id = mine.id
        """,
        since,
        by,
    )


async def last_seen(conn: asyncpg.Connection) -> tuple[datetime, datetime]:
    """When it was last looked at what lapses, and now; now is remembered."""
    before: datetime | None = await conn.fetchval(
        "SELECT seen_at FROM offer_clock FOR NO KEY UPDATE"
    )
    now: datetime = await conn.fetchval(
        """
        INSERT INTO offer_clock (seen_at) VALUES (clock_timestamp())
        ON CONFLICT (only_row) DO UPDATE SET seen_at = excluded.seen_at RETURNING seen_at
        """
    )
    return before or now, now


async def look(conn: asyncpg.Connection) -> tuple[datetime, datetime]:
    """The same two, without keeping anybody waiting and without remembering."""
    (row,) = await conn.fetch(
        "SELECT clock_timestamp() AS now, (SELECT seen_at FROM offer_clock) AS seen_at"
    )
    return row["seen_at"] or row["now"], row["now"]


async def add_referrals(
    conn: asyncpg.Connection, got: Sequence[tuple[Referral, bytes | None]], now: datetime
) -> None:
    """Write offers of other regions, or their tombstones; those known already stay as they are."""
    if got:
        await conn.execute(
            """
            INSERT INTO referral_in (id, from_region, status, reason, lapses_at, sealed,
                received_at, changed_at)
            SELECT u.*, $7, $7 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[],
                $5::timestamptz[], $6::bytea[]) AS u ORDER BY 1
            ON CONFLICT (id) DO NOTHING
            """,
            *columns(
                [
                    (
                        each.id,
                        each.from_region,
                        each.status.value,
                        each.reason,
                        each.lapses_at,
                        sealed,
                    )
                    for each, sealed in got
                ]
            ),
            now,
        )


async def referrals(
    conn: asyncpg.Connection, referral_ids: Collection[UUID], *, lock: bool = False
) -> dict[UUID, Referral]:
    """Offers of other regions by id; locked in their order, after their needs."""
    rows = await conn.fetch(
        _IN + " WHERE id = ANY($1::uuid[]) ORDER BY id" + (" FOR UPDATE" if lock else ""),
        list(referral_ids),
    )
    return {row["id"]: _referral(row) for row in rows}


async def standing_from(
    conn: asyncpg.Connection, regions: Sequence[str]
) -> dict[UUID, UUID | None]:
    """What these regions offered and neither confirmed nor ended, with what was made of it."""
    rows = await conn.fetch(
        """
        SELECT id, need_id FROM referral_in
        WHERE status IN ('offered', 'taken', 'accepted') AND from_region = ANY($1::text[])
        """,
        regions,
    )
    return {row["id"]: row["need_id"] for row in rows}


async def lock_referrals_of(
    conn: asyncpg.Connection, need_ids: Collection[UUID]
) -> dict[UUID, Referral]:
    """What these needs were made of, by need, locked."""
    rows = await conn.fetch(
        _IN + " WHERE need_id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", list(need_ids)
    )
    return {row["need_id"]: _referral(row) for row in rows}


async def save_referrals(
    conn: asyncpg.Connection, changed: Sequence[Referral], now: datetime
) -> None:
    """Write where offers of other regions stand; what was sealed goes with the first step."""
    if changed:
        await conn.execute(
            """
            UPDATE referral_in r SET status = u.status, reason = u.reason, sealed = NULL,
                changed_at = $4
            FROM unnest($1::uuid[], $2::text[], $3::text[]) AS u (id, status, reason)
            WHERE r.id = u.id
            """,
            *columns([(each.id, each.status.value, each.reason) for each in changed]),
            now,
        )


async def claim(
    conn: asyncpg.Connection, referral: Referral, now: datetime, staff_id: UUID
) -> bool:
    """Say what was made of an offer, unless it is taken or over by now."""
    return bool(
        await conn.fetchval(
            """
            UPDATE referral_in SET status = 'taken', sealed = NULL, need_id = $2, person_id = $3,
                changed_at = $4, staff_id = $5
            WHERE id = $1 AND status = 'offered' RETURNING true
            """,
            referral.id,
            referral.need_id,
            referral.person_id,
            now,
            staff_id,
        )
    )


async def sealed_of(conn: asyncpg.Connection, referral_ids: Collection[UUID]) -> dict[UUID, bytes]:
    """The boxes of offers that nobody took or ended."""
    rows = await conn.fetch(
        "SELECT id, sealed FROM referral_in WHERE id = ANY($1::uuid[]) AND sealed IS NOT NULL",
        list(referral_ids),
    )
    return {row["id"]: row["sealed"] for row in rows}


async def uncleared(conn: asyncpg.Connection, limit: int) -> list[asyncpg.Record]:
    """Offers that came to nothing after something was made of them, and by whom."""
    return await conn.fetch(
        """
        SELECT id, need_id, person_id, staff_id FROM referral_in
        WHERE status IN ('refused', 'withdrawn') AND need_id IS NOT NULL AND cleared_at IS NULL
        ORDER BY changed_at LIMIT $1
        """,
        limit,
    )


async def set_cleared(conn: asyncpg.Connection, referral_id: UUID, now: datetime) -> None:
    """What was made of an offer is ended."""
    await conn.execute("UPDATE referral_in SET cleared_at = $2 WHERE id = $1", referral_id, now)


async def is_only_of(conn: asyncpg.Connection, person_id: UUID, need_id: UUID) -> bool:
    """Whether a person is known for this need alone, and nobody else's record is theirs."""
    return bool(
        await conn.fetchval(
            """
            SELECT NOT EXISTS (SELECT FROM need WHERE person_id = $1 AND id <> $2)
               AND NOT EXISTS (SELECT FROM person WHERE merged_into = $1)
               AND EXISTS (SELECT FROM person WHERE id = $1 AND merged_into IS NULL
                           AND erased_at IS NULL AND household_id IS NULL)
            """,
            person_id,
            need_id,
        )
    )


async def origin_of(conn: asyncpg.Connection, need_id: UUID) -> asyncpg.Record | None:
    """From which region a need came, by which offer."""
    return await conn.fetchrow(
        "SELECT id, from_region, status FROM referral_in WHERE need_id = $1", need_id
    )


async def made(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int, *, sensitive: bool
) -> list[asyncpg.Record]:
    """Offers to other regions, the latest first.

    Args:
        sensitive: also of needs that only some roles see.
    """
    at, referral_id = after or (None, None)
    return await conn.fetch(
        """
        SELECT r.id AS referral_id, r.need_id, n.kind, r.to_region, r.status, r.reason,
            r.lapses_at, r.offered_at, r.changed_at, r.rule_id IS NOT NULL AS by_rule
        FROM referral_out r JOIN need n ON n.id = r.need_id
        WHERE ($4 OR NOT n.sensitive)
          AND ($1::timestamptz IS NULL OR (r.offered_at, r.id) < ($1, $2::uuid))
        ORDER BY r.offered_at DESC, r.id DESC LIMIT $3
        """,
        at,
        referral_id,
        limit,
        sensitive,
    )


async def got(
    conn: asyncpg.Connection, after: tuple[datetime, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Offers of other regions, the latest first; without tombstones."""
    at, referral_id = after or (None, None)
    return await conn.fetch(
        """
        SELECT id AS referral_id, from_region, status, reason, lapses_at, need_id, received_at,
            changed_at
        FROM referral_in
        WHERE lapses_at IS NOT NULL
          AND ($1::timestamptz IS NULL OR (received_at, id) < ($1, $2::uuid))
        ORDER BY received_at DESC, id DESC LIMIT $3
        """,
        at,
        referral_id,
        limit,
    )


def _offer(row: asyncpg.Record) -> Offer:
    return Offer(
        id=ReferralId(row["id"]),
        need_id=row["need_id"],
        to_region=row["to_region"],
        lapses_at=row["lapses_at"],
        status=Offered(row["status"]),
        reason=row["reason"],
    )


def _referral(row: asyncpg.Record) -> Referral:
    return Referral(
        id=ReferralId(row["id"]),
        from_region=row["from_region"],
        status=Got(row["status"]),
        lapses_at=row["lapses_at"],
        need_id=row["need_id"],
        person_id=row["person_id"],
        reason=row["reason"],
    )
