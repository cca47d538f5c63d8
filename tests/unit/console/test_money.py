"""Payouts, purchases and grants: what is offered, and what is sent of many at once."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.clients.payments_views import Paid
from aidmesh_console.pages.money import table_of
from support.made_up.basics import number, problem
from support.made_up.money import PAID_ALONE, paying_order, payout, purchase
from unit.console.test_corrections import form_of

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
NEED = number("parcel")
PAYOUT = number("draft 0")


async def test_a_payout_is_approved_and_settled_by_rows(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    await browser.post("/money/approve", key=KEY, payout=str(PAYOUT))
    await browser.post(
        f"/money/settle/{PAYOUT}", key=KEY, bank_reference="B-1", served_on="2024-04-02"
    )
    approved, settled = (sent for _, sent, _ in browser.desk.region.posts)
    assert approved["rows"] == [{"row_id": f"{KEY}/{PAYOUT}", "payout_id": str(PAYOUT)}]
    assert settled["rows"] == [
        {"row_id": KEY, "payout_id": str(PAYOUT), "bank_reference": "B-1",
         "served_on": "2024-04-02"}
    ]  # fmt: skip


async def test_what_another_region_asks_for_is_settled_by_hand(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    order = number("order received")
    page = (await browser.get("/money")).text
    assert "To pay for other regions" in page
    assert f'action="/money/settle-order/{order}"' in page
    assert "qn-2024" in page
    fields = {"bank_reference": "B-2", "served_on": "2024-04-02"}
    await browser.post(f"/money/settle-order/{order}", key=KEY, **fields)
    ((path, sent, _),) = browser.desk.region.posts
    assert path.endswith("/v1/paying-orders:settle")
    assert sent["rows"] == [{"row_id": KEY, "payout_id": str(order), **fields}]


async def test_an_order_whose_grant_is_not_told_is_settled_all_the_same(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.FINANCE)
    order = paying_order("received") | {"grant_code": None}
    browser.desk.region.answers["GET /v1/paying-orders"] = (200, {"orders": [order]})
    page = (await browser.get("/money")).text
    assert f'action="/money/settle-order/{order["id"]}"' in page
    assert "qn-2024" not in page
    assert "None" not in page


async def test_what_another_office_pays_is_not_settled_here(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    away = payout("away", "approved", 500) | {"assigned_to": "lviv"}
    browser.desk.region.answers["GET /v1/payouts"] = (200, {"payouts": [away]})
    page = (await browser.get("/money")).text
    assert "Paid by lviv" in page
    assert f'action="/money/settle/{away["id"]}"' not in page


async def test_a_payout_says_what_it_is_for(browser: "Browser") -> None:
    shown = payout("shown", "draft", 500)
    hidden = payout("hidden", "draft", 600) | {
        "programme": None, "grant_code": None, "budget_line": None
    }  # fmt: skip
    browser.desk.region.answers["GET /v1/payouts"] = (200, {"payouts": [shown, hidden]})
    await browser.sign_in(Role.APPROVER)
    page = (await browser.get("/money")).text
    for each in (shown, hidden):
        number = str(each["need_id"])[:8].upper()
        assert f"need {number} ·" in page
        # Settling by a table takes the whole numbers.
        assert f"Number of the payout: {each['id']}" in page
        assert f"Number of the need: {each['need_id']}" in page
    assert "Financial aid · relief-2024 · aid" in page
    assert "what for is not shown" in page
    assert f'href="/needs/{shown["need_id"]}"' not in page
    browser.http.cookies.clear()
    await browser.sign_in(Role.LEAD)
    assert f'href="/needs/{shown["need_id"]}"' in (await browser.get("/money")).text


async def test_a_need_says_which_payouts_it_has(browser: "Browser") -> None:
    path = f"/needs/{number('aid')}"
    drawn = number("of need")
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(path)).text
    assert f"Number of the payout: {drawn}" in page
    assert str(drawn)[:8].upper() in page
    assert "Payouts" not in (await browser.get(f"/needs/{number('parcel')}")).text
    browser.desk.region.down.add("payments")
    assert (await browser.get(path)).status_code == 200
    browser.desk.region.down.clear()
    browser.http.cookies.clear()
    await browser.sign_in(Role.LOGISTICIAN)
    assert str(drawn) not in (await browser.get(path)).text


async def test_a_refused_row_is_told(browser: "Browser") -> None:
    await browser.sign_in(Role.APPROVER)
    row = {"row": 0, "status": "rejected", "problem": "second-person-needed"}
    browser.desk.region.answers["POST /v1/payouts:approve"] = (200, {"rows": [row]})
    answer = await browser.post("/money/approve", payout=str(PAYOUT))
    assert answer.status_code == 409
    assert "1 was not accepted. A second person is needed" in answer.text


async def test_only_cash_is_not_collected_and_what_is_listed_can_be_settled(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get("/money")).text
    cash, bank = number("exported 0"), number("exported 1")
    for payout_id in (cash, bank, number("approved 1"), number("accepted 1")):
        assert f'action="/money/settle/{payout_id}"' in page
    assert f'action="/money/{cash}/not-collected"' in page
    assert f'action="/money/{bank}/not-collected"' not in page
    # The bank may not have carried it out; cash is fetched or it is not.
    assert f'action="/money/{bank}/reject"' in page
    assert f'action="/money/{cash}/reject"' not in page
    answer = await browser.post(f"/money/{bank}/reject", reason="because")
    assert answer.status_code == 422
    assert browser.desk.region.posts == []


async def test_a_second_person_is_asked_beyond_a_budget_line(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    browser.desk.region.answers["POST /v1/allotments"] = (202, {"request_id": str(NEED)})
    fields = {"budget_line": "aid", "to_region": "lviv", "amount": "1", "currency": "EUR"}
    answer = await browser.post(f"/money/grants/{number('qn')}/allot", **fields)
    assert answer.headers["location"].endswith("?said=allotment_asked")


@pytest.mark.parametrize(
    ("role", "state", "steps"),
    [
        (Role.FINANCE, "draft", {"order", "cancel"}),
        (Role.APPROVER, "draft", {"order"}),
        (Role.FINANCE, "ordered", {"receive", "cancel"}),
        (Role.APPROVER, "ordered", set()),
        (Role.FINANCE, "received", {"invoice"}),
        (Role.APPROVER, "invoiced", {"pay"}),
        (Role.LEAD, "paid", set()),
    ],
)
async def test_a_purchase_offers_its_next_step(
    browser: "Browser", role: Role, state: str, steps: set[str]
) -> None:
    await browser.sign_in(role)
    page = (await browser.get(f"/money/purchases/{number(f'purchase {state}')}")).text
    assert set(re.findall(r'action="/money/purchases/[0-9a-f-]+/([a-z]+)"', page)) == steps


async def test_a_bill_takes_other_prices_than_were_ordered(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get(f"/money/purchases/{number('purchase received')}")).text
    # Of goods only, and nothing is written there yet: then they cost what was ordered.
    assert re.findall(r'name="(price_[0-9]+)" value="([^"]*)"', page) == [("price_1", "")]
    assert " by the invoice</b>" not in page
    billed = purchase("invoiced")
    lines: list[dict[str, object]] = billed["lines"]  # type: ignore[assignment]
    lines[0]["billed_unit_minor"] = 2_300_050
    path = f"/purchases/{billed['id']}"
    browser.desk.region.answers[f"GET /v1{path}"] = (200, billed)
    page = (await browser.get(f"/money{path}")).text
    assert re.findall(r'name="(price_[0-9]+)" value="([^"]*)"', page) == [("price_1", "23000.50")]
    assert "23,000.50 by the invoice</b>" in page
    # What was typed stays where the form is refused.
    sent = {"amount": "no", "currency": "UAH", "reference": "R", "price_1": "24 000"}
    page = (await browser.post(f"/money{path}/correct-bill", **sent)).text
    assert 'id="right-price_1" name="price_1" value="24 000"' in page
    # So do the prices of the bill where another step is.
    browser.desk.region.answers[f"POST /v1{path}:pay"] = (
        409,
        {"type": "urn:aidmesh:problem:second-person-needed"},
    )
    page = (await browser.post(f"/money{path}/pay", bank_reference="B", paid_on="2024-04-02")).text
    assert 'id="right-price_1" name="price_1" value="23000.50"' in page


@pytest.mark.parametrize(("role", "may_keep"), [(Role.FINANCE, False), (Role.LEAD, True)])
async def test_a_purchase_shows_the_lots_that_came_of_it_and_their_price(
    browser: "Browser", role: Role, may_keep: bool
) -> None:
    path = f"/money/purchases/{number('purchase received')}"
    lots = [f"/stock/lots/{number(f'lot bought {each}')}" for each in "ab"]
    await browser.sign_in(role)
    page = (await browser.get(path)).text
    assert "Laptop · S-17" in page
    # Of both, also of the one that is all handed out, and which is not as it was bought.
    assert re.findall(r"UAH\s?(21,000|22,500)(?:</td>| <span)", page)[-2:] == ["22,500", "21,000"]
    assert re.findall(r"the purchase says UAH\s?([0-9,]+)", page) == ["22,500"]
    # The pages of lots are for those who keep stock.
    receive = f"/stock?purchase={number('purchase received')}"
    assert re.findall(r'href="(/stock[^"]+)"', page) == ([*lots, receive] if may_keep else [])
    for state in ("draft", "paid"):
        page = (await browser.get(f"/money/purchases/{number(f'purchase {state}')}")).text
        assert "What came of it" not in page
        assert ("/stock?purchase=" in page) is (state == "paid" and may_keep)


async def test_more_lots_of_a_purchase_follow_and_without_inventory_the_rest_is_shown(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.FINANCE)
    path = f"/purchases/{number('purchase received')}"
    lots = f"/v1{path}/lots"
    browser.desk.region.more[lots] = "next-lots"
    page = (await browser.get(f"/money{path}")).text
    assert 'href="?lots=next-lots"' in page
    await browser.get(f"/money{path}?lots=next-lots")
    asked = [query.get("after") for called, query in browser.desk.region.gets if called == lots]
    assert asked[-2:] == [None, "next-lots"]
    browser.desk.region.answers[f"GET {lots}"] = problem(503, "unavailable")
    page = (await browser.get(f"/money{path}")).text
    assert "What came of it" not in page
    assert 'class="notice warn"' in page
    assert "/invoice" in page


async def test_goods_of_a_canceled_purchase_are_ordered_again(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    came = purchase("ordered") | {"state": "draft"}
    path = f"/purchases/{came['id']}"
    browser.desk.region.answers[f"GET /v1{path}"] = (200, came)
    page = (await browser.get(f"/money{path}")).text
    assert "It was canceled, and goods came all the same" in page
    assert set(re.findall(r'action="/money/purchases/[0-9a-f-]+/([a-z]+)"', page)) == {"order"}
    page = (await browser.get(f"/money/purchases/{number('purchase draft')}")).text
    assert "It was canceled" not in page


@pytest.mark.parametrize("state", ["received", "invoiced"])
async def test_what_did_not_come_is_given_up_for_a_reason(browser: "Browser", state: str) -> None:
    await browser.sign_in(Role.FINANCE)
    path = f"purchases/{number(f'purchase {state}')}"
    shown = purchase(state)
    assert isinstance(shown["lines"], list)
    lines = [{**each, "received": 0} for each in shown["lines"]]
    browser.desk.region.answers[f"GET /v1/{path}"] = (200, {**shown, "lines": lines})
    page = (await browser.get(f"/money/{path}")).text
    assert '<option value="not_happened"' in form_of(page, f"/money/{path}/cancel")
    wrong = await browser.post(f"/money/{path}/cancel", reason="because")
    assert (wrong.status_code, browser.desk.region.posts) == (422, [])
    await browser.post(f"/money/{path}/cancel", reason="not_happened")
    ((called, body, _),) = browser.desk.region.posts
    assert (called, body) == (f"/v1/{path}:cancel", {"reason": "not_happened"})


async def test_a_grant_adds_up_what_its_holders_have(browser: "Browser") -> None:
    await browser.sign_in(Role.APPROVER)
    page = (await browser.get(f"/money/grants/{number('qn')}")).text
    # 1,800,000 and 200,000 hryvnias were spent in Kyiv and Lviv.
    assert "<dt>Spent</dt><dd>UAH\u00a02,000,000</dd>" in page
    assert "SN-0017" in page
    assert "Allot money" not in page


TABLE = f'number;reference\n{PAYOUT}\tB-1\n\n{NEED}; "B 2"\n'


def test_a_pasted_table_is_read_line_by_line() -> None:
    assert table_of(TABLE) == ([Paid(2, PAYOUT, "B-1"), Paid(4, NEED, "B 2")], [])
    assert table_of(f"{PAYOUT} B-1\nB-2 {NEED}\n{NEED}\n{NEED} {'x' * 141}") == (
        [Paid(1, PAYOUT, "B-1")],
        [2, 3, 4],
    )


@pytest.mark.parametrize("heading", ["payout;reference", "номер виплати\tбанк", "Beleg, Betrag"])
def test_a_table_may_have_a_heading_of_words(heading: str) -> None:
    assert table_of(f"{heading}\n{PAYOUT} B-1") == ([Paid(2, PAYOUT, "B-1")], [])


@pytest.mark.parametrize("number", ["9F9C833E", "ABCDEFAB", str(PAYOUT)[:-1], "12"])
def test_a_short_number_in_the_first_line_is_no_heading(number: str) -> None:
    assert table_of(f"{number} B-1\n{PAYOUT} B-2") == ([Paid(2, PAYOUT, "B-2")], [1])


@pytest.mark.parametrize(("by", "field"), [("payout", "payout_id"), ("need", "need_id")])
async def test_many_are_settled_by_a_table(browser: "Browser", by: str, field: str) -> None:
    await browser.sign_in(Role.FINANCE)
    answer = await browser.post(
        "/money/settle", key=KEY, table=TABLE, by=by, served_on="2024-04-02"
    )
    assert answer.headers["location"] == "/money?said=payouts_settled"
    ((path, body, headers),) = browser.desk.region.posts
    assert path == "/v1/payouts:settle"
    assert headers["idempotency-key"] == KEY
    assert body["rows"] == [
        {"row_id": f"{each}/{reference}", field: str(each), "bank_reference": reference,
         "served_on": "2024-04-02"}
        for each, reference in ((PAYOUT, "B-1"), (NEED, "B 2"))
    ]  # fmt: skip


async def test_a_table_with_a_wrong_line_settles_nothing(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    answer = await browser.post("/money/settle", table=f"{PAYOUT} B-1\nnonsense\n")
    assert answer.status_code == 422
    assert "These lines make no sense: 2" in answer.text
    assert "nonsense" in answer.text
    assert browser.desk.region.posts == []


async def test_refused_lines_of_a_table_are_named(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    rows = [
        {"row": 0, "status": "done"},
        {"row": 1, "status": "rejected", "problem": "wrong-state"},
    ]
    browser.desk.region.answers["POST /v1/payouts:settle"] = (200, {"rows": rows})
    answer = await browser.post("/money/settle", table=TABLE)
    assert answer.status_code == 409
    assert f"Line 4: {NEED.hex[:8].upper()}" in answer.text


async def test_every_queue_of_payouts_has_a_next_page(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    states = ["draft", "approved", "exported", "accepted", "rejected", "returned"]
    browser.desk.region.more = {f"/v1/payouts?{state}": f"c-{state}" for state in states}
    reviews = {"payouts": [PAID_ALONE], "next": "c-reviews"}
    browser.desk.region.answers["GET /v1/payouts/reviews"] = (200, reviews)
    page = (await browser.get("/money")).text
    for state in [*states, "reviews"]:
        assert f'href="?{state}=c-{state}"' in page
    browser.desk.region.gets.clear()
    page = (await browser.get("/money?accepted=c-1&draft=c-2")).text
    assert 'href="?draft=c-2&amp;accepted=c-accepted"' in page
    after = {
        query["state"]: query.get("after")
        for path, query in browser.desk.region.gets
        if path == "/v1/payouts"
    }
    assert after == dict.fromkeys(states) | {"accepted": "c-1", "draft": "c-2"}


async def test_what_was_entered_as_given_is_told_from_what_was_paid(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    reviews = {
        "payouts": [PAID_ALONE, {**PAID_ALONE, "id": str(NEED), "given": True}],
        "next": None,
    }
    browser.desk.region.answers["GET /v1/payouts/reviews"] = (200, reviews)
    page = (await browser.get("/money")).text
    assert page.count("entered as already given</span>") == 1
    assert f'action="/money/review/{NEED}"' in page
