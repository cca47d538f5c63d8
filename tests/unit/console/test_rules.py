"""Rules at the desk: what regions do for each other without a person."""

from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.made_up.basics import WAREHOUSE, number, problem

if TYPE_CHECKING:
    from .conftest import Browser


@pytest.fixture
async def keeper(browser: "Browser") -> "Browser":
    """A logistician who looks at the page."""
    await browser.sign_in(Role.LOGISTICIAN)
    await browser.get("/shipments/rules")
    return browser


def sent(browser: "Browser") -> list[tuple[str, object]]:
    return [(path, body) for path, body, _ in browser.desk.region.posts]


async def test_rules_are_set_and_ended(keeper: "Browser") -> None:
    page = (await keeper.get("/shipments/rules")).text
    assert "20 of 60 this week" in page
    fields = {"item": "soap_bar", "regions": "odesa, lviv", "keep_pieces": "10", "ask_max": "5"}
    half = await keeper.post("/shipments/rules/accept", **fields)
    assert half.status_code == 422
    assert 'value="odesa, lviv"' in half.text
    wrong = await keeper.post(
        "/shipments/rules/accept", **{**fields, "week_max": "9", "regions": "Львів"}
    )
    assert wrong.status_code == 422
    made = await keeper.post("/shipments/rules/accept", week_max="9", **fields)
    assert made.headers["location"] == "/shipments/rules?said=rule_set"
    rule_id = number("rule parcels")
    await keeper.post(f"/shipments/rules/accept/{rule_id}/end")
    body = {
        "item": "soap_bar",
        "site_id": None,
        "regions": ["lviv", "odesa"],
        "keep_pieces": 10,
        "keep_days": 0,
        "ask_max": 5,
        "week_max": 9,
    }
    assert sent(keeper) == [
        ("/v1/accept-rules", body),
        (f"/v1/accept-rules/{rule_id}:end", {}),
    ]


async def test_asks_are_made_by_rule(keeper: "Browser") -> None:
    assert "at most 100 open" in (await keeper.get("/shipments/rules")).text
    fields = {"ask_item": "soap_bar", "to_site_id": str(WAREHOUSE)}
    half = await keeper.post("/shipments/rules/ask", **fields)
    assert half.status_code == 422
    assert half.text.count("<details open>") == 1
    keeper.desk.region.answers["POST /v1/ask-rules"] = problem(409, "rule-in-force")
    refused = await keeper.post("/shipments/rules/ask", open_max="20", **fields)
    assert refused.status_code == 409
    assert "already" in refused.text
    del keeper.desk.region.answers["POST /v1/ask-rules"]
    await keeper.post("/shipments/rules/ask", open_max="20", **fields)
    rule_id = number("rule asks")
    ended = await keeper.post(f"/shipments/rules/ask/{rule_id}/end")
    assert ended.headers["location"] == "/shipments/rules?said=rule_end"
    assert (await keeper.post(f"/shipments/rules/eat/{rule_id}/end")).status_code == 404
    body = {
        "item": "soap_bar",
        "to_site_id": str(WAREHOUSE),
        "regions": None,
        "open_max": 20,
        "chosen_only": False,
    }
    assert sent(keeper)[1:] == [("/v1/ask-rules", body), (f"/v1/ask-rules/{rule_id}:end", {})]


async def test_only_a_lead_has_needs_offered_by_rule(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    assert (await browser.get("/referrals/rules")).status_code == 403
    assert (await browser.post("/referrals/rules/refer", kind="shelter_night")).status_code == 403
    assert "/referrals/rules" not in (await browser.get("/referrals")).text


async def test_needs_are_offered_by_rule(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    assert "/referrals/rules" in (await browser.get("/referrals")).text
    page = (await browser.get("/referrals/rules")).text
    assert "at most 5 open" in page
    assert 'value="food_parcel"' not in page
    fields = {"kind": "shelter_night", "open_max": "7", "regions": "lviv", "chosen_only": "1"}
    made = await browser.post("/referrals/rules/refer", **fields)
    assert made.headers["location"] == "/referrals/rules?said=rule_set"
    rule_id = number("rule beds")
    await browser.post(f"/referrals/rules/refer/{rule_id}/end")
    body = {
        "kind": "shelter_night",
        "regions": ["lviv"],
        "open_max": 7,
        "hours": 24,
        "chosen_only": True,
    }
    assert sent(browser) == [
        ("/v1/refer-rules", body),
        (f"/v1/refer-rules/{rule_id}:end", {}),
    ]
