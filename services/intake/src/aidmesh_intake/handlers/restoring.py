"""Erasures that are younger than the backup are done again."""

from uuid import UUID

from aidmesh_chassis.db import Tx
from aidmesh_chassis.erasures import Kind
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_contracts.ids import derive_id
from aidmesh_intake.handlers import erasing

STAFF = derive_id("staff", "restore")


async def erase_again(tx: Tx, kind: Kind, identity: UUID) -> bool:
    """Erase what the list of erasures names; False when there is nothing of it.

    Raises:
        Problem: a person has to look at it, as at any erasure.
    """
    erase = erasing.erase_person if kind == "person" else erasing.erase_household
    try:
        await erase(tx, identity, STAFF)
    except Problem as problem:
        if problem.kind is not NOT_FOUND:
            raise
        return False
    return True
