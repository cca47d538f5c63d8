"""Somebody waits in lviv, stock arrives in odesa: proposed, asked for, accepted by rule, served."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from support.regions_running import running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

KEEPER = ("logistician", "inventory")
PATIENCE_S = 60


async def only(rows: Callable[[], Awaitable[Any]]) -> Any:
    """The one row that there is some time."""
    found: Any = await eventually(rows, PATIENCE_S)
    (row,) = found
    return row


async def test_a_need_is_served_by_what_came_to_another_region(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(
        tmp_path, database, ("lviv", "odesa"), ("intake", "inventory")
    ) as mesh:
        lviv, odesa = mesh["lviv"].staff, mesh["odesa"].staff
        here, there = await lviv.site("lviv-1", "UA46"), await odesa.site("odesa-1", "UA51")
        for staff in (lviv, odesa):
            await staff.item("food_parcel")
        body = {
            "for_whom": "person",
            "person": {"client_code": "L-1", "area": "UA46"},
            "needs": [{"kind": "food_parcel", "place_area": "UA46"}],
        }
        made = await lviv.post("caseworker", "intake", "/requests", body)
        need_id = made["needs"][0]["need_id"]
        await lviv.becomes(need_id, "waitlisted")
        rule = {"item": "food_parcel", "keep_pieces": 10, "ask_max": 5, "week_max": 20}
        made = await odesa.post(*KEEPER, "/accept-rules", rule)
        await odesa.receive(there, "food_parcel", 40)

        async def proposed() -> Any:
            return (await lviv.get(*KEEPER, "/proposals"))["rows"]

        found = await only(proposed)
        assert (found["needs"], found["quantity"], found["free"]) == (1, 1, 40)
        assert (found["from_region"], found["area"], found["link"]["state"]) == (
            "odesa", "UA46", "up",
        )  # fmt: skip
        wanted = {"item": "food_parcel", "from_region": "odesa", "quantity": 1}
        await lviv.post(*KEEPER, "/proposals:take", {**wanted, "to_site_id": str(here)})
        assert await proposed() == []

        async def accepted() -> Any:
            rows = (await lviv.get(*KEEPER, "/transfers", params={"direction": "in"}))["rows"]
            return [row for row in rows if row["state"] == "accepted"]

        ask = await only(accepted)
        assert (ask["accepted"], ask["by_rule"]) == (1, True)
        (of_us,) = (await odesa.get(*KEEPER, "/transfers", params={"direction": "out"}))["rows"]
        assert (of_us["accept_rule_id"], of_us["answered_by"]) == (made["rule_id"], None)
        lot = (await odesa.get(*KEEPER, "/lots"))["rows"][0]["lot_id"]
        order = {
            "transfer_id": ask["transfer_id"],
            "lines": [{"lot_id": lot, "quantity": 1}],
        }
        sent = (await odesa.post(*KEEPER, "/shipments", order))["shipment_id"]
        await odesa.post(*KEEPER, f"/shipments/{sent}:dispatch")

        async def coming() -> Any:
            rows = (await lviv.get(*KEEPER, "/shipments", params={"direction": "in"}))["rows"]
            return [row for row in rows if row["state"] == "dispatched"]

        (line,) = (await only(coming))["lines"]
        counted = {"lines": [{"line_id": line["line_id"], "good": 1}]}
        await lviv.post(*KEEPER, f"/shipments/{sent}:count", counted)
        await lviv.becomes(need_id, "ready", deadline_s=PATIENCE_S)
        await lviv.post("caseworker", "intake", f"/needs/{need_id}:told")
        held = (await lviv.reservation(need_id))["reservation_id"]
        await lviv.post("logistician", "inventory", f"/reservations/{held}:issue", {})
        await lviv.becomes(need_id, "fulfilled", deadline_s=PATIENCE_S)
        # Nothing of it is proposed, asked for or on its way any more.
        assert await proposed() == []
        assert (await odesa.get(*KEEPER, "/stock/in-transit"))["rows"] == []
