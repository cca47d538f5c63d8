"""A file whose columns nobody knows, as a caseworker without script brings it in."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from aidmesh_chassis.auth import Role
from support.browser import open_page, sign_in
from support.desk import FakeDesk
from support.made_up.basics import problem

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

IMPORT = "POST /v1/requests:import"
PHONE_WIDTH = 320
TRIED: dict[str, object] = {
    "import_id": None, "state": "dry_run", "rows_total": 1, "accepted": 0, "skipped": 0,
    "rejected": 1, "by_state": {},
    "problems": [{"line": 2, "column": "kind", "rule": "not_a_code"}],
}  # fmt: skip


async def test_a_caseworker_says_what_each_column_means(
    browser: Browser, address: str, desk: FakeDesk, tmp_path: Path
) -> None:
    file = tmp_path / "march.csv"
    file.write_text("Номер рядка,Що треба?,Телефон*\n1,їжа,067\n", encoding="utf-8")
    async with open_page(browser, PHONE_WIDTH, script=False) as page:
        await sign_in(page, address, desk.token([Role.CASEWORKER]))
        await page.goto(f"{address}/import")
        async with page.expect_download() as example:
            await page.get_by_role("link", name="Example file").click()
        assert (await example.value).suggested_filename == "example.csv"
        desk.region.answers[IMPORT] = problem(
            422, "unmapped-columns", columns=["Що треба?", "Телефон*"]
        )
        await page.locator("#f-file").set_input_files(file)
        await page.locator("#f-source").fill("kobo-kyiv")
        await page.get_by_role("button", name="Try it").click()
        await page.get_by_label("Що треба?").select_option(label="Kind of help")
        await expect(page.get_by_label("Телефон*")).to_have_value("")
        desk.region.answers[IMPORT] = (200, TRIED)
        await page.locator("#f-file").set_input_files(file)
        await page.get_by_role("button", name="Try it").click()
        await expect(page.get_by_text("Що треба? · Kind of help")).to_be_visible()
        await expect(page.get_by_text("a code is needed: small Latin letters")).to_be_visible()
        await page.locator("#f-file").set_input_files(file)
        await page.get_by_role("button", name="Take it in").click()
        await expect(page.get_by_role("heading", name="Taken in")).to_be_visible()
    assert [asked["dry_run"] for asked in desk.region.queries] == ["true", "true", "false"]
