"""Goods are moved to another site on the page of their lot."""

import html
import re
from typing import TYPE_CHECKING

import pytest

from aidmesh_chassis.auth import Role
from aidmesh_console.i18n import LANGUAGES, texts
from aidmesh_console.pages.common import MOVE_REASONS
from support.made_up.basics import SHELTER, WAREHOUSE, iso, number, problem
from support.made_up.supply import LOT, SITES
from unit.console.test_corrections import form_of, written

if TYPE_CHECKING:
    from unit.console.conftest import Browser

KEY = str(number("key"))
LOT_ID = str(number("lot a"))
PAGE = f"/stock/lots/{LOT_ID}"
PATH = f"{PAGE}/move"
CALLED = f"/v1/lots/{LOT_ID}:move"
FIELDS = {"to_site_id": str(SHELTER), "quantity": "7", "moved_on": "2024-04-02",
          "reason": "evacuation"}  # fmt: skip


def chosen(form: str, name: str) -> tuple[list[str], list[str]]:
    """What a list of a form offers, and what of it is chosen."""
    found = re.search(rf'<select[^>]* name="{name}"[^>]*>(.*?)</select>', form, re.DOTALL)
    assert found is not None
    options = re.findall(r'<option value="([^"]*)"( selected)?>', found[1])
    return [value for value, _ in options], [value for value, mark in options if mark]


async def test_open_sites_are_offered_by_name_but_for_the_one_where_it_is(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    closed = {**SITES[0], "site_id": str(number("closed")), "status": "closed", "name": "Shut"}
    browser.desk.region.answers["GET /v1/sites"] = (200, {"rows": [*SITES, closed]})
    page = (await browser.get(PAGE)).text
    form = form_of(page, PATH)
    offered, _ = chosen(form, "to_site_id")
    others = {str(each["site_id"]) for each in SITES if each["status"] == "open"} - {str(WAREHOUSE)}
    assert set(offered) == {"", *others}
    names = {str(each["site_id"]): str(each["name"]) for each in SITES}
    assert all(f">{html.escape(names[each])}</option>" in form for each in others)
    assert written(form)["moved_on"] == iso()
    assert "Held: 10" in page


async def test_the_stock_of_a_closed_site_is_found_to_be_emptied(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    shut = [
        {**each, "status": "closed"} if each["site_id"] == str(WAREHOUSE) else each
        for each in SITES
    ]
    browser.desk.region.answers["GET /v1/sites"] = (200, {"rows": shut})
    page = (await browser.get("/stock")).text
    offered, _ = chosen(page.partition('method="get" action="/stock"')[2], "site")
    assert offered[-1] == str(WAREHOUSE)
    assert f'href="{PAGE}"' in (await browser.get(f"/stock?site={WAREHOUSE}")).text


@pytest.mark.parametrize("more", [{}, {"reason": "", "moved_on": ""}])
async def test_goods_are_moved(browser: "Browser", more: dict[str, str]) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    shown = written(form_of((await browser.get(PAGE)).text, PATH))
    answer = await browser.post(PATH, **{**shown, **FIELDS, **more})
    assert answer.headers["location"] == f"/stock?said=lot_moved&site={WAREHOUSE}"
    ((called, body, headers),) = browser.desk.region.posts
    assert (called, headers["idempotency-key"]) == (CALLED, shown["key"])
    given = {} if more else {"moved_on": "2024-04-02", "reason": "evacuation"}
    assert body == {"quantity": 7, "to_site_id": str(SHELTER), **given}


@pytest.mark.parametrize("status", [409, 503])
async def test_a_move_that_is_refused_is_shown_again_beside_the_terms(
    browser: "Browser", status: int
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    terms = written(form_of((await browser.get(PAGE)).text.replace(" novalidate", ""), PAGE))
    browser.desk.region.answers[f"POST {CALLED}"] = problem(status, "fewer-free")
    answer = await browser.post(PATH, key=KEY, **FIELDS)
    assert answer.status_code == status
    form = form_of(answer.text, PATH)
    shown = written(form)
    assert (shown["quantity"], shown["moved_on"]) == ("7", "2024-04-02")
    assert chosen(form, "to_site_id")[1] == [str(SHELTER)]
    assert chosen(form, "reason")[1] == ["evacuation"]
    # Without an answer it may have been done: the same try goes on.
    assert (shown["key"] == KEY) == (status == 503)
    assert ("Move what is free" in answer.text) == (status == 409)
    after = written(form_of(answer.text.replace(" novalidate", ""), PAGE))
    fresh = ("key", "proof")
    assert {k: v for k, v in after.items() if k not in fresh} == {
        k: v for k, v in terms.items() if k not in fresh
    }
    assert after["key"] != KEY


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"quantity": ""}, "quantity"),
        ({"quantity": "many"}, "quantity"),
        ({"to_site_id": ""}, "to_site_id"),
        ({"moved_on": "soon"}, "moved_on"),
        ({"reason": "because"}, "reason"),
    ],
)
async def test_what_makes_no_sense_is_named_where_it_was_typed(
    browser: "Browser", fields: dict[str, str], wrong: str
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    answer = await browser.post(PATH, key=KEY, **{**FIELDS, **fields})
    assert answer.status_code == 422
    assert re.findall(r'id="fault-([a-z_]+)"', form_of(answer.text, PATH)) == [wrong]
    assert re.findall(r'id="fault-([a-z_]+)"', answer.text) == [wrong]
    assert browser.desk.region.posts == []


@pytest.mark.parametrize(("on_hand", "is_there"), [(60, True), (0, False)])
async def test_bought_goods_are_moved_too_and_an_empty_lot_is_not(
    browser: "Browser", on_hand: int, is_there: bool
) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    bought = {**LOT, "is_bought": True, "on_hand": on_hand, "held": None}
    browser.desk.region.answers[f"GET /v1/lots/{LOT_ID}"] = (200, bought)
    page = (await browser.get(PAGE)).text
    assert (f'action="{PATH}"' in page) == is_there
    assert "Held" not in page


async def test_where_no_other_site_is_open_that_is_said(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    own = [each for each in SITES if each["site_id"] == str(WAREHOUSE)]
    browser.desk.region.answers["GET /v1/sites"] = (200, {"rows": own})
    page = (await browser.get(PAGE)).text
    assert "No other site is open" in page
    assert f'action="{PATH}"' not in page


async def test_only_who_keeps_goods_moves_them(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    assert (await browser.post(PATH, key=KEY, **FIELDS)).status_code == 403
    assert browser.desk.region.posts == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_it_is_said_in_every_language(browser: "Browser", language: str) -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    said = texts(language)
    assert {f"reason.{each}" for each in MOVE_REASONS} <= set(said)
    page = (await browser.get(PAGE, language)).text
    for key in ("lot.move", "lot.moved_on", "lot.to_site", "lot.no_reason"):
        assert html.escape(str(said[key])) in page
