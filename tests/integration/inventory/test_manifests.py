"""Signed manifests: goods are counted by them before their event comes, and it has to match."""

import base64
from collections.abc import Sequence
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aidmesh_chassis.problems import Problem
from aidmesh_contracts.inventory import KeyChangedV1
from aidmesh_inventory.domain.shipments import Counted
from aidmesh_inventory.handlers import manifests, shipping
from aidmesh_inventory.store.shipments import Book
from integration.inventory.sides import WINTER, Side, exchange


async def know_key(of: Side, at: Side, key: Ed25519PrivateKey, version: int = 1) -> None:
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    told = KeyChangedV1(purpose="sign", public=public, version=version)
    await at.world.take(told, region=of.region)


async def take(at: Side, texts: Sequence[str]) -> Book | str:
    async with at.world.database.transaction() as tx:
        return await manifests.take(tx, at.region, texts)


async def test_goods_are_counted_by_their_manifest_and_the_event_matches(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    key = Ed25519PrivateKey.generate()
    lot_id = await kyiv.world.stock(kyiv.site_id, 9, expiry=date(2099, 1, 31), restriction=WINTER)
    prepared = await kyiv.send(lviv, (lot_id, 4), (lot_id, 5))
    sent = await kyiv.dispatch(prepared.shipment_id)
    assert isinstance(sent, Book)
    texts = manifests.sign(sent, key)
    with pytest.raises(Problem):
        await take(lviv, texts)
    await know_key(kyiv, lviv, Ed25519PrivateKey.generate())
    assert await take(lviv, texts) == "manifest-forged"
    await lviv.world.execute("DELETE FROM peer_key")
    await know_key(kyiv, lviv, key)
    assert await take(kyiv, texts) == "manifest-elsewhere"
    taken = await take(lviv, texts)
    assert isinstance(taken, Book)
    assert (taken.by_manifest, taken.matched, taken.shipment.lines) == (
        True,
        False,
        sent.shipment.lines,
    )
    line_id = sent.shipment.lines[0].line_id
    quantity = sent.shipment.lines[0].quantity
    await lviv.count(sent.shipment_id, {line_id: Counted(quantity, 0, None)})
    # Its two events, the older one last.
    for event in reversed(await kyiv.said()):
        await lviv.hear([event], "kyiv")
        await take(lviv, texts)
    known = await lviv.book(sent.shipment_id)
    assert (known.matched, known.shipment.state) == (True, "receiving")
    assert await lviv.on_hand() == quantity
    assert await lviv.world.value("SELECT count(*) FROM discrepancy") == 0
    await exchange(kyiv, lviv)
    assert (await kyiv.book(sent.shipment_id)).shipment == known.shipment


async def test_a_manifest_printed_before_its_key_was_replaced_counts_for_a_month(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    former, newer, newest = (Ed25519PrivateKey.generate() for _ in range(3))
    lot_id = await kyiv.world.stock(kyiv.site_id, 9)
    prepared = await kyiv.send(lviv, (lot_id, 4))
    sent = await kyiv.dispatch(prepared.shipment_id)
    assert isinstance(sent, Book)
    for version, key in ((1, former), (3, newest), (2, newer)):  # the links keep no order
        await know_key(kyiv, lviv, key, version)
    assert await take(lviv, manifests.sign(sent, Ed25519PrivateKey.generate())) == "manifest-forged"
    await lviv.world.execute(
        "UPDATE peer_key_told SET told_at = told_at - interval '31 days' WHERE version < 3"
    )
    assert await take(lviv, manifests.sign(sent, former)) == "manifest-forged"
    for key in (newer, newest):
        assert isinstance(await take(lviv, manifests.sign(sent, key)), Book)


async def test_an_event_that_contradicts_its_manifest_is_for_a_person(
    pair: tuple[Side, Side],
) -> None:
    kyiv, lviv = pair
    key = Ed25519PrivateKey.generate()
    await know_key(kyiv, lviv, key)
    lot_id = await kyiv.world.stock(kyiv.site_id, 9)
    prepared = await kyiv.send(lviv, (lot_id, 4))
    sent = await kyiv.dispatch(prepared.shipment_id)
    assert isinstance(sent, Book)
    assert isinstance(await take(lviv, manifests.sign(sent, key)), Book)
    told = shipping.as_event(sent)
    more = told.lines[0].model_copy(update={"quantity": 5})
    for _ in range(2):
        await lviv.hear([told.model_copy(update={"lines": (more,)})], "kyiv")
    found = await lviv.world.rows("SELECT why, shipment_id FROM discrepancy")
    assert found == [{"why": "manifest_differs", "shipment_id": sent.shipment_id}]
    assert (await lviv.book(sent.shipment_id)).shipment.lines == sent.shipment.lines
