"""The relay: outbox rows become stream messages, in atomic batches.

It starts closed and closes whenever the connection breaks. Only when the region's supervisor says
that no acknowledged event is missing from the streams (the gate) does it publish; otherwise new
events would take the sequence numbers of lost ones and peers would never see them. For the same
reason an answer counts only for the connection that it came over, be it the gate's or a stream's:
what was not answered when the connection broke is published again after the gate.
"""

import asyncio
import json
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError

from aidmesh_chassis import outbox, standings
from aidmesh_chassis.bell import Bell
from aidmesh_chassis.db import Database
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.errors import FAULTS, TRANSIENT
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.outbox import Pending
from aidmesh_chassis.waits import Wait
from aidmesh_contracts.streams import GATE_SUBJECT

if TYPE_CHECKING:
    from aidmesh_chassis.spans import Spans

log = get_logger()

BATCH_MAX = 256
FEW = 4
"""So many rows are published one by one, in order and without waiting in between: a batch costs
the server a store of its own, about as much as ten flushes (decision 0025)."""
CLAIM_MAX = 1024
SWEEP_S = 1.0
PUBLISH_S_MAX = 5.0
HEADER_BYTES_MAX = 8 * 1024
"""Room for headers: a server cuts the connection when headers and payload together are too long."""

REFUSALS: tuple[type[BaseException], ...] = (APIError, NoStreamResponseError, *FAULTS)
"""Of this row alone: it waits, the others go on."""

SPLITS: tuple[type[BaseException], ...] = (APIError, NoRespondersError, *FAULTS)
"""Of one row in a batch, a duplicate id as a rule: then each goes by itself."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The gate's answer: when each stream was created, and the connection it holds for."""

    stream_created: Mapping[str, datetime]
    connection: int


@dataclass(slots=True)
class Round:
    """What came of publishing some rows; those in neither list were not answered."""

    opened: Opened
    acked: list[tuple[Pending, int]] = field(default_factory=list)
    refused: list[Pending] = field(default_factory=list)

    def taken(self) -> set[UUID]:
        """Ids of what was acknowledged."""
        return {row.event_id for row, _ in self.acked}


class Relay:
    """Publishes one service's outbox over its broker connection.

    Args:
        database: whose outbox.
        client: the connection; it may come and go.
        spans: where publishing is traced; None where traces are off.
    """

    def __init__(self, database: Database, client: Client, spans: "Spans | None" = None) -> None:
        self._db = database
        self._client = client
        self._spans = spans
        self._js: JetStreamContext = client.jetstream(timeout=PUBLISH_S_MAX)
        self._bell = Bell()
        self._opened: Opened | None = None
        self._connection = 0
        self._under_way: Sequence[asyncio.Task[None]] = ()
        self._wait = Wait()

    def wake(self) -> None:
        """Say that there is something to publish."""
        self._bell.ring()

    def close_gate(self) -> None:
        """Publish nothing until the supervisor has been asked again: the connection broke.

        What is under way is let go: no answer comes any more, and what has come counts for nothing.
        Waiting for one would keep the round's lock, and with it the gate of all.
        """
        self._opened = None
        self._connection += 1
        for branch in self._under_way:
            branch.cancel()

    @property
    def is_open(self) -> bool:
        """Whether the gate is open."""
        return self._opened is not None

    async def run(self) -> None:
        """Publish until cancelled."""
        while goes_on():
            try:
                if self._opened is None and not await self._ask_gate():
                    await asyncio.sleep(SWEEP_S)
                    continue
                claimed = await self.publish_once()
            except TRANSIENT as error:
                self._wait.warning("relay.waits", cause=type(error).__name__)
                await asyncio.sleep(SWEEP_S)
                continue
            self._wait.over()
            if claimed >= CLAIM_MAX:
                continue
            await self._bell.wait(self._db.pace.interval_s(SWEEP_S))

    async def publish_once(self) -> int:
        """Publish what is pending, up to `CLAIM_MAX` rows; returns how many were claimed.

        The rows stay locked until their sequence is written, so two relays share the work and a
        crash in between publishes again under the same id.
        """
        opened = self._opened
        if opened is None:
            return 0
        async with self._db.begin() as conn:
            rows = await outbox.claim(conn, CLAIM_MAX)
            if not rows:
                return 0
            done = Round(opened)
            with nullcontext() if self._spans is None else self._spans.sending(rows, done.taken):
                self._under_way = [
                    asyncio.ensure_future(self._publish(batch, done)) for batch in _batches(rows)
                ]
                failures = await _together(self._under_way)
            # The log may be another one by now: what the old one said must not be written down.
            self._check(opened)
            if done.acked:
                await outbox.acknowledge(conn, done.acked, opened.stream_created)
            if done.refused:
                log.error(
                    "outbox.row_refused", rows=len(done.refused), first=done.refused[0].subject
                )
                await outbox.postpone(conn, done.refused)
        if failures:
            raise failures[0]
        return len(rows)

    def _check(self, opened: Opened) -> None:
        """Raise unless the connection is still the one over which the gate was opened."""
        if self._connection != opened.connection:
            raise ConnectionResetError("the connection broke; the gate is asked again")

    async def _publish(self, batch: Sequence[Pending], done: Round) -> None:
        fitting = []
        payload_bytes_max = self._client.max_payload - HEADER_BYTES_MAX
        for row in batch:
            if len(row.payload) > payload_bytes_max:
                self._refuse(row, done, "too_large")
            else:
                fitting.append(row)
        if len(fitting) > FEW:
            try:
                last = await self._publish_atomically(fitting, done.opened)
            except SPLITS as error:
                log.info("outbox.batch_split", rows=len(fitting), cause=_cause(error))
            else:
                first = last - len(fitting) + 1
                done.acked += [(row, first + i) for i, row in enumerate(fitting)]
                return
        failures = await _together(self._publish_one(row, done) for row in fitting)
        if failures:
            raise failures[0]

    async def _publish_atomically(self, batch: Sequence[Pending], opened: Opened) -> int:
        """Publish all or nothing (NATS ADR-50); returns the sequence of the last message.

        Only the commit asks for an answer: if anything before it was refused, so is the commit.
        """
        batch_id = uuid4().hex
        *firsts, last = batch
        for number, row in enumerate(firsts, start=1):
            self._check(opened)
            headers = row.headers | {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
            await self._client.publish(row.subject, row.payload, headers=headers)
        self._check(opened)
        headers = last.headers | {
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(len(batch)),
            "Nats-Batch-Commit": "1",
        }
        reply = await self._client.request(
            last.subject, last.payload, timeout=PUBLISH_S_MAX, headers=headers
        )
        answer = json.loads(reply.data)
        if "error" in answer:
            raise APIError.from_error(answer["error"])
        return int(answer["seq"])

    async def _publish_one(self, row: Pending, done: Round) -> None:
        self._check(done.opened)
        try:
            ack = await self._js.publish(
                row.subject, row.payload, stream=row.stream, headers=row.headers
            )
        except REFUSALS as error:
            self._refuse(row, done, _cause(error))
        else:
            done.acked.append((row, ack.seq))

    def _refuse(self, row: Pending, done: Round, cause: str) -> None:
        log.error("outbox.publish_failed", event_id=str(row.event_id), cause=cause)
        done.refused.append(row)

    async def _ask_gate(self) -> bool:
        connection = self._connection
        region = self._db.origin.region
        reply = await self._client.request(GATE_SUBJECT.format(region=region), b"", timeout=2.0)
        answer = json.loads(reply.data)
        if not answer["open"] or self._connection != connection:
            return False
        await self._keep_epoch(int(answer["epoch"]))
        created = {
            name: datetime.fromisoformat(created) for name, created in answer["streams"].items()
        }
        if self._connection != connection:
            return False
        self._opened = Opened(created, connection)
        log.info("relay.opened", epoch=self._db.origin.epoch)
        return True

    async def _keep_epoch(self, epoch: int) -> None:
        """Write down the region's epoch where it is news: the next start has to know it."""
        origin = self._db.origin
        if epoch > origin.epoch:
            async with self._db.begin() as conn:
                await standings.raise_epochs(conn, {origin.region: epoch})
            origin.epoch = epoch


async def _together(branches: Iterable[Awaitable[None]]) -> list[BaseException]:
    """Run all to their end, whatever befalls one of them; returns what was raised."""
    ended = await asyncio.gather(*branches, return_exceptions=True)
    return [error for error in ended if error is not None]


def _cause(error: BaseException) -> str:
    """A code for the log: JetStream's number if there is one."""
    code = error.err_code if isinstance(error, APIError) else None
    return type(error).__name__ if code is None else str(code)


def _batches(rows: Iterable[Pending]) -> list[list[Pending]]:
    """Cut rows into batches of one stream each, order kept within a stream."""
    by_stream = sorted(rows, key=lambda row: row.stream)  # stable: seq order stays
    batches = []
    for _, group in groupby(by_stream, key=lambda row: row.stream):
        members = list(group)
        batches += [members[i : i + BATCH_MAX] for i in range(0, len(members), BATCH_MAX)]
    return batches
