"""The page of stock keeps what it was shown for, whatever becomes of a form."""

import html
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console import i18n
from support.made_up.basics import WAREHOUSE, number, problem
from support.made_up.supply import EXPECTED, LOTS, LOTS_BOUGHT

if TYPE_CHECKING:
    from .conftest import Browser

ASKED = {"site": [str(WAREHOUSE)], "item": ["food_parcel"]}
SHOWN = f"/stock?site={WAREHOUSE}&item=food_parcel"
LOT_ID, RECEIPT_ID = str(number("lot a")), str(number("receipt a"))
KEY = str(number("key"))
FORMS = [
    ("receive", "/v1/receipts",
     {"site_id": str(WAREHOUSE), "item": "food_parcel", "quantity": "7", "batch": "B-7"}),
    ("adjust", "/v1/adjustments", {"lot_id": LOT_ID, "counted": "7", "reason": "theft"}),
    ("expiry", f"/v1/lots/{LOT_ID}:correct", {"lot": f"{LOT_ID} 1", "expiry": "2027-01-31"}),
    ("reverse", f"/v1/receipts/{RECEIPT_ID}:reverse",
     {"receipt_id": RECEIPT_ID, "reason": "wrong_item"}),
]  # fmt: skip


def action_of(page: str, step: str) -> str:
    """Where a form of the page is sent to."""
    found = re.search(rf'<form [^>]*action="(/stock/{step}[^"]*)"', page)
    assert found is not None, step
    return html.unescape(found[1])


def filled_in(page: str, step: str) -> dict[str, str]:
    """What a form of the page would send."""
    form = page.partition(f'action="/stock/{step}')[2].partition("</form>")[0]
    found = dict(re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', form))
    for name, options in re.findall(
        r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL
    ):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return found


def purchases_of(page: str) -> tuple[str, list[tuple[str, str]]]:
    """What the choice of a purchase is called, and what it offers."""
    form = page.partition('action="/stock/receive')[2].partition("</form>")[0]
    found = re.search(
        r'<label for="f-purchase_id">(.*?)</label>\s*<select id="f-purchase_id" '
        r'name="purchase_id">(.*?)</select>',
        form,
        re.DOTALL,
    )
    assert found is not None
    return found[1], re.findall(r'<option value="([^"]*)">([^<]*)</option>', found[2])


def filter_of(page: str) -> list[str]:
    """What the page is of: the site and the goods that its filter shows as chosen."""
    form = page.partition('method="get" action="/stock"')[2].partition("</form>")[0]
    return re.findall(r'value="([^"]+)" selected', form)


@pytest.mark.parametrize(("days", "said"), [(0, "received"), (1, "received_expired")])
async def test_goods_that_expired_are_not_entered_in_silence(
    browser: "Browser", days: int, said: str
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    day = i18n.today() - timedelta(days=days)
    fields = {"site_id": str(WAREHOUSE), "item": "food_parcel", "quantity": "7"}
    answer = await browser.post("/stock/receive", key=KEY, expiry=day.isoformat(), **fields)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query)["said"] == [said]
    page = (await browser.get(answer.headers["location"])).text
    assert ("entered as expired: nobody gets them" in page) == bool(days)


@pytest.mark.parametrize(("status", "answered"), [(409, 409), (503, 503)])
@pytest.mark.parametrize(("step", "called", "fields"), FORMS, ids=[each[0] for each in FORMS])
async def test_a_form_that_is_refused_is_shown_again_for_its_site_and_goods(
    browser: "Browser", step: str, called: str, fields: dict[str, str], status: int, answered: int
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    browser.desk.region.answers["GET /v1/lots"] = (200, {"rows": LOTS, "next": None})
    action = action_of((await browser.get(SHOWN)).text, step)
    assert parse_qs(urlsplit(action).query) == ASKED
    browser.desk.region.answers[f"POST {called}"] = problem(status, "in-use")
    answer = await browser.post(action, key=KEY, **fields)
    assert answer.status_code == answered
    assert filter_of(answer.text) == [str(WAREHOUSE), "food_parcel"]
    shown = filled_in(answer.text, step)
    assert {name: shown[name] for name in fields} == fields
    assert (shown["key"] == KEY) == (status == 503)
    assert action_of(answer.text, step) == action
    # What was typed here is nowhere else.
    others = [each for each, _, _ in FORMS if each != step]
    assert all("7" not in filled_in(answer.text, each).values() for each in others)
    assert answer.text.count('<details class="card" open>') == 1
    del browser.desk.region.answers[f"POST {called}"]
    done = await browser.post(action, key=KEY, **fields)
    query = parse_qs(urlsplit(done.headers["location"]).query)
    assert query["site"] == ASKED["site"]


@pytest.mark.parametrize(
    ("step", "fields", "wrong"),
    [
        ("receive", {"site_id": str(WAREHOUSE), "quantity": "many"}, {"item", "quantity"}),
        ("adjust", {"lot_id": "", "counted": "7", "reason": "because"}, {"lot_id", "reason"}),
        ("expiry", {"lot": "", "expiry": "soon"}, {"lot", "expiry"}),
        ("expiry", {"lot": "", "expiry": "9999-12-31"}, {"lot", "expiry"}),
        ("reverse", {"receipt_id": "", "reason": ""}, {"receipt_id", "reason"}),
    ],
)
async def test_what_is_wrong_is_named_where_it_was_typed(
    browser: "Browser", step: str, fields: dict[str, str], wrong: set[str]
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    action = action_of((await browser.get(SHOWN)).text, step)
    answer = await browser.post(action, **fields)
    assert answer.status_code == 422
    assert filter_of(answer.text) == [str(WAREHOUSE), "food_parcel"]
    assert set(re.findall(r'id="fault-([a-z_]+)"', answer.text)) == wrong
    assert browser.desk.region.posts == []


async def test_goods_are_received_for_the_purchase_that_is_chosen(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    grants = [{"grant_id": str(number("qn")), "code": "QN-24"}]
    browser.desk.region.answers["GET /v1/grants"] = (200, {"grants": grants, "next": None})
    page = (await browser.get("/stock")).text
    purchase_id = str(number("purchase ordered"))
    label, options = purchases_of(page)
    assert label.startswith("For the purchase")
    assert options == [
        ("", "No purchase: donated or a surplus"),
        (purchase_id,
         f"Food parcel: 400 of 1,200, Laptop: 0 of 5 · QN-24 · {purchase_id[:8].upper()}"),
    ]  # fmt: skip
    fields = {"site_id": str(WAREHOUSE), "item": "food_parcel", "quantity": "7"}
    done = await browser.post("/stock/receive", key=KEY, purchase_id=purchase_id, **fields)
    assert done.status_code == 303
    [(path, sent, _)] = browser.desk.region.posts
    assert (path, sent["purchase_id"]) == ("/v1/receipts", purchase_id)


async def test_a_purchase_of_other_goods_is_refused_and_stays_chosen(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    browser.desk.region.answers["POST /v1/receipts"] = problem(422, "not-in-purchase")
    action = action_of((await browser.get(SHOWN)).text, "receive")
    fields = {"site_id": str(WAREHOUSE), "item": "soap", "quantity": "7",
              "purchase_id": str(number("purchase ordered"))}  # fmt: skip
    refused = await browser.post(action, key=KEY, **fields)
    assert "Choose the purchase of this item" in refused.text
    assert filled_in(refused.text, "receive")["purchase_id"] == fields["purchase_id"]


@pytest.mark.parametrize(("cursor", "asked_for"), [(None, [None]), ("x", [None, "food_parcel"])])
async def test_of_too_many_purchases_those_of_the_goods_shown_are_offered(
    browser: "Browser", cursor: str | None, asked_for: list[str | None]
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    lines = (200, {"rows": EXPECTED, "next": cursor})
    browser.desk.region.answers["GET /v1/purchases/expected"] = lines
    page = (await browser.get(SHOWN)).text
    asked = [query for path, query in browser.desk.region.gets if path == "/v1/purchases/expected"]
    assert [query.get("item") for query in asked] == asked_for
    assert {query["limit"] for query in asked} == {"200"}
    assert ("More purchases are still to come" in page) == (cursor is not None)


async def test_nobody_is_asked_for_a_purchase_where_none_is_to_come(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    answers = browser.desk.region.answers
    answers["GET /v1/purchases/expected"] = (200, {"rows": [], "next": None})
    assert 'name="purchase_id"' not in (await browser.get("/stock")).text
    answers["GET /v1/purchases/expected"] = problem(503, "unavailable")
    page = await browser.get("/stock")
    assert page.status_code == 200
    assert "/stock/receive" in page.text


@pytest.mark.parametrize("is_expected", [True, False])
async def test_goods_of_a_purchase_are_received_also_where_no_more_is_expected(
    browser: "Browser", is_expected: bool
) -> None:
    purchase_id = number("purchase ordered")
    await browser.sign_in(Role.LOGISTICIAN)
    if not is_expected:
        answers = browser.desk.region.answers
        answers["GET /v1/purchases/expected"] = (200, {"rows": [], "next": None})
    page = (await browser.get(f"/stock?purchase={purchase_id}")).text
    assert page.count(f'<option value="{purchase_id}" selected>') == 1
    # Refused, the form is shown for it again.
    action = html.unescape(re.findall(r'action="(/stock/receive[^"]*)"', page)[0])
    assert (await browser.post(action)).text.count(f'value="{purchase_id}"') >= 1
    # What nobody ordered is none.
    page = (await browser.get(f"/stock?purchase={number('nothing')}")).text
    assert str(number("nothing")) not in re.findall(r'<option value="([^"]*)"', page)


@pytest.mark.parametrize(("role", "may_see"), [(Role.LOGISTICIAN, False), (Role.LEAD, True)])
async def test_a_bought_lot_leads_to_its_purchase(
    browser: "Browser", role: Role, may_see: bool
) -> None:
    lot = LOTS_BOUGHT[0]
    browser.desk.region.answers[f"GET /v1/lots/{lot['lot_id']}"] = (200, lot)
    await browser.sign_in(role)
    page = (await browser.get(f"/stock/lots/{lot['lot_id']}")).text
    assert f'href="/stock?purchase={lot["purchase_id"]}"' in page
    assert (f'href="/money/purchases/{lot["purchase_id"]}"' in page) is may_see


async def test_a_discrepancy_is_settled_without_leaving_the_site(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    action = action_of((await browser.get(SHOWN)).text, "settle/")
    refused = await browser.post(action)
    assert (refused.status_code, filter_of(refused.text)) == (422, [*ASKED["site"], *ASKED["item"]])
    done = await browser.post(action, reason="counted")
    assert parse_qs(urlsplit(done.headers["location"]).query) == {"said": ["settled"], **ASKED}
