"""How regions stand, and what lost ones said too late, as the desk sees them."""

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View


class Standing(View):
    """A region that is or was gone."""

    region: str
    standing: str
    since: datetime


class Declaration(View):
    """A region that one lead holds for lost, until another one decides."""

    region: str
    reason: str
    asked_at: datetime


class Reissue(View):
    """What was taken back of a lost region's allotment."""

    holder: str
    amount_minor: int
    currency: str
    booked_at: datetime


class Debt(View):
    """What this region owes since others held it for lost."""

    grantor: str
    owed_minor: int
    currency: str


class Standings(View):
    """What payments knows of it; `left_out` names the lists that have more."""

    standings: tuple[Standing, ...]
    asked: tuple[Declaration, ...]
    reissued: tuple[Reissue, ...]
    owed: tuple[Debt, ...]
    left_out: tuple[str, ...] = ()


class Conflict(View):
    """An event that had no effect, since its region was held for lost.

    Attributes:
        may_count: it takes effect by itself once it is heard that its region was let in before.
    """

    event_id: UUID
    region: str
    event_type: str
    aggregate: str
    occurred_at: datetime
    may_count: bool = False


class Conflicts(Page):
    """A page of them, the oldest first."""

    conflicts: tuple[Conflict, ...]


_STANDINGS: Final = TypeAdapter(Standings)
_CONFLICTS: Final = TypeAdapter(Conflicts)


async def standings(link: Link) -> Standings:
    """How regions stand."""
    return await link.get("/v1/standings", _STANDINGS)


async def conflicts(link: Link, after: str | None) -> Conflicts:
    """What one service has set aside and nobody has seen to."""
    return await link.get("/v1/conflicts", _CONFLICTS, {"after": after})


async def declare(link: Link, region: str, reason: str, key: UUID) -> None:
    """Say that a region is lost."""
    await link.post(f"/v1/regions/{region}:declare-lost", ACCEPTED, {"reason": reason}, key)


async def decide(link: Link, region: str, step: str, key: UUID) -> None:
    """Confirm that it is lost, or that it is not, or let it in again."""
    await link.post(f"/v1/regions/{region}:{step}", ACCEPTED, key=key)


async def close(link: Link, event_id: UUID, note: str, key: UUID) -> None:
    """Say what was found out about a conflict."""
    await link.post(f"/v1/conflicts/{event_id}:close", ACCEPTED, {"note": note}, key)
