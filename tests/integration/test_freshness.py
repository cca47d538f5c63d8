"""What a region shows of another while the link between them is cut, and afterwards."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from aidmesh.status import PeerStatus, RegionStatus, attention_of, peer_of
from support.funding import fund
from support.regions_running import RunningRegions, running_regions
from support.servers import DatabaseFactory
from support.waiting import eventually

REGION = RegionStatus("kyiv", epoch=1, nats=True, postgres=True, services=(), peers=())
SERVICES = ("inventory", "payments")
FIGURES = {"site", "stock", "free", "supply", "holding", "proposal"}
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
    shown = {
        name: row for name, rows in found.items() for row in rows if row.get("region") == "lviv"
    }
    money = {
        "holding": (await staff.get("finance", "payments", "/allotments"))["allotments"],
        "proposal": (await staff.get("finance", "payments", "/rebalancings"))["rebalancings"],
    }
    return shown | {
        name: row for name, rows in money.items() for row in rows if row["holder"] == "lviv"
    }


async def ask_of_kyiv(mesh: RunningRegions) -> Mapping[str, Any]:
    """What lviv shows of what kyiv asks of its money."""
    (ask,) = (await mesh["lviv"].staff.get("finance", "payments", "/return-asks"))["asks"]
    found: Mapping[str, Any] = ask
    return found


async def propose(mesh: RunningRegions) -> tuple[str, str]:
    """Have kyiv ask for money that lviv holds of its grant; where both ends of it are."""
    kyiv, lviv = mesh["kyiv"].staff, mesh["lviv"].staff
    made = await fund(kyiv, 80_000, to_region="lviv")

    async def is_there() -> bool:
        held = (await lviv.get("finance", "payments", "/allotments"))["allotments"]
        return [each["received_minor"] for each in held] == [80_000]

    await eventually(is_there, 60)
    body = {"allotment_id": made["allotment_id"], "to_region": "kyiv", "amount_minor": 50_000}
    body |= {"reason": "unused_money"}
    found = await kyiv.post("finance", "payments", "/rebalancings", body)

    async def is_heard() -> bool:
        return bool((await lviv.get("finance", "payments", "/return-asks"))["asks"])

    await eventually(is_heard, 60)
    return f"/rebalancings/{found['rebalancing_id']}", f"/return-asks/{found['rebalancing_id']}"


async def lviv_of(mesh: RunningRegions) -> PeerStatus:
    """What `aidmesh status` makes of what kyiv's inventory says of its readiness."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        answer = await client.get(f"{mesh['kyiv'].staff.url('inventory')}/readyz")
    return peer_of("lviv", [answer.json()], [], linked=None)


async def test_figures_of_a_dark_region_carry_their_age_and_the_link_until_it_is_back(
    tmp_path: Path, database: DatabaseFactory
) -> None:
    async with running_regions(tmp_path, database, ("kyiv", "lviv"), SERVICES) as mesh:
        lviv = mesh["lviv"].staff
        for region in ("kyiv", "lviv"):
            await mesh[region].staff.item("soap")
        site = await lviv.site("lviv-1", "UA46")
        await lviv.receive(site, "soap", 5)
        proposal, ask = await propose(mesh)
        await lviv.post("finance", "payments", f"{ask}:prepare", {"amount_minor": 40_000})

        async def links(state: str, free: int, prepared: int) -> bool:
            found = await figures_of_lviv(mesh)
            return (
                set(found) == FIGURES
                and {each["link"]["state"] for each in found.values()} == {state}
                and found["stock"]["free"] == found["supply"]["free"] == free
                and found["holding"]["free_minor"] == 80_000
                and found["proposal"]["prepared_minor"] == prepared
                and (await ask_of_kyiv(mesh))["link"]["state"] == state
            )

        await eventually(lambda: links("up", 5, 40_000), 60)
        before = await figures_of_lviv(mesh)

        async def is_abreast(of: int) -> bool:
            seen = await lviv_of(mesh)
            return seen.link == "up" and seen.lag_events == 0 and (seen.last_event_seq or 0) > of

        await eventually(lambda: is_abreast(0), 30)
        fine = await lviv_of(mesh)
        assert attention_of([replace(REGION, peers=(fine,))]) == ()

        await mesh.cut("lviv")
        await lviv.receive(site, "soap", 2)  # nobody in kyiv can know
        await lviv.post("finance", "payments", f"{ask}:prepare", {"amount_minor": 30_000})
        heard = await ask_of_kyiv(mesh)
        await mesh["kyiv"].staff.post("approver", "payments", f"{proposal}:sign")
        await eventually(lambda: links("dark", 5, 40_000), 60)
        dark = await figures_of_lviv(mesh)
        for name, each in dark.items():
            assert each["as_of"] == before[name]["as_of"]
            assert datetime.fromisoformat(each["link"]["since"]).tzinfo is not None

        assert (await ask_of_kyiv(mesh))["as_of"] == heard["as_of"], "what is done here is no news"

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
        await eventually(lambda: links("up", 7, 30_000), 60)
        fresh = await figures_of_lviv(mesh)
        assert fresh["proposal"]["as_of"] > before["proposal"]["as_of"]
        await eventually(lambda: is_abreast(seen.last_event_seq or 0), 60)

        async def lags_no_more() -> bool:
            return (await lviv_of(mesh)).lag_s == 0

        await eventually(lags_no_more, 30)
