"""What the page of beds shows and hides."""

from typing import TYPE_CHECKING

from aidmesh_chassis.auth import Role
from support.made_up.basics import number

if TYPE_CHECKING:
    from .conftest import Browser


async def test_a_retired_bed_is_not_shown_as_free(browser: "Browser") -> None:
    await browser.sign_in(Role.LOGISTICIAN)
    bed = {"bed_id": str(number("bed old")), "label": "9-Z", "room": "9", "code": "shelter",
           "status": "retired", "nights": ["free"] * 14, "bookings": []}  # fmt: skip
    browser.desk.region.answers["GET /v1/beds"] = (200, {"beds": [bed], "next": None})
    page = (await browser.get(f"/beds?site={number('shelter')}")).text
    assert "9-Z" not in page.split('id="restore-bed"')[0]
    assert f'<option value="{bed["bed_id"]}">9-Z' in page


async def test_overdue_check_outs_are_shown_with_what_to_say_of_them(browser: "Browser") -> None:
    await browser.sign_in(Role.CASEWORKER)
    page = (await browser.get(f"/beds?site={number('shelter')}", "en")).text
    section = page.split('<section class="card" id="gone">')[1].split("</section>")[0]
    assert section.count('/check-out"') == 2
    # Only who was checked out by the clock can turn out to be still there.
    assert section.count('/undo-check-out"') == section.count("checked out by the clock") == 1
