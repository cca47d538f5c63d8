"""Reads what a region's services had acknowledged, from their outboxes, in the old order."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from aidmesh_chassis.outbox import ROUND_LOCK

CONNECT_SECONDS_MAX = 10.0
STATEMENT_SECONDS_MAX = 300.0
COUNT_SECONDS_MAX = 30.0
PREFETCH = 1_000
HIGHEST = "SELECT max(ack_seq) AS seq FROM outbox WHERE status = 'acked' AND stream = $1"
TO_PUBLISH = """
    status = 'acked' AND stream = $1 AND ack_seq < $2 AND payload IS NOT NULL
    AND ($3::float8 IS NULL OR acked_at > now() - make_interval(secs => $3))
"""


class Mark(NamedTuple):
    """The highest sequence of a stream that one outbox saw acknowledged: in which log, of what."""

    ack_seq: int
    stream_created: datetime
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Published:
    """One acknowledged row: `outbox` says whose, (`seq`, `created_at`) is its key there."""

    outbox: int
    seq: int
    created_at: datetime
    subject: str
    headers: Mapping[str, str]
    payload: bytes
    ack_seq: int


class Outboxes:
    """The outboxes of all services of one region."""

    def __init__(self, connections: Sequence[asyncpg.Connection]) -> None:
        """Use `open_outboxes`."""
        self._connections = connections

    async def _ask(self, outbox: int, query: str, *values: object) -> list[asyncpg.Record]:
        """The rows of a query; in a transaction, since a pooler may stand in between."""
        connection = self._connections[outbox]
        async with connection.transaction():
            return await connection.fetch(query, *values)

    async def _ask_all(self, query: str, *values: object) -> list[asyncpg.Record]:
        """The rows of a query in every outbox."""
        outboxes = range(len(self._connections))
        found = await asyncio.gather(*(self._ask(i, query, *values) for i in outboxes))
        return [row for rows in found for row in rows]

    async def wait_for_rounds(self) -> None:
        """Until all relays that publish have written down what they were answered, or given up.

        One that stands still is given up by its database after a minute.
        """
        await self._ask_all(f"SELECT pg_advisory_xact_lock({ROUND_LOCK})")

    async def marks(self, stream: str, age_s_max: float | None) -> list[Mark]:
        """The highest acknowledged row of every outbox that has one, not older than given.

        Rows whose payload was blanked are no marks: they could not be published again.
        """
        rows = await self._ask_all(
            """
            SELECT ack_seq, stream_created, event_id FROM outbox
            WHERE status = 'acked' AND stream = $1 AND payload IS NOT NULL
              AND ($2::float8 IS NULL OR acked_at > now() - make_interval(secs => $2))
            ORDER BY ack_seq DESC LIMIT 1
            """,
            stream,
            age_s_max,
        )
        return [Mark(row["ack_seq"], row["stream_created"], row["event_id"]) for row in rows]

    async def highest(self, stream: str) -> int:
        """The highest sequence of a stream that any outbox ever saw acknowledged; 0 for none."""
        found = await self._ask_all(HIGHEST, stream)
        return max((row["seq"] for row in found if row["seq"] is not None), default=0)

    async def count(self, stream: str, below: int, age_s_max: float | None) -> int | None:
        """How many rows `batches` will give; None when it takes too long to count them."""
        query = f"SELECT count(*) AS rows FROM outbox WHERE {TO_PUBLISH}"  # noqa: S608
        try:
            async with asyncio.timeout(COUNT_SECONDS_MAX):
                found = [
                    await self._ask(i, query, stream, below, age_s_max)
                    for i in range(len(self._connections))
                ]
        except TimeoutError:
            return None
        return sum(int(rows[0]["rows"]) for rows in found)

    async def batches(
        self, stream: str, below: int, age_s_max: float | None, size_max: int
    ) -> AsyncIterator[list[Published]]:
        """All acknowledged rows of a stream, over all outboxes by their old sequence.

        Rows whose payload was blanked, rows older than given, and those whose sequence is not below
        the given one are left out.
        """
        readers = [self._read(i, stream, below, age_s_max) for i in range(len(self._connections))]
        heads = [await anext(reader, None) for reader in readers]
        batch: list[Published] = []
        while True:
            first = min((head for head in heads if head is not None), key=_by_ack, default=None)
            if first is None:
                break
            batch.append(first)
            heads[first.outbox] = await anext(readers[first.outbox], None)
            if len(batch) == size_max:
                yield batch
                batch = []
        if batch:
            yield batch

    async def moved(self, rows: Sequence[tuple[Published, int]], stream_created: datetime) -> None:
        """Write down the sequences that republished rows have in the new log."""
        for i in range(len(self._connections)):
            mine = [(row, ack_seq) for row, ack_seq in rows if row.outbox == i]
            if mine:
                await self._ask(
                    i,
                    """
                    UPDATE outbox o SET ack_seq = m.ack_seq, stream_created = $4
                    FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[])
                         AS m (seq, created_at, ack_seq)
                    WHERE o.seq = m.seq AND o.created_at = m.created_at AND o.status = 'acked'
                    """,
                    [row.seq for row, _ in mine],
                    [row.created_at for row, _ in mine],
                    [ack_seq for _, ack_seq in mine],
                    stream_created,
                )

    async def _read(
        self, outbox: int, stream: str, below: int, age_s_max: float | None
    ) -> AsyncIterator[Published]:
        """Pages by key: no cursor stays open while the rows are being rewritten.

        A rewritten row gets a sequence that is not below, so the walk does not meet it again.
        """
        after = -1
        while True:
            rows = await self._ask(
                outbox,
                f"""
                SELECT seq, created_at, subject, headers, payload, ack_seq FROM outbox
                WHERE {TO_PUBLISH} AND ack_seq > $4
                ORDER BY ack_seq LIMIT $5
                """,  # noqa: S608
                stream,
                below,
                age_s_max,
                after,
                PREFETCH,
            )
            for row in rows:
                yield Published(
                    outbox,
                    row["seq"],
                    row["created_at"],
                    row["subject"],
                    json.loads(row["headers"]),
                    row["payload"],
                    row["ack_seq"],
                )
            if len(rows) < PREFETCH:
                return
            after = rows[-1]["ack_seq"]


@asynccontextmanager
async def open_outboxes(dsns: Sequence[str]) -> AsyncIterator[Outboxes]:
    """Connect to the databases that have an outbox.

    Broken off, nobody waits for a server that may not answer.
    """
    with ExitStack() as stack:
        connections = []
        for dsn in dsns:
            connection = await asyncpg.connect(
                dsn,
                timeout=CONNECT_SECONDS_MAX,
                command_timeout=STATEMENT_SECONDS_MAX,
                statement_cache_size=0,
            )
            stack.callback(connection.terminate)
            connections.append(connection)
        yield Outboxes(connections)
        await asyncio.gather(*(each.close(timeout=CONNECT_SECONDS_MAX) for each in connections))


def _by_ack(row: Published) -> int:
    return row.ack_seq
