"""Small things that a page tells, so that nobody has to guess."""

import html
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from aidmesh_chassis.auth import Role
from support.desk import main_of
from support.made_up.basics import number, problem
from support.made_up.money import HOLDINGS, payout
from support.made_up.needs import MERGES
from support.made_up.referrals import REFERRALS

if TYPE_CHECKING:
    from .conftest import Browser

AID = {"client_code": "КИ-9", "place_area": "UA80", "need_financial_aid": "1"}


async def test_a_payout_to_an_account_needs_somebody_who_is_paid(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    for way in ("iban", "card", "post"):
        answer = await browser.post("/register", **AID, mechanism_financial_aid=way)
        assert answer.status_code == 422, way
        assert "Who is paid? Otherwise choose cash" in html.unescape(answer.text)
        assert 'id="fault-payee_name_financial_aid"' in answer.text
    assert browser.desk.region.posts == []


@pytest.mark.parametrize("more", [{}, {"given": "1", "mechanism_financial_aid": "iban"}])
async def test_cash_and_what_was_given_need_no_payee(
    browser: "Browser", more: dict[str, str]
) -> None:
    await browser.sign_in(Role.CASEWORKER)
    answer = await browser.post("/register", **AID, **{"mechanism_financial_aid": "cash"} | more)
    assert answer.status_code == 303
    *_, (path, body, _) = browser.desk.region.posts
    assert path == "/v1/requests"
    needs = body["needs"]
    assert isinstance(needs, list)
    assert "payee" not in needs[0]


async def test_who_may_not_see_all_help_is_told_whom_to_ask_for_slots(browser: "Browser") -> None:
    told = "Slots for sensitive help (health, law, violence) are entered by a lead."
    for roles, is_told in (([Role.LOGISTICIAN], True), ([Role.LEAD], False)):
        await browser.sign_in(*roles)
        page = html.unescape((await browser.get("/stock/sites")).text)
        assert (told in page) is is_told, roles
        await browser.post("/sign-out")


async def test_places_to_choose_from_say_which_help_takes_them(browser: "Browser") -> None:
    await browser.sign_in(Role.LEAD)
    page = html.unescape((await browser.get("/stock/sites")).text)
    field = page.partition('id="beds-code"')[2].partition("</select>")[0]
    assert re.search(r'value="shelter">Bed in a shelter: [^<]+</option>', field)


async def test_purses_of_one_name_are_told_apart(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    own = next(row for row in HOLDINGS if row["status"] == "active")
    alone, twin = ({**own, "allotment_id": str(number(each))} for each in ("purse a", "purse b"))
    path = "GET /v1/allotments"
    for held, marks in (([alone], 0), ([alone, twin], 2)):
        rows = {"region": "kyiv", "allotments": held, "next": None}
        browser.desk.region.answers[path] = (200, rows)
        page = (await browser.get("/money/purchases")).text
        options = page.partition('name="allotment_id"')[2].partition("</select>")[0]
        assert options.count("№ ") == marks
        assert len(set(re.findall(r">([^<]+)</option>", options))) == 1 + len(held)


async def test_a_purchase_is_offered_the_categories_there_are(browser: "Browser") -> None:
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get("/money/purchases")).text
    assert 'list="categories"' in page
    offered = page.partition('<datalist id="categories">')[2].partition("</datalist>")[0]
    assert '<option value="rent">rent</option>' in offered
    assert '<option value="">' not in offered


async def test_a_leads_home_shows_what_is_to_be_decided(browser: "Browser") -> None:
    me = str(number("me"))
    answers = browser.desk.region.answers
    mine, *others = (
        {**MERGES[0], "merge_id": str(number(f"merge {by}")), "proposed_by": by}
        for by in (me, str(number("a colleague")), None)
    )
    answers["GET /v1/merges"] = (200, {"merges": [*others, mine], "next": None})
    offered = sum(each["status"] == "offered" for each in REFERRALS)
    assert offered
    await browser.sign_in(Role.LEAD)
    page = (await browser.get("/")).text
    assert re.search(r'href="/merges"><b>2</b><span>merges to confirm', page)
    assert re.search(rf'href="/referrals"><b>{offered}</b><span>request of another', page)
    answers["GET /v1/merges"] = (200, {"merges": [mine], "next": None})
    answers["GET /v1/referrals/in"] = problem(403, "forbidden")
    page = main_of((await browser.get("/")).text)
    assert 'href="/merges"' not in page
    assert 'href="/referrals"' not in page
    await browser.post("/sign-out")
    await browser.sign_in(Role.CASEWORKER)
    assert 'href="/merges"' not in main_of((await browser.get("/")).text)


@pytest.mark.parametrize(
    ("language", "one", "two"),
    [
        ("uk", ("чекає рішення", "виплату затвердити"), ("чекають рішення", "виплати затвердити")),
        ("en", ("to decide", "payout to approve"), ("to decide", "payouts to approve")),
        ("de", ("zu entscheiden", "Auszahlung freizugeben"),
         ("zu entscheiden", "Auszahlungen freizugeben")),
    ],
)  # fmt: skip
async def test_what_waits_on_home_is_counted_as_the_language_does(
    browser: "Browser", language: str, one: tuple[str, str], two: tuple[str, str]
) -> None:
    answers = browser.desk.region.answers
    await browser.sign_in(Role.LEAD)
    for count, (to_approve, payouts) in ((1, one), (2, two)):
        answers["GET /v1/needs-by-state"] = (200, {"requested": count})
        drafts = [payout(f"draft {each}", "draft", 240_000) for each in range(count)]
        answers["GET /v1/payouts"] = (200, {"payouts": drafts, "next": None})
        page = main_of((await browser.get("/", language)).text)
        assert f"<b>{count}</b><span>{to_approve}</span>" in page
        assert f"<b>{count}</b><span>{payouts}</span>" in page


@pytest.mark.parametrize(
    ("language", "said"),
    [("uk", "без: березень 2024."), ("en", "out: March 2024."), ("de", "fehlen: März 2024.")],
)
async def test_months_that_do_not_count_are_said_as_one_says_them(
    browser: "Browser", language: str, said: str
) -> None:
    await browser.sign_in(Role.LEAD)
    assert said in main_of((await browser.get("/results", language)).text)


async def test_how_many_a_group_has_is_asked_beside_the_group(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get("/register")).text
    assert 'id="f-headcount"' in page.partition('class="of-group"')[2].partition("</fieldset>")[0]
    answer = await browser.post(
        "/register", for_whom="group", place_area="UA80", need_food_parcel="1"
    )
    shown = answer.text.partition('class="of-group"')[2].partition("</fieldset>")[0]
    assert 'id="fault-headcount"' in shown


@pytest.mark.parametrize("path", ["/", "/stock", "/register", "/stock/sites", "/money", "/beds"])
async def test_each_id_is_on_a_page_once(browser: "Browser", path: str) -> None:
    await browser.sign_in(Role.LEAD)
    ids = re.findall(r'\sid="([^"]+)"', (await browser.get(path)).text)
    assert sorted(set(ids)) == sorted(ids)


async def test_whoever_was_erased_leaves_a_page_that_says_so(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    path = f"/people/{number('gone')}"
    browser.desk.region.answers[f"GET /v1/persons/{number('gone')}"] = problem(410, "person-erased")
    answer = await browser.get(path)
    assert answer.status_code == 410
    assert "This person was erased" in html.unescape(answer.text)


async def test_who_is_told_of_a_households_help_is_found_where_nobody_asked_for_it(
    browser: "Browser",
) -> None:
    path = f"/v1/needs/{number('parcel')}"
    region = browser.desk.region
    need = region(httpx.Request("GET", f"http://intake{path}")).json()
    home, members = number("household"), [str(number(f"member {no}")) for no in range(2)]
    nobodys = need | {"person_id": None, "household_id": str(home), "message": "asker_left"}
    region.answers[f"GET {path}"] = (200, nobodys)
    region.answers[f"GET /v1/households/{home}"] = (
        200,
        {"household_id": str(home), "person_ids": members},
    )
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"/needs/{number('parcel')}")).text
    assert re.findall(r'href="/people/([^"]+)"', page) == members
    # Others see no persons, and somebody who asked is shown as ever.
    await browser.post("/sign-out")
    await browser.sign_in(Role.LOGISTICIAN)
    assert "/people/" not in main_of((await browser.get(f"/needs/{number('parcel')}")).text)
