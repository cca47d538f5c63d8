"""Goods between regions, as inventory has them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from aidmesh_console.clients.link import ACCEPTED, Link, Page, View
from aidmesh_console.clients.peers import LinkState


class Transfer(View):
    """Goods that one region asked another for.

    Attributes:
        sent, prepared: pieces that left for it, and those of shipments that have not.
        as_of: when it was last heard of; link: that to the other region.
    """

    transfer_id: UUID
    from_region: str
    to_region: str
    item: str
    quantity: int
    area: str
    reason: str
    state: str
    accepted: int | None = None
    answer_reason: str | None = None
    asked_at: datetime
    by_rule: bool = False
    sent: int = 0
    prepared: int = 0
    as_of: datetime | None = None
    link: LinkState | None = None

    @property
    def to_prepare(self) -> int:
        """Pieces that were promised and are in no shipment."""
        return max(0, (self.accepted or 0) - self.sent - self.prepared)

    @property
    def is_open(self) -> bool:
        """Whether anything is still to leave for it."""
        return self.state == "asked" or (
            self.state == "accepted" and self.sent < (self.accepted or 0)
        )


class ShipmentLine(View):
    """Pieces of a lot on their way, and what came of them once they were counted."""

    line_id: UUID
    item: str
    quantity: int
    batch: str | None = None
    expiry: date | None = None
    good: int | None = None
    damaged: int | None = None
    short: int | None = None
    surplus: int | None = None
    reason: str | None = None


class Shipment(View):
    """A shipment; `matched` says whether the event of its dispatch has come.

    `as_of` is when it was last heard of, `link` that to the other region.
    """

    shipment_id: UUID
    from_region: str
    to_region: str
    from_site_id: UUID
    to_site_id: UUID
    state: str
    dispatched_on: date | None = None
    matched: bool = True
    in_transit: int = 0
    lines: tuple[ShipmentLine, ...] = ()
    as_of: datetime | None = None
    link: LinkState | None = None


class TransferPage(Page):
    """A page of asks."""

    rows: tuple[Transfer, ...]


class ShipmentPage(Page):
    """A page of shipments that are not over."""

    rows: tuple[Shipment, ...]


class Manifest(View):
    """The QR codes of a manifest, as SVG images."""

    images: tuple[str, ...]


_TRANSFERS = TypeAdapter(TransferPage)
_SHIPMENTS = TypeAdapter(ShipmentPage)
_SHIPMENT = TypeAdapter(Shipment)
_MANIFEST = TypeAdapter(Manifest)


class Shipments:
    """What inventory is asked about goods between regions."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def transfers(self, direction: str, after: str | None = None) -> TransferPage:
        """Asks: `in` are this region's own, `out` those of others."""
        query = {"direction": direction, "after": after, "limit": 50}
        return await self.link.get("/v1/transfers", _TRANSFERS, query)

    async def shipments(self, direction: str, after: str | None = None) -> ShipmentPage:
        """Shipments out of this region or into it that are not over."""
        query = {"direction": direction, "after": after, "limit": 50}
        return await self.link.get("/v1/shipments", _SHIPMENTS, query)

    async def shipment(self, shipment_id: UUID) -> Shipment:
        """One shipment."""
        return await self.link.get(f"/v1/shipments/{shipment_id}", _SHIPMENT)

    async def manifest(self, shipment_id: UUID) -> Manifest:
        """What goes with its goods on paper."""
        return await self.link.get(f"/v1/shipments/{shipment_id}/manifest", _MANIFEST)

    async def ask(self, body: Mapping[str, Any], key: UUID) -> None:
        """Ask another region for goods."""
        await self.link.post("/v1/transfers", ACCEPTED, body, key)

    async def answer(
        self, transfer_id: UUID, step: str, body: Mapping[str, Any], key: UUID
    ) -> None:
        """`accept`, `refuse` or `withdraw` an ask."""
        await self.link.post(f"/v1/transfers/{transfer_id}:{step}", ACCEPTED, body, key)

    async def prepare(self, body: Mapping[str, Any], key: UUID) -> Shipment:
        """Begin a shipment."""
        return await self.link.post("/v1/shipments", _SHIPMENT, body, key)

    async def act(self, shipment_id: UUID, step: str, body: Mapping[str, Any], key: UUID) -> None:
        """Dispatch, cancel, count or add lines: `step` is its name."""
        await self.link.post(f"/v1/shipments/{shipment_id}:{step}", ACCEPTED, body, key)

    async def take(self, texts: Sequence[str], key: UUID) -> Shipment:
        """Take a shipment in by its manifest."""
        body = {"texts": list(texts)}
        return await self.link.post("/v1/shipments:take-manifest", _SHIPMENT, body, key)
