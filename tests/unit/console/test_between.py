"""Money between regions at the desk: who is offered which step, and what is sent."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES
from support.made_up.basics import number
from support.made_up.money import REBALANCINGS, RETURN_ASKS

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
MOVE, ASK = number("move proposed"), number("ask prepared")
PURSE, AWAY = number("purse"), number("purse lviv")
ORDER, OWN = number("order received"), number("approved 1")
LISTED = number("list")

FORMS: list[tuple[str, dict[str, str], str, dict[str, object]]] = [
    ("/money/regions/propose",
     {"allotment_id": str(AWAY), "to_region": "kyiv", "amount": "1 200,50",
      "reason": "waiting_needs", "days": "14"},
     "/v1/rebalancings",
     {"allotment_id": str(AWAY), "to_region": "kyiv", "amount_minor": 120_050,
      "reason": "waiting_needs", "days": 14}),
    (f"/money/regions/proposals/{MOVE}/sign", {}, f"/v1/rebalancings/{MOVE}:sign", {}),
    (f"/money/regions/proposals/{MOVE}/withdraw", {}, f"/v1/rebalancings/{MOVE}:withdraw", {}),
    (f"/money/regions/proposals/{MOVE}/retry", {}, f"/v1/rebalancings/{MOVE}:retry", {}),
    (f"/money/regions/proposals/{MOVE}/keep", {}, f"/v1/rebalancings/{MOVE}:keep", {}),
    (f"/money/regions/asks/{ASK}/prepare", {"amount": "300", "currency": "UAH"},
     f"/v1/return-asks/{ASK}:prepare", {"amount_minor": 30_000}),
    (f"/money/regions/asks/{ASK}/consent", {}, f"/v1/return-asks/{ASK}:consent", {}),
    (f"/money/regions/asks/{ASK}/decline", {"reason": "needed_here"},
     f"/v1/return-asks/{ASK}:decline", {"reason": "needed_here"}),
    (f"/money/regions/held/{PURSE}/return", {"amount": "5", "currency": "EUR"},
     f"/v1/allotments/{PURSE}:return", {"amount_minor": 500}),
    (f"/money/regions/held/{AWAY}/recall", {"reason": "grant_cut"},
     f"/v1/allotments/{AWAY}:recall", {"reason": "grant_cut"}),
    ("/money/orders/export", {"currency": "UAH", "mechanism": "iban"},
     "/v1/paying-orders:export", {"currency": "UAH", "mechanism": "iban"}),
    ("/money/export", {"currency": "EUR", "mechanism": "card"},
     "/v1/payouts:export", {"currency": "EUR", "mechanism": "card"}),
    ("/money/return", {"payout_id": str(OWN), "reason": "AC06"},
     f"/v1/payouts/{OWN}:return", {"reason": "AC06"}),
    (f"/money/orders/{ORDER}/reject", {"reason": "AC04"},
     f"/v1/paying-orders/{ORDER}:reject", {"reason": "AC04"}),
    ("/money/orders/return", {"payout_id": str(ORDER), "reason": "AC06"},
     f"/v1/paying-orders/{ORDER}:return", {"reason": "AC06"}),
]  # fmt: skip


async def test_who_pays_finds_both_lists_and_what_came_back(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get("/money")).text
    for action in ("/money/export", "/money/orders/export", "/money/return"):
        assert f'action="{action}"' in page


@pytest.mark.parametrize(("path", "fields", "called", "body"), FORMS)
async def test_a_form_makes_its_call_under_its_key(
    browser: "Browser", path: str, fields: dict[str, str], called: str, body: dict[str, object]
) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(path, key=KEY, **fields)
    assert answer.status_code == 303, answer.text
    ((found, sent, headers),) = browser.desk.region.posts
    assert (found, sent) == (called, body)
    assert headers["idempotency-key"] == KEY
    page = await browser.get(answer.headers["location"])
    assert 'class="notice" role="status"' in page.text


@pytest.mark.parametrize(
    ("role", "steps"),
    [
        (Role.FINANCE, {"withdraw", "retry", "keep", "prepare", "decline", "return", "propose"}),
        (Role.APPROVER, {"sign", "consent", "decline"}),
        (Role.ONCALL, set()),
    ],
)
async def test_each_role_is_offered_its_steps(
    browser: "Browser", role: Role, steps: set[str]
) -> None:
    await browser.sign_in(role)
    answer = await browser.get("/money/regions")
    assert answer.status_code == (403 if role is Role.ONCALL else 200)
    offered = re.findall(r'action="/money/regions/(?:[a-z]+/[0-9a-f-]+/)?([a-z]+)"', answer.text)
    assert set(offered) == steps


@pytest.mark.parametrize("language", LANGUAGES)
async def test_everybody_sees_what_waits_for_whom(browser: "Browser", language: str) -> None:
    await browser.sign_in(Role.APPROVER)
    page = (await browser.get("/money/regions", language)).text
    assert "between." not in page
    assert "move." not in page
    assert "odesa" in page


async def test_proposals_say_how_they_stand(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    page = (await browser.get("/money/regions")).text
    for said in (
        "The time is over, and lviv was not heard.",
        "It is back, and could not go on:",
        "Arrived in kyiv.",
        "it is needed here",
        "waits for a second person to consent",
        "This money would come to us",
        "by a rule",
    ):
        assert said in page, said


async def test_whoever_began_a_step_is_not_offered_its_second(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    page = (await browser.get("/money/regions")).text
    assert f"/proposals/{MOVE}/sign" in page
    assert f"/asks/{ASK}/consent" in page
    me, answers = str(number("me")), browser.desk.region.answers
    mine = [{**row, "proposed_by": me} for row in REBALANCINGS]
    answers["GET /v1/rebalancings"] = (200, {"rebalancings": mine})
    prepared = [{**row, "prepared_by": me} for row in RETURN_ASKS]
    answers["GET /v1/return-asks"] = (200, {"asks": prepared})
    page = (await browser.get("/money/regions")).text
    assert f"/proposals/{MOVE}/sign" not in page
    assert f"/asks/{ASK}/consent" not in page
    assert "You prepared it" in page


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/money/regions/propose", {"allotment_id": str(number("unknown")), "amount": "5"}),
        ("/money/regions/propose", {"allotment_id": str(AWAY), "amount": "much"}),
        (f"/money/regions/asks/{ASK}/prepare", {"amount": "-5"}),
        (f"/money/regions/asks/{ASK}/decline", {"reason": "no"}),
        (f"/money/regions/held/{AWAY}/recall", {}),
        (f"/money/regions/held/{PURSE}/return", {}),
        ("/money/orders/export", {"currency": "XXX", "mechanism": "iban"}),
        ("/money/orders/export", {"currency": "UAH", "mechanism": "cash"}),
        ("/money/export", {"currency": "UAH", "mechanism": "cash"}),
        ("/money/return", {"payout_id": "first", "reason": "AC04"}),
        ("/money/return", {"payout_id": str(OWN), "reason": "AC99"}),
        (f"/money/orders/{ORDER}/reject", {"reason": "AC99"}),
        ("/money/orders/return", {"payout_id": "first", "reason": "AC04"}),
    ],
)
async def test_mistakes_are_named_before_anything_is_sent(
    browser: "Browser", path: str, fields: dict[str, str]
) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(path, **fields)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert browser.desk.region.posts == []


async def test_steps_that_there_are_not_or_are_others(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    assert (await browser.post(f"/money/regions/proposals/{MOVE}/approve")).status_code == 404
    assert (await browser.post(f"/money/regions/proposals/{MOVE}/sign")).status_code == 403
    assert (await browser.post(f"/money/orders/{ORDER}/pay", reason="AC04")).status_code == 404
    assert browser.desk.region.posts == []


async def test_a_payment_list_is_downloaded_by_whoever_pays(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    assert f"/money/lists/{LISTED}.csv" in (await browser.get("/money")).text
    path = f"GET /v1/payout-batches/{LISTED}/list.csv"
    browser.desk.region.answers[path] = (200, ["id", "name"])
    answer = await browser.get(f"/money/lists/{LISTED}.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["cache-control"] == "no-store"
    assert "name" in answer.text


async def test_nobody_else_gets_a_payment_list(browser: "Browser") -> None:
    await browser.sign_in(Role.APPROVER)
    assert f"/money/lists/{LISTED}.csv" not in (await browser.get("/money")).text
    assert (await browser.get(f"/money/lists/{LISTED}.csv")).status_code == 403
