"""What other regions could do for those who wait here, as inventory and intake work it out."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, View
from aidmesh_console.clients.peers import LinkState


class GoodsProposal(View):
    """Goods that could be asked of another region; `waiting` pieces for `needs` needs here."""

    item: str
    site_id: UUID | None
    area: str | None
    needs: int
    waiting: int
    from_region: str
    quantity: int
    free: int
    as_of: datetime
    link: LinkState | None = None


class Fit(View):
    """A waiting need, and where it could be served."""

    need_id: UUID
    kind: str
    asked_on: date
    area: str
    site_id: UUID


class PlacesProposal(View):
    """Places that another region has free for needs whose person agreed."""

    resource: str
    code: str
    to_region: str
    waiting: int
    fits: tuple[Fit, ...]
    as_of: datetime
    link: LinkState | None = None


class _Goods(View):
    rows: tuple[GoodsProposal, ...]


class _Places(View):
    rows: tuple[PlacesProposal, ...]


_GOODS: Final = TypeAdapter(_Goods)
_PLACES: Final = TypeAdapter(_Places)


async def goods(link: Link) -> Sequence[GoodsProposal]:
    """What could be asked of whom."""
    return (await link.get("/v1/proposals", _GOODS)).rows


async def places(link: Link) -> Sequence[PlacesProposal]:
    """Who could be served where."""
    return (await link.get("/v1/proposals", _PLACES)).rows


async def take(link: Link, body: Mapping[str, Any], key: UUID) -> None:
    """Ask for goods that are proposed."""
    await link.post("/v1/proposals:take", ACCEPTED, body, key)


async def set_aside(link: Link, body: Mapping[str, Any], key: UUID) -> None:
    """Have goods proposed again only once they are more."""
    await link.post("/v1/proposals:set-aside", ACCEPTED, body, key)
