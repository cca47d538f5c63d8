"""Manifests of shipments: printed where goods leave, read where they arrive."""

from typing import Annotated
from uuid import UUID

import segno
from fastapi import Response
from pydantic import BaseModel, Field

from aidmesh_chassis.db import Database
from aidmesh_chassis.http import Body, Routes
from aidmesh_chassis.idempotency import Once
from aidmesh_chassis.keys import INVENTORY, KeyRing
from aidmesh_inventory.api.callers import KEEPER, Storekeeper
from aidmesh_inventory.api.problems import problem
from aidmesh_inventory.api.shipments import ShipmentOut, shown
from aidmesh_inventory.domain.manifests import PARTS_MAX
from aidmesh_inventory.handlers import manifests
from aidmesh_inventory.store import shipments

Text = Annotated[str, Field(min_length=1, max_length=2_000)]


class ManifestOut(BaseModel):
    """The texts of a manifest's QR codes, and each as an SVG image to print."""

    shipment_id: UUID
    texts: list[str]
    images: list[str]


class ManifestIn(Body):
    """The texts that were read from the codes of a manifest, in any order."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=PARTS_MAX)]


def router(database: Database, region: str, keys: KeyRing) -> Routes:
    """Return the routes."""
    routes = Routes(prefix="/v1", tags=["shipments"])

    @routes.get("/shipments/{shipment_id}/manifest", dependencies=[KEEPER])
    async def show(shipment_id: UUID) -> ManifestOut:
        """What goes with the goods on paper, signed by this region."""
        async with database.read() as conn:
            book = (await shipments.books(conn, [shipment_id])).get(shipment_id)
        if book is None or book.from_region != region:
            raise problem("unknown-shipment")
        if book.shipment.sent != "dispatched":
            raise problem("not-dispatched")
        texts = list(manifests.sign(book, keys.signer(INVENTORY)))
        return ManifestOut(
            shipment_id=shipment_id, texts=texts, images=[_image(text) for text in texts]
        )

    @routes.post("/shipments:take-manifest", response_model=ShipmentOut)
    async def take(body: ManifestIn, caller: Storekeeper, once: Once) -> Response:
        """Take a shipment in by its manifest, so that it can be counted before its event comes."""
        async with database.transaction() as tx:
            if known := await once.replay(tx):
                return known
            book = await manifests.take(tx, region, body.texts)
            if isinstance(book, str):
                raise problem(book)
            return await once.answer(tx, 200, shown(book).model_dump(mode="json"))

    return routes


def _image(text: str) -> str:
    """A QR code as SVG; a quarter of it may be unreadable."""
    return segno.make_qr(text, error="m").svg_inline(scale=3, svgclass=None, lineclass=None)
