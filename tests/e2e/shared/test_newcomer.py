"""What a newcomer does in the first five minutes, on a running region."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from aidmesh_chassis.auth import Role
from aidmesh_chassis.staff import StaffFile
from support.browser import open_page
from support.running import RunningMesh, Staff
from support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PASSWORD = "correct horse battery staple"
PHONE_WIDTH = 320


@pytest_asyncio.fixture(loop_scope="module")
async def kyiv(mesh: RunningMesh) -> AsyncIterator[Staff]:
    """The staff in Kyiv, in the loop that the browser is in."""
    staff = mesh.staff("kyiv")
    yield staff
    await staff.close()


def _hire(mesh: RunningMesh, region: str, *roles: Role) -> str:
    """Somebody new in a region's staff file; returns their login."""
    login = f"newcomer-{uuid4().hex[:8]}"
    staff = StaffFile(mesh.file.regions[region].keys / "staff.jsonl")
    staff.add(login, PASSWORD, roles)
    return login


async def _sign_in(page: Page, address: str, login: str) -> None:
    await page.goto(address)
    await page.get_by_label("Login").fill(login)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").first.click()
    await expect(page.get_by_role("heading", name="What waits for you")).to_be_visible()


async def _register(page: Page, address: str, site: UUID, code: str, kind: str) -> None:
    await page.goto(f"{address}/register")
    await page.locator("#f-client_code").fill(code)
    await page.locator("#f-place_area").select_option("UA80")
    await page.locator("summary", has_text="Site and dates").click()
    await page.locator("#f-site_id").select_option(str(site))
    tick = page.locator(f"#need_{kind}")
    if not await tick.is_visible():
        await page.locator("details.programme", has=tick).locator("summary").click()
    await tick.check()
    await page.get_by_role("button", name="Enter the request").click()
    await page.wait_for_url("**/needs?said=registered**")


async def _find(page: Page, address: str, code: str, button: str) -> None:
    """Find by client code until it is ready: the desk is told when it is."""

    async def ready() -> bool:
        await page.goto(f"{address}/hand-over")
        await page.locator("#wanted").fill(code)
        await page.get_by_role("button", name="Search").click()
        await page.wait_for_load_state()
        return await page.get_by_role("button", name=button, exact=True).count() == 1

    assert await eventually(ready, 30.0)


@pytest.mark.parametrize("script", [True, False])
async def test_register_hand_over_and_undo(
    browser: Browser, mesh: RunningMesh, kyiv: Staff, script: bool
) -> None:
    site = await kyiv.site(f"center-{uuid4().hex[:6]}")
    await kyiv.item("food_parcel")
    await kyiv.receive(site, "food_parcel", 5)
    address, code = kyiv.url("console"), f"КИ-{uuid4().hex[:8]}"
    async with open_page(browser, PHONE_WIDTH, script=script) as page:
        await _sign_in(page, address, _hire(mesh, "kyiv", Role.CASEWORKER))
        await _register(page, address, site, code, "food_parcel")
        await _find(page, address, code, "Hand over")
        await page.get_by_role("button", name="Hand over", exact=True).click()
        await page.wait_for_url("**said=handed_over**")
        await page.locator("#undo-reason").select_option("wrong_person")
        await page.get_by_role("button", name="Undo").click()
        await page.wait_for_url("**said=undone**")
        await _find(page, address, code, "Hand over")
        assert code not in page.url


async def test_a_guest_is_checked_in_and_out(
    browser: Browser, mesh: RunningMesh, kyiv: Staff
) -> None:
    site = await kyiv.site(f"shelter-{uuid4().hex[:6]}")
    bed = {"site_id": str(site), "label": "1-A", "room": "1", "code": "shelter"}
    await kyiv.post("logistician", "inventory", "/beds", bed)
    address, code = kyiv.url("console"), f"КИ-{uuid4().hex[:8]}"
    async with open_page(browser) as page:
        await _sign_in(page, address, _hire(mesh, "kyiv", Role.CASEWORKER, Role.LOGISTICIAN))
        await _register(page, address, site, code, "shelter_night")
        await _find(page, address, code, "Check in")
        await page.goto(f"{address}/beds?site={site}")
        await expect(page.locator(".nights .confirmed")).not_to_have_count(0)
        await page.get_by_role("button", name="Check in").click()
        await page.wait_for_url("**said=guest_came**")
        await expect(page.locator(".nights .occupied")).not_to_have_count(0)
        await page.get_by_role("button", name="Guest leaves").click()
        await page.wait_for_url("**said=checked_out**")


async def test_goods_that_come_in_show_on_the_register_page(
    browser: Browser, mesh: RunningMesh, kyiv: Staff
) -> None:
    site = await kyiv.site(f"store-{uuid4().hex[:6]}")
    await kyiv.item("hygiene_kit")
    address = kyiv.url("console")
    async with open_page(browser) as page:
        await _sign_in(page, address, _hire(mesh, "kyiv", Role.LEAD))
        await page.goto(f"{address}/stock?site={site}")
        await page.get_by_text("Receive goods").first.click()
        form = page.locator('form[action^="/stock/receive"]')
        await form.locator("#f-item").select_option("hygiene_kit")
        await form.get_by_label("Quantity").fill("17")
        await form.get_by_role("button", name="Receive goods").click()
        await page.wait_for_url("**said=received**")
        await expect(page.locator("tbody.group td.num").first).to_have_text("17")
        await page.goto(f"{address}/register")
        await page.locator("summary", has_text="Hygiene").click()
        await page.locator("#need_hygiene_kit").check()
        await expect(page.locator(".kind", has=page.locator("#need_hygiene_kit"))).to_contain_text(
            "free"
        )
        for path in (
            "/money", "/money/grants", "/money/purchases?state=all", "/money/questions",
            "/money/regions", "/assets", "/results", "/needs", "/hand-over", "/beds", "/import",
            "/",
        ):  # fmt: skip
            answer = await page.goto(address + path)
            assert answer is not None
            assert answer.status == 200
            assert await page.locator(".notice.warn").count() == 0, path
