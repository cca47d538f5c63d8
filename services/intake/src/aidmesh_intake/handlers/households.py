"""Moving in and out of households, and what that means for what was asked for them."""

from collections.abc import Sequence
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_intake.domain import commands
from aidmesh_intake.handlers.applying import Change, apply
from aidmesh_intake.handlers.locking import lock_needs
from aidmesh_intake.store import askers
from aidmesh_intake.store import households as store


async def leave(tx: Tx, household_id: UUID, person_ids: Sequence[UUID], staff_id: UUID) -> int:
    """Take locked persons out of a household; returns how many of them belonged to it.

    Raises:
        Problem: there is no such household.
    """
    return await _move(tx, household_id, person_ids, staff_id, out_of=household_id)


async def join(tx: Tx, household_id: UUID, person_ids: Sequence[UUID], staff_id: UUID) -> int:
    """Move locked persons into a household, wherever they belong; returns how many there are.

    Raises:
        Problem: there is no such household.
    """
    return await _move(tx, household_id, person_ids, staff_id, into=household_id)


async def part(tx: Tx, person_ids: Sequence[UUID], staff_id: UUID) -> None:
    """Have what these people asked for households that they left be no one member's."""
    needs = await lock_needs(tx, await askers.open_of(tx.conn, person_ids))
    left = await askers.left(tx.conn, needs)
    parted = [each for each in needs.values() if each.id in left and each.state in commands.OPEN]
    await apply(tx, [Change(need, commands.part(need)) for need in parted], staff_id)


async def _move(
    tx: Tx,
    household_id: UUID,
    person_ids: Sequence[UUID],
    staff_id: UUID,
    *,
    out_of: UUID | None = None,
    into: UUID | None = None,
) -> int:
    # Nobody counts limits of these households while somebody moves; see `locking`.
    await store.lock(tx.conn, [household_id], person_ids)
    if not await store.has(tx.conn, household_id):
        raise Problem(NOT_FOUND)
    await lock_needs(tx, await askers.open_of(tx.conn, person_ids))
    moved = await store.move(tx.conn, person_ids, out_of=out_of, into=into)
    await part(tx, person_ids, staff_id)
    return moved
