"""Events written in the same transaction as the change they speak of."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis.envelope import Received, hash_of, new_event_id
from aidmesh_chassis.logs import CORRELATION, TRACEPARENT
from aidmesh_contracts.base import Event

PRIVATE_KEPT_DAYS: Final = 7
POSTPONED_S_MIN: Final = 5.0
POSTPONED_S_MAX: Final = 60.0


@dataclass(slots=True)
class Origin:
    """Who publishes: region, service, and the region's epoch, as far as it is known.

    The gate tells it, and each service's database keeps it.
    """

    region: str
    service: str
    epoch: int = 1


class Row(NamedTuple):
    """One event on its way into the outbox."""

    event_id: UUID
    stream: str
    subject: str
    headers: str
    payload: bytes
    payload_hash: bytes


def row_of(
    event: Event,
    origin: Origin,
    now: datetime,
    *,
    cause: Received[Event] | None,
    version: int | None,
    event_id: UUID | None = None,
    to_region: str | None = None,
) -> Row:
    """Wrap an event: CloudEvents 1.0 attributes, ids, and the payload as JSON.

    `to_region` is whom a handoff is for.

    Correlation and trace are those of its cause, else of the request at hand if there is one.
    """
    identity = event_id or new_event_id()
    text = str(identity)
    if cause is None:
        correlation, trace = CORRELATION.get() or text, TRACEPARENT.get()
    else:
        correlation, trace = str(cause.correlation_id), cause.traceparent
    # Put together as text: ids, times and codes need no escaping, and this is done for every event.
    headers = (
        f'{{{_unchanging(type(event), origin.region, origin.service)},"ce-id":"{text}",'
        f'"Nats-Msg-Id":"{text}","ce-subject":{json.dumps(str(event.aggregate_id))},'
        f'"ce-time":"{now.isoformat()}","aid-correlation":"{correlation}",'
        f'"aid-epoch":"{origin.epoch}"'
    )
    if cause is not None:
        headers += f',"aid-causation":"{cause.event_id}"'
    if version is not None:
        headers += f',"aid-version":"{version}"'
    if trace is not None:
        headers += f',"traceparent":"{trace}"'
    payload = event.model_dump_json(exclude_none=True).encode()
    return Row(
        identity,
        event.stream.value,
        event.subject(origin.region, to_region),
        headers + "}",
        payload,
        hash_of(payload),
    )


@lru_cache(maxsize=1024)
def _unchanging(event: type[Event], region: str, service: str) -> str:
    """The headers that all events of a class from one service share, as the inside of JSON."""
    shared = {
        "ce-specversion": "1.0",
        "ce-source": f"/aidmesh/{region}/{service}",
        "ce-type": event.type,
        "ce-dataschema": f"urn:aidmesh:schema:{event.type}",
        "content-type": "application/json",
    }
    return json.dumps(shared)[1:-1]


async def insert(conn: asyncpg.Connection, rows: Sequence[Row]) -> None:
    """Write rows on the caller's connection, in the order given."""
    await conn.execute(
        """
        INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash)
        SELECT * FROM unnest(
            $1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::bytea[], $6::bytea[])
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


class Pending(NamedTuple):
    """An outbox row that JetStream has not acknowledged."""

    seq: int
    created_at: datetime
    event_id: UUID
    stream: str
    subject: str
    headers: dict[str, str]
    payload: bytes


ROUND_LOCK: Final = "hashtextextended('relay round', 0)"
"""Of whoever publishes rows, shared until it has written down what came of it. Whoever compares the
streams with the outboxes takes it alone for a moment: what was answered until then is written."""


async def claim(conn: asyncpg.Connection, limit: int) -> list[Pending]:
    """Lock up to `limit` pending rows, oldest first, that no other relay holds."""
    rows = await conn.fetch(
        f"""
        WITH round AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({ROUND_LOCK}))
        SELECT seq, created_at, event_id, stream, subject, headers, payload FROM outbox
        WHERE status = 'pending' AND (retry_at IS NULL OR retry_at <= now())
          AND EXISTS (SELECT FROM round)
        ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED
        """,  # noqa: S608 - our own words
        limit,
    )
    return [
        Pending(
            row["seq"],
            row["created_at"],
            row["event_id"],
            row["stream"],
            row["subject"],
            json.loads(row["headers"]),
            row["payload"],
        )
        for row in rows
    ]


async def acknowledge(
    conn: asyncpg.Connection,
    acked: Sequence[tuple[Pending, int]],
    stream_created: Mapping[str, datetime],
) -> None:
    """Record the stream sequence that JetStream gave each row.

    Nobody waits for the disk: what a crash forgets is published again under the same id.
    """
    await conn.execute(
        """
        UPDATE outbox o SET status = 'acked', ack_seq = a.ack_seq, acked_at = now(),
               stream_created = a.stream_created, retry_at = NULL
        FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::timestamptz[])
             AS a (seq, created_at, ack_seq, stream_created),
             (SELECT set_config('synchronous_commit', 'off', true)) AS unhurried
        WHERE o.seq = a.seq AND o.created_at = a.created_at
        """,
        [row.seq for row, _ in acked],
        [row.created_at for row, _ in acked],
        [seq for _, seq in acked],
        [stream_created[row.stream] for row, _ in acked],
    )


async def postpone(conn: asyncpg.Connection, rows: Sequence[Pending]) -> None:
    """Leave rows pending, to be tried again when they have waited for twice as long as so far.

    At least `POSTPONED_S_MIN` and at most `POSTPONED_S_MAX` seconds pass until then.
    """
    await conn.execute(
        """
        UPDATE outbox o
        SET retry_at = now() + LEAST(GREATEST(now() - o.created_at, make_interval(secs => $3)),
                                     make_interval(secs => $4))
        FROM unnest($1::bigint[], $2::timestamptz[]) AS p (seq, created_at)
        WHERE o.seq = p.seq AND o.created_at = p.created_at
        """,
        [row.seq for row in rows],
        [row.created_at for row in rows],
        POSTPONED_S_MIN,
        POSTPONED_S_MAX,
    )


async def blank_private(conn: asyncpg.Connection, limit: int) -> int:
    """Blank sealed payloads that JetStream took over 7 days ago; returns how many.

    The stream itself keeps them no longer. Id, hash and sequence stay.
    """
    result = await conn.execute(
        """
        UPDATE outbox o SET payload = NULL FROM (
            SELECT seq, created_at FROM outbox
            WHERE stream = 'PRIVATE' AND status = 'acked' AND payload IS NOT NULL
              AND acked_at < now() - make_interval(days => $1)
            ORDER BY acked_at LIMIT $2 FOR UPDATE SKIP LOCKED) old
        WHERE o.seq = old.seq AND o.created_at = old.created_at
        """,
        PRIVATE_KEPT_DAYS,
        limit,
    )
    return int(result.split()[-1])


async def withdraw_sealed(conn: asyncpg.Connection, aggregate_ids: Collection[UUID]) -> None:
    """Blank every sealed payload that speaks of these aggregates; ids, hashes, sequences stay.

    What was not published yet is withdrawn. A row that the relay is publishing right now is
    waited for, and then blanked as published.
    """
    await conn.execute(
        """
        UPDATE outbox SET payload = NULL,
               status = CASE status WHEN 'pending' THEN 'withdrawn' ELSE status END
        WHERE stream = 'PRIVATE' AND (status = 'acked' OR status = 'pending')
          AND payload IS NOT NULL AND headers ->> 'ce-subject' = ANY($1::text[])
        """,
        [str(each) for each in aggregate_ids],
    )


class Backlog(NamedTuple):
    """What waits to be sent: how many rows, and the age of the oldest in seconds (0 if none)."""

    rows: int
    age_s: float


async def backlog(conn: asyncpg.Connection) -> Backlog:
    """Look at what is pending."""
    (row,) = await conn.fetch(
        """
        SELECT count(*) AS rows,
               COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(created_at)), 0)::float8 AS age_s
        FROM outbox WHERE status = 'pending'
        """
    )
    return Backlog(row["rows"], row["age_s"])
