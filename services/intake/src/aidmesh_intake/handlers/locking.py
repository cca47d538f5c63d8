"""One order of locks, so that nobody waits for whoever waits for them.

Persons, their households, queues, then needs, each by id. What has grown belongs to its queue,
whose lock is held. Needs that are woken come last, and only those that nobody else has locked.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg

from aidmesh_chassis.db import Tx
from aidmesh_intake.domain.need import Need
from aidmesh_intake.store import needs as store
from aidmesh_intake.store import waitlist
from aidmesh_intake.store.waitlist import Key


async def lock_needs(tx: Tx, need_ids: Sequence[UUID]) -> dict[UUID, Need]:
    """Lock needs, and before them all queues in which they stand or may come to stand."""
    await waitlist.lock_keys(tx.conn, await waitlist.keys_of(tx.conn, need_ids))
    return await store.lock(tx.conn, need_ids)


async def lock_late(tx: Tx, keys: Collection[Key]) -> None:
    """Lock queues after needs, without waiting.

    Raises:
        asyncpg.LockNotAvailableError: somebody holds one of them; the transaction is to be run
            again.
    """
    if keys and not await waitlist.try_keys(tx.conn, keys):
        raise asyncpg.LockNotAvailableError("a queue is locked")
