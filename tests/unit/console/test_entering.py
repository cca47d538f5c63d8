"""What nobody has entered yet is said wherever it is missed, and offered where it is entered."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES
from support.made_up.basics import iso, items_taken, number
from support.made_up.needs import need, whole
from support.made_up.supply import ITEMS

if TYPE_CHECKING:
    from .conftest import Browser

ENTERED = {str(each["code"]) for each in ITEMS}
LEFT = [code for code in items_taken() if code not in ENTERED]


def form_of(page: str) -> str:
    """The form of a new item."""
    return page.partition('id="new-items"')[2].partition("</form>")[0]


def offered(page: str) -> list[str]:
    """The codes that the form offers: in its list, and where one types."""
    form = form_of(page)
    links = re.findall(r'href="/stock/sites\?item=([a-z_]+)#new-items"', form)
    assert re.findall(r'<option value="([a-z_]+)">(?!.*</select>)', form) == links
    return links


@pytest.mark.parametrize("role", [Role.LOGISTICIAN, Role.LEAD])
async def test_the_codes_that_kinds_take_and_nobody_has_entered_are_offered(
    browser: "Browser", role: Role
) -> None:
    await browser.sign_in(role)
    assert offered((await browser.get("/stock/sites")).text) == LEFT
    assert "lubricant" in LEFT, "of sensitive help too, whoever enters it"
    browser.desk.region.answers["GET /v1/items"] = (200, {"rows": [], "next": None})
    assert offered((await browser.get("/stock/sites")).text) == items_taken()


async def test_nothing_is_offered_where_nobody_can_say_what_is_entered(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    browser.desk.region.answers["GET /v1/items"] = (503, {})
    page = (await browser.get("/stock/sites")).text
    assert offered(page) == []
    assert "not entered" not in (await browser.get("/kinds")).text


async def test_a_code_that_is_chosen_begins_the_form(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    page = (await browser.get("/stock/sites?item=lubricant")).text
    assert re.search(r'id="new-items" open', page)
    values = dict(
        re.findall(r'<input[^>]* name="(code|name_..)"[^>]* value="([^"]*)"', form_of(page))
    )
    assert values == {
        "code": "lubricant", "name_uk": "Лубрикант", "name_en": "Lubricant",
        "name_de": "Gleitmittel",
    }  # fmt: skip
    for other in ("/stock/sites?item=", "/stock/sites?item=%22%3E"):
        assert 'name="code" type="text" value=""' in form_of((await browser.get(other)).text)


async def test_an_item_without_a_word_of_its_own_is_called_as_the_kind_that_takes_it(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.LEAD)
    kind = {
        "code": "stove", "programme": "shelter", "stock": [{"item": "small_stove"}],
        "names": {"uk": "буржуйка", "en": "stove", "de": "Ofen"},
    }  # fmt: skip
    catalogue: dict[str, Any] = {"kinds": [kind], "items": []}
    browser.desk.region.answers["GET /v1/kinds"] = (200, catalogue)
    page = (await browser.get("/stock/sites?item=small_stove")).text
    assert offered(page) == ["small_stove"]
    assert [word in form_of(page) for word in ("Буржуйка", "Stove", "Ofen")] == [True] * 3
    catalogue["kinds"] = [kind, {**kind, "code": "other", "names": {"uk": "-", "en": "other"}}]
    assert "Stove" not in form_of((await browser.get("/stock/sites?item=small_stove")).text)


async def test_kinds_show_the_codes_of_their_items(browser: "Browser") -> None:
    browser.desk.region.answers["GET /v1/items"] = (200, {"rows": ITEMS[1:], "next": None})
    await browser.sign_in(Role.LOGISTICIAN)
    for path in ("/kinds", "/kinds/food_parcel"):
        page = (await browser.get(path)).text
        assert "(food_parcel, not entered yet)" in page
    assert "Hygiene kit (hygiene_kit)" in (await browser.get("/kinds")).text


@pytest.mark.parametrize("role", [Role.LOGISTICIAN, Role.LEAD, Role.CASEWORKER])
async def test_an_empty_store_is_called_empty(browser: "Browser", role: Role) -> None:
    region = browser.desk.region
    region.lists["/v1/stock/totals"] = ("rows", [])
    region.lists["/v1/waitlist"] = ("waiting", [])
    await browser.sign_in(role)
    page = (await browser.get("/")).text
    assert "There is enough of everything" not in page
    assert "There is nothing in store yet." in page
    assert ('href="/stock/sites?item=#new-items"' in page) == (role is not Role.CASEWORKER)
    region.lists["/v1/stock/totals"] = ("rows", [{"item": "food_parcel", "free": 50}])
    assert "There is enough of everything" in (await browser.get("/")).text


async def test_what_is_waited_for_and_not_entered_leads_to_its_form(browser: "Browser") -> None:
    region = browser.desk.region
    region.answers["GET /v1/items"] = (200, {"rows": [], "next": None})
    region.lists["/v1/stock/totals"] = ("rows", [])
    await browser.sign_in(Role.LOGISTICIAN)
    page = (await browser.get("/")).text
    assert 'href="/stock/sites?item=hygiene_kit#new-items"' in page
    assert "not entered yet" in page


PARCEL = {"resource": "stock", "code": "food_parcel"}
FEE = {"resource": "money", "code": "food/UAH"}


def shown(browser: "Browser", name: str, state: str, **more: object) -> str:
    """Have intake show such a need; its page."""
    row = {**whole(need(name, "food_parcel", state)), **more}
    browser.desk.region.answers[f"GET /v1/needs/{row['need_id']}"] = (200, row)
    return f"/needs/{row['need_id']}"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_need_says_that_its_item_is_not_entered(browser: "Browser", language: str) -> None:
    path = shown(browser, "parcel", "waitlisted", blocked_by=PARCEL, wait="short")
    await browser.sign_in(Role.LEAD)
    words = {
        "uk": ("Такого товару ще ніхто не вніс.", "Цього зараз бракує."),
        "en": ("Nobody has entered this item yet.", "There is not enough of it now."),
        "de": ("Diesen Artikel hat noch niemand eingetragen.", "Davon gibt es gerade nicht genug."),
    }[language]
    page = (await browser.get(path, language)).text
    assert [each in page for each in words] == [False, True]
    browser.desk.region.answers["GET /v1/items"] = (200, {"rows": [], "next": None})
    page = (await browser.get(path, language)).text
    assert [each in page for each in words] == [True, False]
    assert 'href="/stock/sites?item=food_parcel#new-items"' in page


async def test_only_whoever_enters_items_is_led_there(browser: "Browser") -> None:
    path = shown(browser, "parcel", "waitlisted", blocked_by=PARCEL, wait="short")
    browser.desk.region.answers["GET /v1/items"] = (200, {"rows": [], "next": None})
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(path)).text
    assert "Nobody has entered this item yet." in page
    assert "/stock/sites" not in page


async def test_a_need_names_all_that_it_lacks(browser: "Browser") -> None:
    path = shown(
        browser,
        "parcel",
        "waitlisted",
        blocked_by=PARCEL,
        wait="short",
        also_lacks={"blocked_by": FEE, "wait": "restricted"},
    )
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(path)).text
    assert "Waits for: Food parcel. There is not enough of it now." in page
    assert re.search(r"Also lacking: [^<]*UAH\. There is some, but donors’ terms", page)


LIMIT = {"per": "person", "count": 1, "days": 30, "kinds": ["food_parcel", "hygiene_kit"]}


def counted(name: str, *, served: bool) -> dict[str, object]:
    return {
        "need_id": str(number(name)), "kind": "food_parcel", "quantity": 2, "on": iso(-3),
        "served": served,
    }  # fmt: skip


async def test_a_need_against_a_limit_leads_to_what_was_counted(browser: "Browser") -> None:
    earlier = [counted("waits", served=False), counted("got", served=True)]
    against = {"what": "limit", "limit": LIMIT, "earlier": earlier, "hidden": 1}
    path = shown(browser, "asked", "requested", reason="limit", objection=against)
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(path)).text
    assert "at most 1 in 30 days for a person (Food parcel, Hygiene kit)" in page.replace("\n", "")
    rows = re.findall(r'<li><a href="/needs/([0-9a-f-]{36})">(.*?)</li>', page, re.DOTALL)
    assert [found for found, _ in rows] == [each["need_id"] for each in earlier]
    assert ["not served yet" in row for _, row in rows] == [True, False]
    assert "and 1 more that is not shown to you" in page
    assert "alone exceeds it" not in page


async def test_a_need_that_exceeds_a_limit_alone_or_no_more_says_so(browser: "Browser") -> None:
    against = {"what": "limit", "limit": LIMIT, "earlier": [], "hidden": 0}
    path = shown(browser, "asked", "requested", reason="limit", objection=against)
    await browser.sign_in(Role.CASEWORKER)
    assert "This need alone exceeds it." in (await browser.get(path)).text
    path = shown(browser, "asked", "requested", reason="limit", objection=None)
    assert "Nothing speaks against it any more." in (await browser.get(path)).text
    path = shown(browser, "asked", "requested", reason=None, objection=None)
    assert "Nothing speaks against it any more." not in (await browser.get(path)).text


async def test_a_duplicate_leads_to_what_it_repeats(browser: "Browser") -> None:
    twin = counted("twin", served=False)
    against = {"what": "duplicate", "limit": None, "earlier": [twin], "hidden": 0}
    path = shown(browser, "asked", "requested", reason="duplicate", objection=against)
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(path)).text
    assert "It looks as if this had been entered already:" in page
    assert f'href="/needs/{twin["need_id"]}"' in page
