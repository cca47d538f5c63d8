"""The catalogue as a lead changes it at the desk, before a real intake."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.days import day_of
from integration.intake.world import World
from support.desk import at_desk
from support.visitor import Visitor

TODAY = day_of(datetime.now(UTC))
NEW = {
    "code": "winter_aid", "name_uk": "Допомога взимку", "name_en": "Winter aid",
    "name_de": "Winterhilfe", "programme_new": "winter", "for_whom": "person",
    "price": "1 200,50", "cost_category": "cash", "auto_quantity": "1", "limit_count": "1",
    "limit_days": "30",
}  # fmt: skip


@pytest.fixture
async def lead(world: World, tmp_path: Path) -> AsyncIterator[Visitor]:
    """A lead at a desk behind which there is nothing but intake."""
    intake = httpx.ASGITransport(world.service.app)
    async with at_desk(intake, tmp_path / "keys", Role.LEAD) as visitor:
        yield visitor


async def price_of(world: World, kind: str) -> int:
    """What a need that is asked for now is to cost."""
    found: dict[str, Any] = await world.need(await world.request(kind))
    return int(found["ask"]["money"]["amount_minor"])


async def test_a_kind_is_entered_priced_ended_and_offered_again(
    world: World, lead: Visitor
) -> None:
    page = await lead.send("/new-kind", "/new-kind", **NEW)
    assert "Winter aid" in page
    assert "UAH\u00a01,200.50" in page
    assert "winter_aid" in await lead.page("/kinds")
    kind = await world.get("/v1/kinds/winter_aid", Role.LEAD)
    assert (kind["version"], kind["programme"], kind["money"]["by"]) == (1, "winter", "payout")
    assert await price_of(world, "winter_aid") == 120_050

    path = "/kinds/winter_aid"
    soon = (TODAY + timedelta(days=9)).isoformat()
    await lead.send(path, f"{path}/price", price="1500", from_on=soon)
    assert await price_of(world, "winter_aid") == 120_050
    await lead.send(path, f"{path}/drop-price")
    await lead.send(path, f"{path}/price", price="1400", from_on=TODAY.isoformat())
    assert await price_of(world, "winter_aid") == 140_000
    kind = await world.get("/v1/kinds/winter_aid", Role.LEAD)
    assert (kind["version"], len(kind["money"]["prices"])) == (4, 1)

    await lead.send(path, f"{path}/end")
    person = {"client_code": "c-9", "area": "UA80"}
    body = {"person": person, "needs": [{"kind": "winter_aid"}]}
    await world.post("/v1/requests", body, status=422)
    assert "Kinds that have ended" in await lead.page("/kinds")
    await lead.send(path, f"{path}/offer")
    await world.post("/v1/requests", body, status=201)


async def test_a_kind_that_a_lead_changed_keeps_everything_else(
    world: World, lead: Visitor
) -> None:
    before = await world.get("/v1/kinds/shelter_outside", Role.LEAD)
    path = "/kinds/shelter_outside"
    await lead.send(path, f"{path}/price", price="800", from_on="2025-01-01")
    after = await world.get("/v1/kinds/shelter_outside", Role.LEAD)
    assert after["money"].pop("prices") == [
        *before["money"].pop("prices"),
        {"from_on": "2025-01-01", "amount_minor": 80_000, "currency": "UAH"},
    ]
    assert after == {**before, "version": before["version"] + 1}
