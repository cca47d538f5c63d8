"""Programmes are those of the catalogue, which a region may add to."""

from typing import TYPE_CHECKING

from aidmesh_chassis.auth import Role
from support.made_up.basics import kinds, number
from support.made_up.supply import LOTS

if TYPE_CHECKING:
    from .conftest import Browser

LOT = f"/stock/lots/{LOTS[0]['lot_id']}"
CATALOGUE = {"kinds": kinds(), "programmes": ["food", "winter_aid"]}


async def test_a_new_programme_is_bought_for(browser: "Browser") -> None:
    browser.desk.region.answers["GET /v1/kinds"] = (200, CATALOGUE)
    await browser.sign_in(Role.FINANCE)
    page = (await browser.get("/money/purchases")).text
    assert '<option value="winter_aid">winter aid</option>' in page
    assert page.count('<option value="food">') == 1
    answer = await browser.post(
        "/money/purchases", key=str(number("key")), allotment_id=str(number("purse")),
        supplier="ТОВ", programme="winter_aid", cost_category="goods", area="UA80",
        description_0="Ковдри", quantity_0="4", price_0="500",
    )  # fmt: skip
    assert answer.status_code == 303, answer.text
    ((_, body, _),) = browser.desk.region.posts
    assert body["programme"] == "winter_aid"


async def test_a_lot_is_kept_for_a_new_programme(browser: "Browser") -> None:
    browser.desk.region.answers["GET /v1/kinds"] = (200, CATALOGUE)
    await browser.sign_in(Role.LOGISTICIAN)
    assert 'name="programme" value="winter_aid"' in (await browser.get(LOT)).text


async def test_those_that_come_with_the_product_are_there_while_intake_is_away(
    browser: "Browser",
) -> None:
    await browser.sign_in(Role.FINANCE)
    browser.desk.region.down.add("intake")
    assert '<option value="food">' in (await browser.get("/money/purchases")).text
