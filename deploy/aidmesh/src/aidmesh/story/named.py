"""Finds what a short number is of: the first digits of an id, as the desk shows it."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Named:
    """What may be meant by the first digits of an id.

    Attributes:
        found: what each id is.
        silent: databases that did not answer, and may know another one.
    """

    found: Mapping[UUID, str]
    silent: Sequence[str]


async def ids_between(mesh: MeshFile, first: UUID, last: UUID) -> Named:
    """What has an id from `first` to `last` in the regions here."""
    found: dict[UUID, str] = {}
    silent: list[str] = []

    async def look(region: str, service: str) -> None:
        try:
            rows = await _rows(mesh.regions[region].admin_dsn(service), _OF[service], first, last)
        except AWAY:
            silent.append(f"{region} {service}")
            return
        found.update({row["id"]: row["what"].replace("donor_", "") for row in rows})

    await asyncio.gather(*(look(region, service) for region in mesh.regions for service in _OF))
    return Named(found, sorted(silent))


async def _rows(
    dsn: str, tables: Sequence[str], first: UUID, last: UUID
) -> Sequence[asyncpg.Record]:
    query = " UNION ALL ".join(
        f"(SELECT id, '{table}' AS what FROM {table} WHERE id BETWEEN $1 AND $2 LIMIT $3)"  # noqa: S608 - our tables
        for table in tables
    )
    conn = await asyncpg.connect(dsn, timeout=10, command_timeout=STATEMENT_S_MAX)
    try:
        return await conn.fetch(query, first, last, FOUND_MAX)
    finally:
        await close_database(conn)
