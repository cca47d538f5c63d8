"""What is deleted of people and households, and what is remembered of that."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class ErasedNeed:
    """A need of whom is erased.

    Attributes:
        paid: it takes money that is paid to the person or the household themselves.
        goes_on: it is a household's that others belong to, and nothing is paid to whom the erased
            named.
        served: it was ever fulfilled, or was ready to be.
        parted: whoever asked for it left the household before they were erased.
    """

    need_id: UUID
    payee_ref: UUID | None
    is_open: bool
    paid: bool
    served: bool
    goes_on: bool
    parted: bool


async def lock_households(conn: asyncpg.Connection, household_ids: Collection[UUID]) -> set[UUID]:
    """Lock households that are not erased, so that nobody joins them or asks for them."""
    rows = await conn.fetch(
        """
        SELECT id FROM household WHERE id = ANY($1::uuid[]) AND erased_at IS NULL
        ORDER BY id FOR UPDATE
        """,
        list(household_ids),
    )
    return {row["id"] for row in rows}


async def lock_members(conn: asyncpg.Connection, household_id: UUID) -> set[UUID]:
    """Lock whoever belongs to a household, merged records too."""
    rows = await conn.fetch(
        "SELECT id FROM person WHERE household_id = $1 ORDER BY id FOR NO KEY UPDATE", household_id
    )
    return {row["id"] for row in rows}


async def members(conn: asyncpg.Connection, household_id: UUID) -> set[UUID]:
    """Whoever belongs to a household, merged records too."""
    rows = await conn.fetch("SELECT id FROM person WHERE household_id = $1", household_id)
    return {row["id"] for row in rows}


async def emptied(conn: asyncpg.Connection, household_ids: Collection[UUID]) -> list[UUID]:
    """Of these households those that nobody belongs to any more.

    A record that was merged into another still counts: it is a person who lives on in that one.
    """
    rows = await conn.fetch(
        """
        SELECT h.id FROM household h
        WHERE h.id = ANY($1::uuid[]) AND h.erased_at IS NULL
          AND NOT EXISTS (SELECT FROM person p WHERE p.household_id = h.id)
        ORDER BY h.id
        """,
        list(household_ids),
    )
    return [row["id"] for row in rows]


async def needs_of(
    conn: asyncpg.Connection, *, persons: Collection[UUID] = (), households: Collection[UUID] = ()
) -> list[ErasedNeed]:
    """Needs of these persons, and those of these households that are no one member's.

    Also those that are paid to whom these persons named before they left a household.
    """
    rows = await conn.fetch(
        """
        SELECT n.id, n.payee_ref,
            n.state IN ('requested', 'approved', 'held', 'ready', 'waitlisted') AS is_open,
            pay.paid, n.service_no > 0 OR n.state = 'ready' AS served,
            n.for_whom = 'household' AND n.person_id = ANY($1::uuid[]) AND NOT pay.paid
                AND EXISTS (SELECT FROM person p WHERE p.household_id = n.household_id
                    AND p.id <> ALL($1::uuid[])) AS goes_on,
            n.person_id IS NULL AND n.household_id <> ALL($2::uuid[]) AS parted
        FROM need n
        CROSS JOIN LATERAL (SELECT n.ask #>> '{money,by}' IS NOT DISTINCT FROM 'payout' AS paid) pay
        WHERE n.person_id = ANY($1::uuid[])
           OR (n.person_id IS NULL AND n.household_id = ANY($2::uuid[]))
           OR (n.person_id IS NULL AND n.for_whom = 'household' AND pay.paid AND n.request_id IN (
                SELECT r.id FROM request r WHERE r.person_id = ANY($1::uuid[])))
        ORDER BY n.id
        """,
        list(persons),
        list(households),
    )
    return [ErasedNeed(*row) for row in rows]


async def bury_persons(
    conn: asyncpg.Connection, person_ids: Collection[UUID], now: datetime, staff_id: UUID
) -> None:
    """Enter erasures into the list that outlives backups; delete keys and what they encrypted."""
    ids = sorted(person_ids)
    await conn.execute(
        """
        INSERT INTO erased_person (person_id, erased_at, staff_id)
        SELECT id, $2, $3 FROM unnest($1::uuid[]) AS id ON CONFLICT DO NOTHING
        """,
        ids,
        now,
        staff_id,
    )
    await conn.execute(
        """
        UPDATE person SET code_lookup = NULL, details = NULL, wrapped_key = NULL,
            languages = '{}', area = NULL, origin_area = NULL, household_id = NULL,
            consents = '{}', version = version + 1, erased_at = $2
        WHERE id = ANY($1::uuid[])
        """,
        ids,
        now,
    )
    await conn.execute(
        "UPDATE request SET sealed_reasons = NULL WHERE person_id = ANY($1::uuid[])", ids
    )
    # Until when hours count tells when they began.
    await conn.execute(
        """
        UPDATE need SET needed_until = NULL
        WHERE person_id = ANY($1::uuid[]) AND needed_until IS NOT NULL
        """,
        ids,
    )


async def bury_households(
    conn: asyncpg.Connection, household_ids: Collection[UUID], now: datetime, staff_id: UUID
) -> None:
    """The same for households; who belonged to one belongs to none."""
    ids = sorted(household_ids)
    await conn.execute(
        """
        INSERT INTO erased_household (household_id, erased_at, staff_id)
        SELECT id, $2, $3 FROM unnest($1::uuid[]) AS id ON CONFLICT DO NOTHING
        """,
        ids,
        now,
        staff_id,
    )
    await conn.execute(
        """
        WITH members AS (
            SELECT id FROM person WHERE household_id = ANY($1::uuid[])
            ORDER BY id FOR NO KEY UPDATE)
        UPDATE person p SET household_id = NULL, version = version + 1
        FROM members WHERE p.id = members.id
        """,
        ids,
    )
    await conn.execute(
        """
        UPDATE household SET code_lookup = NULL, wrapped_key = NULL, area = NULL, erased_at = $2
        WHERE id = ANY($1::uuid[])
        """,
        ids,
        now,
    )
    await conn.execute(
        """
        UPDATE request SET sealed_reasons = NULL
        WHERE household_id = ANY($1::uuid[]) AND person_id IS NULL
        """,
        ids,
    )
    await conn.execute(
        """
        UPDATE need SET needed_until = NULL
        WHERE household_id = ANY($1::uuid[]) AND person_id IS NULL AND needed_until IS NOT NULL
        """,
        ids,
    )
