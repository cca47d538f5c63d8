"""Erasures that are younger than the backup are done again."""

from collections.abc import Collection
from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.erasures import Erasure, Journal
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import PersonId, derive_id
from aidmesh_contracts.intake import PersonUnmergedV1
from aidmesh_intake.handlers import erasing
from aidmesh_intake.handlers.merging import look_at
from aidmesh_intake.store import merging, persons

STAFF = derive_id("staff", "restore")
LISTED = Journal(None)
"""What is erased again is on the list already."""


async def part(tx: Tx, erasures: Collection[Erasure]) -> list[UUID]:
    """Part records that are to be erased from those that are not.

    Whoever erases a person erases all their records, so these were parted since the backup. The
    contact of one that stays is not used before somebody enters it anew: sealing takes a key. What
    is offered of it to other regions is taken back, since it may name whoever is to be erased. What
    one that stood for both was asked for since may be of whoever is to be erased, and is looked at.

    Returns:
        the records that were parted and stay.
    """
    named = {each.id for each in erasures if each.kind != "household"}
    # What stood behind those whom a line of before names went with them.
    behind_too = {each.id for each in erasures if each.kind == "person"}
    exact = {each.id for each in erasures if each.kind == "record"} - behind_too
    undone = await merging.undo_between(tx.conn, exact, named, STAFF, tx.now)
    ends = {end for merge in undone for end in (merge.person_id, merge.into_id)}
    await persons.follow_merges(tx.conn, ends)
    for merge in undone:
        tx.emit(
            PersonUnmergedV1(
                person_id=PersonId(merge.person_id),
                into_person_id=PersonId(merge.into_id),
                merge_no=merge.merge_no or 1,
            )
        )
    stay = {merge.person_id for merge in undone} - named
    asked_of = [merge.id for merge in undone if merge.into_id not in named]
    await look_at(tx, sorted(stay), asked_of, STAFF)
    return sorted(ends - named)


async def erase_again(tx: Tx, erasure: Erasure, *, homes_too: bool) -> bool:
    """Erase what was erased since the backup; False when there is nothing of it.

    Args:
        homes_too: whether households that nobody belongs to any more go along, for want of a line
            of their own.

    Raises:
        Problem: a person has to look at it, as at any erasure.
    """
    if erasure.kind == "record":
        found = await persons.by_ids(tx.conn, [erasure.id], lock=True)
        alive = [each for each in found.values() if each.erased_at is None]
        if alive:
            await erasing.erase_records(tx, LISTED, alive, STAFF, homes_too=homes_too)
        return bool(alive)
    erase = erasing.erase_person if erasure.kind == "person" else erasing.erase_household
    try:
        await erase(tx, LISTED, erasure.id, STAFF)
    except Problem as problem:
        if problem.kind is not NOT_FOUND:
            raise
        return False
    return True
