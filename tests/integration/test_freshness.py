"""What a region shows of another while the link between them is cut, and afterwards."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from aidmesh.status import PeerStatus, RegionStatus, attention_of, peer_of
from support.regions_running import RunningRegions, running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

REGION = RegionStatus("kyiv", epoch=1, nats=True, postgres=True, services=(), peers=())
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


async def lviv_of(mesh: RunningRegions) -> PeerStatus:
    """What `aidmesh status` makes of what kyiv's inventory says of its readiness."""
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        answer = await client.get(f"{mesh['kyiv'].staff.url('inventory')}/readyz")
    return peer_of("lviv", [answer.json()], [], linked=None)


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

        async def is_abreast(of: int) -> bool:
            seen = await lviv_of(mesh)
            return seen.link == "up" and seen.lag_events == 0 and (seen.last_event_seq or 0) > of

        await eventually(lambda: is_abreast(0), 30)
        fine = await lviv_of(mesh)
        assert attention_of([replace(REGION, peers=(fine,))]) == ()

        await mesh.cut("lviv")
        await lviv.receive(site, "soap", 2)  # nobody in kyiv can know
        await eventually(lambda: links("dark", 5), 30)
        dark = await figures_of_lviv(mesh)
        for name, each in dark.items():
            assert each["as_of"] == before[name]["as_of"]
            assert datetime.fromisoformat(each["link"]["since"]).tzinfo is not None

        seen = await lviv_of(mesh)
        assert seen.link == "dark"
        assert (seen.last_event_seq or 0) >= (fine.last_event_seq or 0) > 0
        assert seen.last_event_at is not None
        assert attention_of([replace(REGION, peers=(seen,))]) == (
            f"kyiv: lviv is dark since {seen.since}",
        )

        async def falls_behind() -> bool:
            """It may have said more than was heard: the lag grows, though no event is known of."""
            return ((await lviv_of(mesh)).lag_s or 0.0) > 0

        await eventually(falls_behind, 60)

        await mesh.heal()
        await eventually(lambda: links("up", 7), 30)
        await eventually(lambda: is_abreast(seen.last_event_seq or 0), 60)

        async def lags_no_more() -> bool:
            return (await lviv_of(mesh)).lag_s == 0

        await eventually(lags_no_more, 30)
