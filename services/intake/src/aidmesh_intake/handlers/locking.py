"""One order of locks, so that nobody waits for whoever waits for them.

Persons, households, queues, then needs: all of one kind by one statement, in the order of their
ids; see decision 30. What has grown belongs to its queue, whose lock is held. What turns out late
is not waited for: needs that are woken, and persons whom somebody else has just registered.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import CONFLICT, Problem
from aidmesh_intake.domain.need import Need
from aidmesh_intake.store import households, persons, waitlist
from aidmesh_intake.store import needs as store
from aidmesh_intake.store.persons import PersonRow
from aidmesh_intake.store.waitlist import Key


async def lock_persons(
    tx: Tx, person_ids: Collection[UUID], *, also: Collection[UUID] = ()
) -> dict[UUID, PersonRow]:
    """Lock the records that stand for persons, and nothing else of them.

    Whoever merges or parts records locks what stands for them too, so that it stays as it is.

    Args:
        also: records that stand for somebody.

    Returns:
        by the id asked for, the record that stands for it; unknown ids are left out.

    Raises:
        Problem: one of them was merged into another, or parted from it, at this moment.
    """
    if not person_ids and not also:
        return {}
    roots = await persons.stands_for(tx.conn, person_ids)
    root_of = {each: roots.get(each, each) for each in (*person_ids, *also)}
    found = await persons.by_ids(tx.conn, list(root_of.values()), lock=True)
    if await persons.stands_for(tx.conn, person_ids) != roots:
        raise Problem(CONFLICT)
    return {each: found[root] for each, root in root_of.items() if root in found}


async def lock_whom(tx: Tx, need_ids: Sequence[UUID]) -> None:
    """Lock whom needs are for, then the households: of the needs, and of their persons.

    Raises:
        Problem: one of them was merged into another, or parted from it, at this moment.
    """
    person_ids, household_ids = await store.whom(tx.conn, need_ids)
    await lock_persons(tx, person_ids)
    await households.lock(tx.conn, household_ids, person_ids)


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
