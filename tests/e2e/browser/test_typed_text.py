"""What was typed, in a real browser: another language, the way back, a visit that ended."""

import pytest
from playwright.async_api import Browser, Page, expect

from aidmesh_console.session import COOKIE
from support.browser import open_page, sign_in
from support.desk import FakeDesk
from support.made_up.basics import number

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PHONE_WIDTH = 320


async def _in_german(page: Page) -> None:
    await page.get_by_role("button", name="Deutsch").click()
    await expect(page.locator("html")).to_have_attribute("lang", "de")


async def _enter(page: Page) -> None:
    await page.get_by_role("button", name="Enter the request").click()
    await expect(page.get_by_role("alert").first).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
async def test_a_refused_form_keeps_what_was_typed_in_another_language(
    browser: Browser, address: str, token: str, desk: FakeDesk, *, script: bool
) -> None:
    async with open_page(browser, PHONE_WIDTH, script=script) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/register")
        await page.locator("#f-client_code").fill("КИ-77")
        await _enter(page)
        if script:  # typed after the page was shown: only a script can tell
            await page.locator("#f-client_code").fill("КИ-78")
        await _in_german(page)
        await expect(page.locator("#f-client_code")).to_have_value("КИ-78" if script else "КИ-77")
        assert "КИ" not in page.url
    assert desk.region.posts == []


async def test_what_is_typed_and_not_sent_stays_in_another_language(
    browser: Browser, address: str, token: str, desk: FakeDesk
) -> None:
    async with open_page(browser, PHONE_WIDTH) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/register")
        await page.locator("#f-client_code").fill("КИ-77")
        await _in_german(page)
        await expect(page.locator("#f-client_code")).to_have_value("КИ-77")
        await page.locator("#f-place_area").select_option("UA80")
        await page.locator("#need_food_parcel").check()
        assert desk.region.posts == []
        await page.locator("main form button.wide").click()
        await page.wait_for_url("**/needs?said=registered**")


async def test_one_comes_back_to_what_was_found_at_the_counter(
    browser: Browser, address: str, token: str
) -> None:
    async with open_page(browser, PHONE_WIDTH) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/hand-over")
        await page.locator("#wanted").fill("КИ-0417")
        await page.get_by_role("button", name="Search").click()
        await page.wait_for_url("**/hand-over?person=**")
        assert "КИ" not in page.url
        await page.locator("main .list a.go").first.click()
        await page.wait_for_url("**/needs/**")
        await page.go_back()
        await page.wait_for_url("**/hand-over?person=**")
        await expect(page.locator("main .list a.go").first).to_be_visible()


async def test_one_comes_back_from_a_form_that_was_refused(
    browser: Browser, address: str, token: str
) -> None:
    async with open_page(browser) as page:
        await sign_in(page, address, token)
        person = number("person")
        await page.goto(f"{address}/people/{person}")
        await page.locator("summary", has_text="Merge two records").click()
        form = page.locator("form[action$='/merge']")
        await form.locator("[name=other_code]").fill("КИ-2")
        await form.get_by_role("button").click()
        await page.wait_for_url(f"**/people/{person}/merge")
        await page.locator("main .list a.go").first.click()
        await page.wait_for_url("**/needs/**")
        await page.go_back()
        await page.wait_for_url(f"**/people/{person}")
        await expect(page.locator("h1")).to_have_text("Саша")


async def test_a_visit_that_ended_while_typing_gives_back_what_was_typed(
    browser: Browser, address: str, token: str, desk: FakeDesk
) -> None:
    async with open_page(browser, PHONE_WIDTH) as page:
        await sign_in(page, address, token)
        await page.goto(f"{address}/register")
        await page.locator("#f-client_code").fill("КИ-77")
        await page.context.clear_cookies(name=COOKIE)
        await page.get_by_role("button", name="Enter the request").click()
        await expect(page.get_by_role("alert")).to_contain_text("Your visit had ended")
        assert "КИ" not in await page.content()
        await page.locator("summary").click()
        await page.locator("#token").fill(token)
        await page.locator("form:has(#token) button").click()
        await page.get_by_role("button", name="Open the form").click()
        await page.wait_for_url("**/register")
        await expect(page.locator("#f-client_code")).to_have_value("КИ-77")
        assert "КИ" not in page.url
    assert desk.region.posts == []
