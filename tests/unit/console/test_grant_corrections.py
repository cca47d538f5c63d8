"""What was entered wrong of grants and of donated goods is put right at the desk."""

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import Speaker
from aidmesh_contracts.ids import GrantId
from aidmesh_payments.domain.grants import Grant, GrantStatus, change_status
from support.desk import main_of
from support.made_up.basics import iso, number, problem
from support.made_up.money import GRANT
from support.made_up.supply import LOTS
from unit.console.test_corrections import form_of, written

if TYPE_CHECKING:
    from unit.console.conftest import Browser

KEY = str(number("key"))
GRANT_ID = number("qn")
PAGE = f"/money/grants/{GRANT_ID}"
FIRST, SECOND = number("first"), number("second")
LOT = f"/stock/lots/{number('lot a')}"
TURNING = ("activate", "suspend", "resume", "close")
LOT_FORM = {
    "version": "3", "area_means": "stay", "currency": "UAH", "lot_currency": "UAH",
    "reason": "donor_changed",
}  # fmt: skip
AMEND = {"terms_version": "2", "amend_reason": "letter of 3 May"}
DEMAND = {"demand_amount": "1 200,50", "demand_on": "2024-05-03", "demand_reason": "audit"}
LESS = {
    "withdraw_demand_amount": "10", "withdraw_demand_on": "2024-05-04",
    "withdraw_demand_reason": "agreed",
}  # fmt: skip
REFUND = {"refund_amount": "5", "refund_on": "2024-05-05", "refund_bank_reference": "B-9"}
NOT_REFUNDED = {
    "reverse_refund_amount": "9", "reverse_refund_on": "2024-05-07",
    "reverse_refund_reason": "closed account",
}  # fmt: skip
DIFFERENCE = {
    "book_difference_amount": "12,50", "book_difference_on": "2024-05-06",
    "book_difference_reason": "statement",
}  # fmt: skip
CAME = {"came_amount": "5", "came_on": "2024-05-03", "came_reference": "B-1"}
CHOSEN = ("instalment", "paid_currency", "budget_line", "to_region", "currency")
ALLOT = {
    "budget_line": "aid", "to_region": "kyiv", "amount": "100", "currency": "UAH",
    "grant_currency": "EUR",
}  # fmt: skip


@pytest.mark.parametrize(
    ("role", "path", "fields", "called", "body", "said"),
    [
        (Role.LEAD, f"{PAGE}/amend", AMEND | {"new_amount": "260000", "line_aid": "210000,5",
                                              "line_overhead": "1", "period_to": "2027-01-31"},
         f"/v1/grants/{GRANT_ID}:amend",
         {"amount_minor": 26_000_000, "period_to": "2027-01-31", "reason": "letter of 3 May",
          "budget_lines": [{"code": "aid", "amount_minor": 21_000_050}], "terms_version": 2},
         "grant_amended"),
        (Role.LEAD, f"{PAGE}/amend", AMEND | {"period_to": "2027-01-31"},
         f"/v1/grants/{GRANT_ID}:amend",
         {"period_to": "2027-01-31", "reason": "letter of 3 May", "terms_version": 2},
         "grant_amended"),
        (Role.LEAD, f"{PAGE}/demand", DEMAND, f"/v1/grants/{GRANT_ID}:demand",
         {"amount_minor": 120_050, "on": "2024-05-03", "reason": "audit"}, "demand_entered"),
        (Role.LEAD, f"{PAGE}/withdraw-demand", LESS, f"/v1/grants/{GRANT_ID}:withdraw-demand",
         {"amount_minor": 1_000, "on": "2024-05-04", "reason": "agreed"}, "demand_lowered"),
        (Role.FINANCE, f"{PAGE}/refund", REFUND, f"/v1/grants/{GRANT_ID}:refund",
         {"amount_minor": 500, "on": "2024-05-05", "bank_reference": "B-9"}, "refunded"),
        (Role.LEAD, f"{PAGE}/reverse-refund", NOT_REFUNDED, f"/v1/grants/{GRANT_ID}:reverse-refund",
         {"amount_minor": 900, "on": "2024-05-07", "reason": "closed account"}, "refund_reversed"),
        (Role.FINANCE, f"{PAGE}/book-difference", DIFFERENCE | {"book_difference_way": "more"},
         f"/v1/grants/{GRANT_ID}:book-difference",
         {"loss_minor": 1_250, "on": "2024-05-06", "reason": "statement"}, "difference_booked"),
        (Role.FINANCE, f"{PAGE}/book-difference", DIFFERENCE | {"book_difference_way": "less"},
         f"/v1/grants/{GRANT_ID}:book-difference",
         {"loss_minor": -1_250, "on": "2024-05-06", "reason": "statement"}, "difference_booked"),
        (Role.LEAD, f"{PAGE}/instalments/{FIRST}/reverse", {"reason": "entry_error"},
         f"/v1/instalments/{FIRST}:reverse", {"reason": "entry_error"}, "instalment_reversed"),
        (Role.FINANCE, f"{PAGE}/instalments/{SECOND}/withdraw", {"reason": "not_happened"},
         f"/v1/instalments/{SECOND}:withdraw", {"reason": "not_happened"},
         "instalment_withdrawn"),
        (Role.LEAD, f"{PAGE}/activate", {}, f"/v1/grants/{GRANT_ID}:activate", {},
         "grant_activated"),
        (Role.LEAD, f"{PAGE}/suspend", {}, f"/v1/grants/{GRANT_ID}:suspend", {},
         "grant_suspended"),
        (Role.LEAD, f"{PAGE}/resume", {}, f"/v1/grants/{GRANT_ID}:resume", {}, "grant_resumed"),
        (Role.LEAD, f"{PAGE}/close", {}, f"/v1/grants/{GRANT_ID}:close", {}, "grant_closed"),
    ],
)  # fmt: skip
async def test_a_grant_is_put_right_step_by_step(
    browser: "Browser",
    role: Role,
    path: str,
    fields: dict[str, str],
    called: str,
    body: dict[str, object],
    said: str,
) -> None:
    await browser.sign_in(role)
    answer = await browser.post(path, key=KEY, **fields)
    assert answer.headers["location"] == f"{PAGE}?said={said}"
    ((posted, sent, headers),) = browser.desk.region.posts
    assert (posted, sent, headers["idempotency-key"]) == (called, body, KEY)
    assert 'role="status"' in (await browser.get(answer.headers["location"])).text


ROW = {"grant": GRANT["code"], "amount_minor": 10_000, "row_id": KEY}


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({"came_on": "2024-05-03", "came_reference": "B-1", "expected_on": "2024-05-01"},
         ROW | {"received_on": "2024-05-03", "bank_reference": "B-1"}),
        ({"instalment": str(SECOND), "came_on": "2024-05-03", "came_reference": "B-1"},
         ROW | {"instalment_id": str(SECOND), "received_on": "2024-05-03",
                "bank_reference": "B-1"}),
        ({"expected_on": "2024-06-01"}, ROW | {"expected_on": "2024-06-01"}),
        ({"came_on": "2024-05-03", "came_reference": "B-1", "paid_amount": "4 125,00",
          "paid_currency": "UAH"},
         ROW | {"received_on": "2024-05-03", "bank_reference": "B-1", "paid_minor": 412_500,
                "paid_currency": "UAH"}),
    ],
)  # fmt: skip
async def test_the_right_instalment_is_entered(
    browser: "Browser", fields: dict[str, str], row: dict[str, object]
) -> None:
    await browser.sign_in(Role.FINANCE)
    done = {"rows": [{"row": 0, "status": "done", "problem": None}]}
    browser.desk.region.answers["POST /v1/instalments:bulk"] = (200, done)
    path = f"{PAGE}/instalments"
    answer = await browser.post(path, key=KEY, came_amount="100", **fields)
    assert answer.headers["location"] == f"{PAGE}?said=instalment_entered"
    ((called, body, _),) = browser.desk.region.posts
    assert (called, body["rows"]) == ("/v1/instalments:bulk", [row])
    refused = {"rows": [{"row": 0, "status": "rejected", "problem": "wrong-state"}]}
    browser.desk.region.answers["POST /v1/instalments:bulk"] = (200, refused)
    answer = await browser.post(path, key=KEY, came_amount="100", **fields)
    assert answer.status_code == 409
    assert "It is in another state by now" in answer.text
    assert written(form_of(answer.text.replace(" novalidate", ""), path))["came_amount"] == "100"


@pytest.mark.parametrize(
    ("step", "fields", "wrong"),
    [
        ("amend", AMEND, "new_amount"),
        ("amend", AMEND | {"line_aid": "much"}, "line_aid"),
        ("amend", {"terms_version": "2", "new_amount": "5"}, "amend_reason"),
        ("demand", DEMAND | {"demand_amount": "0"}, "demand_amount"),
        ("withdraw-demand", LESS | {"withdraw_demand_reason": ""}, "withdraw_demand_reason"),
        ("refund", REFUND | {"refund_on": "May"}, "refund_on"),
        ("reverse-refund", NOT_REFUNDED | {"reverse_refund_reason": ""}, "reverse_refund_reason"),
        ("book-difference", DIFFERENCE, "book_difference_way"),
        ("instalments", CAME | {"paid_amount": "9"}, "paid_currency"),
        ("instalments", CAME | {"paid_currency": "USD"}, "paid_amount"),
        ("instalments", CAME | {"paid_currency": "EUR", "paid_amount": "9"}, "paid_currency"),
        (
            "instalments",
            CAME | {"paid_currency": "USD", "paid_amount": "9", "came_on": ""},
            "came_on",
        ),
        ("allot", ALLOT | {"rate_on": "2024-05-03"}, "rate"),
        ("allot", ALLOT | {"rate_source": "NBU"}, "rate"),
        ("instalments", {"came_amount": "5"}, "expected_on"),
        ("instalments", {"came_amount": "5", "instalment": str(SECOND)}, "came_on"),
        ("instalments", {"came_amount": "5", "came_on": "2024-05-03"}, "came_reference"),
    ],
)
async def test_what_makes_no_sense_is_named_where_it_was_typed(
    browser: "Browser", step: str, fields: dict[str, str], wrong: str
) -> None:
    await browser.sign_in(Role.LEAD)
    answer = await browser.post(f"{PAGE}/{step}", key=KEY, **fields)
    assert answer.status_code == 422
    assert browser.desk.region.posts == []
    text = answer.text.replace(" novalidate", "")
    form = form_of(text, f"{PAGE}/{step}")
    assert re.findall(r'id="fault-([a-z_]+)"', text) == [wrong]
    assert f'id="fault-{wrong}"' in form
    shown = written(form)
    typed = {name: value for name, value in fields.items() if name not in CHOSEN}
    assert {name: shown[name] for name in typed} == typed
    assert shown["key"] == KEY
    assert text[: text.index(form)].rpartition("<details")[2].startswith(' class="card" open>')


async def test_what_conversions_cost_is_shown_with_what_was_paid(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    assert "Lost by exchange rates" not in (await browser.get(PAGE)).text
    paid = {"paid_minor": 412_500, "paid_currency": "USD"}
    grant = {
        **GRANT, "exchange_difference_minor": -5_000, "instalments": [_instalment() | paid]
    }  # fmt: skip
    browser.desk.region.answers[f"GET /v1/grants/{GRANT_ID}"] = (200, grant)
    page = (await browser.get(PAGE)).text
    speak = Speaker("en")
    label = "<dt>Lost by exchange rates (minus: gained)</dt>"
    assert f"{label}<dd>{speak.money(-5_000, 'EUR')}</dd>" in page
    assert f"paid: {speak.money(412_500, 'USD')}" in page


def _instalment() -> dict[str, object]:
    return {
        "id": str(FIRST), "expected_minor": 350_000, "expected_on": "2024-05-01",
        "state": "received", "received_minor": 350_000, "received_on": "2024-05-03",
        "bank_reference": "B-1",
    }  # fmt: skip


async def test_a_rate_is_sent_with_its_day_and_source(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers["POST /v1/allotments"] = (201, {"allotment_id": KEY})
    rate = {"rate": "41,25", "rate_on": "2024-05-03", "rate_source": "NBU"}
    answer = await browser.post(f"{PAGE}/allot", key=KEY, **ALLOT, **rate)
    assert answer.headers["location"] == f"{PAGE}?said=allotted"
    ((_, body, _),) = browser.desk.region.posts
    assert {name: body[name] for name in rate} == rate | {"rate": "41.25"}


async def test_without_an_answer_only_the_form_that_was_sent_keeps_its_key(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.LEAD)
    called = f"POST /v1/grants/{GRANT_ID}:demand"
    browser.desk.region.answers[called] = (503, {})
    answer = await browser.post(f"{PAGE}/demand", key=KEY, **DEMAND)
    assert answer.status_code == 503
    text = answer.text.replace(" novalidate", "")
    assert written(form_of(text, f"{PAGE}/demand"))["key"] == KEY
    assert main_of(text).count(KEY) == 1
    browser.desk.region.answers[called] = problem(409, "wrong-state")
    answer = await browser.post(f"{PAGE}/demand", key=KEY, **DEMAND)
    assert (answer.status_code, KEY in answer.text) == (409, False)


async def test_an_amendment_that_came_too_late_is_tried_on_the_terms_as_they_are(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.LEAD)
    region = browser.desk.region
    region.answers[f"POST /v1/grants/{GRANT_ID}:amend"] = problem(409, "wrong-state")
    region.answers[f"GET /v1/grants/{GRANT_ID}"] = (200, {**GRANT, "terms_version": 3})
    answer = await browser.post(f"{PAGE}/amend", key=KEY, new_amount="5", **AMEND)
    shown = written(form_of(answer.text.replace(" novalidate", ""), f"{PAGE}/amend"))
    assert (shown["terms_version"], shown["new_amount"]) == ("3", "5")


STEPS = {
    f"{PAGE}/amend": {Role.LEAD},
    f"{PAGE}/demand": {Role.LEAD},
    f"{PAGE}/withdraw-demand": {Role.LEAD},
    f"{PAGE}/suspend": {Role.LEAD},
    f"{PAGE}/close": {Role.LEAD},
    f"{PAGE}/instalments/{FIRST}/reverse": {Role.LEAD},
    f"{PAGE}/instalments/{SECOND}/withdraw": {Role.LEAD, Role.FINANCE},
    f"{PAGE}/instalments": {Role.LEAD, Role.FINANCE},
    f"{PAGE}/refund": {Role.LEAD, Role.FINANCE},
    f"{PAGE}/reverse-refund": {Role.LEAD},
    f"{PAGE}/book-difference": {Role.LEAD, Role.FINANCE},
}


@pytest.mark.parametrize("role", [Role.LEAD, Role.FINANCE, Role.APPROVER])
async def test_each_role_is_offered_what_it_may_do(browser: "Browser", role: Role) -> None:
    await browser.sign_in(role)
    page = (await browser.get(PAGE)).text
    for path, who in STEPS.items():
        assert (f'action="{path}"' in page) is (role in who), path
        if role not in who:
            assert (await browser.post(path, key=KEY)).status_code == 403
    assert browser.desk.region.posts == []


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("pledged", {"activate", "close"}),
        ("active", {"suspend", "close"}),
        ("suspended", {"resume", "close"}),
        ("closed", {"resume"}),
    ],
)
async def test_what_stops_a_grant_stands_beside_what_lets_it_go_on(
    browser: "Browser", status: GrantStatus, offered: set[str]
) -> None:
    say = Speaker("en")
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers[f"GET /v1/grants/{GRANT_ID}"] = (200, {**GRANT, "status": status})
    page = unescape((await browser.get(PAGE)).text)
    for step in TURNING:
        assert (f'action="{PAGE}/{step}"' in page) is (step in offered), step
        assert (say(f"grant.{step}_hint") in page) is (step in offered), step
        # Payments takes these, and no others.
        taken = change_status(Grant(GrantId(GRANT_ID), "UAH", 100, status), step)
        assert isinstance(taken, Grant) is (step in offered), step


async def test_a_grant_that_is_in_another_state_by_now_is_shown_as_it_is(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.LEAD)
    browser.desk.region.answers[f"POST /v1/grants/{GRANT_ID}:suspend"] = problem(409, "wrong-state")
    browser.desk.region.answers[f"GET /v1/grants/{GRANT_ID}"] = (
        200, {**GRANT, "status": "suspended"},
    )  # fmt: skip
    answer = await browser.post(f"{PAGE}/suspend", key=KEY)
    assert answer.status_code == 409
    assert "It is in another state by now" in answer.text
    assert f'action="{PAGE}/resume"' in answer.text


async def test_money_that_comes_in_after_a_grant_was_closed_is_entered(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    answer = (200, {**GRANT, "status": "closed"})
    browser.desk.region.answers[f"GET /v1/grants/{GRANT_ID}"] = answer
    page = (await browser.get(PAGE)).text
    for step, offered in (("instalments", True), ("refund", True), ("allot", False),
                          ("amend", False)):  # fmt: skip
        assert (f'action="{PAGE}/{step}"' in page) is offered, step
    assert "once a lead has resumed the grant" in page


async def test_there_are_no_other_steps_and_no_forms_without_proof(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    assert (await browser.post(f"{PAGE}/erase", key=KEY)).status_code == 404
    assert (await browser.post(f"{PAGE}/instalments/{FIRST}/redo", key=KEY)).status_code == 404
    for path in (*STEPS, LOT):
        assert (await browser.post(path, key=KEY, proof="forged")).status_code == 403
    assert browser.desk.region.posts == []


async def test_a_lots_terms_are_shown_and_corrected_as_a_whole(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    assert LOT in (await browser.get(f"/stock?site={LOTS[0]['site_id']}")).text
    page = (await browser.get(LOT)).text
    ticked = re.findall(r'type="checkbox" name="(\w+)" value="([^"]+)" checked', page)
    assert ticked == [("programme", "food"), ("area", "UA80"), ("area", "UA8036")]
    shown = written(form_of(page.replace(" novalidate", ""), LOT))
    assert {name: shown[name] for name in ("value", "valid_from", "valid_to")} == {
        "value": "450.50", "valid_from": "", "valid_to": iso(90),
    }  # fmt: skip
    fields = {**LOT_FORM, "programme": "food", "valid_to": "2027-01-31", "value": "12,5",
              "currency": "EUR", "cost_category": "goods"}  # fmt: skip
    answer = await browser.post(LOT, key=KEY, **fields)
    assert answer.headers["location"] == f"{LOT}?said=lot_corrected"
    ((called, body, headers),) = browser.desk.region.posts
    assert called == f"/v1/lots/{number('lot a')}:correct"
    assert headers["idempotency-key"] == KEY
    assert body == {
        "version": 3, "reason": "donor_changed", "unit_value_minor": 1_250, "currency": "EUR",
        "restriction": {"programmes": ["food"], "cost_categories": ["goods"],
                        "valid_to": "2027-01-31", "area_means": "stay"},
    }  # fmt: skip


async def test_nothing_ticked_is_no_restriction_and_no_value_none(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    assert (await browser.post(LOT, key=KEY, **LOT_FORM)).status_code == 303
    ((_, body, _),) = browser.desk.region.posts
    assert (body["restriction"], body["unit_value_minor"]) == (None, 0)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"valid_from": "2024-05-02", "valid_to": "2024-05-01"}, "The end must be after"),
        ({"value": "much"}, "An amount, such as"),
        ({"reason": ""}, "Fill this in"),
        ({"area_means": "nowhere"}, "Choose from the list"),
    ],
)
async def test_terms_that_make_no_sense_are_not_sent(
    browser: "Browser", fields: dict[str, str], wrong: str
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    answer = await browser.post(LOT, key=KEY, **{**LOT_FORM, "kind": "food_parcel", **fields})
    assert answer.status_code == 422
    assert wrong in answer.text
    assert 'name="kind" value="food_parcel" checked' in answer.text
    assert browser.desk.region.posts == []


async def test_a_lot_that_others_corrected_meanwhile_is_tried_on_what_it_is_now(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    called = f"POST /v1/lots/{number('lot a')}:correct"
    browser.desk.region.answers[called] = problem(409, "version-changed")
    stale = {**LOT_FORM, "version": "2"}
    answer = await browser.post(LOT, key=KEY, **stale)
    assert answer.status_code == 409
    assert written(form_of(answer.text.replace(" novalidate", ""), LOT))["version"] == "3"
    browser.desk.region.answers[called] = (503, {})
    answer = await browser.post(LOT, key=KEY, **stale)
    shown = written(form_of(answer.text.replace(" novalidate", ""), LOT))
    assert (answer.status_code, shown["version"], shown["key"]) == (503, "2", KEY)


async def test_of_what_was_bought_only_the_price_is_corrected(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    bought = {**LOTS[0], "is_bought": True, "version": 1, "unit_value_minor": 45_050}
    browser.desk.region.answers[f"GET /v1/lots/{number('lot a')}"] = (200, bought)
    page = (await browser.get(LOT)).text
    assert "These goods were bought" in page
    shown = written(form_of(page.replace(" novalidate", ""), LOT))
    assert shown["value"] == "450.50"
    assert not {"programme", "valid_to", "currency"} & set(shown)
    priced = {**shown, "key": KEY, "value": "448,20"}
    wrong = await browser.post(LOT, **{**priced, "reason": "donor_changed"})
    assert (wrong.status_code, browser.desk.region.posts) == (422, [])
    answer = await browser.post(LOT, **{**priced, "reason": "other_bill"})
    assert answer.headers["location"] == f"{LOT}?said=lot_revalued"
    ((_, body, _),) = browser.desk.region.posts
    assert body == {"version": 1, "reason": "other_bill", "unit_value_minor": 44_820}
