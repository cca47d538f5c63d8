"""Beds and who sleeps in them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_inventory.domain.beds import Bed, Stay


class NewBed(NamedTuple):
    """A bed; `night_minor` is what a night costs, charged to the grant if there is one."""

    bed_id: UUID
    site_id: UUID
    label: str
    room: str
    code: str
    owner: str
    grant_id: UUID | None
    night_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Booked:
    """One bed of a reservation.

    Attributes:
        in_use: the bed has not been retired.
        left_by_clock: the guest was checked out when the last night was over; nobody said so.
        still_here: a check-out was taken back; only a person says when the guest leaves.
        booked: the stay as it was before the guest left.
    """

    reservation_id: UUID
    bed_id: UUID
    site_id: UUID
    code: str
    in_use: bool
    stay: Stay
    left_on: date | None
    left_by_clock: bool
    still_here: bool
    booked: Stay | None
    grant_id: UUID | None
    night_minor: int
    currency: str


TAKEN: Final = """(
    SELECT reservation_id, bed_id, left_on, stay FROM bed_booking WHERE live AND NOT still_here
    UNION ALL
    SELECT reservation_id, bed_id, left_on, daterange(lower(stay), NULL) FROM bed_booking
    WHERE live AND still_here)"""
"""The nights in which beds are taken. Of a guest of whom somebody said that they are still here
nobody knows the last one, whatever the books say: their bed is taken until they are checked out."""

_IN_BOOKS: Final = "(SELECT * FROM bed_booking WHERE live)"
_BOOKED = """
    g.reservation_id, g.bed_id, b.site_id, b.code, b.status = 'active' AS in_use,
    lower(g.stay) AS from_on, upper(g.stay) AS to_on, g.left_on, g.left_by_clock,
    g.still_here, lower(g.booked) AS booked_from, upper(g.booked) AS booked_to, b.grant_id,
    b.night_minor, b.currency
"""


def _stay_of(row: asyncpg.Record) -> Stay:
    if row["from_on"] is None:  # the empty range: nobody slept there
        left_on: date = row["left_on"]
        return Stay(left_on, left_on)
    return Stay(row["from_on"], row["to_on"])


def _booked(row: asyncpg.Record) -> Booked:
    return Booked(
        row["reservation_id"],
        row["bed_id"],
        row["site_id"],
        row["code"],
        row["in_use"],
        _stay_of(row),
        row["left_on"],
        row["left_by_clock"],
        row["still_here"],
        None if row["booked_from"] is None else Stay(row["booked_from"], row["booked_to"]),
        row["grant_id"],
        row["night_minor"],
        row["currency"],
    )


async def insert(
    conn: asyncpg.Connection, beds: Sequence[tuple[NewBed, Sequence[str]]]
) -> set[UUID]:
    """Add beds with their features; returns the ids of those whose label was free."""
    rows = await conn.fetch(
        """
        INSERT INTO bed (id, site_id, label, room, code, owner, grant_id, night_minor, currency,
                         features)
        SELECT n.id, n.site_id, n.label, n.room, n.code, n.owner, n.grant_id, n.night_minor,
               n.currency, string_to_array(n.features, ' ')
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::uuid[], $8::bigint[], $9::text[], $10::text[])
             AS n (id, site_id, label, room, code, owner, grant_id, night_minor, currency, features)
        ON CONFLICT DO NOTHING RETURNING id
        """,
        *(list(column) for column in zip(*(bed for bed, _ in beds), strict=True)),
        [" ".join(sorted(set(features))) for _, features in beds],
    )
    return {row["id"] for row in rows}


async def picture(
    conn: asyncpg.Connection, site_ids: Collection[UUID], codes: Collection[str], from_on: date
) -> tuple[list[Bed], list[tuple[UUID, Stay]]]:
    """Beds of these kinds at these sites, and the nights in which they are taken from a day on."""
    found = await conn.fetch(
        """
        SELECT id, site_id, code, room, features FROM bed
        WHERE code = ANY($2::text[]) AND site_id = ANY($1::uuid[]) AND status = 'active'
        """,
        list(site_ids),
        list(codes),
    )
    stays = await conn.fetch(
        f"""
        SELECT t.bed_id, lower(t.stay) AS from_on, upper(t.stay) AS to_on FROM {TAKEN} t
        WHERE t.bed_id = ANY($1::uuid[]) AND t.stay && daterange($2, NULL)
        """,  # noqa: S608 - a constant
        [row["id"] for row in found],
        from_on,
    )
    return (
        [
            Bed(row["id"], row["site_id"], row["code"], row["room"], frozenset(row["features"]))
            for row in found
        ],
        [(row["bed_id"], Stay(row["from_on"], row["to_on"])) for row in stays],
    )


async def book(
    conn: asyncpg.Connection, rows: Sequence[tuple[UUID, UUID, date, date | None]]
) -> None:
    """Book beds: reservation, bed, first night, day of leaving.

    Raises:
        asyncpg.ExclusionViolationError: somebody else sleeps there.
    """
    if rows:
        await conn.execute(
            """
            INSERT INTO bed_booking (reservation_id, bed_id, stay)
            SELECT n.reservation_id, n.bed_id, daterange(n.from_on, n.to_on)
            FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::date[])
                 AS n (reservation_id, bed_id, from_on, to_on)
            """,
            *(list(column) for column in zip(*rows, strict=True)),
        )


async def booked(conn: asyncpg.Connection, ids: Collection[UUID]) -> list[Booked]:
    """The live bookings of these reservations."""
    rows = await conn.fetch(
        f"""
        SELECT {_BOOKED} FROM bed_booking g JOIN bed b ON b.id = g.bed_id
        WHERE g.reservation_id = ANY($1::uuid[]) AND g.live ORDER BY g.reservation_id, g.bed_id
        """,  # noqa: S608 - a constant
        list(ids),
    )
    return [_booked(row) for row in rows]


async def release(conn: asyncpg.Connection, ids: Collection[UUID]) -> list[Booked]:
    """Give the beds of these reservations back."""
    rows = await conn.fetch(
        f"""
        UPDATE bed_booking g SET live = false FROM bed b
        WHERE g.reservation_id = ANY($1::uuid[]) AND g.live AND b.id = g.bed_id
        RETURNING {_BOOKED}
        """,  # noqa: S608 - a constant
        list(ids),
    )
    return [_booked(row) for row in rows]


async def next_guests(
    conn: asyncpg.Connection,
    wanted: Sequence[tuple[UUID, UUID, date, date | None]],
    *,
    still_there: bool = False,
) -> set[tuple[UUID, UUID]]:
    """In which of these beds (reservation, bed) others sleep on some night from a day to a day.

    Args:
        still_there: those count, too, who by the books have left and of whom somebody said that
            they have not; else only nights in the books.
    """
    rows = await conn.fetch(
        f"""
        SELECT DISTINCT w.reservation_id, w.bed_id
        FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::date[])
             AS w (reservation_id, bed_id, from_on, to_on)
        JOIN {TAKEN if still_there else _IN_BOOKS} g ON g.bed_id = w.bed_id
         AND g.reservation_id <> w.reservation_id AND g.stay && daterange(w.from_on, w.to_on)
        """,  # noqa: S608 - constants
        *(list(column) for column in zip(*wanted, strict=True)),
    )
    return {(row["reservation_id"], row["bed_id"]) for row in rows}


async def set_stays(
    conn: asyncpg.Connection,
    rows: Sequence[tuple[UUID, UUID, date, date | None, date | None]],
    *,
    by_clock: bool = False,
    still_here: bool = False,
) -> None:
    """Correct stays: reservation, bed, first night, day of leaving, when the guest left.

    Of who leaves it is remembered how long they would have stayed; of who does not, whether a
    person said so (`still_here`).
    """
    await conn.execute(
        """
        UPDATE bed_booking g
        SET stay = daterange(n.from_on, n.to_on), left_on = n.left_on,
            left_by_clock = $6 AND n.left_on IS NOT NULL,
            still_here = $7 AND n.left_on IS NULL,
            booked = CASE WHEN n.left_on IS NOT NULL THEN COALESCE(g.booked, g.stay) END
        FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::date[], $5::date[])
             AS n (reservation_id, bed_id, from_on, to_on, left_on)
        WHERE g.reservation_id = n.reservation_id AND g.bed_id = n.bed_id AND g.live
        """,
        *(list(column) for column in zip(*rows, strict=True)),
        by_clock,
        still_here,
    )


async def forget_leaving(conn: asyncpg.Connection, reservation_id: UUID) -> None:
    """The guest has not left after all; the nights stay as they were corrected."""
    await conn.execute(
        """
        UPDATE bed_booking
        SET left_on = NULL, left_by_clock = false, still_here = false, booked = NULL
        WHERE reservation_id = $1 AND live AND (left_on IS NOT NULL OR still_here)
          AND NOT isempty(stay)
        """,
        reservation_id,
    )


async def board(
    conn: asyncpg.Connection,
    site_id: UUID,
    from_on: date,
    to_on: date,
    after: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """Up to `limit` beds of a site by room and label, each with when it is taken in a period.

    A bed without a stay is one row; `after` is the last bed of the page before.
    """
    return await conn.fetch(
        f"""
        SELECT b.id AS bed_id, b.label, b.room, b.code, b.features, b.owner, b.status,
               r.id AS reservation_id, r.need_id, r.state, r.sensitive,
               lower(t.stay) AS from_on, upper(t.stay) AS to_on, t.left_on
        FROM (SELECT * FROM bed
              WHERE site_id = $1 AND ($4::uuid IS NULL
                OR (room, label, id) > (SELECT room, label, id FROM bed WHERE id = $4))
              ORDER BY room, label, id LIMIT $5) b
        LEFT JOIN {TAKEN} t ON t.bed_id = b.id AND t.stay && daterange($2, $3)
        LEFT JOIN reservation r ON r.id = t.reservation_id
        ORDER BY b.room, b.label, b.id, lower(t.stay)
        """,  # noqa: S608 - a constant
        site_id,
        from_on,
        to_on,
        after,
        limit,
    )


async def retire(conn: asyncpg.Connection, bed_id: UUID, today: date) -> tuple[UUID, str] | None:
    """Take a bed out of use; returns its site and kind, None if it is booked, gone or unknown.

    A guest who should have left before today does not keep it, unless somebody said that they
    are still here.
    """
    row = await conn.fetchrow(
        """
        UPDATE bed b SET status = 'retired'
        WHERE b.id = $1 AND b.status = 'active' AND NOT EXISTS (
            SELECT FROM bed_booking g JOIN reservation r ON r.id = g.reservation_id
            WHERE g.bed_id = b.id AND g.live AND g.left_on IS NULL
              AND (g.still_here OR COALESCE(upper(g.stay) >= $2, true)))
        RETURNING b.site_id, b.code
        """,
        bed_id,
        today,
    )
    return None if row is None else (row["site_id"], row["code"])


async def restore(
    conn: asyncpg.Connection, bed_id: UUID
) -> Literal["still-in-use", "code-taken"] | None:
    """Take a bed into use again; returns why not, if it is or another one has its label."""
    try:
        async with conn.transaction():
            found = await conn.fetchval(
                "UPDATE bed SET status = 'active' WHERE id = $1 AND status = 'retired'"
                " RETURNING id",
                bed_id,
            )
    except asyncpg.UniqueViolationError:
        return "code-taken"
    return "still-in-use" if found is None else None


async def bed_key(conn: asyncpg.Connection, bed_id: UUID) -> tuple[UUID, str] | None:
    """Site and kind of a bed."""
    row = await conn.fetchrow("SELECT site_id, code FROM bed WHERE id = $1", bed_id)
    return None if row is None else (row["site_id"], row["code"])


async def to_be_had(conn: asyncpg.Connection, site_id: UUID, day: date) -> list[tuple[str, int]]:
    """How many beds of each kind are in use at a site, and not taken without end from a day on."""
    rows = await conn.fetch(
        f"""
        SELECT b.code, count(*)::int AS beds FROM bed b
        WHERE b.site_id = $1 AND b.status = 'active' AND NOT EXISTS (
            SELECT FROM {TAKEN} t WHERE t.bed_id = b.id AND t.stay @> daterange($2, NULL))
        GROUP BY b.code ORDER BY b.code
        """,  # noqa: S608 - a constant
        site_id,
        day,
    )
    return [(row["code"], row["beds"]) for row in rows]
