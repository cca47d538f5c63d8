"""Goods arrive while links are cut: they are taken in by their manifest, the event matches."""

from pathlib import Path
from typing import Any

from support.regions_running import RunningRegions, running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

KEEPER = ("logistician", "inventory")


async def shipment(mesh: RunningRegions, region: str, shipment_id: str) -> Any:
    return await mesh[region].staff.get(*KEEPER, f"/shipments/{shipment_id}")


async def test_goods_are_counted_before_their_event_comes(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(tmp_path, database, ("kyiv", "lviv"), ("inventory",)) as mesh:
        kyiv, lviv = mesh["kyiv"].staff, mesh["lviv"].staff
        home, away = await kyiv.site("kyiv-1"), await lviv.site("lviv-1", "UA46")
        for staff in (kyiv, lviv):
            await staff.item("parcel")
        await kyiv.receive(home, "parcel", 20, batch="b-7", expiry="2099-01-31")

        async def offered() -> Any:
            free = await lviv.get(*KEEPER, "/stock/free", params={"item": "parcel"})
            return [row for row in free["rows"] if row["region"] == "kyiv" and row["as_of"]]

        assert await eventually(offered, 20)
        assert (await offered())[0]["free"] == 20
        body = {
            "from_region": "kyiv",
            "item": "parcel",
            "quantity": 15,
            "to_site_id": str(away),
            "reason": "waiting_needs",
        }
        asked = await lviv.post(*KEEPER, "/transfers", body)

        async def asks() -> Any:
            return (await kyiv.get(*KEEPER, "/transfers", params={"direction": "out"}))["rows"]

        assert await eventually(asks, 20)
        assert [row["quantity"] for row in await asks()] == [15]
        at = f"/transfers/{asked['transfer_id']}"
        await kyiv.post(*KEEPER, f"{at}:accept", {"quantity": 12})
        lot = (await kyiv.get(*KEEPER, "/lots"))["rows"][0]["lot_id"]
        order = {
            "transfer_id": asked["transfer_id"],
            "lines": [{"lot_id": lot, "quantity": 7}, {"lot_id": lot, "quantity": 5}],
        }
        made = await kyiv.post(*KEEPER, "/shipments", order)
        known = made["shipment_id"]

        async def coming() -> Any:
            return (await lviv.get(*KEEPER, "/shipments", params={"direction": "in"}))["rows"]

        await eventually(coming, 20)
        await mesh.cut("lviv")
        await kyiv.post(*KEEPER, f"/shipments/{known}:dispatch")
        manifest = await kyiv.get(*KEEPER, f"/shipments/{known}/manifest")
        assert all(image.startswith("<svg") for image in manifest["images"])
        assert (await shipment(mesh, "lviv", known))["state"] == "preparing"
        texts = {"texts": manifest["texts"]}
        taken = await lviv.post(*KEEPER, "/shipments:take-manifest", texts)
        assert (taken["state"], taken["matched"], taken["in_transit"]) == ("dispatched", False, 12)
        counts = [
            {
                "line_id": line["line_id"],
                "good": line["quantity"] - 1,
                "damaged": 1,
                "reason": "wet",
            }
            for line in taken["lines"]
        ]
        done = await lviv.post(*KEEPER, f"/shipments/{known}:count", {"lines": counts})
        assert done["state"] == "received"
        assert (await shipment(mesh, "kyiv", known))["in_transit"] == 12
        await mesh.heal()

        async def settled() -> bool:
            ours, theirs = await shipment(mesh, "kyiv", known), await shipment(mesh, "lviv", known)
            return bool(ours["state"] == "received" and theirs["matched"])

        await eventually(settled, 60)
        lots = (await lviv.get(*KEEPER, "/lots"))["rows"]
        assert sorted(row["on_hand"] for row in lots) == [4, 6]
        assert {(row["batch"], row["expiry"]) for row in lots} == {("b-7", "2099-01-31")}
        assert (await kyiv.get(*KEEPER, "/stock/in-transit"))["rows"] == []
