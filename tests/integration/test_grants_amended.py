"""A grant is extended: goods that were bought from it follow, here and across the link."""

from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from aidmesh_contracts.ids import AllotmentId, GrantId
from aidmesh_payments.handlers.office import Office
from integration.payments.offices import REGIONS, Desk
from support.regions_running import RunningRegion, running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

WAIT_S = 60.0
LATER = date(2042, 3, 31)


async def bought(region: RunningRegion, allotment_id: AllotmentId) -> None:
    """Parcels are ordered from an allotment, and come in."""
    staff = region.staff
    code = f"{staff.region}-1"
    site_id = await staff.site(code, {"kyiv": "UA80", "lviv": "UA46"}[staff.region])
    await staff.item("parcel")
    made = await staff.post(
        "finance",
        "payments",
        "/purchases",
        {
            "allotment_id": str(allotment_id),
            "supplier": "Wholesale 7",
            "cost_category": "goods",
            "programme": "relief",
            "area": "UA80",
            "planned_on": "2024-05-01",
            "lines": [
                {"item": "parcel", "description": "x", "quantity": 5, "unit_value_minor": 100}
            ],
        },
    )
    await staff.post("approver", "payments", f"/purchases/{made['purchase_id']}:order")

    async def is_expected() -> Any:
        return (await staff.get("logistician", "inventory", "/purchases/expected"))["rows"]

    await eventually(is_expected, WAIT_S)
    body = {
        "site_id": str(site_id),
        "purchase_id": made["purchase_id"],
        "lines": [{"item": "parcel", "quantity": 5}],
    }
    await staff.post("logistician", "inventory", "/receipts", body)


async def may_be_given_until(region: RunningRegion, day: date) -> bool:
    lots = (await region.staff.get("logistician", "inventory", "/lots"))["rows"]
    return [lot["restriction"]["valid_to"] for lot in lots] == [day.isoformat()]


async def test_goods_follow_a_grant_that_is_extended(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    names, services = ("kyiv", "lviv"), ("payments", "inventory")
    async with running_regions(tmp_path, database, names, services) as mesh:
        money = mesh["kyiv"].services["payments"].database
        assert money is not None
        desk = Desk(Office("kyiv", {"UAH": 1_000_000}, lambda: REGIONS), money)
        grant_id = GrantId(await desk.grant(100_000))
        for name in names:
            allotment_id = await desk.allot(grant_id, 10_000, to=name)
            await eventually(partial(_has, mesh[name], allotment_id), WAIT_S)
            await bought(mesh[name], allotment_id)
        ends = date(2040, 12, 31)
        for region in (mesh["kyiv"], mesh["lviv"]):
            assert await may_be_given_until(region, ends)

        await mesh["kyiv"].staff.post(
            "lead",
            "payments",
            f"/grants/{grant_id}:amend",
            {"period_to": LATER.isoformat(), "reason": "extended"},
        )

        for region in (mesh["kyiv"], mesh["lviv"]):
            await eventually(partial(may_be_given_until, region, LATER), WAIT_S)


async def _has(region: RunningRegion, allotment_id: AllotmentId) -> bool:
    money = region.services["payments"].database
    assert money is not None
    async with money.read() as conn:
        found = await conn.fetchval(
            "SELECT received_minor = 10000 FROM allotment WHERE id = $1", allotment_id
        )
    return bool(found)
