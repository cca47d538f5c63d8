"""What a region shows of another while the link between them is cut, and afterwards."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from support.regions_running import RunningRegions, running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

Figures = Mapping[str, Mapping[str, Any]]


async def figures_of_lviv(mesh: RunningRegions) -> Figures:
    """One figure of each kind that kyiv shows of lviv."""
    staff = mesh["kyiv"].staff
    wanted = [{"code": "kit", "stock": [{"item": "soap", "quantity": 1}]}]
    found = {
        "site": (await staff.get("logistician", "inventory", "/sites/others"))["rows"],
        "stock": (await staff.get("logistician", "inventory", "/stock"))["others"],
        "free": (await staff.get("logistician", "inventory", "/stock/free?item=soap"))["rows"],
        "supply": (
            await staff.post("caseworker", "inventory", "/supply:lookup", {"wanted": wanted})
        )["rows"][0]["elsewhere"],
    }
    return {
        name: row for name, rows in found.items() for row in rows if row.get("region") == "lviv"
    }


async def test_figures_of_a_dark_region_carry_their_age_and_the_link_until_it_is_back(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(tmp_path, database, ("kyiv", "lviv"), ("inventory",)) as mesh:
        lviv = mesh["lviv"].staff
        for region in ("kyiv", "lviv"):
            await mesh[region].staff.item("soap")
        site = await lviv.site("lviv-1", "UA46")
        await lviv.receive(site, "soap", 5)

        async def links(state: str, free: int) -> bool:
            found = await figures_of_lviv(mesh)
            return (
                set(found) == {"site", "stock", "free", "supply"}
                and {each["link"]["state"] for each in found.values()} == {state}
                and found["stock"]["free"] == found["supply"]["free"] == free
            )

        await eventually(lambda: links("up", 5), 30)
        before = await figures_of_lviv(mesh)

        await mesh.cut("lviv")
        await lviv.receive(site, "soap", 2)  # nobody in kyiv can know
        await eventually(lambda: links("dark", 5), 30)
        dark = await figures_of_lviv(mesh)
        for name, each in dark.items():
            assert each["as_of"] == before[name]["as_of"]
            assert datetime.fromisoformat(each["link"]["since"]).tzinfo is not None

        await mesh.heal()
        await eventually(lambda: links("up", 7), 30)
