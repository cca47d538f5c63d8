"""What the desk reads: lists, one need with its timeline, ids of imported rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class Filter:
    """Which needs a list shows; None does not filter.

    Attributes:
        person_id: with whoever was merged into them, and with what is open for the household that
            they belong to, unless it is sensitive: not everybody at home may know of that.
        to_confirm: an appointment was kept, and its start is to be confirmed.
        attention: for a person to look at: conflicts, and what ends today or tomorrow unserved.
    """

    states: Sequence[str] | None = None
    kinds: Sequence[str] | None = None
    area: str | None = None
    site_id: UUID | None = None
    person_id: UUID | None = None
    household_id: UUID | None = None
    request_id: UUID | None = None
    points_from: int | None = None
    points_below: int | None = None
    to_tell: bool = False
    to_confirm: bool = False
    attention: bool = False
    sensitive_too: bool = False


_OPEN = "state IN ('requested', 'waitlisted', 'approved', 'held', 'ready')"

_ENDS_SOON = f"""
needed_by <= (now() AT TIME ZONE 'Europe/Kyiv')::date + 1
AND {_OPEN}
"""


async def needs(
    conn: asyncpg.Connection, wanted: Filter, after: tuple[int, date, int, UUID] | None, limit: int
) -> list[asyncpg.Record]:
    """Needs in the order of the waitlist."""
    whose, homes = await _whose(conn, wanted.person_id)
    return await conn.fetch(
        f"""
        SELECT id, request_id, kind, for_whom, person_id, household_id, headcount, quantity, unit,
            asked_on, queue_no, planned_on, needed_by, needed_until, priority, place_area, site_id,
            state, attempt_no, blocked_resource, blocked_code, wait, at_site_id, told_at, told_how,
            message, served_on, given, reason, attention, sensitive, version, changed_at,
            confirmed_start, (attended ->> 'on')::date AS attended_on,
            CASE WHEN ask -> 'money' ->> 'by' = 'payout' AND payee_ref IS NOT NULL
                AND NOT ask ?| ARRAY['stock', 'capacity'] THEN NOT sent ELSE true END AS to_come,
            coalesce({_ENDS_SOON}, false) AS ends_soon
        FROM need
        WHERE ($1::text[] IS NULL OR state = ANY($1))
            AND ($2::text[] IS NULL OR kind = ANY($2))
            AND ($3::text IS NULL OR starts_with(place_area, $3))
            AND ($4::uuid IS NULL OR site_id = $4 OR at_site_id = $4)
            AND ($5::uuid[] IS NULL OR person_id = ANY($5)
                OR ($19::uuid[] IS NOT NULL AND household_id = ANY($19)
                    AND for_whom = 'household' AND {_OPEN} AND NOT sensitive))
            AND ($6::uuid IS NULL OR household_id = $6)
            AND ($7::int IS NULL OR priority >= $7)
            AND ($8::int IS NULL OR priority < $8)
            AND (NOT $9 OR (state = 'ready' AND told_at IS NULL))
            AND (NOT $10 OR attention IS NOT NULL OR ({_ENDS_SOON}))
            AND (NOT $18 OR (state = 'ready' AND attended IS NOT NULL))
            AND ($11 OR NOT sensitive)
            AND ($12::int IS NULL OR (priority <= $12 AND (priority < $12
                OR (asked_on, queue_no, id) > ($13::date, $14::bigint, $15::uuid))))
            AND ($17::uuid IS NULL OR request_id = $17)
        ORDER BY priority DESC, asked_on, queue_no, id LIMIT $16
        """,  # noqa: S608 - a constant
        None if wanted.states is None else list(wanted.states),
        None if wanted.kinds is None else list(wanted.kinds),
        wanted.area,
        wanted.site_id,
        whose,
        wanted.household_id,
        wanted.points_from,
        wanted.points_below,
        wanted.to_tell,
        wanted.attention,
        wanted.sensitive_too,
        *(after or (None, None, None, None)),
        limit,
        wanted.request_id,
        wanted.to_confirm,
        homes,
    )


async def _whose(
    conn: asyncpg.Connection, person_id: UUID | None
) -> tuple[list[UUID] | None, list[UUID] | None]:
    """Somebody's records, and the households that they belong to; None where there are none."""
    if person_id is None:
        return None, None
    # Read by themselves: needs are then found by what is known, not through other tables.
    rows = await conn.fetch(
        "SELECT id, household_id FROM person WHERE id = $1 OR merged_into = $1", person_id
    )
    homes = {row["household_id"] for row in rows} - {None}
    return list({person_id, *(row["id"] for row in rows)}), list(homes) or None


async def timeline(conn: asyncpg.Connection, need_id: UUID) -> list[asyncpg.Record]:
    """What happened to a need, in order."""
    return await conn.fetch(
        "SELECT version, at, note, state, attempt_no, detail, staff_id, overrode, override_reason"
        " FROM need_event"
        " WHERE need_id = $1 ORDER BY version LIMIT 1000",
        need_id,
    )


async def counts(
    conn: asyncpg.Connection, states: Sequence[str], *, sensitive_too: bool
) -> dict[str, int]:
    """How many needs are in each of some states."""
    rows = await conn.fetch(
        """
        SELECT state, count(*) AS n FROM need
        WHERE state = ANY($1::text[]) AND ($2 OR NOT sensitive) GROUP BY state
        """,
        list(states),
        sensitive_too,
    )
    return {row["state"]: row["n"] for row in rows}


async def states_of(
    conn: asyncpg.Connection, need_ids: Sequence[UUID]
) -> dict[UUID, asyncpg.Record]:
    """Where some needs stand."""
    rows = await conn.fetch(
        "SELECT id, state, attempt_no, at_site_id, sensitive, version FROM need"
        " WHERE id = ANY($1::uuid[])",
        list(need_ids),
    )
    return {row["id"]: row for row in rows}
