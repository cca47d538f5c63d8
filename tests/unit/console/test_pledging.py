"""A grant, its donor and rates of exchange are entered at the desk."""

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_payments.api.grants import DonorBody, GrantBody, RateBody
from support.made_up.basics import number, problem

if TYPE_CHECKING:
    from unit.console.conftest import Browser

KEY = str(number("key"))
DONOR, NEW_DONOR = number("donor"), number("new donor")
GRANT: dict[str, str | list[str]] = {
    "code": "winter-26", "amount": "100 000,50", "currency": "EUR", "period_from": "2026-10-01",
    "period_to": "2027-03-31", "overhead": "7,5", "paying_office": "kyiv", "line_0": "aid",
    "line_amount_0": "80000", "line_categories_0": "food_items, cash_aid", "line_1": "goods",
    "line_amount_1": "10000", "programmes": ["food", "cash"], "areas": ["UA80", "UA63"],
    "area_means": "stay",
}  # fmt: skip
ENTERED = {
    "code": "winter-26", "currency": "EUR", "amount_minor": 10_000_050,
    "period_from": "2026-10-01", "period_to": "2027-03-31", "overhead_bp": 750,
    "paying_office": "kyiv",
    "restriction": {
        "programmes": ["food", "cash"], "areas": ["UA80", "UA63"], "area_means": "stay",
        "valid_from": "2026-10-01", "valid_to": "2027-03-31",
    },
    "budget_lines": [
        {"code": "aid", "amount_minor": 8_000_000, "cost_categories": ["food_items", "cash_aid"]},
        {"code": "goods", "amount_minor": 1_000_000},
    ],
}  # fmt: skip
RATE = {
    "base": "EUR", "spending": "UAH", "rate": "48,1234", "rate_on": "2026-11-27",
    "rate_source": "NBU",
}  # fmt: skip


def filled_in(**fields: str) -> Any:
    """The form of the grant above, with some fields otherwise."""
    return {"key": KEY, **GRANT, **fields}


async def test_a_grant_of_a_known_donor(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    assert "/money/new-grant" in (await browser.get("/money/grants")).text
    answer = await browser.post("/money/new-grant", **filled_in(donor_id=str(DONOR)))
    assert answer.headers["location"] == f"/money/grants/{number('qn')}?said=grant_entered"
    ((called, body, headers),) = browser.desk.region.posts
    assert (called, body) == ("/v1/grants", {"donor_id": str(DONOR), **ENTERED})
    assert headers["idempotency-key"] == KEY
    GrantBody.model_validate(body)


@pytest.mark.parametrize(("name", "is_new"), [("Rainbow Fund", True), ("Gute Stiftung", False)])
async def test_a_donor_is_entered_once(browser: "Browser", name: str, *, is_new: bool) -> None:
    await browser.sign_in(Role.LEAD)
    await browser.post("/money/new-grant", **filled_in(donor_name=name))
    *before, (_, body, _) = browser.desk.region.posts
    assert body["donor_id"] == str(NEW_DONOR if is_new else DONOR)
    assert [(path, sent) for path, sent, _ in before] == (
        [("/v1/donors", {"name": name})] if is_new else []
    )
    for _, sent, headers in before:
        DonorBody.model_validate(sent)
        assert headers["idempotency-key"] == str(uuid5(UUID(KEY), "donor"))


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"code": "Winter 26"}, "code"),
        ({"amount": "much"}, "amount"),
        ({"period_to": "2026-09-30"}, "period_to"),
        ({"overhead": "101"}, "overhead"),
        ({"line_amount_1": ""}, "line_amount_1"),
        ({"line_categories_0": "Food & drink"}, "line_categories_0"),
        ({"donor_id": ""}, "donor_id"),
        ({"line_0": "", "line_amount_0": "", "line_categories_0": "", "line_1": "",
          "line_amount_1": ""}, "line_0"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_named_and_kept(
    browser: "Browser", change: dict[str, str], wrong: str
) -> None:
    await browser.sign_in(Role.FINANCE)
    fields = filled_in(**{"donor_id": str(DONOR), **change})
    answer = await browser.post("/money/new-grant", **fields)
    assert answer.status_code == 422
    assert browser.desk.region.posts == []
    assert re.findall(r'id="fault-([a-z_0-9]+)"', answer.text) == [wrong]
    assert answer.text.count(" checked") == 4
    assert f'value="{KEY}"' in answer.text


async def test_a_refusal_keeps_what_was_typed(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    browser.desk.region.answers["POST /v1/grants"] = problem(409, "code-taken")
    answer = await browser.post("/money/new-grant", **filled_in(donor_id=str(DONOR)))
    assert answer.status_code == 409
    assert 'value="winter-26"' in answer.text
    assert 'role="alert"' in answer.text


async def test_a_rate_is_entered(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    assert "1 EUR = 48.1234 UAH" in (await browser.get("/money/rates")).text
    answer = await browser.post("/money/rates", key=KEY, **RATE)
    assert answer.headers["location"] == "/money/rates?said=rate_entered"
    ((called, body, _),) = browser.desk.region.posts
    assert called == "/v1/rates"
    assert body == {
        "base": "EUR", "spending": "UAH", "rate": "48.1234", "on": "2026-11-27", "source": "NBU",
    }  # fmt: skip
    RateBody.model_validate(body)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"rate": ""}, "rate"),
        ({"spending": "EUR"}, "spending"),
        ({"rate_source": ""}, "rate_source"),
    ],
)
async def test_a_rate_that_makes_no_sense(
    browser: "Browser", change: dict[str, str], wrong: str
) -> None:
    await browser.sign_in(Role.FINANCE)
    answer = await browser.post("/money/rates", key=KEY, **(RATE | change))
    assert answer.status_code == 422
    assert re.findall(r'id="fault-([a-z_]+)"', answer.text) == [wrong]
    assert browser.desk.region.posts == []


@pytest.mark.parametrize("path", ["/money/new-grant", "/money/rates"])
async def test_others_may_not(browser: "Browser", path: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    assert (await browser.get(path)).status_code == 403
    assert (await browser.post(path, key=KEY)).status_code == 403


async def test_a_long_form_is_kept_while_the_service_is_away(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    browser.desk.region.answers["GET /v1/donors"] = (503, {})
    away = await browser.post("/money/new-grant", **filled_in(donor_id=str(DONOR)))
    assert away.status_code == 503
    assert "No answer from" in away.text
    assert "was not sent" not in away.text  # which nobody knows
    assert 'action="/money/new-grant"' in away.text.split("<main")[1].split("</main")[0]
    assert 'name="line_categories_0" value="food_items, cash_aid"' in away.text
    assert f'name="key" value="{KEY}"' in away.text
    assert browser.desk.region.posts == []
