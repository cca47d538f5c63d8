"""Why a request has its points: its answers and its note, shown to whoever may know.

They are encrypted under the key of the person or of the household, so that an erasure takes them
too; who reads them leaves a trace.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

import asyncpg

from aidmesh_chassis.db import Tx
from aidmesh_chassis.privacy import PersonalText
from aidmesh_chassis.problems import NOT_FOUND, Problem
from aidmesh_intake.domain.triage import Explained, explain
from aidmesh_intake.store import access
from aidmesh_intake.store import requests as store
from aidmesh_intake.vault import Locker, OpenVault


class Shown(StrEnum):
    """Whether there is something to read."""

    SHOWN = "shown"
    NONE = "none"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Reasons:
    """A request with what was said of it.

    Attributes:
        request: its row, without what is encrypted.
        needs: rows of its needs.
    """

    request: asyncpg.Record
    needs: list[asyncpg.Record]
    shown: Shown
    answers: tuple[Explained, ...] = field(default=(), repr=False)
    note: PersonalText | None = None


async def read(tx: Tx, vault: OpenVault, request_id: UUID, staff_id: UUID) -> Reasons:
    """Decrypt a request's answers and note, and remember who looked.

    Raises:
        Problem: there is no such request.
    """
    row = await store.with_reasons(tx.conn, request_id)
    if row is None:
        raise Problem(NOT_FOUND)
    needs = await store.scored_needs(tx.conn, request_id)
    if row["erased"]:
        return Reasons(row, needs, Shown.ERASED)
    if row["sealed_reasons"] is None:
        return Reasons(row, needs, Shown.NONE)
    await access.note_reading(tx.conn, staff_id, request_id, row["person_id"], "reasons")
    said = vault.show_reasons(_locker(vault, row), request_id, row["sealed_reasons"])
    return Reasons(
        row,
        needs,
        Shown.SHOWN,
        explain(said.answers, needs[0]["rule_version"]),
        said.note,
    )


def _locker(vault: OpenVault, row: asyncpg.Record) -> Locker | None:
    """The key that a request's reasons were encrypted with; None is the master key."""
    if row["person_id"] is not None:
        return vault.locker(row["person_id"], row["person_key"])
    if row["household_key"] is not None:
        return vault.household_locker(row["household_id"], row["household_key"])
    return None
