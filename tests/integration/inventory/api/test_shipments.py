"""Asks, shipments and counts over HTTP: one region, the other one's events made by hand."""

from uuid import UUID, uuid4

from aidmesh_chassis.auth import Role
from aidmesh_chassis.service import Service
from aidmesh_contracts.ids import ShipmentId, SiteId, TransferId
from aidmesh_contracts.inventory_shipments import ShipmentChangedV1, ShipmentLine, TransferAskedV1
from integration.inventory.office import Api, new_item, new_site
from integration.inventory.world import DAY, World
from support.paging import walk


def on_its_way(site_id: str, quantity: int) -> ShipmentChangedV1:
    return ShipmentChangedV1(
        shipment_id=ShipmentId(uuid4()),
        from_region="lviv",
        to_region="kyiv",
        from_site_id=SiteId(uuid4()),
        to_site_id=SiteId(UUID(site_id)),
        state="dispatched",
        lines=(
            ShipmentLine(line_id=uuid4(), item="parcel", quantity=quantity, currency="UAH"),
            ShipmentLine(line_id=uuid4(), item="parcel", quantity=1, currency="UAH"),
        ),
        dispatched_on=DAY,
        version=2,
    )


async def test_an_ask_is_answered_and_sent(api: Api, world: World, service: Service) -> None:
    site_id = await new_site(api)
    await new_item(api)
    lot_id = await world.stock(UUID(site_id), 9)
    transfer_id = uuid4()
    asked = TransferAskedV1(
        transfer_id=TransferId(transfer_id),
        from_region="kyiv",
        to_region="lviv",
        item="parcel",
        quantity=6,
        to_site_id=SiteId(uuid4()),
        area="UA46",
        reason="waiting_needs",
    )
    await world.take(asked, region="lviv")
    await world.take(asked, region="lviv")
    found = (await api.get("transfers", direction="out", state="asked"))["rows"]
    assert [row["transfer_id"] for row in found] == [str(transfer_id)]
    assert (found[0]["link"]["state"], found[0]["as_of"]) == ("dark", found[0]["asked_at"])
    lines = [{"lot_id": str(lot_id), "quantity": 5}]
    order = {"transfer_id": str(transfer_id), "lines": lines}
    assert (await api.post("shipments", order, 409))["type"].endswith(":not-accepted")
    caseworker = Api(service, Role.CASEWORKER)
    path = f"transfers/{transfer_id}:accept"
    await caseworker.post(path, {"quantity": 5}, status=403)
    accepted = await api.post(path, {"quantity": 5})
    assert (accepted["state"], accepted["accepted"]) == ("accepted", 5)
    assert (accepted["link"]["state"], accepted["as_of"]) == ("dark", accepted["answered_at"])
    shipment = await api.post("shipments", order)
    assert (shipment["state"], shipment["to_region"]) == ("preparing", "lviv")
    at = f"shipments/{shipment['shipment_id']}"
    key = uuid4().hex
    gone = await api.post(f"{at}:dispatch", key=key)
    assert (gone["state"], gone["in_transit"]) == ("dispatched", 5)
    assert [row["lot_id"] for row in gone["lines"]] == [str(lot_id)]
    assert await api.post(f"{at}:dispatch", key=key) == gone
    added = await api.post(f"{at}:add-lines", {"lines": lines}, 409)
    assert added["type"].endswith(":not-preparing")
    transit = (await api.get("stock/in-transit"))["rows"]
    assert [(row["item"], row["to_region"], row["quantity"]) for row in transit] == [
        ("parcel", "lviv", 5)
    ]
    await world.execute(
        "INSERT INTO shipment_line (shipment_id, line_id, lot_id, item, quantity, restriction,"
        " unit_value_minor, currency) SELECT shipment_id, gen_random_uuid(), lot_id, name, 7,"
        " restriction, unit_value_minor, currency FROM shipment_line, unnest($1::text[]) AS name",
        ["apron", "zip"],
    )
    under_way = await walk(lambda query: api.get("stock/in-transit", 200, **query), "rows")
    assert [(row["item"], row["quantity"]) for row in under_way] == [
        ("apron", 7), ("parcel", 5), ("zip", 7),
    ]  # fmt: skip
    await world.execute("DELETE FROM shipment_line WHERE quantity = 7")
    # Nobody has heard lviv: what it counted meanwhile is not known.
    shown = [*transit, await api.get(at), *(await api.get("shipments", direction="out"))["rows"]]
    assert [row["link"]["state"] for row in shown] == ["dark"] * 3
    assert all(row["as_of"] for row in shown[1:])
    assert (await api.get("lots"))["rows"][0]["on_hand"] == 4
    await world.books_are_right()


async def test_goods_are_counted_in_line_by_line(api: Api, world: World) -> None:
    site_id = await new_site(api)
    await new_item(api)
    said = on_its_way(site_id, 7)
    await world.take(said, region="lviv")
    at = f"shipments/{said.shipment_id}"
    first, second = (str(each.line_id) for each in said.lines)
    wrong = {"lines": [{"line_id": first, "good": 6}]}
    assert (await api.post(f"{at}:count", wrong, 422))["type"].endswith(":reason-missing")
    there = {"lines": [{"line_id": first, "good": 7}], "site_id": str(uuid4())}
    assert (await api.post(f"{at}:count", there, 422))["type"].endswith(":unknown-site")
    counted = {"lines": [{"line_id": first, "good": 6, "damaged": 0, "reason": "miscounted"}]}
    part = await api.post(f"{at}:count", counted)
    assert (part["state"], part["in_transit"]) == ("receiving", 1)
    lots = {row["lot_id"]: row["on_hand"] for row in (await api.get("lots"))["rows"]}
    became = {row["line_id"]: row["lot_id"] for row in part["lines"]}
    assert (lots[became[first]], became[second]) == (6, None)
    assert (await api.post(f"{at}:count", counted, 409))["type"].endswith(":already-counted")
    done = await api.post(f"{at}:count", {"lines": [{"line_id": second, "good": 2, "reason": "x"}]})
    assert done["state"] == "received"
    assert [row["on_hand"] for row in (await api.get("lots"))["rows"]].count(6) == 1
    open_ones = (await api.get("discrepancies"))["rows"]
    assert {(row["why"], row["quantity"]) for row in open_ones} == {("short", 1), ("surplus", 1)}
    assert {row["shipment_id"] for row in open_ones} == {str(said.shipment_id)}
    for row in open_ones:
        await api.post(f"discrepancies/{row['discrepancy_id']}:settle", {"reason": "counted"})
    assert (await api.get("shipments", direction="in"))["rows"] == []
    assert len((await api.get("shipments", direction="in", state="received"))["rows"]) == 1
    await world.books_are_right()


async def test_what_is_asked_for_goes_to_the_other_regions(api: Api, world: World) -> None:
    site_id = await new_site(api)
    body = {
        "from_region": "lviv",
        "item": "parcel",
        "quantity": 3,
        "to_site_id": site_id,
        "reason": "waiting_needs",
    }
    asked = await api.post("transfers", body)
    event = (await world.emitted(TransferAskedV1))[0]
    assert (str(event.transfer_id), event.area) == (asked["transfer_id"], "UA80")
    own = await api.post("transfers", {**body, "from_region": "kyiv"}, 422)
    assert own["type"].endswith(":own-region")
    mine = (await api.get("transfers", direction="in"))["rows"]
    assert [row["state"] for row in mine] == ["asked"]
    path = f"transfers/{asked['transfer_id']}:withdraw"
    assert (await api.post(path))["state"] == "withdrawn"
    assert (await api.post(path, None, 409))["type"].endswith(":ask-withdrawn")
    assert (await api.get("transfers", direction="in", state="withdrawn"))["rows"][0]["item"]
