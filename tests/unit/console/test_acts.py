"""What forms do: the right call, once, and what is told when it does not work."""

import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from support.made_up.basics import WAREHOUSE, iso, number, problem
from support.made_up.needs import NEEDS

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
    ("/needs/{need}/choose", {}, "/v1/needs/{need}:choose", {}),
    ("/needs/{need}/unchoose", {}, "/v1/needs/{need}:unchoose", {}),
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
     "/v1/purchases/{purchase}:invoice",
     {"amount_minor": 9600000, "reference": "R-7", "prices": []}),
    ("/money/purchases/{purchase}/invoice",
     {"amount": "96000", "currency": "UAH", "reference": "R-7", "price_1": "23 000,50",
      "price_10": "7", "price_2": "", "price_3": "0,00"},
     "/v1/purchases/{purchase}:invoice",
     {"amount_minor": 9600000, "reference": "R-7", "prices": [
         {"line": 1, "unit_value_minor": 2300050}, {"line": 3, "unit_value_minor": 0},
         {"line": 10, "unit_value_minor": 700}]}),
    ("/money/purchases/{purchase}/pay", {"bank_reference": "B-7", "paid_on": "2024-04-02"},
     "/v1/purchases/{purchase}:pay", {"bank_reference": "B-7", "paid_on": "2024-04-02"}),
    ("/money/purchases/{purchase}/correct-bill",
     {"amount": "95000", "currency": "UAH", "reference": "R-8", "reason": "entry_error"},
     "/v1/purchases/{purchase}:correct-bill",
     {"amount_minor": 9500000, "reference": "R-8", "reason": "entry_error", "prices": []}),
    ("/money/purchases/{purchase}/reverse-payment", {"reason": "entry_error"},
     "/v1/purchases/{purchase}:reverse-payment", {"reason": "entry_error"}),
    ("/money/purchases/{purchase}/reverse-payment",
     {"reason": "paid_back", "came_back_on": "2024-05-02"},
     "/v1/purchases/{purchase}:reverse-payment",
     {"reason": "paid_back", "came_back_on": "2024-05-02"}),
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
    ("/money/{payout}/reject", {"reason": "AC04"}, "/v1/payouts/{payout}:reject",
     {"reason": "AC04"}),
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


async def test_what_intake_refuses_is_marked_where_it_stands(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["POST /v1/requests"] = problem(
        422, "invalid", errors=[{"field": "body.needs.0.payee", "rule": "iban_check_digits"}]
    )
    answer = await browser.post(
        "/register", client_code="КИ-9", place_area="UA80", need_financial_aid="1",
        payee_name_financial_aid="Олена К.", payee_account_financial_aid="UA123",
    )  # fmt: skip
    assert answer.status_code == 422
    assert "Choose at least one need" not in answer.text
    field = answer.text.partition('id="f-payee_account_financial_aid"')[2].partition("</div>")[0]
    assert 'aria-invalid="true"' in field
    assert "This IBAN has a typing error" in field


@pytest.mark.parametrize("name", ["birth_year", "household_code", "contact_address", "note"])
async def test_what_is_wrong_is_not_hidden(browser: "Browser", name: str) -> None:
    await browser.sign_in(Role.CASEWORKER)
    field = {"note": "note", "contact_address": "person.contact"}
    browser.desk.region.answers["POST /v1/requests"] = problem(
        422,
        "invalid",
        errors=[{"field": f"body.{field.get(name, f'person.{name}')}", "rule": "string_too_long"}],
    )
    fields = {"note": "чекає"} if name == "note" else {}
    answer = await browser.post(
        "/register", client_code="КИ-9", place_area="UA80", need_food_parcel="1", **fields
    )
    assert answer.status_code == 422
    inside = answer.text.partition(f'id="fault-{name}"')
    assert inside[1]
    assert re.findall(r"<details[^>]*>", inside[0])[-1].endswith(" open>")


async def test_a_form_that_is_too_long_is_a_page(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post("/register", language="uk", note="н" * 200_000)
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("text/html")
    assert "Це задовге" in answer.text
    assert "content-security-policy" in answer.headers


OTHERS: dict[str, str] = {
    "key": KEY, "client_code": "КИ-0417 ", "chosen_name": "Олег", "birth_year": "1960",
    "place_area": "UA80", "need_food_parcel": "1", "note": "чекає біля входу",
}  # fmt: skip


async def test_a_code_of_somebody_else_stops_the_form(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post("/register", **OTHERS)
    assert answer.status_code == 409
    assert [path for path, _, _ in browser.desk.region.posts] == ["/v1/persons:find"]
    assert "nothing was entered yet" in answer.text
    assert "<li>Chosen name</li><li>Year of birth</li>" in answer.text
    # What is known of the other is not shown, what was typed is kept.
    assert "Саша" not in answer.text
    for text in ("Олег", "1960", "чекає біля входу"):
        assert text in answer.text
    assert 'id="need_food_parcel" checked' in answer.text
    browser.desk.region.posts.clear()
    wrong = await browser.post("/register", same_as=str(number("somebody else")), **OTHERS)
    assert wrong.status_code == 409
    browser.desk.region.posts.clear()
    entered = await browser.post("/register", same_as=str(number("person")), **OTHERS)
    assert entered.status_code == 303
    _, (path, _, headers) = browser.desk.region.posts
    assert path == "/v1/requests"
    assert headers["idempotency-key"] == KEY


@pytest.mark.parametrize(
    "fields", [{}, {"chosen_name": "саша", "contact_address": "+380500000000"}]
)
async def test_a_known_code_with_nothing_else_said_is_entered(
    browser: "Browser", fields: dict[str, str]
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    sent = {"client_code": "КИ-0417", "place_area": "UA80", "need_food_parcel": "1", **fields}
    assert (await browser.post("/register", **sent)).status_code == 303
    # Nobody is looked at where there is nothing to compare.
    looked = f"/v1/persons/{number('person')}" in dict(browser.desk.region.gets)
    assert looked == bool(fields)


async def test_a_new_code_is_entered_with_what_is_said(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    browser.desk.region.answers["POST /v1/persons:find"] = problem(404, "not-found")
    assert (await browser.post("/register", **OTHERS)).status_code == 303


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
    for minutes, said in (("0", "too small"), ("1441", "too large")):
        answer = await browser.post("/stock/new/slots", minutes=minutes)
        assert answer.status_code == 422
        assert f"This number is {said}" in answer.text
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
        (
            f"/money/purchases/{number('purchase received')}/invoice",
            {"amount": "1", "reference": "R", "price_1": "dear"},
        ),
        (f"/money/purchases/{number('purchase invoiced')}/pay", {}),
        (f"/money/purchases/{number('purchase paid')}/reverse-payment", {"reason": "because"}),
        (
            f"/money/purchases/{number('purchase paid')}/reverse-payment",
            {"reason": "entry_error", "came_back_on": "2024-05-02"},
        ),
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


async def test_a_limit_asks_for_a_reason(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    need = number("aid")
    browser.desk.region.answers[f"POST /v1/needs/{need}:approve"] = problem(
        409, "needs-a-decision", rule="limit"
    )
    answer = await browser.post(f"/needs/{need}/approve")
    assert answer.status_code == 409
    assert 'name="override_reason"' in answer.text


async def test_a_waiting_need_is_asked_for_again(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    for row in NEEDS:
        page = (await browser.get(f"/needs/{row['need_id']}")).text
        assert ("Ask again" in page) == (row["state"] == "waitlisted"), row["state"]


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
