"""Shipments on paper: signed by the sender, taken in where the event has not come yet."""

from collections.abc import Iterable, Sequence
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from aidmesh_chassis import peer_keys
from aidmesh_chassis.db import Tx
from aidmesh_chassis.peer_keys import SIGN
from aidmesh_contracts.inventory_shipments import ShipmentChangedV1
from aidmesh_inventory.domain import manifests
from aidmesh_inventory.domain.manifests import Manifest
from aidmesh_inventory.domain.shipments import is_sound
from aidmesh_inventory.handlers.arrivals import take_in
from aidmesh_inventory.handlers.shipping import as_event
from aidmesh_inventory.store import shipments
from aidmesh_inventory.store.shipments import Book

Fault = manifests.Fault | Literal["manifest-forged", "manifest-elsewhere"]


def sign(book: Book, key: Ed25519PrivateKey) -> Sequence[str]:
    """The texts of the codes of a dispatched shipment's manifest."""
    content = as_event(book).model_dump_json(exclude_none=True).encode()
    return manifests.write(Manifest(content, key.sign(manifests.signed_part(content))))


async def take(tx: Tx, region: str, texts: Iterable[str]) -> Book | Fault:
    """Take a shipment in by its manifest; its event only matches it when it comes.

    Raises:
        Problem: the sender's key is not known yet.
    """
    read = manifests.read(texts)
    if isinstance(read, str):
        return read
    try:
        said = ShipmentChangedV1.model_validate_json(read.content)
    except ValidationError:
        return "manifest-damaged"
    if said.to_region != region or said.from_region == region:
        return "manifest-elsewhere"
    publics = await peer_keys.publics_of(tx.conn, said.from_region, SIGN)
    if not any(_signed(read, public) for public in publics):
        return "manifest-forged"
    if said.state != "dispatched" or not is_sound(said):
        return "manifest-damaged"
    known = (await shipments.lock(tx.conn, [said.shipment_id])).get(said.shipment_id)
    if known is not None and known.from_region != said.from_region:
        return "manifest-forged"
    return await take_in(tx, known, said, by_manifest=True)


def _signed(manifest: Manifest, public: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            manifest.signature, manifests.signed_part(manifest.content)
        )
    except InvalidSignature:
        return False
    return True
