"""People who are perhaps known in two regions, as the desk sees them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, View

_ROWS_MAX: Final = 200


class Lookup(View):
    """A blind query to another region, and what came of it."""

    lookup_id: UUID
    to_region: str
    status: str
    asked_at: datetime


class Lookups(View):
    """What other regions were asked, and which can be."""

    regions: tuple[str, ...]
    lookups: tuple[Lookup, ...]


class Twin(View):
    """Somebody here who is perhaps somebody in another region; what either region said."""

    link_id: UUID
    person_id: UUID
    region: str
    by: tuple[str, ...]
    state: str
    mine: str
    theirs: str
    found_at: datetime


class _Twins(View):
    links: tuple[Twin, ...]


_LOOKUPS: Final = TypeAdapter(Lookups)
_TWINS: Final = TypeAdapter(_Twins)


async def lookups(link: Link, person_id: UUID) -> Lookups:
    """Whether other regions were asked about a person."""
    return await link.get(
        "/v1/lookups", _LOOKUPS, {"person_id": str(person_id), "limit": _ROWS_MAX}
    )


async def twins(link: Link, person_id: UUID | None = None) -> Sequence[Twin]:
    """Links of a person, or those of anybody, the latest first."""
    query: dict[str, Any] = {"limit": _ROWS_MAX}
    if person_id is not None:
        query["person_id"] = str(person_id)
    return (await link.get("/v1/links", _TWINS, query)).links


async def look_for(link: Link, person_id: UUID, region: str, code: str | None, key: UUID) -> None:
    """Ask a region whether it knows a person."""
    body = {"to_region": region} | ({} if code is None else {"code": code})
    await link.post(f"/v1/persons/{person_id}:look-for", ACCEPTED, body, key)


async def decide(link: Link, link_id: UUID, step: str, key: UUID) -> None:
    """Confirm or refuse that they are one person."""
    await link.post(f"/v1/links/{link_id}:{step}", ACCEPTED, key=key)
