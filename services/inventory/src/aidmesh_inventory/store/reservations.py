"""Reservations, what is allocated to them, and the attempts that are over; see also `clocks`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.restriction import Restriction
from aidmesh_inventory.store.stock import restriction_of


class NewReservation(NamedTuple):
    """A reservation as it begins."""

    reservation_id: UUID
    need_id: UUID
    attempt_no: int
    way: str
    state: str
    site_id: UUID | None
    priority: int
    planned_on: date
    hold_until: datetime
    served_on: date | None
    sensitive: bool
    to_site_id: UUID | None


class NewAllocation(NamedTuple):
    """Pieces of a lot for a reservation."""

    reservation_id: UUID
    lot_id: UUID
    quantity: int


@dataclass(frozen=True, slots=True)
class Allocated:
    """An allocation with what matters of its lot."""

    reservation_id: UUID
    lot_id: UUID
    quantity: int
    item: str
    site_id: UUID
    status: str
    expiry: date | None
    grant_id: UUID | None
    unit_value_minor: int
    currency: str
    restriction: Restriction


@dataclass(frozen=True, slots=True)
class Changed:
    """A reservation that was changed."""

    reservation_id: UUID
    need_id: UUID
    attempt_no: int
    way: str
    site_id: UUID
    issue_no: int
    served_on: date | None
    to_site_id: UUID | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of an attempt to serve a need."""

    reservation_id: UUID
    need_id: UUID
    attempt_no: int
    state: str
    cause: str | None
    site_id: UUID | None
    issue_no: int


_CHANGED = "r.id, r.need_id, r.attempt_no, r.way, r.site_id, r.issue_no, r.served_on, r.to_site_id"
LIVE = ("held", "confirmed")


async def insert(
    conn: asyncpg.Connection,
    reservations: Sequence[NewReservation],
    allocations: Sequence[NewAllocation],
) -> None:
    """Add reservations and their allocations."""
    if reservations:
        await conn.execute(
            """
            INSERT INTO reservation (id, need_id, attempt_no, way, state, site_id, priority,
                                     planned_on, hold_until, served_on, sensitive, to_site_id)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[],
                $6::uuid[], $7::int[], $8::date[], $9::timestamptz[], $10::date[],
                $11::boolean[], $12::uuid[])
            """,
            *(list(column) for column in zip(*reservations, strict=True)),
        )
    if allocations:
        await conn.execute(
            """
            INSERT INTO allocation (reservation_id, lot_id, quantity)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[])
            """,
            *(list(column) for column in zip(*allocations, strict=True)),
        )


async def ended(conn: asyncpg.Connection, need_ids: Collection[UUID]) -> dict[UUID, int]:
    """The highest attempt that is over, by need."""
    rows = await conn.fetch(
        "SELECT need_id, attempt_no FROM attempt_ended WHERE need_id = ANY($1::uuid[])",
        list(need_ids),
    )
    return {row["need_id"]: row["attempt_no"] for row in rows}


async def end_attempts(conn: asyncpg.Connection, ended_by_need: Mapping[UUID, int]) -> None:
    """Remember that attempts up to these are over; attempt 0 is a fact, over once reversed."""
    needs = sorted(ended_by_need)
    await conn.execute(
        """
        INSERT INTO attempt_ended (need_id, attempt_no)
        SELECT * FROM unnest($1::uuid[], $2::int[])
        ON CONFLICT (need_id) DO UPDATE
            SET attempt_no = greatest(attempt_ended.attempt_no, EXCLUDED.attempt_no)
        """,
        needs,
        [ended_by_need[need] for need in needs],
    )


async def attempts(conn: asyncpg.Connection, need_ids: Collection[UUID]) -> list[Attempt]:
    """All attempts of these needs, oldest first."""
    rows = await conn.fetch(
        """
        SELECT id, need_id, attempt_no, state, cause, site_id, issue_no FROM reservation
        WHERE need_id = ANY($1::uuid[]) ORDER BY need_id, attempt_no
        """,
        list(need_ids),
    )
    return [Attempt(*row) for row in rows]


async def by_id(conn: asyncpg.Connection, ids: Collection[UUID]) -> list[Attempt]:
    """These reservations."""
    rows = await conn.fetch(
        """
        SELECT id, need_id, attempt_no, state, cause, site_id, issue_no FROM reservation
        WHERE id = ANY($1::uuid[])
        """,
        list(ids),
    )
    return [Attempt(*row) for row in rows]


async def lock(conn: asyncpg.Connection, ids: Collection[UUID]) -> None:
    """Lock reservations, in order of id; hold their mutexes first."""
    await conn.execute(
        "SELECT FROM reservation WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE",
        list(ids),
    )


async def overdue(conn: asyncpg.Connection, wanted: Sequence[tuple[UUID, int]]) -> list[UUID]:
    """Of these attempts the holds that ran out, without locking them."""
    rows = await conn.fetch(
        """
        SELECT r.id FROM reservation r
        JOIN unnest($1::uuid[], $2::int[]) AS w (need_id, attempt_no)
          ON r.need_id = w.need_id AND r.attempt_no = w.attempt_no
        WHERE r.state = 'held' AND r.hold_until <= clock_timestamp()
        """,
        [need for need, _ in wanted],
        [attempt for _, attempt in wanted],
    )
    return [row["id"] for row in rows]


async def confirm(
    conn: asyncpg.Connection, wanted: Sequence[tuple[UUID, int]]
) -> list[tuple[Changed, date]]:
    """Make holds firm that have not run out; returns those that changed, with `planned_on`."""
    rows = await conn.fetch(
        f"""
        WITH mine AS (
            SELECT r.id FROM reservation r
            JOIN unnest($1::uuid[], $2::int[]) AS w (need_id, attempt_no)
              ON r.need_id = w.need_id AND r.attempt_no = w.attempt_no
            WHERE r.state = 'held' AND r.hold_until > clock_timestamp()
            ORDER BY r.id FOR NO KEY UPDATE OF r
        )
        UPDATE reservation r SET state = 'confirmed', state_at = clock_timestamp()
        FROM mine WHERE r.id = mine.id RETURNING {_CHANGED}, r.planned_on
        """,  # noqa: S608 - a constant
        [need for need, _ in wanted],
        [attempt for _, attempt in wanted],
    )
    return [(Changed(*row[:8]), row["planned_on"]) for row in rows]


async def release(
    conn: asyncpg.Connection, ids: Collection[UUID], state: str, cause: str, *, only_due: bool
) -> list[Changed]:
    """End reservations that were not issued.

    Holds that ran out, and with `only_due` pick-ups too, only if they are due by the database's
    clock when the row is locked: whoever confirmed, extended or issued it meanwhile wins.
    """
    rows = await conn.fetch(
        f"""
        WITH mine AS (
            SELECT id FROM reservation
            WHERE id = ANY($1::uuid[]) AND CASE
                WHEN $3 = 'hold_expired' THEN state = 'held' AND hold_until <= clock_timestamp()
                WHEN $4 THEN state = 'confirmed' AND collect_by <= clock_timestamp()
                ELSE state IN ('held', 'confirmed') END
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE reservation r SET state = $2, cause = $3, state_at = clock_timestamp()
        FROM mine WHERE r.id = mine.id RETURNING {_CHANGED}
        """,  # noqa: S608 - a constant
        list(ids),
        state,
        cause,
        only_due,
    )
    return [Changed(*row) for row in rows]


async def issue(
    conn: asyncpg.Connection, wanted: Sequence[tuple[UUID, str, date]]
) -> list[Changed]:
    """Hand out confirmed reservations (id, way, served_on); returns those that changed."""
    if not wanted:
        return []
    rows = await conn.fetch(
        f"""
        WITH mine AS (
            SELECT r.id, w.served_on FROM reservation r
            JOIN unnest($1::uuid[], $2::text[], $3::date[]) AS w (id, way, served_on)
              ON r.id = w.id AND r.way = w.way
            WHERE r.state = 'confirmed'
            ORDER BY r.id FOR NO KEY UPDATE OF r
        )
        UPDATE reservation r SET state = 'issued', served_on = mine.served_on,
               issue_no = r.issue_no + 1, state_at = clock_timestamp()
        FROM mine WHERE r.id = mine.id RETURNING {_CHANGED}
        """,  # noqa: S608 - a constant
        *(list(column) for column in zip(*wanted, strict=True)),
    )
    return [Changed(*row) for row in rows]


async def add_prescriptions(
    conn: asyncpg.Connection, seen: Sequence[tuple[UUID, int, date, str]]
) -> None:
    """Remember that prescriptions were looked at: reservation, issue, day, role."""
    if seen:
        await conn.copy_records_to_table(
            "prescription_seen",
            records=seen,
            columns=("reservation_id", "issue_no", "seen_on", "role"),
        )


async def undo(conn: asyncpg.Connection, reservation_id: UUID, grace: timedelta) -> Changed | None:
    """Take an issue back; what is to be collected is kept for at least `grace` more."""
    row = await conn.fetchrow(
        f"""
        UPDATE reservation r SET state = 'confirmed', state_at = clock_timestamp(),
               collect_by = greatest(r.collect_by, clock_timestamp() + $2)
        WHERE r.id = $1 AND r.state = 'issued' AND r.attempt_no > 0 RETURNING {_CHANGED}
        """,  # noqa: S608 - a constant
        reservation_id,
        grace,
    )
    return None if row is None else Changed(*row)


async def allocated(conn: asyncpg.Connection, ids: Collection[UUID]) -> list[Allocated]:
    """What is allocated to these reservations; never changes once it was written."""
    rows = await conn.fetch(
        """
        SELECT a.reservation_id, a.lot_id, a.quantity, l.item, l.site_id, l.status, l.expiry,
               l.grant_id, l.unit_value_minor, l.currency, l.restriction
        FROM allocation a JOIN lot l ON l.id = a.lot_id
        WHERE a.reservation_id = ANY($1::uuid[]) ORDER BY a.reservation_id, a.lot_id
        """,
        list(ids),
    )
    return [Allocated(**{**row, "restriction": restriction_of(row["restriction"])}) for row in rows]


async def live_at_site(conn: asyncpg.Connection, site_id: UUID) -> list[UUID]:
    """Reservations at a site that were not issued."""
    rows = await conn.fetch(
        "SELECT id FROM reservation WHERE site_id = $1 AND state IN ('held', 'confirmed')", site_id
    )
    return [row["id"] for row in rows]


async def latest_holders_of(conn: asyncpg.Connection, lot_id: UUID) -> list[tuple[UUID, int]]:
    """Unissued reservations on a lot with their pieces of it: lowest priority, latest first."""
    rows = await conn.fetch(
        """
        SELECT a.reservation_id, a.quantity
        FROM allocation a JOIN reservation r ON r.id = a.reservation_id
        WHERE a.lot_id = $1 AND r.state IN ('held', 'confirmed')
        ORDER BY r.priority, r.state_at DESC, r.id DESC
        """,
        lot_id,
    )
    return [(row["reservation_id"], row["quantity"]) for row in rows]


async def current(conn: asyncpg.Connection, need_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The latest reservation of each need, facts aside."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (need_id) need_id, id FROM reservation
        WHERE need_id = ANY($1::uuid[]) AND attempt_no > 0 ORDER BY need_id, attempt_no DESC
        """,
        list(need_ids),
    )
    return {row["need_id"]: row["id"] for row in rows}


async def sensitive(conn: asyncpg.Connection, ids: Collection[UUID]) -> set[UUID]:
    """Those of these reservations that only some roles may see."""
    rows = await conn.fetch(
        "SELECT id FROM reservation WHERE id = ANY($1::uuid[]) AND sensitive", list(ids)
    )
    return {row["id"] for row in rows}


async def states(conn: asyncpg.Connection, ids: Collection[UUID]) -> dict[UUID, tuple[str, str]]:
    """State and way of reservations."""
    rows = await conn.fetch(
        "SELECT id, state, way FROM reservation WHERE id = ANY($1::uuid[])", list(ids)
    )
    return {row["id"]: (row["state"], row["way"]) for row in rows}
