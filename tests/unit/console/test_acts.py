"""What forms do: the right call, once, and what is told when it does not work."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.clients.payments import Paid
from aidmesh_console.pages.money import table_of
from support.desk import NEEDS, SMALL, WAREHOUSE, iso, number, problem, reservation

if TYPE_CHECKING:
    from .conftest import Browser

KEY = "6f1f3a44-6dc3-4c8e-9d52-0f7a4f0c2f11"
RESERVATION = number("reservation parcel")
NEED = number("parcel")
PAYOUT = number("draft 0")

CASES = [
    ("/told/{need}", {}, "/v1/needs/{need}:told", {}),
    ("/needs/{need}/approve", {}, "/v1/needs/{need}:approve", {}),
    ("/needs/{need}/approve", {"override_reason": "danger"}, "/v1/needs/{need}:approve",
     {"override_reason": "danger"}),
    ("/needs/{need}/told", {}, "/v1/needs/{need}:told", {}),
    ("/needs/{need}/cancel", {"reason": "not_needed"}, "/v1/needs/{need}:cancel",
     {"reason": "not_needed"}),
    ("/needs/{need}/decline", {"reason": "duplicate"}, "/v1/needs/{need}:decline",
     {"reason": "duplicate"}),
    ("/needs/{need}/settle", {"reason": "given_twice"}, "/v1/needs/{need}:settle",
     {"reason": "given_twice"}),
    ("/needs/{need}/serve", {"served_on": "2024-04-02"}, "/v1/needs/{need}:serve",
     {"served_on": "2024-04-02"}),
    ("/needs/{need}/move", {"place_area": "UA46"}, "/v1/needs/{need}:move",
     {"place_area": "UA46"}),
    ("/needs/{aid}/payee",
     {"mechanism_new": "iban", "payee_name_new": "Олена К.",
      "payee_account_new": "ua21 3223 1300 0002 6007 2335 6600 1"},
     "/v1/needs/{aid}:correct-payee",
     {"mechanism": "iban", "legal_name": "Олена К.", "iban": "UA213223130000026007233566001"}),
    ("/needs/{aid}/payee", {"mechanism_new": "cash", "payee_name_new": "Олена К."},
     "/v1/needs/{aid}:correct-payee", {"mechanism": "cash", "legal_name": "Олена К."}),
    ("/hand-over/{reservation}/handover", {"served_on": "2024-04-02"},
     "/v1/reservations/{reservation}:issue", {"served_on": "2024-04-02"}),
    ("/hand-over/{reservation}/handover", {"served_on": "2024-04-02", "prescription_seen": "1"},
     "/v1/reservations/{reservation}:issue",
     {"served_on": "2024-04-02", "prescription_seen_on": iso()}),
    ("/hand-over/{reservation}/check_in", {"served_on": "2024-04-02"},
     "/v1/reservations/{reservation}:check-in", {"served_on": "2024-04-02"}),
    ("/hand-over/{reservation}/attendance", {"served_on": "2024-04-02"},
     "/v1/reservations/{reservation}:attend", {"served_on": "2024-04-02"}),
    ("/hand-over/{reservation}/undo", {"reason": "wrong_person"},
     "/v1/reservations/{reservation}:undo", {"reason": "wrong_person"}),
    ("/hand-over/{reservation}/handover",
     {"served_on": "2024-04-02", "numbered": "1", "to_site_id": str(WAREHOUSE),
      "serials": "SN-1\n\n SN-2 "},
     "/v1/reservations/{reservation}:issue",
     {"served_on": "2024-04-02", "to_site_id": str(WAREHOUSE), "serials": ["SN-1", "SN-2"]}),
    ("/money/grants/{grant}/allot",
     {"budget_line": "aid", "to_region": "lviv", "amount": "1 200,50", "currency": "UAH",
      "rate": "41,25", "grant_currency": "EUR", "over_line_reason": "зима"},
     "/v1/allotments",
     {"grant_id": str(number("qn")), "budget_line": "aid", "to_region": "lviv",
      "amount_minor": 120050, "currency": "UAH", "rate": "41.25", "over_line_reason": "зима"}),
    ("/money/purchases",
     {"allotment_id": str(number("purse")), "supplier": "ТОВ", "programme": "centers",
      "cost_category": "equipment", "area": "UA80", "planned_on": "2024-04-02",
      "description_0": "Ноутбук", "item_0": "laptop", "quantity_0": "4", "price_0": "22500",
      "description_3": "Доставка", "quantity_3": "1", "price_3": "600,50"},
     "/v1/purchases",
     {"allotment_id": str(number("purse")), "supplier": "ТОВ", "programme": "centers",
      "cost_category": "equipment", "area": "UA80", "planned_on": "2024-04-02", "lines": [
          {"description": "Ноутбук", "item": "laptop", "quantity": 4,
           "unit_value_minor": 2250000},
          {"description": "Доставка", "quantity": 1, "unit_value_minor": 60050}]}),
    ("/money/purchases/{purchase}/order", {}, "/v1/purchases/{purchase}:order", {}),
    ("/money/purchases/{purchase}/receive", {}, "/v1/purchases/{purchase}:receive", {}),
    ("/money/purchases/{purchase}/invoice",
     {"amount": "96000", "currency": "UAH", "reference": "R-7"},
     "/v1/purchases/{purchase}:invoice", {"amount_minor": 9600000, "reference": "R-7"}),
    ("/money/purchases/{purchase}/pay", {"bank_reference": "B-7", "paid_on": "2024-04-02"},
     "/v1/purchases/{purchase}:pay", {"bank_reference": "B-7", "paid_on": "2024-04-02"}),
    ("/money/purchases/{purchase}/correct-bill",
     {"amount": "95000", "currency": "UAH", "reference": "R-8", "reason": "entry_error"},
     "/v1/purchases/{purchase}:correct-bill",
     {"amount_minor": 9500000, "reference": "R-8", "reason": "entry_error"}),
    ("/money/purchases/{purchase}/reverse-payment", {"reason": "entry_error"},
     "/v1/purchases/{purchase}:reverse-payment", {"reason": "entry_error"}),
    ("/money/purchases/{purchase}/cancel", {}, "/v1/purchases/{purchase}:cancel", {}),
    ("/money/questions/{need}/settle", {"note": "так", "allotment_id": str(number("purse"))},
     "/v1/discrepancies/{need}:settle",
     {"note": "так", "allotment_id": str(number("purse"))}),
    ("/money/questions/{need}/settle", {"note": "так"}, "/v1/discrepancies/{need}:settle",
     {"note": "так"}),
    ("/money/requests/{need}/approve", {}, "/v1/allotment-requests/{need}:approve", {}),
    ("/money/requests/{need}/refuse", {}, "/v1/allotment-requests/{need}:refuse", {}),
    ("/assets/{need}/move", {"to_site_id": str(WAREHOUSE), "reason": "broken"},
     "/v1/assets/{need}:move", {"site_id": str(WAREHOUSE), "reason": "broken"}),
    ("/assets/{need}/restore", {"reason": "found"}, "/v1/assets/{need}:restore",
     {"reason": "found"}),
    ("/stock/sites/{need}/correct", {"version": "3", "name": "Центр 2", "address": ""},
     "/v1/sites/{need}:correct", {"version": 3, "name": "Центр 2"}),
    ("/assets/{need}/end", {"status": "lost", "reason": "theft"},
     "/v1/assets/{need}:end", {"status": "lost", "reason": "theft"}),
    ("/beds/{reservation}/check-in", {"day": "2024-04-02"},
     "/v1/reservations/{reservation}:check-in", {"served_on": "2024-04-02"}),
    ("/beds/{reservation}/check-out", {"day": "2024-04-02"},
     "/v1/reservations/{reservation}:check-out", {"left_on": "2024-04-02"}),
    ("/beds/{reservation}/undo-check-out", {}, "/v1/reservations/{reservation}:undo-check-out",
     {"reason": "still_here"}),
    ("/beds/{reservation}/relocate", {}, "/v1/reservations/{reservation}:relocate", {}),
    ("/stock/receive",
     {"site_id": str(WAREHOUSE), "item": "food_parcel", "quantity": "40", "expiry": "2025-01-31",
      "received_on": "2024-04-02", "value": "350,50"},
     "/v1/receipts",
     {"site_id": str(WAREHOUSE), "received_on": "2024-04-02", "lines": [
         {"item": "food_parcel", "quantity": 40, "expiry": "2025-01-31",
          "unit_value_minor": 35050}]}),
    ("/stock/adjust", {"lot_id": str(number("lot a")), "counted": "0", "reason": "theft"},
     "/v1/adjustments", {"lot_id": str(number("lot a")), "kind": "count", "quantity": 0,
                         "reason": "theft"}),
    ("/stock/reverse", {"receipt_id": str(number("receipt a")), "reason": "wrong_item"},
     "/v1/receipts/" + str(number("receipt a")) + ":reverse", {"reason": "wrong_item"}),
    ("/stock/expiry", {"lot": str(number("lot a")) + " 3", "expiry": "2027-01-31"},
     "/v1/lots/" + str(number("lot a")) + ":correct",
     {"version": 3, "reason": "entry_error", "expiry": "2027-01-31"}),
    ("/stock/expiry", {"lot": str(number("lot a")) + " 3", "expiry": ""},
     "/v1/lots/" + str(number("lot a")) + ":correct",
     {"version": 3, "reason": "entry_error", "expiry": None}),
    ("/stock/items/food_parcel",
     {"version": "2", "name_uk": "Набір", "name_en": "Parcel", "name_de": "Paket",
      "prescription": "1"},
     "/v1/items/food_parcel:correct",
     {"version": 2, "names": {"uk": "Набір", "en": "Parcel", "de": "Paket"},
      "prescription": True}),
    ("/beds/retire", {"bed": str(number("bed 1"))},
     "/v1/beds/" + str(number("bed 1")) + ":retire", {}),
    ("/beds/restore", {"bed": str(number("bed 1"))},
     "/v1/beds/" + str(number("bed 1")) + ":restore", {}),
    ("/stock/settle/{need}", {"reason": "counted"}, "/v1/discrepancies/{need}:settle",
     {"reason": "counted"}),
    ("/stock/sites/{need}/close", {"reason": "air_alert", "keep": "keep"},
     "/v1/sites/{need}:close", {"reason": "air_alert", "keep": True}),
    ("/stock/sites/{need}/close", {"reason": "moved_out", "keep": "release"},
     "/v1/sites/{need}:close", {"reason": "moved_out", "keep": False}),
    ("/stock/sites/{need}/reopen", {"reason": "alert_over"}, "/v1/sites/{need}:reopen",
     {"reason": "alert_over"}),
    ("/stock/new/sites",
     {"code": "kyiv-9", "name": "Центр", "area": "UA80", "site_type": "center", "address": "вул."},
     "/v1/sites",
     {"code": "kyiv-9", "name": "Центр", "area": "UA80", "site_type": "center",
      "address": "вул."}),
    ("/stock/new/items",
     {"code": "soap", "name_uk": "Мило", "name_en": "Soap", "name_de": "Seife", "pack": "12",
      "tracking": "lot"},
     "/v1/items",
     {"code": "soap", "names": {"uk": "Мило", "en": "Soap", "de": "Seife"}, "pack": 12,
      "tracking": "lot", "prescription": False}),
    ("/stock/new/beds",
     {"site_id": str(WAREHOUSE), "label": "2-B", "room": "2", "code": "shelter"},
     "/v1/beds", {"site_id": str(WAREHOUSE), "label": "2-B", "room": "2", "code": "shelter"}),
    ("/stock/new/slots",
     {"site_id": str(WAREHOUSE), "code": "counseling", "professional": "psy-1",
      "starts_at": "2024-07-02T10:30", "minutes": "50", "seats": "1"},
     "/v1/slots",
     {"site_id": str(WAREHOUSE), "code": "counseling", "professional": "psy-1",
      "starts_at": "2024-07-02T10:30:00+03:00", "minutes": 50, "seats": 1}),
    ("/money/{payout}/not-collected", {}, "/v1/payouts/{payout}:not-collected", {}),
    ("/money/{payout}/redo", {}, "/v1/payouts/{payout}:redo", {}),
    ("/money/{payout}/give-up", {}, "/v1/payouts/{payout}:give-up", {}),
    ("/money/review/{payout}", {}, "/v1/payouts/{payout}:review", {}),
]  # fmt: skip


def _named(text: str) -> str:
    return text.format(
        need=NEED, aid=number("aid"), reservation=RESERVATION, payout=PAYOUT, grant=number("qn"),
        purchase=number("purchase draft"),
    )  # fmt: skip


@pytest.mark.parametrize(("path", "fields", "called", "body"), CASES)
async def test_a_form_makes_its_call_under_its_key(
    browser: "Browser", path: str, fields: dict[str, str], called: str, body: dict[str, object]
) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(_named(path), key=KEY, **fields)
    assert answer.status_code == 303, answer.text
    ((found, sent, headers),) = browser.desk.region.posts
    assert found == _named(called)
    assert sent == body
    assert headers["idempotency-key"] == KEY
    assert headers["authorization"].startswith("Bearer ")
    page = await browser.get(answer.headers["location"])
    assert page.status_code == 200
    assert 'class="notice" role="status"' in page.text


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


async def test_a_refused_row_is_told(browser: "Browser") -> None:
    await browser.sign_in(Role.APPROVER)
    row = {"row": 0, "status": "rejected", "problem": "second-person-needed"}
    browser.desk.region.answers["POST /v1/payouts:approve"] = (200, {"rows": [row]})
    answer = await browser.post("/money/approve", payout=str(PAYOUT))
    assert answer.status_code == 409
    assert "1 was not accepted. A second person is needed" in answer.text


async def test_registering_sends_the_form_once(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = await browser.get("/register")
    found = re.search(r'name="key" value="([0-9a-f-]{36})"', page.text)
    assert found is not None
    fields = {"key": found[1], "client_code": "КИ-9", "place_area": "UA80", "need_food_parcel": "1"}
    first = await browser.post("/register", **fields)
    second = await browser.post("/register", **fields)
    assert first.status_code == second.status_code == 303
    assert "КИ" not in first.headers["location"]
    (_, one, head), (_, two, again) = browser.desk.region.posts
    assert one == two
    assert head["idempotency-key"] == again["idempotency-key"] == found[1]


async def test_without_an_answer_the_form_keeps_its_key(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["POST /v1/requests"] = (503, {})
    fields = {"key": KEY, "client_code": "КИ-9", "place_area": "UA80", "need_food_parcel": "1"}
    answer = await browser.post("/register", **fields)
    assert answer.status_code == 503
    assert f'name="key" value="{KEY}"' in answer.text
    assert 'value="КИ-9"' in answer.text
    assert "it will not count twice" in answer.text


async def test_a_refused_form_gets_a_new_key_and_names_the_field(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["POST /v1/requests"] = problem(
        422, "invalid-request", errors=[{"field": "body.person.birth_year", "rule": "int"}]
    )
    fields = {"key": KEY, "client_code": "КИ-9", "place_area": "UA80", "need_food_parcel": "1"}
    answer = await browser.post("/register", **fields)
    assert answer.status_code == 422
    assert KEY not in answer.text
    assert "Some fields are not acceptable" in answer.text


async def test_mistakes_are_named_before_anything_is_sent(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    answer = await browser.post("/stock/receive", quantity="many", item="food_parcel")
    assert answer.status_code == 422
    assert "A whole number, please" in answer.text
    assert 'value="many"' in answer.text
    answer = await browser.post(f"/hand-over/{RESERVATION}/undo", reason="because")
    assert answer.status_code == 422
    assert browser.desk.region.posts == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (
            "/stock/new/sites",
            {"code": "Київ 9", "name": "x", "area": "UA80", "site_type": "center"},
        ),
        ("/stock/new/items", {"code": "soap", "name_uk": "Мило", "tracking": "lot"}),
        ("/stock/new/slots", {"starts_at": "soon"}),
        (f"/stock/sites/{WAREHOUSE}/close", {"reason": "air_alert"}),
        (f"/stock/sites/{WAREHOUSE}/reopen", {"reason": "because"}),
        (f"/stock/settle/{NEED}", {}),
        (f"/needs/{number('aid')}/payee", {"payee_account_new": "UA21"}),
        (f"/needs/{number('aid')}/payee", {}),
        (
            f"/money/grants/{number('qn')}/allot",
            {"budget_line": "aid", "to_region": "lviv", "amount": "many", "currency": "UAH"},
        ),
        (
            f"/money/grants/{number('qn')}/allot",
            {
                "budget_line": "aid",
                "to_region": "lviv",
                "amount": "1",
                "currency": "UAH",
                "rate": "dear",
            },
        ),
        ("/money/purchases", {"allotment_id": str(NEED), "supplier": "x"}),
        (f"/money/purchases/{number('purchase received')}/invoice", {"reference": "R"}),
        (f"/money/purchases/{number('purchase invoiced')}/pay", {}),
        (f"/money/purchases/{number('purchase paid')}/reverse-payment", {"reason": "because"}),
        (f"/money/questions/{NEED}/settle", {}),
        (f"/assets/{NEED}/move", {"reason": "broken"}),
        (f"/assets/{NEED}/end", {"status": "in_use", "reason": "broken"}),
    ],
)
async def test_what_makes_no_sense_is_not_sent(
    browser: "Browser", path: str, fields: dict[str, str]
) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(path, **fields)
    assert answer.status_code == 422
    sent = [called for called, _, _ in browser.desk.region.posts]
    assert [called for called in sent if not called.endswith(":lookup")] == []


async def test_a_payee_is_corrected_where_somebody_is_paid(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"/needs/{number('aid')}")).text
    assert f'action="/needs/{number("aid")}/payee"' in page
    assert "/payee" not in (await browser.get(f"/needs/{NEED}")).text
    browser.desk.region.answers[f"POST /v1/needs/{number('aid')}:correct-payee"] = problem(
        422, "invalid-request", errors=[{"field": "body.iban", "rule": "iban_check_digits"}]
    )
    answer = await browser.post(
        f"/needs/{number('aid')}/payee",
        mechanism_new="iban",
        payee_name_new="Олена К.",
        payee_account_new="UA2132",
    )
    assert answer.status_code == 409
    # What was typed is still there to be put right.
    assert 'value="UA2132"' in answer.text
    assert "Some fields are not acceptable" in answer.text


async def test_only_cash_is_not_collected_and_what_is_listed_can_be_settled(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get("/money")).text
    cash, bank = number("exported 0"), number("exported 1")
    for payout_id in (cash, bank, number("approved 1")):
        assert f'action="/money/settle/{payout_id}"' in page
    assert f'action="/money/{cash}/not-collected"' in page
    assert f'action="/money/{bank}/not-collected"' not in page


async def test_a_limit_asks_for_a_reason(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    need = number("aid")
    browser.desk.region.answers[f"POST /v1/needs/{need}:approve"] = problem(
        409, "needs-a-decision", rule="limit"
    )
    answer = await browser.post(f"/needs/{need}/approve")
    assert answer.status_code == 409
    assert 'name="override_reason"' in answer.text


@pytest.mark.parametrize("wanted", ["КИ-0417", str(NEED), NEED.hex[:8].upper(), NEED.hex[:8]])
async def test_what_is_ready_is_found_by_code_or_number(browser: "Browser", wanted: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post("/hand-over/find", wanted=wanted)
    assert answer.status_code == 200
    assert f"/hand-over/{RESERVATION}/handover" in answer.text
    assert all(wanted not in path for path, _ in browser.desk.region.gets)


async def test_things_with_serial_numbers_ask_for_them_and_the_center(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    page = (await browser.get("/hand-over")).text
    laptops = number("reservation laptops")
    form = page.partition(f'action="/hand-over/{laptops}/handover"')[2].partition("</form>")[0]
    assert 'name="serials"' in form
    assert 'name="to_site_id" required' in form
    assert "at most 2" in form
    assert f'<option value="{SMALL}" selected>' in form  # where they were asked for
    parcel = page.partition(f'action="/hand-over/{RESERVATION}/handover"')[2]
    assert "serials" not in parcel.partition("</form>")[0]
    browser.desk.region.answers[f"POST /v1/reservations/{laptops}:issue"] = problem(
        422, "serials-do-not-fit"
    )
    for center, serials, status, said in (
        ("", "", 422, "Fill this in"),
        (str(WAREHOUSE), "x" * 65, 422, "too long"),
        (str(WAREHOUSE), "SN-1\nSN-1", 409, "do not fit"),
    ):
        answer = await browser.post(
            f"/hand-over/{laptops}/handover", numbered="1", to_site_id=center, serials=serials
        )
        assert answer.status_code == status
        assert said in answer.text
        assert f'action="/hand-over/{laptops}/handover"' in answer.text
        assert f">{serials}</textarea>" in answer.text


async def test_a_number_is_looked_up_where_all_are(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["GET /v1/reservations"] = (200, {"rows": []})
    answer = await browser.post("/hand-over/find", wanted=NEED.hex[:8])
    assert f"/hand-over/{RESERVATION}/handover" in answer.text
    looked_up = [body for path, body, _ in browser.desk.region.posts if path.endswith(":lookup")]
    assert looked_up == [{"need_number": NEED.hex[:8]}]


async def test_a_waiting_need_is_asked_for_again(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    for row in NEEDS:
        page = (await browser.get(f"/needs/{row['need_id']}")).text
        assert ("Ask again" in page) == (row["state"] == "waitlisted"), row["state"]


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


async def test_a_grant_adds_up_what_its_holders_have(browser: "Browser") -> None:
    await browser.sign_in(Role.APPROVER)
    page = (await browser.get(f"/money/grants/{number('qn')}")).text
    # 1,800,000 and 200,000 hryvnias were spent in Kyiv and Lviv.
    assert "<dt>Spent</dt><dd>UAH\u00a02,000,000</dd>" in page
    assert "SN-0017" in page
    assert "Allot money" not in page


async def test_an_unknown_code_finds_nothing(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["POST /v1/persons:find"] = problem(404, "not-found")
    answer = await browser.post("/hand-over/find", wanted="КИ-0000")
    assert "Nothing is ready under this code or number" in answer.text
    answer = await browser.post("/register/find", client_code="КИ-0000", need_food_parcel="1")
    assert "This code is new" in answer.text
    assert re.search(r'id="need_food_parcel" checked', answer.text)


async def test_undo_is_offered_after_handing_over(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post(f"/hand-over/{RESERVATION}/handover", key=KEY)
    page = await browser.get(answer.headers["location"])
    assert f'action="/hand-over/{RESERVATION}/undo"' in page.text


@pytest.mark.parametrize(
    ("role", "path"),
    [
        (Role.CASEWORKER, "/stock/receive"),
        (Role.CASEWORKER, "/stock/new/sites"),
        (Role.CASEWORKER, f"/stock/sites/{WAREHOUSE}/close"),
        (Role.CASEWORKER, "/money/approve"),
        (Role.FINANCE, "/money/approve"),
        (Role.APPROVER, f"/money/{PAYOUT}/redo"),
        (Role.CASEWORKER, "/money/settle"),
        (Role.FINANCE, "/hand-over/many"),
        (Role.LOGISTICIAN, "/register"),
        (Role.ONCALL, f"/beds/{RESERVATION}/check-in"),
        (Role.CASEWORKER, "/beds/retire"),
        (Role.CASEWORKER, "/stock/expiry"),
        (Role.CASEWORKER, "/stock/reverse"),
        (Role.CASEWORKER, "/stock/items/food_parcel"),
        (Role.LOGISTICIAN, f"/needs/{NEED}/approve"),
        (Role.APPROVER, f"/money/grants/{number('qn')}/allot"),
        (Role.APPROVER, "/money/purchases"),
        (Role.APPROVER, f"/money/purchases/{number('purchase draft')}/cancel"),
        (Role.LOGISTICIAN, f"/money/purchases/{number('purchase draft')}/order"),
        (Role.FINANCE, f"/money/questions/{NEED}/settle"),
        (Role.FINANCE, f"/money/requests/{NEED}/approve"),
        (Role.CASEWORKER, f"/assets/{NEED}/move"),
        (Role.FINANCE, f"/assets/{NEED}/end"),
    ],
)
async def test_a_role_cannot_send_the_forms_of_others(
    browser: "Browser", role: Role, path: str
) -> None:
    await browser.sign_in(role)
    answer = await browser.post(path, key=KEY)
    assert answer.status_code == 403
    assert browser.desk.region.posts == []


async def test_many_are_handed_over_in_one_call(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    chosen = [str(RESERVATION), str(number("reservation other"))]
    browser.desk.region.answers["POST /v1/handovers:bulk"] = (200, {"rows": [
        {"row": 0, "status": "done"}, {"row": 1, "status": "skipped"}]})  # fmt: skip
    answer = await browser.http.post(
        "/hand-over/many",
        data={"proof": browser.proof, "key": KEY, "reservation": [*chosen, chosen[0]],
              "served_on": "2024-04-02", "site": str(WAREHOUSE)},
    )  # fmt: skip
    assert answer.headers["location"] == f"/hand-over?said=handed_over_many&site={WAREHOUSE}"
    ((path, body, headers),) = browser.desk.region.posts
    assert path == "/v1/handovers:bulk"
    assert headers["idempotency-key"] == KEY
    assert body["rows"] == [
        {"row_id": f"{KEY}/{each}", "reservation_id": each, "served_on": "2024-04-02"}
        for each in chosen
    ]


async def test_goods_are_ticked_at_a_chosen_site_only(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    two = [reservation(name, "handover") for name in ("a", "b")]
    hormones = reservation("c", "handover", allocations=[
        {"lot_id": str(number("lot c")), "item": "hormone_pack", "quantity": 1}])  # fmt: skip
    visit = reservation("visit", "attendance")
    browser.desk.region.answers["GET /v1/reservations"] = (200, {"rows": [*two, hormones, visit]})
    page = await browser.get(f"/hand-over?site={WAREHOUSE}")
    ticked = re.findall(r'form="many" name="reservation" value="([^"]+)"', page.text)
    assert ticked == [each["reservation_id"] for each in two]
    # A prescription is looked at one by one.
    assert page.text.count('name="prescription_seen"') == 1
    assert 'form="many"' not in (await browser.get("/hand-over")).text


async def test_what_of_many_was_refused_is_told(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    none = await browser.post("/hand-over/many", site=str(WAREHOUSE))
    assert none.status_code == 422
    row = {"row": 0, "status": "rejected", "problem": "already-issued"}
    browser.desk.region.answers["POST /v1/handovers:bulk"] = (200, {"rows": [row]})
    answer = await browser.post("/hand-over/many", reservation=str(RESERVATION))
    assert answer.status_code == 409
    assert "1 was not accepted. It was handed out already" in answer.text


TABLE = f'number;reference\n{PAYOUT}\tB-1\n\n{NEED}; "B 2"\n'


def test_a_pasted_table_is_read_line_by_line() -> None:
    assert table_of(TABLE) == ([Paid(2, PAYOUT, "B-1"), Paid(4, NEED, "B 2")], [])
    assert table_of(f"{PAYOUT} B-1\nB-2 {NEED}\n{NEED}\n{NEED} {'x' * 141}") == (
        [Paid(1, PAYOUT, "B-1")],
        [2, 3, 4],
    )


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


async def test_a_retired_bed_is_not_shown_as_free(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    bed = {"bed_id": str(number("bed old")), "label": "9-Z", "room": "9", "code": "shelter",
           "status": "retired", "nights": ["free"] * 14, "bookings": []}  # fmt: skip
    browser.desk.region.answers["GET /v1/beds"] = (200, {"beds": [bed], "next": None})
    page = (await browser.get(f"/beds?site={number('shelter')}")).text
    assert "9-Z" not in page.split('id="restore-bed"')[0]
    assert f'<option value="{bed["bed_id"]}">9-Z' in page


async def test_overdue_check_outs_are_shown_with_what_to_say_of_them(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"/beds?site={number('shelter')}", "en")).text
    section = page.split('<section class="card" id="gone">')[1].split("</section>")[0]
    assert section.count('/check-out"') == 2
    # Only who was checked out by the clock can turn out to be still there.
    assert section.count('/undo-check-out"') == section.count("checked out by the clock") == 1
