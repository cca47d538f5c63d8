"""What providers charge, at the desk: who approves it, and what is sent."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES
from aidmesh_console.pages.bills import number_in
from support.made_up.basics import number, problem
from support.made_up.money import BILLS

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
HOTEL_BILL, CLINIC_BILL = number("hotel bill"), number("clinic bill")
NEED, COMMITMENT = number("hotel need"), number("hotel")
ENTER = f"/money/bills/of/{NEED}/{COMMITMENT}"


async def test_the_page_of_payouts_leads_there_while_a_bill_waits(browser: "Browser") -> None:
    await browser.sign_in(Role.APPROVER)
    notice = "Bills of providers wait for a second person"
    assert notice in (await browser.get("/money")).text
    browser.desk.region.answers["GET /v1/bills"] = (200, {"bills": [], "next": None})
    assert notice not in (await browser.get("/money")).text
    assert "No bill waits." in (await browser.get("/money/bills")).text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_waits_is_shown_beside_what_was_set_aside(
    browser: "Browser", language: str
) -> None:
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get(f"/money/bills?need={NEED}", language)).text
    assert "bills." not in page
    assert "None" not in page
    assert "qn-2024" in page
    if language == "en":
        for said in ("UAH\u00a039,000", "instead of UAH\u00a03,000", "served"):
            assert said in page, said


@pytest.mark.parametrize(
    ("role", "enters", "approves"),
    [
        (Role.FINANCE, True, True), (Role.LEAD, True, True), (Role.APPROVER, False, True),
        (Role.CASEWORKER, False, False), (Role.LOGISTICIAN, False, False),
        (Role.ONCALL, False, False),
    ],
)  # fmt: skip
async def test_finance_enters_and_whoever_pays_approves(
    browser: "Browser", role: Role, *, enters: bool, approves: bool
) -> None:
    await browser.sign_in(role)
    page = await browser.get(f"/money/bills?need={NEED}")
    assert page.status_code == (200 if approves else 403)
    steps = set(re.findall(r'action="/money/bills/([0-9a-f-]+)/([a-z]+)"', page.text))
    offered = {(str(e), s) for e in (HOTEL_BILL, CLINIC_BILL) for s in ("approve", "withdraw")}
    assert steps == (offered if approves else set())
    assert (f'action="{ENTER}"' in page.text) is enters
    # Nobody bills what is paid to the person.
    assert str(number("cash")) not in page.text
    approved = await browser.post(f"/money/bills/{HOTEL_BILL}/approve", key=KEY)
    assert (approved.status_code == 303) is approves
    browser.desk.region.answers[f"POST /v1/commitments/{COMMITMENT}:bill"] = (200, {"waits": True})
    entered = await browser.post(ENTER, key=KEY, amount="39000", currency="UAH")
    assert (entered.status_code == 303) is enters


async def test_whoever_entered_a_bill_is_not_asked_to_approve_it(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    mine = BILLS[0] | {"biller": str(number("me"))}
    browser.desk.region.answers["GET /v1/bills"] = (200, {"bills": [mine, BILLS[1]]})
    page = (await browser.get("/money/bills")).text
    assert f'action="/money/bills/{HOTEL_BILL}/approve"' not in page
    assert f'action="/money/bills/{HOTEL_BILL}/withdraw"' in page
    assert f'action="/money/bills/{CLINIC_BILL}/approve"' in page
    assert "somebody else approves it" in page


@pytest.mark.parametrize(("waits", "said"), [(True, "bill_waits"), (False, "bill_entered")])
async def test_it_is_said_whether_a_bill_waits(
    browser: "Browser", *, waits: bool, said: str
) -> None:
    await browser.sign_in(Role.FINANCE)
    path = f"/v1/commitments/{COMMITMENT}:bill"
    browser.desk.region.answers[f"POST {path}"] = (200, {"waits": waits})
    answer = await browser.post(ENTER, key=KEY, amount="39 000,50", currency="UAH")
    assert answer.headers["location"] == f"/money/bills?said={said}"
    assert 'role="status"' in (await browser.get(answer.headers["location"])).text
    ((sent_to, sent, headers),) = browser.desk.region.posts
    assert (sent_to, sent) == (path, {"amount_minor": 3_900_050})
    assert headers["idempotency-key"] == KEY


async def test_steps_are_sent_under_their_key(browser: "Browser") -> None:
    await browser.sign_in(Role.APPROVER)
    for step, said in (("approve", "bill_approved"), ("withdraw", "bill_withdrawn")):
        answer = await browser.post(f"/money/bills/{HOTEL_BILL}/{step}", key=KEY)
        assert answer.headers["location"] == f"/money/bills?said={said}"
        path, _, headers = browser.desk.region.posts[-1]
        assert (path, headers["idempotency-key"]) == (f"/v1/bills/{HOTEL_BILL}:{step}", KEY)
    assert (await browser.post(f"/money/bills/{HOTEL_BILL}/forget")).status_code == 422
    assert len(browser.desk.region.posts) == 2


async def test_what_is_wrong_is_said_beside_what_was_typed(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    answer = await browser.post(ENTER, amount="many", currency="UAH")
    assert answer.status_code == 422
    assert 'value="many"' in answer.text
    assert browser.desk.region.posts == []
    path = f"/v1/commitments/{COMMITMENT}:bill"
    browser.desk.region.answers[f"POST {path}"] = problem(409, "allotment-short")
    answer = await browser.post(ENTER, amount="39000", currency="UAH")
    assert answer.status_code == 409
    assert 'value="39000"' in answer.text
    step = f"/v1/bills/{HOTEL_BILL}:approve"
    browser.desk.region.answers[f"POST {step}"] = problem(409, "second-person-needed")
    answer = await browser.post(f"/money/bills/{HOTEL_BILL}/approve")
    assert answer.status_code == 409
    assert "A second person is needed" in answer.text
    assert (await browser.get("/money/bills?need=4711")).status_code == 422


async def test_what_is_typed_for_a_number_never_shows_in_an_address(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get("/money/bills")).text
    assert 'method="post" action="/money/bills/find"' in page
    found = await browser.post("/money/bills/find", need=f"https://desk.example/needs/{NEED}")
    assert found.headers["location"] == f"/money/bills?need={NEED}"
    other = await browser.post("/money/bills/find", need="КИ-0417")
    assert other.status_code == 422
    assert 'value="КИ-0417"' in other.text


def test_the_number_of_a_need_is_found_in_what_is_pasted() -> None:
    assert number_in(f" https://desk.example/needs/{NEED}?x=1 ") == NEED
    assert number_in(str(NEED).upper()) == NEED
    assert number_in("A1B2C3D4") is None
