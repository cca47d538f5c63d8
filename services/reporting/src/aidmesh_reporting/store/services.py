"""What was done for people: services, reversals, stays, facts; each applies once, in any order."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from aidmesh_contracts.intake import NeedFulfilledV1, NeedReversedV1
from aidmesh_contracts.inventory import AidBookedV1, StaySettledV1
from aidmesh_reporting.domain.months import month_of
from aidmesh_reporting.store.rows import columns


async def add_services(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, NeedFulfilledV1]]
) -> None:
    """Record services with their people and shares."""
    await conn.execute(
        """
        INSERT INTO service (need_id, service_no, event_id, kind, programme, area, site_id,
                             asked_on, served_on, month, quantity, unit, headcount,
                             attempt_no, issue_no, sensitive)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[],
            $6::text[], $7::uuid[], $8::date[], $9::date[], $10::text[], $11::bigint[],
            $12::text[], $13::int[], $14::int[], $15::int[], $16::boolean[])
            AS n (need_id, service_no)
        ORDER BY need_id, service_no ON CONFLICT DO NOTHING
        """,
        *columns(
            (
                event.need_id,
                event.service_no,
                event_id,
                event.kind,
                event.programme,
                event.area,
                event.site_id,
                event.asked_on,
                event.served_on,
                month_of(event.served_on),
                event.quantity,
                event.unit,
                event.headcount,
                event.attempt_no,
                event.issue_no,
                event.sensitive,
            )
            for event_id, event in events
        ),
    )
    await _add_people(conn, [event for _, event in events])
    await _add_shares(conn, [event for _, event in events])


async def _add_people(conn: asyncpg.Connection, events: Sequence[NeedFulfilledV1]) -> None:
    people = [
        (event.need_id, event.service_no, person_id)
        for event in events
        for person_id in event.person_ids
    ]
    if people:
        await conn.execute(
            """
            INSERT INTO service_person (need_id, service_no, person_id)
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[]) ON CONFLICT DO NOTHING
            """,
            *columns(people),
        )


async def _add_shares(conn: asyncpg.Connection, events: Sequence[NeedFulfilledV1]) -> None:
    shares = [
        (
            event.need_id,
            event.service_no,
            position,
            share.grant_id,
            share.amount_minor,
            share.currency,
        )
        for event in events
        for position, share in enumerate(event.shares)
    ]
    if shares:
        await conn.execute(
            """
            INSERT INTO share (need_id, service_no, position, grant_id, amount_minor, currency)
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::uuid[], $5::bigint[],
                                 $6::text[])
            ON CONFLICT DO NOTHING
            """,
            *columns(shares),
        )


async def add_reversals(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, datetime, NeedReversedV1]]
) -> None:
    """Record that services did not happen after all."""
    await conn.execute(
        """
        INSERT INTO reversal (need_id, service_no, event_id, reason, reversed_at)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::timestamptz[])
            AS n (need_id, service_no)
        ORDER BY need_id, service_no ON CONFLICT DO NOTHING
        """,
        *columns(
            (event.need_id, event.service_no, event_id, event.reason, occurred_at)
            for event_id, occurred_at, event in events
        ),
    )


async def add_stays(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, datetime, StaySettledV1]]
) -> None:
    """Record settled nights; of a guest who was checked in again the last stay holds.

    Of one stay the last settlement does.
    """
    newest = {
        event.reservation_id: (event_id, occurred_at, event)
        for event_id, occurred_at, event in sorted(
            events,
            key=lambda each: (each[2].issue_no or 0, each[2].settle_no or 0, each[1], each[0]),
        )
    }
    rows = await conn.fetch(
        """
        INSERT INTO stay (reservation_id, need_id, nights, event_id, occurred_at, attempt_no,
                          issue_no, has_shares, settle_no)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::timestamptz[],
                             $6::int[], $7::int[], $8::boolean[], $9::int[])
            AS n (reservation_id)
        ORDER BY reservation_id
        ON CONFLICT (reservation_id) DO UPDATE
        SET nights = excluded.nights, event_id = excluded.event_id,
            occurred_at = excluded.occurred_at, attempt_no = excluded.attempt_no,
            issue_no = excluded.issue_no, has_shares = excluded.has_shares,
            settle_no = excluded.settle_no
        WHERE (coalesce(stay.issue_no, 0), coalesce(stay.settle_no, 0), stay.occurred_at,
               stay.event_id)
            < (coalesce(excluded.issue_no, 0), coalesce(excluded.settle_no, 0),
               excluded.occurred_at, excluded.event_id)
        RETURNING reservation_id
        """,
        *columns(
            (
                event.reservation_id,
                event.need_id,
                event.nights,
                event_id,
                occurred_at,
                event.attempt_no,
                event.issue_no,
                event.shares is not None,
                event.settle_no,
            )
            for event_id, occurred_at, event in newest.values()
        ),
    )
    await _put_stay_shares(conn, [newest[row["reservation_id"]][2] for row in rows])


async def _put_stay_shares(conn: asyncpg.Connection, stays: Sequence[StaySettledV1]) -> None:
    await conn.execute(
        "DELETE FROM stay_share WHERE reservation_id = ANY($1::uuid[])",
        [stay.reservation_id for stay in stays],
    )
    shares = [
        (stay.reservation_id, position, share.grant_id, share.amount_minor, share.currency)
        for stay in stays
        for position, share in enumerate(stay.shares or ())
    ]
    if shares:
        await conn.execute(
            """
            INSERT INTO stay_share (reservation_id, position, grant_id, amount_minor, currency)
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bigint[], $5::text[])
            """,
            *columns(shares),
        )


async def add_booked(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, datetime, AidBookedV1]]
) -> None:
    """Record where aid that was entered as given counts, and who bore it; the last word holds."""
    newest = {
        event.need_id: (event_id, occurred_at, event)
        for event_id, occurred_at, event in sorted(events, key=lambda each: (each[1], each[0]))
    }
    rows = await conn.fetch(
        """
        INSERT INTO booked_fact AS old (need_id, event_id, occurred_at, area)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[])
            AS n (need_id)
        ORDER BY need_id
        ON CONFLICT (need_id) DO UPDATE
        SET event_id = excluded.event_id, occurred_at = excluded.occurred_at,
            area = excluded.area
        WHERE (old.occurred_at, old.event_id) < (excluded.occurred_at, excluded.event_id)
        RETURNING need_id
        """,
        *columns(
            (need_id, event_id, occurred_at, event.area)
            for need_id, (event_id, occurred_at, event) in newest.items()
        ),
    )
    written = [row["need_id"] for row in rows]
    await conn.execute("DELETE FROM booked_share WHERE need_id = ANY($1::uuid[])", written)
    shares = [
        (need_id, position, share.grant_id, share.amount_minor, share.currency)
        for need_id in written
        for position, share in enumerate(newest[need_id][2].shares)
    ]
    if shares:
        await conn.execute(
            """
            INSERT INTO booked_share (need_id, position, grant_id, amount_minor, currency)
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bigint[], $5::text[])
            """,
            *columns(shares),
        )


async def months_of_services(
    conn: asyncpg.Connection, services: Sequence[tuple[UUID, int]]
) -> list[str]:
    """Return the months of these services, as far as they are known yet."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT s.month FROM service s
        JOIN unnest($1::uuid[], $2::int[]) AS n (need_id, service_no) USING (need_id, service_no)
        """,
        *columns(services),
    )
    return [row["month"] for row in rows]


async def people_of_services(
    conn: asyncpg.Connection, services: Sequence[tuple[UUID, int]]
) -> list[UUID]:
    """Return who these services were for, as far as they are known yet."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT p.person_id FROM service_person p
        JOIN unnest($1::uuid[], $2::int[]) AS n (need_id, service_no) USING (need_id, service_no)
        """,
        *columns(services),
    )
    return [row["person_id"] for row in rows]


async def months_of_needs(conn: asyncpg.Connection, needs: Sequence[UUID]) -> list[str]:
    """Return the months of all services of these needs."""
    rows = await conn.fetch(
        "SELECT DISTINCT month FROM service WHERE need_id = ANY($1::uuid[])", list(needs)
    )
    return [row["month"] for row in rows]
