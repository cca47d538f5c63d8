"""What is handed over to one other region: its rows, and the answers that settle them.

A handoff is written with the change that it follows from, published straight into the receiver's
HANDOFF stream, and settled by nothing but the receiver's answer, which is written there in the
transaction of its inbox row. Until then it is published again, without time limit: a stream keeps
it for some days only, and a stream can be lost. What comes of an epoch that counts no more is not
answered: its sender hands it over anew once it has another epoch.
"""

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from uuid import UUID

import asyncpg

from aidmesh_chassis.envelope import Received
from aidmesh_chassis.outbox import Row
from aidmesh_contracts.base import Event

if TYPE_CHECKING:
    from aidmesh_chassis.db import Tx

KEPT_DAYS: Final = 7
LEASE_S: Final = 15.0
"""How long a claimed row is left alone: longer than publishing it may take."""
UNREACHED_S_MAX: Final = 30.0
UNANSWERED_S_MIN: Final = 5.0
UNANSWERED_S_MAX: Final = 300.0
"""A row that the peer's stream took waits for the answer: twice as long each time, so bounded."""


class Taken(Protocol):
    """The answer to a handoff, as the contracts of intake and payments define it."""

    @property
    def handoff_id(self) -> UUID: ...


class Parcel(NamedTuple):
    """A handoff that is due."""

    event_id: UUID
    to_region: str
    subject: str
    headers: dict[str, str]
    payload: bytes
    awaits_answer: bool


async def insert(conn: asyncpg.Connection, rows: Sequence[tuple[str, Row, bool]]) -> None:
    """Write rows for a region each; the last says whether an answer is awaited."""
    await conn.execute(
        """
        INSERT INTO handoff (event_id, to_region, subject, headers, payload, payload_hash,
                             awaits_answer)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::bytea[],
                             $6::bytea[], $7::bool[])
        """,
        [row.event_id for _, row, _ in rows],
        [to_region for to_region, _, _ in rows],
        [row.subject for _, row, _ in rows],
        [row.headers for _, row, _ in rows],
        [row.payload for _, row, _ in rows],
        [row.payload_hash for _, row, _ in rows],
        [awaits_answer for _, _, awaits_answer in rows],
    )


async def claim(
    conn: asyncpg.Connection,
    limit: int,
    away: Collection[str] = (),
    probed: Collection[str] = (),
) -> list[Parcel]:
    """Take rows that are due, oldest first; nobody else looks at them for `LEASE_S`.

    Args:
        away: regions that took nothing the last time: thousands that wait for them must not stand
            before what others could have.
        probed: those of them for which one row is taken, to see whether they are back.
    """
    rows = await conn.fetch(
        """
        WITH due AS (
            SELECT event_id FROM handoff
            WHERE status = 'waiting' AND next_at <= now() AND to_region <> ALL($3::text[])
            ORDER BY next_at, event_id LIMIT $1 FOR UPDATE SKIP LOCKED
        ), probes AS (
            SELECT first.event_id FROM unnest($4::text[]) AS peer (region)
            CROSS JOIN LATERAL (
                SELECT event_id FROM handoff
                WHERE status = 'waiting' AND next_at <= now() AND to_region = peer.region
                ORDER BY next_at, event_id LIMIT 1 FOR UPDATE SKIP LOCKED) first
        )
        UPDATE handoff h SET next_at = now() + make_interval(secs => $2), tries = tries + 1
        FROM (SELECT event_id FROM due UNION ALL SELECT event_id FROM probes) claimed
        WHERE h.event_id = claimed.event_id
        RETURNING h.event_id, to_region, subject, headers, payload, awaits_answer, created_at
        """,
        limit,
        LEASE_S,
        sorted(away),
        sorted(probed),
    )
    return [
        Parcel(
            row["event_id"],
            row["to_region"],
            row["subject"],
            json.loads(row["headers"]),
            row["payload"],
            row["awaits_answer"],
        )
        for row in sorted(rows, key=lambda row: (row["created_at"], row["event_id"]))
    ]


async def published(conn: asyncpg.Connection, ids: Collection[UUID]) -> None:
    """The peer's stream has these: an answer is settled by that, what awaits one waits on.

    However often it was tried in vain before, the first wait for the answer is short.
    """
    await conn.execute(
        """
        UPDATE handoff SET published_at = now(),
               tries = CASE WHEN published_at IS NULL THEN 1 ELSE tries END,
               status = CASE WHEN awaits_answer THEN status ELSE 'settled' END,
               settled_at = CASE WHEN awaits_answer THEN settled_at ELSE now() END,
               next_at = now() + LEAST(
                   make_interval(secs => $2 * 2 ^ CASE WHEN published_at IS NULL THEN 0
                                                       ELSE LEAST(tries - 1, 20) END),
                   make_interval(secs => $3))
        WHERE event_id = ANY($1::uuid[]) AND status = 'waiting'
        """,
        list(ids),
        UNANSWERED_S_MIN,
        UNANSWERED_S_MAX,
    )


async def unreached(conn: asyncpg.Connection, ids: Collection[UUID]) -> None:
    """The link to the peer is down, or slow: try again, later each time."""
    await conn.execute(
        """
        UPDATE handoff
        SET next_at = now() + LEAST(make_interval(secs => 2 ^ LEAST(tries - 1, 20)),
                                    make_interval(secs => $2))
        WHERE event_id = ANY($1::uuid[]) AND status = 'waiting'
        """,
        list(ids),
        UNREACHED_S_MAX,
    )


async def hurry(conn: asyncpg.Connection, regions: Collection[str]) -> int:
    """These regions are heard again: what waits for them is due now, as if it were new.

    An answer may have been lost meanwhile, and is asked for as soon as one that is late. Returns
    how much.
    """
    result = await conn.execute(
        """
        UPDATE handoff SET next_at = LEAST(next_at, now()), tries = 0
        WHERE status = 'waiting' AND to_region = ANY($1::text[])
        """,
        list(regions),
    )
    return int(result.split()[-1])


async def again(conn: asyncpg.Connection, regions: Collection[str]) -> int:
    """These regions begin a new epoch: what they had answered may be lost there. Returns how much.

    It is handed over once more; their inboxes know what is not lost.
    """
    result = await conn.execute(
        """
        UPDATE handoff SET status = 'waiting', settled_at = NULL, next_at = now(), tries = 0
        WHERE status = 'settled' AND awaits_answer AND payload IS NOT NULL
          AND to_region = ANY($1::text[])
        """,
        list(regions),
    )
    return int(result.split()[-1])


async def renew(conn: asyncpg.Connection, epoch: int, limit: int) -> int:
    """Hand over anew, in this epoch, what waits of earlier ones; returns how much.

    Regions that held this one for lost do not count what it says of those epochs, and do not
    answer it. Under its old id it would never count, so it has another one, and the old row ends.
    Whoever had taken it in goes by what it speaks of, not by its id.

    Args:
        epoch: this region's own.
        limit: how many rows at once, the oldest first.
    """
    count: int = await conn.fetchval(
        """
        WITH earlier AS (
            SELECT event_id, gen_random_uuid() AS id, to_region, subject, headers, payload,
                   payload_hash, created_at
            FROM handoff
            WHERE status = 'waiting' AND awaits_answer AND (headers ->> 'aid-epoch')::int < $1::int
            ORDER BY created_at, event_id LIMIT $2 FOR UPDATE
        ), ended AS (
            UPDATE handoff h SET status = 'ended', payload = NULL
            FROM earlier WHERE h.event_id = earlier.event_id
        ), anew AS (
            INSERT INTO handoff (event_id, to_region, subject, headers, payload, payload_hash,
                                 awaits_answer, created_at, next_at)
            SELECT id, to_region, subject,
                   headers || jsonb_build_object('ce-id', id, 'Nats-Msg-Id', id,
                                                 'aid-epoch', ($1::int)::text),
                   payload, payload_hash, true, created_at, created_at
            FROM earlier
        )
        SELECT count(*) FROM earlier
        """,
        epoch,
        limit,
    )
    return count


async def settle(tx: "Tx", batch: Sequence[Received[Event]]) -> None:
    """Take in answers: what they speak of is handed over. A handler of every service's answers.

    Only the region that a handoff went to can settle it.
    """
    answers: list[tuple[UUID, str]] = []
    for item in batch:
        answer: Taken = item.event  # type: ignore[assignment]  # each service has its own class
        answers.append((answer.handoff_id, item.region))
    await tx.conn.execute(
        """
        UPDATE handoff h SET status = 'settled', settled_at = now()
        FROM unnest($1::uuid[], $2::text[]) AS a (event_id, region)
        WHERE h.event_id = a.event_id AND h.to_region = a.region AND h.status = 'waiting'
          AND h.awaits_answer
        """,
        [handoff_id for handoff_id, _ in answers],
        [region for _, region in answers],
    )


async def withdraw(conn: asyncpg.Connection, aggregate_ids: Collection[UUID]) -> None:
    """Blank what speaks of these aggregates; what was not answered yet is not sent again."""
    await conn.execute(
        """
        UPDATE handoff SET payload = NULL,
               status = CASE status WHEN 'waiting' THEN 'withdrawn' ELSE status END
        WHERE payload IS NOT NULL AND awaits_answer AND headers ->> 'ce-subject' = ANY($1::text[])
        """,
        [str(each) for each in aggregate_ids],
    )


async def end(conn: asyncpg.Connection, regions: Collection[str]) -> None:
    """These regions are gone: what they did not answer is over, and kept no longer."""
    await conn.execute(
        """
        UPDATE handoff SET status = 'ended', payload = NULL
        WHERE status = 'waiting' AND to_region = ANY($1::text[])
        """,
        list(regions),
    )


async def blank(conn: asyncpg.Connection, limit: int) -> int:
    """Blank payloads that were answered over 7 days ago; returns how many."""
    result = await conn.execute(
        """
        UPDATE handoff h SET payload = NULL FROM (
            SELECT event_id FROM handoff
            WHERE status = 'settled' AND payload IS NOT NULL
              AND settled_at < now() - make_interval(days => $1)
            ORDER BY settled_at LIMIT $2 FOR UPDATE SKIP LOCKED) old
        WHERE h.event_id = old.event_id
        """,
        KEPT_DAYS,
        limit,
    )
    return int(result.split()[-1])


class Waiting(NamedTuple):
    """What a region has not answered yet: how many handoffs, and the age of the oldest (s)."""

    region: str
    rows: int
    age_s: float


async def waiting(conn: asyncpg.Connection) -> list[Waiting]:
    """What waits for each region."""
    rows = await conn.fetch(
        """
        SELECT to_region, count(*) AS rows,
               EXTRACT(EPOCH FROM clock_timestamp() - min(created_at))::float8 AS age_s
        FROM handoff WHERE status = 'waiting' AND awaits_answer GROUP BY to_region ORDER BY 1
        """
    )
    return [Waiting(row["to_region"], row["rows"], row["age_s"]) for row in rows]
