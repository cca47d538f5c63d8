"""Requests, and what the limits look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from aidmesh_intake.domain.limits import Past, people_of


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as stored; its answers and notes are encrypted."""

    id: UUID
    for_whom: str
    person_id: UUID | None
    household_id: UUID | None
    site_id: UUID | None
    source: str
    asked_on: date
    caseworker: UUID | None
    sealed_reasons: bytes | None


async def insert(conn: asyncpg.Connection, requests: Sequence[RequestRow]) -> None:
    """Write new requests."""
    await conn.copy_records_to_table(
        "request",
        records=[
            (
                each.id,
                each.for_whom,
                each.person_id,
                each.household_id,
                each.site_id,
                each.source,
                each.asked_on,
                each.caseworker,
                each.sealed_reasons,
            )
            for each in requests
        ],
        columns=(
            "id", "for_whom", "person_id", "household_id", "site_id", "source", "asked_on",
            "caseworker", "sealed_reasons",
        ),
    )  # fmt: skip


async def history(
    conn: asyncpg.Connection,
    person_ids: Sequence[UUID],
    household_ids: Sequence[UUID],
    from_on: date,
    to_on: date,
    today: date,
) -> list[Past]:
    """What these people and households got or are waiting for around some days.

    Records that were merged are one person, who is named by the record that stands for them.
    What a person's household got is theirs too; who belongs to a household is as of now, also of
    what was asked for before they did. What was let pass once counts, whatever became of it, until
    it is over.
    """
    rows = await conn.fetch(
        """
        WITH home AS (
            SELECT unnest($2::uuid[]) AS id
            UNION SELECT m.household_id FROM person m
            WHERE (m.id = ANY($1::uuid[]) OR m.merged_into = ANY($1::uuid[]))
                AND m.household_id IS NOT NULL)
        SELECT n.id, coalesce(p.merged_into, n.person_id) AS person_id, n.kind,
            coalesce(n.household_id,
                CASE WHEN n.served_on IS NULL THEN p.household_id END) AS household_id,
            n.quantity, n.planned_on, n.for_whom = 'household' AS as_one,
            coalesce(n.served_on, n.planned_on) AS on_day, n.state <> 'fulfilled' AS open,
            day.until,
            CASE WHEN n.for_whom = 'household' THEN ARRAY(
                SELECT coalesce(m.merged_into, m.id) FROM person m
                WHERE m.household_id = n.household_id) END AS members
        FROM need n LEFT JOIN person p ON p.id = n.person_id
        CROSS JOIN LATERAL (SELECT CASE WHEN n.served_on IS NULL AND (
            n.planned_as = 'coming' OR n.planned_as = 'asked' AND n.attempt_no > 0)
            THEN greatest(n.planned_on, $5) END AS until) day  -- as Need.day_on
        WHERE (n.person_id = ANY($1::uuid[]
                    || ARRAY(SELECT m.id FROM person m WHERE m.merged_into = ANY($1::uuid[])))
                OR n.household_id = ANY(ARRAY(SELECT id FROM home))
                OR n.household_id IS NULL AND n.served_on IS NULL AND n.person_id = ANY(ARRAY(
                    SELECT m.id FROM person m WHERE m.household_id IN (SELECT id FROM home))))
            AND (n.state IN ('approved', 'held', 'ready', 'waitlisted', 'fulfilled')
                OR n.state = 'requested' AND n.attempt_no > 0)
            AND coalesce(n.served_on, n.planned_on) <= $4
            AND coalesce(n.served_on, day.until, n.planned_on) >= $3
        """,
        list(set(person_ids)),
        list(set(household_ids)),
        from_on,
        to_on,
        today,
    )
    return [
        Past(
            need_id=row["id"],
            people=people_of(
                row["person_id"], row["household_id"], row["members"] or (), as_one=row["as_one"]
            ),
            household_id=row["household_id"],
            kind=row["kind"],
            quantity=row["quantity"],
            on=row["on_day"],
            planned_on=row["planned_on"],
            open=row["open"],
            until=row["until"],
        )
        for row in rows
    ]


async def with_reasons(conn: asyncpg.Connection, request_id: UUID) -> asyncpg.Record | None:
    """A request with its encrypted answers and notes, and the keys they may be under.

    `erased`: whom they were about was erased since.
    """
    return await conn.fetchrow(
        """
        SELECT r.id, r.for_whom, r.person_id, r.household_id, r.site_id, r.source, r.asked_on,
            r.recorded_at, r.caseworker, r.sealed_reasons,
            p.wrapped_key AS person_key, h.wrapped_key AS household_key,
            CASE WHEN r.person_id IS NULL THEN h.erased_at ELSE p.erased_at END IS NOT NULL
                AS erased
        FROM request r
        LEFT JOIN person p ON p.id = r.person_id
        LEFT JOIN household h ON h.id = r.household_id
        WHERE r.id = $1
        """,
        request_id,
    )


async def scored_needs(conn: asyncpg.Connection, request_id: UUID) -> list[asyncpg.Record]:
    """The needs of a request with their points."""
    return await conn.fetch(
        "SELECT id, kind, priority, rule_version FROM need WHERE request_id = $1 ORDER BY queue_no",
        request_id,
    )


async def caseworkers(
    conn: asyncpg.Connection, request_ids: Sequence[UUID]
) -> dict[UUID, UUID | None]:
    """Who entered requests."""
    rows = await conn.fetch(
        "SELECT id, caseworker FROM request WHERE id = ANY($1::uuid[])", list(set(request_ids))
    )
    return {row["id"]: row["caseworker"] for row in rows}
