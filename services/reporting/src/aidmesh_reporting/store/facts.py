"""Facts in, set-based; each applies once, in any order."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.base import Event
from aidmesh_contracts.intake import (
    NeedClosedV1,
    NeedFulfilledV1,
    NeedReversedV1,
    NeedWaitlistedV1,
)
from aidmesh_contracts.inventory import StaySettledV1
from aidmesh_contracts.payments import CommitmentReversedV1, CommitmentSpentV1, GrantChangedV1
from aidmesh_contracts.reporting import MonthlyResultsV1
from aidmesh_reporting.domain.months import month_of

READ_MODELS = (
    "service",
    "reversal",
    "service_person",
    "share",
    "stay",
    "stay_share",
    "spend",
    "spend_reversal",
    "same_person",
    "waiting",
    "closed_need",
    "grant_name",
    "world_month",
    "dirty_month",
)
"""Tables that a rebuild empties and fills again."""

_ALONE = 0x7265706F7274


class Stored(NamedTuple):
    """An event as it is kept for rebuilding."""

    event_id: UUID
    type: str
    region: str
    occurred_at: datetime
    payload: bytes


async def keep(conn: asyncpg.Connection, events: Sequence[Stored]) -> None:
    """Keep events; those known already are left alone."""
    await conn.execute(
        """
        INSERT INTO fact_event (event_id, type, region, occurred_at, payload)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[])
        ON CONFLICT (event_id) DO NOTHING
        """,
        *_columns(events),
    )


async def kept_after(conn: asyncpg.Connection, seq: int, limit: int) -> list[asyncpg.Record]:
    """Return kept events after `seq`, with their `seq`."""
    return await conn.fetch(
        """
        SELECT seq, event_id, type, region, occurred_at, payload FROM fact_event
        WHERE seq > $1 ORDER BY seq LIMIT $2
        """,
        seq,
        limit,
    )


async def alone(conn: asyncpg.Connection) -> None:
    """Let one transaction at a time write facts or publish; the others wait for its end.

    A payment tells which month changed only if it sees the service it paid for. Were both
    written at once by two replicas, neither would see the other.

    Raises:
        TimeoutError: another one, such as a rebuild, takes long.
    """
    try:
        await conn.execute("SELECT pg_advisory_xact_lock($1)", _ALONE)
    except asyncpg.LockNotAvailableError as error:
        raise TimeoutError("the facts are being rebuilt") from error


async def empty_read_models(conn: asyncpg.Connection) -> None:
    """Forget everything but the kept events and what was decided or published."""
    await conn.execute(f"TRUNCATE {', '.join(READ_MODELS)}")


async def add_services(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, NeedFulfilledV1]]
) -> None:
    """Record services with their people and shares."""
    await conn.execute(
        """
        INSERT INTO service (need_id, service_no, event_id, kind, programme, area, site_id,
                             asked_on, served_on, month, quantity, unit, headcount,
                             attempt_no, issue_no)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[],
            $6::text[], $7::uuid[], $8::date[], $9::date[], $10::text[], $11::bigint[],
            $12::text[], $13::int[], $14::int[], $15::int[]) AS n (need_id, service_no)
        ORDER BY need_id, service_no ON CONFLICT DO NOTHING
        """,
        *_columns(
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
            )
            for event_id, event in events
        ),
    )
    people = [
        (event.need_id, event.service_no, person_id)
        for _, event in events
        for person_id in event.person_ids
    ]
    if people:
        await conn.execute(
            """
            INSERT INTO service_person (need_id, service_no, person_id)
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[]) ON CONFLICT DO NOTHING
            """,
            *_columns(people),
        )
    shares = [
        (
            event.need_id,
            event.service_no,
            position,
            share.grant_id,
            share.amount_minor,
            share.currency,
        )
        for _, event in events
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
            *_columns(shares),
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
        *_columns(
            (event.need_id, event.service_no, event_id, event.reason, occurred_at)
            for event_id, occurred_at, event in events
        ),
    )


async def add_stays(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, datetime, StaySettledV1]]
) -> None:
    """Record settled nights; of a guest who was checked in again the last stay holds."""
    newest = {
        event.reservation_id: (event_id, occurred_at, event)
        for event_id, occurred_at, event in sorted(
            events, key=lambda each: (each[2].issue_no or 0, each[1], each[0])
        )
    }
    rows = await conn.fetch(
        """
        INSERT INTO stay (reservation_id, need_id, nights, event_id, occurred_at, attempt_no,
                          issue_no, has_shares)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::uuid[], $5::timestamptz[],
                             $6::int[], $7::int[], $8::boolean[])
            AS n (reservation_id)
        ORDER BY reservation_id
        ON CONFLICT (reservation_id) DO UPDATE
        SET nights = excluded.nights, event_id = excluded.event_id,
            occurred_at = excluded.occurred_at, attempt_no = excluded.attempt_no,
            issue_no = excluded.issue_no, has_shares = excluded.has_shares
        WHERE (coalesce(stay.issue_no, 0), stay.occurred_at, stay.event_id)
            < (coalesce(excluded.issue_no, 0), excluded.occurred_at, excluded.event_id)
        RETURNING reservation_id
        """,
        *_columns(
            (
                event.reservation_id,
                event.need_id,
                event.nights,
                event_id,
                occurred_at,
                event.attempt_no,
                event.issue_no,
                event.shares is not None,
            )
            for event_id, occurred_at, event in newest.values()
        ),
    )
    written = [row["reservation_id"] for row in rows]
    await conn.execute("DELETE FROM stay_share WHERE reservation_id = ANY($1::uuid[])", written)
    shares = [
        (reservation_id, position, share.grant_id, share.amount_minor, share.currency)
        for reservation_id in written
        for position, share in enumerate(newest[reservation_id][2].shares or ())
    ]
    if shares:
        await conn.execute(
            """
            INSERT INTO stay_share (reservation_id, position, grant_id, amount_minor, currency)
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bigint[], $5::text[])
            """,
            *_columns(shares),
        )


async def add_spends(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, CommitmentSpentV1]]
) -> None:
    """Record money that left."""
    await conn.execute(
        """
        INSERT INTO spend (commitment_id, spend_no, event_id, need_id, grant_id, amount_minor,
                           currency, spent_on, fulfils)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[], $5::uuid[],
            $6::bigint[], $7::text[], $8::date[], $9::boolean[]) AS n (commitment_id, spend_no)
        ORDER BY commitment_id, spend_no ON CONFLICT DO NOTHING
        """,
        *_columns(
            (
                event.commitment_id,
                event.spend_no,
                event_id,
                event.need_id,
                event.grant_id,
                event.amount_minor,
                event.currency,
                event.spent_on,
                event.fulfils,
            )
            for event_id, event in events
        ),
    )


async def add_spend_reversals(
    conn: asyncpg.Connection, events: Sequence[tuple[UUID, CommitmentReversedV1]]
) -> None:
    """Record money that came back."""
    await conn.execute(
        """
        INSERT INTO spend_reversal (commitment_id, spend_no, event_id, need_id)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::uuid[])
            AS n (commitment_id, spend_no)
        ORDER BY commitment_id, spend_no ON CONFLICT DO NOTHING
        """,
        *_columns(
            (event.commitment_id, event.spend_no, event_id, event.need_id)
            for event_id, event in events
        ),
    )


async def roots_of(conn: asyncpg.Connection, persons: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return who stands for whom, in all classes that these persons belong to."""
    rows = await conn.fetch(
        """
        SELECT person_id, root_id FROM same_person
        WHERE root_id IN (SELECT root_id FROM same_person WHERE person_id = ANY($1::uuid[]))
        """,
        list(persons),
    )
    return {row["person_id"]: row["root_id"] for row in rows}


async def put_roots(conn: asyncpg.Connection, roots: dict[UUID, UUID]) -> None:
    """Store who stands for whom."""
    await conn.execute(
        """
        INSERT INTO same_person (person_id, root_id)
        SELECT * FROM unnest($1::uuid[], $2::uuid[])
        ON CONFLICT (person_id) DO UPDATE SET root_id = excluded.root_id
        """,
        list(roots),
        list(roots.values()),
    )


async def put_waiting(conn: asyncpg.Connection, events: Sequence[NeedWaitlistedV1]) -> None:
    """Record what needs wait for; the latest attempt holds."""
    newest = {event.need_id: event for event in sorted(events, key=lambda each: each.attempt_no)}
    await conn.execute(
        """
        INSERT INTO waiting (need_id, attempt_no, kind, area, asked_on, resource, code, quantity,
                             sensitive)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::date[],
                             $6::text[], $7::text[], $8::bigint[], $9::boolean[]) AS n (need_id)
        ORDER BY need_id
        ON CONFLICT (need_id) DO UPDATE
        SET attempt_no = excluded.attempt_no, resource = excluded.resource,
            code = excluded.code, quantity = excluded.quantity, sensitive = excluded.sensitive
        WHERE waiting.attempt_no < excluded.attempt_no
        """,
        *_columns(
            (
                event.need_id,
                event.attempt_no,
                event.kind,
                event.area,
                event.asked_on,
                event.blocked_by.resource,
                event.blocked_by.code,
                event.blocked_by.quantity,
                event.sensitive,
            )
            for event in newest.values()
        ),
    )


async def add_closed(conn: asyncpg.Connection, events: Sequence[NeedClosedV1]) -> None:
    """Record needs that ended without a service."""
    await conn.execute(
        """
        INSERT INTO closed_need (need_id, state, reason)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n (need_id)
        ORDER BY need_id ON CONFLICT DO NOTHING
        """,
        *_columns((event.need_id, event.state, event.reason) for event in events),
    )


async def put_grants(
    conn: asyncpg.Connection, events: Sequence[tuple[str, GrantChangedV1]]
) -> None:
    """Keep names of grants, the highest version of each."""
    newest = {
        event.grant_id: (region, event)
        for region, event in sorted(events, key=lambda each: each[1].version)
    }
    await conn.execute(
        """
        INSERT INTO grant_name (grant_id, region, code, donor, currency, status, version)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                             $6::text[], $7::int[]) AS n (grant_id)
        ORDER BY grant_id
        ON CONFLICT (grant_id) DO UPDATE
        SET code = excluded.code, donor = excluded.donor, currency = excluded.currency,
            status = excluded.status, version = excluded.version
        WHERE grant_name.version < excluded.version
        """,
        *_columns(
            (
                event.grant_id,
                region,
                event.terms.code,
                event.terms.donor,
                event.terms.currency,
                event.status,
                event.version,
            )
            for region, event in newest.values()
        ),
    )


async def put_world_months(
    conn: asyncpg.Connection, events: Sequence[tuple[str, MonthlyResultsV1]]
) -> None:
    """Keep other regions' results, the highest version of each month."""
    newest = {
        (region, event.month): event
        for region, event in sorted(events, key=lambda each: each[1].version)
    }
    await conn.execute(
        """
        INSERT INTO world_month (region, month, version, as_of, payload)
        SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::bytea[])
            AS n (region, month)
        ORDER BY region, month
        ON CONFLICT (region, month) DO UPDATE
        SET version = excluded.version, as_of = excluded.as_of, payload = excluded.payload
        WHERE world_month.version < excluded.version
        """,
        *_columns(
            (region, month, event.version, event.as_of, payload_of(event))
            for (region, month), event in newest.items()
        ),
    )


async def mark_dirty(conn: asyncpg.Connection, months: Iterable[str]) -> None:
    """Have months published anew."""
    await conn.execute(
        "INSERT INTO dirty_month (month) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING",
        sorted(set(months)),
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
        *_columns(services),
    )
    return [row["month"] for row in rows]


async def months_of_needs(conn: asyncpg.Connection, needs: Sequence[UUID]) -> list[str]:
    """Return the months of all services of these needs."""
    rows = await conn.fetch(
        "SELECT DISTINCT month FROM service WHERE need_id = ANY($1::uuid[])", list(needs)
    )
    return [row["month"] for row in rows]


async def months_of_people(conn: asyncpg.Connection, persons: Sequence[UUID]) -> list[str]:
    """Return the months in which these persons had a service."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT s.month FROM service s JOIN service_person p USING (need_id, service_no)
        WHERE p.person_id = ANY($1::uuid[])
        """,
        list(persons),
    )
    return [row["month"] for row in rows]


def payload_of(event: Event) -> bytes:
    """Return an event as it is kept."""
    return event.model_dump_json(exclude_none=True).encode()


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
