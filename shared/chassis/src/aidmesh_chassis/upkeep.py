"""What a service does beside its work: sweeps, parked letters, partitions for the next months."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from structlog.contextvars import bound_contextvars

from aidmesh_chassis import handoff, idempotency, inbox, logs, outbox
from aidmesh_chassis.consuming import PARKED_MAX, Inlet
from aidmesh_chassis.db import Database, Tx
from aidmesh_chassis.ending import goes_on
from aidmesh_chassis.errors import OUTAGES, TRANSIENT
from aidmesh_chassis.migrating import is_migrated, make_partitions
from aidmesh_chassis.waits import Wait

if TYPE_CHECKING:
    from aidmesh_chassis.spans import Spans

log = logs.get_logger()

SWEEPING_MAX = 2
"""Sweeps of a service that run at once: together they would take all its connections, and open
them all as soon as it starts."""
PARKED_S = 5.0
ABREAST_S = 1.0
PARTITIONS_S = 6 * 3600.0
PARTITIONS_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """Work that time brings about, such as holds that ran out.

    Attributes:
        every_s: pause after a sweep that found less than `limit`; a few seconds more in a service
            that is not busy (`Pace`).
        run: does at most `limit` rows in one transaction, returns how many.
        when_abreast: not run while the region's own server is away, nor until what came meanwhile
            was taken in: what is to be swept may be otherwise by now.
    """

    name: str
    every_s: float
    run: Callable[[Tx], Awaitable[int]]
    limit: int = 500
    when_abreast: bool = False


async def _blank_private(tx: Tx) -> int:
    limit = BLANK_PRIVATE.limit
    published = await outbox.blank_private(tx.conn, limit)
    handed_over = await handoff.blank(tx.conn, limit)
    letters = await inbox.blank_letters_kept(tx.conn, outbox.PRIVATE_KEPT_DAYS, limit)
    return max(published, handed_over, letters)


BLANK_PRIVATE = Sweep("blank_private", 3600.0, _blank_private, limit=1000)
"""Sealed personal data stays neither in the history nor among dead letters."""

FORGET_KEYS = Sweep("idempotency_keys", 3600.0, idempotency.purge, limit=idempotency.PURGE_ROWS_MAX)
"""Answers that were given are kept for a month."""

SWEEPS = (BLANK_PRIVATE, FORGET_KEYS)
"""Of every service, beside its own."""


async def keep_sweeping(
    database: Database,
    sweep: Sweep,
    is_abreast: Callable[[], bool],
    turns: asyncio.Semaphore,
    spans: "Spans | None" = None,
) -> None:
    """Do the sweep's work whenever it is due, until cancelled. Its lines in the log name it.

    Of several copies of a service one at a time does it; the others find nothing to do. Within one
    it takes a turn of `SWEEPING_MAX`.
    """
    wait = Wait()
    while goes_on():
        done = None
        async with turns:
            # Asked only now: the server may have gone away while others had their turn.
            if not sweep.when_abreast or is_abreast():
                with bound_contextvars(sweep=sweep.name):
                    done = await _sweep_once(database, sweep, wait, spans)
        if done is None:
            await asyncio.sleep(ABREAST_S)
        elif done < sweep.limit:
            await database.pace.pause(sweep.every_s)


async def _is_ours(tx: Tx, sweep: Sweep) -> bool:
    """Whether no other copy of the service does this sweep; none will until the transaction ends.

    A lock of the transaction, not of the session: it works through a pooler, and ends with it.
    """
    ours: bool = await tx.conn.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('sweep/' || $1, 0))", sweep.name
    )
    return ours


async def _sweep_once(database: Database, sweep: Sweep, wait: Wait, spans: "Spans | None") -> int:
    started = time.perf_counter()
    try:
        with nullcontext() if spans is None else spans.sweep(sweep.name) as tell:
            async with database.transaction(looks=True) as tx:
                done = await sweep.run(tx) if await _is_ours(tx, sweep) else 0
            if tell is not None:
                tell(done)
    except TRANSIENT as error:
        wait.warning("sweep.waits", cause=type(error).__name__, duration_ms=logs.ms_since(started))
        return 0
    except Exception:
        # Rolled back as a whole; the rows stay due, and the next round tries them again.
        log.exception("sweep.failed", duration_ms=logs.ms_since(started))
        return 0
    wait.over()
    if done:
        database.pace.worked()
        log.debug("sweep.done", rows=done, duration_ms=logs.ms_since(started))
    return done


async def take_parked(database: Database, inlets: Mapping[str, Inlet]) -> None:
    """Try parked letters when their time has come, until cancelled.

    Args:
        inlets: by the name of their durable.
    """
    wait = Wait()
    while goes_on():
        await asyncio.sleep(PARKED_S)
        try:
            async with database.read() as conn:
                waiting = await inbox.durables_with_letters(conn)
            for durable, inlet in inlets.items():
                if durable not in waiting:
                    continue
                while goes_on() and await inlet.take_parked() >= PARKED_MAX:
                    continue
        except TRANSIENT as error:
            wait.warning("database.waits", cause=type(error).__name__)
        else:
            wait.over()


class NotMigrated(LookupError):
    """The tables are not there, or not all of them."""


async def prepare(directories: Sequence[Path], conn: asyncpg.Connection) -> None:
    """What must be there before anybody may write: all tables, and this month's partitions.

    Args:
        directories: the service's migrations. Between two of them there are tables that others
            need.

    Raises:
        NotMigrated: the migrations have not run, or not all.
    """
    if not await is_migrated(conn, directories):
        raise NotMigrated("migrations have to run first")
    await _make_partitions(conn)


async def _make_partitions(conn: asyncpg.Connection) -> bool:
    """Whether they could be made; if not the default partition takes the rows until they can.

    Raises:
        OSError, asyncpg.PostgresError: the database is away.
    """
    try:
        await make_partitions(conn)
    except OUTAGES:
        raise
    except asyncpg.PostgresError:
        log.exception("partitions.failed")
        return False
    return True


async def keep_partitions(database: Database) -> None:
    """Make the partitions of the next months in time, until cancelled."""
    made = False
    wait = Wait()
    while goes_on():
        await asyncio.sleep(PARTITIONS_S if made else PARTITIONS_RETRY_S)
        try:
            async with database.connection() as conn:
                made = await _make_partitions(conn)
        except OUTAGES as error:
            wait.warning("database.waits", cause=type(error).__name__)
        else:
            wait.over()
