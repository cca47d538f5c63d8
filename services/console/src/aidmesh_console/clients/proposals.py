"""What other regions could do for those who wait here, as inventory and intake work it out."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View
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


class _Goods(Page):
    rows: tuple[GoodsProposal, ...]


class _Places(Page):
    rows: tuple[PlacesProposal, ...]
    left_out: int = 0


class Places(View):
    """Who could be served where; `left_out` needs wait behind those that were looked at."""

    rows: tuple[PlacesProposal, ...]
    left_out: int


_GOODS: Final = TypeAdapter(_Goods)
_PLACES: Final = TypeAdapter(_Places)


async def goods(link: Link) -> Sequence[GoodsProposal]:
    """What could be asked of whom."""
    pages = link.pages("/v1/proposals", _GOODS)
    return [each async for page in pages for each in page.rows]


async def places(link: Link) -> Places:
    """Who could be served where."""
    rows: list[PlacesProposal] = []
    left_out = 0
    async for page in link.pages("/v1/proposals", _PLACES):
        rows += page.rows
        left_out = page.left_out
    return Places(rows=tuple(rows), left_out=left_out)


async def take(link: Link, body: Mapping[str, Any], key: UUID) -> None:
    """Ask for goods that are proposed."""
    await link.post("/v1/proposals:take", ACCEPTED, body, key)


async def set_aside(link: Link, body: Mapping[str, Any], key: UUID) -> None:
    """Have goods proposed again only once they are more."""
    await link.post("/v1/proposals:set-aside", ACCEPTED, body, key)
