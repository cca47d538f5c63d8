"""The relay: outbox rows become stream messages, in atomic batches.

It starts closed and closes at every reconnection. Only when the region's supervisor says that
no acknowledged event is missing from the streams (the gate) does it publish; otherwise new
events would take the sequence numbers of lost ones and peers would never see them.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from uuid import uuid4

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError

from aidmesh_chassis import outbox
from aidmesh_chassis.db import Database
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.errors import OUTAGES
from aidmesh_chassis.logs import get_logger
from aidmesh_chassis.outbox import Pending
from aidmesh_contracts.streams import GATE_SUBJECT

log = get_logger()

BATCH_MAX = 256
CLAIM_MAX = 1024
SWEEP_S = 1.0
PUBLISH_S_MAX = 5.0
RETRY_S = 5.0


class Relay:
    """Publishes one service's outbox over its broker connection.

    Args:
        database: whose outbox.
        client: the connection; it may come and go.
    """

    def __init__(self, database: Database, client: Client) -> None:
        self._db = database
        self._client = client
        self._js: JetStreamContext = client.jetstream(timeout=PUBLISH_S_MAX)
        self._wake = asyncio.Event()
        self._stream_created: dict[str, datetime] | None = None

    def wake(self) -> None:
        """Say that there is something to publish."""
        self._wake.set()

    def close_gate(self) -> None:
        """Publish nothing until the supervisor has been asked again."""
        self._stream_created = None

    @property
    def is_open(self) -> bool:
        """Whether the gate is open."""
        return self._stream_created is not None

    async def run(self) -> None:
        """Publish until cancelled."""
        while goes_on():
            try:
                if self._stream_created is None and not await self._ask_gate():
                    await asyncio.sleep(SWEEP_S)
                    continue
                if await self.publish_once() >= CLAIM_MAX:
                    continue
            except OUTAGES as error:
                log.warning("relay.waits", cause=type(error).__name__)
                await asyncio.sleep(SWEEP_S)
                continue
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            finally:
                self._wake.clear()

    async def publish_once(self) -> int:
        """Publish what is pending, up to `CLAIM_MAX` rows; returns how many were claimed.

        The rows stay locked until their sequence is written, so two relays share the work and a
        crash in between publishes again under the same id.
        """
        created = self._stream_created
        if created is None:
            return 0
        async with self._db.connection() as conn, conn.transaction():
            rows = await outbox.claim(conn, CLAIM_MAX)
            if not rows:
                return 0
            results = await asyncio.gather(*(self._publish(batch) for batch in _batches(rows)))
            acked = [pair for result in results for pair in result]
            if acked:
                await outbox.acknowledge(conn, acked, created)
            done = {row.seq for row, _ in acked}
            refused = [row for row in rows if row.seq not in done]
            if refused:
                log.error("outbox.row_refused", rows=len(refused), first=refused[0].subject)
                await outbox.postpone(conn, refused, RETRY_S)
        return len(rows)

    async def _publish(self, batch: Sequence[Pending]) -> list[tuple[Pending, int]]:
        if len(batch) > 1:
            try:
                last = await self._publish_atomically(batch)
            except APIError as error:
                # One duplicate id rejects a whole batch: then each goes by itself.
                log.info("outbox.batch_split", rows=len(batch), code=error.err_code)
            else:
                first = last - len(batch) + 1
                return [(row, first + i) for i, row in enumerate(batch)]
        sequences = await asyncio.gather(*(self._publish_one(row) for row in batch))
        return [(row, seq) for row, seq in zip(batch, sequences, strict=True) if seq is not None]

    async def _publish_atomically(self, batch: Sequence[Pending]) -> int:
        """Publish all or nothing (NATS ADR-50); returns the sequence of the last message."""
        batch_id = uuid4().hex
        answer = b""
        for number, row in enumerate(batch, start=1):
            headers = {
                **row.headers,
                "Nats-Batch-Id": batch_id,
                "Nats-Batch-Sequence": str(number),
            }
            if number == len(batch):
                headers["Nats-Batch-Commit"] = "1"
            if number in (1, len(batch)):
                reply = await self._client.request(
                    row.subject, row.payload, timeout=PUBLISH_S_MAX, headers=headers
                )
                answer = reply.data
                if answer:
                    parsed = json.loads(answer)
                    if "error" in parsed:
                        raise APIError.from_error(parsed["error"])
            else:
                await self._client.publish(row.subject, row.payload, headers=headers)
        return int(json.loads(answer)["seq"])

    async def _publish_one(self, row: Pending) -> int | None:
        try:
            ack = await self._js.publish(
                row.subject, row.payload, stream=row.stream, headers=row.headers
            )
        except APIError as error:
            log.error("outbox.publish_failed", event_id=str(row.event_id), code=error.err_code)
            return None
        return ack.seq

    async def _ask_gate(self) -> bool:
        region = self._db.origin.region
        reply = await self._client.request(GATE_SUBJECT.format(region=region), b"", timeout=2.0)
        answer = json.loads(reply.data)
        if not answer["open"]:
            return False
        self._db.origin.epoch = int(answer["epoch"])
        self._stream_created = {
            name: datetime.fromisoformat(created) for name, created in answer["streams"].items()
        }
        log.info("relay.opened", epoch=self._db.origin.epoch)
        return True


def _batches(rows: Iterable[Pending]) -> list[list[Pending]]:
    """Cut rows into batches of one stream each, order kept within a stream."""
    by_stream = sorted(rows, key=lambda row: row.stream)  # stable: seq order stays
    batches = []
    for _, group in groupby(by_stream, key=lambda row: row.stream):
        members = list(group)
        batches += [members[i : i + BATCH_MAX] for i in range(0, len(members), BATCH_MAX)]
    return batches
