"""Days that nobody can mean are refused where they are entered, and stop nothing if they were."""

from datetime import date
from typing import Any, Final

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_contracts.intake import NeedApprovedV1
from integration.intake.files import post, send
from integration.intake.world import KYIV, World, only

POSSIBLE: Final = {"ge": "2000-01-01", "le": "2099-12-31"}
DAYS: Final = ("0001-01-01", "1014-02-03", "9999-12-31")


async def asked(world: World, kind: str, status: int, code: str = "P", **need: Any) -> Any:
    """Ask for a need of somebody; the answer."""
    body = {"person": {"client_code": code, "area": KYIV}, "needs": [{"kind": kind, **need}]}
    return await world.post("/v1/requests", body, status=status)


@pytest.mark.parametrize("day", DAYS)
async def test_requests_and_services_are_entered_with_days_that_are_possible(
    world: World, day: str
) -> None:
    await asked(world, "food_parcel", 201)  # somebody known, whose limits are looked at
    for kind, field in (
        ("food_parcel", "planned_on"),
        ("food_parcel", "needed_by"),
        ("food_parcel", "served_on"),
        ("counseling", "from_on"),
        ("counseling", "to_on"),
        ("shelter_night", "from_on"),
    ):
        wanted: dict[str, Any] = {field: day, "given": field == "served_on"}
        refused = await asked(world, kind, 422, **wanted)
        broken = {"field": f"body.needs.0.{field}", "rule": "day_out_of_range", **POSSIBLE}
        assert refused["errors"][0] == broken
    refused = await asked(world, "pep_navigation", 422, exposed_at=f"{day}T00:00:00+05:00")
    assert refused["errors"][0]["rule"] == "day_out_of_range"
    assert refused["errors"][0]["ge"] == "2000-01-01T00:00:00+02:00"
    row = {"row_id": "1", "need_id": str(await world.request("legal_advice")), "served_on": day}
    refused = await world.post("/v1/needs:serve", {"rows": [row]}, status=422)
    assert refused["errors"][0]["field"] == "body.rows.0.served_on"
    person = {"client_code": "Q", "consents": {"data": day}}
    refused = await world.post("/v1/persons", person, status=422)
    assert [each["rule"] for each in refused["errors"]] == ["day_out_of_range"]


async def test_a_row_with_an_impossible_day_is_rejected_and_the_others_are_taken_in(
    world: World,
) -> None:
    columns = ("asked_on", "needed_by", "planned_on", "from_on", "served_on")
    head = ",".join(["row_id,client_code,kind,area,given", *columns])
    good = [f"r{n},c{n},food_parcel,UA80,,2024-02-03,,,," for n in range(5)]
    bad = [
        f"b{number},d,counseling,UA80,{'true' if column == 'served_on' else ''},"
        + ",".join(day if each == column else "" for each in columns)
        for number, (column, day) in enumerate((c, d) for c in columns for d in DAYS)
    ]
    file = "\n".join([head, *good, *bad])
    for dry_run in ("true", "false"):
        done = await send(world, file, dry_run=dry_run)
        assert (done["accepted"], done["rejected"]) == (5, len(bad))
        assert done["problems"] == [
            {"line": 7 + number, "column": column, "rule": "day_out_of_range", **POSSIBLE}
            for number, column in enumerate(column for column in columns for _ in DAYS)
        ]
    again = await send(world, file)
    assert (again["skipped"], again["rejected"]) == (5, len(bad))
    job = await world.get(f"/v1/imports/{again['import_id']}")
    assert job["problems"] == again["problems"]
    # Of other rules nothing more is told.
    other = await post(world, f"{head}\nx,c,nothing,UA80,,2024-02-03,,,,")
    assert other.json()["problems"] == [{"line": 2, "column": "kind", "rule": "unknown"}]


async def test_a_price_begins_on_a_day_that_is_possible_and_old_ones_are_read(
    world: World,
) -> None:
    kind = await world.get("/v1/kinds/financial_aid")
    kind["version"] += 1
    kind["money"]["prices"][0]["from_on"] = "1014-02-03"
    answer = await world.client.put(
        "/v1/kinds/financial_aid", json=kind, headers=world.headers(Role.LEAD)
    )
    assert answer.status_code == 422
    assert [each["rule"] for each in answer.json()["errors"]] == ["day_out_of_range"]
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            """
            UPDATE kind SET version = version + 1,
                body = jsonb_set(body, '{money,prices,0,from_on}', '"1014-02-03"')
            WHERE code = 'financial_aid'
            """
        )
    read = await world.get("/v1/kinds/financial_aid")
    assert read["money"]["prices"][0]["from_on"] == "1014-02-03"


@pytest.mark.parametrize("day", [date.min, date.max])
async def test_needs_of_before_are_still_decided(world: World, day: date) -> None:
    kind = await world.get("/v1/kinds/food_parcel")
    answer = await world.client.put(
        "/v1/kinds/food_parcel",
        json={**kind, "version": kind["version"] + 1, "auto_approve": None},
        headers=world.headers(Role.LEAD),
    )
    assert answer.status_code == 200, answer.text
    need_id = await world.request("food_parcel")
    async with world.db.transaction() as tx:
        await tx.conn.execute(
            "UPDATE need SET planned_on = $2, asked_on = least($2, asked_on) WHERE id = $1",
            need_id,
            day,
        )
    await world.post(f"/v1/needs/{need_id}:approve")
    (approved,) = only(await world.published(), NeedApprovedV1)
    assert approved.planned_on == max(day, approved.planned_on)
