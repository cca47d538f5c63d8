"""People who are perhaps known in two regions, as the desk sees them."""

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, ROWS_MAX, Link, Page, Query, View


class Lookup(View):
    """A blind query to another region, and what came of it."""

    lookup_id: UUID
    to_region: str
    status: str
    asked_at: datetime


class Lookups(Page):
    """A page of what other regions were asked, and which can be."""

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


class Twins(Page):
    """A page of links."""

    links: tuple[Twin, ...]


_LOOKUPS: Final = TypeAdapter(Lookups)
_TWINS: Final = TypeAdapter(Twins)


async def lookups(link: Link, person_id: UUID, after: str | None) -> Lookups:
    """Whether other regions were asked about a person, the latest first."""
    query: Query = {"person_id": str(person_id), "after": after, "limit": ROWS_MAX}
    return await link.get("/v1/lookups", _LOOKUPS, query)


async def twins(link: Link, person_id: UUID | None, after: str | None) -> Twins:
    """Links of a person, or those of anybody, the latest first."""
    query: Query = {
        "person_id": str(person_id) if person_id else None,
        "after": after,
        "limit": ROWS_MAX,
    }
    return await link.get("/v1/links", _TWINS, query)


async def look_for(link: Link, person_id: UUID, region: str, code: str | None, key: UUID) -> None:
    """Ask a region whether it knows a person."""
    body = {"to_region": region} | ({} if code is None else {"code": code})
    await link.post(f"/v1/persons/{person_id}:look-for", ACCEPTED, body, key)


async def decide(link: Link, link_id: UUID, step: str, key: UUID) -> None:
    """Confirm or refuse that they are one person."""
    await link.post(f"/v1/links/{link_id}:{step}", ACCEPTED, key=key)
