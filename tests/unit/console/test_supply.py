"""What inventory is asked about, and what runs out; and in how few calls pages learn it."""

from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.clients.catalogue_views import Kind
from aidmesh_console.supply import low, wanted_of
from support.made_up.basics import kinds
from support.made_up.supply import STOCK, capacity

if TYPE_CHECKING:
    from .conftest import Browser


def test_inventory_is_asked_about_goods_and_places_not_about_money() -> None:
    asked = {each["code"]: wanted_of(Kind.model_validate(each)) for each in kinds()}
    assert asked["shelter_night"] == {
        "code": "shelter_night", "place": {"resource": "bed", "code": "shelter"},
    }  # fmt: skip
    parcel = asked["food_parcel"]
    assert parcel is not None
    assert parcel["stock"] == [{"item": "food_parcel", "quantity": 1}]
    assert asked["financial_aid"] is None


def test_what_somebody_waits_for_runs_out_first() -> None:
    assert low({"soap": 4, "rice": 100, "salt": 10}, {"rice": 120, "tent": 1}) == (
        ("rice", 100, 120),
        ("tent", 0, 1),
        ("soap", 4, 0),
    )


@pytest.mark.parametrize(
    ("path", "reads"),
    [("/", {"/v1/stock/totals", "/v1/capacity"}), ("/register", {"/v1/supply:lookup"})],
)
async def test_however_much_there_is_a_page_asks_once(
    browser: "Browser", path: str, reads: set[str]
) -> None:
    region = browser.desk.region
    region.answers |= {
        "GET /v1/stock": (200, {**STOCK, "next": "more"}),
        "GET /v1/capacity": (200, {"rows": capacity(), "next": "more"}),
    }
    await browser.sign_in(Role.CASEWORKER)
    region.gets.clear()
    assert (await browser.get(path)).status_code == 200
    questions = [(called, str(query)) for called, query in region.gets]
    assert len(questions) == len(set(questions)), questions
    supply = [called for called, _ in questions
              if called.startswith(("/v1/stock", "/v1/cap", "/v1/sup"))]  # fmt: skip
    assert sorted(supply) == sorted(reads)
