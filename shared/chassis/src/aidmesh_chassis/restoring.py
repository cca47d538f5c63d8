"""What a service's database is told when its region was restored from a backup.

A backup is older than what was done since. Of that, events that other regions had taken in come
back from them and belong to the history again; states are told anew above every version that
anybody can have heard; and what may have gone out since then (a message, a payment) is *unproven*
until a person has found out.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import asyncpg

from aidmesh_chassis import standings
from aidmesh_chassis.envelope import hash_of, new_event_id
from aidmesh_chassis.outbox import Row
from aidmesh_chassis.outbox import insert as insert_events

VERSION_GAP: Final = 1_000_000
"""More than can have been told since a backup; like the gap of a log that is made anew."""

MESSAGES_DOUBTED_DAYS: Final = 7
"""A need that was open in the backup and becomes ready later than this was not ready before."""

HANDOFF_MARGIN_S: Final = 300.0
"""Clocks of two regions differ."""

RESTORE: Final = "restore"
About = Literal["need", "payout", "order", "purchase"]


@dataclass(frozen=True, slots=True)
class Lost:
    """An event of this region that the backup does not know, as it was found elsewhere."""

    event_id: UUID
    stream: str
    subject: str
    headers: dict[str, str]
    payload: bytes

    @property
    def type(self) -> str:
        """Its type, such as `payments.grant.changed.v1`."""
        return self.headers.get("ce-type", "")

    @property
    def aggregate(self) -> str:
        """What it is about."""
        return self.headers.get("ce-subject", "")

    @property
    def version(self) -> int:
        """Of a state event the version of its aggregate; 0 of others."""
        return int(self.headers.get("aid-version", "0"))


def newest(events: Iterable[Lost]) -> list[Lost]:
    """Of each aggregate and type the event with the highest version, the last one if equal. Pure.

    In the order in which they came.
    """
    found: dict[tuple[str, str], Lost] = {}
    for event in events:
        key = (event.type, event.aggregate)
        before = found.pop(key, None)
        found[key] = event if before is None or event.version >= before.version else before
    return list(found.values())


async def begin(conn: asyncpg.Connection, region: str, epoch: int, taken_at: datetime) -> None:
    """Write down that a region was restored, and to which epoch."""
    await conn.execute("INSERT INTO restored (epoch, taken_at) VALUES ($1, $2)", epoch, taken_at)
    await standings.raise_epochs(conn, {region: epoch})


async def last_restored(conn: asyncpg.Connection) -> datetime | None:
    """When the region was last restored; None if it never was."""
    at: datetime | None = await conn.fetchval("SELECT max(restored_at) FROM restored")
    return at


async def put_back(
    conn: asyncpg.Connection, events: Sequence[tuple[Lost, int]], stream_created: datetime
) -> None:
    """Have lost events in the history again, as acknowledged under these sequences."""
    await conn.execute(
        """
        INSERT INTO outbox (event_id, stream, subject, headers, payload, payload_hash, status,
                            ack_seq, stream_created, acked_at)
        SELECT n.id, n.stream, n.subject, n.headers, n.payload, n.hash, 'acked', n.seq, $7, now()
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::bytea[], $6::bytea[],
                    $8::bigint[])
             AS n (id, stream, subject, headers, payload, hash, seq)
        """,
        [event.event_id for event, _ in events],
        [event.stream for event, _ in events],
        [event.subject for event, _ in events],
        [json.dumps(event.headers) for event, _ in events],
        [event.payload for event, _ in events],
        [hash_of(event.payload) for event, _ in events],
        stream_created,
        [seq for _, seq in events],
    )


async def leave_to_people(conn: asyncpg.Connection, region: str, events: Collection[Lost]) -> None:
    """List lost events among the conflicts: what they told is not in the books."""
    await conn.execute(
        """
        INSERT INTO conflict (event_id, durable, region, epoch, event_type, aggregate, occurred_at)
        SELECT id, $2, $3, epoch, type, aggregate, at
        FROM unnest($1::uuid[], $4::int[], $5::text[], $6::text[], $7::timestamptz[])
             AS n (id, epoch, type, aggregate, at)
        ON CONFLICT DO NOTHING
        """,
        [event.event_id for event in events],
        RESTORE,
        region,
        [int(event.headers["aid-epoch"]) for event in events],
        [event.type for event in events],
        [event.aggregate for event in events],
        [datetime.fromisoformat(event.headers["ce-time"]) for event in events],
    )


async def is_left(conn: asyncpg.Connection, event_type: str, aggregate: object) -> bool:
    """Whether a lost event of this type and aggregate was left to people."""
    return bool(
        await conn.fetchval(
            """
            SELECT EXISTS (SELECT FROM conflict
                           WHERE durable = $1 AND event_type = $2 AND aggregate = $3)
            """,
            RESTORE,
            event_type,
            str(aggregate),
        )
    )


async def raise_versions(
    conn: asyncpg.Connection, region: str, tables: Collection[str], shared: Collection[str] = ()
) -> None:
    """Raise all versions of the tables whose states others hear of.

    Args:
        region: the own one.
        shared: tables in which other regions have rows as well.
    """
    for table in tables:
        await conn.execute(
            f"UPDATE {table} SET version = version + $1",  # noqa: S608 - named in the code
            VERSION_GAP,
        )
    for table in shared:
        await conn.execute(
            f"UPDATE {table} SET version = version + $1 WHERE region = $2",  # noqa: S608 - as above
            VERSION_GAP,
            region,
        )


async def tell_keys_again(conn: asyncpg.Connection) -> None:
    """Have the public keys told anew: whoever hears them hears of the epoch, too."""
    await conn.execute("UPDATE own_key SET public = ''")


async def tell_again(
    conn: asyncpg.Connection, epoch: int, types: Collection[str], lost: Collection[Lost]
) -> set[UUID]:
    """Tell the states of aggregates that others know from later; the versions are raised before.

    Args:
        types: of state events that no sweep tells anew.

    Returns:
        the lost events whose aggregate the backup knows.
    """
    states = [event for event in lost if event.type in types]
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (o.headers ->> 'ce-type', o.headers ->> 'ce-subject')
               o.stream, o.subject, o.headers, o.payload
        FROM outbox o
        WHERE o.stream = 'EVENTS' AND o.payload IS NOT NULL
          AND o.headers ->> 'ce-type' = ANY($1::text[])
          AND o.headers ->> 'ce-subject' = ANY($2::text[])
          AND o.event_id <> ALL($3::uuid[])
        ORDER BY o.headers ->> 'ce-type', o.headers ->> 'ce-subject',
                 (o.headers ->> 'aid-version')::int DESC NULLS LAST, o.seq DESC
        """,
        sorted(types),
        sorted({event.aggregate for event in states}),
        [event.event_id for event in lost],
    )
    told: set[tuple[str, str]] = set()
    again: list[Row] = []
    for row in rows:
        headers, event = json.loads(row["headers"]), json.loads(row["payload"])
        told.add((headers["ce-type"], headers["ce-subject"]))
        if "version" not in event:
            continue
        event["version"] += VERSION_GAP
        identity = new_event_id()
        headers |= {
            "ce-id": str(identity),
            "Nats-Msg-Id": str(identity),
            "aid-epoch": str(epoch),
            "aid-version": str(event["version"]),
        }
        payload = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
        again.append(
            Row(
                identity,
                row["stream"],
                row["subject"],
                json.dumps(headers),
                payload,
                hash_of(payload),
            )
        )
    if again:
        await insert_events(conn, again)
    return {event.event_id for event in states if (event.type, event.aggregate) in told}


async def doubt(conn: asyncpg.Connection, about: About, ids: Collection[UUID]) -> None:
    """Take what may have become of these since the backup for unproven."""
    await conn.execute(
        """
        INSERT INTO unproven AS old (id, about) SELECT id, $2 FROM unnest($1::uuid[]) AS id
        ON CONFLICT (id) DO UPDATE
        SET since = now(), cleared_at = NULL, cleared_by = NULL, note = NULL
        """,
        list(ids),
        about,
    )


async def doubted(conn: asyncpg.Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these are unproven."""
    rows = await conn.fetch(
        "SELECT id FROM unproven WHERE id = ANY($1::uuid[]) AND cleared_at IS NULL", list(ids)
    )
    return {row["id"] for row in rows}


async def clear(conn: asyncpg.Connection, ids: Collection[UUID], note: str, by: UUID) -> int:
    """A person found out that nothing had become of these; returns how many were open."""
    result = await conn.execute(
        """
        UPDATE unproven SET cleared_at = now(), cleared_by = $3, note = $2
        WHERE id = ANY($1::uuid[]) AND cleared_at IS NULL
        """,
        list(ids),
        note,
        by,
    )
    return int(result.split()[-1])
