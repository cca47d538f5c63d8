"""Cash that was entered as given, until a second person has looked at it."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_contracts.ids import NeedId


class GivenReview(NamedTuple):
    """What somebody entered as given; `due_at` is until when a second person looks at it."""

    need_id: NeedId
    amount_minor: int
    currency: str
    given_on: date
    entered_by: UUID | None
    due_at: datetime


async def open_reviews(conn: asyncpg.Connection, reviews: Sequence[GivenReview]) -> None:
    """Have a second person look at these; once by need, whose locks the caller holds."""
    if reviews:
        await conn.execute(
            """
            INSERT INTO given_review (need_id, amount_minor, currency, given_on, entered_by,
                                      review_due_at)
            SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::date[], $5::uuid[],
                                 $6::timestamptz[])
            ON CONFLICT (need_id) DO NOTHING
            """,
            *(list(column) for column in zip(*reviews, strict=True)),
        )


async def lock(conn: asyncpg.Connection, need_id: UUID) -> tuple[UUID | None, bool] | None:
    """Lock one; returns who entered it and whether it was reviewed, None if there is no such."""
    row = await conn.fetchrow(
        "SELECT entered_by, reviewer FROM given_review WHERE need_id = $1 FOR NO KEY UPDATE",
        need_id,
    )
    return None if row is None else (row["entered_by"], row["reviewer"] is not None)


async def review(conn: asyncpg.Connection, need_id: UUID, by: UUID) -> None:
    """Note who looked at it."""
    await conn.execute(
        "UPDATE given_review SET reviewer = $2, reviewed_at = now() WHERE need_id = $1",
        need_id,
        by,
    )


async def withdraw(conn: asyncpg.Connection, need_ids: Iterable[NeedId]) -> None:
    """Forget what nobody has looked at: it was not given."""
    await conn.execute(
        "DELETE FROM given_review WHERE need_id = ANY($1::uuid[]) AND reviewer IS NULL",
        list(set(need_ids)),
    )
