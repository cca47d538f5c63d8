"""The pages as a phone shows them, with made-up services."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

from aidmesh_chassis.auth import Role
from support.browser import open_page, served, sign_in
from support.desk import FakeDesk, fake_desk
from support.made_up.basics import SMALL, WAREHOUSE, iso, number
from support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PHONE_WIDTH = 320
ON_ITS_WAY_MS = 3_000
PATHS = (
    "/",
    "/register",
    "/import",
    "/import/columns",
    "/needs",
    f"/needs/{number('bed')}",
    f"/people/{number('person')}",
    f"/people/{number('person')}/request",
    "/hand-over",
    f"/hand-over?site={WAREHOUSE}",
    "/stock/sites",
    "/stock/slots",
    "/kinds",
    "/kinds/shelter_outside",
    "/new-kind",
    f"/stock?site={WAREHOUSE}",
    f"/stock/lots/{number('lot a')}",
    "/beds",
    "/money",
    "/money/grants",
    f"/money/grants/{number('qn')}",
    "/money/new-grant",
    "/money/rates",
    "/money/purchases",
    f"/money/purchases/{number('purchase received')}",
    f"/money/bills?need={number('hotel need')}",
    "/money/questions",
    "/money/regions",
    "/money/waits",
    "/money/unproven",
    "/merges",
    "/regions",
    f"/links/of/{number('person')}",
    "/alerts",
    "/assets",
    "/shipments",
    f"/shipments/{number('shipment preparing')}",
    f"/shipments/{number('shipment gone')}/manifest",
    f"/shipments/{number('shipment coming')}",
    "/shipments/rules",
    "/referrals",
    "/referrals/rules",
    "/results",
)
TARGET_PX_MIN = 44
DATE_PX_MIN = 150
"""What day, month and year take beside the mark that opens the calendar, in a wide font."""
MOMENT_PX_MIN = 220
SCREEN_PX = 844
SCREENS_MAX = 2.25


@pytest.mark.parametrize("language", ["uk", "de", "en"])
async def test_pages_fit_a_phone_and_a_thumb(
    browser: Browser, address: str, token: str, language: str
) -> None:
    async with open_page(browser, PHONE_WIDTH, language=language) as page:
        await page.goto(f"{address}/sign-in")
        assert await _width(page) <= PHONE_WIDTH
        await sign_in(page, address, token)
        for path in PATHS:
            await page.goto(address + path)
            await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            heights = await _heights(page)
            assert heights
            small = [html for html, height in heights if height < TARGET_PX_MIN]
            assert small == [], path
            assert await _width(page) <= PHONE_WIDTH, path


async def test_a_phone_says_of_which_region_the_desk_is_where_one_signs_in(
    browser: Browser, address: str
) -> None:
    async with open_page(browser, 360, script=False) as page:
        await page.goto(f"{address}/sign-in")
        await expect(page.locator(".brand")).to_contain_text("kyiv")
        await expect(page.locator(".brand small")).to_be_visible()


@pytest.mark.parametrize("width", [360, 390, 412])
async def test_dates_are_not_cut_on_a_phone(
    browser: Browser, address: str, token: str, width: int
) -> None:
    async with open_page(browser, width) as page:
        await sign_in(page, address, token)
        for path in ("/register", "/stock", "/stock/sites", "/results"):
            await page.goto(address + path)
            await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            await page.evaluate(
                "document.querySelectorAll('.kind > input').forEach(i => i.checked = true)"
            )
            for of, least in (("date", DATE_PX_MIN), ("datetime-local", MOMENT_PX_MIN)):
                found: list[tuple[str, float]] = await page.evaluate(
                    """of => [...document.querySelectorAll(`main input[type=${of}]`)]
                      .filter(each => each.offsetParent)
                      .map(each => [each.name, each.getBoundingClientRect().width])
                    """,
                    of,
                )
                assert [each for each in found if each[1] < least] == [], path


async def test_the_menu_opens_by_key(browser: Browser, address: str, token: str) -> None:
    async with open_page(browser, PHONE_WIDTH) as page:
        await sign_in(page, address, token)
        await expect(page.locator("nav.menu")).to_be_hidden()
        await page.locator("#menu-box").focus()
        await page.keyboard.press("Space")
        await expect(page.locator("nav.menu")).to_be_visible()
        await page.get_by_role("link", name="Hand over").first.click()
        await page.wait_for_url("**/hand-over")


async def test_fields_of_a_kind_show_once_it_is_ticked_without_script(
    browser: Browser, address: str, token: str, desk: FakeDesk
) -> None:
    async with open_page(browser, PHONE_WIDTH, script=False) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/register")
        await expect(page.locator("#need_shelter_night")).to_be_hidden()
        await page.locator("summary", has_text="Shelter").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#f-from_shelter_night")).to_be_hidden()
        await page.locator("#need_shelter_night").focus()
        await page.keyboard.press("Space")
        await expect(page.locator("#f-from_shelter_night")).to_be_visible()
        await page.locator("#f-client_code").fill("КИ-77")
        await page.locator("#f-place_area").select_option("UA80")
        await page.get_by_role("button", name="Enter the request").click()
        await page.wait_for_url("**/needs?said=registered**")
        assert "КИ" not in page.url
    ((path, body, _),) = desk.region.posts
    assert path == "/v1/requests"
    assert body["person"] == {"client_code": "КИ-77"}


async def test_the_next_request_is_entered_from_the_page_of_a_person_without_script(
    browser: Browser, address: str, token: str, desk: FakeDesk
) -> None:
    async with open_page(browser, PHONE_WIDTH, script=False) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/people/{number('person')}")
        await page.get_by_role("link", name="New request").click()
        await page.get_by_text("household", exact=True).click()
        await page.locator("#f-place_area").select_option("UA80")
        await page.locator("#need_food_parcel").check()
        await page.get_by_role("button", name="Enter the request").click()
        await page.wait_for_url(f"**/people/{number('person')}?said=registered_again")
    ((path, body, _),) = desk.region.posts
    assert path == "/v1/requests"
    assert body["person_id"] == str(number("person"))
    assert (body["for_whom"], body["household_id"]) == ("household", str(number("household")))


async def test_the_end_of_a_request_is_two_screens_away(
    browser: Browser, address: str, token: str
) -> None:
    async with open_page(browser, 390, script=False) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/register")
        await expect(page.locator("#need_food_parcel")).to_be_visible()
        box = await page.get_by_role("button", name="Enter the request").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= SCREENS_MAX * SCREEN_PX


async def test_a_closed_group_says_that_something_in_it_is_ticked(
    browser: Browser, address: str, token: str
) -> None:
    async with open_page(browser, 390, script=False) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/register")
        group = page.locator("details.programme", has_text="Shelter")
        await expect(group.locator(".chosen")).to_be_hidden()
        await group.locator("summary").click()
        await page.locator("#need_shelter_night").check()
        await group.locator("summary").click()
        await expect(page.locator("#need_shelter_night")).to_be_hidden()
        await expect(group.locator(".chosen")).to_be_visible()
        # Without an area it comes back: what was ticked is open, the rest is closed.
        await page.get_by_role("button", name="Enter the request").click()
        await expect(page.get_by_role("alert").first).to_be_visible()
        await expect(page.locator("#need_shelter_night")).to_be_checked()
        await expect(page.locator("#need_shelter_night")).to_be_visible()
        await expect(page.locator("#need_food_parcel")).to_be_hidden()


async def test_a_double_click_is_one_form(
    browser: Browser, address: str, token: str, desk: FakeDesk
) -> None:
    async with open_page(browser) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/hand-over")
        await page.get_by_role("button", name="Hand over").first.dblclick()
        await page.wait_for_url("**/hand-over?said=handed_over**")
    keys = {headers["idempotency-key"] for _, _, headers in desk.region.posts}
    assert len(keys) == 1


async def test_the_way_out_by_key_is_named_only_where_it_works(
    browser: Browser, address: str, token: str
) -> None:
    for script in (True, False):
        async with open_page(browser, script=script) as page:
            await sign_in(page, address, token)
            await expect(page.get_by_text("Esc twice hides at once")).to_be_visible(visible=script)
            await expect(page.get_by_role("link", name="Hide")).to_be_visible()


async def test_what_is_chosen_now_and_what_is_wrong_is_seen(
    browser: Browser, address: str, token: str
) -> None:
    async with open_page(browser, 390, script=False) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/results")
        year = await page.locator("main p.row a").last.inner_text()
        await page.goto(f"{address}/results?from={year}-01-01&to={year}-12-31")
        for text, others in ((year, "main p.row a"), ("English", ".foot button.plain")):
            bold = page.locator(others).filter(has_text=text)
            await expect(bold).to_have_css("font-weight", "600")
            await expect(page.locator(others).first).to_have_css("font-weight", "400")
        await page.goto(f"{address}/register")
        await page.locator("summary", has_text="Urgency").click()
        await page.locator("#note").fill("x" * 4_001)
        await page.get_by_role("button", name="Enter the request").click()
        await expect(page.locator("#note")).to_have_css("border-top-width", "2px")


async def test_escape_twice_leaves(browser: Browser, tmp_path: Path) -> None:
    with served(fake_desk(tmp_path / "neutral")) as neutral:
        desk = fake_desk(tmp_path / "desk", leave_url=f"{neutral}/healthz")
        with served(desk) as address:
            async with open_page(browser) as page:
                await sign_in(page, address, desk.token([Role.LEAD]))

                async def left() -> bool:
                    # Twice in a row means within 600 ms; a slow machine takes longer at times.
                    await page.keyboard.press("Escape")
                    await page.keyboard.press("Escape")
                    # Pressed again on its way, it would set out once more.
                    try:
                        await page.wait_for_url(f"{neutral}/healthz", timeout=ON_ITS_WAY_MS)
                    except PlaywrightTimeout:
                        return False
                    return True

                await eventually(left)
                await page.goto(f"{address}/needs")
                assert "/sign-in" in page.url


async def _width(page: Page) -> int:
    found: int = await page.evaluate("document.documentElement.scrollWidth")
    return found


async def _heights(page: Page) -> list[tuple[str, float]]:
    """What is pressed on a page, and how high it is, in CSS pixels."""
    found: list[tuple[str, float]] = await page.evaluate(
        """() => [...document.querySelectorAll('main button, main summary, main select,'
          + ' main input:not([type=hidden], [type=checkbox], [type=radio]), main .tile,'
          + ' main label:has(> input), .kind > label, .leave, .menu-for, main a')]
          .filter(each => each.offsetParent)
          .map(each => [each.outerHTML.slice(0, 90), each.getBoundingClientRect().height])
        """
    )
    return found


async def test_a_grant_and_a_lot_are_put_right_without_script(
    browser: Browser, desk: FakeDesk, address: str, token: str
) -> None:
    async with open_page(browser, script=False) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/money/grants/{number('qn')}")
        await page.get_by_text("The donor wants money back").click()
        form = page.locator("form[action$='/demand']")
        await form.get_by_label("Amount, EUR").fill("1200,50")
        await form.get_by_label("Why").fill("audit")
        await form.get_by_role("button").click()
        await expect(page.get_by_role("status")).to_contain_text("wants money back")
        await page.goto(f"{address}/stock/lots/{number('lot a')}")
        await page.locator("[name=programme][value=hygiene]").check()
        await page.get_by_label("Value of one").fill("12,5")
        form = page.locator("form[novalidate]")
        await form.get_by_label("Reason").select_option("donor_changed")
        await form.get_by_role("button").click()
        await expect(page.get_by_role("status")).to_contain_text("terms are corrected")
        form = page.locator("form[action$='/move']")
        await form.get_by_label("To").select_option("Малий притулок")
        await form.get_by_label("Quantity").fill("7")
        await form.get_by_role("button").click()
        await expect(page.get_by_role("status")).to_contain_text("goods are moved")
    (demanded, demand, _), (corrected, terms, _), (moved, move, _) = desk.region.posts
    assert moved == f"/v1/lots/{number('lot a')}:move"
    assert move == {"to_site_id": str(SMALL), "quantity": 7, "moved_on": iso()}
    assert demanded == f"/v1/grants/{number('qn')}:demand"
    assert (demand["amount_minor"], demand["reason"]) == (120_050, "audit")
    assert corrected == f"/v1/lots/{number('lot a')}:correct"
    assert terms["unit_value_minor"] == 1_250
    assert terms["restriction"] == {
        "programmes": ["food", "hygiene"],
        "areas": ["UA80", "UA8036"],
        "cost_categories": ["goods"],
        "valid_to": iso(90),
        "area_means": "origin",
    }
