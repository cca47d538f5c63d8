"""Results from zero: the read models are emptied and made anew from the kept events.

The service may go on meanwhile: what it takes in waits for the end. With `--from-stream` the
region's streams are read first, so that events which reporting lost (a database restored from
an old backup) are kept again.
"""

import time
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import nats
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from aidmesh_chassis.db import Database
from aidmesh_chassis.envelope import Received, read
from aidmesh_chassis.logs import get_logger, ms_since
from aidmesh_chassis.nkey import tls_of
from aidmesh_contracts.base import Event
from aidmesh_contracts.consumers import Consumer, consumers_of
from aidmesh_contracts.payments_regions import RegionChangedV1
from aidmesh_contracts.streams import Stream
from aidmesh_reporting.config import Settings
from aidmesh_reporting.handlers.facts import KNOWN, Fact, apply
from aidmesh_reporting.store import kept

BATCH_MAX = 1000
FETCH_S_MAX = 5.0
SILENT_FETCHES_MAX = 6
EPHEMERAL_S = 60.0

log = get_logger()


async def rebuild(database: Database) -> int:
    """Make the read models anew, in one transaction.

    Returns:
        how many kept events there were.
    """
    started = time.perf_counter()
    count, seq = 0, 0
    async with database.transaction() as tx:
        await kept.alone(tx.conn)
        await kept.empty_read_models(tx.conn)
        while rows := await kept.kept_after(tx.conn, seq, BATCH_MAX):
            await apply(
                tx.conn,
                [
                    Fact(
                        KNOWN[row["type"]].model_validate_json(row["payload"]),
                        row["event_id"],
                        row["occurred_at"],
                        row["region"],
                    )
                    for row in rows
                ],
            )
            count += len(rows)
            seq = rows[-1]["seq"]
    log.info("reporting.rebuilt", events=count, duration_ms=ms_since(started))
    return count


async def keep_from_streams(database: Database, client: Client, region: str) -> int:
    """Read reporting's events from the start of the streams, and keep those that are missing.

    Args:
        client: a connection of the account that may make consumers.

    Returns:
        how many events were read.

    Raises:
        EOFError: a stream went silent before its end.
    """
    count = 0
    for consumer in consumers_of("reporting"):
        if consumer.stream is Stream.HANDOFF:
            continue  # no facts, and kept for some days only
        async for batch in _retained(client, consumer, region):
            async with database.transaction() as tx:
                await kept.keep(
                    tx.conn,
                    [each for each in batch if not isinstance(each.event, RegionChangedV1)],
                )
            count += len(batch)
    return count


async def _retained(
    client: Client, consumer: Consumer, region: str
) -> AsyncIterator[Sequence[Received[Event]]]:
    """Read what a stream holds now of a consumer's events, by a consumer that vanishes."""
    js = client.jetstream(timeout=FETCH_S_MAX)
    info = await client.jsm(timeout=FETCH_S_MAX).add_consumer(
        consumer.stream.value,
        ConsumerConfig(
            name=f"read-{uuid4().hex}",
            filter_subjects=list(consumer.filter_subjects(region)),
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.ALL,
            inactive_threshold=EPHEMERAL_S,
            mem_storage=True,
        ),
    )
    subscription = await js.pull_subscribe_bind(info.name, consumer.stream.value)
    left = info.num_pending or 0
    try:
        silent = 0
        while left > 0:
            try:
                messages = await subscription.fetch(min(BATCH_MAX, left), timeout=FETCH_S_MAX)
            except (NatsTimeoutError, TimeoutError):
                silent += 1
                if silent == SILENT_FETCHES_MAX:
                    raise EOFError(f"{consumer.stream} went silent") from None
                continue
            silent = 0
            left -= len(messages)
            yield [read(each.subject, each.headers, each.data, KNOWN) for each in messages]
    finally:
        await subscription.unsubscribe()


async def run(database: Database, settings: Settings, *, from_stream: bool) -> int:
    """Rebuild, reading the streams first if asked to; returns the number of events.

    Raises:
        ValueError: the streams are to be read, but no account that may read them is given.
    """
    await database.open()
    try:
        if from_stream:
            if settings.reader_seed_file is None:
                raise ValueError(
                    "name the seed of the reader with AIDMESH_REPORTING_READER_SEED_FILE"
                )
            client = await nats.connect(
                settings.nats_url.split(","),
                tls=tls_of(settings.nats_ca_file),
                nkeys_seed=str(settings.reader_seed_file),
                connect_timeout=5,
                allow_reconnect=False,
            )
            try:
                await keep_from_streams(database, client, settings.region)
            finally:
                await client.close()
        return await rebuild(database)
    finally:
        await database.close()
