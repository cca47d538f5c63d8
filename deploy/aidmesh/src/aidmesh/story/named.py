"""Finds what a short number is of: the first digits of an id, as the desk shows it."""

import re
from typing import Final
from uuid import UUID

import asyncpg

from aidmesh.asking import AWAY
from aidmesh.connecting import close_database
from aidmesh.meshfile import MeshFile

DIGITS_MIN: Final = 6
FOUND_MAX: Final = 10
STATEMENT_S_MAX: Final = 10.0
_SHORT: Final = re.compile(rf"[0-9a-f]{{{DIGITS_MIN},31}}")
_OF: Final = {
    "intake": ("need", "request", "person"),
    "inventory": ("shipment",),
    "payments": ("payout", "purchase", "allotment", "donor_grant"),
}
"""What has a story, by whose it is."""


def whole(text: str) -> UUID | None:
    """The id that `text` is; None if it is not a whole one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def bounds(text: str) -> tuple[UUID, UUID] | None:
    """The lowest and the highest id that begin so; None if `text` is no beginning of an id."""
    digits = text.lower().replace("-", "")
    if not _SHORT.fullmatch(digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


async def ids_between(mesh: MeshFile, first: UUID, last: UUID) -> dict[UUID, str]:
    """What has an id from `first` to `last` in the regions here, and what each is.

    A region whose databases do not answer is left out.
    """
    found: dict[UUID, str] = {}
    for region in mesh.regions.values():
        for service, tables in _OF.items():
            query = " UNION ALL ".join(
                f"(SELECT id, '{table}' AS what FROM {table} WHERE id BETWEEN $1 AND $2 LIMIT $3)"  # noqa: S608 - our tables
                for table in tables
            )
            try:
                conn = await asyncpg.connect(
                    region.admin_dsn(service), timeout=10, command_timeout=STATEMENT_S_MAX
                )
            except AWAY:
                continue
            try:
                rows = await conn.fetch(query, first, last, FOUND_MAX)
            finally:
                await close_database(conn)
            found |= {row["id"]: row["what"].replace("donor_", "") for row in rows}
    return found
