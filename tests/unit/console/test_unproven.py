"""Payments that a restore could not prove, at the desk: what is shown, and what is sent."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES
from support.made_up.basics import number, problem

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
PAYOUT, ORDER, SEALED, PURCHASE = (
    number(each)
    for each in ("doubtful payout", "doubtful order", "sealed order", "purchase ordered")
)
PAID = {"bank_reference": "K-17", "served_on": "2024-04-02"}


async def test_the_page_of_payouts_leads_there_while_something_is_in_doubt(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.FINANCE)
    assert 'href="/money/unproven"' in (await browser.get("/money")).text
    browser.desk.region.answers["GET /v1/unproven"] = (200, {"unproven": [], "next": None})
    assert 'href="/money/unproven"' not in (await browser.get("/money")).text
    assert "Nothing is in doubt." in (await browser.get("/money/unproven")).text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_all_that_finds_them_in_a_statement_is_shown(
    browser: "Browser", language: str
) -> None:
    await browser.sign_in(Role.APPROVER)
    page = (await browser.get("/money/unproven", language)).text
    assert "unproven." not in page
    for said in (str(PAYOUT), str(ORDER), "lviv", "Харківський склад"):
        assert said in page
    if language == "en":
        for said in ("UAH\u00a03,600", "in cash", "For another region", "sealed"):
            assert said in page, said


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        (Role.FINANCE, True), (Role.APPROVER, True), (Role.LEAD, True),
        (Role.CASEWORKER, False), (Role.LOGISTICIAN, False), (Role.ONCALL, False),
    ],
)  # fmt: skip
async def test_whoever_settles_payouts_says_what_became_of_them(
    browser: "Browser", role: Role, *, offered: bool
) -> None:
    await browser.sign_in(role)
    page = await browser.get("/money/unproven")
    assert page.status_code == (200 if offered else 403)
    found = set(re.findall(r'action="/money/unproven/([0-9a-f-]+)/([a-z]+)"', page.text))
    paid = {(str(each), "paid") for each in (PAYOUT, ORDER)}
    clear = {(str(each), "clear") for each in (PAYOUT, ORDER, SEALED, PURCHASE)}
    assert found == (paid | clear if offered else set())
    assert (f'href="/money/purchases/{PURCHASE}"' in page.text) is offered
    answer = await browser.post(f"/money/unproven/{PAYOUT}/paid", key=KEY, **PAID)
    assert (answer.status_code == 303) is offered
    assert bool(browser.desk.region.posts) is offered


async def test_a_form_makes_its_call_under_its_key(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    answer = await browser.post(f"/money/unproven/{PAYOUT}/paid", key=KEY, **PAID)
    assert answer.headers["location"] == "/money/unproven?said=unproven_paid"
    note = {"note": "not on the statement of 2 April"}
    answer = await browser.post(f"/money/unproven/{PURCHASE}/clear", key=KEY, **note)
    assert answer.headers["location"] == "/money/unproven?said=unproven_cleared"
    assert 'role="status"' in (await browser.get(answer.headers["location"])).text
    paid, cleared = browser.desk.region.posts
    assert paid[:2] == (f"/v1/unproven/{PAYOUT}:paid", PAID)
    assert cleared[:2] == ("/v1/unproven:clear", {"ids": [str(PURCHASE)], **note})
    assert all(headers["idempotency-key"] == KEY for _, _, headers in browser.desk.region.posts)


async def test_what_is_wrong_is_said_and_nothing_sent(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    for path, fields in (
        ("paid", {"served_on": "2024-04-02"}),
        ("paid", PAID | {"bank_reference": "x" * 141}),
        ("paid", PAID | {"served_on": "soon"}),
        ("clear", {"note": ""}),
        ("clear", {"note": "x" * 201}),
    ):
        answer = await browser.post(f"/money/unproven/{PAYOUT}/{path}", **fields)
        assert answer.status_code == 422, (path, fields)
        assert 'role="alert"' in answer.text
    assert browser.desk.region.posts == []


async def test_why_payments_refuses_is_told(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    path = f"/v1/unproven/{PAYOUT}:paid"
    browser.desk.region.answers[f"POST {path}"] = problem(409, "day-in-future")
    answer = await browser.post(f"/money/unproven/{PAYOUT}/paid", **PAID)
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
